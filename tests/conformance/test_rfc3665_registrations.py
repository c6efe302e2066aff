"""The registrations of RFC 3665 section 2, in the RFC's own messages: we are the SIP server."""

from __future__ import annotations

from conformance.rfc_flows import messages
from unit.call.fake_directory import FakeDirectory, domain_row

from ringback.call.admission import Refused, authenticate
from ringback.sip.authenticator import Authenticator
from ringback.sip.flow import Flow
from ringback.sip.headers import parse_name_addrs
from ringback.sip.message import Request, Response
from ringback.sip.registrar import Registered, Registrar

NOW = 1_000_000.0
BOB = "bob@biloxi.example.com"
FLOW = Flow("TLS", ("192.0.2.222", 5061), ("192.0.2.201", 5061), 1)


def register(registrar: Registrar, request: Request | Response) -> Registered:
    assert isinstance(request, Request)
    return registrar.register(BOB, request, FLOW, NOW)


def bob_is_registered() -> Registrar:
    """By the RFC's message, from another run of his phone."""
    registrar = Registrar()
    request = messages("rfc3665/2.01")[2]
    request.set("Call-ID", "before")
    assert register(registrar, request).status == 200
    return registrar


def agrees(registered: Registered, rfc: Request | Response) -> None:
    """The contacts are those of the RFC's answer; of their times only ours is for less than 2**32 seconds."""
    ours = parse_name_addrs([value for name, value in registered.headers if name == "Contact"])
    assert isinstance(rfc, Response)
    assert registered.status == rfc.status
    assert {str(each.uri) for each in ours} == {str(each.uri) for each in rfc.contacts}
    for each in rfc.contacts:
        (same,) = [contact for contact in ours if contact.uri == each.uri]
        assert same.expires == min(each.expires or 0, 3600)


def test_rfc3665_2_1_a_new_registration_is_taken() -> None:
    flow, registrar = messages("rfc3665/2.01"), Registrar()
    agrees(register(registrar, flow[2]), flow[3])


def test_rfc3665_2_2_another_contact_is_added_and_not_called() -> None:
    registrar, (request, answer) = bob_is_registered(), messages("rfc3665/2.02")
    agrees(register(registrar, request), answer)
    called = [str(each.target) for each in registrar.targets(BOB, NOW)]
    assert called == ["sips:bob@client.biloxi.example.com"]  # nobody can be called by mailto:


def test_rfc3665_2_3_contacts_are_asked_for() -> None:
    registrar = bob_is_registered()
    register(registrar, messages("rfc3665/2.02")[0])
    request, answer = messages("rfc3665/2.03")
    agrees(register(registrar, request), answer)


def test_rfc3665_2_4_all_contacts_are_cancelled() -> None:
    registrar, (request, answer) = bob_is_registered(), messages("rfc3665/2.04")
    agrees(register(registrar, request), answer)
    assert registrar.count == 0


def test_rfc3665_2_5_who_answers_no_challenge_of_ours_is_challenged_again() -> None:
    first, challenge, second, _ = messages("rfc3665/2.05")
    domain = domain_row("ss2.biloxi.example.com")
    authenticator = Authenticator(bytes(16), "atlanta.example.com")
    outcomes = []
    for request in (first, second):
        assert isinstance(request, Request)
        directory = FakeDirectory(users={"bob": "zanzibar"})
        refused = authenticate(request, FLOW, domain, "registrations", directory, authenticator, NOW)
        assert isinstance(refused, Refused)
        outcomes.append((refused.status, refused.is_wrong_password, [name for name, _ in refused.headers]))
    assert outcomes == [(407, False, ["Proxy-Authenticate"])] * 2  # Twilio's 407 where the RFC has 401
    assert 'realm="atlanta.example.com"' in authenticator.challenge(NOW)
    assert 'realm="atlanta.example.com"' in (challenge.get("WWW-Authenticate") or "")
