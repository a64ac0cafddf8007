"""HTTP by the standard library: the official clients take a second to import."""

from __future__ import annotations

import urllib.request
from typing import Any


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """What is sent, a key first of all, goes to no other address than the one that was named."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None
