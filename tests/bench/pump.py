"""The pump alone: ``python -m tests.bench.pump COUNT`` relays between the ports of each pair until its input ends."""

from __future__ import annotations

import sys

from ringback.media import create_pump

HERE = "127.0.0.1"
EVERYWHERE = "0.0.0.0"
PORTS = (10000, 29999)
"""Below the ports that the system gives to clients."""


def main() -> None:
    """Print the ports, read where to send, relay."""
    count = int(sys.argv[1])
    pump = create_pump(PORTS)
    ports = [pump.open(EVERYWHERE) for _ in range(count)]
    print(*(port.port for port in ports), flush=True)
    for port, remote in zip(ports, sys.stdin.readline().split(), strict=True):
        pump.configure(
            port.id,
            remote=(HERE, int(remote)),
            rtcp_remote=None,
            payload_type=0,
            codec="PCMU",
            dtmf_payload_type=101,
            dtmf_receive_payload_type=101,
            send=True,
            receive=True,
            signalling_host=None,
        )
    for one, other in zip(ports[::2], ports[1::2], strict=True):
        pump.connect(one.id, other.id)
    print("ready", flush=True)
    sys.stdin.read()
    pump.close()


if __name__ == "__main__":
    main()
