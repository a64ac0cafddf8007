"""Who may ask a Worker: Twilio's signature by its own worked example, and Standard Webhooks'."""

from __future__ import annotations

import pytest

from runner.worker.signatures import twilio_signed, webhook_signed

pytestmark = pytest.mark.quick

URL = "https://example.com/myapp.php?foo=1&bar=2"
FORM = b"Digits=1234&To=%2B18005551212&From=%2B14158675310&Caller=%2B14158675310"
FORM += b"&CallSid=CA1234567890ABCDE"
#: Of Twilio's page on the security of webhooks, with the token 12345.
SIGNATURE = "L/OH5YylLD5NRKLltdqwSvS0BnU="
#: Of the specification of Standard Webhooks.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SIGNED = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
BODY = b'{"test": 2432232314}'


def test_twilio_s_own_example() -> None:
    assert twilio_signed("12345", SIGNATURE, URL, FORM)


@pytest.mark.parametrize(
    ("token", "signature", "url", "body"),
    [
        ("12346", SIGNATURE, URL, FORM),
        ("12345", "", URL, FORM),
        ("12345", SIGNATURE, URL + "3", FORM),
        ("12345", SIGNATURE, URL, FORM + b"&more=1"),
        ("12345", "\u00fc", URL, FORM),
    ],
)
def test_what_twilio_did_not_sign(token: str, signature: str, url: str, body: bytes) -> None:
    assert not twilio_signed(token, signature, url, body)


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
