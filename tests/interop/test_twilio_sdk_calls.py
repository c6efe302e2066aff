"""Calls, conferences and the facts of a call, judged by Twilio's own Python package."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from interop.twilio_scene import Exchange, client, exchange, fresh_number, list_error, refused
from twilio.rest import Client

from ringback.store import new_sid

__all__ = ["client", "exchange"]


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


def test_what_has_no_effect_is_a_warning_of_the_call(
    client: Client, exchange: Exchange, caller_id: str
) -> None:
    to, reason = "+14155550199", "Your order"
    call = client.calls.create(to=to, from_=caller_id, url="https://example.com/twiml", call_reason=reason)
    person = client.conferences("Room").participants.create(to=to, from_=caller_id, call_reason=reason)
    warnings = {each.call_sid: each for each in client.api.account.notifications.list()}
    for sid in (call.sid, person.call_sid):
        assert (warnings[sid].error_code, warnings[sid].log) == ("20001", "1")
        assert warnings[sid].message_text == "CallReason has no effect on this server"


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


def test_a_conference_leg_is_muted_held_and_removed(client: Client, exchange: Exchange) -> None:
    room = exchange.calls.conferences.open_room(exchange.account_sid, "Standup", "anna", "ben", "carl")
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
    ended = client.conferences(room["sid"]).fetch()
    assert str(ended.reason_conference_ended) == "conference-ended-via-api"
    assert client.conferences(room["sid"]).participants.list() == []
    with refused(404, 20404):
        participants("anna").update(muted=True)


def test_conferences_are_listed_from_the_store_by_pages_and_filters(
    client: Client, exchange: Exchange
) -> None:
    rooms = [exchange.calls.conferences.open_room(exchange.account_sid, "Paged")["sid"] for _ in range(5)]
    for sid in rooms[:3]:
        client.conferences(sid).update(status="completed")
    found = client.conferences.list(friendly_name="Paged", page_size=2)
    assert {room.sid for room in found} == set(rooms)
    over = client.conferences.list(friendly_name="Paged", status="completed")
    assert {room.sid for room in over} == set(rooms[:3])
    today = datetime.now(UTC).date()
    assert len(client.conferences.list(friendly_name="Paged", date_created=today)) == 5
    assert client.conferences.list(friendly_name="Paged", date_created_before=today) == []
    assert len(client.conferences.list(friendly_name="Paged", date_updated_after=today)) == 5


def test_a_participant_is_called_in_with_every_parameter(
    client: Client, exchange: Exchange, caller_id: str
) -> None:
    room = exchange.calls.conferences.open_room(exchange.account_sid, "Calling", "agent")
    (agent,) = client.conferences(room["sid"]).participants.list()
    person = client.conferences(room["sid"]).participants.create(
        to="+14155550199",
        from_=caller_id,
        label="customer",
        muted=True,
        beep="onExit",
        start_conference_on_enter=False,
        end_conference_on_exit=True,
        early_media=False,
        max_participants=10,
        wait_url="",
        wait_method="GET",
        call_sid_to_coach=agent.call_sid,
        region="ie1",
        timeout=20,
        time_limit=600,
        jitter_buffer_size="small",
        status_callback="https://example.com/status",
        status_callback_event=["initiated", "answered"],
        conference_status_callback="https://example.com/conference",
        conference_status_callback_event=["start end", "modify"],
        conference_record="do-not-record",
    )
    assert (person.status, person.label, person.queue_time) == ("queued", "customer", "0")
    assert person.conference_sid == room["sid"]
    given = exchange.calls.conferences.added[-1]
    assert (given.beep, given.wait_url, given.call_sid_to_coach) == ("onExit", "", agent.call_sid)
    assert given.conference_status_callback_events == ("start", "end", "modify")
    assert (given.call.timeout, given.call.status_callback_events) == (20, ("initiated", "answered"))
    by_name = client.conferences("New room").participants.create(to="+14155550199", from_=caller_id)
    assert client.conferences(by_name.conference_sid).fetch().friendly_name == "New room"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"record": True}, 20001),
        ({"conference_record": "true"}, 20001),
        ({"machine_detection": "Enable"}, 20001),
        ({"coaching": True}, 20001),
        ({"beep": "loud"}, 20001),
        ({"max_participants": 251}, 20001),
        ({"label": "x" * 129}, 16024),
        ({"conference_status_callback_event": ["finish"]}, 20001),
        ({"from_": "+15005550006"}, 21210),
    ],
)
def test_a_participant_is_refused_in_words(
    client: Client, exchange: Exchange, caller_id: str, given: dict[str, Any], code: int
) -> None:
    room = exchange.calls.conferences.open_room(exchange.account_sid, "Refusing")
    with refused(400, code):
        client.conferences(room["sid"]).participants.create(
            **{"to": "+14155550199", "from_": caller_id, **given}
        )


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
