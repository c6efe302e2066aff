"""What a Function gets as `event`, and the parameters that a bin or /voice gets.

The contract is that of Twilio's runtime: query parameters, then body parameters over them, and `request`
with headers and cookies.
"""

import json
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl

from ringback.functions import limits

TYPE_JSON: Final = "application/json"
TYPE_FORM: Final = "application/x-www-form-urlencoded"

NUMBER_PARAMETERS: Final = frozenset(
    {
        "from", "to", "caller", "called", "callerid", "caller_id", "forwardedfrom", "number", "phonenumber",
        "phone_number", "phone", "dial",
    }
)  # fmt: skip
"""Parameters that hold phone numbers, in lower case."""

_LOST_PLUS: Final = re.compile(r"(sips?:)? (?=[0-9])", re.IGNORECASE)

_HIDDEN_PREFIXES: Final = ("i-twilio-", "i-t-", "ot-", "x-amz", "x-forwarded-", "x-accel-")
_HIDDEN: Final = frozenset(
    {
        "via", "referer", "transfer-encoding", "proxy-authorization", "proxy-authenticate", "x-real-ip",
        "connection", "proxy-connection", "expect", "trailer", "upgrade",
    }
)  # fmt: skip

Pairs = Sequence[tuple[str, str]]


def restore_plus(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Gives phone numbers their `+` back.

    Somebody who types `?From=+15551231234` into a browser sends a space, as a form reads `+`; no number starts
    with a space, so the `+` can be told. Signatures are made over what was sent, so check them before this.
    """
    restored = []
    for name, value in pairs:
        if " " in value and name.lower() in NUMBER_PARAMETERS and (match := _LOST_PLUS.match(value)):
            value = f"{match[1] or ''}+{value[match.end() :]}"
        restored.append((name, value))
    return restored


def read_parameters(text: str) -> list[tuple[str, str]]:
    """Pairs of a query string or a form. Raises ValueError when there are too many."""
    return parse_qsl(text, keep_blank_values=True, max_num_fields=limits.PARAMETERS)


def gather(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Names to values; a name that comes several times gets a list."""
    given = list(pairs)
    values: dict[str, Any] = dict(given)
    if len(values) == len(given):
        return values
    values.clear()
    for name, value in given:
        if name not in values:
            values[name] = value
        elif isinstance(values[name], list):
            values[name].append(value)
        else:
            values[name] = [values[name], value]
    return values


def read_form(pairs: Pairs) -> tuple[Pairs, dict[str, Any]]:
    """A form's pairs, and the form as parameters. Raises ValueError when there are too many."""
    if len(pairs) > limits.PARAMETERS:
        raise ValueError("Max number of fields exceeded")
    return pairs, gather(restore_plus(pairs))


def read_body(content_type: str, body: bytes) -> tuple[Pairs, dict[str, Any]]:
    """The body's form pairs, and the body as parameters (form, or an object in JSON).

    Raises ValueError for a body that is not what its content type says.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == TYPE_FORM:
        return read_form(read_parameters(body.decode("utf-8", "replace")))
    if kind == TYPE_JSON and body:
        if sum(body.count(sign) for sign in b",[{") > limits.JSON_VALUES:
            raise ValueError(f"JSON with more than {limits.JSON_VALUES} values")
        try:
            value = json.loads(body)
        except RecursionError as error:
            raise ValueError("JSON that is nested too deeply") from error
        return (), value if isinstance(value, dict) else {"body": value}
    return (), {}


def visible_headers(headers: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Headers as a Function sees them: lower-case names, lists for repeated ones, without the proxy's own."""
    return gather([(seen, value) for name, value in headers if (seen := _seen(name))])


@lru_cache(maxsize=200)
def _seen(name: str) -> str:
    """The name of a header as a Function sees it, "" if it does not."""
    name = name.lower()
    return "" if name in _HIDDEN or name.startswith(_HIDDEN_PREFIXES) else name


def read_cookies(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Cookies by name, RFC 6265 section 4.2; the first of two with one name wins."""
    cookies: dict[str, str] = {}
    for name, value in headers:
        if len(name) != 6 or name.lower() != "cookie":
            continue
        for part in value.split(";"):
            key, equals, text = part.strip().partition("=")
            if equals and key:
                cookies.setdefault(key, text.strip('"'))
    return cookies


def build_event(query: Pairs, body: dict[str, Any], headers: Pairs) -> dict[str, Any]:
    """`event` of a Function: `request`, then the query, then the body over it."""
    return {
        "request": {"headers": visible_headers(headers), "cookies": read_cookies(headers)},
        **gather(restore_plus(query)),
        **body,
    }
