"""Registrations of PJSIP phones: transports, refusals, limits, and what a registration is for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from peers.exchange import ALICE, Exchange, exchange
from peers.pjsip import Phone, header, require_pjsip

require_pjsip()


@pytest.fixture(scope="module")
def ringback(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("registration")) as running:
        yield running


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_a_registered_phone_is_rung_until_it_unregisters(ringback: Exchange, transport: str) -> None:
    with Phone(ringback.server, "alice", ringback.folder, transport=transport) as phone:
        answer = phone.register()
        assert (answer["status"], answer["expires"]) == (200, 600)
        outcome = ringback.call_from_outside(ALICE)
        incoming = phone.incoming()
        assert header(incoming["text"], "Via").startswith(f"SIP/2.0/{transport.upper()}")
        assert header(incoming["text"], "To") == f"<sip:alice@{ringback.server.domain}>"
        phone.tell("answer", call=incoming["call"])
        assert outcome.result(20)["status"] == "answered"
        phone.tell("hangup", call=incoming["call"])
        phone.inbox.expect("state", call=incoming["call"], state="DISCONNECTED")
        assert phone.unregister()["status"] == 200
        result = ringback.call_from_outside(ALICE).result(20)
        assert phone.inbox.take("incoming", 0) is None
        assert any("nobody is registered" in line for line in ringback.timeline(result["sid"])), result


def test_the_phone_s_own_certificate_check_passes_with_the_server_s_certificate(ringback: Exchange) -> None:
    certificate = ringback.server.directory / "data" / "tls"
    files = [file for file in certificate.iterdir() if b"BEGIN CERTIFICATE" in file.read_bytes()]
    with Phone(ringback.server, "bob", ringback.folder, transport="tls", trusts=files[0]) as phone:
        assert phone.register()["status"] == 200


def test_a_certificate_of_somebody_else_is_refused_by_the_phone(ringback: Exchange) -> None:
    import trustme

    file = ringback.folder / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(file))
    with Phone(ringback.server, "bob", ringback.folder, transport="tls", trusts=file) as phone:
        assert phone.register()["status"] == 503


def test_a_wrong_password_is_forbidden(ringback: Exchange) -> None:
    with Phone(ringback.server, "alice", ringback.folder, password="Wrong-Horse-7-at-all") as phone:
        answer = phone.register()
        assert answer["status"] == 403
        assert header(answer["text"], "X-Twilio-Error").startswith("32202 ")
        assert phone.call("+15005550001").ended() == 403


def test_an_unknown_user_is_forbidden(ringback: Exchange) -> None:
    with Phone(ringback.server, "mallory", ringback.folder) as phone:
        assert phone.register()["status"] == 403


def test_an_unknown_domain_is_not_found(ringback: Exchange) -> None:
    with Phone(ringback.server, "alice", ringback.folder, domain="elsewhere.example") as phone:
        assert phone.register()["status"] == 404
        assert phone.call("bob").ended() == 404


def test_a_domain_without_registration_says_so(ringback: Exchange) -> None:
    domain = ringback.domain("<Reject/>")
    with Phone(ringback.server, "alice", ringback.folder, domain=domain) as phone:
        answer = phone.register()
        assert answer["status"] == 403
        assert header(answer["text"], "X-Twilio-Error").startswith("32210 ")


def test_a_domain_that_lets_nobody_in_takes_no_call(ringback: Exchange) -> None:
    domain = ringback.domain("<Reject/>", credentials=False)
    with Phone(ringback.server, "alice", ringback.folder, domain=domain) as phone:
        assert phone.call("bob").ended() == 403
    assert not ringback.hooks.asked(ringback.hook_of(domain))


def test_a_short_interval_is_refused_and_the_phone_takes_the_least(ringback: Exchange) -> None:
    with Phone(ringback.server, "bob", ringback.folder, expires=60) as phone:
        answer = phone.register()
        assert (answer["status"], answer["expires"]) == (200, 600)
        phone.unregister()


def test_a_long_interval_is_cut(ringback: Exchange) -> None:
    with Phone(ringback.server, "bob", ringback.folder, expires=7200) as phone:
        answer = phone.register()
        assert (answer["status"], answer["expires"]) == (200, 3600)
        phone.unregister()


def test_the_eleventh_contact_is_refused(ringback: Exchange) -> None:
    domain = ringback.domain("<Reject/>", registration=True)
    statuses = []
    for ports in (range(7001, 7007), range(7007, 7012)):
        with Phone(ringback.server, "alice", ringback.folder, domain=domain) as phone:
            for port in ports:  # PJSIP has room for eight accounts
                phone.account(contact=f"<sip:alice@127.0.0.1:{port}>", instance="none")
                statuses.append(phone.register()["status"])
            phone.abandon()
    assert statuses == [200] * 10 + [403]


def test_the_same_instance_on_another_flow_takes_the_place_of_the_first(ringback: Exchange) -> None:
    domain = ringback.domain("<Reject/>", registration=True)
    instance = "00000000-0000-4000-8000-00000000cafe"
    contacts = []
    for _ in range(2):
        with Phone(
            ringback.server, "bob", ringback.folder, transport="tcp", domain=domain, instance=instance
        ) as phone:
            contacts.append(phone.register()["text"].count("Contact:"))
    assert contacts == [1, 1]
