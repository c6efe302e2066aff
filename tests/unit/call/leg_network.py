"""Legs of an exchange on the virtual SIP network, and phones that offer and answer real descriptions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unit.sip.virtual_network import Network

from ringback.call.events import Event, LegEnded
from ringback.call.incoming_leg import IncomingLeg
from ringback.call.leg_effects import Configure, Follow, Happened, Wire
from ringback.call.outgoing_leg import Branch, OutgoingLeg
from ringback.sdp import OfferAnswer
from ringback.sip import effects as sip
from ringback.sip.effects import Effect
from ringback.sip.flow import Hop
from ringback.sip.headers import NameAddr
from ringback.sip.message import Request, Response
from ringback.sip.session import InviteSession
from ringback.sip.uri import Uri

HOST = "192.0.2.1"
SESSION_EFFECTS = (
    sip.Ringing,
    sip.Established,
    sip.Confirmed,
    sip.Reoffered,
    sip.ReofferWithdrawn,
    sip.Reanswered,
    sip.ReofferFailed,
    sip.Redirected,
    sip.InfoReceived,
    sip.Ended,
)


class Exchange:
    """A node with legs."""

    def __init__(self, network: Network, **options: Any) -> None:
        self.network = network
        self.node = network.node("ringback", HOST, **options)
        for kind in SESSION_EFFECTS:
            self.node.on[kind] = lambda effect: effect.session.owner.on(effect, network.now)
        self.node.on[sip.Ended] = self._on_ended

    def _on_ended(self, effect: sip.Ended) -> list[Any]:
        owner: Any = effect.session.owner
        effect.session.owner = None  # as SipStack does
        return list(owner.on(effect, self.network.now))

    def leg(self) -> OutgoingLeg:
        """A leg that is not placed yet."""
        return OutgoingLeg(self.node.agent, "CA1", 1, 40_000, 77)

    def receiving(self) -> IncomingLeg:
        """A leg that takes the next INVITE."""
        leg = IncomingLeg(self.node.agent, "CA1", 1, 40_000, 77)

        def receive(incoming: sip.Incoming) -> list[Any]:
            return leg.receive(incoming.request, incoming.flow, HOST, f"<sip:{HOST}>", self.network.now)

        self.node.on[sip.Incoming] = receive
        return leg

    def do(self, act: Callable[..., list[Any]], *arguments: Any, **options: Any) -> None:
        """Carry out what a command of a leg gives, and let the network settle for a second."""
        self.node.run(act(*arguments, self.network.now, **options))
        self.network.run(1)

    def events(self) -> list[Event]:
        """What the calls were told."""
        return [happened.event for happened in self.node.all(Happened)]

    def ending(self) -> LegEnded:
        """The one LegEnded."""
        (ended,) = [event for event in self.events() if isinstance(event, LegEnded)]
        return ended

    def configured(self) -> list[Any]:
        """The agreements, in order."""
        return [configure.negotiated for configure in self.node.all(Configure)]

    def wires(self) -> list[str]:
        """The lines of the timeline."""
        return [("> " if wire.outgoing else "< ") + wire.text for wire in self.node.all(Wire)]

    def follows(self) -> list[Follow]:
        """Redirects to be followed."""
        return self.node.all(Follow)

    def finish(self) -> None:
        """All is over: one LegEnded, and nothing is left."""
        self.network.run()
        self.ending()
        self.network.assert_idle()


class Phone:
    """A far end: a node that describes its sound."""

    def __init__(self, network: Network, name: str, number: int, **options: Any) -> None:
        self.network = network
        self.node = network.node(name, f"192.0.2.{number}", **options)
        self.talk = OfferAnswer(f"192.0.2.{number}", 10_000 + 2 * number, number)
        self.session: InviteSession | None = None

    def on_invite(self, react: Callable[[InviteSession, Request], list[Effect]]) -> None:
        """What to do with an INVITE."""

        def taken(session: InviteSession, request: Request) -> list[Effect]:
            self.session = session
            return react(session, request)

        self.node.answering(taken)

    def answering(self, **options: Any) -> None:
        """Answer each INVITE with 200 and a good answer."""
        self.on_invite(lambda session, request: self.accept(session, request, **options))

    def accept(self, session: InviteSession, request: Request, **options: Any) -> list[Effect]:
        """200 to an INVITE."""
        return session.answer(self.talk.answer(request.body), self.network.now, **options)

    def rejecting(self, status: int, **options: Any) -> None:
        """Refuse each INVITE."""
        self.on_invite(lambda session, request: session.reject(status, self.network.now, **options))

    def ringing(self) -> None:
        """Ring for ever."""
        self.on_invite(lambda session, request: session.progress(180, self.network.now))

    def call(self, body: bytes | None = None) -> InviteSession:
        """Call the exchange."""
        exchange = next(node for node in self.network.nodes.values() if node.name == "ringback")
        offer = self.talk.offer() if body is None else body
        self.session = self.node.call(exchange, offer)
        return self.session

    def do(self, act: Callable[..., list[Effect]], *arguments: Any, **options: Any) -> None:
        """Carry out what a command of the session gives."""
        self.node.run(act(*arguments, self.network.now, **options))
        self.network.run(1)

    def branch(self, **changes: Any) -> Branch:
        """The branch that an exchange rings this phone with."""
        uri = Uri.parse(f"sip:{self.node.name}@{self.node.address[0]}")
        values: dict[str, Any] = {
            "uri": uri,
            "hops": (Hop("UDP", *self.node.address),),
            "address": HOST,
            "sent_by": f"{HOST}:5060",
            "contact": f"<sip:{HOST}>",
            "from_": NameAddr("", Uri.parse("sip:+14155550100@ringback.localhost")),
            "to": NameAddr("", uri),
        }
        return Branch(**(values | changes))

    @property
    def got(self) -> list[str]:
        """What arrived here: methods and statuses."""
        return [
            message.method if isinstance(message, Request) else f"{message.status} {message.cseq.method}"
            for message in self.node.got
        ]

    def last(self, status: int) -> Response:
        """The last response of that status that arrived here."""
        return [m for m in self.node.got if isinstance(m, Response) and m.status == status][-1]
