"""Challenges and judgement of Digest answers."""

from __future__ import annotations

import hashlib

import pytest

from ringback.sip import digest
from ringback.sip.authenticator import Authenticator, Outcome
from ringback.sip.digest import Challenge, Credentials, answer, ha1
from ringback.sip.errors import UsageError
from ringback.sip.limits import NONCE_LIFETIME
from ringback.sip.uri import Uri

KEY = b"k" * 32
REALM = "sip.twilio.com"
NOW = 1_700_000_000.0
PASSWORD = "Circle Of Life 1"


def _lookup(username: str, algorithm: str) -> str | None:
    return ha1("alice", REALM, PASSWORD, algorithm) if username == "alice" else None


def _answer(
    value: str, *, nc: int = 1, password: str = PASSWORD, username: str = "alice", method: str = "INVITE"
) -> str:
    return answer(
        Challenge.parse(value),
        method=method,
        uri="sip:bob@example.com",
        username=username,
        password=password,
        cnonce="c",
        nc=nc,
    )


def _check(
    authenticator: Authenticator, header: str | list[str] | None, *, now: float = NOW, method: str = "INVITE"
) -> Outcome:
    return authenticator.check(header, method=method, lookup=_lookup, now=now).outcome


def _without_qop(value: str) -> str:
    return value.replace(' qop="auth",', "")


@pytest.mark.parametrize("algorithm", digest.ALGORITHMS)
def test_a_right_answer_passes(algorithm: str) -> None:
    authenticator = Authenticator(KEY, REALM)
    header = _answer(authenticator.challenge(NOW, algorithm=algorithm))
    verdict = authenticator.check(header, method="INVITE", lookup=_lookup, now=NOW + 1)
    assert (verdict.outcome, verdict.username) == (Outcome.OK, "alice")


def test_twilios_face() -> None:
    value = Authenticator(KEY, REALM).challenge(NOW)
    assert value.startswith('Digest realm="sip.twilio.com", qop="auth", nonce="')
    assert value.endswith("algorithm=MD5")
    assert Authenticator(KEY, REALM).challenge(NOW, stale=True).endswith("stale=TRUE")


def test_no_nonce_is_given_twice() -> None:
    authenticator, other = Authenticator(KEY, REALM), Authenticator(KEY, REALM, node="1")
    values = [each.challenge(NOW) for each in (authenticator, other) for _ in range(100)]
    assert len(set(values)) == 200


@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
def test_a_nonce_serves_the_address_that_was_challenged(password: str) -> None:
    authenticator = Authenticator(KEY, REALM)
    header = _answer(authenticator.challenge(NOW, source="192.0.2.1"), password=password)

    def outcome(source: str) -> Outcome:
        return authenticator.check(header, method="INVITE", lookup=_lookup, now=NOW, source=source).outcome

    assert outcome("192.0.2.2") is Outcome.STALE, "right or wrong: nobody learns which, nor is it counted"
    assert outcome("192.0.2.1") is (Outcome.OK if password == PASSWORD else Outcome.WRONG)


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"password": "wrong"}, Outcome.WRONG),
        ({"username": "mallory"}, Outcome.WRONG),
        ({"method": "BYE"}, Outcome.WRONG),
    ],
)
def test_wrong_answers_fail(change: dict[str, str], outcome: Outcome) -> None:
    authenticator = Authenticator(KEY, REALM)
    header = _answer(authenticator.challenge(NOW), **change)  # type: ignore[arg-type]
    assert _check(authenticator, header) is outcome


def test_an_unknown_user_costs_the_same_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    authenticator = Authenticator(KEY, REALM)
    calls: list[str] = []

    def counted(data: bytes, **options: bool) -> hashlib._Hash:
        calls.append("MD5")
        return hashlib.md5(data, **options)  # type: ignore[arg-type]

    headers = [
        _answer(authenticator.challenge(NOW), username=name, password="x") for name in ("alice", "mallory")
    ]
    monkeypatch.setitem(digest._HASHES, "MD5", counted)  # type: ignore[arg-type]
    counts = []
    for header in headers:
        calls.clear()
        authenticator.check(
            header, method="INVITE", lookup=lambda name, _: "0" * 32 if name == "alice" else None, now=NOW
        )
        counts.append(list(calls))
    assert counts[0] == counts[1] != []


def test_nobody_can_log_in_with_the_key_that_stands_for_nobody() -> None:
    authenticator = Authenticator(KEY, REALM)
    challenge = Challenge.parse(authenticator.challenge(NOW))
    header = answer(
        challenge, method="INVITE", uri="sip:b", username="x", ha1=authenticator._nobody["MD5"], cnonce="c"
    )
    assert _check(authenticator, header) is Outcome.WRONG


def test_rfc7616_3_4_a_nonce_count_is_used_once() -> None:
    authenticator = Authenticator(KEY, REALM)
    value = authenticator.challenge(NOW)
    first, third, second = (_answer(value, nc=nc) for nc in (1, 3, 2))
    assert [_check(authenticator, each) for each in (first, first, third, second, third)] == [
        Outcome.OK,
        Outcome.REPLAYED,
        Outcome.OK,
        Outcome.REPLAYED,
        Outcome.REPLAYED,
    ]


def test_an_answer_without_qop_passes_once() -> None:
    authenticator = Authenticator(KEY, REALM)
    value = authenticator.challenge(NOW)
    old_phone = _answer(_without_qop(value))
    assert [_check(authenticator, each) for each in (old_phone, old_phone, _answer(value, nc=9))] == [
        Outcome.OK,
        Outcome.REPLAYED,
        Outcome.REPLAYED,
    ]
    value = authenticator.challenge(NOW)
    assert _check(authenticator, _answer(value)) is Outcome.OK
    assert _check(authenticator, _answer(_without_qop(value))) is Outcome.REPLAYED


def test_rfc7616_3_3_old_nonces_are_stale_and_so_are_those_of_the_future() -> None:
    authenticator = Authenticator(KEY, REALM)
    value = authenticator.challenge(NOW)
    assert _check(authenticator, _answer(value), now=NOW + NONCE_LIFETIME + 1) is Outcome.STALE
    assert _check(authenticator, _answer(value), now=NOW - 10) is Outcome.STALE
    assert _check(authenticator, _answer(value, password="x"), now=NOW + 1e6) is Outcome.STALE
    assert _check(authenticator, _answer(value), now=NOW + NONCE_LIFETIME - 1) is Outcome.OK


@pytest.mark.parametrize("nonce", ["x", "0.0.0.0", "", ".", "zz.0.1.abc"])
def test_nonces_of_others_are_stale(nonce: str) -> None:
    authenticator = Authenticator(KEY, REALM)
    header = answer(
        Challenge(REALM, nonce, "MD5", ("auth",)),
        method="INVITE",
        uri="sip:b",
        username="alice",
        password=PASSWORD,
        cnonce="c",
    )
    assert _check(authenticator, header) is Outcome.STALE


def test_nonces_serve_on_every_node_and_for_one_realm_only() -> None:
    value = Authenticator(KEY, REALM, node="a").challenge(NOW)
    assert _check(Authenticator(KEY, REALM, node="b"), _answer(value)) is Outcome.OK
    other = Authenticator(KEY, "other").challenge(NOW).replace("other", REALM)
    assert _check(Authenticator(KEY, REALM), _answer(other)) is Outcome.STALE
    assert _check(Authenticator(b"x" * 32, REALM), _answer(value)) is Outcome.STALE


def test_missing_and_malformed() -> None:
    authenticator = Authenticator(KEY, REALM)
    header = _answer(authenticator.challenge(NOW))
    foreign = header.replace(REALM, "elsewhere")
    assert _check(authenticator, None) is Outcome.MISSING
    assert _check(authenticator, []) is Outcome.MISSING
    assert _check(authenticator, foreign) is Outcome.MISSING
    assert _check(authenticator, [foreign, header]) is Outcome.OK
    assert _check(authenticator, "Basic abc") is Outcome.MISSING  # RFC 4475 section 3.3.7
    assert _check(authenticator, "Digest abc") is Outcome.MALFORMED


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("qop=auth", "qop=auth-int"),
        ("qop=auth", 'qop=""'),
        ("nc=00000001", "nc=x"),
        ("nc=00000001, ", ""),
        ('cnonce="c", ', ""),
        ("algorithm=MD5", "algorithm=MD4"),
        ("algorithm=MD5", "algorithm=MD5, userhash=true"),
        ('username="alice", ', ""),
        ('uri="sip:bob@example.com", ', ""),
        ('response="', 'response="g'),
        ('response="', 'response="\u0661'),
    ],
)
def test_malformed_credentials_are_refused(old: str, new: str) -> None:
    authenticator = Authenticator(KEY, REALM)
    header = _answer(authenticator.challenge(NOW)) + ", x=y"
    assert old in header
    assert _check(authenticator, header.replace(old, new)) is Outcome.MALFORMED


def test_rfc7616_3_4_6_credentials_for_another_target_are_refused() -> None:
    authenticator = Authenticator(KEY, REALM)
    header = _answer(authenticator.challenge(NOW))

    def outcome(uri: str) -> Outcome:
        return authenticator.check(
            header, method="INVITE", lookup=_lookup, now=NOW, uri=Uri.parse(uri)
        ).outcome

    assert outcome("sip:+19005550100@example.com") is Outcome.MALFORMED
    assert outcome("sip:bob@example.net") is Outcome.MALFORMED
    assert outcome("sips:bob@EXAMPLE.com:5061;transport=tls") is Outcome.OK


def test_a_full_table_forgets_old_nonces_and_never_replays() -> None:
    authenticator = Authenticator(KEY, REALM, most_counts=10)
    headers = [_answer(authenticator.challenge(NOW + number)) for number in range(30)]
    unused = _answer(authenticator.challenge(NOW))
    assert all(_check(authenticator, each, now=NOW + 30) is Outcome.OK for each in headers)
    assert len(authenticator._counts) <= 10
    again = [_check(authenticator, each, now=NOW + 31) for each in headers]
    assert again[:20] == [Outcome.STALE] * 20
    assert again[20:] == [Outcome.REPLAYED] * 10
    assert _check(authenticator, unused, now=NOW + 31) is Outcome.STALE


def test_expired_nonces_leave_the_table() -> None:
    authenticator = Authenticator(KEY, REALM)
    for number in range(20):
        assert (
            _check(authenticator, _answer(authenticator.challenge(NOW + number)), now=NOW + number)
            is Outcome.OK
        )
    later = NOW + 20 + NONCE_LIFETIME
    assert _check(authenticator, _answer(authenticator.challenge(later)), now=later) is Outcome.OK
    assert len(authenticator._counts) == 1


def test_secrets_stay_out_of_reprs() -> None:
    authenticator = Authenticator(KEY, REALM)
    header = _answer(authenticator.challenge(NOW))
    assert "kkkk" not in repr(authenticator)
    assert Credentials.parse(header).fields["response"] not in repr(Credentials.parse(header))


@pytest.mark.parametrize(("key", "node"), [(b"short", "0"), (KEY, ""), (KEY, "a.b"), (KEY, "x" * 17)])
def test_weak_keys_and_unfit_names_are_refused(key: bytes, node: str) -> None:
    with pytest.raises(UsageError):
        Authenticator(key, REALM, node=node)
