"""A network without sockets and a clock without waiting, for tests of user agents.

Nodes have an address and a UserAgent; what they send arrives after a delay that the weather decides, as
real bytes, parsed anew. TCP streams are numbered for each pair of nodes.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from ringback.sip.agent import UserAgent
from ringback.sip.effects import (
    Arm,
    Disarm,
    Effect,
    Ended,
    Incoming,
    Resolve,
    Send,
)
from ringback.sip.flow import Flow, Hop
from ringback.sip.message import Request, Response, parse
from ringback.sip.session import InviteSession

Weather = Callable[[bytes], Sequence[float]]
"""The delays in seconds after which copies of a datagram arrive; none: it is lost."""


def fair(data: bytes) -> Sequence[float]:
    """Every datagram arrives once, after 10 ms."""
    return (0.01,)


class Node:
    """One user agent at one address. ``on`` has what to do at each type of effect."""

    def __init__(self, network: Network, name: str, host: str, **options: Any) -> None:
        counter = itertools.count(1)
        self.network = network
        self.name = name
        self.address = (host, 5060)
        self.agent = UserAgent(lambda: f"{name}{next(counter):06d}", f"{name}/1", **options)
        self.contact = f"<sip:{name}@{host}>"
        self.on: dict[type, Callable[[Any], list[Effect] | None]] = {}
        self.timers: dict[Any, float] = {}
        self.seen: list[Effect] = []
        self.sent: list[Request | Response] = []
        self.sent_at: list[float] = []
        self.hops: list[Hop] = []
        self.got: list[Request | Response] = []
        self.sessions: list[InviteSession] = []
        self.names: dict[str, list[Hop]] = {}

    def run(self, effects: list[Effect]) -> None:
        """Carry effects out."""
        for effect in effects:
            if isinstance(effect, Send):
                self.sent.append(parse(effect.data))
                self.sent_at.append(self.network.now)
                self.hops.append(effect.hop)
                self.network.carry(self, effect)
            elif isinstance(effect, Arm):
                assert effect.at >= self.network.now, effect
                self.timers[effect.key] = effect.at
                self.network.at(effect.at, self._fire, effect.key, effect.at)
            elif isinstance(effect, Disarm):
                self.timers.pop(effect.key, None)
            elif isinstance(effect, Resolve):
                hops = self.names.get(effect.uri.host, [])
                self.network.at(self.network.now + 0.02, self._resolved, effect.key, hops)
            else:
                self.seen.append(effect)
                if type(effect) in self.on:
                    self.run(self.on[type(effect)](effect) or [])

    def _resolved(self, key: str, hops: list[Hop]) -> None:
        self.run(self.agent.on_resolved(key, hops, self.network.now))

    def _fire(self, key: Any, at: float) -> None:
        if self.timers.get(key) == at:
            del self.timers[key]
            self.run(self.agent.on_timer(key, self.network.now))

    def receive(self, data: bytes, flow: Flow) -> None:
        """A message arrives."""
        message = parse(data)
        self.got.append(message)
        self.run(self.agent.on_message(message, flow, self.network.now))

    def answering(self, react: Callable[[InviteSession, Request], list[Effect]]) -> None:
        """Accept every incoming INVITE, and then let ``react`` say what to do."""

        def on_incoming(effect: Incoming) -> list[Effect]:
            session, effects = self.agent.accept(
                effect.request, effect.flow, self.network.now, contact=self.contact
            )
            self.sessions.append(session)
            self.run(effects)
            return react(session, effect.request)

        self.on[Incoming] = on_incoming

    def call(self, other: Node, body: bytes = b"offer", **options: Any) -> InviteSession:
        """Send an INVITE to another node."""
        transport = options.pop("transport", "UDP")
        hops = options.pop("hops", None) or [Hop(transport, *other.address)]
        values: dict[str, Any] = {
            "uri": f"sip:{other.name}@{other.address[0]}",
            "hops": hops,
            "from_": f"<sip:{self.name}@{self.address[0]}>",
            "to": f"<sip:{other.name}@{other.address[0]}>",
            "contact": self.contact,
            "body": body,
            "now": self.network.now,
            "sent_by": f"{self.address[0]}:{self.address[1]}",
        }
        session, effects = self.agent.invite(**(values | options))
        self.sessions.append(session)
        self.run(effects)
        return session

    def serve(self, incoming: Incoming) -> Callable[[Response], None]:
        """A transaction for a request, to be answered by hand with what is returned."""
        server = self.agent.serve(incoming.request, incoming.flow)

        def respond(response: Response) -> None:
            out: list[Effect] = []
            server.respond(response, self.network.now, out)
            self.run(out)

        return respond

    def count(self, kind: type) -> int:
        """How many effects of this type were seen."""
        return sum(isinstance(effect, kind) for effect in self.seen)

    def all(self, kind: type) -> list[Any]:
        """The effects of this type."""
        return [effect for effect in self.seen if isinstance(effect, kind)]

    def endings(self, session: InviteSession) -> list[str]:
        """The causes with which a session ended; one when all is well."""
        return [each.cause for each in self.all(Ended) if each.session is session]

    def feed(self, message: Request | Response, peer: Flow | None = None) -> list[Request | Response]:
        """Let a message made by hand arrive; what it made this node send."""
        before = len(self.sent)
        self.receive(message.render(), peer or Flow("UDP", self.address, ("192.0.2.99", 5060)))
        return self.sent[before:]

    def times(self, name: str) -> list[float]:
        """When messages of that kind ("INVITE", "200 INVITE") were sent, since the first of them."""
        times = [at for at, message in zip(self.sent_at, self.sent, strict=True) if line(message) == name]
        return [round(at - times[0], 3) for at in times]

    @property
    def trace(self) -> list[str]:
        """What was sent, as methods and statuses."""
        return [line(message) for message in self.sent]


def line(message: Request | Response) -> str:
    """A message in short: "INVITE", "200 INVITE"."""
    if isinstance(message, Request):
        return message.method
    return f"{message.status} {message.cseq.method}"


def make_request(
    method: str,
    *,
    branch: str = "z9hG4bKone",
    uri: str = "sip:bob@192.0.2.2",
    via: str = "192.0.2.99",
    transport: str = "UDP",
    from_tag: str = "far",
    to_tag: str = "",
    call_id: str = "made-by-hand",
    cseq: int = 1,
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
) -> Request:
    """A request as a stranger at 192.0.2.99 would send it."""
    fields = [
        ("Via", f"SIP/2.0/{transport} {via};branch={branch}"),
        ("Max-Forwards", "70"),
        ("From", f"<sip:eve@192.0.2.99>;tag={from_tag}"),
        ("To", "<sip:bob@192.0.2.2>" + (f";tag={to_tag}" if to_tag else "")),
        ("Call-ID", call_id),
        ("CSeq", f"{cseq} {method}"),
    ]
    if method in ("INVITE", "UPDATE") and "Contact" not in dict(headers):
        fields.append(("Contact", "<sip:eve@192.0.2.99>"))
    if body and "Content-Type" not in dict(headers):
        fields.append(("Content-Type", "application/sdp"))
    return Request(method, uri, [*fields, *headers], body)


class Network:
    """Nodes, a clock and the weather between them."""

    def __init__(self, weather: Weather = fair) -> None:
        self.now = 1000.0
        self.weather = weather
        self.nodes: dict[tuple[str, int], Node] = {}
        self.streams: dict[frozenset[tuple[str, int]], int] = {}
        self.unreachable: set[tuple[str, int]] = set()
        self._due: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = itertools.count()

    def node(self, name: str, host: str, **options: Any) -> Node:
        """A new node."""
        node = Node(self, name, host, **options)
        self.nodes[node.address] = node
        return node

    def at(self, when: float, what: Callable[..., None], *arguments: Any) -> None:
        """Let something happen at a time."""
        heapq.heappush(self._due, (when, next(self._order), what, arguments))

    def carry(self, sender: Node, effect: Send) -> None:
        """Take a message to its hop."""
        hop = effect.hop
        there = (hop.host, hop.port)
        if there in self.unreachable:
            self.at(self.now, self._unreachable, sender, effect)
            return
        receiver = self.nodes.get(there)
        if receiver is None:
            return
        reliable = hop.transport != "UDP"
        connection = 0
        if reliable:
            pair = frozenset((sender.address, there))
            connection = self.streams.setdefault(pair, len(self.streams) + 1)
        flow = Flow(hop.transport, there, sender.address, connection)
        for delay in (0.01,) if reliable else self.weather(effect.data):
            self.at(self.now + delay, receiver.receive, effect.data, flow)

    def _unreachable(self, sender: Node, effect: Send) -> None:
        sender.run(sender.agent.on_unreachable(effect.hop, self.now, effect.transaction))

    def run(self, seconds: float | None = None) -> None:
        """Let time pass; without an argument until nothing is left to happen (at most an hour)."""
        end = self.now + (3600.0 if seconds is None else seconds)
        while self._due and self._due[0][0] <= end:
            when, _, what, arguments = heapq.heappop(self._due)
            self.now = max(self.now, when)
            what(*arguments)
        if seconds is not None:
            self.now = end

    def assert_idle(self) -> None:
        """Nothing may be left in any table, nor any timer."""
        for node in self.nodes.values():
            tables = node.agent.tables
            assert node.agent.is_idle, (
                node.name,
                tables.clients,
                tables.servers,
                tables.merged,
                node.agent.sessions,
            )
            assert not node.timers, (node.name, node.timers)


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def alice(network: Network) -> Node:
    return network.node("alice", "192.0.2.1")


@pytest.fixture
def bob(network: Network) -> Node:
    return network.node("bob", "192.0.2.2")
