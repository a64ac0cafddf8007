"""What a process counts for Prometheus: configuration, calls, tokens, times, tools, faults."""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping

from runner import __version__
from runner.core.events import (
    Connection,
    GuardrailTripped,
    Handoff,
    Interrupted,
    Reconnected,
    SessionError,
    SessionEvent,
    SettingsRefused,
    ToolEnd,
    ToolStart,
    TurnEnd,
    Usage,
)
from runner.desk import Call
from runner.reload.apply import Applied
from runner.serve.deployed import Deployed, Later, Told
from runner.serve.exposition import Counter, Histogram, Labels, Now, render
from runner.serve.house import House

_RELOAD_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SOUND_SECONDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.5, 2, 3, 5, 10)
_TOOL_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_CALL_SECONDS = (10, 30, 60, 120, 300, 600, 1200, 1800, 3600)
_RECONNECT_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30)

_COUNTED = frozenset(
    {
        Connection,
        TurnEnd,
        Usage,
        ToolStart,
        ToolEnd,
        Interrupted,
        Handoff,
        GuardrailTripped,
        Reconnected,
        SettingsRefused,
        SessionError,
    }
)
#: Tokens by the names of events.Usage: what they are of, and which way they went. Cached ones are
#: among the input.
_TOKENS = {
    f"{way}_{kind}": (way, kind)
    for way in ("input", "cached", "output")
    for kind in ("text", "audio", "image")
}
#: Ends of a call that have one name; what a server or a program says in words of its own is
#: ``other``, or, when nobody meant it, ``lost``.
_REASONS: Mapping[str, str] = {
    "input ended": "caller",
    "the caller was silent": "silence",
    "duration limit": "limit",
    "drained": "drained",
    "stopped": "stopped",
    "terminal closed": "stopped",
    "hung up": "hung up",
    "the agent ended the call": "agent",
    "not connected": "not connected",
}


class Metrics:
    """Listens to ``house`` from now on; ``text()`` is the page."""

    def __init__(self, house: House, clock: Callable[[], float] = time.monotonic) -> None:
        self._house = house
        self._clock = clock
        d = ("deployment",)
        self._reload = Histogram(
            "rtrun_reload_seconds",
            "From the save of a file to the last answer of a call that took it.",
            _RELOAD_SECONDS,
            d,
        )
        self._refused = Counter(
            "rtrun_session_update_rejected_total",
            "Edits that the service refused for a call, by its code.",
            (*d, "code"),
        )
        self._began = Counter("rtrun_sessions_started_total", "Calls that began.", d)
        self._ended = Counter("rtrun_sessions_ended_total", "Calls that ended.", (*d, "reason"))
        self._lasted = Histogram(
            "rtrun_session_duration_seconds", "How long calls lasted.", _CALL_SECONDS, d
        )
        self._tokens = Counter(
            "rtrun_tokens_total",
            "Tokens that the service counted; cached ones are among the input.",
            (*d, "direction", "modality"),
        )
        self._first = Histogram(
            "rtrun_first_audio_seconds",
            "From the end of the caller's turn to the first sound of the answer.",
            _SOUND_SECONDS,
            d,
        )
        self._interrupted = Counter("rtrun_interruptions_total", "Answers that the caller cut.", d)
        self._tool_calls = Counter("rtrun_tool_calls_total", "Tools that ran.", (*d, "tool"))
        self._tool_times = Histogram(
            "rtrun_tool_duration_seconds", "How long tools ran.", _TOOL_SECONDS, (*d, "tool")
        )
        self._tool_errors = Counter(
            "rtrun_tool_errors_total",
            "Tools that failed; their call got an answer in words.",
            (*d, "tool"),
        )
        self._handoffs = Counter("rtrun_handoffs_total", "Handoffs, by the new agent.", (*d, "to"))
        self._tripped = Counter(
            "rtrun_guardrails_tripped_total", "Guardrails that tripped.", (*d, "guardrail")
        )
        self._reconnected = Histogram(
            "rtrun_reconnect_seconds",
            "From the loss of a line to the call working again.",
            _RECONNECT_SECONDS,
            d,
        )
        self._errors = Counter(
            "rtrun_errors_total", "Errors of calls that went on, or did not, by code.", (*d, "code")
        )
        self._live: dict[str, float] = {}
        #: Name and begin of tools that run, by call and id.
        self._running: dict[tuple[str, str], tuple[str, float]] = {}
        self._spent: dict[str, Mapping[str, int]] = {}
        self._away = (house.listen(self._heard), house.follow_saves(self._told))

    def close(self) -> None:
        for away in self._away:
            away()

    def text(self) -> str:
        for metric in self._counted():
            if isinstance(metric, Counter) and metric.labels == ("deployment",):
                for name in self._house.deployments:
                    metric.add(name, by=0)  # a rate needs the nought before the first one
        return render((*self._configuration(), *self._counted()))

    def _counted(self) -> Iterator[Counter | Histogram]:
        for metric in vars(self).values():
            if isinstance(metric, Counter | Histogram):
                yield metric

    # -- read when asked -------------------------------------------------------------------------
    def _configuration(self) -> Iterator[Now]:
        known = self._house.deployments
        d = ("deployment",)
        yield Now("rtrun_build_info", "Always 1; the version.", ("version",), [((__version__,), 1)])
        yield Now(
            "rtrun_draining",
            "1 while no new calls are taken.",
            (),
            [((), float(self._house.draining))],
        )
        yield Now(
            "rtrun_config_last_reload_successful",
            "1 when the newest file is in force, 0 when it was refused.",
            d,
            [
                ((name,), float(e.rejected is None and e.desk is not None))
                for name, e in known.items()
            ],
        )
        yield Now(
            "rtrun_config_last_reload_success_timestamp_seconds",
            "When the newest file that was accepted was accepted, in UNIX time.",
            d,
            [((name,), entry.accepted_at) for name, entry in known.items()],
        )
        yield Now(
            "rtrun_config_reloads_total",
            "Saves of the file that were applied, rejected, or changed nothing.",
            (*d, "result"),
            [
                ((name, result), entry.counts[result])
                for name, entry in known.items()
                for result in ("applied", "rejected", "unchanged")
            ],
            kind="counter",
        )
        yield Now(
            "rtrun_sessions",
            "Calls on the line, by the revision of the file that they have.",
            (*d, "revision"),
            list(_sessions(known)),
        )

    # -- heard -----------------------------------------------------------------------------------
    def _told(self, of: Deployed, what: Told) -> None:
        if isinstance(what, Applied | Later):
            self._reload.observe(what.ms / 1000, of.name)

    def _heard(self, of: Deployed, call: Call, event: SessionEvent) -> None:
        if type(event) not in _COUNTED:
            return  # most are audio, and soon done with
        name = of.name
        match event:
            case Connection(status="connecting") if call.id not in self._live:
                self._live[call.id] = self._clock()
                self._began.add(name)
            case Connection(status="disconnected"):
                self._end(name, call, event)
            case TurnEnd() if event.first_audio_ms is not None:
                self._first.observe(event.first_audio_ms / 1000, name)
            case Usage():
                self._use(name, call.id, event.total)
            case ToolStart():
                self._running[call.id, event.call_id] = (event.name, self._clock())
            case ToolEnd():
                self._tool_calls.add(name, event.name)
                began = self._running.pop((call.id, event.call_id), None)
                if began is not None:
                    self._tool_times.observe(self._clock() - began[1], name, event.name)
            case Interrupted():
                self._interrupted.add(name)
            case Handoff():
                self._handoffs.add(name, event.to_agent)
            case GuardrailTripped():
                self._tripped.add(name, event.name)
            case Reconnected():
                self._reconnected.observe(event.ms / 1000, name)
            case SettingsRefused() if event.code != "disconnected":
                self._refused.add(name, event.code)
            case SessionError():
                self._errors.add(name, event.code)
                if event.code == "tool_failed":
                    self._tool_errors.add(name, self._failed(call.id, event.message))

    def _end(self, name: str, call: Call, event: Connection) -> None:
        began = self._live.pop(call.id, None)
        self._spent.pop(call.id, None)
        self._running = {key: at for key, at in self._running.items() if key[0] != call.id}
        words = call.reason or event.reason
        reason = "lost" if event.lost else _REASONS.get(words, "other")
        self._ended.add(name, reason)
        if began is not None:
            self._lasted.observe(self._clock() - began, name)

    def _failed(self, call_id: str, message: str) -> str:
        """The tool that an error is of: it comes before the tool's end and begins with its name."""
        running = {tool for (call, _), (tool, _) in self._running.items() if call == call_id}
        tool = message.partition(":")[0]
        return tool if tool in running else "other"

    def _use(self, name: str, call_id: str, total: Mapping[str, int]) -> None:
        before = self._spent.get(call_id, {})
        self._spent[call_id] = dict(total)
        for key, (direction, modality) in _TOKENS.items():
            more = total.get(key, 0) - before.get(key, 0)
            if more > 0:
                self._tokens.add(name, direction, modality, by=more)


def _well(entry: Deployed) -> bool:
    return entry.desk is not None and entry.rejected is None


def _sessions(known: Mapping[str, Deployed]) -> Iterator[tuple[Labels, float]]:
    for name, entry in known.items():
        if entry.desk is not None:
            # The revision in force is there with no call, too.
            by_revision = Tally({entry.desk.revision: 0})
            by_revision.update(call.revision for call in entry.desk.calls.values())
            for revision, calls in sorted(by_revision.items()):
                yield (name, str(revision)), calls
