"""Tones as a telephone hears them: frequencies, rhythm, level."""

import itertools

import pytest

from ringback.media import g711, tones

TWILIO_RING_TONES = (
    "at au bg br be ch cl cn cz de dk ee es fi fr gr hu il in it lt jp mx my nl no nz ph pl pt ru se sg th uk us "
    "us-old tw ve za"
).split()
SECOND = 8000


def _rhythm(audio: bytes) -> list[float]:
    """Seconds on, off, on... by blocks of 5 ms; the dips of a modulated tone (under 60 ms) count as sound."""
    block = 40
    loud = [tones.level(audio[at : at + block]) > -40 for at in range(0, len(audio), block)]
    runs = [(sounds, len(list(run))) for sounds, run in itertools.groupby(loud)]
    solid = [(sounds or length < 12, length) for sounds, length in runs]
    return [
        sum(length for _, length in run) * block / SECOND
        for _, run in itertools.groupby(solid, key=lambda run: run[0])
    ]


def test_every_ring_tone_of_dial_is_there() -> None:
    assert sorted(tones.COUNTRIES) == sorted(TWILIO_RING_TONES)
    assert len(tones.COUNTRIES) == 40


@pytest.mark.parametrize("country", TWILIO_RING_TONES)
def test_a_ring_has_its_countrys_rhythm(country: str) -> None:
    wanted = tones.COUNTRIES[country].ringback.cadence
    assert _rhythm(tones.ringback(country)) == pytest.approx(wanted, abs=0.03)


@pytest.mark.parametrize("kind", ["ringback", "busy", "congestion"])
@pytest.mark.parametrize("country", TWILIO_RING_TONES)
def test_a_tone_has_its_countrys_frequencies(country: str, kind: str) -> None:
    tone = getattr(tones.COUNTRIES[country], kind)
    burst = tones.render(tone)[80 : round(tone.cadence[0] * SECOND) - 80]
    heard = [tones.tone_present(burst, frequency) for frequency in tone.frequencies]
    if tone.product:
        carrier, modulator = tone.frequencies
        sides = [tones.tone_present(burst, carrier + side) for side in (-modulator, modulator)]
        assert heard[0] == pytest.approx(2 / 3, abs=0.12)  # full modulation: 1 against two times 1/4
        assert sum(sides) == pytest.approx(1 / 3, abs=0.12)
    else:
        assert min(heard) > 0.7 / len(heard)
        assert sum(heard) > 0.9


@pytest.mark.parametrize("country", TWILIO_RING_TONES)
def test_a_ring_is_ten_decibels_under_full_load(country: str) -> None:
    """E.180/Q.35 clause 5: -10 dBm0, which is -16.2 dB under a full-scale square wave (G.711: +3.17, sine: 3.01)."""
    tone = tones.COUNTRIES[country].ringback
    burst = tones.ringback(country)[: round(tone.cadence[0] * SECOND)]
    assert tones.level(burst) == pytest.approx(-16.2, abs=0.35)


def test_a_looped_tone_starts_and_ends_in_silence() -> None:
    for country in TWILIO_RING_TONES:
        ring = tones.ringback(country)
        assert ring[-1] == 0xFF
        assert tones.level(ring[:8]) < -30


def test_known_rings() -> None:
    """Values that several sources agree on: GR-506, BT SIN 350, E.180 Supplement 2."""
    assert tones.COUNTRIES["us"].ringback == tones.Tone((440, 480), (2.0, 4.0))
    assert tones.COUNTRIES["uk"].ringback == tones.Tone((400, 450), (0.4, 0.2, 0.4, 2.0))
    assert tones.COUNTRIES["de"].ringback == tones.Tone((425,), (1.0, 4.0))
    assert tones.COUNTRIES["fr"].ringback == tones.Tone((440,), (1.5, 3.5))
    assert tones.COUNTRIES["jp"].ringback == tones.Tone((400, 16), (1.0, 2.0), product=True)
    assert tones.COUNTRIES["us"].busy == tones.Tone((480, 620), (0.5, 0.5))


def test_an_unknown_country_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        tones.ringback("xx")


def test_the_beep_is_half_a_second_of_1000_hertz() -> None:
    assert len(tones.beep()) == 4000
    assert tones.tone_present(tones.beep(), 1000) > 0.98
    assert tones.tone_present(tones.beep(), 1400) < 0.01


def test_the_information_tone_rises() -> None:
    audio = tones.information()
    for index, frequency in enumerate((950, 1400, 1800)):
        assert tones.tone_present(audio[index * 2640 : (index + 1) * 2640], frequency) > 0.95


def test_each_dtmf_key_has_its_two_frequencies() -> None:
    assert tones.DTMF["5"] == (770, 1336)
    for key, (low, high) in tones.DTMF.items():
        audio = tones.dtmf(key, on=0.1, off=0)
        low_power, high_power = tones.tone_present(audio, low), tones.tone_present(audio, high)
        assert low_power + high_power > 0.95
        assert high_power / low_power == pytest.approx(10**0.2, rel=0.15)  # 2 dB


def test_digits_are_heard_in_order_with_repeats_and_waits() -> None:
    assert tones.hear_digits(tones.dtmf("0012w3#*9ABCDd")) == "0012" + "3#*9ABCDD"


def test_a_wait_lasts_half_a_second() -> None:
    assert len(tones.dtmf("w")) == 4000
    assert len(tones.dtmf("1w1")) == len(tones.dtmf("11")) + 4000


def test_a_digit_of_20_milliseconds_is_no_digit() -> None:
    assert tones.hear_digits(tones.dtmf("5", on=0.02)) == ""


def test_speech_like_noise_is_no_digit() -> None:
    noise = bytes((n * 7919 >> 3) & 0xFF for n in range(8000))
    assert tones.hear_digits(noise) == ""


def test_silence_has_no_tone_and_no_level() -> None:
    assert tones.tone_present(tones.silence(0.1), 440) == 0.0
    assert tones.level(tones.silence(0.1)) == -100.0
    assert tones.level(b"") == -100.0


def test_a_tone_is_heard_in_pcm_as_well() -> None:
    pcm = b"".join((8000 if n % 8 < 4 else -8000).to_bytes(2, "little", signed=True) for n in range(800))
    assert (
        tones.tone_present(pcm, 1000, encoding="pcm") > 0.8
    )  # a square wave: 8 / pi^2 at its first harmonic
    assert tones.level(pcm, encoding="pcm") == pytest.approx(-12.25, abs=0.05)


def test_the_music_on_hold_is_quiet_never_silent_and_loops_without_a_jump() -> None:
    parts = list(tones.hold_music())
    music = b"".join(parts)
    assert len(music) == 8 * tones.RATE
    assert max(len(part) for part in parts) <= 1000
    assert -28 < tones.level(music) < -18
    assert all(tones.level(music[at : at + 2000]) > -40 for at in range(0, len(music), 2000))
    peak = max(abs(g711.ULAW_TO_LINEAR[code]) for code in music)
    assert peak < 16_000
    ends = [abs(g711.ULAW_TO_LINEAR[music[at]]) for at in (0, -1)]
    assert max(ends) < 400
