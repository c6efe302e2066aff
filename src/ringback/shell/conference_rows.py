"""Conferences and their participants as rows of the REST API and of the store."""

from __future__ import annotations

from typing import Any

from ringback.call.conference import Conference
from ringback.call.member import Member
from ringback.shell.records import moment

STATUSES = {"queued": "queued", "ringing": "ringing"}
"""A participant's status by that of its call, while it has not joined: all else is connecting."""


def conference_row(room: Conference) -> dict[str, Any]:
    """A conference as it is now."""
    return {
        "sid": room.sid,
        "account_sid": room.account_sid,
        "friendly_name": room.name,
        "status": room.status,
        "region": room.region,
        "api_version": "2010-04-01",
        "date_created": moment(room.created_at),
        "date_updated": moment(room.updated_at),
        "reason_conference_ended": room.reason or None,
        "call_sid_ending_conference": room.ended_by or None,
    }


def participant_row(room: Conference, member: Member, call_status: str) -> dict[str, Any]:
    """Who is in a conference or called to come in, whose call has this status."""
    has_joined = member.call_sid in room.members
    return {
        "account_sid": room.account_sid,
        "call_sid": member.call_sid,
        "conference_sid": room.sid,
        "label": member.label or None,
        "call_sid_to_coach": member.coaches or None,
        "coaching": bool(member.coaches),
        "date_created": moment(member.joined_at),
        "date_updated": moment(member.updated_at),
        "start_conference_on_enter": member.start_on_enter,
        "end_conference_on_exit": member.end_on_exit,
        "muted": member.muted,
        "hold": member.held,
        "status": "connected" if has_joined else STATUSES.get(call_status, "connecting"),
        "queue_time": None,
    }
