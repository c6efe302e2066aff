"""IP access control lists and the addresses in them."""

from __future__ import annotations

from ringback.rest.errors import ACL_IN_USE, invalid
from ringback.rest.networks import check_network
from ringback.rest.resources import IP_ACCESS_CONTROL_LIST, IP_ADDRESS

from .collection import Collection, Values
from .control import Row
from .request import ApiRequest


class IpAccessControlLists(Collection):
    """The operations on IP access control lists."""

    resource = IP_ACCESS_CONTROL_LIST

    async def release(self, request: ApiRequest, row: Row) -> None:
        """A list that a domain needs stays: without it the domain would let everybody in, or nobody."""
        if await self.store.count("sip_domain_mappings", {"list_sid": row["sid"]}):
            raise invalid("IpAccessControlList is still mapped to a domain", ACL_IN_USE)


class IpAddresses(Collection):
    """The operations on the addresses of a list."""

    resource = IP_ADDRESS
    parent_table = "sip_ip_access_control_lists"

    async def prepare(self, request: ApiRequest, values: Values, row: Row | None) -> Values:
        """Checks address and prefix together."""
        if "ip_address" in values or "cidr_prefix_length" in values:
            address = str(values.get("ip_address") or (row or {}).get("ip_address"))
            length = values.get("cidr_prefix_length")
            if length is None and row is not None and (":" in address) == (":" in str(row["ip_address"])):
                length = row["cidr_prefix_length"]
            values["ip_address"], values["cidr_prefix_length"] = check_network(address, length)
        return values
