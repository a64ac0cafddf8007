"""Hearing: voice activity, turns, recognition."""
