"""Effects that are carried out: what owners of sessions hear, and by what an answer to a stranger is shortened."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ringback.shell.sip_stack import SipStack, shortened
from ringback.sip import effects as sip
from ringback.sip.message import parse

HOST = "incoming configure happened wire follow transfer answered stream_closed fire".split()

CHALLENGES = [
    f'Digest realm="r", nonce="{number}", algorithm={name}' for number, name in enumerate(("SHA-256", "MD5"))
]
ANSWER = (
    "SIP/2.0 407 Proxy Authentication Required\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\n"
    "From: <sip:a@y>;tag=1\r\nTo: <sip:x@y>;tag=2\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\n"
    f"Proxy-Authenticate: {CHALLENGES[0]}\r\nProxy-Authenticate: {CHALLENGES[1]}\r\n"
    "Server: Ringback\r\nContent-Length: 0\r\n\r\n"
).encode()


def test_names_of_programs_go_first() -> None:
    answer = parse(shortened(ANSWER, lambda size: size < len(ANSWER)))
    assert not answer.has("Server")
    assert answer.raw("Proxy-Authenticate") == CHALLENGES


def test_rfc8760_2_3_one_challenge_is_left_where_two_are_too_long() -> None:
    """The last, whose algorithm every phone knows: without any, nobody could register over UDP."""
    answer = parse(shortened(ANSWER, lambda size: size < len(ANSWER) - 40))
    assert answer.raw("Proxy-Authenticate") == CHALLENGES[1:]


def test_what_never_fits_is_not_sent() -> None:
    assert shortened(ANSWER, lambda size: size < 100) == b""


class Owner:
    """Whoever owns a session holds it, too."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.heard: list[object] = []

    def on(self, effect: object, now: float) -> list[Any]:
        self.heard.append(effect)
        return []


async def test_the_end_is_the_last_that_an_owner_hears_of_a_session() -> None:
    """And session and owner hold each other no longer: only the collector could free them."""
    host = SimpleNamespace(**dict.fromkeys(HOST, lambda *_: None))
    stack = SipStack(host, "test")
    session = SimpleNamespace(owner=None)
    session.owner = owner = Owner(session)
    info, ended = sip.InfoAnswered(session, 200), sip.Ended(session, "bye", 200, "OK", None, ())
    stack.carry_out([info, ended, info])
    await stack.close()
    assert owner.heard == [info, ended]
    assert session.owner is None
