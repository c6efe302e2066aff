"""What describes a resource: its fields, parameters, filters, place in the tree of URIs and its table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Final, NamedTuple

from .dates import rfc2822
from .errors import INVALID_PARAMETER, UsageError
from .parameters import Parameter

API_VERSION: Final = "2010-04-01"

Row = Mapping[str, object]


class Type(Enum):
    """How a field is rendered."""

    TEXT = auto()  # a string also where it counts something: Duration "42"
    DATE = auto()  # RFC 2822
    BOOLEAN = auto()
    INTEGER = auto()
    MAP = auto()


class Field(NamedTuple):
    """A field of a resource and what it shows when the row has none."""

    name: str
    type: Type = Type.TEXT
    default: object = None


class Filter(NamedTuple):
    """A parameter that narrows a list. `moments` allows ``Name<`` and ``Name>`` besides the day ``Name=``."""

    name: str
    column: str
    type: Type = Type.TEXT
    moments: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of resource.

    `path` is a template over the row's own fields, without version and suffix; `parent` is the column that
    holds the SID of what owns the row, other than its account; `subresources` pairs the keys of
    ``subresource_uris`` with the tails of their paths.
    """

    element: str
    list_key: str
    table: str
    prefix: str
    path: str
    fields: tuple[Field, ...]
    create: tuple[Parameter, ...] = ()
    update: tuple[Parameter, ...] = ()
    filters: tuple[Filter, ...] = ()
    parent: str | None = None
    subresources: tuple[tuple[str, str], ...] = ()
    maximum: int | None = None  # rows an account (or a parent) may own
    maximum_code: int = INVALID_PARAMETER

    @property
    def plural(self) -> str:
        """The XML element around a list."""
        return f"{self.element}s"

    @property
    def list_path(self) -> str:
        """The template of the list's path."""
        return self.path.rpartition("/")[0]

    def uri(self, row: Row) -> str:
        """The path with the version, without a suffix. Raises UsageError when the row lacks a part."""
        try:
            return f"/{API_VERSION}" + self.path.format_map(row)
        except KeyError as error:
            raise UsageError(f"a row of {self.table} without {error.args[0]}") from error

    def render(self, row: Row, suffix: str) -> dict[str, object]:
        """The fields as plain values, in Twilio's order; `suffix` (".json" or "") ends the URIs."""
        shown: dict[str, object] = {}
        for name, kind, default in self.fields:
            if name == "uri":
                shown[name] = self.uri(row) + suffix
            elif name == "subresource_uris":
                base = self.uri(row)
                shown[name] = {key: f"{base}/{tail}{suffix}" for key, tail in self.subresources}
            else:
                value = row.get(name)
                shown[name] = _shown(default if value is None else value, kind)
        return shown


def _shown(value: object, kind: Type) -> object:
    if value is None:
        return None
    match kind:
        case Type.DATE:
            return rfc2822(value) if isinstance(value, datetime) else str(value)
        case Type.BOOLEAN:
            return bool(value)
        case Type.INTEGER:
            return value if isinstance(value, int) else int(str(value))
        case Type.MAP:
            return dict(value) if isinstance(value, Mapping) else value
        case Type.TEXT:
            return str(value)


def dated(*own: Field | str) -> tuple[Field, ...]:
    """The fields that nearly every resource has, sid, account_sid and the dates, around its own."""
    return (
        Field("sid"),
        Field("account_sid"),
        *(Field(item) if isinstance(item, str) else item for item in own),
        Field("date_created", Type.DATE),
        Field("date_updated", Type.DATE),
    )
