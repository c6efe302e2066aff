"""The pump: what owns every RTP socket. Python gives it commands and drains its events.

    commands -->  +------+  <--> packets of all calls (Python never touches a relayed one)
    events   <--  | Pump |
                  +------+

Two twins implement `Pump`: `ringback.media._core` (compiled) and `ringback.media.pure` (the oracle, and the
fallback where no compiler was). The tests of both are the same; `ringback.media.twins` chooses.

Rules of both:

- Handles are never used again; a command on a closed one raises UnknownPort, except that `stop`, `untap`,
  `disconnect`, `unmix` and `close_mixer` are then done already.
- Towards a port digits go before playing, playing before a mixer, a mixer before the connected port.
- `connect` takes a port out of its mixer and `mix` cuts its connection.
- Frames of ours are 20 ms whatever `ptime` the peer wished for (RFC 3264 section 6.1 makes it a wish).
- Payload types 0 and 8 are understood even when the other was negotiated, but lock no source; all else is dropped.
- A port without telephone events gets digits as tones in the audio.
- A port that has nothing to send gets a frame of silence each 5 s, so that NATs keep its path (RFC 6263).

Events are tuples:

    ("digit", port, "5", duration_ms)         ("played", port, play_id, interrupted)
    ("locked", port, (host, udp_port))        ("silent", port, seconds)      ("heard", port)
    ("frames", tap_id, mulaw_160_bytes, ms)   ("mixer_played", mixer, play_id)
"""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple, Protocol

from ringback.rtp.quality import mos_of

Address = tuple[str, int]
Codec = Literal["PCMU", "PCMA"]
Track = Literal["inbound", "outbound"]
Event = tuple[Any, ...]

REPORT_AFTER: Final = 5.0  # seconds between reports, RFC 3550 section 6.2
SILENT_AFTER: Final = 5.0


class Port(NamedTuple):
    """A pair of sockets: RTP on the even `port`, RTCP on the odd one after it."""

    id: int
    host: str
    port: int


class RemoteReport(NamedTuple):
    """How the peer receives us, by its last RTCP report."""

    fraction_lost: float
    """Of the packets since its report before, 0 to 1."""
    lost: int
    jitter: float
    """Seconds."""


class PortStats(NamedTuple):
    """Numbers of a port. Times are seconds since it was opened."""

    packets_in: int
    bytes_in: int
    packets_out: int
    bytes_out: int
    lost: int
    """Packets of the peer that never came; less than 0 when some came twice."""
    jitter: float
    """Seconds."""
    mos: float | None
    """1 to 4.5 as heard here; None when nothing came."""
    first_packet_at: float | None
    last_packet_at: float | None
    source: Address | None
    """Where the peer really sends from."""
    rtt: float | None
    """Seconds, by RTCP."""
    strangers: int
    """Packets dropped because their source is not believed; without those that the kernel keeps from the compiled pump
    while a peer that is vouched for talks."""
    malformed: int
    """Packets dropped because they are no RTP, of a payload type that was not negotiated, or more than any telephone sends."""
    discarded: int
    """RTP packets that the kernel threw away: nobody read them in time, or they are a stranger's, whom the compiled pump
    has it keep from a socket of all addresses. Of a connected socket it counts no stranger. 0 where it does not tell."""
    remote: RemoteReport | None


class Pump(Protocol):
    """Thread-safe commands that never wait; see the module for the rules."""

    def fileno(self) -> int:
        """A descriptor that is readable while events wait."""

    def events(self) -> list[Event]:
        """Drain the events."""

    def open(self, host: str) -> Port:
        """Bind a pair on the IP literal `host`; raises PortsExhausted."""

    def configure(
        self,
        port_id: int,
        *,
        remote: Address,
        rtcp_remote: Address | None,
        payload_type: int,
        codec: Codec,
        dtmf_payload_type: int | None,
        dtmf_receive_payload_type: int | None,
        ptime: int = 20,
        send: bool,
        receive: bool,
        signalling_host: str | None,
        receive_payload_type: int | None = None,
        other_payload_type: int | None = None,
    ) -> None:
        """What was negotiated. Learning of the peer's address begins anew, the watch for silence as well.

        `payload_type` is the codec's in what we send and, without `receive_payload_type`, in what comes. The peer may
        send the other codec as well where that has a number (RFC 3264 section 6.1).
        """

    def close_port(self, port_id: int) -> PortStats:
        """Say goodbye by RTCP and close; whatever plays ends without an event."""

    def connect(self, a: int, b: int) -> None:
        """Relay both ways."""

    def disconnect(self, a: int, b: int) -> None:
        """End the relay between these two."""

    def play(self, port_id: int, play_id: int, audio: bytes, loops: int) -> None:
        """Play mu-law at 8 kHz, `loops` times (0: without end), in place of what plays."""

    def stop(self, port_id: int) -> None:
        """Stop playing and sending digits."""

    def send_digits(self, port_id: int, digits: str, play_id: int) -> None:
        """Send 0-9 * # A-D, with w and W for pauses of 0.5 s and 1 s; event "played" at the end."""

    def press(self, port_id: int, digit: str) -> None:
        """A digit that this port's peer pressed came by signalling: the connected port spells it to its own."""

    def tap(self, port_id: int, tap_id: int, track: Track) -> None:
        """Give what comes from the peer ("inbound") or goes to it ("outbound") as events."""

    def untap(self, tap_id: int) -> None:
        """End a tap."""

    def open_mixer(self) -> int:
        """A conference: each member hears all others."""

    def mix(
        self, mixer_id: int, port_id: int, *, muted: bool = False, deaf: bool = False, heard_by: int = 0
    ) -> None:
        """Make the port a member, or change it: `muted` is not heard, `deaf` hears silence.

        `heard_by` is the port that alone hears this one, as a coach is heard; 0: all do.
        """

    def set_muted(self, mixer_id: int, port_id: int, muted: bool) -> None:
        """Change whether a member is heard."""

    def unmix(self, mixer_id: int, port_id: int) -> None:
        """Take the port out."""

    def close_mixer(self, mixer_id: int) -> None:
        """Take all members out."""

    def play_mixer(self, mixer_id: int, play_id: int, audio: bytes) -> None:
        """Play mu-law to all members, in place of what plays; event "mixer_played" at its end."""

    def stats(self, port_id: int) -> PortStats:
        """Numbers so far."""

    def close(self) -> None:
        """Close everything; further commands raise UsageError."""


def quality(
    *, lost: int, received: int, jitter: float, round_trip: float | None, concealed: bool = True
) -> float | None:
    """The opinion score of what a port received, by a listener that fills gaps in (``concealed``) or does not."""
    if received == 0:
        return None
    loss = max(0, lost) / (received + max(0, lost))
    return mos_of(loss=loss, jitter=jitter, round_trip=round_trip, concealed=concealed)
