"""Digest challenges and answers, judged by the examples of the RFCs."""

from __future__ import annotations

import hashlib

import pytest

from ringback.sip.digest import Challenge, answer, ha1
from ringback.sip.errors import SipSyntaxError, UsageError

# -- by the books


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_rfc7616_3_9_1_examples(algorithm: str, response: str) -> None:
    challenge = Challenge.parse(
        'Digest realm="http-auth@example.org", qop="auth, auth-int", '
        f'algorithm={algorithm}, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
        'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    value = answer(
        challenge,
        method="GET",
        uri="/dir/index.html",
        username="Mufasa",
        password="Circle of Life",
        cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    )
    assert f'response="{response}"' in value
    assert 'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"' in value
    assert "nc=00000001" in value


def test_rfc2617_3_5_example() -> None:
    challenge = Challenge.parse(
        'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'
    )
    value = answer(
        challenge,
        method="GET",
        uri="/dir/index.html",
        username="Mufasa",
        password="Circle Of Life",
        cnonce="0a4f113b",
    )
    assert 'response="6629fae49393a05397450978507c4ef1"' in value


def test_rfc2069_2_4_example_without_qop() -> None:
    # The digest is that of the errata of RFC 2069.
    challenge = Challenge.parse(
        'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'
    )
    value = answer(
        challenge,
        method="GET",
        uri="/dir/index.html",
        username="Mufasa",
        password="CircleOfLife",
        cnonce="unused",
    )
    assert 'response="1949323746fe6a43ef61f9606e7febea"' in value
    assert "qop" not in value
    assert "cnonce" not in value


def test_rfc7616_3_4_3_auth_int_covers_the_body() -> None:
    challenge = Challenge("r", "n", "MD5", ("auth-int",))
    value = answer(
        challenge, method="INVITE", uri="sip:b", username="u", password="p", cnonce="c", body=b"v=0"
    )
    ha2 = hashlib.md5(f"INVITE:sip:b:{hashlib.md5(b'v=0').hexdigest()}".encode()).hexdigest()
    key = hashlib.md5(b"u:r:p").hexdigest()
    expected = hashlib.md5(f"{key}:n:00000001:c:auth-int:{ha2}".encode()).hexdigest()
    assert f'response="{expected}"' in value


# -- the client


def test_a_stored_ha1_serves_as_well_as_the_password() -> None:
    challenge = Challenge("r", "n", "SHA-256", ("auth",))
    common = {"method": "BYE", "uri": "sip:b", "username": "u", "cnonce": "c"}
    assert answer(challenge, password="p", **common) == answer(
        challenge, ha1=ha1("u", "r", "p", "SHA-256"), **common
    )


def test_what_we_do_not_know_is_not_answerable() -> None:
    assert not Challenge.parse('Digest realm="r", nonce="n", algorithm=SHA-3').is_answerable
    assert not Challenge.parse('Digest realm="r", nonce="n", qop="auth-conf"').is_answerable
    with pytest.raises(UsageError):
        answer(Challenge("r", "n", ""), method="X", uri="sip:b", username="u", password="p", cnonce="c")
    with pytest.raises(UsageError):
        answer(Challenge("r", "n"), method="X", uri="sip:b", username="u", cnonce="c")
    with pytest.raises(UsageError):
        ha1("u", "r", "p", "SHA-3")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Digest",
        'Basic realm="x"',
        'Digest realm="r"',
        'Digest nonce="n"',
        'Digest realm="r", nonce=""',
        'Digest realm="r" nonce="n"',
        'Digest realm="r", realm="s", nonce="n"',
        'Digest realm="r, nonce="n"',
        'Digest realm="r", nonce="n", x="' + "a" * 5000 + '"',
    ],
)
def test_malformed_challenges_are_refused(value: str) -> None:
    with pytest.raises(SipSyntaxError):
        Challenge.parse(value)


def test_challenges_of_others_are_read() -> None:
    challenge = Challenge.parse(
        'DIGEST  Realm = "a \\"b\\"" ,nonce=abc,, stale=TRUE, algorithm="md5",qop=auth'
    )
    assert challenge == Challenge('a "b"', "abc", "MD5", ("auth",), None, True)
