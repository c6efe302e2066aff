#!/bin/sh
# Installs the programs of other people that the tests need. Does nothing where they are.
#   baresip, Linphone    softphones that judge the exchange
#   SIPp                 a SIP test tool that judges it
#   Kamailio             the edge in front of the server, that checks what passes it
#   Wireshark (tshark)   reads what our messages mean to others
#   PostgreSQL           the other database
#   FFmpeg, eSpeak NG    judge decoding; speak languages that the built-in voice does not
set -eu
missing=""
command -v baresip >/dev/null 2>&1 || missing="$missing baresip"
command -v linphonec >/dev/null 2>&1 || missing="$missing linphone-cli"
command -v sipp >/dev/null 2>&1 || missing="$missing sip-tester"
command -v kamailio >/dev/null 2>&1 || [ -x /usr/sbin/kamailio ] || missing="$missing kamailio"
command -v tshark >/dev/null 2>&1 || missing="$missing tshark"
command -v ffmpeg >/dev/null 2>&1 || missing="$missing ffmpeg"
command -v espeak-ng >/dev/null 2>&1 || missing="$missing espeak-ng"
command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing$missing ..."
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "The tests that need$missing will fail or be skipped. To install: sudo apt-get install$missing" >&2
fi
