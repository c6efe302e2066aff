"""Writes docs/conformance.md: which rule of which RFC is kept, by the names of the tests that show it.

    python tools/conformance.py            write the file
    python tools/conformance.py --check    fail when it is not what would be written

A test is named by its clause: ``test_rfc3261_17_2_1_timer_g_doubles_to_t2`` is RFC 3261 section 17.2.1, "timer g
doubles to t2". Deviations are the paragraphs of docstrings that begin with ``Deviation:``.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "conformance.md"

TITLES = {
    2069: "Digest access authentication, first version",
    2617: "Basic and digest access authentication",
    2782: "Locating services by the DNS (SRV)",
    3204: "ISUP beside SDP",
    3261: "SIP: Session Initiation Protocol",
    3262: "Reliability of provisional responses",
    3263: "Locating SIP servers",
    3264: "An offer/answer model with SDP",
    3311: "The SIP UPDATE method",
    3323: "A privacy mechanism for SIP",
    3325: "Asserted identity within trusted networks",
    3326: "The Reason header field",
    3327: "Registering non-adjacent contacts (Path)",
    3428: "SIP extension for instant messaging",
    3515: "The SIP REFER method",
    3550: "RTP: a transport protocol for real-time applications",
    3551: "RTP profile for audio and video",
    3581: "Symmetric response routing (rport)",
    3665: "SIP basic call flow examples",
    3891: "The SIP Replaces header",
    3892: "The SIP Referred-By mechanism",
    4028: "Session timers in SIP",
    4320: "Actions addressing the non-INVITE transaction",
    4475: "SIP torture test messages",
    4488: "Suppression of the REFER subscription",
    4733: "RTP payload for DTMF digits",
    4916: "Connected identity in SIP",
    5118: "SIP torture test messages for IPv6",
    5389: "STUN",
    5393: "An amplification vulnerability in forking proxies",
    5589: "SIP call control: transfer",
    5621: "Message bodies of several parts",
    5626: "Managing client-initiated connections (outbound)",
    5630: "The SIPS URI scheme",
    5922: "Domain certificates in SIP",
    5954: "Correction for IPv6 ABNF and URI comparison",
    6026: "Correct transaction handling for 2xx to INVITE",
    6086: "INFO and its packages",
    6157: "IPv6 transition in SIP",
    6432: "Carrying Q.850 codes in Reason",
    6665: "SIP-specific event notification",
    7616: "Digest access authentication",
    8760: "SIP digest access authentication",
}

JUDGES = (  # what stands in a test, or in its module, and who then is the judge
    ("module", re.compile(r"\bLinphone\b"), "Linphone"),
    ("module", re.compile(r"\bBaresip\b"), "baresip"),
    ("module", re.compile(r"peers\.kamailio"), "Kamailio"),
    ("module", re.compile(r"pjsua2|Pjsip|\bpjsip\b"), "PJSIP"),
    ("module", re.compile(r"\bsipp\b", re.I), "SIPp"),
    ("module", re.compile(r"ffmpeg|import av\b", re.I), "FFmpeg"),
    ("test", re.compile(r"aioice"), "aioice"),
    (
        "test",
        re.compile(
            r"\b(messages|flow_of|Part)\(|\b_(read|request)\(|CORPUS|\bASSERTED\b|\.statuses\(|_examples?_of_the_rfc"
        ),
        "the RFC's messages",
    ),
)
ON_THE_WIRE = frozenset(("sent", "got", "trace", "times", "feed"))
"""What a node of a virtual network knows of its messages. Wireshark has read them too (tests/conformance/conftest.py)."""


class Rule(NamedTuple):
    """One test, as the name says it."""

    rfc: int
    clause: tuple[str, ...]
    words: str
    judge: str
    path: str


class Deviation(NamedTuple):
    """What is done otherwise on purpose, and why."""

    path: str
    text: str


def split_name(name: str) -> tuple[int, tuple[str, ...], str] | None:
    """RFC, clause and words of a test's name; None for a test of no RFC."""
    found = re.fullmatch(r"test_rfc(\d+)_(.+)", name)
    if found is None:
        return None
    words = found[2].split("_")
    clause: list[str] = []
    if len(words) > 1 and re.fullmatch(r"[a-z]", words[0]) and words[1].isdigit():
        clause.append(words.pop(0).upper())  # an appendix
    while words and re.fullmatch(r"\d{1,2}", words[0]):
        clause.append(words.pop(0))
    return int(found[1]), tuple(clause), " ".join(words)


def _speaks_of_the_wire(node: ast.AST, names: set[str]) -> bool:
    """Whether an expression has to do with messages that were sent: itself, or by a name that has."""
    return any(
        (isinstance(each, ast.Attribute) and each.attr in ON_THE_WIRE)
        or (isinstance(each, ast.Name) and each.id in names)
        for each in ast.walk(node)
    )


def is_read_by_wireshark(test: ast.AST, module: ast.Module) -> bool:
    """Whether a test asserts something of the messages that nodes sent."""
    names: set[str] = set()
    for node in module.body:  # what gives messages of the wire back
        if isinstance(node, ast.FunctionDef):
            given = [each.value for each in ast.walk(node) if isinstance(each, ast.Return) and each.value]
            if any(_speaks_of_the_wire(value, set()) for value in given):
                names.add(node.name)
    for node in ast.walk(test):
        if isinstance(node, ast.Assign) and _speaks_of_the_wire(node.value, names):
            names |= {
                each.id for target in node.targets for each in ast.walk(target) if isinstance(each, ast.Name)
            }
        elif isinstance(node, ast.For) and _speaks_of_the_wire(node.iter, names):
            names |= {each.id for each in ast.walk(node.target) if isinstance(each, ast.Name)}
    asserts = [node.test for node in ast.walk(test) if isinstance(node, ast.Assert)]
    return any(_speaks_of_the_wire(each, names) for each in asserts)


def rules(path: Path) -> Iterator[Rule]:
    """The rules that the tests of a module show."""
    text = path.read_text()
    module = ast.parse(text)
    is_watched = path.parent.name == "conformance" and "virtual_network" in text
    for node in ast.walk(module):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        split = split_name(node.name)
        if split is None:
            continue
        source = ast.get_source_segment(text, node) or ""
        judges = [
            name for where, pattern, name in JUDGES if pattern.search(text if where == "module" else source)
        ]
        named = [name for name in judges if f"_{name.lower()}" in node.name]  # of several in one module
        reader = "Wireshark" if is_watched and is_read_by_wireshark(node, module) else ""
        judge = next(iter(named or judges), reader)
        yield Rule(*split, judge, str(path.relative_to(ROOT)))


def deviations(path: Path) -> Iterator[Deviation]:
    """The deviations that the docstrings of a module name."""
    for node in ast.walk(ast.parse(path.read_text())):
        documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        docstring = ast.get_docstring(node) if isinstance(node, documented) else None
        if docstring is None and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            docstring = node.value.value if isinstance(node.value.value, str) else None
        elif isinstance(node, ast.Expr):
            docstring = None
        for paragraph in re.split(r"\n\s*\n|\n(?=\s*Deviation:)", docstring or ""):
            if paragraph.strip().startswith("Deviation:"):
                text = " ".join(paragraph.split()).removeprefix("Deviation: ")
                yield Deviation(str(path.relative_to(ROOT)), text)


def _order(clause: tuple[str, ...]) -> tuple[tuple[int, str], ...]:
    return tuple((int(part), "") if part.isdigit() else (1000, part) for part in clause)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def document() -> str:
    """The whole text."""
    found = [rule for path in sorted((ROOT / "tests").rglob("test_*.py")) for rule in rules(path)]
    by_rfc: dict[int, list[Rule]] = defaultdict(list)
    for rule in found:
        by_rfc[rule.rfc].append(rule)
    sources = [*sorted((ROOT / "src").rglob("*.py")), *sorted((ROOT / "tests").rglob("*.py"))]
    differing = sorted({each for path in sources for each in deviations(path)})
    judged = sum(bool(rule.judge) for rule in found)
    lines = [
        "# Conformance",
        "",
        "<!-- Written by tools/conformance.py from the names of the tests; do not edit. -->",
        "",
        "What Ringback keeps of the RFCs, rule by rule. Each line is a test; the last column says whose program or",
        "whose bytes judge it, where these are not ours: the far end is PJSIP, SIPp or another program; or what comes in",
        "is taken from the RFC; or what the test says of our messages (their fields, how often they were repeated) was",
        "read by Wireshark as well, and meant the same to it.",
        "",
        f"{len(found)} rules of {len(by_rfc)} RFCs, {judged} of them judged by others, {len(differing)} deviations.",
        "",
    ]
    for number in sorted(by_rfc):
        title = f": {TITLES[number]}" if number in TITLES else ""
        lines += [f"## RFC {number}{title}", "", "| section | rule | judged by |", "|---|---|---|"]
        for rule in sorted(by_rfc[number], key=lambda rule: (_order(rule.clause), rule.words, rule.path)):
            lines.append(f"| {'.'.join(rule.clause)} | {_escaped(rule.words)} | {rule.judge} |")
        lines.append("")
    lines += [
        "## Deviations",
        "",
        "Done otherwise on purpose, with the reason, and the test that pins it.",
        "",
    ]
    lines += [f"- `{each.path}`: {_escaped(each.text)}" for each in differing]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Write or check the document: the exit status."""
    text = document()
    if arguments == ["--check"]:
        if not DOCUMENT.exists() or DOCUMENT.read_text() != text:
            print("docs/conformance.md is out of date: run python tools/conformance.py", file=sys.stderr)
            return 1
        return 0
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(text)
    print(next(line for line in text.splitlines() if " rules of " in line))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
