"""The configuration in memory: what calls look up, changed by each write."""

from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any

import pytest

from ringback.store import Conflict, Store, UsageError, new_sid

ACCOUNT = "AC" + "1" * 32
DIGESTS = {"ha1_md5": "0" * 32, "ha1_sha256": "0" * 64}


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with await Store.open("sqlite://", base_domain="Exchange.Test.") as opened:
        await opened.insert("accounts", {"sid": ACCOUNT, "auth_token": "t" * 32})
        yield opened


async def add(store: Store, table: str, **values: Any) -> Any:
    return await store.insert(table, {"account_sid": ACCOUNT, **values})


async def add_domain(store: Store, name: str = "home.sip.exchange.test", **values: Any) -> str:
    return str((await add(store, "sip_domains", domain_name=name, **values))["sid"])


async def test_a_write_is_visible_when_it_returns(store: Store) -> None:
    configuration = store.configuration
    row = await add(store, "incoming_phone_numbers", phone_number="+16505550100")
    assert configuration.number("+16505550100") == row
    await store.update("incoming_phone_numbers", row["sid"], ACCOUNT, {"voice_url": "http://a.test/"})
    found = configuration.number("+16505550100")
    assert found is not None
    assert found["voice_url"] == "http://a.test/"
    await store.update("incoming_phone_numbers", row["sid"], ACCOUNT, {"phone_number": "+16505550101"})
    assert configuration.number("+16505550100") is None
    assert configuration.number("+16505550101") is not None
    assert await store.delete("incoming_phone_numbers", row["sid"], ACCOUNT)
    assert configuration.number("+16505550101") is None
    assert configuration.numbers(ACCOUNT) == []


async def test_a_failed_write_leaves_memory_alone(store: Store) -> None:
    await add_domain(store)
    other = await add_domain(store, "other.sip.exchange.test")
    with pytest.raises(Conflict) as caught:
        await store.update("sip_domains", other, ACCOUNT, {"domain_name": "HOME.sip.exchange.test"})
    assert caught.value.columns == ("domain_name",)
    found = store.configuration.domain("other.sip.exchange.test")
    assert found is not None
    assert found["sid"] == other
    with pytest.raises(UsageError):
        await store.insert_all(
            [
                ("outgoing_caller_ids", {"account_sid": ACCOUNT, "phone_number": "+16505550150"}),
                (
                    "sip_credentials",
                    {"account_sid": ACCOUNT, "credential_list_sid": "CL0", "username": "u", **DIGESTS},
                ),
            ]
        )
    assert not store.configuration.may_show(ACCOUNT, "+16505550150")
    assert (await store.page("outgoing_caller_ids")).rows == []


async def test_what_memory_holds_is_what_a_fresh_start_would_load(store: Store) -> None:
    domain = await add_domain(store)
    users = (await add(store, "sip_credential_lists"))["sid"]
    await add(store, "sip_credentials", credential_list_sid=users, username="bob", **DIGESTS)
    await add(store, "sip_domain_mappings", domain_sid=domain, kind="calls_credential_list", list_sid=users)
    await store.update("sip_domains", domain, None, {"secure": True})
    before = {name: dict(table.rows) for name, table in store.configuration._tables.items()}
    await store.reload()
    assert {name: dict(table.rows) for name, table in store.configuration._tables.items()} == before


async def test_a_row_handed_out_stays_as_it_was(store: Store) -> None:
    sid = await add_domain(store)
    before = store.configuration.domain_by_sid(sid)
    await store.update("sip_domains", sid, None, {"secure": True})
    assert before is not None
    assert before["secure"] is False


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("home.sip.exchange.test", True),
        ("HOME.SIP.Exchange.Test.", True),
        ("home.sip.tokyo.exchange.test", True),
        ("home.sip.us1.exchange.test", True),
        ("home.sip.mars.exchange.test", False),
        ("other.sip.exchange.test", False),
        ("exchange.test", True),
        ("sip.exchange.test", True),
        ("home.sip.", False),
        ("", False),
    ],
)
async def test_a_domain_is_found_by_its_host_names(store: Store, host: str, found: bool) -> None:
    sid = await add_domain(store)
    row = store.configuration.domain(host)
    assert (row is not None and row["sid"] == sid) is found


async def test_the_default_domain_is_the_one_set_else_the_oldest_for_phones(store: Store) -> None:
    configuration = store.configuration
    assert configuration.default_domain() is None
    await add_domain(store, "carrier.sip.exchange.test", byoc_trunk_sid=new_sid("BY"))
    first = await add_domain(store, "first.sip.exchange.test")
    second = await add_domain(store, "second.sip.exchange.test")
    assert (configuration.default_domain() or {})["sid"] == first
    await store.set_default_domain(second)
    assert (configuration.default_domain() or {})["sid"] == second
    await store.reload()
    assert (configuration.default_domain() or {})["sid"] == second
    await store.delete("sip_domains", second)
    assert (configuration.default_domain() or {})["sid"] == first


def test_a_bare_domain_name_gets_the_base_domain() -> None:
    from ringback.store.configuration import Configuration

    configuration = Configuration("Exchange.Test")
    assert configuration.full_domain_name("Home") == "home.sip.exchange.test"
    assert configuration.full_domain_name("a.sip.twilio.com") == "a.sip.twilio.com"


async def test_users_of_calls_and_of_registrations_are_apart(store: Store) -> None:
    domain = await add_domain(store)
    users = (await add(store, "sip_credential_lists"))["sid"]
    bob = await add(store, "sip_credentials", credential_list_sid=users, username="bob", **DIGESTS)
    lookup = store.configuration.credentials_for(domain, "calls")
    assert not lookup
    mapping = await add(
        store, "sip_domain_mappings", domain_sid=domain, kind="calls_credential_list", list_sid=users
    )
    lookup = store.configuration.credentials_for(domain, "calls")
    assert lookup
    assert lookup("bob") == ("0" * 32, "0" * 64, bob["sid"])
    assert lookup("Bob") is None
    assert not store.configuration.credentials_for(domain, "registrations")
    assert "0000" not in repr(lookup("bob"))
    await store.delete("sip_domain_mappings", mapping["sid"])
    assert not store.configuration.credentials_for(domain, "calls")


async def test_a_user_who_was_found_before_is_found_as_he_is_now(store: Store) -> None:
    domain = await add_domain(store)
    for_both = ("calls_credential_list", "registrations_credential_list")
    first, second = [(await add(store, "sip_credential_lists"))["sid"] for _ in range(2)]
    for users in (first, second):
        for kind in for_both:
            await add(store, "sip_domain_mappings", domain_sid=domain, kind=kind, list_sid=users)
    bob = await add(store, "sip_credentials", credential_list_sid=first, username="bob", **DIGESTS)

    def found() -> list[str | None]:
        lookups = [
            store.configuration.credentials_for(domain, purpose) for purpose in ("calls", "registrations")
        ]
        users = [lookup("bob") for lookup in lookups]
        assert users[0] == users[1]
        return [user and str(user.ha1_md5) for user in users]

    assert found() == found() == ["0" * 32] * 2
    await store.update("sip_credentials", bob["sid"], ACCOUNT, {"ha1_md5": "1" * 32})
    assert found() == found() == ["1" * 32] * 2
    other = await add(
        store,
        "sip_credentials",
        credential_list_sid=second,
        username="bob",
        ha1_md5="2" * 32,
        ha1_sha256="2" * 64,
    )
    assert found() == ["1" * 32] * 2  # the first list counts
    await store.delete("sip_credential_lists", first)
    assert found() == found() == ["2" * 32] * 2
    await store.delete("sip_credentials", other["sid"])
    assert found() == [None, None]


async def test_auth_type_is_computed_in_alphabetical_order(store: Store) -> None:
    domain = await add_domain(store)
    assert store.configuration.auth_type(domain) == ""
    kinds = ("registrations_credential_list", "calls_ip_access_control_list", "calls_credential_list")
    seen = []
    for kind in kinds:
        await add(store, "sip_domain_mappings", domain_sid=domain, kind=kind, list_sid=new_sid("CL"))
        seen.append(store.configuration.auth_type(domain))
    assert seen == ["", "IP_ACL", "CREDENTIAL_LIST,IP_ACL"]


async def test_ip_rules_follow_their_lists(store: Store) -> None:
    domain = await add_domain(store)
    rules = (await add(store, "sip_ip_access_control_lists"))["sid"]
    configuration = store.configuration
    await add(
        store, "sip_domain_mappings", domain_sid=domain, kind="calls_ip_access_control_list", list_sid=rules
    )
    assert configuration.has_ip_rules(domain)
    assert configuration.ip_rules_for(domain) == []
    of_list = {"ip_access_control_list_sid": rules}
    first = await add(store, "sip_ip_addresses", ip_address="192.0.2.7", cidr_prefix_length=24, **of_list)
    await add(store, "sip_ip_addresses", ip_address="2001:db8::1", cidr_prefix_length=64, **of_list)
    await add(store, "sip_ip_addresses", ip_address="198.51.100.1", **of_list)
    await add(store, "sip_ip_addresses", ip_address="nonsense", **of_list)
    expected = ["192.0.2.0/24", "2001:db8::/64", "198.51.100.1/32"]
    assert configuration.ip_rules_for(domain) == [ip_network(text) for text in expected]
    assert configuration.lets_in(domain, "192.0.2.250") and configuration.lets_in(domain, "2001:db8::5%eth0")
    assert not configuration.lets_in(domain, "192.0.3.1") and not configuration.lets_in(domain, "nonsense")
    await store.delete("sip_ip_addresses", first["sid"])
    assert len(configuration.ip_rules_for(domain)) == 2
    assert not configuration.lets_in(domain, "192.0.2.250")
    await store.delete("sip_ip_access_control_lists", rules)
    assert not configuration.has_ip_rules(domain)
    assert configuration.ip_rules_for(domain) == []


async def test_deleting_a_list_takes_its_users_and_mappings_along(store: Store) -> None:
    domain = await add_domain(store)
    users = (await add(store, "sip_credential_lists"))["sid"]
    await add(store, "sip_credentials", credential_list_sid=users, username="bob", **DIGESTS)
    await add(store, "sip_domain_mappings", domain_sid=domain, kind="calls_credential_list", list_sid=users)
    seen: list[str] = []
    store.on_change(lambda table, _key: seen.append(table))
    assert await store.delete("sip_credential_lists", users)
    assert sorted(seen) == ["sip_credential_lists", "sip_credentials", "sip_domain_mappings"]
    assert not store.configuration.credentials_for(domain, "calls")
    assert await store.count("sip_credentials") == 0


async def test_caller_ids_are_own_numbers_then_verified_ones(store: Store) -> None:
    await add(store, "outgoing_caller_ids", phone_number="+15005550006")
    await add(store, "incoming_phone_numbers", phone_number="+16505550100")
    other = await store.insert("accounts", {"auth_token": "u" * 32})
    configuration = store.configuration
    assert configuration.caller_ids(ACCOUNT) == ["+16505550100", "+15005550006"]
    assert configuration.may_show(ACCOUNT, "+16505550100")
    assert configuration.may_show(ACCOUNT, "+15005550006")
    assert not configuration.may_show(other["sid"], "+16505550100")
    assert not configuration.may_show(other["sid"], "+15005550006")
    assert configuration.caller_ids(other["sid"]) == []


async def test_a_trunk_has_its_enabled_targets_by_priority_then_weight(store: Store) -> None:
    policy = (await add(store, "connection_policies"))["sid"]
    for name, priority, weight, enabled in (
        ("late", 20, 10, True),
        ("light", 10, 1, True),
        ("off", 1, 1, False),
        ("heavy", 10, 9, True),
    ):
        await add(
            store,
            "connection_policy_targets",
            connection_policy_sid=policy,
            target=f"sip:{name}.test",
            priority=priority,
            weight=weight,
            enabled=enabled,
        )
    trunk = await add(store, "byoc_trunks", connection_policy_sid=policy)
    carrier = store.configuration.trunk(trunk["sid"])
    assert carrier is not None
    assert [row["target"] for row in carrier.targets] == ["sip:heavy.test", "sip:light.test", "sip:late.test"]
    await store.delete("connection_policies", policy)
    carrier = store.configuration.trunk(trunk["sid"])
    assert carrier is not None
    assert carrier.targets == ()
    assert store.configuration.trunk(new_sid("BY")) is None


async def test_the_default_trunk_is_chosen_or_oldest_or_the_owners(store: Store) -> None:
    configuration = store.configuration
    assert configuration.default_trunk(ACCOUNT) is None
    assert configuration.default_trunk(new_sid("AC")) is None
    oldest = await add(store, "byoc_trunks", friendly_name="oldest")
    newer = await add(store, "byoc_trunks", friendly_name="newer")
    sub = await store.insert("accounts", {"auth_token": "u" * 32, "owner_account_sid": ACCOUNT})

    def chosen(account: str) -> str | None:
        carrier = configuration.default_trunk(account)
        return carrier and carrier.trunk["sid"]

    assert chosen(ACCOUNT) == oldest["sid"]
    await store.update("accounts", ACCOUNT, None, {"default_byoc_trunk_sid": newer["sid"]})
    assert chosen(ACCOUNT) == chosen(sub["sid"]) == newer["sid"]
    await store.delete("byoc_trunks", newer["sid"])
    assert chosen(ACCOUNT) == oldest["sid"]


async def test_a_source_is_known_by_the_most_exact_record(store: Store) -> None:
    trunks = {}
    for name, address, length, port in (
        ("net", "192.0.2.0", 24, None),
        ("host", "192.0.2.5", 32, None),
        ("port", "192.0.2.0", 24, 5999),
    ):
        trunks[name] = (await add(store, "byoc_trunks", friendly_name=name))["sid"]
        domain = await add_domain(store, f"{name}.sip.exchange.test", byoc_trunk_sid=trunks[name])
        record = await add(store, "ip_records", ip_address=address, cidr_prefix_length=length, port=port)
        await add(store, "source_ip_mappings", ip_record_sid=record["sid"], sip_domain_sid=domain)

    def who(ip: str, port: int) -> str | None:
        source = store.configuration.trunk_for_source(ip, port)
        return source and source.trunk["friendly_name"]

    assert who("192.0.2.5", 5060) == "host"
    assert who("192.0.2.9", 5060) == "net"
    assert who("192.0.2.5", 5999) == "port"
    assert who("198.51.100.1", 5060) is None
    assert who("not an address", 5060) is None
    await store.delete("byoc_trunks", trunks["host"])
    assert who("192.0.2.5", 5060) == "net"
    (record,) = (await store.page("ip_records", where={"port": 5999})).rows
    await store.update("ip_records", record["sid"], ACCOUNT, {"port": 5998})
    assert who("192.0.2.5", 5999) == "net"
    assert who("192.0.2.5", 5998) == "port"
    await store.delete("ip_records", record["sid"])
    assert who("192.0.2.5", 5998) == "net"


async def test_bins_and_applications_are_found(store: Store) -> None:
    made = await add(store, "twiml_bins", friendly_name="bob", twiml="<Response/>")
    application = await add(store, "applications", friendly_name="app")
    configuration = store.configuration
    assert configuration.bin("bob") == configuration.bin(made["sid"]) == made
    assert configuration.bin("alice") is None
    assert configuration.application(application["sid"]) == application
    key = await add(store, "api_keys", secret_sha256="0" * 64)
    assert configuration.api_key(key["sid"]) == key
