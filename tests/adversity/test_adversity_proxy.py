"""The bad network is as bad as it says, and the same for the same seed."""

from __future__ import annotations

import asyncio
import random

from adversity.proxy import Weather, crumbs


def test_chances_are_kept_and_repeatable() -> None:
    weather = Weather(loss=0.1, reorder=0.05, repeat=0.02, delay=0.01, held=0.1)
    runs = [[weather.delays(dice) for _ in range(20_000)] for dice in (random.Random(7), random.Random(7))]
    assert runs[0] == runs[1]
    lost = sum(not delays for delays in runs[0]) / 20_000
    late = sum(bool(delays) and delays[0] > 0.01 for delays in runs[0]) / 20_000
    twice = sum(len(delays) == 2 for delays in runs[0]) / 20_000
    assert abs(late - 0.9 * 0.05) < 0.006
    assert abs(twice - 0.9 * 0.02) < 0.004
    assert abs(lost - 0.1) < 0.01


def test_damage_changes_bytes_and_no_lengths() -> None:
    weather = Weather(corrupt=1.0)
    data = bytes(200)
    damaged = weather.damaged(data, random.Random(1))
    assert damaged != data
    assert len(damaged) == 200


def test_crumbs_lose_nothing() -> None:
    data = random.Random(1).randbytes(5_000)
    pieces = crumbs(data, random.Random(2))
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= 40


async def test_datagrams_pass_both_ways_and_are_counted() -> None:
    from adversity.proxy import UdpProxy

    loop = asyncio.get_running_loop()
    got: asyncio.Queue[bytes] = asyncio.Queue()

    class Echo(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
            self.transport.sendto(data, address)  # type: ignore[attr-defined]

    class Phone(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
            got.put_nowait(data)

    server, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    proxy = UdpProxy(server.get_extra_info("sockname"), Weather(delay=0.005))
    phone, _ = await loop.create_datagram_endpoint(Phone, local_addr=("127.0.0.1", 0))
    async with asyncio.timeout(10):
        phone.sendto(b"one", proxy.address)
        assert await got.get() == b"one"
        proxy.weather = Weather(loss=1.0)
        phone.sendto(b"two", proxy.address)
        while not proxy.lost:
            await asyncio.sleep(0)
    assert proxy.passed == 2
    for each in (phone, server, proxy):
        each.close()
