"""Digests of SIP passwords: what is stored in their place."""

import hashlib
from typing import NamedTuple

from ringback.store.sids import Secret


class Digests(NamedTuple):
    """The HA1 of a user in both algorithms, ready for `sip_credentials`."""

    ha1_md5: Secret
    ha1_sha256: Secret


def digests(username: str, realm: str, password: str) -> Digests:
    """Return H(username:realm:password), RFC 7616 section 3.4.2, for MD5 and SHA-256 in hexadecimal."""
    a1 = f"{username}:{realm}:{password}".encode()
    md5 = hashlib.md5(a1, usedforsecurity=False).hexdigest()
    return Digests(Secret(md5), Secret(hashlib.sha256(a1).hexdigest()))
