"""Datagrams of a socket: both twins say the same of what is there and of what fails."""

from __future__ import annotations

import errno
import select
import socket
from collections.abc import Callable, Iterator

import pytest

from ringback.media.datagrams import AT_ONCE, Datagrams, PureDatagrams, Source
from ringback.media.twins import datagrams_of, why_pure

Made = Callable[[socket.socket], Datagrams]


@pytest.fixture(params=[PureDatagrams, datagrams_of], ids=["pure", "chosen"])
def made(request: pytest.FixtureRequest) -> Made:
    found: Made = request.param
    return found


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as other:
        for end in (one, other):
            end.bind(("127.0.0.1", 0))
            end.setblocking(False)
        yield one, other


Ends = tuple[socket.socket, socket.socket]


def arrived(datagrams: Datagrams, sock: socket.socket) -> tuple[bytes, Source]:
    """What comes next, once it is there: also on loopback the kernel may take a moment."""
    select.select([sock], [], [], 10)
    (received,) = datagrams.receive(1)
    return received


def test_the_compiled_twin_is_chosen_for_ipv4_where_it_is_built(ends: Ends) -> None:
    assert (type(datagrams_of(ends[0])) is PureDatagrams) == bool(why_pure())
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as six:
        assert type(datagrams_of(six)) is PureDatagrams


def test_what_is_sent_is_received_with_its_source(made: Made, ends: Ends) -> None:
    one, other = made(ends[0]), made(ends[1])
    assert other.receive(1) == []
    for data in (b"", b"a\x00b", b"x" * 60_000):
        assert one.send(data, *ends[1].getsockname()) == 0
        assert arrived(other, ends[1]) == (data, ends[0].getsockname())
    assert other.receive(1) == []


def test_as_many_are_received_as_are_there_and_asked_for(made: Made, ends: Ends) -> None:
    one, other = made(ends[0]), made(ends[1])
    sent = [b"%d" % number * (number * 100) for number in range(1, AT_ONCE + 4)]
    for data in sent:
        one.send(data, *ends[1].getsockname())
    select.select([ends[1]], [], [], 10)
    received = [other.receive(2), other.receive(1_000), other.receive(AT_ONCE)]
    assert [len(each) for each in received] == [2, AT_ONCE, 1]
    assert [data for each in received for data, _ in each] == sent
    assert {source for each in received for _, source in each} == {ends[0].getsockname()}


def test_every_source_gets_its_own_name(made: Made, ends: Ends) -> None:
    receiver = made(ends[0])
    senders = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(40)]
    for number, sender in enumerate(senders):
        sender.bind((f"127.0.0.{number + 1}", 0))
    for _ in range(2):
        for number, sender in enumerate(senders):
            sender.sendto(b"%d" % number, ends[0].getsockname())
            assert arrived(receiver, ends[0]) == (b"%d" % number, sender.getsockname())
    for sender in senders:
        sender.close()


def test_what_cannot_be_sent_is_said_by_its_number(made: Made, ends: Ends) -> None:
    one = made(ends[0])
    assert one.send(b"x", "127.0.0.1", 70_000) == errno.EINVAL
    assert one.send(b"x", "127.0.0.1", 0) == errno.EINVAL
    assert one.send(b"x" * 70_000, *ends[1].getsockname()) == errno.EMSGSIZE
    assert one.send(b"x", "2001:db8::1", 5060) != 0
    assert one.send(b"x", "255.255.255.255", 5060) == errno.EACCES


def test_a_closed_one_is_of_no_other_socket(made: Made, ends: Ends) -> None:
    one = made(ends[0])
    number = ends[0].fileno()
    one.close()
    ends[0].close()
    with socket.socket(type=socket.SOCK_DGRAM) as next_one:
        assert next_one.fileno() == number
        assert one.send(b"x", *ends[1].getsockname()) == errno.EBADF
        with pytest.raises(OSError, match="Bad file"):
            one.receive(1)
