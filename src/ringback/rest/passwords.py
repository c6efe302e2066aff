"""What a SIP credential may be: Twilio's rules for user names and passwords."""

from __future__ import annotations

import re

from .errors import CREDENTIAL_VALIDATION, invalid
from .limits import MAX_USERNAME, MIN_PASSWORD

_USERNAME = re.compile(
    r"[^\x00-\x20\x7f\"\\:@<>]+\Z"
)  # what survives the quoted string of RFC 3261 section 25.1


def check_username(username: str) -> None:
    """Refuses a user name that is too long or that a digest cannot carry. Raises RestError 21243."""
    if len(username) > MAX_USERNAME:
        raise invalid(f"Username must be at most {MAX_USERNAME} characters long", CREDENTIAL_VALIDATION)
    if _USERNAME.match(username) is None:
        raise invalid("Username holds characters that are not allowed", CREDENTIAL_VALIDATION)


def check_password(password: str) -> None:
    """Refuses fewer than 12 characters, no mixed case, or no digit. Raises RestError 21243."""
    if (
        len(password) < MIN_PASSWORD
        or not any(letter.isupper() for letter in password)
        or not any(letter.islower() for letter in password)
        or not any("0" <= letter <= "9" for letter in password)
    ):
        raise invalid(
            f"Password must be at least {MIN_PASSWORD} characters long "
            "and hold upper and lower case letters and a digit",
            CREDENTIAL_VALIDATION,
        )
