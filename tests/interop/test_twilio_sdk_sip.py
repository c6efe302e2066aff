"""SIP domains, credentials and address lists, judged by Twilio's own Python package."""

from __future__ import annotations

from hashlib import md5

from interop.twilio_scene import PASSWORD, Exchange, client, exchange, list_error, refused
from twilio.rest import Client

from ringback.store import new_auth_token, new_sid

__all__ = ["client", "exchange"]


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
