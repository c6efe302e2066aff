"""From the International Phonetic Alphabet to the letters of the English voice (misaki's, as in hibari).

Its consonants are IPA; its diphthongs and affricates are single letters, its vowels have no length marks.
Source: the phoneme table of misaki (EN_PHONES), which hibari's README names as its alphabet.
"""

import unicodedata

_PAIRS = (
    ("t͡ʃ", "ʧ"), ("d͡ʒ", "ʤ"), ("tʃ", "ʧ"), ("dʒ", "ʤ"), ("eɪ", "A"), ("aɪ", "I"), ("aʊ", "W"), ("oʊ", "O"),
    ("əʊ", "O"), ("ɔɪ", "Y"), ("ɝ", "ɜɹ"), ("ɚ", "əɹ"), ("ɡ", "ɡ"), ("g", "ɡ"), ("r", "ɹ"), ("e", "ɛ"), ("a", "æ"),
    ("o", "O"), ("ɒ", "ɑ"), ("ʉ", "u"), ("ɫ", "l"), ("ʍ", "w"), ("ɨ", "ɪ"),
)  # fmt: skip
_LETTERS = frozenset("AIWYOæɑɐəɛɜɪiʊuɔʌᵻᵊbdfhjklmnpstvwzðŋɡɹʃʒʤʧθTˈˌ ")

MAX_SOUNDS = 64
"""Letters of one `ph`: a long word has 30."""


def from_ipa(ipa: str) -> str:
    """The same sounds in the voice's letters; unknown signs are left out, "" where nothing is left."""
    sounds = unicodedata.normalize("NFC", ipa)[:MAX_SOUNDS].replace("'", "ˈ").replace(",", "ˌ")
    for sign, letter in _PAIRS:
        sounds = sounds.replace(sign, letter)
    return "".join(letter for letter in sounds if letter in _LETTERS).strip()
