"""A telephone on PJSIP (the package pjsua2-python), to be run as a process of its own.

Arguments: the SIP URI to call, the WAV file to write what is heard into, and ``srtp`` for a call
that must be ciphered. Commands come on standard input, one JSON list a line (``["say", FILE]``,
``press``, ``hold``, ``unhold``, ``hang_up``); what happens goes to standard output, one JSON list a
line: ``["state", NAME, STATUS]``, ``["media"]``, ``["said"]``, ``["transfer", URI]``.
"""

from __future__ import annotations

import json
import os
import select
import sys
from typing import Any

import pjsua2 as pj


def tell(*what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


class Player(pj.AudioMediaPlayer):
    def onEof2(self) -> None:
        tell("said")


class Phone(pj.Call):
    def __init__(self, account: Any, out: str, calls: list[Phone]) -> None:
        super().__init__(account)
        self.account = account
        self.out = out
        self.calls = calls
        calls.append(self)
        self.recorder: Any = None
        self.audio: Any = None
        self.players: list[Any] = []
        self.over = False
        self.ready = False

    def onCallState(self, prm: Any) -> None:
        info = self.getInfo()
        tell("state", info.stateText, info.lastStatusCode)
        self.over = info.state == pj.PJSIP_INV_STATE_DISCONNECTED

    def onCallMediaState(self, prm: Any) -> None:
        self.ready = True  # ports are joined outside of the callback

    def onCallTransferRequest(self, prm: Any) -> None:
        tell("transfer", prm.dstUri.strip("<>"))
        prm.newCall = Phone(self.account, self.out + ".second.wav", self.calls)
        prm.statusCode = 202

    def join(self) -> None:
        self.ready = False
        info = self.getInfo()  # must outlive the loop over its media
        for index, media in enumerate(info.media):
            if media.type == pj.PJMEDIA_TYPE_AUDIO and self.getMedia(index):
                self.audio = pj.AudioMedia.typecastFromMedia(self.getMedia(index))
                if self.recorder is None:
                    self.recorder = pj.AudioMediaRecorder()
                    self.recorder.createRecorder(self.out)
                if media.status == pj.PJSUA_CALL_MEDIA_ACTIVE:
                    self.audio.startTransmit(self.recorder)
        tell("media")

    def say(self, file: str) -> None:
        player = Player()
        player.createPlayer(file, pj.PJMEDIA_FILE_NO_LOOP)
        player.startTransmit(self.audio)
        self.players.append(player)


def command(call: Phone, name: str, *words: str) -> None:
    prm = pj.CallOpParam(True)
    match name:
        case "say":
            call.say(*words)
        case "press":
            call.dialDtmf(*words)
        case "hold":
            call.setHold(prm)
        case "unhold":
            prm.opt.flag = pj.PJSUA_CALL_UNHOLD
            call.reinvite(prm)
        case "hang_up":
            call.hangup(prm)


def main(uri: str, out: str, *more: str) -> None:
    endpoint = pj.Endpoint()
    endpoint.libCreate()
    config = pj.EpConfig()
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    config.logConfig.level = config.logConfig.consoleLevel = 0
    config.medConfig.noVad = True
    endpoint.libInit(config)
    endpoint.audDevManager().setNullDev()
    transport = pj.TransportConfig()
    transport.boundAddress = "127.0.0.1"
    kind = pj.PJSIP_TRANSPORT_TLS if "transport=tls" in uri else pj.PJSIP_TRANSPORT_UDP
    if "transport=tcp" in uri:
        kind = pj.PJSIP_TRANSPORT_TCP
    endpoint.transportCreate(kind, transport)
    endpoint.libStart()
    account_config = pj.AccountConfig()
    account_config.idUri = "sip:ann@127.0.0.1"
    account_config.mediaConfig.transportConfig.boundAddress = "127.0.0.1"
    if "srtp" in more:
        account_config.mediaConfig.srtpUse = pj.PJMEDIA_SRTP_MANDATORY
        account_config.mediaConfig.srtpSecureSignaling = 0
    account = pj.Account()
    account.create(account_config)
    calls: list[Phone] = []
    Phone(account, out, calls).makeCall(uri, pj.CallOpParam(True))
    while not all(call.over for call in calls):
        endpoint.libHandleEvents(20)
        for call in calls:
            if call.ready:
                call.join()
        while select.select([sys.stdin], [], [], 0)[0]:
            line = sys.stdin.readline()
            if not line:
                os._exit(1)  # whoever drove it is gone
            command(calls[-1], *json.loads(line))
    # PJSIP aborts when Python takes its objects down in the wrong order; the recorder has its
    # file written when it is gone.
    for call in calls:
        call.players.clear()
        call.recorder = None
    sys.stdout.flush()
    os._exit(0)


main(*sys.argv[1:])
