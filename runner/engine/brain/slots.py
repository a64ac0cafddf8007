"""A tool's parameters: what kind of thing each one wants, and how to ask a caller for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.engine.brain.words import joined, plain_words

Path = tuple[str, ...]

DATE, TIME, MOMENT, COUNT, PERSON, PHONE, EMAIL = (
    "date",
    "time",
    "moment",
    "count",
    "person",
    "phone",
    "email",
)
CODE, PLACE, ADDRESS, WHOLE, THING, CHOICE, FLAG, LIST = (
    "code",
    "place",
    "address",
    "whole",
    "thing",
    "choice",
    "flag",
    "list",
)


@dataclass(frozen=True, slots=True)
class Slot:
    """One leaf of a JSON Schema. ``path`` leads to it through nested objects."""

    path: Path
    kind: str
    required: bool
    schema: Mapping[str, Any]
    description: str = ""
    of: str = ""  # the kind of a list's items

    @property
    def name(self) -> str:
        return self.path[-1]

    @property
    def label(self) -> str:
        """The parameter's name as words: 'order number' of ``order_number``."""
        return " ".join(plain_words(self.name)) or self.name

    @property
    def choices(self) -> list[Any]:
        found = self.schema.get("enum")
        if self.kind == LIST and isinstance(self.schema.get("items"), Mapping):
            found = self.schema["items"].get("enum")
        return list(found) if isinstance(found, list) else []


_BY_NAME: tuple[tuple[str, str], ...] = (
    (r"\b(?:datetime|date time|start time and date|when)\b", MOMENT),
    (r"\b(?:date|day|weekday|checkin|checkout|arrival|departure|birthday|dob)\b", DATE),
    (r"\b(?:time|hour|slot|clock)\b", TIME),
    (r"\b(?:phone|telephone|mobile|cell|tel|phonenumber)\b", PHONE),
    (r"\b(?:email|mail)\b", EMAIL),
    (r"\b(?:address|street)\b", ADDRESS),
    (
        r"\b(?:query|question|topic|text|message|reason|issue|describe|description|notes?|"
        r"problem|details?|summary|complaint|"
        r"comment|comments|feedback|search|content|subject|symptoms?|prompt)\b",
        WHOLE,
    ),
    (
        r"\b(?:city|location|place|destination|origin|country|town|region|state|airport|"
        r"where)\b",
        PLACE,
    ),
    (
        r"\b(?:id|code|reference|ref|number|confirmation|zip|zipcode|postal|postcode|account|"
        r"sku|pin|plate)\b",
        CODE,
    ),
    (
        r"^(?:(?:full|first|last|family|given|customer|caller|client|guest|patient|person|"
        r"user|contact|your|member|party|owner|"
        r"attendee|student|pet) )*(?:name|surname|lastname|firstname|fullname)$|^(?:customer|"
        r"caller|guest|patient|person|who|client)$",
        PERSON,
    ),
)


def slots_of(parameters: Any) -> list[Slot]:
    """The leaves of a function's parameters in order, objects opened up to three deep."""
    return _leaves(parameters, (), True)


def _leaves(schema: Any, path: Path, required: bool) -> list[Slot]:
    if not isinstance(schema, Mapping) or not isinstance(schema.get("properties"), Mapping):
        return []
    wanted = schema.get("required")
    needed = set(map(str, wanted)) if isinstance(wanted, list) else set()
    found: list[Slot] = []
    for name, part in schema["properties"].items():
        part = _plain(part if isinstance(part, Mapping) else {})
        here = (*path, str(name))
        must = required and name in needed
        if isinstance(part.get("properties"), Mapping) and len(path) < 3:
            found += _leaves(part, here, must)
            continue
        about = part.get("description")
        description = about if isinstance(about, str) else ""
        found.append(_slot(here, part, must and not part.get("nullable_"), description))
    return found


def _plain(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a nullable or alternative schema that says something."""
    for key in ("anyOf", "oneOf", "allOf"):
        options = schema.get(key)
        if isinstance(options, list):
            real = [
                one for one in options if isinstance(one, Mapping) and one.get("type") != "null"
            ]
            if real:
                merged = {**real[0], **{k: v for k, v in schema.items() if k != key}}
                if len(real) < len(options):
                    merged["nullable_"] = True
                return merged
    kind = schema.get("type")
    if isinstance(kind, list):
        left = [one for one in kind if one != "null"]
        merged = {**schema, "type": left[0] if left else "null"}
        if len(left) < len(kind):
            merged["nullable_"] = True
        return merged
    return schema


def _slot(path: Path, schema: Mapping[str, Any], required: bool, description: str) -> Slot:
    kind, of = _kind(path[-1], schema, description), ""
    if schema.get("type") == "array":
        items = schema.get("items")
        inner = _plain(items) if isinstance(items, Mapping) else {"type": "string"}
        of, kind = _kind(path[-1], inner, description), LIST
        if of in (WHOLE, LIST):
            of = THING
    return Slot(path, kind, required, schema, description, of)


def _kind(name: str, schema: Mapping[str, Any], description: str) -> str:
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return CHOICE
    declared = schema.get("type")
    if declared == "boolean":
        return FLAG
    if declared in ("integer", "number"):
        return COUNT
    form = {"date": DATE, "time": TIME, "date-time": MOMENT, "email": EMAIL, "phone": PHONE}
    if schema.get("format") in form:
        return form[str(schema["format"])]
    words = " ".join(plain_words(name))
    for pattern, kind in _BY_NAME:
        if re.search(pattern, words):
            return kind
    about = description.lower()
    if re.search(
        r"\bname of the (?:caller|patient|guest|customer|person|client)|(?:caller|patient|"
        r"guest|customer|person)'s (?:full )?name",
        about,
    ):
        return PERSON
    for pattern, kind in _BY_NAME[:5]:
        if re.search(pattern, " ".join(about.split()[:6])):
            return kind
    return THING


_ASK = {
    DATE: "Which day is that for?",
    TIME: "What time would you like?",
    MOMENT: "What day and time would you like?",
    PHONE: "What is your phone number, please?",
    EMAIL: "What is your email address, please?",
    ADDRESS: "What is the address, please?",
}
_COUNTED = (
    (
        r"\b(?:party|people|guests?|persons?|size|seats|covers|adults|diners|headcount)\b",
        "For how many people?",
    ),
    (r"\bnights?\b", "For how many nights?"),
    (r"\b(?:quantity|qty|count|amount of items)\b", "How many would you like?"),
    (r"\b(?:age|years)\b", "What is the age, please?"),
    (r"\b(?:amount|price|total|sum|budget)\b", "What is the amount, please?"),
)
_WHOLE_ASKED = (
    (r"\bmessage\b", "What message shall I pass on?"),
    (r"\b(?:reason|purpose)\b", "What is it about, please?"),
    (
        r"\b(?:issue|problem|complaint|symptoms?|description|describe|details?)\b",
        "Could you tell me what the problem is?",
    ),
    (r"\b(?:feedback|comments?)\b", "What would you like to say?"),
)


def ask_for(slot: Slot) -> str:
    """The question for a missing parameter; the same slot is always asked for in the same words."""
    if slot.kind in _ASK:
        return _ASK[slot.kind]
    label = slot.label
    if slot.kind == PERSON:
        whose = "the" if re.search(r"\b(?:pet|patient|guest|student|attendee)\b", label) else "your"
        part = re.sub(
            r"\b(?:customer|caller|client|user|contact|your|person|member|party|who|guest|"
            r"owner)\b ?",
            "",
            label,
        )
        part = re.sub(r"surname|lastname", "last name", part).strip() or "name"
        if part in ("patient", "student", "attendee"):
            part += "'s name"
        return f"What is {whose} {part}, please?"
    if slot.kind == COUNT:
        for pattern, question in _COUNTED:
            if re.search(pattern, label):
                return question
        if "number" in plain_words(slot.name) or "id" in plain_words(slot.name):
            return f"What is the {label}, please?"
        if slot.schema.get("type") == "number":
            return f"What is the {label}, please?"
        return f"How many {label}?" if label.endswith("s") else f"What {label}, please?"
    if slot.kind == CHOICE:
        options = [str(one).replace("_", " ") for one in slot.choices if one is not None]
        if len(options) <= 6:
            return f"Which {label} would you like: {joined(options, 'or')}?"
        return f"Which {label} would you like?"
    if slot.kind == FLAG:
        return f"{_described(slot) or f'Would you like {_spoken_flag(label)}'}, yes or no?"
    if slot.kind == CODE:
        return f"What is the {label}, please?"
    if slot.kind == WHOLE:
        for pattern, question in _WHOLE_ASKED:
            if re.search(pattern, label):
                return question
        return (
            f"What is the {label}, please?"
            if label not in ("query", "search", "text", "question")
            else "What are you looking for?"
        )
    if slot.kind == PLACE:
        return f"Which {label}, please?"
    if slot.kind == LIST:
        return f"Which {label} would you like?" if slot.of != COUNT else f"Which {label}?"
    if re.search(r"name$", label):
        return f"What is the {label}, please?"
    return f"Which {label} would you like?" if label else "What would you like?"


def _described(slot: Slot) -> str:
    about = slot.description.strip().rstrip(".?")
    if (
        re.match(r"(?:is|are|do|does|would|should|will|has|have)\b", about, re.I)
        and len(about) < 80
    ):
        return about[:1].upper() + about[1:]
    return ""


def _spoken_flag(label: str) -> str:
    return re.sub(r"^(?:is|has|with|include|includes|wants|needs|want|need) ", "", label)
