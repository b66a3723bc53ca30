"""Paths, headers and requests in two meanings, through a real nginx and `sunseo gate`.

What tests/acceptance/test_gate_nginx.py asks one by one, this asks in bulk and over raw sockets:
bent addresses in every spelling, requests hidden in requests, old and strange HTTP.
"""

import re
import time
from itertools import product

import pytest

from sunseo.gate.policy import BypassRules, GateRequest, Policy
from tests.acceptance.gate_wire import cookie
from tests.acceptance.test_gate_nginx import SECRET, Site, site
from tests.attacks.attacker import say
from tests.gate_room import T0

__all__ = ["site"]

BEGUN_S = time.monotonic()
LET_IN = b'"method"'
"""Of the guarded site's answers: only it says so."""

STEPS = ("..", "%2e%2e", ".%2e", "%252e%252e", "..;", "..%00", "..%20", "%c0%ae%c0%ae", "..%ff")
SLASHES = ("/", "//", "%2f", "%252f", "\\", "%5c", "/./", ";/", "/%20/")
OPENERS = ("/static", "/STATIC", "/%73tatic", "/static;x", "/static%00", "/./static", "//static")


@pytest.fixture(autouse=True)
def talking_room(site: Site) -> None:
    """The room's time goes on, so that the gate never takes its silence for an outage."""
    site.room.now_ms = T0 + round((time.monotonic() - BEGUN_S) * 1000)


def raw(line: str, *headers: str) -> bytes:
    head = (line, "Host: shop.example", "Connection: close", "Accept: text/html", *headers)
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n"


def test_bent_addresses_in_every_spelling_open_nothing(site: Site) -> None:
    """Open prefix, slash, step up, slash, guarded name: over five hundred ways to write it."""
    targets = [
        f"{opener}{first}{step}{second}buy"
        for opener, first, step, second in product(OPENERS, SLASHES, STEPS, ("/", "%2f", "//"))
    ][::3]
    assert len(targets) > 500
    for target in targets:
        answer = say(site.shop, raw(f"GET {target} HTTP/1.1"))
        assert LET_IN not in answer.body, target
        assert answer.status in (303, 400, 404), target
        location = answer.headers.get("location", "https://rooms.example/")
        assert location.startswith("https://rooms.example/"), target


STRANGE = {
    "HTTP/1.0": raw("GET /buy HTTP/1.0"),
    "HTTP/1.0 without a host": b"GET /buy HTTP/1.0\r\n\r\n",
    "HTTP/0.9": b"GET /buy\r\n",
    "another version": raw("GET /buy HTTP/1.9"),
    "absolute address": raw("GET http://shop.example/buy HTTP/1.1"),
    "absolute address of the verifier": raw("GET http://127.0.0.1:8100/buy HTTP/1.1"),
    "absolute address, other host": raw("GET http://evil.example/buy HTTP/1.1"),
    "absolute address with a user": raw("GET http://static@shop.example/buy HTTP/1.1"),
    "authority instead of a path": raw("CONNECT shop.example:80 HTTP/1.1"),
    "a star": raw("OPTIONS * HTTP/1.1"),
    "host twice": raw("GET /buy HTTP/1.1", "Host: static"),
    "host with a path": b"GET /buy HTTP/1.1\r\nHost: shop.example/static\r\n\r\n",
    "a method of one's own": raw("STATIC /buy HTTP/1.1"),
    "method in lower case": raw("get /buy HTTP/1.1"),
    "trace": raw("TRACE /buy HTTP/1.1"),
    "override by header": raw("GET /buy HTTP/1.1", "X-HTTP-Method-Override: OPTIONS"),
    "override by query": raw("GET /buy?_method=OPTIONS HTTP/1.1", "User-Agent: Googlebot"),
    "preflight": raw(
        "OPTIONS /buy HTTP/1.1", "Origin: https://a", "Access-Control-Request-Method: POST"
    ),
    "upgrade": raw("GET /buy HTTP/1.1", "Upgrade: websocket", "Connection: upgrade"),
    "upgrade to http2": raw("GET /buy HTTP/1.1", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"),
    "expectation": raw("POST /buy HTTP/1.1", "Expect: 100-continue", "Content-Length: 0"),
    "a folded header": raw("GET /buy HTTP/1.1", "X-A: b", " Sunseo-Operator: x"),
    "blank before the colon": raw("GET /buy HTTP/1.1", "X-Original-URI : /static/a"),
    "line feeds alone": b"GET /buy HTTP/1.1\nHost: shop.example\nConnection: close\n"
    b"X-Original-URI: /static\n\n",
    "a zero in a header": raw("GET /buy HTTP/1.1", "X-A: b\0c"),
    "the uri in a header": raw("GET /buy HTTP/1.1", "X-Original-URI: /static/a"),
    "the uri, thrice": raw("GET /buy HTTP/1.1", *["X-Original-URI: /static/a"] * 3),
    "the uri with underscores": raw("GET /buy HTTP/1.1", "X_Original_URI: /static/a"),
    "the url in a header": raw("GET /buy HTTP/1.1", "X-Original-URL: /static/a"),
    "rewritten": raw("GET /buy HTTP/1.1", "X-Rewrite-URL: /static/a"),
    "forwarded path": raw("GET /buy HTTP/1.1", "X-Forwarded-Path: /static/a"),
    "forwarded prefix": raw("GET /buy HTTP/1.1", "X-Forwarded-Prefix: /static"),
    "forwarded for the local host": raw("GET /buy HTTP/1.1", "X-Forwarded-For: 127.0.0.1"),
    "real address": raw(
        "GET /buy HTTP/1.1", "X-Real-IP: 127.0.0.1", "X-Original-Address: 127.0.0.1"
    ),
    "asks as nginx asks": raw("GET /buy HTTP/1.1", "X-Sunseo-Ask: answer"),
    "a pass id": raw("GET /buy HTTP/1.1", "Sunseo-Pass-Id: 0f8fad5b-d9cb-469f-a165-70867728950e"),
    "a guess at the operators' secret": raw("GET /buy HTTP/1.1", f"Sunseo-Operator: {SECRET[:-1]}"),
    "the secret with underscores": raw("GET /buy HTTP/1.1", f"Sunseo_Operator: {SECRET}"),
    "a crawler that posts": raw("POST /buy HTTP/1.1", "User-Agent: Googlebot", "Content-Length: 0"),
    "internal places of the configuration": raw("GET /_sunseo HTTP/1.1"),
    "a range": raw("GET /buy HTTP/1.1", "Range: bytes=0-0"),
    "a condition": raw("GET /buy HTTP/1.1", "If-None-Match: *"),
}


@pytest.mark.parametrize("name", STRANGE)
def test_strange_requests_open_nothing(site: Site, name: str) -> None:
    """Whatever nginx and the gate make of it: refused, and the app was not asked."""
    answer = say(site.shop, STRANGE[name])
    assert LET_IN not in answer.body
    assert answer.status not in (200, 204, 206, 304)
    assert "evil" not in answer.headers.get("location", "").partition("?")[0]


SMUGGLED = b"GET /buy HTTP/1.1\r\nHost: shop.example\r\nX-Smuggled: yes\r\n\r\n"
CARRIERS = {
    "two lengths": b"POST /static/a HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 0\r\n"
    b"Content-Length: %d\r\n\r\n" % len(SMUGGLED),
    "length and chunks": b"POST /static/a HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks, oddly spelt": b"POST /static/a HTTP/1.1\r\nHost: shop.example\r\n"
    b"Transfer-Encoding: xchunked\r\nContent-Length: 0\r\n\r\n",
    "chunks after a blank": b"POST /static/a HTTP/1.1\r\nHost: shop.example\r\n"
    b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "one after the other": b"GET /static/a HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    "in a body": b"GET /static/a HTTP/1.1\r\nHost: shop.example\r\nContent-Length: %d\r\n\r\n"
    % len(SMUGGLED),
}


@pytest.mark.parametrize("name", CARRIERS)
def test_requests_hidden_in_requests_do_not_reach_the_site(site: Site, name: str) -> None:
    """Behind an open path, in a body or in line: the second one is judged by itself."""
    last = raw("GET /static/last HTTP/1.1")
    answer = say(site.shop, CARRIERS[name] + SMUGGLED + last)
    everything = str(answer.headers).encode() + answer.body
    assert b"x-smuggled" not in everything.lower()


def test_passes_in_strange_places_open_nothing(site: Site) -> None:
    """The right pass under another cookie's name, in a path, a referrer, or another scheme."""
    text = site.room.sealed()
    for header in (
        f"Cookie: sunseo_pass={text}",
        f"Cookie: sunseo_pass_4={text}",
        f"Cookie: xsunseo_pass_42={text}",
        f"Cookie: sunseo_pass_42 ={text[:-1]}",
        f"Referer: https://shop.example/?sunseo_pass={text}",
        f"Authorization: Bearer {text}",
        f"X-Sunseo-Pass: {text}",
        f"Sunseo_Pass: {text}",
    ):
        answer = say(site.shop, raw("GET /buy HTTP/1.1", header))
        assert answer.status == 303, header
        assert LET_IN not in answer.body
    good = say(site.shop, raw("GET /buy HTTP/1.1", f"Cookie: {cookie(text)}"))
    assert good.status == 200


def test_bad_pass_before_or_after_a_good_one_lets_in_its_owner_only(site: Site) -> None:
    """Two headers, two cookies: what the app hears is the pass that is good."""
    good, bad = site.room.ticket(), "A" * 144
    text = site.room.sealed(good)
    for headers in (
        (f"Cookie: {cookie(bad)}; {cookie(text)}",),
        (f"Cookie: {cookie(text)}; {cookie(bad)}",),
        (f"Sunseo-Pass: {bad}", f"Cookie: {cookie(text)}"),
    ):
        answer = say(site.shop, raw("GET /buy HTTP/1.1", *headers))
        assert answer.status == 200, headers
        assert str(good.pass_id).encode() in answer.body
        assert bad.encode() not in re.sub(rb'"Cookie":"[^"]*"', b"", answer.body)


def test_letters_that_some_servers_take_for_others_are_guarded() -> None:
    """A dotless i, a long s, a Kelvin sign: whatever matches a guarded name without case, is it.

    Python's own `re.IGNORECASE` takes them for i, s and k, and so do frameworks that route by it.
    """
    policy = Policy(("/tickets",), BypassRules())
    alike = [
        (letter, chr(code))
        for letter in "ticketsx"
        for code in range(0x80, 0x11000)
        if not 0xD800 <= code < 0xE000 and re.fullmatch(letter, chr(code), re.IGNORECASE)
    ]
    assert alike, "no such letters: then nothing was tested"
    for letter, other in alike:
        path = "/tickets".replace(letter, other, 1)
        if re.fullmatch("/tickets", path, re.IGNORECASE):
            asked = GateRequest("GET", path, None, "", {}, "https", None)
            assert policy.needs_pass(asked), ascii(path)
