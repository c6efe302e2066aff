"""Phone numbers, applications and caller IDs, judged by Twilio's own Python package."""

from __future__ import annotations

import pytest
from interop.twilio_scene import Exchange, client, exchange, fresh_number, refused
from twilio.rest import Client

from ringback.store import new_sid

__all__ = ["client", "exchange"]


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
