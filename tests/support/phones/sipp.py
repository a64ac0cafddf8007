"""sipp as a caller: scenarios put together from steps, run as a process of its own."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

_HEAD = """{method} {to} SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch={branch}
{routes}From: "Ann" <sip:ann@[local_ip]:[local_port]>;tag=[pid]T[call_number]
To: <sip:agent@[remote_ip]:[remote_port]>{tag}
Call-ID: [call_id]
CSeq: {cseq} {method}
Contact: <sip:ann@[local_ip]:[local_port];transport=[transport]>
Max-Forwards: 70
"""
SDP = """v=0
o=ann 1 {version} IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [media_port] RTP/AVP {formats} 101
a=rtpmap:101 telephone-event/8000
a={way}
"""


class Script:
    """The steps of one caller. Each method adds one and gives the script back."""

    def __init__(self) -> None:
        self._steps: list[str] = []
        self._cseq = 0
        self._inside = False
        self._invite = 0

    def request(
        self, method: str, *headers: str, body: str = "", cseq: int | None = None, own: bool = True
    ) -> Script:
        """``own`` False: of the transaction of the last INVITE (CANCEL, the ACK of a refusal)."""
        here = sum(not step.startswith("<Reference") for step in self._steps)
        if method == "INVITE":
            self._invite = here
        branch = "[branch]" if own else f"[branch-{here - self._invite}]"
        if cseq is None:
            self._cseq += method not in ("ACK", "CANCEL")
            cseq = self._cseq
        head = _HEAD.format(
            method=method,
            to="[next_url]" if self._inside else "sip:agent@[remote_ip]:[remote_port]",
            branch=branch,
            routes="[routes]\n" if self._inside else "",
            tag="[peer_tag_param]" if self._inside else "",
            cseq=cseq,
        )
        head += "".join(f"{line}\n" for line in headers) + "Content-Length: [len]\n"
        again = "" if method == "ACK" else ' retrans="500"'
        return self._add(f"<send{again}><![CDATA[\n{head}\n{body}]]></send>")

    def invite(
        self, *headers: str, formats: str = "0", way: str = "sendrecv", sdp: bool = True
    ) -> Script:
        body = SDP.format(version=self._cseq + 1, formats=formats, way=way) if sdp else ""
        kind = ("Content-Type: application/sdp",) if sdp else ()
        return self.request("INVITE", *headers, *kind, body=body)

    def refused(self, status: int) -> Script:
        return self.expect(status).request("ACK", own=False)

    def expect(
        self, status: int, *, body: str = "", header: str = "", early: bool = True
    ) -> Script:
        """The final answer. ``body``, ``header``: patterns that must be in it."""
        if early:
            for provisional in (100, 180):
                self._add(f'<recv response="{provisional}" optional="true"/>')
        checks = [("body", body)] if body else []
        checks += [("msg", header)] if header else []
        actions = "".join(
            f'<ereg regexp="{pattern}" search_in="{place}" check_it="true" assign_to="1"/>'
            for place, pattern in checks
        )
        action = f"<action>{actions}</action>" if actions else ""
        self._add(f'<recv response="{status}" rrs="true">{action}</recv>')
        if checks:
            self._add('<Reference variables="1"/>')
        self._inside = self._inside or status == 200
        return self

    def answered(self) -> Script:
        return self.expect(200).request("ACK")

    def wait(self, ms: int) -> Script:
        return self._add(f'<pause milliseconds="{ms}"/>')

    def wants(self, method: str) -> Script:
        """A request of the engine's own, answered with 200."""
        self._add(f'<recv request="{method}"/>')
        return self._add(
            "<send><![CDATA[\nSIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]\n"
            "[last_Call-ID:]\n[last_CSeq:]\nContent-Length: 0\n\n]]></send>"
        )

    def bye(self) -> Script:
        return self.request("BYE").expect(200, early=False)

    def _add(self, step: str) -> Script:
        self._steps.append(step)
        return self

    def xml(self) -> str:
        steps = "\n".join(self._steps)
        return f'<?xml version="1.0"?>\n<scenario name="s">\n{steps}\n</scenario>\n'


@dataclass(frozen=True, slots=True)
class Result:
    code: int
    good: int
    bad: int
    output: str


def run(
    script: Script, dial: str, folder: Path, *, tcp: bool = False, calls: int = 1, rate: int = 10
) -> Result:
    """Place ``calls`` calls at ``dial`` (HOST:PORT)."""
    file = folder / "scenario.xml"
    file.write_text(script.xml())
    process = subprocess.run(
        [
            "sipp", dial, "-sf", str(file), "-m", str(calls), "-l", str(calls), "-r", str(rate),
            "-i", "127.0.0.1", "-mi", "127.0.0.1", "-t", "t1" if tcp else "u1", "-nostdin",
            "-timeout", "50", "-trace_err", "-error_file", str(folder / "errors.log"),
        ],
        cwd=folder, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    errors = folder / "errors.log"
    told = process.stdout + (errors.read_text() if errors.exists() else "")

    def count(what: str) -> int:
        found = re.findall(rf"{what} call\s*\|\s*\d+\s*\|\s*(\d+)", told)
        return int(found[-1]) if found else -1

    return Result(process.returncode, count("Successful"), count("Failed"), told[-4000:])
