"""The call flows of RFC 3665, judged by the RFC's own messages.

Our agent plays one part with that part's tags, branches and Call-ID; it hears the RFC's messages, byte for byte,
and what it says must agree with the RFC's messages in start line and in every field that makes the protocol.
The flows are read from the corpora beside the repository; without them the tests are skipped.
"""

from __future__ import annotations

import itertools
import re
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from ringback.sip.agent import UserAgent
from ringback.sip.authorization import Login
from ringback.sip.digest import Credentials
from ringback.sip.effects import (
    Arm,
    Disarm,
    Effect,
    Ended,
    FinalResponse,
    Incoming,
    Redirected,
    Reoffered,
    Resolve,
    Ringing,
    Send,
)
from ringback.sip.flow import Flow, Hop
from ringback.sip.message import Request, Response, parse

FLOWS = Path(__file__).parents[2].parent / "shared" / "corpora" / "flows" / "rfc3665"
PLACES = {
    "alice": ("192.0.2.101", 5060),
    "bob": ("192.0.2.201", 5060),
    "ss1": ("192.0.2.111", 5060),
    "ss2": ("192.0.2.222", 5060),
    "ss3": ("192.0.2.233", 5060),
    "moved": ("192.0.2.100", 5060),
}


def messages(number: str) -> list[bytes]:
    """The messages of one flow, F1 first."""
    found = list(FLOWS.glob(f"{number}_*.yaml"))
    if not found:
        pytest.skip("the corpora are not here")
    result = []
    for block in found[0].read_text().split("- |+\n")[1:]:
        lines = [line[2:] for line in block.rstrip("\n").split("\n")]
        head, _, body = "\n".join(lines).partition("\n\n")
        body = body.strip("\n").replace("\n", "\r\n") + "\r\n" if body.strip() else ""
        head = re.sub(r"Content-Length: \d+", f"Content-Length: {len(body)}", head)
        head = re.sub(r"\nMax-Forwards: 70(?=(\n.*)*\nCSeq: 14 INVITE\n.*\nContent)", "", head)
        result.append((head.replace("\n", "\r\n") + "\r\n\r\n" + body).encode())
    return result


class Part:
    """Our agent in one flow. ``tokens``: what it draws first, as the RFC's part did."""

    def __init__(self, number: str, me: str, peer: str, tokens: list[str], transport: str = "UDP") -> None:
        self.script = messages(number)
        self.me = PLACES[me]
        drawn = deque(["secret", *tokens])
        rest = (f"token{index}" for index in itertools.count())
        self.agent = UserAgent(lambda: drawn.popleft() if drawn else next(rest))
        self.transport = transport
        self.peer = peer
        self.now = 0.0
        self.said: deque[Request | Response] = deque()
        self.seen: list[Effect] = []

    def flow(self, peer: str) -> Flow:
        return Flow(self.transport, self.me, PLACES[peer], 0 if self.transport == "UDP" else 1)

    def hop(self) -> Hop:
        return self.flow(self.peer).hop()

    def run(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                message = parse(effect.data)
                if not (isinstance(message, Response) and message.status == 100):
                    self.said.append(message)
            elif isinstance(effect, Resolve):
                self.run(self.agent.on_resolved(effect.key, [self.hop()], self.now))
            elif not isinstance(effect, Arm | Disarm):
                self.seen.append(effect)

    def hears(self, number: int, peer: str = "") -> Any:
        """Message F<number> arrives; the last thing that it made known."""
        self.now += 0.1
        before = len(self.seen)
        self.run(
            self.agent.on_message(parse(self.script[number - 1]), self.flow(peer or self.peer), self.now)
        )
        return self.seen[-1] if len(self.seen) > before else None

    def says(self, number: int, *, beside: int | None = None) -> Request | Response:
        """The next message that was sent agrees with F<number>.

        ``beside``: the INVITE of a CANCEL or of the ACK for a refusal. They carry its Route (RFC 3261 sections
        9.1 and 17.1.1.3); RFC 3665 left that out.
        """
        ours = self.said.popleft()
        theirs = parse(self.script[number - 1])
        assert isinstance(ours, Request) == isinstance(theirs, Request)
        for name in ("From", "To"):
            mine, rfc = (each.from_ if name == "From" else each.to for each in (ours, theirs))
            assert (mine.uri, mine.tag) == (rfc.uri, rfc.tag), name
        assert ours.call_id == theirs.call_id
        assert ours.cseq == theirs.cseq
        if beside is None:
            assert ours.all("Route") == theirs.all("Route")
        else:
            assert ours.all("Route") == parse(self.script[beside - 1]).all("Route")
        assert ours.body == theirs.body
        if isinstance(ours, Request) and isinstance(theirs, Request):
            assert ours.method == theirs.method
            assert ours.uri.aor == theirs.uri.aor
            assert ours.max_forwards == theirs.max_forwards
            assert len(ours.vias) == len(theirs.vias)
            assert ours.via.sent_by == theirs.via.sent_by
        elif isinstance(ours, Response) and isinstance(theirs, Response):
            assert ours.status == theirs.status
            assert [str(via) for via in ours.vias] == [str(via) for via in theirs.vias]
            assert ours.all("Record-Route") == theirs.all("Record-Route")
        if theirs.contacts and ours.cseq.method == "INVITE":
            assert [each.uri.aor for each in ours.contacts] == [each.uri.aor for each in theirs.contacts]
        return ours

    def calls(self, number: int, **options: Any) -> Any:
        """Send the INVITE F<number>."""
        like = parse(self.script[number - 1])
        assert isinstance(like, Request)
        session, effects = self.agent.invite(
            uri=like.uri,
            hops=[self.hop()],
            from_=re.sub(";tag=.*", "", like.get("From") or ""),
            to=like.get("To") or "",
            contact=like.get("Contact") or "",
            body=like.body,
            now=self.now,
            sent_by=like.via.sent_by,
            route=like.all("Route"),
            call_id=like.call_id,
            **options,
        )
        self.run(effects)
        return session

    def accepts(self, incoming: Incoming, contact: str) -> Any:
        session, effects = self.agent.accept(incoming.request, incoming.flow, self.now, contact=contact)
        self.run(effects)
        return session

    def is_over(self, cause: str) -> bool:
        """Whether the session ended once, so, and nothing more was said."""
        return [each.cause for each in self.seen if isinstance(each, Ended)] == [cause] and not self.said


def body_of(part: Part, number: int) -> bytes:
    return parse(part.script[number - 1]).body


def alice(number: str, peer: str, branch: str, transport: str = "UDP") -> Part:
    return Part(number, "alice", peer, ["9fxced76sl", branch], transport)


def bob(number: str, peer: str, transport: str = "UDP", tag: str = "314159") -> Part:
    return Part(number, "bob", peer, [tag], transport)


BOB = "<sip:bob@client.biloxi.example.com>"


def test_rfc3665_3_1_successful_session_as_bob() -> None:
    part = bob("3.01", "alice", "TCP", "8321234356")
    session = part.accepts(part.hears(1), "<sip:bob@client.biloxi.example.com;transport=tcp>")
    part.run(session.progress(180, part.now))
    part.says(2)
    part.run(session.answer(body_of(part, 3), part.now))
    part.says(3)
    part.hears(4)
    part.run(session.hangup(part.now))
    part.says(5)
    part.hears(6)
    assert part.is_over("local")


def test_rfc3665_3_1_successful_session_as_alice() -> None:
    part = alice("3.01", "bob", "74bf9", "TCP")
    part.calls(1)
    part.says(1)
    assert isinstance(part.hears(2), Ringing)
    part.hears(3)
    part.says(4)
    part.hears(5)
    part.says(6)
    assert part.is_over("bye")


def test_rfc3665_3_2_two_proxies_as_bob() -> None:
    part = bob("3.02", "ss2", "TCP")
    session = part.accepts(part.hears(7), "<sip:bob@client.biloxi.example.com;transport=tcp>")
    part.run(session.progress(180, part.now))
    part.says(9)
    part.run(session.answer(body_of(part, 12), part.now))
    part.says(12)
    part.hears(17)
    part.run(session.hangup(part.now))
    part.says(18)
    part.hears(23)
    assert part.is_over("local")


def test_rfc3665_3_2_two_proxies_as_alice() -> None:
    part = Part("3.02", "alice", "ss1", ["9fxced76sl", "74b43", "cnonce", "74bf9"], "TCP")
    part.calls(1, credentials=Login("alice", "zanzibar"))
    part.says(1)
    part.hears(2)
    part.says(3, beside=1)
    invite = part.says(4)
    sent = Credentials.parse(invite.get("Proxy-Authorization") or "")
    challenge = parse(part.script[1]).get("Proxy-Authenticate") or ""
    assert sent.username == "alice"
    assert sent.realm == "atlanta.example.com"
    assert sent.fields["nonce"] in challenge
    part.hears(6)
    assert isinstance(part.hears(11), Ringing)
    part.hears(14)
    part.says(15)
    part.hears(20)
    part.says(21)
    assert part.is_over("bye")


def test_rfc3665_3_3_two_proxies_ask_for_credentials() -> None:
    part = Part("3.03", "alice", "ss1", ["9fxced76sl", "74b03", "c1", "74b21", "c2", "c3", "74bf9"])
    part.calls(1, credentials=Login("alice", "zanzibar"))
    part.says(1)
    part.hears(2)
    part.says(3, beside=1)
    part.says(4)
    part.hears(5)
    part.hears(9)
    part.says(10, beside=4)
    invite = part.says(11, beside=4)  # F11 lost the Route that F4 has
    realms = [Credentials.parse(value).realm for value in invite.raw("Proxy-Authorization")]
    assert realms == ["atlanta.example.com", "biloxi.example.com"]
    part.hears(12)
    part.hears(18)
    ack = part.says(19)
    assert ack.raw("Proxy-Authorization") == invite.raw("Proxy-Authorization")


def test_rfc3665_3_4_the_second_proxy_is_tried_when_the_first_is_silent() -> None:
    part = Part("3.04", "alice", "ss1", ["9fxced76sl", "74bf9"])
    like = parse(part.script[0])
    assert isinstance(like, Request)
    first, second = Hop("UDP", *PLACES["ss1"]), Hop("UDP", *PLACES["ss2"])
    _, effects = part.agent.invite(
        uri=like.uri, hops=[first, second], from_="Alice <sip:alice@atlanta.example.com>",
        to=like.get("To") or "", contact=like.get("Contact") or "", body=like.body, now=0.0,
        sent_by=like.via.sent_by, route=like.all("Route"), call_id=like.call_id,
    )  # fmt: skip
    sent = [each for each in effects if isinstance(each, Send)]
    assert [each.hop for each in sent] == [first]
    (arm,) = [each for each in effects if isinstance(each, Arm)]
    hops = []
    while part.now < 4.5:
        part.now = arm.at
        effects = part.agent.on_timer(arm.key, part.now)
        hops += [each.hop for each in effects if isinstance(each, Send)]
        if second in hops:
            break
        (arm,) = [each for each in effects if isinstance(each, Arm)]
    assert hops == [first, first, first, second]


def test_rfc3665_3_5_through_an_alg_as_alice() -> None:
    part = alice("3.05", "ss1", "74bf9")
    session = part.calls(1)
    part.says(1)
    part.hears(3)
    assert isinstance(part.hears(8), Ringing)
    part.hears(11)
    part.says(12)
    part.run(session.hangup(part.now))
    part.says(14)
    part.hears(17)
    assert part.is_over("local")


def test_rfc3665_3_6_redirect_as_alice() -> None:
    part = alice("3.06", "ss2", "bf9f44")
    part.calls(1)
    part.says(1)
    part.hears(2)
    part.says(3, beside=1)
    (redirected,) = [each for each in part.seen if isinstance(each, Redirected)]
    assert [str(each.uri) for each in redirected.contacts] == ["sip:bob@chicago.example.com;transport=tcp"]
    assert part.is_over("redirected")


def test_rfc3665_3_6_sdp_in_the_ack_as_bob() -> None:
    part = bob("3.06", "ss3", "TCP")
    session = part.accepts(part.hears(5), "<sip:bob@client.chicago.example.com;transport=tcp>")
    part.run(session.progress(180, part.now))
    part.says(7)
    part.run(session.answer(body_of(part, 9), part.now))
    part.says(9)
    confirmed = part.hears(12)
    assert confirmed.body == body_of(part, 12)
    part.run(session.hangup(part.now))
    part.says(13)
    part.hears(16)
    assert part.is_over("local")


def test_rfc3665_3_7_reinvite_with_a_new_address_as_alice() -> None:
    part = alice("3.07", "ss2", "74bf9")
    session = part.calls(1)
    part.says(1)
    part.hears(3)
    part.hears(5)
    part.hears(7)
    part.says(8)
    reoffered = part.hears(9, "moved")
    assert isinstance(reoffered, Reoffered)
    assert reoffered.body == body_of(part, 9)
    part.run(session.accept_reoffer(body_of(part, 10), part.now))
    part.says(10)
    part.hears(11, "moved")
    part.run(session.hangup(part.now))
    bye = part.says(12)
    assert isinstance(bye, Request)
    assert bye.raw_uri == "sip:bob@client.chicago.example.com"
    part.hears(13, "moved")
    assert part.is_over("local")


def test_rfc3665_3_8_no_answer_as_alice() -> None:
    part = alice("3.08", "ss1", "74bf9")
    session = part.calls(1)
    part.says(1)
    part.hears(3)
    part.hears(8)
    part.run(session.hangup(part.now))
    part.says(9, beside=1)
    part.hears(10)
    part.hears(19)
    part.says(20, beside=1)
    assert part.is_over("cancelled")


def test_rfc3665_3_8_no_answer_as_bob() -> None:
    part = bob("3.08", "ss2")
    session = part.accepts(part.hears(4), BOB)
    part.run(session.progress(180, part.now))
    part.says(6)
    part.hears(13)
    ok = part.said.popleft()
    assert isinstance(ok, Response)
    assert (ok.status, ok.cseq.method) == (200, "CANCEL")
    part.says(15)
    part.hears(16)
    assert part.is_over("cancelled")


@pytest.mark.parametrize(("number", "ringing", "final", "ack"), [("3.09", 0, 6, 7), ("3.11", 6, 9, 10)])
def test_rfc3665_3_9_and_3_11_refusals_as_bob(number: str, ringing: int, final: int, ack: int) -> None:
    part = bob(number, "ss2")
    session = part.accepts(part.hears(4), BOB)
    if ringing:
        part.run(session.progress(180, part.now))
        part.says(ringing)
    refusal = parse(part.script[final - 1])
    assert isinstance(refusal, Response)
    part.run(session.reject(refusal.status, part.now))
    part.says(final)
    part.hears(ack)
    assert part.is_over("local")


@pytest.mark.parametrize(
    ("number", "heard", "ack"), [("3.09", [3, 10], 11), ("3.10", [3, 14], 15), ("3.11", [3, 8, 13], 14)]
)
def test_rfc3665_3_9_to_3_11_refusals_as_alice(number: str, heard: list[int], ack: int) -> None:
    part = alice(number, "ss1", "74bf9")
    part.calls(1)
    part.says(1)
    for each in heard:
        part.hears(each)
    part.says(ack, beside=1)
    assert part.is_over("rejected")


def test_rfc3665_2_1_registration() -> None:
    part = Part("2.01", "bob", "ss2", ["a73kszlfl", "nashds7", "cnonce", "nashd92"], "TLS")
    like = parse(part.script[0])
    assert isinstance(like, Request)
    part.run(
        part.agent.request(
            method="REGISTER", uri=like.uri, hops=[part.hop()], from_="Bob <sips:bob@biloxi.example.com>",
            to=like.get("To") or "", now=0.0, sent_by=like.via.sent_by, contact=like.get("Contact") or "",
            credentials=Login("bob", "zanzibar"), call_id=like.call_id, owner="bob",
        )
    )  # fmt: skip
    part.says(1)
    part.hears(2)
    again = part.said.popleft()
    assert again.cseq.number == 2
    assert Credentials.parse(again.get("Authorization") or "").realm == "atlanta.example.com"
    final = part.hears(4)
    assert isinstance(final, FinalResponse)
    assert (final.owner, final.response.status) == ("bob", 200)
