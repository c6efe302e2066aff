"""The starter's data."""

import hashlib
from collections.abc import AsyncIterator

import pytest

from ringback.store import Store, UsageError
from ringback.store.seed import Starter, seed

USERS = [("alice", "Correct-horse-1"), ("bob", "Battery-staple-2")]


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with await Store.open("sqlite://", base_domain="ringback.localhost") as opened:
        yield opened


async def test_phones_can_register_and_call_with_their_passwords(store: Store) -> None:
    made = await seed(store, Starter(users=USERS, sandbox_port=5999))
    assert made is not None
    domain = store.configuration.domain("home.sip.ringback.localhost")
    assert domain is not None
    assert domain["sip_registration"] is True
    assert domain["voice_url"] == "http://ringback.localhost/functions/outbound"
    assert (store.configuration.default_domain() or {})["sid"] == domain["sid"]
    for purpose in ("calls", "registrations"):
        found = store.configuration.credentials_for(domain["sid"], purpose)("bob")
        assert found is not None
        text = b"bob:sip.twilio.com:Battery-staple-2"
        assert found.ha1_md5 == hashlib.md5(text).hexdigest()
        assert found.ha1_sha256 == hashlib.sha256(text).hexdigest()


async def test_each_user_has_a_number_that_rings_and_the_account_has_one_to_show(store: Store) -> None:
    made = await seed(store, Starter(users=USERS, sandbox_port=5999))
    assert made is not None
    assert {user: row["voice_url"] for user, row in made.numbers.items()} == {
        "alice": "http://ringback.localhost/bins/alice",
        "bob": "http://ringback.localhost/bins/bob",
    }
    numbers = [row["phone_number"] for row in store.configuration.numbers(made.account["sid"])]
    assert numbers == ["+16505550100", "+16505550101", "+16505550102"]
    assert made.main_number["phone_number"] == numbers[0]


async def test_the_sandbox_carrier_is_the_way_out_and_known_by_its_address(store: Store) -> None:
    made = await seed(store, Starter(users=USERS, sandbox_port=5999))
    assert made is not None
    carrier = store.configuration.default_trunk(made.account["sid"])
    assert carrier is not None
    assert [row["target"] for row in carrier.targets] == ["sip:127.0.0.1:5999"]
    source = store.configuration.trunk_for_source("127.0.0.1", 5999)
    assert source is not None
    assert source.trunk["sid"] == carrier.trunk["sid"]
    assert source.domain["sid"] == carrier.trunk["from_domain_sid"]
    assert store.configuration.trunk_for_source("127.0.0.1", 5060) is None  # a phone on the same machine


async def test_given_keys_are_taken_and_a_second_time_changes_nothing(store: Store) -> None:
    starter = Starter(users=USERS, sandbox_port=5999, account_sid="AC" + "a" * 32, auth_token="b" * 32)
    made = await seed(store, starter)
    assert made is not None
    assert (made.account["sid"], made.account["auth_token"]) == ("AC" + "a" * 32, "b" * 32)
    assert await seed(store, Starter(users=[("eve", "x")], sandbox_port=1)) is None
    assert len(store.configuration.accounts()) == 1


async def test_nothing_printed_shows_a_password_token_or_digest(store: Store) -> None:
    starter = Starter(users=USERS, sandbox_port=5999, auth_token="b" * 32)
    printed = repr(starter) + repr(await seed(store, starter))
    printed += repr((await store.page("sip_credentials")).rows) + repr((await store.page("accounts")).rows)
    printed += repr(store.installation) + repr(store.configuration.accounts())
    stored = (await store.page("sip_credentials")).rows[0]
    secrets = [password for _, password in USERS] + [
        "b" * 32,
        str(stored["ha1_md5"]),
        str(stored["ha1_sha256"]),
    ]
    assert [secret for secret in secrets if secret in printed] == []


@pytest.mark.parametrize(
    ("users", "port"),
    [
        ([("a", "x"), ("a", "y")], 5999),
        ([("", "x")], 5999),
        ([(str(n), "x") for n in range(100)], 5999),
        (USERS, 0),
    ],
)
async def test_impossible_starters_are_refused_whole(
    store: Store, users: list[tuple[str, str]], port: int
) -> None:
    with pytest.raises(UsageError):
        await seed(store, Starter(users=users, sandbox_port=port))
    assert store.configuration.accounts() == []
