"""HTTP from anybody: paths that lead outside, Functions that are not public, requests without measure."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from pathlib import Path

import pytest
from live import LiveServer, live_server
from live_scene import MAIN_NUMBER, Scene, basic, twiml
from twilio.request_validator import RequestValidator

OUTSIDE = "the secret of a file outside"

FUNCTIONS = {
    "open.js": "exports.handler = (context, event, callback) => callback(null, 'open ' + Object.keys(Runtime.getFunctions()).sort().join());",
    "guarded.protected.js": "exports.handler = (context, event, callback) => callback(null, 'guarded ' + event.Digits);",
    "hidden.private.js": "exports.handler = (context, event, callback) => callback(null, 'hidden');",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    directory = tmp_path_factory.mktemp("http") / "project"
    (directory / "functions").mkdir(parents=True)
    (directory / "assets").mkdir()
    (directory / "bins").mkdir()
    for name, text in FUNCTIONS.items():
        (directory / "functions" / name).write_text(text)
    (directory / "assets/shown.txt").write_text("shown")
    (directory / "assets/kept.private.txt").write_text("kept")
    (directory / "assets/signed.protected.txt").write_text("signed")
    (directory / "bins/hello.xml").write_text("<Response><Say>{{Name}}</Say></Response>")
    (directory / ".env").write_text(f"TOKEN={OUTSIDE}\n")
    (directory / "outside.js").write_text(f"// {OUTSIDE}\nexports.handler = 1;")
    (directory / "outside.xml").write_text(f"<Response><Say>{OUTSIDE}</Say></Response>")
    with live_server(directory) as running:
        yield running
        running.stop()
        assert "Traceback" not in running.output


async def raw(server: LiveServer, request: bytes, *, end: bool = False) -> tuple[int, bytes]:
    """Send bytes as they are: the status and everything that came (0: closed without an answer)."""
    host, port = server.api.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        async with asyncio.timeout(20):
            try:
                writer.write(request)
                await writer.drain()
                if end:
                    writer.write_eof()
                answer = await reader.read()
            except OSError:
                answer = b""
    finally:
        await closed(writer)
    status = int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0
    return status, answer


async def closed(writer: asyncio.StreamWriter) -> None:
    """Close our end for good."""
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()


def get(path: str, *headers: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: ringback", "Connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def alive(scene: Scene) -> None:
    status, _ = await scene.get(f"/2010-04-01/Accounts/{scene.server.account_sid}.json")
    assert status == 200


# -- paths --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("root", ["functions", "bins", "assets", "twiml"])
@pytest.mark.parametrize(
    "way",
    [
        "../.env",
        "../data/server.json",
        "../data/phones.json",
        "../outside",
        "../outside.js",
        "..%2f.env",
        "%2e%2e/.env",
        "%2e%2e%2fdata%2fserver.json",
        "..%5c.env",
        "....//.env",
        "%252e%252e%252f.env",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        ".env%00.txt",
        "shown.txt/../../.env",
        "x/../../../../../../etc/passwd",
    ],
)
async def test_no_path_leads_out_of_its_folder(server: LiveServer, root: str, way: str) -> None:
    status, answer = await raw(server, get(f"/{root}/{way}"))
    assert status in (400, 404), answer[:300]
    for secret in (OUTSIDE, server.auth_token, server.password, "root:"):
        assert secret.encode() not in answer


@pytest.mark.parametrize(
    "path", ["/.env", "/../.env", "/data/server.json", "//data/server.json", "/%2e%2e/.env"]
)
async def test_the_root_serves_no_files(server: LiveServer, path: str) -> None:
    status, answer = await raw(server, get(path))
    assert status in (400, 404)
    assert server.auth_token.encode() not in answer


# -- Functions and assets -------------------------------------------------------------------------------------------


async def test_a_private_function_and_a_private_asset_are_not_there(server: LiveServer) -> None:
    status, answer = await raw(server, get("/functions/open"))
    assert status == 200 and b"hidden" in answer, "other Functions can use it"
    for path in (
        "/functions/hidden",
        "/functions/hidden.private",
        "/functions/hidden.js",
        "/functions/hidden.private.js",
        "/assets/kept.txt",
        "/assets/kept.private.txt",
        "/functions/kept.txt",
    ):
        status, answer = await raw(server, get(path))
        assert status == 404, path
        assert b"kept" not in answer.partition(b"\r\n\r\n")[2]


async def test_a_protected_function_runs_for_signed_requests_alone(scene: Scene) -> None:
    server, url = scene.server, f"{scene.server.api}/functions/guarded"
    form = {"AccountSid": server.account_sid, "Digits": "7"}
    right = RequestValidator(server.auth_token).compute_signature(url, form)
    wrong = RequestValidator("0" * 32).compute_signature(url, form)
    other = RequestValidator(server.auth_token).compute_signature(url, {**form, "Digits": "8"})
    elsewhere = RequestValidator(server.auth_token).compute_signature(url + "2", form)
    for signature, status in ((right, 200), (wrong, 403), (other, 403), (elsewhere, 403), ("", 403)):
        headers = {"X-Twilio-Signature": signature} if signature else {}
        async with scene.session.post(url, data=form, headers=headers) as got:
            assert got.status == status
            assert ((await got.text()) == "guarded 7") == (status == 200)
    signed = RequestValidator(server.auth_token).compute_signature(f"{url}?Digits=1", {})
    async with scene.session.get(f"{url}?Digits=1", headers={"X-Twilio-Signature": signed}) as got:
        assert got.status == 200
    async with scene.session.get(f"{server.api}/assets/signed.txt") as got:
        assert got.status == 403


async def test_a_subaccounts_token_signs_for_itself_not_for_its_parent(scene: Scene) -> None:
    sub = await scene.do(scene.client.api.accounts.create, friendly_name="Sub")
    url = f"{scene.server.api}/functions/guarded"
    form = {"AccountSid": scene.server.account_sid, "Digits": "7"}
    signature = RequestValidator(sub.auth_token).compute_signature(url, form)
    async with scene.session.post(url, data=form, headers={"X-Twilio-Signature": signature}) as got:
        assert got.status == 403


async def test_the_sandbox_calls_numbers_of_who_asks_alone_and_reads_no_endless_form(scene: Scene) -> None:
    sub = await scene.do(scene.client.api.accounts.create, friendly_name="Sub")
    url, headers = (
        f"{scene.server.api}/ringback/v1/sandbox/calls",
        {"Authorization": basic(sub.sid, sub.auth_token)},
    )
    async with scene.session.post(url, data={"To": MAIN_NUMBER}, headers=headers) as got:
        assert got.status == 400
    async with scene.session.post(url, data={"To": "1" * 300_000}, headers=headers) as got:
        assert got.status == 413


async def test_what_a_bin_is_given_stays_text(server: LiveServer) -> None:
    status, answer = await raw(server, get("/bins/hello?Name=%3C/Say%3E%3CDial%3E900%3C/Dial%3E%3CSay%3E"))
    assert status == 200
    assert b"<Dial>" not in answer
    assert b"&lt;Dial&gt;" in answer


# -- measure ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/2010-04-01/Accounts/{sid}/Calls.json", "/functions/open", "/bins/hello"])
@pytest.mark.parametrize("framing", ["announced", "chunked"])
async def test_a_huge_body_is_refused_and_not_kept(scene: Scene, path: str, framing: str) -> None:
    server = scene.server
    path = path.format(sid=server.account_sid)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: {basic(server.account_sid, server.auth_token)}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
    )
    before = memory_of(server)
    if framing == "announced":
        request = f"{head}Content-Length: 20000000\r\n\r\n".encode() + b"To=" + b"x" * 19_999_997
    else:
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        request = f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunk * 300
    status, _ = await raw(server, request)
    assert status in (0, 400, 413)
    assert memory_of(server) - before < 60_000_000
    await alive(scene)


def memory_of(server: LiveServer) -> int:
    """Resident bytes of the server's own process."""
    pages = Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]
    return int(pages) * 4096


@pytest.mark.parametrize(
    "request_",
    [
        get("/2010-04-01/Accounts", *[f"X-{n}: {'y' * 100}" for n in range(5_000)]),
        get("/2010-04-01/Accounts", f"X-Long: {'y' * 500_000}"),
        get("/" + "a" * 200_000),
        get("/2010-04-01/Accounts.json?" + "&".join(f"a{n}=1" for n in range(6_000))),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 10,
        b"INVITE sip:x@y SIP/2.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"\x00" * 100_000,
    ],
    ids=[
        "many-headers",
        "long-header",
        "long-path",
        "many-parameters",
        "tls",
        "sip",
        "smuggled",
        "minus",
        "zeros",
    ],
)
async def test_a_request_without_measure_is_refused(scene: Scene, request_: bytes) -> None:
    status, _ = await raw(scene.server, request_, end=True)
    assert status == 0 or 400 <= status < 500
    await alive(scene)


async def test_slow_requests_hold_up_nobody(scene: Scene) -> None:
    """Three hundred connections that never finish their request: the others are served, and calls are made."""
    host, port = scene.server.api.removeprefix("http://").split(":")
    slow = [await asyncio.open_connection(host, int(port)) for _ in range(300)]
    try:
        for number, (_, writer) in enumerate(slow):
            writer.write(
                b"POST /functions/open HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"[: 20 + number % 60]
            )
        await alive(scene)
        call = await scene.do(
            scene.client.calls.create,
            to="+15005550004",
            from_=MAIN_NUMBER,
            twiml=twiml(),
            status_callback=scene.program.on("/status"),
        )
        assert (await scene.program.hit("/status"))["CallSid"] == call.sid
    finally:
        for _, writer in slow:
            await closed(writer)


async def test_a_request_that_never_ends_is_closed(scene: Scene) -> None:
    """Who opens connections and says nothing, or half a request, must not use up the server's."""
    whole = get("/bins/hello").replace(b"Connection: close\r\n", b"")

    async def until_closed(beginning: bytes) -> bytes:
        host, port = scene.server.api.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        answer = b""
        with suppress(OSError):
            writer.write(beginning)
            answer = await reader.read()
        await closed(writer)
        return answer

    beginnings = (
        b"",
        b"GET / HTTP/1.1\r\nHost:",
        b"POST /functions/open HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf",
        b"POST /2010-04-01/Accounts.json HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf",
        whole + whole[:20],
    )
    async with asyncio.timeout(60):
        answers = await asyncio.gather(*(until_closed(beginning) for beginning in beginnings))
    assert answers[4].count(b"HTTP/1.1 200") == 1
    await alive(scene)


async def test_wrong_credentials_and_methods_are_told_apart_from_nothing(scene: Scene) -> None:
    server, account = scene.server, f"/2010-04-01/Accounts/{scene.server.account_sid}"
    for given in (
        "",
        "Basic",
        "Basic !!!",
        "Bearer x",
        basic(server.account_sid, ""),
        basic(server.account_sid, server.auth_token[:-1]),
        basic(server.account_sid.upper(), server.auth_token),
        basic("", server.auth_token),
        basic("alice", server.password),
    ):
        headers = [f"Authorization: {given}"] if given else []
        for path in (f"{account}/Calls.json", f"/ringback/v1/calls/CA{'0' * 32}/journal"):
            status, answer = await raw(server, get(path, *headers))
            assert status == 401, given
            body = json.loads(answer.partition(b"\r\n\r\n")[2])
            assert (body["code"], body["status"]) == (20003, 401)
    headers = [f"Authorization: {basic(server.account_sid, server.auth_token)}"]
    for sid in ("CA" + "g" * 32, "../../x", "CA" + "0" * 33, "%00", "CA'; drop table calls;--"):
        status, _ = await raw(server, get(f"/ringback/v1/calls/{sid.replace(' ', '%20')}/journal", *headers))
        assert status in (400, 404)
