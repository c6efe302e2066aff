"""A live server as SIPp sees it: 100rel, session timers, UPDATE, REFER and what is refused politely."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from live import PHONE_PASSWORD, LiveServer, live_server
from peers.sipp import REPEATED, require_sipp

require_sipp()

SPEAKS = "+15005550002"
SDP = """
    v=0
    o=sipp 1 1 IN IP4 [local_ip]
    s=-
    c=IN IP4 [local_ip]
    t=0 0
    m=audio [media_port] RTP/AVP 0
    a=rtpmap:0 PCMU/8000
"""


def message(
    method: str, number: str, cseq: int, *fields: str, body: str = "", uri: str = "", copies: bool = True
) -> str:
    """One request. Inside the dialog (``copies``) From, To and Call-ID are the last ones."""
    inside = ["[last_From:]", "[last_To:]", "[last_Call-ID:]"]
    outside = [
        "From: <sip:alice@[local_ip]>;tag=[call_number]",
        f"To: <sip:{number}@[remote_ip]>",
        "Call-ID: [call_id]",
    ]
    lines = [
        f"{method} {uri or f'sip:{number}@[remote_ip]:[remote_port]'} SIP/2.0",
        "Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]",
        *(inside if copies else outside),
        f"CSeq: {cseq} {method}",
        "Contact: <sip:alice@[local_ip]:[local_port]>",
        "Max-Forwards: 70",
        *fields,
        *(["Content-Type: application/sdp"] if body else []),
        "Content-Length: [len]",
        "",
        *(line.strip() for line in body.strip().splitlines()),
    ]
    attribute = "" if method == "ACK" else REPEATED
    return f"<send{attribute}><![CDATA[\n" + "\n".join(lines) + "\n\n]]></send>\n"


def answer(status: int, *, check: str = "", optional: bool = False, more: str = "", action: str = "") -> str:
    """Wait for a response that the expression ``check`` finds something in."""
    if check:
        action += f'<ereg regexp="{check}" search_in="msg" check_it="true" assign_to="1"/>'
    inner = f"<action>{action}</action>" if action else ""
    return f'<recv response="{status}"{" optional=" + chr(34) + "true" + chr(34) if optional else ""}{more}>{inner}</recv>\n'


LOGIN = f"[authentication username=alice password={PHONE_PASSWORD}]"
AUTH, ROUTES = ' auth="true"', ' rrs="true"'
NEXT = "[next_url]"


def dial(number: str, *fields: str) -> list[str]:
    """The INVITE, its challenge, and the INVITE with credentials."""
    return [
        message("INVITE", number, 1, *fields, body=SDP, copies=False),
        answer(100, optional=True),
        answer(407, more=AUTH),
        message("ACK", number, 1),
        message("INVITE", number, 2, LOGIN, *fields, body=SDP, copies=False),
        answer(100, optional=True),
    ]


def up(number: str, *fields: str, check: str = "") -> list[str]:
    """A call that is answered."""
    ringing = [answer(180, optional=True), answer(183, optional=True)]
    return [
        *dial(number, *fields),
        *ringing,
        answer(200, check=check, more=ROUTES),
        message("ACK", number, 2, uri=NEXT),
    ]


def bye(cseq: int = 9) -> list[str]:
    return [message("BYE", "", cseq, uri=NEXT), answer(200)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with live_server(tmp_path_factory.mktemp("sipp")) as running:
        yield running


def plays(server: LiveServer, folder: Path, number: str, steps: list[str]) -> None:
    """SIPp goes through the steps without a surprise."""
    path = folder / "scenario.xml"
    path.write_text(
        '<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="peer">\n'
        + "".join(steps)
        + '<nop><action><assignstr assign_to="1" value="x"/></action></nop><Reference variables="1"/>\n</scenario>'
    )
    host, port = server.sip
    done = subprocess.run(
        ["sipp", f"{host}:{port}", "-i", "127.0.0.1", "-sf", str(path), "-m", "1", "-nostdin",
         "-auth_uri", f"{number}@{host}", "-timeout", "40s", "-timeout_error", "-trace_err", "-trace_msg"],
        cwd=folder, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    logs = "".join(each.read_text() for each in sorted(folder.glob("scenario_*.log")))
    assert done.returncode == 0, logs[-5000:] + done.stderr[-500:]


def test_rfc4028_9_sipp_is_told_the_shortest_interval(server: LiveServer, tmp_path: Path) -> None:
    fields = ("Supported: timer", "Session-Expires: 60")
    steps = [
        message("INVITE", SPEAKS, 1, *fields, body=SDP, copies=False),
        answer(100, optional=True),
        answer(422, check="Min-SE: 90"),
        message("ACK", SPEAKS, 1),
    ]
    plays(server, tmp_path, SPEAKS, steps)


def test_rfc4028_9_sipp_gets_the_timer_that_it_asks_for(server: LiveServer, tmp_path: Path) -> None:
    fields = ("Supported: timer", "Session-Expires: 120;refresher=uac")
    check = "Session-Expires: 120;refresher=uac"
    refresh = [message("UPDATE", SPEAKS, 3, *fields, uri=NEXT), answer(200, check=check)]
    plays(server, tmp_path, SPEAKS, [*up(SPEAKS, *fields, check=check), *refresh, *bye()])


def test_rfc3262_3_a_call_that_requires_100rel_is_answered(server: LiveServer, tmp_path: Path) -> None:
    """The starter answers at once, so that the only answers are reliable or final ones."""
    steps = up(SPEAKS, "Require: 100rel")
    plays(server, tmp_path, SPEAKS, [*steps, *bye()])


def test_rfc3311_5_2_sipp_updates_the_session(server: LiveServer, tmp_path: Path) -> None:
    steps = [message("UPDATE", SPEAKS, 3, uri=NEXT, body=SDP), answer(200, check="m=audio [0-9]+ RTP/AVP 0")]
    plays(server, tmp_path, SPEAKS, [*up(SPEAKS), *steps, *bye()])


def test_rfc3515_2_4_2_sipp_refers_in_vain_and_the_call_goes_on(server: LiveServer, tmp_path: Path) -> None:
    script = server.directory / "functions" / "outbound.js"
    script.write_text(script.read_text().replace(", referUrl: 'transfer'", ""))
    steps = [
        message("REFER", SPEAKS, 3, "Refer-To: <sip:bob@127.0.0.1>", uri=NEXT),
        answer(603),
        message("OPTIONS", SPEAKS, 4, uri=NEXT),
        answer(200),
    ]
    plays(server, tmp_path, SPEAKS, [*up(SPEAKS), *steps, *bye()])


@pytest.mark.parametrize(
    ("method", "fields", "status", "check"),
    [
        ("MESSAGE", ["Content-Type: text/plain"], 405, "Allow: "),
        ("SUBSCRIBE", ["Event: presence"], 489, "Allow-Events: "),
        ("PUBLISH", ["Event: presence"], 489, "Allow-Events: "),
        ("REFER", ["Refer-To: <sip:bob@127.0.0.1>"], 405, "Allow: "),
        ("NOTIFY", ["Event: refer"], 481, "NOTIFY"),
        ("DANCE", [], 501, "Allow: "),
    ],
)
def test_rfc3261_8_2_1_sipp_is_refused_politely(
    server: LiveServer, tmp_path: Path, method: str, fields: list[str], status: int, check: str
) -> None:
    plays(
        server,
        tmp_path,
        SPEAKS,
        [message(method, SPEAKS, 1, *fields, copies=False), answer(status, check=check)],
    )


def test_rfc3261_13_3_1_an_answer_in_time_is_not_touched_by_expires(
    server: LiveServer, tmp_path: Path
) -> None:
    """The starter answers at once: a call in time is not touched by Expires."""
    plays(server, tmp_path, SPEAKS, [*up(SPEAKS, "Expires: 30"), *bye()])
