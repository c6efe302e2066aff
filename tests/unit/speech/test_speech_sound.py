"""From an engine's samples to a telephone's."""

import pytest

numpy = pytest.importorskip("numpy")

from ringback.media import tones  # noqa: E402
from ringback.speech import sound  # noqa: E402


def _sine(frequency: float, rate: int, seconds: float = 1.0, peak: float = 0.3) -> "sound.Samples":
    samples: sound.Samples = peak * numpy.sin(
        2 * numpy.pi * frequency * numpy.arange(int(rate * seconds)) / rate
    )
    return samples.astype("float32")


@pytest.mark.parametrize("rate", [24000, 22050, 16000, 44100])
@pytest.mark.parametrize("frequency", [200, 1000, 3400])
def test_the_telephones_band_passes(rate: int, frequency: int) -> None:
    out = sound.resampled(_sine(frequency, rate), rate, 8000)
    assert len(out) == 8000
    middle = out[400:-400]
    assert 20 * numpy.log10(numpy.sqrt(2 * (middle**2).mean()) / 0.3) == pytest.approx(0, abs=0.2)
    assert tones.tone_present(sound.mulaw(middle), frequency) > 0.98


@pytest.mark.parametrize("rate", [24000, 22050, 16000])
@pytest.mark.parametrize("frequency", [4050, 4600, 6500, 7900])
def test_what_would_fold_into_the_band_is_gone(rate: int, frequency: int) -> None:
    out = sound.resampled(_sine(frequency, rate), rate, 8000)[400:-400]
    assert 20 * numpy.log10(numpy.abs(out).max() / 0.3 + 1e-9) < -50


def test_the_resampler_agrees_with_ffmpegs() -> None:
    av = pytest.importorskip("av")
    rate = 24000
    chirp = (
        numpy.sin(numpy.cumsum(numpy.linspace(200, 3000, rate)) * 2 * numpy.pi / rate).astype("float32") * 0.3
    )
    frame = av.AudioFrame.from_ndarray(chirp.reshape(1, -1), format="flt", layout="mono")
    frame.sample_rate = rate
    resampler = av.AudioResampler(format="flt", layout="mono", rate=8000)
    theirs = numpy.concatenate(
        [part.to_ndarray().ravel() for part in (*resampler.resample(frame), *resampler.resample(None))]
    )
    ours = sound.resampled(chirp, rate, 8000)
    common = min(len(ours), len(theirs)) - 100
    assert numpy.abs(ours[100:common] - theirs[100:common]).max() < 0.01


def test_silence_around_is_cut_but_the_edges_are_kept() -> None:
    quiet = numpy.zeros(24000, "float32")
    out = sound.trimmed(numpy.concatenate([quiet, _sine(500, 24000, 0.5), quiet]), 24000)
    assert len(out) / 24000 == pytest.approx(0.58, abs=0.021)


def test_silence_alone_gives_nothing() -> None:
    assert sound.telephone(numpy.zeros(24000, "float32"), 24000) == b""
    assert sound.telephone(numpy.zeros(0, "float32"), 24000) == b""


@pytest.mark.parametrize("peak", [0.01, 0.1, 0.9])
def test_speech_is_as_loud_whatever_the_engine_gave(peak: float) -> None:
    assert tones.level(sound.telephone(_sine(500, 24000, peak=peak), 24000)[400:-800]) == pytest.approx(
        -18, abs=0.5
    )


def test_gain_is_over_the_usual_level_and_silent_is_silence() -> None:
    loud = sound.telephone(_sine(500, 24000), 24000, 6.0)
    assert tones.level(loud[400:-800]) == pytest.approx(-12, abs=0.5)
    silent = sound.telephone(_sine(500, 24000), 24000, -90.0)
    assert silent == b"\xff" * len(loud)


def test_pauses_do_not_count_for_the_level() -> None:
    quiet = numpy.zeros(24000, "float32")
    both = numpy.concatenate([_sine(500, 24000), quiet, _sine(500, 24000)])
    assert tones.level(sound.telephone(both, 24000)[400:7600]) == pytest.approx(-18, abs=0.5)


def test_peaks_are_bent_and_never_clip() -> None:
    out = sound.limited(numpy.array([0.5, -0.5, 0.7, 3.0, -9.0], "float32"))
    assert out[:2].tolist() == [0.5, -0.5]
    assert 0.6 < out[2] < 0.7
    assert numpy.abs(out).max() <= sound.CEILING + 1e-6
