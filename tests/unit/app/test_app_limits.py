"""How much a server takes on."""

from __future__ import annotations

import pytest

from ringback.app.limits import (
    DESCRIPTORS_A_LEG,
    DESCRIPTORS_KEPT,
    HTTP_CONNECTIONS_KEPT,
    most_calls,
    most_http_connections,
    most_streams,
)

PORTS = (10_000, 60_000)


@pytest.mark.parametrize("descriptors", [600, 1_024, 4_096, 20_000, 1_048_576])
def test_calls_and_streams_together_leave_descriptors_for_the_rest(descriptors: int) -> None:
    calls, streams = most_calls(0, PORTS, descriptors), most_streams(descriptors)
    http = most_http_connections(descriptors)
    assert (
        calls * DESCRIPTORS_A_LEG + streams + DESCRIPTORS_KEPT + http - HTTP_CONNECTIONS_KEPT <= descriptors
    )
    assert HTTP_CONNECTIONS_KEPT <= http <= 2_000
    assert calls >= 1 and 1 <= streams <= 20_000


def test_ports_and_the_setting_bound_calls_too() -> None:
    assert most_calls(0, (10_000, 11_399), 1_048_576) == 500
    assert most_calls(20, PORTS, 1_048_576) == 20
    assert most_calls(1_000_000, PORTS, 4_096) == most_calls(0, PORTS, 4_096)
