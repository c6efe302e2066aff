"""URIs: reading, writing, equivalence."""

from __future__ import annotations

import pytest

from ringback.sip.errors import SipSyntaxError, UsageError
from ringback.sip.limits import MAX_URI
from ringback.sip.uri import Uri


def test_every_part_is_read() -> None:
    uri = Uri.parse("sip:alice:secret@Example.COM:5070;transport=tcp;LR?X-One=a%20b&Subject=hi")
    assert (uri.scheme, uri.user, uri.password, uri.host, uri.port) == (
        "sip",
        "alice",
        "secret",
        "Example.COM",
        5070,
    )
    assert uri.params == {"transport": "tcp", "lr": None}
    assert uri.headers == (("X-One", "a b"), ("Subject", "hi"))
    assert uri.transport == "TCP"


def test_text_is_given_back_as_it_came() -> None:
    text = "SIP:%61lice@Example.COM;Foo=%41?a=%62"
    assert str(Uri.parse(text)) == text


def test_addresses_of_record_fold_the_host_alone() -> None:
    assert Uri.parse("sip:%41lice@Example.COM:5070;transport=tcp").aor == "Alice@example.com"
    assert Uri.parse("sip:a%40b@example.com").aor == "a%40b@example.com"
    assert Uri.parse("sip:Example.com").aor == "example.com"
    assert Uri.parse("sip:bob@[2001:DB8::1]").aor == "bob@[2001:db8::1]"


def test_feature_codes_keep_their_hash() -> None:
    uri = Uri.parse("sip:*21#@example.com")
    assert uri.user == "*21#"
    assert uri.aor == "*21%23@example.com"


def test_sips_asks_for_tls() -> None:
    assert Uri.parse("sips:example.com").transport == "TLS"
    assert Uri.parse("sip:example.com").transport is None


def test_telephone_numbers() -> None:
    uri = Uri.parse("tel:+1-201-555-0123;phone-context=example.com")
    assert (uri.scheme, uri.user, uri.host) == ("tel", "+1-201-555-0123", "")
    assert uri.params == {"phone-context": "example.com"}
    assert uri.matches(Uri.parse("tel:+1(201)5550123;phone-context=EXAMPLE.com"))
    assert not uri.matches(Uri.parse("tel:+12015550124;phone-context=example.com"))
    assert not uri.is_sip


def test_other_schemes_stay_opaque() -> None:
    uri = Uri.parse("mailto:bob@example.com")
    assert (uri.scheme, uri.opaque, uri.aor) == ("mailto", "bob@example.com", "mailto:bob@example.com")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip:",
        "sip",
        "sip:@example.com",
        "sip:alice@",
        "sip:alice@example.com:",
        "sip:alice@example.com:65536",
        "sip:alice@example.com:123456",
        "sip:alice@example.com;",
        "sip:alice@example.com;;lr",
        "sip:alice@example.com;a=1;A=2",
        "sip:alice@example.com;a=%4",
        "sip:al%zzice@example.com",
        "sip:al ice@example.com",
        "sip:alice@exa mple.com",
        "sip:alice@[::1",
        "sip:alice@::1",
        "sip:alice@2001:db8::10",
        "sip:alice@example.com?subject",
        "sip:alice@example.com?=x",
        "sip:alice@example.com\r\nVia: x",
        "<sip:alice@example.com>",
        "sip:al\u0131ce@example.com",
        "sip:alice@example.com:\u0661",
        "example.com",
        ":x",
    ],
)
def test_malformed_uris_are_refused(text: str) -> None:
    with pytest.raises(SipSyntaxError) as caught:
        Uri.parse(text)
    assert caught.value.status == 400


def test_a_uri_without_end_is_refused_with_414() -> None:
    with pytest.raises(SipSyntaxError) as caught:
        Uri.parse("sip:" + "a" * MAX_URI)
    assert caught.value.status == 414


# The examples of RFC 3261 section 19.1.4.
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
        ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
    ],
)
def test_rfc3261_19_1_4_equivalent_uris(one: str, other: str) -> None:
    assert Uri.parse(one).matches(Uri.parse(other))
    assert Uri.parse(other).matches(Uri.parse(one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ("sip:bob@biloxi.com", "sips:bob@biloxi.com"),
        ("sip:bob@biloxi.com", "tel:+1"),
        ("mailto:a@b", "mailto:a@c"),
    ],
)
def test_rfc3261_19_1_4_different_uris(one: str, other: str) -> None:
    assert not Uri.parse(one).matches(Uri.parse(other))
    assert not Uri.parse(other).matches(Uri.parse(one))


def test_a_built_uri_escapes_what_it_must() -> None:
    uri = Uri(
        user="a b@c",
        host="2001:db8::1",
        port=5070,
        params={"x": "1;2", "lr": None},
        headers=(("X-A", "b&c"),),
    )
    assert str(uri) == "sip:a%20b%40c@[2001:db8::1]:5070;x=1%3B2;lr?X-A=b%26c"
    again = Uri.parse(str(uri))
    assert (again.user, again.host, again.params, again.headers) == (
        uri.user,
        uri.host,
        uri.params,
        uri.headers,
    )


def test_replace_writes_the_text_anew() -> None:
    uri = Uri.parse("sip:alice@example.com:5070;transport=tcp?X-A=b")
    assert str(uri.replace(headers=(), port=None)) == "sip:alice@example.com;transport=tcp"
    assert str(uri) == "sip:alice@example.com:5070;transport=tcp?X-A=b"


@pytest.mark.parametrize("host", ["", "a b", "x>", "a\r\nb", "a;lr"])
def test_a_uri_cannot_be_built_around_a_bad_host(host: str) -> None:
    with pytest.raises(UsageError):
        Uri(user="alice", host=host)


def test_passwords_stay_out_of_reprs() -> None:
    assert "secret" not in repr(Uri.parse("sip:alice:secret@example.com"))
    assert "alice" in repr(Uri.parse("sip:alice@example.com"))


def test_equal_and_hash_go_by_the_text() -> None:
    one, other = Uri.parse("sip:alice@example.com"), Uri.parse("sip:alice@EXAMPLE.com")
    assert one != other
    assert one.matches(other)
    assert {one, Uri(user="alice", host="example.com")} == {one}
    assert one != "sip:alice@example.com"


def test_escapes_that_are_not_utf8_are_left_alone() -> None:
    assert Uri.parse("sip:%FF@example.com").user == "%FF"
