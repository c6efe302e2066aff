"""Bounds on everything that a SIP peer controls, each with its reason."""

from __future__ import annotations

from typing import Final

# A UDP datagram cannot exceed 64 KiB; real header blocks with ten proxies and a token stay below 8 KiB.
MAX_HEAD: Final = 32 * 1024
# SDP with every codec and candidate stays below 16 KiB; the rest is room for multipart bodies.
MAX_BODY: Final = 64 * 1024
# RFC 4475's longest torture message has 45 lines; each line costs an entry in a list.
MAX_HEADER_LINES: Final = 256
# Max-Forwards starts at 70 (RFC 3261 section 8.1.1.6), so no honest path leaves more Via or Record-Route values.
MAX_LIST_VALUES: Final = 128
# Twilio: URIs below 255 characters and 1,024 of header part; RFC 3261 has no bound, RFC 4475 shows 600.
MAX_URI: Final = 4096
# Call-IDs are keys of tables that live as long as calls and registrations do.
MAX_CALL_ID: Final = 512
# Tags and branches are keys too.
MAX_KEY: Final = 512
# RFC 3261 section 8.1.1.5: the sequence number is below 2**31; peers that count on above it are let through
# as long as it is a 32-bit number.
MAX_CSEQ: Final = 2**32 - 1
# RFC 3261 section 20.19: delta-seconds above 2**32 - 1 are taken as that.
MAX_DELTA_SECONDS: Final = 2**32 - 1
# Spellings of header names remembered; an attacker can invent them without end.
MAX_REMEMBERED_NAMES: Final = 2048
# Parsed URIs and addresses remembered, and the longest text worth remembering (a bound on memory: about 8 MB).
REMEMBERED_ADDRESSES: Final = 4096
MAX_REMEMBERED_TEXT: Final = 256
# Header lines remembered in each of two generations: about 1 kB each with what was read of it, so 8 MB.
REMEMBERED_LINES: Final = 4096
# Digest credentials of real phones stay below 600 characters; the rest is room for long URIs and cnonces.
MAX_CREDENTIALS: Final = 4096
# A nonce serves for a call's set-up and the requests that follow at once; later ones cost one round more.
NONCE_LIFETIME: Final = 300.0
# Nonces in use whose counts are remembered: about 200 authenticated first uses a second over their lifetime, 12 MB.
MAX_NONCE_COUNTS: Final = 65536
# Twilio: a million bindings a domain; one exchange holds as many, about 1 GB.
MAX_BINDINGS: Final = 1_000_000
# Kept with every binding; real ones are a urn:uuid of 45 characters, and names of phones.
MAX_INSTANCE: Final = 128
MAX_USER_AGENT: Final = 256
# Edges between a phone and the registrar (RFC 3327); more than two are not seen.
MAX_PATHS: Final = 8
# RFC 3326: one Reason a protocol; there are SIP, Q.850 and a few more. Texts are for people.
MAX_REASONS: Final = 8
MAX_REASON_TEXT: Final = 128
# Reliable provisional answers that wait for the PRACK of the one before: a phone rings, is queued, is forwarded.
MAX_RELIABLE_QUEUE: Final = 8
# Referrals of one dialog at a time, both ways; a transfer is one.
MAX_REFERRALS: Final = 8
# Twilio: a Refer-To has at most 256 characters; with embedded headers of an attended transfer up to four times that.
MAX_REFER_TO: Final = 1024
# A sipfrag is a status line and perhaps some fields (RFC 3515 section 2.4.5).
MAX_SIPFRAG: Final = 4096
# RFC 4028 section 5: no session may be refreshed more often than every 90 seconds.
MIN_SESSION_INTERVAL: Final = 90
# Asserted identities that are read: RFC 3325 section 9.1 allows two, one of them tel:.
MAX_IDENTITIES: Final = 2
# Parts of a body, in each multipart of it: SDP, ISUP, a location, a picture of the caller.
MAX_PARTS: Final = 16
# Multiparts in one another: an alternative within a mixed one, and one more.
MAX_PART_DEPTH: Final = 3
# Type, disposition, encoding, Content-ID and description of a part.
MAX_PART_HEAD: Final = 2048
