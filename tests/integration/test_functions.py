"""Functions in real Node processes: the contract of Twilio's runtime, and what happens when code misbehaves."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import uvicorn
from aiohttp import web
from starlette.applications import Starlette
from twilio.request_validator import RequestValidator

from ringback.functions import Credentials, FunctionAnswer, FunctionPool, Project, limits, node_program, pool
from ringback.functions.errors import NodeMissing
from ringback.functions.starter import write_starter
from ringback.shell.local_http import LocalAnswer, LocalRequest
from ringback.shell.project_http import ProjectHandler, create_project_routes
from ringback.shell.webhooks import WebhookClient, WebhookRequest

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
TOKEN = "0123456789abcdef0123456789abcdef"
SEEDS = Path(__file__).resolve().parents[3] / "shared" / "seeds"


class Place:
    """A project with its workers and its HTTP face."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.project = Project(directory)
        self.pool = FunctionPool(
            self.project,
            domain="ringback.localhost",
            base_url="http://127.0.0.1:9",
            credentials=lambda: Credentials("AC" + "0" * 32, TOKEN),
        )
        self.handler = ProjectHandler(
            self.project,
            self.pool,
            tokens=lambda account: [TOKEN],
            stored_bin={"EH" + "1" * 32: "<Response><Say>{{Name}}</Say></Response>"}.get,
        )

    def put(self, name: str, code: str) -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
        self.project.read()

    async def call(self, name: str, **event: Any) -> FunctionAnswer:
        return await self.pool.call(name, self.project.functions[name].path, event)

    async def run(self, body: str, **event: Any) -> FunctionAnswer:
        """Runs one handler with this body."""
        self.put(
            "functions/it.js", f"exports.handler = async function (context, event, callback) {{ {body} }};"
        )
        return await self.call("it", **event)

    async def get(self, url: str, *headers: tuple[str, str], method: str = "GET") -> LocalAnswer:
        return await self.handler.handle(LocalRequest(method, f"http://ringback.localhost{url}", headers))


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    place = Place(tmp_path)
    yield place
    await place.pool.stop()


def texts(answer: FunctionAnswer) -> list[str]:
    return [line.text for line in answer.lines]


# ---- the contract -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "kind", "body"),
    [
        ("'hello'", "text/plain; charset=utf-8", b"hello"),
        ("undefined", None, b""),
        ("{a: [1, null]}", "application/json; charset=utf-8", b'{"a":[1,null]}'),
        ("42", "application/json; charset=utf-8", b"42"),
        ("false", "application/json; charset=utf-8", b"false"),
        ("Buffer.from([0, 255])", "application/octet-stream", b"\x00\xff"),
        (
            "new Twilio.twiml.VoiceResponse()",
            "text/xml; charset=utf-8",
            f"{DECLARATION}<Response/>".encode(),
        ),
        (
            "(() => { const m = new Twilio.twiml.MessagingResponse(); m.message('Zoë <&'); return m; })()",
            "text/xml; charset=utf-8",
            f"{DECLARATION}<Response><Message>Zoë &lt;&amp;</Message></Response>".encode(),
        ),
    ],
)
async def test_the_payload_decides_the_type(
    place: Place, payload: str, kind: str | None, body: bytes
) -> None:
    answer = await place.run(f"callback(null, {payload});")
    assert (answer.status, dict(answer.headers).get("content-type"), answer.body) == (200, kind, body)
    assert 0 < answer.worker_us < answer.elapsed * 1e6


async def test_a_response_object_sets_status_headers_and_cookies(place: Place) -> None:
    answer = await place.run(
        """
        const response = new Twilio.Response();
        response.setStatusCode(201);
        response.setHeaders({ 'X-One': '1' });
        response.appendHeader('x-one', '2');
        response.appendHeader('Content-Type', 'application/json');
        response.setCookie('a', 'b', ['HttpOnly', 'Path=/']);
        response.removeCookie('c');
        response.setBody({ ok: true });
        callback(null, response);
        """
    )
    assert (answer.status, answer.body) == (201, b'{"ok":true}')
    assert list(answer.headers) == [
        ("x-one", "1"),
        ("x-one", "2"),
        ("content-type", "application/json"),
        ("set-cookie", "a=b;HttpOnly;Path=/"),
        ("set-cookie", "c=;Max-Age=0"),
    ]


async def test_the_first_answer_counts_as_it_was_at_that_moment(place: Place) -> None:
    place.put(
        "functions/twice.js",
        """
        exports.handler = function (context, event, callback) {
          const twiml = new Twilio.twiml.VoiceResponse();
          twiml.say('first');
          callback(null, twiml);
          twiml.say('second');
          callback(null, twiml);
          console.log('still here');
          null.length;
        };
        """,
    )
    answer = await place.call("twice")
    assert answer.body.decode() == f"{DECLARATION}<Response><Say>first</Say></Response>"
    assert (answer.status, answer.error) == (200, "")
    assert any("callback called again" in text for text in texts(answer))
    assert "still here" in texts(answer)
    assert any("thrown after the answer: TypeError" in text for text in texts(answer))


@pytest.mark.parametrize("keyword", ["", "async "])
async def test_a_throw_before_any_answer_is_a_500(place: Place, keyword: str) -> None:
    place.put(
        "functions/throws.js",
        f"exports.handler = {keyword}function (context, event, callback) {{\n  null.startsWith('x');\n}};",
    )
    answer = await place.call("throws")
    error = json.loads(answer.body)
    assert (answer.status, error["name"]) == (500, "TypeError")
    assert "functions/throws.js:2" in error["stack"]
    assert str(place.directory) not in error["stack"]
    assert answer.error.startswith("TypeError: ")


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ("callback(new RangeError('too far'));", 500, "RangeError: too far"),
        ("callback('plain words');", 500, "plain words"),
        ("callback({ code: 7 });", 500, "{ code: 7 }"),
        ("const a = {}; a.a = a; callback(null, a);", 500, "TypeError"),
        ("callback(null, { toJSON() { throw new Error('no'); } });", 500, "Error: no"),
        (
            "const r = new Response(); r.setStatusCode('x'); callback(null, r);",
            500,
            "RangeError: Invalid status",
        ),
        ("throw undefined;", 500, "undefined"),
    ],
)
async def test_errors_are_answered_and_named(place: Place, body: str, status: int, text: str) -> None:
    answer = await place.run(body)
    assert answer.status == status
    assert text in answer.error


async def test_an_async_handler_may_answer_later(place: Place) -> None:
    answer = await place.run("await new Promise(setImmediate); callback(null, event.To);", To="+1")
    assert answer.body == b"+1"


async def test_a_throw_in_a_timer_belongs_to_its_call(place: Place) -> None:
    answer = await place.run("setTimeout(() => { throw new Error('later'); }, 1);")
    assert (answer.status, answer.error) == (500, "Error: later")
    assert (await place.run("callback(null, 'alive');")).body == b"alive"


async def test_what_a_function_knows_of_its_surroundings(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "hunter2")
    place.put(".env", "GREETING=hello\n")
    answer = await place.run(
        """callback(null, { greeting: context.GREETING, env: process.env.GREETING, path: context.PATH,
             domain: context.DOMAIN_NAME, sid: context.ACCOUNT_SID, token: context.AUTH_TOKEN,
             secret: process.env.DATABASE_PASSWORD ?? null,
             globals: [typeof Twilio.jwt.AccessToken, typeof Functions, typeof Response, typeof twilioClient] });"""
    )
    assert json.loads(answer.body) == {
        "greeting": "hello",
        "env": "hello",
        "path": "/it",
        "domain": "ringback.localhost",
        "sid": "AC" + "0" * 32,
        "token": TOKEN,
        "secret": None,
        "globals": ["function", "object", "function", "object"],
    }


async def test_private_files_are_for_other_functions(place: Place) -> None:
    place.put("functions/help/er.private.js", "exports.double = (x) => 2 * x;")
    place.put("assets/menu.private.json", '{"soup": 1}')
    place.put("assets/open.txt", "open")
    answer = await place.run(
        """const { double } = require(Runtime.getFunctions()['help/er'].path);
           const assets = Runtime.getAssets();
           callback(null, [double(21), JSON.parse(assets['/menu.json'].open()).soup, Object.keys(assets),
                           require('twilio').twiml.VoiceResponse === Twilio.twiml.VoiceResponse]);"""
    )
    assert json.loads(answer.body) == [42, 1, ["/menu.json"], True]
    assert (await place.get("/functions/help/er")).status == 404
    assert (await place.get("/assets/menu.json")).status == 404
    assert (await place.get("/assets/open.txt")).body == b"open"


async def test_the_rest_client_speaks_to_this_server(place: Place) -> None:
    asked: list[tuple[str, str, str]] = []

    async def calls(request: web.Request) -> web.Response:
        asked.append((request.path, request.headers["Authorization"], (await request.post())["To"]))
        return web.json_response({"sid": "CA1", "status": "queued"}, status=201)

    app = web.Application()
    app.router.add_post("/2010-04-01/Accounts/{sid}/Calls.json", calls)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    place.pool.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    answer = await place.run(
        """const call = await context.getTwilioClient().calls.create(
             { to: '+15551231234', from: '+15550000000', twiml: '<Response/>' });
           callback(null, call.sid);"""
    )
    await runner.cleanup()
    assert answer.body == b"CA1"
    assert asked[0][0] == f"/2010-04-01/Accounts/AC{'0' * 32}/Calls.json"
    assert asked[0][1].startswith("Basic ")
    assert asked[0][2] == "+15551231234"


async def test_lines_belong_to_the_call_that_printed_them_and_are_bounded(place: Place) -> None:
    place.put(
        "functions/talks.js",
        """exports.handler = async (context, event, callback) => {
             console.log('start %s', event.n, { deep: 1 });
             await new Promise((r) => setTimeout(r, 5));
             console.error(`end ${event.n}`);
             process.stdout.write('raw\\n');
             callback(null, '');
           };""",
    )
    answers = await asyncio.gather(*(place.call("talks", n=n) for n in range(20)))
    for n, answer in enumerate(answers):
        assert texts(answer) == [f"start {n} {{ deep: 1 }}", f"end {n}", "raw"]
        assert [line.level for line in answer.lines] == ["info", "error", "info"]
    answer = await place.run(
        f"for (let i = 0; i < {limits.LOG_LINES + 50}; i++) console.log('x'.repeat(5000)); callback();"
    )
    assert (len(answer.lines), answer.lines_dropped) == (limits.LOG_LINES, 50)
    assert max(map(len, texts(answer))) == limits.LOG_LINE_LENGTH + 1


async def test_a_changed_file_counts_from_the_next_call_on(place: Place) -> None:
    place.put("functions/it.js", "exports.handler = (c, e, cb) => cb(null, require('./part') + (c.X ?? ''));")
    place.put("functions/part.js", "module.exports = 'one';")
    assert (await place.call("it")).body == b"one"
    place.put("functions/part.js", "module.exports = 'three';")
    assert (await place.call("it")).body == b"three"
    place.put(".env", "X=!")
    assert (await place.call("it")).body == b"three!"
    place.put("functions/it.js", "exports.handler = (c, e, cb) => {")
    answer = await place.call("it")
    assert (answer.status, answer.error.split(":")[0]) == (500, "SyntaxError")
    place.put("functions/it.js", "module.exports = {};")
    assert 'no function named "handler"' in (await place.call("it")).error


# ---- misbehaviour -----------------------------------------------------------------------------------------


async def test_a_function_that_never_answers_is_ended_and_its_worker_goes_on(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "EXECUTION_LIMIT", 0.3)
    await place.pool.start()
    before = place.pool.pids
    answer = await place.run("console.log('waiting');")
    assert (answer.status, texts(answer)[0]) == (504, "waiting")
    assert "did not answer within 0.3 s" in answer.error
    assert place.pool.pids == before
    monkeypatch.undo()
    assert (await place.run("callback(null, 'fine');")).body == b"fine"


async def test_a_function_that_blocks_is_killed_while_others_run(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "EXECUTION_LIMIT", 2.0)
    place.put("functions/loops.js", "exports.handler = () => { for (;;); };")
    place.put("functions/fine.js", "exports.handler = (c, e, cb) => cb(null, 'fine');")
    await place.pool.start()
    before = set(place.pool.pids)
    looping = asyncio.create_task(place.call("loops"))
    await asyncio.sleep(0)
    others = await asyncio.gather(*(place.call("fine") for _ in range(50)))
    assert not looping.done()
    assert {answer.body for answer in others} == {b"fine"}
    answer = await looping
    assert answer.status == 504
    assert before == set(place.pool.pids)  # answered at the limit, not once the worker is known to be blocked
    async with asyncio.timeout(20):
        while len(before & set(place.pool.pids)) != 1 or len(place.pool.pids) != 2:
            await place.call("fine")


@pytest.mark.parametrize(
    "greed",
    [
        "const all = []; for (;;) all.push(new Array(1000).fill('x'));",
        "const all = []; for (;;) { all.push(Buffer.alloc(1 << 22, 1)); await new Promise((r) => setTimeout(r, 5)); }",
    ],
    ids=["heap", "buffers"],
)
async def test_a_function_that_takes_too_much_memory_is_killed(
    place: Place, monkeypatch: pytest.MonkeyPatch, greed: str
) -> None:
    monkeypatch.setattr(limits, "MEMORY_LIMIT", 140 * 2**20)
    monkeypatch.setattr(limits, "MEMORY_CHECK_EVERY", 0.05)
    answer = await place.run(greed)
    assert (answer.status, answer.error) == (500, "the Function used more than 140 MB of memory")
    assert (await place.run("callback(null, 'fine');")).body == b"fine"


async def test_a_function_that_ends_its_process_only_fails_itself(place: Place) -> None:
    answer = await place.run("process.exit(3);")
    assert (answer.status, answer.error) == (500, "the Function ended its process (status 3)")
    for _ in range(3):
        assert (await place.run("process.exit(3);")).status == 500
    assert (await place.run("callback(null, 'fine');")).body == b"fine"


async def test_more_calls_than_may_wait_are_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WAITING", 3)
    place.put("functions/fine.js", "exports.handler = (c, e, cb) => cb(null, 'fine');")
    await place.pool.start()
    answers = await asyncio.gather(*(place.call("fine") for _ in range(10)))
    assert sorted(answer.status for answer in answers) == [200] * 5 + [503] * 5


async def test_stopping_answers_everybody(place: Place) -> None:
    place.put("functions/waits.js", "exports.handler = () => {};")
    await place.pool.start()
    calls = [asyncio.create_task(place.call("waits")) for _ in range(100)]
    await asyncio.sleep(0)
    await place.pool.stop()
    assert {(await call).status for call in calls} <= {500, 503}
    assert place.pool.pids == []


async def test_without_node_the_answer_says_what_to_install(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> str:
        raise NodeMissing(node_program.HINT)

    monkeypatch.setattr(pool, "find_node", missing)
    answer = await place.run("callback();")
    assert answer.status == 500
    assert b"pip install 'ringback[functions]'" in answer.body


# ---- over HTTP --------------------------------------------------------------------------------------------

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


# ---- the starter, and other people's Functions ------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "inner"),
    [
        (
            "To=+15551231234&From=sip:alice@home.example",
            '<Dial callerId="+15550100001" referUrl="transfer">+15551231234</Dial>',
        ),
        (
            "To=sip:15551231234@home.example&From=sip:bob@home.example",
            '<Dial callerId="+15550100002" referUrl="transfer">15551231234</Dial>',
        ),
        (
            "To=sip:%2B1555@h;transport=tls&From=sip:alice@h&callerId=+1999",
            '<Dial callerId="+1999" referUrl="transfer">+1555</Dial>',
        ),
        (
            "To=sip:bob@h&From=sip:alice@h",
            '<Dial callerId="+15550100001" referUrl="transfer"><Sip>sip:bob@home.example</Sip></Dial>',
        ),
        ("To=+1555&From=sip:stranger@h", '<Dial callerId="+15550100001" referUrl="transfer">+1555</Dial>'),
    ],
)
async def test_the_starters_function_dials(place: Place, query: str, inner: str) -> None:
    write_starter(place.directory, "home.example", {"alice": "+15550100001", "bob": "+15550100002"})
    place.project.read()
    answer = await place.get(f"/functions/outbound?{query}")
    assert answer.body.decode() == f"{DECLARATION}<Response>{inner}</Response>"


@pytest.mark.parametrize(
    ("target", "caller", "inner"),
    [
        ("<sip:bob@h?X-A=b>", "sip:alice@h", ' callerId="+15550100001"><Sip>sip:bob@home.example</Sip>'),
        ("<tel:+15551231234>", "+442079460123", ">+15551231234"),
        ("sip:+1555@h;transport=tls", "sip:stranger@h", ">+1555"),
    ],
)
async def test_the_starters_transfers_dial(place: Place, target: str, caller: str, inner: str) -> None:
    write_starter(place.directory, "home.example", {"alice": "+15550100001"})
    place.project.read()
    query = urlencode({"ReferTransferTarget": target, "From": caller})
    answer = await place.get(f"/functions/transfer?{query}")
    assert (
        answer.body.decode() == f'{DECLARATION}<Response><Dial referUrl="transfer"{inner}</Dial></Response>'
    )


async def test_the_starters_function_says_what_is_missing(place: Place) -> None:
    write_starter(place.directory, "home.example", {"alice": "+15550100001"})
    place.project.read()
    answer = await place.get("/functions/outbound?From=sip:alice@h")
    assert answer.status == 200
    assert b"<Say" in answer.body
    assert b"<Dial" not in answer.body


@pytest.fixture
def foreign(place: Place) -> Callable[[int], None]:
    """Installs one of the Functions in the texts that this project began from, unchanged."""
    source = next(iter(sorted(SEEDS.glob("000_*.txt"))), None)
    if source is None:
        pytest.skip("the texts are not here")
    functions = re.findall(
        r"^exports\.handler.*?^};", source.read_text("utf-8", "replace"), re.DOTALL | re.MULTILINE
    )
    assert len(functions) == 2

    def install(number: int) -> None:
        place.put("functions/foreign.js", functions[number])

    return install


SAY = '<Say voice="alice" language="en-CA">Error placing the call. {} is required.</Say>'


@pytest.mark.parametrize(
    ("number", "query", "inner"),
    [
        (0, "To=15551231234&From=sip:home@sub.sip.us1.twilio.com", ("+16508663333", "15551231234")),
        (0, "To=sip:12098319168@sdt.sip.us1.twilio.com&From=sip:home@s", ("+16508663333", "12098319168")),
        (0, "To=6508662222&callerId=+16508661111", ("+16508661111", "6508662222")),
        (0, "To=6421234567&From=sip:home@s", ("+16508663333", "+6421234567")),
        (0, "To=6591234567&From=sip:home@s", ("+16508663333", "+6591234567")),
        (0, "From=sip:home@s", "To caller"),
        (1, "To=15551231234&From=sip:home@s", ("+16505551111", "15551231234")),
        (1, "To=15551231234&From=sip:zoiper@s", ("+16505552222", "15551231234")),
        (1, "To=15551231234&From=sip:other@s", ("+16505550000", "15551231234")),
        (1, "To=15551231234&From=sip:home@s&callerId=+16508661111", ("+16508661111", "15551231234")),
        (1, "", "From caller"),
        (1, "From=sip:home@s", "To caller"),
    ],
)
async def test_functions_written_for_twilio_run_unchanged(
    place: Place, foreign: Callable[[int], None], number: int, query: str, inner: tuple[str, str] | str
) -> None:
    foreign(number)
    answer = await place.get(f"/functions/foreign?{query}")
    if isinstance(inner, str):
        expected = SAY.format(inner)
    else:
        expected = f'<Dial callerId="{inner[0]}" record="do-not-record">{inner[1]}</Dial>'
    assert answer.body.decode() == f"{DECLARATION}<Response>{expected}</Response>"
    assert (answer.status, answer.content_type) == (200, "text/xml; charset=utf-8")


async def test_a_function_that_fails_before_it_answers_fails_here_as_it_does_at_twilio(
    place: Place, foreign: Callable[[int], None]
) -> None:
    foreign(0)
    answer = await place.get(
        "/functions/foreign"
    )  # reads a property of its missing From, then would have spoken
    assert (answer.status, json.loads(answer.body)["name"]) == (500, "TypeError")
