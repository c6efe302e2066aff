"""Mutation of bytes by seeded dice: for hosts without a coverage-guided engine, and for targets with sockets."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

LARGEST = 4_096
"""Bytes of an ordinary mutant; one in fifty may be of ``HUGE``."""

HUGE = 66_000
"""Above every limit on a single message, so that the limits themselves are reached."""

SPLICES = (
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b"\r\n\r\n",
        b"\r\n ",
        b"\t",
        b" ",
        b";",
        b",",
        b"=",
        b'"',
        b"\\",
        b"<",
        b">",
    ),
    *(
        b"<>",
        b"@",
        b":",
        b"%",
        b"%00",
        b"%c3%28",
        b"[",
        b"]",
        b"*",
        b"&",
        b"?",
        b"#",
        b"/",
        b"-1",
        b"0",
        b"+",
    ),
    *(b"65536", b"4294967296", b"99999999999999999999", b"1e999", b"NaN", b"\xff\xfe", b"\xc0\x80"),
    *(
        "\u0661\u0662".encode(),
        "\u2028".encode(),
        "\u00df".encode(),
        b"{{",
        b"}}",
        b"{{#a}}",
        b"{{/a}}",
        b"&#0;",
    ),
    *(
        b"&amp;",
        b"<![CDATA[",
        b"]]>",
        b"<!--",
        b"<?x?>",
        b"xmlns:a='b'",
        b"Content-Length: 5\r\n",
        b"SIP/2.0",
    ),
    *(b"SIP/3.0 ", b"tag=near", b"\x80", b"\x90\xbe\xde\x00\x01", b"\xff" * 8, b"a" * 300, b"[" * 50, b"()"),
)
_NUMBER = re.compile(rb"[0-9]+")
_NUMBERS = (b"0", b"1", b"255", b"65535", b"65536", b"2147483648", b"4294967295", b"9" * 40, b"-1", b"00000")


class Mutator:
    """Makes mutants of seeds, of lines or of other pieces. The same seed of the dice gives the same mutants."""

    def __init__(self, seeds: Sequence[bytes], dice: random.Random, separator: bytes = b"") -> None:
        self._seeds = list(seeds)
        self._dice = dice
        self._separator = separator
        self._largest = max(LARGEST, *(len(seed) + 256 for seed in seeds))

    def next(self) -> bytes:
        """One more input."""
        dice = self._dice
        data = bytearray(dice.choice(self._seeds))
        for _ in range(dice.choice((1, 1, 1, 2, 3, 5, 12))):
            self._change(data)
        if dice.randrange(50) == 0 and data:  # what repeats costs quadratic time where somebody was careless
            start = dice.randrange(len(data))
            piece = data[start : start + dice.choice((1, 1, 2, 3, 20, 200))]
            data[start:start] = piece * (HUGE // max(len(piece), 1))
            del data[dice.choice((HUGE, HUGE, 33_000, 10_000)) :]
        else:
            del data[self._largest :]
        return bytes(data)

    def _change(self, data: bytearray) -> None:
        dice = self._dice
        if self._separator and dice.randrange(3) == 0:
            self._move(data, self._separator)
            return
        at = dice.randrange(len(data) + 1)
        match dice.randrange(10):
            case 0 if at < len(data):
                data[at] ^= 1 << dice.randrange(8)
            case 1 if at < len(data):
                data[at] = dice.randrange(256)
            case 2 | 3:
                data[at:at] = dice.choice(SPLICES)
            case 4:
                del data[at : at + dice.choice((1, 1, 2, 4, 16, 64))]
            case 5:
                other = dice.choice(self._seeds)
                start = dice.randrange(len(other) + 1)
                data[at : at + dice.randrange(40)] = other[start : start + dice.randrange(80)]
            case 6:
                size = dice.randrange(1, 60)
                data[at:at] = data[at : at + size] * dice.choice((1, 1, 2, 10, 50))
            case 7:
                self._move(data, b"\n")
            case 8:
                found = list(_NUMBER.finditer(data))
                if found:
                    start, end = dice.choice(found).span()
                    data[start:end] = dice.choice(_NUMBERS)
            case _:
                data[at:at] = dice.randbytes(dice.choice((1, 2, 4, 12)))

    def _move(self, data: bytearray, separator: bytes) -> None:
        """A whole line or piece doubled, taken from another seed, moved or lost."""
        dice = self._dice
        pieces = bytes(data).split(separator)
        which = dice.randrange(len(pieces))
        match dice.randrange(4):
            case 0:
                pieces.insert(dice.randrange(len(pieces) + 1), pieces[which])
            case 1:
                others = dice.choice(self._seeds).split(separator)
                pieces.insert(which, dice.choice(others))
            case 2:
                del pieces[which]
            case _:
                pieces.insert(dice.randrange(len(pieces)), pieces.pop(which))
        data[:] = separator.join(pieces)
