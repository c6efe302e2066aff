"""The HTTP face of the API, driven as an ASGI application on a real store."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from integration.api_calls import FakeCalls
from lxml import etree

from ringback.rest.errors import RestError
from ringback.rest.limits import MAX_BODY, MAX_DOMAINS
from ringback.shell.api import create_api
from ringback.store import Store, Unavailable, new_auth_token, new_sid


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.body)
        return value

    @property
    def error(self) -> tuple[int, int]:
        """Status and code."""
        assert self.json["status"] == self.status
        return self.status, self.json["code"]


class Api:
    """An API with one account and a way to ask it."""

    def __init__(self, store: Store, account_sid: str, token: str) -> None:
        self.store = store
        self.calls = FakeCalls(store)
        self.sid = account_sid
        self.token = token
        self.app = create_api(store, self.calls, unsupported=frozenset({"MachineDetection"}))

    async def ask(
        self,
        method: str,
        path: str,
        form: dict[str, Any] | bytes | Iterable[bytes] = b"",
        *,
        auth: tuple[str, str] | str | None = None,
        content_type: str = "application/x-www-form-urlencoded",
    ) -> Reply:
        """Sends a request; a path that begins without a slash is below the account."""
        if not path.startswith("/"):
            path = f"/2010-04-01/Accounts/{self.sid}/{path}"
        path, _, query = path.partition("?")
        if isinstance(form, dict):
            form = urlencode(form, doseq=True).encode()
        chunks = [form] if isinstance(form, bytes) else list(form)
        headers = [(b"content-type", content_type.encode())]
        auth = auth if auth is not None else (self.sid, self.token)
        if isinstance(auth, tuple):
            auth = "Basic " + base64.b64encode(":".join(auth).encode()).decode()
        if auth:
            headers.append((b"authorization", auth.encode()))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        sent: list[dict[str, Any]] = []
        self.read = 0

        async def receive() -> dict[str, Any]:
            body = chunks[self.read] if self.read < len(chunks) else b""
            self.read += 1
            return {"type": "http.request", "body": body, "more_body": self.read < len(chunks)}

        async def send(message: Any) -> None:
            sent.append(dict(message))

        await self.app(scope, receive, send)
        start = sent[0]
        return Reply(
            start["status"],
            {name.decode(): value.decode() for name, value in start["headers"]},
            b"".join(message.get("body", b"") for message in sent[1:]),
        )


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with await Store.open(
        f"sqlite:///{tmp_path / 'api.db'}", base_domain="ringback.localhost"
    ) as store:
        yield Api(store, *await account(store))


async def account(store: Store, **more: Any) -> tuple[str, str]:
    sid, token = new_sid("AC"), str(new_auth_token())
    await store.insert("accounts", {"sid": sid, "auth_token": token, **more})
    return sid, token


# --- numbers --------------------------------------------------------------------------------------


async def test_lists_by_type_hold_each_number_of_that_type(api: Api) -> None:
    """Also those that did not come by this API, such as the starter's."""
    given = {"Local": "+16505550101", "Mobile": "+447400123456", "TollFree": "+18005550199"}
    for number in given.values():
        row = {"account_sid": api.sid, "sid": new_sid("PN"), "phone_number": number, "friendly_name": number}
        await api.store.insert("incoming_phone_numbers", row)
    for kind, number in given.items():
        found = (await api.ask("GET", f"IncomingPhoneNumbers/{kind}.json")).json["incoming_phone_numbers"]
        assert [row["phone_number"] for row in found] == [number]
        assert found[0]["type"] == {"Local": "local", "Mobile": "mobile", "TollFree": "toll-free"}[kind]


# --- authentication -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Bearer x",
        "Basic /////w==",
    ],
)
async def test_no_usable_credentials_give_401_and_a_challenge(api: Api, header: str) -> None:
    reply = await api.ask("GET", "Calls.json", auth=header)
    assert reply.error == (401, 20003)
    assert reply.headers["www-authenticate"].startswith("Basic ")
    assert reply.json["message"] == "Authenticate"


async def test_the_wrong_token_gives_401_even_for_paths_that_do_not_exist(api: Api) -> None:
    for path in ("Calls.json", "Nothing.json", "/2010-04-01/x"):
        assert (await api.ask("GET", path, auth=(api.sid, "wrong"))).status == 401
    other = await account(api.store)
    assert (await api.ask("GET", "Calls.json", auth=(api.sid, other[1]))).error == (401, 20003)


async def test_a_secondary_token_is_accepted_while_tokens_are_rotated(api: Api) -> None:
    second = str(new_auth_token())
    await api.store.update("accounts", api.sid, None, {"secondary_auth_token": second})
    assert (await api.ask("GET", "Calls.json", auth=(api.sid, second))).status == 200
    assert (await api.ask("GET", "Calls.json")).status == 200


async def test_a_subaccount_sleeps_with_its_owner(api: Api) -> None:
    branch = await account(api.store, owner_account_sid=api.sid)
    path = f"/2010-04-01/Accounts/{branch[0]}/Calls.json"
    assert (await api.ask("GET", path, auth=branch)).status == 200
    await api.store.update("accounts", api.sid, None, {"status": "suspended"})
    assert (await api.ask("GET", path, auth=branch)).error == (403, 20005)


async def test_an_api_key_works_but_sees_no_account(api: Api) -> None:
    secret = "s3cret-of-the-key"
    key = await api.store.insert(
        "api_keys", {"account_sid": api.sid, "secret_sha256": sha256(secret.encode()).hexdigest()}
    )
    assert (await api.ask("GET", "Calls.json", auth=(key["sid"], secret))).status == 200
    assert (await api.ask("GET", "Calls.json", auth=(key["sid"], "wrong"))).error == (401, 20003)
    for path in (f"/2010-04-01/Accounts/{api.sid}.json", "/2010-04-01/Accounts.json"):
        reply = await api.ask("GET", path, auth=(key["sid"], secret))
        assert reply.error == (401, 20003) and api.token.encode() not in reply.body
    branch, _ = await account(api.store, owner_account_sid=api.sid)
    assert (
        await api.ask("GET", f"/2010-04-01/Accounts/{branch}/Calls.json", auth=(key["sid"], secret))
    ).error == (401, 20003)


async def test_another_accounts_resources_do_not_exist(api: Api) -> None:
    other_sid, other_token = await account(api.store)
    mine = (await api.ask("POST", "Applications.json", {"FriendlyName": "Mine"})).json
    other = (other_sid, other_token)
    for method in ("GET", "POST", "DELETE"):
        for path in (mine["uri"], mine["uri"].replace(api.sid, other_sid)):
            assert (await api.ask(method, path, auth=other)).error == (404, 20404)
    assert (await api.ask("GET", mine["uri"])).json["friendly_name"] == "Mine"


async def test_a_parents_token_makes_no_calls_for_a_suspended_subaccount(api: Api) -> None:
    branch, _ = await account(api.store, owner_account_sid=api.sid, status="suspended")
    form = {"To": "sip:a@example.com", "From": "me", "Url": "https://example.com/"}
    assert (await api.ask("POST", f"/2010-04-01/Accounts/{branch}/Calls.json", form)).error == (403, 20005)
    assert api.calls.created == []


# --- paths, methods, formats ----------------------------------------------------------------------


async def test_paths_are_case_sensitive_and_have_no_trailing_slash(api: Api) -> None:
    for path in (
        "calls.json",
        "Calls.JSON",
        "Calls/",
        "Calls.json/",
        "SIP/domains.json",
        "Sip/Domains.json",
        "Nope",
    ):
        assert (await api.ask("GET", path)).status == 404, path
    assert (await api.ask("GET", "SIP/Domains.json")).status == 200


async def test_a_missing_resource_names_its_path(api: Api) -> None:
    sid = new_sid("CA")
    reply = await api.ask("GET", f"Calls/{sid}.json")
    assert reply.json == {
        "code": 20404,
        "message": f"The requested resource /2010-04-01/Accounts/{api.sid}/Calls/{sid}.json was not found",
        "more_info": "https://www.twilio.com/docs/errors/20404",
        "status": 404,
    }


async def test_wrong_methods_give_405(api: Api) -> None:
    for method, path in (("PUT", "Calls.json"), ("DELETE", "Calls.json"), ("PATCH", "SIP/Domains.json")):
        reply = await api.ask(method, path)
        assert reply.error == (405, 20004)
        assert reply.headers["allow"] == "GET, POST"
    assert (await api.ask("HEAD", "Calls.json")).status == 200


async def test_without_the_suffix_answers_are_xml(api: Api) -> None:
    reply = await api.ask("POST", "Applications", {"FriendlyName": "A & B"})
    assert (reply.status, reply.headers["content-type"].partition(";")[0]) == (201, "application/xml")
    made = etree.fromstring(reply.body)
    assert made.findtext("Application/FriendlyName") == "A & B"
    uri = made.findtext("Application/Uri")
    assert uri is not None and not uri.endswith(".json")
    listed = etree.fromstring((await api.ask("GET", "Applications")).body).find("Applications")
    assert listed is not None and len(listed) == 1 and listed.get("pagesize") == "50"
    error = etree.fromstring((await api.ask("GET", "Applications/AP1")).body)
    assert error.findtext("RestException/Code") == "20404"
    assert (await api.ask("DELETE", uri)).status == 204


async def test_a_deletion_has_no_body(api: Api) -> None:
    made = (await api.ask("POST", "Applications.json")).json
    reply = await api.ask("DELETE", made["uri"])
    assert (reply.status, reply.body) == (204, b"")


async def test_a_list_has_exactly_twilios_keys(api: Api) -> None:
    listed = (await api.ask("GET", "IncomingPhoneNumbers.json?PageSize=5")).json
    assert set(listed) == {
        "end", "first_page_uri", "incoming_phone_numbers", "next_page_uri", "page", "page_size",
        "previous_page_uri", "start", "uri",
    }  # fmt: skip
    assert listed["uri"] == f"/2010-04-01/Accounts/{api.sid}/IncomingPhoneNumbers.json?PageSize=5"
    for query, code in (("PageSize=1001", 20007), ("PageToken=x", 21481), ("Page=x", 20001)):
        assert (await api.ask("GET", f"Applications.json?{query}")).error == (400, code)


async def test_pages_begin_where_the_last_one_ended_whatever_comes_in_between(api: Api) -> None:
    for index in range(4):
        await api.ask("POST", "Applications.json", {"FriendlyName": str(index)})
    first = (await api.ask("GET", "Applications.json?PageSize=2")).json
    await api.ask("POST", "Applications.json", {"FriendlyName": "late"})
    await api.ask("DELETE", first["applications"][1]["uri"])
    second = (await api.ask("GET", first["next_page_uri"])).json
    assert [item["friendly_name"] for item in second["applications"]] == ["1", "0"]
    assert (second["page"], second["start"], second["end"], second["next_page_uri"]) == (1, 2, 3, None)
    back = (await api.ask("GET", second["previous_page_uri"])).json
    assert [item["friendly_name"] for item in back["applications"]] == ["late", "3"]
    plain = (await api.ask("GET", "Applications.json?PageSize=2&Page=1")).json
    assert [item["friendly_name"] for item in plain["applications"]] == ["1", "0"]


async def test_rows_of_one_moment_are_paged_without_loss(api: Api) -> None:
    rows = [("applications", {"account_sid": api.sid, "friendly_name": str(index)}) for index in range(9)]
    await api.store.insert_all(rows)  # all have the same date
    uri, names = "Applications.json?PageSize=2", set[str]()
    for _ in range(5):
        page = (await api.ask("GET", uri)).json
        names |= {item["friendly_name"] for item in page["applications"]}
        uri = page["next_page_uri"]
    assert uri is None and names == {str(index) for index in range(9)}


# --- forms and failures ---------------------------------------------------------------------------


async def test_a_large_body_is_refused_before_it_is_read_whole(api: Api) -> None:
    reply = await api.ask("POST", "Applications.json", [b"a" * MAX_BODY, b"b", b"c", b"d", b"e"])
    assert reply.status == 413
    assert api.read == 2


async def test_other_bodies_are_refused(api: Api) -> None:
    reply = await api.ask("POST", "Applications.json", b"{}", content_type="application/json")
    assert reply.status == 415
    reply = await api.ask("POST", "Applications.json", b"FriendlyName=%ff")
    assert reply.error == (400, 20001)


async def test_a_silent_database_gives_503_and_a_defect_500(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(*_: Any, **__: Any) -> None:
        raise Unavailable("database is locked")

    async def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(api.store, "page", busy)
    reply = await api.ask("GET", "Applications.json")
    assert reply.error == (503, 20503) and reply.headers["retry-after"] == "1"
    monkeypatch.setattr(api.store, "page", broken)
    reply = await api.ask("GET", "Applications.json")
    assert reply.error == (500, 20500) and b"secret" not in reply.body


async def test_the_exchanges_refusals_are_answered_as_they_are(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: Any) -> None:
        raise RestError(429, 20429, "Too many calls")

    monkeypatch.setattr(api.calls, "create", full)
    form = {"To": "sip:a@example.com", "From": "me", "Url": "https://example.com/"}
    assert (await api.ask("POST", "Calls.json", form)).error == (429, 20429)


async def test_what_the_exchange_does_not_do_is_refused_and_false_is_not_asking(api: Api) -> None:
    form = {"To": "sip:a@example.com", "From": "me", "Url": "https://example.com/"}
    reply = await api.ask("POST", "Calls.json", {**form, "MachineDetection": "Enable"})
    assert reply.error == (400, 20001) and "MachineDetection" in reply.json["message"]
    assert (await api.ask("POST", "Calls.json", {**form, "MachineDetection": ""})).status == 201


# --- resources ------------------------------------------------------------------------------------


async def test_a_password_is_neither_stored_nor_shown(api: Api) -> None:
    users = (await api.ask("POST", "SIP/CredentialLists.json", {"FriendlyName": "U"})).json
    path = f"SIP/CredentialLists/{users['sid']}/Credentials"
    reply = await api.ask("POST", f"{path}.json", {"Username": "alice", "Password": "IWasAtSignal2018"})
    assert reply.status == 201 and b"Signal" not in reply.body and b"ha1" not in reply.body
    row = await api.store.fetch("sip_credentials", reply.json["sid"])
    assert row is not None
    digest = sha256(b"alice:sip.twilio.com:IWasAtSignal2018").hexdigest()
    assert str(row["ha1_sha256"]) == digest and digest not in repr(row)
    reply = await api.ask("POST", f"{path}.json", {"Username": "bob", "Password": "Signal2018"})
    assert reply.error == (400, 21243) and b"Signal2018" not in reply.body


async def test_an_entry_is_only_found_below_its_own_list(api: Api) -> None:
    one = (await api.ask("POST", "SIP/IpAccessControlLists.json", {"FriendlyName": "1"})).json["sid"]
    two = (await api.ask("POST", "SIP/IpAccessControlLists.json", {"FriendlyName": "2"})).json["sid"]
    form = {"FriendlyName": "HQ", "IpAddress": "203.0.113.7"}
    entry = (await api.ask("POST", f"SIP/IpAccessControlLists/{one}/IpAddresses.json", form)).json["sid"]
    for method in ("GET", "POST", "DELETE"):
        reply = await api.ask(method, f"SIP/IpAccessControlLists/{two}/IpAddresses/{entry}.json")
        assert reply.error == (404, 20404)
    path = f"SIP/IpAccessControlLists/{one}/IpAddresses/{entry}.json"
    assert (await api.ask("POST", path, {"CidrPrefixLength": "16"})).json["cidr_prefix_length"] == 16
    changed = (await api.ask("POST", path, {"IpAddress": "198.51.100.1"})).json
    assert (changed["ip_address"], changed["cidr_prefix_length"]) == ("198.51.100.1", 16)
    changed = (await api.ask("POST", path, {"IpAddress": "2001:db8::1"})).json
    assert (changed["ip_address"], changed["cidr_prefix_length"]) == ("2001:db8::1", 128)


async def test_an_account_has_a_limit_of_domains(api: Api) -> None:
    await api.store.insert_all(
        ("sip_domains", {"account_sid": api.sid, "domain_name": f"d{index}.example.org"})
        for index in range(MAX_DOMAINS)
    )
    reply = await api.ask("POST", "SIP/Domains.json", {"DomainName": "one-more"})
    assert reply.error == (400, 21230)


async def test_a_domain_refers_to_trunks_and_numbers_of_its_account(api: Api) -> None:
    stranger, _ = await account(api.store)
    theirs = await api.store.insert("byoc_trunks", {"account_sid": stranger})
    mine = await api.store.insert("byoc_trunks", {"account_sid": api.sid})
    form = {"DomainName": "carrier", "ByocTrunkSid": theirs["sid"]}
    assert (await api.ask("POST", "SIP/Domains.json", form)).error == (400, 21300)
    made = await api.ask("POST", "SIP/Domains.json", {**form, "ByocTrunkSid": mine["sid"]})
    assert (made.status, made.json["byoc_trunk_sid"]) == (201, mine["sid"])
    reply = await api.ask("POST", made.json["uri"], {"EmergencyCallerSid": new_sid("PN")})
    assert reply.error == (400, 21231)


async def test_byoc_calls_may_show_any_number(api: Api) -> None:
    trunk = await api.store.insert("byoc_trunks", {"account_sid": api.sid})
    form = {"To": "+14155550199", "From": "+14155550100", "Url": "https://example.com/"}
    assert (await api.ask("POST", "Calls.json", form)).error == (400, 21210)
    assert (await api.ask("POST", "Calls.json", {**form, "Byoc": trunk["sid"]})).status == 201
    assert api.calls.created[-1].byoc == trunk["sid"]


async def test_another_accounts_live_call_cannot_be_touched(api: Api) -> None:
    form = {"To": "sip:a@example.com", "From": "me", "Url": "https://example.com/"}
    call = (await api.ask("POST", "Calls.json", form)).json
    other_sid, other_token = await account(api.store)
    path = f"/2010-04-01/Accounts/{other_sid}/Calls/{call['sid']}.json"
    for method in ("GET", "POST", "DELETE"):
        reply = await api.ask(method, path, {"Status": "completed"}, auth=(other_sid, other_token))
        assert reply.error == (404, 20404)
    assert api.calls.updated == []


async def test_queued_calls_are_listed_at_once(api: Api) -> None:
    form = {"To": "sip:a@example.com", "From": "me", "Url": "https://example.com/"}
    call = (await api.ask("POST", "Calls.json", form)).json
    listed = (await api.ask("GET", "Calls.json?Status=queued")).json
    assert [item["sid"] for item in listed["calls"]] == [call["sid"]]
    assert (call["status"], call["duration"], call["queue_time"]) == ("queued", None, "0")
