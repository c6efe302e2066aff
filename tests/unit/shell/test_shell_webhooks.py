"""The webhook client's rules, against a handler in this process: no socket is opened."""

import asyncio
from collections.abc import Callable
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from multidict import CIMultiDict
from twilio.request_validator import RequestValidator

from ringback.shell import webhook_asked, webhook_cache, webhook_memory
from ringback.shell.local_http import LocalAnswer, LocalRequest
from ringback.shell.webhook_memory import Login
from ringback.shell.webhook_reply import media_type, read_reply
from ringback.shell.webhook_request import InvalidUrl, Overrides, read_overrides, read_target
from ringback.shell.webhooks import WebhookClient, WebhookRequest

TOKEN = "a token of the account"
HOST = "ringback.localhost"
URL = f"http://{HOST}/functions/outbound"
XML = "text/xml; charset=utf-8"
PARAMS = [("To", "+15551231234"), ("From", "sip:alice@x"), ("CallStatus", "ringing"), ("Name", "Zoë & co=1")]


class Program:
    """Answers in turn, and keeps what it was asked."""

    def __init__(self, *answers: LocalAnswer) -> None:
        self.answers = list(answers) or [LocalAnswer(200, XML, b"<Response/>")]
        self.asked: list[LocalRequest] = []

    async def __call__(self, request: LocalRequest) -> LocalAnswer:
        if request.form is not None:  # handed over as it is: what a socket would carry
            request = request._replace(body=urlencode(request.form).encode())
        self.asked.append(request)
        return self.answers[min(len(self.asked), len(self.answers)) - 1]


def client_of(program: Callable[[LocalRequest], object]) -> WebhookClient:
    return WebhookClient(base_domain=HOST, local=program)  # type: ignore[arg-type]


def ask(url: str = URL, **more: object) -> WebhookRequest:
    return WebhookRequest(url=url, auth_token=TOKEN, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url",
    [
        URL,
        f"{URL}?callerId=+16505551234&x=%20a",
        f"http://{HOST}:8080/functions/outbound#rc=2&rt=3000",
        f"https://user:secret@{HOST}/a/b?c",
        f"http://{HOST}:80/bare",
        f"http://{HOST}",
        f"http://{HOST}?a=b",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_twilios_validator_accepts_the_signature(url: str, method: str) -> None:
    program = Program()
    params = [*PARAMS, ("StatusCallbackEvent", "b"), ("StatusCallbackEvent", "a")]
    await client_of(program).fetch(ask(url, method=method, params=params))
    request = program.asked[0]
    signature = request.header("X-Twilio-Signature")
    form = {}
    for name, value in parse_qsl(request.body.decode()):
        form.setdefault(name, []).append(value)

    class Form(dict):  # type: ignore[type-arg]
        getlist = dict.__getitem__

    assert RequestValidator(TOKEN).validate(request.url, Form(form), signature)
    assert not RequestValidator("another token").validate(request.url, Form(form), signature)
    assert "#" not in request.url
    assert "secret" not in request.url


async def test_a_post_carries_the_parameters_in_a_form() -> None:
    program = Program()
    answer = await client_of(program).fetch(ask(params=PARAMS, idempotency_token="once"))
    request = program.asked[0]
    assert (answer.status, answer.content_type, answer.body) == (200, "text/xml", b"<Response/>")
    assert parse_qsl(request.body.decode()) == PARAMS
    assert request.header("Content-Type") == "application/x-www-form-urlencoded; charset=utf-8"
    assert request.header("User-Agent") == "TwilioProxy/1.1"
    assert request.header("I-Twilio-Idempotency-Token") == "once"


async def test_a_get_carries_them_in_the_query_after_what_is_there() -> None:
    program = Program()
    await client_of(program).fetch(ask(f"{URL}?callerId=%2B1", method="GET", params=PARAMS))
    request = program.asked[0]
    assert request.body == b""
    assert parse_qsl(urlsplit(request.url).query) == [("callerId", "+1"), *PARAMS]


@pytest.mark.parametrize(
    ("status", "method", "has_params"),
    [(301, "GET", False), (302, "GET", False), (303, "GET", False), (307, "POST", True), (308, "POST", True)],
)
async def test_a_redirect_is_followed_and_signed_anew(status: int, method: str, has_params: bool) -> None:
    moved = LocalAnswer(status, XML, b"", [("Location", "../moved?x=1")])
    program = Program(moved, LocalAnswer(200, XML, b"<Response/>"))
    answer = await client_of(program).fetch(ask(params=PARAMS))
    last = program.asked[-1]
    assert answer.url == last.url == f"http://{HOST}/moved?x=1"
    assert last.method == method
    assert bool(last.body) is has_params
    form = {name: values[0] for name, values in parse_qs(last.body.decode()).items()}
    assert RequestValidator(TOKEN).validate(last.url, form, last.header("X-Twilio-Signature"))


async def test_ten_redirects_are_followed_and_no_more() -> None:
    moved = LocalAnswer(302, XML, b"", [("Location", "/again")])
    program = Program(*[moved] * 10, LocalAnswer(200, XML, b"ok"))
    assert (await client_of(program).fetch(ask())).status == 200
    endless = Program(moved)
    answer = await client_of(endless).fetch(ask())
    assert answer.error_code == 11215
    assert len(endless.asked) == 11


@pytest.mark.parametrize(
    "to", ["file:///etc/passwd", "ftp://x/", "gopher://x", "javascript:alert(1)", "https://"]
)
async def test_a_redirect_to_what_is_not_http_is_an_error(to: str) -> None:
    program = Program(LocalAnswer(302, XML, b"", [("Location", to)]))
    answer = await client_of(program).fetch(ask())
    assert (answer.status, answer.error_code) == (0, 11100)
    assert len(program.asked) == 1


@pytest.mark.parametrize(
    "url", ["", "/relative", "file:///etc/passwd", "http://", "http://[::1", "http://x:99999/"]
)
async def test_what_is_no_url_is_error_11100(url: str) -> None:
    answer = await client_of(Program()).fetch(ask(url))
    assert (answer.status, answer.error_code) == (0, 11100)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (LocalAnswer(200, XML, b"x" * 65_536), 0),
        (LocalAnswer(200, XML, b"x" * 65_537), 11750),
        (LocalAnswer(200, "audio/wav", b"x" * 65_537), 0),
        (LocalAnswer(200, "application/json", b"{}"), 12300),
        (LocalAnswer(200, "", b"<Response/>"), 12300),
        (LocalAnswer(200, "", b""), 0),
        (LocalAnswer(204, "", b""), 0),
        (LocalAnswer(200, "Text/HTML", b"<Response/>"), 0),
        (LocalAnswer(404, XML, b"<Response/>"), 11200),
        (LocalAnswer(500, "text/plain", b"no"), 11200),
        (LocalAnswer(400, "text/plain", b"no", error_code=11310), 11310),
    ],
)
async def test_an_answer_is_judged_by_status_type_and_size(answer: LocalAnswer, code: int) -> None:
    got = await client_of(Program(answer)).fetch(ask())
    assert got.error_code == code
    assert bool(got.error_text) is (code != 0 and code != 11310)
    assert got.status == answer.status


async def test_cookies_stay_within_their_call() -> None:
    program = Program(LocalAnswer(200, XML, b"", [("Set-Cookie", "s=1; Path=/"), ("set-cookie", "t=2")]))
    client = client_of(program)
    for call in ("CA1", "CA1", "CA2", ""):
        await client.fetch(ask(call=call))
    client.forget("CA1")
    await client.fetch(ask(call="CA1"))
    cookies = [request.header("Cookie") for request in program.asked]
    assert [sorted(cookie.split("; ")) for cookie in cookies] == [[""], ["s=1", "t=2"], [""], [""], [""]]


async def test_calls_that_never_end_are_forgotten_at_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_memory, "CALLS_REMEMBERED", 2)
    program = Program(LocalAnswer(200, XML, b"", [("Set-Cookie", "s=1")]))
    client = client_of(program)
    for call in ("CA1", "CA2", "CA3", "CA1", "CA3"):
        await client.fetch(ask(call=call))
    assert [request.header("Cookie") for request in program.asked] == ["", "", "", "", "s=1"]


REFUSAL = LocalAnswer(401, "text/plain", b"", [("WWW-Authenticate", 'Basic realm="x"')])
FINE = LocalAnswer(200, XML, b"<Response/>")


async def test_a_password_is_sent_once_it_is_asked_for_and_the_log_in_lasts_for_the_call() -> None:
    program = Program(REFUSAL, FINE)
    client = client_of(program)
    first = await client.fetch(ask(f"http://us%40er:pa:ss@{HOST}/a", call="CA1"))
    assert (first.status, first.url) == (200, f"http://{HOST}/a")
    await client.fetch(ask(f"http://{HOST}/b", call="CA1"))
    await client.fetch(ask(f"http://{HOST}:81/b", call="CA1"))
    await client.fetch(ask(f"http://{HOST}/b", call="CA2"))
    sent = [request.header("Authorization") for request in program.asked]
    assert sent == ["", "Basic dXNAZXI6cGE6c3M=", "Basic dXNAZXI6cGE6c3M=", "", ""]


async def test_a_wrong_password_is_not_tried_again() -> None:
    program = Program(REFUSAL)
    answer = await client_of(program).fetch(ask(f"http://user:wrong@{HOST}/a"))
    assert (answer.status, answer.error_code, len(program.asked)) == (401, 11200, 2)


async def test_a_refusal_without_a_user_is_an_error() -> None:
    program = Program(REFUSAL)
    assert (await client_of(program).fetch(ask())).error_code == 11200
    assert len(program.asked) == 1


@pytest.mark.parametrize(
    ("challenges", "asked"),
    [
        ([], 2),
        (["Digest nonsense"], 1),
        (['Digest realm="x", nonce="1", algorithm=SHA-512'], 1),
        (["Negotiate"], 1),
        (['Digest realm="x", nonce="1", algorithm=none', "basic"], 2),
        (['Digest realm="x", nonce="1", qop="auth"'], 3),
    ],
)
async def test_only_a_challenge_that_can_be_answered_is(challenges: list[str], asked: int) -> None:
    refusal = LocalAnswer(401, "", b"", [("WWW-Authenticate", value) for value in challenges])
    program = Program(refusal)
    await client_of(program).fetch(ask(f"http://user:wrong@{HOST}/a"))
    assert len(program.asked) == asked


async def test_a_slow_program_is_given_up_after_the_total_time() -> None:
    async def never(request: LocalRequest) -> LocalAnswer:
        await asyncio.Event().wait()
        raise AssertionError

    answer = await client_of(never).fetch(ask(f"{URL}#tt=100"))
    assert (answer.status, answer.error_code) == (0, 11200)
    assert "0.1 s" in answer.error_text


@pytest.mark.parametrize(
    ("fragment", "asked"),
    [("", 1), ("#rp=5xx", 2), ("#rp=5xx&rc=3", 4), ("#rp=4xx&rc=3", 1), ("#rp=all&rc=5", 6)],
)
async def test_the_fragment_says_what_is_tried_again(fragment: str, asked: int) -> None:
    program = Program(LocalAnswer(503, XML, b""))
    answer = await client_of(program).fetch(ask(f"{URL}{fragment}", idempotency_token="same"))
    assert answer.error_code == 11200
    assert (len(program.asked), answer.retries) == (asked, asked - 1)
    assert {request.header("I-Twilio-Idempotency-Token") for request in program.asked} == {"same"}


async def test_a_status_callback_may_answer_anything_but_a_failure() -> None:
    for fine in (LocalAnswer(204, "", b""), LocalAnswer(200, "application/json", b"{}" * 50_000)):
        assert (await client_of(Program(fine)).notify(ask())).error_code == 0
    refused = await client_of(Program(LocalAnswer(500, "", b""))).notify(ask())
    assert (refused.status, refused.error_code) == (500, 15003)
    assert (await client_of(Program()).notify(ask("no url"))).error_code == 15003


async def test_what_a_function_printed_comes_along() -> None:
    program = Program(LocalAnswer(200, XML, b"<Response/>", lines=[("info", "hello")]))
    assert (await client_of(program).fetch(ask())).lines == (("info", "hello"),)


def test_secrets_are_not_in_a_requests_repr() -> None:
    shown = repr(ask("http://user:secret@x/", params=[("Digits", "4711")]))
    assert "secret" not in shown
    assert TOKEN not in shown
    assert "4711" not in shown


@pytest.mark.parametrize(
    ("fragment", "overrides"),
    [
        ("", Overrides()),
        ("ct=100&rt=200&tt=300&rc=0", Overrides(0.1, 0.2, 0.3, 0)),
        ("rp=4xx,5xx,CT", Overrides(retry_on=frozenset({"4xx", "5xx", "ct"}))),
        ("ct=99&rt=15001&tt=-1&rc=6&rp=maybe", Overrides()),
        ("ct=1e3&rc=\u0661&tt=99999999999999999999", Overrides()),
        ("just-an-anchor", Overrides()),
    ],
)
def test_overrides_outside_twilios_bounds_change_nothing(fragment: str, overrides: Overrides) -> None:
    assert read_overrides(fragment) == overrides


def test_what_http_cannot_carry_is_escaped_and_the_rest_left_alone() -> None:
    target = read_target('http://Ex.com/a b/ü?q="x"&plus=+1&e=%2b')
    assert target.url == "http://Ex.com/a%20b/%C3%BC?q=%22x%22&plus=+1&e=%2b"
    assert target.origin == ("http", "ex.com", 80)


def test_a_url_has_a_length() -> None:
    with pytest.raises(InvalidUrl):
        read_target("http://x/" + "a" * 8_000)


def test_the_document_unused_for_longest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_cache, "DOCUMENTS", 2)
    cache: webhook_cache.DocumentCache[str] = webhook_cache.DocumentCache()
    cache.keep("a", "1", "", "A")
    cache.keep("b", "", "Monday", "B")
    assert cache.find("a") == ({"If-None-Match": "1"}, "A")
    cache.keep("c", "3", "", "C")
    assert cache.find("b") is None
    cache.keep("a", "", "", "without a validator")
    assert cache.find("a") is None
    assert cache.find("c") is not None


def test_a_form_is_quoted_as_others_do_and_long_texts_are_not_remembered() -> None:
    webhook_asked._quoted.clear()
    params = [("From", "+1 505"), ("Caller", "+1 505"), ("SpeechResult", "a b" * 1_000), ("Plain", "~._-")]
    assert webhook_asked.form_of(params) == urlencode(params)
    assert max(map(len, webhook_asked._quoted)) <= webhook_asked.QUOTED_LENGTH
    webhook_asked.form_of([("n", f"{number}?") for number in range(2 * webhook_asked.QUOTED_KEPT)])
    assert len(webhook_asked._quoted) <= webhook_asked.QUOTED_KEPT


async def test_others_have_turns_while_a_long_answer_is_read() -> None:
    """What a small compressed answer becomes is all there at once: 16 MB of it took 50 ms."""
    turns = 0

    class Unpacked:
        left = 20

        async def readany(self) -> bytes:
            self.left -= 1
            return b"x" * 1_000

        def at_eof(self) -> bool:
            return self.left == 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    reply = await read_reply(200, CIMultiDict({"Content-Type": "text/xml"}), Unpacked())  # type: ignore[arg-type]
    task.cancel()
    assert (len(reply.body), turns >= 15) == (20_000, True)


def test_a_url_with_half_a_character_is_none() -> None:
    assert read_target("http://a.test/caf\udce9").url == "http://a.test/caf%E9"
    with pytest.raises(InvalidUrl):
        read_target("http://a.test/\ud83d")


def test_a_challenge_of_bytes_that_are_no_text_is_not_answered() -> None:
    assert not Login("user", "pw").learn(['Digest realm="caf\udce9", nonce="1"'])


@pytest.mark.parametrize(
    ("declared", "kind", "charset"),
    [
        ("", "", "utf-8"),
        ("text/xml", "text/xml", "utf-8"),
        ('TEXT/XML ; a=b; Charset = "ISO-8859-1"', "text/xml", "iso-8859-1"),
        ("text/xml; x-charset=latin1", "text/xml", "utf-8"),
        ("text/xml; charset=", "text/xml", "utf-8"),
        ("text/xml; a*0*", "text/xml", "utf-8"),  # the mail package of Python finds no end of it
        ("text/xml" + ";" * 8_000, "text/xml", "utf-8"),  # and is at this for half a second
        ("text/xml;" + "(" * 8_000, "text/xml", "utf-8"),
    ],
)
def test_a_content_type_is_read_whatever_it_is(declared: str, kind: str, charset: str) -> None:
    assert media_type(declared) == (kind, charset)
