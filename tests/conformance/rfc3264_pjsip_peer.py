"""A PJSIP phone in a process of its own: commands on stdin (call URI, hold, resume, quit), events as JSON lines."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import pjsua2 as pj

STATUS = {0: "none", 1: "active", 2: "local-hold", 3: "remote-hold", 4: "error"}
DIRECTION = {0: "inactive", 1: "sendonly", 2: "recvonly", 3: "sendrecv"}


def tell(**event: Any) -> None:
    print(json.dumps(event), flush=True)


class Call(pj.Call):  # type: ignore[misc]
    def onCallState(self, prm: Any) -> None:
        info = self.getInfo()
        tell(event="state", state=info.stateText, status=info.lastStatusCode)

    def onCallMediaState(self, prm: Any) -> None:
        info = self.getInfo()  # owns the media
        media = info.media[0]
        event = {"event": "media", "status": STATUS[media.status], "direction": DIRECTION[media.dir]}
        try:
            stream = self.getStreamInfo(0)
        except pj.Error:
            pass
        else:
            event |= {"codec": stream.codecName, "remote": stream.remoteRtpAddress, "sends": stream.txPt}
        tell(**event)


class Account(pj.Account):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.call: Call | None = None

    def onIncomingCall(self, prm: Any) -> None:
        self.call = Call(self, prm.callId)
        answer = pj.CallOpParam()
        answer.statusCode = 200
        self.call.answer(answer)


def main() -> None:
    endpoint = pj.Endpoint()
    endpoint.libCreate()
    config = pj.EpConfig()
    config.logConfig.level = config.logConfig.consoleLevel = 0
    endpoint.libInit(config)
    endpoint.audDevManager().setNullDev()
    transport = pj.TransportConfig()
    transport.port = 0
    transport.boundAddress = "127.0.0.1"
    address = endpoint.transportGetInfo(endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)).localName
    endpoint.libStart()
    account_config = pj.AccountConfig()
    account_config.idUri = f"sip:phone@{address}"
    account_config.mediaConfig.transportConfig.boundAddress = "127.0.0.1"
    account = Account()
    account.create(account_config)
    tell(event="ready", address=address)
    for line in sys.stdin:
        command, _, argument = line.strip().partition(" ")
        parameters = pj.CallOpParam(True)
        if command == "call":
            account.call = Call(account)
            account.call.makeCall(argument, parameters)
        elif command == "hold" and account.call is not None:
            account.call.setHold(parameters)
        elif command == "resume" and account.call is not None:
            parameters.opt.flag = pj.PJSUA_CALL_UNHOLD
            account.call.reinvite(parameters)
        elif command == "quit":
            break
    os._exit(0)  # no goodbyes: the far end of the call has gone


if __name__ == "__main__":
    main()
