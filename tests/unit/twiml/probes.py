"""The probes of the journal: calls that are recorded here, and rebuilt in another process.

::

    python -m unit.twiml.probes record NAME FOLDER      one journal a call: FOLDER/<number>.journal
    python -m unit.twiml.probes replay FILE...          fails at the first difference
    python -m unit.twiml.probes resume HEAD FULL OUT    replays HEAD, gives it the rest of FULL's events, writes OUT
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from unit.twiml.driver import Leg, World

from ringback.call.journal import decode
from ringback.call.replay import replay
from ringback.twiml.scripts import script_of


def gather() -> World:
    """Gather of digits, twice, and no input."""
    world = World(
        {
            "http://app.test/key": "<Response><Say>You pressed keys</Say><Redirect>/voice</Redirect></Response>",
        }
    )
    call = world.inbound(
        '<Gather action="/key" numDigits="4" timeout="3"><Say>Code?</Say></Gather><Say>Nobody</Say>'
    )
    world.run(0.737)
    call.press("12")
    world.run(1.123)
    call.press("34")
    world.run(2.9)
    call.press("5#")
    world.run(30)
    return world


def conference() -> World:
    """A conference of three with one muted, and a program that mutes another."""
    world = World()
    room = "<Dial action='/done'><Conference {}>room</Conference></Dial>"
    world.pages["http://app.test/done"] = "<Response><Hangup/></Response>"
    legs: list[Leg] = []
    for attributes in ("", 'muted="true"', 'endConferenceOnExit="true"'):
        legs.append(world.inbound(room.format(attributes)))
        world.run(0.7)
    (machine,) = world.conferences.values()
    world.conduct(machine, machine.on_mute(legs[0].sid, True, 0.0))
    legs[1].press("1*")
    world.run(3.3)
    legs[2].hang_up()
    world.run(2)
    return world


def stream() -> World:
    """A stream that outlives its document."""
    world = World(
        {"http://app.test/two": "<Response><Pause length='8'/><Stop><Stream name='tap'/></Stop></Response>"}
    )
    call = world.inbound(
        '<Start><Stream name="tap" url="wss://ear.test/in" statusCallback="/stream"><Parameter name="a" value="1"/>'
        "</Stream></Start><Say>Hello</Say><Redirect>/two</Redirect>"
    )
    world.run(4.2)
    assert call.streams[0].status == "in-progress"
    world.run(20)
    return world


def redirect() -> World:
    """A redirect over REST during a parallel Dial with a whisper document."""
    world = World(
        {
            "http://app.test/whisper": "<Response><Gather numDigits='1'><Say>Press</Say></Gather><Hangup/></Response>",
            "http://app.test/other": "<Response><Say>Other</Say></Response>",
        }
    )
    noun = '<Number url="/whisper" statusCallback="/leg" statusCallbackEvent="initiated ringing answered completed">'
    numbers = "".join(f"{noun}+1415555222{n}</Number>" for n in range(3))
    call = world.inbound(
        f'<Dial action="/done">{numbers}<Sip username="u" password="Very-secret-77">sip:bob@example.com</Sip></Dial>'
    )
    world.run(1.01)
    first, second, third, _ = world.children(call)
    first.ring().answer()
    second.ring()
    third.reject(486)
    world.run(0.6180339887)
    call.redirect("http://app.test/other")
    world.run(10)
    return world


def transfer() -> World:
    """A blind transfer whose transferor waits, in vain and then not; then an attended one of who was reached."""
    world = World(
        {"http://app.test/refer": "<Response><Dial><Sip>sip:carol@example.com</Sip></Dial></Response>"}
    )
    call = world.inbound(
        '<Dial referUrl="/refer" answerOnBridge="true"><Sip>sip:agent@example.com</Sip></Dial><Hangup/>'
    )
    world.run(0.73)
    agent = world.child(call).answer()
    for react in (lambda leg: leg.reject(486), lambda leg: leg.ring().answer()):
        world.run(1.1)
        agent.refer()
        world.run(0.4)
        react(world.child(call))
    carol = world.child(call)
    world.run(2.25)
    consultation = world.inbound("<Dial><Sip>sip:dave@example.com</Sip></Dial>")
    world.run(0.5)
    world.child(consultation).answer()
    world.run(1.5)
    carol.refer("<sip:dave@example.com?Replaces=x>", consultation)
    world.run(3)
    call.hang_up()
    world.run(1)
    return world


PROBES: dict[str, Callable[[], World]] = {
    "gather": gather,
    "conference": conference,
    "stream": stream,
    "redirect": redirect,
    "transfer": transfer,
}


def record(name: str, folder: Path) -> None:
    """Run a probe and keep its journals."""
    world = PROBES[name]()
    world.assert_over()
    for number, leg in enumerate(world.calls.values()):
        (folder / f"{number}.journal").write_bytes(leg.actor.journal.encode())


def check(path: Path) -> None:
    """Replay a journal; what it makes must be the same bytes again."""
    data = path.read_bytes()
    found = replay(decode(data), script_of)
    if found.difference is not None:
        raise SystemExit(f"{path}: {found.difference}")
    if found.actor.journal.encode() != data:
        raise SystemExit(f"{path}: the journal of the replay is another")


def resume(head: Path, full: Path, out: Path) -> None:
    """Rebuild a call from the first part of its journal, and let it go on."""
    beginning = decode(head.read_bytes())
    found = replay(beginning, script_of)
    if found.difference is not None or found.actor.finished:
        raise SystemExit(f"{head}: {found.difference}")
    for line in decode(full.read_bytes()).lines[len(beginning.lines) :]:
        if line.event is not None:
            found.actor.deliver(line.event, line.elapsed)
    out.write_bytes(found.actor.journal.encode())


def main(arguments: list[str]) -> None:
    match arguments:
        case ["record", name, folder]:
            record(name, Path(folder))
        case ["replay", *files]:
            for file in files:
                check(Path(file))
        case ["resume", head, full, out]:
            resume(Path(head), Path(full), Path(out))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
