"""Twilio's error codes for what can go wrong on the way to a program, and back."""

import ssl
from typing import Final, NamedTuple

import aiohttp

HTTP_FAILURE: Final = 11200
CONNECTION_FAILURE: Final = 11205
PROTOCOL_VIOLATION: Final = 11206
BAD_HOST: Final = 11210
TOO_MANY_REDIRECTS: Final = 11215
TLS_HANDSHAKE: Final = 11220
CERTIFICATE_NAME: Final = 11235
CERTIFICATE_EXPIRED: Final = 11236
CERTIFICATE_UNTRUSTED: Final = 11237
INVALID_URL: Final = 11100
BODY_TOO_LARGE: Final = 11750
INVALID_CONTENT_TYPE: Final = 12300
CALLBACK_REFUSED: Final = 15003

_EXPIRED: Final = 10  # X509_V_ERR_CERT_HAS_EXPIRED
_WRONG_NAME: Final = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


class Failure(NamedTuple):
    """A request that came to nothing. `kind` is the retry policy that covers it: ct, rt, or "" for none.

    `is_stale` says that the connection had been kept from before, and may have been closed before anybody saw the request.
    """

    code: int
    text: str
    kind: str = ""
    is_stale: bool = False


GAVE_WAY: Final = Failure(HTTP_FAILURE, "no answer, and others waited for the connection", "rt")
"""Too many programs hang at once: this request was one of the oldest (ringback.shell.webhook_shares)."""


def from_client_error(error: aiohttp.ClientError | OSError) -> Failure:
    """Twilio's words for an error of the HTTP client. Most special first, as the classes nest."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return Failure(
                _certificate_code(error.certificate_error), f"certificate: {error.certificate_error}", "ct"
            )
        case aiohttp.ClientSSLError():
            return Failure(TLS_HANDSHAKE, "the TLS handshake failed", "ct")
        case aiohttp.ClientConnectorDNSError():
            return Failure(BAD_HOST, f"no such host: {error.host}: {error.strerror or error.os_error}", "ct")
        case aiohttp.ConnectionTimeoutError():
            return Failure(CONNECTION_FAILURE, "no connection in time", "ct")
        case aiohttp.ClientConnectorError():
            return Failure(CONNECTION_FAILURE, f"no connection: {error.strerror or error.os_error}", "ct")
        case TimeoutError():
            return Failure(HTTP_FAILURE, "no answer in time", "rt")
        case aiohttp.InvalidURL():
            return Failure(INVALID_URL, "not a URL")
        case aiohttp.ServerDisconnectedError():
            return Failure(PROTOCOL_VIOLATION, "the connection was closed without an answer", "rt")
        case OSError():
            return Failure(CONNECTION_FAILURE, f"the connection broke: {error.strerror}", "rt")
        case _:
            return Failure(PROTOCOL_VIOLATION, f"not an HTTP answer ({type(error).__name__})", "rt")


def _certificate_code(error: Exception) -> int:
    code = error.verify_code if isinstance(error, ssl.SSLCertVerificationError) else 0
    if code == _EXPIRED:
        return CERTIFICATE_EXPIRED
    return CERTIFICATE_NAME if code in _WRONG_NAME else CERTIFICATE_UNTRUSTED
