"""Tools of every kind: what they become, and one clear message for what cannot be."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from support.deployments import FULL, loaded, only, problems, told, write

from runner.config.load import files_of, load
from runner.model.deployment import ToolSpec
from runner.model.secret import Secret

pytestmark = pytest.mark.quick

HEAD = "agents:\n  desk: { instructions: x }\n"
WIKI = "server_label: wiki, server_url: 'https://x'"


def tool(folder: Path, text: str, env: dict[str, str] | None = None) -> ToolSpec:
    return loaded(folder, f"{HEAD}tools:\n  t: {text}\n", env).deployment.tools["t"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("¦t: {}",
         "tools.t: a tool has one of python, http, command, mcp, hosted_mcp"),
        ("¦t: { timeout: 3s }",
         "tools.t: a tool has one of python, http, command, mcp, hosted_mcp; here stands "
         "timeout"),
        ("t: { ¦pyton: 'os:getcwd' }",
         "tools.t.pyton: unknown key 'pyton' (did you mean python?)"),
        ("t: { python: 'os:getcwd', ¦mcp: { url: 'https://x' } }",
         "tools.t.mcp: a tool has only one of python, http, command, mcp, hosted_mcp; python "
         "and mcp stand here (take out all but python)"),
        ("t:¦ ",
         "tools.t: is empty; a map belongs here"),
        ("t: { python: 'os:getcwd', approval: ¦customer }",
         "tools.t.approval: 'customer' is not one of none, caller, operator"),
        ("t: { python: 'os:getcwd', respond: ¦no }",
         "tools.t.respond: text where true or false belongs (write false)"),
        ("t: { python: 'os:getcwd', while_waiting: ¦'' }",
         "tools.t.while_waiting: is empty; text belongs here"),
        ("¦t: { http: { url: 'https://x' } }",
         "tools.t: 'description' is missing"),
        ("t: { description: d, http: ¦'https://x' }",
         "tools.t.http: text where a map belongs"),
        ("t: { description: d, http: { url: ¦'ftp://x' } }",
         "tools.t.http.url: 'ftp://x' is not a URL that begins with http:// or https://"),
        ("t: { description: d, http: { url: ¦'https://x:99999/' } }",
         "tools.t.http.url: this URL names no server (such as https://api.example.com/v1)"),
        ("t: { description: d, http: { url: ¦'https://[/' } }",
         "tools.t.http.url: this URL names no server (such as https://api.example.com/v1)"),
        ("t: { description: d, http: { url: ¦'https://{host}.example.com/' } }",
         "tools.t.http.url: an argument cannot choose the server ({argument} stands behind the "
         "first / or ?)"),
        ("t: { description: d, http: { url: 'https://x', method: ¦get } }",
         "tools.t.http.method: 'get' is not one of GET, POST, PUT, PATCH, DELETE (did you mean "
         "GET?)"),
        ("t: { description: d, http: { url: 'https://x', ¦body: hi } }",
         "tools.t.http.body: a GET has no body (add method: POST)"),
        ("t: { description: d, http: { url: 'https://x', headers: { ¦'a b': c } } }",
         "tools.t.http.headers.a b: the name 'a b' cannot be used (the name of a header is "
         "wanted)"),
        ('t: { description: d, http: { url: "https://x", headers: { a: ¦"b\\nc" } } }',
         "tools.t.http.headers.a: this value is not text on one line"),
        ("t: { description: d, http: { url: 'https://x', hosts: [¦'http://y'] } }",
         "tools.t.http.hosts[0]: 'http://y' is not a host name or an address, without https:// "
         "and path"),
        ("t: { description: d, http: { url: ¦'https://x/{dya}' }, parameters: { type: object, "
         "properties: { day: {} } } }",
         "tools.t.http.url: no parameter is called 'dya' (did you mean day?)"),
        ("t: { description: d, http: { url: 'https://x', query: { q: ¦['{a}'] } } }",
         "tools.t.http.query.q: a list where text or a number or true or false belongs"),
        ("¦t: { command: [ls] }",
         "tools.t: 'description' is missing"),
        ("t: { description: d, command: ¦python x.py }",
         "tools.t.command: text where a list or a map belongs (a list stands in brackets: "
         "[python, x.py])"),
        ("t: { description: d, command: ¦[] }",
         "tools.t.command: is empty; at least one belongs here"),
        ("t: { description: d, command: [¦''] }",
         "tools.t.command[0]: is empty; the name of a program belongs here"),
        ("t: { description: d, command: [head, -n, ¦5] }",
         'tools.t.command[2]: a number where text belongs (put it in quotes: "5")'),
        ("t: { description: d, command: { argv: [python, ¦tools/rata.py] } }",
         "tools.t.command.argv[1]: no file tools/rata.py (did you mean tools/rate.py?)"),
        ("t: { description: d, command: [¦./run] }",
         "tools.t.command[0]: no file ./run (the path begins in the folder of the deployment "
         "file)"),
        ("t: { description: d, command: [¦tools/rate.py] }",
         "tools.t.command[0]: tools/rate.py is not executable (chmod +x tools/rate.py)"),
        ("t: { description: d, command: { argv: [ls], cwd: ¦nowhere } }",
         "tools.t.command.cwd: no folder nowhere (the path begins in the folder of the "
         "deployment file)"),
        ("t: { description: d, command: { argv: [ls], memory_mb: ¦1 } }",
         "tools.t.command.memory_mb: 1 is below 16 (the minimum is 16)"),
        ("t: { description: d, command: { argv: [ls], env: { ¦A-B: c } } }",
         "tools.t.command.env.A-B: the name 'A-B' cannot be used (a name of letters, digits "
         "and _ is wanted)"),
        ("t: { ¦mcp: {} }",
         "tools.t.mcp: an MCP server has one of command, url"),
        ("t: { ¦mcp: { allow: [a] } }",
         "tools.t.mcp: an MCP server has one of command, url; here stands allow"),
        ("t: { mcp: { url: 'https://x', ¦command: [y] } }",
         "tools.t.mcp.command: an MCP server has only one of command, url; url and command "
         "stand here (take out all but url)"),
        ("t: { mcp: { command: [x], ¦headers: { a: b } } }",
         "tools.t.mcp.headers: 'headers' does not go with command (headers belong to a url)"),
        ("t: { mcp: { url: 'https://x', ¦env: { A: b } } }",
         "tools.t.mcp.env: 'env' does not go with url (env belongs to a command)"),
        ("t: { mcp: { url: 'https://x' }, ¦description: d }",
         "tools.t.description: 'description' does not go with mcp (its tools bring their own)"),
        ("t: { mcp: { command: [python, ¦tools/lost.py] } }",
         "tools.t.mcp.command[1]: no file tools/lost.py (did you mean tools/rate.py?)"),
        ("t: { ¦hosted_mcp: { server_label: x } }",
         "tools.t.hosted_mcp: a hosted MCP server has one of server_url, connector_id; here "
         "stands server_label"),
        ("t: { ¦hosted_mcp: { server_url: 'https://x' } }",
         "tools.t.hosted_mcp: 'server_label' is missing"),
        ("t: { hosted_mcp: { server_label: wiki, server_url: 'https://x' }, ¦approval: none }",
         "tools.t.approval: 'approval' does not go with hosted_mcp (write require_approval "
         "inside hosted_mcp)"),
        ("t: { hosted_mcp: { server_label: wiki, server_url: 'https://x' }, ¦while_waiting: y }",
         "tools.t.while_waiting: 'while_waiting' does not go with hosted_mcp (the Realtime "
         "service runs its tools)"),
        ("t: { hosted_mcp: { server_label: wiki, server_url: 'https://x' }, ¦description: y }",
         "tools.t.description: 'description' does not go with hosted_mcp (write "
         "server_description inside hosted_mcp)"),
        ("t: { hosted_mcp: { server_label: wiki, server_url: 'https://x', require_approval: "
         "¦maybe } }",
         "tools.t.hosted_mcp.require_approval: 'maybe' is not one of always, never"),
        ("t: { hosted_mcp: { server_label: wiki, server_url: 'https://x', require_approval: "
         "¦{} } }",
         "tools.t.hosted_mcp.require_approval: is empty; at least one belongs here"),
        ("t: { hosted_mcp: { server_label: wiki, server_url: 'https://x', require_approval: { "
         "never: ¦{} } } }",
         "tools.t.hosted_mcp.require_approval.never: is empty; at least one belongs here"),
        ("t: { hosted_mcp: { server_label: wiki, server_url: 'https://x', require_approval: { "
         "¦nevr: { read_only: true } } } }",
         "tools.t.hosted_mcp.require_approval.nevr: unknown key 'nevr' (did you mean never?)"),
        ("t: { hosted_mcp: { server_label: wiki, server_url: 'https://x', require_approval: { "
         "never: { tool_names: [a, ¦b] }, always: { tool_names: [b] } } } }",
         "tools.t.hosted_mcp.require_approval.never.tool_names[1]: 'b' stands under always too "
         "(a tool is in one of the two)"),
    ],
)  # fmt: skip
def test_one_clear_message(tmp_path: Path, text: str, message: str) -> None:
    """The sign ¦ stands where the message has to point."""
    write(tmp_path, "", "tools/rate.py")
    told(tmp_path, f"{HEAD}tools:\n  {text}\n", message)


def test_the_name_of_a_built_in_tool_is_taken(tmp_path: Path) -> None:
    text = HEAD + "tools:\n  end_call: { python: 'os:getcwd' }\n"
    problem = only(problems(tmp_path, text))
    assert (problem.line, problem.column, problem.path) == (4, 3, "tools.end_call")
    assert "is taken" in problem.message
    used = "agents:\n  desk: { instructions: x, tools: [end_call] }\n"
    assert loaded(tmp_path, used).deployment.agents["desk"].tools == ("end_call",)


def test_http(tmp_path: Path) -> None:
    text = (
        "{ description: d, http: { url: 'https://x/{day}?k=${K}', method: POST, "
        "query: { n: 5, half: 0.5, all: true, from: '{first}' }, "
        "headers: { Authorization: 'Bearer ${K}', X-D: '{day}' }, "
        "body: { a: ['{who}', 1], k: '${K}' }, hosts: [intranet] } }"
    )
    spec = tool(tmp_path, text, {"K": "s3cret"})
    http = spec.http
    assert http is not None
    assert (http.url, http.method) == ("https://x/{day}?k=s3cret", "POST")
    assert http.query == {"n": "5", "half": "0.5", "all": "true", "from": "{first}"}
    assert http.headers == {"Authorization": Secret("Bearer s3cret"), "X-D": Secret("{day}")}
    assert (http.body, http.hosts) == ({"a": ["{who}", 1], "k": "s3cret"}, ("intranet",))
    # Nobody wrote parameters: each argument is a text that has to be there.
    assert spec.parameters == {
        "type": "object",
        "properties": {name: {"type": "string"} for name in ("day", "first", "who")},
        "required": ["day", "first", "who"],
        "additionalProperties": False,
    }


def test_written_parameters_stand(tmp_path: Path) -> None:
    text = (
        "{ description: d, http: { url: 'https://x/{day}' }, "
        "parameters: { type: object, properties: { day: { type: string, format: date } } } }"
    )
    assert tool(tmp_path, text).parameters == {
        "type": "object",
        "properties": {"day": {"type": "string", "format": "date"}},
    }


def test_braces_in_a_text_are_no_arguments(tmp_path: Path) -> None:
    text = "{ description: d, http: { url: 'https://x', method: PUT, body: '{\"a\": {} {b c}' } }"
    spec = tool(tmp_path, text)
    assert spec.http is not None
    assert spec.http.arguments() == ()


def test_commands(tmp_path: Path) -> None:
    write(tmp_path, "", "tools/rate.py")
    short = tool(tmp_path, "{ description: d, command: [python3, tools/rate.py, --all] }")
    assert short.command is not None
    assert short.command.argv == ("python3", "tools/rate.py", "--all")
    assert (short.command.cwd, short.command.memory_mb) == (tmp_path, 512)
    assert short.parameters == {
        "type": "object", "properties": {}, "required": [], "additionalProperties": False,
    }  # fmt: skip
    text = (
        "{ description: d, command: { argv: [python3, tools/rate.py, '${K}'], cwd: tools, "
        "memory_mb: 64, env: { TOKEN: '${K}', PLAIN: x } } }"
    )
    long = tool(tmp_path, text, {"K": "s3cret"}).command
    assert long is not None
    # It runs in another folder; its script is still the one beside the deployment.
    assert long.argv == ("python3", str(tmp_path / "tools/rate.py"), "s3cret")
    assert (long.cwd, long.memory_mb) == (tmp_path / "tools", 64)
    assert long.env == {"TOKEN": Secret("s3cret"), "PLAIN": Secret("x")}


def test_an_executable_beside_the_file(tmp_path: Path) -> None:
    program = write(tmp_path, "#!/bin/sh\n", "run")
    program.chmod(0o755)
    spec = tool(tmp_path, "{ description: d, command: [./run] }").command
    assert spec is not None
    assert spec.argv == ("./run",)


def test_mcp_servers(tmp_path: Path) -> None:
    write(tmp_path, "", "billing.py")
    text = "{ mcp: { command: [python3, billing.py], env: { A: b }, allow: [find] }, timeout: 5s }"
    spec = tool(tmp_path, text)
    assert spec.mcp is not None
    assert (spec.mcp.command, spec.mcp.allow) == (("python3", "billing.py"), ("find",))
    assert (spec.mcp.env, spec.mcp.url, spec.timeout) == ({"A": Secret("b")}, None, 5.0)
    assert spec.parameters is None
    web = tool(tmp_path, "{ mcp: { url: 'https://x/${K}', headers: { A: b } } }", {"K": "k"}).mcp
    assert web is not None
    assert (web.url, web.headers, web.command) == ("https://x/k", {"A": Secret("b")}, ())


def test_hosted_mcp_is_the_wires_own_object(tmp_path: Path) -> None:
    text = (
        f"{{ hosted_mcp: {{ {WIKI}, server_description: d, authorization: '${{K}}', "
        "headers: { X: y }, allowed_tools: [a], require_approval: { always: { read_only: false }, "
        "never: { tool_names: [b] } } } }"
    )
    spec = tool(tmp_path, text, {"K": "s3cret"})
    assert "s3cret" not in repr(spec)
    assert spec.hosted_wire() == {
        "type": "mcp",
        "server_label": "wiki",
        "server_url": "https://x",
        "server_description": "d",
        "authorization": "s3cret",
        "headers": {"X": "y"},
        "allowed_tools": ["a"],
        "require_approval": {"always": {"read_only": False}, "never": {"tool_names": ["b"]}},
    }
    assert "authorization" not in tool(tmp_path, text.replace("${K}", "${K:-}")).hosted_wire()
    assert "require_approval" not in tool(tmp_path, f"{{ hosted_mcp: {{ {WIKI} }} }}").hosted_wire()


def test_two_hosted_servers_of_one_label_and_one_agent(tmp_path: Path) -> None:
    tools = f"tools:\n  a: {{ hosted_mcp: {{ {WIKI} }} }}\n  b: {{ hosted_mcp: {{ {WIKI} }} }}\n"
    one = "agents:\n  desk: { instructions: x, tools: [a, b] }\n"
    problem = only(problems(tmp_path, one + tools))
    assert (problem.line, problem.column) == (2, 39)
    assert problem.message == "its server_label is 'wiki', as is that of the entry in line 2"
    two = (
        "agents:\n  desk: { instructions: x, tools: [a], handoffs: [{ to: other }] }\n"
        "  other: { instructions: x, tools: [b] }\n"
    )
    assert problems(tmp_path, two + tools) == ()


def test_the_names_of_a_server_s_tools_are_not_known(tmp_path: Path) -> None:
    tools = "tools: { transfer_to_b: { mcp: { url: 'https://x' } } }\n"
    agents = (
        "agents:\n  a: { instructions: x, tools: [transfer_to_b], handoffs: [{ to: b }] }\n"
        "  b: { instructions: x }\n"
    )
    assert problems(tmp_path, agents + tools) == ()
    choice = "session: { tool_choice: { type: function, name: find_invoice } }\n"
    assert problems(tmp_path, agents + tools + choice) == ()
    problem = only(
        problems(tmp_path, agents + tools + choice.replace("find_invoice", "transfer_to_b"))
    )
    assert problem.message == "'transfer_to_b' is a server with tools, and no tool itself"


def test_tool_choice_of_a_hosted_server(tmp_path: Path) -> None:
    text = (
        "session: { tool_choice: { type: mcp, server_label: wiky } }\n"
        "agents: { a: { instructions: x, tools: [w] } }\n"
        f"tools: {{ w: {{ hosted_mcp: {{ {WIKI} }} }} }}\n"
    )
    problem = only(problems(tmp_path, text))
    assert problem.hint == "did you mean wiki?"
    good = loaded(tmp_path, text.replace("wiky", "wiki")).deployment
    assert good.session.get("tool_choice") == {"type": "mcp", "server_label": "wiki"}


def test_scripts_and_modules_are_watched(tmp_path: Path) -> None:
    for name in ("a.py", "b.py", "data.json", "d/c.js", "rules.py"):
        write(tmp_path, "", name)
    text = HEAD + (
        "tools:\n"
        "  one: { description: d, command: [python3, a.py, data.json, --x, 'https://h/z.py'] }\n"
        "  two: { mcp: { command: [node, d/c.js, /etc/hostname] } }\n"
        "  three: { python: 'b.py:f' }\n"
        "guardrails: [{ name: g, python: 'rules.py:f' }]\n"
    )
    names = ["d.yaml", "a.py", "data.json", "d/c.js", "b.py", "rules.py"]
    out = loaded(tmp_path, text).deployment
    assert out.files == tuple(tmp_path / name for name in names)
    assert all(out.digests.values())
    # Also while it is invalid, and a script that is not there yet.
    os.unlink(tmp_path / "a.py")
    file = write(tmp_path, text + "modle: x\n")
    assert set(files_of(file, env={})) == {tmp_path / name for name in names}


def test_keys_in_the_file_are_warned_of(tmp_path: Path) -> None:
    text = (
        "engine: { url: 'wss://x', headers: { Authorization: literal } }\n"
        "agents: { a: { instructions: x, tools: [h, m, w, c] } }\n"
        "tools:\n"
        "  h: { description: d, http: { url: 'https://x/{a}', headers: { "
        "X-Api-Key: abc, Accept: text/plain, Authorization: '${K}', Cookie: '{a}' } } }\n"
        f"  w: {{ hosted_mcp: {{ {WIKI}, authorization: abc }} }}\n"
        "  m: { mcp: { url: 'https://x', headers: { Authorization: Bearer abc } } }\n"
        "  c: { description: d, command: { argv: [ls], env: { MY_TOKEN: abc, LANG: de } } }\n"
        "guardrails: [{ name: g, moderation: { url: 'https://x', api_key: abc } }]\n"
    )
    found = loaded(tmp_path, text, {"K": "v"}).warnings
    assert [p.path for p in found] == [
        "engine.headers.Authorization",
        "tools.h.http.headers.X-Api-Key",
        "tools.w.hosted_mcp.authorization",
        "tools.m.mcp.headers.Authorization",
        "tools.c.command.env.MY_TOKEN",
        "guardrails[0].moderation.api_key",
    ]
    assert {p.message for p in found} == {"a key stands in the file"}


def test_an_argument_on_a_command_line_is_warned_of(tmp_path: Path) -> None:
    agents = "agents: { a: { instructions: x, tools: [t] } }\n"
    out = loaded(tmp_path, agents + "tools: { t: { description: d, command: [cal, '{day}'] } }\n")
    assert only(out.warnings).message == "{day} is not filled in here"


def test_secrets_are_never_shown(tmp_path: Path) -> None:
    env: dict[str, Any] = {"K": "s3cret value\nwith {dya}"}
    text = (
        f"{HEAD}tools:\n  t: {{ description: d, http: {{ url: 'x${{K}}', method: POST, "
        "headers: { A: '${K}' }, body: '${K}' }, parameters: { type: object } }\n"
    )
    found = problems(tmp_path, text, env)
    assert {p.path for p in found} == {"tools.t.http.url", "tools.t.http.headers.A"}
    assert "s3cret" not in "".join(p.render() for p in found)
    assert "dya" not in "".join(p.render() for p in found)


def test_the_full_one(tmp_path: Path) -> None:
    out = load(FULL, env={})
    assert out.warnings == ()
    d = out.deployment
    assert [s.approval for s in d.tools.values()][:3] == ["caller", "none", "operator"]
    assert d.tools["find_slots"].while_waiting == "One moment."
    assert d.tools["find_slots"].respond is False
    assert d.agents["desk"].interruptible_greeting is False
    assert d.agents["desk"].greeting == "Northwind Dental, this call is recorded."
    assert d.agents["billing"].interruptible_greeting is True
    session = d.session.wire
    assert session["truncation"] == {"type": "retention_ratio", "retention_ratio": 0.8}
    assert session["tracing"] == {"workflow_name": "calls", "group_id": "desk"}
    assert session["reasoning"] == {"effort": "low"}
    assert (session["parallel_tool_calls"], session["max_output_tokens"]) == (True, 1024)
    assert session["prompt"]["variables"] == {"shop": "Northwind"}
