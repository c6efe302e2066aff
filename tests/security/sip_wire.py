"""SIP by hand: what an attacker sends, byte by byte, over UDP, TCP and TLS."""

from __future__ import annotations

import asyncio
import hashlib
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count
from types import TracebackType

from live import LiveServer

WITHIN = 30.0
_numbers = count(1)

SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)


@dataclass(frozen=True)
class Reply:
    """A response as it came."""

    status: int
    text: str

    def header(self, name: str) -> str:
        """The first value of a header; "" if there is none."""
        found = re.search(rf"^{name}:[ \t]*(.*?)\r$", self.text, re.I | re.M)
        return found[1] if found else ""

    def field(self, name: str) -> str:
        """A parameter of the challenge."""
        found = re.search(rf'{name}="?([^",]+)', self.header("Proxy-Authenticate"))
        return found[1] if found else ""


class Wire:
    """A connected UDP socket or a stream to the server's SIP port."""

    def __init__(self, transport: str, address: tuple[str, int], source: str = "127.0.0.1") -> None:
        self.transport = transport
        self.address = address
        self.source = source
        self.local = ("", 0)
        self._received: asyncio.Queue[str] = asyncio.Queue()
        self._udp: asyncio.DatagramTransport | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Wire:
        loop = asyncio.get_running_loop()
        if self.transport == "UDP":
            received = self._received

            class Datagrams(asyncio.DatagramProtocol):
                def datagram_received(self, data: bytes, addr: object) -> None:
                    received.put_nowait(data.decode("utf-8", "replace"))

            self._udp, _ = await loop.create_datagram_endpoint(
                Datagrams, local_addr=(self.source, 0), remote_addr=self.address
            )
            self.local = self._udp.get_extra_info("sockname")
            return self
        context: ssl.SSLContext | None = None
        if self.transport == "TLS":
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        reader, self._writer = await asyncio.open_connection(
            *self.address, ssl=context, local_addr=(self.source, 0)
        )
        self.local = self._writer.get_extra_info("sockname")
        self._reading = asyncio.create_task(self._read(reader))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._udp is not None:
            self._udp.close()
        if self._writer is not None:
            self._writer.close()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._writer is not None:
            with suppress(
                OSError
            ):  # TLS has its own among them; the server may have closed the stream already
                await self._writer.wait_closed()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while not reader.at_eof():
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("utf-8", "replace")
            except (asyncio.IncompleteReadError, ConnectionError):
                break
            length = re.search(r"^Content-Length:\s*(\d+)", head, re.I | re.M)
            body = await reader.readexactly(int(length[1]) if length else 0)
            self._received.put_nowait(head + body.decode("utf-8", "replace"))
        self._received.put_nowait("")

    def send(self, data: bytes | str) -> None:
        """Send as it is."""
        raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
        if self._udp is not None:
            self._udp.sendto(raw)
        else:
            assert self._writer is not None
            self._writer.write(raw)

    async def reply(self, call_id: str = "") -> Reply:
        """The next final response, of this Call-ID if one is given. ConnectionError when the stream closed."""
        async with asyncio.timeout(WITHIN):
            while True:
                text = await self._received.get()
                if not text:
                    raise ConnectionError("the server closed the stream")
                found = re.match(r"SIP/2\.0 (\d{3})", text)
                if found and int(found[1]) >= 200 and (not call_id or f"{call_id}\r\n" in text):
                    return Reply(int(found[1]), text)

    async def asked(self, method: str) -> str:
        """The next request of this method that the server sends."""
        async with asyncio.timeout(WITHIN):
            while not (text := await self._received.get()).startswith(f"{method} "):
                if not text:
                    raise ConnectionError("the server closed the stream")
        return text

    def respond(self, request: str, status: str, body: str = "") -> None:
        """Answer a request of the server."""
        host, port = self.local[:2]
        lines = [f"SIP/2.0 {status}", *re.findall(r"^(?:Via|From|Call-ID|CSeq): .*(?=\r$)", request, re.M)]
        found = re.findall(r"^To: (.*)\r$", request, re.M)
        lines += [f"To: {to}" if ";tag=" in to else f"To: {to};tag=here" for to in found]
        lines += [f"Contact: <sip:here@{host}:{port}>", *(["Content-Type: application/sdp"] if body else [])]
        self.send("\r\n".join([*lines, f"Content-Length: {len(body)}", "", body]))

    async def closed(self) -> None:
        """Until the server closes the stream."""
        async with asyncio.timeout(WITHIN):
            while await self._received.get():
                pass

    def request(
        self,
        method: str,
        uri: str,
        *,
        from_: str = "sip:mallory@example.net",
        to: str = "",
        headers: tuple[str, ...] = (),
        body: str = "",
        content_type: str = "application/sdp",
        call_id: str = "",
        cseq: int = 1,
    ) -> tuple[str, str]:
        """A request and its Call-ID."""
        number = next(_numbers)
        call_id = call_id or f"attack-{number}-{id(self)}"
        host, port = self.local[:2]
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/{self.transport} {host}:{port};branch=z9hG4bK-attack-{number}-{id(self)};rport",
            f"From: <{from_}>;tag=t{number}",
            f"To: <{to or uri}>",
            f"Call-ID: {call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:mallory@{host}:{port};transport={self.transport.lower()}>",
            "Max-Forwards: 70",
            *headers,
            *([f"Content-Type: {content_type}"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join(lines) + "\r\n\r\n" + body, call_id

    async def ask(self, method: str, uri: str, **more: object) -> Reply:
        """Send a request, and wait for its final response."""
        text, call_id = self.request(method, uri, **more)  # type: ignore[arg-type]
        self.send(text)
        return await self.reply(call_id)

    async def is_alive(self) -> bool:
        """An OPTIONS is answered: all that was sent before has been handled."""
        uri = f"sip:{self.address[0]}:{self.address[1]}"
        reply = await self.ask("OPTIONS", uri, call_id=f"alive.{next(_numbers)}.{id(self)}")
        assert reply.status == 200, reply.text
        return True


def credentials(
    challenge: Reply, method: str, uri: str, user: str, password: str, *, nc: int = 1, **changes: str
) -> str:
    """A Proxy-Authorization line, computed here (RFC 7616 section 3.4.1). ``changes`` replace its fields."""

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    fields = {
        "username": user,
        "realm": challenge.field("realm"),
        "nonce": challenge.field("nonce"),
        "uri": uri,
        "cnonce": "0a4f113b",
        "nc": f"{nc:08x}",
    }
    fields.update(changes)
    ha1 = md5(f"{fields['username']}:{fields['realm']}:{password}")
    ha2 = md5(f"{method}:{fields['uri']}")
    response = md5(f"{ha1}:{fields['nonce']}:{fields['nc']}:{fields['cnonce']}:auth:{ha2}")
    return (
        f'Proxy-Authorization: Digest username="{fields["username"]}", realm="{fields["realm"]}", '
        f'nonce="{fields["nonce"]}", uri="{fields["uri"]}", response="{response}", algorithm=MD5, '
        f'cnonce="{fields["cnonce"]}", qop=auth, nc={fields["nc"]}'
    )


@asynccontextmanager
async def wire_to(server: LiveServer, transport: str, source: str = "127.0.0.1") -> AsyncIterator[Wire]:
    """A wire to the server's port for this transport, from a loopback address."""
    async with Wire(transport, server.sips if transport == "TLS" else server.sip, source) as wire:
        yield wire
