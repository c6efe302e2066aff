"""Transfers by the keys of PJSIP phones, as PJSIP sees and hears them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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


@dataclass
class Office:
    """Three phones, and the domains that have one called by another."""

    ringback: Exchange
    alice: Phone
    bob: Phone
    carol: Phone

    def __post_init__(self) -> None:
        self.carols = f"sip:carol@{self.ringback.server.domain}"

    def dial(self, whom: str, attributes: str = "") -> str:
        """The domain whose program dials somebody."""
        return self.ringback.domain(
            f"<Dial {attributes}><Sip>sip:{whom}@{self.ringback.server.domain}</Sip></Dial>"
        )

    def up(self, attributes: str = "") -> tuple[Call, Call, str]:
        """alice has called bob by a Dial with these attributes: her call, his, and her CallSid."""
        domain = self.dial("bob", attributes)
        call = self.alice.call(f"sip:x@{domain}")
        rung = self.bob.rung()
        rung.answer()
        rung.up()
        call.state("CONFIRMED")
        hooks = self.ringback.hooks
        return call, rung, str(hooks.expect(self.ringback.hook_of(domain))["CallSid"])

    def consult(self, attributes: str = "") -> tuple[Call, Call]:
        """bob has called carol, who rings: his call, which is early or was answered by the exchange, and hers."""
        call = self.bob.call(f"sip:x@{self.dial('carol', attributes)}")
        there = self.carol.rung()
        there.answer(180)
        call.state("EARLY" if attributes else "CONFIRMED")
        return call, there

    def reached(self) -> Call:
        """carol answers."""
        there = self.carol.rung()
        there.answer()
        return there.up()


@pytest.fixture(scope="module")
def office(ringback: Exchange) -> Iterator[Office]:
    server, folder = ringback.server, ringback.folder
    with (
        Phone(server, "alice", folder) as alice,
        Phone(server, "bob", folder, transport="tcp") as bob,
        Phone(server, "carol", folder) as carol,
    ):
        yield Office(ringback, alice.on(), bob.on(), carol.on())


@pytest.fixture
def program(ringback: Exchange, request: pytest.FixtureRequest) -> str:
    """The hook of a program that says to dial whom the Refer-To names, as a Dial has it."""

    def dial(form: dict[str, str]) -> str:
        target = form["ReferTransferTarget"].strip("<>").partition(";")[0]
        return f"<Dial answerOnBridge='true'><Sip>{target}</Sip></Dial>"

    name = f"refer-{request.node.originalname}"
    ringback.hooks.give(name, dial)
    return name


@pytest.fixture
def refer_url(ringback: Exchange, program: str) -> str:
    """The attribute of a Dial that names this program."""
    return f'referUrl="{ringback.hooks.url}/{program}"'


def talk(one: Call, other: Call) -> None:
    """Both say something, and hear each other."""
    one.plays(500)
    other.plays(1250)
    one.hears(1250)
    other.hears(500)


def part(one: Call, other: Call) -> None:
    """One hangs up, and the exchange ends the call of the other."""
    one.hang_up()
    one.ended()
    assert other.ended() == 200


def test_rfc3515_2_4_pjsip_as_callee_transfers_its_caller(
    office: Office, program: str, refer_url: str
) -> None:
    ringback = office.ringback
    call, rung, sid = office.up(refer_url)
    rung.transfer(office.carols)
    assert rung.transferred() == 200
    assert rung.ended() == 200
    asked = ringback.hooks.expect(program)
    assert asked["ReferTransferTarget"].strip("<>") == office.carols
    assert (asked["CallSid"], asked["CallStatus"]) == (sid, "in-progress")
    invite = office.carol.incoming()
    assert header(invite["text"], "Referred-By") == f"<sip:bob@{ringback.server.domain}>"
    there = Call(office.carol, invite["call"])
    there.answer()
    talk(call, there.up())
    part(there, call)
    assert ringback.call_record(sid, "completed").direction == "inbound"


def test_rfc3515_2_4_pjsip_as_caller_transfers_whom_it_called(
    office: Office, program: str, refer_url: str
) -> None:
    call, rung, sid = office.up(refer_url)
    call.transfer(office.carols)
    assert call.transferred() == 200
    assert call.ended() == 200
    assert office.ringback.hooks.expect(program)["ParentCallSid"] == sid
    there = office.reached()
    talk(rung, there)
    part(rung, there)


def test_rfc4488_4_pjsip_wants_to_hear_no_more_of_its_transfer(office: Office, refer_url: str) -> None:
    call, rung, _ = office.up(refer_url)
    rung.transfer(office.carols, {"Refer-Sub": "false", "Require": "norefersub"})
    answer = answer_to(rung, "REFER")
    assert (answer.split()[1], header(answer, "Refer-Sub")) == ("202", "false")
    assert rung.ended() == 200
    there = office.reached()
    talk(call, there)
    part(there, call)


def test_rfc3515_2_4_pjsip_waits_for_its_target_where_answer_on_bridge_says_so(
    office: Office, refer_url: str
) -> None:
    call, rung, _ = office.up(f'answerOnBridge="true" {refer_url}')
    rung.transfer(office.carols)
    there = office.carol.rung()
    there.answer(486)
    there.ended()
    assert rung.transferred() == 486
    talk(call, rung)
    rung.transfer(office.carols)
    there = office.carol.rung()
    there.answer(180)
    assert rung.expect("transfer", status=180)["final"] is False
    there.answer()
    assert rung.transferred() == 200
    assert rung.ended() == 200
    talk(call, there.up())
    part(call, there)


def test_rfc3515_2_4_2_pjsip_is_refused_without_a_refer_url(office: Office) -> None:
    call, rung, sid = office.up()
    rung.transfer(office.carols)
    assert rung.transferred() == 603
    talk(call, rung)
    part(call, rung)
    children = office.ringback.client.calls.list(parent_call_sid=sid)
    assert any("13802" in str(note.error_code) for note in children[0].notifications.list())


@pytest.mark.parametrize("called", [True, False])
def test_rfc3891_3_pjsip_connects_the_far_ends_of_its_two_calls(office: Office, called: bool) -> None:
    """bob consults carol and leaves alice with her; ``called``: he was called by alice, and else he called her."""
    if called:
        call, first, _ = office.up()
    else:
        first = office.bob.call(f"sip:x@{office.dial('alice')}")
        call = office.alice.rung()
        call.answer()
        call.up()
        first.state("CONFIRMED")
    first.tell("hold")
    first.media(status="local-hold")
    second, there = office.consult()
    there.answer()
    there.up()
    first.replace(second)
    assert first.transferred() == 200
    assert first.ended() == 200
    assert second.ended() == 200
    talk(call, there)
    part(call, there)


@pytest.mark.parametrize("attributes", ["", "answerOnBridge='true'"])
@pytest.mark.parametrize("hangs_up", [False, True])
def test_rfc5589_7_pjsip_transfers_to_who_still_rings(
    office: Office, attributes: str, hangs_up: bool
) -> None:
    """bob's call of carol is answered by the exchange, or it is early (RFC 3891 section 3: a dialog that he began)."""
    call, first, _ = office.up()
    second, there = office.consult(attributes)
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
    part(call, there)


def test_rfc5589_7_pjsip_has_its_call_back_when_who_rings_declines(office: Office) -> None:
    call, first, _ = office.up()
    second, there = office.consult()
    first.replace(second)
    assert first.expect("transfer", status=180)["final"] is False
    there.answer(486)
    there.ended()
    assert first.transferred() == 486
    assert second.ended() == 200
    talk(call, first)
    part(call, first)


@pytest.mark.parametrize("into", ["second", "first"])
def test_rfc5589_7_pjsip_transfers_into_a_menu(office: Office, into: str) -> None:
    """bob is in a menu, and leaves alice there; by a REFER on one of his two calls."""
    ringback = office.ringback
    call, first, sid = office.up()
    chosen = ringback.hooks.give(f"chosen-{into}", "<Hangup/>")
    menu = f'<Gather action="{chosen}" numDigits="1" timeout="60"><Pause length="60"/></Gather>'
    second = office.bob.call(f"sip:x@{ringback.domain(menu)}").up()
    one, other = (first, second) if into == "second" else (second, first)
    one.replace(other)
    assert one.transferred() == 200
    assert first.ended() == 200
    assert second.ended() == 200
    call.tell("dial", digits="5")
    asked = ringback.hooks.expect(f"chosen-{into}")
    assert (asked["Digits"], asked["CallSid"]) == ("5", sid)
    assert call.ended() == 200


@pytest.mark.parametrize("replaces", [False, True])
def test_rfc5589_7_pjsip_transfers_into_a_conference(office: Office, replaces: bool) -> None:
    """bob leaves alice with carol in a conference that his leaving would end; ``replaces``: alice's phone asks for it."""
    ringback = office.ringback
    room = f"<Dial><Conference beep='false' {{}}>Room {replaces}</Conference></Dial>"
    there = office.carol.call(f"sip:x@{ringback.domain(room.format(''))}").up()
    leaving = ringback.domain(room.format("endConferenceOnExit='true'"))
    if replaces:
        second = office.bob.call(f"sip:x@{leaving}")
        call = taking(office, replaces_of(second)).up()
    else:
        call, first, _ = office.up()
        second = office.bob.call(f"sip:x@{leaving}").up()
        first.replace(second)
        assert first.transferred() == 200
        assert first.ended() == 200
    assert second.ended() == 200
    talk(call, there)
    part(call, there)


def test_rfc5589_7_pjsip_transfers_by_its_call_that_rings(office: Office) -> None:
    """The REFER is on the call that the exchange has answered, for which carol still rings."""
    call, first, _ = office.up()
    second, there = office.consult()
    second.replace(first)
    assert second.expect("transfer", status=180)["final"] is False
    there.answer()
    there.up()
    assert second.transferred() == 200
    assert first.ended() == 200
    assert second.ended() == 200
    talk(call, there)
    part(call, there)


@pytest.mark.parametrize(("status", "word"), [(200, "in-progress"), (486, "busy")])
def test_rfc3515_2_4_4_pjsip_follows_the_refer_of_a_document(office: Office, status: int, word: str) -> None:
    ringback = office.ringback
    done = ringback.hooks.give(f"referred-{status}", "<Hangup/>")
    target = "sip:carol@" + office.dial("carol", "answerOnBridge='true'")
    domain = ringback.domain(f'<Refer action="{done}"><Sip>{target}</Sip></Refer>')
    call = office.alice.call(f"sip:x@{domain}")
    new = call.referred()
    there = office.carol.rung()
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


def taking(office: Office, value: str) -> Call:
    """alice's phone wants the place of a dialog."""
    fields = {"Require": "replaces", "Replaces": value}
    return office.alice.call(f"sip:x@{office.ringback.server.domain}", fields)


def test_rfc3891_3_pjsip_takes_the_place_of_another_phone(office: Office) -> None:
    call, there = office.consult()
    value = replaces_of(call)
    there.answer()
    there.up()
    taker = taking(office, value).up()
    assert call.ended() == 200
    talk(taker, there)
    part(there, taker)
    assert taking(office, value).ended() == 481


def test_rfc3891_3_pjsip_takes_the_place_of_a_phone_for_which_another_rings(office: Office) -> None:
    call, there = office.consult()
    taker = taking(office, replaces_of(call)).up()
    there.answer()
    there.up()
    assert call.ended() == 200
    talk(taker, there)
    part(taker, there)


def test_rfc3891_3_pjsip_cannot_replace_an_early_dialog_that_a_phone_began(office: Office) -> None:
    call, there = office.consult("answerOnBridge='true'")
    assert taking(office, replaces_of(call, 180)).ended() == 481
    there.answer()
    there.up()
    call.state("CONFIRMED")
    part(call, there)


def answer_to(call: Call, method: str, status: int = 0) -> str:
    """The next answer to a request of this phone; with this status, if one is given."""
    while True:
        text = str(call.expect("message")["text"])
        if text.startswith(f"SIP/2.0 {status or ''}") and method in header(text, "CSeq"):
            return text


def replaces_of(call: Call, status: int = 200) -> str:
    """The dialog of a call that this phone placed, as the exchange finds it."""
    text = answer_to(call, "INVITE", status)
    ours, theirs = (header(text, name).partition("tag=")[2] for name in ("From", "To"))
    return f"{header(text, 'Call-ID')};to-tag={theirs};from-tag={ours}"
