"""One function per server event, named as its type with underscores; each gives a fresh dict."""

from __future__ import annotations
