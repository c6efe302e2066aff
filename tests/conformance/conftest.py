"""Wireshark reads along: whatever nodes of a virtual network send in these tests must mean to it what it means to us.

So what a test says of the messages on its wire (their fields, how often they are repeated) is judged by somebody
else's parser, and two ends of our own cannot agree on a mistake.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from peers import wireshark
from peers.wireshark import Packet, Reading
from unit.sip.virtual_network import Network, Node

from ringback.sip.effects import Send
from ringback.sip.flow import Flow
from ringback.sip.message import Request, Response, parse


@pytest.fixture(autouse=True)
def wireshark_reads_along(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    packets: list[Packet] = []
    sent: list[int] = []
    carry, feed = Network.carry, Node.feed

    def carried(network: Network, sender: Node, effect: Send) -> None:
        sent.append(len(packets))
        target = (effect.hop.host, effect.hop.port)
        packets.append(Packet(network.now, sender.address, target, effect.data))
        carry(network, sender, effect)

    def fed(node: Node, message: Request | Response, peer: Flow | None = None) -> list[Request | Response]:
        source = ("192.0.2.99", 5060) if peer is None else peer.remote
        packets.append(Packet(node.network.now, source, node.address, message.render()))
        return feed(node, message, peer)

    if not wireshark.is_installed():
        yield
        return
    monkeypatch.setattr(Network, "carry", carried)
    monkeypatch.setattr(Node, "feed", fed)
    yield
    if not sent:
        return
    readings = wireshark.read(packets)
    for index in sent:
        compare(packets, index, readings[index])


def compare(packets: list[Packet], index: int, reading: Reading) -> None:
    """A message as we read it, and as Wireshark does."""
    packet = packets[index]
    message = parse(packet.data)
    if isinstance(message, Request):
        assert reading.one("sip.Method") == message.method
        assert reading.one("sip.r-uri") == message.raw_uri
    else:
        assert reading.one("sip.Status-Code") == str(message.status)
    for name in wireshark.LISTED:
        ours = [" ".join(value.split()) for value in message.raw(name)]
        assert reading.fields[f"sip.{name}"] == ours, name
    assert reading.fields["sip.Via.branch"] == [via.branch for via in message.vias if via.branch]
    assert reading.one("sip.from.tag") == (message.from_.tag or "")
    assert reading.one("sip.to.tag") == (message.to.tag or "")
    assert (reading.one("sip.CSeq.seq"), reading.one("sip.CSeq.method")) == (
        str(message.cseq.number),
        message.cseq.method,
    )
    if not message.body or message.body.startswith(b"v=0"):
        assert not reading.complaints, packet.data
    if reading.one("sip.Method") in ("INVITE", "OPTIONS"):  # it is no judge of those that both ends number
        copies = any(
            (each.source, each.target, each.data) == (packet.source, packet.target, packet.data)
            for each in packets[:index]
        )
        assert reading.is_repeated == copies, packet
