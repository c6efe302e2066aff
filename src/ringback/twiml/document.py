"""A TwiML document: XML in, a small tree of plain data out.

Entities, DTDs and network access are off. Errors are Twilio's: 12100 not well formed, 12102 the root is
not Response, 11750 too large, 12300 a content type that is no answer (TwiML semantics, "Interpreter";
webhooks, "HTTP behaviour").
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from lxml import etree

from ringback.call.effects import Note
from ringback.twiml.errors import DocumentError
from ringback.twiml.limits import MAX_DEPTH, MAX_DOCUMENT_BYTES, MAX_ELEMENTS, MAX_REMEMBERED

SECRET_ATTRIBUTES = frozenset({"password"})
"""In lower case: one that is misspelt so means nothing, and is a secret all the same."""


class Element:
    """An element: its name, attributes, and content in order (text and elements); nobody changes it."""

    __slots__ = ("attributes", "children", "content", "name", "reading", "text")

    def __init__(self, name: str, attributes: dict[str, str], content: tuple[str | Element, ...]) -> None:
        self.name = name
        self.attributes = attributes
        self.content = content
        self.children: tuple[Element, ...] = tuple([part for part in content if isinstance(part, Element)])
        """The elements directly inside."""
        self.text = "".join([part for part in content if isinstance(part, str)]).strip()
        """The text directly inside, trimmed (nouns: "text of nouns is trimmed")."""
        self.reading: tuple[dict[str, Any], list[Note]] | None = None
        """The attributes as values once they were read (ringback.twiml.schema)."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Element) and self.plain() == other.plain()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Element({self.name!r}, {self.attributes!r}, {self.content!r})"

    def plain(self) -> list[Any]:
        """As plain data: [name, attributes, content]."""
        content = [part if isinstance(part, str) else part.plain() for part in self.content]
        return [self.name, self.attributes, content]


_known: OrderedDict[int, tuple[list[Any], Element]] = OrderedDict()


def remembered(value: list[Any]) -> Element:
    """``from_plain`` of a document that calls share and nobody changes: the same list gives the same element."""
    found = _known.get(id(value))  # the list is kept, so that no other one gets its number
    if found is not None:
        return found[1]
    element = from_plain(value)
    _known[id(value)] = (value, element)
    if len(_known) > MAX_REMEMBERED:
        _known.popitem(last=False)
    return element


def from_plain(value: list[Any]) -> Element:
    """The element that ``plain`` gave."""
    name, attributes, content = value
    parts = tuple(part if isinstance(part, str) else from_plain(part) for part in content)
    return Element(name, attributes, parts)


def parse(body: bytes | str, hide: Callable[[str], str] | None = None) -> Element:
    """Read a document. ``hide`` turns a secret attribute's value into a handle. Raises DocumentError."""
    data = body.encode() if isinstance(body, str) else body
    if len(data) > MAX_DOCUMENT_BYTES:
        raise DocumentError(11750, f"the document has {len(data)} bytes; the limit is {MAX_DOCUMENT_BYTES}")
    parser = etree.XMLParser(
        # Text is UTF-8 by now, whatever its declaration says.
        encoding="utf-8" if isinstance(body, str) else None,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(data.lstrip(), parser)
    except etree.XMLSyntaxError as problem:
        raise DocumentError(12100, f"the document is not well-formed XML: {problem.msg}") from None
    except ValueError as problem:
        raise DocumentError(12100, f"the document is not well-formed XML: {problem}") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise DocumentError(12100, "a TwiML document has no DOCTYPE")
    if root.tag != "Response":
        raise DocumentError(12102, f"the root of a TwiML document is Response, not {_name(root)[:100]}")
    return _element(root, hide, [0], 1)


def _name(node: Any) -> str:
    tag = str(node.tag)
    return tag.rsplit("}", 1)[-1]


def _element(node: Any, hide: Callable[[str], str] | None, count: list[int], depth: int) -> Element:
    count[0] += 1
    if depth > MAX_DEPTH or count[0] > MAX_ELEMENTS:
        raise DocumentError(
            12100, f"the document is nested over {MAX_DEPTH} deep or has over {MAX_ELEMENTS} elements"
        )
    attributes: dict[str, str] = {}
    for key, value in node.attrib.items():
        name = str(key).replace("{http://www.w3.org/XML/1998/namespace}", "xml:")
        attributes[name] = hide(str(value)) if hide and name.lower() in SECRET_ATTRIBUTES else str(value)
    content: list[str | Element] = [node.text] if node.text else []
    for child in node:
        if isinstance(child.tag, str):
            content.append(_element(child, hide, count, depth + 1))
        if child.tail:
            content.append(child.tail)
    return Element(_name(node), attributes, tuple(content))


def read_answer(
    content_type: str, body: bytes, url: str, hide: Callable[[str], str] | None = None
) -> Element:
    """The document that a webhook's answer stands for. Raises DocumentError.

    XML and HTML types are TwiML; ``audio/*`` is played; ``text/plain`` is TwiML if it parses, and else
    spoken; nothing at all hangs up.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind.startswith("audio/"):
        return Element("Response", {}, (Element("Play", {}, (url,)),))
    if not body.strip():
        return Element("Response", {}, ())
    if kind in ("text/xml", "application/xml", "text/html", ""):
        return parse(body, hide)
    if kind == "text/plain":
        try:
            return parse(body, hide)
        except DocumentError:
            text = body.decode("utf-8", "replace").strip()
            return Element("Response", {}, (Element("Say", {}, (text,)),))
    raise DocumentError(12300, f"an answer of type {kind!r:.100} is no TwiML, text or audio")
