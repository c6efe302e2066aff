"""SIP over TLS on loopback, and the certificates for it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from integration.transport_scene import (
    OPTIONS,
    PATIENCE,
    Stations,
    authority,
    event_loop_policy,
    get,
    hang_up,
    server_tls,
    station,
)

from ringback.shell.tls import (
    CertificateError,
    CertificateFiles,
    ClientContexts,
    ensure_certificate,
    server_context,
)
from ringback.shell.transport import TransportLimits
from ringback.sip.flow import Hop
from ringback.sip.message import Request

__all__ = ["authority", "event_loop_policy", "server_tls", "station"]

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")


@pytest.fixture
def contexts(authority: trustme.CA, tmp_path: Path) -> ClientContexts:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return ClientContexts(path)


async def test_tls_verified_by_name(
    station: Stations, server_tls: ssl.SSLContext, contexts: ClientContexts
) -> None:
    a, b = station(client_context=contexts), station()
    address = b.transports.listen_tls("127.0.0.1", 0, server_tls)
    a.send(Hop("TLS", *address, server_name="sip.example.com"), OPTIONS % 1)
    message, flow = await get(b.messages)
    assert flow.transport == "TLS"
    assert isinstance(message, Request)
    b.send(flow.hop(), message.reply(200).render())
    assert (await get(a.messages))[1].transport == "TLS"


async def test_tls_wrong_name_is_unreachable(
    station: Stations, server_tls: ssl.SSLContext, contexts: ClientContexts
) -> None:
    a, b = station(client_context=contexts), station()
    hop = Hop("TLS", *b.transports.listen_tls("127.0.0.1", 0, server_tls), server_name="other.example.com")
    a.send(hop, OPTIONS % 1, "t")
    assert await get(a.unreachable) == (hop, "t")
    assert b.messages.empty()


async def test_tls_unverified_stream_is_not_used_for_a_verified_hop(
    station: Stations, server_tls: ssl.SSLContext, contexts: ClientContexts
) -> None:
    a, b = station(client_context=contexts), station()
    address = b.transports.listen_tls("127.0.0.1", 0, server_tls)
    a.send(Hop("TLS", *address), OPTIONS % 1)
    await get(b.messages)
    a.send(Hop("TLS", *address, server_name="other.example.com"), OPTIONS % 2, "t")
    assert (await get(a.unreachable))[1] == "t"


async def test_tls_stream_of_ours_is_verified_again_when_opened_again(
    station: Stations, server_tls: ssl.SSLContext, contexts: ClientContexts
) -> None:
    names: list[str] = []

    def context(name: str) -> ssl.SSLContext:
        names.append(name)
        return contexts(name)

    a, b = station(client_context=context), station()
    a.send(
        Hop("TLS", *b.transports.listen_tls("127.0.0.1", 0, server_tls), server_name="sip.example.com"),
        OPTIONS % 1,
    )
    message, flow = await get(b.messages)
    assert isinstance(message, Request)
    b.send(flow.hop(), message.reply(200).render())
    _, ours = await get(a.messages)
    b.transports._streams._open[flow.connection].close()
    await get(a.closed)
    a.send(ours.hop(), OPTIONS % 2)
    await get(b.messages)
    assert names == ["sip.example.com", "sip.example.com"]


async def test_tls_handshake_that_does_not_come(station: Stations, server_tls: ssl.SSLContext) -> None:
    a = station(TransportLimits(handshake_after=0.1, streams_per_source=1))
    address = a.transports.listen_tls("127.0.0.1", 0, server_tls)
    reader, writer = await asyncio.open_connection(*address)
    other, refused = await asyncio.open_connection(*address)
    async with asyncio.timeout(PATIENCE):
        assert await other.read() == b""  # one in handshake counts against its source
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
    async with asyncio.timeout(PATIENCE):
        while a.transports._streams.room:
            await asyncio.sleep(0)
    assert a.counters.handshakes_failed == 1
    await hang_up(writer, refused)


async def test_tls_plain_text_is_refused(station: Stations, server_tls: ssl.SSLContext) -> None:
    a = station()
    reader, writer = await asyncio.open_connection(*a.transports.listen_tls("127.0.0.1", 0, server_tls))
    writer.write(OPTIONS % 1)
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionError):
            await reader.read()
    assert a.messages.empty() and a.transports.streams == 0
    writer.close()


def make(directory: Path, **changes: Any) -> CertificateFiles:
    options: dict[str, Any] = {"public_address": "203.0.113.7", "base_domain": "ringback.example", **changes}
    return ensure_certificate(directory, **options)


async def test_first_certificate_serves_its_names(station: Stations, tmp_path: Path) -> None:
    files = make(tmp_path / "tls")
    for path in files:
        assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "tls").stat().st_mode & 0o777 == 0o700
    b = station()
    address = b.transports.listen_tls("127.0.0.1", 0, server_context(files))
    a = station(client_context=ClientContexts(files.certificate))
    for number, name in enumerate(
        ("ringback.example", "shop.sip.ringback.example", "x.ringback.example", "203.0.113.7")
    ):
        a.send(Hop("TLS", *address, server_name=name), OPTIONS % number)
        assert (await get(b.messages))[0].cseq.number == number
    a.send(Hop("TLS", *address, server_name="ringback.example.net"), OPTIONS % 1, "no")
    assert (await get(a.unreachable))[1] == "no"


async def test_old_protocols_are_refused(station: Stations, tmp_path: Path) -> None:
    a = station()
    address = a.transports.listen_tls("127.0.0.1", 0, server_context(make(tmp_path)))
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname = False
    old.verify_mode = ssl.CERT_NONE
    with pytest.warns(DeprecationWarning):
        old.minimum_version = ssl.TLSVersion.TLSv1_1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection(*address, ssl=old)


def test_certificate_is_kept_and_made_anew_when_it_must(tmp_path: Path) -> None:
    first = make(tmp_path).certificate.read_bytes()
    assert make(tmp_path).certificate.read_bytes() == first
    moved = make(tmp_path, public_address="203.0.113.8").certificate.read_bytes()
    assert moved != first
    later = datetime.now(UTC) + timedelta(days=3640)
    assert make(tmp_path, public_address="203.0.113.8", now=later).certificate.read_bytes() != moved
    files = make(tmp_path)
    files.key.unlink()  # a stop between the two files
    assert make(tmp_path).key.exists()


def test_operators_files_are_used_and_never_touched(tmp_path: Path, authority: trustme.CA) -> None:
    certificate = authority.issue_cert("sip.example.com")
    chain = b"".join(pem.bytes() for pem in certificate.cert_chain_pems)
    (tmp_path / "sip.crt").write_bytes(chain)
    with pytest.raises(CertificateError):
        make(tmp_path)  # the key is missing
    (tmp_path / "sip.key").write_bytes(trustme.CA().issue_cert("x").private_key_pem.bytes())
    with pytest.raises(CertificateError, match="not the key"):
        make(tmp_path)
    (tmp_path / "sip.key").write_bytes(certificate.private_key_pem.bytes())
    files = make(tmp_path)
    assert files.certificate.read_bytes() == chain
    server_context(files)
    files.certificate.unlink()
    with pytest.raises(CertificateError):
        make(tmp_path)
    files.certificate.write_bytes(b"rubbish")
    with pytest.raises(CertificateError):
        make(tmp_path)
    with pytest.raises(CertificateError):
        server_context(files)
