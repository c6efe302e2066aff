"""The starter's data: one account, phones that can register, their numbers, and the sandbox carrier.

home.sip.<base> -- mappings (calls, registrations) --> credential list --> the users
number of a user -- voice_url --> http://<base>/bins/<user>
sandbox.sip.<base> --> BYOC trunk --> policy --> target sip:127.0.0.1:<port>
       ^-- mapping -- IP record 127.0.0.1, that port
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ringback.store.configuration import Configuration
from ringback.store.credentials import digests
from ringback.store.errors import UsageError
from ringback.store.rows import Row
from ringback.store.sids import new_auth_token, new_sid
from ringback.store.store import Store

LOOPBACK = "127.0.0.1"

SANDBOX = "Sandbox carrier"
"""The name of the rows by which the sandbox carrier is known, whatever carriers come beside it."""

FIRST_NUMBER = 16505550100
"""Numbers come from +1 650 555 0100 to 0199, which the numbering plan keeps for fiction."""

MOST_USERS = 99
"""Fictional numbers of one area code, less the account's own."""


@dataclass(frozen=True, slots=True)
class Starter:
    """What the starter's data depends on. `users` are (username, password); passwords end as digests."""

    users: Sequence[tuple[str, str]] = field(repr=False)
    sandbox_port: int
    account_sid: str | None = None
    auth_token: str | None = field(default=None, repr=False)
    friendly_name: str = "Ringback"


@dataclass(frozen=True, slots=True)
class Seeded:
    """The rows that were made; `numbers` by user name, `main_number` belongs to the account as a whole."""

    account: Row
    domain: Row
    credential_list: Row
    main_number: Row
    numbers: dict[str, Row]
    trunk: Row


async def seed(store: Store, starter: Starter) -> Seeded | None:
    """Put the starter's data into an empty store, all or nothing; None when it has an account already."""
    if store.configuration.accounts():
        return None
    _check(starter)
    account = starter.account_sid or new_sid("AC")
    rows = _Rows(account)
    trunk = new_sid("BY")
    rows.add(
        "accounts",
        sid=account,
        friendly_name=starter.friendly_name,
        auth_token=starter.auth_token or new_auth_token(),
        default_byoc_trunk_sid=trunk,
    )
    domain, users = _phones(rows, store, starter)
    main, numbers = _numbers(rows, store.configuration.base_domain, starter)
    _sandbox(rows, store, starter.sandbox_port, trunk)
    made = {row["sid"]: row for row in await store.insert_all(rows.rows)}
    await store.set_default_domain(domain)
    return Seeded(
        account=made[account],
        domain=made[domain],
        credential_list=made[users],
        main_number=made[main],
        numbers={user: made[sid] for user, sid in numbers.items()},
        trunk=made[trunk],
    )


class _Rows:
    """Rows of one account in the order in which they are to be inserted."""

    def __init__(self, account_sid: str) -> None:
        self.account_sid = account_sid
        self.rows: list[tuple[str, Row]] = []

    def add(self, table: str, *, sid: str, **values: Any) -> str:
        self.rows.append((table, {"sid": sid, "account_sid": self.account_sid, **values}))
        return sid


def _check(starter: Starter) -> None:
    names = [username for username, _ in starter.users]
    if len(names) > MOST_USERS or len(set(names)) != len(names) or not all(names):
        raise UsageError(f"the starter takes up to {MOST_USERS} users with different names")
    if not 0 < starter.sandbox_port < 65536:
        raise UsageError("the sandbox carrier's port is no port")


def _phones(rows: _Rows, store: Store, starter: Starter) -> tuple[str, str]:
    """Add the domain and its users; return the sids of both."""
    configuration = store.configuration
    domain = rows.add(
        "sip_domains",
        sid=new_sid("SD"),
        domain_name=configuration.full_domain_name("home"),
        friendly_name="Home",
        sip_registration=True,
        voice_url=f"http://{configuration.base_domain}/functions/outbound",
    )
    users = rows.add("sip_credential_lists", sid=new_sid("CL"), friendly_name="Phones")
    for username, password in starter.users:
        hashed = digests(username, store.installation.realm, password)
        rows.add(
            "sip_credentials",
            sid=new_sid("CR"),
            credential_list_sid=users,
            username=username,
            ha1_md5=hashed.ha1_md5,
            ha1_sha256=hashed.ha1_sha256,
        )
    for kind in ("calls_credential_list", "registrations_credential_list"):
        rows.add("sip_domain_mappings", sid=new_sid("DM"), domain_sid=domain, kind=kind, list_sid=users)
    return domain, users


def _numbers(rows: _Rows, base_domain: str, starter: Starter) -> tuple[str, dict[str, str]]:
    """Add the account's own number, to show when a user's own may not be, and one for each user."""
    numbers = {}
    first = starter.users[0][0] if starter.users else None
    main = _number(rows, FIRST_NUMBER, "Main number", base_domain, first)
    for position, (username, _) in enumerate(starter.users, start=1):
        numbers[username] = _number(rows, FIRST_NUMBER + position, username, base_domain, username)
    return main, numbers


def _number(rows: _Rows, digits: int, name: str, base_domain: str, user: str | None) -> str:
    url = f"http://{base_domain}/bins/{user}" if user else None
    return rows.add(
        "incoming_phone_numbers",
        sid=new_sid("PN"),
        phone_number=f"+{digits}",
        friendly_name=name,
        voice_url=url,
    )


def _sandbox(rows: _Rows, store: Store, port: int, trunk: str) -> None:
    """Add the sandbox carrier: the way out to it, and the source address by which its calls are known."""
    policy = rows.add("connection_policies", sid=new_sid("NY"), friendly_name=SANDBOX)
    rows.add(
        "connection_policy_targets",
        sid=new_sid("NE"),
        connection_policy_sid=policy,
        friendly_name=SANDBOX,
        target=f"sip:{LOOPBACK}:{port}",
    )
    domain = new_sid("SD")
    rows.add(
        "byoc_trunks",
        sid=trunk,
        friendly_name=SANDBOX,
        connection_policy_sid=policy,
        from_domain_sid=domain,
    )
    rows.add(
        "sip_domains",
        sid=domain,
        domain_name=store.configuration.full_domain_name("sandbox"),
        friendly_name=SANDBOX,
        byoc_trunk_sid=trunk,
    )
    record = rows.add(
        "ip_records",
        sid=new_sid("IL"),
        friendly_name=SANDBOX,
        ip_address=LOOPBACK,
        port=port,
    )
    rows.add("source_ip_mappings", sid=new_sid("IB"), ip_record_sid=record, sip_domain_sid=domain)


def sandbox_port(configuration: Configuration) -> int:
    """Return the port that the sandbox carrier has had since the first start; 0 when there is none."""
    for record in configuration.ip_records():
        if record["friendly_name"] == SANDBOX and record["ip_address"] == LOOPBACK and record["port"]:
            return int(record["port"])
    return 0
