"""A call that is connected with another one, and how their far ends transfer each other.

::

    of this call's far end            of the partner's far end           of a third call
    REFER --> "referred" to partner   "referred" --> ask the referUrl    "join" --> "linked" to it
          <-- "referral": answer,     "referral" <-- 202, progress       "parted" --> it has ended
              progress, leave         its document runs here             "transferred" --> leave: our place is taken
    REFER with Replaces --> "join" to both partners, "transferred" to the other call of the far end
          where that one still rings --> "referred" to partner, "give" to the other call, "adopt" to who rings for it
          where it is in a document   --> "referred" to partner, "give" to the other call, whose verb runs on here

A blind transfer is Twilio's (Inbound SIP REFER): the program at ``referUrl`` says what becomes of the call that
stays. An attended one, whose Replaces names a call of this exchange, needs no program: it connects the two who stay.
Where the other call still rings (semi-attended), who stays hears it ring on, and has the transferor back if nobody
answers. Where it is in a menu or a conference, who stays takes its place: the verb begins anew for it, and a conference
changes one member for the other. It is the same if the REFER comes on that other call, and names this connection.
"""

from __future__ import annotations

from typing import Any, NamedTuple, NoReturn

from ringback.call.effects import (
    AnswerReferral,
    Arm,
    Bridge,
    Disarm,
    Effect,
    Fetch,
    NotifyReferral,
    Tell,
    Unbridge,
    error,
    info,
    warning,
)
from ringback.call.events import Complete, Event, Fetched, Fired, LegReferred, Told
from ringback.call.limits import MAX_TRANSFER_TARGET, MAX_TRANSFERS
from ringback.call.script import Call, Completed, Interrupted, Script, Transfer, observed
from ringback.call.setup import Page
from ringback.call.unasked import referred
from ringback.twiml.parameters import standard
from ringback.twiml.ringing import REFUSALS, Ringing
from ringback.twiml.run import End, Goto, RunPages, Start
from ringback.twiml.transferor import answer, progress, reached

TRANSFER = "transfer"
"""The segment of a document that runs while the transferor waits for its outcome."""

GIVEN_WITHIN = 2.0
"""Seconds for the other call to say who rings for it, or that it waits for a document: it does at once."""

DOCUMENT_WITHIN = 35.0
"""Seconds for that document: a webhook has 15 s, and so has its fallback."""


class Policy(NamedTuple):
    """What a Dial says of transfers: referUrl, referMethod; whether the transferor stays until the target answers."""

    url: str
    method: str
    waits: bool


NO_POLICY = Policy("", "POST", False)


class Link:
    """One call's side of a connection."""

    __slots__ = (
        "_accepted",
        "_asked",
        "_call",
        "_count",
        "_policy",
        "_run_pages",
        "adopted",
        "is_over",
        "missed",
        "partner",
    )

    def __init__(self, call: Call, partner: str, policy: Policy, run_pages: RunPages) -> None:
        self._call = call
        self._policy = policy
        self._run_pages = run_pages
        self._asked = 0
        self._accepted = False
        self._count = 0
        self.partner = call.partner = partner
        self.adopted = False
        """The partner came by a transfer: it tells its end by "parted", and wants to be told."""
        self.is_over = False
        """An adopted partner has ended."""
        self.missed: list[Told] = []
        """Messages that came while a transfer was under way; to be taken before other events."""

    def join(self, partner: str) -> list[Effect]:
        """Be connected with another call from now on."""
        self.partner = self._call.partner = partner
        self.adopted = True
        return [
            Bridge(partner),
            Tell(partner, "linked", {}),
            info("call", f"connected with {partner} by a transfer"),
        ]

    def close(self) -> list[Effect]:
        """The connection ends, in whatever way: nobody may wait for what does not come."""
        self._call.partner = ""
        out: list[Effect] = []
        if self._asked and self._call.ended is None:
            asked = self._asked
            out.append(NotifyReferral(asked, 487) if self._accepted else AnswerReferral(asked, 603))
        if self.adopted and not self.is_over:
            out.append(Tell(self.partner, "parted", {}))
        return out

    def on(self, event: Event) -> Script[Goto | End | None]:
        """Take an event of transfers: where this call goes on; None while it stays. Raises Completed if it leaves."""
        match event:
            case LegReferred():
                yield from self._on_referred(event)
            case Told(sender, "referral", data) if sender == self.partner:
                yield from self._on_verdict(data)
            case Told(sender, "referred", data):
                return (yield from self._on_partner_referred(sender, data))
            case Told(_, "join", data):
                yield from self.join(data["with"])
            case Told(heir, "give", _):
                here = {"sid": self.partner, "shown": self.partner, "prepares": False, "answered": True}
                yield Tell(heir, "given", {"children": [here], "patience": GIVEN_WITHIN, "ring_tone": ""})
            case Told(heir, "adopt", _):
                yield Tell(heir, "ready", {})
            case Told(_, "transferred", data):
                self._leave(data["why"])
            case Told(sender, "parted", _) if sender == self.partner and self.adopted:
                self.is_over = True
        return None

    # -- the far end of this call transfers its partner ---------------------------------------------------

    def _on_referred(self, event: LegReferred) -> Script[None]:
        number, target = event.number, event.target
        other, partner = event.other, event.partner
        if partner:
            yield AnswerReferral(number, 202)
            yield Tell(self.partner, "join", {"with": partner})
            yield Tell(partner, "join", {"with": self.partner})
            yield Tell(other, "transferred", {"why": f"transferred: {partner} talks with {self.partner}"})
            yield NotifyReferral(number, 200)
            self._leave(f"transferred: {self.partner} talks with {partner}")
        elif len(target) > MAX_TRANSFER_TARGET:
            yield warning(
                "call", f"Refer-To has {len(target)} characters; {MAX_TRANSFER_TARGET} is the limit"
            )
            yield AnswerReferral(number, 400)
        elif self._asked:
            yield AnswerReferral(number, 491)
        else:
            self._asked, self._accepted = number, False
            told = referred(event, other, self._call.setup.sid)
            yield Tell(self.partner, "referred", {**told, "policy": list(self._policy)})

    def _on_verdict(self, data: dict[str, Any]) -> Script[None]:
        number, status = data["number"], data["status"]
        if number != self._asked:
            return
        if data["step"] == "answer" and not self._accepted:
            self._accepted = status < 300
            yield AnswerReferral(number, status)
            if data["why"]:
                yield error("call", data["why"], data["code"])
        elif data["step"] == "answer":  # it was accepted before the other call's document had come
            if status >= 300:
                yield NotifyReferral(number, status)
        else:
            yield NotifyReferral(number, status)
        if status >= 300 or (status >= 200 and data["step"] == "progress"):
            self._asked = 0
        if data["leave"]:
            self._leave("it transferred the other end")

    def _leave(self, why: str) -> NoReturn:
        # The partner stays, and knows where: this call must not part it.
        self.adopted = self.is_over = False
        raise Completed(Complete("completed", why))

    # -- the partner's far end transfers this call ---------------------------------------------------------

    def _on_partner_referred(self, transferor: str, data: dict[str, Any]) -> Script[Goto | End | None]:
        number = data["number"]
        if data["of"] != self.partner:
            yield answer(transferor, number, 603, "who is to be transferred is connected with somebody else")
            return None
        if data["other"]:
            return (yield from self._take_place(Transfer(transferor, number), data))
        policy = self._policy if self._policy.url else Policy(*data["policy"])
        if not policy.url or self._count >= MAX_TRANSFERS:
            why = (
                "<Dial> has no referUrl to ask"
                if not policy.url
                else f"{MAX_TRANSFERS} transfers are the limit"
            )
            text = f"REFER to {data['target']} is refused with 603: {why}"
            yield answer(transferor, number, 603, text, 0 if policy.url else 13802)
            return None
        self._count += 1
        self._call.referred_by = data["referred_by"]
        yield info("call", f"to be transferred to {data['target']}: asking {policy.url}")
        yield answer(transferor, number, 202)
        params = [("ReferTransferTarget", data["target"])]
        fetched = yield from self._ask(policy, [*standard(self._call), *params])
        if not policy.waits:
            yield Unbridge()
            yield progress(transferor, number, 503 if fetched.document is None else 200, leave=True)
            self._call.partner = ""
            return Goto(policy.url, policy.method, params, fetched)
        if fetched.document is None:
            yield error("twiml", fetched.error_text, fetched.error_code)
            yield progress(transferor, number, 503)
            return None
        return (yield from self._connect_first(policy, params, fetched, Transfer(transferor, number)))

    def _ask(self, policy: Policy, params: list[tuple[str, str]]) -> Script[Fetched]:
        token = self._call.token("refer")
        yield Fetch(token, policy.url, policy.method, params)
        while True:
            match (yield None):
                case Fetched() as fetched if fetched.token == token:
                    return fetched
                case LegReferred(number):
                    yield AnswerReferral(number, 491)
                case Told() as told:
                    self.missed.append(told)

    def _connect_first(
        self, policy: Policy, params: list[tuple[str, str]], fetched: Fetched, transfer: Transfer
    ) -> Script[End | None]:
        """Run the program's document while the transferor waits; connected with him again if it reached nobody."""
        call = self._call
        yield Unbridge()
        call.partner, call.transfer = "", transfer
        page = Page(policy.url, policy.method)
        try:
            document = self._run_pages(call, page, segment=TRANSFER, params=params, fetched=fetched)
            end = yield from observed(document, self._watch)
        finally:
            call.transfer = None
        if transfer.is_done:
            self._asked = 0
            return end
        if not self._is_left and end.why.startswith(("Hangup", "Reject")):
            yield progress(transfer.transferor, transfer.number, 603, leave=True)
            return end
        yield from self._resume(transfer)
        return None

    @property
    def _is_left(self) -> bool:
        """Whether the transferor hung up while he waited."""
        return any(told.sender == self.partner for told in self.missed)

    def _resume(self, transfer: Transfer) -> Script[None]:
        """The transfer was in vain."""
        self._call.partner = self.partner
        if self._is_left:
            return
        yield info("call", "nobody was reached: connected with the transferor again")
        yield Bridge(self.partner)
        yield progress(transfer.transferor, transfer.number, transfer.failure)

    def _watch(self, event: Event) -> Event | Interrupted | None:
        if isinstance(event, Told) and event.sender == self.partner:
            self.missed.append(event)
            return None
        return event

    # -- the other call of the transferor still rings --------------------------------------------------------

    def _take_place(self, transfer: Transfer, data: dict[str, Any]) -> Script[Goto | None]:
        """Take the place of the transferor's other call, in its document or for those who ring for it."""
        other = data["other"]
        given = yield from self._given(other, transfer)
        if given.get("place"):
            yield answer(transfer.transferor, transfer.number, 202)
            yield Unbridge()
            yield progress(transfer.transferor, transfer.number, 200, leave=True)
            yield from self._transferred(transfer.transferor, other)
            self._call.partner, self._call.referred_by = "", data["referred_by"]
            return (yield from self._go_on(other, given["place"]))
        if given:
            yield from self._ring_on(transfer, other, given)
        else:
            why = f"the other call, {other}, is in no document, neither rings nor is connected with anybody"
            yield answer(transfer.transferor, transfer.number, 603, why)
        return None

    def _transferred(self, transferor: str, other: str) -> Script[None]:
        """The transferor's calls are over: one that the REFER came on is told so by its progress, if it is connected."""
        why = {"why": f"{self._call.setup.sid} took its place"}
        yield Tell(other, "transferred", why)
        if transferor == other:
            yield Tell(self.partner, "transferred", why)

    def _go_on(self, other: str, place: dict[str, Any]) -> Script[Goto]:
        """The verb that the other call is in."""
        yield info("call", f"takes the place of {other} in its document, at verb {place['verb']}")
        document = Fetched("", place["url"], 200, place["document"], 0, "")
        return Goto(place["url"], place["method"], [], document, Start(place["verb"], other))

    def _ring_on(self, transfer: Transfer, other: str, given: dict[str, Any]) -> Script[None]:
        """Have what rings for the other call ring for this one, while the transferor waits."""
        call = self._call
        yield answer(transfer.transferor, transfer.number, 202)
        yield Unbridge()
        call.partner, call.transfer = "", transfer
        try:
            yield from observed(self._take(other, given, transfer.transferor), self._watch)
        finally:
            call.transfer = None
        if transfer.is_done:
            self._asked = 0
        else:
            yield from self._resume(transfer)

    def take_over(self, other: str) -> Script[bool | Goto]:
        """Take the place of another call that still rings; False if nobody answers. Or where its document goes on."""
        given = yield from self._given(other)
        if given.get("place"):
            yield from self._transferred("", other)
            return (yield from self._go_on(other, given["place"]))
        return bool(given) and (yield from self._take(other, given))

    def _given(self, other: str, transfer: Transfer | None = None) -> Script[dict[str, Any]]:
        """Ask another call whom it rings, or where it is in its document; {} if there is nobody.

        Where the document has still to come, the transfer is accepted meanwhile.
        """
        timer = self._call.token("given")
        yield Tell(other, "give", {})
        yield Arm(timer, GIVEN_WITHIN)
        try:
            while True:
                match (yield None):
                    case Told(sender, "given", data) if sender == other:
                        yield Disarm(timer)
                        return data if data["children"] or data.get("place") else {}
                    case Told(sender, "given-later", _) if sender == other:
                        yield Arm(timer, DOCUMENT_WITHIN)
                        if transfer is not None:
                            yield answer(transfer.transferor, transfer.number, 202)
                    case Fired(token) if token == timer:
                        return {}
                    case LegReferred(number):
                        yield AnswerReferral(number, 491)
                    case Told() as told:
                        self.missed.append(told)
        except Interrupted:
            yield Disarm(timer)
            raise

    def _take(self, other: str, given: dict[str, Any], transferor: str = "") -> Script[bool]:
        """Ring on what another call has given, and be connected with who is ready first."""
        call = self._call
        ringing = Ringing(call, given["ring_tone"])
        yield from ringing.adopt(given["children"])
        winner = yield from ringing.first_ready(given["patience"])
        if winner is None:
            if call.transfer is not None:
                call.transfer.failure = REFUSALS[ringing.status].status
            return False
        yield from reached(call)
        yield from self._transferred(transferor, other)
        if not winner.adopted:
            yield Tell(winner.sid, "join", {"with": call.setup.sid})
        yield from self.join(winner.sid)
        return True
