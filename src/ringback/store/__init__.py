"""The store: SQL for what lasts, memory for what calls look up, one writer for what calls tell."""

from ringback.store.credentials import Digests, digests
from ringback.store.errors import Conflict, SchemaTooNew, StoreError, Unavailable, UsageError
from ringback.store.repository import Page
from ringback.store.rows import written
from ringback.store.sids import Secret, derived_sid, new_auth_token, new_sid
from ringback.store.store import Store

__all__ = [
    "Conflict",
    "Digests",
    "Page",
    "SchemaTooNew",
    "Secret",
    "Store",
    "StoreError",
    "Unavailable",
    "UsageError",
    "derived_sid",
    "digests",
    "new_auth_token",
    "new_sid",
    "written",
]
