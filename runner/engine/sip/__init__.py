"""The engine on the telephone: signalling here, sound in ``media``."""
