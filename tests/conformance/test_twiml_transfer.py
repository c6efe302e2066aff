"""Transfers by a far end's REFER (Twilio: Inbound SIP REFER), and attended ones between calls of the exchange."""

from __future__ import annotations

import pytest
from unit.twiml.driver import Leg, World

from ringback.call import effects as fx

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


@pytest.mark.parametrize("who", ["callee", "caller"])
def test_twiml_refer_with_answer_on_bridge_keeps_the_transferor_until_the_answer(who: str) -> None:
    world, call, callee = talking(WAITS)
    transferor, stays = (callee, call) if who == "callee" else (call, callee)
    number = transferor.refer()
    world.run(0.2)
    carol = world.children(stays)[-1]
    assert not transferor.over
    assert transferor.bridged is None
    carol.ring()
    assert transferor.referrals[number] == [202, 180]
    carol.answer()
    assert stays.bridged is carol
    assert transferor.referrals[number] == [202, 180, 200]
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
    world, call, callee = talking(WAITS)
    transferor, stays = (callee, call) if who == "callee" else (call, callee)
    number = transferor.refer()
    world.run(0.2)
    world.children(stays)[-1].reject(status)
    world.run(0.2)
    assert transferor.referrals[number] == [202, notified]
    assert call.bridged is callee
    again = transferor.refer()
    world.run(0.2)
    world.children(stays)[-1].answer()
    assert transferor.referrals[again] == [202, 200]
    world.end()


@pytest.mark.parametrize("who", ["callee", "caller"])
def test_twiml_refer_with_answer_on_bridge_resumes_when_the_program_fails(who: str) -> None:
    world, call, callee = talking(WAITS, refer=500)
    transferor, stays = (callee, call) if who == "callee" else (call, callee)
    number = transferor.refer()
    world.run(0.2)
    assert transferor.referrals[number] == [202, 503]
    assert call.bridged is callee
    assert stays.codes("error") == [11200]
    world.end()


@pytest.mark.parametrize("who", ["callee", "caller"])
def test_twiml_refer_of_a_waiting_transferor_who_hangs_up(who: str) -> None:
    world, call, callee = talking(WAITS)
    transferor, stays = (callee, call) if who == "callee" else (call, callee)
    transferor.refer()
    world.run(0.2)
    transferor.hang_up()
    world.run(0.2)
    carol = world.children(stays)[-1].answer()
    assert stays.bridged is carol
    carol.hang_up()
    world.run(1)
    world.assert_over()


@pytest.mark.parametrize("who", ["callee", "caller"])
def test_twiml_refer_of_a_waiting_transferor_who_hangs_up_in_vain(who: str) -> None:
    world, call, callee = talking(WAITS)
    transferor, stays = (callee, call) if who == "callee" else (call, callee)
    transferor.refer()
    world.run(0.2)
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


def test_twiml_attended_transfer_to_a_call_that_is_connected_with_nobody_is_refused() -> None:
    world = World()
    agent, customer = pair(world, True)
    other = world.inbound("<Say>Hi</Say><Pause length='60'/>")
    world.run(1)
    assert agent.referrals[agent.refer("x", other)] == [603]
    assert agent.bridged is customer
    world.end()


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
