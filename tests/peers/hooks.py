"""A web server of the test's own: gives TwiML, and keeps what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from peers.peer import WITHIN, Event, Inbox

Answer = str | Callable[[dict[str, str]], str]


class Hooks:
    """The server. ``give`` makes a URL; ``expect`` waits for its requests."""

    def __init__(self) -> None:
        self.inbox = Inbox("webhooks")
        self._answers: dict[str, Answer] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def give(self, name: str, answer: Answer) -> str:
        """The URL that answers with this TwiML (the inside of <Response>), or with what a function makes of the form."""
        self._answers[f"/{name}"] = answer
        return f"{self.url}/{name}"

    def expect(self, name: str, within: float = WITHIN, **wanted: Any) -> Event:
        """The next request for a name; its parameters are in the event."""
        return self.inbox.expect(f"/{name}", within, **wanted)

    def asked(self, name: str) -> bool:
        """Whether a request for a name is there already."""
        return self.inbox.take(f"/{name}", 0.0) is not None

    def answer(self, path: str, form: dict[str, str]) -> str | None:
        """TwiML for a request; None for an unknown path."""
        self.inbox.put({**form, "event": path})
        given = self._answers.get(path)
        if given is None:
            return None
        return f"<Response>{given if isinstance(given, str) else given(form)}</Response>"


def _handler(hooks: Hooks) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            twiml = hooks.answer(urlsplit(self.path).path, dict(parse_qsl(body, keep_blank_values=True)))
            content = (twiml or "").encode()
            self.send_response(404 if twiml is None else 200)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing on the terminal."""

    return Handler
