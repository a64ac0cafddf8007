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
    before: Mapping[str, str] | None = None
    for _ in range(READINGS):
        loaded = load()
        tools = load_tools(loaded, kept)
        read = loaded.deployment.digests
        now = digests(loaded.deployment.files)
        # What stays as it is on the disk and differs all the same, is not read as a whole.
        if now == before or all(now.get(name, "") == digest for name, digest in read.items()):
            return Version(loaded.deployment, tools, loaded)
        before = now
    words = "the files change while they are read"
    raise ConfigError([loaded.problem_at("", words, "save them once more when they are done")])
