"""A machine whose only interface is loopback, as many a container is."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.command import environment

ALONE = """
import asyncio, fcntl, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    # SIOCSIFFLAGS: up and running
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", 0x1 | 0x40))
from support.engine import Puppet, serving
from support.webrtc import dialled
from runner.media.ice import allow_loopback
allow_loopback()  # for the client too, which is aiortc as it comes
async def main(http):
    async with dialled(http) as call:
        print(call.pc.connectionState)
with serving(Puppet(), None) as engine:
    asyncio.run(main(engine.http))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="network namespaces are Linux's")
def test_a_call_on_a_machine_with_loopback_alone() -> None:
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c", ALONE],
        env=environment(PYTHONPATH=":".join(path for path in sys.path if path)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "connected\n", done.stderr
