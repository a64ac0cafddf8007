"""TwiML as Twilio reads it, as far as a call that comes in needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.etree import ElementTree


@dataclass(frozen=True, slots=True)
class Verb:
    """``Connect``: ``attributes`` and ``parameters`` are those of the stream in it. Of others
    ``text`` is what stands in them, in nouns too."""

    name: str
    text: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)


def read_twiml(text: str) -> list[Verb]:
    """The verbs in order. ValueError when it is no TwiML."""
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"this is no TwiML: {error}: {text[:200]}") from None
    if root.tag != "Response":
        raise ValueError(f"TwiML is a Response, not {root.tag}")
    return [_verb(node) for node in root]


def _verb(node: ElementTree.Element) -> Verb:
    stream = node.find("Stream") if node.tag == "Connect" else None
    if stream is None:
        return Verb(node.tag, "".join(node.itertext()), dict(node.attrib))
    parameters = {p.get("name", ""): p.get("value", "") for p in stream.iter("Parameter")}
    return Verb(node.tag, "", dict(stream.attrib), parameters)
