"""CPU time of a relayed G.711 packet (received and sent) in each twin, as a ratio to the bare system calls.

    python tests/bench/relay_cost.py [calls] [seconds]

A child process is all the phones: it sends each packet and drops what comes back, so the pump's thread is the only
busy one here; its CPU time is read from /proc/self/task/*/schedstat. The peer measured in the same run is
`recvfrom` + `sendto` of the same datagram on two sockets, from Python: what the kernel takes at least.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time
from typing import TextIO

from ringback.media import CoreMissing, create_pump
from ringback.rtp.packet import Packet

HERE = "127.0.0.1"
PORTS = (24000, 29998)


def phones(count: int) -> list[socket.socket]:
    made = []
    for _ in range(count):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind((HERE, 0))
        made.append(udp)
    return made


class Phones:
    """The child process. It tells its ports, is told the pump's, and talks."""

    def __init__(self, count: int, seconds: float) -> None:
        self._mine, other = socket.socketpair()
        self._child = os.fork()
        if self._child == 0:
            try:
                self._live(other.makefile("rw"), count, seconds)
            finally:
                os._exit(0)
        other.close()
        self._line = self._mine.makefile("rw")
        self.ports: list[int] = json.loads(self._line.readline())

    def talk(self, targets: list[int]) -> None:
        """Returns when all is said."""
        print(json.dumps(targets), file=self._line, flush=True)
        os.waitpid(self._child, 0)
        self._line.close()
        self._mine.close()

    @staticmethod
    def _live(line: TextIO, count: int, seconds: float) -> None:
        """Each phone sends a packet each 20 ms, all of them spread over the 20 ms."""
        udps = phones(count)
        print(json.dumps([udp.getsockname()[1] for udp in udps]), file=line, flush=True)
        targets = [(HERE, port) for port in json.loads(line.readline())]
        packets = [bytearray(Packet(0, 0, 0, n + 1, bytes(160)).render()) for n in range(count)]
        began = time.monotonic()
        sent, total = 0, int(seconds / 0.020) * count
        while sent < total:
            due = min(total, int((time.monotonic() - began) / 0.020 * count))
            while sent < due:
                n, index = divmod(sent, count)
                packet = packets[index]
                packet[2:4] = (n & 0xFFFF).to_bytes(2, "big")
                packet[4:8] = (160 * n & 0xFFFFFFFF).to_bytes(4, "big")
                udps[index].sendto(packet, targets[index])
                sent += 1
            select.select([], [], [], 0.001)


def thread_seconds() -> float:
    """CPU time of all threads of this process but the main one."""
    total = 0.0
    for task in os.listdir("/proc/self/task"):
        if int(task) != os.getpid():
            with open(f"/proc/self/task/{task}/schedstat") as file:
                total += int(file.read().split()[0]) / 1e9
    return total


def relay(pure: bool, calls: int, seconds: float) -> tuple[float, int, int]:
    """CPU microseconds a packet, packets that came, packets that were sent."""
    far = Phones(2 * calls, seconds)
    pump = create_pump(PORTS, pure=pure)
    ports = [pump.open(HERE) for _ in far.ports]
    for port, remote in zip(ports, far.ports, strict=True):
        pump.configure(
            port.id,
            remote=(HERE, remote),
            rtcp_remote=None,
            payload_type=0,
            codec="PCMU",
            dtmf_payload_type=101,
            dtmf_receive_payload_type=101,
            send=True,
            receive=True,
            signalling_host=None,
        )
    for a, b in zip(ports[::2], ports[1::2], strict=True):
        pump.connect(a.id, b.id)
    before = thread_seconds()
    far.talk([port.port for port in ports])
    used = thread_seconds() - before
    numbers = [pump.close_port(port.id) for port in ports]
    pump.close()
    came, sent = sum(n.packets_in for n in numbers), sum(n.packets_out for n in numbers)
    return 1e6 * used / max(1, came), came, sent


def floor() -> float:
    """CPU microseconds of `recvfrom` and `sendto` of one datagram on this machine."""
    a, b, c = phones(3)
    data, rounds = bytes(172), 20000
    here, there = b.getsockname(), c.getsockname()
    used = 0.0
    for _ in range(rounds // 50):
        for _ in range(50):
            a.sendto(data, here)
        began = time.thread_time()
        for _ in range(50):
            b.recvfrom(2048)
            b.sendto(data, there)
        used += time.thread_time() - began
        for _ in range(50):
            c.recv(2048)
    for udp in (a, b, c):
        udp.close()
    return 1e6 * used / rounds


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 4.0
    bare = floor()
    print(f"bare recvfrom + sendto from Python: {bare:.2f} us")
    for name, pure, share in (("core", False, 1), ("pure", True, 10)):
        try:
            cost, came, sent = relay(pure, max(1, calls // share), seconds)
        except CoreMissing as error:
            print(f"{name}: {error}")
            continue
        rate = came / seconds
        print(
            f"{name}: {cost:.2f} us a packet ({cost / bare:.2f} times bare), {came} in, {sent} out, {rate:.0f}/s"
        )


if __name__ == "__main__":
    main()
