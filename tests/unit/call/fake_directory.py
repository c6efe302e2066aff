"""An installation's configuration for tests of routing and admission: rows in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

from ringback.sip.digest import ha1
from ringback.sip.flow import Hop
from ringback.sip.uri import Uri

ACCOUNT = "AC" + "a" * 32
OTHER_ACCOUNT = "AC" + "b" * 32
OURS = "+14155550100"
"""The account's own number."""
VERIFIED = "+14155550199"
DOMAIN = "office.ringback.localhost"
REALM = "sip.twilio.com"


@dataclass
class Carrier:
    trunk: dict[str, Any]
    targets: list[dict[str, Any]]


@dataclass
class Source:
    trunk: dict[str, Any]
    domain: dict[str, Any]


@dataclass
class Credential:
    ha1_md5: str
    ha1_sha256: str


class Users:
    """The credentials of a domain, by user name."""

    def __init__(self, passwords: dict[str, str]) -> None:
        self._passwords = passwords

    def __bool__(self) -> bool:
        return bool(self._passwords)

    def __call__(self, username: str) -> Credential | None:
        password = self._passwords.get(username)
        if password is None:
            return None
        digests = [ha1(username, REALM, password, algorithm) for algorithm in ("MD5", "SHA-256")]
        return Credential(*digests)


def voice(url: str | None = "http://app.test/voice", **changes: Any) -> dict[str, Any]:
    """The voice fields of a row."""
    row = {
        "voice_url": url,
        "voice_method": "POST",
        "voice_fallback_url": None,
        "voice_fallback_method": None,
    }
    return {**row, **changes}


def domain_row(name: str = DOMAIN, **changes: Any) -> dict[str, Any]:
    """A SIP domain."""
    row = {
        "sid": "SD" + "1" * 32,
        "account_sid": ACCOUNT,
        "domain_name": name,
        "voice_status_callback_url": None,
        "voice_status_callback_method": None,
        "sip_registration": True,
        "secure": False,
        "digest_algorithm": None,
        **voice(),
    }
    return {**row, **changes}


def target_row(target: str, *, priority: int = 10, weight: int = 10) -> dict[str, Any]:
    """A target of a connection policy."""
    return {"target": target, "priority": priority, "weight": weight}


def trunk_row(**changes: Any) -> dict[str, Any]:
    """A BYOC trunk."""
    row = {
        "sid": "BY" + "1" * 32,
        "account_sid": ACCOUNT,
        "friendly_name": "carrier",
        "from_domain_sid": None,
        **voice(None),
    }
    return {**row, **changes}


def number_row(phone_number: str = OURS, **changes: Any) -> dict[str, Any]:
    """An incoming phone number."""
    row = {
        "sid": "PN" + "1" * 32,
        "account_sid": ACCOUNT,
        "phone_number": phone_number,
        "status_callback": None,
        "status_callback_method": None,
        "voice_application_sid": None,
        **voice(),
    }
    return {**row, **changes}


@dataclass
class FakeDirectory:
    """A directory with one account, one number, one domain with user alice, and one carrier."""

    base_domain: str = "ringback.localhost"
    accounts: dict[str, dict[str, Any]] = field(default_factory=lambda: {ACCOUNT: {"country": "US"}})
    numbers: dict[str, dict[str, Any]] = field(default_factory=lambda: {OURS: number_row()})
    verified: set[str] = field(default_factory=lambda: {VERIFIED})
    applications: dict[str, dict[str, Any]] = field(default_factory=dict)
    domains: dict[str, dict[str, Any]] = field(default_factory=lambda: {DOMAIN: domain_row()})
    default: str = DOMAIN
    users: dict[str, str] = field(default_factory=lambda: {"alice": "Correct-horse-1"})
    ip_rules: list[IPv4Network | IPv6Network] | None = None
    carriers: dict[str, Carrier] = field(
        default_factory=lambda: {
            trunk_row()["sid"]: Carrier(trunk_row(), [target_row("sip:sandbox.test;transport=tcp")])
        }
    )
    sources: dict[str, Source] = field(default_factory=dict)

    def account(self, sid: str) -> dict[str, Any] | None:
        return self.accounts.get(sid)

    def number(self, phone_number: str) -> dict[str, Any] | None:
        return self.numbers.get(phone_number)

    def may_show(self, account_sid: str, phone_number: str) -> bool:
        owned = self.numbers.get(phone_number, {}).get("account_sid") == account_sid
        return owned or (phone_number in self.verified and account_sid == ACCOUNT)

    def application(self, sid: str) -> dict[str, Any] | None:
        return self.applications.get(sid)

    def domain(self, host: str) -> dict[str, Any] | None:
        return self.domains.get(host.lower())

    def domain_by_sid(self, domain_sid: str) -> dict[str, Any] | None:
        return next((row for row in self.domains.values() if row["sid"] == domain_sid), None)

    def default_domain(self) -> dict[str, Any] | None:
        return self.domains.get(self.default)

    def credentials_for(self, domain_sid: str, purpose: str) -> Users:
        return Users(self.users)

    def has_ip_rules(self, domain_sid: str) -> bool:
        return self.ip_rules is not None

    def lets_in(self, domain_sid: str, ip: str) -> bool:
        return any(ip_address(ip) in network for network in self.ip_rules or [])

    def trunk(self, sid: str) -> Carrier | None:
        return self.carriers.get(sid)

    def default_trunk(self, account_sid: str) -> Carrier | None:
        return next((c for c in self.carriers.values() if c.trunk["account_sid"] == account_sid), None)

    def trunk_for_source(self, ip: str, port: int) -> Source | None:
        return self.sources.get(ip)


@dataclass
class Contact:
    """A registered contact."""

    target: Uri
    received: Hop
    path: tuple[str, ...] = ()
    spare: tuple[Contact, ...] = ()


@dataclass
class FakeRegistrations:
    """Who is registered: alice, on one phone, unless told otherwise."""

    contacts: dict[str, list[Contact]] = field(
        default_factory=lambda: {
            f"alice@{DOMAIN}": [Contact(Uri.parse("sip:alice@10.0.0.7:5062"), Hop("UDP", "192.0.2.7", 5062))]
        }
    )

    def targets(self, aor: str, now: float) -> list[Contact]:
        return self.contacts.get(aor, [])
