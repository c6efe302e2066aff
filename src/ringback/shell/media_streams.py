"""Media streams: a WebSocket client for each, fed by taps of the pump."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, WebSocketException

from ringback.call.effects import Note, Notify, info
from ringback.call.stream import CloseSocket, MediaStream, SendText, StreamEffect
from ringback.media.errors import MediaError
from ringback.rest.signatures import sign
from ringback.shell.live import LiveCall
from ringback.shell.stream_socket import StreamSockets
from ringback.shell.vault import Vault
from ringback.twiml.limits import MAX_STREAMS

if TYPE_CHECKING:
    from ringback.shell.calls import Calls

CLOCK = 0.02
"""Seconds between looks for streams without sound."""

MAX_WAITING = 500
"""Messages that a slow receiver may leave unsent: ten seconds of one track (error 31931)."""


class _Running:
    __slots__ = ("call", "name", "since", "stream", "taps", "waiting")

    def __init__(self, call: LiveCall, stream: MediaStream) -> None:
        self.call = call
        self.stream = stream
        self.name = stream.name
        self.taps: list[int] = []
        self.since = 0.0
        self.waiting: asyncio.Queue[str | None] = asyncio.Queue(MAX_WAITING)


class MediaStreams:
    """The streams of this server, by SID."""

    def __init__(
        self,
        calls: Calls,
        notify: Callable[[LiveCall | None, str, Notify], None],
        auth_token: Callable[[str], str],
        vault: Vault,
    ) -> None:
        self._calls = calls
        self._notify = notify
        self._auth_token = auth_token
        self._vault = vault
        self._running: dict[str, _Running] = {}
        self._clock: asyncio.TimerHandle | None = None
        self._sockets = StreamSockets()

    def start(self, call: LiveCall, sid: str, options: dict[str, Any]) -> None:
        """Start a stream of a call's sound."""
        running = _Running(call, MediaStream(sid, call.setup.account_sid, call.sid, options))
        if len(call.stream_sids) >= MAX_STREAMS:
            self._over(running, f"a call has {MAX_STREAMS} streams at most")
            return
        self._running[sid] = running
        call.stream_sids.append(sid)
        self._calls.tasks.start(self._serve(running), f"stream {sid}")

    def stop(self, call: LiveCall, name: str) -> None:
        """Stop the stream of that name or SID."""
        for sid in list(call.stream_sids):
            running = self._running.get(sid)
            if running is not None and name in (sid, running.name):
                self._carry_out(running, running.stream.on_stop(time.time()))

    def close_all(self, call: LiveCall) -> None:
        """The call is over: so are its streams."""
        for sid in list(call.stream_sids):
            running = self._running.get(sid)
            if running is not None:
                self._carry_out(running, running.stream.on_stop(time.time()))

    async def _serve(self, running: _Running) -> None:
        """One WebSocket, from its handshake to its end."""
        stream, problem = running.stream, ""
        url = self._vault.unmask(stream.url)
        signature = sign(self._auth_token(stream.account_sid), url)
        try:
            async with self._sockets.open(url, signature) as socket:
                if stream.status == "connecting":
                    self._remark(running, info("media", f"stream {stream.name} connected to {stream.url}"))
                    self._carry_out(running, stream.on_opened(time.time()))
                    self._tap(running)
                    await self._talk(running, socket)
        except (OSError, TimeoutError, ValueError, WebSocketException, MediaError) as failure:
            # ValueError is of the URL: a port over 65535, a host that no name can be.
            problem = self._vault.mask(f"{type(failure).__name__}: {failure}")
        finally:
            self._over(running, problem)
            self._untap(running)
            self._running.pop(stream.sid, None)
            if stream.sid in running.call.stream_sids:
                running.call.stream_sids.remove(stream.sid)

    def _over(self, running: _Running, problem: str) -> None:
        """The stream is over; for a ``problem``, if there was one."""
        if problem:
            note = Note("media", f"stream {running.name}: {problem}", "error", 31920)
            self._remark(running, note)
        self._carry_out(running, running.stream.on_closed(problem, time.time()))

    async def close(self) -> None:
        """Give up looking for hosts. The streams themselves end with their calls."""
        await self._sockets.close()

    async def _talk(self, running: _Running, socket: ClientConnection) -> None:
        """Send what waits until the stream stops or the far end closes; what it says is read and passed over."""

        async def speak() -> None:
            while (text := await running.waiting.get()) is not None:
                await socket.send(text)

        listening, speaking = asyncio.create_task(socket.wait_closed()), asyncio.create_task(speak())
        try:
            done, _ = await asyncio.wait({listening, speaking}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except ConnectionClosed:
            return
        finally:
            for task in (listening, speaking):
                task.cancel()
            await asyncio.gather(listening, speaking, return_exceptions=True)

    def _tap(self, running: _Running) -> None:
        loop = asyncio.get_running_loop()
        running.since = loop.time()
        if self._clock is None:
            self._clock = loop.call_later(CLOCK, self._tick)
        for track in running.stream.tracks:

            def frame(mulaw: bytes, ms: int, track: str = track) -> None:
                self._carry_out(running, running.stream.on_frame(track, mulaw, ms))

            running.taps.append(self._calls.sound.tap(running.call, track, frame))

    def _tick(self) -> None:
        """Let silence take the place of sound that does not come."""
        loop = asyncio.get_running_loop()
        now, self._clock = loop.time(), None
        for running in list(self._running.values()):
            if running.taps:
                self._clock = self._clock or loop.call_later(CLOCK, self._tick)
                self._carry_out(running, running.stream.on_clock(int(1000 * (now - running.since))))

    def _untap(self, running: _Running) -> None:
        for tap in running.taps:
            self._calls.sound.untap(tap)
        running.taps.clear()

    def _carry_out(self, running: _Running, effects: list[StreamEffect]) -> None:
        for effect in effects:
            match effect:
                case SendText(text):
                    self._queue(running, text)
                case CloseSocket():
                    self._untap(running)
                    self._queue(running, None)
                case Notify():
                    self._notify(running.call, running.stream.account_sid, effect)

    def _queue(self, running: _Running, text: str | None) -> None:
        waiting = running.waiting
        if waiting.full():
            # The far end does not read: sound that is ten seconds old helps nobody.
            waiting.get_nowait()
        waiting.put_nowait(text)

    def _remark(self, running: _Running, note: Note) -> None:
        self._calls.remark(running.call, note)
