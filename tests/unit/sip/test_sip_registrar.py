"""The registrar: Twilio's bounds, RFC 3261's order, NAT and streams."""

from __future__ import annotations

import pytest

from ringback.sip.binding import Binding
from ringback.sip.flow import Flow, Hop
from ringback.sip.message import Request
from ringback.sip.registrar import Registered, Registrar
from ringback.sip.uri import Uri

AOR = "alice@acme.sip.twilio.com"
NOW = 1_700_000_000.0
UDP = Flow("UDP", ("192.0.2.1", 5060), ("198.51.100.7", 40000))
CONTACT = "<sip:alice@10.0.0.5:5062>"


def _stream(connection: int) -> Flow:
    return Flow("TLS", ("192.0.2.1", 5061), ("198.51.100.7", 50000 + connection), connection)


class Phone:
    """Registers with one Call-ID and rising CSeq."""

    def __init__(self, registrar: Registrar, call_id: str = "reg1", flow: Flow = UDP, aor: str = AOR) -> None:
        self.registrar, self.call_id, self.flow, self.aor = registrar, call_id, flow, aor
        self.cseq = 0

    def register(
        self,
        *contacts: str,
        expires: int | str | None = None,
        now: float = NOW,
        cseq: int | None = None,
        more: list[tuple[str, str]] | None = None,
        accept_path: bool = False,
    ) -> Registered:
        self.cseq = self.cseq + 1 if cseq is None else cseq
        headers = [("Call-ID", self.call_id), ("CSeq", f"{self.cseq} REGISTER"), ("User-Agent", "Phone/1")]
        headers += [("Contact", contact) for contact in contacts]
        if expires is not None:
            headers.append(("Expires", str(expires)))
        request = Request("REGISTER", "sip:acme.sip.twilio.com", [*headers, *(more or [])])
        return self.registrar.register(self.aor, request, self.flow, now, accept_path=accept_path)


@pytest.fixture
def registrar() -> Registrar:
    return Registrar()


@pytest.fixture
def phone(registrar: Registrar) -> Phone:
    return Phone(registrar)


@pytest.mark.parametrize(
    ("flow", "path", "status"),
    [
        (UDP, "", 400),
        (Flow("TCP", ("192.0.2.1", 5060), ("198.51.100.7", 50001), 1), "", 400),
        (_stream(1), "", 200),
        (_stream(1), "<sips:edge.example;lr>, <sip:inner.example;transport=tls;lr>", 200),
        (_stream(1), "<sip:edge.example;lr>, <sips:inner.example;lr>", 400),
    ],
)
def test_rfc5630_5_2_a_sips_contact_needs_tls_all_the_way(
    registrar: Registrar, flow: Flow, path: str, status: int
) -> None:
    phone = Phone(registrar, flow=flow)
    edges = [("Path", path)] if path else []
    registered = phone.register("<sips:alice@10.0.0.5>", more=edges, accept_path=True)
    assert (registered.status, bool(registered.changes)) == (status, status == 200)
    assert registered.reason == (None if status == 200 else "SIPS Contact Without TLS")
    assert (
        phone.register("<sips:alice@10.0.0.5>", expires=0, accept_path=True).status == 200
    )  # never in the way


def _said(registered: Registered) -> tuple[int, list[tuple[str, str]], str | None]:
    assert not registered.changes
    return registered.status, registered.headers, registered.reason


def _kinds(registered: Registered) -> list[str]:
    return [change.kind for change in registered.changes]


def test_a_phone_behind_nat_registers(registrar: Registrar, phone: Phone) -> None:
    registered = phone.register(CONTACT, expires=1800)
    assert (registered.status, registered.headers) == (200, [("Contact", f"{CONTACT};expires=1800")])
    (change,) = registered.changes
    (binding,) = registrar.bindings(AOR, NOW)
    assert (change.kind, change.binding) == ("added", binding)
    assert binding == Binding(
        AOR,
        Uri.parse("sip:alice@10.0.0.5:5062"),
        Hop("UDP", "198.51.100.7", 40000, 0, "", ("192.0.2.1", 5060)),
        NOW + 1800,
        "reg1",
        1,
        "Phone/1",
    )
    assert registrar.bindings("bob@acme.sip.twilio.com", NOW) == []
    assert registrar.count == 1


@pytest.mark.parametrize(
    ("contact", "expires", "lifetime"),
    [
        (CONTACT, None, 3600),
        (CONTACT, 7200, 3600),
        (CONTACT, 600, 600),
        (CONTACT, "junk", 3600),
        (f"{CONTACT};expires=900", 7200, 900),
        (f"{CONTACT};expires=900", 60, 900),
        (f"{CONTACT};expires=99999999999999999999", None, 3600),
        (f"{CONTACT};expires=junk", 700, 3600),
    ],
)
def test_lifetimes(phone: Phone, contact: str, expires: int | str | None, lifetime: int) -> None:
    registered = phone.register(contact, expires=expires)
    assert registered.headers == [("Contact", f"{CONTACT};expires={lifetime}")]


@pytest.mark.parametrize(
    ("contact", "expires"), [(CONTACT, 599), (CONTACT, 1), (f"{CONTACT};expires=60", 3600)]
)
def test_rfc3261_10_3_7_too_brief_a_lifetime_is_refused(
    registrar: Registrar, phone: Phone, contact: str, expires: int
) -> None:
    registered = phone.register(contact, expires=expires)
    assert _said(registered) == (423, [("Min-Expires", "600")], None)
    assert registrar.count == 0


def test_rfc3261_10_3_7_a_refresh_keeps_one_binding(registrar: Registrar, phone: Phone) -> None:
    phone.register(CONTACT)
    registered = phone.register(CONTACT, now=NOW + 1800)
    assert _kinds(registered) == ["refreshed"]
    (binding,) = registrar.bindings(AOR, NOW + 1800)
    assert (binding.expires_at, binding.cseq) == (NOW + 5400, 2)
    assert registrar.count == 1


def test_a_refresh_from_a_new_nat_port_moves_the_way_back(registrar: Registrar, phone: Phone) -> None:
    phone.register(CONTACT)
    phone.flow = Flow(UDP.transport, UDP.local, ("198.51.100.7", 41111))
    phone.register(CONTACT)
    assert [binding.received.port for binding in registrar.bindings(AOR, NOW)] == [41111]


def test_rfc3261_10_3_7_contacts_that_are_equivalent_are_one(registrar: Registrar, phone: Phone) -> None:
    phone.register("<sip:%61lice@Host.example;x=1>")
    phone.register("<sip:alice@host.example>")
    assert registrar.count == 1
    phone.register("<sip:alice@host.example:5060>")
    assert registrar.count == 2


def test_the_eleventh_contact_is_refused_and_the_tenth_can_refresh(
    registrar: Registrar, phone: Phone
) -> None:
    for number in range(10):
        assert phone.register(f"<sip:alice@10.0.0.{number}>").status == 200
    assert _said(phone.register("<sip:alice@10.0.1.1>")) == (403, [], "Too Many Contacts")
    assert phone.register("<sip:alice@10.0.0.9>").status == 200
    assert phone.register("<sip:alice@10.0.0.1>;expires=0", "<sip:alice@10.0.1.1>").status == 200
    assert registrar.count == 10
    assert phone.register("<sip:alice@10.0.1.2>", now=NOW + 3601).status == 200  # the others have expired


def test_rfc3261_10_3_7_a_request_is_carried_out_whole_or_not_at_all(
    registrar: Registrar, phone: Phone
) -> None:
    assert phone.register("<sip:a@1.example>", "<sip:a@2.example>;expires=5").status == 423
    assert phone.register("<sip:a@1.example>", "<sips:a@2.example>").status == 400
    assert phone.register("<sip:a@1.example>", "junk").status == 400
    assert registrar.count == 0
    assert phone.register("<sip:a@1.example>", "<sip:a@2.example>").status == 200
    assert registrar.count == 2


def test_rfc3261_10_2_1_a_contact_of_another_scheme_is_kept_and_not_called(
    registrar: Registrar, phone: Phone
) -> None:
    registered = phone.register(CONTACT, "mailto:alice@example.com", "<tel:+14155550100>")
    shown = [value.partition(";")[0] for _, value in registered.headers]
    assert (registered.status, shown) == (200, [CONTACT, "<mailto:alice@example.com>", "<tel:+14155550100>"])
    assert [binding.contact_text for binding in registrar.targets(AOR, NOW)] == [CONTACT.strip("<>")]
    assert phone.register("<mailto:alice@example.com>;expires=0").status == 200
    assert registrar.count == 2


def test_rfc3261_10_2_2_a_contact_that_expires_at_once_is_removed(registrar: Registrar, phone: Phone) -> None:
    phone.register(CONTACT)
    registered = phone.register(CONTACT, expires=0)
    assert (registered.status, registered.headers, _kinds(registered)) == (200, [], ["removed"])
    assert registrar.count == 0
    again = phone.register(CONTACT, expires=0)
    assert (again.status, again.changes) == (200, [])


def test_rfc3261_10_2_3_a_fetch_changes_nothing(registrar: Registrar, phone: Phone) -> None:
    phone.register(f"{CONTACT};q=0.5;expires=1000")
    registered = phone.register(now=NOW + 400)
    assert _said(registered) == (200, [("Contact", f"{CONTACT};expires=600;q=0.5")], None)


def test_rfc3261_10_2_2_the_wildcard_removes_everything(registrar: Registrar, phone: Phone) -> None:
    phone.register(CONTACT)
    Phone(registrar, "reg2").register("<sip:alice@10.0.0.6>")
    assert phone.register("*").status == 400
    assert phone.register("*", expires=60).status == 400
    assert phone.register("*", expires="junk").status == 400
    assert registrar.count == 2
    registered = phone.register("*", expires=0)
    assert (registered.status, _kinds(registered)) == (200, ["removed", "removed"])
    assert registrar.count == 0


def test_rfc3261_10_3_7_the_order_of_requests(registrar: Registrar, phone: Phone) -> None:
    phone.register(CONTACT, cseq=5)
    for stale in (5, 4):
        assert phone.register(CONTACT, expires=0, cseq=stale).status == 400
        assert phone.register(CONTACT, cseq=stale, now=NOW + 60).status == 400
        assert phone.register("*", expires=0, cseq=stale).status == 400
    (binding,) = registrar.bindings(AOR, NOW)
    assert binding.expires_at == NOW + 3600
    assert Phone(registrar, "after-a-reboot").register(CONTACT, cseq=1).status == 200
    assert registrar.bindings(AOR, NOW)[0].call_id == "after-a-reboot"


def test_a_device_that_moves_replaces_its_binding(registrar: Registrar, phone: Phone) -> None:
    instance = '+sip.instance="<urn:uuid:1>"'
    phone.register(f"<sip:alice@10.0.0.5>;{instance}")
    registered = Phone(registrar, "reg2").register(f"<sip:alice@172.16.0.9>;{instance}")
    assert _kinds(registered) == ["removed", "added"]
    assert registered.headers == [("Contact", f"<sip:alice@172.16.0.9>;expires=3600;{instance}")]
    assert registrar.count == 1


def test_rfc5626_6_each_reg_id_is_a_binding_of_its_own(registrar: Registrar, phone: Phone) -> None:
    for reg_id in (1, 2):
        phone.register(f'{CONTACT};reg-id={reg_id};+sip.instance="<urn:uuid:1>"')
    assert sorted(binding.reg_id for binding in registrar.bindings(AOR, NOW)) == ["1", "2"]
    phone.register(f'{CONTACT};reg-id=2;+sip.instance="<urn:uuid:1>"', expires=0)
    assert [binding.reg_id for binding in registrar.bindings(AOR, NOW)] == ["1"]


@pytest.mark.parametrize("more", [f'+sip.instance="{"x" * 200}"', '+sip.instance="<u>";reg-id=x'])
def test_malformed_instances_are_refused(phone: Phone, more: str) -> None:
    assert phone.register(f"{CONTACT};{more}").status == 400


def test_rfc3261_10_2_1_2_preferred_contacts_come_first_then_the_freshest(registrar: Registrar) -> None:
    for number, q in enumerate(("0.5", "1", "0.5")):
        Phone(registrar, f"reg{number}").register(f"<sip:{number}@h>;q={q}", now=NOW + number)
    assert [binding.contact.user for binding in registrar.bindings(AOR, NOW + 3)] == ["1", "2", "0"]


def test_bindings_expire(registrar: Registrar, phone: Phone) -> None:
    phone.register("<sip:1@h>;expires=600", "<sip:2@h>;expires=1200")
    Phone(registrar, aor="bob@x").register("<sip:3@h>;expires=601")
    assert registrar.expire(NOW + 599) == []
    assert [binding.contact.user for binding in registrar.bindings(AOR, NOW + 600)] == ["2"]
    assert [binding.contact.user for binding in registrar.expire(NOW + 602)] == ["1", "3"]
    assert registrar.count == 1
    assert [binding.contact.user for binding in registrar.expire(NOW + 99999)] == ["2"]
    assert registrar.count == 0
    assert registrar.expire(NOW + 999999) == []


def test_bindings_keep_their_order_over_refreshes_and_a_restart(registrar: Registrar, phone: Phone) -> None:
    first, second, third = "<sip:a@10.0.0.1>", "<sip:a@10.0.0.2>", "<sip:a@10.0.0.3>;q=0.5"
    for step, contact in enumerate((first, third, second, first, third)):
        phone.register(contact, now=NOW + step)
    registered = phone.register(now=NOW + 9)
    expected = [f"10.0.0.{number}" for number in (1, 2, 3)]
    assert [value.split("@")[1].split(">")[0] for _, value in registered.headers] == expected
    again = Registrar()
    assert again.restore(reversed(registrar.bindings(AOR, NOW + 9))) == []
    assert [binding.contact.host for binding in again.bindings(AOR, NOW + 9)] == expected


def test_refreshed_bindings_do_not_expire(registrar: Registrar, phone: Phone) -> None:
    phone.register(CONTACT, expires=600)
    phone.register(CONTACT, expires=600, now=NOW + 500)
    assert registrar.expire(NOW + 700) == []
    assert len(registrar.expire(NOW + 1102)) == 1


def test_what_expired_unnoticed_is_among_the_changes(registrar: Registrar, phone: Phone) -> None:
    phone.register("<sip:1@h>;expires=600")
    registered = phone.register("<sip:2@h>", now=NOW + 600.5)
    assert [(change.kind, change.binding.contact.user) for change in registered.changes] == [
        ("removed", "1"),
        ("added", "2"),
    ]
    assert registrar.count == 1


def test_a_closed_stream_takes_its_bindings_along(registrar: Registrar) -> None:
    Phone(registrar, "a", _stream(7)).register("<sip:1@h>")
    Phone(registrar, "b", _stream(8)).register("<sip:2@h>")
    Phone(registrar, "c", _stream(7), "bob@x").register("<sip:3@h>")
    Phone(registrar, "d").register("<sip:4@h>")
    assert [binding.contact.user for binding in registrar.connection_lost(7)] == ["1", "3"]
    assert registrar.connection_lost(7) == []
    assert sorted(binding.contact.user for binding in registrar.bindings(AOR, NOW)) == ["2", "4"]
    assert registrar.count == 2


def test_a_binding_that_moved_to_another_stream_survives_the_first(
    registrar: Registrar, phone: Phone
) -> None:
    phone.flow = _stream(7)
    phone.register(CONTACT)
    phone.flow = _stream(8)
    phone.register(CONTACT)
    assert registrar.connection_lost(7) == []
    assert registrar.bindings(AOR, NOW)[0].received == Hop("TLS", "198.51.100.7", 50008, 8)
    assert len(registrar.connection_lost(8)) == 1


def test_nothing_remains_of_what_is_gone(registrar: Registrar, phone: Phone) -> None:
    phone.flow = _stream(7)
    phone.register("<sip:1@h>", "<sip:2@h>;expires=700")
    phone.register("<sip:2@h>", expires=0)
    registrar.connection_lost(7)
    phone.register("<sip:3@h>")
    phone.register("*", expires=0)
    phone.register("<sip:4@h>")
    assert [binding.contact.user for binding in registrar.remove(AOR)] == ["4"]
    assert registrar.remove(AOR) == []
    tables = (registrar._bindings, registrar._streams, registrar._due, registrar._due_of)
    assert ([dict(table) for table in tables], registrar.count) == ([{}, {}, {}, {}], 0)


def test_restore_takes_what_can_still_be_reached(registrar: Registrar) -> None:
    earlier = Registrar()
    Phone(earlier).register("<sip:1@h>;expires=700")
    Phone(earlier, "b", _stream(3)).register("<sip:2@h>")
    saved = earlier.bindings(AOR, NOW)
    assert [binding.contact.user for binding in registrar.restore(saved)] == ["2"]
    assert [binding.contact.user for binding in registrar.restore(saved)] == ["2", "1"]
    assert [binding.contact.user for binding in registrar.bindings(AOR, NOW)] == ["1"]
    assert len(registrar.expire(NOW + 702)) == 1


def test_restore_keeps_the_order_of_requests(registrar: Registrar) -> None:
    earlier = Registrar()
    Phone(earlier).register(CONTACT, cseq=9)
    registrar.restore(earlier.bindings(AOR, NOW))
    assert Phone(registrar).register(CONTACT, cseq=9).status == 400


def test_path_is_used_only_where_it_is_trusted(registrar: Registrar, phone: Phone) -> None:
    more = [("Path", "<sip:edge1;lr>, <sip:edge2;lr>")]
    phone.register(CONTACT, more=more)
    assert registrar.bindings(AOR, NOW)[0].path == ()
    registered = phone.register(CONTACT, more=more, accept_path=True)
    assert registrar.bindings(AOR, NOW)[0].path == ("<sip:edge1;lr>", "<sip:edge2;lr>")
    assert [header for header in registered.headers if header[0] == "Path"] == [
        ("Path", "<sip:edge1;lr>"),
        ("Path", "<sip:edge2;lr>"),
    ]
    assert (
        phone.register(CONTACT, more=[("Path", "<sip:e>," * 8 + "<sip:e>")], accept_path=True).status == 400
    )


def test_rfc4475_3_3_14_headers_of_a_contact_are_kept_and_not_sent(
    registrar: Registrar, phone: Phone
) -> None:
    phone.register("<sip:user@example.com?Route=%3Csip:sip.example.com%3E>")
    (binding,) = registrar.bindings(AOR, NOW)
    assert binding.contact.headers
    assert str(binding.target) == "sip:user@example.com"


def test_a_full_registrar_says_when_to_come_back() -> None:
    phone = Phone(Registrar(most_bindings=1))
    phone.register(CONTACT)
    assert _said(phone.register("<sip:other@h>")) == (503, [("Retry-After", "60")], None)
    assert phone.register(CONTACT).status == 200
