"""Parameters of an operation as data, and how a form is read by them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from .errors import INVALID_PARAMETER, RestError, invalid
from .forms import Form, boolean, integer
from .limits import MAX_TEXT
from .sid import is_sid
from .urls import is_webhook_url


class Kind(Enum):
    """How a parameter's text is read."""

    TEXT = auto()
    URL = auto()  # "" clears it
    CALLBACK = auto()  # a URL whose host name has no underscore
    METHOD = auto()  # GET or POST, any letter case
    BOOLEAN = auto()
    INTEGER = auto()
    SID = auto()  # "" clears it
    CHOICE = auto()  # one of `choices`


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its Twilio name, the field it sets, its type and limits, and the error it causes.

    A `required` one must be there, a `filled` one must not be empty when it is there.
    `limit` is in characters for texts; `minimum` and `maximum` bound integers. `code` answers a value that is
    wrong, `missing_code` (default `code`) one that is required and absent. A repeated parameter gives a
    tuple.
    """

    name: str
    field: str
    kind: Kind = Kind.TEXT
    required: bool = False
    filled: bool = False
    default: object = None
    code: int = INVALID_PARAMETER
    missing_code: int | None = None
    limit: int = MAX_TEXT
    minimum: int | None = None
    maximum: int | None = None
    choices: tuple[str, ...] = ()
    prefix: str = ""
    repeated: bool = False

    def read(self, text: str) -> object:
        """The value of a text. Raises RestError(400, code)."""
        match self.kind:
            case Kind.TEXT:
                return self._text(text)
            case Kind.URL | Kind.CALLBACK:
                if text and not is_webhook_url(text, strict=self.kind is Kind.CALLBACK):
                    raise self.wrong("is not a valid URL")
                return text or None
            case Kind.METHOD:
                if text.upper() not in ("GET", "POST"):
                    raise self.wrong("must be GET or POST")
                return text.upper()
            case Kind.BOOLEAN:
                try:
                    return boolean(text)
                except ValueError as error:
                    raise self.wrong("must be true or false") from error
            case Kind.INTEGER:
                return self._integer(text)
            case Kind.SID:
                if text and not is_sid(text, self.prefix):
                    raise self.wrong(f"must be a SID that begins with {self.prefix}")
                return text or None
            case Kind.CHOICE:
                if text not in self.choices:
                    raise self.wrong(f"must be one of {', '.join(self.choices)}")
                return text

    def missing(self) -> RestError:
        """The error for a required parameter that is absent or empty."""
        return invalid(f"{self.name} is required", self.missing_code or self.code)

    def wrong(self, why: str) -> RestError:
        """The error for a value that breaks a rule; the value itself is not repeated, it may be a secret."""
        return invalid(f"{self.name} {why}", self.code)

    def _text(self, text: str) -> str:
        if len(text) > self.limit:
            raise self.wrong(f"must be at most {self.limit} characters long")
        if "\0" in text:  # neither SQL text nor XML holds it
            raise self.wrong("must not hold a NUL character")
        return text

    def _integer(self, text: str) -> int:
        try:
            value = integer(text)
        except ValueError as error:
            raise self.wrong("must be an integer") from error
        if (self.minimum is not None and value < self.minimum) or (
            self.maximum is not None and value > self.maximum
        ):
            raise self.wrong(f"must be between {self.minimum} and {self.maximum}")
        return value


def read_new(parameters: Iterable[Parameter], form: Form) -> dict[str, object]:
    """The fields of a new resource: every parameter's value or its default.

    Parameters are read in order, so that the first wrong one decides the error. Raises RestError.
    """
    return {parameter.field: _given(parameter, form, creating=True) for parameter in parameters}


def read_changes(parameters: Iterable[Parameter], form: Form) -> dict[str, object]:
    """The fields that a form changes: what it has, and it must have what is required. Raises RestError."""
    return {
        parameter.field: _given(parameter, form, creating=False)
        for parameter in parameters
        if parameter.name in form or parameter.required
    }


def _given(parameter: Parameter, form: Form, *, creating: bool) -> object:
    texts = form.all(parameter.name)
    if (parameter.required and not texts) or (
        (parameter.required or parameter.filled) and texts and not texts[-1]
    ):
        raise parameter.missing()
    if not texts:
        return parameter.default
    if parameter.repeated:
        return tuple(parameter.read(text) for text in texts)
    text = texts[-1]
    if not text and parameter.kind in _DEFAULTED:
        if creating:
            return parameter.default
        raise parameter.wrong("must not be empty")
    return parameter.read(text)


_DEFAULTED: Final = (
    Kind.METHOD,
    Kind.BOOLEAN,
    Kind.INTEGER,
    Kind.CHOICE,
)  # an empty text is no value of these
