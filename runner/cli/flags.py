"""The flags of `rtrun FILE...`, as given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """The flags of the command, as given; ``files`` and ``folders`` are what it is to run."""

    files: tuple[Path, ...]
    folders: tuple[Path, ...] = ()
    to: str | None = None
    engine: str | None = None
    wav: Path | None = None
    say: tuple[str, ...] = ()
    text: bool = False
    out: Path | None = None
    microphone: str | None = None
    speaker: str | None = None
    headphones: bool = False
    overrides: tuple[tuple[str, str], ...] = ()
    env: Mapping[str, str] | None = None
    watch: bool = True
    #: Where each call is kept for `rtrun replay`, None for nowhere.
    record: Path | None = None
    #: ``[HOST:]PORT`` of the admin port, None for none.
    admin: str | None = None
    #: ``[HOST:]PORT`` of the console; empty for the usual place, None for none.
    console: str | None = None
    json: bool = False
    log_content: bool = False

    @property
    def calls(self) -> bool:
        """Do the flags bring a caller?"""
        return self.wav is not None or bool(self.say) or self.text

    @property
    def several(self) -> bool:
        return len(self.files) > 1 or bool(self.folders)
