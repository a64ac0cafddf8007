"""What a schema cannot say of a deployment that answers the phone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from runner.config.callbuild import texts_of
from runner.config.ground import Ground, as_list, as_map
from runner.config.source import shown
from runner.config.tree import Path
from runner.errors import Problem
from runner.model import phone
from runner.model.deployment import Deployment

if TYPE_CHECKING:
    from runner.config.load import Loaded

ACTIONS = ("answer", "reject", "transfer")
DEFAULT_LISTEN = "127.0.0.1:8080"
DEFAULT_PATHS = {"sip": "/webhook", "twilio": "/twilio"}
#: Where an engine on this machine answers SIP.
DEFAULT_PHONE = "127.0.0.1:5060"
#: What needs the sound of the call, and what else there is.
_NOT_OURS: dict[Path, str] = {
    ("records", "audio"): "leave it out; the carrier, or OpenAI, may record",
    ("on_failure", "say"): "transfer: puts the caller through to somebody who speaks",
}
_DETECTION: Path = ("session", "audio", "input", "turn_detection")


def is_phone(transport: Any) -> bool:
    return kind_of(transport) in DEFAULT_PATHS


def kind_of(transport: Any) -> str:
    """The type of a transport, '' when what stands there is none."""
    kind = transport if isinstance(transport, str) else as_map(transport).get("type")
    return kind if isinstance(kind, str) else ""


def phone_problems(ground: Ground) -> Iterator[Problem]:
    """Every error of a phone and of `calls:`; warnings go to ``ground``."""
    yield from _rules(ground)
    kind = kind_of(ground.at(("transport",)))
    if kind not in DEFAULT_PATHS:
        _without_a_phone(ground)
        return
    yield from _address(ground, "listen")
    if kind == "sip":
        ground.key_in_file(("transport", "webhook_secret"))
        yield from _session(ground)
        yield from _silent(ground)
    else:
        ground.key_in_file(("transport", "auth_token"))
        for key in ("public_url", "api_url"):
            yield from _reached(ground, ("transport", key))
        yield from the_line_decides(ground, "Twilio decides the audio format")


def _reached(ground: Ground, path: Path) -> Iterator[Problem]:
    """An address on the internet, to which nothing goes in the clear."""
    yield from ground.url(path, ground.at(path))
    url = ground.at(path)
    if not isinstance(url, str) or not url.lower().startswith("http://"):
        return
    host = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    name = host.partition(":")[0] if not host.startswith("[") else host[1:].partition("]")[0]
    if not (name in ("localhost", "::1") or name.startswith("127.")):
        message = "over http: anybody on the way could listen"
        yield ground.say(path, message, "https://, which Twilio asks for", code="RT415")


def _session(ground: Ground) -> Iterator[Problem]:
    detection = as_map(ground.at(_DETECTION))
    for key in phone.REFUSED_DETECTION:
        if key in detection:
            message = f"a phone call takes no {key}"
            hint = "leave it out; OpenAI refuses the whole call for it"
            yield ground.say((*_DETECTION, key), message, hint, at_key=True, code="RT411")
    yield from the_line_decides(ground, "the phone decides the audio format")


def _silent(ground: Ground) -> Iterator[Problem]:
    """OpenAI has the caller's line: nobody else hears or speaks there."""
    for path, hint in _NOT_OURS.items():
        if ground.at(path) is not None:
            message = "no sound of a phone call at OpenAI passes through rtrun"
            yield ground.say(path, message, hint, at_key=True, code="RT416")


def the_line_decides(ground: Ground, message: str, hint: str = "leave it out") -> Iterator[Problem]:
    """No audio format stands in a file whose transport has its own."""
    for side in ("input", "output"):
        path: Path = ("session", "audio", side, "format")
        if ground.at(path) is not None:
            yield ground.say(path, message, hint, at_key=True, code="RT412")


def _address(ground: Ground, key: str) -> Iterator[Problem]:
    given = ground.at(("transport", key))
    port = given.rpartition(":")[2] if isinstance(given, str) else ""
    if port.isascii() and port.isdigit() and int(port) > 65535:
        yield ground.say(("transport", key), f"there is no port {port}", code="RT106")


def _rules(ground: Ground) -> Iterator[Problem]:
    agents = ground.map("agents")
    for i, given in enumerate(as_list(ground.at(("calls",)))):
        rule, path = as_map(given), ("calls", i)
        yield from ground.exactly_one(path, rule, ACTIONS, "a rule for calls")
        agent = rule.get("answer")
        if isinstance(agent, str) and agent and agent not in agents:
            yield ground.unknown((*path, "answer"), "agent", agent, agents)
        if isinstance(rule.get("hours"), str):
            try:
                phone.hours(rule["hours"])
            except ValueError as error:
                yield ground.say((*path, "hours"), shown(str(error), 200), code="RT212")
    yield from _unreachable(ground)


def _unreachable(ground: Ground) -> Iterator[Problem]:
    """A rule behind one that takes every call of its number."""
    whole: list[tuple[int, Mapping[str, Any]]] = []
    for i, given in enumerate(as_list(ground.at(("calls",)))):
        rule = as_map(given)
        numbers = {phone.plain(number) for number in _numbers(rule)}
        for before, other in whole:
            taken = {phone.plain(number) for number in _numbers(other)}
            if not taken or (numbers and numbers <= taken):
                line = ground.tree.place(("calls", before)).line
                where = f" in line {line}" if line else ""
                message = f"no call comes this far: the rule{where} takes them all"
                yield ground.say(("calls", i), message, "put this rule before it", code="RT413")
                break
        if not any(key in rule for key in ("from", "headers", "hours")):
            whole.append((i, rule))


def _numbers(rule: Mapping[str, Any]) -> tuple[str, ...]:
    given = rule.get("to")
    return texts_of(given)


def _without_a_phone(ground: Ground) -> None:
    message = "nothing rings without transport: sip or twilio"
    if as_list(ground.at(("calls",))):
        ground.warn(("calls",), message, at_key=True, code="RT910")
    if ground.at(("on_failure", "transfer")) is not None:
        ground.warn(("on_failure", "transfer"), message, at_key=True, code="RT910")


def where(deployment: Deployment) -> tuple[str, str]:
    """``(listen, path)`` at which its calls are announced."""
    options = deployment.transport.options
    path = options.get("path", DEFAULT_PATHS[deployment.transport.type])
    return options.get("listen", DEFAULT_LISTEN), path


def same_number(loaded: Loaded, others: Iterable[tuple[str, Deployment]]) -> Problem | None:
    """What is wrong when one of ``others``, ``(name, deployment)``, answers a number that this one
    answers too."""
    ours = loaded.deployment
    for name, theirs in others:
        if not (ours.transport.rings and theirs.transport.rings and where(ours) == where(theirs)):
            continue
        if ours.transport.type != theirs.transport.type:
            message = f"'{shown(name)}' is announced there by transport {theirs.transport.type}"
            return loaded.problem_at("transport", message, "give one of them another path:",
                                     at_key=True, code="RT413")  # fmt: skip
        found = phone.clash(ours.calls, theirs.calls)
        if found is not None:
            i, number = found
            what = "calls to any number" if number == "*" else f"calls to {shown(number)}"
            path: Path = ("transport",) if i < 0 else ("calls", i)
            message = f"'{shown(name)}' answers {what} too"
            hint = "to: in calls: tells them apart, or another path:"
            return loaded.problem_at(path, message, hint, at_key=True, code="RT413")
    return None
