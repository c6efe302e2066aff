"""What is secret appears nowhere: no log line, journal, timeline, answer of the API, file mode or process list."""

from __future__ import annotations

import re
import sqlite3
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from live import LiveServer, live_server
from live_scene import MAIN_NUMBER, Hit, Scene, answered, basic, over, twiml
from security.sip_wire import SDP, Wire, credentials, wire_to
from twilio.rest import Client

from ringback.store.packing import unpacked

NOUN_PASSWORD = "Noun-Secret-90210"
REST_PASSWORD = "Rest-Secret-31337"
URL_PASSWORD = "Url-Secret-80085"
NEW_PASSWORD = "Fresh-Secret-12345"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    with live_server(tmp_path_factory.mktemp("secrets") / "project", log_level="debug") as running:
        yield running


def logged(server: LiveServer) -> str:
    """What was printed after the card, which shows a newcomer the passwords on purpose."""
    return server.output.partition("╯")[2]


def family(pid: int) -> Iterable[int]:
    """A process and its descendants."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from family(int(child))


async def use_every_secret(scene: Scene) -> set[str]:
    """A run in which each kind of secret is used; the secrets, with the nonces that were seen."""
    seen = {scene.server.password, scene.server.auth_token, NOUN_PASSWORD, REST_PASSWORD, URL_PASSWORD}
    alice = await scene.registered("alice")
    pbx = scene.phone("pbx")
    nonces: list[str] = []

    def challenge(request: Any, flow: Any) -> bool:
        if request.get("Authorization"):
            nonces.append(re.search(r'response="(\w+)"', request.get("Authorization"))[1])  # type: ignore[index]
            return False
        header = 'Digest realm="pbx", nonce="7f00aa11bb22cc33dd44", qop="auth"'
        given = pbx.endpoint.stack.agent.reply_statelessly(
            request, flow, 401, headers=(("WWW-Authenticate", header),)
        )
        pbx.endpoint.carry_out(given)
        return True

    pbx.challenge = challenge
    wanted = basic("user", URL_PASSWORD)

    def voice(hit: Hit) -> web.StreamResponse:
        if hit.headers.get("Authorization") != wanted:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="program"'})
        noun = f'<Sip username="trunk" password="{NOUN_PASSWORD}">{pbx.address}</Sip>'
        document = twiml(f'<Dial action="/ended">{noun}</Dial>')
        return web.Response(body=document.encode(), content_type="text/xml")

    login = f"http://user:{URL_PASSWORD}@"
    await scene.home(voice_url=scene.program.on("/voice", voice).replace("http://", login))
    scene.program.on("/ended", twiml("<Hangup/>"))
    call = alice.dial("pbx")
    leg = await pbx.pick_up()
    await answered(call)
    leg.hang_up()
    await over(call)
    await scene.program.hit("/ended")
    status = scene.program.on("/status", web.Response(status=500)).replace("http://", login)
    await scene.do(
        scene.client.calls.create,
        to=pbx.address,
        from_=MAIN_NUMBER,
        url=scene.program.on("/missing", web.Response(status=404)).replace("http://", login),
        sip_auth_username="trunk",
        sip_auth_password=REST_PASSWORD,
        status_callback=status,
    )
    leg = await pbx.pick_up()
    await over(leg)
    await scene.program.hit("/status")
    async with wire_to(scene.server, "UDP") as wire:
        seen |= await wrong_logins(scene, wire)
    return seen | set(nonces) | {"7f00aa11bb22cc33dd44"}


async def wrong_logins(scene: Scene, wire: Wire) -> set[str]:
    uri = f"sip:1@{scene.server.domain}"
    challenge = await wire.ask("INVITE", uri, body=SDP)
    line = credentials(challenge, "INVITE", uri, "alice", "Not-The-Password-1")
    await wire.ask("INVITE", uri, body=SDP, headers=(line,))
    await wire.ask("INVITE", uri, body=SDP, headers=("Proxy-Authorization: Digest nonsense-Zq81",))
    return {challenge.field("nonce"), re.search(r'response="(\w+)"', line)[1], "nonsense-Zq81"}  # type: ignore[index]


async def answers(scene: Scene) -> dict[str, str]:
    """Every list of the API, the timelines and the journals; the account itself shows its token, as at Twilio."""
    account = f"/2010-04-01/Accounts/{scene.server.account_sid}"
    lists = [
        "Calls",
        "Applications",
        "IncomingPhoneNumbers",
        "OutgoingCallerIds",
        "Notifications",
        "Conferences",
        "SIP/CredentialLists",
        "SIP/IpAccessControlLists",
    ]
    found = {name: (await scene.get(f"{account}/{name}.json"))[1].decode() for name in lists}
    for row in await scene.do(scene.client.sip.credential_lists.list):
        path = f"{account}/SIP/CredentialLists/{row.sid}/Credentials"
        found[path] = (await scene.get(f"{path}.json"))[1].decode()
    for call in await scene.do(scene.client.calls.list):
        for kind in ("journal", "timeline"):
            found[f"{kind} {call.sid}"] = (await scene.get(f"/ringback/v1/calls/{call.sid}/{kind}"))[
                1
            ].decode()
        for kind in ("Notifications", "Events"):
            found[f"{kind} {call.sid}"] = (await scene.get(f"{account}/Calls/{call.sid}/{kind}.json"))[
                1
            ].decode()
    return found


async def test_no_secret_of_a_run_is_found_anywhere(scene: Scene) -> None:
    secrets = await use_every_secret(scene)
    assert len(secrets) >= 9
    shown = await answers(scene)
    assert any("secret:" in text for name, text in shown.items() if name.startswith("journal"))
    for name, text in shown.items():
        for secret in secrets:
            assert secret not in text, f"{secret} in {name}"
    log = logged(scene.server)
    assert "refused" in log
    for secret in secrets:
        assert secret not in log, secret
    for pid in family(scene.server.process.pid):
        line = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
        for secret in secrets:
            assert secret not in line, f"{secret} in {line}"


async def test_passwords_and_urls_are_not_in_the_database(scene: Scene) -> None:
    """Passwords are kept as digests; those of calls not at all. The URLs of webhooks are its owner's to read."""
    await use_every_secret(scene)
    lists = await scene.do(scene.client.sip.credential_lists.list)
    made = await scene.do(
        scene.client.sip.credential_lists(lists[0].sid).credentials.create,
        username="carol",
        password=NEW_PASSWORD,
    )
    await scene.get(f"/ringback/v1/calls/CA{'0' * 32}/journal")  # flushes
    database = sqlite3.connect(f"file:{scene.server.directory}/data/ringback.db?mode=ro", uri=True)
    try:
        tables = [row[0] for row in database.execute("select name from sqlite_master where type='table'")]
        assert {"calls", "journals", "sip_credentials"} <= set(tables)
        for table in tables:
            for row in database.execute(f'select * from "{table}"'):
                text = " ".join(
                    unpacked(value).decode()
                    if isinstance(value, bytes) and value[:1] == b"\x01"
                    else str(value)
                    for value in row
                )
                for secret in (scene.server.password, NOUN_PASSWORD, REST_PASSWORD, NEW_PASSWORD):
                    assert secret not in text, table
    finally:
        database.close()
    await scene.do(scene.client.sip.credential_lists(lists[0].sid).credentials(made.sid).delete)


async def test_the_api_gives_the_token_of_an_account_to_itself_alone(scene: Scene) -> None:
    account = await scene.do(scene.client.api.accounts(scene.server.account_sid).fetch)
    assert account.auth_token == scene.server.auth_token
    sub = await scene.do(scene.client.api.accounts.create, friendly_name="Sub")
    status, body = await scene.get(f"/2010-04-01/Accounts/{sub.sid}.json")
    assert status == 200
    assert scene.server.auth_token.encode() not in body
    headers = {"Authorization": basic(sub.sid, sub.auth_token)}
    for path in (f"{scene.server.account_sid}.json", f"{scene.server.account_sid}/Calls.json"):
        async with scene.session.get(
            f"{scene.server.api}/2010-04-01/Accounts/{path}", headers=headers
        ) as got:
            assert got.status == 404
            assert scene.server.auth_token not in await got.text()


async def test_another_accounts_resources_are_not_there(scene: Scene) -> None:
    """A subaccount sees nothing of its parent: lists are empty, and each SID is answered 404."""
    alice = await scene.registered("alice")
    await scene.home(voice_url=scene.program.on("/voice", twiml('<Gather timeout="30"/>')))
    call = alice.dial("1")
    sid = await answered(call)
    number = await scene.number(voice_url=scene.program.url)
    application = await scene.do(scene.client.applications.create, friendly_name="Ours")
    domain = (await scene.do(scene.client.sip.domains.list))[0]
    users = (await scene.do(scene.client.sip.credential_lists.list))[0]
    credential = (await scene.do(scene.client.sip.credential_lists(users.sid).credentials.list))[0]
    sub = await scene.do(scene.client.api.accounts.create, friendly_name="Other")
    other = Client(sub.sid, sub.auth_token)
    other.api.base_url = scene.server.api
    try:
        paths = [
            f"Calls/{sid}.json",
            f"Calls/{sid}/Notifications.json",
            f"IncomingPhoneNumbers/{number.sid}.json",
            f"Applications/{application.sid}.json",
            f"SIP/Domains/{domain.sid}.json",
            f"SIP/CredentialLists/{users.sid}.json",
            f"SIP/CredentialLists/{users.sid}/Credentials.json",
            f"SIP/CredentialLists/{users.sid}/Credentials/{credential.sid}.json",
        ]
        headers = {"Authorization": basic(sub.sid, sub.auth_token)}
        base = f"{scene.server.api}/2010-04-01/Accounts/{sub.sid}"
        for path in paths:
            async with scene.session.get(f"{base}/{path}", headers=headers) as got:
                assert got.status == 404, path
        for method, path, form in [
            ("POST", f"Calls/{sid}.json", {"Status": "completed"}),
            ("POST", f"IncomingPhoneNumbers/{number.sid}.json", {"VoiceUrl": "http://evil.example/"}),
            ("DELETE", f"Applications/{application.sid}.json", {}),
            (
                "POST",
                f"SIP/CredentialLists/{users.sid}/Credentials.json",
                {"Username": "eve", "Password": NEW_PASSWORD},
            ),
            ("DELETE", f"SIP/CredentialLists/{users.sid}/Credentials/{credential.sid}.json", {}),
            ("POST", f"SIP/Domains/{domain.sid}.json", {"VoiceUrl": "http://evil.example/"}),
        ]:
            async with scene.session.request(method, f"{base}/{path}", headers=headers, data=form) as got:
                assert got.status == 404, path
        for kind in ("journal", "timeline"):
            path = f"{scene.server.api}/ringback/v1/calls/{sid}/{kind}"
            async with scene.session.get(path, headers=headers) as got:
                assert got.status == 404
            for wrong in ({}, {"Authorization": basic(scene.server.account_sid, "0" * 32)}):
                async with scene.session.get(path, headers=wrong) as got:
                    assert got.status == 401
        for rows in (other.calls, other.incoming_phone_numbers, other.applications, other.sip.domains):
            assert await scene.do(rows.list) == []
        assert (await scene.do(scene.client.calls(sid).fetch)).status == "in-progress"
        async with scene.session.post(
            f"{scene.server.api}/ringback/v1/sandbox/calls", data={"To": MAIN_NUMBER}
        ) as got:
            assert got.status == 401
    finally:
        if other.http_client.session is not None:
            other.http_client.session.close()
    call.hang_up()
    await over(call)


def test_the_servers_data_is_its_owners_alone(server: LiveServer) -> None:
    data = server.directory / "data"
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    found = list(data.rglob("*"))
    assert {"ringback.db", "phones.json", "server.json"} <= {path.name for path in found}
    for path in found:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_functions_do_not_inherit_the_servers_secrets(server: LiveServer) -> None:
    """Settings of the server come by its environment too; its children get none of them."""
    own, *children = family(server.process.pid)
    assert b"RINGBACK_PHONE_PASSWORD" in Path(f"/proc/{own}/environ").read_bytes()
    assert children
    for pid in children:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        assert server.password.encode() not in environment
        assert server.auth_token.encode() not in environment
