"""Errors of the REST API.

::

    RestProblem
    +-- RestError        the client is at fault: answer this status, code and message
    +-- UsageError       we are: a description or a call of this package is wrong

Codes and their names are those of Twilio's error dictionary.
"""

from __future__ import annotations

from typing import Final

MORE_INFO: Final = "https://www.twilio.com/docs/errors/"

INVALID_PARAMETER: Final = 20001
INVALID_FRIENDLY_NAME: Final = 20002
AUTHENTICATE: Final = 20003
METHOD_NOT_ALLOWED: Final = 20004
ACCOUNT_NOT_ACTIVE: Final = 20005
PAGE_SIZE_TOO_LARGE: Final = 20007
NOT_COMPLETE: Final = 20009
NOT_FOUND: Final = 20404
INTERNAL: Final = 20500
UNAVAILABLE: Final = 20503

CONFERENCE_FULL: Final = 16020
PARTICIPANT_LABEL: Final = 16024
LABEL_IN_USE: Final = 16026
NOBODY_TO_COACH: Final = 16028

NO_TO: Final = 21201
INVALID_URL: Final = 21205
INVALID_SEND_DIGITS: Final = 21206
INVALID_TIMEOUT: Final = 21208
INVALID_METHOD: Final = 21209
FROM_NOT_VERIFIED: Final = 21210
INVALID_TO: Final = 21211
INVALID_FROM: Final = 21212
NO_FROM: Final = 21213
INVALID_APPLICATION: Final = 21218
INVALID_CALL_STATE: Final = 21220
SIP_USERNAME_TOO_LONG: Final = 21221
SIP_USERNAME_CHARACTERS: Final = 21222
SIP_PASSWORD_TOO_LONG: Final = 21223
SIP_PASSWORD_CHARACTERS: Final = 21224
SIP_PASSWORD_REQUIRED: Final = 21225
SIP_HEADERS_TOO_LONG: Final = 21227
SIP_HEADER_NAME: Final = 21228
SIP_HEADER_VALUE: Final = 21229
MAXIMUM_DOMAINS: Final = 21230
DOMAIN_VALIDATION: Final = 21231
INVALID_DOMAIN: Final = 21232
DOMAIN_HAS_SUBDOMAINS: Final = 21233
INVALID_MACHINE_DETECTION: Final = 21234
ACL_VALIDATION: Final = 21235
ACL_IN_USE: Final = 21236
MAXIMUM_ADDRESSES: Final = 21237
ADDRESS_VALIDATION: Final = 21238
MAXIMUM_CREDENTIAL_LISTS: Final = 21239
CREDENTIAL_LIST_VALIDATION: Final = 21240
CREDENTIAL_LIST_IN_USE: Final = 21241
MAXIMUM_CREDENTIALS: Final = 21242
CREDENTIAL_VALIDATION: Final = 21243
MAXIMUM_ACLS: Final = 21255
INVALID_BYOC: Final = 21300
MAXIMUM_APPLICATIONS: Final = 21301

INVALID_PHONE_NUMBER: Final = 21401
RESOURCE_INVALID_URL: Final = 21402
RESOURCE_INVALID_METHOD: Final = 21403
APPLICATION_NOT_ACCESSIBLE: Final = 21420
NUMBER_INVALID: Final = 21421
NUMBER_NOT_AVAILABLE: Final = 21422
ALREADY_VALIDATED: Final = 21450
INVALID_AREA_CODE: Final = 21451
NO_NUMBERS_IN_AREA_CODE: Final = 21452
INVALID_CALL_DELAY: Final = 21454
INVALID_CALLBACK_URL: Final = 21456
INVALID_ACCOUNT_SID: Final = 21470
INVALID_STATUS: Final = 21475
PARENT_STATUS: Final = 21477
CLOSED_SUBACCOUNT: Final = 21479
MAXIMUM_SUBACCOUNTS: Final = 21480
INVALID_PAGE_TOKEN: Final = 21481
INVALID_STATUS_CALLBACK: Final = 21609
INVALID_STATUS_CALLBACK_EVENT: Final = 21626  # a warning: the call is made
TWIML_TOO_LONG: Final = 32018


class RestProblem(Exception):
    """Root of this package's errors."""


class UsageError(RestProblem):
    """A resource description or a call of this package is wrong."""


class RestError(RestProblem):
    """What to answer: an HTTP status and Twilio's error object."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(f"{status} {code} {message}")
        self.status = status
        self.code = code
        self.message = message

    @property
    def more_info(self) -> str:
        """The page that explains the code."""
        return f"{MORE_INFO}{self.code}"

    def body(self) -> dict[str, object]:
        """The error object, keys as in Twilio's 2010 API."""
        return {
            "code": self.code,
            "message": self.message,
            "more_info": self.more_info,
            "status": self.status,
        }


def invalid(message: str, code: int = INVALID_PARAMETER) -> RestError:
    """A parameter that is missing or wrong: 400."""
    return RestError(400, code, message)


def not_active() -> RestError:
    """The account is suspended or closed: 403 code 20005."""
    return RestError(403, ACCOUNT_NOT_ACTIVE, "Account not active")


def authenticate() -> RestError:
    """No credentials, or wrong ones: 401 code 20003."""
    return RestError(401, AUTHENTICATE, "Authenticate")


def not_found(path: str) -> RestError:
    """No such resource, or it belongs to another account: 404 code 20404. `path` is without its suffix."""
    return RestError(404, NOT_FOUND, f"The requested resource {path} was not found")


def method_not_allowed(method: str, path: str) -> RestError:
    """The path exists, the method does not: 405 code 20004."""
    return RestError(405, METHOD_NOT_ALLOWED, f"Method {method} is not allowed on {path}")
