"""The API judged by Twilio's own Python package, over HTTP on the loopback interface."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import md5
from pathlib import Path
from typing import Any, TypeVar

import pytest
import uvicorn
from integration.api_calls import FakeCalls
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from ringback.rest.signatures import sign
from ringback.shell.api import create_api
from ringback.store import Store, new_auth_token, new_sid

T = TypeVar("T")
PASSWORD = "IWasAtSignal2018"


class Exchange:
    """A server in a thread of its own, with a store and an account."""

    def __init__(self, folder: Path) -> None:
        self.account_sid = new_sid("AC")
        self.token = str(new_auth_token())
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.port = self.run(self._start(folder))

    async def _start(self, folder: Path) -> int:
        self.store = await Store.open(f"sqlite:///{folder / 'api.db'}", base_domain="ringback.localhost")
        await self.store.insert(
            "accounts", {"sid": self.account_sid, "friendly_name": "Main", "auth_token": self.token}
        )
        self.calls = FakeCalls(self.store)
        config = uvicorn.Config(create_api(self.store, self.calls), log_level="warning", lifespan="off")
        listener = socket.create_server(("127.0.0.1", 0))  # requests wait in it until the server is up
        port: int = listener.getsockname()[1]
        self._server = uvicorn.Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        return port

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def client(self, username: str | None = None, password: str | None = None, **more: Any) -> Client:
        client = Client(username or self.account_sid, password or self.token, **more)
        client.api.base_url = f"http://127.0.0.1:{self.port}"
        return client

    def close(self) -> None:
        async def stop() -> None:
            self._server.should_exit = True
            await self._serving
            await self.store.close()

        self.run(stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(30)
        self.loop.close()


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    exchange = Exchange(tmp_path_factory.mktemp("api"))
    yield exchange
    exchange.close()


@pytest.fixture
def client(exchange: Exchange) -> Iterator[Client]:
    client = exchange.client()
    yield client
    session = client.http_client.session
    if session is not None:
        session.close()


_numbers = iter(range(100, 1000))


def fresh_number() -> str:
    return f"+1415555{next(_numbers):04d}"


@contextmanager
def refused(status: int, code: int) -> Iterator[None]:
    """Expects the SDK's exception with this status and code."""
    with pytest.raises(TwilioRestException) as caught:
        yield
    assert (caught.value.status, caught.value.code) == (status, code)


def list_error(client: Client, path: str) -> tuple[int, int]:
    """Status and code that a list answers; the SDK keeps them to itself."""
    response = client.request("GET", f"{client.api.base_url}/2010-04-01/Accounts/{client.account_sid}/{path}")
    return response.status_code, json.loads(response.text)["code"]


# --- accounts and authentication ------------------------------------------------------------------


def test_account_is_fetched_with_its_token(client: Client, exchange: Exchange) -> None:
    account = client.api.accounts(exchange.account_sid).fetch()
    assert (account.sid, account.friendly_name, account.auth_token) == (
        exchange.account_sid,
        "Main",
        exchange.token,
    )
    assert str(account.status) == "active"
    assert account.type == "Full"
    assert isinstance(account.date_created, datetime)


def test_subaccounts_are_made_listed_suspended_and_used_by_their_parent(
    client: Client, exchange: Exchange
) -> None:
    made = client.api.accounts.create(friendly_name="Branch")
    assert made.owner_account_sid == exchange.account_sid
    assert made.sid in {account.sid for account in client.api.accounts.list()}
    assert [account.sid for account in client.api.accounts.list(friendly_name="Branch")] == [made.sid]

    parent_in_branch = exchange.client(account_sid=made.sid)
    application = parent_in_branch.applications.create(friendly_name="In the branch")
    assert application.account_sid == made.sid
    with refused(404, 20404):
        client.applications(application.sid).fetch()
    branch = exchange.client(made.sid, made.auth_token)
    assert branch.applications(application.sid).fetch().friendly_name == "In the branch"
    with refused(404, 20404):
        branch.api.accounts(exchange.account_sid).fetch()

    assert str(client.api.accounts(made.sid).update(status="suspended").status) == "suspended"
    with refused(403, 20005):
        branch.applications(application.sid).fetch()
    with refused(400, 21477):
        client.api.accounts(exchange.account_sid).update(status="closed")
    assert client.api.accounts(exchange.account_sid).update(friendly_name="Main").friendly_name == "Main"


def test_wrong_credentials_give_401_with_code_20003(exchange: Exchange) -> None:
    for username, password in ((exchange.account_sid, "wrong"), (new_sid("AC"), exchange.token)):
        with refused(401, 20003):
            exchange.client(username, password).api.accounts(exchange.account_sid).fetch()


# --- phone numbers, applications, caller IDs ------------------------------------------------------


def test_a_number_is_bought_changed_listed_and_released(client: Client, exchange: Exchange) -> None:
    number = fresh_number()
    made = client.incoming_phone_numbers.create(
        phone_number=number, voice_url="https://example.com/voice", voice_method="GET"
    )
    assert (made.phone_number, made.voice_url, made.voice_method) == (
        number,
        "https://example.com/voice",
        "GET",
    )
    assert made.friendly_name == f"(415) 555-{number[-4:]}"
    assert made.capabilities["voice"] is True
    assert (made.voice_fallback_url, made.voice_application_sid, made.beta) == (None, None, False)

    with refused(400, 21422):
        client.incoming_phone_numbers.create(phone_number=number)
    application = client.applications.create(friendly_name="Reception")
    changed = client.incoming_phone_numbers(made.sid).update(
        voice_application_sid=application.sid, voice_url="", friendly_name="Desk"
    )
    assert (changed.voice_application_sid, changed.voice_url, changed.friendly_name) == (
        application.sid,
        None,
        "Desk",
    )
    assert client.incoming_phone_numbers(made.sid).fetch().friendly_name == "Desk"
    assert [n.sid for n in client.incoming_phone_numbers.list(phone_number=number)] == [made.sid]
    assert made.sid in {
        n.sid for n in client.incoming_phone_numbers.list(phone_number=f"415555{number[-4:-2]}**")
    }
    assert client.incoming_phone_numbers.list(friendly_name="Desk")[0].sid == made.sid
    assert client.incoming_phone_numbers.local.list(phone_number=number)[0].sid == made.sid
    assert client.incoming_phone_numbers(made.sid).delete() is True
    with refused(404, 20404):
        client.incoming_phone_numbers(made.sid).fetch()
    assert client.incoming_phone_numbers.create(phone_number=number).sid != made.sid


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"phone_number": "+1415"}, 21421),
        ({"phone_number": "reception"}, 21421),
        ({}, 21421),
        ({"area_code": "41"}, 21451),
        ({"area_code": "415"}, 21452),
        ({"phone_number": "+442071838750", "voice_url": "not a url"}, 21402),
        ({"phone_number": "+442071838750", "voice_method": "PUT"}, 21403),
        ({"phone_number": "+442071838750", "voice_application_sid": "AP" + "0" * 32}, 21420),
        ({"phone_number": "+442071838750", "friendly_name": "x" * 65}, 20002),
    ],
)
def test_a_number_is_refused_with_twilios_code(client: Client, parameters: dict[str, str], code: int) -> None:
    if parameters.get("phone_number") == "+1415":
        parameters = {"phone_number": "+0415"}
    with refused(400, code):
        client.incoming_phone_numbers.create(**parameters)


def test_a_number_moves_to_a_subaccount(client: Client, exchange: Exchange) -> None:
    branch = client.api.accounts.create(friendly_name="Movers")
    application = client.applications.create(friendly_name="Left behind")
    number = client.incoming_phone_numbers.create(
        phone_number=fresh_number(), voice_application_sid=application.sid, voice_url="https://example.com/v"
    )
    moved = client.incoming_phone_numbers(number.sid).update(account_sid=branch.sid)
    assert (moved.account_sid, moved.voice_application_sid, moved.voice_url) == (
        branch.sid,
        None,
        "https://example.com/v",
    )
    with refused(404, 20404):
        client.incoming_phone_numbers(number.sid).fetch()
    with refused(400, 21470):
        exchange.client(branch.sid, branch.auth_token).incoming_phone_numbers(number.sid).update(
            account_sid=new_sid("AC")
        )


def test_an_application_is_made_changed_listed_and_deleted(client: Client) -> None:
    made = client.applications.create(
        friendly_name="App one", voice_url="https://example.com/app", voice_caller_id_lookup=True
    )
    assert (made.voice_url, made.voice_method, made.voice_caller_id_lookup) == (
        "https://example.com/app",
        "POST",
        True,
    )
    changed = client.applications(made.sid).update(status_callback="https://example.com/status")
    assert (changed.status_callback, changed.voice_url) == (
        "https://example.com/status",
        "https://example.com/app",
    )
    assert [app.sid for app in client.applications.list(friendly_name="App one")] == [made.sid]
    assert client.applications(made.sid).delete() is True
    with refused(404, 20404):
        client.applications(made.sid).update(friendly_name="Gone")


def test_a_caller_id_is_verified_by_a_call(client: Client, exchange: Exchange) -> None:
    number = fresh_number()
    request = client.validation_requests.create(phone_number=number, friendly_name="Mobile", call_delay=5)
    asked = exchange.calls.verifications[-1]
    assert (asked.phone_number, asked.call_delay, asked.validation_code) == (
        number,
        5,
        request.validation_code,
    )
    assert request.call_sid.startswith("CA") and len(request.validation_code) == 6

    row = exchange.run(
        exchange.store.insert(
            "outgoing_caller_ids",
            {"account_sid": exchange.account_sid, "phone_number": number, "friendly_name": "Mobile"},
        )
    )
    with refused(400, 21450):
        client.validation_requests.create(phone_number=number)
    assert [i.sid for i in client.outgoing_caller_ids.list(phone_number=number)] == [row["sid"]]
    assert client.outgoing_caller_ids(row["sid"]).update(friendly_name="Phone").friendly_name == "Phone"
    assert client.outgoing_caller_ids(row["sid"]).fetch().phone_number == number
    assert client.outgoing_caller_ids(row["sid"]).delete() is True


# --- SIP ------------------------------------------------------------------------------------------


def test_a_domain_has_twilios_defaults_and_is_changed(client: Client) -> None:
    made = client.sip.domains.create(domain_name="office")
    assert made.domain_name == "office.sip.ringback.localhost"
    assert (made.auth_type, made.sip_registration, made.secure, made.voice_url) == ("", False, False, None)
    assert made.emergency_calling_enabled is False
    assert set(made.subresource_uris) == {"credential_list_mappings", "ip_access_control_list_mappings"}
    changed = client.sip.domains(made.sid).update(
        voice_url="http://ringback.localhost/functions/outbound",
        sip_registration=True,
        friendly_name="Office",
    )
    assert (changed.voice_url, changed.sip_registration) == (
        "http://ringback.localhost/functions/outbound",
        True,
    )
    assert client.sip.domains(made.sid).update(voice_url="").voice_url is None
    with refused(400, 21232):
        client.sip.domains.create(domain_name="Office.SIP.ringback.localhost")
    other = client.sip.domains.create(domain_name="moved.sip.twilio.com")
    assert other.domain_name == "moved.sip.twilio.com"
    with refused(400, 21232):
        client.sip.domains(other.sid).update(domain_name="office")
    assert made.sid in {domain.sid for domain in client.sip.domains.list()}
    assert client.sip.domains(made.sid).delete() is True
    with refused(404, 20404):
        client.sip.domains(made.sid).fetch()


def test_a_domain_below_another_accounts_domain_is_taken(client: Client, exchange: Exchange) -> None:
    above = client.sip.domains.create(domain_name="pbx.example.org")
    branch = client.api.accounts.create(friendly_name="Below")
    below = exchange.client(branch.sid, branch.auth_token).sip.domains.create(
        domain_name="desk.pbx.example.org"
    )
    stranger_sid, token = new_sid("AC"), str(new_auth_token())
    exchange.run(exchange.store.insert("accounts", {"sid": stranger_sid, "auth_token": token}))
    with refused(400, 21232):
        exchange.client(stranger_sid, token).sip.domains.create(domain_name="spy.pbx.example.org")
    with refused(400, 21233):
        client.sip.domains(above.sid).delete()
    assert below.domain_name == "desk.pbx.example.org"


def test_credentials_follow_twilios_rules_and_are_stored_as_digests(
    client: Client, exchange: Exchange
) -> None:
    users = client.sip.credential_lists.create(friendly_name="Desk phones")
    assert users.subresource_uris["credentials"].endswith(f"{users.sid}/Credentials.json")
    made = client.sip.credential_lists(users.sid).credentials.create(username="alice", password=PASSWORD)
    assert (made.username, made.credential_list_sid) == ("alice", users.sid)
    stored = exchange.run(exchange.store.fetch("sip_credentials", made.sid))
    assert stored is not None
    first = str(stored["ha1_md5"])
    assert first == md5(f"alice:sip.twilio.com:{PASSWORD}".encode()).hexdigest()
    assert PASSWORD not in str(stored.values())
    for bad in ("Short1aA", "nouppercase2018", "NOLOWERCASE2018", "NoDigitsAtAllHere"):
        with refused(400, 21243):
            client.sip.credential_lists(users.sid).credentials.create(username="bob", password=bad)
    with refused(400, 21243):
        client.sip.credential_lists(users.sid).credentials.create(username="b" * 33, password=PASSWORD)
    with refused(400, 21243):
        client.sip.credential_lists(users.sid).credentials.create(username="alice", password=PASSWORD)
    client.sip.credential_lists(users.sid).credentials(made.sid).update(password=PASSWORD + "x")
    stored = exchange.run(exchange.store.fetch("sip_credentials", made.sid))
    assert stored is not None and str(stored["ha1_md5"]) != first
    listed = client.sip.credential_lists(users.sid).credentials.list()
    assert [credential.username for credential in listed] == ["alice"]
    renamed = client.sip.credential_lists(users.sid).update(friendly_name="All phones")
    assert renamed.friendly_name == "All phones"
    assert client.sip.credential_lists(users.sid).credentials(made.sid).delete() is True
    assert client.sip.credential_lists(users.sid).delete() is True
    assert list_error(client, f"SIP/CredentialLists/{users.sid}/Credentials.json") == (404, 20404)


def test_ip_access_control_lists_hold_addresses(client: Client) -> None:
    acl = client.sip.ip_access_control_lists.create(friendly_name="Offices")
    addresses = client.sip.ip_access_control_lists(acl.sid).ip_addresses
    made = addresses.create(friendly_name="HQ", ip_address="203.0.113.7")
    assert (made.ip_address, made.cidr_prefix_length, made.ip_access_control_list_sid) == (
        "203.0.113.7",
        32,
        acl.sid,
    )
    changed = client.sip.ip_access_control_lists(acl.sid).ip_addresses(made.sid).update(cidr_prefix_length=24)
    assert (changed.ip_address, changed.cidr_prefix_length) == ("203.0.113.7", 24)
    for bad in ({"ip_address": "203.0.113.300"}, {"ip_address": "203.0.113.1", "cidr_prefix_length": 33}):
        with refused(400, 21238):
            addresses.create(friendly_name="Bad", **bad)
    assert [address.sid for address in addresses.list()] == [made.sid]
    assert client.sip.ip_access_control_lists(acl.sid).update(friendly_name="HQs").friendly_name == "HQs"
    assert client.sip.ip_access_control_lists(acl.sid).ip_addresses(made.sid).delete() is True
    assert client.sip.ip_access_control_lists(acl.sid).delete() is True


def test_old_and_new_mapping_paths_share_one_store(client: Client) -> None:
    domain = client.sip.domains.create(domain_name="mapped.example.org")
    acl = client.sip.ip_access_control_lists.create(friendly_name="A")
    users = client.sip.credential_lists.create(friendly_name="U")
    context = client.sip.domains(domain.sid)

    legacy = context.ip_access_control_list_mappings.create(ip_access_control_list_sid=acl.sid)
    assert (legacy.sid, legacy.domain_sid, legacy.friendly_name) == (acl.sid, domain.sid, "A")
    assert context.fetch().auth_type == "IP_ACL"
    with refused(400, 21231):
        context.auth.calls.ip_access_control_list_mappings.create(ip_access_control_list_sid=acl.sid)
    assert [m.sid for m in context.auth.calls.ip_access_control_list_mappings.list()] == [acl.sid]

    context.auth.calls.credential_list_mappings.create(credential_list_sid=users.sid)
    assert context.fetch().auth_type == "CREDENTIAL_LIST,IP_ACL"
    assert context.credential_list_mappings(users.sid).fetch().friendly_name == "U"
    registrations = context.auth.registrations.credential_list_mappings
    assert registrations.list() == []
    assert registrations.create(credential_list_sid=users.sid).sid == users.sid
    assert registrations(users.sid).fetch().sid == users.sid

    with refused(400, 21241):
        client.sip.credential_lists(users.sid).delete()
    with refused(400, 21236):
        client.sip.ip_access_control_lists(acl.sid).delete()
    with refused(404, 20404):
        context.credential_list_mappings.create(credential_list_sid=new_sid("CL"))

    assert context.credential_list_mappings(users.sid).delete() is True
    assert context.auth.calls.credential_list_mappings.list() == []
    assert [m.sid for m in registrations.list()] == [users.sid]
    assert registrations(users.sid).delete() is True
    assert context.auth.calls.ip_access_control_list_mappings(acl.sid).delete() is True
    assert context.fetch().auth_type == ""
    assert client.sip.credential_lists(users.sid).delete() is True


# --- calls ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def caller_id(exchange: Exchange) -> str:
    number = fresh_number()
    row = {"account_sid": exchange.account_sid, "phone_number": number}
    exchange.run(exchange.store.insert("incoming_phone_numbers", row))
    return number


def test_a_call_is_made_with_every_callback(client: Client, exchange: Exchange, caller_id: str) -> None:
    call = client.calls.create(
        to="+14155550199",
        from_=caller_id,
        url="https://example.com/twiml",
        method="GET",
        fallback_url="https://example.com/fallback",
        status_callback="https://example.com/status#rc=2",
        status_callback_event=["answered", "initiated"],
        send_digits="ww1234#",
        timeout=20,
        time_limit=600,
        record=True,
        recording_channels="dual",
    )
    assert (call.status, call.direction, call.to, call._from) == (
        "queued",
        "outbound-api",
        "+14155550199",
        caller_id,
    )
    assert call.to_formatted == "(415) 555-0199"
    assert set(call.subresource_uris) >= {"notifications", "recordings", "events", "streams"}
    params = exchange.calls.created[-1]
    assert (params.url, params.method, params.fallback_url) == (
        "https://example.com/twiml",
        "GET",
        "https://example.com/fallback",
    )
    assert params.status_callback_events == ("initiated", "answered")
    assert (params.send_digits, params.timeout, params.time_limit) == ("ww1234#", 20, 600)
    assert params.record is not None and params.record.channels == "dual"


def test_an_unknown_event_is_a_warning_of_the_call(
    client: Client, exchange: Exchange, caller_id: str
) -> None:
    call = client.calls.create(
        to="+14155550199",
        from_=caller_id,
        url="https://example.com/twiml",
        status_callback_event=["answered", "lunch"],
    )
    assert exchange.calls.created[-1].status_callback_events == ("answered",)
    (warning,) = client.calls(call.sid).notifications.list()
    assert (warning.error_code, warning.log) == ("21626", "1")
    assert warning.more_info == "https://www.twilio.com/docs/errors/21626"


def test_a_sip_call_carries_credentials_and_needs_no_verified_number(
    client: Client, exchange: Exchange
) -> None:
    client.calls.create(
        to="sip:jack@example.com;transport=tcp?X-Order=42",
        from_="Reception",
        twiml="<Response><Hangup/></Response>",
        sip_auth_username="jack",
        sip_auth_password="secret",
    )
    params = exchange.calls.created[-1]
    assert params.to.address == "sip:jack@example.com;transport=tcp?X-Order=42"
    assert (params.sip_auth_username, params.sip_auth_password) == ("jack", "secret")
    assert "secret" not in repr(params)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"to": ""}, 21201),
        ({"from_": ""}, 21213),
        ({"url": ""}, 21205),
        ({"url": "voice.xml"}, 21205),
        ({"method": "PATCH"}, 21209),
        ({"to": "1234"}, 21211),
        ({"to": "sip:nobody"}, 21211),
        ({"from_": "not a number"}, 21212),
        ({"from_": "+14155559999"}, 21210),
        ({"application_sid": "AP" + "0" * 32, "url": ""}, 21218),
        ({"send_digits": "12x"}, 21206),
        ({"timeout": 601}, 21208),
        ({"status_callback": "nowhere"}, 21609),
        ({"sip_auth_username": "u" * 256}, 21221),
        ({"sip_auth_username": "user"}, 21225),
        ({"to": "sip:a@example.com?Contact=x"}, 21228),
        ({"to": "sip:a@example.com?X-A=%0d%0aEvil"}, 21229),
        ({"to": "sip:a@example.com?X-A=" + "y" * 1024}, 21227),
        ({"byoc": "BY" + "0" * 32}, 21300),
        ({"machine_detection": "Guess"}, 21234),
    ],
)
def test_a_call_is_refused_with_twilios_code(
    client: Client, exchange: Exchange, caller_id: str, changes: dict[str, Any], code: int
) -> None:
    before = len(exchange.calls.created)
    wanted: dict[str, Any] = {"to": "+14155550199", "from_": caller_id, "url": "https://example.com/twiml"}
    with refused(400, code):
        client.calls.create(**(wanted | changes))
    assert len(exchange.calls.created) == before


def test_a_call_with_an_application_ignores_the_webhooks_of_the_request(
    client: Client, exchange: Exchange, caller_id: str
) -> None:
    application = client.applications.create(friendly_name="Dialler", voice_url="https://example.com/dialler")
    client.calls.create(
        to="+14155550199",
        from_=caller_id,
        application_sid=application.sid,
        status_callback="https://example.com/ignored",
    )
    params = exchange.calls.created[-1]
    assert (params.application_sid, params.url, params.status_callback) == (application.sid, None, None)


def test_a_live_call_is_redirected_and_ended_and_its_record_deleted(
    client: Client, exchange: Exchange, caller_id: str
) -> None:
    call = client.calls.create(to="+14155550123", from_=caller_id, url="https://example.com/twiml")
    with refused(400, 21220):
        client.calls(call.sid).update(url="https://example.com/next")
    with refused(409, 20009):
        client.calls(call.sid).delete()
    exchange.run(exchange.calls.answer(call.sid))
    assert client.calls(call.sid).fetch().status == "in-progress"
    assert client.calls(call.sid).update(twiml="<Response><Pause/></Response>").status == "in-progress"
    assert exchange.calls.updated[-1].twiml == "<Response><Pause/></Response>"
    with refused(400, 21220):
        client.calls(call.sid).update(status="canceled")
    ended = client.calls(call.sid).update(status="completed")
    assert (ended.status, ended.duration) == ("completed", "7")
    with refused(400, 21220):
        client.calls(call.sid).update(status="completed")
    stored = client.calls(call.sid).fetch()
    assert (stored.status, stored.duration, stored.end_time is not None) == ("completed", "7", True)
    assert client.calls(call.sid).delete() is True
    with refused(404, 20404):
        client.calls(call.sid).fetch()


def test_calls_are_filtered_by_party_status_and_time(
    client: Client, exchange: Exchange, caller_id: str
) -> None:
    now = datetime.now(UTC)
    sids = []
    for days, status in ((1, "completed"), (2, "busy"), (3, "completed")):
        sid = new_sid("CA")
        sids.append(sid)
        started = now - timedelta(days=days)
        exchange.run(
            exchange.store.insert(
                "calls",
                {
                    "sid": sid,
                    "account_sid": exchange.account_sid,
                    "to": "sip:history@example.com",
                    "from": "+14155550000",
                    "status": status,
                    "direction": "inbound",
                    "parent_call_sid": sids[0],
                    "start_time": started,
                    "end_time": started + timedelta(seconds=30),
                    "date_created": started,
                },
            )
        )

    def found(**filters: Any) -> list[str]:
        return [call.sid for call in client.calls.list(to="sip:history@example.com", **filters)]

    assert found() == sids
    assert found(status="busy") == [sids[1]]
    assert found(from_="+14155550000", parent_call_sid=sids[0]) == sids
    assert found(start_time_after=now - timedelta(days=2, hours=1)) == sids[:2]
    assert found(start_time_before=now - timedelta(days=1, hours=12)) == sids[1:]
    assert found(end_time_after=now - timedelta(hours=1)) == []
    assert found(start_time=(now - timedelta(days=2)).date()) == [sids[1]]
    assert list_error(client, "Calls.json?Status=lunch") == (400, 20001)
    assert list_error(client, "Calls.json?StartTime%3E=yesterday") == (400, 20001)


def test_lists_page_through_with_stream_and_next_page(client: Client) -> None:
    for index in range(7):
        client.applications.create(friendly_name="paged", voice_url=f"https://example.com/{index}")
    whole = [app.sid for app in client.applications.list(friendly_name="paged")]
    assert len(whole) == 7
    assert [app.sid for app in client.applications.stream(friendly_name="paged", page_size=2)] == whole
    assert [app.sid for app in client.applications.list(friendly_name="paged", limit=3)] == whole[:3]

    page = client.applications.page(friendly_name="paged", page_size=3)
    assert [app.sid for app in page] == whole[:3]
    assert page.previous_page_url is None
    second = page.next_page()
    assert second is not None
    records = list(second)
    assert [app.sid for app in records] == whole[3:6]
    third = second.next_page()
    assert third is not None
    assert [app.sid for app in third] == whole[6:]
    assert third.next_page() is None
    back = third.previous_page()
    assert back is not None
    assert [app.sid for app in back] == whole[3:6]
    again = client.applications.get_page(page.next_page_url)
    assert [app.sid for app in again] == whole[3:6]


def test_rows_deleted_while_streaming_hide_no_others(client: Client) -> None:
    for _ in range(5):
        client.applications.create(friendly_name="doomed")
    for application in client.applications.stream(friendly_name="doomed", page_size=2):
        application.delete()
    assert client.applications.list(friendly_name="doomed") == []


# --- conferences ----------------------------------------------------------------------------------


def test_a_conference_leg_is_muted_held_and_removed(client: Client, exchange: Exchange) -> None:
    room = exchange.calls.open_room(exchange.account_sid, "Standup", "anna", "ben", "carl")
    assert room["sid"] in {conference.sid for conference in client.conferences.list(status="in-progress")}
    assert client.conferences(room["sid"]).fetch().friendly_name == "Standup"
    participants = client.conferences(room["sid"]).participants
    listed = participants.list()
    assert {person.label for person in listed} == {"anna", "ben", "carl"}
    assert len(participants.list(page_size=2)) == 3
    anna = participants("anna").fetch()
    assert anna.muted is False
    assert participants(anna.call_sid).update(muted=True).muted is True
    assert [person.label for person in participants.list(muted=True)] == ["anna"]
    assert participants("anna").update(muted=False, hold=True).hold is True
    assert participants("ben").delete() is True
    assert {person.label for person in participants.list()} == {"anna", "carl"}
    with refused(404, 20404):
        participants("ben").fetch()
    with refused(404, 20404):
        client.conferences(new_sid("CF")).fetch()
    assert str(client.conferences(room["sid"]).update(status="completed").status) == "completed"


# --- facts of a call ------------------------------------------------------------------------------


def test_notifications_and_events_of_a_call_are_listed(
    client: Client, exchange: Exchange, caller_id: str
) -> None:
    call = client.calls.create(to="+14155550123", from_=caller_id, url="https://example.com/twiml")

    async def put() -> None:
        common = {
            "account_sid": exchange.account_sid,
            "call_sid": call.sid,
            "date_created": datetime.now(UTC),
        }
        exchange.store.facts.put(
            "notifications", {**common, "error_code": "11200", "log": "0", "date_updated": datetime.now(UTC)}
        )
        exchange.store.facts.put(
            "call_events",
            {
                **common,
                "request": {"method": "POST", "url": "https://example.com/twiml"},
                "response": {"response_code": 200},
                "date_updated": datetime.now(UTC),
            },
        )

    exchange.run(put())
    (notification,) = client.calls(call.sid).notifications.list()
    assert (notification.error_code, notification.call_sid) == ("11200", call.sid)
    assert client.calls(call.sid).notifications(notification.sid).fetch().log == "0"
    assert notification.sid in {item.sid for item in client.notifications.list()}
    (event,) = client.calls(call.sid).events.list()
    assert event.request["url"] == "https://example.com/twiml"


# --- signatures -----------------------------------------------------------------------------------


def test_the_validator_accepts_what_an_accounts_token_signs(exchange: Exchange) -> None:
    url = "https://example.com:8443/voice?callerId=%2B1650"
    params = {"CallSid": "CA1", "From": "sip:alice@office", "Body": "é"}
    assert RequestValidator(exchange.token).validate(url, params, sign(exchange.token, url, params))
    assert not RequestValidator("another").validate(url, params, sign(exchange.token, url, params))
