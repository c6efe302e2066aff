"""SIP torture test messages for IPv6, RFC 5118 section 4."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringback.sip.errors import SipSyntaxError
from ringback.sip.message import Request, parse

CORPUS = Path(__file__).parents[3] / "shared" / "corpora" / "rfc5118"
EXPECTED = CORPUS / "expected.tsv"


def _table() -> list[tuple[str, str]]:
    if not EXPECTED.exists():
        return []
    rows = [line.split("\t") for line in EXPECTED.read_text().splitlines() if not line.startswith("#")]
    return [(row[0], row[1]) for row in rows[1:]]


TABLE = _table()
pytestmark = pytest.mark.skipif(not TABLE, reason="no corpus of RFC 5118 beside the repository")


def _request(name: str) -> Request:
    message = parse((CORPUS / name).read_bytes())
    assert isinstance(message, Request)
    return message


def test_all_messages_are_there() -> None:
    assert len(TABLE) == 12


@pytest.mark.parametrize(("name", "verdict"), TABLE)
def test_rfc5118_verdict(name: str, verdict: str) -> None:
    if verdict == "reject":
        with pytest.raises(SipSyntaxError) as caught:
            _request(name)
        assert caught.value.status == 400
        return
    message = _request(name)
    message.validate()
    assert parse(message.render()).headers[:-1] == [h for h in message.headers if h[0] != "Content-Length"]


def test_rfc5118_4_1_a_reference_has_no_port() -> None:
    uri = _request("ipv6-good").uri
    assert (uri.host, uri.port) == ("2001:db8::10", None)


def test_rfc5118_4_3_the_port_belongs_to_the_address() -> None:
    uri = _request("port-ambiguous").uri
    assert (uri.host, uri.port) == ("2001:db8::10:5070", None)


def test_rfc5118_4_4_the_port_follows_the_bracket() -> None:
    uri = _request("port-unambiguous").uri
    assert (uri.host, uri.port) == ("2001:db8::10", 5070)


@pytest.mark.parametrize("name", ["via-received-param-with-delim", "via-received-param-no-delim"])
def test_rfc5118_4_5_received_with_and_without_brackets(name: str) -> None:
    assert _request(name).via.received == "2001:db8::9:255"


def test_rfc5118_4_7_addresses_of_both_families() -> None:
    vias = _request("mult-ip-in-header").vias
    assert [via.sent_by for via in vias] == [
        "[2001:db8::9:1]:6050",
        "192.0.2.1:5060",
        "[2001:db8::9:255]:5060",
    ]


def test_rfc5118_4_9_ipv4_mapped_addresses() -> None:
    message = _request("ipv4-mapped-ipv6")
    assert message.contacts[0].uri.host == "::ffff:192.0.2.2"
    assert message.via.sent_by == "[::ffff:192.0.2.10]:19823"


@pytest.mark.parametrize("name", ["ipv6-bug-abnf-3-colons", "ipv6-correct-abnf-2-colons"])
def test_rfc5118_4_10_three_colons_of_the_old_grammar(name: str) -> None:
    assert _request(name).uri.host.startswith("2001:db8::")
