from __future__ import annotations

import pytest

from runner import errors
from runner.errors import ConfigError, ConnectError, ConnectionLost, Problem, RtrunError

pytestmark = pytest.mark.quick


def test_an_error_says_what_is_wrong_and_what_to_do() -> None:
    error = RtrunError("no microphone", "plug one in")
    assert str(error) == "no microphone\n  plug one in"
    assert (error.message, error.hint) == ("no microphone", "plug one in")
    assert str(RtrunError("no microphone")) == "no microphone"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("RtrunError", 1),
        ("UsageError", 2),
        ("InputError", 2),
        ("AudioFileError", 2),
        ("DeviceError", 2),
        ("ConfigError", 1),
        ("MissingModels", 2),
        ("EngineError", 1),
        ("UserError", 1),
        ("ToolError", 1),
        ("ConnectError", 1),
        ("NotConnectedError", 1),
        ("ConnectionLost", 1),
    ],
)
def test_exit_codes(name: str, code: int) -> None:
    kind = getattr(errors, name)
    assert issubclass(kind, RtrunError)
    assert kind.exit_code == code


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    told = {
        word
        for line in (errors.__doc__ or "").splitlines()
        for word in line.replace("├", " ")
        .replace("└", " ")
        .replace("─", " ")
        .replace("│", " ")
        .split()[:1]
        if word.endswith(("Error", "Models", "Lost", "Over"))
    }
    real = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, RtrunError)
    }
    assert told == real


def test_what_a_connection_error_knows() -> None:
    assert ConnectError("refused", status=401).status == 401
    assert ConnectError("nobody there").status is None
    assert ConnectionLost("gone").code == 1006


def test_a_problem_is_one_clickable_line_with_a_caret() -> None:
    problem = Problem(
        "a.yaml", 3, 5, "agents.desk", "unknown key voic", "did you mean voice?", "    voic: marin"
    )
    assert problem.headline() == ("a.yaml:3:5: agents.desk: unknown key voic (did you mean voice?)")
    headline, source, caret = problem.render().splitlines()
    assert headline == problem.headline()
    assert caret.index("^") == source.index("voic")


def test_a_tab_before_the_place_keeps_the_caret_right() -> None:
    _, source, caret = Problem("a.yaml", 1, 3, "", "no", source="\t\tx").render().splitlines()
    assert caret == "    \t\t^"
    assert source == "    \t\tx"


def test_a_problem_of_the_whole_file_has_no_place() -> None:
    problem = Problem("a.yaml", 0, 0, "", "is empty")
    assert problem.headline() == problem.render() == "a.yaml: is empty"


def test_a_config_error_shows_all_its_problems_in_order() -> None:
    one, two = Problem("a.yaml", 1, 1, "", "one"), Problem("a.yaml", 2, 1, "", "two")
    error = ConfigError([one, two])
    assert error.problems == (one, two)
    assert str(error) == "a.yaml:1:1: one\na.yaml:2:1: two"
