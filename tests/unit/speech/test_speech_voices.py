"""Which voice of this machine speaks for Twilio's names."""

import pytest

from ringback.speech.errors import LanguageRejected, VoiceRejected
from ringback.speech.voices import Choice, choose

HERE = ("heart",)
ALL = ("heart", "fenrir", "kore", "emma", "fable")


def _choose(
    voice: str = "", language: str = "", hibari: tuple[str, ...] = HERE, espeak: bool = False
) -> Choice:
    return choose(voice, language, hibari=hibari, espeak=espeak)


@pytest.mark.parametrize(
    ("voice", "language"), [("", ""), ("woman", ""), ("alice", "en-US"), ("heart", ""), ("Woman", "EN")]
)
def test_the_voice_in_the_wheel_needs_no_note(voice: str, language: str) -> None:
    choice = _choose(voice, language)
    assert (choice.voice.name, choice.language, choice.note) == ("heart", "en-US", "")


def test_a_substituted_voice_is_noted() -> None:
    assert _choose("man").note == "voice man (en-US) is spoken by heart (en-US, female)"
    assert (
        _choose("Polly.Matthew-Neural").note
        == "voice Polly.Matthew-Neural (en-US) is spoken by heart (en-US, female)"
    )
    assert _choose("Google.en-US-Chirp3-HD-Aoede").note.endswith("is spoken by heart (en-US, female)")
    assert _choose("alice", "en-GB").note == "voice alice (en-GB) is spoken by heart (en-US, female)"
    assert _choose("", "en-GB").note == "the voice (en-GB) is spoken by heart (en-US, female)"


@pytest.mark.parametrize(
    ("voice", "language", "name"),
    [
        ("man", "", "fenrir"),
        ("man", "en-GB", "fable"),
        ("woman", "en-GB", "emma"),
        ("Polly.Brian", "", "fable"),
        ("Polly.Amy-Neural", "", "emma"),
        ("Polly.Nicole", "", "emma"),
        ("Polly.Joanna", "", "heart"),
        ("kore", "", "kore"),
        ("", "en-CA", "heart"),
    ],
)
def test_accent_comes_before_gender(voice: str, language: str, name: str) -> None:
    assert _choose(voice, language, ALL).voice.name == name


@pytest.mark.parametrize(
    ("voice", "language", "name", "tag"),
    [
        ("Polly.Hans", "", "de", "de-DE"),
        ("Polly.Celine", "en-US", "fr", "fr-FR"),
        ("alice", "zh-HK", "yue", "zh-HK"),
        ("alice", "pt-BR", "pt-br", "pt-BR"),
        ("", "es_MX", "es-419", "es-MX"),
        ("Google.ja-JP-Wavenet-A", "", "ja", "ja-JP"),
        ("man", "de", "de", "de-DE"),
        ("Polly.Zeina", "", "ar", "arb"),
    ],
)
def test_espeak_speaks_the_other_languages(voice: str, language: str, name: str, tag: str) -> None:
    choice = _choose(voice, language, espeak=True)
    assert (choice.voice.engine, choice.voice.name, choice.language) == ("espeak", name, tag)


def test_espeak_speaks_english_where_nothing_else_is() -> None:
    assert _choose("woman", "en-GB", (), True).voice.name == "en-gb"


def test_a_language_that_nobody_here_speaks_is_13512() -> None:
    with pytest.raises(LanguageRejected, match="espeak-ng would") as caught:
        _choose("Polly.Hans")
    assert caught.value.code == 13512
    with pytest.raises(LanguageRejected):
        _choose("", "fil-PH", espeak=True)


@pytest.mark.parametrize("language", ["xx", "en-XX", "english", "de-DE; rm", "x" * 1000])
def test_an_unknown_language_is_13512(language: str) -> None:
    with pytest.raises(LanguageRejected) as caught:
        _choose("", language, espeak=True)
    assert (caught.value.code, len(caught.value.reason) < 120) == (13512, True)


@pytest.mark.parametrize(
    "voice", ["bob", "Polly.Nobody", "Polly.", "Google.", "Amazon.Joanna", "heart;x", "Google.en-US-Foo-A"]
)
def test_an_unknown_voice_is_13511(voice: str) -> None:
    with pytest.raises(VoiceRejected) as caught:
        _choose(voice, espeak=True)
    assert caught.value.code == 13511
