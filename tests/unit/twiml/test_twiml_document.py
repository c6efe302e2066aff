"""Reading documents and attributes (TwiML semantics, "Interpreter"; webhooks, "HTTP behaviour")."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ringback.twiml.document import Element, from_plain, parse, read_answer
from ringback.twiml.errors import DocumentError, NotYet
from ringback.twiml.limits import MAX_DOCUMENT_BYTES
from ringback.twiml.schema import ATTRIBUTES, LATER, read_attributes
from ringback.twiml.verbs import VERBS

URL = "http://app.test/voice"


def code_of(body: bytes | str) -> int:
    with pytest.raises(DocumentError) as problem:
        parse(body)
    return problem.value.code


def test_elements_attributes_and_text_in_order() -> None:
    root = parse(
        '<Response>\n <Say voice="alice">a<break time="1s"/>b &amp; c<!-- no --></Say><?no pi?>\n</Response>'
    )
    (say,) = root.children
    assert say == Element("Say", {"voice": "alice"}, ("a", Element("break", {"time": "1s"}, ()), "b & c"))
    assert say.text == "ab & c"


def test_plain_data_and_back() -> None:
    root = parse("<Response><Gather><Say>x<emphasis>y</emphasis></Say></Gather>z</Response>")
    assert from_plain(json.loads(json.dumps(root.plain()))) == root


def test_namespaces_and_xml_attributes() -> None:
    root = parse('<Response><Say xml:lang="de" xmlns:a="urn:a"><a:break a:x="1"/></Say></Response>')
    (say,) = root.children
    assert say.attributes == {"xml:lang": "de"}
    assert say.children[0].name == "break"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", 12100),
        ("hello", 12100),
        ("<Response>", 12100),
        ("<Response/><Response/>", 12100),
        ("<Response>&nope;</Response>", 12100),
        ("<response/>", 12102),
        ("<Reply/>", 12102),
        ("<html><body/></html>", 12102),
        ("<Response>" + "x" * MAX_DOCUMENT_BYTES + "</Response>", 11750),
        ("<Response>" + "<a>" * 30 + "</a>" * 30 + "</Response>", 12100),
        ("<Response>" + "<a/>" * 6000 + "</Response>", 12100),
        ('<!DOCTYPE Response [<!ENTITY a "b">]><Response>&a;</Response>', 12100),
        ('<!DOCTYPE Response SYSTEM "http://evil.test/x.dtd"><Response/>', 12100),
        ('<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><Response>&x;</Response>', 12100),
        (b"<Response>\xff</Response>", 12100),
        ("<Response>\x00</Response>", 12100),
    ],
)
def test_what_is_no_document(body: bytes | str, code: int) -> None:
    assert code_of(body) == code


def test_what_is_wrong_is_told_in_words_for_who_wrote_the_document() -> None:
    with pytest.raises(DocumentError) as problem:
        parse("<Response>\n<Say></Response>")
    assert problem.value.text.endswith("line 2 and Response, line 2, column 17")
    _, (note,) = read_attributes(Element("Dial", {"timeout": "soon"}, ()))
    assert note.text == "Dial timeout='soon' cannot be used (a whole number is wanted); 30 is taken"


def test_entities_that_grow_are_never_expanded() -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    assert code_of(f'<!DOCTYPE R [<!ENTITY e0 "lol">{entities}]><Response>&e11;</Response>') == 12100


def test_text_is_what_it_is_whatever_its_declaration_says() -> None:
    twiml = '<?xml version="1.0" encoding="ISO-8859-1"?><Response>é</Response>'
    assert parse(twiml).text == "é"
    assert parse(twiml.encode("latin-1")).text == "é"
    assert parse('<?xml version="1.0" encoding="UTF-16"?><Response>é</Response>'.encode("utf-16")).text == "é"
    assert parse("\n  " + '<?xml version="1.0"?><Response>é</Response>\n').text == "é"


def test_passwords_are_hidden_at_the_door() -> None:
    hidden: list[str] = []

    def hide(secret: str) -> str:
        hidden.append(secret)
        return "secret:1"

    twiml = '<Response><Dial><Sip username="u" {}="p&quot;w">sip:x</Sip></Dial></Response>'
    assert "secret:1" in str(parse(twiml.format("Password"), hide))
    root = parse(twiml.format("password"), hide)
    assert hidden == ['p"w'] * 2
    assert 'p"w' not in json.dumps(root.plain())
    assert root.children[0].children[0].attributes == {"username": "u", "password": "secret:1"}


@pytest.mark.parametrize(
    ("kind", "body", "plain"),
    [
        ("text/xml; charset=utf-8", b"<Response><Say>x</Say></Response>", [["Say", {}, ["x"]]]),
        ("application/xml", b"<Response/>", []),
        ("TEXT/HTML", b"<Response/>", []),
        ("", b"<Response/>", []),
        ("text/plain", b"<Response><Hangup/></Response>", [["Hangup", {}, []]]),
        ("text/plain; charset=utf-8", b" Hello \xc3\xa9 ", [["Say", {}, ["Hello é"]]]),
        ("text/plain", b"<Respons", [["Say", {}, ["<Respons"]]]),
        ("audio/mpeg", b"ID3...", [["Play", {}, [URL]]]),
        ("audio/wav", b"", [["Play", {}, [URL]]]),
        ("application/json", b"", []),
        ("text/xml", b"  \r\n", []),
    ],
)
def test_answers_by_their_content_type(kind: str, body: bytes, plain: list[Any]) -> None:
    assert read_answer(kind, body, URL).plain() == ["Response", {}, plain]


@pytest.mark.parametrize("kind", ["application/json", "image/png", "nonsense"])
def test_content_types_that_are_no_answer_are_12300(kind: str) -> None:
    with pytest.raises(DocumentError) as problem:
        read_answer(kind, b"{}", URL)
    assert problem.value.code == 12300


# -- attributes -------------------------------------------------------------------------------------------------


def values(name: str, **attributes: str) -> dict[str, Any]:
    return read_attributes(Element(name, attributes, ()))[0]


@pytest.mark.parametrize(
    ("element", "name", "default"),
    [
        ("Say", "voice", "man"),
        ("Say", "loop", 1),
        ("Pause", "length", 1),
        ("Reject", "reason", "rejected"),
        ("Gather", "timeout", 5),
        ("Gather", "finishOnKey", "#"),
        ("Gather", "bargeIn", True),
        ("Gather", "actionOnEmptyResult", False),
        ("Dial", "timeout", 30),
        ("Dial", "timeLimit", 14400),
        ("Dial", "method", "POST"),
        ("Dial", "answerOnBridge", False),
        ("Dial", "sequential", False),
        ("Number", "statusCallbackEvent", ("completed",)),
        ("Conference", "beep", "true"),
        ("Conference", "startConferenceOnEnter", True),
        ("Conference", "endConferenceOnExit", False),
        ("Conference", "maxParticipants", 250),
        ("Stream", "track", "inbound_track"),
    ],
)
def test_defaults_are_twilios(element: str, name: str, default: object) -> None:
    assert values(element)[name] == default


@pytest.mark.parametrize(
    ("element", "name", "given", "value"),
    [
        ("Dial", "timeout", "1", 5),
        ("Dial", "timeout", "9999", 600),
        ("Dial", "answerOnBridge", " TRUE ", True),
        ("Dial", "record", "false", "false"),
        ("Dial", "method", "get", "GET"),
        ("Gather", "finishOnKey", "", ""),
        ("Number", "statusCallbackEvent", "ringing  completed", ("ringing", "completed")),
        ("Say", "loop", "0", 0),
        ("Say", "loop", "-3", 0),
    ],
)
def test_values(element: str, name: str, given: str, value: object) -> None:
    read, notes = read_attributes(Element(element, {name: given}, ()))
    assert read[name] == value
    assert notes == []


@pytest.mark.parametrize(
    ("element", "name", "given", "code"),
    [
        ("Dial", "timeout", "soon", 13212),
        ("Dial", "method", "PUT", 13210),
        ("Dial", "Timeout", "5", 12200),
        ("Dial", "ringTone", "xx", 12200),
        ("Number", "statusCallbackEvent", "ringing, completed", 12200),
        ("Conference", "beep", "yes", 13233),
        ("Stream", "track", "both", 31941),
    ],
)
def test_values_that_cannot_be_read_are_warnings(element: str, name: str, given: str, code: int) -> None:
    read, notes = read_attributes(Element(element, {name: given}, ()))
    assert [note.code for note in notes] == [code]
    if name in read:
        assert read[name] == values(element)[name]


@pytest.mark.parametrize(
    ("element", "name", "given"),
    [
        ("Gather", "input", "dtmf speech"),
        ("Dial", "record", "record-from-answer"),
        ("Number", "machineDetection", "Enable"),
        ("Conference", "record", "record-from-start"),
        ("Stream", "connectorName", "x"),
    ],
)
def test_what_is_not_ours_yet_names_itself(element: str, name: str, given: str) -> None:
    with pytest.raises(NotYet, match=f"{element} {name}"):
        values(element, **{name: given})


def test_every_verb_has_its_attributes_and_none_is_for_later() -> None:
    assert set(VERBS) <= set(ATTRIBUTES)
    assert not LATER & set(ATTRIBUTES)
