"""The pump's contract, on both twins: what it relays between two ports."""

from __future__ import annotations

import pytest
from pump_scene import HERE, Setup, is_pure, setup

from ringback.media.g711 import ALAW_TO_ULAW, ULAW_TO_ALAW
from ringback.rtp.packet import Packet, sequence_step, timestamp_step

__all__ = ["is_pure", "setup"]


def test_relay_keeps_order_time_and_loss_under_a_source_of_ours(setup: Setup) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg()
    setup.pump.connect(a.id, b.id)
    sent = [phone_a.say(a, bytes([n]) * 160) for n in range(5)]
    phone_a.sequence = (phone_a.sequence + 2) & 0xFFFF  # two are lost before us
    phone_a.timestamp = (phone_a.timestamp + 320) & 0xFFFFFFFF
    sent.append(phone_a.say(a, b"\x09" * 160))
    heard = [phone_b.hear() for _ in sent]
    assert [packet.payload for packet in heard] == [packet.payload for packet in sent]
    assert len({packet.ssrc for packet in heard}) == 1
    assert heard[0].ssrc != phone_a.ssrc
    assert [packet.marker for packet in heard] == [True, False, False, False, False, False]
    for earlier, later, before, after in zip(heard, heard[1:], sent, sent[1:], strict=False):
        assert sequence_step(earlier.sequence, later.sequence) == sequence_step(
            before.sequence, after.sequence
        )
        assert timestamp_step(earlier.timestamp, later.timestamp) == timestamp_step(
            before.timestamp, after.timestamp
        )


def test_relay_goes_both_ways_from_the_ports_own_address(setup: Setup) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg()
    setup.pump.connect(a.id, b.id)
    phone_b.say(b, b"\x01" * 160)
    data, source = phone_a.rtp.recvfrom(2048)
    assert (Packet.parse(data).payload, source) == (b"\x01" * 160, (HERE, a.port))
    phone_a.say(a, b"\x02" * 160)
    assert phone_b.hear().payload == b"\x02" * 160


def test_relay_transcodes_between_the_two_laws(setup: Setup) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg(codec="PCMA", payload_type=8)
    setup.pump.connect(a.id, b.id)
    audio = bytes(range(160))
    phone_a.say(a, audio)
    assert (packet := phone_b.hear()).payload == audio.translate(ULAW_TO_ALAW)
    assert packet.payload_type == 8
    phone_b.say(b, audio, payload_type=8)
    assert (packet := phone_a.hear()).payload == audio.translate(ALAW_TO_ULAW)
    assert packet.payload_type == 0


def test_rfc3264_6_1_the_peer_may_send_the_other_codec_of_its_answer_from_the_first_packet(
    setup: Setup,
) -> None:
    a, phone_a = setup.leg(other_payload_type=8)
    b, phone_b = setup.leg(payload_type=96, receive_payload_type=97, codec="PCMA", other_payload_type=98)
    setup.pump.connect(a.id, b.id)
    phone_a.say(a, b"\xd5" * 160, payload_type=8)
    heard = phone_b.hear()
    assert (heard.payload_type, heard.payload) == (96, b"\xd5" * 160)
    for payload_type, payload in ((98, b"\x12" * 160), (97, bytes([0x12]).translate(ULAW_TO_ALAW) * 160)):
        phone_b.say(b, payload, payload_type=payload_type)
        heard = phone_a.hear()
        assert (heard.payload_type, heard.payload) == (0, b"\x12" * 160)


def test_relay_strips_what_only_concerned_the_first_leg(setup: Setup) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg()
    setup.pump.connect(a.id, b.id)
    packet = Packet(0, 7, 7, 7, b"\x11" * 160, False, (1, 2, 3), (0xBEDE, b"\x10\x00\x00\x00"))
    padded = bytearray(packet.render() + b"\x00\x00\x00\x04")
    padded[0] |= 0x20
    phone_a.rtp.sendto(bytes(padded), (HERE, a.port))
    data = phone_b.rtp.recv(2048)
    assert (len(data), data[0]) == (172, 0x80)
    assert Packet.parse(data).payload == b"\x11" * 160


@pytest.mark.parametrize("size", [1, 80, 240, 480, 1400])
def test_relay_keeps_packet_sizes(setup: Setup, size: int) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg()
    setup.pump.connect(a.id, b.id)
    phone_a.say(a, b"\x22" * size)
    assert phone_b.hear().payload == b"\x22" * size


def test_a_new_source_of_the_peer_goes_on_in_the_same_stream(setup: Setup) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg()
    setup.pump.connect(a.id, b.id)
    phone_a.say(a)
    first = phone_b.hear()
    phone_a.ssrc, phone_a.sequence, phone_a.timestamp = 99, 4000, 123456
    phone_a.say(a)
    second = phone_b.hear()
    assert second.ssrc == first.ssrc
    assert sequence_step(first.sequence, second.sequence) == 1
    assert timestamp_step(first.timestamp, second.timestamp) >= 160
    assert second.marker


def test_nothing_is_sent_when_the_direction_forbids_it(setup: Setup) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg(send=False)
    c, phone_c = setup.leg()
    setup.pump.connect(a.id, b.id)
    phone_a.say(a)
    setup.ear.wait(lambda event: event[:2] == ("heard", a.id))
    assert setup.pump.stats(b.id).packets_out == 0
    setup.configure(b, phone_b.address)
    setup.configure(a, phone_a.address, receive=False)
    setup.pump.connect(a.id, c.id)
    phone_a.say(a, b"\x01" * 160)
    setup.configure(a, phone_a.address, receive=True)
    phone_a.say(a, b"\x02" * 160)
    assert phone_c.hear_until(lambda packet: packet.payload[0] == 2).ssrc


def test_no_datagram_upsets_the_pump(setup: Setup) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg()
    setup.pump.connect(a.id, b.id)
    good = Packet(0, 1, 1, 1, b"\x33" * 160).render()
    bad = [
        b"",
        b"\x80",
        good[:11],
        b"\x40" + good[1:],
        b"\x8f" + good[1:20],  # fifteen sources that are not there
        b"\x90" + good[1:12] + b"\xbe\xde\xff\xff",  # an extension of 256 kB
        b"\x90" + good[1:12] + b"\xbe",
        b"\xa0" + good[1:-1] + b"\xff",  # more padding than packet
        b"\xa0" + good[1:-1] + b"\x00",
        good[:1] + b"\x63" + good[2:],  # a payload type that nobody negotiated
        good + bytes(2000),
        bytes(65000),
    ]
    for data in bad:
        phone_a.rtp.sendto(data, (HERE, a.port))
        phone_a.rtcp.sendto(data, (HERE, a.port + 1))
    phone_a.say(a, b"\x44" * 160)
    assert phone_b.hear().payload == b"\x44" * 160
    stats = setup.pump.stats(a.id)
    assert (stats.packets_in, stats.strangers) == (1, 1)
    assert stats.malformed >= len(bad) - 1


def test_disconnect_ends_the_relay(setup: Setup) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg()
    c, phone_c = setup.leg()
    setup.pump.connect(a.id, b.id)
    setup.pump.disconnect(a.id, c.id)  # not connected: nothing happens
    phone_a.say(a, b"\x01" * 160)
    assert phone_b.hear().payload[0] == 1
    setup.pump.disconnect(a.id, b.id)
    phone_a.say(a, b"\x02" * 160)
    setup.pump.connect(a.id, c.id)
    phone_a.say(a, b"\x03" * 160)
    assert phone_c.hear_until(lambda packet: packet.payload[0] == 3).payload[0] == 3
    assert setup.pump.stats(b.id).packets_out == 1
