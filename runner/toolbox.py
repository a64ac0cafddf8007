"""The toolbox: a deployment's tools, guardrails and own transport, imported and ready for calls."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from runner.config.behind import argv_files, in_code
from runner.config.load import Loaded
from runner.errors import ConfigError, Problem, RtrunError, ToolError, UserError
from runner.guardrails import Guardrail, guardrail_of
from runner.model.deployment import Deployment, ToolSpec, TransportSpec
from runner.model.secret import Secret, revealed
from runner.tools.base import FunctionTool, Governed, Tool, ToolPolicy, ToolServer
from runner.tools.builtin import BUILT_IN, hosted_tool
from runner.transports.base import RealtimeTransportLayer
from runner.transports.registry import create

#: What a server was started from: its spec and the content of its scripts.
Origin = tuple[ToolSpec, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Toolbox:
    """``tools`` by name, those that are built in included; ``servers`` bring several each.
    ``transport`` makes the line of one call when the deployment has a custom one."""

    tools: Mapping[str, Tool] = field(default_factory=lambda: dict(BUILT_IN))
    servers: Mapping[str, ToolServer] = field(default_factory=dict)
    origins: Mapping[str, Origin] = field(default_factory=dict)
    guardrails: tuple[Guardrail, ...] = ()
    transport: Callable[[], RealtimeTransportLayer] | None = None

    def without(self, other: Toolbox) -> Iterator[ToolServer]:
        """The servers that ``other`` does not use."""
        kept = {id(server) for server in other.servers.values()}
        yield from (server for server in self.servers.values() if id(server) not in kept)


def load_tools(loaded: Loaded, kept: Toolbox | None = None) -> Toolbox:
    """Everything of a deployment, imported. A server of ``kept`` that is declared as before, its
    scripts unchanged, stays. ConfigError places each that cannot be had."""
    deployment = loaded.deployment
    tools: dict[str, Tool] = dict(BUILT_IN)
    servers: dict[str, ToolServer] = {}
    origins: dict[str, Origin] = {}
    checks: list[Guardrail] = []
    problems: list[Problem] = []
    for name, spec in deployment.tools.items():
        try:
            if spec.mcp is None:
                tools[name] = _tool(spec)
                continue
            origins[name] = origin = _origin(deployment, spec)
            if kept is not None and kept.origins.get(name) == origin:
                servers[name] = kept.servers[name]
            else:
                servers[name] = _server(spec)
        except ToolError as error:
            place = _place(spec)
            problem = loaded.problem_at(place, error.message, error.hint, code="RT301")
            problems.append(in_code(problem, error))
    for index, check in enumerate(deployment.guardrails):
        try:
            checks.append(guardrail_of(check))
        except ToolError as error:
            place = f"guardrails[{index}]" + (".python" if check.python else "")
            problem = loaded.problem_at(place, error.message, error.hint, code="RT308")
            problems.append(in_code(problem, error))
    transport: Callable[[], RealtimeTransportLayer] | None = None
    if deployment.transport.type == "custom":
        try:
            kind = _transport_class(deployment.transport)
            problems += _other_format(loaded, kind)
            transport = _transport(deployment.transport, kind)
        except RtrunError as error:
            place = f"transport.{'python' if deployment.transport.python else 'name'}"
            problem = loaded.problem_at(place, error.message, error.hint, code="RT308")
            problems.append(in_code(problem, error) if isinstance(error, ToolError) else problem)
        except _Unfit as unfit:
            problems.append(loaded.problem_at("transport.options", str(unfit), code="RT308"))
    elif deployment.transport.type == "webrtc" and deployment.transport.options:
        options = {key: revealed(value) for key, value in deployment.transport.options.items()}
        transport = partial(create, "webrtc", **options)
    if problems:
        raise ConfigError(problems)
    return Toolbox(tools, servers, origins, tuple(checks), transport)


def again(old: Toolbox, kept: Toolbox) -> Toolbox:
    """``old`` for new calls: its servers were ended, or are those of ``kept``."""
    servers = {
        name: kept.servers[name] if kept.origins.get(name) == origin else _server(origin[0])
        for name, origin in old.origins.items()
    }
    return replace(old, servers=servers)


def _tool(spec: ToolSpec) -> Tool:
    """The one function behind a spec. Each kind is imported when a deployment has it."""
    if spec.hosted_mcp is not None:
        return hosted_tool(spec)
    policy = ToolPolicy(spec.approval, spec.while_waiting, spec.respond)
    if spec.http is not None:
        from runner.tools.http import http_tool

        return Governed(http_tool(spec), policy)
    if spec.command is not None:
        from runner.tools.command import command_tool

        return Governed(command_tool(spec), policy)
    from runner.tools.python import load

    made: FunctionTool = load(spec)
    return replace(made, policy=policy)


def _server(spec: ToolSpec) -> ToolServer:
    from runner.tools.mcp import McpServer

    return McpServer(spec)


def _origin(deployment: Deployment, spec: ToolSpec) -> Origin:
    command = spec.mcp.command if spec.mcp is not None else ()
    files = argv_files(spec.base, command)
    return spec, tuple(deployment.digests.get(str(file), "") for file in files)


def _place(spec: ToolSpec) -> str:
    kinds = ("http", "command", "mcp", "hosted_mcp")
    kind = next((kind for kind in kinds if getattr(spec, kind) is not None), "python")
    return f"tools.{spec.name}.{kind}"


class _Unfit(Exception):
    """Options that a class does not take."""


def _transport(
    spec: TransportSpec, kind: type[RealtimeTransportLayer]
) -> Callable[[], RealtimeTransportLayer]:
    """What makes the custom transport of one call. _Unfit when ``kind`` does not take the
    options."""
    label = (spec.python or spec.name).rpartition(":")[2]
    options = {key: revealed(value) for key, value in spec.options.items()}
    try:
        inspect.signature(kind).bind(**options)
    except TypeError as error:
        raise _Unfit(f"{label} cannot be made with these options: {error}") from None
    except ValueError:
        pass  # a class without a signature to read says so when it is made

    def make() -> RealtimeTransportLayer:
        try:
            return kind(**options)
        except RtrunError:
            raise
        except Exception as error:
            words = _without(f"{type(error).__name__}: {error}", spec.options)
            # Its own words may hold a key of the options, and so may the frames below.
            raise UserError(f"the transport {label} cannot be made: {words}") from None

    return make


def _other_format(loaded: Loaded, kind: type[RealtimeTransportLayer]) -> Iterator[Problem]:
    """A line that decides its audio, and a session with other audio."""
    carried = kind.audio_format or {}
    for side in ("input", "output"):
        asked = loaded.deployment.session.wire["audio"][side]["format"]
        if any(asked.get(key) != value for key, value in carried.items()):
            message = f"{kind.__name__} carries {carried['type']}, and the session {asked['type']}"
            hint = f"write format: {{ type: {carried['type']} }}"
            path = f"session.audio.{side}.format"
            yield loaded.problem_at(path, message, hint, code="RT405")


def _transport_class(spec: TransportSpec) -> type[RealtimeTransportLayer]:
    """RtrunError when the class cannot be had, or is no transport."""
    # Imported here: a deployment whose tools are declared imports nobody's code.
    if spec.name:
        from runner.transports.registry import find

        kind: object = find(spec.name)
    else:
        from runner.tools.python import module_of

        target, _, name = spec.python.rpartition(":")
        module = module_of(target, spec.base)
        kind = getattr(module, name, None)
        if not (isinstance(kind, type) and issubclass(kind, RealtimeTransportLayer)):
            own = [
                found
                for found, value in vars(module).items()
                if isinstance(value, type)
                and issubclass(value, RealtimeTransportLayer)
                and value.__module__ == module.__name__
            ]
            message = (
                f"{target} has no class '{name}'"
                if kind is None
                else f"'{name}' of {target} is no RealtimeTransportLayer"
            )
            hint = f"it has {', '.join(own)}" if own else "derive it from RealtimeTransportLayer"
            raise ToolError(message, hint)
    missing = sorted(getattr(kind, "__abstractmethods__", ()))
    if missing:
        name = getattr(kind, "__name__", "")
        raise ToolError(f"the transport {name} lacks {', '.join(missing)}", "write these methods")
    return kind  # type: ignore[return-value]  # both ways have looked


def _without(text: str, options: Mapping[str, object]) -> str:
    """``text`` without the secrets in ``options``."""
    for value in options.values():
        if isinstance(value, Secret) and value:
            text = text.replace(value.reveal(), str(value))
        elif isinstance(value, Mapping):
            text = _without(text, value)
        elif isinstance(value, (list, tuple)):
            text = _without(text, dict(enumerate(value)))  # type: ignore[arg-type]
    return text
