"""What a leg gives besides effects of the SIP agent: for the sound, for its call, for the timeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ringback.call.events import Event
from ringback.sdp import Negotiated
from ringback.sip import effects as sip
from ringback.sip.uri import Uri

if TYPE_CHECKING:
    from ringback.call.leg import Leg
    from ringback.call.outgoing_leg import Branch


class Configure(msgspec.Struct, frozen=True):
    """The sound of this leg was negotiated: tell the pump. ``signalling_host`` is where SIP comes from."""

    leg: Leg
    negotiated: Negotiated
    signalling_host: str


class Happened(msgspec.Struct, frozen=True):
    """An event for the inbox of the leg's call."""

    leg: Leg
    event: Event


class Wire(msgspec.Struct, frozen=True):
    """A SIP message of this leg, in words; ``outgoing`` is its direction."""

    leg: Leg
    outgoing: bool
    text: str


class Follow(msgspec.Struct, frozen=True):
    """The far end redirected (302): find the hops of ``uri`` and place ``branch`` with them."""

    leg: Leg
    branch: Branch
    uri: Uri


class Transfer(msgspec.Struct, frozen=True):
    """The far end asks to be transferred (REFER). ``other`` is the leg of the dialog that it wants replaced, if any.

    ``referred_by`` is who transfers, as it says itself; "" if it does not.
    """

    leg: Leg
    number: int
    target: str
    other: Leg | None
    referred_by: str


LegEffect = sip.Effect | Configure | Happened | Wire | Follow | Transfer
