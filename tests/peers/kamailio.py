"""Kamailio as the edge in front of the server: it records its route, relays, and says what it holds to be wrong."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from live import free_port

PROGRAM = shutil.which("kamailio") or shutil.which("kamailio", path="/usr/sbin")
MODULES = next(iter(Path("/usr/lib").glob("*/kamailio/modules")), None)
WITHIN = 30.0

# sanity_check: everything that the module can look at (Via, version, Request-URI scheme, required fields, CSeq's
# method and number, Content-Length, Expires, Proxy-Require, URIs, digest, double tags); of responses without what
# only requests have.
CONFIG = """
debug=0
log_stderror=yes
children=1
tcp_children=1
auto_aliases=no
listen=udp:127.0.0.1:{port}
mpath="{modules}"
loadmodule "kex.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "maxfwd.so"
loadmodule "siputils.so"
loadmodule "textops.so"
loadmodule "sanity.so"
#!ifdef WITH_PATH
loadmodule "path.so"
modparam("path", "use_received", 1)
#!endif

request_route {{
    if (!sanity_check("32751", "15")) {{ xlog("L_ALERT", "WRONG $rm of $si:$sp\\n"); exit; }}
    if (!mf_process_maxfwd_header("70")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (has_totag()) {{
        if (loose_route()) {{ xlog("L_ALERT", "ROUTED $rm\\n"); t_relay(); exit; }}
        if (is_method("ACK")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
        xlog("L_ALERT", "WRONG $rm in a dialog without our route\\n");
        sl_send_reply("404", "Not here");
        exit;
    }}
    xlog("L_ALERT", "FIRST $rm\\n");
    if (is_method("CANCEL")) {{
        if (t_check_trans()) {{ t_relay(); }} else {{ xlog("L_ALERT", "WRONG CANCEL of nothing\\n"); }}
        exit;
    }}
    t_check_trans();
    if (is_method("INVITE")) {{ record_route(); }}
#!ifdef WITH_PATH
    if (is_method("REGISTER")) {{ add_path_received(); }}
    if ($sp == {target}) {{
        loose_route();  # says no for a route that its sender has from elsewhere, and follows it
        if ($du == $null) {{ xlog("L_ALERT", "WRONG $rm without our path\\n"); }}
        else {{ xlog("L_ALERT", "PATHED $rm to $du\\n"); }}
    }}
#!endif
    if ($sp != {target}) {{ $du = "sip:127.0.0.1:{target}"; }}
    t_relay();
}}

onreply_route {{
    if (!sanity_check("1500", "14")) {{ xlog("L_ALERT", "WRONG $rs $rm of $si:$sp\\n"); }}
}}
"""


def require_kamailio() -> None:
    """Skip the module where Kamailio is missing."""
    if PROGRAM is None or MODULES is None:
        pytest.skip("Kamailio is missing: apt-get install kamailio", allow_module_level=True)


class Edge:
    """One that runs, and what it said."""

    def __init__(self, port: int, log: Path) -> None:
        self.address = ("127.0.0.1", port)
        self._log = log

    def said(self, word: str) -> list[str]:
        """What follows a word in its log: WRONG, ROUTED (inside a dialog, by its route), FIRST, PATHED (by its Path)."""
        return re.findall(rf"{word} (.*)", self._log.read_text(errors="replace"))


@contextmanager
def edge(folder: Path, target: int, *, with_path: bool = False) -> Iterator[Edge]:
    """A Kamailio between phones and the server at a port of loopback; with a Path, it asks to be on the way to phones."""
    assert PROGRAM is not None
    port = free_port()
    path, log = folder / "kamailio.cfg", folder / "kamailio.log"
    path.write_text(CONFIG.format(port=port, modules=MODULES, target=target))
    line = [
        PROGRAM,
        "-f",
        str(path),
        "-DD",
        "-E",
        "-Y",
        str(folder),
        "-w",
        str(folder),
        "-m",
        "64",
        "-M",
        "8",
        *(["-A", "WITH_PATH"] if with_path else []),
    ]
    with log.open("w") as out:
        process = subprocess.Popen(line, stdout=out, stderr=out)
    try:
        until = time.monotonic() + WITHIN
        while f":{port:04X} " not in Path("/proc/net/udp").read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.05)
        yield Edge(port, log)
    finally:
        process.terminate()
        process.wait(20)
