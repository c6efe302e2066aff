"""Accounts, authentication and signatures, judged by Twilio's own Python package."""

from __future__ import annotations

from datetime import datetime

from interop.twilio_scene import Exchange, client, exchange, refused
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from ringback.rest.signatures import sign
from ringback.store import new_sid

__all__ = ["client", "exchange"]


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


def test_the_validator_accepts_what_an_accounts_token_signs(exchange: Exchange) -> None:
    url = "https://example.com:8443/voice?callerId=%2B1650"
    params = {"CallSid": "CA1", "From": "sip:alice@office", "Body": "é"}
    assert RequestValidator(exchange.token).validate(url, params, sign(exchange.token, url, params))
    assert not RequestValidator("another").validate(url, params, sign(exchange.token, url, params))
