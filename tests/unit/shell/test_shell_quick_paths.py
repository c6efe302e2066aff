"""What calls get without waiting: hops of addresses, constant bins, tokens; and when they must not."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from ringback.functions.project import Project
from ringback.shell.local_http import LocalAnswer, LocalRequest
from ringback.shell.project_http import ProjectHandler
from ringback.shell.resolver import Resolver
from ringback.shell.tokens import DRAWN, tokens
from ringback.shell.webhook_asked import form_of
from ringback.shell.webhooks import WebhookClient
from ringback.sip.flow import Hop
from ringback.sip.uri import Uri

BASE = "http://ringback.localhost"


@pytest.mark.parametrize(
    ("uri", "hop"),
    [
        ("sip:bob@192.0.2.7", Hop("UDP", "192.0.2.7", 5060)),
        ("sip:bob@192.0.2.7:5070;transport=tcp", Hop("TCP", "192.0.2.7", 5070)),
        ("sip:bob@[2001:DB8::1]", Hop("UDP", "2001:db8::1", 5060)),
    ],
)
async def test_an_address_is_its_own_hop(uri: str, hop: Hop) -> None:
    resolver = Resolver()
    assert resolver.known(Uri.parse(uri)) == (hop,)
    assert await resolver.resolve(Uri.parse(uri)) == [hop]
    await resolver.close()


@pytest.mark.parametrize(
    "uri",
    [
        "sip:bob@host.test",
        "sips:bob@192.0.2.7",
        "sip:bob@192.0.2.7;transport=tls",
        "sip:bob@192.0.2.7;transport=sctp",
        "sip:bob@192.0.2.7;maddr=host.test",
        "tel:+15005550006",
    ],
)
async def test_other_uris_are_left_to_the_resolver(uri: str) -> None:
    resolver = Resolver()
    assert resolver.known(Uri.parse(uri)) == ()
    await resolver.close()


def handler_of(folder: Path, **bins: str) -> tuple[ProjectHandler, Project]:
    (folder / "bins").mkdir()
    for name, text in bins.items():
        (folder / "bins" / f"{name}.xml").write_text(text)
    project = Project(folder)
    project.read()
    runner: Any = None
    return ProjectHandler(project, runner, tokens=lambda sid: []), project


async def ask(handler: ProjectHandler, path: str) -> LocalAnswer:
    return await handler.handle(LocalRequest("POST", BASE + path, (), b""))


async def test_a_bin_without_tags_is_constant_until_it_changes(tmp_path: Path) -> None:
    handler, project = handler_of(tmp_path, plain="<Response/>")
    assert handler.constant("POST", f"{BASE}/bins/plain") is None
    answer = await ask(handler, "/bins/plain")
    assert handler.constant("POST", f"{BASE}/bins/plain?From=1") == answer
    assert handler.constant("PUT", f"{BASE}/bins/plain") is None
    (tmp_path / "bins" / "plain.xml").write_text("<Response><Hangup/></Response>")
    project.read()
    assert handler.constant("POST", f"{BASE}/bins/plain") is None


async def test_a_bin_with_tags_and_a_disguised_path_are_never_constant(tmp_path: Path) -> None:
    handler, _ = handler_of(tmp_path, tagged="<Response><Say>{{From}}</Say></Response>", plain="<Response/>")
    handler.constant("POST", f"{BASE}/bins/tagged")
    await ask(handler, "/bins/tagged")
    await ask(handler, "/bins/%70lain")
    assert handler.constant("POST", f"{BASE}/bins/tagged") is None
    assert handler.constant("POST", f"{BASE}/bins/%70lain") is None
    assert handler.constant("POST", f"{BASE}/bins/plain") is None


def test_only_urls_of_the_base_domain_are_answered_at_once() -> None:
    def constant(method: str, url: str) -> LocalAnswer:
        return LocalAnswer(200, "text/xml; charset=UTF-8", b"<Response/>")

    client = WebhookClient(base_domain="ringback.localhost", documents=constant)
    answer = client.fetch_constant("POST", f"{BASE}/bins/plain")
    assert answer is not None
    assert (answer.content_type, answer.charset, answer.body) == ("text/xml", "utf-8", b"<Response/>")
    for url in (
        "http://other.test/bins/plain",
        "https://ringback.localhost/bins/plain",
        "http://me:pw@ringback.localhost/bins/plain",
        f"{BASE}/bins/plain#rc=2",
    ):
        assert client.fetch_constant("POST", url) is None


def test_tokens_are_all_different_beyond_one_drawing() -> None:
    drawn = list(islice(tokens(), 2 * DRAWN + 1))
    assert len(set(drawn)) == len(drawn)
    assert all(len(token) == 16 and set(token) <= set("0123456789abcdef") for token in drawn)


@pytest.mark.parametrize("value", ["", "CA12", "+1 650&x=y", "sip:a@b.test;x=1", "é%", "~._-", "٣"])
def test_forms_are_written_as_urllib_writes_them(value: str) -> None:
    params = [("From", value), ("SipHeader_X-Ä b", "1")]
    assert form_of(params) == urlencode(params)
