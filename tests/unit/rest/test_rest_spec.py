"""The descriptions compared with Twilio's own specification, where that lies beside the repository."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ringback.rest import resources
from ringback.rest.resource import Resource

SPEC = Path(__file__).resolve().parents[4] / "shared" / "twilio" / "oai" / "twilio_api_v2010.json"
pytestmark = pytest.mark.skipif(not SPEC.exists(), reason="no specification beside the repository")

DESCRIBED: list[tuple[Resource, str]] = [
    (resources.ACCOUNT, "/Accounts/{Sid}"),
    (resources.APPLICATION, "/Accounts/{AccountSid}/Applications/{Sid}"),
    (resources.CALL, "/Accounts/{AccountSid}/Calls/{Sid}"),
    (resources.CONFERENCE, "/Accounts/{AccountSid}/Conferences/{Sid}"),
    (resources.PARTICIPANT, "/Accounts/{AccountSid}/Conferences/{ConferenceSid}/Participants/{CallSid}"),
    (resources.INCOMING_PHONE_NUMBER, "/Accounts/{AccountSid}/IncomingPhoneNumbers/{Sid}"),
    (resources.OUTGOING_CALLER_ID, "/Accounts/{AccountSid}/OutgoingCallerIds/{Sid}"),
    (resources.NOTIFICATION, "/Accounts/{AccountSid}/Notifications/{Sid}"),
    (resources.CALL_NOTIFICATION, "/Accounts/{AccountSid}/Calls/{CallSid}/Notifications/{Sid}"),
    (resources.DOMAIN, "/Accounts/{AccountSid}/SIP/Domains/{Sid}"),
    (resources.CREDENTIAL_LIST, "/Accounts/{AccountSid}/SIP/CredentialLists/{Sid}"),
    (
        resources.CREDENTIAL,
        "/Accounts/{AccountSid}/SIP/CredentialLists/{CredentialListSid}/Credentials/{Sid}",
    ),
    (resources.IP_ACCESS_CONTROL_LIST, "/Accounts/{AccountSid}/SIP/IpAccessControlLists/{Sid}"),
    (
        resources.IP_ADDRESS,
        "/Accounts/{AccountSid}/SIP/IpAccessControlLists/{IpAccessControlListSid}/IpAddresses/{Sid}",
    ),
    (
        resources.CREDENTIAL_LIST_MAPPING,
        "/Accounts/{AccountSid}/SIP/Domains/{DomainSid}/CredentialListMappings/{Sid}",
    ),
    (
        resources.IP_ACCESS_CONTROL_LIST_MAPPING,
        "/Accounts/{AccountSid}/SIP/Domains/{DomainSid}/IpAccessControlListMappings/{Sid}",
    ),
    (
        resources.AUTH_CALLS_CREDENTIAL_LIST_MAPPING,
        "/Accounts/{AccountSid}/SIP/Domains/{DomainSid}/Auth/Calls/CredentialListMappings/{Sid}",
    ),
    (
        resources.AUTH_CALLS_IP_ACCESS_CONTROL_LIST_MAPPING,
        "/Accounts/{AccountSid}/SIP/Domains/{DomainSid}/Auth/Calls/IpAccessControlListMappings/{Sid}",
    ),
    (
        resources.AUTH_REGISTRATIONS_CREDENTIAL_LIST_MAPPING,
        "/Accounts/{AccountSid}/SIP/Domains/{DomainSid}/Auth/Registrations/CredentialListMappings/{Sid}",
    ),
]
IDS = [resource.element for resource, _ in DESCRIBED]


@cache
def spec() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(SPEC.read_bytes())
    return loaded


def follow(node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        target: Any = spec()
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return follow(target)
    return node


def operation(path: str, method: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = spec()["paths"].get(f"/2010-04-01{path}.json", {}).get(method)
    return found


def answer(found: dict[str, Any]) -> dict[str, Any]:
    response = next(value for status, value in found["responses"].items() if status in ("200", "201"))
    return follow(response["content"]["application/json"]["schema"])


def form_names(found: dict[str, Any]) -> tuple[set[str], set[str]]:
    schema = follow(found["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"])
    return set(schema["properties"]), set(schema.get("required", ()))


@pytest.mark.parametrize(("resource", "path"), DESCRIBED, ids=IDS)
def test_fields_are_those_of_the_specification(resource: Resource, path: str) -> None:
    fetch = operation(path, "get")
    assert fetch is not None
    assert {field.name for field in resource.fields} == set(answer(fetch)["properties"])


@pytest.mark.parametrize(("resource", "path"), DESCRIBED, ids=IDS)
def test_field_types_are_those_of_the_specification(resource: Resource, path: str) -> None:
    fetch = operation(path, "get")
    assert fetch is not None
    properties = answer(fetch)["properties"]
    row = {"sid": "X", "account_sid": "A", "call_sid": "C", "conference_sid": "F", "domain_sid": "D"}
    row |= {"credential_list_sid": "L", "ip_access_control_list_sid": "I"}
    for name, value in resource.render(row, ".json").items():
        declared = follow(properties[name])
        if value is None:
            assert declared.get("nullable") or "enum" in declared or name == "cidr_prefix_length", name
        else:
            expected = {"string": str, "boolean": bool, "integer": int, "object": dict}
            assert isinstance(value, expected[declared.get("type", "object")]), name


@pytest.mark.parametrize(("resource", "path"), DESCRIBED, ids=IDS)
def test_lists_have_the_key_and_the_filters_of_the_specification(resource: Resource, path: str) -> None:
    found = operation(path.rpartition("/")[0], "get")
    assert found is not None
    envelope = set(answer(found)["properties"])
    assert resource.list_key in envelope
    names = {item["name"] for item in found["parameters"] if item["in"] == "query"}
    ours = {"PageSize", "Page", "PageToken"}
    for item in resource.filters:
        ours |= {item.name, f"{item.name}<", f"{item.name}>"} if item.moments else {item.name}
    assert ours == names


EXTENSIONS = {"DigestAlgorithm"}
"""Parameters of ours: what Twilio does not have, and people with newer phones want."""


@pytest.mark.parametrize(("resource", "path"), DESCRIBED, ids=IDS)
def test_parameters_are_those_of_the_specification(resource: Resource, path: str) -> None:
    create, update = operation(path.rpartition("/")[0], "post"), operation(path, "post")
    if resource.create and create is not None:
        names, required = form_names(create)
        assert {parameter.name for parameter in resource.create} - EXTENSIONS == names
        assert {parameter.name for parameter in resource.create if parameter.required} == required
    if resource.update and update is not None:
        names, required = form_names(update)
        assert {parameter.name for parameter in resource.update} - EXTENSIONS == names
        assert {parameter.name for parameter in resource.update if parameter.required} == required
    assert bool(resource.update) == (update is not None) or resource is resources.PARTICIPANT
