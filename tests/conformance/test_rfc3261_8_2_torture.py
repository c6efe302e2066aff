"""What the agent does with the torture messages of RFC 4475, and with damaged ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.sip.virtual_network import make_request

from ringback.sip.agent import UserAgent
from ringback.sip.effects import Effect, Incoming, Send
from ringback.sip.errors import SipSyntaxError
from ringback.sip.flow import Flow
from ringback.sip.message import Message, Request, Response, parse

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpora" / "rfc4475"
FLOW = Flow("UDP", ("192.0.2.2", 5060), ("192.0.2.99", 5060))


def cases() -> list[tuple[str, str]]:
    if not CORPUS.exists():
        return []
    rows = [row.split("\t") for row in (CORPUS / "expected.tsv").read_text().splitlines()[2:]]
    return [(name, verdict) for name, _, parser, verdict in rows if parser == "accept"]


def agent() -> UserAgent:
    counter = iter(range(10**9))
    return UserAgent(lambda: f"token{next(counter)}")


def outcome(effects: list[Effect]) -> list[str]:
    """The status of each answer, or "incoming"."""
    result = []
    for effect in effects:
        if isinstance(effect, Send):
            answer = parse(effect.data)
            assert isinstance(answer, Response)
            result.append(str(answer.status))
        elif isinstance(effect, Incoming):
            result.append("incoming")
    return result


# What the user of the agent decides, and what a proxy would have to refuse, is given on.
DECIDED_ABOVE = {"any-valid", "200", "401", "answer-first-only", "drop-never-broadcast"}


@pytest.mark.skipif(not cases(), reason="the corpora are not here")
@pytest.mark.parametrize(("name", "verdict"), cases())
def test_rfc4475_messages_get_the_answer_that_they_deserve(name: str, verdict: str) -> None:
    message = parse((CORPUS / name).read_bytes())
    ours = agent()
    effects = ours.on_message(message, FLOW, 0.0)
    assert ours.is_idle
    got = outcome(effects)
    if isinstance(message, Response):
        assert got == []
        return
    assert len(got) == 1
    allowed = set(verdict.split("|"))
    if allowed & DECIDED_ABOVE:
        allowed.add("incoming")
        if "any-valid" in allowed:
            allowed |= {"405", "481", "501", "415"}  # MESSAGE and the like are not served here
    if "4xx" in allowed:
        allowed |= {"400", "415", "416", "405"}
        if message.method == "REGISTER":
            allowed.add("incoming")  # the registrar knows which addresses it serves
    assert got[0] in allowed, (got, verdict)


HEADERS = st.sampled_from(
    ["Via", "From", "To", "Call-ID", "CSeq", "Contact", "Max-Forwards", "Require", "Route", "Record-Route",
     "Content-Type", "Content-Encoding", "Accept", "Supported", "Authorization"]
)  # fmt: skip
VALUES = st.sampled_from(
    ["", ",", ";", "<", "<sip:a@b", "<sip:a@b>;tag=", "<sip:a@b>;tag=x", "sip:a@b;lr", "<tel:+1>", "*", "0", "-1", "99999999999",
     "1 INVITE", "1 BYE", "4294967295 INVITE", "SIP/2.0/UDP h;branch=z9hG4bK", "SIP/2.0/UDP h", "SIP/2.0/TLS [::1]:1;branch=1;rport",
     "SIP/2.0/UDP a;maddr=256.1.1.1;branch=z9hG4bKx", "<sip:r;lr>, <sip:q>", '"', "a\tb", "\u00e9", "100rel"]
)  # fmt: skip
METHODS = st.sampled_from(["INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "UPDATE", "INFO", "FOO"])
DAMAGE = st.lists(st.tuples(st.sampled_from(["set", "add", "remove"]), HEADERS, VALUES), max_size=4)


def harm(message: Message, damage: list[tuple[str, str, str]]) -> None:
    for how, name, value in damage:
        if how == "remove":
            message.remove(name)
        elif how == "set":
            message.set(name, value)
        else:
            message.add(name, value)


def damaged(ours: UserAgent, method: str, damage: list[tuple[str, str, str]], tag: str) -> Request | None:
    """A damaged request; None when already the parser refused it, which then is answered as a shell does."""
    request = make_request(method, to_tag=tag, body=b"x" if method in ("INVITE", "INFO") else b"")
    harm(request, damage)
    try:
        message = parse(request.render())
    except SipSyntaxError as error:
        if isinstance(error.message, Request):
            answers = ours.reply_statelessly(error.message, FLOW, error.status, error.reason)
            start = f"SIP/2.0 {error.status} ".encode()
            assert all(isinstance(each, Send) and each.data.startswith(start) for each in answers)
        return None
    return message if isinstance(message, Request) else None


@settings(max_examples=400)
@given(METHODS, DAMAGE, st.booleans())
def test_damaged_requests_never_break_the_agent(
    method: str, damage: list[tuple[str, str, str]], inside: bool
) -> None:
    ours = agent()
    first = make_request("INVITE", branch="z9hG4bKfirst", body=b"offer")
    incoming = ours.on_message(first, FLOW, 0.0)[0]
    assert isinstance(incoming, Incoming)
    session, _ = ours.accept(incoming.request, FLOW, 0.0, contact="<sip:bob@192.0.2.2>")
    session.answer(b"answer", 0.0)
    request = damaged(ours, method, damage, session.dialog.local_tag if inside else "")
    if request is None:
        return
    for _ in range(2):
        for effect in ours.on_message(request, FLOW, 1.0):
            if isinstance(effect, Incoming) and effect.request.method == "INVITE":
                other, _ = ours.accept(effect.request, FLOW, 1.0, contact="<sip:bob@192.0.2.2>")
                other.reject(486, 1.0)


@settings(max_examples=300)
@given(st.sampled_from([100, 180, 200, 302, 401, 407, 481, 486, 491, 503, 699]), DAMAGE)
def test_damaged_responses_never_break_the_agent(status: int, damage: list[tuple[str, str, str]]) -> None:
    ours = agent()
    session, effects = ours.invite(
        uri="sip:bob@192.0.2.99",
        hops=[FLOW.hop()],
        from_="<sip:a@192.0.2.2>",
        to="<sip:bob@192.0.2.99>",
        contact="<sip:a@192.0.2.2>",
        body=b"offer",
        now=0.0,
        sent_by="192.0.2.2",
    )
    sent = effects[0]
    assert isinstance(sent, Send)
    request = parse(sent.data)
    assert isinstance(request, Request)
    response = request.reply(status, to_tag="t", headers=[("Contact", "<sip:bob@192.0.2.99>")])
    harm(response, damage)
    try:
        message = parse(response.render())
    except SipSyntaxError:
        return
    ours.on_message(message, FLOW, 1.0)
    ours.on_message(message, FLOW, 2.0)
    session.hangup(3.0)
    assert session.is_over
