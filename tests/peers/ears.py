"""Ears for speech: PocketSphinx with a grammar of what may be said, so that it tells phrases apart by their sound."""

from __future__ import annotations

import importlib.util
import struct
from functools import lru_cache
from itertools import pairwise
from typing import Any

import pytest

GRAMMAR = """#JSGF V1.0;
grammar sandbox;
public <said> = [<greeting>] your call works goodbye
  | [please enter four digits] you entered <digit> <digit> <digit> <digit> goodbye
  | [please enter four digits] no digits came goodbye
  | the number you have dialed is being connected [[<greeting>] your call works goodbye]
  | an application error has occurred goodbye;
<greeting> = hello this is the sandbox carrier of ring back;
<digit> = zero | one | two | three | four | five | six | seven | eight | nine;
"""


@lru_cache(maxsize=1)
def _decoder() -> Any:
    from pocketsphinx import Decoder

    decoder = Decoder(samprate=16000, loglevel="FATAL")
    decoder.add_jsgf_string("sandbox", GRAMMAR)
    decoder.activate_search("sandbox")
    return decoder


def understood(pcm: bytes) -> str:
    """The words in a recording of 8 kHz. Skips the test where PocketSphinx is missing."""
    if importlib.util.find_spec("pocketsphinx") is None:
        pytest.skip("PocketSphinx is missing: pip install pocketsphinx")
    samples = struct.unpack(f"<{len(pcm) // 2}h", pcm[: len(pcm) // 2 * 2])
    doubled = [value for one, two in pairwise(samples) for value in (one, (one + two) // 2)]
    decoder = _decoder()
    decoder.start_utt()
    decoder.process_raw(struct.pack(f"<{len(doubled)}h", *doubled), False, True)
    decoder.end_utt()
    found = decoder.hyp()
    return found.hypstr if found is not None else ""
