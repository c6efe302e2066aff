"""SIP and RTP over IPv6, and both families at once (RFC 6157): SIPp calls a live server at ::1."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from live import PHONE_PASSWORD, LiveServer, free_port, live_server
from peers.sipp import REPEATED, require_sipp

require_sipp()

SPEAKS = "+15005550002"

INVITE = """
    INVITE sip:{number}@[remote_ip]:[remote_port] SIP/2.0
    Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
    From: <sip:alice@[local_ip]>;tag=[call_number]
    To: <sip:{number}@[remote_ip]>
    Call-ID: [call_id]
    CSeq: {cseq} INVITE
    Contact: <sip:alice@[local_ip]:[local_port];transport=[transport]>
    {authentication}
    Max-Forwards: 70
    Content-Type: application/sdp
    Content-Length: [len]

    v=0
    o=sipp 1 1 IN IP[local_ip_type] [local_ip]
    s=-
    c=IN IP[local_ip_type] [local_ip]
    t=0 0
    m=audio {rtp} RTP/AVP 0
    a=rtpmap:0 PCMU/8000
"""

ACK = """
    ACK sip:{number}@[remote_ip]:[remote_port] SIP/2.0
    [last_Via:]
    [last_From:]
    [last_To:]
    [last_Call-ID:]
    CSeq: {cseq} ACK
    Max-Forwards: 70
    Content-Length: 0
"""

BYE = """
    BYE [next_url] SIP/2.0
    Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
    [last_From:]
    [last_To:]
    [last_Call-ID:]
    CSeq: 3 BYE
    Max-Forwards: 70
    Content-Length: 0
"""


def send(text: str, **values: object) -> str:
    lines = "\n".join(line.strip() for line in text.format(**values).strip().splitlines())
    return f"<send{REPEATED}><![CDATA[\n{lines.replace(chr(10) * 3, chr(10) * 2)}\n\n]]></send>\n"


def scenario(folder: Path, rtp: int, sdp_line: str) -> Path:
    """A phone that answers the challenge, hears something and hangs up; the 200 must have ``sdp_line``."""
    login = f"[authentication username=alice password={PHONE_PASSWORD}]"
    check = f'<action><ereg regexp="{sdp_line}" search_in="body" check_it="true" assign_to="1"/></action>'
    steps = [
        send(INVITE, number=SPEAKS, cseq=1, rtp=rtp, authentication="Subject: IPv6"),
        '<recv response="407" auth="true"/>\n',
        send(ACK, number=SPEAKS, cseq=1).replace(REPEATED, ""),
        send(INVITE, number=SPEAKS, cseq=2, rtp=rtp, authentication=login),
        '<recv response="100" optional="true"/>\n<recv response="180" optional="true"/>\n',
        '<recv response="183" optional="true"/>\n',
        f'<recv response="200" rrs="true">{check}</recv>\n',
        send(ACK, number=SPEAKS, cseq=2).replace(REPEATED, ""),
        '<pause milliseconds="1500"/>\n',
        send(BYE),
        '<recv response="200"/>\n<Reference variables="1"/>\n',
    ]
    path = folder / "call.xml"
    path.write_text(
        '<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="call">\n'
        + "".join(steps)
        + "</scenario>"
    )
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server at every address of both families."""
    with live_server(tmp_path_factory.mktemp("dual"), sip=f"0.0.0.0:{free_port()}") as running:
        yield running


@pytest.mark.parametrize("transport", ["u1", "t1"])
@pytest.mark.parametrize(("host", "kind"), [("::1", 6), ("127.0.0.1", 4)])
def test_rfc6157_3_1_a_call_and_its_sound_stay_in_the_callers_family(
    server: LiveServer, tmp_path: Path, host: str, kind: int, transport: str
) -> None:
    port = next(
        int(word.rpartition(":")[2]) for word in server.process.args if str(word).startswith("0.0.0.0:")
    )  # type: ignore[union-attr, arg-type]
    with socket.socket(socket.AF_INET6 if kind == 6 else socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind((host, 0))
        ear.settimeout(20)
        rtp = ear.getsockname()[1]
        where = f"[{host}]" if kind == 6 else host
        path = scenario(tmp_path, rtp, f"c=IN IP{kind} {host}")
        done = subprocess.run(
            ["sipp", f"{where}:{port}", "-i", host, "-t", transport, "-auth_uri", f"{SPEAKS}@{where}", "-sf", str(path), "-m", "1",
             "-nostdin", "-timeout", "40s", "-timeout_error", "-trace_err", "-trace_msg"],
            cwd=tmp_path, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        messages = "".join(each.read_text() for each in tmp_path.glob("*_messages.log"))
        errors = "".join(each.read_text() for each in tmp_path.glob("*_errors.log"))
        assert done.returncode == 0, (errors, messages[-3000:], server.output[-2000:])
        data, source = ear.recvfrom(2048)
        assert data[0] == 0x80 and len(data) == 172  # RTP with 20 ms of G.711
        assert source[0] == host
