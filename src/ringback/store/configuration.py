"""The configuration as the call path sees it: in memory, synchronous, dictionary look-ups only.

Every write of the store changes it before the write call returns. Rows are to be read, not changed.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, NamedTuple

from ringback.store.index import MemoryTable
from ringback.store.rows import Row
from ringback.store.sids import Secret
from ringback.store.tables import CONFIGURATION

Stored = Mapping[str, Any]
Network = IPv4Network | IPv6Network

ADDRESSES_KEPT = 10_000
"""Addresses whose verdicts are remembered until the configuration changes; then all are forgotten."""

EDGES = frozenset(
    "ashburn umatilla dublin frankfurt singapore tokyo sao-paulo sydney us1 us2 ie1 de1 sg1 jp1 br1 au1".split()
)
"""Labels that Twilio puts behind `.sip` to name an edge; with us they all mean this server."""


class Credential(NamedTuple):
    """What digest authentication needs of a SIP user."""

    ha1_md5: Secret
    ha1_sha256: Secret
    sid: str


class CredentialLookup:
    """Users of the lists that a domain has for calls or for registrations: call it with a user name.

    It is false when no list is mapped at all, which is not the same as a list without that user.
    """

    __slots__ = ("_find", "_found", "lists")

    def __init__(self, lists: tuple[str, ...], find: Callable[[Hashable], Row | None]) -> None:
        self.lists = lists
        self._find = find
        self._found: dict[str, Credential] = {}  # a lookup lives until anything of the configuration changes

    def __bool__(self) -> bool:
        return bool(self.lists)

    def __call__(self, username: str) -> Credential | None:
        """Return the digests of the first list that has this very user name."""
        found = self._found.get(username)
        if found is not None:
            return found
        for list_sid in self.lists:
            row = self._find((list_sid, username))
            if row is not None:
                found = Credential(row["ha1_md5"], row["ha1_sha256"], row["sid"])
                if len(self._found) < ADDRESSES_KEPT:
                    self._found[username] = found
                return found
        return None


class Carrier(NamedTuple):
    """A BYOC trunk with its enabled targets in the order of RFC 2782: priority, then weight downwards.

    Targets of one priority are for the caller to draw by weight.
    """

    trunk: Stored
    targets: tuple[Stored, ...]


class Source(NamedTuple):
    """Who sends from an address: the trunk and the SIP domain that the address is mapped to."""

    trunk: Stored
    domain: Stored


class Configuration:
    """The read model; the store feeds it."""

    def __init__(self, base_domain: str) -> None:
        self.base_domain = base_domain.rstrip(".").lower()
        self.default_domain_sid: str | None = None
        self._tables = {name: MemoryTable(**_KEYS.get(name, {})) for name in CONFIGURATION}
        self._networks: dict[str, list[Network]] = {}
        self._records: list[tuple[Network, int | None, str]] | None = None
        self._senders: dict[tuple[str, int], Source | None] = {}
        self._let_in: dict[tuple[str, str], bool] = {}
        self._lists: dict[tuple[str, str], tuple[str, ...]] = {}
        self._lookups: dict[tuple[str, str], CredentialLookup] = {}

    # --- fed by the store -------------------------------------------------------------------------

    def load(self, table: str, rows: Iterable[Row]) -> None:
        """Replace a table's rows, oldest first."""
        self._tables[table].load(rows)
        self._forget(table)

    def put(self, table: str, row: Row) -> None:
        """Take a row that was inserted or updated."""
        self._tables[table].put(row)
        self._forget(table)

    def drop(self, table: str, sid: str) -> None:
        """Forget a row that was deleted."""
        self._tables[table].drop(sid)
        self._forget(table)

    def _forget(self, table: str) -> None:
        self._senders.clear()
        self._let_in.clear()
        self._lists.clear()
        self._lookups.clear()
        if table == "sip_ip_addresses":
            self._networks.clear()
        elif table == "ip_records":
            self._records = None

    def _rows(self, table: str) -> dict[str, Row]:
        return self._tables[table].rows

    # --- accounts ---------------------------------------------------------------------------------

    def account(self, sid: str) -> Stored | None:
        """Return an account, with its auth token (masked in its repr)."""
        return self._rows("accounts").get(sid)

    def accounts(self) -> list[Stored]:
        """Return all accounts, oldest first."""
        return list(self._rows("accounts").values())

    def api_key(self, sid: str) -> Stored | None:
        """Return an API key: `secret_sha256` is the hexadecimal SHA-256 of its secret."""
        return self._rows("api_keys").get(sid)

    def application(self, sid: str) -> Stored | None:
        """Return a TwiML application."""
        return self._rows("applications").get(sid)

    def bin(self, sid_or_name: str) -> Stored | None:
        """Return a TwiML Bin by its sid, else the oldest of that friendly name."""
        table = self._tables["twiml_bins"]
        return table.rows.get(sid_or_name) or table["name"].first(sid_or_name)

    # --- numbers ----------------------------------------------------------------------------------

    def number(self, phone_number: str) -> Stored | None:
        """Return the incoming phone number row of an E.164 number."""
        return self._tables["incoming_phone_numbers"]["phone_number"].first(phone_number)

    def numbers(self, account_sid: str) -> list[Stored]:
        """Return an account's numbers, oldest first."""
        return [*self._tables["incoming_phone_numbers"]["account"].all(account_sid)]

    def caller_ids(self, account_sid: str) -> list[str]:
        """Return the E.164 numbers that the account may show: its own, then the verified ones."""
        rows = self._tables["incoming_phone_numbers"]["account"].all(account_sid)
        rows += self._tables["outgoing_caller_ids"]["account"].all(account_sid)
        return list(dict.fromkeys(row["phone_number"] for row in rows))

    def may_show(self, account_sid: str, phone_number: str) -> bool:
        """Tell whether the account owns or has verified this number."""
        return self.caller_id(account_sid, phone_number) is not None

    def caller_id(self, account_sid: str, phone_number: str) -> Stored | None:
        """Return the account's number, or what says that it has verified this one."""
        owned = self.number(phone_number)
        if owned is not None and owned["account_sid"] == account_sid:
            return owned
        return self._tables["outgoing_caller_ids"]["number"].first((account_sid, phone_number))

    # --- SIP domains ------------------------------------------------------------------------------

    def domain(self, host: str) -> Stored | None:
        """Return the SIP domain of a host name without port: its own, localized to an edge, or the base domain."""
        name = host.rstrip(".").lower()
        names = self._tables["sip_domains"]["name"]
        found = names.first(name)
        if found is not None:
            return found
        if name in (self.base_domain, f"sip.{self.base_domain}"):
            return self.default_domain()
        before, sip, behind = name.partition(".sip.")
        edge, _, rest = behind.partition(".")
        return names.first(f"{before}.sip.{rest}") if sip and edge in EDGES else None

    def domain_by_sid(self, sid: str) -> Stored | None:
        """Return a SIP domain by its sid."""
        return self._rows("sip_domains").get(sid)

    def default_domain(self) -> Stored | None:
        """Return the domain of requests to the server's own address: the one set, else the oldest for phones."""
        rows = self._rows("sip_domains")
        chosen = rows.get(self.default_domain_sid or "")
        return chosen or next((row for row in rows.values() if row["byoc_trunk_sid"] is None), None)

    def full_domain_name(self, name: str) -> str:
        """Return a host name for a domain: a bare name gets `.sip.` and the server's base domain."""
        name = name.rstrip(".").lower()
        return name if "." in name else f"{name}.sip.{self.base_domain}"

    def credentials_for(self, domain_sid: str, purpose: str) -> CredentialLookup:
        """Return the users who may call ("calls") or register ("registrations") at a domain."""
        lookup = self._lookups.get((domain_sid, purpose))
        if lookup is None:
            lists = self._mapped(domain_sid, f"{purpose}_credential_list")
            lookup = CredentialLookup(lists, self._tables["sip_credentials"]["user"].first)
            if len(self._lookups) < ADDRESSES_KEPT:
                self._lookups[domain_sid, purpose] = lookup
        return lookup

    def has_ip_rules(self, domain_sid: str) -> bool:
        """Tell whether an access control list is mapped: an empty one lets nobody in."""
        return bool(self._mapped(domain_sid, "calls_ip_access_control_list"))

    def ip_rules_for(self, domain_sid: str) -> list[Network]:
        """Return the networks that may call a domain, of all its access control lists."""
        rules: list[Network] = []
        for list_sid in self._mapped(domain_sid, "calls_ip_access_control_list"):
            networks = self._networks.get(list_sid)
            if networks is None:
                rows = self._tables["sip_ip_addresses"]["list"].all(list_sid)
                networks = [network for row in rows if (network := _network(row)) is not None]
                self._networks[list_sid] = networks
            rules += networks
        return rules

    def lets_in(self, domain_sid: str, ip: str) -> bool:
        """Tell whether the access control lists of a domain let calls from this address in."""
        key = (domain_sid, ip)
        found = self._let_in.get(key)
        if found is None:
            if len(self._let_in) >= ADDRESSES_KEPT:
                self._let_in.clear()
            try:
                address = ip_address(ip.partition("%")[0])
            except ValueError:
                return False
            found = any(address in network for network in self.ip_rules_for(domain_sid))
            self._let_in[key] = found
        return found

    def auth_type(self, domain_sid: str) -> str:
        """Return a domain's `auth_type` as Twilio computes it: "", "IP_ACL", "CREDENTIAL_LIST" or both."""
        kinds = (("CREDENTIAL_LIST", "calls_credential_list"), ("IP_ACL", "calls_ip_access_control_list"))
        return ",".join(word for word, kind in kinds if self._mapped(domain_sid, kind))

    def _mapped(self, domain_sid: str, kind: str) -> tuple[str, ...]:
        key = (domain_sid, kind)
        found = self._lists.get(key)
        if found is None:
            rows = self._tables["sip_domain_mappings"]["domain"].all(key)
            found = tuple(row["list_sid"] for row in rows)
            if len(self._lists) < ADDRESSES_KEPT:
                self._lists[key] = found
        return found

    # --- carriers ---------------------------------------------------------------------------------

    def trunk(self, sid: str) -> Carrier | None:
        """Return a BYOC trunk with its targets."""
        row = self._rows("byoc_trunks").get(sid)
        return None if row is None else Carrier(row, self._targets(row["connection_policy_sid"]))

    def default_trunk(self, account_sid: str) -> Carrier | None:
        """Return the carrier of calls that name none: the account's choice, its oldest, else its owner's."""
        account = self.account(account_sid)
        if account is None:
            return None
        for sid in (account_sid, account["owner_account_sid"]):
            choice = (self.account(sid or "") or {}).get("default_byoc_trunk_sid")
            chosen = self._rows("byoc_trunks").get(choice or "") or self._tables["byoc_trunks"][
                "account"
            ].first(sid)
            if chosen is not None:
                return self.trunk(chosen["sid"])
        return None

    def _targets(self, policy_sid: str | None) -> tuple[Stored, ...]:
        rows = self._tables["connection_policy_targets"]["policy"].all(policy_sid)
        rows.sort(key=lambda row: (row["priority"], -row["weight"]))
        return tuple(row for row in rows if row["enabled"])

    def trunk_for_source(self, ip: str, port: int) -> Source | None:
        """Return whose carrier sends from this address, by IP records mapped to domains that have a trunk.

        The most exact record wins: one with this port before one for any port, then the longest prefix.
        """
        if not self._sources():
            return None
        key = (ip, port)
        if key not in self._senders:
            if len(self._senders) >= ADDRESSES_KEPT:
                self._senders.clear()
            self._senders[key] = self._find_sender(ip, port)
        return self._senders[key]

    def _find_sender(self, ip: str, port: int) -> Source | None:
        try:
            address = ip_address(ip)
        except ValueError:
            return None
        mappings = self._tables["source_ip_mappings"]["record"]
        for network, of_port, record_sid in self._sources():
            if of_port not in (None, port) or address not in network:
                continue
            for mapping in mappings.all(record_sid):
                domain = self.domain_by_sid(mapping["sip_domain_sid"])
                trunk = self._rows("byoc_trunks").get((domain or {}).get("byoc_trunk_sid") or "")
                if domain is not None and trunk is not None:
                    return Source(trunk, domain)
        return None

    def carrier_targets(self) -> list[Stored]:
        """Return where calls to carriers may go, of all connection policies."""
        return list(self._rows("connection_policy_targets").values())

    def ip_records(self) -> list[Stored]:
        """Return the addresses that carriers send from, oldest first."""
        return list(self._rows("ip_records").values())

    def _sources(self) -> list[tuple[Network, int | None, str]]:
        if self._records is None:
            rows = self._rows("ip_records").values()
            found = [
                (network, row["port"], row["sid"]) for row in rows if (network := _network(row)) is not None
            ]
            self._records = sorted(found, key=lambda record: (record[1] is None, -record[0].prefixlen))
        return self._records


def _network(row: Stored) -> Network | None:
    """Return the network of a row with `ip_address` and `cidr_prefix_length`; None for what is no address."""
    try:
        address = ip_address(row["ip_address"])
        prefix = row["cidr_prefix_length"]
        whole = address.max_prefixlen if prefix is None else min(prefix, address.max_prefixlen)
        return ip_network((address, whole), strict=False)
    except ValueError:
        return None


def _by(*names: str) -> Callable[[Stored], Hashable]:
    """Return the function that takes these columns from a row: the value, or a tuple of them."""
    if len(names) == 1:
        return lambda row: row[names[0]]
    return lambda row: tuple(row[name] for name in names)


_KEYS: dict[str, dict[str, Callable[[Stored], Hashable]]] = {
    "incoming_phone_numbers": {"phone_number": _by("phone_number"), "account": _by("account_sid")},
    "outgoing_caller_ids": {"account": _by("account_sid"), "number": _by("account_sid", "phone_number")},
    "sip_domains": {"name": _by("domain_name")},
    "sip_credentials": {"user": _by("credential_list_sid", "username")},
    "sip_ip_addresses": {"list": _by("ip_access_control_list_sid")},
    "sip_domain_mappings": {"domain": _by("domain_sid", "kind")},
    "connection_policy_targets": {"policy": _by("connection_policy_sid")},
    "byoc_trunks": {"account": _by("account_sid")},
    "source_ip_mappings": {"record": _by("ip_record_sid")},
    "twiml_bins": {"name": _by("friendly_name")},
}
