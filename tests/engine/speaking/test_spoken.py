from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.engine.speaking.spoken import spoken

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Call +1 (555) 123-4567.", "Call plus 1, 5 5 5, 1 2 3, 4 5 6 7."),
        ("Call 555-123-4567 now", "Call 5 5 5, 1 2 3, 4 5 6 7 now"),
        ("+15551230100", "plus 1, 5 5 5, 1 2 3, 0 1 0 0"),
        ("Mail bob.smith@example.com.", "Mail bob dot smith at example dot com."),
        ("See https://www.example.com/book.", "See example dot com slash book."),
        ("on example.com", "on example dot com"),
        ("Open Mon-Fri 9-5", "Open Monday to Friday 9 to 5"),
        ("Mon–Sat, 9:00-17:00", "Monday to Saturday, 9:00 to 17 hundred"),
        ("9am - 5pm", "9am to 5pm"),
        ("**Really** _good_ `code`", "Really good code"),
        ("# Title\n- one\n* two", "Title\none\ntwo"),
        ("[the site](http://x.com)", "the site"),
        ("say [x](/ˈɑ/)", "say x"),
        ("a\x00b\u200b\ufe0f", "ab"),
        ("It is $9.99 on 2026-11-22 at 9:30.", "It is $9.99 on 2026-11-22 at 9:30."),
        ("1,250,000 people in 2020-2024", "1,250,000 people in 2020 to 2024"),
        ("10/12/2026", "10/12/2026"),
        ("well-known, state-of-the-art", "well-known, state-of-the-art"),
        ("the order 123456789", "the order 123456789"),
        ("snake_case", "snake_case"),
        ("😀", ""),
        ("...", ""),
        ("", ""),
    ],
)
def test_written_as_it_is_said(text: str, said: str) -> None:
    assert spoken(text) == said


@given(st.text(max_size=200))
def test_any_text_is_taken_and_no_brackets_reach_the_voice(text: str) -> None:
    assert not set("[]\x00") & set(spoken(text))
