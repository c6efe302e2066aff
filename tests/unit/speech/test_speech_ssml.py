"""From the content of `<Say>` to pieces."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.speech.errors import TextRejected
from ringback.speech.limits import MAX_DEPTH, MAX_ELEMENTS
from ringback.speech.phonemes import from_ipa
from ringback.speech.ssml import Bleep, Node, Pause, Piece, Speak, plan


def _element(name: str, *children: Node, **attributes: str) -> Node:
    return (name, tuple((key.replace("_", "-"), value) for key, value in attributes.items()), children)


def _pieces(*children: Node, language: str = "en-US") -> list[Piece]:
    return list(plan(("Say", (), children), language).pieces)


def test_plain_text_is_spoken_by_the_sentence() -> None:
    assert plan("Hello. How are you?", "en-US").pieces == (
        Speak("Hello."),
        Pause(0.35),
        Speak("How are you?"),
    )


def test_the_words_around_an_inline_element_stay_one_piece() -> None:
    assert _pieces("Dial ", _element("say-as", "650", interpret_as="digits"), " or ", _element("sub", "W3C", alias="the consortium"), ".") == [
        Speak("Dial 6 5 0 or the consortium.")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("attributes", "seconds"),
    [
        ({}, 0.35),
        ({"time": "500ms"}, 0.5),
        ({"time": "1.5s"}, 1.5),
        ({"time": "60s"}, 10.0),
        ({"strength": "x-strong"}, 1.2),
        ({"strength": "weak", "time": "2s"}, 2.0),
        ({"time": "soon"}, 0.35),
    ],
)
def test_breaks(attributes: dict[str, str], seconds: float) -> None:
    assert _pieces("One.", _element("break", **attributes), "Two") == [
        Speak("One."),
        Pause(seconds),
        Speak("Two"),
    ]


@pytest.mark.parametrize("attributes", [{"strength": "none"}, {"time": "0s"}])
def test_a_break_of_nothing_adds_nothing(attributes: dict[str, str]) -> None:
    assert _pieces("One", _element("break", **attributes), "two") == [Speak("One"), Speak("two")]


def test_paragraphs_and_sentences_pause_once() -> None:
    assert _pieces(_element("p", _element("s", "One."), _element("s", "Two")), "Three") == [
        Speak("One."),
        Pause(0.35),
        Speak("Two"),
        Pause(0.7),
        Speak("Three"),
    ]


def test_emphasis_and_prosody_multiply() -> None:
    inner = _element("emphasis", "now", level="strong")
    assert _pieces("Come ", _element("prosody", "right ", inner, rate="200%", volume="soft"), "please") == [
        Speak("Come"),
        Speak("right", "", 2.0, -6.0),
        Speak("now", "", 1.7, -3.0),
        Speak("please"),
    ]


@pytest.mark.parametrize(
    ("rate", "factor"),
    [
        ("x-slow", 0.5),
        ("fast", 1.25),
        ("90%", 0.9),
        ("+20%", 1.2),
        ("-20%", 0.8),
        ("900%", 2.0),
        ("1%", 0.5),
        ("?", 1.0),
    ],
)
def test_rates(rate: str, factor: float) -> None:
    assert _pieces(_element("prosody", "a", rate=rate)) == [Speak("a", "", factor)]


@pytest.mark.parametrize(
    ("volume", "gain"),
    [("+4dB", 4.0), ("-6dB", -6.0), ("+40dB", 6.0), ("silent", -90.0), ("loud", 4.0), ("x", 0.0)],
)
def test_volumes(volume: str, gain: float) -> None:
    assert _pieces(_element("prosody", "a", volume=volume)) == [Speak("a", "", 1.0, gain)]


def test_a_stop_after_an_element_is_a_pause() -> None:
    assert _pieces("Say ", _element("emphasis", "yes", level="strong"), ". Thanks") == [
        Speak("Say"),
        Speak("yes", "", 0.85, 3.0),
        Pause(0.35),
        Speak("Thanks"),
    ]


def test_lang_changes_the_language_of_its_words() -> None:
    lang: Node = ("lang", (("xml:lang", "fr-FR"),), ("bonjour",))
    assert _pieces("Say ", lang) == [Speak("Say"), Speak("bonjour", "fr-FR")]


@pytest.mark.parametrize(
    ("as_what", "written", "read"),
    [
        ("telephone", "+16505551234", "plus 1, 6 5 0, 5 5 5, 1 2 3 4"),
        ("characters", "ab1", "A, B, 1"),
        ("spell-out", "ab", "A, B"),
        ("cardinal", "1984", "1,984"),
        ("number", "1984", "1,984"),
        ("ordinal", "22", "22nd"),
        ("date", "12/24/2025", "December 24, 2025"),
        ("time", "1'2\"", "1 minute and 2 seconds"),
        ("address", "5 Main St", "5 Main St"),
        ("unknown", "text", "text"),
    ],
)
def test_say_as(as_what: str, written: str, read: str) -> None:
    for name in ("say-as", "say_as", "Say-As"):
        assert _pieces(_element(name, written, interpret_as=as_what)) == [Speak(read)]


def test_an_expletive_is_a_bleep() -> None:
    assert _pieces("What the ", _element("say-as", "heck", interpret_as="expletive")) == [
        Speak("What the"),
        Bleep(0.43),
    ]


def test_phonemes_are_spoken_in_english_and_noted_elsewhere() -> None:
    pecan = _element("phoneme", "pecan", alphabet="ipa", ph="pɪˈkɑːn")
    assert _pieces("A ", pecan) == [Speak("A [pecan](/pɪˈkɑn/)")]
    german = plan(("Say", (), ("Eine ", pecan)), "de-DE")
    assert german.pieces == (Speak("Eine pecan"),)
    assert german.notes == ("phoneme is ignored, its words are spoken",)
    assert from_ipa("dʒuːs") == "ʤus"
    assert from_ipa("taɪm") == "tIm"
    assert from_ipa("/)](evil") == "ɛvil"


def test_what_is_ignored_is_noted_once() -> None:
    pitch = _element("prosody", "a", pitch="high")
    found = plan(("Say", (), (pitch, pitch, _element("blink", " b"))), "en-US")
    assert found.pieces == (Speak("aa b"),)
    assert found.notes == ("prosody pitch is ignored", "element blink is ignored, its words are spoken")


def test_text_of_4096_characters_is_spoken_and_one_more_is_13521() -> None:
    assert plan("a" * 4096, "en-US").pieces
    for node in ("a" * 4097, ("Say", (), ("a" * 4000, ("s", (), ("a" * 97,))))):
        with pytest.raises(TextRejected) as caught:
            plan(node, "en-US")
        assert caught.value.code == 13521


@pytest.mark.parametrize("node", ["", " \n ", "...", ("Say", (), ()), ("Say", (), (("s", (), (" ",)),))])
def test_nothing_to_say_is_13520(node: Any) -> None:
    with pytest.raises(TextRejected) as caught:
        plan(node, "en-US")
    assert caught.value.code == 13520


def test_a_break_alone_is_something() -> None:
    assert _pieces(_element("break", time="2s")) == [Pause(2.0)]


def test_too_many_and_too_deep_elements_are_13520() -> None:
    deep: Node = "a"
    for _ in range(MAX_DEPTH + 2):
        deep = ("emphasis", (), (deep,))
    for node in (deep, ("Say", (), (("break", (), ()),) * (MAX_ELEMENTS + 1))):
        with pytest.raises(TextRejected) as caught:
            plan(node, "en-US")
        assert caught.value.code == 13520


def test_all_pauses_together_have_a_bound() -> None:
    pauses = _pieces(*((_element("break", time="10s"),) * 100))
    assert sum(piece.seconds for piece in pauses if isinstance(piece, Pause)) == 300.0


_names = st.sampled_from(
    ["break", "emphasis", "p", "s", "sub", "lang", "prosody", "say-as", "phoneme", "w", "x"]
)
_attributes = st.lists(
    st.tuples(st.sampled_from(["time", "strength", "level", "alias", "rate", "volume", "interpret-as", "format", "ph"]),
              st.sampled_from(["", "1s", "strong", "x-slow", "50%", "-3dB", "date", "digits", "expletive", "mdy", "ɪ"])),
    max_size=2,
).map(tuple)  # fmt: skip
_trees: st.SearchStrategy[Node] = st.recursive(
    st.text(max_size=20),
    lambda inner: st.tuples(_names, _attributes, st.lists(inner, max_size=3).map(tuple)),
    max_leaves=12,
)


@given(_trees)
def test_any_tree_gives_a_plan_or_one_error(tree: Node) -> None:
    try:
        pieces = plan(("Say", (), (tree,)), "en-US").pieces
    except TextRejected:
        return
    assert pieces
    assert all(piece.text.strip() for piece in pieces if isinstance(piece, Speak))
    assert all(piece.seconds > 0 for piece in pieces if isinstance(piece, Pause))
