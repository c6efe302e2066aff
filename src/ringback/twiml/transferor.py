"""What a far end that transfers somebody is told of it, by way of its call (RFC 3515)."""

from __future__ import annotations

from ringback.call.effects import Effect, Tell
from ringback.call.script import Call
from ringback.call.unasked import refused


def answer(transferor: str, number: int, status: int, why: str = "", code: int = 0) -> Tell:
    """Have its REFER accepted or refused; with ``why`` in its timeline, if there is something to say."""
    return Tell(transferor, "referral", refused(number, why, code, status))


def progress(transferor: str, number: int, status: int, *, leave: bool = False) -> Tell:
    """Have it notified of what its transfer has met; ``leave``: its call is over."""
    data = {"number": number, "step": "progress", "status": status, "leave": leave}
    return Tell(transferor, "referral", data)


def progressed(call: Call, status: int) -> list[Effect]:
    """The target of a transfer rings: once told, with each status."""
    transfer = call.transfer
    if transfer is None or transfer.told == status:
        return []
    transfer.told = status
    return [progress(transfer.transferor, transfer.number, status)]


def reached(call: Call) -> list[Effect]:
    """This call is about to be connected: who transferred it and waits for that may go."""
    transfer, call.transfer = call.transfer, None
    if transfer is None:
        return []
    transfer.is_done = True
    return [progress(transfer.transferor, transfer.number, 200, leave=True)]
