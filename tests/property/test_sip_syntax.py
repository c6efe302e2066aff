"""What holds of SIP's syntax for all inputs."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from ringback.sip.digest import Challenge, Credentials
from ringback.sip.errors import SipSyntaxError
from ringback.sip.headers import (
    NameAddr,
    parse_cseq,
    parse_name_addr,
    parse_params,
    parse_via,
    quoted,
    render_params,
    split_list,
    unquote,
)
from ringback.sip.message import Request, Response, parse
from ringback.sip.stream import StreamParser
from ringback.sip.uri import Uri

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
HOSTS = st.from_regex(r"[a-zA-Z0-9_][a-zA-Z0-9\-_.]{0,20}|[0-9a-f:]{2,20}:[0-9a-f:.]{0,20}", fullmatch=True)
TOKENS = st.from_regex(r"[A-Za-z0-9\-.!%*_+`'~]{1,12}", fullmatch=True)
# What may stand in a field: anything but controls.
VALUES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60).map(
    lambda text: text.strip(" ")
)

GOOD = (
    b"INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n"
    b"To: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContact: <sip:a@b>\r\nContent-Length: 4\r\n\r\nbody"
)


@given(
    TEXT,
    TEXT,
    HOSTS,
    st.none() | st.integers(0, 65535),
    st.dictionaries(TEXT.filter(bool), st.none() | TEXT.filter(bool), max_size=4),
)
def test_a_built_uri_reads_back(
    user: str, password: str, host: str, port: int | None, params: dict[str, str | None]
) -> None:
    params = {name.lower(): value for name, value in params.items()}
    if len({name.lower() for name in params}) != len(params):
        return
    uri = Uri(user=user, password=password if user else "", host=host, port=port, params=params)
    again = Uri.parse(str(uri))
    assert (again.user, again.password, again.host, again.port) == (uri.user, uri.password, host, port)
    assert {name: again.params[name] for name in again.params} == {
        name.lower(): value for name, value in params.items()
    }
    assert again.matches(uri)
    assert Uri.parse(str(again)) == again


@given(TEXT)
@example("sip:%:@a")
@example("sip:a@b;c=%zz")
def test_no_text_breaks_the_uri_parser(text: str) -> None:
    for candidate in (text, "sip:" + text, "tel:" + text):
        try:
            uri = Uri.parse(candidate)
        except SipSyntaxError:
            continue
        assert str(uri) == candidate
        assert uri.matches(Uri.parse(candidate))
        assert uri.aor


@given(VALUES)
@example('"\\')
@example('"a" <sip:a@b>;c="\\"')
def test_no_text_breaks_the_field_parsers(value: str) -> None:
    for parser in (
        parse_name_addr,
        parse_via,
        parse_cseq,
        parse_params,
        split_list,
        Challenge.parse,
        Credentials.parse,
    ):
        for candidate in (value, "SIP/2.0/UDP " + value, "<sip:a@b>" + value, "Digest " + value, ";" + value):
            try:
                parser(candidate)
            except SipSyntaxError:
                continue


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=40))
def test_quoting_can_be_undone(text: str) -> None:
    assert unquote(quoted(text)) == text


@given(VALUES, st.dictionaries(TOKENS.map(str.lower), st.none() | TOKENS | VALUES.map(quoted), max_size=4))
def test_an_address_reads_back(display: str, params: dict[str, str | None]) -> None:
    params.pop("tag", None)
    address = NameAddr(display, Uri.parse("sip:a@b"), params)
    assert parse_name_addr(str(address)) == address
    assert dict(parse_params(render_params(params))) == params


@given(st.lists(st.tuples(TOKENS.map(lambda name: "X-" + name), VALUES), max_size=8), st.binary(max_size=100))
def test_a_written_message_reads_back(headers: list[tuple[str, str]], body: bytes) -> None:
    message = Request("INFO", "sip:a@b", headers, body)
    again = parse(message.render())
    assert again.headers[:-1] == message.headers
    assert (again.body, again.start_line()) == (body, message.start_line())


@given(st.data())
def test_a_damaged_message_is_read_or_refused(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(GOOD)))
    cut = data.draw(st.integers(0, 20))
    damaged = GOOD[:at] + data.draw(st.binary(max_size=20)) + GOOD[at + cut :]
    try:
        message = parse(damaged)
    except SipSyntaxError as error:
        assert 400 <= error.status < 600
        if isinstance(error.message, Request):
            error.message.reply(error.status, error.reason, to_tag="t").render()
        return
    # Whatever was taken has typed fields that do not raise, or are missing as `validate` says.
    try:
        message.validate()
    except SipSyntaxError:
        return
    for name in ("vias", "via", "from_", "to", "call_id", "cseq", "contacts", "routes", "record_routes"):
        getattr(message, name)
    assert message.max_forwards is None or message.max_forwards <= 255
    message.render()
    if isinstance(message, Request):
        message.stamp_via("192.0.2.1", 5060)
        assert isinstance(parse(message.reply(200, to_tag="t").render()), Response)


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=4), st.data())
def test_a_stream_may_be_cut_anywhere(bodies: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(Request("INFO", "sip:a@b", [("Call-ID", "x")], body).render() for body in bodies)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    parser = StreamParser()
    items = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        items += parser.feed(stream[start:end])
    assert [item.body for item in items if isinstance(item, Request)] == bodies
    assert len(items) == len(bodies)
    assert parser.is_idle


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_no_bytes_break_the_stream_parser(pieces: list[bytes]) -> None:
    parser = StreamParser()
    for piece in pieces:
        try:
            parser.feed(piece)
        except SipSyntaxError:
            assert parser.failure is not None
            return
