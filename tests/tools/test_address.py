"""Which addresses a request may go to, in whatever spelling they come."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import ToolError
from runner.tools.address import kind_of, literal, may_reach, resolve

pytestmark = pytest.mark.quick

KINDS = [
    ("8.8.8.8", "public"),
    ("100.63.255.255", "public"),
    ("172.32.0.1", "public"),
    ("2606:4700::1111", "public"),
    ("::ffff:8.8.8.8", "public"),
    ("64:ff9b::8.8.8.8", "public"),
    ("10.1.2.3", "private"),
    ("172.16.0.1", "private"),
    ("172.31.255.255", "private"),
    ("192.168.1.1", "private"),
    ("fd00::1", "private"),
    ("fec0::1", "private"),
    ("64:ff9b:1::a00:1", "private"),
    ("127.0.0.1", "loopback"),
    ("127.255.255.254", "loopback"),
    ("::1", "loopback"),
    ("100.64.0.1", "shared"),
    ("100.127.255.255", "shared"),
    ("169.254.169.254", "link-local"),
    ("fe80::1%eth0", "link-local"),
    ("224.0.0.1", "multicast"),
    ("ff02::1", "multicast"),
    ("0.0.0.0", "unspecified"),
    ("0.1.2.3", "unspecified"),
    ("::", "unspecified"),
    ("255.255.255.255", "reserved"),
    ("240.0.0.1", "reserved"),
    ("192.0.2.1", "reserved"),
    ("2001:db8::1", "reserved"),
    # What hides another address inside.
    ("::ffff:127.0.0.1", "loopback"),
    ("::ffff:7f00:1", "loopback"),
    ("::ffff:169.254.169.254", "link-local"),
    ("64:ff9b::127.0.0.1", "loopback"),
    ("64:ff9b::a9fe:a9fe", "link-local"),
    ("::127.0.0.1", "reserved"),
    ("::8.8.8.8", "reserved"),
    ("2002:7f00:1::", "reserved"),
    ("2002:808:808::1", "reserved"),
    ("2001:0:808:808::1", "reserved"),
    ("4000::1", "reserved"),
]


@pytest.mark.parametrize(("text", "kind"), KINDS)
def test_kinds(text: str, kind: str) -> None:
    assert kind_of(ipaddress.ip_address(text)) == kind
    if kind == "public":
        assert may_reach("api.example.com", 443, [text], []) == [text]
    else:
        with pytest.raises(ToolError, match=f"{kind} address"):
            may_reach("api.example.com", 443, [text], [])


@given(st.ip_addresses(v=4))
def test_what_wraps_an_ipv4_address_is_judged_by_it(inner: ipaddress.IPv4Address) -> None:
    for wrap in ("::ffff:0:0", "64:ff9b::"):
        outer = ipaddress.IPv6Address(int(ipaddress.IPv6Address(wrap)) | int(inner))
        assert kind_of(outer) == kind_of(inner)
    if not inner.is_global:
        assert kind_of(inner) != "public"


@given(st.ip_addresses(v=6))
def test_nothing_is_public_that_python_calls_private(address: ipaddress.IPv6Address) -> None:
    if kind_of(address) == "public" and address.ipv4_mapped is None:
        assert address.is_global


@pytest.mark.parametrize(
    "spelling", ["2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "localhost"]
)
def test_other_spellings_of_an_address_come_out_of_the_resolver(spelling: str) -> None:
    """What inet_aton takes for an address is none to us until it is resolved; then it is seen."""
    assert literal(spelling) is None
    with pytest.raises(ToolError, match="loopback address"):
        may_reach(spelling, 80, resolve(spelling, 80), [])


def test_one_bad_address_among_good_ones_is_enough() -> None:
    with pytest.raises(ToolError, match="link-local address"):
        may_reach("x.example", 80, ["8.8.8.8", "::ffff:169.254.169.254"], [])
    with pytest.raises(ToolError, match="no server is called"):
        may_reach("x.example", 80, [], [])
    with pytest.raises(ToolError, match="cannot be read"):
        may_reach("x.example", 80, ["nonsense"], [])


def test_hosts_open_a_name() -> None:
    for name in ("intranet", "INTRANET", "intranet."):
        assert may_reach(name, 80, ["10.0.0.1", "fd00::1"], ["intranet"])
    assert may_reach("intranet", 80, ["100.64.1.1"], ["Intranet."])
    assert may_reach("xn--bcher-kva.example", 80, ["10.0.0.1"], ["Bücher.example"])
    for other in ("intranet.example.com", "x.intranet", "intrane"):
        with pytest.raises(ToolError, match="private address") as refused:
            may_reach(other, 80, ["10.0.0.1"], ["intranet"])
        assert refused.value.hint == f"that is 10.0.0.1; add {other} to its hosts"


@pytest.mark.parametrize(
    "text", ["169.254.169.254", "fe80::1", "0.0.0.0", "224.0.0.1", "240.0.0.1"]
)
def test_a_name_opens_only_networks_of_ones_own(text: str) -> None:
    """An open name that comes to lead to a cloud's keys does not open them."""
    with pytest.raises(ToolError, match="where this tool may not go"):
        may_reach("intranet", 80, [text], ["intranet"])
    assert may_reach("intranet", 80, [text], ["intranet", text]) == [text]


def test_hosts_open_an_address_whatever_leads_there() -> None:
    assert may_reach("printer", 80, ["10.0.0.7"], ["10.0.0.7"])
    assert may_reach("::ffff:10.0.0.7", 80, ["::ffff:10.0.0.7"], ["10.0.0.7"])
    assert may_reach("::1", 80, ["::1"], ["[::1]"])
    assert may_reach("::1", 80, ["::1"], ["::1"])
    with pytest.raises(ToolError):
        may_reach("printer", 80, ["10.0.0.8"], ["10.0.0.7"])


def test_a_port_narrows_what_is_opened() -> None:
    for entry in ("intranet:8080", "10.0.0.7:8080"):
        assert may_reach("intranet", 8080, ["10.0.0.7"], [entry])
        with pytest.raises(ToolError):
            may_reach("intranet", 22, ["10.0.0.7"], [entry])
    assert may_reach("::1", 8080, ["::1"], ["[::1]:8080"])
    with pytest.raises(ToolError):
        may_reach("::1", 22, ["::1"], ["[::1]:8080"])


def test_the_system_is_asked() -> None:
    assert resolve("127.0.0.1", 80) == ["127.0.0.1"]
    with pytest.raises(socket.gaierror):
        resolve("no-such-name.invalid", 80)
