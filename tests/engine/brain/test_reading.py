"""The parts of the rehearsal brain: times, schedules, prompts, rules, results, parameters."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from runner.engine.brain.fill import value_of
from runner.engine.brain.notes import read
from runner.engine.brain.results import result
from runner.engine.brain.rules import rule_in
from runner.engine.brain.said import Said
from runner.engine.brain.schedule import schedule
from runner.engine.brain.slots import slots_of
from runner.engine.brain.speech import as_we, sentences, spoken
from runner.engine.brain.times import find_days, find_times, now_in, said_days, said_time
from runner.engine.brain.words import normal, number_at, stem, tokens

pytestmark = pytest.mark.quick
SUNDAY = date(2026, 11, 22)


@pytest.mark.parametrize(
    ("heard", "meant"),
    [
        ("What are your ours?", "what are your hours"),
        ("a table for for at ate", "a table for four at eight"),
        ("Do you've Wi-Fi?", "do you have wifi"),
        ("I'd like a check up", "i would like a checkup"),
        ("okay by", "okay bye"),
        ("whats the whether like", "what is the weather like"),
    ],
)
def test_what_recognition_writes_is_put_right(heard: str, meant: str) -> None:
    assert normal(heard) == meant


def test_a_word_and_its_forms_share_a_stem() -> None:
    for family in (
        "book booking booked bookings",
        "cancel cancelled cancellation",
        "price prices pricing",
        "deliver delivery",
        "tooth teeth",
    ):
        assert len({stem(word) for word in family.split()}) == 1, family
    assert stem("park") != stem("part")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("twenty five", 25),
        ("a hundred and ten", 110),
        ("a dozen", 12),
        ("two thousand five hundred", 2500),
        ("seven", 7),
    ],
)
def test_numbers(text: str, number: int) -> None:
    words = tokens(text)
    assert number_at(words, 0) == (number, len(words))


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("at nine", 540),
        ("half past two", 150),
        ("quarter to five in the afternoon", 1005),
        ("2 pm", 840),
        ("noon", 720),
        ("tomorrow 9:30", 570),
        ("seven thirty pm", 1170),
        ("930 am", 570),
        ("18:15", 1095),
    ],
)
def test_times(text: str, minutes: int) -> None:
    assert [time.minutes for time in find_times(tokens(text))] == [minutes]


@pytest.mark.parametrize(
    "text", ["a table for four people", "two large pizzas", "12 Harbour Street", "for 45 minutes"]
)
def test_other_numbers_are_no_times(text: str) -> None:
    assert find_times(tokens(text)) == []


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("on tuesday", "2026-11-24"),
        ("tomorrow", "2026-11-23"),
        ("the third of march", "2027-03-03"),
        ("march 3rd", "2027-03-03"),
        ("today", "2026-11-22"),
        ("sunday", "2026-11-29"),
        ("day after tomorrow", "2026-11-24"),
        ("on the 24th", "2026-11-24"),
        ("december twenty fourth 2026", "2026-12-24"),
    ],
)
def test_days(text: str, day: str) -> None:
    found = find_days(tokens(text))
    assert [str(one.on(SUNDAY)) for one in found] == [day]


def test_today_is_read_from_the_prompt() -> None:
    now = now_in("You are Ada.\nToday is Sunday, 22 November 2026, 22:51 (America/New_York).\n")
    assert now is not None
    assert (now.today, now.minutes) == (SUNDAY, 22 * 60 + 51)
    assert now_in("The current date is November 22, 2026.") is not None
    assert now_in("Founded 22 November 1990.") is None


def test_times_and_days_are_said_shortly() -> None:
    assert [said_time(540), said_time(1110), said_time(720), said_time(0)] == [
        "9 am",
        "6:30 pm",
        "noon",
        "midnight",
    ]
    assert said_days([0, 1, 2, 3, 4]) == "Monday to Friday"
    assert said_days([6, 0, 1]) == "Sunday to Tuesday"
    assert said_days([1, 4]) == "Tuesday and Friday"


WEEK = [(480, 1080)]


@pytest.mark.parametrize(
    ("text", "week"),
    [
        (
            "Monday to Friday 8 am to 6 pm, closed on Sunday",
            {0: WEEK, 1: WEEK, 2: WEEK, 3: WEEK, 4: WEEK, 6: []},
        ),
        (
            "from 8 to 6 Monday to Tuesday and from 10 to 2 on Saturday",
            {0: WEEK, 1: WEEK, 5: [(600, 840)]},
        ),
        ("Monday 9 to 12 and 2 to 6, Wednesday closed", {0: [(540, 720), (840, 1080)], 2: []}),
        ("Friday from 5 pm to 2 am", {4: [(1020, 1560)]}),
        ("We open at 9 and close at 5 on Mondays", {0: [(540, 1020)]}),
        (
            "every day except Monday from noon to 11 pm",
            {0: []} | {day: [(720, 1380)] for day in range(1, 7)},
        ),
    ],
)
def test_schedules(text: str, week: Any) -> None:
    assert schedule([text]) == week


def test_the_later_end_of_some_days() -> None:
    week = schedule(["daily from 11 am to 10 pm, Fridays and Saturdays until midnight"])
    assert week[3] == [(660, 1320)]
    assert week[4] == week[5] == [(660, 1440)]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Mon-Fri 08:00-18:00, Sat 9-12", "Monday to Friday 8 am to 6 pm, Saturday 9 am to noon"),
        ("**Parking**: free (behind the building).", "Parking: free, behind the building."),
        ("9am-5pm", "9 am to 5 pm"),
        ("See [our site](https://x.example/a) & call 555-0100", "See our site and call 555-0100"),
        ("$80-120, 20-30 minutes", "$80 to $120, 20 to 30 minutes"),
        ("mail help@northwind.example", "mail help at northwind dot example"),
    ],
)
def test_written_words_become_spoken_ones(written: str, said: str) -> None:
    assert spoken(written) == said


def test_the_business_speaks_of_itself_as_we() -> None:
    assert as_we("The clinic opens at 8 and closes at 6.") == "We open at 8 and close at 6."
    assert (
        as_we("Luna Pizza is a bakery with its own oven.", ["Luna Pizza"])
        == "We are a bakery with our own oven."
    )
    assert as_we("The clinical trial is over.") == "The clinical trial is over."


def test_sentences_do_not_end_at_abbreviations() -> None:
    assert sentences("Dr. Lee opens at 9 a.m. and costs $9.50. Ok? Yes!") == [
        "Dr. Lee opens at 9 a.m. and costs $9.50.",
        "Ok?",
        "Yes!",
    ]


def test_three_styles_of_a_prompt_give_the_same_facts() -> None:
    styles = [
        "# Front desk\n\n## Hours\n- Monday to Friday: 8:00-18:00\n\n## Prices\n- Cleaning: $95\n",
        "The clinic is open Monday to Friday from 8 am to 6 pm. Cleaning is\n$95.",
        "hours: mon-fri 8am-6pm\ncleaning: $95",
    ]
    for style in styles:
        said = " ".join(fact.said for fact in read(style).facts)
        assert "8 am to 6 pm" in said.replace("from ", ""), said
        assert "leaning is $95." in said, said


@pytest.mark.parametrize(
    "line",
    [
        "You are Ada, the receptionist.",
        "Never read a card number aloud.",
        "Always be polite.",
        "Be warm and brief.",
        "Keep answers short.",
        "Do not make things up.",
        "Speak slowly.",
        "If the caller is rude, stay calm.",
        "Ask for the caller's name.",
        "Your goal is to help.",
        "The caller may be upset.",
        "Use find_slots to look up times.",
        "Respond in one sentence.",
        "Tone: friendly",
    ],
)
def test_instructions_are_no_facts(line: str) -> None:
    assert read(line).facts == ()


def test_unconditional_messages_are_facts() -> None:
    assert [
        fact.said for fact in read("Tell callers that the clinic is closed in July.").facts
    ] == ["We are closed in July."]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("When asked about insurance, say that we accept Delta.", ["We accept Delta."]),
        ('If somebody is lost, say: "Turn left at the mill."', ["Turn left at the mill."]),
        (
            "If the caller is upset, apologise and offer to connect them with the manager.",
            ["I am sorry about that.", "Would you like me to connect you with the manager?"],
        ),
        ("For emergencies, tell callers to call 911.", ["Please call 911."]),
        (
            "Callers who ask about refunds should be told that refunds take five days.",
            ["Refunds take five days."],
        ),
        (
            "If a guest is early, ask for their phone number.",
            ["Could you give me your phone number, please?"],
        ),
        ("If they ask whether you can sing, say that you cannot sing.", ["I cannot sing."]),
    ],
)
def test_rules_become_speech(line: str, said: list[str]) -> None:
    rule = rule_in(line)
    assert rule is not None
    assert [step.text for step in rule.steps] == said


def test_a_condition_of_the_business_is_a_fact() -> None:
    assert rule_in("If a booking is cancelled late, we charge $25.") is None


def test_a_rule_with_a_number_holds_on_its_side_only() -> None:
    rule = rule_in(
        "If the caller wants a table for more than 8 people, say that they have to write to us."
    )
    assert rule is not None
    assert rule.admits((12,))
    assert not rule.admits((8,))


@pytest.mark.parametrize(
    ("out", "said"),
    [
        (
            '["09:00","10:30"]',
            "I have 9 am and 10:30 am free on Tuesday. Which one would you like?",
        ),
        ("[]", "I am sorry, there is nothing free on Tuesday. Would another day suit you?"),
        ('{"ok": true, "confirmation": "A12"}', "That is done. Your confirmation number is A12."),
        ('{"error": "The calendar is closed"}', "I am sorry, the calendar is closed."),
        ("It is sunny.", "It is sunny."),
        (
            '{"temperature": 18, "condition": "sunny"}',
            "The temperature is 18 and the condition is sunny.",
        ),
        (
            "An error occurred while running the tool: KeyError",
            "I am sorry, that did not work just now.",
        ),
        ("true", "Yes."),
        ("", "That is done."),
        (
            '["2026-11-24T09:00:00", "2026-11-24T10:00:00"]',
            "I have 9 am and 10 am free on Tuesday, November 24. Which one would you like?",
        ),
    ],
)
def test_results_are_sentences(out: str, said: str) -> None:
    assert result(out, "find_slots", {"day": "Tuesday"}, booking=True) == said


TEXT = {"type": "string"}


@pytest.mark.parametrize(
    ("name", "schema", "text", "direct", "value"),
    [
        ("day", TEXT, "Can I come in on Tuesday at nine?", False, "Tuesday"),
        (
            "date",
            {"type": "string", "format": "date"},
            "the third of march please",
            False,
            "2027-03-03",
        ),
        ("time", TEXT, "tuesday at two", False, "14:00"),
        (
            "start",
            {"type": "string", "format": "date-time"},
            "tomorrow at 3 pm",
            False,
            "2026-11-23T15:00:00",
        ),
        ("party_size", {"type": "integer"}, "a table for four at seven on friday", False, 4),
        ("party_size", {"type": "integer"}, "for", True, 4),
        ("name", TEXT, "my name is ada lovelace and my number is 5", False, "Ada Lovelace"),
        ("name", TEXT, "I'm looking for a table", False, None),
        ("phone", TEXT, "five five five one two three four", False, "5551234"),
        ("phone", TEXT, "double five five, one two three four", True, "5551234"),
        ("email", TEXT, "ada dot lovelace at example dot com", False, "ada.lovelace@example.com"),
        ("city", TEXT, "what's the weather in Paris?", False, "Paris"),
        ("city", TEXT, "whats the weather in new york tomorrow", False, "New York"),
        ("order_id", TEXT, "it is a b one two three", True, "AB123"),
        ("item", TEXT, "I'd like two large pizzas please", False, "two large pizzas"),
        (
            "size",
            {"enum": ["small", "large", "extra_large"]},
            "an extra large one",
            False,
            "extra_large",
        ),
        ("delivery", {"type": "boolean"}, "yes please", True, True),
        ("delivery", {"type": "boolean"}, "no", True, False),
        ("reason", TEXT, "I have a toothache", True, "I have a toothache"),
        (
            "items",
            {"type": "array", "items": TEXT},
            "two margheritas and a cola",
            True,
            ["two margheritas", "a cola"],
        ),
        ("degrees", {"type": "number"}, "21.5", True, 21.5),
        ("nick", {"anyOf": [TEXT, {"type": "null"}]}, "the lion", True, "lion"),
    ],
)
def test_parameters_are_filled(name: str, schema: Any, text: str, direct: bool, value: Any) -> None:
    slot = slots_of({"properties": {name: schema}, "required": [name]})[0]
    assert value_of(slot, Said(text, direct, SUNDAY, 480)) == value


def test_nested_objects_are_opened() -> None:
    inner = {"type": "object", "properties": {"city": TEXT}, "required": ["city"]}
    slots = slots_of({"properties": {"address": inner, "note": TEXT}, "required": ["address"]})
    assert [(slot.path, slot.required) for slot in slots] == [
        (("address", "city"), True),
        (("note",), False),
    ]
