"""Functions, bins and assets over HTTP."""

import contextlib
import json
from collections.abc import AsyncIterator

import pytest
import uvicorn
from functions_place import DECLARATION, TOKEN, Place
from starlette.applications import Starlette
from twilio.request_validator import RequestValidator

from ringback.functions import limits
from ringback.shell.local_http import LocalRequest
from ringback.shell.project_routes import create_project_routes
from ringback.shell.webhooks import WebhookClient, WebhookRequest

ECHO = "exports.handler = (context, event, callback) => callback(null, { From: event.From, a: event.a });"


@contextlib.asynccontextmanager
async def listening(place: Place) -> AsyncIterator[str]:
    app = Starlette(routes=create_project_routes(place.handler, at_root=True))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", ws="none", lifespan="off"))
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup()
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        await server.shutdown()


@pytest.mark.parametrize("over_tcp", [True, False])
async def test_a_protected_function_wants_twilios_signature(place: Place, over_tcp: bool) -> None:
    place.put("functions/safe.protected.js", ECHO)
    client = WebhookClient(base_domain="ringback.localhost", local=place.handler.handle)
    await client.start()
    async with listening(place) as base:
        url = (base if over_tcp else "http://ringback.localhost:8080") + "/functions/safe?a=%2Bx"
        good = WebhookRequest(url, "POST", [("From", "+1"), ("AccountSid", "AC1")], TOKEN, wants_twiml=False)
        answers = [
            await client.fetch(good),
            await client.fetch(WebhookRequest(url, "GET", [("From", "+1")], TOKEN, wants_twiml=False)),
            await client.fetch(WebhookRequest(url, "POST", [("From", "+1")], "wrong", wants_twiml=False)),
            await client.fetch(WebhookRequest(url, "POST", [("From", "+1")], wants_twiml=False)),
        ]
    await client.close()
    assert [answer.status for answer in answers] == [200, 200, 403, 403]
    assert json.loads(answers[0].body) == {"From": "+1", "a": "+x"}


async def test_a_json_request_is_signed_by_its_hash(place: Place) -> None:
    place.put("functions/safe.protected.js", ECHO)
    body = '{"From":"+1"}'
    url = f"http://ringback.localhost/functions/safe?bodySHA256={RequestValidator('').compute_hash(body)}"
    signature = RequestValidator(TOKEN).compute_signature(url, {})
    headers = [("Content-Type", "application/json"), ("X-Twilio-Signature", signature)]
    assert (await place.handler.handle(LocalRequest("POST", url, headers, body.encode()))).status == 200
    assert (await place.handler.handle(LocalRequest("POST", url, headers, b'{"From":"+2"}'))).status == 403


async def test_a_browser_may_write_a_plus(place: Place) -> None:
    place.put("functions/echo.js", ECHO)
    async with listening(place) as base:
        client = WebhookClient()
        await client.start()
        for url in (f"{base}/functions/echo?From=+15551231234", f"{base}/echo?From=+15551231234"):
            answer = await client.fetch(WebhookRequest(url, "GET", wants_twiml=False))
            assert json.loads(answer.body)["From"] == "+15551231234"
        voice = await client.fetch(
            WebhookRequest(f"{base}/voice?callerId=+16505551234&To=sip:+1555@h", "GET")
        )
        by_post = await client.fetch(
            WebhookRequest(f"{base}/voice?callerId=+16505551234", "POST", [("To", "+1555")])
        )
        await client.close()
    assert voice.body.decode() == by_post.body.decode()
    assert voice.body.decode() == (
        f'{DECLARATION}<Response><Dial callerId="+16505551234">+1555</Dial></Response>'
    )


async def test_bins_answer_get_and_post(place: Place) -> None:
    place.put("bins/hello.xml", "<Response><Say>{{Name}} {{#e164}}{{To}}{{/e164}}</Say></Response>")
    client = WebhookClient(base_domain="ringback.localhost", local=place.handler.handle)
    for path in ("bins/hello", "bins/hello.xml"):
        for method in ("GET", "POST"):
            answer = await client.fetch(
                WebhookRequest(f"http://ringback.localhost/{path}?Name=<A>", method, [("To", "sip:+1555@x")])
            )
            assert answer.body == b"<Response><Say>&lt;A&gt; +1555</Say></Response>"
            assert answer.content_type == "text/xml"
    row = await client.fetch(
        WebhookRequest(f"http://ringback.localhost/twiml/EH{'1' * 32}", "POST", [("Name", "B")])
    )
    assert row.body == b"<Response><Say>B</Say></Response>"
    place.put("bins/hello.xml", "<Response>{{#Name}}</Response>")
    answer = await client.fetch(WebhookRequest("http://ringback.localhost/bins/hello", "POST"))
    assert (answer.error_code, answer.error_text[:6]) == (11320, "line 1")


@pytest.mark.parametrize(
    "url",
    [
        "/functions/nobody",
        "/functions/../.env",
        "/functions/..%2F.env",
        "/bins/../functions/a",
        "/bins/nobody",
        "/twiml/EHnone",
        "/assets/../.env",
        "/assets/%2e%2e/.env",
        "/.env",
        "/",
    ],
)
async def test_only_what_the_project_offers_is_there(place: Place, url: str) -> None:
    place.put(".env", "SECRET=1")
    place.put("functions/a.js", ECHO)
    place.put("assets/x.txt", "x")
    assert (await place.get(url)).status == 404


async def test_requests_that_cannot_be_read_are_refused(place: Place) -> None:
    place.put("functions/a.js", ECHO)
    url = "http://ringback.localhost/functions/a"
    bad_json = LocalRequest("POST", url, [("content-type", "application/json")], b"{")
    assert (await place.handler.handle(bad_json)).status == 400
    large = LocalRequest("POST", url, (), b"x" * (limits.REQUEST_BODY + 1))
    assert (await place.handler.handle(large)).status == 413
    assert (await place.get("/functions/a", method="OPTIONS")).status == 204


async def test_headers_that_http_does_not_allow_are_left_out(place: Place) -> None:
    code = """
    const response = new Response();
    response.setStatusCode(Number(event.status));
    response.setHeaders({ 'x-good': 'é', 'x-bad': 'a\\r\\nSet-Cookie: b=1', 'x bad': '1', 'x-wide': '☎' });
    response.setHeaders({ ...response.headers, 'content-length': '3', 'content-type': 'text/plain' });
    response.setBody('body \\ud800');
    console.log('half \\ud800');
    callback(null, response);"""
    place.put("functions/odd.js", f"exports.handler = (context, event, callback) => {{{code}}};")
    client = WebhookClient()
    await client.start()
    async with listening(place) as base:
        for status, body in ((200, b"body ?"), (204, b"")):
            answer = await client.notify(WebhookRequest(f"{base}/odd?status={status}", "GET"))
            assert (answer.status, answer.body) == (status, body)
    await client.close()
    local = await place.get("/functions/odd?status=200")
    assert list(local.headers) == [("x-good", "é")]
    assert list(local.lines) == [("info", "half ?")]


async def test_a_browser_sees_what_went_wrong(place: Place) -> None:
    place.put("functions/a.js", "exports.handler = () => { console.log('<b>'); throw new Error('<i>'); };")
    page = await place.get("/functions/a", ("Accept", "text/html,*/*"))
    assert (page.status, page.content_type) == (500, "text/html; charset=utf-8")
    assert b"&lt;i&gt;" in page.body
    assert b"&lt;b&gt;" in page.body
    assert b"<i>" not in page.body
    assert (await place.get("/functions/a")).content_type.startswith("application/json")
