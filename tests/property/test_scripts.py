"""Whatever happens in whatever order: no script crashes, and each call ends exactly once, with one record.

Random documents, far ends, keys, programs and moments on the virtual exchange; and raw events at random, some
of which no exchange would ever send, straight into one script.
"""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape, quoteattr

from hypothesis import given, settings
from hypothesis import strategies as st
from unit.twiml.driver import Leg, World

from ringback.call import effects as fx
from ringback.call import events as ev
from ringback.call.actor import CallActor
from ringback.call.journal import decode
from ringback.call.replay import replay
from ringback.twiml.document import parse
from ringback.twiml.schema import ATTRIBUTES
from ringback.twiml.scripts import script_of

ACTIONS = ("", 'action="/a"', 'action="/b"', 'action="/broken"')
NOUNS = (
    "<Number>+14155552222</Number>",
    '<Number url="/whisper" statusCallback="/leg" statusCallbackEvent="initiated ringing answered completed">+14155553333</Number>',
    '<Number sendDigits="1w2">+14155554444</Number>',
    '<Sip username="u" password="Very-secret-77">sip:bob@example.com</Sip>',
    "<Sip>sip:alice@office.ringback.localhost</Sip>",
    "<Number>nobody</Number>",
)
SIMPLE = (
    "<Say>Hello</Say>",
    '<Say loop="0">for ever</Say>',
    "<Play>/missing.wav</Play>",
    '<Play digits="12#"/>',
    '<Pause length="3"/>',
    "<Hangup/>",
    "<Reject/>",
    '<Reject reason="busy"/>',
    "<Redirect>/a</Redirect>",
    "<Redirect/>",
    "<Dance/>",
    "<Record/>",
    '<Start><Stream name="tap" url="wss://ear.test/"/></Start>',
    '<Stop><Stream name="tap"/></Stop>',
)


@st.composite
def dials(draw: st.DrawFn) -> str:
    attributes = [draw(st.sampled_from(ACTIONS))]
    attributes += draw(
        st.lists(
            st.sampled_from(
                [
                    'answerOnBridge="true"',
                    'hangupOnStar="true"',
                    'sequential="true"',
                    'timeout="5"',
                    'timeLimit="20"',
                ]
            ),
            unique=True,
        )
    )
    if draw(st.integers(0, 4)) == 0:
        room = draw(
            st.sampled_from(
                ["<Conference>r</Conference>", '<Conference endConferenceOnExit="true">r</Conference>']
            )
        )
        return f"<Dial {' '.join(attributes)}>{room}</Dial>"
    return (
        f"<Dial {' '.join(attributes)}>{''.join(draw(st.lists(st.sampled_from(NOUNS), max_size=3)))}</Dial>"
    )


GATHERS = st.builds(
    lambda action, prompt, more: f'<Gather {action} {more} timeout="4">{prompt}</Gather>',
    st.sampled_from(ACTIONS),
    st.sampled_from(["", "<Say>Press</Say>", "<Pause/><Play>/missing.mp3</Play>"]),
    st.sampled_from(
        ["", 'numDigits="2"', 'bargeIn="false"', 'actionOnEmptyResult="true"', 'finishOnKey="*"']
    ),
)
DOCUMENTS = st.lists(st.one_of(st.sampled_from(SIMPLE), dials(), dials(), GATHERS), max_size=4).map("".join)
WHISPERS = st.sampled_from(
    [
        "",
        "<Say>a call</Say>",
        '<Gather numDigits="1"><Say>Press</Say></Gather><Hangup/>',
        "<Dial>+14155550000</Dial>",
    ]
)

MOMENTS = st.floats(0, 12, allow_nan=False).map(lambda seconds: round(seconds**2 / 3, 3))
WHO = st.integers(0, 5)
DEEDS = st.one_of(
    st.tuples(st.just("ring"), st.booleans()),
    st.tuples(st.just("answer")),
    st.tuples(st.just("reject"), st.sampled_from([404, 480, 486, 603])),
    st.tuples(st.just("hang_up")),
    st.tuples(st.just("press"), st.sampled_from(["1", "*", "#", "12#", "99"])),
    st.tuples(st.just("redirect"), st.sampled_from(["/a", "in place"])),
    st.tuples(st.just("complete"), st.sampled_from(["completed", "canceled"])),
    st.tuples(st.just("wait")),
)


def act(world: World, leg: Leg, deed: tuple[Any, ...]) -> None:
    """Let something happen to a call, if it can in its state; several deeds may lie in one inbox."""
    if leg.over:
        return
    match deed:
        case ("ring", early) if leg.state == "placed":
            leg.ring(183 if early else 180, early_media=early)
        case ("answer",) if leg.state == "placed":
            leg.answer()
        case ("reject", status) if leg.state == "placed":
            leg.reject(status)
        case ("hang_up",) if leg.state in ("up", "offered"):
            leg.hang_up()
        case ("press", keys) if leg.state == "up":
            leg.press(keys)
        case ("redirect", "in place"):
            leg.redirect(twiml="<Response><Say>other</Say></Response>")
        case ("redirect", path):
            leg.redirect(f"http://app.test{path}")
        case ("complete", status):
            leg.complete(status)


@settings(max_examples=150)
@given(
    st.sampled_from(["inbound", "outbound"]),
    DOCUMENTS,
    DOCUMENTS,
    DOCUMENTS,
    WHISPERS,
    st.lists(st.tuples(MOMENTS, WHO, DEEDS), max_size=14),
    st.booleans(),
)
def test_every_call_ends_once_and_replays(
    kind: str, first: str, second: str, third: str, whisper: str, deeds: list[Any], has_fallback: bool
) -> None:
    pages = {"a": second, "b": third, "whisper": whisper}
    world = World({f"http://app.test/{name}": f"<Response>{text}</Response>" for name, text in pages.items()})
    calls = [getattr(world, kind)(first), world.inbound(first)]
    for moment, who, deed in deeds:
        world.run(moment)
        legs = calls + [child for call in calls for child in world.children(call)]
        act(world, legs[who % len(legs)], deed)
    for leg in list(world.calls.values()):
        if not leg.over:
            leg.complete()
    world.run(1)
    # Legs that are taken out of their Dial may have rung others: they go too.
    for leg in list(world.calls.values()):
        if not leg.over:
            leg.complete()
    world.run(1)
    world.assert_over()


PLACES = {
    "Number": "<Dial>{}</Dial>",
    "Sip": "<Dial>{}</Dial>",
    "Conference": "<Dial>{}</Dial>",
    "Stream": "<Start>{}</Start><Stop>{}</Stop>",
    "Parameter": '<Start><Stream url="wss://ear.test/">{}</Stream></Start>',
    "Say": "<Gather>{}</Gather>{}",
    "Play": "<Gather>{}</Gather>{}",
    "Pause": "<Gather>{}</Gather>{}",
}
ODD = st.one_of(
    st.sampled_from(
        [
            "",
            " ",
            "0",
            "-1",
            "1e9",
            "9" * 5000,
            "true",
            "http://[x",
            "//",
            "wss://[",
            "http://a:99999/",
            "\n",
            "sip:",
            "+",
        ]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), max_size=12),
    st.sampled_from(
        ["/a", "http://app.test/a", "wss://ear.test/", "+14155552222", "5", "#", "tap", "sip:bob@example.com"]
    ),
)


@settings(max_examples=200)
@given(st.sampled_from(sorted(set(ATTRIBUTES) - {"Response"})), st.data(), ODD)
def test_no_value_of_an_attribute_crashes_a_call(name: str, data: st.DataObject, text: str) -> None:
    known = st.sampled_from([*ATTRIBUTES[name], "colour"])
    attributes = data.draw(st.dictionaries(known, ODD, max_size=4))
    given_attributes = " ".join(f"{key}={quoteattr(value)}" for key, value in attributes.items())
    element = f"<{name} {given_attributes}>{escape(text)}</{name}>"
    place = PLACES.get(name, "{}")
    world = World({"http://app.test/a": "<Response><Hangup/></Response>"})
    call = world.inbound(place.replace("{}", element))
    world.run(3)
    for child in world.children(call):
        if child.state == "placed":
            child.answer()
    if call.state == "up":
        call.press("1#")
    world.run(3)
    for leg in list(world.calls.values()):
        if not leg.over:
            leg.complete()
    world.run(1)
    world.assert_over()


TOKENS = st.sampled_from(
    [f"{kind}-{n}" for kind in ("fetch", "play", "plan", "gather", "dial-timeout") for n in range(1, 8)]
)
PARENT = "CA" + "0" * 32
PLANS = st.just(
    {
        "error_code": 0,
        "error_text": "",
        "to": "+14155552222",
        "from": "+14155550100",
        "from_user": "+14155550100",
        "from_domain": "ringback.localhost",
        "display_name": "",
        "targets": [],
    }
)


def raw_events(document: list[Any]) -> st.SearchStrategy[ev.Event]:
    """Events as a broken exchange might send them: tokens of nothing, messages of strangers."""
    ending = {
        "status": "busy",
        "answered": False,
        "duration": 0,
        "sip_call_id": "",
        "sip_status": 486,
        "headers": {},
    }
    return st.one_of(
        st.builds(ev.LegRinging, st.just(180), st.booleans()),
        st.builds(ev.LegAnswered, st.just("id"), st.just({})),
        st.builds(ev.Digit, st.sampled_from("12*#")),
        st.builds(ev.Played, TOKENS, st.booleans()),
        st.builds(ev.PlayFailed, TOKENS, st.just(11200), st.just("no")),
        st.builds(ev.Heard, st.just(5.0)),
        st.builds(
            ev.Fetched,
            TOKENS,
            st.just("http://app.test/a"),
            st.just(200),
            st.just(document),
            st.just(0),
            st.just(""),
        ),
        st.builds(
            ev.Fetched,
            TOKENS,
            st.just("http://app.test/a"),
            st.just(500),
            st.none(),
            st.just(11200),
            st.just("no"),
        ),
        st.builds(ev.Planned, TOKENS, PLANS),
        st.builds(ev.Fired, st.one_of(TOKENS, st.sampled_from(["ring-timeout", "call-limit"]))),
        st.builds(ev.Redirect, st.just("http://app.test/b"), st.just("POST"), st.none()),
        st.builds(ev.Redirect, st.just(""), st.just("POST"), st.just(document)),
        st.builds(ev.Complete, st.just("completed"), st.just("rest")),
        st.builds(ev.Told, st.just(PARENT), st.just("release"), st.just({"status": "canceled"})),
        st.builds(ev.Told, st.just("CA1"), st.sampled_from(["ready", "joined"]), st.just({})),
        st.builds(ev.Told, st.just("CA1"), st.just("ended"), st.just(ending)),
        transfers(ending),
    )


def transfers(ending: dict[str, Any]) -> st.SearchStrategy[ev.Event]:
    """What comes of REFERs: of the own far end, of the partner's, of a third call that hands on who rings for it."""
    referred = st.fixed_dictionaries(
        {
            "number": st.integers(1, 2),
            "target": st.just("<sip:carol@example.com>"),
            "policy": st.tuples(st.just("http://app.test/refer"), st.just("POST"), st.booleans()),
            "other": st.sampled_from(["", "CA3"]),
            "referred_by": st.just(""),
        }
    )
    child = st.fixed_dictionaries(
        {
            "sid": st.just("CA4"),
            "shown": st.just("sip:x"),
            "prepares": st.booleans(),
            "answered": st.booleans(),
        }
    )
    handed = st.fixed_dictionaries(
        {"children": st.lists(child, max_size=1), "patience": st.just(5.0), "ring_tone": st.just("us")}
    )
    partners = st.sampled_from([PARENT, "CA1"])
    others = st.sampled_from(["", "CA3"])
    return st.one_of(
        st.builds(
            ev.LegReferred, st.integers(1, 2), st.just("<sip:x@y>"), others, st.sampled_from(["", "CA2"])
        ),
        st.builds(ev.Told, partners, st.just("referred"), referred),
        st.builds(ev.Told, partners, st.sampled_from(["adopt", "give", "parted", "linked"]), st.just({})),
        st.builds(ev.Told, partners, st.just("join"), st.just({"with": "CA2"})),
        st.builds(ev.Told, partners, st.just("transferred"), st.just({"why": "a transfer"})),
        st.builds(ev.Told, st.just("CA3"), st.just("given"), handed),
        st.builds(ev.Told, st.just("CA4"), st.sampled_from(["ready", "answered"]), st.just({})),
        st.builds(ev.Told, st.just("CA4"), st.just("ended"), st.just(ending)),
    )


@settings(max_examples=200)
@given(st.sampled_from(["inbound", "api", "child"]), DOCUMENTS, st.data())
def test_no_event_crashes_a_script_that_ends_with_its_leg(kind: str, twiml: str, data: st.DataObject) -> None:
    document = parse(f"<Response>{twiml}</Response>").plain()
    changes = {"parent_sid": PARENT} if kind == "child" else {}
    actor = CallActor(World().setup(kind, **changes), script_of)
    effects = list(actor.start())
    for event in data.draw(st.lists(raw_events(document), max_size=25)):
        effects += actor.deliver(event, actor.call.elapsed + 0.1)
    effects += actor.deliver(ev.LegEnded("bye", 200, "OK", {}, "id"), actor.call.elapsed + 1)
    assert actor.finished
    assert sum(isinstance(effect, fx.Finish) for effect in effects) == 1
    assert sum(isinstance(effect, fx.Fact) and "end_time" in effect.changes for effect in effects) == 1
    armed = set()
    for effect in effects:
        if isinstance(effect, fx.Arm):
            armed.add(effect.token)
        elif isinstance(effect, fx.Disarm):
            armed.discard(effect.token)
    fired = {
        line.event.token for line in decode(actor.journal.encode()).lines if isinstance(line.event, ev.Fired)
    }
    assert armed <= fired
    spawned = [effect.setup["sid"] for effect in effects if isinstance(effect, fx.Spawn)]
    released = {
        effect.recipient for effect in effects if isinstance(effect, fx.Tell) and effect.subject == "release"
    }
    assert set(spawned) <= released
    assert replay(decode(actor.journal.encode()), script_of).difference is None
