"""Every bound on what a REST client may send or own, with its reason."""

from __future__ import annotations

from typing import Final

# What a request may carry
MAX_BODY: Final = (
    256 * 1024
)  # bytes; the longest legal request is a Call with 4000 characters of TwiML, percent-encoded
LARGE: Final = 16 * 1024  # bytes of a form that is read beside the event loop
MAX_PARAMETERS: Final = 1000  # names and values in one form; Twilio's largest operation has 50
MAX_QUERY: Final = 16 * 1024  # bytes; filters of one list operation
MAX_URL: Final = 4000  # characters of a webhook URL, error 21609
MAX_TEXT: Final = 1600  # characters of a free text parameter without a limit of its own
MAX_INTEGER_DIGITS: Final = 18  # int() of a longer text costs quadratic time, and no parameter needs it

# Twilio's documented limits of single values
MAX_FRIENDLY_NAME: Final = (
    64  # Applications, IncomingPhoneNumbers, OutgoingCallerIds, SIP Domains, CredentialLists
)
MAX_ACL_FRIENDLY_NAME: Final = 255  # IpAccessControlLists and IpAddresses
MAX_TWIML: Final = 4000  # characters, Calls create, parameter Twiml
MAX_SEND_DIGITS: Final = 32  # Calls create, parameter SendDigits
MAX_TIMEOUT: Final = 600  # seconds, Calls create, parameter Timeout
DEFAULT_TIMEOUT: Final = 60  # seconds
MAX_TIME_LIMIT: Final = 86_400  # seconds; a call lasts 24 hours at most
MAX_SIP_AUTH: Final = 255  # "must be fewer than 256 chars", errors 21221 and 21223
MAX_SIP_URI: Final = 255  # characters, before the headers part
MAX_SIP_HEADERS: Final = 1023  # "must be fewer than 1024 chars", error 21227
MAX_USERNAME: Final = 32  # SIP Credentials
MIN_PASSWORD: Final = 12  # SIP Credentials
MAX_PASSWORD: Final = 256  # ours: a digest input, hashed at once
MAX_DOMAIN_NAME: Final = 253  # RFC 1035 section 2.3.4, as text
MAX_LABEL: Final = 63  # RFC 1035 section 2.3.4
MAX_PARTICIPANTS: Final = 250  # of a conference
MAX_CALL_DELAY: Final = 60  # seconds, OutgoingCallerIds

# Twilio's documented limits of what an account owns
MAX_DOMAINS: Final = 100  # error 21230
MAX_CREDENTIAL_LISTS: Final = 100  # error 21239
MAX_CREDENTIALS_IN_LIST: Final = 1000  # error 21242
MAX_ACLS: Final = 1000  # error 21255
MAX_ADDRESSES_IN_ACL: Final = 100  # error 21237
MAX_APPLICATIONS: Final = 1000  # error 21301
MAX_MAPPINGS: Final = 100  # lists mapped to one domain
MAX_SUBACCOUNTS: Final = 1000  # error 21480

# Paging
DEFAULT_PAGE_SIZE: Final = 50
MAX_PAGE_SIZE: Final = 1000
MAX_PAGE: Final = 1_000_000  # a page number is multiplied by the page size and handed to SQL
