"""The telephone in a conversation: keys that are pressed, and callers who are put through."""

from __future__ import annotations

from runner.core.calls import Calls
from runner.core.effects import TransferCall
from runner.core.events import Dtmf, Transfer
from runner.core.keys import Wanted

NOTHING_PRESSED = "The caller pressed no key."
SPOKE_INSTEAD = "The caller spoke instead of pressing keys."
ANOTHER = "Another tool collects digits now."


def pressed(keys: str) -> str:
    """A turn of the caller by telephone keys, as the model is told of it."""
    return f"[The caller pressed {keys} on the telephone.]"


def stays(words: str) -> str:
    return (
        f"[The caller could not be put through: {words}. "
        "Tell the caller so in one short sentence, and offer your help.]"
    )


class Dialled(Calls):
    # -- keys ------------------------------------------------------------------------------
    def _press(self, key: str, now: float) -> None:
        """A key is a word of the caller: it cuts what may be cut, and calls a farewell off."""
        self._out.tell(Dtmf(key))
        self._ending.call_off()
        self._silence.words()
        if self._sounding() and not self._uncut():
            self._stop_answer()
        self._keys.press(key, now)

    def _collect(self, wanted: Wanted, now: float) -> None:
        before = self._keys.wanted
        if before is not None:
            self._collected(before.call_id, ANOTHER)
        self._keys.collect(wanted, now)

    def _pump_keys(self, now: float) -> None:
        if self._sounding():
            self._keys.wait(now)
        wanted, keys = self._keys.wanted, self._keys.due(now)
        if keys is None:
            return
        self._keys.take()
        if wanted is not None:
            self._collected(wanted.call_id, keys or NOTHING_PRESSED)
        elif self._out.online or self._away:
            self._message("user", [{"type": "input_text", "text": pressed(keys)}])
            self._turns.ask(now)
            self._responses.add("auto")

    def _spoke_instead(self) -> None:
        """Words came where digits were wanted: the server answers those by itself."""
        wanted = self._keys.wanted
        if wanted is not None:
            keys = self._keys.take()
            output = f"{SPOKE_INSTEAD} Before that: {keys}" if keys else SPOKE_INSTEAD
            answers = not self._turn_detection("create_response")
            self._collected(wanted.call_id, output, respond=answers)

    def _collected(self, call_id: str, output: str, *, respond: bool = True) -> None:
        call = self._ledger.open(call_id)
        if call is not None and self._answer(call, output, respond=respond):
            self._tool_ended(call, output)

    # -- put through -----------------------------------------------------------------------
    def _put_through(self, uri: str) -> None:
        self._leaving_to = uri
        self._out.tell(Transfer(uri))
        self._out.add(TransferCall(uri))

    def _stay(self, words: str) -> None:
        uri, self._leaving_to = self._leaving_to, ""
        self._out.tell(Transfer(uri, words))
        self._message("system", [{"type": "input_text", "text": stays(words)}])
        self._responses.add("auto")
