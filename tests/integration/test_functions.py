"""Functions in real Node processes: the contract of Twilio's runtime."""

import asyncio
import json

import pytest
from aiohttp import web
from functions_place import DECLARATION, TOKEN, Place, texts

from ringback.functions import limits


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
