"""baresip phones for tests: a process and a configuration of its own each, told what to do over its TCP control."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import threading
import time
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from live import LiveServer, free_port
from peers.peer import WITHIN, Event, Inbox, LineReader, end
from peers.sound import BLOCK, share, tone_wav

CONFIG = """
poll_method epoll
net_interface 127.0.0.1
sip_listen 127.0.0.1:0
sip_cafile {certificates}
audio_path /usr/share/baresip
audio_player aubridge,{name}
audio_source aufile,{tone}
audio_alert aubridge,{name}-alert
audio_channels 1
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
audio_buffer 20-160
rtp_ports {rtp}-{rtp_last}
snd_path {folder}
module_path {modules}
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
module_tmp uuid.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
"""

_names = count(1)


def _modules() -> Path | None:
    for folder in ("/usr/lib/baresip/modules", "/usr/local/lib/baresip/modules"):
        if all(
            (Path(folder) / f"{name}.so").exists() for name in ("aufile", "aubridge", "sndfile", "ctrl_tcp")
        ):
            return Path(folder)
    return None


def require_baresip() -> None:
    """Skip the module where baresip is missing."""
    if shutil.which("baresip") is None or _modules() is None:
        pytest.skip("baresip with its modules is missing: apt-get install baresip", allow_module_level=True)


class Baresip:
    """A baresip with one account. It sends a tone in each call, and writes what it hears to a file."""

    def __init__(
        self,
        server: LiveServer,
        user: str,
        folder: Path,
        *,
        transport: str = "udp",
        password: str | None = None,
        tone: int = 1000,
        codec: str = "PCMU",
        certificates: Path | None = None,
    ) -> None:
        self.name = f"baresip{next(_names)}"
        self.domain = server.domain
        self.folder = folder / self.name
        self.folder.mkdir()
        self.inbox = Inbox(f"{self.name} of {user}")
        host, port = server.sips if transport == "tls" else server.sip
        control, rtp = free_port(), free_port(of=4)
        (self.folder / "config").write_text(
            CONFIG.format(
                name=self.name,
                tone=tone_wav(folder, tone, 60.0),
                rtp=rtp,
                rtp_last=rtp + 40,
                folder=self.folder,
                modules=_modules(),
                control=control,
                certificates=certificates or "",
            )
        )
        (self.folder / "contacts").touch()
        secret = server.password if password is None else password
        (self.folder / "accounts").write_text(
            f"<sip:{user}@{server.domain};transport={transport}>;auth_user={user};auth_pass={secret}"
            f';outbound="sip:{host}:{port};transport={transport}";regint=600;answermode=manual'
            f";audio_codecs={codec}/8000/1\n"
        )
        self.printed: list[str] = []
        self.process = subprocess.Popen(
            ["baresip", "-4", "-f", str(self.folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        ready = threading.Event()

        def on_line(line: str) -> None:
            self.printed.append(line)
            if "baresip is ready" in line:
                ready.set()
            answer = re.search(r"\{\d+/\w+/v4\} (\d{3})|reg: \S+: (\d{3})", line)
            if answer is not None:
                self.inbox.put({"event": "registered", "status": int(answer[1] or answer[2])})

        self._reader = LineReader(self.process, on_line)
        assert ready.wait(WITHIN), "".join(self.printed)
        self._control = socket.create_connection(("127.0.0.1", control), WITHIN)
        self._control.settimeout(None)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        """Netstrings of JSON."""
        with self._control.makefile("rb") as stream:
            while True:
                size = b""
                while (byte := stream.read(1)) not in (b":", b""):
                    size += byte
                if not size.isdigit():
                    return
                told: dict[str, Any] = json.loads(stream.read(int(size)))
                stream.read(1)
                if told.get("event"):
                    self.inbox.put({**told, "event": told["type"]})
                else:
                    self.inbox.put({**told, "event": "response"})

    def __enter__(self) -> Baresip:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()  # unregisters, hangs up
        end(self.process)
        self._reader.join()
        self._control.close()
        self._listener.join(10)

    def tell(self, command: str, parameters: str = "") -> Event:
        """Give a command: baresip's answer."""
        told = json.dumps({"command": command, "params": parameters, "token": command}).encode()
        self._control.sendall(b"%d:%s," % (len(told), told))
        return self.inbox.expect("response", token=command)

    def expect(self, kind: str, within: float = WITHIN, **wanted: Any) -> Event:
        """The next event of this type: registered, CALL_INCOMING, CALL_ESTABLISHED, CALL_CLOSED ..."""
        return self.inbox.expect(kind, within, **wanted)

    def on(self) -> Baresip:
        """Wait until it is registered."""
        assert self.expect("registered")["status"] == 200
        return self

    def call(self, to: str) -> None:
        """Call a number or user of the own domain, or a whole URI."""
        self.tell("dial", to if to.startswith("sip:") else f"sip:{to}@{self.domain}")

    def hear(self) -> bytes:
        """The last of what the running or last call has written: 16-bit PCM."""
        files = sorted(self.folder.glob("*-dec.wav"), key=lambda file: file.stat().st_mtime_ns)
        return files[-1].read_bytes()[44:] if files else b""

    def hears(self, *frequencies: int, within: float = WITHIN) -> None:
        """Wait until the newest half second has the tone of these frequencies."""
        until, heard = time.monotonic() + within, b""
        seen = len(self.hear())
        while share(heard, *frequencies) < 0.6:
            assert time.monotonic() < until, (
                f"{self.name} hears {share(heard, *frequencies):.2f} of {frequencies} Hz"
            )
            assert self.process.poll() is None, "".join(self.printed)
            whole = self.hear()
            if len(whole) < seen + 2 * BLOCK:
                self.inbox.take("nothing", 0.1)  # the file grows meanwhile
                continue
            heard, seen = whole[-2 * BLOCK :], len(whole)
