"""`transport:` of one's own: what a file may say, what it becomes, and what an edit of it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.deployments import loaded, only, told, write

from runner.config.diff import diff
from runner.config.load import files_of
from runner.config.resolved import resolved
from runner.errors import ConfigError
from runner.model.secret import Secret
from runner.toolbox import load_tools

pytestmark = pytest.mark.quick

AGENTS = "agents:\n  desk: { instructions: x }\n"
LINE = """
from runner.transports.base import RealtimeTransportLayer

class Line(RealtimeTransportLayer):
    def __init__(self, *, port=1, key=""):
        super().__init__()
        if port == 0:
            raise ValueError(f"no port for {key}")
        self.port = port
    async def connect(self, options): self.status = "connected"
    def send_event(self, event): pass
    async def close(self): pass

class Phone(Line):
    audio_format = {"type": "audio/pcmu"}

class Half(RealtimeTransportLayer):
    async def close(self): pass

def function(): pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, LINE, "lines/line.py")
    return tmp_path


def file(transport: str, more: str = "") -> str:
    return f"{AGENTS}transport: {transport}\n{more}"


def test_the_class_is_made_anew_for_each_call(folder: Path) -> None:
    out = loaded(
        folder, file("{ type: custom, python: 'lines/line.py:Line', options: { port: 7 } }")
    )
    make = load_tools(out).transport
    assert make is not None
    one, two = make(), make()
    assert one is not two
    assert vars(one)["port"] == 7


def test_by_entry_point(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, LINE, "lines_of_a_package.py")
    write(folder, "Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n", "t-1.dist-info/METADATA")
    points = "[rtrun.transports]\ntheirs = lines_of_a_package:Line\n"
    write(folder, points, "t-1.dist-info/entry_points.txt")
    monkeypatch.syspath_prepend(folder)
    make = load_tools(loaded(folder, file("{ type: custom, name: theirs }"))).transport
    assert make is not None
    assert type(make()).__name__ == "Line"


def test_websocket_is_made_by_its_name(folder: Path) -> None:
    assert load_tools(loaded(folder, file("{ type: websocket }"))).transport is None


def test_webrtc_where_nothing_is_said(folder: Path) -> None:
    assert loaded(folder, AGENTS).deployment.transport.type == "webrtc"
    assert resolved(loaded(folder, AGENTS))["transport"] == "webrtc"


@pytest.mark.parametrize("side", ["input", "output"])
def test_a_format_is_for_a_line_that_carries_it(folder: Path, side: str) -> None:
    words = "WebRTC, by which callers come where no transport is named, decides the format"
    said = f"session: {{ audio: {{ {side}: {{ ¦format: pcm16 }} }} }}\n"
    place = f"session.audio.{side}.format"
    told(folder, AGENTS + said, f"{place}: {words} (write transport: websocket)")
    words = "WebRTC decides the audio format (leave it out, or write transport: websocket)"
    told(folder, file("webrtc", said), f"{place}: {words}")
    named = file("websocket", said.replace("¦", ""))
    assert loaded(folder, named).deployment.transport.type == "websocket"
    over = loaded(folder, AGENTS + said.replace("¦", ""), overrides=[("transport", "websocket")])
    assert over.deployment.transport.type == "websocket"


@pytest.mark.parametrize(
    ("transport", "message"),
    [
        ("{ ¦type: custom }", None),
        ("{ type: custom, python: ¦'lines/lien.py:Line' }",
         "transport.python: no file lines/lien.py (did you mean lines/line.py?)"),
        ("{ type: custom, python: ¦line }",
         "transport.python: 'line' is not path.py:Class or package.module:Class"),
        ("{ type: custom, python: 'lines/line.py:Line', ¦name: theirs }",
         "transport.name: a custom transport has only one of python, name; python and name stand "
         "here (take out all but python)"),
        ("{ type: custom, python: 'lines/line.py:Line', options: ¦[1] }",
         "transport.options: a list where a map belongs"),
        ("{ type: custom, ¦pyton: 'lines/line.py:Line' }",
         "transport.pyton: unknown key 'pyton' (did you mean python?)"),
        ("{ type: websocket, ¦options: { port: 1 } }",
         "transport.options: 'options' does not go with type: websocket (type: custom)"),
        ("{ type: custom, name: ¦'a:B' }",
         "transport.name: 'a:B' is not the name of an entry point"),
    ],
)  # fmt: skip
def test_what_a_file_cannot_say(folder: Path, transport: str, message: str | None) -> None:
    if message is None:
        message = "transport: a custom transport has one of python, name; here stands type"
        told(folder, f"{AGENTS}¦transport: {transport.replace('¦', '')}\n", message)
    else:
        told(folder, file(transport), message)


@pytest.mark.parametrize(
    ("transport", "message"),
    [
        ("python: ¦'lines/line.py:Lien'",
         "transport.python: lines/line.py has no class 'Lien' (it has Line, Phone, Half)"),
        ("python: ¦'lines/line.py:function'",
         "transport.python: 'function' of lines/line.py is no RealtimeTransportLayer "
         "(it has Line, Phone, Half)"),
        ("python: ¦'lines/line.py:Half'",
         "transport.python: the transport Half lacks connect, send_event (write these methods)"),
        ("python: ¦'nowhere_at_all:Line'",
         "transport.python: module nowhere_at_all does not import: No module named "
         "'nowhere_at_all' (install its package, or name a file: tools/calendar.py:function)"),
        ("python: ¦'builtins:int'",
         "transport.python: 'int' of builtins is no RealtimeTransportLayer "
         "(derive it from RealtimeTransportLayer)"),
        ("python: 'lines/line.py:Line', options: ¦{ baud: 9600 }",
         "transport.options: Line cannot be made with these options: got an unexpected keyword "
         "argument 'baud'"),
        ("name: ¦pigeon",
         "transport.name: there is no transport 'pigeon' (known: cloudflare, webrtc, websocket, "
         "module:Class, path.py:Class)"),
    ],
)  # fmt: skip
def test_a_class_that_cannot_be_had_is_told_with_its_place(
    folder: Path, transport: str, message: str
) -> None:
    marked = file(f"{{ type: custom, {transport} }}")
    head, _, tail = marked.partition("¦")
    with pytest.raises(ConfigError) as caught:
        load_tools(loaded(folder, head + tail))
    column = len(head) - head.rfind("\n")
    found = only(caught.value.problems).headline()
    assert found == f"{folder / 'd.yaml'}:{head.count(chr(10)) + 1}:{column}: {message}"


def test_a_line_that_decides_its_audio_contradicts_another_format(folder: Path) -> None:
    phone = "{ type: custom, python: 'lines/line.py:Phone' }"
    agreed = "session: { audio: { input: { format: g711_ulaw }, output: { format: g711_ulaw } } }\n"
    assert load_tools(loaded(folder, file(phone, agreed))).transport is not None
    half = "session: { audio: { input: { format: g711_ulaw }, output: { format: pcm16 } } }\n"
    with pytest.raises(ConfigError) as caught:
        load_tools(loaded(folder, file(phone, half)))
    problem = only(caught.value.problems)
    assert problem.path == "session.audio.output.format"
    assert problem.message == "Phone carries audio/pcmu, and the session audio/pcm"


def test_what_a_variable_filled_in_is_secret_also_when_the_class_fails(folder: Path) -> None:
    options = "{ port: 0, key: 'k ${KEY}' }"
    text = file(f"{{ type: custom, python: 'lines/line.py:Line', options: {options} }}")
    out = loaded(folder, text, env={"KEY": "canary"})
    assert isinstance(out.deployment.transport.options["key"], Secret)
    assert "canary" not in repr(out.deployment)
    make = load_tools(out).transport
    assert make is not None
    with pytest.raises(Exception, match=r"Line cannot be made: ValueError: no port for \*\*\*"):
        make()
    (change,) = diff(out.deployment, loaded(folder, text, env={"KEY": "2"}).deployment)
    assert (change.path, change.old, change.new) == ("transport.options.key", "***", "***")


def test_its_file_is_watched_and_an_edit_of_it_is_for_new_calls(folder: Path) -> None:
    text = file("{ type: custom, python: 'lines/line.py:Line' }")
    old = loaded(folder, text)
    code = folder / "lines" / "line.py"
    assert code in old.deployment.files
    assert code in files_of(folder / "d.yaml", env={})
    code.write_text(LINE.replace("port=1", "port=2"))
    new = loaded(folder, text)
    (change,) = diff(old.deployment, new.deployment)
    assert (change.path, change.reload) == ("transport.python", "new")
    made = [load_tools(new).transport, load_tools(old).transport]
    assert [vars(make())["port"] for make in made if make] == [2, 2]
    paths = [c.path for c in diff(new.deployment, loaded(folder, file("websocket")).deployment)]
    assert paths == ["transport", "transport.python"]


def test_a_base_in_another_folder_names_the_file_from_there(folder: Path) -> None:
    text = file("{ type: custom, python: 'line.py:Line' }")
    write(folder, text, "lines/_base.yaml")
    out = loaded(folder, "extends: lines/_base.yaml\n")
    assert load_tools(out).transport is not None
    assert resolved(out)["transport"]["python"] == "lines/line.py:Line"
