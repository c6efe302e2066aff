"""Identifiers and secrets."""

import json

import pytest

from ringback.store import Secret, derived_sid, digests, new_auth_token, new_sid
from ringback.store.sids import SID


def test_a_sid_is_its_prefix_and_32_hexadecimal_digits() -> None:
    made = {new_sid("CA") for _ in range(100)}
    assert len(made) == 100
    assert all(SID.fullmatch(sid) and sid.startswith("CA") for sid in made)


@pytest.mark.parametrize("prefix", ["", "C", "CAL", "ca", "ÄÖ"])
def test_a_wrong_prefix_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        new_sid(prefix)


def test_a_derived_sid_depends_on_each_part_and_on_where_it_ends() -> None:
    assert derived_sid("RG", "a", "b") == derived_sid("RG", "a", "b")
    assert derived_sid("RG", "a", "b") != derived_sid("RG", "ab", "")
    assert SID.fullmatch(derived_sid("RG", "bob@x", "sip:bob@\udcff"))


def test_a_secret_is_masked_when_printed_and_whole_when_used() -> None:
    token = new_auth_token()
    assert token not in repr({"auth_token": token})
    assert json.loads(json.dumps({"t": token}))["t"] == str(token)
    assert len(token.encode()) == 32


def test_digests_are_the_examples_of_rfc_7616_section_3_9_1() -> None:
    # Sections 3.9.1: user Mufasa, realm http-auth@example.org, password Circle of Life; HA1 as of the
    # published responses: response = H(HA1:nonce:nc:cnonce:qop:H(GET:/dir/index.html)).
    import hashlib

    md5, sha256 = digests("Mufasa", "http-auth@example.org", "Circle of Life")
    tail = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v:00000001:f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ:auth"
    ha2 = hashlib.md5(b"GET:/dir/index.html").hexdigest()
    assert hashlib.md5(f"{md5}:{tail}:{ha2}".encode()).hexdigest() == "8ca523f5e9506fed4657c9700eebdbec"
    ha2 = hashlib.sha256(b"GET:/dir/index.html").hexdigest()
    assert (
        hashlib.sha256(f"{sha256}:{tail}:{ha2}".encode()).hexdigest()
        == "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
    )
    assert "***" in repr(digests("a", "b", "c"))
    assert isinstance(md5, Secret)
