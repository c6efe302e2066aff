"""A request to the project, read once, and the answers that every part of it may give."""

from typing import Any, Final
from urllib.parse import unquote, urlsplit

from ringback.functions.event import gather, read_body, read_form, read_parameters, restore_plus
from ringback.shell.local_http import LocalAnswer, LocalRequest

XML: Final = "text/xml; charset=utf-8"
PLAIN: Final = "text/plain; charset=utf-8"


class ProjectRequest:
    """A request's parameters, as sent (`form`, for the signature) and as meant (`query`, `body`).

    Raises ValueError for a body that is not what its type says.
    """

    def __init__(self, request: LocalRequest) -> None:
        self.sent = request
        parts = urlsplit(request.url)
        self.path = unquote(parts.path)
        self.sent_query = read_parameters(parts.query)
        self.query = restore_plus(self.sent_query)
        self.form, self.body = (
            read_body(request.header("content-type"), request.body)
            if request.form is None
            else read_form(request.form)
        )

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Query and form as one list, for templates: a name in the body hides the query's."""
        mine = [(name, value) for name, value in self.query if name not in self.body]
        if self.form:
            return mine + restore_plus(self.form)
        return mine + [(name, value) for name, value in self.body.items() if isinstance(value, str)]

    @property
    def parameters(self) -> dict[str, Any]:
        """Query and body by name, for Functions' own words."""
        return {**gather(self.query), **self.body}


def plain(status: int, text: str) -> LocalAnswer:
    """An answer for people."""
    return LocalAnswer(status, PLAIN, (text + "\n").encode())


def wrong_method(request: LocalRequest) -> LocalAnswer | None:
    """The refusal of a method that documents do not take."""
    if request.method in {"GET", "POST", "HEAD"}:
        return None
    return plain(405, "only GET and POST")._replace(headers=(("allow", "GET, POST"),))
