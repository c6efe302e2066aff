#!/bin/sh
# Installs the programs that judge Ringback in tests/interop: baresip, SIPp, a C compiler, venv and make come before.
set -eu
missing=""
command -v baresip >/dev/null 2>&1 || missing="$missing baresip"
command -v sipp >/dev/null 2>&1 || missing="$missing sip-tester"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing$missing ..."
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "Not root, or no apt-get: tests that need$missing will fail. Install with: sudo apt-get install$missing" >&2
    exit 1
fi
