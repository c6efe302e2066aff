#!/bin/sh
# Installs the programs that judge Ringback: baresip (a softphone) and SIPp. Does nothing where they are.
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
    echo "The tests that need$missing will fail. To install: sudo apt-get install$missing" >&2
fi
