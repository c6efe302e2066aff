"""Transfers by a far end's REFER (Twilio: Inbound SIP REFER), and attended ones between calls of the exchange."""

from __future__ import annotations

import pytest
from unit.call.fake_directory import OURS
from unit.twiml.driver import Leg, World

from ringback.call import effects as fx
from ringback.call import events as ev

REFER = "http://app.test/refer"
DONE = "http://app.test/done"
PHONE = "sip:phone@office.test"
TARGET = "<sip:carol@example.com?X-Case=7>"
TO_CAROL = "<Response><Dial><Sip>sip:carol@example.com</Sip></Dial></Response>"
BUSY_CAROL = '<Response><Dial action="/sorry"><Sip>sip:carol@example.com</Sip></Dial></Response>'


def talking(attributes: str = 'referUrl="/refer"', *, refer: str | int = TO_CAROL) -> tuple[World, Leg, Leg]:
    """A caller talks with an agent whom a Dial has rung."""
    world = World({REFER: refer, DONE: "<Response><Say>done</Say></Response>"})
    twiml = f'<Dial action="/done" {attributes}><Sip>sip:agent@example.com</Sip></Dial>'
    call = world.inbound(twiml, from_=PHONE)
    world.run(0.5)
    agent = world.child(call).answer()
    world.run(3)
    assert call.bridged is agent
    return world, call, agent


# -- blind, by who was called


def test_twiml_refer_of_the_callee_asks_the_refer_url_for_the_caller() -> None:
    world, call, agent = talking()
    number = agent.refer(TARGET)
    assert agent.referrals[number] == [202]
    assert call.bridged is agent
    world.run(0.2)
    (asked,) = world.asked(REFER)
    assert (asked.call_sid, asked.method) == (call.sid, "POST")
    assert asked["ReferTransferTarget"] == TARGET
    assert (asked["CallStatus"], asked["From"]) == ("in-progress", call.setup.from_)
    assert agent.referrals[number] == [202, 200]
    assert agent.status == "completed"
    carol = world.child(call)
    assert carol.setup.to == "sip:carol@example.com"
    carol.answer()
    assert call.bridged is carol
    world.run(2)
    carol.hang_up()
    world.run(1)
    assert not world.asked(DONE)
    world.assert_over()


def test_rfc3892_2_2_who_transfers_is_passed_on_to_who_is_called() -> None:
    nouns = "<Sip>sip:carol@example.com</Sip><Number>+14155552222</Number>"
    program = f"<Response><Dial callerId='{OURS}'>{nouns}</Dial></Response>"
    world, call, agent = talking(refer=program)
    assert not agent.setup.targets[0]["headers"]
    agent.refer(by="<sip:agent@example.com>")
    world.run(0.2)
    phone, carrier = world.children(call)[-2:]
    assert phone.setup.targets[0]["headers"] == [["Referred-By", "<sip:agent@example.com>"]]
    assert not carrier.setup.targets[0]["headers"]
    world.end()


def test_twiml_refer_method_is_used() -> None:
    world, _, agent = talking('referUrl="/refer" referMethod="GET"')
    agent.refer()
    world.run(0.2)
    assert world.asked(REFER)[0].method == "GET"
    world.end()


def test_twiml_refer_without_refer_url_is_refused_and_the_call_goes_on() -> None:
    world, call, agent = talking("")
    number = agent.refer()
    assert agent.referrals[number] == [603]
    assert agent.codes("error") == [13802]
    assert call.bridged is agent
    world.run(5)
    agent.hang_up()
    world.run(2)
    assert len(world.asked(DONE)) == 1
    world.assert_over()


def test_twiml_refer_to_more_than_256_characters_is_refused() -> None:
    world, call, agent = talking()
    number = agent.refer(f"<sip:{'x' * 250}@example.com>")
    assert agent.referrals[number] == [400]
    assert call.bridged is agent
    world.end()


@pytest.mark.parametrize("answer", [404, "<Response><Nonsense"])
def test_twiml_refer_url_that_fails_ends_the_transferor_all_the_same(answer: str | int) -> None:
    world, call, agent = talking(refer=answer)
    number = agent.refer()
    world.run(3)
    assert agent.referrals[number] == [202, 503]
    assert agent.over
    assert call.said == ["An application error has occurred. Goodbye."]
    world.assert_over()


def test_twiml_refer_of_an_agent_who_hangs_up_at_once_goes_on() -> None:
    world, call, agent = talking()
    agent.refer()
    agent.hang_up()
    world.run(0.2)
    world.child(call).answer()
    assert call.bridged is world.child(call)
    world.end()


def test_twiml_refer_is_over_when_the_caller_hangs_up() -> None:
    world, call, agent = talking()
    number = agent.refer()
    call.hang_up()
    world.run(1)
    assert agent.referrals[number] == [202, 487]
    world.assert_over()


def test_twiml_refer_twice_is_put_off() -> None:
    world, _, agent = talking()
    agent.refer()
    assert agent.referrals[agent.refer()] == [491]
    world.end()


# -- blind, by who called


def test_twiml_refer_of_the_caller_asks_the_refer_url_for_the_callee() -> None:
    world, call, callee = talking()
    number = call.refer(TARGET)
    world.run(0.2)
    (asked,) = world.asked(REFER)
    assert asked.call_sid == callee.sid
    assert asked["ParentCallSid"] == call.sid
    assert asked["ReferTransferTarget"] == TARGET
    assert call.referrals[number] == [202, 200]
    assert call.status == "completed"
    assert [request.is_question for request in world.requests if request.url == DONE] == [False]
    carol = world.child(callee).answer()
    assert callee.bridged is carol
    world.run(2)
    carol.hang_up()
    world.run(1)
    world.assert_over()


def test_twiml_refer_of_a_caller_who_hangs_up_at_once_goes_on() -> None:
    world, call, callee = talking()
    call.refer()
    call.hang_up()
    world.run(0.2)
    carol = world.child(callee).answer()
    assert callee.bridged is carol
    world.end()


def test_twiml_refer_of_the_caller_without_refer_url_is_refused() -> None:
    world, call, callee = talking("")
    assert call.referrals[call.refer()] == [603]
    assert call.codes("error") == [13802]
    assert call.bridged is callee
    world.end()


# -- the transferor waits (answerOnBridge)

WAITS = 'referUrl="/refer" answerOnBridge="true"'


def transferring(who: str, *, refer: str | int = TO_CAROL) -> tuple[World, Leg, Leg]:
    """One of two who talk asks for a transfer, and waits: the transferor, and who stays."""
    world, call, callee = talking(WAITS, refer=refer)
    transferor, stays = (callee, call) if who == "callee" else (call, callee)
    assert transferor.refer() == 1
    world.run(0.2)
    return world, transferor, stays


@pytest.mark.parametrize("who", ["callee", "caller"])
def test_twiml_refer_with_answer_on_bridge_keeps_the_transferor_until_the_answer(who: str) -> None:
    world, transferor, stays = transferring(who)
    carol = world.children(stays)[-1]
    assert not transferor.over
    assert transferor.bridged is None
    carol.ring()
    assert transferor.referrals[1] == [202, 180]
    carol.answer()
    assert stays.bridged is carol
    assert transferor.referrals[1] == [202, 180, 200]
    assert transferor.over
    world.run(2)
    carol.hang_up()
    world.run(1)
    assert stays.over
    world.assert_over()


@pytest.mark.parametrize("who", ["callee", "caller"])
@pytest.mark.parametrize(("status", "notified"), [(486, 486), (404, 480)])
def test_twiml_refer_with_answer_on_bridge_resumes_when_nobody_answers(
    who: str, status: int, notified: int
) -> None:
    world, transferor, stays = transferring(who)
    world.children(stays)[-1].reject(status)
    world.run(0.2)
    assert transferor.referrals[1] == [202, notified]
    assert stays.bridged is transferor
    again = transferor.refer()
    world.run(0.2)
    world.children(stays)[-1].answer()
    assert transferor.referrals[again] == [202, 200]
    world.end()


@pytest.mark.parametrize("who", ["callee", "caller"])
def test_twiml_refer_with_answer_on_bridge_resumes_when_the_program_fails(who: str) -> None:
    world, transferor, stays = transferring(who, refer=500)
    assert transferor.referrals[1] == [202, 503]
    assert stays.bridged is transferor
    assert stays.codes("error") == [11200]
    world.end()


@pytest.mark.parametrize("who", ["callee", "caller"])
def test_twiml_refer_of_a_waiting_transferor_who_hangs_up(who: str) -> None:
    world, transferor, stays = transferring(who)
    transferor.hang_up()
    world.run(0.2)
    carol = world.children(stays)[-1].answer()
    assert stays.bridged is carol
    carol.hang_up()
    world.run(1)
    world.assert_over()


@pytest.mark.parametrize("who", ["callee", "caller"])
def test_twiml_refer_of_a_waiting_transferor_who_hangs_up_in_vain(who: str) -> None:
    world, transferor, stays = transferring(who)
    transferor.hang_up()
    world.children(stays)[-1].reject(486)
    world.run(2)
    world.assert_over()


def test_twiml_refer_document_that_hangs_up_ends_both() -> None:
    world, _, agent = talking(WAITS, refer="<Response><Say>Bye</Say><Hangup/></Response>")
    number = agent.refer()
    world.run(2)
    assert agent.referrals[number] == [202, 603]
    world.assert_over()


def test_twiml_redirect_ends_a_transfer() -> None:
    world, call, agent = talking(WAITS)
    agent.refer()
    world.run(0.2)
    call.redirect(twiml="<Response><Say>Elsewhere</Say></Response>")
    world.run(2)
    assert call.said == ["Elsewhere"]
    world.assert_over()


# -- where there is nobody to transfer


@pytest.mark.parametrize(
    "verb", ["<Gather/>", "<Pause length='9'/>", "<Dial><Conference>room</Conference></Dial>"]
)
def test_twiml_refer_outside_a_connection_is_refused(verb: str) -> None:
    world = World()
    call = world.inbound(f"<Say>Hi</Say>{verb}", from_=PHONE)
    world.run(2)
    assert call.referrals[call.refer()] == [603]
    assert call.codes("warning") == [0]
    world.end()


def test_twiml_refer_of_a_carrier_is_refused() -> None:
    world = World({REFER: TO_CAROL})
    call = world.inbound('<Dial referUrl="/refer"><Sip>sip:agent@example.com</Sip></Dial>')
    world.run(0.5)
    agent = world.child(call).answer()
    assert call.referrals[call.refer()] == [603]
    assert [note.text for note in call.all(fx.Note) if note.level == "warning" and "carrier" in note.text]
    assert call.bridged is agent
    assert agent.referrals[agent.refer()] == [202]
    world.end()


# -- attended


def pair(world: World, agent_called: bool) -> tuple[Leg, Leg]:
    """A call of the agent's phone with somebody: the agent's leg, and the other's."""
    twiml = "<Dial action='/done'><Sip>sip:one@example.com</Sip></Dial><Say>after</Say>"
    call = world.inbound(twiml, from_=PHONE)
    world.run(0.5)
    child = world.child(call).answer()
    world.run(0.5)
    return (call, child) if agent_called else (child, call)


@pytest.mark.parametrize("called_first", [True, False])
@pytest.mark.parametrize("called_second", [True, False])
def test_twiml_attended_transfer_connects_who_stay(called_first: bool, called_second: bool) -> None:
    world = World({DONE: "<Response><Hangup/></Response>"})
    agent_one, customer = pair(world, called_first)
    agent_two, colleague = pair(world, called_second)
    number = agent_one.refer("<sip:one@example.com?Replaces=x>", agent_two)
    world.run(0.5)
    assert agent_one.referrals[number] == [202, 200]
    assert agent_one.over
    assert agent_two.over
    assert customer.bridged is colleague
    world.run(5)
    assert not customer.over
    assert not colleague.over
    customer.hang_up()
    world.run(1)
    assert colleague.over
    assert {leg.row["status"] for leg in world.calls.values()} == {"completed"}
    world.assert_over()


@pytest.mark.parametrize("called_second", [True, False])
def test_twiml_attended_transfer_may_be_followed_by_another(called_second: bool) -> None:
    world = World({DONE: "<Response><Hangup/></Response>"})
    agent_one, customer = pair(world, True)
    agent_two, colleague = pair(world, called_second)
    agent_one.refer("x", agent_two)
    world.run(0.5)
    colleague_two, boss = pair(world, True)
    assert colleague.referrals[colleague.refer("x", colleague_two)] == [202, 200]
    world.run(0.5)
    assert customer.bridged is boss
    assert colleague.over
    boss.hang_up()
    world.run(1)
    assert customer.over
    world.assert_over()


@pytest.mark.parametrize("gone", ["customer", "colleague"])
def test_twiml_attended_transfer_of_who_hangs_up_at_that_moment(gone: str) -> None:
    world = World({DONE: "<Response><Hangup/></Response>"})
    agent_one, customer = pair(world, True)
    agent_two, colleague = pair(world, False)
    leg = customer if gone == "customer" else colleague

    def hang_up() -> None:
        leg.hang_up()
        world.overtake()

    world.at_step[world.steps + 2] = hang_up
    agent_one.refer("x", agent_two)
    world.run(5)
    world.assert_over()


def test_twiml_a_callee_that_was_transferred_obeys_its_dial_no_more() -> None:
    world = World({DONE: "<Response><Hangup/></Response>"})
    agent_one, customer = pair(world, True)
    agent_two, colleague = pair(world, True)
    agent_one.refer("x", agent_two)
    world.run(0.5)
    released = [effect for effect in agent_one.all(fx.Tell) if effect.subject == "release"]
    assert [effect.recipient for effect in released] == [customer.sid]
    assert not customer.over
    colleague.redirect(twiml="<Response><Say>Alone</Say></Response>")
    world.run(3)
    assert colleague.said == ["Alone"]
    assert customer.over
    world.assert_over()


# -- attended, before the other call is answered

EARLY = 'answerOnBridge="true"'


def consulting(attributes: str = "", *, agent_called: bool = True) -> tuple[World, Leg, Leg, Leg]:
    """An agent talks with a customer, and calls a colleague who rings: the agent's two legs, and the customer's."""
    world = World({DONE: "<Response><Hangup/></Response>"})
    agent, customer = pair(world, agent_called)
    twiml = f"<Dial action='/done' {attributes}><Sip>sip:colleague@example.com</Sip></Dial>"
    other = world.inbound(twiml, from_=PHONE)
    world.run(0.5)
    world.child(other).ring()
    return world, agent, customer, other


@pytest.mark.parametrize("agent_called", [True, False])
@pytest.mark.parametrize("attributes", ["", EARLY])
def test_twiml_semi_attended_transfer_rings_on_for_who_stays(agent_called: bool, attributes: str) -> None:
    world, agent, customer, other = consulting(attributes, agent_called=agent_called)
    colleague = world.child(other)
    number = agent.refer("<sip:colleague@example.com?Replaces=x>", other)
    world.run(0.5)
    assert agent.referrals[number] == [202, 180]
    assert customer.bridged is None
    assert customer.played[-1] == ["tone", "ringback:us"]
    colleague.answer()
    assert agent.referrals[number] == [202, 180, 200]
    assert customer.bridged is colleague
    assert not customer.playing
    world.run(1)
    assert agent.over
    assert other.over
    assert other.status == ("canceled" if attributes else "completed")
    assert [effect.status for effect in other.all(fx.Refuse)] == ([487] if attributes else [])
    world.run(5)
    assert customer.bridged is colleague
    colleague.hang_up()
    world.run(1)
    assert customer.over
    world.assert_over()


@pytest.mark.parametrize("attributes", ["", EARLY])
def test_twiml_semi_attended_transfer_of_a_transferor_who_hangs_both_up(attributes: str) -> None:
    world, agent, customer, other = consulting(attributes)
    colleague = world.child(other)
    agent.refer("x", other)
    other.hang_up()
    agent.hang_up()
    world.run(3)
    assert (agent.over, other.over) == (True, True)
    assert colleague.state == "placed"
    colleague.answer()
    assert customer.bridged is colleague
    customer.hang_up()
    world.run(1)
    assert colleague.over
    world.assert_over()


@pytest.mark.parametrize(("attributes", "refusal"), [("", 0), (EARLY, 486)])
def test_twiml_semi_attended_transfer_in_vain_comes_back(attributes: str, refusal: int) -> None:
    world, agent, customer, other = consulting(attributes)
    number = agent.refer("x", other)
    world.child(other).reject(486)
    world.run(0.5)
    assert agent.referrals[number] == [202, 180, 486]
    assert customer.bridged is agent
    (asked,) = world.asked(DONE)
    assert asked["DialCallStatus"] == "busy"
    assert [effect.status for effect in other.all(fx.Refuse)] == ([refusal] if refusal else [])
    world.end()


def test_twiml_semi_attended_transfer_keeps_the_time_that_the_ringing_has_left() -> None:
    world, agent, customer, other = consulting('timeout="10"')
    colleague = world.child(other)
    world.run(5)
    number = agent.refer("x", other)
    other.hang_up()
    world.run(9)
    assert agent.referrals[number] == [202, 180]
    world.run(2)
    assert agent.referrals[number] == [202, 180, 480]
    assert customer.bridged is agent
    assert colleague.over
    world.end()


def test_twiml_semi_attended_transfer_in_vain_of_a_transferor_who_hung_up_ends() -> None:
    world, agent, customer, other = consulting()
    agent.refer("x", other)
    other.hang_up()
    agent.hang_up()
    world.child(other).reject(486)
    world.run(1)
    assert customer.over
    world.assert_over()


def test_twiml_semi_attended_transfer_of_who_hangs_up_stops_the_ringing() -> None:
    world, agent, customer, other = consulting()
    number = agent.refer("x", other)
    customer.hang_up()
    world.run(1)
    assert agent.referrals[number] == [202, 180, 487]
    assert world.child(other).status == "no-answer"
    world.run(1)
    world.end()


def test_twiml_semi_attended_transfer_gives_the_early_media_to_who_stays() -> None:
    world, agent, customer, other = consulting()
    colleague = world.child(other)
    colleague.ring(183, early_media=True)
    assert other.bridged is colleague
    number = agent.refer("x", other)
    assert customer.bridged is colleague
    assert other.playing
    colleague.answer()
    assert agent.referrals[number] == [202, 183, 200]
    assert customer.bridged is colleague
    world.end()


def test_twiml_semi_attended_transfer_to_who_hears_a_whisper_document() -> None:
    world, agent, customer, _ = consulting()
    world.pages["http://app.test/whisper"] = "<Response><Say>For you</Say></Response>"
    noun = '<Sip url="/whisper">sip:colleague@example.com</Sip>'
    other = world.inbound(f"<Dial action='/done'>{noun}</Dial>", from_=PHONE)
    world.run(0.5)
    colleague = world.child(other).answer()
    world.run(0.3)
    number = agent.refer("x", other)
    assert agent.referrals[number] == [202]
    other.hang_up()
    world.run(2)
    assert colleague.said == ["For you"]
    assert customer.bridged is colleague
    assert agent.referrals[number] == [202, 200]
    world.end()


def test_twiml_semi_attended_transfer_to_who_answers_at_that_moment() -> None:
    world, agent, customer, other = consulting()
    colleague = world.child(other)
    agent.referrals[1] = []
    world.at_once((agent, ev.LegReferred(1, "x", other.sid, "")), (colleague, colleague.picked_up()))
    assert agent.referrals[1][-1] == 200
    assert customer.bridged is colleague
    world.run(1)
    assert (agent.over, other.over) == (True, True)
    world.end()


def test_twiml_semi_attended_transfer_to_a_call_that_has_just_ended_is_refused() -> None:
    world, agent, customer, other = consulting(EARLY)
    other.hang_up()
    world.run(1)
    agent.referrals[1] = []
    world.deliver(agent, ev.LegReferred(1, "x", other.sid, ""))
    assert agent.referrals[1] == [603]
    assert customer.bridged is agent
    world.end()


def test_twiml_semi_attended_transfer_of_several_that_ring_takes_the_first() -> None:
    world, agent, customer, _ = consulting()
    nouns = "".join(f"<Sip>sip:{name}@example.com</Sip>" for name in "abc")
    other = world.inbound(f"<Dial action='/done'>{nouns}</Dial>", from_=PHONE)
    world.run(0.5)
    one, two, three = world.children(other)
    one.reject(486)
    agent.refer("x", other)
    three.answer()
    assert customer.bridged is three
    assert two.status == "canceled"
    world.end()


def test_twiml_a_phone_picks_up_what_rings_on_after_a_transfer() -> None:
    world, agent, customer, other = consulting()
    number = agent.refer("x", other)
    colleague = world.child(other)
    assert colleague.actor.call.partner == customer.sid
    taker = replacing(world, colleague, customer)
    world.run(0.5)
    assert customer.bridged is taker
    assert agent.referrals[number] == [202, 180, 200]
    assert colleague.status == "canceled"
    world.end()


def test_twiml_attended_transfer_to_a_call_that_rings_at_the_transferor() -> None:
    """He gives who is on the line to who calls him at the moment."""
    world = World({DONE: "<Response><Hangup/></Response>"})
    agent, customer = pair(world, True)
    caller = world.inbound("<Dial><Sip>sip:agent@example.com</Sip></Dial>")
    world.run(0.5)
    second = world.child(caller).ring()
    number = agent.refer("x", second)
    world.run(0.5)
    assert agent.referrals[number] == [202, 200]
    assert customer.bridged is caller
    assert second.status == "canceled"
    world.end()


# -- attended, into a document: a menu, a conference

MENU = "<Say>Hello</Say><Gather action='/chosen' numDigits='1'><Say>Choose</Say></Gather><Say>None</Say>"
ROOM = "<Dial action='/left'><Conference {}>Room</Conference></Dial>"


def refer_into(agent: Leg, other: Leg, on_other: bool) -> tuple[Leg, int]:
    """The agent's REFER, on its call with the customer or on the other one: that leg, and the REFER's number."""
    return (other, other.refer("x", agent)) if on_other else (agent, agent.refer("x", other))


@pytest.mark.parametrize("agent_called", [True, False])
@pytest.mark.parametrize("on_other", [True, False])
def test_rfc5589_7_attended_transfer_into_a_menu_begins_its_verb_anew(
    agent_called: bool, on_other: bool
) -> None:
    chosen = "http://app.test/chosen"
    world = World({DONE: "<Response><Hangup/></Response>", chosen: "<Response><Say>Thanks</Say></Response>"})
    agent, customer = pair(world, agent_called)
    menu = world.inbound(MENU, from_=PHONE)
    world.run(1.5)
    assert menu.said == ["Hello", "Choose"]
    leg, number = refer_into(agent, menu, on_other)
    world.run(0.5)
    assert leg.referrals[number] == [202, 200]
    assert (agent.over, menu.over, customer.over) == (True, True, False)
    assert customer.said == ["Choose"]
    customer.press("7")
    world.run(3)
    (asked,) = world.asked(chosen)
    assert (asked.call_sid, asked["Digits"]) == (customer.sid, "7")
    assert customer.said == ["Choose", "Thanks"]
    world.assert_over()


@pytest.mark.parametrize("agent_called", [True, False])
@pytest.mark.parametrize("on_other", [True, False])
def test_rfc5589_7_attended_transfer_into_a_conference_changes_its_member(
    agent_called: bool, on_other: bool
) -> None:
    left = "http://app.test/left"
    world = World({DONE: "<Response><Hangup/></Response>", left: "<Response><Hangup/></Response>"})
    boss = world.inbound(ROOM.format(""))
    world.run(0.5)
    agent, customer = pair(world, agent_called)
    options = "endConferenceOnExit='true' participantLabel='us' maxParticipants='2'"
    other = world.inbound(ROOM.format(options), from_=PHONE)
    world.run(0.5)
    (conference,) = world.conferences.values()
    conference.on_mute(other.sid, True, 0)
    leg, number = refer_into(agent, other, on_other)
    world.run(0.5)
    assert leg.referrals[number] == [202, 200]
    assert (agent.over, other.over) == (True, True)
    assert set(conference.members) == {boss.sid, customer.sid}
    member = conference.members[customer.sid]
    assert (member.label, member.muted, member.end_on_exit) == ("us", True, True)
    assert conference.status == "in-progress"
    customer.hang_up()
    world.run(1)
    assert boss.over
    world.assert_over()


def test_rfc5589_7_attended_transfer_of_who_is_in_a_conference_brings_the_colleague_in() -> None:
    world = World({DONE: "<Response><Hangup/></Response>"})
    boss, agent = world.inbound(ROOM.format("")), world.inbound(ROOM.format(""), from_=PHONE)
    world.run(0.5)
    agent_two, colleague = pair(world, False)
    number = agent_two.refer("x", agent)
    world.run(0.5)
    assert agent_two.referrals[number] == [202, 200]
    (conference,) = world.conferences.values()
    assert set(conference.members) == {boss.sid, colleague.sid}
    world.end()


NEXT = "http://app.test/next"


def waiting(answer: str | int) -> tuple[World, Leg, Leg, Leg]:
    """An agent talks with a customer; the document of its other call is on its way."""
    world = World({DONE: "<Response><Hangup/></Response>", NEXT: answer})
    agent, customer = pair(world, True)
    other = world.inbound("<Gather action='/next' numDigits='1'/>", from_=PHONE)
    world.run(1)
    world.fetch_seconds = 6
    other.press("1")
    return world, agent, customer, other


@pytest.mark.parametrize("on_other", [True, False])
def test_rfc5589_7_attended_transfer_into_a_call_that_waits_for_its_document_takes_it(on_other: bool) -> None:
    world, agent, customer, other = waiting(
        "<Response><Dial><Sip>sip:colleague@example.com</Sip></Dial></Response>"
    )
    leg, number = refer_into(agent, other, on_other)
    assert leg.referrals[number] == [202]
    assert customer.bridged is agent
    world.run(7)
    assert leg.referrals[number] == [202, 200]
    assert (agent.over, other.over, customer.over) == (True, True, False)
    colleague = world.child(customer).answer()
    assert customer.bridged is colleague
    world.end()


def test_rfc5589_7_attended_transfer_into_a_call_that_was_given_another_document_meanwhile() -> None:
    world, agent, customer, other = waiting("<Response><Hangup/></Response>")
    other.redirect(twiml="<Response><Pause length='90'/></Response>")
    number = agent.refer("x", other)
    assert agent.referrals[number] == [202, 200]
    assert (agent.over, other.over, customer.over) == (True, True, False)
    world.end()


def test_rfc5589_7_attended_transfer_into_a_call_whose_document_fails_comes_back() -> None:
    world, agent, customer, other = waiting(404)
    number = agent.refer("x", other)
    world.run(10)
    assert agent.referrals[number] == [202, 603]
    assert customer.bridged is agent
    assert other.over
    agent.hang_up()
    world.end()


@pytest.mark.parametrize("who", ["customer", "agent", "other"])
def test_rfc5589_7_attended_transfer_of_who_hangs_up_before_the_document_comes(who: str) -> None:
    world, agent, customer, other = waiting("<Response><Say>Hello</Say></Response>")
    agent.refer("x", other)
    {"customer": customer, "agent": agent, "other": other}[who].hang_up()
    world.run(8)
    assert customer.said == (["Hello"] if who == "agent" else [])
    world.end()


@pytest.mark.parametrize(("attributes", "status"), [("", "completed"), (EARLY, "canceled")])
def test_rfc5589_7_attended_transfer_into_a_call_that_waits_for_its_first_document(
    attributes: str, status: str
) -> None:
    """The agent dials a colleague and transfers at once: the program has not even answered."""
    world = World({DONE: "<Response><Hangup/></Response>"})
    agent, customer = pair(world, True)
    world.fetch_seconds = 6
    other = world.inbound(f"<Dial {attributes}><Sip>sip:colleague@example.com</Sip></Dial>", from_=PHONE)
    number = agent.refer("x", other)
    world.run(7)
    assert agent.referrals[number] == [202, 200]
    assert (other.over, other.status) == (True, status)
    colleague = world.child(customer).answer()
    assert customer.bridged is colleague
    world.end()


# -- who is in a conference, and calls a colleague who rings


def conferring(attributes: str = "") -> tuple[World, Leg, Leg, Leg]:
    """An agent is in a conference with a boss, and calls a colleague, who rings."""
    world = World({DONE: "<Response><Hangup/></Response>"})
    boss, agent = world.inbound(ROOM.format("")), world.inbound(ROOM.format(""), from_=PHONE)
    world.run(0.5)
    twiml = f"<Dial action='/done' {attributes}><Sip>sip:colleague@example.com</Sip></Dial>"
    other = world.inbound(twiml, from_=PHONE)
    world.run(0.5)
    world.child(other).ring()
    return world, boss, agent, other


@pytest.mark.parametrize("attributes", ["", EARLY])
def test_rfc5589_7_semi_attended_transfer_from_a_conference_brings_in_who_answers(attributes: str) -> None:
    world, boss, agent, other = conferring(attributes)
    colleague = world.child(other)
    number = agent.refer("x", other)
    assert agent.referrals[number] == [202, 180]
    (conference,) = world.conferences.values()
    assert set(conference.members) == {boss.sid, agent.sid}
    colleague.answer()
    world.run(1)
    assert agent.referrals[number] == [202, 180, 200]
    assert set(conference.members) == {boss.sid, colleague.sid}
    assert (agent.over, other.over) == (True, True)
    assert conference.status == "in-progress"
    world.end()


@pytest.mark.parametrize("how", ["busy", "cancelled"])
def test_rfc5589_7_semi_attended_transfer_from_a_conference_in_vain_stays(how: str) -> None:
    world, boss, agent, other = conferring()
    number = agent.refer("x", other)
    if how == "busy":
        world.child(other).reject(486)
    else:
        other.hang_up()
    world.run(1)
    assert agent.referrals[number] == [202, 180, 480]
    (conference,) = world.conferences.values()
    assert set(conference.members) == {boss.sid, agent.sid}
    assert agent.referrals[agent.refer("x", other)] == [603]
    world.end()


def test_rfc5589_7_semi_attended_transfer_from_a_conference_of_who_leaves_it_meanwhile() -> None:
    world, boss, agent, other = conferring()
    agent.refer("x", other)
    agent.hang_up()
    colleague = world.child(other).answer()
    world.run(1)
    (conference,) = world.conferences.values()
    assert set(conference.members) == {boss.sid}
    assert other.bridged is colleague
    world.end()


def test_rfc5589_7_transfer_from_a_conference_to_a_call_that_waits_for_its_document() -> None:
    world = World({DONE: "<Response><Hangup/></Response>"})
    boss, agent = world.inbound(ROOM.format("")), world.inbound(ROOM.format(""), from_=PHONE)
    world.run(0.5)
    world.fetch_seconds = 3
    other = world.inbound("<Dial><Sip>sip:colleague@example.com</Sip></Dial>", from_=PHONE)
    number = agent.refer("x", other)
    assert agent.referrals[number] == [202, 180]
    assert agent.referrals[agent.refer("x", other)] == [491]
    world.run(4)
    colleague = world.child(other).answer()
    world.run(1)
    (conference,) = world.conferences.values()
    assert set(conference.members) == {boss.sid, colleague.sid}
    world.end()


def test_rfc5589_7_attended_transfer_whose_other_call_is_connected_no_more_is_refused() -> None:
    world = World({DONE: "<Response><Hangup/></Response>"})
    agent, customer = pair(world, True)
    menu = world.inbound(MENU, from_=PHONE)
    world.run(1)
    menu.referrals[1] = []
    event = ev.LegReferred(1, "x", agent.sid, customer.sid)
    customer.hang_up()
    world.run(0.5)
    world.deliver(menu, event)
    assert menu.referrals[1] == [603]
    assert not menu.over
    world.end()


def test_rfc3515_2_4_4_a_second_refer_waits_for_the_first() -> None:
    world, agent, customer, other = consulting()
    first = other.refer("x", agent)
    second = other.refer("x", agent)
    world.run(0.5)
    assert (other.referrals[first], other.referrals[second]) == ([202, 180], [491])
    world.child(other).answer()
    assert customer.bridged is world.child(other)
    world.run(1)
    assert (agent.over, other.over) == (True, True)
    world.end()


@pytest.mark.parametrize("attributes", ["", EARLY])
def test_rfc5589_7_refer_on_the_call_that_rings_rings_on_for_who_stays(attributes: str) -> None:
    world, agent, customer, other = consulting(attributes)
    colleague = world.child(other)
    number = other.refer("x", agent)
    world.run(0.5)
    assert other.referrals[number] == [202, 180]
    assert (customer.bridged, agent.over) == (None, False)
    colleague.answer()
    assert customer.bridged is colleague
    assert other.referrals[number] == [202, 180, 200]
    world.run(1)
    assert (agent.over, other.over) == (True, True)
    colleague.hang_up()
    world.run(1)
    assert customer.over
    world.assert_over()


def test_rfc5589_7_refer_on_the_call_that_rings_in_vain_comes_back() -> None:
    world, agent, customer, other = consulting()
    number = other.refer("x", agent)
    world.child(other).reject(486)
    world.run(0.5)
    assert other.referrals[number] == [202, 180, 486]
    assert customer.bridged is agent
    world.end()


# -- INVITE with Replaces


def replacing(world: World, replaced: Leg, partner: Leg) -> Leg:
    """Another phone takes a leg's place."""
    return world.inbound(replaces=replaced.sid, partner=partner.sid, from_="sip:dave@office.test")


@pytest.mark.parametrize("called", [True, False])
def test_twiml_replaces_takes_the_place_of_a_leg(called: bool) -> None:
    world = World({DONE: "<Response><Hangup/></Response>"})
    replaced, partner = pair(world, called)
    taker = replacing(world, replaced, partner)
    world.run(0.5)
    assert taker.bridged is partner
    assert replaced.over
    world.run(5)
    taker.hang_up()
    world.run(1)
    assert partner.over
    world.assert_over()


def test_twiml_replaces_ends_with_its_partner() -> None:
    world = World({DONE: "<Response><Hangup/></Response>"})
    replaced, partner = pair(world, True)
    taker = replacing(world, replaced, partner)
    partner.hang_up()
    world.run(1)
    assert taker.over
    world.assert_over()


def test_twiml_replaces_of_a_ringing_phone_picks_up() -> None:
    world = World({DONE: "<Response><Hangup/></Response>"})
    nouns = "<Sip>sip:one@example.com</Sip><Sip>sip:two@example.com</Sip>"
    call = world.inbound(f"<Dial action='/done'>{nouns}</Dial>")
    world.run(0.5)
    one, two = world.children(call)
    one.ring()
    two.ring()
    taker = replacing(world, two, call)
    world.run(0.5)
    assert call.bridged is taker
    assert (one.status, two.status) == ("canceled", "canceled")
    world.run(4)
    taker.hang_up()
    world.run(1)
    (asked,) = world.asked(DONE)
    assert (asked["DialCallStatus"], asked["DialCallSid"]) == ("completed", taker.sid)
    assert asked["DialCallDuration"] in ("4", "5")
    world.assert_over()


@pytest.mark.parametrize("answers", [True, False])
def test_twiml_replaces_of_a_caller_who_hears_ringing_rings_on(answers: bool) -> None:
    world = World({DONE: "<Response><Hangup/></Response>"})
    call = world.inbound("<Dial action='/done'><Sip>sip:one@example.com</Sip></Dial>", from_=PHONE)
    world.run(0.5)
    one = world.child(call).ring()
    taker = world.inbound(replaces=call.sid, from_="sip:dave@office.test")
    world.run(0.5)
    if answers:
        one.answer()
        assert taker.bridged is one
        world.run(1)
        assert call.over
        taker.hang_up()
    else:
        one.reject(486)
    world.run(1)
    assert (taker.over, one.over) == (True, True)
    world.end()


def test_twiml_replaces_whose_partner_is_gone_ends() -> None:
    world = World()
    replaced, partner = pair(world, True)
    world.end()
    taker = replacing(world, replaced, partner)
    world.run(1)
    assert taker.over
    world.assert_over()


def test_twiml_replaces_may_be_redirected() -> None:
    world = World({DONE: "<Response><Hangup/></Response>"})
    replaced, partner = pair(world, True)
    taker = replacing(world, replaced, partner)
    taker.redirect(twiml="<Response><Say>Alone</Say></Response>")
    world.run(3)
    assert taker.said == ["Alone"]
    assert partner.over
    world.assert_over()


def test_rfc3891_3_replaces_of_a_member_of_a_conference_takes_its_place() -> None:
    world = World()
    boss, member = world.inbound(ROOM.format("")), world.inbound(ROOM.format(""), from_=PHONE)
    world.run(0.5)
    taker = world.inbound(replaces=member.sid, from_="sip:dave@office.test")
    world.run(0.5)
    (conference,) = world.conferences.values()
    assert set(conference.members) == {boss.sid, taker.sid}
    assert member.over
    world.end()
