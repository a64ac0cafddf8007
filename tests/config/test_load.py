"""A file on disk -> a Deployment."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from support.deployments import EXAMPLES, SMALL, loaded, only, problems, write

from runner.config.load import files_of, load
from runner.errors import InputError, UsageError
from runner.model.deployment import EngineSpec, HandoffSpec
from runner.model.settings import DEFAULT_MODEL, DEFAULT_SETTINGS

pytestmark = pytest.mark.quick


def test_three_lines_are_enough(tmp_path: Path) -> None:
    file = write(tmp_path, SMALL, "my-desk.yaml")
    deployment = load(file, env={"TZ": "Europe/Paris"}).deployment
    assert deployment.name == "my-desk"
    assert deployment.entry == "desk"
    assert deployment.model == DEFAULT_MODEL
    assert deployment.engine == EngineSpec()
    assert deployment.transport.type == "webrtc"
    assert deployment.session.wire == DEFAULT_SETTINGS
    assert deployment.timezone == "Europe/Paris"
    assert deployment.limits.duration is None
    assert deployment.reload.apply == "between_turns"
    assert deployment.files == (file,)
    assert deployment.digests == {str(file): hashlib.sha256(SMALL.encode()).hexdigest()}


def test_everything(tmp_path: Path) -> None:
    write(tmp_path, "Be kind to ${vars.who}.\n", "prompts/p.md")
    write(tmp_path, "def f(): ...\n", "tools/t.py")
    file = write(
        tmp_path,
        """\
apiVersion: rtrun/v1
name: all
engine: { type: local, brain: { type: chat, url: "http://127.0.0.1:11434/v1", model: qwen } }
model: gpt-realtime-2
transport: { type: websocket }
timezone: none
vars: { who: callers }
session:
  output_modalities: [audio]
  tool_choice: { type: function, name: f }
  max_output_tokens: inf
  truncation:
    { type: retention_ratio, retention_ratio: 0.8, token_limits: { post_instructions: 9 } }
  parallel_tool_calls: true
  reasoning: { effort: low }
  tracing: auto
  prompt: { id: pmpt_1, variables: { a: b } }
  include: [item.input_audio_transcription.logprobs]
  audio:
    input:
      format: g711_ulaw
      noise_reduction: { type: near_field }
      transcription: { language: en }
      turn_detection:
        { type: server_vad, threshold: 0.6, silence_duration_ms: 300, idle_timeout_ms: null }
    output: { format: { type: audio/pcm }, voice: { id: v }, speed: 1.1 }
entry: b
agents:
  a: { instructions: { file: prompts/p.md }, greeting: Hello, voice: cedar, tools: [f] }
  b: { instructions: B, handoffs: [{ to: a, when: Always. }] }
tools:
  f: { python: "tools/t.py:f", description: F, parameters: { type: object }, timeout: 1m30s }
  g: { python: "package.module:g" }
limits: { duration: 30m }
reload: { apply: immediately }
""",
    )
    d = load(file, env={}).deployment
    assert (d.name, d.model, d.timezone, d.entry) == ("all", "gpt-realtime-2", None, "b")
    assert d.engine.brain == {"type": "chat", "url": "http://127.0.0.1:11434/v1", "model": "qwen"}
    assert d.agents["a"].instructions == "Be kind to callers.\n"
    assert (d.agents["a"].greeting, d.agents["a"].voice) == ("Hello", "cedar")
    assert d.agents["b"].handoffs == (HandoffSpec("a", "Always."),)
    assert list(d.agents) == ["a", "b"]
    assert (d.tools["f"].timeout, d.tools["g"].timeout) == (90.0, 10.0)
    assert d.tools["f"].base == tmp_path
    assert d.tools["g"].module_file() is None
    assert d.limits.duration == 1800
    assert d.reload.apply == "immediately"
    assert d.files == (file, tmp_path / "prompts/p.md", tmp_path / "tools/t.py")
    assert set(d.digests) == {str(f) for f in d.files}
    wire = d.session.wire
    assert wire["audio"]["input"] == {
        "format": {"type": "audio/pcmu"},
        "noise_reduction": {"type": "near_field"},
        "transcription": {"model": "gpt-4o-mini-transcribe", "language": "en"},
        "turn_detection": {
            "type": "server_vad",
            "threshold": 0.6,
            "silence_duration_ms": 300,
            "idle_timeout_ms": None,
        },
    }
    assert wire["audio"]["output"] == {
        "format": {"type": "audio/pcm", "rate": 24000},
        "voice": {"id": "v"},
        "speed": 1.1,
    }
    assert wire["prompt"] == {"id": "pmpt_1", "variables": {"a": "b"}}


def test_null_turns_a_thing_off(tmp_path: Path) -> None:
    text = "session: { audio: { input: { turn_detection: null, transcription: ~ } } }\n"
    text += "timezone: null\n" + SMALL
    d = loaded(tmp_path, text).deployment
    assert d.session.wire["audio"]["input"]["turn_detection"] is None
    assert d.session.wire["audio"]["input"]["transcription"] is None
    assert d.timezone is None


def test_engines(tmp_path: Path) -> None:
    def engine(text: str, env: dict[str, str] | None = None) -> EngineSpec:
        return loaded(tmp_path, f"engine: {text}\n{SMALL}", env).deployment.engine

    assert engine("local").type == "local"
    assert engine("${RTRUN_ENGINE:-auto}").type == "auto"
    by_url = engine("${E}", {"E": "ws://127.0.0.1:9/v1/realtime", "RTRUN_ENGINE_KEY": "k"})
    assert (by_url.type, by_url.url) == ("url", "ws://127.0.0.1:9/v1/realtime")
    assert by_url.api_key is not None
    assert by_url.api_key.reveal() == "k"
    mapped = engine("{ url: 'wss://x.example', headers: { A: b } }")
    assert (mapped.type, mapped.api_key) == ("url", None)
    assert mapped.headers["A"].reveal() == "b"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p / "none.yaml", "no such file"),
        (lambda p: p, "this is a folder"),
        (lambda p: write(p, "x") / "y.yaml", "a file, not a folder"),
        (lambda p: "a\0b", "not readable"),
    ],
)
def test_a_file_that_cannot_be_had(tmp_path: Path, make: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load(make(tmp_path), env={})  # type: ignore[operator]
    assert message in caught.value.message
    assert caught.value.exit_code == 2


def test_an_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    file = write(tmp_path, SMALL)
    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(InputError, match="permission denied"):
        load(file, env={})


def prompt(ref: str) -> str:
    return f"agents:\n  a:\n    instructions: {{ file: {ref} }}\n"


def test_prompt_files_that_cannot_be_had(tmp_path: Path) -> None:
    write(tmp_path, "x", "prompts/desk.md")
    write(tmp_path, "x" * (256 * 1024 + 1), "prompts/big.md")
    write(tmp_path, "", "prompts/empty.md")
    os.mkfifo(tmp_path / "pipe")
    expected = {
        "prompts/dsek.md": ("no file dsek.md in ", "did you mean prompts/desk.md?"),
        "nowhere/x.md": ("no file x.md in ", "the path begins in the folder"),
        "prompts": ("prompts is a folder", ""),
        "pipe": ("pipe is not a regular file", ""),
        "prompts/big.md": ("larger than 256 KiB", ""),
        "prompts/empty.md": ("is empty", ""),
    }
    for ref, (message, hint) in expected.items():
        problem = only(problems(tmp_path, prompt(ref)))
        assert message in problem.message
        assert problem.hint.startswith(hint)
        assert (problem.line, problem.column) == (3, 27)


def test_a_prompt_file_that_is_no_text(tmp_path: Path) -> None:
    write(tmp_path, b"Hello\ncaf\xe9\n", "p.md")
    problem = only(problems(tmp_path, prompt("p.md")))
    assert problem.file.endswith("p.md")
    assert (problem.line, problem.column) == (2, 4)
    assert problem.path == "agents.a.instructions"


def test_places_can_be_asked_for(tmp_path: Path) -> None:
    out = loaded(tmp_path, SMALL)
    assert out.locate("agents.desk.instructions")[1:3] == (3, 19)
    assert out.locate("agents.desk.voice")[1:] == (
        3,
        5,
        "    instructions: You are the front desk.",
    )
    problem = out.problem_at("agents.desk.instructions", "no", "yes", at_key=True)
    assert problem.headline() == f"{tmp_path / 'd.yaml'}:3:5: agents.desk.instructions: no (yes)"


def test_names_are_shown_as_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "${X}", "sub/p.md")
    write(tmp_path, prompt("p.md"), "sub/d.yaml")
    monkeypatch.chdir(tmp_path)
    from runner.errors import ConfigError

    with pytest.raises(ConfigError) as caught:
        load("sub/d.yaml", env={})
    assert caught.value.problems[0].file == os.path.join("sub", "p.md")


def test_the_files_of_a_broken_deployment(tmp_path: Path) -> None:
    text = prompt("gone.md") + "    modle: x\ntools:\n  t: { python: 'lost.py:f' }\n"
    file = write(tmp_path, text)
    assert files_of(file, env={}) == (file, tmp_path / "gone.md", tmp_path / "lost.py")
    write(tmp_path, "a: [")
    assert files_of(file, env={}) == (file,)
    assert files_of(tmp_path / "none", env={}) == (tmp_path / "none",)


def test_overrides(tmp_path: Path) -> None:
    d = loaded(
        tmp_path,
        SMALL,
        {"V": "ash"},
        [
            ("agents.desk.voice", "${V}"),
            ("agents.desk.greeting", "123"),
            ("agents.desk.tools[0]", "f"),
            ("tools.f.python", "os:getcwd"),
            ("session.audio.output.speed", "1.2"),
            ("session.audio.input.turn_detection", "null"),
            ("session.audio.input.noise_reduction", "{ type: far_field }"),
            ("limits.duration", "5m"),
        ],
    ).deployment
    desk = d.agents["desk"]
    assert (desk.voice, desk.greeting, desk.tools) == ("ash", "123", ("f",))
    assert d.session.get("audio.output.speed") == 1.2
    assert d.session.wire["audio"]["input"]["turn_detection"] is None
    assert d.session.get("audio.input.noise_reduction") == {"type": "far_field"}
    assert d.limits.duration == 300


def test_bad_overrides_say_so(tmp_path: Path) -> None:
    def headline(path: str, value: str) -> str:
        return only(problems(tmp_path, SMALL, {}, [(path, value)])).headline()

    assert headline("agents.desk.voice", "bob").startswith("--set: agents.desk.voice: 'bob' is not")
    assert headline("modle", "x") == "--set: modle: unknown key 'modle' (did you mean model?)"
    assert headline("agents.desk.instructions.file", "x") == (
        "--set: agents.desk.instructions.file: agents.desk.instructions holds "
        "You are the front desk., so nothing can be set inside it"
    )
    assert "has no item 3" in headline("agents.desk.tools[3]", "x")
    assert "never closed" in headline("limits", "{ duration: 3m")
    assert headline("limits.duration", "5").startswith("--set: limits.duration: ")
    for path in ("", "a..b", "[0]x[", ".", "a[b]"):
        with pytest.raises(UsageError):
            loaded(tmp_path, SMALL, {}, [(path, "x")])


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda f: f.name)
def test_the_examples_load_with_an_empty_environment(file: Path) -> None:
    out = load(file, env={})
    assert out.warnings == ()
    assert out.deployment.engine.type == "auto"


def test_a_deployment_behind_links_keeps_their_names(tmp_path: Path) -> None:
    """A watcher follows the links itself, so it must see them."""
    write(tmp_path, SMALL.replace("You are the front desk.", "{ file: p.md }"), "..data/d.yaml")
    write(tmp_path, "hi", "..data/p.md")
    for name in ("d.yaml", "p.md"):
        (tmp_path / name).symlink_to(Path("..data") / name)
    assert load(tmp_path / "d.yaml", env={}).deployment.files == (
        tmp_path / "d.yaml",
        tmp_path / "p.md",
    )


def test_all_prompts_together_are_bounded(tmp_path: Path) -> None:
    """Each is small enough, and an agent may name the same one as another."""
    write(tmp_path, "x" * (256 * 1024), "p.md")
    agents = [f"  a{i}: {{ instructions: {{ file: p.md }} }}\n" for i in range(17)]
    assert loaded(tmp_path, "agents:\n" + "".join(agents[:16]))
    problem = only(problems(tmp_path, "agents:\n" + "".join(agents)))
    assert (problem.line, problem.message) == (18, "with this one the prompts are over 4 MiB")
