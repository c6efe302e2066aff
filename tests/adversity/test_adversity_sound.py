"""Loss of sound: what both sides count is what the network lost, a relay adds none, and the score follows G.107.

phone A <---> bad network <---> port 1 --relay--> port 2 <---> phone B
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest
from adversity.proxy import Address, UdpProxy, Weather
from pump_scene import Setup

from ringback.media import tones
from ringback.media.pump import Port, PortStats, Pump
from ringback.media.twins import create_pump
from ringback.rtp.quality import mos, rating

STREAMS = 16
FRAMES = 250
"""5 s of sound in each stream: 4,000 packets each way in each weather."""


def configure(pump: Pump, port: Port, remote: Address, rtcp_remote: Address) -> None:
    Setup(pump).configure(port, remote, rtcp_remote=rtcp_remote)


def place(port: Port, plus: int = 0) -> Address:
    return "127.0.0.1", port.port + plus


@dataclass
class Line:
    """One call: A through the bad network to the relay, and B behind it."""

    a: Port
    outer: Port
    inner: Port
    b: Port
    network: UdpProxy
    reports: UdpProxy


class Lines:
    """Calls that are up, on three pumps of their own: phones A, the exchange, phones B."""

    def __init__(self, weather: Weather, first: int) -> None:
        self.phones, self.exchange, self.others = (
            create_pump((first + 200 * n, first + 200 * n + 199), report_after=1.0) for n in range(3)
        )
        self.lines: list[Line] = []
        for n in range(STREAMS):
            a, outer = self.phones.open("127.0.0.1"), self.exchange.open("127.0.0.1")
            inner, b = self.exchange.open("127.0.0.1"), self.others.open("127.0.0.1")
            network = UdpProxy(place(outer), weather, seed=n)
            reports = UdpProxy(place(outer, 1), Weather(), seed=n)
            self.lines.append(Line(a, outer, inner, b, network, reports))
            configure(self.phones, a, network.address, reports.address)
            seen = network.path(place(a)).inside.getsockname(), reports.path(place(a, 1)).inside.getsockname()
            configure(self.exchange, outer, *seen)
            configure(self.exchange, inner, place(b), place(b, 1))
            configure(self.others, b, place(inner), place(inner, 1))
            self.exchange.connect(outer.id, inner.id)

    def play(self) -> None:
        """Both ends speak for all frames."""
        sound = tones.sine(440, FRAMES * 0.02)
        for line in self.lines:
            self.phones.play(line.a.id, 1, sound, 1)
            self.others.play(line.b.id, 1, sound, 1)

    async def until_played(self) -> None:
        """Until all is sent, and a report or two went by after it."""
        left = 2 * STREAMS
        async with asyncio.timeout(40):
            while left:
                for pump in (self.phones, self.others):
                    left -= sum(event[0] == "played" for event in pump.events())
                self.exchange.events()
                await asyncio.sleep(0.02)
            until = time.monotonic() + 2.5
            while time.monotonic() < until:
                await asyncio.sleep(0.02)

    def close(self) -> None:
        for line in self.lines:
            line.network.close()
            line.reports.close()
        for pump in (self.phones, self.exchange, self.others):
            pump.close()


@asynccontextmanager
async def lines_of(weather: Weather, first: int) -> AsyncIterator[Lines]:
    async with AsyncExitStack() as stack:
        lines = Lines(weather, first)
        stack.callback(lines.close)
        lines.play()
        await lines.until_played()
        yield lines


def lost(stats: PortStats) -> int:
    return stats.lost


def told(stats: PortStats) -> int:
    assert stats.remote is not None
    return stats.remote.lost


WEATHERS = (Weather(loss=0.05), Weather(loss=0.01, reorder=0.03, held=0.03, delay=0.01))


async def test_both_sides_count_what_the_network_lost() -> None:
    await asyncio.gather(*(count(weather, 22_000 + 600 * n) for n, weather in enumerate(WEATHERS)))


async def count(weather: Weather, first: int) -> None:
    async with lines_of(weather, first) as lines:
        really_lost = heard_lost = told_lost = relayed_lost = sent = 0
        for line in lines.lines:
            (path,) = line.network.paths.values()
            sent += path.outward.passed + path.outward.lost
            really_lost += path.outward.lost
            at_outer = lines.exchange.stats(line.outer.id)
            at_a, at_b = lines.phones.stats(line.a.id), lines.others.stats(line.b.id)
            heard_lost += lost(at_outer)
            told_lost += told(at_a)
            relayed_lost += lost(at_b)
            # and the other way: what B said was relayed, and lost between the relay and A
            assert abs(lost(at_a) - path.homeward.lost) <= 2
            assert_score(at_outer)
            assert_score(at_a)
        print(
            f"{sent} sent, {really_lost} lost, {heard_lost} heard, {told_lost} told, {relayed_lost} behind the relay"
        )
        assert really_lost > 0
        allowed = 0.001 * sent
        assert abs(heard_lost - really_lost) <= allowed
        assert abs(told_lost - really_lost) <= allowed
        assert abs(relayed_lost - really_lost) <= allowed


def assert_score(stats: PortStats) -> None:
    """The score shown is G.107's for this loss, as we compute it here from the recommendation's own formulas."""
    assert stats.mos is not None
    percent = 100.0 * max(0, stats.lost) / (stats.packets_in + max(0, stats.lost))
    delay = 1000.0 * ((stats.rtt or 0.0) / 2 + 2 * stats.jitter + 0.020)
    r = 93.2 - (0.024 * delay + max(0.0, 0.11 * (delay - 177.3))) - 95.0 * percent / (percent + 25.1)
    assert stats.mos == pytest.approx(1 + 0.035 * r + 7e-6 * r * (r - 60) * (100 - r), abs=0.01)


# Ie-eff of G.107 equation 7-29 for random loss, and R to MOS by its annex B, worked out by hand.
@pytest.mark.parametrize(
    ("percent", "with_concealment", "without"),
    [(0, 4.41, 4.41), (1, 4.33, 3.83), (2, 4.23, 3.26), (5, 3.92, 2.17), (10, 3.41, 1.48), (20, 2.63, 1.12)],
)
def test_g107_score_of_loss(percent: int, with_concealment: float, without: float) -> None:
    scores = [round(mos(rating(0.0, percent / 100, concealed=concealed)), 2) for concealed in (True, False)]
    assert scores == pytest.approx([with_concealment, without], abs=0.006)
