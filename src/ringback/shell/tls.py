"""TLS for SIP: the server's certificate, made at first start when there is none, and contexts.

A certificate that an operator put into place is used as it is. One that was made here is recognised by its
subject, and made anew when it is about to end or does not name the server any more.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# Phones of ten years ago speak RSA and nothing newer; 2,048 bits are the least that today's accept.
KEY_BITS: Final = 2048
VALID_FOR: Final = timedelta(days=3650)  # people install it on phones by hand
RENEW_BEFORE: Final = timedelta(days=30)
ORGANIZATION: Final = "Ringback self-signed"
COMMON_NAME_MAX: Final = 64  # characters of a common name, RFC 5280 appendix A.1


class CertificateError(Exception):
    """The certificate files cannot be used; the text says which and why."""


class CertificateFiles(NamedTuple):
    """Paths of the chain and of its key, both PEM."""

    certificate: Path
    key: Path


def ensure_certificate(
    directory: Path,
    *,
    public_address: str,
    base_domain: str,
    now: datetime | None = None,
    more_names: Sequence[str] = (),
) -> CertificateFiles:
    """The server's certificate in `directory` (`sip.crt`, `sip.key`), self-signed when there is none.

    It names the public address, the base domain, `*.<base domain>`, `*.sip.<base domain>` (the SIP domains) and
    `more_names`. Takes about half a second when a key is made. Raises CertificateError for files that
    cannot be read.
    """
    now = now or datetime.now(UTC)
    files = CertificateFiles(directory / "sip.crt", directory / "sip.key")
    names = _names(public_address, base_domain, more_names)
    if files.certificate.exists():
        certificate = _load_certificate(files.certificate)
        ours = _is_ours(certificate)
        try:
            _check_key(files, certificate)
        except CertificateError:
            if not ours:
                raise
        else:
            if not ours or (_covers(certificate, names) and _lasts(certificate, now)):
                return files
    elif files.key.exists():
        raise CertificateError(f"{files.key} is there, but not {files.certificate}")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _make(files, base_domain, names, now)
    return files


def server_context(files: CertificateFiles) -> ssl.SSLContext:
    """What listeners use: TLS 1.2 or newer, no client certificate asked. Raises CertificateError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(files.certificate, files.key)
    except (OSError, ssl.SSLError) as error:
        raise CertificateError(f"{files.certificate}: {error}") from None
    return context


class ClientContexts:
    """What outgoing connections use: verified where a name is to be verified, else only encrypted.

    `authorities` is a PEM file with further roots to trust (a carrier's own, a trunk's self-signed one).
    """

    def __init__(self, authorities: Path | None = None) -> None:
        self._verified = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
        self._verified.minimum_version = ssl.TLSVersion.TLSv1_2
        if authorities is not None:
            try:
                self._verified.load_verify_locations(authorities)
            except (OSError, ssl.SSLError) as error:
                raise CertificateError(f"{authorities}: {error}") from None
        self._encrypted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._encrypted.minimum_version = ssl.TLSVersion.TLSv1_2
        self._encrypted.check_hostname = False
        self._encrypted.verify_mode = ssl.CERT_NONE

    def __call__(self, server_name: str) -> ssl.SSLContext:
        """The context for a hop with this `server_name` ("" = do not verify)."""
        return self._verified if server_name else self._encrypted


def _names(public_address: str, base_domain: str, more: Sequence[str]) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    texts = [
        public_address,
        base_domain,
        f"*.{base_domain}",
        f"*.sip.{base_domain}",
        "localhost",
        "127.0.0.1",
        *more,
    ]
    for text in dict.fromkeys(text for text in texts if text):
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(text)))
        except ValueError:
            # IA5String holds ASCII only: names in other letters go in as IDNA.
            with contextlib.suppress(UnicodeError):
                names.append(x509.DNSName(text if text.isascii() else text.encode("idna").decode()))
    return names


def _load_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CertificateError(f"{path}: {error}") from None


def _check_key(files: CertificateFiles, certificate: x509.Certificate) -> None:
    try:
        key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CertificateError(f"{files.key}: {error}") from None
    encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    if key.public_key().public_bytes(encoding, form) != certificate.public_key().public_bytes(encoding, form):
        raise CertificateError(f"{files.key} is not the key of {files.certificate}")


def _is_ours(certificate: x509.Certificate) -> bool:
    organizations = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return certificate.issuer == certificate.subject and any(o.value == ORGANIZATION for o in organizations)


def _covers(certificate: x509.Certificate, names: Sequence[x509.GeneralName]) -> bool:
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    return set(names) <= set(alternative)


def _lasts(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - RENEW_BEFORE


def _make(files: CertificateFiles, common_name: str, names: list[x509.GeneralName], now: datetime) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name[:COMMON_NAME_MAX]),
        ]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # phones' clocks
        .not_valid_after(now + VALID_FOR)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        # So that a phone on which it is installed may take it as its own authority.
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    # The certificate first: should the key then be missing, the certificate tells that it was made here.
    _write(files.certificate, certificate.public_bytes(serialization.Encoding.PEM))
    form, secrecy = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    _write(files.key, key.private_bytes(serialization.Encoding.PEM, form, secrecy))


def _key_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,  # TLS 1.2 with RSA key exchange
        key_cert_sign=True,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write(path: Path, data: bytes) -> None:
    """Readable by the owner alone from the first byte on, and never half written under its name."""
    draft = path.with_suffix(path.suffix + ".new")
    with contextlib.suppress(FileNotFoundError):
        draft.unlink()
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
