"""Who may call in (sip.md sections 1, 7 and 8)."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from unit.call.fake_directory import (
    ACCOUNT,
    DOMAIN,
    OTHER_ACCOUNT,
    OURS,
    REALM,
    FakeDirectory,
    Source,
    domain_row,
    number_row,
    trunk_row,
    voice,
)
from unit.sip.virtual_network import make_request

from ringback.call.admission import Admitted, Refused, admit, domain_of, is_own_address, registrar_of
from ringback.sip.authenticator import Authenticator
from ringback.sip.digest import Challenge, answer
from ringback.sip.flow import Flow
from ringback.sip.message import Request

NOW = 1_700_000_000.0
FLOW = Flow("UDP", ("192.0.2.1", 5060), ("192.0.2.99", 5060))
URI = f"sip:100@{DOMAIN}"
HEADERS = (("X-Tenant", "a;b=c"), ("x-lower", "1"), ("User-to-User", "beef;encoding=hex"), ("P-Other", "no"))


def invite(uri: str = URI, **options: object) -> Request:
    return make_request("INVITE", uri=uri, **options)


def decide(
    directory: FakeDirectory,
    request: Request | None = None,
    *,
    user: str = "alice",
    password: str = "Correct-horse-1",
    flow: Flow = FLOW,
    algorithm: str = "MD5",
) -> Admitted | Refused:
    """The decision on an INVITE whose challenge was answered."""
    authenticator = Authenticator(b"k" * 32, REALM)
    request = request or invite(headers=HEADERS)
    challenge = Challenge.parse(authenticator.challenge(NOW, algorithm=algorithm, source=FLOW.remote[0]))
    uri = str(request.uri)
    value = answer(challenge, method="INVITE", uri=uri, username=user, password=password, cnonce="c", nc=1)
    request.add("Proxy-Authorization", value)
    return admit(request, flow, directory, authenticator, NOW)


def error_of(refused: Admitted | Refused) -> str:
    assert isinstance(refused, Refused)
    return dict(refused.headers).get("X-Twilio-Error", "")[:5]


def test_first_invite_is_challenged_with_407() -> None:
    decision = admit(invite(), FLOW, FakeDirectory(), Authenticator(b"k" * 32, REALM), NOW)
    assert isinstance(decision, Refused)
    assert decision.status == 407
    (challenge,) = [value for name, value in decision.headers if name == "Proxy-Authenticate"]
    assert f'realm="{REALM}"' in challenge
    assert decision.note == ""


@pytest.mark.parametrize(
    ("wanted", "algorithm"), [(None, "MD5"), ("MD5", "MD5"), ("SHA-256", "SHA-256"), ("SHA-256,MD5", "MD5")]
)
def test_user_with_the_right_password_comes_in(wanted: str | None, algorithm: str) -> None:
    directory = FakeDirectory(domains={DOMAIN: domain_row(digest_algorithm=wanted)})
    decision = decide(directory, algorithm=algorithm)
    assert isinstance(decision, Admitted)
    assert (decision.account_sid, decision.page.url) == (ACCOUNT, "http://app.test/voice")
    assert decision.to == f"sip:100@{DOMAIN}"
    assert decision.from_ == f"sip:eve@{DOMAIN}"
    assert decision.parameters == {
        "SipDomain": DOMAIN,
        "SipDomainSid": "SD" + "1" * 32,
        "SipCallId": "made-by-hand",
        "SipSourceIp": "192.0.2.99",
        "SipUsername": "alice",
        "SipHeader_X-Tenant": "a;b=c",
        "SipHeader_x-lower": "1",
        "SipHeader_User-to-User": "beef;encoding=hex",
    }
    assert decision.status_callback.events == ("completed",)


@pytest.mark.parametrize(("user", "password"), [("alice", "wrong"), ("mallory", "Correct-horse-1")])
def test_wrong_credentials_are_403_32202(user: str, password: str) -> None:
    refused = decide(FakeDirectory(), user=user, password=password)
    assert error_of(refused) == "32202"
    assert isinstance(refused, Refused)
    assert refused.status == 403


def test_garbled_credentials_are_400() -> None:
    request = invite(headers=(("Proxy-Authorization", "Digest nonsense"),))
    decision = admit(request, FLOW, FakeDirectory(), Authenticator(b"k" * 32, REALM), NOW)
    assert isinstance(decision, Refused)
    assert decision.status in (400, 407)


def test_replayed_credentials_are_challenged_as_stale() -> None:
    authenticator = Authenticator(b"k" * 32, REALM)
    challenge = Challenge.parse(authenticator.challenge(NOW, source=FLOW.remote[0]))
    value = answer(
        challenge, method="INVITE", uri=URI, username="alice", password="Correct-horse-1", cnonce="c", nc=1
    )
    decisions = [
        admit(invite(headers=(("Proxy-Authorization", value),)), FLOW, FakeDirectory(), authenticator, NOW)
        for _ in range(2)
    ]
    assert isinstance(decisions[0], Admitted)
    assert isinstance(decisions[1], Refused)
    assert decisions[1].status == 407
    assert "stale=true" in decisions[1].headers[0][1].lower()


def test_domain_that_asks_for_sha_256_takes_no_md5() -> None:
    directory = FakeDirectory(domains={DOMAIN: domain_row(digest_algorithm="SHA-256")})
    assert error_of(decide(directory, algorithm="MD5")) == "32202"


def test_rfc3261_21_4_26_a_secure_domain_that_refuses_says_what_it_wants() -> None:
    directory = FakeDirectory(domains={DOMAIN: domain_row(secure=True)})
    refused = decide(directory)
    assert error_of(refused) == "32209"
    assert ("Warning", '399 ringback "Secure SIP transport required"') in refused.headers
    assert error_of(decide(directory, flow=Flow("TLS", FLOW.local, FLOW.remote))) == "32208"


def test_rfc3323_5_a_critical_privacy_that_cannot_be_given_gets_500() -> None:
    request = invite(headers=[("Privacy", "id;future"), ("Privacy", "critical")])
    decision = decide(FakeDirectory(), request)
    assert isinstance(decision, Refused)
    assert (decision.status, decision.reason) == (500, "Privacy Failure: future")
    admitted = decide(FakeDirectory(), invite(headers=[("Privacy", "id;critical")]))
    assert isinstance(admitted, Admitted) and admitted.is_withheld


def test_unknown_domain_is_404() -> None:
    decision = decide(FakeDirectory(), invite("sip:100@elsewhere.test"))
    assert isinstance(decision, Refused)
    assert decision.status == 404


@pytest.mark.parametrize("host", ["192.0.2.1", "127.0.0.1", "localhost"])
def test_our_own_address_is_the_default_domain(host: str) -> None:
    decision = decide(FakeDirectory(), invite(f"sip:100@{host}"))
    assert isinstance(decision, Admitted)
    assert decision.to == f"sip:100@{DOMAIN}"


@pytest.mark.parametrize(
    ("host", "local", "own"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.2", "192.0.2.1", False),
        ("203.0.113.5", "0.0.0.0", True),
        ("[2001:db8::1]", "2001:db8::1", True),
        ("[::1]", "192.0.2.1", True),
        ("example.com", "0.0.0.0", False),
    ],
)
def test_is_own_address(host: str, local: str, own: bool) -> None:
    assert is_own_address(host, Flow("UDP", (local, 5060), ("192.0.2.99", 5060))) is own


def test_domain_without_voice_url_is_404_after_authentication() -> None:
    directory = FakeDirectory(domains={DOMAIN: domain_row(voice_url=None)})
    decision = decide(directory)
    assert isinstance(decision, Refused)
    assert decision.status == 404
    first = admit(invite(), FLOW, directory, Authenticator(b"k" * 32, REALM), NOW)
    assert isinstance(first, Refused)
    assert first.status == 407


def test_domain_that_lets_nobody_in() -> None:
    assert error_of(decide(FakeDirectory(users={}))) == "32202"


def test_address_list_alone_needs_no_password() -> None:
    directory = FakeDirectory(users={}, ip_rules=[ip_network("192.0.2.0/24")])
    decision = admit(invite(), FLOW, directory, Authenticator(b"k" * 32, REALM), NOW)
    assert isinstance(decision, Admitted)
    assert "SipUsername" not in decision.parameters
    assert decision.from_ == "sip:eve@192.0.2.99"


def test_address_list_and_password_both_must_pass() -> None:
    inside = FakeDirectory(ip_rules=[ip_network("192.0.2.0/24")])
    outside = FakeDirectory(ip_rules=[ip_network("198.51.100.0/24")])
    assert isinstance(decide(inside), Admitted)
    assert error_of(decide(inside, password="wrong")) == "32202"
    assert error_of(decide(outside)) == "32201"
    assert error_of(decide(FakeDirectory(ip_rules=[]))) == "32201"


def test_domain_of_finds_none_for_a_stranger() -> None:
    assert domain_of(invite("sip:100@elsewhere.test"), FLOW, FakeDirectory()) is None


@pytest.mark.parametrize(
    ("uri", "to"),
    [
        ("tel:+1-500-555-0001", "+15005550001"),
        ("tel:(500)555.0001;phone-context=+1", "5005550001"),
        ("tel:*43", "*43"),
    ],
)
def test_rfc3261_19_1_6_a_number_alone_is_dialed_in_the_domain_of_its_caller(uri: str, to: str) -> None:
    request = invite(uri)
    request.set("From", f"<sip:eve@{DOMAIN}>;tag=x")
    decision = decide(FakeDirectory(), request)
    assert isinstance(decision, Admitted)
    assert decision.to == f"sip:{to}@{DOMAIN}"


def test_a_number_alone_from_elsewhere_finds_no_domain() -> None:
    assert domain_of(invite("tel:+15005550001"), FLOW, FakeDirectory()) is None


# -- carriers ----------------------------------------------------------------------------------------------


def carrier(directory: FakeDirectory, user: str = OURS, **trunk: object) -> Admitted | Refused:
    directory.sources["192.0.2.99"] = Source(trunk_row(**trunk), domain_row())
    request = invite(f"sip:{user}@192.0.2.1", headers=HEADERS)
    request.set("From", "<sip:+442079460123@carrier.test>;tag=x")
    return admit(request, FLOW, directory, Authenticator(b"k" * 32, REALM), NOW)


def test_rfc3261_19_1_6_a_carrier_reaches_a_number_alone() -> None:
    directory = FakeDirectory()
    directory.sources["192.0.2.99"] = Source(trunk_row(), domain_row())
    decision = admit(invite(f"tel:{OURS}"), FLOW, directory, Authenticator(b"k" * 32, REALM), NOW)
    assert isinstance(decision, Admitted)
    assert decision.to == OURS


@pytest.mark.parametrize("user", [OURS, "14155550100", "4155550100"])
def test_carrier_reaches_a_number_of_its_account(user: str) -> None:
    decision = carrier(FakeDirectory(), user)
    assert isinstance(decision, Admitted)
    assert (decision.from_, decision.to) == ("+442079460123", OURS)
    assert decision.page.url == "http://app.test/voice"
    assert decision.phone_number_sid == "PN" + "1" * 32
    assert decision.parameters == {}


@pytest.mark.parametrize("user", ["+14155559999", "hello"])
def test_carrier_to_what_is_not_ours_is_404(user: str) -> None:
    decision = carrier(FakeDirectory(), user)
    assert isinstance(decision, Refused)
    assert decision.status == 404


def test_carrier_of_another_account_cannot_reach_our_number() -> None:
    decision = carrier(FakeDirectory(), account_sid=OTHER_ACCOUNT)
    assert isinstance(decision, Refused)


def test_carrier_to_a_number_with_an_application() -> None:
    directory = FakeDirectory(numbers={OURS: number_row(voice_application_sid="AP1")})
    application = {"sid": "AP1", "status_callback": "http://app.test/s", "status_callback_method": "GET"}
    directory.applications["AP1"] = application | voice("http://app.test/application")
    decision = carrier(directory)
    assert isinstance(decision, Admitted)
    assert decision.page.url == "http://app.test/application"
    assert decision.parameters == {"ApplicationSid": "AP1"}
    assert (decision.status_callback.url, decision.status_callback.method) == ("http://app.test/s", "GET")


def test_carrier_to_a_number_without_voice_url_takes_the_trunks() -> None:
    directory = FakeDirectory(numbers={OURS: number_row(voice_url=None)})
    decision = carrier(directory, voice_url="http://app.test/trunk")
    assert isinstance(decision, Admitted)
    assert decision.page.url == "http://app.test/trunk"
    assert isinstance(carrier(FakeDirectory(numbers={OURS: number_row(voice_url=None)})), Refused)


# -- who calls ------------------------------------------------------------------------------------------------


def from_carrier(*fields: tuple[str, str], from_: str = "<sip:+442079460123@carrier.test>") -> Admitted:
    directory = FakeDirectory()
    directory.sources["192.0.2.99"] = Source(trunk_row(), domain_row())
    request = invite(f"sip:{OURS}@192.0.2.1", headers=fields)
    request.set("From", f"{from_};tag=x")
    decision = admit(request, FLOW, directory, Authenticator(b"k" * 32, REALM), NOW)
    assert isinstance(decision, Admitted)
    return decision


ANONYMOUS = '"Anonymous" <sip:anonymous@anonymous.invalid>'
PAI = ("P-Asserted-Identity", '"Fluffy" <sip:+14085264000@carrier.test>')


@pytest.mark.parametrize(
    ("fields", "from_", "caller"),
    [
        ([], "<sip:+442079460123@carrier.test>", ("+442079460123", "+442079460123", False)),
        ([PAI], "<sip:+442079460123@carrier.test>", ("+442079460123", "+442079460123", False)),
        ([PAI], "<sip:pbx@carrier.test>", ("+14085264000", "+14085264000", False)),
        (
            [("P-Asserted-Identity", "<tel:+14085264000>")],
            "<sip:pbx@carrier.test>",
            ("+14085264000", "+14085264000", False),
        ),
        (
            [("Remote-Party-ID", "<sip:+14085264000@c.test>;party=calling;privacy=off")],
            "<sip:pbx@carrier.test>",
            ("+14085264000", "+14085264000", False),
        ),
        (
            [("Remote-Party-ID", "<sip:+14085264000@c.test>;privacy=full")],
            "<sip:x@carrier.test>",
            ("+266696687", "+14085264000", True),
        ),
        ([PAI, ("Privacy", "id")], ANONYMOUS, ("+266696687", "+14085264000", True)),
        ([("Privacy", "id")], "<sip:+442079460123@c.test>", ("+266696687", "+442079460123", True)),
        ([PAI, ("Privacy", "none")], "<sip:pbx@c.test>", ("+14085264000", "+14085264000", False)),
        ([], ANONYMOUS, ("+266696687", "", True)),
        ([], "<sip:Restricted@carrier.test>", ("+7378742833", "", True)),
        ([], "<sip:unavailable@carrier.test>", ("+86282452253", "", True)),
        ([], "<sip:desk@carrier.test>", ("desk", "", False)),
    ],
)
def test_rfc3325_5_the_caller_of_a_carrier(
    fields: list[tuple[str, str]], from_: str, caller: tuple[str, str, bool]
) -> None:
    found = from_carrier(*fields, from_=from_)
    assert (found.from_, found.asserted, found.is_withheld) == caller


def test_rfc3325_5_a_user_asserts_nothing_and_may_ask_for_privacy() -> None:
    for fields, withheld in [([PAI], False), ([PAI, ("Privacy", "id")], True)]:
        decision = decide(FakeDirectory(), invite(headers=fields))
        assert isinstance(decision, Admitted)
        assert (decision.asserted, decision.is_withheld) == ("", withheld)
        assert "4085264000" not in repr(decision)


SHOP = "shop.example"


@pytest.mark.parametrize(
    ("asked", "to", "found"),
    [
        (f"sip:{DOMAIN}", DOMAIN, DOMAIN),
        (f"sip:{SHOP}", SHOP.upper(), SHOP),
        (f"sip:{DOMAIN}", SHOP, None),
        (f"sip:{DOMAIN}", "elsewhere.example", None),
        ("sip:192.0.2.1", "192.0.2.1", DOMAIN),  # the default one
        ("sip:192.0.2.1:5060", DOMAIN, DOMAIN),
        (f"sip:{DOMAIN}", "192.0.2.1", DOMAIN),
        ("sip:192.0.2.1", SHOP, SHOP),  # a phone that knows the domain, and a server without a name
        (f"sip:{SHOP}", "192.0.2.1", None),
        ("sip:192.0.2.1", "elsewhere.example", None),
        ("sip:192.0.2.44", SHOP, None),
        ("sip:elsewhere.example", "elsewhere.example", None),
    ],
)
def test_rfc3261_10_3_an_address_of_record_is_of_the_domain_that_is_asked(
    asked: str, to: str, found: str | None
) -> None:
    rows = {DOMAIN: domain_row(), SHOP: domain_row(SHOP, sid="SD" + "2" * 32)}
    request = make_request("REGISTER", uri=asked)
    request.set("To", f"<sip:alice@{to}>")
    domain = registrar_of(request, FLOW, FakeDirectory(domains=rows))
    assert (None if domain is None else domain["domain_name"]) == found
