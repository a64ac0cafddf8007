"""Token counts in the shape of response.done's usage."""

from __future__ import annotations
