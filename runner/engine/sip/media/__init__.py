"""A call's sound: what was agreed in SDP, and RTP both ways."""
