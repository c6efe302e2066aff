"""One port for UDP and TCP."""

from __future__ import annotations

import socket

import pytest

from ringback.shell.addresses import shared_port, udp_port


def test_a_port_whose_tcp_side_is_taken_is_passed_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = taken.getsockname()[1]
        proposed: list[int] = []

        def propose(host: str) -> int:
            proposed.append(busy if len(proposed) < 2 else udp_port(host))
            return proposed[-1]

        assert shared_port("127.0.0.1", propose) == proposed[-1] != busy
        assert proposed[:2] == [busy, busy]
        with pytest.raises(OSError, match="no port"):
            shared_port("127.0.0.1", lambda host: busy)


def test_the_port_serves_both() -> None:
    port = shared_port("127.0.0.1")
    with socket.create_server(("127.0.0.1", port)), socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", port))
