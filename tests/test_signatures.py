"""Who may ask a Worker: Standard Webhooks, by their own worked example."""

from __future__ import annotations

import time

import pytest
from openai import OpenAI

from runner.signatures import webhook_signature, webhook_signed

pytestmark = pytest.mark.quick

#: Of the specification of Standard Webhooks.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SIGNED = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
BODY = b'{"test": 2432232314}'


def test_standard_webhooks_own_example() -> None:
    hook, stamp = "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330"
    now = float(stamp)
    assert webhook_signed(SECRET, hook, stamp, SIGNED, BODY, now)
    assert webhook_signed(SECRET, hook, stamp, f"v1,other {SIGNED}", BODY, now + 299)
    assert not webhook_signed(SECRET, hook, stamp, SIGNED, BODY, now + 301)
    assert not webhook_signed(SECRET, hook, stamp, SIGNED, BODY, now - 301)
    assert not webhook_signed(SECRET, "msg_other", stamp, SIGNED, BODY, now)
    assert not webhook_signed(SECRET, hook, stamp, SIGNED.replace("v1", "v2"), BODY, now)
    assert not webhook_signed(SECRET, hook, "soon", SIGNED, BODY, now)
    assert not webhook_signed(SECRET, hook, stamp, SIGNED, BODY + b" ", now)


@pytest.mark.parametrize("secret", [SECRET, "plain text", "abcd1234"])
def test_what_is_signed_is_taken_by_openai_s_own_package(secret: str) -> None:
    """Also with a secret that only looks like base64."""
    stamp = str(int(time.time()))
    signature = webhook_signature(secret, "evt_1", stamp, BODY)
    headers = {"webhook-id": "evt_1", "webhook-timestamp": stamp, "webhook-signature": signature}
    OpenAI(api_key="x").webhooks.verify_signature(BODY, headers, secret=secret)
    assert webhook_signed(secret, "evt_1", stamp, signature, BODY, float(stamp))
