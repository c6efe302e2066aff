"""Twilio's voice names and languages, and the voice of this machine that speaks for each.

Nothing here plays Amazon's or Google's voices: their names are understood, so that a document moves here
unchanged, and the note says who speaks instead. `man`, `woman` and `alice` name no particular speaker;
they are noted only where the gender or the accent is another.

Sources: Twilio's "Text-to-Speech" pages (Amazon Polly and Google voice tables), as of 2025.
"""

import re
from collections.abc import Collection
from typing import Literal, NamedTuple

from ringback.speech.errors import LanguageRejected, VoiceRejected

Gender = Literal["female", "male"]

DEFAULT_LANGUAGE = "en-US"


class Voice(NamedTuple):
    """A voice that this machine can have. `name` is the engine's."""

    engine: Literal["hibari", "espeak"]
    name: str
    language: str
    gender: Gender | None


class Choice(NamedTuple):
    """Who speaks, in which language, and what the timeline should say about it ("" where all is as asked)."""

    voice: Voice
    language: str
    note: str


HIBARI = (
    Voice("hibari", "heart", "en-US", "female"),  # the one inside the wheel
    Voice("hibari", "fenrir", "en-US", "male"),
    Voice("hibari", "kore", "en-US", "female"),
    Voice("hibari", "emma", "en-GB", "female"),
    Voice("hibari", "fable", "en-GB", "male"),
)

_POLLY: dict[str, tuple[str, str]] = {  # language: women, men
    "arb": ("Zeina", ""),
    "ar-AE": ("Hala", "Zayd"),
    "ca-ES": ("Arlet", ""),
    "cmn-CN": ("Zhiyu", ""),
    "cs-CZ": ("Jitka", ""),
    "cy-GB": ("Gwyneth", ""),
    "da-DK": ("Naja Sofie", "Mads"),
    "de-AT": ("Hannah", ""),
    "de-CH": ("Sabrina", ""),
    "de-DE": ("Marlene Vicki", "Daniel Hans"),
    "en-AU": ("Nicole Olivia", "Russell"),
    "en-GB": ("Amy Emma", "Arthur Brian"),
    "en-GB-WLS": ("", "Geraint"),
    "en-IE": ("Niamh", ""),
    "en-IN": ("Aditi Kajal Raveena", ""),
    "en-NZ": ("Aria", ""),
    "en-SG": ("Jasmine", ""),
    "en-US": (
        "Danielle Ivy Joanna Kendra Kimberly Ruth Salli",
        "Gregory Joey Justin Kevin Matthew Patrick Stephen",
    ),
    "en-ZA": ("Ayanda", ""),
    "es-ES": ("Conchita Lucia", "Enrique Sergio"),
    "es-MX": ("Mia", "Andres"),
    "es-US": ("Lupe Penelope", "Miguel Pedro"),
    "fi-FI": ("Suvi", ""),
    "fr-BE": ("Isabelle", ""),
    "fr-CA": ("Chantal Gabrielle", "Liam"),
    "fr-FR": ("Celine Lea", "Mathieu Remi"),
    "hi-IN": ("", ""),  # Aditi and Kajal speak it too
    "is-IS": ("Dora", "Karl"),
    "it-IT": ("Bianca Carla", "Adriano Giorgio"),
    "ja-JP": ("Kazuha Mizuki Tomoko", "Takumi"),
    "ko-KR": ("Jihye Seoyeon", ""),
    "nb-NO": ("Ida Liv", ""),
    "nl-BE": ("Lisa", ""),
    "nl-NL": ("Laura Lotte", "Ruben"),
    "pl-PL": ("Ewa Maja Ola", "Jacek Jan"),
    "pt-BR": ("Camila Vitoria", "Ricardo Thiago"),
    "pt-PT": ("Ines", "Cristiano"),
    "ro-RO": ("Carmen", ""),
    "ru-RU": ("Tatyana", "Maxim"),
    "sv-SE": ("Astrid Elin", ""),
    "tr-TR": ("Burcu Filiz", ""),
    "yue-CN": ("Hiujin", ""),
}

_GENDERS: tuple[Gender, Gender] = ("female", "male")

_POLLY_VOICES = {
    name.lower(): (language, gender)
    for language, both in _POLLY.items()
    for names, gender in zip(both, _GENDERS, strict=True)
    for name in names.split()
}

_OTHER_LANGUAGES = (
    "af-ZA ar-XA bg-BG bn-IN el-GR et-EE eu-ES fil-PH gl-ES gu-IN he-IL hr-HR hu-HU id-ID kn-IN lt-LT lv-LV "
    "ml-IN mr-IN ms-MY pa-IN sk-SK sl-SI sr-RS sw-KE ta-IN te-IN th-TH uk-UA ur-IN vi-VN zh-CN zh-HK zh-TW "
    "cmn-TW en fr es de it pt en-CA fr-CH"
).split()  # fmt: skip

LANGUAGES: dict[str, str] = {tag.lower(): tag for tag in (*_POLLY, *_OTHER_LANGUAGES)}
"""Languages of `<Say>` by their lower-case tag; the bare ones are those of the oldest voices."""

_REGIONS = {"en": "en-US", "en-ca": "en-US", "de": "de-DE", "fr": "fr-FR", "es": "es-ES", "it": "it-IT"}

_ESPEAK: dict[str, str] = {  # where espeak-ng's name is not the tag's first part
    "arb": "ar", "cmn-cn": "cmn", "cmn-tw": "cmn", "en-au": "en-gb", "en-gb": "en-gb", "en-gb-wls": "en-gb",
    "en-ie": "en-gb", "en-in": "en-gb", "en-nz": "en-gb", "en-sg": "en-gb", "en-us": "en-us",
    "en-za": "en-gb", "es-mx": "es-419", "es-us": "es-419", "fr-be": "fr-be", "fr-ch": "fr-ch",
    "pt-br": "pt-br", "vi-vn": "vi", "yue-cn": "yue", "zh-cn": "cmn", "zh-hk": "yue", "zh-tw": "cmn",
}  # fmt: skip

_NOT_IN_ESPEAK = {"fil"}

_POLLY_NAME = re.compile(r"polly\.([a-z]+)(?:-(?:neural|generative|long-?form))?", re.IGNORECASE)
_GOOGLE_NAME = re.compile(
    r"google\.([a-z]{2,3}(?:-[a-z]{2,3})?)(?:-(?:standard|wavenet|neural2|studio|journey|news|polyglot|casual"
    r"|chirp3?(?:-hd)?)-[a-z0-9]+)?",
    re.IGNORECASE,
)


class _Asked(NamedTuple):
    """What a voice name says: a gender and a language where it does, and whether it is a particular speaker."""

    gender: Gender | None = None
    language: str = ""
    particular: bool = False


def choose(voice: str, language: str, *, hibari: Collection[str], espeak: bool) -> Choice:
    """Who speaks for `voice` and `language` (Twilio's attributes, "" where absent).

    `hibari` names the voices that are here, `espeak` tells whether espeak-ng is. A voice that has a language of
    its own speaks that one, as at Twilio. Raises VoiceRejected (13511) and LanguageRejected (13512).
    """
    asked = _asked(voice.strip())
    tag = LANGUAGES.get((asked.language or language.strip() or DEFAULT_LANGUAGE).lower().replace("_", "-"))
    if tag is None:
        raise LanguageRejected(f"language {language or asked.language!r:.40} is not one of <Say>'s")
    tag = _REGIONS.get(tag.lower(), tag)
    own = next((candidate for candidate in HIBARI if candidate.name == voice.strip().lower()), None)
    candidates = [candidate for candidate in HIBARI if candidate.name in hibari]
    if own in candidates and own is not None and _base(tag) == "en":
        return Choice(own, own.language, "")
    found = _best(candidates, tag, asked.gender) or (_espeak(tag) if espeak else None)
    if found is None:
        raise LanguageRejected(
            f"no voice on this machine speaks {tag}; espeak-ng would, once it is installed"
        )
    return Choice(found, tag, _note(voice.strip(), tag, asked, found))


def _asked(voice: str) -> _Asked:
    name = voice.lower()
    if name in ("", "woman", "alice", "man"):
        gender: Gender | None = None if not name else "male" if name == "man" else "female"
        return _Asked(gender)
    if match := _POLLY_NAME.fullmatch(voice):
        found = _POLLY_VOICES.get(match[1].lower())
        if found is not None:
            return _Asked(found[1], found[0], True)
    elif match := _GOOGLE_NAME.fullmatch(voice):
        return _Asked(None, match[1], True)
    elif found_here := next((candidate for candidate in HIBARI if candidate.name == name), None):
        return _Asked(found_here.gender, found_here.language, True)
    raise VoiceRejected(f"voice {voice!r:.60} is not one of <Say>'s")


def _best(candidates: list[Voice], tag: str, gender: Gender | None) -> Voice | None:
    """The same accent before the same gender; the order of HIBARI decides the rest."""
    speaking = [voice for voice in candidates if _base(voice.language) == _base(tag)]
    british = _base(tag) == "en" and tag != "en-US"
    return min(
        speaking,
        key=lambda voice: (
            voice.language != tag and (voice.language == "en-GB") != british,
            gender is not None and voice.gender != gender,
        ),
        default=None,
    )


def _espeak(tag: str) -> Voice | None:
    base = _base(tag)
    if base in _NOT_IN_ESPEAK:
        return None
    return Voice("espeak", _ESPEAK.get(tag.lower(), base), tag, None)


def _note(asked_name: str, tag: str, asked: _Asked, found: Voice) -> str:
    differs = found.language != tag or (asked.gender is not None and found.gender not in (None, asked.gender))
    same = asked_name.lower() == found.name
    if same or (not differs and not asked.particular):
        return ""
    speaker = ", ".join(part for part in (found.language, found.gender or "") if part)
    engine = "espeak-ng" if found.engine == "espeak" else found.name
    wanted = f"voice {asked_name}" if asked_name else "the voice"
    return f"{wanted} ({tag}) is spoken by {engine} ({speaker})"


def _base(tag: str) -> str:
    return tag.lower().split("-")[0]
