"""Kamailio as the peer: registrar with digest (usrloc in memory), and stateful proxy (tm, rr)."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.measure import SERVER_CORE, Unavailable, on_core, settle
from tests.bench.ours import PASSWORD
from tests.live import free_port

BUFFER = 4 * 1024 * 1024

CONFIG = """
debug=1
log_stderror=yes
fork=yes
children=1
disable_tcp=yes
auto_aliases=no
max_while_loops=100000
listen=udp:127.0.0.1:{port}
mpath="{modules}"
loadmodule "kex.so"
loadmodule "tm.so"
loadmodule "tmx.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "siputils.so"
loadmodule "textops.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "htable.so"
loadmodule "auth.so"
modparam("usrloc", "db_mode", 0)
modparam("registrar", "max_expires", 3600)
modparam("htable", "htable", "users=>size=11;")

request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (is_method("REGISTER")) {{
        if (!pv_proxy_authenticate("$td", "$sht(users=>$aU)", "1")) {{ proxy_challenge("$td", "0"); exit; }}
        if ($au != $tU) {{ sl_send_reply("403", "Forbidden"); exit; }}
        consume_credentials();
        save("location");
        exit;
    }}
    if (has_totag()) {{
        if (loose_route()) {{ t_relay(); exit; }}
        if (is_method("ACK")) {{ if (t_check_trans()) t_relay(); exit; }}
        sl_send_reply("404", "Not here");
        exit;
    }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
    t_check_trans();
    record_route();
    $du = "sip:127.0.0.1:{target}";
    t_relay();
}}

event_route[htable:mod-init] {{
    $var(n) = 0;
    while ($var(n) < {users}) {{
        $var(text) = "u" + $var(n) + ":{realm}:{password}";
        $sht(users=>u$var(n)) = $(var(text){{s.md5}});
        $var(n) = $var(n) + 1;
    }}
}}
"""


@dataclass(frozen=True)
class Kamailio:
    """A running one."""

    pid: int
    address: tuple[str, int]


@contextmanager
def kamailio(*, target: int, users: int, realm: str) -> Iterator[Kamailio]:
    """One worker on the server's core, relaying calls to ``target``."""
    program = shutil.which("kamailio") or shutil.which("kamailio", path="/usr/sbin")
    folders = list(Path("/usr/lib").glob("*/kamailio/modules"))
    if program is None or not folders:
        raise Unavailable("Kamailio is not installed")
    port = free_port()
    config = CONFIG.format(
        port=port, modules=folders[0], target=target, users=users, realm=realm, password=PASSWORD
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kamailio.cfg"
        path.write_text(config, encoding="utf-8")
        log = (Path(folder) / "log").open("w+")
        line = [program, "-f", str(path), "-DD", "-E", "-Y", folder, "-w", folder]
        line += ["-b", str(BUFFER), "-O", "1", "-m", "128", "-M", "16"]
        with log:
            with on_core(SERVER_CORE):
                process = subprocess.Popen(line, stdout=log, stderr=log)
            time.sleep(1.0)
            if process.poll() is not None:
                log.seek(0)
                raise Unavailable(f"Kamailio ends at once: {log.read()[-300:]}")
            try:
                settle(process.pid)
                yield Kamailio(process.pid, ("127.0.0.1", port))
            finally:
                process.terminate()
                process.wait(20)
