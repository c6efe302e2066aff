"""Templates of TwiML Bins."""

import pytest
from lxml import etree

from ringback.functions import limits
from ringback.functions.bins import collect, e164, parse, render
from ringback.functions.errors import TemplateError


def rendered(template: str, *pairs: tuple[str, str]) -> str:
    return render(parse(template), collect(pairs))


def test_a_parameter_is_put_in_and_an_unknown_one_is_empty() -> None:
    assert rendered("<Say>{{From}}|{{ To }}|{{Nobody}}</Say>", ("From", "alice"), ("To", "bob")) == (
        "<Say>alice|bob|</Say>"
    )


@pytest.mark.parametrize("tag", ["{{From}}", "{{{From}}}", "{{&From}}", "{{#From}}{{.}}{{/From}}"])
def test_no_value_can_leave_its_place(tag: str) -> None:
    evil = "\"'><Hangup/><Say a='&amp;"
    root = etree.fromstring(rendered(f"<R a=\"{tag}\" b='{tag}'>{tag}</R>", ("From", evil)))
    assert (root.get("a"), root.get("b"), root.text, len(root)) == (evil, evil, evil, 0)


def test_a_value_is_not_read_as_a_template_again() -> None:
    assert rendered("{{From}}", ("From", "{{To}}"), ("To", "secret")) == "{{To}}"


def test_a_section_stands_only_with_a_value_and_its_opposite_only_without() -> None:
    template = "{{#Digits}}pressed {{Digits}}{{/Digits}}{{^Digits}}none{{/Digits}}"
    assert rendered(template, ("Digits", "5")) == "pressed 5"
    assert rendered(template, ("Digits", "")) == "none"
    assert rendered(template) == "none"


@pytest.mark.parametrize("name", ["Dest[]", "Dest"])
def test_a_list_is_repeated(name: str) -> None:
    assert rendered("{{#Dest}}<Number>{{.}}</Number>{{/Dest}}", (name, "+1"), (name, "+2")) == (
        "<Number>+1</Number><Number>+2</Number>"
    )


def test_remarks_are_left_out() -> None:
    assert rendered("a{{! what {this} is }}b") == "ab"


def test_single_braces_are_text() -> None:
    assert rendered("{ {x} }") == "{ {x} }"


@pytest.mark.parametrize(
    ("given", "number"),
    [
        ("sip:+15125551212@freelance.sip.us1.example.com", "+15125551212"),
        ("sip:15125551212@example.com;transport=tls", "+15125551212"),
        ("sips:%2B886912345678@example.com", "+886912345678"),
        ("sip:5125551212@example.com", "+15125551212"),
        ("886912345678", "+886912345678"),
        ("+1 (512) 555-1212", "+15125551212"),
        ("tel:+15125551212", "+15125551212"),
        ("sip:alice@example.com", "alice"),
        ("client:jenny", "client:jenny"),
        ("sip:" + "%31" * 400 + "@example.com", "%31" * 400),
        ("", ""),
    ],
)
def test_e164_takes_the_number_out(given: str, number: str) -> None:
    assert e164(given) == number
    assert rendered("{{#e164}}{{To}}{{/e164}}", ("To", given)) == number


def test_e164_escapes_what_is_no_number() -> None:
    assert rendered("{{#e164}}{{To}}{{/e164}}", ("To", "sip:<&@x")) == "&lt;&amp;"


@pytest.mark.parametrize(
    ("template", "code", "line"),
    [
        ("<a>\n{{From", 11300, 2),
        ("{{{From}} ", 11300, 1),
        ("{{>partial}}", 11310, 1),
        ("{{=<% %>=}}", 11310, 1),
        ("{{}}", 11310, 1),
        ("\n\n{{From To}}", 11310, 3),
        ("{{#From}}x", 11320, 1),
        ("x{{/From}}", 11320, 1),
        ("{{#a}}{{#b}}{{/a}}{{/b}}", 11320, 1),
        ("{{#a}}" * (limits.TEMPLATE_DEPTH + 1), 11320, 1),
        ("x" * (limits.BIN_SIZE + 1), 11750, 1),
    ],
)
def test_a_wrong_template_has_twilios_code_and_its_line(template: str, code: int, line: int) -> None:
    with pytest.raises(TemplateError) as caught:
        parse(template)
    assert (caught.value.code, caught.value.line) == (code, line)


def test_what_a_bin_renders_is_bounded() -> None:
    parts = parse("{{#a}}" + "{{From}}" * 100 + "{{/a}}")
    with pytest.raises(TemplateError) as caught:
        render(parts, {"a": ["x"] * 100, "From": ["y" * 1_000]})
    assert caught.value.code == 11750
