#!/bin/sh
# Installs what `make bench` measures against. Does nothing where it is; a line without its peer says so.
#   SIPp             the load           Kamailio    registrar and stateful proxy
#   rtpengine        media relay        Sippy       B2BUA, in an environment of its own (tests/bench/.peers)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
missing=""
command -v sipp >/dev/null 2>&1 || missing="$missing sip-tester"
command -v kamailio >/dev/null 2>&1 || missing="$missing kamailio"
command -v rtpengine >/dev/null 2>&1 || missing="$missing rtpengine-daemon"
command -v cc >/dev/null 2>&1 || missing="$missing gcc libc6-dev"
command -v taskset >/dev/null 2>&1 || missing="$missing util-linux"
if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "Installing$missing ..."
        apt-get update -qq
        # Nothing is started as a service: the bench runs each program itself.
        RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
    else
        echo "Lines that need$missing will be left out. To install: sudo apt-get install$missing" >&2
    fi
fi
if [ ! -x "$here/.peers/bin/b2bua_simple" ]; then
    ${PYTHON:-python3} -m venv "$here/.peers"
    "$here/.peers/bin/pip" install --quiet --disable-pip-version-check sippy 2>/dev/null ||
        echo "Sippy cannot be installed; its line will be left out." >&2
fi
