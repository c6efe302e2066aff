"""Answers as JSON and, for paths without ``.json``, as XML."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from .errors import RestError
from .resource import Resource

JSON: Final = "application/json"
XML: Final = "application/xml"
SUFFIX: Final = ".json"

_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0 section 2.2
_PROLOGUE: Final = "<?xml version='1.0' encoding='UTF-8'?>\n"


def json_body(value: Mapping[str, object]) -> bytes:
    """A resource, a list envelope or an error as JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": ")).encode("utf-8", "replace")


def json_list(key: str, items: list[dict[str, object]], envelope: Mapping[str, object]) -> bytes:
    """A rendered list: its items, each written by itself so that a thread that writes a thousand holds up no other."""
    inside = b", ".join([json_body(item) for item in items])
    return b'{"%s": [%s], %s' % (key.encode(), inside, json_body(envelope)[1:])


def xml_resource(resource: Resource, shown: Mapping[str, object]) -> bytes:
    """A rendered resource in ``<TwilioResponse>``."""
    return _document(_element(resource.element, shown))


def xml_list(resource: Resource, envelope: Mapping[str, object], items: list[dict[str, object]]) -> bytes:
    """A rendered list: the envelope's values are attributes, as ``nextpageuri``."""
    attributes = "".join(
        f" {name.replace('_', '')}={quoteattr(_clean(_text(value)))}" for name, value in envelope.items()
    )
    inside = "".join(_element(resource.element, item) for item in items)
    return _document(f"<{resource.plural}{attributes}>{inside}</{resource.plural}>")


def xml_error(error: RestError) -> bytes:
    """An error in ``<RestException>``."""
    return _document(_element("RestException", error.body()))


def _document(inside: str) -> bytes:
    return f"{_PROLOGUE}<TwilioResponse>{inside}</TwilioResponse>".encode("utf-8", "replace")


def _element(name: str, value: object) -> str:
    if isinstance(value, Mapping):
        inside = "".join(_element(_camel(str(key)), item) for key, item in value.items())
    else:
        inside = escape(_clean(_text(value)))
    return f"<{name}>{inside}</{name}>" if inside else f"<{name}/>"


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)


def _clean(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)
