"""Which lists a SIP domain has, for calls and for registrations.

The old paths (``/CredentialListMappings``) and ``/Auth/Calls/...`` are two faces of the same rows;
``/Auth/Registrations/...`` is a set of its own. Outside, a mapping's SID is the list's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from starlette.responses import Response

from ringback.rest.errors import DOMAIN_VALIDATION, RestError, invalid, not_found
from ringback.rest.parameters import read_new
from ringback.rest.resource import API_VERSION, Resource
from ringback.rest.resources import (
    AUTH_CALLS_CREDENTIAL_LIST_MAPPING,
    AUTH_CALLS_IP_ACCESS_CONTROL_LIST_MAPPING,
    AUTH_REGISTRATIONS_CREDENTIAL_LIST_MAPPING,
    CREDENTIAL_LIST_MAPPING,
    IP_ACCESS_CONTROL_LIST_MAPPING,
)
from ringback.store import Conflict, Store

from .collection import Collection, Values
from .control import Row
from .request import ApiRequest


class Lists(NamedTuple):
    """What is mapped: the kind of mapping, the table of the lists and what messages call one."""

    kind: str
    table: str
    name: str


_CREDENTIALS: Final = Lists("calls_credential_list", "sip_credential_lists", "CredentialList")
_REGISTRATIONS: Final = _CREDENTIALS._replace(kind="registrations_credential_list")
_ADDRESSES: Final = Lists(
    "calls_ip_access_control_list", "sip_ip_access_control_lists", "IpAccessControlList"
)

MAPPINGS: Final[tuple[tuple[Resource, Lists], ...]] = (
    (CREDENTIAL_LIST_MAPPING, _CREDENTIALS),
    (IP_ACCESS_CONTROL_LIST_MAPPING, _ADDRESSES),
    (AUTH_CALLS_CREDENTIAL_LIST_MAPPING, _CREDENTIALS),
    (AUTH_CALLS_IP_ACCESS_CONTROL_LIST_MAPPING, _ADDRESSES),
    (AUTH_REGISTRATIONS_CREDENTIAL_LIST_MAPPING, _REGISTRATIONS),
)


class Mappings(Collection):
    """The operations on one kind of mapping under one of its paths."""

    parent_table = "sip_domains"

    def __init__(self, store: Store, resource: Resource, lists: Lists) -> None:
        super().__init__(store, resource)
        self._lists = lists

    async def scope(self, request: ApiRequest) -> Values:
        """The domain's mappings of this kind."""
        return await super().scope(request) | {"kind": self._lists.kind}

    async def row(self, request: ApiRequest) -> Row:
        """The mapping of the list whose SID is in the path."""
        where = await self.scope(request) | {"list_sid": request.parts["sid"]}
        found = await self.store.page(self.resource.table, where=where, limit=1)
        if not found.rows:
            raise request.not_found()
        return found.rows[0]

    async def view(self, row: Row) -> Mapping[str, object]:
        """The mapping under the SID and the name of its list."""
        mapped = await self.store.fetch(self._lists.table, row["list_sid"])
        return {**row, "sid": row["list_sid"], "friendly_name": (mapped or {}).get("friendly_name")}

    async def create(self, request: ApiRequest) -> Response:
        """Maps a list of the same account."""
        list_sid = str(read_new(self.resource.create, request.form)["list_sid"])
        if await self.store.fetch(self._lists.table, list_sid, request.account_sid) is None:
            path = f"/{API_VERSION}/Accounts/{request.account_sid}/SIP/{self._lists.name}s/{list_sid}"
            raise not_found(path + request.suffix)
        return await super().create(request)

    def conflict(self, error: Conflict, values: Values) -> RestError:
        """A list is mapped once, by whichever path."""
        return invalid(f"{self._lists.name} already associated with this domain", DOMAIN_VALIDATION)
