"""Calls of PJSIP phones, as PJSIP sees and hears them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from peers.ears import understood
from peers.exchange import ALICE, BOB, BUSY, DIGITS, EARLY, ECHO, REJECTS, RINGS, SPEECH, Exchange, exchange
from peers.pjsip import Call, Phone, header, require_pjsip

require_pjsip()

AT_ONCE = '<Dial answerOnBridge="true" callerId="+16505550101">{}</Dial>'
"""The caller is not answered before the callee: it sees the callee's own status."""


@pytest.fixture(scope="module")
def ringback(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("calls")) as running:
        yield running


@pytest.fixture(scope="module")
def alice(ringback: Exchange) -> Iterator[Phone]:
    with Phone(ringback.server, "alice", ringback.folder) as phone:
        yield phone.on()


@pytest.fixture(scope="module")
def bob(ringback: Exchange) -> Iterator[Phone]:
    with Phone(ringback.server, "bob", ringback.folder, transport="tcp") as phone:
        yield phone.on()


@pytest.fixture(scope="module")
def on_bridge(ringback: Exchange) -> str:
    """A domain that dials what is called, with answerOnBridge."""
    return ringback.domain(lambda form: AT_ONCE.format(form["To"].removeprefix("sip:").partition("@")[0]))


def talk(one: Call, other: Call) -> None:
    """Both say something, and hear each other."""
    one.plays(500)
    other.plays(1250)
    one.hears(1250)
    other.hears(500)


def hang_up(caller: Call, callee: Call | None = None) -> None:
    caller.hang_up()
    caller.ended()
    if callee is not None:
        callee.ended()


# -- the sandbox's numbers ---------------------------------------------------------------------------------


def test_an_echo_is_heard(alice: Phone) -> None:
    call = alice.call(ECHO).up()
    call.plays(700)
    call.hears(700)
    call.hang_up()
    assert call.ended() == 200


def test_speech_is_heard_and_its_end_is_a_bye(alice: Phone) -> None:
    call = alice.call(SPEECH).up()
    heard = call.start_listening()
    assert call.ended(30) == 200
    assert "your call works goodbye" in understood(call.listened(heard))


def test_the_starter_answers_first_and_plays_the_ringing(alice: Phone) -> None:
    call = alice.call(RINGS).up()
    call.hears(440, 480)
    hang_up(call)


def test_a_busy_number_ends_the_answered_call(alice: Phone) -> None:
    assert alice.call(BUSY).up().ended() == 200


def test_ringing_without_an_answer_can_be_cancelled(alice: Phone, on_bridge: str) -> None:
    call = alice.call(f"sip:{RINGS}@{on_bridge}")
    assert call.state("EARLY")["status"] == 180
    call.hang_up()
    assert call.ended() == 487


@pytest.mark.parametrize(("number", "status"), [(BUSY, 486), (REJECTS, 480), ("+15005550099", 480)])
def test_a_failed_number_has_its_status(alice: Phone, on_bridge: str, number: str, status: int) -> None:
    assert alice.call(f"sip:{number}@{on_bridge}").ended() == status


def test_early_media_is_heard_before_the_answer(alice: Phone, on_bridge: str) -> None:
    call = alice.call(f"sip:{EARLY}@{on_bridge}")
    early = call.start_listening(from_the_first=True)
    while call.state("EARLY")["status"] != 183:
        pass
    call.media(status="active")
    call.up()
    assert call.ended(30) == 200
    words = understood(call.listened(early))
    assert words.startswith("the number you have dialed is being connected"), words


def test_four_digits_are_repeated(alice: Phone) -> None:
    call = alice.call(DIGITS).up()
    heard = call.start_listening()
    call.tell("dial", digits="1234")
    assert call.ended(40) == 200
    assert understood(call.listened(heard)).endswith("you entered one two three four goodbye")


# -- phone to phone -----------------------------------------------------------------------------------------


def test_a_call_from_outside_rings_the_phone_of_the_number(ringback: Exchange, alice: Phone) -> None:
    outcome = ringback.call_from_outside(ALICE)
    incoming = alice.incoming()
    assert header(incoming["text"], "X-Twilio-CallSid").startswith("CA")
    assert header(incoming["text"], "X-Twilio-AccountSid") == ringback.server.account_sid
    assert "+15005550009" in incoming["caller"]
    call = Call(alice, incoming["call"])
    call.answer()
    call.up()
    result = outcome.result(20)
    assert result["status"] == "answered", result
    call.hang_up()
    call.ended()
    assert ringback.call_record(result["sid"], "completed").duration is not None


def test_two_phones_talk_through_carrier_and_back(alice: Phone, bob: Phone) -> None:
    caller = bob.call(ALICE)
    callee = alice.rung()
    callee.answer()
    caller.up()
    callee.up()
    talk(caller, callee)
    callee.hang_up()
    assert callee.ended() == 200
    assert caller.ended() == 200


def test_two_phones_talk_by_user_name(alice: Phone, bob: Phone) -> None:
    caller = alice.call("bob")
    callee = bob.rung()
    callee.answer()
    caller.up()
    callee.up()
    talk(caller, callee)
    caller.hang_up()
    assert caller.ended() == 200
    assert callee.ended() == 200


def test_the_caller_gives_up_while_it_rings(alice: Phone, bob: Phone) -> None:
    caller = alice.call("bob").up()
    callee = bob.rung()
    callee.answer(180)
    caller.hang_up()
    caller.ended()
    assert callee.ended() == 487


def dials(ringback: Exchange, user: str, **attributes: str) -> str:
    """A domain that dials a phone of the home domain."""
    given = "".join(f' {name}="{value}"' for name, value in attributes.items())
    sip = f"<Sip>sip:{user}@{ringback.server.domain}</Sip>"
    return ringback.domain(f"<Dial{given}>{sip}</Dial>")


def test_answer_on_bridge_rings_the_caller_until_the_callee_answers(
    ringback: Exchange, alice: Phone, bob: Phone
) -> None:
    caller = alice.call(f"sip:x@{dials(ringback, 'bob', answerOnBridge='true')}")
    callee = bob.rung()
    callee.answer(180)
    assert caller.state("EARLY")["status"] == 180
    callee.answer()
    caller.up()
    callee.up()
    talk(caller, callee)
    hang_up(caller, callee)


@pytest.mark.parametrize(("refusal", "seen"), [(486, 486), (603, 480), (480, 480)])
def test_a_decline_is_told_to_the_caller(
    ringback: Exchange, alice: Phone, bob: Phone, refusal: int, seen: int
) -> None:
    caller = alice.call(f"sip:x@{dials(ringback, 'bob', answerOnBridge='true')}")
    bob.rung().answer(refusal)
    assert caller.ended() == seen


def test_no_answer_cancels_the_callee_and_tells_the_action(
    ringback: Exchange, alice: Phone, bob: Phone
) -> None:
    action = ringback.hooks.give("no-answer", "<Hangup/>")
    domain = dials(ringback, "bob", answerOnBridge="true", timeout="1", action=action)
    caller = alice.call(f"sip:x@{domain}")
    callee = bob.rung()
    callee.answer(180)
    assert callee.ended(20) == 487
    assert ringback.hooks.expect("no-answer")["DialCallStatus"] == "no-answer"
    caller.ended()


def test_the_first_of_several_phones_wins(ringback: Exchange, alice: Phone, bob: Phone) -> None:
    server, folder = ringback.server, ringback.folder
    with (
        Phone(server, "bob", folder, transport="tls") as second,
        Phone(server, "bob", folder, transport="udp") as third,
    ):
        second.on()
        third.on()
        caller = alice.call("bob")
        rung = [phone.rung() for phone in (bob, second, third)]
        for call in rung:
            call.answer(180)
        rung[1].answer()
        rung[1].up()
        caller.up()
        assert rung[0].ended() == 487
        assert rung[2].ended() == 487
        talk(caller, rung[1])
        hang_up(caller, rung[1])
        assert second.unregister()["status"] == 200
        assert third.unregister()["status"] == 200


# -- inside a call --------------------------------------------------------------------------------------------


@pytest.fixture
def connected(alice: Phone, bob: Phone) -> Iterator[tuple[Call, Call]]:
    caller = alice.call("bob")
    callee = bob.rung()
    callee.answer()
    caller.up()
    callee.up()
    yield caller, callee
    hang_up(caller, callee)


@pytest.mark.parametrize("holder", [0, 1])
def test_hold_stops_the_sound_and_resume_brings_it_back(connected: tuple[Call, Call], holder: int) -> None:
    holding, held = connected[holder], connected[1 - holder]
    talk(holding, held)
    holding.media(direction="sendrecv")
    holding.tell("hold")
    assert holding.media(status="local-hold")["direction"] == "sendonly"
    holding.hears_nothing_of(1250)
    held.hears(500)  # the music of the one who holds
    holding.tell("resume")
    assert holding.media(status="active")["direction"] == "sendrecv"
    holding.hears(1250)
    held.hears(500)


def test_a_new_offer_of_the_same_changes_nothing(connected: tuple[Call, Call]) -> None:
    caller, callee = connected
    caller.media(status="active")
    caller.tell("reinvite")
    caller.media(status="active", direction="sendrecv")
    caller.tell("update")
    caller.media(status="active", direction="sendrecv")
    callee.media(status="active")
    callee.tell("reinvite", no_sdp=True)
    callee.media(status="active", direction="sendrecv")
    talk(caller, callee)


def test_digits_pass_both_ways(connected: tuple[Call, Call]) -> None:
    caller, callee = connected
    caller.tell("dial", digits="159#")
    assert [callee.expect("digit")["digit"] for _ in range(4)] == list("159#")
    callee.tell("dial", digits="0*8")
    assert [caller.expect("digit")["digit"] for _ in range(3)] == list("0*8")


def test_digits_by_info_pass_as_telephone_events(connected: tuple[Call, Call]) -> None:
    caller, callee = connected
    for one, other in ((caller, callee), (callee, caller)):
        one.tell("dial", digits="27*", by_info=True)
        assert [other.expect("digit")["digit"] for _ in range(3)] == list("27*")


def test_both_sides_offer_at_once(connected: tuple[Call, Call]) -> None:
    caller, callee = connected
    caller.media(status="active")
    callee.media(status="active")
    caller.tell("hold")
    callee.tell("hold")
    caller.media(status="local-hold")
    callee.media(status="local-hold")
    caller.tell("resume")
    callee.tell("resume")
    caller.media(status="active")
    callee.media(status="active")
    talk(caller, callee)


def test_gather_gets_the_digits(ringback: Exchange, alice: Phone) -> None:
    action = ringback.hooks.give("gathered", "<Hangup/>")
    domain = ringback.domain(f'<Gather action="{action}" numDigits="4" timeout="20"/>')
    call = alice.call(f"sip:x@{domain}").up()
    call.tell("dial", digits="20#7")
    assert ringback.hooks.expect("gathered", 20)["Digits"] == "20"
    call.ended()


def test_gather_without_finish_key_gets_all_digits(ringback: Exchange, alice: Phone) -> None:
    action = ringback.hooks.give("gathered-all", "<Hangup/>")
    domain = ringback.domain(f'<Gather action="{action}" numDigits="4" finishOnKey="" timeout="20"/>')
    call = alice.call(f"sip:x@{domain}").up()
    call.tell("dial", digits="20#7")
    assert ringback.hooks.expect("gathered-all", 20)["Digits"] == "20#7"
    call.ended()


def test_headers_of_the_phone_reach_the_webhook(ringback: Exchange, alice: Phone) -> None:
    domain = ringback.domain("<Reject/>")
    call = alice.call(f"sip:carol@{domain}", headers={"X-Shoe-Size": "43", "Subject": "private"})
    form = ringback.hooks.expect(ringback.hook_of(domain))
    assert form["SipHeader_X-Shoe-Size"] == "43"
    assert "private" not in form.values()
    assert (form["To"], form["SipUsername"]) == (f"sip:carol@{domain}", "alice")
    assert (form["Direction"], form["SipDomain"]) == ("inbound", domain)
    assert call.ended() == 603


def test_two_codecs_are_transcoded(ringback: Exchange, alice: Phone) -> None:
    with Phone(ringback.server, "bob", ringback.folder, codecs=["PCMA"]) as bob:
        domain = ringback.domain(f"<Dial><Sip>sip:bob@{bob.address}</Sip></Dial>")
        caller = alice.call(f"sip:x@{domain}")
        callee = bob.rung()
        callee.answer()
        assert callee.media(status="active")["codec"] == "PCMA"
        assert caller.up().media(status="active")["codec"] == "PCMU"
        talk(caller, callee)
        hang_up(caller, callee)


def test_bob_calls_his_own_number_and_is_rung(ringback: Exchange, bob: Phone) -> None:
    caller = bob.call(BOB)
    callee = bob.rung()
    callee.answer()
    caller.up()
    callee.up()
    talk(caller, callee)
    hang_up(caller, callee)
