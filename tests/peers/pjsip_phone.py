"""A PJSIP phone in a process of its own: JSON commands on stdin, JSON events on stdout, one a line.

One thread does everything: it polls PJSIP and looks at stdin in between, so no callback comes on another thread.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
import uuid
from typing import Any

import pjsua2 as pj

STATUS = {0: "none", 1: "active", 2: "local-hold", 3: "remote-hold", 4: "error"}
DIRECTION = {0: "inactive", 1: "sendonly", 2: "recvonly", 3: "sendrecv"}
TRANSPORTS = {
    "udp": pj.PJSIP_TRANSPORT_UDP,
    "tcp": pj.PJSIP_TRANSPORT_TCP,
    "tls": pj.PJSIP_TRANSPORT_TLS,
}


def tell(event: str, **more: Any) -> None:
    print(json.dumps({"event": event, **more}), flush=True)


def is_complete(file: str) -> bool:
    """Whether a WAV file was closed: its header is written last."""
    try:
        with open(file, "rb") as opened:
            header = opened.read(44)
    except FileNotFoundError:
        return False
    return len(header) == 44 and header.startswith(b"RIFF") and header[4:8] != b"\0\0\0\0"


class Call(pj.Call):  # type: ignore[misc]
    def __init__(self, phone: Phone, account: pj.Account, call_id: int, name: int) -> None:
        super().__init__(account, call_id)
        self.phone = phone
        self.name = name
        self.audio: pj.AudioMedia | None = None

    def onCallState(self, prm: Any) -> None:
        info = self.getInfo()
        message = prm.e.body.tsxState.src.rdata.wholeMsg if prm.e.type == pj.PJSIP_EVENT_TSX_STATE else ""
        tell("state", call=self.name, state=info.stateText, status=info.lastStatusCode, message=message)
        if info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            self.phone.gone(self)

    def onCallMediaState(self, prm: Any) -> None:
        info = self.getInfo()  # owns the media
        media = info.media[0]
        more: dict[str, Any] = {"status": STATUS[media.status], "direction": DIRECTION[media.dir]}
        try:
            stream = self.getStreamInfo(0)
        except pj.Error:
            self.audio = None
        else:
            more |= {"codec": stream.codecName, "remote": stream.remoteRtpAddress}
            self.audio = self.getAudioMedia(0)
            self.phone.patch(self)
        tell("media", call=self.name, **more)

    def onDtmfDigit(self, prm: Any) -> None:
        tell("digit", call=self.name, digit=prm.digit)

    def onCallTransferStatus(self, prm: Any) -> None:
        tell("transfer", call=self.name, status=prm.statusCode, final=prm.finalNotify)

    def onCallTransferRequest(self, prm: Any) -> None:
        new = self.phone.add(lambda name: Call(self.phone, self.phone.account, pj.PJSUA_INVALID_ID, name))
        prm.statusCode, prm.newCall = 202, new
        tell("referred", call=self.name, new=new.name, target=prm.dstUri)

    def onCallTsxState(self, prm: Any) -> None:
        if prm.e.type == pj.PJSIP_EVENT_TSX_STATE and prm.e.body.tsxState.type == pj.PJSIP_EVENT_RX_MSG:
            tell("message", call=self.name, text=prm.e.body.tsxState.src.rdata.wholeMsg)


class Account(pj.Account):  # type: ignore[misc]
    def __init__(self, phone: Phone) -> None:
        super().__init__()
        self.phone = phone

    def onRegState(self, prm: Any) -> None:
        tell(
            "registered", status=prm.code, reason=prm.reason, expires=prm.expiration, text=prm.rdata.wholeMsg
        )

    def onIncomingCall(self, prm: Any) -> None:
        call = self.phone.add(lambda name: Call(self.phone, self, prm.callId, name))
        info = call.getInfo()
        tell("incoming", call=call.name, caller=info.remoteUri, text=prm.rdata.wholeMsg)


def with_headers(headers: dict[str, str] | None) -> Any:
    """Parameters that add header fields to the request."""
    parameters = pj.CallOpParam(True)
    for name, value in (headers or {}).items():
        header = pj.SipHeader()
        header.hName, header.hValue = name, value
        parameters.txOption.headers.append(header)
    return parameters


class Phone:
    """The endpoint, one account, its calls."""

    def __init__(self, codecs: list[str]) -> None:
        self.endpoint = endpoint = pj.Endpoint()
        endpoint.libCreate()
        config = pj.EpConfig()
        config.logConfig.level = config.logConfig.consoleLevel = 0
        config.uaConfig.threadCnt = 0
        config.uaConfig.mainThreadOnly = True
        config.uaConfig.maxCalls = 8
        config.medConfig.clockRate = config.medConfig.sndClockRate = 8000
        config.medConfig.noVad = True
        config.medConfig.ecTailLen = 0
        config.medConfig.sndAutoCloseTime = (
            -1
        )  # or the null device may close under a call that has just begun
        endpoint.libInit(config)
        endpoint.audDevManager().setNullDev()
        for codec in endpoint.codecEnum2():
            wanted = codec.codecId.partition("/")[0] in codecs
            endpoint.codecSetPriority(
                codec.codecId, 200 - codecs.index(codec.codecId.partition("/")[0]) if wanted else 0
            )
        self.calls: dict[int, Call] = {}
        self.kept: list[Any] = []
        """What PJSIP still holds pointers to after a call."""
        self.players: dict[int, pj.AudioMediaPlayer] = {}
        self.listening: list[tuple[float, Call, pj.AudioMediaRecorder, str]] = []
        self.closing: list[tuple[float, Call, str]] = []
        self.armed: dict[int, list[pj.AudioMediaRecorder]] = {}
        """Recorders of calls that have no sound yet."""
        self.account: Account | None = None
        self.typed = b""

    # -- calls ---------------------------------------------------------------------------------------------

    def add(self, make: Any) -> Call:
        name = len(self.calls) + len(self.kept) + 1
        call = self.calls[name] = make(name)
        return call

    def gone(self, call: Call) -> None:
        call.audio = None
        for index in reversed(range(len(self.listening))):
            if self.listening[index][1] is call:
                self.finish(index)
        self.kept.append(self.calls.pop(call.name, call))
        self.players.pop(call.name, None)

    def finish(self, index: int) -> None:
        """Let a recorder go: the bridge closes its file at the next tick."""
        _, call, recorder, file = self.listening.pop(index)
        if call.audio is not None:
            call.audio.stopTransmit(recorder)
        self.closing.append((time.monotonic() + 2.0, call, file))

    def patch(self, call: Call) -> None:
        player = self.players.get(call.name)
        if player is not None and call.audio is not None:
            player.startTransmit(call.audio)
        for recorder in self.armed.pop(call.name, ()) if call.audio is not None else ():
            call.audio.startTransmit(recorder)

    # -- commands ------------------------------------------------------------------------------------------

    def do_start(self, *, transport: str, trusts: str = "") -> None:
        config = pj.TransportConfig()
        config.boundAddress = "127.0.0.1"
        config.tlsConfig.verifyServer = bool(trusts)
        config.tlsConfig.CaListFile = trusts
        made = self.endpoint.transportCreate(TRANSPORTS[transport], config)
        self.endpoint.libStart()
        tell("started", address=self.endpoint.transportGetInfo(made).localName)

    def do_account(
        self,
        *,
        user: str,
        password: str,
        domain: str,
        proxy: str,
        expires: int = 600,
        contact: str = "",
        instance: str = "",
    ) -> None:
        config = pj.AccountConfig()
        config.idUri = f"sip:{user}@{domain}"
        config.regConfig.registrarUri = f"sip:{domain}"
        config.regConfig.registerOnAdd = False
        config.regConfig.timeoutSec = expires
        config.regConfig.retryIntervalSec = 0
        config.sipConfig.proxies.append(proxy)
        if password:
            config.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", user, 0, password))
        config.sipConfig.contactForced = contact
        config.mediaConfig.transportConfig.boundAddress = "127.0.0.1"
        config.mediaConfig.srtpUse = 0
        config.natConfig.contactRewriteUse = 0
        # PJSIP makes it of the host's name; here many phones share a host.
        config.natConfig.sipOutboundUse = int(instance != "none")
        config.natConfig.sipOutboundInstanceId = (
            f"<urn:uuid:{instance if len(instance) == 36 else uuid.uuid4()}>"
        )
        config.callConfig.timerUse = pj.PJSUA_SIP_TIMER_INACTIVE
        if self.account is not None:
            self.kept.append(self.account)
        self.account = Account(self)
        self.account.create(config)

    def do_register(self, *, on: bool) -> None:
        assert self.account is not None
        self.account.setRegistration(on)

    def do_call(self, *, to: str, headers: dict[str, str] | None = None) -> None:
        call = self.add(lambda name: Call(self, self.account, pj.PJSUA_INVALID_ID, name))
        tell("calling", call=call.name)
        call.makeCall(to, with_headers(headers))

    def do_answer(self, *, call: int, status: int = 200) -> None:
        parameters = pj.CallOpParam()
        parameters.statusCode = status
        self.calls[call].answer(parameters)

    def do_hangup(self, *, call: int, status: int = 0) -> None:
        parameters = pj.CallOpParam()
        parameters.statusCode = status
        self.calls[call].hangup(parameters)

    def do_transfer(self, *, call: int, to: str, headers: dict[str, str]) -> None:
        self.calls[call].xfer(to, with_headers(headers))

    def do_replace(self, *, call: int, other: int) -> None:
        self.calls[call].xferReplaces(self.calls[other], pj.CallOpParam(True))

    def do_hold(self, *, call: int) -> None:
        self.calls[call].setHold(pj.CallOpParam(True))

    def do_resume(self, *, call: int) -> None:
        parameters = pj.CallOpParam(True)
        parameters.opt.flag = pj.PJSUA_CALL_UNHOLD
        self.calls[call].reinvite(parameters)

    def do_reinvite(self, *, call: int, no_sdp: bool = False) -> None:
        parameters = pj.CallOpParam(True)
        if no_sdp:
            parameters.opt.flag = pj.PJSUA_CALL_NO_SDP_OFFER
        self.calls[call].reinvite(parameters)

    def do_update(self, *, call: int) -> None:
        self.calls[call].update(pj.CallOpParam(True))

    def do_dial(self, *, call: int, digits: str, by_info: bool = False) -> None:
        order = pj.CallSendDtmfParam()
        order.digits = digits
        order.method = pj.PJSUA_DTMF_METHOD_SIP_INFO if by_info else pj.PJSUA_DTMF_METHOD_RFC2833
        self.calls[call].sendDtmf(order)

    def do_play(self, *, call: int, file: str) -> None:
        player = pj.AudioMediaPlayer()
        player.createPlayer(file)
        self.players[call] = player
        self.patch(self.calls[call])

    def do_listen(self, *, call: int, file: str, seconds: float, from_the_first: bool) -> None:
        recorder = pj.AudioMediaRecorder()
        recorder.createRecorder(file)
        talking = self.calls.get(call)
        if talking is None or (talking.audio is None and not from_the_first):
            del recorder
            tell("heard", call=call)
            return
        if talking.audio is not None:
            talking.audio.startTransmit(recorder)
        else:
            self.armed.setdefault(call, []).append(recorder)
        self.listening.append((time.monotonic() + seconds, talking, recorder, file))
        self.listening.sort(key=lambda entry: entry[0])

    def do_received(self, *, call: int) -> None:
        stat = self.calls[call].getStreamStat(0).rtcp
        tell("received", call=call, packets=stat.rxStat.pkt, sent=stat.txStat.pkt)

    # -- the loop -------------------------------------------------------------------------------------------

    def step(self) -> bool:
        """One look at PJSIP, at stdin and at what is recorded; False at the end of stdin."""
        self.endpoint.libHandleEvents(10)
        while self.listening and self.listening[0][0] <= time.monotonic():
            self.finish(0)
        for entry in list(self.closing):
            until, call, file = entry
            if is_complete(file) or until <= time.monotonic():
                self.closing.remove(entry)
                tell("heard", call=call.name)
        while select.select([0], [], [], 0)[0]:
            data = os.read(0, 65536)
            if not data:
                return False
            *lines, self.typed = (self.typed + data).split(b"\n")
            for line in lines:
                self.carry_out(json.loads(line))
        return True

    def carry_out(self, command: dict[str, Any]) -> None:
        name = command.pop("do")
        try:
            getattr(self, f"do_{name}")(**command)
        except pj.Error as problem:
            tell("error", command=name, text=problem.info())
        except KeyError as problem:
            tell("error", command=name, text=f"no call {problem}")


def main() -> None:
    phone = Phone(sys.argv[1].split(","))
    while phone.step():
        pass
    phone.endpoint.libDestroy()
    os._exit(0)  # PJSIP's own clean-up after this would run into Python's


if __name__ == "__main__":
    main()
