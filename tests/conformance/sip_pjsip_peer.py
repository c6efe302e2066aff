"""A PJSIP user agent in a process of its own: JSON commands on stdin, JSON events on stdout, one a line."""

from __future__ import annotations

import json
import os
import select
import sys
from typing import Any

import pjsua2 as pj

PRACK = {
    "no": pj.PJSUA_100REL_NOT_USED,
    "optional": pj.PJSUA_100REL_OPTIONAL,
    "must": pj.PJSUA_100REL_MANDATORY,
}
TIMERS = {
    "no": pj.PJSUA_SIP_TIMER_INACTIVE,
    "optional": pj.PJSUA_SIP_TIMER_OPTIONAL,
    "must": pj.PJSUA_SIP_TIMER_REQUIRED,
    "always": pj.PJSUA_SIP_TIMER_ALWAYS,
}


def tell(event: str, **more: Any) -> None:
    print(json.dumps({"event": event, **more}), flush=True)


class Call(pj.Call):  # type: ignore[misc]
    def onCallState(self, prm: Any) -> None:
        info = self.getInfo()
        tell("state", state=info.stateText, status=info.lastStatusCode, reason=info.lastReason)

    def onCallMediaState(self, prm: Any) -> None:
        info = self.getInfo()  # owns the media
        tell("media", status=info.media[0].status, direction=info.media[0].dir)

    def onCallTsxState(self, prm: Any) -> None:
        if prm.e.type == pj.PJSIP_EVENT_TSX_STATE and prm.e.body.tsxState.type == pj.PJSIP_EVENT_RX_MSG:
            tell("message", text=prm.e.body.tsxState.src.rdata.wholeMsg)

    def onCallTransferRequest(self, prm: Any) -> None:
        tell("refer", target=prm.dstUri)
        prm.statusCode = 202
        prm.newCall = self.peer.new_call()

    def onCallTransferStatus(self, prm: Any) -> None:
        tell("transferred", status=prm.statusCode, reason=prm.reason, final=prm.finalNotify)

    peer: Peer


class Account(pj.Account):  # type: ignore[misc]
    peer: Peer

    def onIncomingCall(self, prm: Any) -> None:
        call = self.peer.add(prm.callId)
        tell("incoming", call=self.peer.calls.index(call), text=prm.rdata.wholeMsg)

    def onRegState(self, prm: Any) -> None:
        tell("registered", status=prm.code, text=prm.rdata.wholeMsg)


class Peer:
    def __init__(self, options: dict[str, Any]) -> None:
        self.endpoint = endpoint = pj.Endpoint()
        endpoint.libCreate()
        config = pj.EpConfig()
        config.logConfig.level = config.logConfig.consoleLevel = 0
        config.uaConfig.threadCnt = 0
        config.uaConfig.mainThreadOnly = True
        endpoint.libInit(config)
        endpoint.audDevManager().setNullDev()
        self.host = "127.0.0.1"
        transport = pj.TransportConfig()
        transport.boundAddress = self.host
        names = {"udp": pj.PJSIP_TRANSPORT_UDP, "tcp": pj.PJSIP_TRANSPORT_TCP}
        made = endpoint.transportCreate(names[options.get("transport", "udp")], transport)
        endpoint.libStart()
        self.address = endpoint.transportGetInfo(made).localName
        self.calls: list[Call] = []
        self.account = Account()
        self.account.peer = self
        self.account.create(self.config(options, made))
        self.typed = b""

    def config(self, options: dict[str, Any], transport: int) -> Any:
        config = pj.AccountConfig()
        user, domain = options.get("user", "peer"), options.get("domain", self.address)
        config.idUri = f"sip:{user}@{domain}"
        config.sipConfig.transportId = transport
        if options.get("registrar"):
            config.regConfig.registrarUri = options["registrar"]
            config.regConfig.registerOnAdd = False
            config.regConfig.timeoutSec = 600
            config.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", user, 0, options["password"]))
            config.natConfig.sipOutboundUse = 1
            config.natConfig.contactRewriteUse = 0
        config.mediaConfig.transportConfig.boundAddress = self.host
        config.callConfig.prackUse = PRACK[options.get("prack", "no")]
        config.callConfig.timerUse = TIMERS[options.get("timer", "no")]
        config.callConfig.timerMinSESec = options.get("min_se", 90)
        config.callConfig.timerSessExpiresSec = options.get("expires", 90)
        return config

    def add(self, number: int) -> Call:
        call = Call(self.account, number)
        call.peer = self
        self.calls.append(call)
        return call

    def new_call(self) -> Call:
        return self.add(pj.PJSUA_INVALID_ID)

    def carry_out(self, command: dict[str, Any]) -> None:
        name = command.pop("do")
        parameters = pj.CallOpParam(True)
        call = self.calls[command.get("call", 0)] if self.calls else None
        try:
            if name == "call":
                self.new_call().makeCall(command["to"], parameters)
            elif name == "register":
                self.account.setRegistration(True)
            elif call is None:
                tell("error", text="no call")
            elif name == "answer":
                parameters = pj.CallOpParam()
                parameters.statusCode = command["status"]
                call.answer(parameters)
            elif name == "update":
                call.update(parameters)
            elif name == "hold":
                call.setHold(parameters)
            elif name == "reinvite":
                call.reinvite(parameters)
            elif name == "transfer":
                call.xfer(command["to"], parameters)
            elif name == "replace":
                call.xferReplaces(self.calls[command["other"]], parameters)
            elif name == "hangup":
                call.hangup(pj.CallOpParam())
        except pj.Error as problem:
            tell("error", command=name, text=problem.info())

    def step(self) -> bool:
        self.endpoint.libHandleEvents(10)
        while select.select([0], [], [], 0)[0]:
            data = os.read(0, 65536)
            if not data:
                return False
            *lines, self.typed = (self.typed + data).split(b"\n")
            for each in lines:
                self.carry_out(json.loads(each))
        return True


def main() -> None:
    peer = Peer(json.loads(sys.argv[1]))
    tell("ready", address=peer.address)
    while peer.step():
        pass
    os._exit(0)  # no goodbyes: the far end of the call has gone


if __name__ == "__main__":
    main()
