"""A network namespace of a test's own, and SYNs into it from hosts that are not there: nothing leaves it."""

from __future__ import annotations

import ctypes
import random
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from adversity.burden import ENOUGH

_CLONE_NEWNET = 0x40000000  # sched.h
NOWHERE = "198.51.100."
"""Hosts whose answers are lost: RFC 5737."""


@contextmanager
def own_network() -> Iterator[None]:
    """This thread, the threads and the processes that it starts from now on have a loopback of their own."""
    libc = ctypes.CDLL(None, use_errno=True)
    if shutil.which("ip") is None:
        pytest.skip("needs iproute2")
    with open("/proc/thread-self/ns/net") as before:
        if libc.unshare(_CLONE_NEWNET):
            pytest.skip("a network namespace needs privileges")
        try:
            for line in ("link set lo up", f"route add {NOWHERE}0/24 dev lo"):
                subprocess.run(["ip", *line.split()], check=True)
            yield
        finally:
            libc.setns(before.fileno(), _CLONE_NEWNET)


def kernel_count(name: str) -> int:
    """A counter of TCP, of this thread's network."""
    lines = Path("/proc/thread-self/net/netstat").read_text().splitlines()
    for names, values in zip(lines[::2], lines[1::2], strict=True):
        if name in names.split():
            return int(values.split()[names.split().index(name)])
    return 0


def _checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def _syn(source: bytes, port: int, there: bytes, to: int, number: int) -> bytes:
    """RFC 9293 section 3.1, with the header of RFC 791 before it."""
    tcp = struct.pack("!HHIIBBHHH", port, to, number, 0, 5 << 4, 0x02, 64_240, 0, 0)
    pseudo = source + there + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(tcp))
    tcp = tcp[:16] + struct.pack("!H", _checksum(pseudo + tcp)) + tcp[18:]
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), number & 0xFFFF, 0, 64, socket.IPPROTO_TCP, 0)
    return head + source + there + tcp


def flood(host: str, port: int, seconds: float, rate: float) -> int:
    """SYNs to a port, which nobody goes on with; how many. On a machine that is slow it takes longer until there were enough."""
    dice, sent, there = random.Random(1), 0, socket.inet_aton(host)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        began_at = time.monotonic()
        while (now := time.monotonic()) < began_at + seconds or sent < ENOUGH * rate * seconds:
            for _ in range(min(int((now - began_at) * rate) - sent, 500)):
                source = socket.inet_aton(f"{NOWHERE}{dice.randrange(1, 255)}")
                packet = _syn(source, dice.randrange(1_024, 65_536), there, port, dice.getrandbits(32))
                raw.sendto(packet, (host, 0))
                sent += 1
            time.sleep(0.001)
    return sent


if __name__ == "__main__":
    print(flood(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))
