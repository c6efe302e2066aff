"""Choosing a twin, and the pairs of ports."""

from __future__ import annotations

import sys

import pytest

from ringback import twins
from ringback.media import CoreMissing, UsageError, create_pump
from ringback.media import limits as media_limits
from ringback.media.pump import quality
from ringback.media.pure import PurePump
from ringback.media.sockets import PortPairs, bind_both, canonical
from ringback.rtp import limits as rtp_limits
from ringback.rtp import playout, source


@pytest.fixture
def no_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ringback.media._core", None)
    monkeypatch.delenv("RINGBACK_REQUIRE_CORE", raising=False)


@pytest.mark.usefixtures("no_core")
def test_without_the_core_the_pure_twin_serves() -> None:
    pump = create_pump((23000, 23010))
    pump.close()
    assert isinstance(pump, PurePump)


@pytest.mark.usefixtures("no_core")
def test_a_required_core_that_is_missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CoreMissing):
        create_pump((23000, 23010), pure=False)
    monkeypatch.setenv("RINGBACK_REQUIRE_CORE", "1")
    with pytest.raises(CoreMissing):
        create_pump((23000, 23010))
    create_pump((23000, 23010), pure=True).close()


def test_a_core_of_other_sources_does_not_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twins, "outdated", lambda package, library: f"{package.name} {library}: compile")
    monkeypatch.delenv("RINGBACK_REQUIRE_CORE", raising=False)
    pump = create_pump((23000, 23010))
    pump.close()
    assert isinstance(pump, PurePump)
    with pytest.raises(CoreMissing, match=r"^ringback media/_core: compile$"):
        create_pump((23000, 23010), pure=False)


@pytest.mark.parametrize("rtp_ports", [(0, 0), (10, 5), (65535, 65536), (70000, 70010), (4001, 4001)])
def test_impossible_ranges_are_refused(rtp_ports: tuple[int, int]) -> None:
    with pytest.raises(UsageError):
        PortPairs(rtp_ports, bind_both)


def test_hosts_are_ip_literals_in_the_kernels_form() -> None:
    assert canonical("0:0:0:0:0:0:0:1") == "::1"
    assert canonical("192.0.2.1") == "192.0.2.1"
    for host in ("example.com", "", "1.2.3", "127.0.0.1 "):
        with pytest.raises(UsageError):
            canonical(host)


def test_quality_counts_loss_against_what_should_have_come() -> None:
    assert quality(lost=0, received=0, jitter=0.0, round_trip=None) is None
    fine = quality(lost=-3, received=100, jitter=0.0, round_trip=None)
    bad = quality(lost=50, received=50, jitter=0.0, round_trip=None)
    assert fine is not None
    assert bad is not None
    assert fine > 4.3 > 2.0 > bad


def test_the_core_was_compiled_with_the_limits_of_the_pure_twin() -> None:
    core = pytest.importorskip("ringback.media._core")
    homes = (media_limits, rtp_limits, playout, source)
    expected = {name: getattr(home, name) for home in homes for name in core.limits() if hasattr(home, name)}
    assert core.limits() == expected
