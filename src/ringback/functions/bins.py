"""TwiML Bins: Mustache-like templates over the parameters of a request.

    {{From}}                      a parameter, escaped for XML; an unknown one is empty
    {{{Name}}} {{&Name}}          the same: a bin has no unescaped values, since callers choose them
    {{#Name}}..{{/Name}}          once if the parameter has a value, or for each value of a list, which is {{.}}
    {{^Name}}..{{/Name}}          if it has none
    {{#e164}}{{To}}{{/e164}}      what is inside, as an E.164 number; takes it out of a SIP URI
    {{! a remark }}

A list is a parameter that comes several times, also as `Name[]`. Errors have Twilio's codes: 11300 for a tag
without an end, 11310 for a tag that is not of these kinds, 11320 for sections that do not pair up.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import unquote
from xml.sax.saxutils import escape

import phonenumbers

from ringback.functions import limits
from ringback.functions.errors import TemplateError

BROKEN_TAG: Final = 11300
UNKNOWN_TOKEN: Final = 11310
UNBALANCED: Final = 11320
TOO_LARGE: Final = 11750

# Possessive, because blanks that could be taken back made a tag without an end quadratic in its length.
_TAG: Final = re.compile(r"\{\{(\{?+)\s*+([#^/&!]?+)(.*?)\}\}", re.DOTALL)
_NAME: Final = re.compile(r"\.|[A-Za-z_][A-Za-z0-9_.\-]*(?:\[\])?")
_SEPARATORS: Final = re.compile(r"[\s().\-/]")

Parameters = Mapping[str, Sequence[str]]


class Text(NamedTuple):
    """What stands in the template as it is."""

    text: str


class Value(NamedTuple):
    """A parameter's place."""

    name: str


class Section(NamedTuple):
    """A part that depends on a parameter, or that a function rewrites."""

    name: str
    inverted: bool
    parts: "list[Part]"


Part = Text | Value | Section


def collect(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Parameters by name, each with all of its values; `Name[]` and `Name` are one."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name.removesuffix("[]"), []).append(value)
    return values


def parse(template: str) -> list[Part]:
    """Reads a template. Raises TemplateError with the line of the fault."""
    if len(template) > limits.BIN_SIZE:
        raise TemplateError(TOO_LARGE, f"a bin of more than {limits.BIN_SIZE // 1024} kB", 1)
    open_sections: list[tuple[Section, int]] = []
    root: list[Part] = []
    parts = root
    at = counted = tags = 0
    line = 1
    while (start := template.find("{{", at)) >= 0:
        line += template.count("\n", counted, start)
        counted = start
        match = _TAG.match(template, start)
        if match is None:
            raise TemplateError(BROKEN_TAG, "a tag is not closed by }}", line)
        tags += 1
        if tags > limits.TEMPLATE_TAGS:
            raise TemplateError(TOO_LARGE, f"a bin of more than {limits.TEMPLATE_TAGS} tags", line)
        if start > at:
            parts.append(Text(template[at:start]))
        at = match.end()
        triple, sign, content = match.groups()
        if triple:
            if not template.startswith("}", at):
                raise TemplateError(BROKEN_TAG, "a tag is not closed by }}}", line)
            at += 1
        if sign == "!":
            continue
        name = content.strip()
        if not _NAME.fullmatch(name) or (triple and sign):
            raise TemplateError(UNKNOWN_TOKEN, f"unknown token {match[0][:60]}", line)
        name = name.removesuffix("[]")
        if sign in ("", "&"):
            parts.append(Value(name))
        elif sign in ("#", "^"):
            if len(open_sections) >= limits.TEMPLATE_DEPTH:
                raise TemplateError(
                    UNBALANCED, f"more than {limits.TEMPLATE_DEPTH} sections in each other", line
                )
            section = Section(name, sign == "^", [])
            parts.append(section)
            open_sections.append((section, line))
            parts = section.parts
        else:
            if not open_sections or open_sections[-1][0].name != name:
                raise TemplateError(UNBALANCED, f"{{{{/{name}}}}} closes no open section", line)
            open_sections.pop()
            parts = open_sections[-1][0].parts if open_sections else root
    if open_sections:
        section, opened_at = open_sections[-1]
        raise TemplateError(UNBALANCED, f"{{{{#{section.name}}}}} is not closed", opened_at)
    if at < len(template):
        parts.append(Text(template[at:]))
    return root


def render(parts: Sequence[Part], parameters: Parameters) -> str:
    """The document for these parameters. Raises TemplateError when it grows beyond what TwiML may be."""
    out = _Output(parameters)
    out.write(parts, None)
    return "".join(out.pieces)


class _Output:
    """The document while it grows."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self.pieces: list[str] = []
        self.steps = 0
        self._size = 0

    def add(self, text: str) -> None:
        self._size += len(text)
        if self._size > limits.BIN_SIZE:
            raise TemplateError(TOO_LARGE, f"the bin renders to more than {limits.BIN_SIZE // 1024} kB", 1)
        self.pieces.append(text)

    def write(self, parts: Sequence[Part], item: str | None) -> None:
        for part in parts:
            self.steps += 1
            if self.steps > limits.TEMPLATE_STEPS:
                raise TemplateError(TOO_LARGE, f"the bin takes more than {limits.TEMPLATE_STEPS} steps", 1)
            match part:
                case Text(text):
                    self.add(text)
                case Value(name):
                    self.add(escape_xml(self._value(name, item)))
                case Section(name, inverted, inner):
                    self._section(name, inverted, inner, item)

    def _section(self, name: str, inverted: bool, inner: Sequence[Part], item: str | None) -> None:
        function = FUNCTIONS.get(name)
        if function is not None and not inverted:
            inside = _Output(self.parameters)
            inside.steps = self.steps
            inside.write(inner, item)
            self.steps = inside.steps
            self.add(escape_xml(function(_unescape("".join(inside.pieces)))))
            return
        values = [value for value in self.parameters.get(name, ()) if value]
        if inverted:
            if not values:
                self.write(inner, item)
            return
        for value in values:
            self.write(inner, value)

    def _value(self, name: str, item: str | None) -> str:
        if name == ".":
            return item or ""
        values = self.parameters.get(name, ())
        return values[-1] if values else ""


def e164(text: str) -> str:
    """A number in E.164 form, from a number or from the user of a SIP URI; other text only loses the URI, and what
    is too long for an address is not decoded.

    Numbers without `+` are read as the United States would, then as international.
    """
    user = text.strip()
    scheme, colon, rest = user.partition(":")
    if colon and scheme.lower() in {"sip", "sips", "tel"}:
        user = rest
    user = user.partition("@")[0].partition(";")[0]
    if len(user) > limits.ADDRESS:
        return user
    user = unquote(user)
    digits = _SEPARATORS.sub("", user)
    number = digits.removeprefix("+")
    if not number.isascii() or not number.isdigit():
        return user
    if digits.startswith("+"):
        return digits
    try:
        parsed = phonenumbers.parse(number, "US")
    except phonenumbers.NumberParseException:
        return f"+{number}"
    if phonenumbers.is_possible_number(parsed):
        return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return f"+{number}"


FUNCTIONS: Final[dict[str, Callable[[str], str]]] = {"e164": e164}


def escape_xml(text: str) -> str:
    """Text for an element or for an attribute in either kind of quotes."""
    return escape(text, {'"': "&quot;", "'": "&apos;"})


def _unescape(text: str) -> str:
    for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&apos;", "'"), ("&amp;", "&")):
        text = text.replace(entity, character)
    return text
