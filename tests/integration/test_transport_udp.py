"""SIP over UDP on loopback, on asyncio's loop and on uvloop."""

from __future__ import annotations

import asyncio
import errno
from typing import Any

import pytest
from integration.transport_scene import (
    OPTIONS,
    Stations,
    event_loop_policy,
    get,
    receive,
    station,
    udp_socket,
)

from ringback.shell.transport import SipTransports, TransportLimits
from ringback.sip.flow import Flow, Hop
from ringback.sip.message import Request, Response

__all__ = ["event_loop_policy", "station"]

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")


async def test_udp_there_and_back(station: Stations) -> None:
    a, b = station(), station()
    a_address, b_address = a.transports.listen_udp("127.0.0.1", 0), b.transports.listen_udp("127.0.0.1", 0)
    a.send(Hop("UDP", *b_address), OPTIONS % 1, "t1")
    message, flow = await get(b.messages)
    assert isinstance(message, Request) and message.method == "OPTIONS"
    assert flow == Flow("UDP", b_address, a_address, 0)
    b.send(flow.hop(), message.reply(200).render(), "t2")
    response, back = await get(a.messages)
    assert isinstance(response, Response) and response.status == 200
    assert back.remote == b_address


async def test_udp_ipv6(station: Stations) -> None:
    a = station()
    try:
        address = a.transports.listen_udp("::1", 0)
    except OSError:
        pytest.skip("no IPv6 here")
    a.send(Hop("UDP", *address), OPTIONS % 1)
    _, flow = await get(a.messages)
    assert flow.remote == address


async def test_udp_answers_from_the_socket_that_was_asked(station: Stations) -> None:
    a, phone = station(), station()
    first, second = a.transports.listen_udp("127.0.0.1", 0), a.transports.listen_udp("127.0.0.1", 0)
    phone.transports.listen_udp("127.0.0.1", 0)
    for address in (second, first):
        phone.send(Hop("UDP", *address), OPTIONS % 1)
        _, flow = await get(a.messages)
        assert flow.local == address
        a.send(flow.hop(), OPTIONS % 2)
        assert (await get(phone.messages))[1].remote == address


async def test_udp_garbage_is_told_and_survived(station: Stations) -> None:
    a = station()
    address = a.transports.listen_udp("127.0.0.1", 0)
    with udp_socket() as phone:
        phone.sendto(b"GET / HTTP/1.1\r\n\r\n", address)
        phone.sendto((OPTIONS % 1).replace(b"Call-ID: c1", b"Call-ID c1"), address)
        error, _ = await get(a.garbage)
        assert error.message is None
        error, _ = await get(a.garbage)
        assert isinstance(error.message, Request)
        phone.sendto(OPTIONS % 2, address)
        assert (await get(a.messages))[0].cseq.number == 2


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"\0", b"jaK\0", b"\0\0\0\0", b"\r\n" * 20, b"  \r\n "])
async def test_udp_keep_alives_are_no_garbage(station: Stations, data: bytes) -> None:
    a = station()
    address = a.transports.listen_udp("127.0.0.1", 0)
    with udp_socket() as phone:
        phone.sendto(data, address)
        phone.sendto(OPTIONS % 1, address)
        await get(a.messages)
    assert a.garbage.empty()
    assert a.counters.keep_alives == 1


async def test_udp_more_than_a_batch_arrives(station: Stations) -> None:
    a = station(TransportLimits(datagrams_per_turn=3))
    address = a.transports.listen_udp("127.0.0.1", 0)
    with udp_socket() as phone:
        for number in range(20):
            phone.sendto(OPTIONS % number, address)
        assert [(await get(a.messages))[0].cseq.number for _ in range(20)] == list(range(20))


async def test_a_batch_gives_the_loop_its_turn(station: Stations) -> None:
    a = station(TransportLimits(datagrams_per_turn=3))
    address = a.transports.listen_udp("127.0.0.1", 0)
    with udp_socket() as phone:
        for number in range(20):
            phone.sendto(OPTIONS % number, address)
    seen: list[int] = []
    while not seen or seen[-1] < 20:
        await asyncio.sleep(0)
        seen.append(a.messages.qsize())
    assert max(later - earlier for earlier, later in zip([0, *seen], seen, strict=False)) <= 3


async def test_a_failing_user_does_not_stop_the_socket(station: Stations) -> None:
    loop = asyncio.get_running_loop()
    errors: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: errors.append(context))
    got: asyncio.Queue[int] = asyncio.Queue()

    def on_message(message: Request | Response, flow: Flow) -> None:
        if message.cseq.number == 1:
            raise ValueError("broken")
        got.put_nowait(message.cseq.number)

    transports = SipTransports(on_message, lambda *_: None, lambda _: None, lambda *_: None)
    address = transports.listen_udp("127.0.0.1", 0)
    tcp = transports.listen_tcp("127.0.0.1", 0)
    with udp_socket() as phone:
        phone.sendto(OPTIONS % 1, address)
        phone.sendto(OPTIONS % 2, address)
        assert await get(got) == 2
    _, writer = await asyncio.open_connection(*tcp)
    writer.write(OPTIONS % 1 + OPTIONS % 3)
    assert await get(got) == 3
    writer.close()
    await transports.close(1.0)
    assert [type(context["exception"]) for context in errors] == [ValueError, ValueError]


async def test_icmp_errors_are_ignored(station: Stations) -> None:
    a = station()
    address = a.transports.listen_udp("127.0.0.1", 0)
    with udp_socket() as gone:
        dead = gone.getsockname()
    for _ in range(3):
        a.send(Hop("UDP", *dead), OPTIONS % 1, "t")
    a.send(Hop("UDP", *address), OPTIONS % 2, "t")
    assert (await get(a.messages))[0].cseq.number == 2
    assert a.unreachable.empty()


@pytest.mark.parametrize(
    "hop",
    [
        Hop("UDP", "127.0.0.1", 0),
        Hop("UDP", "127.0.0.1", 70000),
        Hop("UDP", "2001:db8::1", 5060),
        Hop("UDP", "phone.example.com", 5060),
        Hop("UDP", "255.255.255.255", 5060),
        Hop("TCP", "phone.example.com", 5060),
        Hop("TCP", "127.0.0.1", 70000),
        Hop("TLS", "127.0.0.1", 1),
        Hop("SCTP", "127.0.0.1", 5060),
        Hop("TCP", "127.0.0.1", 5060, connection=77),
        Hop("TLS", "127.0.0.1", 5060, connection=78),
    ],
)
async def test_what_cannot_be_sent_is_told_later(station: Stations, hop: Hop) -> None:
    a = station()
    a.transports.listen_udp("127.0.0.1", 0)
    a.send(hop, OPTIONS % 1, "key")
    assert a.unreachable.empty()  # never from within send
    assert await get(a.unreachable) == (hop, "key")
    assert a.counters.unreachable == 1


@pytest.mark.parametrize("host", ["localhost", "127.1", "127.0.0.01", "127.0.0.999", ""])
async def test_a_name_is_not_looked_up_though_the_socket_is_known(station: Stations, host: str) -> None:
    """A peer writes it into the maddr of its Via or a Route; whoever asks the resolver for it stops all calls meanwhile."""
    a = station()
    local = a.transports.listen_udp("127.0.0.1", 0)
    hop = Hop("UDP", host, local[1], 0, "", local)
    a.send(hop, OPTIONS % 1, "key")
    a.send(Hop("UDP", *local), OPTIONS % 2)
    assert (await get(a.messages))[0].cseq.number == 2
    assert await get(a.unreachable) == (hop, "key")


async def test_udp_message_too_long(station: Stations) -> None:
    a = station()
    address = a.transports.listen_udp("127.0.0.1", 0)
    a.send(Hop("UDP", *address), b"x" * 70_000, "key")
    assert (await get(a.unreachable))[1] == "key"


async def test_udp_full_socket_queues_in_order_and_drops_beyond(station: Stations) -> None:
    a = station(TransportLimits(datagram_queue=5, datagrams_per_turn=2))
    a.transports.listen_udp("127.0.0.1", 0)
    (udp,) = a.transports._udp.values()
    full = True
    real = udp._datagrams

    class Full:
        """The socket, full for as long as the test says."""

        def send(self, data: bytes, host: str, port: int) -> int:
            return errno.EAGAIN if full else real.send(data, host, port)

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

    udp._datagrams = Full()  # type: ignore[assignment]
    with udp_socket() as phone:
        hop = Hop("UDP", *phone.getsockname())
        for number in range(8):
            a.send(hop, b"%d" % number)
        assert a.counters.datagrams_dropped == 3
        full = False
        a.send(hop, b"behind")  # dropped too: nothing overtakes the queue
        assert [await receive(phone) for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
        a.send(hop, b"next")
        assert await receive(phone) == b"next"
