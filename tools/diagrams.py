"""Draws the diagrams of docs/architecture.md from what is there: the imports, and a call that is placed for it.

    python tools/diagrams.py layers    the packages and their imports
    python tools/diagrams.py way       the way of a call through the modules

Prints Mermaid. The call runs through a whole server on loopback: one phone dials, the TwiML of a bin rings another, they talk,
one hangs up. Its main thread is profiled, and the first time that one of the MODULES calls another is an arrow. The
phones live in another thread, which is not profiled.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
import tempfile
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent / "src"

MODULES = (
    "shell.udp_transport",
    "shell.sip_stack",
    "sip.agent",
    "shell.front_desk",
    "call.admission",
    "shell.calls",
    "shell.ways",
    "shell.answers",
    "call.incoming_leg",
    "call.outgoing_leg",
    "call.leg",
    "call.actor",
    "twiml.interpreter",
    "twiml.verbs.dial",
    "shell.webhooks",
    "shell.project_http",
    "call.routing",
    "shell.placing",
    "shell.sound",
    "media.pump",
    "store.facts",
)
"""What the diagram shows; calls through other modules are arrows between these."""

PARTS = {
    "shell.transport": "shell.udp_transport",
    "shell.inbox": "shell.udp_transport",
    "call.incoming_leg": "call.leg",
    "call.outgoing_leg": "call.leg",
    "sip.answering": "sip.agent",
    "sip.calling": "sip.agent",
    "sip.commands": "sip.agent",
    "sip.dispatch": "sip.agent",
    "sip.session": "sip.agent",
    "twiml.scripts": "twiml.interpreter",
    "twiml.verbs": "twiml.verbs.dial",
    "media.pure": "media.pump",
}
"""Modules that stand for others: what is not drawn alone."""

OF_THE_CLOCK = {"_beat", "_run", "_sweep", "fire", "on_timer", "waited"}
"""Functions that run when their time has come, and so are in a trace now and then."""

WITHIN = 60.0
"""Seconds that the whole call may take on a machine which does other things too."""

SETTLE = 0.3
"""Seconds between what the phones do, so that one thing is over before the next begins."""


def layers() -> str:
    """The packages; an import that goes through others as well is left out."""
    import grimp

    graph = grimp.build_graph("ringback", exclude_type_checking_imports=True)
    packages = sorted(
        name.partition(".")[2] for name in graph.find_children("ringback") if graph.find_children(name)
    )
    above = {
        package: {
            other
            for other in packages
            if other != package
            and graph.direct_import_exists(
                importer=f"ringback.{package}", imported=f"ringback.{other}", as_packages=True
            )
        }
        for package in packages
    }

    def reached(package: str) -> set[str]:
        return above[package].union(*(reached(other) for other in above[package]))

    lines = ["flowchart TD"]
    for package in packages:
        through = set().union(*(reached(other) for other in above[package]))
        lines += [f"    {package} --> {other}" for other in sorted(above[package] - through)]
    return "\n".join(lines)


# -- the way of a call ------------------------------------------------------------------------------------------


def read_sources_alone() -> None:
    """Import compiled modules as the Python that they were made of, or their twin: what is compiled has no frames."""
    os.environ.pop("RINGBACK_REQUIRE_CORE", None)

    def finder(path: str) -> Any:
        if not Path(path).is_relative_to(ROOT / "ringback"):
            raise ImportError
        return FileFinder(path, (SourceFileLoader, SOURCE_SUFFIXES))

    sys.path.insert(0, str(ROOT))
    importlib.import_module("ringback")  # it may put a finder of its own before all others
    sys.path_hooks.insert(0, finder)
    sys.path_importer_cache.clear()


class Tracer:
    """Keeps the first call from each shown module to each other one, in order."""

    def __init__(self) -> None:
        self.arrows: dict[tuple[str, str, str], None] = {}
        self._names: dict[str, str] = {}

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        """A profiler, as sys.setprofile takes it."""
        if event == "call":
            self._add(self._shown(frame), frame.f_code.co_name, frame.f_back)

    def _add(self, callee: str, function: str, caller: FrameType | None) -> None:
        if not callee or function.startswith(("__", "<")) or function in OF_THE_CLOCK:
            return
        while caller is not None:
            name = self._shown(caller)
            if name:
                if name != callee:
                    self.arrows[name, callee, function] = None
                return
            caller = caller.f_back
        self.arrows["", callee, function] = None

    def _shown(self, frame: FrameType) -> str:
        file = frame.f_code.co_filename
        known = self._names.get(file)
        if known is None:
            known = self._names[file] = self._name(Path(file))
        return known

    @staticmethod
    def _name(file: Path) -> str:
        if not file.is_relative_to(ROOT / "ringback"):
            return ""
        name = ".".join(file.relative_to(ROOT / "ringback").with_suffix("").parts)
        if name in MODULES:
            return name
        return next((whole for part, whole in PARTS.items() if name.startswith(part)), "")


def way() -> str:
    """The call, as a sequence."""
    read_sources_alone()
    tracer = Tracer()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_serve(Path(folder), tracer))
    shown = [name for name in MODULES if any(name in arrow[:2] for arrow in tracer.arrows)]
    lines = ["sequenceDiagram", "    participant wire as the network, timers"]
    lines += [f"    participant {_id(name)} as {name}" for name in shown]
    lines += [f"    {_id(one)}->>{_id(other)}: {function}" for one, other, function in tracer.arrows]
    return "\n".join(lines)


def _id(name: str) -> str:
    return name.replace(".", "_") or "wire"


async def _serve(folder: Path, tracer: Tracer) -> None:
    from ringback.app import logs, server
    from ringback.app.project import ProjectDirectory
    from ringback.app.settings import Settings

    logs.set_up("error")
    server._speaker = lambda cache: None  # nothing is said in this call
    line = dict.fromkeys(("http", "sip", "sips"), "127.0.0.1:0")
    place = ProjectDirectory(folder)
    place.make()
    running = server.Server(place, Settings(from_line=line))  # type: ignore[call-arg]
    await running.start()
    try:
        domain = running.store.configuration.domain(running.domain)
        assert domain is not None
        bob = {"voice_url": f"http://{running.settings.base_domain}/bins/bob"}
        await running.store.update("sip_domains", domain["sid"], running.account_sid, bob)
        loop = asyncio.get_running_loop()

        def profile(wanted: Tracer | None) -> None:
            loop.call_soon_threadsafe(sys.setprofile, wanted)

        def talk() -> None:
            phones = _talk(running.running, place.phones(), lambda: profile(tracer))
            asyncio.run(asyncio.wait_for(phones, WITHIN))

        await asyncio.to_thread(talk)
        sys.setprofile(None)
    finally:
        await running.stop()


async def _talk(running: Any, passwords: dict[str, str], begin: Any) -> None:
    """Both phones: bob registers and answers, alice calls and hangs up."""
    from ringback.media.twins import create_pump
    from ringback.sandbox.endpoint import Endpoint
    from ringback.sip.authorization import Login
    from ringback.sip.flow import Hop
    from ringback.sip.uri import Uri

    host, _, port = running.sip.rpartition(":")
    hop = Hop("UDP", host, int(port))
    aor = {user: Uri(user=user, host=running.domain) for user in passwords}
    login = {user: Login(user, password) for user, password in passwords.items()}
    rung: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    pumps = [create_pump((47000, 47499)), create_pump((47500, 47999))]
    alice = Endpoint(pumps[0], name="alice")
    bob = Endpoint(pumps[1], name="bob", on_invite=lambda *invite: rung.set_result(invite))
    try:
        for phone in (alice, bob):
            phone.bind()
        assert (await bob.register(aor["bob"], hop, login["bob"])).status == 200
        await asyncio.sleep(SETTLE)
        begin()
        await asyncio.sleep(SETTLE)
        call = alice.call(
            Uri(user="bob", host=running.domain), hop, caller=aor["alice"], login=login["alice"]
        )
        answering = bob.take(*await rung)
        await asyncio.sleep(SETTLE)
        answering.ring()
        await asyncio.sleep(SETTLE)
        answering.answer()
        await asyncio.sleep(2 * SETTLE)
        call.hang_up()
        await answering.ended
        await asyncio.sleep(SETTLE)
    finally:
        for phone, pump in zip((alice, bob), pumps, strict=True):
            await phone.close()
            pump.close()


if __name__ == "__main__":
    print({"layers": layers, "way": way}[sys.argv[1]]())
