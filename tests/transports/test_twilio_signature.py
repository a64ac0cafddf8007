"""X-Twilio-Signature, by Twilio's own worked example."""

from __future__ import annotations

import pytest

from runner.transports.twilio_signature import twilio_signature, twilio_signed

pytestmark = pytest.mark.quick

URL = "https://example.com/myapp.php?foo=1&bar=2"
FORM = b"Digits=1234&To=%2B18005551212&From=%2B14158675310&Caller=%2B14158675310"
FORM += b"&CallSid=CA1234567890ABCDE"
#: Of Twilio's page on the security of webhooks, with the token 12345.
SIGNATURE = "L/OH5YylLD5NRKLltdqwSvS0BnU="


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


@pytest.mark.parametrize(
    "url",
    [
        "https://voice.example.com/twilio",
        "wss://voice.example.com/twilio",
        "wss://voice.example.com/twilio/",
        "https://voice.example.com:443/twilio",
    ],
)
def test_a_socket_is_signed_under_several_names(url: str) -> None:
    """A proxy ends TLS, and Twilio names the port and the scheme as it likes."""
    assert twilio_signed("t", twilio_signature("t", url), "wss://voice.example.com/twilio")
    port = "wss://voice.example.com:8443/twilio"
    assert twilio_signed("t", twilio_signature("t", url.replace(":443", ""), ()), port)
    assert not twilio_signed("t", twilio_signature("t", url), "wss://voice.example.org/twilio")


def test_fields_in_any_order_and_twice() -> None:
    mine = twilio_signature("t", "https://x.example/", [("b", "2"), ("a", "1"), ("a", "1")])
    assert twilio_signed("t", mine, "https://x.example/", b"a=1&b=2")
    assert not twilio_signed("t", mine, "https://x.example/", b"a=1&b=3")
