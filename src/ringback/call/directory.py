"""What routing and admission ask of the installation's configuration, and of its registrations.

The store's read model and the registrar are this; tests give their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ringback.sip.flow import Hop
from ringback.sip.uri import Uri

Row = Mapping[str, Any]


class Carrier(Protocol):
    """A BYOC trunk and where its calls go."""

    @property
    def trunk(self) -> Row:
        """The trunk's row."""

    @property
    def targets(self) -> Sequence[Row]:
        """The enabled targets of its connection policy, in order."""


class Source(Protocol):
    """The carrier that sends from an address."""

    @property
    def trunk(self) -> Row:
        """The trunk's row."""

    @property
    def domain(self) -> Row:
        """The SIP domain that its calls come in by."""


class Credential(Protocol):
    """The digests of one SIP user."""

    @property
    def ha1_md5(self) -> str:
        """MD5 of username:realm:password."""

    @property
    def ha1_sha256(self) -> str:
        """SHA-256 of the same."""


class CredentialLookup(Protocol):
    """The users that a domain lets in; false when it has no list at all."""

    def __bool__(self) -> bool: ...

    def __call__(self, username: str) -> Credential | None: ...


class Directory(Protocol):
    """The configuration, read without waiting."""

    base_domain: str

    def account(self, sid: str) -> Row | None: ...

    def number(self, phone_number: str) -> Row | None: ...

    def may_show(self, account_sid: str, phone_number: str) -> bool: ...

    def application(self, sid: str) -> Row | None: ...

    def domain(self, host: str) -> Row | None: ...

    def domain_by_sid(self, domain_sid: str) -> Row | None: ...

    def default_domain(self) -> Row | None: ...

    def credentials_for(self, domain_sid: str, purpose: str) -> CredentialLookup: ...

    def has_ip_rules(self, domain_sid: str) -> bool: ...

    def lets_in(self, domain_sid: str, ip: str) -> bool: ...

    def trunk(self, sid: str) -> Carrier | None: ...

    def default_trunk(self, account_sid: str) -> Carrier | None: ...

    def trunk_for_source(self, ip: str, port: int) -> Source | None: ...


class Registered(Protocol):
    """One contact of a user, as the registrar knows it."""

    @property
    def target(self) -> Uri:
        """The Request-URI to reach it with."""

    @property
    def received(self) -> Hop:
        """Where it is really reached."""

    @property
    def path(self) -> tuple[str, ...]:
        """The Path it registered through (RFC 3327), first hop first."""

    @property
    def spare(self) -> Sequence[Registered]:
        """Other ways to the same phone (RFC 5626)."""


class Registrations(Protocol):
    """Who is registered."""

    def targets(self, aor: str, now: float) -> Sequence[Registered]: ...
