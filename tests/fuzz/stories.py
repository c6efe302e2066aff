"""Conversations that the agent's target starts from: each is played once, so that tags, branches and numbers fit."""

from __future__ import annotations

from fuzz import seeds
from fuzz.agent_target import SEPARATOR, World

from ringback.sip.message import Header, Request, Response, parse

SDP = ("Content-Type", "application/sdp")
SEVERAL = ("Content-Type", "multipart/mixed;boundary=b")
CHALLENGE = ("WWW-Authenticate", 'Digest realm="far", nonce="n1", qop="auth", algorithm=SHA-256')


class Story:
    """A world, and what happened in it so far. Session 0 is the one that pieces speak of unless they say."""

    def __init__(self, policy: str = "a") -> None:
        self.world = World(policy)
        self.pieces: list[bytes] = []
        self.branch = 0
        self.hear(b"!=" + policy.encode())

    def hear(self, piece: bytes) -> Story:
        """Something happens."""
        self.pieces.append(piece)
        self.world.piece(piece)
        return self

    def sent(self, word: str) -> Request | Response:
        """What the agent sent last of a method ("INVITE"), or a status ("183")."""
        for data in reversed(self.world.sent):
            if data.startswith((f"{word} ".encode(), f"SIP/2.0 {word} ".encode())):
                return parse(data)
        raise LookupError(word, [data[:40] for data in self.world.sent])

    def reply(
        self, method: str, status: int, *more: Header, body: bytes = b"", tag: str = "far2", seq: int = 0
    ) -> Story:
        """Their answer to the agent's last request of a method."""
        request = self.sent(method)
        assert isinstance(request, Request)
        headers = [("Contact", "<sip:carol@192.0.2.7:5060>"), *more]
        if body and SEVERAL not in more:
            headers.append(SDP)
        if seq:
            headers += [("Require", "100rel"), ("RSeq", str(seq))]
        return self.hear(request.reply(status, to_tag=tag, headers=headers, body=body).render())

    def ask(self, method: str, number: int, *more: Header, body: bytes = b"", session: int = 0) -> Story:
        """A request of theirs in the dialog of a session."""
        dialog = self.world.sessions[session].dialog
        far = dialog.remote if dialog.remote_tag else f"{dialog.remote};tag=far2"
        self.branch += 1
        headers = [
            ("Via", f"SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bKs{self.branch}"),
            *(("Max-Forwards", "70"), ("From", far), ("To", dialog.local)),
            *(("Call-ID", dialog.call_id), ("CSeq", f"{number} {method}")),
            *(("Contact", "<sip:alice@192.0.2.7:5060>"), *more),
        ]
        if body and method != "NOTIFY" and SEVERAL not in more:
            headers.append(SDP)
        return self.hear(Request(method, "sip:bob@192.0.2.1", headers, body).render())

    def told(self) -> bytes:
        """The whole conversation; it ends well."""
        self.world.end()
        return SEPARATOR.join(self.pieces)


def invite(*more: Header) -> bytes:
    """The INVITE of a phone that knows all extensions, or what ``more`` says."""
    request = parse(seeds.INVITE)
    for header in more or (("Supported", "100rel, timer, replaces"),):
        request.add(*header)
    return request.render()


def _taken(policy: str = "a", *more: Header) -> Story:
    """A call that the agent took, and that stands."""
    story = Story(policy).hear(invite(*more))
    if policy == "-":
        story.hear(b"!a")
    return story.ask("ACK", 314159)


def _placed(body: str = "c", *more: Header) -> Story:
    """A call that the agent placed, and that stands."""
    story = Story().hear(f"!{body}".encode()).reply("INVITE", 180)
    story.reply("INVITE", 200, *more, body=seeds.OFFER)
    return story.hear(b"!k") if body == "C" else story


def _rings_reliably() -> bytes:
    story = Story("-").hear(invite(("Require", "100rel"), ("Session-Expires", "120;refresher=uas")))
    story.hear(b"!P")
    for number in range(2):
        rack = f"{story.sent('183').get('RSeq')} 314159 INVITE"
        story.ask("PRACK", 314160 + number, ("RAck", rack))
        story.hear(b"!P" if not number else b"!u")
    story.reply("UPDATE", 200, body=seeds.OFFER).ask("UPDATE", 314170, body=seeds.OFFER)
    return story.hear(b"!xa").ask("ACK", 314159).hear(b"!i").reply("INFO", 200).told()


def _held_answer() -> bytes:
    story = Story("-").hear(invite()).hear(b"!Pa")
    rack = f"{story.sent('183').get('RSeq')} 314159 INVITE"
    story.ask("PRACK", 314160, ("RAck", rack), body=seeds.OFFER).hear(b"!x")
    return story.ask("ACK", 314159).ask("BYE", 314161).told()


def _refused_before_the_prack() -> bytes:
    story = Story("-").hear(invite()).hear(b"!Pr")
    rack = f"{story.sent('183').get('RSeq')} 314159 INVITE"
    return story.ask("PRACK", 314160, ("RAck", rack), body=seeds.OFFER).ask("ACK", 314159).told()


def _left_open() -> bytes:
    story = _placed().hear(b"!I").reply("INVITE", 100).hear(b"!t").reply("INVITE", 183).hear(b"!T")
    return story.reply("CANCEL", 200).reply("INVITE", 487).hear(b"!I").told()


def _offers_cross() -> bytes:
    story = _taken().hear(b"!I").ask("INVITE", 314160, body=seeds.OFFER)
    story.reply("INVITE", 491, tag="far").hear(b"!t").reply("INVITE", 200, body=seeds.OFFER, tag="far")
    story.ask("UPDATE", 314161, body=seeds.OFFER).ask("INVITE", 314162, body=b"").ask(
        "ACK", 314162, body=seeds.OFFER
    )
    return story.hear(b"!o").reply("INVITE", 200, body=seeds.OFFER, tag="far").hear(b"!k").told()


def _pending_offer() -> bytes:
    story = _taken("-").ask("INVITE", 314160, body=seeds.OFFER)
    cancelled = parse(story.pieces[-1])
    assert isinstance(cancelled, Request)
    cancel = Request("CANCEL", cancelled.raw_uri, [h for h in cancelled.headers if h[0] != "CSeq"])
    cancel.set("CSeq", "314160 CANCEL")
    story.hear(cancel.render()).ask("UPDATE", 314161, body=seeds.OFFER).ask(
        "INVITE", 314162, body=seeds.OFFER
    )
    return story.hear(b"!x").ask("BYE", 314163).told()


def _refers_us() -> bytes:
    story = _taken("-").ask("REFER", 314160, ("Refer-To", "<sip:dave@192.0.2.7>")).hear(b"!y")
    story.reply("NOTIFY", 200).hear(b"!n").reply("NOTIFY", 200)
    story.ask("SUBSCRIBE", 314161, ("Event", "refer"), ("Expires", "60")).reply("NOTIFY", 200)
    story.ask("REFER", 314162, ("Refer-To", "<sip:e@192.0.2.7?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>"))
    return story.hear(b"!Y").ask("BYE", 314163).hear(b"!N").reply("NOTIFY", 481).told()


def _we_refer() -> bytes:
    story = _placed().hear(b"!f").reply("REFER", 401, CHALLENGE).reply("REFER", 202)
    event, frag = ("Event", "refer"), ("Content-Type", "message/sipfrag;version=2.0")
    for number, (line, state) in enumerate((("100 Trying", "active;expires=60"), ("200 OK", "terminated"))):
        story.ask(
            "NOTIFY",
            number + 1,
            event,
            ("Subscription-State", state),
            frag,
            body=f"SIP/2.0 {line}\r\n".encode(),
        )
    return story.ask("BYE", 9).told()


def _early(offered: bool) -> bytes:
    story = Story().hear(b"!c" if offered else b"!C").reply("INVITE", 401, CHALLENGE)
    story.reply("INVITE", 183, body=seeds.OFFER, seq=7)
    if not offered:
        story.hear(b"!k")
    story.reply("PRACK", 200).hear(b"!u").reply("UPDATE", 200, body=seeds.OFFER)
    story.ask("UPDATE", 5, body=seeds.OFFER).reply("INVITE", 180, seq=8).reply("PRACK", 200).reply(
        "INVITE", 200
    )
    return story.ask("BYE", 6).told()


def _forks() -> bytes:
    story = Story().hear(b"!c").reply("INVITE", 180, tag="one").reply("INVITE", 183, tag="two", seq=3)
    story.reply("INVITE", 200, tag="two", body=seeds.OFFER).reply("INVITE", 200, tag="one", body=seeds.OFFER)
    return story.hear(b"!d").ask("BYE", 4).told()


def _refreshes() -> bytes:
    story = _placed("c", ("Session-Expires", "90;refresher=uac"), ("Allow", "INVITE, UPDATE"))
    story.hear(b"!ttttttttt").reply(
        "UPDATE", 200, ("Session-Expires", "90;refresher=uac"), ("Allow", "UPDATE")
    )
    story.hear(b"!ttttttttt").reply("UPDATE", 501).reply("INVITE", 422, ("Min-SE", "300"))
    return story.reply("INVITE", 200, ("Session-Expires", "300;refresher=uas"), body=seeds.OFFER).told()


def _replaced() -> bytes:
    story = _taken()
    dialog = story.world.sessions[0].dialog
    request = parse(seeds.INVITE)
    request.set("Call-ID", "another")
    request.set("From", "<sip:carol@example.com>;tag=far9")
    request.set("Via", "SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bKreplacing")
    request.add("Replaces", f"{dialog.call_id};to-tag={dialog.local_tag};from-tag=far")
    return story.hear(request.render()).reply("BYE", 200).ask("ACK", 314159, session=1).told()


def _by_names() -> bytes:
    story = Story().hear(invite(("Record-Route", "<sip:proxy.example.com;lr>"), ("Expires", "30")))
    story.ask("ACK", 314159).hear(b"!iI").reply("INFO", 407, CHALLENGE)
    story.reply("INVITE", 200, tag="far", body=seeds.OFFER)
    return story.hear(b"!h").reply("BYE", 200).told()


def _withdrawn() -> bytes:
    story = Story().hear(b"!Cg").reply("INVITE", 180).hear(b"!hf").reply("CANCEL", 200)
    return story.reply("INVITE", 487).reply("REGISTER", 401, CHALLENGE).reply("REGISTER", 200).told()


def _given_up() -> bytes:
    cancel = seeds.request(b"CANCEL")
    return Story("-").hear(invite()).hear(b"!p").hear(cancel).hear(b"!T").told()


def _in_parts() -> bytes:
    story = Story().hear(
        seeds.request(b"INVITE", body=seeds.PARTS, more=b"c: multipart/mixed;boundary=b\r\n")
    )
    story.ask("ACK", 314159, SEVERAL, body=seeds.PARTS).ask("UPDATE", 314160, SEVERAL, body=seeds.PARTS)
    story.ask("INFO", 314161, ("Info-Package", "infoDtmf"), SEVERAL, body=seeds.PARTS)
    return story.hear(b"!I").reply("INVITE", 200, SEVERAL, body=seeds.PARTS).told()


def _redirected() -> bytes:
    story = Story().hear(b"!c").reply("INVITE", 302, ("Contact", "<sip:dave@192.0.2.7>;q=0.5"))
    return story.hear(b"!c").reply("INVITE", 503, ("Retry-After", "10")).hear(b"!d").told()


STORIES = (
    _rings_reliably(),
    _held_answer(),
    _refused_before_the_prack(),
    _left_open(),
    _offers_cross(),
    _pending_offer(),
    _refers_us(),
    _we_refer(),
    _early(True),
    _early(False),
    _forks(),
    _refreshes(),
    _replaced(),
    _by_names(),
    _withdrawn(),
    _given_up(),
    _redirected(),
    _in_parts(),
    _taken("r").told(),
)
