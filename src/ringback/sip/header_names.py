"""Names of header fields: their compact forms, which are lists, and one spelling for each (RFC 3261 section 7.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from ringback.sip.errors import SipSyntaxError
from ringback.sip.limits import MAX_KEY, MAX_REMEMBERED_NAMES

# Compact forms: RFC 3261 section 7.3.3, RFC 3515, 3892, 3841, 4028, 4474, 6665, 3327.
COMPACT_FORMS: Final[Mapping[str, str]] = {
    "a": "Accept-Contact",
    "b": "Referred-By",
    "c": "Content-Type",
    "d": "Request-Disposition",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "j": "Reject-Contact",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "o": "Event",
    "r": "Refer-To",
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",
    "v": "Via",
    "x": "Session-Expires",
    "y": "Identity",
}

# Fields whose values may be joined with commas (RFC 3261 table 2 and the RFCs that add fields).
LIST_FIELDS: Final = frozenset(
    """Accept Accept-Contact Accept-Encoding Accept-Language Alert-Info Allow Allow-Events Call-Info Contact
    Content-Encoding Content-Language Diversion Error-Info History-Info In-Reply-To P-Asserted-Identity
    P-Associated-URI P-Preferred-Identity Path Proxy-Require Reason Record-Route Reject-Contact Remote-Party-ID
    Request-Disposition Require Route Security-Client Security-Server Security-Verify Service-Route Supported
    Unsupported User-to-User Via Warning""".split()
)

_OTHER_FIELDS: Final = """Authentication-Info Authorization Call-ID Content-Disposition Content-Length Content-Type
    CSeq Date Event Expires Flow-Timer From Geolocation Identity Info-Package Max-Breadth Max-Forwards MIME-Version Min-Expires
    Min-SE Organization P-Access-Network-Info P-Called-Party-ID P-Charging-Vector Priority Privacy
    Proxy-Authenticate Proxy-Authorization RAck Recv-Info Refer-Sub Refer-To Referred-By Replaces Reply-To
    Retry-After RSeq Server Session-Expires SIP-ETag SIP-If-Match Subject Subscription-State Timestamp To
    User-Agent WWW-Authenticate X-Twilio-Error""".split()

_KNOWN: Final[dict[str, str]] = {name.lower(): name for name in (*LIST_FIELDS, *_OTHER_FIELDS)} | dict(
    COMPACT_FORMS
)
KNOWN_NAMES: Final = frozenset(_KNOWN.values())

TOKEN: Final = r"[A-Za-z0-9\-.!%*_+`'~]"  # RFC 3261 section 25.1
TOKEN_ALONE: Final = re.compile(rf"{TOKEN}++")

# Names as they came -> names as they are kept. Grows up to its limit; what does not fit is worked out each time.
SPELLINGS: Final[dict[str, str]] = {name: name for name in KNOWN_NAMES}


def canonical_name(name: str) -> str:
    """The name under which a header field is kept: RFC spelling for known ones, the peer's own for others.

    Compact forms are written out. Unknown names keep their letters (Twilio's SipHeader_X-... parameters show
    them) and are compared without regard to case. Raises SipSyntaxError for what is not a token.
    """
    kept = SPELLINGS.get(name)
    if kept is None:
        kept = name.rstrip(" \t")
        if not TOKEN_ALONE.fullmatch(kept):
            raise SipSyntaxError("Malformed header name")
        kept = _KNOWN.get(kept.lower(), kept)
        if len(SPELLINGS) < MAX_REMEMBERED_NAMES and len(name) < MAX_KEY:
            SPELLINGS[name] = kept
    return kept
