"""Readings of written text that an engine gets wrong on its own: telephone numbers, addresses, keys, codes.

All functions are pure. Digits stay digits, but apart from each other ("6 5 0"), which every engine reads one by
one in its own language; words are added in English only.
"""

import re
import unicodedata

_LEADING_ZERO = r"0\d+"
_E164 = re.compile(r"(?<![\w+])\+\s?(\d(?:[\s().\-/]{0,2}\d){6,14})(?!\w)")
_NORTH_AMERICAN = re.compile(
    r"(?<![\w+.,$£€-])((?:1[ .-])?(?:\(\d{3}\)\s?|\d{3}[ .-])\d{3}[ .-]\d{4})(?![\w-])"
)
_LONG_NUMBER = re.compile(rf"(?<![\w+.,:$£€/-])(\d{{7,32}}|{_LEADING_ZERO})(?![\w%:/-]|[.,]\d)")
# It starts at the start of a word only: from each letter on, a long word of many dots would cost its square.
_ADDRESS = re.compile(r"(?<![\w.+-])(?:sips?:)?([\w+-]+(?:\.[\w+-]+)*)@([\w-]+(?:\.[\w-]+)*)(?!\w)")
_WEB = re.compile(
    r"(?<!\w)(?:https?|wss?)://([\w.-]*\w)(?:[:/?#][^\s<>]*?)?(?=[.,;:!?)]*(?:\s|$))", re.IGNORECASE
)
_KEY = re.compile(r"(?<!\S)([#*])(?=$|[\s.,;:!?])")
_SPACE = re.compile(r"\s+")
_UNSPOKEN = {"Cc", "Cf", "Co", "Cs", "Cn"}

_SYMBOLS = {
    "@": "at", ".": "dot", "-": "dash", "_": "underscore", "/": "slash", "+": "plus", "#": "pound", "*": "star",
    "&": "and", ":": "colon", ",": "comma", "%": "percent", "=": "equals", "!": "exclamation mark",
    "?": "question mark", "$": "dollar",
}  # fmt: skip


def spoken(text: str, language: str) -> str:
    """`text` as an engine should get it, in one line."""
    text = "".join(
        " " if letter.isspace() else letter
        for letter in unicodedata.normalize("NFKC", text)
        if letter.isspace() or unicodedata.category(letter) not in _UNSPOKEN
    )
    text = text.replace("](", "] (")  # an engine's markup for sounds is for <phoneme> alone
    if is_english(language):
        text = _WEB.sub(lambda match: _dotted(match[1]), text)
        text = _ADDRESS.sub(lambda match: f"{_dotted(match[1])} at {_dotted(match[2])}", text)
        text = _KEY.sub(lambda match: _key(match[1], language), text)
    text = _E164.sub(lambda match: telephone("+" + match[1], language), text)
    text = _NORTH_AMERICAN.sub(lambda match: telephone(match[1], language), text)
    text = _LONG_NUMBER.sub(lambda match: _in_groups(match[1]), text)
    return _SPACE.sub(" ", text).strip()


def is_english(language: str) -> bool:
    """Whether the words that this module adds are understood."""
    return language.lower().split("-")[0] == "en"


def digits(text: str) -> str:
    """Every digit by itself; other characters part groups."""
    groups = re.findall(r"\d+", unicodedata.normalize("NFKC", text))
    return ", ".join(" ".join(group) for group in groups)


def telephone(text: str, language: str) -> str:
    """A telephone number: digit by digit, in the groups it is written in, else in threes and a four.

    +16505551234 is "plus 1, 6 5 0, 5 5 5, 1 2 3 4". An extension's letters (w, x) part groups.
    """
    plus = text.lstrip().startswith("+")
    groups = re.findall(r"\d+", text)
    if plus and len(groups) == 1 and groups[0].startswith("1") and len(groups[0]) == 11:
        groups = ["1", groups[0][1:]]
    spread = ", ".join(_in_groups(group) for group in groups)
    if not plus:
        return spread
    return f"plus {spread}" if is_english(language) else f"+ {spread}"


def characters(text: str, language: str) -> str:
    """Letter by letter."""
    names = _SYMBOLS if is_english(language) else {}
    return ", ".join(names.get(letter, letter.upper()) for letter in text if not letter.isspace())


def cardinal(text: str) -> str:
    """A whole number with its thousands marked, so that 1234 is no year; other text unchanged."""
    plain = text.strip().replace(",", "")
    return f"{int(plain):,}" if re.fullmatch(r"[+-]?\d{1,18}", plain) else text


def ordinal(text: str, language: str) -> str:
    """3 is "3rd" in English; the number with a full stop elsewhere."""
    plain = text.strip().replace(",", "")
    if not re.fullmatch(r"\d{1,15}", plain):
        return text
    if not is_english(language):
        return f"{plain}."
    teen = plain[-2:-1] == "1"
    return plain + ("th" if teen else {"1": "st", "2": "nd", "3": "rd"}.get(plain[-1], "th"))


def _in_groups(run: str) -> str:
    """Up to 4 digits stay together, longer runs part in threes, and the last group has 2 to 4."""
    parts, rest = [], run
    while len(rest) > 4:
        parts.append(rest[:3])
        rest = rest[3:]
    return ", ".join(" ".join(part) for part in [*parts, rest])


def _dotted(text: str) -> str:
    return (
        re.sub(r"\.", " dot ", text)
        .replace("_", " underscore ")
        .replace("-", " dash ")
        .replace("+", " plus ")
    )


def _key(key: str, language: str) -> str:
    """Keys of a telephone: # is "pound" in America, "hash" elsewhere."""
    if key == "*":
        return "star"
    return "pound" if language.lower() in ("en", "en-us", "en-ca") else "hash"


SENTENCE_ENDS = ".!?…。！？।"
_TITLES = frozenset("mr mrs ms dr prof st sr jr vs no ext inc ltd co gen rev hon approx dept".split())
_SENTENCE = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+(?=\S)|(?<=[。！？।])(?=\S)")


def sentences(text: str, limit: int) -> list[str]:
    """`text` in sentences; one over `limit` characters parts at a clause, at a space, at last anywhere."""
    found, start = [], 0
    for match in _SENTENCE.finditer(text):
        if _ends_here(text, match.start(), text[match.end()]):
            found.append(text[start : match.start()])
            start = match.end()
    found.append(text[start:])
    return [part for sentence in found for part in _parted(sentence.strip(), limit) if part]


def _ends_here(text: str, end: int, following: str) -> bool:
    """False after a title or an initial ("Dr. Smith", "J. Smith") and before a small letter."""
    if text[end - 1] != ".":
        return True
    word = text[text.rfind(" ", 0, end) + 1 : end - 1].lower()
    return not (following.islower() or word in _TITLES or (len(word) == 1 and word.isalpha()))


def _parted(sentence: str, limit: int) -> list[str]:
    parts = []
    while len(sentence) > limit:
        cut = max(
            sentence.rfind(mark, limit // 2, limit) + 1 for mark in (", ", "; ", ": ", ") ", "，", "、")
        )
        cut = cut or sentence.rfind(" ", limit // 2, limit) + 1 or limit
        parts.append(sentence[:cut].strip())
        sentence = sentence[cut:].strip()
    return [*parts, sentence]
