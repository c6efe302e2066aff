"""Conferences and their participants."""

from __future__ import annotations

from ..parameters import Kind, Parameter
from ..resource import API_VERSION, Field, Filter, Resource, Type, dated

CONFERENCE = Resource(
    element="Conference",
    list_key="conferences",
    table="",  # live only
    prefix="CF",
    path="/Accounts/{account_sid}/Conferences/{sid}",
    fields=dated(
        Field("api_version", default=API_VERSION),
        "friendly_name",
        Field("region", default="us1"),
        "status",
        "uri",
        Field("subresource_uris", Type.MAP),
        "reason_conference_ended",
        "call_sid_ending_conference",
    ),
    update=(
        Parameter("Status", "status", Kind.CHOICE, choices=("completed",)),
        Parameter("AnnounceUrl", "announce_url", Kind.URL),
        Parameter("AnnounceMethod", "announce_method", Kind.METHOD, default="POST"),
    ),
    filters=(
        Filter("DateCreated", "date_created", Type.DATE, moments=True),
        Filter("DateUpdated", "date_updated", Type.DATE, moments=True),
        Filter("FriendlyName", "friendly_name"),
        Filter("Status", "status", choices=("init", "in-progress", "completed")),
    ),
    subresources=(("participants", "Participants"), ("recordings", "Recordings")),
)

PARTICIPANT = Resource(
    element="Participant",
    list_key="participants",
    table="",  # live only
    prefix="CA",
    path="/Accounts/{account_sid}/Conferences/{conference_sid}/Participants/{call_sid}",
    fields=(
        Field("account_sid"),
        Field("call_sid"),
        Field("label"),
        Field("call_sid_to_coach"),
        Field("coaching", Type.BOOLEAN, False),
        Field("conference_sid"),
        Field("date_created", Type.DATE),
        Field("date_updated", Type.DATE),
        Field("end_conference_on_exit", Type.BOOLEAN, False),
        Field("muted", Type.BOOLEAN, False),
        Field("hold", Type.BOOLEAN, False),
        Field("start_conference_on_enter", Type.BOOLEAN, True),
        Field("status", default="connected"),
        Field("queue_time"),
        Field("uri"),
    ),
    filters=(
        Filter("Muted", "muted", Type.BOOLEAN),
        Filter("Hold", "hold", Type.BOOLEAN),
        Filter("Coaching", "coaching", Type.BOOLEAN),
    ),
)
