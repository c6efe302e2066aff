"""A media stream: a call's sound to somebody's WebSocket (Media Streams, "Server -> your app").

::

    connecting --opened--> streaming --stop, call over, socket closed--> stopped

Each track is a frame every 20 ms; where the call has no sound, because a far end sends none or nothing plays, it is
silence. All counters are strings, as Twilio sends them. Effects: SendText, CloseSocket, and Notify for its callback.
"""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ringback.call.effects import Notify


class SendText(NamedTuple):
    """Send a text frame."""

    text: str


class CloseSocket(NamedTuple):
    """Close the WebSocket, and stop listening to the call."""


StreamEffect = SendText | CloseSocket | Notify

TRACKS = {
    "inbound_track": ("inbound",),
    "outbound_track": ("outbound",),
    "both_tracks": ("inbound", "outbound"),
}


FRAME_MS = 20

SILENCE = b"\xff" * 160
"""A frame of it, in mu-law."""

LATE_MS = 200
"""Milliseconds that sound may be late before silence takes its place: what a jitter buffer holds."""

MAX_GAP = 50
"""Frames of silence that are sent at once: who was held up for longer has lost that second."""


class MediaStream:
    """One stream (MZ...) of one call. Times are seconds since the epoch."""

    def __init__(self, sid: str, account_sid: str, call_sid: str, options: dict[str, Any]) -> None:
        self.sid = sid
        self.account_sid = account_sid
        self.call_sid = call_sid
        self.name: str = options["name"]
        self.url: str = options["url"]
        self.tracks = TRACKS[options["track"]]
        self.status = "connecting"
        self._parameters: dict[str, str] = options["parameters"]
        self._callback = (options["status_callback"], options["status_callback_method"])
        self._sequence = 0
        self._chunks = dict.fromkeys(self.tracks, 0)
        self._until = dict.fromkeys(self.tracks, 0)
        """Milliseconds of each track that were sent."""

    def on_opened(self, now: float) -> list[StreamEffect]:
        """The WebSocket is open: introduce ourselves."""
        self.status = "in-progress"
        start = {
            "accountSid": self.account_sid,
            "streamSid": self.sid,
            "callSid": self.call_sid,
            "tracks": list(self.tracks),
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": self._parameters,
        }
        connected = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
        return [
            SendText(json.dumps(connected)),
            self._message("start", {"start": start}),
            *self._notify("stream-started", now),
        ]

    def on_frame(self, track: str, mulaw: bytes, timestamp_ms: int) -> list[StreamEffect]:
        """20 ms of sound: 160 bytes of mu-law, ``timestamp_ms`` after the stream's start."""
        if self.status != "in-progress" or track not in self._chunks:
            return []
        effects = self._silence(track, timestamp_ms)
        return [*effects, self._media(track, mulaw, max(timestamp_ms, self._until[track]))]

    def on_clock(self, elapsed_ms: int) -> list[StreamEffect]:
        """So much time has passed since the stream's start: silence for what has none to show for it."""
        if self.status != "in-progress":
            return []
        return [effect for track in self.tracks for effect in self._silence(track, elapsed_ms - LATE_MS)]

    def _silence(self, track: str, until_ms: int) -> list[StreamEffect]:
        missing = (until_ms - self._until[track]) // FRAME_MS
        if missing > MAX_GAP:
            self._until[track] += (missing - MAX_GAP) * FRAME_MS
            missing = MAX_GAP
        return [self._media(track, SILENCE, self._until[track]) for _ in range(missing)]

    def _media(self, track: str, mulaw: bytes, timestamp_ms: int) -> StreamEffect:
        self._chunks[track] += 1
        self._until[track] = timestamp_ms + FRAME_MS
        media = {
            "track": track,
            "chunk": str(self._chunks[track]),
            "timestamp": str(timestamp_ms),
            "payload": b64encode(mulaw).decode("ascii"),
        }
        return self._message("media", {"media": media})

    def on_stop(self, now: float) -> list[StreamEffect]:
        """The call is over, or a program stops the stream."""
        if self.status == "stopped":
            return []
        effects: list[StreamEffect] = []
        if self.status == "in-progress":
            effects.append(
                self._message("stop", {"stop": {"accountSid": self.account_sid, "callSid": self.call_sid}})
            )
        self.status = "stopped"
        return [*effects, CloseSocket(), *self._notify("stream-stopped", now)]

    def on_closed(self, problem: str, now: float) -> list[StreamEffect]:
        """The far end closed the socket, or it could not be reached (``problem``)."""
        if self.status == "stopped":
            return []
        self.status = "stopped"
        if problem:
            return [CloseSocket(), *self._notify("stream-error", now, problem)]
        return [CloseSocket(), *self._notify("stream-stopped", now)]

    def _message(self, event: str, body: dict[str, Any]) -> SendText:
        self._sequence += 1
        head = {"event": event, "sequenceNumber": str(self._sequence)}
        return SendText(json.dumps({**head, **body, "streamSid": self.sid}))

    def _notify(self, event: str, now: float, problem: str = "") -> list[StreamEffect]:
        url, method = self._callback
        if not url:
            return []
        params = [
            ("AccountSid", self.account_sid),
            ("CallSid", self.call_sid),
            ("StreamSid", self.sid),
            ("StreamName", self.name),
            ("StreamEvent", event),
            ("Timestamp", datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")),
        ]
        if problem:
            params.append(("StreamError", problem))
        return [Notify(url, method, params)]
