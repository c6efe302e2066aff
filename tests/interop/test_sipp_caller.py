"""SIPp calls in, as well as badly as callers can."""

from __future__ import annotations

import random
import re
import socket
from collections.abc import Iterator

import pytest
from peers.exchange import Exchange, exchange
from peers.sipp import REPEATED, Caller, Sipp, Step, ok, pause, reply, request, require_sipp, response, sdp

require_sipp()

WAITS = '<Gather timeout="60"/>'


@pytest.fixture(scope="module")
def ringback(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("sipp")) as running:
        yield running


def run(
    ringback: Exchange, domain: str, steps: list[Step], *, within: int = 30, sees_copies: bool = False
) -> str:
    """Run a scenario; ``sees_copies`` when retransmissions are steps of it."""
    options = ("-auth_uri", f"x@{domain}", *(["-nr"] if sees_copies else []))
    with Sipp(ringback.folder, steps, server=ringback.server, options=options, within=within) as sipp:
        return sipp.finish()


def dialed(ringback: Exchange, twiml: str = WAITS) -> tuple[Caller, str]:
    domain = ringback.domain(twiml)
    return Caller("x", domain), domain


ANSWERED = [response(100, optional=True), response(180, optional=True), response(200, routes=True)]


def established(ringback: Exchange, caller: Caller, body: str = "") -> list[Step]:
    return [
        *caller.login(ringback.server, body=body or sdp()),
        *ANSWERED,
        caller.ask("ACK", 2, in_dialog=True),
    ]


def sid_of(messages: str) -> str:
    found = re.search(r"X-Twilio-CallSid: (CA[0-9a-f]{32})", messages)
    assert found is not None, messages
    return found[1]


def calls_to(ringback: Exchange, domain: str) -> int:
    return len(ringback.client.calls.list(to=f"sip:x@{domain}"))


def test_a_caller_without_credentials_makes_no_call_and_no_webhook(ringback: Exchange) -> None:
    caller, domain = dialed(ringback)
    run(
        ringback,
        domain,
        [
            caller.ask("INVITE", 1, body=sdp(), retransmits=True),
            response(407, checks="Proxy-Authenticate: Digest .*realm="),
            caller.ask("ACK", 1, branch="[branch-2]"),
        ],
    )
    run(ringback, domain, [caller.ask("OPTIONS", 1), response(200)])  # so what was to happen has happened
    assert calls_to(ringback, domain) == 0
    assert not ringback.hooks.asked(ringback.hook_of(domain))


def test_an_ordinary_call(ringback: Exchange) -> None:
    caller, domain = dialed(ringback)
    messages = run(ringback, domain, [*established(ringback, caller), *caller.bye()])
    ringback.call_record(sid_of(messages), "completed")


def test_an_invite_without_an_offer_gets_ours(ringback: Exchange) -> None:
    caller, domain = dialed(ringback)
    steps = [
        *caller.login(ringback.server, body=""),
        response(100, optional=True),
        response(200, routes=True, checks="m=audio [0-9]+ RTP/AVP 0 8"),
        caller.ask("ACK", 2, in_dialog=True, body=sdp("8 101")),
        caller.ask("OPTIONS", 3, in_dialog=True),
        response(200),
        *caller.bye(4),
    ]
    lines = ringback.timeline(sid_of(run(ringback, domain, steps)))
    assert any(line.startswith("PCMA with 127.0.0.1") for line in lines), lines


def test_a_200_is_repeated_until_its_ack(ringback: Exchange) -> None:
    caller, domain = dialed(ringback)
    steps = [
        *caller.login(ringback.server, body=sdp()),
        *ANSWERED,
        response(200),
        response(200),
        caller.ask("ACK", 2, in_dialog=True),
        caller.ask("ACK", 2, in_dialog=True),
        *caller.bye(),
    ]
    ringback.call_record(sid_of(run(ringback, domain, steps, sees_copies=True)), "completed")


def test_a_repeated_invite_is_one_call(ringback: Exchange) -> None:
    caller, domain = dialed(ringback, '<Pause length="1"/><Gather timeout="1"/>')
    login = caller.login(ringback.server, body=sdp())
    again = login[-1].replace("[branch]", "[branch-2]").replace(REPEATED, "")
    steps = [
        *login,
        response(100),
        again,
        response(100, optional=True),
        response(180, optional=True),
        response(180, optional=True),
        response(200, routes=True),
        caller.ask("ACK", 2, in_dialog=True),
        request("BYE"),
        ok(),
    ]
    run(ringback, domain, steps, sees_copies=True)
    assert calls_to(ringback, domain) == 1
    assert ringback.hooks.asked(ringback.hook_of(domain))
    assert not ringback.hooks.asked(ringback.hook_of(domain))


def test_a_repeated_bye_is_answered_again_and_another_is_481(ringback: Exchange) -> None:
    caller, domain = dialed(ringback)
    steps = [
        *established(ringback, caller),
        caller.ask("BYE", 3, in_dialog=True),
        response(200),
        caller.ask("BYE", 3, in_dialog=True, branch="[branch-2]"),
        response(200),
        caller.ask("BYE", 4, in_dialog=True),
        response(481),
    ]
    run(ringback, domain, steps, sees_copies=True)


def test_a_cancel_while_it_rings_ends_the_call(ringback: Exchange) -> None:
    twiml = '<Dial answerOnBridge="true" callerId="+16505550101">+15005550003</Dial>'
    caller, domain = dialed(ringback, twiml)
    steps = [
        *caller.login(ringback.server, body=sdp()),
        response(100, optional=True),
        response(180),
        caller.ask("CANCEL", 2, branch="[branch-3]"),
        response(200),
        response(487),
        caller.ask("ACK", 2, branch="[branch-6]"),
    ]
    run(ringback, domain, steps)
    record = ringback.client.calls.list(to=f"sip:x@{domain}")[0]
    assert ringback.call_record(record.sid, "canceled" if record.status == "canceled" else "no-answer")


def test_a_cancel_that_crosses_the_200_changes_nothing(ringback: Exchange) -> None:
    caller, domain = dialed(ringback)
    steps = [
        *caller.login(ringback.server, body=sdp()),
        *ANSWERED,
        caller.ask("CANCEL", 2, branch="[branch-4]"),
        response(200, checks="CSeq: 2 CANCEL"),
        caller.ask("ACK", 2, in_dialog=True),
        *caller.bye(),
    ]
    ringback.call_record(sid_of(run(ringback, domain, steps)), "completed")


@pytest.mark.parametrize(
    ("theirs", "ours"), [("sendonly", "recvonly"), ("inactive", "inactive"), ("recvonly", "sendonly")]
)
def test_a_hold_is_answered_and_a_resume_as_well(ringback: Exchange, theirs: str, ours: str) -> None:
    caller, domain = dialed(ringback)
    steps = [
        *established(ringback, caller),
        caller.ask("INVITE", 3, in_dialog=True, body=sdp(direction=theirs), retransmits=True),
        response(100, optional=True),
        response(200, checks=f"a={ours}"),
        caller.ask("ACK", 3, in_dialog=True),
        caller.ask("INVITE", 4, in_dialog=True, body=sdp(), retransmits=True),
        response(100, optional=True),
        response(200, checks="a=sendrecv"),
        caller.ask("ACK", 4, in_dialog=True),
        *caller.bye(5),
    ]
    run(ringback, domain, steps)


def test_an_offer_that_cannot_be_met_leaves_the_call_as_it_was(ringback: Exchange) -> None:
    caller, domain = dialed(ringback)
    steps = [
        *established(ringback, caller),
        caller.ask("INVITE", 3, in_dialog=True, body=sdp("18"), retransmits=True),
        response(100, optional=True),
        response(488),
        caller.ask("ACK", 3, in_dialog=True, branch="[branch-3]"),
        caller.ask("INVITE", 4, in_dialog=True, body=sdp(), retransmits=True),
        response(100, optional=True),
        response(200),
        caller.ask("ACK", 4, in_dialog=True),
        *caller.bye(5),
    ]
    run(ringback, domain, steps)


def test_no_common_codec_is_488_from_the_start(ringback: Exchange) -> None:
    caller, domain = dialed(ringback)
    steps = [
        *caller.login(ringback.server, body=sdp("18")),
        response(100, optional=True),
        response(488),
        caller.ask("ACK", 2, branch="[branch-3]"),
    ]
    run(ringback, domain, steps)


@pytest.mark.parametrize(
    ("method", "status"), [("OPTIONS", 200), ("MESSAGE", 405), ("SUBSCRIBE", 489), ("FROBNICATE", 501)]
)
def test_methods_outside_a_dialog(ringback: Exchange, method: str, status: int) -> None:
    caller, domain = dialed(ringback)
    checks = "Allow: .*INVITE" if status in (200, 405) else ""
    run(ringback, domain, [caller.ask(method, 1, "Event: presence"), response(status, checks=checks)])


@pytest.mark.parametrize(("method", "status"), [("OPTIONS", 200), ("FROBNICATE", 501), ("PUBLISH", 405)])
def test_methods_inside_a_dialog_do_not_end_it(ringback: Exchange, method: str, status: int) -> None:
    caller, domain = dialed(ringback)
    steps = [
        *established(ringback, caller),
        caller.ask(method, 3, in_dialog=True),
        response(status),
        *caller.bye(4),
    ]
    run(ringback, domain, steps)


def test_digits_by_info_reach_gather(ringback: Exchange) -> None:
    action = ringback.hooks.give("info-digits", "<Hangup/>")
    caller, domain = dialed(ringback, f'<Gather numDigits="2" action="{action}" timeout="20"/>')

    def info(number: int, digit: str) -> list[Step]:
        step = caller.ask("INFO", number, in_dialog=True, body=f"Signal={digit}\nDuration=160")
        return [step.replace("application/sdp", "application/dtmf-relay"), response(200)]

    steps = [
        *established(ringback, caller),
        *info(3, "4"),
        *info(4, "2"),
        request("BYE"),
        ok(),
    ]
    run(ringback, domain, steps)
    assert ringback.hooks.expect("info-digits")["Digits"] == "42"


def test_rubbish_and_floods_stop_nobody(ringback: Exchange) -> None:
    caller, domain = dialed(ringback)
    rubbish = random.Random(7)
    huge = b"INVITE sip:x@y SIP/2.0\r\nSubject: " + b"a" * 60_000 + b"\r\n\r\n"
    datagrams = [
        b"",
        b"\0" * 4,
        b"\r\n\r\n",
        huge,
        b"INVITE sip:x@y SIP/2.0\r\n" + b"Via: SIP/2.0/UDP a;branch=z9hG4bK1\r\n" * 1500 + b"\r\n",
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP nowhere\r\nCSeq: 1 INVITE\r\n\r\n",
        *(rubbish.randbytes(rubbish.randrange(1, 1400)) for _ in range(200)),
    ]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        for datagram in datagrams:
            peer.sendto(datagram, ringback.server.sip)
    with socket.create_connection(ringback.server.sip, 5) as stream:
        stream.sendall(rubbish.randbytes(5000) + b"\r\n\r\n")
        stream.settimeout(10)
        with pytest.raises(ConnectionResetError):
            while stream.recv(4096):
                pass
            raise ConnectionResetError  # closed without a reset is as good
    run(ringback, domain, [*established(ringback, caller), *caller.bye()])
    assert "Traceback" not in ringback.server.output


def test_a_call_whose_200_was_never_acknowledged_can_be_hung_up(ringback: Exchange) -> None:
    caller, domain = dialed(ringback)
    steps = [*caller.login(ringback.server, body=sdp()), *ANSWERED, response(200), *caller.bye()]
    ringback.call_record(sid_of(run(ringback, domain, steps, sees_copies=True)), "completed")


# -- transfers -----------------------------------------------------------------------------------------------


def within(answer: str) -> Step:
    """A response to a request inside the dialog."""
    return ok().replace("200 OK", answer)


def test_rfc3515_2_4_4_sipp_is_notified_of_its_refer_and_let_go(ringback: Exchange) -> None:
    refer = ringback.hooks.give("sipp-refer", "<Hangup/>")
    callee = [
        request("INVITE"),
        reply(200, "OK", body=sdp()),
        request("ACK"),
        request("BYE"),
        ok(),
    ]
    with Sipp(ringback.folder, callee) as there:
        noun = f"<Sip>sip:there@127.0.0.1:{there.port}</Sip>"
        caller, domain = dialed(ringback, f'<Dial referUrl="{refer}">{noun}</Dial>')
        steps = [
            *established(ringback, caller),
            pause(1500),  # until the callee has answered too
            caller.ask("REFER", 3, "Refer-To: <sip:carol@example.com?X-Case=7>", in_dialog=True),
            response(202),
            request("NOTIFY", checks=r"Event: refer.*SIP/2\.0 100 Trying"),
            ok(),
            request("NOTIFY", checks=r"Subscription-State: terminated;reason=noresource.*SIP/2\.0 200 OK"),
            ok(),
            request("BYE"),
            ok(),
        ]
        run(ringback, domain, steps)
    assert ringback.hooks.expect("sipp-refer")["ReferTransferTarget"] == "<sip:carol@example.com?X-Case=7>"


@pytest.mark.parametrize(
    ("answer", "fragment", "told"),
    [
        ("405 Method Not Allowed", "", ("failed", "405", None)),
        ("202 Accepted", "SIP/2.0 486 Busy Here", ("busy", "202", "486")),
    ],
)
def test_rfc3515_2_4_5_sipp_is_referred(
    ringback: Exchange, answer: str, fragment: str, told: tuple[str, str, str | None]
) -> None:
    done = ringback.hooks.give(f"sipp-referred-{answer[:3]}", "<Hangup/>")
    caller, domain = dialed(
        ringback, f'<Refer action="{done}"><Sip>sip:carol@example.com?X-Case=7</Sip></Refer>'
    )
    fields = ("Event: refer", "Subscription-State: terminated;reason=noresource")
    notify = caller.ask("NOTIFY", 3, *fields, body=fragment, in_dialog=True)
    steps = [
        *established(ringback, caller),
        request("REFER", checks=r"Refer-To: <sip:carol@example\.com\?X-Case=7>"),
        within(answer),
        *([notify.replace("application/sdp", "message/sipfrag"), response(200)] if fragment else []),
        request("BYE"),
        ok(),
    ]
    messages = run(ringback, domain, steps)
    assert f"Referred-By: <sip:x@{domain}>" in messages  # RFC 3892 section 2.1
    asked = ringback.hooks.expect(f"sipp-referred-{answer[:3]}")
    names = ("ReferCallStatus", "ReferSipResponseCode", "NotifySipResponseCode")
    assert tuple(asked.get(name) for name in names) == told
