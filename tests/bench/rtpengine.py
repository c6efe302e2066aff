"""rtpengine in user space as the peer of the pump, told what to relay by its ng protocol (bencode over UDP)."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench.measure import SERVER_CORE, Unavailable, on_core
from tests.live import free_port

SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {} RTP/AVP 0\r\n"


class Engine(NamedTuple):
    """A running one."""

    pid: int
    control: int

    def relay(self, ports: list[int]) -> list[int]:
        """Calls between the ports of each pair; the engine's port for each."""
        given: list[int] = []
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.settimeout(5)
            udp.connect(("127.0.0.1", self.control))
            for number, (one, other) in enumerate(zip(ports[::2], ports[1::2], strict=True)):
                call: dict[str, Any] = {"call-id": f"c{number}", "from-tag": "a", "ICE": "remove"}
                offered = _ask(udp, number * 2, {**call, "command": "offer", "sdp": SDP.format(one)})
                answer = {**call, "command": "answer", "to-tag": "b", "sdp": SDP.format(other)}
                answered = _ask(udp, number * 2 + 1, answer)
                # What an offer is turned into goes to the callee: the callee's port is in it.
                given += [_port(answered), _port(offered)]
        return given


def _ask(udp: socket.socket, cookie: int, command: dict[str, Any]) -> bytes:
    udp.send(f"{cookie} ".encode() + _bencode(command))
    return udp.recv(65536)


def _port(answer: bytes) -> int:
    if b"m=audio " not in answer:
        raise Unavailable(f"rtpengine answers {answer[:200]!r}")
    return int(answer.split(b"m=audio ")[1].split()[0])


def _bencode(value: Any) -> bytes:
    if isinstance(value, dict):
        return b"d" + b"".join(_bencode(k) + _bencode(value[k]) for k in sorted(value)) + b"e"
    data = str(value).encode()
    return str(len(data)).encode() + b":" + data


@contextmanager
def rtpengine() -> Iterator[Engine]:
    """One on the server's core, without its kernel module."""
    program = shutil.which("rtpengine")
    if program is None:
        raise Unavailable("rtpengine is not installed")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        line = [program, "--config-file=none", "--table=-1", "--interface=127.0.0.1", "--foreground"]
        line += [f"--listen-ng=127.0.0.1:{port}", "--port-min=10000", "--port-max=29999"]
        line += ["--num-threads=1", "--scheduling=rr", "--priority=10"]
        line += ["--log-stderr", "--log-level=3", f"--pidfile={folder}/pid"]
        with log.open("w") as file:
            with on_core(SERVER_CORE):
                process = subprocess.Popen(line, stdout=file, stderr=file, cwd=folder)
            time.sleep(1.0)
            if process.poll() is not None:
                raise Unavailable(f"rtpengine ends at once: {log.read_text()[-200:]}")
            try:
                yield Engine(process.pid, port)
            finally:
                process.terminate()
                process.wait(10)
