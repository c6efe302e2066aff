"""Whatever a client sends, the answer is a value or a RestError, never another exception."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.rest import resources
from ringback.rest.calls import read_call, read_call_update
from ringback.rest.domain_names import domain_name
from ringback.rest.errors import RestError
from ringback.rest.filters import read_filters
from ringback.rest.forms import Form, parse_form, parse_query
from ringback.rest.networks import check_network
from ringback.rest.paging import Page, envelope, page_request
from ringback.rest.parameters import read_changes, read_new
from ringback.rest.participants import read_participant_update
from ringback.rest.phone_numbers import formatted, number_type, to_e164
from ringback.rest.rendering import json_body, xml_resource
from ringback.rest.resource import Resource
from ringback.rest.urls import is_webhook_url

ALL = [value for value in vars(resources).values() if isinstance(value, Resource)]
PLAUSIBLE = st.sampled_from(
    ["true", "GET", "https://example.com/", "http://[", "https://a:b/", "+14155550100", "sip:a@b?X-A=%zz", "0",
     "-1",
     "9" * 30, "", "2024-01-01", "9999-12-31", "AP" + "0" * 32, "completed", "\0", "é"]
)  # fmt: skip
TEXTS = PLAUSIBLE | st.text(max_size=30)


def forms(names: set[str]) -> st.SearchStrategy[Form]:
    pairs = st.tuples(st.sampled_from(sorted(names | {"Unknown"})), TEXTS)
    return st.lists(pairs, max_size=12).map(Form)


@pytest.mark.parametrize("resource", ALL, ids=[resource.element for resource in ALL])
@given(st.data())
def test_parameters_and_filters(resource: Resource, data: st.DataObject) -> None:
    names = {parameter.name for parameter in (*resource.create, *resource.update)}
    names |= {item.name + suffix for item in resource.filters for suffix in ("", "<", ">")}
    form = data.draw(forms(names))
    for read in (
        lambda: read_new(resource.create, form),
        lambda: read_changes(resource.update, form),
        lambda: read_filters(resource.filters, form),
    ):
        with suppress(RestError):
            read()


@given(st.data())
def test_calls_and_participants(data: st.DataObject) -> None:
    form = data.draw(forms({parameter.name for parameter in resources.CALL.create}))
    base = Form([("To", "+14155550199"), ("From", "+14155550100"), ("Url", "https://example.com/"), *form])
    for read in (read_call, read_call_update, read_participant_update):
        for given_form in (form, base):
            with suppress(RestError):
                read(given_form)


@given(st.binary(max_size=60))
def test_bytes(body: bytes) -> None:
    for read in (lambda: parse_form(body, None), lambda: parse_query(body)):
        with suppress(RestError):
            form = read()
            request = page_request(form)
            assert envelope("/x", form, request, Page([]))["page"] == request.page


@given(TEXTS)
def test_texts(text: str) -> None:
    is_webhook_url(text)
    is_webhook_url(f"https://{text}")
    formatted(text)
    number = to_e164(text)
    if number is not None:
        assert formatted(number) and number_type(number) in ("local", "mobile", "toll-free")
    for read in (lambda: domain_name(text, "ringback.localhost"), lambda: check_network(text, None)):
        with suppress(RestError):
            read()


@given(st.dictionaries(st.sampled_from([field.name for field in resources.DOMAIN.fields]), TEXTS))
def test_rows_of_any_text_are_rendered(row: dict[str, str]) -> None:
    shown = resources.DOMAIN.render({**row, "sid": "SD", "account_sid": "AC"}, "")
    assert json_body(shown) and xml_resource(resources.DOMAIN, shown)
