"""A dialog: what both ends agree on, RFC 3261 section 12.

    early   (a tag in a 1xx)  --2xx-->  confirmed  --BYE-->  gone

It knows the tags, the sequence numbers, the remote target and the route set, and writes requests with them.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from ringback.sip.errors import PeerError
from ringback.sip.headers import NameAddr, parse_name_addr
from ringback.sip.message import Request, Response
from ringback.sip.timers import ROUTES_MAX
from ringback.sip.uri import Uri, bracketed

Header = tuple[str, str]


class Dialog:
    """One dialog as seen from our side.

    ``local`` and ``remote`` are the values of From and To in requests of ours, tags included; ``routes`` are
    Route values, nearest first; ``target`` is the peer's Contact.
    """

    __slots__ = (
        "_route_headers",
        "_uri",
        "call_id",
        "local",
        "local_seq",
        "local_tag",
        "remote",
        "remote_seq",
        "remote_tag",
        "routes",
        "target",
    )

    def __init__(self, call_id: str, local: str, local_tag: str, remote: str, target: Uri) -> None:
        self.call_id = call_id
        self.local = local
        self.local_tag = local_tag
        self.remote = remote
        self.remote_tag = ""
        self.local_seq = 0
        self.remote_seq = -1
        self.target = target
        self.routes: tuple[str, ...] = ()
        self._uri = target
        self._route_headers: list[Header] = []

    @classmethod
    def of_request(cls, request: Request, local_tag: str) -> Dialog:
        """The UAS side (12.1.1), from a dialog-creating request. Raises PeerError when it cannot make one."""
        contacts = request.contacts or (request.from_,)  # RFC 2543 did not ask for a Contact
        if len(contacts) != 1 or not contacts[0].uri.is_sip:
            raise PeerError(400, "Exactly one SIP Contact is needed")
        to = request.get("To") or ""
        dialog = cls(
            request.call_id, f"{to};tag={local_tag}", local_tag, request.get("From") or "", contacts[0].uri
        )
        dialog.remote_tag = request.from_.tag or ""
        dialog.remote_seq = request.cseq.number
        dialog.set_routes(tuple(request.all("Record-Route")))
        return dialog

    @classmethod
    def of_own(cls, request: Request) -> Dialog:
        """What an INVITE of ours begins, as ``establish`` wants it: once more for each branch that answers."""
        own = request.from_.tag or ""
        dialog = cls(request.call_id, request.get("From") or "", own, request.get("To") or "", request.uri)
        dialog.local_seq = request.cseq.number
        return dialog

    def establish(self, response: Response) -> None:
        """The UAC side (12.1.2): take tag, target and routes of a 1xx or 2xx. Raises PeerError."""
        self.remote = response.get("To") or self.remote
        self.remote_seq = -1
        self.remote_tag = response.to.tag or ""
        contacts = response.contacts
        if contacts and contacts[0].uri.is_sip:
            self.target = contacts[0].uri
        self.set_routes(tuple(reversed(response.all("Record-Route"))))

    def fork(self, response: Response) -> Dialog:
        """Another dialog of the same INVITE, made by a 2xx with another tag (13.2.2.4)."""
        other = Dialog(self.call_id, self.local, self.local_tag, self.remote, self.target)
        other.local_seq = self.local_seq
        other.establish(response)
        return other

    def set_routes(self, routes: tuple[str, ...]) -> None:
        """Take a route set, and work out Request-URI and Route fields (12.2.1.1)."""
        if len(routes) > ROUTES_MAX:
            raise PeerError(400, "Route set too long")
        self.routes = routes
        self._uri = self.target.for_request
        if routes:
            first = parse_name_addr(routes[0]).uri
            if "lr" not in first.params:  # strict router: it expects itself in the Request-URI
                routes = (*routes[1:], f"<{self._uri}>")
                self._uri = first.for_request
        self._route_headers = [("Route", route) for route in routes]

    def retarget(self, message: Request | Response) -> None:
        """A target refresh (12.2.1.2, 12.2.2): the new Contact, the same routes."""
        contacts = message.contacts
        if contacts and contacts[0].uri.is_sip and contacts[0].uri != self.target:
            self.target = contacts[0].uri
            self.set_routes(self.routes)

    @property
    def next_uri(self) -> Uri | None:
        """The first route, where requests go; None without routes."""
        return parse_name_addr(self.routes[0]).uri if self.routes else None

    @property
    def request_uri(self) -> str:
        """What stands in the Request-URI of requests of ours."""
        return self._uri.text

    def next_seq(self) -> int:
        """The number for the next request of ours."""
        self.local_seq += 1
        return self.local_seq

    def request(
        self, method: str, seq: int, via: str, max_forwards: int, headers: Iterable[Header], body: bytes
    ) -> Request:
        """A request inside (or, for the first INVITE, about to make) this dialog."""
        fields = [
            ("Via", via),
            *self._route_headers,
            ("Max-Forwards", str(max_forwards)),
            ("From", self.local),
            ("To", self.remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{seq} {method}"),
            *headers,
        ]
        return Request(method, self._uri, fields, body)

    def record(self) -> dict[str, Any]:
        """Everything, as data fit for JSON."""
        return {
            "call_id": self.call_id,
            "local": self.local,
            "local_tag": self.local_tag,
            "local_seq": self.local_seq,
            "remote": self.remote,
            "remote_tag": self.remote_tag,
            "remote_seq": self.remote_seq,
            "target": self.target.text,
            "routes": list(self.routes),
        }

    @classmethod
    def restore(cls, record: dict[str, Any]) -> Dialog:
        """A dialog from its record."""
        dialog = cls(
            record["call_id"],
            record["local"],
            record["local_tag"],
            record["remote"],
            Uri.parse(record["target"]),
        )
        dialog.local_seq = record["local_seq"]
        dialog.remote_tag = record["remote_tag"]
        dialog.remote_seq = record["remote_seq"]
        dialog.set_routes(tuple(record["routes"]))
        return dialog


@lru_cache(maxsize=1024)
def _contact_of_text(text: str) -> tuple[str, str]:
    address = parse_name_addr(text)
    uri = address.uri
    port = "" if uri.port is None else f":{uri.port}"
    value = text if text.endswith(">") or "<" in text else f"<{text}>"
    return value, f"{bracketed(uri.host)}{port}"


def contact_and_sent_by(contact: NameAddr | Uri | str) -> tuple[str, str]:
    """A Contact as header value, and the "host[:port]" in it, which is our sent-by inside the dialog."""
    if isinstance(contact, Uri):
        contact = f"<{contact.text}>"
    return _contact_of_text(str(contact))


def needs_sips(request: Request) -> bool:
    """Whether the Contact of our answers must be SIPS: what leads here, or back, asks for it (12.1.1)."""
    if request.uri.scheme == "sips":
        return True
    back = request.record_routes or request.contacts
    return bool(back) and back[0].uri.scheme == "sips"


def secured(contact: str) -> str:
    """A Contact of ours as SIPS URI, which leads to TLS by itself."""
    uri = parse_name_addr(contact).uri
    params = {name: value for name, value in uri.params.items() if name != "transport"}
    return str(NameAddr("", uri.replace(scheme="sips", params=params)))
