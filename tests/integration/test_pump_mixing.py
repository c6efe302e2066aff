"""The pump's contract, on both twins: taps of a port, and mixers of several."""

from __future__ import annotations

import pytest
from pump_scene import Phone, Setup, is_pure, setup

from ringback.media import UnknownPort
from ringback.media.g711 import ALAW_TO_ULAW, ULAW_TO_ALAW, decode_ulaw

__all__ = ["is_pure", "setup"]


def test_taps_give_both_tracks_as_mulaw_frames(setup: Setup) -> None:
    a, phone_a = setup.leg(codec="PCMA", payload_type=8)
    setup.pump.tap(a.id, 1, "inbound")
    setup.pump.tap(a.id, 2, "outbound")
    setup.pump.play(a.id, 1, b"\x05" * 320, 1)
    audio = bytes(range(240))
    phone_a.say(a, audio, payload_type=8)
    phone_a.say(a, audio, payload_type=8)
    frames = setup.ear.kind("frames", 5)
    inbound = [event for event in frames if event[1] == 1]
    assert b"".join(event[2] for event in inbound) == (audio + audio).translate(ALAW_TO_ULAW)
    assert [len(event[2]) for event in frames] == [160] * 5
    assert [event[3] - inbound[0][3] for event in inbound] == [0, 20, 40]
    outbound = [event[2] for event in frames if event[1] == 2]
    assert (
        outbound == [(b"\x05" * 160).translate(ULAW_TO_ALAW).translate(ALAW_TO_ULAW)] * 2
        or outbound == [b"\x05" * 160] * 2
    )


def test_an_outbound_tap_hears_the_relay_and_untap_ends_it(setup: Setup) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg(codec="PCMA", payload_type=8)
    setup.pump.connect(a.id, b.id)
    setup.pump.tap(b.id, 9, "outbound")
    phone_a.say(a, b"\x0c" * 160)
    ((_, tap_id, audio, at),) = setup.ear.kind("frames")
    assert (tap_id, audio) == (9, (b"\x0c" * 160).translate(ULAW_TO_ALAW).translate(ALAW_TO_ULAW))
    assert at >= 0
    setup.pump.untap(9)
    phone_a.say(a)
    phone_b.hear()
    phone_b.hear()
    setup.ear.seen += setup.pump.events()
    assert len(setup.ear.kind("frames")) == 1


def test_each_member_hears_all_others(setup: Setup) -> None:
    legs = [setup.leg() for _ in range(3)]
    mixer = setup.pump.open_mixer()
    for port, _ in legs:
        setup.pump.mix(mixer, port.id)
    levels = [0x9F, 0xAF, 0xBF]  # constant samples: easy to add up
    values = [decode_ulaw(bytes([level]))[0] for level in levels]
    for _ in range(10):
        for (port, phone), level in zip(legs, levels, strict=True):
            phone.say(port, bytes([level]) * 160)
    for index, (_, phone) in enumerate(legs):
        expected = sum(values) - values[index]
        packet = phone.hear_until(
            lambda packet, expected=expected: (
                abs(decode_ulaw(packet.payload)[80] - expected) < 0.04 * expected
            )
        )
        assert packet.payload_type == 0


@pytest.mark.parametrize(("loud", "loudest"), [(b"\x88", b"\x80"), (b"\x08", b"\x00")])
def test_two_loud_members_together_are_as_loud_as_can_be(setup: Setup, loud: bytes, loudest: bytes) -> None:
    """Each is at three quarters of what there is: their sum is cut, and does not begin anew at the other end."""
    legs = [setup.leg() for _ in range(3)]
    mixer = setup.pump.open_mixer()
    for port, _ in legs:
        setup.pump.mix(mixer, port.id)
    for _ in range(10):
        for port, phone in legs[:2]:
            phone.say(port, loud * 160)
    legs[2][1].hear_until(lambda packet: packet.payload == loudest * 160)


def test_muted_members_are_not_heard_and_deaf_ones_hear_silence(setup: Setup) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg()
    c, phone_c = setup.leg()
    mixer = setup.pump.open_mixer()
    setup.pump.mix(mixer, a.id)
    setup.pump.mix(mixer, b.id)
    setup.pump.mix(mixer, c.id, deaf=True)
    for _ in range(10):
        phone_a.say(a, b"\x9f" * 160)
    phone_b.hear_until(lambda packet: packet.payload == b"\x9f" * 160)
    assert {phone_c.hear().payload for _ in range(8)} == {b"\xff" * 160}
    setup.pump.set_muted(mixer, a.id, True)
    for _ in range(10):
        phone_a.say(a, b"\x9f" * 160)
    phone_b.hear_until(lambda packet: packet.payload == b"\xff" * 160)
    assert {phone_b.hear().payload for _ in range(5)} == {b"\xff" * 160}
    with pytest.raises(UnknownPort):
        setup.pump.unmix(mixer, a.id)
        setup.pump.set_muted(mixer, a.id, False)


def test_who_speaks_to_one_member_alone_hears_all_and_is_heard_by_that_one(setup: Setup) -> None:
    (coach, ear), (agent, phone), (customer, other) = legs = [setup.leg() for _ in range(3)]
    mixer = setup.pump.open_mixer()
    setup.pump.mix(mixer, agent.id)
    setup.pump.mix(mixer, customer.id)
    setup.pump.mix(mixer, coach.id, heard_by=agent.id)
    levels = [0x9F, 0xAF, 0xBF]
    values = [decode_ulaw(bytes([level]))[0] for level in levels]

    def talk() -> None:
        for _ in range(10):
            for (port, end), level in zip(legs, levels, strict=True):
                end.say(port, bytes([level]) * 160)

    def hears(end: Phone, expected: int) -> None:
        end.hear_until(lambda packet: abs(decode_ulaw(packet.payload)[80] - expected) < 0.04 * expected)

    talk()
    for end, expected in ((ear, values[1] + values[2]), (phone, values[0] + values[2]), (other, values[1])):
        hears(end, expected)
    setup.pump.mix(mixer, coach.id, heard_by=customer.id)
    talk()
    hears(other, values[0] + values[1])
    setup.pump.mix(mixer, coach.id, heard_by=customer.id, muted=True)
    talk()
    hears(other, values[1])
    setup.pump.mix(mixer, coach.id)
    talk()
    for index, (_, end) in enumerate(legs):
        hears(end, sum(values) - values[index])


def test_a_beep_is_heard_by_all_and_its_end_is_told(setup: Setup) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg(codec="PCMA", payload_type=8)
    mixer = setup.pump.open_mixer()
    setup.pump.mix(mixer, a.id)
    setup.pump.mix(mixer, b.id)
    setup.pump.play_mixer(mixer, 31, b"\xa0" * 160)
    phone_a.hear_until(lambda packet: packet.payload == b"\xa0" * 160)
    phone_b.hear_until(lambda packet: packet.payload == (b"\xa0" * 160).translate(ULAW_TO_ALAW))
    assert setup.ear.kind("mixer_played")[0] == ("mixer_played", mixer, 31)
    setup.pump.close_mixer(mixer)
    with pytest.raises(UnknownPort):
        setup.pump.play_mixer(mixer, 32, b"")


def test_connecting_leaves_the_mixer_and_mixing_cuts_the_connection(setup: Setup) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg()
    mixer = setup.pump.open_mixer()
    setup.pump.mix(mixer, a.id)
    setup.pump.connect(a.id, b.id)
    with pytest.raises(UnknownPort):
        setup.pump.set_muted(mixer, a.id, True)
    phone_a.say(a, b"\x01" * 160)
    assert phone_b.hear().payload[0] == 1
    setup.pump.mix(mixer, a.id)
    phone_a.say(a, b"\x02" * 160)
    phone_a.hear()  # the mixer speaks to it now
    assert setup.pump.stats(b.id).packets_out == 1
