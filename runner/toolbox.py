"""The toolbox: what a deployment's tools and guardrails are, imported and ready for its calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from runner.config.behind import argv_files
from runner.config.load import Loaded
from runner.errors import ConfigError, Problem, ToolError
from runner.guardrails import Guardrail, guardrail_of
from runner.model.deployment import Deployment, ToolSpec
from runner.tools.base import FunctionTool, Governed, Tool, ToolPolicy, ToolServer
from runner.tools.builtin import BUILT_IN, HostedMcpTool

#: What a server was started from: its spec and the content of its scripts.
Origin = tuple[ToolSpec, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Toolbox:
    """``tools`` by name, those that are built in included; ``servers`` bring several each."""

    tools: Mapping[str, Tool] = field(default_factory=lambda: dict(BUILT_IN))
    servers: Mapping[str, ToolServer] = field(default_factory=dict)
    origins: Mapping[str, Origin] = field(default_factory=dict)
    guardrails: tuple[Guardrail, ...] = ()

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
            problems.append(loaded.problem_at(_place(spec), error.message, error.hint))
    for index, check in enumerate(deployment.guardrails):
        try:
            checks.append(guardrail_of(check))
        except ToolError as error:
            place = f"guardrails[{index}]" + (".python" if check.python else "")
            problems.append(loaded.problem_at(place, error.message, error.hint))
    if problems:
        raise ConfigError(problems)
    return Toolbox(tools, servers, origins, tuple(checks))


def _tool(spec: ToolSpec) -> Tool:
    """The one function behind a spec. Each kind is imported when a deployment has it."""
    if spec.hosted_mcp is not None:
        fields = {key: value for key, value in spec.hosted_wire().items() if key != "type"}
        return HostedMcpTool(spec.name, fields)
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
