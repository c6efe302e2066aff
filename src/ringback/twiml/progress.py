"""Status callbacks of a call: initiated, ringing, answered, completed (webhooks, "Callbacks")."""

from __future__ import annotations

from ringback.call.effects import Effect, Fact, Notify
from ringback.call.script import Call
from ringback.twiml.parameters import rfc2822, standard

EVENT_STATUS = {"initiated": "initiated", "ringing": "ringing", "answered": "in-progress"}


class Progress:
    """Sends one call's status callbacks, in order and each once."""

    __slots__ = ("_call", "_sent", "_sequence")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._sequence = 0
        self._sent: list[str] = []

    def tell(self, event: str) -> list[Effect]:
        """Send the callback of a passing event, if it is wanted and was not sent before."""
        if not self._call.setup.status_callback.url or event in self._sent:
            return []
        self._sent.append(event)
        return self._notify(event, EVENT_STATUS[event], [])

    def complete(self, status: str, sip_status: int) -> list[Effect]:
        """Close the call's record with its final status and send the last callback.

        The record of a call that nobody answered has no duration (Call resource, "duration"); a callback says 0.
        """
        call = self._call
        call.status = status
        seconds = call.duration
        out: list[Effect] = [
            Fact(
                {
                    "status": status,
                    "end_time": call.now,
                    "duration": str(seconds) if call.answered_at is not None else None,
                    "sip_response_code": sip_status,
                }
            )
        ]
        if not call.setup.status_callback.url:
            return out
        extra = [("CallDuration", str(seconds)), ("Duration", str(-(-seconds // 60)))]
        if call.setup.kind != "inbound" and sip_status:
            extra.append(("SipResponseCode", str(sip_status)))
        return out + self._notify("completed", status, extra)

    def _notify(self, event: str, status: str, extra: list[tuple[str, str]]) -> list[Effect]:
        callback = self._call.setup.status_callback
        if not callback.url or event not in callback.events:
            return []
        params = standard(self._call, status)
        params.extend(extra)
        params.append(("Timestamp", rfc2822(self._call.now)))
        params.append(("CallbackSource", "call-progress-events"))
        params.append(("SequenceNumber", str(self._sequence)))
        self._sequence += 1
        return [Notify(callback.url, callback.method, params)]
