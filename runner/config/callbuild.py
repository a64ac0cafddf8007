"""`calls:` and `records:` of a valid document -> the rules for phone calls, and what is kept of
calls. Standard library alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.config.units import seconds
from runner.model import phone
from runner.model.records import Records, Webhook
from runner.model.secret import Secret, revealed


def rules(given: Any) -> tuple[phone.CallRule, ...]:
    """`calls:` of a valid document."""
    return tuple(
        phone.CallRule(
            to=texts_of(rule.get("to")),
            sender=texts_of(rule.get("from")),
            headers=rule.get("headers") or {},
            hours=phone.hours(rule["hours"]) if "hours" in rule else None,
            answer=rule.get("answer", ""),
            reject=rule.get("reject"),
            transfer=rule.get("transfer", ""),
        )
        for rule in given or ()
    )


def texts_of(given: Any) -> tuple[str, ...]:
    """A text, or a list of them."""
    if isinstance(given, str):
        return (given,)
    given = given if isinstance(given, list) else ()
    return tuple(item for item in given if isinstance(item, str))


def records(given: Mapping[str, Any]) -> Records:
    """`records:` of a valid document."""
    return Records(
        transcript=given.get("transcript", ""),
        audio=given.get("audio", ""),
        redact=tuple(given.get("redact") or ()),
        keep=seconds(given["keep"]) if given.get("keep") else None,
        webhook=_webhook(given.get("webhook")),
    )


def _webhook(given: Any) -> Webhook | None:
    given = given if isinstance(given, Mapping) else {"url": given}
    url, secret = _secret(given.get("url")), _secret(given.get("secret"))
    return Webhook(url, secret, tuple(map(revealed, given.get("hosts") or ()))) if url else None


def _secret(given: Any) -> Secret:
    return given if isinstance(given, Secret) else Secret(given or "")
