"""Transfers of a leg on the virtual network: REFERs of the far end, and ours to it."""

from __future__ import annotations

import pytest
from unit.call.leg_network import Exchange, Phone
from unit.sip.virtual_network import Network

from ringback.call.events import ReferAnswered, ReferProgress
from ringback.call.incoming_leg import IncomingLeg
from ringback.call.leg_effects import Transfer
from ringback.sip import effects as sip

REFERRALS = (sip.Referred, sip.ReferAnswered, sip.ReferProgress)


def talking(*, answered: bool = True) -> tuple[Exchange, Phone, IncomingLeg]:
    """An incoming leg of an exchange that takes REFERs, as its phone does."""
    network = Network()
    exchange, alice = (
        Exchange(network, takes_referrals=True),
        Phone(network, "alice", 7, takes_referrals=True),
    )
    for kind in REFERRALS:
        exchange.node.on[kind] = lambda effect: effect.session.owner.on(effect, network.now)
    alice.node.on[sip.Established] = lambda effect: alice.talk.accept(effect.body) and None
    leg = exchange.receiving()
    alice.call()
    network.run(1)
    if answered:
        exchange.do(leg.answer)
    return exchange, alice, leg


def test_rfc3515_2_4_a_refer_is_a_transfer_to_be_decided_on() -> None:
    exchange, alice, leg = talking()
    assert alice.session is not None
    alice.node.run(alice.session.refer("<sip:carol@192.0.2.9?X-A=b>", exchange.network.now)[1])
    exchange.network.run(1)
    (transfer,) = exchange.node.all(Transfer)
    assert transfer == Transfer(
        leg, transfer.number, "<sip:carol@192.0.2.9?X-A=b>", None, transfer.referred_by
    )
    exchange.do(leg.transfers.answer, transfer.number, 202)
    exchange.do(leg.transfers.notify, transfer.number, 180)
    exchange.do(leg.transfers.notify, transfer.number, 200)
    told = [(each.status, each.is_final) for each in alice.node.all(sip.ReferProgress)]
    assert told == [(100, False), (180, False), (200, True)]
    exchange.do(leg.hang_up)
    exchange.finish()


def test_rfc3515_2_4_2_a_refer_may_be_refused() -> None:
    exchange, alice, leg = talking()
    assert alice.session is not None
    alice.node.run(alice.session.refer("<sip:carol@192.0.2.9>", exchange.network.now)[1])
    exchange.network.run(1)
    exchange.do(leg.transfers.answer, exchange.node.all(Transfer)[0].number, 603)
    assert [each.status for each in alice.node.all(sip.ReferAnswered)] == [603]
    exchange.do(leg.hang_up)
    exchange.finish()


def test_rfc3891_3_a_refer_names_the_other_leg_of_its_phone() -> None:
    exchange, alice, leg = talking()
    assert alice.session is not None
    second = exchange.receiving()
    first_session = alice.session
    alice.call()
    exchange.network.run(1)
    exchange.do(second.answer)
    refer_to = f"<sip:192.0.2.1?Replaces={replaced(alice)}>"
    alice.node.run(first_session.refer(refer_to, exchange.network.now)[1])
    exchange.network.run(1)
    (transfer,) = exchange.node.all(Transfer)
    assert (transfer.leg, transfer.other) == (leg, second)
    wrong = refer_to.replace(alice.session.dialog.local_tag, "wrong")
    alice.node.run(first_session.refer(wrong, exchange.network.now)[1])
    exchange.network.run(1)
    assert exchange.node.all(Transfer)[-1].other is None


def replaced(phone: Phone) -> str:
    """The dialog of a phone's last call, as its Refer-To names it."""
    assert phone.session is not None
    dialog = phone.session.dialog
    remote = dialog.remote_tag or phone.session.early_tag
    return f"{dialog.call_id}%3Bto-tag%3D{remote}%3Bfrom-tag%3D{dialog.local_tag}"


@pytest.mark.parametrize("answered", [False, True])
def test_rfc3891_3_an_early_only_replaces_fits_a_leg_that_is_not_answered(answered: bool) -> None:
    exchange, alice, _ = talking()
    second, first_session = exchange.receiving(), alice.session
    alice.call()
    exchange.network.run(1)
    exchange.do(second.answer) if answered else exchange.do(second.ring, False)
    assert first_session is not None
    refer_to = f"<sip:192.0.2.1?Replaces={replaced(alice)}%3Bearly-only>"
    alice.node.run(first_session.refer(refer_to, exchange.network.now)[1])
    exchange.network.run(1)
    assert [each.other for each in exchange.node.all(Transfer)] == ([] if answered else [second])
    assert [each.status for each in alice.node.all(sip.ReferAnswered)] == ([486] if answered else [])


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ('"Bob" <sip:bob@192.0.2.2>;cid="1@192.0.2.2"', "Bob <sip:bob@192.0.2.2>"),
        ("sip:bob@192.0.2.2", "<sip:bob@192.0.2.2>"),
        ("nobody", ""),
        (f"<sip:{'b' * 600}@192.0.2.2>", ""),
        (None, ""),
    ],
)
def test_rfc3892_2_2_a_refer_says_who_refers(given: str | None, taken: str) -> None:
    exchange, alice, _ = talking()
    assert alice.session is not None
    fields = [("Refer-To", "<sip:carol@192.0.2.9>")]
    if given is not None:
        fields.append(("Referred-By", given))
    alice.session.start("REFER", fields, b"", exchange.network.now, out := [])
    alice.node.run(out)
    exchange.network.run(1)
    assert [each.referred_by for each in exchange.node.all(Transfer)] == [taken]


def test_rfc3515_2_4_a_refer_of_ours_is_followed() -> None:
    exchange, alice, leg = talking()
    alice.node.on[sip.Referred] = lambda effect: effect.session.accept_referral(
        effect.referral, exchange.network.now
    )
    exchange.do(leg.transfers.refer, "refer-1", "sip:carol@192.0.2.9")
    referred = alice.node.all(sip.Referred)[0]
    assert referred.request.get("Refer-To") == "<sip:carol@192.0.2.9>"
    alice.node.run(referred.session.refer_progress(referred.referral, 486, exchange.network.now))
    exchange.network.run(1)
    assert exchange.events() == [
        ReferAnswered("refer-1", 202),
        ReferProgress("refer-1", 100, False),
        ReferProgress("refer-1", 486, True),
    ]


def test_rfc3892_2_1_a_refer_of_ours_says_who_refers() -> None:
    exchange, alice, leg = talking()
    exchange.do(leg.transfers.refer, "refer-1", "sip:carol@192.0.2.9")
    (referred,) = alice.node.all(sip.Referred)
    assert alice.session is not None
    assert referred.request.get("Referred-By") == alice.session.remote_uri.partition(";tag")[0]


def test_a_refer_waits_for_the_ack() -> None:
    exchange, alice, leg = talking(answered=False)
    exchange.node.run(leg.transfers.refer("refer-1", "sip:carol@192.0.2.9", exchange.network.now))
    assert "REFER" not in alice.got
    exchange.do(leg.answer)
    assert alice.node.count(sip.Referred) == 1


def test_a_refer_of_a_leg_that_is_over_cannot_be_sent() -> None:
    exchange, alice, leg = talking()
    exchange.do(leg.hang_up)
    exchange.do(leg.transfers.refer, "refer-1", "sip:carol@192.0.2.9")
    assert exchange.events()[-1] == ReferAnswered("refer-1", 0)
    assert "REFER" not in alice.got
