"""The page for people who open the server's address in a browser: what this is, and what to do next. Nothing secret."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Ringback</title>
<h1>Ringback</h1>
<p>This is a telephone exchange that speaks Twilio. Phones reach it by SIP, programs by HTTP at this address.</p>
<h2>What to do next</h2>
<ul>
<li><b>Call with a phone.</b> Run <code>ringback card</code> in the project's folder: it shows how to sign a phone in.
Then dial <code>+15005550001</code> and hear yourself.</li>
<li><b>Call with a program.</b> Twilio's library works with this address as its <code>api.base_url</code>; the account's
SID and token are on the same card. The calls are at <code>/2010-04-01/Accounts/AC.../Calls.json</code>.</li>
<li><b>See what happened in a call.</b> Run <code>ringback trace CA...</code> with its SID.</li>
</ul>
</html>
"""

_HEADERS = {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Vary": "Accept"}


async def welcome(request: Request) -> Response:
    """The page; for whoever does not want HTML there is nothing here, as at every path that nothing serves."""
    if "text/html" not in request.headers.get("accept", ""):
        raise HTTPException(404)
    return HTMLResponse(PAGE, headers=_HEADERS)


WELCOME = Route("/", welcome, methods=["GET"])
