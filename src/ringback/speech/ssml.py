"""From what `<Say>` holds to what an engine is told: a plan of pieces to speak and pauses between them.

Read: `break` (strength, time), `emphasis` (by loudness and pace), `p`, `s`, `sub`, `lang`, `prosody` (rate,
volume), `say-as` (all of Twilio's values; "address" is read as text, "expletive" is a bleep, dates and
times in English only), `phoneme` (ipa, in English), `w` (its words). Ignored, each with a note: `prosody`
pitch, `phoneme` in other alphabets or languages, elements that Twilio does not have (their words are
spoken). Source: Twilio's TwiML reference for `<Say>`, and Amazon Polly's SSML tags, which it points to.
"""

import re
from typing import NamedTuple, TypeAlias

from ringback.speech import dates, text
from ringback.speech.errors import TextRejected
from ringback.speech.limits import MAX_DEPTH, MAX_ELEMENTS, MAX_PAUSE, MAX_PAUSES, MAX_PIECE, MAX_TEXT
from ringback.speech.phonemes import from_ipa

Attributes: TypeAlias = tuple[tuple[str, str], ...]
Node: TypeAlias = "str | tuple[str, Attributes, tuple[Node, ...]]"
"""Text, or an element: its name, its attributes, its children. The name of `<Say>` itself is not read."""


class Speak(NamedTuple):
    """Words in one manner. `rate` multiplies the pace, `gain` is in dB; `language` is "" for the voice's own."""

    text: str
    language: str = ""
    rate: float = 1.0
    gain: float = 0.0


class Pause(NamedTuple):
    """Silence, in seconds."""

    seconds: float


class Bleep(NamedTuple):
    """A word that is not said."""

    seconds: float


Piece = Speak | Pause | Bleep


class Plan(NamedTuple):
    """Pieces in order, and notes for the timeline on what was ignored."""

    pieces: tuple[Piece, ...]
    notes: tuple[str, ...]


class _Manner(NamedTuple):
    language: str = ""
    rate: float = 1.0
    gain: float = 0.0


_AFTER_SENTENCE = 0.35  # seconds; the pause that the voice itself makes
_AFTER_PARAGRAPH = 0.7
_BREAKS = {"none": 0.0, "x-weak": 0.1, "weak": 0.2, "medium": 0.35, "strong": 0.7, "x-strong": 1.2}
_RATES = {"x-slow": 0.5, "slow": 0.75, "medium": 1.0, "default": 1.0, "fast": 1.25, "x-fast": 1.6}
_VOLUMES = {
    "silent": -90.0, "x-soft": -12.0, "soft": -6.0, "medium": 0.0, "default": 0.0, "loud": 4.0, "x-loud": 6.0
}  # fmt: skip
_EMPHASIS = {"strong": (0.85, 3.0), "moderate": (0.92, 1.5), "reduced": (1.1, -3.0)}
_TIME = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)(ms|s)")
_PERCENT = re.compile(r"([+-]?)(\d{1,3})%")
_DECIBEL = re.compile(r"([+-]?\d{1,2}(?:\.\d)?)dB", re.IGNORECASE)
_RATE_RANGE = (0.5, 2.0)
_GAIN_RANGE = (-90.0, 6.0)  # more would only clip


def plan(node: Node, language: str) -> Plan:
    """The plan for the content of one `<Say>` in the language of its voice.

    TextRejected: 13520 where there is nothing to say or too many elements, 13521 over 4096 characters.
    """
    reader = _Reader(language)
    reader.read(node, _Manner(), 0)
    reader.flush()
    reader.drop_own_pause()  # nothing follows
    if not reader.pieces:
        raise TextRejected(13520, "<Say> has no text")
    return Plan(tuple(reader.pieces), tuple(dict.fromkeys(reader.notes)))


class _Reader:
    """One walk through the tree: words gather as long as their manner is the same."""

    def __init__(self, language: str) -> None:
        self.pieces: list[Piece] = []
        self.notes: list[str] = []
        self._language = language
        self._words: list[str] = []
        self._manner = _Manner()
        self._length = 0
        self._elements = 0
        self._paused = 0.0
        self._own_pause_at = 0  # how many pieces there were with it

    def read(self, node: Node, manner: _Manner, depth: int) -> None:
        if isinstance(node, str):
            self._say(node, manner)
            return
        self._elements += 1
        if self._elements > MAX_ELEMENTS or depth > MAX_DEPTH:
            raise TextRejected(
                13520, f"<Say> has over {MAX_ELEMENTS} elements, or over {MAX_DEPTH} in each other"
            )
        name, attributes, children = node
        named = {key.lower(): value.strip() for key, value in attributes}
        match name.lower().replace("_", "-"):
            case "break":
                self._break(named)
            case "sub":
                self._count(node)
                self._say(named.get("alias", ""), manner)
            case "say-as":
                self._say_as(_text_of(node), named, manner)
            case "phoneme":
                self._phoneme(_text_of(node), named, manner)
            case "p" | "s" as kind:
                self.flush()
                self._inside(children, manner, depth)
                self.flush()
                self._own_pause(_AFTER_PARAGRAPH if kind == "p" else _AFTER_SENTENCE)
            case other:
                self._inside(children, self._inner(other, named, manner, depth), depth)

    def _inside(self, children: tuple[Node, ...], manner: _Manner, depth: int) -> None:
        for child in children:
            self.read(child, manner, depth + 1)

    def _inner(self, name: str, named: dict[str, str], manner: _Manner, depth: int) -> _Manner:
        """The manner inside an element."""
        if name == "emphasis":
            rate, gain = _EMPHASIS.get(named.get("level", "moderate"), (1.0, 0.0))
            return self._manner_of(manner, rate, gain)
        if name == "prosody":
            if named.get("pitch", "medium") not in ("medium", "default"):
                self.notes.append("prosody pitch is ignored")
            return self._manner_of(manner, _rate(named.get("rate", "")), _volume(named.get("volume", "")))
        if name == "lang":
            return manner._replace(language=named.get("xml:lang") or named.get("lang") or manner.language)
        if name != "w" and depth:
            self.notes.append(f"element {name:.20} is ignored, its words are spoken")
        return manner

    def _manner_of(self, manner: _Manner, rate: float, gain: float) -> _Manner:
        low, high = _RATE_RANGE
        quiet, loud = _GAIN_RANGE
        return manner._replace(
            rate=round(min(high, max(low, manner.rate * rate)), 3),
            gain=round(min(loud, max(quiet, manner.gain + gain)), 2),
        )

    def _break(self, named: dict[str, str]) -> None:
        match = _TIME.fullmatch(named.get("time", ""))
        seconds = _BREAKS.get(named.get("strength", "medium"), _BREAKS["medium"])
        if match is not None:
            seconds = float(match[1]) / (1000 if match[2] == "ms" else 1)
        self.flush()
        self._pause(min(seconds, MAX_PAUSE))

    def _say_as(self, words: str, named: dict[str, str], manner: _Manner) -> None:
        language = manner.language or self._language
        english = text.is_english(language)
        match named.get("interpret-as", "").lower():
            case "digits":
                words = text.digits(words)
            case "telephone":
                words = text.telephone(words, language)
            case "characters" | "spell-out":
                words = text.characters(words, language)
            case "cardinal" | "number":
                words = text.cardinal(words)
            case "ordinal":
                words = text.ordinal(words, language)
            case "date" if english:
                words = dates.date(words, named.get("format", "").lower())
            case "time" if english:
                words = dates.time(words)
            case "expletive":
                self._count(words)
                self.flush()
                self.pieces.append(Bleep(round(min(1.0, 0.15 + 0.07 * len(words)), 2)))
                return
        self._say(words, manner, ready=True)

    def _phoneme(self, words: str, named: dict[str, str], manner: _Manner) -> None:
        if named.get("alphabet", "ipa") == "ipa" and text.is_english(manner.language or self._language):
            sounds = from_ipa(named.get("ph", ""))
            if sounds:
                self._say(f"[{words or 'x'}](/{sounds}/)", manner, ready=True)
                return
        self.notes.append("phoneme is ignored, its words are spoken")
        self._say(words, manner)

    def _say(self, words: str, manner: _Manner, *, ready: bool = False) -> None:
        self._count(words)
        if manner != self._manner:
            self.flush()
            self._manner = manner
        self._words.append(words if ready else _kept_spaces(words, manner.language or self._language))

    def _count(self, node: Node) -> None:
        self._length += len(_text_of(node))
        if self._length > MAX_TEXT:
            raise TextRejected(13521, f"<Say> has over {MAX_TEXT} characters")

    def flush(self) -> None:
        """What gathered becomes pieces, a sentence each."""
        words, self._words = " ".join("".join(self._words).split()), []
        for sentence in text.sentences(words, MAX_PIECE):
            if any(letter.isalnum() for letter in sentence):
                self.pieces.append(Speak(sentence, *self._manner))
            if sentence.rstrip("\"'”’)]")[-1:] in text.SENTENCE_ENDS:
                self._own_pause(_AFTER_SENTENCE)

    def _pause(self, seconds: float) -> None:
        """A pause that was asked for takes the place of the voice's own."""
        if seconds:
            self.drop_own_pause()
        seconds = min(seconds, MAX_PAUSES - self._paused)
        if seconds > 0:
            self._paused += seconds
            self.pieces.append(Pause(seconds))

    def _own_pause(self, seconds: float) -> None:
        """The pause that a voice makes after a sentence; a paragraph's takes its place."""
        self.drop_own_pause()
        if self.pieces and not isinstance(self.pieces[-1], Pause):
            self.pieces.append(Pause(seconds))
            self._own_pause_at = len(self.pieces)

    def drop_own_pause(self) -> None:
        """Takes the voice's own pause away where it is the last piece."""
        if self._own_pause_at and self._own_pause_at == len(self.pieces):
            self.pieces.pop()
            self._own_pause_at = 0


def _kept_spaces(words: str, language: str) -> str:
    """Normalised, but with the space at either end that parts it from its neighbours."""
    before = " " if words[:1].isspace() else ""
    after = " " if words[-1:].isspace() else ""
    return before + text.spoken(words, language) + after


def _text_of(node: Node) -> str:
    """All words in `node`; an element that is nested too deep counts as none."""
    pending: list[Node] = [node]
    words: list[str] = []
    while pending:
        here = pending.pop()
        if isinstance(here, str):
            words.append(here)
        else:
            pending.extend(reversed(here[2]))
    return "".join(words)


def _rate(value: str) -> float:
    if match := _PERCENT.fullmatch(value):
        percent = int(match[2])
        if match[1]:
            percent = 100 + int(match[1] + match[2])
        return percent / 100
    return _RATES.get(value, 1.0)


def _volume(value: str) -> float:
    match = _DECIBEL.fullmatch(value)
    return float(match[1]) if match else _VOLUMES.get(value, 0.0)
