"""One consistent reading of all the files that a deployment is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from runner.config.load import Loaded
from runner.errors import ConfigError
from runner.reload.revisions import Version
from runner.reload.watch import digests
from runner.toolbox import Toolbox, load_tools

#: A file that changes while it is read is read again; one that always does is written in a loop.
READINGS = 10


def read(load: Callable[[], Loaded], kept: Toolbox) -> Version:
    """What the files say, all at the same moment, with the tools imported. Blocks: to be called in
    a thread. ConfigError, InputError."""
    before: tuple[Mapping[str, str], Mapping[str, str]] | None = None
    for _ in range(READINGS):
        loaded = load()
        tools = load_tools(loaded, kept)
        read = loaded.deployment.digests
        now = digests(loaded.deployment.files)
        # What is read twice as the same and differs all the same, is not read as a whole.
        if (read, now) == before or all(now.get(name, "") == sha for name, sha in read.items()):
            return Version(loaded.deployment, tools, loaded)
        before = read, now
    words = "the files change while they are read"
    raise ConfigError([loaded.problem_at("", words, "save them once more when they are done")])
