"""The webhook client over real connections: what servers do wrong, TLS, retries and kept connections."""

import asyncio
import contextlib
import datetime
import gzip
import hashlib
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import trustme
from aiohttp import ClientConnectorDNSError, web
from twilio.request_validator import RequestValidator

from ringback.shell.webhook_errors import from_client_error
from ringback.shell.webhooks import WebhookClient, WebhookRequest

TOKEN = "token"
XML = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 11\r\n\r\n<Response/>"

FIELD = re.compile(r'(\w+)=(?:"([^"]*)"|([^,\s]+))')

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def client() -> AsyncIterator[WebhookClient]:
    client = WebhookClient(base_domain="ringback.localhost")
    await client.start()
    yield client
    await client.close()


@contextlib.asynccontextmanager
async def serving(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A TCP server whose every connection runs `talk`; gives its port."""

    writers: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        writers[task] = writer
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(guarded, "127.0.0.1", 0, ssl=tls)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for writer in writers.values():
        writer.transport.abort()
    if writers:
        await asyncio.wait(writers)


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
    )
    return head + await reader.readexactly(length)


def saying(answer: bytes) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer)
        await writer.drain()

    return talk


def ask(url: str, **more: object) -> WebhookRequest:
    return WebhookRequest(url=url, auth_token=TOKEN, params=[("CallSid", "CA1")], **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_program_with_twilios_library_trusts_the_request(client: WebhookClient, method: str) -> None:
    async def voice(request: web.Request) -> web.Response:
        form = await request.post()
        signature = request.headers["X-Twilio-Signature"]
        assert RequestValidator(TOKEN).validate(str(request.url), form, signature)
        return web.Response(text="<Response/>", content_type="text/xml")

    app = web.Application()
    app.router.add_route(method, "/voice", voice)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        answer = await client.fetch(ask(f"http://127.0.0.1:{port}/voice?a=b%20c", method=method))
    finally:
        await runner.cleanup()
    assert (answer.status, answer.body, answer.error_code) == (200, b"<Response/>", 0)
    assert 0 < answer.elapsed < 15


async def test_no_connection_is_tried_once_more(client: WebhookClient) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, not listening: refuses
        port = closed.getsockname()[1]
        answer = await client.fetch(ask(f"http://127.0.0.1:{port}/"))
        assert (answer.status, answer.error_code, answer.retries) == (0, 11205, 1)
        assert (await client.fetch(ask(f"http://127.0.0.1:{port}/#rc=3"))).retries == 3
        assert (await client.fetch(ask(f"http://127.0.0.1:{port}/#rc=0"))).retries == 0


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"", 11206),
        (b"220 smtp.example.com ESMTP\r\n", 11206),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", 11206),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 11206),
        (XML, 0),
    ],
)
async def test_what_is_not_http_is_a_protocol_violation(
    client: WebhookClient, said: bytes, code: int
) -> None:
    async with serving(saying(said)) as port:
        answer = await client.fetch(ask(f"http://127.0.0.1:{port}/"))
    assert (answer.error_code, answer.retries) == (code, 0)


async def test_a_program_that_says_nothing_is_given_up(client: WebhookClient) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await reader.read()

    async with serving(silent) as port:
        answer = await client.fetch(ask(f"http://127.0.0.1:{port}/#rt=100"))
        assert (answer.error_code, answer.retries) == (11200, 0)
        answer = await client.fetch(ask(f"http://127.0.0.1:{port}/#rt=100&rp=rt"))
        assert (answer.error_code, answer.retries) == (11200, 1)


async def test_an_endless_answer_is_cut_off(client: WebhookClient) -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    async with serving(endless) as port:
        answer = await client.fetch(ask(f"http://127.0.0.1:{port}/"))
    assert (answer.error_code, answer.body) == (11750, b"")


async def test_a_small_answer_that_unpacks_to_a_large_one_is_cut_off(client: WebhookClient) -> None:
    body = gzip.compress(bytes(20_000_000))
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
    async with serving(saying(head.encode() + body)) as port:
        answer = await client.fetch(ask(f"http://127.0.0.1:{port}/"))
    assert (answer.error_code, answer.body) == (11750, b"")


async def test_a_kept_connection_that_went_stale_does_not_lose_a_post(client: WebhookClient) -> None:
    connections = 0

    async def two_then_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)
        writer.write(XML)
        await read_request(reader)  # the next one on this connection gets no answer

    async with serving(two_then_close) as port:
        answers = [await client.fetch(ask(f"http://127.0.0.1:{port}/")) for _ in range(3)]
    assert [(answer.status, answer.error_code) for answer in answers] == [(200, 0)] * 3
    assert connections == 3


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_kept_connection_that_is_reset_does_not_lose_a_request(
    client: WebhookClient, method: str
) -> None:
    connections = 0

    async def one_then_reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)
        writer.write(XML)
        await reader.readexactly(1)
        writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        writer.transport.abort()

    async with serving(one_then_reset) as port:
        answers = [await client.fetch(ask(f"http://127.0.0.1:{port}/", method=method)) for _ in range(3)]
    assert [(answer.status, answer.error_code) for answer in answers] == [(200, 0)] * 3
    assert connections == 3


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"what?\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 20",
    ],
)
async def test_a_post_that_was_seen_is_not_sent_again(client: WebhookClient, said: bytes) -> None:
    requests = 0

    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        for answer in (XML, said):
            await read_request(reader)
            requests += 1
            writer.write(answer)

    async with serving(half) as port:
        codes = [(await client.fetch(ask(f"http://127.0.0.1:{port}/"))).error_code for _ in range(2)]
    assert (codes, requests) == ([0, 11206], 2)


async def test_what_nobody_asked_for_is_no_answer(client: WebhookClient) -> None:
    """A server that gives an idle connection up may say so, and the next request must not take that for its answer."""
    first: asyncio.StreamWriter | None = None

    async def eager(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal first
        first = first or writer
        await read_request(reader)
        writer.write(XML)
        await reader.read()

    async with serving(eager) as port, serving(saying(XML)) as another:
        assert (await client.fetch(ask(f"http://127.0.0.1:{port}/"))).status == 200
        assert first is not None
        first.write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        await client.fetch(ask(f"http://127.0.0.1:{another}/"))  # while it arrives
        assert (await client.fetch(ask(f"http://127.0.0.1:{port}/"))).status == 200
        await client.close()


async def test_an_interim_answer_is_passed_over(client: WebhookClient) -> None:
    async with serving(saying(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + XML)) as port:
        answer = await client.fetch(ask(f"http://127.0.0.1:{port}/"))
    assert (answer.status, answer.body) == (200, b"<Response/>")


async def test_a_redirect_may_have_any_bytes(client: WebhookClient) -> None:
    """aiohttp makes half characters of what is no UTF-8."""
    asked: list[bytes] = []

    async def elsewhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in (b"HTTP/1.1 302 Found\r\nLocation: /caf\xe9\r\nContent-Length: 0\r\n\r\n", XML):
            asked.append(await read_request(reader))
            writer.write(answer)

    async with serving(elsewhere) as port:
        answer = await client.fetch(ask(f"http://127.0.0.1:{port}/"))
    assert (answer.status, answer.error_code) == (200, 0)
    assert asked[1].startswith(b"GET /caf%E9 HTTP/1.1\r\n")


async def test_what_a_program_gave_to_keep_comes_back_as_it_was(client: WebhookClient) -> None:
    """An ETag may hold any bytes above 127 (RFC 9110 section 8.8.3)."""
    asked: list[bytes] = []

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kept = XML.replace(b"Content-Type", b'ETag: "caf\xe9"\r\nSet-Cookie: place=caf\xe9\r\nContent-Type')
        for answer in (kept, b"HTTP/1.1 304 Not Modified\r\n\r\n"):
            asked.append(await read_request(reader))
            writer.write(answer)

    async with serving(keep) as port:
        given = [
            await client.fetch(ask(f"http://127.0.0.1:{port}/", method="GET", call="CA1")) for _ in range(2)
        ]
    assert [(answer.status, answer.error_code) for answer in given] == [(200, 0)] * 2
    assert b'If-None-Match: "caf\xe9"\r\n' in asked[1]


async def test_interim_answers_come_to_an_end(client: WebhookClient) -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(1_000 * b"HTTP/1.1 102 Processing\r\n\r\n")
                await writer.drain()

    async with serving(endless) as port:
        answer = await client.fetch(ask(f"http://127.0.0.1:{port}/#tt=15000"))
    assert (answer.error_code, answer.elapsed < 10) == (11206, True)


@pytest.mark.parametrize(
    ("path", "method", "line"),
    [
        ("", "POST", b"POST / HTTP/1.1"),
        ("", "GET", b"GET /?CallSid=CA1 HTTP/1.1"),
        ("?a=b", "POST", b"POST /?a=b HTTP/1.1"),
        ("/a//b/../c;d?x=%20+&y#rc=0", "POST", b"POST /a//b/../c;d?x=%20+&y HTTP/1.1"),
        ("/\u00e9|x", "GET", b"GET /%C3%A9%7Cx?CallSid=CA1 HTTP/1.1"),
    ],
)
async def test_a_request_asks_for_what_the_url_says(
    client: WebhookClient, path: str, method: str, line: bytes
) -> None:
    heads: list[bytes] = []

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await read_request(reader))
        writer.write(XML)

    async with serving(keep) as port:
        assert (await client.fetch(ask(f"http://127.0.0.1:{port}{path}", method=method))).status == 200
    lines = heads[0].split(b"\r\n")
    assert lines[:2] == [line, f"Host: 127.0.0.1:{port}".encode()]
    assert sum(each.lower().startswith(b"content-length:") for each in lines) == (method == "POST")


async def test_no_header_brings_another_line(client: WebhookClient) -> None:
    async with serving(saying(XML)) as port:
        asked = ask(f"http://127.0.0.1:{port}/", idempotency_token="a\r\nX-Twilio-Signature: forged")
        answer = await client.fetch(asked)
    assert (answer.status, answer.error_code) == (0, 11100)


async def test_connections_are_kept(client: WebhookClient) -> None:
    connections = 0

    async def patient(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            await read_request(reader)
            writer.write(XML)

    async with serving(patient) as port:
        for _ in range(5):
            assert (await client.fetch(ask(f"http://127.0.0.1:{port}/"))).status == 200
        await client.close()
    assert connections == 1


@pytest.mark.parametrize(
    ("method", "headers", "statuses"),
    [
        ("GET", {"ETag": '"v1"'}, [200, 304, 304]),
        ("GET", {"Last-Modified": "Wed, 21 Jun 2017 01:14:36 GMT"}, [200, 304, 304]),
        ("GET", {"ETag": '"v1"', "Cache-Control": "no-store"}, [200, 200, 200]),
        ("GET", {}, [200, 200, 200]),
        ("POST", {"ETag": '"v1"'}, [200, 200, 200]),
    ],
)
async def test_a_document_that_may_be_kept_is_sent_once(
    client: WebhookClient, method: str, headers: dict[str, str], statuses: list[int]
) -> None:
    sent: list[int] = []

    async def voice(request: web.Request) -> web.Response:
        same = request.headers.get("If-None-Match") == '"v1"' or "If-Modified-Since" in request.headers
        sent.append(304 if same else 200)
        if same:
            return web.Response(status=304)
        return web.Response(text="<Response/>", content_type="text/xml", headers=headers)

    app = web.Application()
    app.router.add_route(method, "/voice", voice)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/voice"
        answers = [await client.fetch(ask(url, method=method)) for _ in range(3)]
        other = await client.fetch(ask(f"{url}?other=1", method=method))
    finally:
        await runner.cleanup()
    assert sent == [*statuses, 200]
    assert {(answer.status, answer.body, answer.error_code) for answer in [*answers, other]} == {
        (200, b"<Response/>", 0)
    }


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_server_with_digest_authentication_lets_the_call_in(
    client: WebhookClient, method: str, algorithm: str
) -> None:
    """The server's end is RFC 7616 section 3.4.1, written out."""
    seen: list[int] = []

    def hashed(text: str) -> str:
        return hashlib.new(algorithm.replace("-", "").lower(), text.encode()).hexdigest()

    async def guarded(request: web.Request) -> web.Response:
        header = request.headers.get("Authorization", "")
        fields = {name: quoted or plain for name, quoted, plain in FIELD.findall(header)}
        secret = hashed("zoë:here:pa ss")
        target = hashed(f"{request.method}:{request.path_qs}")
        wanted = hashed(f"{secret}:n0nce:{fields.get('nc')}:{fields.get('cnonce')}:auth:{target}")
        if fields.get("response") == wanted and fields["uri"] == request.path_qs:
            seen.append(int(fields["nc"], 16))
            return web.Response(text="<Response/>", content_type="text/xml")
        challenge = f'Digest realm="here", nonce="n0nce", qop="auth", algorithm={algorithm}'
        return web.Response(status=401, headers={"WWW-Authenticate": challenge})

    app = web.Application()
    app.router.add_route(method, "/voice", guarded)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host = f"127.0.0.1:{runner.addresses[0][1]}"
        first = await client.fetch(
            ask(f"http://zo%C3%AB:pa%20ss@{host}/voice?a=b", method=method, call="CA1")
        )
        second = await client.fetch(ask(f"http://{host}/voice", method=method, call="CA1"))
        stranger = await client.fetch(ask(f"http://{host}/voice", method=method, call="CA2"))
    finally:
        await runner.cleanup()
    assert [first.status, second.status, stranger.status] == [200, 200, 401]
    assert seen == [1, 2]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


async def fetch_over_tls(certificate: trustme.LeafCert, trusted: trustme.CA) -> tuple[int, int]:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(server)
    trust = ssl.create_default_context()
    trusted.configure_trust(trust)
    client = WebhookClient(ssl_context=trust)
    await client.start()
    try:
        async with serving(saying(XML), server) as port:
            answer = await client.fetch(ask(f"https://127.0.0.1:{port}/"))
    finally:
        await client.close()
    return answer.error_code, answer.retries


async def test_a_good_certificate_is_accepted(authority: trustme.CA) -> None:
    assert await fetch_over_tls(authority.issue_cert("127.0.0.1"), authority) == (0, 0)


async def test_a_certificate_for_another_name_is_error_11235(authority: trustme.CA) -> None:
    assert await fetch_over_tls(authority.issue_cert("example.com"), authority) == (11235, 1)


async def test_an_expired_certificate_is_error_11236(authority: trustme.CA) -> None:
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    old = authority.issue_cert("127.0.0.1", not_before=past, not_after=past + datetime.timedelta(days=1))
    assert await fetch_over_tls(old, authority) == (11236, 1)


async def test_a_certificate_of_nobody_known_is_error_11237(authority: trustme.CA) -> None:
    assert await fetch_over_tls(trustme.CA().issue_cert("127.0.0.1"), authority) == (11237, 1)


async def test_a_server_without_tls_is_error_11220(client: WebhookClient) -> None:
    async def greeting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com ESMTP\r\n")
        await reader.read(1)

    async with serving(greeting) as port:
        answer = await client.fetch(ask(f"https://127.0.0.1:{port}/"))
    assert (answer.status, answer.error_code, answer.retries) == (0, 11220, 1)


def test_an_unknown_host_is_error_11210() -> None:
    class Key:
        host, port, ssl, is_ssl = "nobody.invalid", 80, True, False

    error = ClientConnectorDNSError(Key(), OSError(-2, "Name or service not known"))  # type: ignore[arg-type]
    assert from_client_error(error).code == 11210
    assert from_client_error(error).kind == "ct"
