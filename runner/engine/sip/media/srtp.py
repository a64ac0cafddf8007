"""SRTP with keys out of the SDP, by libsrtp (the package pylibsrtp, which comes with aiortc)."""

from __future__ import annotations

from runner.engine.sip.media.negotiate import Srtp


class Cipher:
    """Both ways of one call. Losing or forging a packet spoils none of the others."""

    def __init__(self, keys: Srtp) -> None:
        from pylibsrtp import Error, Policy, Session

        profile = {
            "AES_CM_128_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
            "AES_CM_128_HMAC_SHA1_32": Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
        }[keys.suite]
        self.keys = keys
        self._out = Session(Policy(keys.ours, Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile))
        self._in = Session(Policy(keys.theirs, Policy.SSRC_ANY_INBOUND, srtp_profile=profile))
        self._error = Error

    def protect(self, packet: bytes) -> bytes:
        return self._out.protect(packet)

    def unprotect(self, packet: bytes) -> bytes | None:
        """None: forged, replayed, or of another key."""
        try:
            return self._in.unprotect(packet)
        except (self._error, ValueError):
            return None

    def change(self, keys: Srtp) -> Cipher:
        """For the keys of a second exchange: what did not change goes on counting."""
        if keys == self.keys:
            return self
        other = Cipher(keys)
        if (keys.ours, keys.suite) == (self.keys.ours, self.keys.suite):
            other._out = self._out
        if (keys.theirs, keys.suite) == (self.keys.theirs, self.keys.suite):
            other._in = self._in
        return other
