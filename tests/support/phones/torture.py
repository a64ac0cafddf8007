"""The points of RFC 4475 (torture messages), each as a message of our own with what is answered."""

from __future__ import annotations

HEAD = {
    "via": "SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKt;rport",
    "max-forwards": "70",
    "from": "<sip:ann@192.0.2.9>;tag=t",
    "to": "<sip:agent@127.0.0.1>",
    "call-id": "torture",
    "contact": "<sip:ann@192.0.2.9:5070>",
}


def message(method: str, start: str = "", body: str = "", **changes: str) -> bytes:
    """A request with fields replaced, removed (empty) or added; ``start``: its first line."""
    fields = HEAD | {"cseq": f"1 {method}", "content-length": str(len(body))}
    fields |= {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [start or f"{method} sip:agent@127.0.0.1 SIP/2.0"]
    lines += [f"{name}: {value}" for name, value in fields.items() if value]
    return ("\r\n".join([*lines, "", ""]) + body).encode(errors="surrogateescape")


#: 3.1.1.1: a short and crooked INVITE, with everything that the grammar lets pass.
CROOKED = (
    b"INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\r\n"
    b"TO :\r\n sip:vivekg@chair-dnrc.example.com ;   tag    = \r\n"
    b"from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\r\n"
    b"  ;\r\n  tag = 98asjd8\r\n"
    b"MaX-fOrWaRdS: 0068\r\nCall-ID: wsinv.ndaksdj@192.0.2.1\r\n"
    b"Content-Length   : 5\r\ncseq: 0009\r\n  INVITE\r\n"
    b"Via  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;rport;branch=390skdjuw\r\ns :\r\n"
    b"NewFangledHeader:   newfangled value\r\n continued newfangled value\r\n"
    b"UnknownHeaderWithUnusualValue: ;;,,;;,;\r\nContent-Type: application/sdp\r\n"
    b"Route:\r\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\r\n"
    b"v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n"
    b" SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bK30239\r\n"
    b"m:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =\r\n      newvalue ;\r\n"
    b"  secondparam ; q = 0.33\r\n\r\nv=0\r\n"
)  # fmt: skip
STRANGE = "!interesting-Method0123456789_*+`.%indeed'~"

#: Name, message, what is answered. A call that rings gets 100.
MESSAGES = [
    ("an unusual method, all signs of a token", message(STRANGE), [405]),
    ("escaped signs in addresses",
     message("INVITE", "INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0",
             to="sip:%75se%72@example.com"), [100]),
    ("escaped nulls", message("OPTIONS", to="<sip:null-%00-null@example.com>"), [200]),
    ("a method with a percent sign", message("RE%47IST%45R"), [405]),
    ("no space before the bracket", message("OPTIONS", **{"from": "caller<sip:c@x>;tag=3"}), [200]),
    ("long values", message("INVITE", unknown_long="long-" * 2000, user="x" * 4000,
                            **{"from": f"<sip:{'c' * 900}@x>;tag={'t' * 500}"}), [100]),
    ("a second message behind the first", message("OPTIONS") + message("BYE"), [200]),
    ("a semicolon in the user part",
     message("OPTIONS", "OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0"), [200]),
    ("transports of all sorts", message(
        "OPTIONS", via="SIP/2.0/UDP t1;branch=z9hG4bKk, SIP/2.0/SCTP t2, SIP/2.0/ODD t5"), [200]),
    ("parts of several kinds", message("MESSAGE", body="--x\r\n\r\n--x--",
                                       content_type="multipart/mixed;boundary=x"), [405]),
    ("a body shorter than it says", message("INVITE", body="v=0", content_length="9999"), [400]),
    ("a length below zero", message("INVITE", content_length="-999"), [400]),
    ("numbers that are too large", message("OPTIONS", cseq="36893488147419103232 OPTIONS"), [400]),
    ("more hops than a byte holds", message("OPTIONS", max_forwards="300"), [400]),
    ("an address in brackets", message("INVITE", "INVITE <sip:user@example.com> SIP/2.0"), [400]),
    ("a space in the address", message("INVITE", "INVITE sip:user@example.com; lr SIP/2.0"), [400]),
    ("too many spaces in the first line", message("INVITE", "INVITE  sip:a@b  SIP/2.0"), [100]),
    ("spaces behind the first line", message("OPTIONS", "OPTIONS sip:a@b SIP/2.0  "), [200]),
    ("headers in the address",
     message("INVITE", "INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0"), [100]),
    ("a date that is none", message("INVITE", date="Fri, 01 Jan 2010 16:00:00 EST"), [100]),
    ("a name with a comma and no quotes",
     message("OPTIONS", **{"from": "Bell, Alexander <sip:a@b>;tag=43"}), [200]),
    ("quotes that are never closed", message("INVITE", to='"J. User <sip:j@example.com>'), [100]),
    ("separators without values", message("INVITE", contact='"Joe" <sip:joe@x.org>;;;;'), [100]),
    ("a version that is not ours", message("OPTIONS", "OPTIONS sip:a@b SIP/7.0"), [505]),
    ("two methods in one", message("OPTIONS", cseq="8 INVITE"), [400]),
    ("an unknown method under another's name", message("NEWMETHOD", cseq="8 INVITE"), [400]),
    ("fields that may not be missing",
     message("INVITE", to="", **{"from": "", "call-id": ""}), [400]),
    ("an unknown scheme",
     message("INVITE", "INVITE nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0"), [416]),
    ("a known scheme that is no phone's",
     message("OPTIONS", "OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0"), [416]),
    ("a number for an address", message("INVITE", "INVITE tel:+15550100 SIP/2.0"), [100]),
    ("extensions that nobody has", message("OPTIONS", require="nobodyHasThis, nor_This"), [420]),
    ("extensions for proxies", message("OPTIONS", proxy_require="nothingSupportsThis"), [200]),
    ("a body of an unknown kind",
     message("INVITE", body="<audio/>", content_type="application/unknownformat"), [415]),
    ("a packed body", message("INVITE", body="x", content_type="application/sdp",
                              content_encoding="gzip"), [415]),
    ("single fields twice", message("INVITE", f="<sip:other@x>;tag=2", i="twice"), [400]),
    ("two lengths", message("OPTIONS", l="3"), [400]),
    ("no hop left, at the end of the way", message("OPTIONS", max_forwards="0"), [200]),
    ("a caller of RFC 2543", message("INVITE", via="SIP/2.0/UDP iftgw.example.com", max_forwards="",
                                     **{"from": "<sip:+13035551111@ift.example.net>"}), [100]),
    ("a name in Latin-1", message("INVITE", **{"from": '"M\udcfcller" <sip:m@x>;tag=l'}), [100]),
    ("an INVITE of another call", message("INVITE", to="<sip:agent@127.0.0.1>;tag=never"), [481]),
    ("answers to nobody", b"SIP/2.0 200 OK\r\n" + message("X").partition(b"\r\n")[2], []),
    ("an answer with a huge status",
     b"SIP/2.0 4294967301 better not\r\n" + message("X").partition(b"\r\n")[2], []),
    ("an answer without a reason", b"SIP/2.0 100\r\n" + message("X").partition(b"\r\n")[2], []),
]  # fmt: skip
