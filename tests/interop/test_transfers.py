"""Transfers by the keys of PJSIP phones, as PJSIP sees and hears them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from peers.exchange import Exchange, exchange
from peers.pjsip import Call, Phone, header, require_pjsip

require_pjsip()


@pytest.fixture(scope="module")
def ringback(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("transfers")) as running:
        running.user("carol")
        yield running
        assert running.replay_all()


@pytest.fixture(scope="module")
def phones(ringback: Exchange) -> Iterator[tuple[Phone, Phone, Phone]]:
    server, folder = ringback.server, ringback.folder
    with (
        Phone(server, "alice", folder) as alice,
        Phone(server, "bob", folder, transport="tcp") as bob,
        Phone(server, "carol", folder) as carol,
    ):
        yield alice.on(), bob.on(), carol.on()


@pytest.fixture
def refer(ringback: Exchange, request: pytest.FixtureRequest) -> str:
    """The hook of a program that says to dial whom the Refer-To names."""

    def dial(form: dict[str, str]) -> str:
        target = form["ReferTransferTarget"].strip("<>").partition(";")[0]
        return f"<Dial answerOnBridge='true'><Sip>{target}</Sip></Dial>"

    name = f"refer-{request.node.originalname}"
    ringback.hooks.give(name, dial)
    return name


def up(ringback: Exchange, alice: Phone, bob: Phone, attributes: str = "") -> tuple[Call, Call, str]:
    """alice has called bob by a Dial with these attributes: her call, his, and her CallSid."""
    domain = ringback.domain(f"<Dial {attributes}><Sip>sip:bob@{ringback.server.domain}</Sip></Dial>")
    call = alice.call(f"sip:x@{domain}")
    rung = bob.rung()
    rung.answer()
    rung.up()
    call.state("CONFIRMED")
    return call, rung, str(ringback.hooks.expect(ringback.hook_of(domain))["CallSid"])


def talk(one: Call, other: Call) -> None:
    """Both say something, and hear each other."""
    one.plays(500)
    other.plays(1250)
    one.hears(1250)
    other.hears(500)


def test_rfc3515_2_4_pjsip_as_callee_transfers_its_caller(
    ringback: Exchange, phones: tuple[Phone, Phone, Phone], refer: str
) -> None:
    alice, bob, carol = phones
    call, rung, sid = up(ringback, alice, bob, f'referUrl="{ringback.hooks.url}/{refer}"')
    rung.transfer(f"sip:carol@{ringback.server.domain}")
    assert rung.transferred() == 200
    assert rung.ended() == 200
    asked = ringback.hooks.expect(refer)
    assert asked["ReferTransferTarget"].strip("<>") == f"sip:carol@{ringback.server.domain}"
    assert (asked["CallSid"], asked["CallStatus"]) == (sid, "in-progress")
    invite = carol.incoming()
    assert header(invite["text"], "Referred-By") == f"<sip:bob@{ringback.server.domain}>"
    there = Call(carol, invite["call"])
    there.answer()
    talk(call, there.up())
    there.hang_up()
    there.ended()
    assert call.ended() == 200
    assert ringback.call_record(sid, "completed").direction == "inbound"


def test_rfc3515_2_4_pjsip_as_caller_transfers_whom_it_called(
    ringback: Exchange, phones: tuple[Phone, Phone, Phone], refer: str
) -> None:
    alice, bob, carol = phones
    call, rung, sid = up(ringback, alice, bob, f'referUrl="{ringback.hooks.url}/{refer}"')
    call.transfer(f"sip:carol@{ringback.server.domain}")
    assert call.transferred() == 200
    assert call.ended() == 200
    assert ringback.hooks.expect(refer)["ParentCallSid"] == sid
    there = carol.rung()
    there.answer()
    talk(rung, there.up())
    rung.hang_up()
    rung.ended()
    assert there.ended() == 200


def test_rfc4488_4_pjsip_wants_to_hear_no_more_of_its_transfer(
    ringback: Exchange, phones: tuple[Phone, Phone, Phone], refer: str
) -> None:
    alice, bob, carol = phones
    call, rung, _ = up(ringback, alice, bob, f'referUrl="{ringback.hooks.url}/{refer}"')
    silent = {"Refer-Sub": "false", "Require": "norefersub"}
    rung.transfer(f"sip:carol@{ringback.server.domain}", silent)
    answer = rung.expect("message")["text"]
    while "REFER" not in header(answer, "CSeq"):
        answer = rung.expect("message")["text"]
    assert (answer.split()[1], header(answer, "Refer-Sub")) == ("202", "false")
    assert rung.ended() == 200
    there = carol.rung()
    there.answer()
    talk(call, there.up())
    there.hang_up()
    there.ended()
    assert call.ended() == 200


def test_rfc3515_2_4_pjsip_waits_for_its_target_where_answer_on_bridge_says_so(
    ringback: Exchange, phones: tuple[Phone, Phone, Phone], refer: str
) -> None:
    alice, bob, carol = phones
    call, rung, _ = up(ringback, alice, bob, f'answerOnBridge="true" referUrl="{ringback.hooks.url}/{refer}"')
    rung.transfer(f"sip:carol@{ringback.server.domain}")
    there = carol.rung()
    there.answer(486)
    there.ended()
    assert rung.transferred() == 486
    talk(call, rung)
    rung.transfer(f"sip:carol@{ringback.server.domain}")
    there = carol.rung()
    there.answer(180)
    assert rung.expect("transfer", status=180)["final"] is False
    there.answer()
    assert rung.transferred() == 200
    assert rung.ended() == 200
    talk(call, there.up())
    call.hang_up()
    call.ended()
    there.ended()


def test_rfc3515_2_4_2_pjsip_is_refused_without_a_refer_url(
    ringback: Exchange, phones: tuple[Phone, Phone, Phone]
) -> None:
    alice, bob, _ = phones
    call, rung, sid = up(ringback, alice, bob)
    rung.transfer(f"sip:carol@{ringback.server.domain}")
    assert rung.transferred() == 603
    talk(call, rung)
    call.hang_up()
    call.ended()
    rung.ended()
    children = ringback.client.calls.list(parent_call_sid=sid)
    assert any("13802" in str(note.error_code) for note in children[0].notifications.list())


@pytest.mark.parametrize("called", [True, False])
def test_rfc3891_3_pjsip_connects_the_far_ends_of_its_two_calls(
    ringback: Exchange, phones: tuple[Phone, Phone, Phone], called: bool
) -> None:
    """bob consults carol and leaves alice with her; ``called``: he was called by alice, and else he called her."""
    alice, bob, carol = phones
    home = ringback.server.domain
    anybody = ringback.domain(lambda form: f"<Dial><Sip>{form['To'].partition('@')[0]}@{home}</Sip></Dial>")
    if called:
        call, first, _ = up(ringback, alice, bob)
    else:
        first = bob.call(f"sip:alice@{anybody}")
        call = alice.rung()
        call.answer()
        call.up()
        first.state("CONFIRMED")
    first.tell("hold")
    first.media(status="local-hold")
    second = bob.call(f"sip:carol@{anybody}")
    there = carol.rung()
    there.answer()
    there.up()
    second.state("CONFIRMED")
    first.replace(second)
    assert first.transferred() == 200
    assert first.ended() == 200
    assert second.ended() == 200
    talk(call, there)
    call.hang_up()
    call.ended()
    assert there.ended() == 200


@pytest.mark.parametrize("attributes", ["", "answerOnBridge='true'"])
@pytest.mark.parametrize("hangs_up", [False, True])
def test_rfc5589_7_pjsip_transfers_to_who_still_rings(
    ringback: Exchange, phones: tuple[Phone, Phone, Phone], attributes: str, hangs_up: bool
) -> None:
    """bob's call of carol is answered by the exchange, or it is early (RFC 3891 section 3: a dialog that he began)."""
    alice, bob, carol = phones
    call, first, _ = up(ringback, alice, bob)
    domain = ringback.domain(f"<Dial {attributes}><Sip>sip:carol@{ringback.server.domain}</Sip></Dial>")
    second = bob.call(f"sip:x@{domain}")
    there = carol.rung()
    there.answer(180)
    second.state("EARLY" if attributes else "CONFIRMED")
    first.replace(second)
    assert first.expect("transfer", status=180)["final"] is False
    if hangs_up:
        second.hang_up()
        first.hang_up()
        second.ended()
        first.ended()
    there.answer()
    there.up()
    if not hangs_up:
        assert first.transferred() == 200
        assert first.ended() == 200
        assert second.ended() == (487 if attributes else 200)
    talk(call, there)
    call.hang_up()
    call.ended()
    assert there.ended() == 200


def test_rfc5589_7_pjsip_has_its_call_back_when_who_rings_declines(
    ringback: Exchange, phones: tuple[Phone, Phone, Phone]
) -> None:
    alice, bob, carol = phones
    call, first, _ = up(ringback, alice, bob)
    domain = ringback.domain(f"<Dial><Sip>sip:carol@{ringback.server.domain}</Sip></Dial>")
    second = bob.call(f"sip:x@{domain}")
    there = carol.rung()
    second.state("CONFIRMED")
    first.replace(second)
    assert first.expect("transfer", status=100)["final"] is False
    there.answer(486)
    there.ended()
    assert first.transferred() == 486
    assert second.ended() == 200
    talk(call, first)
    call.hang_up()
    call.ended()
    first.ended()


@pytest.mark.parametrize(("status", "word"), [(200, "in-progress"), (486, "busy")])
def test_rfc3515_2_4_4_pjsip_follows_the_refer_of_a_document(
    ringback: Exchange, phones: tuple[Phone, Phone, Phone], status: int, word: str
) -> None:
    alice, _, carol = phones
    done = ringback.hooks.give(f"referred-{status}", "<Hangup/>")
    at_once = f"<Dial answerOnBridge='true'><Sip>sip:carol@{ringback.server.domain}</Sip></Dial>"
    target = f"sip:carol@{ringback.domain(at_once)}"
    domain = ringback.domain(f'<Refer action="{done}"><Sip>{target}</Sip></Refer>')
    call = alice.call(f"sip:x@{domain}")
    new = call.referred()
    there = carol.rung()
    there.answer(status)
    asked = ringback.hooks.expect(f"referred-{status}")
    assert asked["ReferCallStatus"] == word
    assert (asked["ReferSipResponseCode"], asked["NotifySipResponseCode"]) == ("202", str(status))
    assert call.ended() == 200
    if status == 200:
        talk(new, there.up())
        new.hang_up()
    there.ended()
    new.ended()


def test_rfc3891_3_pjsip_takes_the_place_of_another_phone(
    ringback: Exchange, phones: tuple[Phone, Phone, Phone]
) -> None:
    alice, bob, carol = phones
    call, rung, sid = up(ringback, alice, bob)
    value = replaces_of(call)
    taker = carol.call(f"sip:x@{ringback.server.domain}", {"Require": "replaces", "Replaces": value})
    taker.up()
    assert call.ended() == 200
    talk(taker, rung)
    rung.hang_up()
    rung.ended()
    assert taker.ended() == 200
    assert ringback.call_record(sid, "completed").direction == "inbound"
    again = carol.call(f"sip:x@{ringback.server.domain}", {"Require": "replaces", "Replaces": value})
    assert again.ended() == 481


def replaces_of(call: Call) -> str:
    """The dialog of a call that this phone placed, as the exchange finds it."""
    while True:
        text = call.expect("message")["text"]
        if text.startswith("SIP/2.0 200") and "INVITE" in header(text, "CSeq"):
            ours, theirs = (header(text, name).partition("tag=")[2] for name in ("From", "To"))
            return f"{header(text, 'Call-ID')};to-tag={theirs};from-tag={ours}"
