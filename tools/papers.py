"""Writes what docs/ say of the code: tables of settings, TwiML, REST paths, sandbox numbers; diagrams.

    python tools/papers.py            write them
    python tools/papers.py --check    exit 1, with what to do, where one is not what the code says

Each stands between `<!-- from the code: NAME -->` and `<!-- end -->`; the rest of a page is written by hand.
"""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast, get_type_hints

from pydantic import SecretStr

from ringback.app.card import NUMBERS
from ringback.app.cli import serve
from ringback.app.settings import Settings
from ringback.shell.api.face import _routes
from ringback.shell.control import UNSUPPORTED
from ringback.twiml import schema

DOCS = Path(__file__).resolve().parent.parent / "docs"
PLACE = re.compile(r"(<!-- from the code: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

WITHOUT_FLAG = {
    "account_sid": "Account SID of the first account, taken at the first start. [made up]",
    "auth_token": "Auth Token of the first account, taken at the first start. [made up]",
    "phone_password": "Password of every phone of the starter, taken at the first start. [one for each]",
}
"""Settings that would show secrets in the list of processes if they had a flag."""


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of Markdown."""
    titles = list(head)
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def code(text: str) -> str:
    """Text as code; nothing for nothing."""
    return f"`{text}`" if text else ""


def settings() -> str:
    """Every field of Settings with its flag, variable, key and default."""
    hints = get_type_hints(serve, include_extras=True)
    rows = []
    for name, field in Settings.model_fields.items():
        flag = f"--{name.replace('_', '-')}" if name in hints else ""
        told = hints[name].__metadata__[0].help if flag else WITHOUT_FLAG[name]
        text, _, default = told.rstrip("]").partition(" [")
        given = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
        shown = str(given) if given != "" else default
        key = name.replace("_", "-")
        rows.append((code(key), code(flag), code(f"RINGBACK_{name.upper()}"), shown or "none", text))
    return table(("in ringback.toml", "flag", "environment", "default", "what it is"), rows)


def numbers() -> str:
    """What the sandbox carrier does when it is called."""
    return table(
        ("number", "what it does"), [(code(number.replace(" ", "")), what) for number, what in NUMBERS]
    )


def _later_values(attribute: schema.Attribute) -> tuple[str, ...]:
    """Values of an attribute that are TwiML's, but not carried out yet."""
    if not inspect.isfunction(attribute.read):
        return ()
    found: tuple[str, ...] = inspect.getclosurevars(attribute.read).nonlocals.get("later", ())
    return found


def _names(names: Iterable[str]) -> str:
    return ", ".join(code(name) for name in names)


def elements() -> str:
    """TwiML's elements and attributes: carried out, ignored, not yet."""
    rows = []
    for element, attributes in schema.ATTRIBUTES.items():
        ignored = [name for name, attribute in attributes.items() if attribute is schema._IGNORED]
        later = [name for name, attribute in attributes.items() if attribute.read is schema.not_yet]
        done = [name for name in attributes if name not in ignored and name not in later]
        values = [
            f"{code(name)} as {_names(found)}" for name in done if (found := _later_values(attributes[name]))
        ]
        not_yet = "; ".join(filter(None, (_names(later), *values)))
        rows.append((code(f"<{element}>"), _names(done), _names(ignored), not_yet))
    head = ("element", "attributes carried out", "understood and without effect", "not yet")
    return table(head, rows)


def not_yet() -> str:
    """TwiML's elements that this version refuses."""
    return _names(f"<{name}>" for name in sorted(schema.LATER)) + "\n"


def resources() -> str:
    """Every path of the REST API with its methods."""
    # no request is answered here, so nothing asks the store or the calls
    routes = _routes(cast(Any, None), cast(Any, None), UNSUPPORTED)
    found = [
        ("/".join(segments), ", ".join(sorted(handlers)))
        for entries in routes._by_length.values()
        for segments, handlers in entries
    ]
    rows = [
        (code(f"{path.replace('/Accounts/{account_sid}', '…')}.json"), methods) for path, methods in found
    ]
    return table(("path", "methods"), sorted(rows))


TURNS = 3
"""So often a page is written anew before it counts as stale."""


def _drawn(name: str) -> str:
    """A diagram, drawn in a process of its own: it reads the modules in another way than they run."""
    line = [sys.executable, str(Path(__file__).with_name("diagrams.py")), name]
    done = subprocess.run(line, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"the {name} cannot be drawn:\n{done.stderr}")
    return f"```mermaid\n{done.stdout}```\n"


def layers() -> str:
    """The packages and their imports."""
    return _drawn("layers")


def way() -> str:
    """The way of a call through the modules."""
    return _drawn("way")


def refused() -> str:
    """Parameters of a call that are refused until they do something."""
    return _names(sorted(UNSUPPORTED)) + "\n"


TABLES: dict[str, Callable[[], str]] = {
    "settings": settings,
    "numbers": numbers,
    "elements": elements,
    "not_yet": not_yet,
    "resources": resources,
    "refused": refused,
    "layers": layers,
    "way": way,
}


def written(page: str) -> str:
    """A page with its tables as the code has them now."""
    return PLACE.sub(lambda place: f"{place[1]}\n{TABLES[place[2]]()}\n{place[3]}", page)


def main() -> int:
    """Write or check; the exit status."""
    stale = []
    for file in sorted(DOCS.glob("*.md")):
        page = file.read_text(encoding="utf-8")
        # What happens at once in a call comes in any order, and a busy machine adds an arrow now and then (a message
        # that is repeated): a diagram is stale when its arrows are others each time.
        for _ in range(TURNS):
            fresh = written(page)
            if is_fresh := sorted(fresh.splitlines()) == sorted(page.splitlines()):
                break
        if not is_fresh:
            stale.append(file)
            if "--check" not in sys.argv[1:]:
                file.write_text(fresh, encoding="utf-8")
    names = ", ".join(f"docs/{file.name}" for file in stale)
    if stale and "--check" in sys.argv[1:]:
        print(f"{names}: not what the code says any more. Run: python tools/papers.py", file=sys.stderr)
        return 1
    print(f"written: {names}" if stale else "the tables in docs/ say what the code says")
    return 0


if __name__ == "__main__":
    sys.exit(main())
