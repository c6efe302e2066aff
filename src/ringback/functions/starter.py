"""Writes the starter project: a Function for outgoing calls, bins for incoming ones, a README."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).with_name("starter")


def write_starter(directory: Path | str, domain: str, caller_ids: Mapping[str, str]) -> list[Path]:
    """Puts the starter's files into a directory; a file that is already there is left alone.

    `domain` is the SIP domain of the users; `caller_ids` maps SIP user to the number that callees see. Each of
    these users gets a bin that rings the user's phones. Returns the files that were written.
    """
    target = Path(directory)
    written: list[Path] = []
    places = {
        "__DOMAIN__": domain,
        "__CALLER_IDS__": _javascript(caller_ids),
        "__FIRST_NUMBER__": next(iter(caller_ids.values()), ""),
    }
    for source in sorted(path for path in SOURCE.rglob("*") if path.is_file()):
        relative = source.relative_to(SOURCE)
        if relative.parts[0] == "bins":
            continue
        _write(target / relative, _filled(source, places), written)
    template = SOURCE / "bins"
    for user in caller_ids:
        own = template / f"{user}.xml"
        source = own if own.is_file() else template / "alice.xml"
        places["__USER__"] = user
        _write(target / "bins" / f"{user}.xml", _filled(source, places), written)
    return written


def _filled(source: Path, places: Mapping[str, str]) -> str:
    text = source.read_text(encoding="utf-8")
    for place, value in places.items():
        text = text.replace(place, value)
    return text


def _write(path: Path, text: str, written: list[Path]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return
    written.append(path)


def _javascript(caller_ids: Mapping[str, str]) -> str:
    """The object literal of the mapping, an entry a line."""
    lines = [f"  {json.dumps(user)}: {json.dumps(number)}," for user, number in caller_ids.items()]
    return "\n".join(["{", *lines, "}"])
