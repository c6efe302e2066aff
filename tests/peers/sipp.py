"""SIPp as carrier, as far end and as strange peer: scenarios are made here of steps, and run in a process each."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from itertools import count
from pathlib import Path
from types import TracebackType

import pytest
from live import LiveServer, free_port
from peers.peer import WITHIN, end

_files = count(1)

Step = str


def require_sipp() -> None:
    """Skip the module where SIPp is missing."""
    if shutil.which("sipp") is None:
        pytest.skip("SIPp is missing: apt-get install sip-tester", allow_module_level=True)


# -- steps -------------------------------------------------------------------------------------------------

REPEATED = ' retrans="3000"'
"""Milliseconds until SIPp repeats what nobody answered. Nothing gets lost here, but a busy machine may need longer than T1, and
SIPp takes the answer to a copy for an unexpected one."""


def send(text: str, body: str = "", *, retransmits: bool = False) -> Step:
    """Send a message; its Content-Length is filled in."""
    lines = [line.strip() for line in text.strip().splitlines()]
    if body:
        lines.append("Content-Type: application/sdp")
    head = "\r\n".join([*lines, "Content-Length: [len]", "", ""])
    tail = "\r\n".join(line.strip() for line in body.strip().splitlines())
    attribute = REPEATED if retransmits else ""
    return f"<send{attribute}><![CDATA[\r\n{head}{tail}\r\n]]></send>"


def response(
    status: int, *, optional: bool = False, auth: bool = False, routes: bool = False, checks: str = ""
) -> Step:
    """Wait for a response; ``checks`` is a regular expression that it must match."""
    given = (
        f'response="{status}"'
        + ' optional="true"' * optional
        + ' auth="true"' * auth
        + ' rrs="true"' * routes
    )
    return f"<recv {given}>{_check(checks)}</recv>"


def request(method: str, *, checks: str = "", action: str = "", routes: bool = False) -> Step:
    """Wait for a request."""
    given = f'request="{method}"' + ' rrs="true"' * routes
    action = f"<action>{action}</action>" if action else ""
    return f"<recv {given}>{_check(checks)}{action}</recv>"


def _check(pattern: str) -> str:
    if not pattern:
        return ""
    escaped = pattern.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return f'<action><ereg regexp="{escaped}" search_in="msg" check_it="true" assign_to="1"/></action>'


def pause(milliseconds: int) -> Step:
    """SIPp waits: how long a person lets it ring, for example."""
    return f'<pause milliseconds="{milliseconds}"/>'


SDP = """
v=0
o=sipp 53655765 2353687637 IN IP[media_ip_type] [media_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [media_port] RTP/AVP {formats}
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a={direction}
"""


def sdp(formats: str = "0 101", direction: str = "sendrecv") -> str:
    """A session description with SIPp's own address."""
    return SDP.format(formats=formats, direction=direction)


class Caller:
    """The requests of a caller's dialog with a user of a domain."""

    def __init__(self, user: str, domain: str, caller: str = "alice") -> None:
        self.uri = f"sip:{user}@{domain}"
        self.domain = domain
        self.caller = caller

    def ask(
        self,
        method: str,
        number: int,
        *more: str,
        body: str = "",
        branch: str = "[branch]",
        in_dialog: bool = False,
        retransmits: bool = False,
    ) -> Step:
        """A request; ``more`` are header lines."""
        target = "[next_url]" if in_dialog else self.uri
        tag = "[peer_tag_param]" if in_dialog else ""
        lines = f"""
            {method} {target} SIP/2.0
            Via: SIP/2.0/[transport] [local_ip]:[local_port];branch={branch};rport
            From: <sip:{self.caller}@{self.domain}>;tag=[pid]sipp[call_number]
            To: <{self.uri}>{tag}
            Call-ID: [call_id]
            CSeq: {number} {method}
            Contact: <sip:{self.caller}@[local_ip]:[local_port];transport=[transport]>
            Max-Forwards: 70
        """
        lines = lines.strip() + "".join(f"\n{line}" for line in more)
        return send(lines, body, retransmits=retransmits)

    def login(self, server: LiveServer, *, body: str, more: tuple[str, ...] = ()) -> list[Step]:
        """INVITE, its challenge, and INVITE with credentials (CSeq 2)."""
        return [
            self.ask("INVITE", 1, *more, body=body, retransmits=True),
            response(407, auth=True),
            # The ACK of a refusal has the branch of its INVITE (RFC 3261 section 17.1.1.3).
            self.ask("ACK", 1, branch="[branch-2]").replace("[peer_tag_param]", ""),
            self.ask(
                "INVITE", 2, *more, credentials(self.caller, server.password), body=body, retransmits=True
            ),
        ]

    def bye(self, number: int = 3) -> list[Step]:
        """BYE, and its answer."""
        return [self.ask("BYE", number, in_dialog=True, retransmits=True), response(200)]


def credentials(user: str, password: str) -> str:
    """The header that SIPp makes of the last challenge."""
    return f"[authentication username={user} password={password}]"


def reply(status: int, reason: str, *more: str, body: str = "", tag: str = "[pid]sipp[call_number]") -> Step:
    """A response of a callee to the last request."""
    to = f"[last_To:];tag={tag}" if status > 100 else "[last_To:]"
    lines = f"""
        SIP/2.0 {status} {reason}
        [last_Via:]
        [last_From:]
        {to}
        [last_Call-ID:]
        [last_CSeq:]
        Contact: <sip:[local_ip]:[local_port];transport=[transport]>
    """
    lines = lines.strip() + "".join(f"\n{line}" for line in more)
    return send(lines, body, retransmits=status >= 200)


def ok() -> Step:
    """200 to a request inside the dialog."""
    return send("SIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]")


# -- running -----------------------------------------------------------------------------------------------


class Sipp:
    """A SIPp that runs a scenario once. ``finish`` fails with what SIPp wrote when the scenario did."""

    def __init__(
        self,
        folder: Path,
        steps: list[Step],
        *,
        server: LiveServer | None = None,
        port: int = 0,
        options: tuple[str, ...] = (),
        within: int = 20,
    ) -> None:
        self.port = port or free_port()
        name = f"sipp{next(_files)}"
        self.errors = folder / f"{name}.errors"
        self.messages = folder / f"{name}.messages"
        scenario = folder / f"{name}.xml"
        uses = '<Reference variables="1"/>' if 'assign_to="1"' in "".join(steps) else ""
        scenario.write_text(
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<scenario name="{name}">\n' + "\n".join(steps) + f"\n{uses}\n</scenario>\n"
        )
        line = ["sipp", *([f"127.0.0.1:{server.sip[1]}"] if server is not None else []), "-sf", str(scenario)]
        line += [
            "-i",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-mi",
            "127.0.0.1",
            "-mp",
            str(free_port(of=4)),
        ]
        line += ["-m", "1", "-timeout", str(within), "-timeout_error", "-recv_timeout", str(within * 1000)]
        line += [
            "-trace_err",
            "-error_file",
            str(self.errors),
            "-trace_msg",
            "-message_file",
            str(self.messages),
        ]
        self.process = subprocess.Popen(
            [*line, "-nostdin", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.within = within
        self._finished = ""

    def __enter__(self) -> Sipp:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()
        elif self.process.poll() is None:
            self.process.terminate()
            end(self.process)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def sent(self, pattern: str, times: int, within: float = WITHIN) -> None:
        """Wait until SIPp's trace has so many messages of its own that begin with this."""
        wanted = re.compile(rf"message sent \(\d+ bytes\):\n\n{pattern}")
        until = time.monotonic() + within
        while not self.messages.exists() or len(wanted.findall(self.messages.read_text())) < times:
            assert time.monotonic() < until, f"SIPp did not send {pattern} {times} times"
            try:
                self.process.wait(0.02)  # it ends only when all of its steps are done
                return
            except subprocess.TimeoutExpired:
                pass

    def finish(self) -> str:
        """Wait for the end of the scenario: all messages. AssertionError where it did not go as written."""
        if self._finished:
            return self._finished
        try:
            printed, _ = self.process.communicate(timeout=self.within + 10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            printed, _ = self.process.communicate()
        text = self.messages.read_text()[-20_000:] if self.messages.exists() else ""
        errors = self.errors.read_text() if self.errors.exists() else ""
        assert self.process.returncode == 0, f"{printed}\n{errors}\n{text}"
        self._finished = text
        return text
