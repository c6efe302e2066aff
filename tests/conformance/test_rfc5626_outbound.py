"""RFC 3327 and RFC 5626: phones behind edges and NATs, against the RFCs' own messages and aioice's STUN."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aioice import stun as aioice
from conformance.rfc_flows import messages
from unit.call.fake_directory import ACCOUNT, FakeDirectory, domain_row
from unit.call.leg_network import Exchange, Phone
from unit.sip.virtual_network import Network, line, make_request

from ringback.call.effects import Place
from ringback.call.events import LegAnswered
from ringback.call.routing import plan
from ringback.shell.placing import Placing
from ringback.sip import stun
from ringback.sip.effects import Ended, HopFailed
from ringback.sip.flow import Flow, Hop
from ringback.sip.message import Request
from ringback.sip.registrar import Registered, Registrar
from ringback.store.facts import Facts
from ringback.store.registrations import Registrations

NOW = 1_000_000.0
BOB = "bob@example.com"


def register(
    registrar: Registrar, request: Request, connection: int = 0, host: str = "192.0.2.2"
) -> Registered:
    flow = Flow("TCP" if connection else "UDP", ("192.0.2.9", 5060), (host, 5060), connection)
    return registrar.register(BOB, request, flow, NOW, accept_path=True)


def fields(registered: Registered, name: str) -> list[str]:
    return [value for key, value in registered.headers if key == name]


# -- RFC 3327


def test_rfc3327_5_3_the_path_of_the_rfc_is_kept_and_given_back() -> None:
    registrar = Registrar()
    flow = messages("rfc3327/5.5.1")
    request, answer = flow[3], flow[4]
    assert isinstance(request, Request)
    registered = register(registrar, request, host="19.31.97.3")
    assert registered.status == 200
    assert ",".join(fields(registered, "Path")) == answer.get("Path")
    (binding,) = registrar.bindings(BOB, NOW)
    assert binding.received == Hop("UDP", "19.31.97.3", 5060, 0, "", ("192.0.2.9", 5060))


def test_rfc3327_5_5_2_an_invite_follows_the_path() -> None:
    registrar = Registrar()
    request = messages("rfc3327/5.5.1")[3]
    assert isinstance(request, Request)
    register(registrar, request, host="192.0.2.200")
    (binding,) = registrar.targets(BOB, NOW)
    network = Network()
    node = network.node("home", "192.0.2.1")
    network.node("edge", "192.0.2.200")
    _, effects = node.agent.invite(
        uri=binding.target,
        hops=[binding.received],
        from_="<sip:UA2@FOREIGN.ELSEWHERE.ORG>",
        to="<sip:UA1@EXAMPLEHOME.COM>",
        contact=node.contact,
        body=b"",
        now=network.now,
        sent_by="192.0.2.1",
        route=binding.path,
    )
    node.run(effects)
    rfc, ours = messages("rfc3327/5.5.2")[1], node.sent[0]
    assert isinstance(rfc, Request) and isinstance(ours, Request)
    assert (ours.raw_uri, ours.all("Route")) == (rfc.raw_uri, rfc.all("Route"))
    assert node.hops[0].host == "192.0.2.200"


def test_rfc3327_5_3_a_path_is_not_taken_from_just_anybody() -> None:
    registrar = Registrar()
    request = messages("rfc3327/5.5.1")[3]
    assert isinstance(request, Request)
    flow = Flow("UDP", ("192.0.2.9", 5060), ("192.0.2.2", 5060))
    registered = registrar.register(BOB, request, flow, NOW)
    assert fields(registered, "Path") == []
    assert registrar.bindings(BOB, NOW)[0].path == ()


def test_rfc3327_4_a_register_may_require_path_and_outbound() -> None:
    bob = Network().node("bob", "192.0.2.2")
    bob.feed(make_request("REGISTER", headers=[("Require", "path, outbound")]))
    assert bob.sent == [] and len(bob.seen) == 1


# -- RFC 5626


def test_rfc5626_6_the_flow_of_the_rfc_is_accepted() -> None:
    request = messages("rfc5626/3.2")[0]
    assert isinstance(request, Request)
    registered = register(Registrar(), request, connection=7)
    assert fields(registered, "Require") == ["outbound"]
    assert fields(registered, "Flow-Timer") == ["120"]
    (contact,) = fields(registered, "Contact")
    assert "reg-id=1" in contact
    assert '+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"' in contact


def test_rfc5626_6_two_flows_of_one_contact_are_two_bindings() -> None:
    registrar = Registrar()
    first, _, second, answer = messages("rfc5626/9.2")
    assert isinstance(first, Request) and isinstance(second, Request)
    register(registrar, first, connection=7)
    registered = register(registrar, second, connection=8)
    assert len(fields(registered, "Contact")) == len(answer.raw("Contact")) == 2
    bindings = registrar.bindings(BOB, NOW)
    assert sorted(binding.reg_id for binding in bindings) == ["1", "2"]

    async def never(_: object) -> Any:
        """Nothing is read or written here."""
        raise AssertionError

    store = Registrations(Facts(never), never, never, "node")
    rows = {store._key(binding) for binding in bindings}
    assert len(rows) == 2  # in the store, too


def test_rfc5626_6_a_flow_is_registered_alone() -> None:
    registrar = Registrar()
    request = messages("rfc5626/9.2")[0]
    assert isinstance(request, Request)
    request.add("Contact", "<sip:bob@192.0.2.9>")
    assert register(registrar, request, connection=7).status == 400
    assert registrar.bindings(BOB, NOW) == []
    request.set("Contact", f"{request.raw('Contact')[0]}, <sip:bob@192.0.2.9>;expires=0")
    assert register(registrar, request, connection=7).status == 200


def test_rfc5626_6_a_new_registration_of_a_flow_replaces_it() -> None:
    registrar = Registrar()
    first = messages("rfc5626/9.2")[0]
    again = messages("rfc5626/9.4")[0]
    assert isinstance(first, Request) and isinstance(again, Request)
    register(registrar, first, connection=7)
    register(registrar, again, connection=9)
    (binding,) = registrar.bindings(BOB, NOW)
    assert (binding.received.connection, binding.cseq) == (9, 2)


def test_rfc5626_6_an_edge_that_keeps_no_flows_gets_439() -> None:
    request = messages("rfc5626/9.2")[0]
    assert isinstance(request, Request)
    request.add("Via", "SIP/2.0/UDP 192.0.2.77;branch=z9hG4bKbehind")
    assert register(Registrar(), request).status == 439
    request.add("Path", "<sip:edge.example.com;lr>")
    assert register(Registrar(), request).status == 439


def test_rfc5626_6_an_edge_that_says_ob_is_believed() -> None:
    request, answer = messages("rfc5626/9.2")[:2]
    assert isinstance(request, Request)
    request.add("Via", "SIP/2.0/UDP 192.0.2.77;branch=z9hG4bKbehind")
    request.add("Path", answer.get("Path") or "")
    registered = register(Registrar(), request, connection=4)
    assert (registered.status, fields(registered, "Require")) == (200, ["outbound"])
    assert fields(registered, "Flow-Timer") == []  # the edge keeps the flow alive, and says how
    assert fields(registered, "Path") == answer.all("Path")


def test_rfc5626_6_without_outbound_in_supported_reg_id_is_only_kept() -> None:
    request = messages("rfc5626/9.2")[0]
    assert isinstance(request, Request)
    request.remove("Supported")
    assert fields(register(Registrar(), request, connection=4), "Require") == []


def test_rfc5626_7_a_device_is_called_over_one_flow_at_a_time() -> None:
    registrar = Registrar()
    first, _, second, _ = messages("rfc5626/9.2")
    assert isinstance(first, Request) and isinstance(second, Request)
    register(registrar, first, connection=7)
    second.set("Contact", (second.get("Contact") or "") + ";q=0.5")
    register(registrar, second, connection=8)
    (target,) = registrar.targets(BOB, NOW)
    assert target.received.connection == 7
    assert [other.received.connection for other in target.spare] == [8]


def test_rfc5626_7_other_devices_are_called_beside_it() -> None:
    registrar = Registrar()
    first = messages("rfc5626/9.2")[0]
    assert isinstance(first, Request)
    register(registrar, first, connection=7)
    other = first.copy()
    other.set("Contact", re.sub("AABBCC", "FFBBCC", first.get("Contact") or ""))
    other.set("Call-ID", "another")
    register(registrar, other, connection=8)
    assert len(registrar.targets(BOB, NOW)) == 2


def test_rfc5626_5_3_430_sends_the_call_over_the_next_flow() -> None:
    network = Network()
    alice = network.node("alice", "192.0.2.1")
    network.node("one", "192.0.2.3").answering(lambda session, request: session.reject(430, network.now))
    two = network.node("two", "192.0.2.4")
    two.answering(lambda session, request: session.answer(b"answer", network.now))
    session = alice.call(two, hops=[Hop("TCP", "192.0.2.3", 5060), Hop("TCP", "192.0.2.4", 5060)])
    network.run(1)
    assert session.is_confirmed
    assert alice.count(Ended) == 0
    assert [each.hop.host for each in alice.all(HopFailed)] == ["192.0.2.3"]


def test_rfc5626_9_3_a_call_goes_by_the_next_edge_when_the_first_has_lost_the_flow() -> None:
    registrar, network = Registrar(), Network()
    first, answer, second, last_answer = messages("rfc5626/9.2")
    for request, answered, edge in ((first, answer, "192.0.2.15"), (second, last_answer, "192.0.2.16")):
        assert isinstance(request, Request)
        request.add("Via", f"SIP/2.0/UDP {edge};branch=z9hG4bKbehind")
        request.add("Path", answered.get("Path") or "")
        assert register(registrar, request, host=edge).status == 200
    bob: Any = {
        "kind": "sip",
        "address": BOB,
        "caller": "sip:alice@a.example",
        "caller_id": "",
        "is_withheld": False,
    }
    directory = FakeDirectory(domains={"example.com": domain_row("example.com")})
    planned = plan({**bob, "account_sid": ACCOUNT, "country": "US"}, directory, registrar, NOW)
    transports = SimpleNamespace(local_address_for=lambda hop: ("192.0.2.1", 5060))
    call: Any = SimpleNamespace(setup=SimpleNamespace(sid="CA1", account_sid=ACCOUNT, to=f"sip:{BOB}"))
    place = Place(planned["targets"], "alice", "a.example", "")
    branches = Placing(cast(Any, transports), cast(Any, None), cast(Any, None)).known(call, place)
    exchange, phones = Exchange(network), [Phone(network, f"ep{n}", 14 + n) for n in (1, 2)]
    phones[0].rejecting(430)
    phones[1].answering()
    leg = exchange.leg()
    for way in branches[0].in_turn():
        way.headers = ()  # Twilio's, which Wireshark does not know
    exchange.do(leg.place, branches)
    assert [type(event) for event in exchange.events()] == [LegAnswered]
    rfc = messages("rfc5626/9.3")
    ours = [each for each in exchange.node.sent if isinstance(each, Request) and each.method == "INVITE"]
    for sent, theirs in zip(ours, (rfc[1], rfc[3]), strict=True):
        assert isinstance(theirs, Request)
        assert (sent.raw_uri, sent.all("Route"), sent.to.uri) == (
            theirs.raw_uri,
            theirs.all("Route"),
            theirs.to.uri,
        )
    assert [len(phone.got) > 0 for phone in phones] == [True, True]
    exchange.do(leg.hang_up)
    exchange.finish()


def test_rfc5626_9_5_a_call_goes_out_by_the_edge_and_ends_by_its_token() -> None:
    invite, bye = messages("rfc5626/9.5")
    assert isinstance(invite, Request) and isinstance(bye, Request)
    network = Network()
    bob, edge = network.node("bob", "192.0.2.2"), Hop("TCP", "192.0.2.15", 5060)
    bob.names["ep1.example.com"] = [edge]
    session, effects = bob.agent.invite(
        uri=invite.uri,
        hops=[edge],
        from_="Bob <sip:bob@example.com>",
        to=invite.get("To") or "",
        contact=invite.get("Contact") or "",
        body=b"offer",
        now=network.now,
        sent_by="192.0.2.2",
        route=invite.all("Route"),
        call_id=invite.call_id,
    )
    bob.run(effects)
    ours = bob.sent[0]
    assert isinstance(ours, Request)
    assert (ours.raw_uri, ours.all("Route"), ours.cseq) == (invite.raw_uri, invite.all("Route"), invite.cseq)
    assert ours.contacts[0].uri == invite.contacts[0].uri
    way_back = [("Contact", f"<{bye.raw_uri}>"), ("Record-Route", bye.all("Route")[0])]
    answer = ours.reply(200, to_tag=bye.to.tag or "", headers=way_back, body=b"answer")
    bob.feed(answer, Flow("TCP", bob.address, ("192.0.2.15", 5060), 1))
    bob.run(session.hangup(network.now))
    network.run(1)
    ended = bob.sent[-1]
    assert isinstance(ended, Request)
    assert (ended.method, ended.raw_uri, ended.all("Route")) == ("BYE", bye.raw_uri, bye.all("Route"))
    assert (ended.cseq, ended.call_id, ended.to.tag) == (bye.cseq, bye.call_id, bye.to.tag)


def test_rfc5626_5_3_the_flows_of_a_closed_stream_are_forgotten() -> None:
    registrar = Registrar()
    first, _, second, _ = messages("rfc5626/9.2")
    assert isinstance(first, Request) and isinstance(second, Request)
    register(registrar, first, connection=7)
    register(registrar, second, connection=8)
    assert [binding.reg_id for binding in registrar.connection_lost(7)] == ["1"]
    assert [binding.reg_id for binding in registrar.targets(BOB, NOW)] == ["2"]


# -- STUN keep-alives


@pytest.mark.parametrize("source", [("203.0.113.7", 40_001), ("2001:db8::7", 5060)])
def test_rfc5626_8_a_stun_keep_alive_is_answered_with_the_address(source: tuple[str, int]) -> None:
    request = aioice.Message(aioice.Method.BINDING, aioice.Class.REQUEST)
    answer = stun.answer(bytes(request), source)
    assert answer is not None
    read = aioice.parse_message(answer)
    assert (read.message_class, read.transaction_id) == (aioice.Class.RESPONSE, request.transaction_id)
    assert read.attributes["XOR-MAPPED-ADDRESS"] == source


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\1\0\0" + b"\x21\x12\xa4\x42",
        b"\0\1\0\4" + b"\x21\x12\xa4\x42" + b"x" * 12,
        b"\1\1\0\0" + b"\x21\x12\xa4\x42" + b"x" * 12,
    ],
)
def test_rfc5626_8_what_is_no_binding_request_gets_no_answer(data: bytes) -> None:
    assert stun.answer(data, ("192.0.2.1", 1)) is None


def binding(*attributes: tuple[int, bytes], left_out: int = 0) -> bytes:
    """A Binding request, with attributes that aioice may not know; ``left_out`` bytes of the last one are missing."""
    values = b"".join(
        kind.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value + b"\0" * (-len(value) % 4)
        for kind, value in attributes
    )
    values = values[: len(values) - left_out]
    return b"\0\1" + len(values).to_bytes(2, "big") + stun.COOKIE + b"transaction1" + values


CHANGE_REQUEST = (0x0003, b"\0\0\0\6")
INTEGRITY = (0x0008, 20 * b"i")
UNCLEAR = (0x7FFF, b"")


@pytest.mark.parametrize(
    ("attributes", "unknown"),
    [
        ([CHANGE_REQUEST], [0x0003]),
        ([UNCLEAR, CHANGE_REQUEST, UNCLEAR, (0x8022, b"optional")], [0x7FFF, 0x0003]),
        ([(kind, b"") for kind in range(0x0100, 0x0100 + 132)], list(range(0x0100, 0x0100 + 132))),
        ([CHANGE_REQUEST, INTEGRITY, UNCLEAR], [0x0003]),
    ],
)
def test_rfc5389_7_3_1_attributes_that_must_be_understood_and_are_not_get_420(
    attributes: list[tuple[int, bytes]], unknown: list[int]
) -> None:
    request = binding(*attributes)
    answer = stun.answer(request, ("203.0.113.7", 40_001))
    assert answer is not None
    assert len(answer) <= len(request) + stun.EXCESS
    read = aioice.parse_message(answer)
    assert (read.message_class, read.transaction_id) == (aioice.Class.ERROR, b"transaction1")
    assert read.attributes["ERROR-CODE"] == (420, "Unknown Attribute")
    (listed,) = [value for kind, value in attributes_of(answer) if kind == 0x000A]
    assert [int.from_bytes(listed[at : at + 2], "big") for at in range(0, len(listed), 2)] == unknown


def attributes_of(data: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 20
    while at < len(data):
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        found.append((int.from_bytes(data[at : at + 2], "big"), data[at + 4 : at + 4 + length]))
        at += 4 + length + -length % 4
    return found


@pytest.mark.parametrize(
    "attributes",
    [
        [],
        [(0x8022, b"a phone"), (0xFFFF, b"")],
        [(0x0006, b"user"), INTEGRITY],  # nobody is asked for credentials here
        [INTEGRITY, CHANGE_REQUEST],  # what follows is not covered by it
        [(0x0020, b"\0\1" + 6 * b"x")],  # known, and not expected in a request
    ],
)
def test_rfc5389_7_3_other_attributes_change_nothing(attributes: list[tuple[int, bytes]]) -> None:
    request = binding(*attributes)
    answer = stun.answer(request, ("203.0.113.7", 40_001))
    assert answer is not None
    assert len(answer) <= len(request) + stun.EXCESS
    assert aioice.parse_message(answer).attributes == {"XOR-MAPPED-ADDRESS": ("203.0.113.7", 40_001)}


def test_rfc5389_15_5_a_fingerprint_must_be_right_and_the_last() -> None:
    source = ("203.0.113.7", 40_001)
    message = aioice.Message(aioice.Method.BINDING, aioice.Class.REQUEST)
    message.attributes["SOFTWARE"] = "a phone"
    message.add_message_integrity(b"key")  # and a fingerprint
    whole = bytes(message)
    assert "FINGERPRINT" in aioice.parse_message(whole).attributes
    assert stun.answer(whole, source) is not None
    wrong = whole[:-1] + bytes([whole[-1] ^ 1])
    assert stun.answer(wrong, source) is None
    fingerprint = attributes_of(whole)[-1]
    assert stun.answer(binding(fingerprint, (0x8022, b"more")), source) is None


@pytest.mark.parametrize("left_out", [4, 8])
def test_rfc5389_7_3_an_attribute_that_is_longer_than_the_message_gets_no_answer(left_out: int) -> None:
    assert stun.answer(binding((0x8022, 12 * b"x"), left_out=left_out), ("203.0.113.7", 1)) is None


def test_rfc5626_8_sip_is_never_taken_for_stun() -> None:
    assert not stun.is_stun(b"REGISTER sip:a SIP/2.0\r\n\r\n")


# -- politely refused


def test_rfc6665_8_2_1_events_that_nobody_serves_get_489() -> None:
    bob = Network().node("bob", "192.0.2.2")
    for number, method in enumerate(("SUBSCRIBE", "PUBLISH")):
        (refusal,) = bob.feed(
            make_request(method, branch=f"z9hG4bK{number}", headers=[("Event", "presence")])
        )
        assert line(refusal) == f"489 {method}"
        assert refusal.get("Allow-Events") and refusal.get("Allow")


def test_rfc5626_9_1_a_subscription_to_a_configuration_is_refused_politely() -> None:
    subscribe, notify = messages("rfc5626/9.1")
    proxy = Network().node("proxy", "192.0.2.5")
    (refusal,) = proxy.feed(subscribe)
    assert (line(refusal), refusal.all("Allow-Events")) == ("489 SUBSCRIBE", ["refer"])
    (unknown,) = proxy.feed(notify)
    assert line(unknown) == "481 NOTIFY"


def test_rfc3428_7_a_message_that_nobody_reads_gets_405() -> None:
    bob = Network().node("bob", "192.0.2.2")
    (refusal,) = bob.feed(make_request("MESSAGE", headers=[("Content-Type", "text/plain")], body=b"hello"))
    assert line(refusal) == "405 MESSAGE"
    assert "MESSAGE" not in refusal.all("Allow") and "INVITE" in refusal.all("Allow")
