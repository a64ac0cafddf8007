"""The command `rtrun`: its verbs, and errors said to a person."""

from __future__ import annotations

import os
import sys
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

from runner import __version__
from runner.errors import RtrunError, UsageError

#: Verb -> (module, click command), grouped as the help shows them. Loaded when asked for: a
#: validator in CI need not import a sound card.
_VERBS = {
    "Run": {
        "run": ("runner.cli.run", "run"),
        "engine": ("runner.cli.engine", "engine"),
        "doctor": ("runner.cli.doctor", "doctor"),
    },
    "Check": {
        "validate": ("runner.cli.validate", "validate"),
        "diff": ("runner.cli.diff", "diff"),
        "explain": ("runner.cli.explain", "explain_"),
        "show": ("runner.cli.show", "show"),
        "fmt": ("runner.cli.fmt", "fmt"),
        "test": ("runner.cli.test", "test"),
        "replay": ("runner.cli.replay", "replay"),
        "schema": ("runner.cli.schema", "schema"),
    },
    "Live": {
        "ps": ("runner.cli.ps", "ps"),
        "tail": ("runner.cli.tail", "tail"),
        "send": ("runner.cli.send", "send"),
        "reload": ("runner.cli.reload", "reload"),
        "drain": ("runner.cli.drain", "drain"),
        "approve": ("runner.cli.approve", "approve"),
        "console": ("runner.cli.console", "console"),
    },
    "Make": {
        "init": ("runner.cli.init", "init"),
        "build": ("runner.cli.build", "build"),
        "push": ("runner.cli.push", "push"),
    },
}
_HOMES = {verb: home for group in _VERBS.values() for verb, home in group.items()}


class Verbs(click.Group):
    """`rtrun FILE` is `rtrun run FILE`: what is no verb is a file."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_HOMES)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _HOMES:
            return None
        module, attribute = _HOMES[name]
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in _HOMES and args[0] not in ("--help", "-h", "--version"):
            self._check_typo(args[0])
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def _check_typo(self, word: str) -> None:
        """A misspelt verb is no file: say so, instead of looking for one of that name."""
        near = get_close_matches(word, _HOMES, n=1)
        if near and not os.path.exists(word):
            raise UsageError(f"there is no verb and no file '{word}'", f"did you mean {near[0]}?")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, verbs in _VERBS.items():
            rows = []
            for verb in verbs:
                command = self.get_command(ctx, verb)
                assert command is not None
                rows.append((verb, command.get_short_help_str(limit=100)))
            with formatter.section(title):
                formatter.write_dl(rows)


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    subcommand_metavar="FILE | VERB [ARGS]...",
)
@click.version_option(__version__, "--version", prog_name="rtrun")
def cli() -> None:
    """Run realtime voice agents from one YAML file.

    rtrun agents.d/receptionist.yaml puts the agent on the line; saving the file changes it
    while the caller is still talking.
    """


def main(argv: list[str] | None = None) -> None:
    """Entry point. Exit codes: 0 well, 1 invalid or failed, 2 usage or input/output."""
    try:
        # https://no-color.org: None leaves it to whether this is a terminal.
        color = False if os.environ.get("NO_COLOR") else None
        code: Any = cli.main(args=argv, prog_name="rtrun", standalone_mode=False, color=color)
    except click.exceptions.Exit as left:
        code = left.exit_code
    except click.ClickException as error:
        error.show()
        code = 2
    except click.Abort:
        code = 130
    except RtrunError as error:
        print(f"rtrun: {error}", file=sys.stderr)
        code = error.exit_code
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        # Whoever read our output has gone (`rtrun ... | head`): nothing left to say.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  the flush at exit needs one
        code = 0
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
