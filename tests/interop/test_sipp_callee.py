"""SIPp is called: as a phone elsewhere, as a far end with a password, and as a carrier."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator

import pytest
from live import LiveServer, free_port, live_server
from peers.exchange import ALICE, Exchange
from peers.pjsip import Phone, require_pjsip
from peers.sipp import REPEATED, Caller, Sipp, Step, ok, reply, request, require_sipp, response, sdp

from ringback.store import Store, new_sid

require_sipp()
require_pjsip()

CARRIER, CARRIER_BEHIND, CARRIER_IN = free_port(), free_port(), free_port()
"""Ports of the carrier: two gateways that it is called at, and the address that it calls from."""


async def add_carrier(server: LiveServer) -> str:
    """A BYOC trunk with two targets and a known source address, in the database of a server that is down."""
    url = f"sqlite:///{server.directory / 'data' / 'ringback.db'}"
    store = await Store.open(url, base_domain="ringback.localhost")
    account, trunk, policy, domain, record = (
        server.account_sid,
        new_sid("BY"),
        new_sid("NY"),
        new_sid("SD"),
        new_sid("IL"),
    )

    def row(sid: str, **values: object) -> dict[str, object]:
        return {"sid": sid, "account_sid": account, **values}

    def target(port: int, priority: int) -> tuple[str, dict[str, object]]:
        uri = f"sip:127.0.0.1:{port}"
        values = row(new_sid("NE"), connection_policy_sid=policy, target=uri, priority=priority)
        return "connection_policy_targets", values

    await store.insert_all(
        [
            ("connection_policies", row(policy, friendly_name="SIPp")),
            target(CARRIER, 1),
            target(CARRIER_BEHIND, 2),
            ("byoc_trunks", row(trunk, friendly_name="SIPp", connection_policy_sid=policy)),
            ("sip_domains", row(domain, domain_name="sipp.sip.ringback.localhost", byoc_trunk_sid=trunk)),
            ("ip_records", row(record, ip_address="127.0.0.1", port=CARRIER_IN)),
            ("source_ip_mappings", row(new_sid("IB"), ip_record_sid=record, sip_domain_sid=domain)),
        ]
    )
    await store.close()
    return trunk


@pytest.fixture(scope="module")
def ringback(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    folder = tmp_path_factory.mktemp("callee")
    with live_server(folder / "project") as first:
        assert first.stop() == 0
        trunk = asyncio.run(add_carrier(first))
    with live_server(folder / "project") as server:
        running = Exchange(server, folder)
        running.trunk = trunk
        yield running
        running.close()


@pytest.fixture(scope="module")
def alice(ringback: Exchange) -> Iterator[Phone]:
    with Phone(ringback.server, "alice", ringback.folder, codecs=["PCMU"]) as phone:
        yield phone.on()


def dial(ringback: Exchange, inside: str, action: str = "") -> str:
    given = f' action="{action}"' if action else ""
    return ringback.domain(f'<Dial answerOnBridge="true" callerId="+16505550101"{given}>{inside}</Dial>')


def answers(formats: str = "0 101") -> list[Step]:
    """Takes a call, and waits for its end."""
    return [
        request("INVITE"),
        reply(180, "Ringing"),
        reply(200, "OK", body=sdp(formats)),
        request("ACK"),
        request("BYE"),
        ok(),
    ]


def refuses(status: int, reason: str, *more: str) -> list[Step]:
    return [request("INVITE"), reply(status, reason, *more), request("ACK")]


def far_end(ringback: Exchange, steps: list[Step], port: int = 0) -> Sipp:
    return Sipp(ringback.folder, steps, port=port, options=("-rtp_echo",), within=20)


def test_a_pcma_far_end_and_a_pcmu_phone_hear_each_other(ringback: Exchange, alice: Phone) -> None:
    with far_end(ringback, answers("8 101")) as sipp:
        call = alice.call(f"sip:x@{dial(ringback, f'<Sip>sip:echo@127.0.0.1:{sipp.port}</Sip>')}").up()
        call.plays(850)
        call.hears(850)
        call.hang_up()
        call.ended()


def moves_to(uri: str) -> list[str]:
    """Redirects to this place alone."""
    steps = refuses(302, "Moved Temporarily", f"Contact: <{uri}>")
    ours = "Contact: <sip:[local_ip]:[local_port];transport=[transport]>\r\n"
    return [step.replace(ours, "") for step in steps]


def test_a_redirect_to_the_carrier_is_refused(ringback: Exchange, alice: Phone) -> None:
    """Who is dialed by <Sip> may not send the call to a number at the account's cost."""
    database = sqlite3.connect(f"file:{ringback.server.directory}/data/ringback.db?mode=ro", uri=True)
    (carrier,) = database.execute("select port from ip_records").fetchone()
    database.close()
    action = ringback.hooks.give("moved", "<Reject/>")
    with far_end(ringback, moves_to(f"sip:+15005550001@127.0.0.1:{carrier}")) as sipp:
        call = alice.call(f"sip:x@{dial(ringback, f'<Sip>sip:y@127.0.0.1:{sipp.port}</Sip>', action)}")
        assert ringback.hooks.expect("moved")["DialCallStatus"] == "failed"
        call.ended()


def test_a_redirect_is_followed_once(ringback: Exchange, alice: Phone) -> None:
    with (
        far_end(ringback, answers()) as second,
        far_end(ringback, moves_to(f"sip:there@127.0.0.1:{second.port}")) as first,
    ):
        call = alice.call(f"sip:x@{dial(ringback, f'<Sip>sip:here@127.0.0.1:{first.port}</Sip>')}").up()
        call.hang_up()
        call.ended()


@pytest.mark.parametrize("status", [401, 407])
def test_a_far_end_with_a_password(ringback: Exchange, alice: Phone, status: int) -> None:
    name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
    challenge = f'{name}: Digest realm="pbx", nonce="47ebe028cda119c35d4877b383027d28da013815", algorithm=MD5'
    verify = '<verifyauth assign_to="1" username="bond" password="Vesper-Martini-007"/><test assign_to="1" variable="1" compare="equal" value="1"/>'
    steps = [
        *refuses(status, "Unauthorized", challenge),
        request("INVITE", action=verify),
        *answers()[1:],
    ]
    with far_end(ringback, steps) as sipp:
        noun = f'<Sip username="bond" password="Vesper-Martini-007">sip:m@127.0.0.1:{sipp.port}</Sip>'
        call = alice.call(f"sip:x@{dial(ringback, noun)}").up()
        call.hang_up()
        call.ended()
    assert "Vesper" not in ringback.server.output


def test_a_far_end_that_refuses_tells_the_action(ringback: Exchange, alice: Phone) -> None:
    action = ringback.hooks.give("refused", "<Reject/>")
    with far_end(ringback, refuses(486, "Busy Here", "X-Reason: lunch")) as sipp:
        domain = dial(ringback, f"<Sip>sip:y@127.0.0.1:{sipp.port}?x-color=blue</Sip>", action)
        call = alice.call(f"sip:x@{domain}")
        form = ringback.hooks.expect("refused")
        assert (form["DialCallStatus"], form["DialSipResponseCode"]) == ("busy", "486")
        assert form["DialSipHeader_X-Reason"] == "lunch"
        call.ended()
        assert "x-color: blue" in sipp.finish()


def test_a_200_that_crosses_the_cancel_is_acknowledged_and_hung_up(ringback: Exchange, alice: Phone) -> None:
    steps = [
        request("INVITE"),
        reply(180, "Ringing"),
        request("CANCEL"),
        # No answer to the CANCEL, and the 200 of the INVITE, which left before it came.
        reply(200, "OK", body=sdp()).replace("[last_CSeq:]", "CSeq: 1 INVITE"),
        request("ACK"),
        request("BYE"),
        ok(),
    ]
    with far_end(ringback, steps) as sipp:
        call = alice.call(f"sip:x@{dial(ringback, f'<Sip>sip:z@127.0.0.1:{sipp.port}</Sip>')}")
        call.state("EARLY")
        call.hang_up()
        assert call.ended() == 487


def test_a_repeated_200_is_acknowledged_again(ringback: Exchange, alice: Phone) -> None:
    # SIPp's [last_...] would be those of the ACK at the second time.
    keep = "".join(
        f'<ereg regexp=".*" search_in="hdr" header="{name}:" check_it="true" assign_to="{number}"/>'
        for name, number in (("Via", 2), ("To", 3))
    )
    twice = reply(200, "OK", body=sdp()).replace(REPEATED, "")
    twice = twice.replace("[last_Via:]", "Via:[$2]").replace("[last_To:]", "To:[$3]")
    twice = twice.replace("[last_CSeq:]", "CSeq: 1 INVITE")
    steps = [
        request("INVITE", action=keep),
        twice,
        request("ACK"),
        twice,
        request("ACK"),
        request("BYE"),
        ok(),
    ]
    with Sipp(ringback.folder, steps, options=("-nr",)) as sipp:
        call = alice.call(f"sip:x@{dial(ringback, f'<Sip>sip:z@127.0.0.1:{sipp.port}</Sip>')}").up()
        sipp.sent(r"SIP/2.0 200", 2)
        call.hang_up()
        call.ended()


def test_garbage_from_a_far_end_fails_its_call_alone(ringback: Exchange, alice: Phone) -> None:
    bad = reply(200, "OK", body="v=0\nthis is no description")
    with far_end(ringback, [request("INVITE"), bad, request("ACK"), request("BYE"), ok()]) as sipp:
        call = alice.call(f"sip:x@{dial(ringback, f'<Sip>sip:z@127.0.0.1:{sipp.port}</Sip>')}")
        assert call.ended() == 480


# -- the carrier ------------------------------------------------------------------------------------------


def number_noun(ringback: Exchange) -> str:
    return f'<Number byoc="{ringback.trunk}">+14155550123</Number>'


def test_a_carrier_is_called_with_the_number(ringback: Exchange, alice: Phone) -> None:
    with far_end(ringback, answers("8 101"), CARRIER) as sipp:
        call = alice.call(f"sip:x@{dial(ringback, number_noun(ringback))}").up()
        call.plays(600)
        call.hears(600)
        call.hang_up()
        call.ended()
        messages = sipp.finish()
    assert f"INVITE sip:+14155550123@127.0.0.1:{CARRIER} SIP/2.0" in messages
    assert "From: <sip:+16505550101@" in messages


def test_the_next_target_is_tried_when_the_first_is_overloaded(ringback: Exchange, alice: Phone) -> None:
    with (
        far_end(ringback, refuses(503, "Service Unavailable"), CARRIER),
        far_end(ringback, answers(), CARRIER_BEHIND),
    ):
        call = alice.call(f"sip:x@{dial(ringback, number_noun(ringback))}").up()
        call.hang_up()
        call.ended()


def test_a_carrier_rings_the_phone_of_a_number(ringback: Exchange, alice: Phone) -> None:
    caller = Caller(ALICE, "127.0.0.1", caller="+14155550199")
    steps = [
        caller.ask("INVITE", 1, "X-Secret: dropped", body=sdp(), retransmits=True),
        response(100, optional=True),
        response(180, optional=True),
        response(200, routes=True),
        caller.ask("ACK", 1, in_dialog=True),
        request("BYE"),
        ok(),
    ]
    sipp = Sipp(ringback.folder, steps, server=ringback.server, port=CARRIER_IN, options=("-rtp_echo",))
    with sipp:
        incoming = alice.incoming()
        assert "+14155550199" in incoming["caller"]
        alice.tell("answer", call=incoming["call"])
        alice.inbox.expect("state", call=incoming["call"], state="CONFIRMED")
        alice.tell("hangup", call=incoming["call"])
        sipp.finish()


def test_a_carrier_is_told_that_a_number_is_not_there(ringback: Exchange) -> None:
    caller = Caller("+16505550177", "127.0.0.1", caller="+14155550199")
    steps = [caller.ask("INVITE", 1, body=sdp()), response(404), caller.ask("ACK", 1, branch="[branch-2]")]
    with Sipp(ringback.folder, steps, server=ringback.server, port=CARRIER_IN):
        pass


def test_another_port_of_the_carrier_s_host_is_a_stranger(ringback: Exchange) -> None:
    caller = Caller(ALICE, "127.0.0.1", caller="+14155550199")
    steps = [caller.ask("INVITE", 1, body=sdp()), response(407), caller.ask("ACK", 1, branch="[branch-2]")]
    with Sipp(ringback.folder, steps, server=ringback.server):
        pass


# -- who may know who calls ---------------------------------------------------------------------------------------


def test_rfc3325_7_sipp_as_a_stranger_is_asserted_nothing(ringback: Exchange, alice: Phone) -> None:
    for headers, caller in (
        ({}, "<sip:+16505550101@"),
        ({"Privacy": "id"}, "<sip:anonymous@anonymous.invalid>"),
    ):
        with far_end(ringback, answers()) as sipp:
            domain = dial(ringback, f"<Sip>sip:x@127.0.0.1:{sipp.port}</Sip>")
            call = alice.call(
                f"sip:x@{domain}", {**headers, "P-Asserted-Identity": "<sip:boss@evil.test>"}
            ).up()
            call.hang_up()
            call.ended()
            messages = sipp.finish()
        assert caller in messages
        for left_out in ("P-Asserted-Identity", "Privacy", "evil.test", "alice"):
            assert left_out not in messages


def test_rfc3325_9_1_sipp_as_a_carrier_is_told_the_number(ringback: Exchange, alice: Phone) -> None:
    for headers, caller in (
        ({}, "<sip:+16505550101@"),
        ({"Privacy": "id"}, "<sip:anonymous@anonymous.invalid>"),
    ):
        with far_end(ringback, answers(), CARRIER) as sipp:
            call = alice.call(f"sip:x@{dial(ringback, number_noun(ringback))}", headers).up()
            call.hang_up()
            call.ended()
            messages = sipp.finish()
        assert caller in messages
        assert "P-Asserted-Identity: <sip:+16505550101@" in messages
        assert ("Privacy: id" in messages) == bool(headers)


def test_rfc3323_4_2_the_number_of_sipp_as_a_carrier_is_withheld(ringback: Exchange, alice: Phone) -> None:
    caller = Caller(ALICE, "127.0.0.1", caller="+14155550199")
    fields = ("P-Asserted-Identity: <sip:+14155550199@carrier.test>", "Privacy: id")
    steps = [
        caller.ask("INVITE", 1, *fields, body=sdp(), retransmits=True),
        response(100, optional=True),
        response(180, optional=True),
        response(200, routes=True),
        caller.ask("ACK", 1, in_dialog=True),
        request("BYE"),
        ok(),
    ]
    with Sipp(
        ringback.folder, steps, server=ringback.server, port=CARRIER_IN, options=("-rtp_echo",)
    ) as sipp:
        incoming = alice.incoming()
        assert "anonymous@anonymous.invalid" in incoming["caller"]
        assert "4155550199" not in incoming["text"]
        alice.tell("answer", call=incoming["call"])
        alice.inbox.expect("state", call=incoming["call"], state="CONFIRMED")
        alice.tell("hangup", call=incoming["call"])
        sipp.finish()
