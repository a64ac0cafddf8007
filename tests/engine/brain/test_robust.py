"""Whatever comes over the wire, the rehearsal brain answers, and answers the same again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.utterances import agent, call, output, think, user

from runner.codec import loads

pytestmark = pytest.mark.quick

SEED = """
what when where how much is are you open on tuesday at nine half past the third of march if the
caller asks say that we Hours: Mon-Fri 08:00-18:00 closed - * # | no yes , . ? : " ' $80 12 555-0100
book cancel find_slots ( ) tell them to two large for a b c am pm until every day You are Ada the
receptionist of Never Always
"""
WORDS = [*SEED.split(), "\n", "\n\n"]
prose = st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join) | st.text(max_size=120)
json_value: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=12)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
schema = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(
            ["string", "integer", "number", "boolean", "array", "object", ["string", "null"], 7]
        ),
        "format": st.sampled_from(["date", "time", "date-time", "email", "x"]),
        "enum": st.lists(st.sampled_from(["small", "large", None, 3]), max_size=3),
        "description": prose,
        "anyOf": st.just([{"type": "null"}, {"type": "string"}]),
        "items": st.just({"type": "string"}) | json_value,
    },
)
SLOTS = "day time name phone email city people order_id query start x vegan items"
names = st.sampled_from(SLOTS.split())
names_of_tools = st.sampled_from(["find_slots", "book_slot", "transfer_to_billing", "weather", "x"])
OURS = [
    "Which day is that for?",
    "What is your name, please?",
    "Which one would you like?",
    "Would you like that?",
    "Is there anything else I can help you with?",
]
OUTPUTS = ['["09:00","10:00"]', '{"assistant": "billing"}', '{"error": "no"}', "42", ""]
parameters = (
    st.fixed_dictionaries(
        {"type": st.just("object"), "properties": st.dictionaries(names, schema, max_size=4)},
        optional={"required": st.lists(names, max_size=3)},
    )
    | json_value
)
tool = st.fixed_dictionaries(
    {
        "type": st.just("function"),
        "name": names_of_tools,
    },
    optional={"description": prose, "parameters": parameters},
)
item = st.one_of(
    prose.map(user),
    prose.map(agent),
    prose.map(lambda text: agent(text, "incomplete")),
    st.sampled_from(OURS).map(agent),
    st.tuples(names_of_tools, prose).map(lambda pair: call(*pair, "c1")),
    st.one_of(prose, json_value.map(repr), st.sampled_from(OUTPUTS)).map(
        lambda text: output(text, "c1")
    ),
    st.dictionaries(
        st.sampled_from(["type", "role", "content", "call_id"]), json_value, max_size=3
    ),
)
choice = st.sampled_from(
    ["auto", "none", "required", {"type": "function", "name": "find_slots"}, {"type": "mcp"}, None]
)


@settings(max_examples=150, deadline=None)
@given(prose, st.lists(item, max_size=6), st.lists(tool, max_size=3), choice)
def test_it_never_fails_and_never_varies(
    instructions: str, items: list[Any], tools: list[Any], wanted: Any
) -> None:
    first = think(instructions, items, tools, wanted)
    assert first == think(instructions, items, tools, wanted)
    said, calls = first
    assert said.strip() or calls
    for one in calls:
        assert one.name in {tool["name"] for tool in tools}
        assert isinstance(loads(one.arguments), dict)
        assert wanted != "none"


@settings(max_examples=100, deadline=None)
@given(prose)
def test_any_instructions_can_be_read(instructions: str) -> None:
    said, _ = think(instructions, [user("what are your opening hours")])
    assert said.strip()


@settings(max_examples=150, deadline=None)
@given(prose)
def test_anything_can_be_said(text: str) -> None:
    prompt = (
        "You are Ada of Northwind. We are open Monday to Friday from 8 to 6. Do not discuss "
        "politics."
    )
    said, _ = think(prompt, [agent("Hello, how can I help you?"), user(text)])
    assert said.strip()
