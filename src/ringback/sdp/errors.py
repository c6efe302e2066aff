"""What can go wrong with a session description, and whose fault it is.

SdpError
|-- PeerError(status, reason)     they broke the protocol or ask for what we do not do
|   |-- SdpSyntaxError            400: the body is not a session description
|   `-- SdpRefused                488 (or 491): well-formed, but there is no session in it for us
`-- UsageError                    we called the machine out of turn
"""

from typing import Literal

RefusalCause = Literal["no-audio", "no-codec", "secure-media", "address", "pending"]


class SdpError(Exception):
    """Root of the package's errors."""


class PeerError(SdpError):
    """The peer's fault; `status` and `reason` are what to answer the SIP request with."""

    def __init__(self, status: int, reason: str, detail: str = "") -> None:
        super().__init__(detail or reason)
        self.status = status
        self.reason = reason


class SdpSyntaxError(PeerError):
    """The one error that `parse` raises."""

    def __init__(self, detail: str) -> None:
        super().__init__(400, "Bad Session Description", detail)


class SdpRefused(PeerError):
    """The description cannot become a session of ours.

    `cause` tells why, for logs and for Twilio's error numbers: no audio stream is left, no common codec,
    only encrypted streams, an address that we cannot send to, or an offer of ours is still open (491).
    """

    def __init__(self, cause: RefusalCause, detail: str) -> None:
        status, reason = (491, "Request Pending") if cause == "pending" else (488, "Not Acceptable Here")
        super().__init__(status, reason, detail)
        self.cause: RefusalCause = cause


class UsageError(SdpError):
    """Our own mistake, such as accepting an answer to no offer."""
