"""RFC 3515 and 3891: transfers in a dialog, against the RFC's own messages where it has them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from unit.sip.virtual_network import Network, Node, line, make_request, network

from ringback.sip.effects import Effect, Incoming, ReferAnswered, ReferProgress, Referred
from ringback.sip.flow import Flow
from ringback.sip.message import Request, Response, parse
from ringback.sip.session import InviteSession

__all__ = ["network"]

FLOWS = Path(__file__).parents[2].parent / "shared" / "corpora" / "flows" / "rfc3515"
A, B = ("192.0.2.1", 5060), ("192.0.2.2", 5060)


@pytest.fixture
def pair(network: Network) -> tuple[Node, Node]:
    alice = network.node("alice", "192.0.2.1", takes_referrals=True)
    bob = network.node("bob", "192.0.2.2", takes_referrals=True)
    bob.answering(lambda session, request: session.answer(b"answer", network.now))
    return alice, bob


def up(alice: Node, bob: Node) -> tuple[InviteSession, InviteSession]:
    session = alice.call(bob)
    alice.network.run(1)
    return session, bob.sessions[-1]


def referred(alice: Node, bob: Node, *headers: tuple[str, str]) -> tuple[InviteSession, InviteSession, int]:
    """A call in which alice asked bob to call carol, and he does; the number is that of the REFER."""
    network = alice.network
    session, theirs = up(alice, bob)
    bob.on[Referred] = lambda effect: theirs.accept_referral(effect.referral, network.now)
    number, effects = session.refer("<sip:carol@192.0.2.3>", network.now, headers=headers)
    alice.run(effects)
    network.run(1)
    return session, theirs, number


@pytest.mark.parametrize(
    ("status", "fields", "told"),
    [(481, [], False), (489, [], False), (503, [("Retry-After", "5")], True), (200, [], True)],
)
def test_rfc6665_4_2_2_who_refuses_a_notify_hears_no_more(
    network: Network, pair: tuple[Node, Node], status: int, fields: list[tuple[str, str]], told: bool
) -> None:
    alice, bob = pair
    session, theirs = up(alice, bob)
    bob.on[Referred] = lambda effect: theirs.accept_referral(effect.referral, network.now)
    network.weather = lambda data: () if data.startswith(b"NOTIFY") else (0.01,)
    number, effects = session.refer("<sip:carol@192.0.2.3>", network.now)
    alice.run(effects)
    network.run(0.1)
    notify = bob.sent[-1]
    assert isinstance(notify, Request) and line(notify) == "NOTIFY"
    bob.feed(notify.reply(status, headers=fields), Flow("UDP", B, A))
    bob.run(theirs.refer_progress(number, 200, network.now))
    assert (bob.trace[-1] == "NOTIFY" and bob.sent[-1] is not notify) is told
    assert theirs.is_confirmed  # the call goes on


# -- the RFC's messages


def flow_of(name: str) -> list[Request | Response]:
    """The messages of a flow; what stands in round brackets there is made up here."""
    found = list(FLOWS.glob(f"{name}_*.yaml"))
    if not found:
        pytest.skip("the corpora are not here")
    result: list[Request | Response] = []
    for block in found[0].read_text().split("- |+\n")[1:]:
        text = "\n".join(each[2:] for each in block.rstrip("\n").split("\n"))
        text = re.sub(r"Refer-To: \(.*\)", "Refer-To: <sip:carol@atlanta.example.com>", text)
        text = text.replace("(depends on Refer-To URI)", "180")
        head, _, body = text.partition("\n\n")
        body = body.strip("\n") + "\r\n" if body.strip() else ""
        head = re.sub(r"Content-Length: \d+", f"Content-Length: {len(body)}", head)
        result.append(parse((head.replace("\n", "\r\n") + "\r\n\r\n" + body).encode()))
    return result


def part(node: Node, who: str, local_seq: int, remote_seq: int) -> InviteSession:
    """The node in the dialog of the flow, as agent A or B."""
    tags = {"a": "193402342", "b": "4992881234"}
    other = "b" if who == "a" else "a"
    peer = node.network.nodes[A if who == "b" else B].address
    session = node.agent.restore(
        {
            "role": "uac",
            "contact": f"<sip:{who}@atlanta.example.com>",
            "sent_by": f"agent{who}.atlanta.example.com",
            "flow": ["UDP", *node.address, *peer],
            "call_id": "898234234@agenta.atlanta.example.com",
            "local": f"<sip:{who}@atlanta.example.com>;tag={tags[who]}",
            "local_tag": tags[who],
            "local_seq": local_seq,
            "remote": f"<sip:{other}@atlanta.example.com>;tag={tags[other]}",
            "remote_tag": tags[other],
            "remote_seq": remote_seq,
            "target": f"sip:{other}@atlanta.example.com",
            "routes": [],
        }
    )
    node.sessions.append(session)
    return session


def agrees(ours: Request | Response, rfc: Request | Response) -> None:
    """What the RFC says of this message, we say too."""
    if isinstance(rfc, Request):
        assert isinstance(ours, Request)
        assert (ours.method, ours.raw_uri) == (rfc.method, rfc.raw_uri)
    else:
        assert isinstance(ours, Response) and (ours.status, ours.reason) == (rfc.status, rfc.reason)
    assert (ours.from_.uri, ours.from_.tag, ours.to.uri, ours.to.tag) == (
        rfc.from_.uri,
        rfc.from_.tag,
        rfc.to.uri,
        rfc.to.tag,
    )
    assert (ours.cseq, ours.call_id, ours.body) == (rfc.cseq, rfc.call_id, rfc.body)
    for name in ("Event", "Content-Type", "Subscription-State"):
        assert (ours.get(name) or "") == (rfc.get(name) or ""), name
    if rfc.contacts and not (isinstance(rfc, Response) and rfc.cseq.method == "NOTIFY"):
        assert ours.contacts[0].uri == rfc.contacts[0].uri


def test_rfc3515_4_1_and_4_2_the_notifier_says_what_the_rfc_says(
    network: Network, pair: tuple[Node, Node]
) -> None:
    """Two REFERs in one dialog, heard as they stand in the RFC."""
    bob = pair[1]
    session = part(bob, "b", 1993401, 93809822)
    bob.on[Referred] = lambda effect: session.accept_referral(effect.referral, network.now)
    peer = Flow("UDP", B, A)
    for name in ("4.1", "4.2"):
        refer, accepted, *rest = flow_of(name)
        refer.set("To", "<sip:b@atlanta.example.com>;tag=4992881234")  # 4.1 begins outside a dialog
        bob.sent.clear()
        bob.receive(refer.render(), peer)
        agrees(bob.sent[0], accepted)
        agrees(bob.sent[1], rest[0])
        bob.run(session.refer_progress(refer.cseq.number, 200, network.now))
        agrees(bob.sent[2], rest[2])
        for answer, notify in ((rest[1], bob.sent[1]), (rest[3], bob.sent[2])):
            answer.set("Via", notify.get("Via") or "")
            bob.receive(answer.render(), peer)
    assert [str(each.refer_to.uri) for each in bob.all(Referred)] == ["sip:carol@atlanta.example.com"] * 2


def test_rfc3515_4_1_the_referrer_follows_what_the_rfc_notifies(
    network: Network, pair: tuple[Node, Node]
) -> None:
    alice = pair[0]
    session = part(alice, "a", 93809822, 1993401)
    peer = Flow("UDP", A, B)
    refer, accepted, *rest = flow_of("4.1")
    number, effects = session.refer("<sip:carol@atlanta.example.com>", network.now)
    alice.run(effects)
    assert number == refer.cseq.number
    ours = alice.sent[-1]
    assert isinstance(ours, Request) and ours.get("Refer-To") == refer.get("Refer-To")
    accepted.set("Via", ours.get("Via") or "")
    alice.receive(accepted.render(), peer)
    for notify, ok in ((rest[0], rest[1]), (rest[2], rest[3])):
        alice.receive(notify.render(), peer)
        assert line(alice.sent[-1]) == line(ok)
        assert alice.sent[-1].via.branch == ok.via.branch
    assert alice.all(ReferAnswered) == [ReferAnswered(session, number, 202)]
    assert [tuple(each)[2:] for each in alice.all(ReferProgress)] == [
        (100, "Trying", False),
        (200, "OK", True),
    ]


# -- by clause


def test_rfc3515_2_4_2_a_refer_is_refused_politely_and_the_call_goes_on(network: Network) -> None:
    alice = network.node("alice", "192.0.2.1")
    bob = network.node("bob", "192.0.2.2")
    bob.answering(lambda session, request: session.answer(b"answer", network.now))
    session, _ = up(alice, bob)
    alice.run(session.refer("<sip:carol@192.0.2.3>", network.now)[1])
    network.run(1)
    assert [each.status for each in alice.all(ReferAnswered)] == [405]
    assert session.is_confirmed and bob.sessions[0].is_confirmed
    assert "REFER" not in bob.sent[-1].all("Allow")


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Refer-To", "<sip:a@b>"), ("Refer-To", "<sip:c@d>")],
        [("Refer-To", "no uri")],
        [("r", "<sip:" + "x" * 2000)],
    ],
)
def test_rfc3515_2_4_1_exactly_one_refer_to_is_needed(
    network: Network, pair: tuple[Node, Node], headers: list[tuple[str, str]]
) -> None:
    bob = pair[1]
    bob.feed(make_request("INVITE", body=b"offer"))
    tag = bob.sent[-1].to.tag or ""
    bob.feed(make_request("ACK", branch="z9hG4bKa", to_tag=tag))
    (refusal,) = bob.feed(make_request("REFER", branch="z9hG4bKr", to_tag=tag, cseq=2, headers=headers))
    assert line(refusal) == "400 REFER"
    assert bob.count(Referred) == 0


def test_rfc3515_2_4_4_progress_is_notified_until_the_final_status(
    network: Network, pair: tuple[Node, Node]
) -> None:
    alice, bob = pair
    _, theirs, number = referred(alice, bob)
    for status in (180, 486, 200):
        bob.run(theirs.refer_progress(number, status, network.now))
        network.run(1)
    assert [(each.status, each.is_final) for each in alice.all(ReferProgress)] == [
        (100, False),
        (180, False),
        (486, True),
    ]


def test_rfc3515_2_4_4_a_transferor_that_hangs_up_is_still_told(
    network: Network, pair: tuple[Node, Node]
) -> None:
    alice, bob = pair
    session, theirs, number = referred(alice, bob)
    alice.run(session.hangup(network.now))
    network.run(1)
    bob.run(theirs.refer_progress(number, 200, network.now))
    network.run()
    assert "NOTIFY" in bob.trace[bob.trace.index("200 BYE") :]  # RFC 5057: the subscription outlives the call
    network.assert_idle()


def test_rfc3515_2_4_2_a_refer_that_nobody_decides_on_is_declined(
    network: Network, pair: tuple[Node, Node]
) -> None:
    alice, bob = pair
    session, theirs = up(alice, bob)
    alice.run(session.refer("<sip:carol@192.0.2.3>", network.now)[1])
    network.run(20)
    assert "100 REFER" in bob.trace  # RFC 4320 section 4.1
    assert [each.status for each in alice.all(ReferAnswered)] == [603]
    assert session.is_confirmed and theirs.is_confirmed
    assert bob.all(Referred)[0].session is theirs


def test_rfc4488_4_without_a_subscription_nothing_is_notified(
    network: Network, pair: tuple[Node, Node]
) -> None:
    alice, bob = pair
    _, theirs, number = referred(alice, bob, ("Refer-Sub", "false"))
    bob.run(theirs.refer_progress(number, 200, network.now))
    network.run(1)
    assert bob.sent[-1].get("Refer-Sub") == "false"
    assert "NOTIFY" not in bob.trace


def test_rfc3515_2_4_4_a_subscribe_ends_the_referral(network: Network, pair: tuple[Node, Node]) -> None:
    alice, bob = pair
    session, _, number = referred(alice, bob)
    session.start(
        "SUBSCRIBE", [("Event", f"refer;id={number}"), ("Expires", "0")], b"", network.now, out := []
    )
    alice.run(out)
    network.run(1)
    assert bob.sent[-2].get("Expires") == "0"
    assert bob.sent[-1].get("Subscription-State") == "terminated;reason=timeout"


@pytest.mark.parametrize(
    ("method", "event", "status"),
    [
        ("SUBSCRIBE", "presence", 489),
        ("NOTIFY", "presence", 489),
        ("SUBSCRIBE", "refer", 481),
        ("NOTIFY", "refer", 481),
    ],
)
def test_rfc6665_4_other_events_are_refused(
    network: Network, pair: tuple[Node, Node], method: str, event: str, status: int
) -> None:
    alice, bob = pair
    session, _ = up(alice, bob)
    session.start(method, [("Event", event)], b"", network.now, out := [])
    alice.run(out)
    network.run(1)
    assert line(bob.sent[-1]) == f"{status} {method}"
    assert bob.sent[-1].get("Allow-Events") == ("refer" if status == 489 else None)


def test_rfc3515_2_4_5_a_body_that_is_no_sipfrag_gets_415(network: Network, pair: tuple[Node, Node]) -> None:
    alice, bob = pair
    session, theirs = up(alice, bob)
    alice.run(session.refer("<sip:carol@192.0.2.3>", network.now)[1])
    headers = [("Event", "refer"), ("Content-Type", "text/plain")]
    theirs.start("NOTIFY", headers, b"SIP/2.0 200 OK", network.now, out := [])
    bob.run(out)
    network.run(0.5)
    assert "415 NOTIFY" in alice.trace


# -- RFC 3891


@pytest.fixture
def replaceable(network: Network) -> tuple[Node, Node]:
    alice = network.node("alice", "192.0.2.1", extensions=["replaces"])
    bob = network.node("bob", "192.0.2.2", extensions=["replaces"])
    return alice, bob


def replacing(node: Node, session: InviteSession, more: str = "", *, call_id: str = "") -> list[str]:
    """An INVITE of a stranger that names this session of the node."""
    dialog = session.dialog
    remote = dialog.remote_tag or session.early_tag
    value = f"{call_id or dialog.call_id};to-tag={dialog.local_tag};from-tag={remote}{more}"
    headers = [("Require", "replaces"), ("Replaces", value)]
    branch = f"z9hG4bK{len(node.sent)}"
    return [
        line(each)
        for each in node.feed(
            make_request("INVITE", branch=branch, call_id=branch, headers=headers, body=b"offer")
        )
    ]


def test_rfc3891_3_a_confirmed_dialog_is_replaced(network: Network, replaceable: tuple[Node, Node]) -> None:
    alice, bob = replaceable
    bob.answering(lambda session, request: session.answer(b"answer", network.now))
    session, theirs = up(alice, bob)

    def react(taken: InviteSession, request: Request) -> list[Effect]:
        old = bob.agent.replaced(request)
        assert old is theirs
        return taken.answer(b"answer", network.now) + old.hangup(network.now)

    bob.answering(react)
    assert replacing(bob, theirs) == ["100 INVITE", "200 INVITE", "BYE"]
    network.run(1)
    assert session.is_over


def test_rfc3891_3_what_matches_nothing_gets_481(network: Network, replaceable: tuple[Node, Node]) -> None:
    alice, bob = replaceable
    bob.answering(lambda session, request: session.answer(b"answer", network.now))
    _, theirs = up(alice, bob)
    assert replacing(bob, theirs, call_id="another") == ["481 INVITE"]
    assert bob.count(Incoming) == 1


def test_rfc3891_3_a_confirmed_dialog_is_not_early(network: Network, replaceable: tuple[Node, Node]) -> None:
    alice, bob = replaceable
    bob.answering(lambda session, request: session.answer(b"answer", network.now))
    _, theirs = up(alice, bob)
    assert replacing(bob, theirs, ";early-only") == ["486 INVITE"]


def test_rfc3891_3_only_our_own_early_dialogs_can_be_replaced(
    network: Network, replaceable: tuple[Node, Node]
) -> None:
    alice, bob = replaceable
    bob.answering(lambda session, request: session.progress(180, network.now))
    session, theirs = up(alice, bob)
    assert replacing(bob, theirs, ";early-only") == ["481 INVITE"]
    alice.answering(lambda taken, request: taken.answer(b"answer", network.now))
    assert replacing(alice, session, ";early-only") == ["100 INVITE", "200 INVITE"]


@pytest.mark.parametrize("value", ["", "x", "x;to-tag=a", "x;to-tag=a;from-tag=", ";to-tag=a;from-tag=b"])
def test_rfc3891_6_1_a_malformed_replaces_gets_400(replaceable: tuple[Node, Node], value: str) -> None:
    (refusal,) = replaceable[1].feed(make_request("INVITE", headers=[("Replaces", value)]))
    assert line(refusal) == "400 INVITE"


def test_rfc3891_3_two_of_them_get_400(replaceable: tuple[Node, Node]) -> None:
    fields = [("Replaces", "x;to-tag=a;from-tag=b")] * 2
    (refusal,) = replaceable[1].feed(make_request("INVITE", headers=fields))
    assert line(refusal) == "400 INVITE"


@pytest.mark.parametrize(("method", "status"), [("OPTIONS", 400), ("REGISTER", 400), ("REFER", 400)])
def test_rfc3891_3_outside_an_invite_it_gets_400(
    replaceable: tuple[Node, Node], method: str, status: int
) -> None:
    bob = replaceable[1]
    request = make_request(method, headers=[("Replaces", "x;to-tag=a;from-tag=b")])
    assert [line(each) for each in bob.feed(request)] == [f"{status} {method}"]
    assert bob.seen == []


def test_rfc3891_4_who_cannot_replace_refuses_what_requires_it(network: Network) -> None:
    bob = network.node("bob", "192.0.2.2")
    (refusal,) = bob.feed(make_request("INVITE", headers=[("Require", "replaces")]))
    assert (line(refusal), refusal.all("Unsupported")) == ("420 INVITE", ["replaces"])
