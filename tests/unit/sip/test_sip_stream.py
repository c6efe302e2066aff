"""Messages out of streams."""

from __future__ import annotations

import pytest

from ringback.sip.errors import SipSyntaxError
from ringback.sip.limits import MAX_BODY, MAX_HEAD
from ringback.sip.message import Request, Response
from ringback.sip.stream import KeepAlive, Malformed, StreamParser


def _message(number: int, body: bytes = b"", more: str = "") -> bytes:
    return Request(
        "INFO",
        "sip:bob@example.com",
        [
            ("Via", "SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK1"),
            ("From", "<sip:a@b>;tag=1"),
            ("To", "<sip:a@b>"),
            ("Call-ID", "x"),
            ("CSeq", f"{number} INFO{more}"),
        ],
        body,
    ).render()


def _numbers(items: list[object]) -> list[int]:
    return [item.cseq.number for item in items if isinstance(item, Request | Response)]


def test_rfc3261_18_3_several_messages_in_one_piece() -> None:
    parser = StreamParser()
    items = parser.feed(_message(1, b"body") + _message(2) + _message(3, b"\r\n\r\n"))
    assert _numbers(list(items)) == [1, 2, 3]
    assert [item.body for item in items if isinstance(item, Request)] == [b"body", b"", b"\r\n\r\n"]
    assert parser.is_idle


def test_rfc3261_18_3_messages_byte_by_byte() -> None:
    parser = StreamParser()
    items = [item for byte in _message(1, b"body") + _message(2, b"x") for item in parser.feed(bytes([byte]))]
    assert _numbers(list(items)) == [1, 2]


def test_a_half_message_waits() -> None:
    parser = StreamParser()
    data = _message(1, b"body")
    assert parser.feed(data[:-1]) == []
    assert not parser.is_idle
    assert _numbers(list(parser.feed(data[-1:]))) == [1]


def test_rfc5626_3_5_1_pings_and_pongs() -> None:
    parser = StreamParser()
    assert parser.feed(b"\r\n\r\n") == [KeepAlive.PING]
    assert parser.feed(b"\r\n") == [KeepAlive.PONG]
    assert parser.feed(b"\r") == []
    assert parser.feed(b"\n\r\n") == [KeepAlive.PING]
    assert parser.feed(b"\r\n\r") == []
    assert parser.feed(b"\n") == [KeepAlive.PING]
    ping, message = parser.feed(b"\r\n\r\n" + _message(1))
    assert ping is KeepAlive.PING
    assert isinstance(message, Request)
    pong, message = parser.feed(b"\r\n" + _message(2))
    assert pong is KeepAlive.PONG
    assert isinstance(message, Request)


def test_a_wrong_message_does_not_end_the_stream() -> None:
    items = StreamParser().feed(_message(1, b"body", more=" junk") + _message(2))
    assert isinstance(items[0], Malformed)
    assert isinstance(items[0].error.message, Request)
    assert _numbers(list(items)) == [2]


@pytest.mark.parametrize(
    "old_new",
    [
        (b"Content-Length: 0", b"Content-Length: x"),
        (b"Content-Length: 0\r\n", b""),
        (b"Content-Length: 0", b"Content-Length: 0\r\nContent-Length: 0"),
        (b"Content-Length: 0", b"Content-Length: 0\r\nl: 5"),
        (b"Content-Length: 0", b"Content-Length: %d" % (MAX_BODY + 1)),
        (b"INFO sip:bob@example.com SIP/2.0", b"GET / HTTP/1.1"),
    ],
)
def test_rfc3261_18_3_a_stream_without_clear_framing_is_lost(old_new: tuple[bytes, bytes]) -> None:
    parser = StreamParser()
    data = _message(1).replace(*old_new)
    with pytest.raises(SipSyntaxError) as caught:
        parser.feed(data)
    assert parser.failure is caught.value
    with pytest.raises(SipSyntaxError):
        parser.feed(_message(2))


def test_messages_before_the_loss_are_not_lost() -> None:
    parser = StreamParser()
    assert _numbers(list(parser.feed(_message(1) + b"junk\r\n\r\n" + _message(2)))) == [1]
    assert parser.failure is not None
    with pytest.raises(SipSyntaxError):
        parser.feed(b"")


def test_a_head_without_end_is_lost_at_its_limit() -> None:
    parser = StreamParser()
    with pytest.raises(SipSyntaxError) as caught:
        for _ in range(MAX_HEAD // 1000 + 1):
            assert parser.feed(b"x" * 1000) == []
    assert caught.value.status == 513
    assert parser.is_idle  # nothing is kept


def test_the_largest_body_passes() -> None:
    (item,) = StreamParser().feed(_message(1, b"x" * MAX_BODY))
    assert isinstance(item, Request)
    assert len(item.body) == MAX_BODY
