"""FFmpeg judges our RTP and G.711: it plays what the pump sends, and the pump hears what it sends."""

from __future__ import annotations

import select
import socket
import time
from array import array
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest

from ringback.media import CoreMissing, Pump, create_pump, g711

HERE = "127.0.0.1"
WAIT = 30.0
AUDIO = bytes(n * 7 % 256 for n in range(8000))


@pytest.fixture(params=[True, False], ids=["pure", "core"])
def pump(request: pytest.FixtureRequest) -> Iterator[Pump]:
    try:
        made = create_pump((31000, 31998), pure=request.param, report_after=0.1)
    except CoreMissing:
        pytest.skip("the compiled core is not built")
    yield made
    made.close()


def configure(pump: Pump, port_id: int, remote: tuple[str, int], **changes: Any) -> None:
    settings: dict[str, Any] = {
        "rtcp_remote": None,
        "payload_type": 0,
        "codec": "PCMU",
        "dtmf_payload_type": 101,
        "dtmf_receive_payload_type": 101,
        "send": True,
        "receive": True,
        "signalling_host": None,
    }
    pump.configure(port_id, remote=remote, **{**settings, **changes})


def free_pair() -> int:
    """An even port that is free and whose neighbour is."""
    for _ in range(100):
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as rtp,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as rtcp,
        ):
            rtp.bind((HERE, 0))
            port = int(rtp.getsockname()[1])
            if port % 2:
                continue
            try:
                rtcp.bind((HERE, port + 1))
            except OSError:
                continue
            return port
    raise AssertionError("no pair of ports is free")


@pytest.mark.parametrize(("codec", "number"), [("PCMU", 0), ("PCMA", 8)])
def test_rfc3550_ffmpeg_plays_what_the_pump_sends(
    pump: Pump, tmp_path: Path, codec: Any, number: int
) -> None:
    port = free_pair()
    description = tmp_path / "pump.sdp"
    description.write_text(
        f"v=0\r\no=- 0 0 IN IP4 {HERE}\r\ns=-\r\nc=IN IP4 {HERE}\r\nt=0 0\r\nm=audio {port} RTP/AVP {number}\r\n"
    )
    ours = pump.open(HERE)
    configure(pump, ours.id, (HERE, port), codec=codec, payload_type=number)
    pump.play(ours.id, 1, AUDIO, 0)
    options = {"protocol_whitelist": "file,udp,rtp", "probesize": "2000", "analyzeduration": "100000"}
    heard, stamps = b"", []
    with av.open(str(description), options=options, timeout=WAIT) as container:
        for frame in container.decode(audio=0):
            heard += bytes(frame.planes[0])[: 2 * frame.samples]
            stamps.append(frame.pts)
            if len(stamps) == 25:
                break
    line = AUDIO * 2 if codec == "PCMU" else (AUDIO * 2).translate(g711.ULAW_TO_ALAW)
    samples = g711.decode_ulaw(line) if codec == "PCMU" else g711.decode_alaw(line)
    assert len(heard) == 25 * 320
    assert heard in samples.tobytes()
    assert min(b - a for a, b in pairwise(stamps)) == 160  # more only where the machine stood still


def test_rfc3550_the_pump_hears_what_ffmpeg_sends(pump: Pump) -> None:
    ours = pump.open(HERE)
    theirs = free_pair()
    configure(pump, ours.id, (HERE, theirs), send=False)
    pump.tap(ours.id, 1, "inbound")
    place = f"rtp://{HERE}:{ours.port}?pkt_size=172&localrtpport={theirs}"
    with av.open(place, "w", format="rtp") as container:
        stream = container.add_stream("pcm_mulaw", rate=8000, layout="mono")
        for n in range(20):
            frame = av.AudioFrame(format="s16", layout="mono", samples=160)
            frame.sample_rate, frame.pts = 8000, 160 * n
            frame.planes[0].update(g711.decode_ulaw(AUDIO[160 * n : 160 * n + 160]).tobytes())
            for packet in stream.encode(frame):
                container.mux(packet)
    frames: list[tuple[Any, ...]] = []
    until = time.monotonic() + WAIT
    while len(frames) < 20 and time.monotonic() < until:
        select.select([pump.fileno()], [], [], until - time.monotonic())
        frames += [event for event in pump.events() if event[0] == "frames"]
    heard = b"".join(event[2] for event in frames)
    assert g711.decode_ulaw(heard) == g711.decode_ulaw(AUDIO[:3200])
    assert [event[3] - frames[0][3] for event in frames] == list(range(0, 400, 20))
    stats = pump.stats(ours.id)
    assert (stats.packets_in, stats.lost, stats.malformed) == (20, 0, 0)


@pytest.mark.parametrize(
    ("name", "table"), [("pcm_mulaw", g711.ULAW_TO_LINEAR), ("pcm_alaw", g711.ALAW_TO_LINEAR)]
)
def test_rfc3551_4_5_14_decoding_is_ffmpegs(name: str, table: array[int]) -> None:
    decoder = av.CodecContext.create(name, "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.sample_rate, decoder.layout = 8000, "mono"
    (frame,) = decoder.decode(av.Packet(bytes(range(256))))
    assert bytes(frame.planes[0])[:512] == table.tobytes()


@pytest.mark.parametrize(
    ("name", "code", "table"),
    [
        ("pcm_mulaw", g711.LINEAR_TO_ULAW, g711.ULAW_TO_LINEAR),
        ("pcm_alaw", g711.LINEAR_TO_ALAW, g711.ALAW_TO_LINEAR),
    ],
)
def test_rfc3551_4_5_14_encoding_differs_from_ffmpegs_by_one_step_at_most(
    name: str, code: bytes, table: array[int]
) -> None:
    encoder = av.CodecContext.create(name, "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = 8000, "mono", "s16"
    frame = av.AudioFrame(format="s16", layout="mono", samples=65536)
    frame.sample_rate = 8000
    frame.planes[0].update(array("h", range(-32768, 32768)).tobytes())
    theirs = b"".join(bytes(packet) for packet in encoder.encode(frame))
    levels = sorted(set(table))
    place = {level: n for n, level in enumerate(levels)}
    steps = [abs(place[table[a]] - place[table[b]]) for a, b in zip(theirs, code, strict=True)]
    assert max(steps) <= 1
    assert sum(steps) < 0.02 * len(steps)  # at the borders between two steps alone
