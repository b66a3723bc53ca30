"""What the gate itself answers: to the line, back from it, or an explanation. Pure."""

import json
import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import msgspec

from sunseo.gate.policy import GateRequest
from sunseo.passes.polling import Poll

HANDOVER = "sunseo_pass"
COOKIE_S = 3600  # longer than any pass: an expired one still tells that its visitor was inside
RETURN_CHARACTERS_MAX = 1800  # some proxies cut longer locations

_HOST = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?"
)
_ELSEWHERE = re.compile(r"/[/\\\x00-\x1f\x7f]")  # begins what browsers take for another host's
_KEPT = "".join(set(map(chr, range(0x21, 0x7F))) - set('"<>\\#?%'))  # of what is written again

Header = tuple[str, str]

PAGE_UNREACHABLE = """<!doctype html>
<html lang="ko"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="{seconds}">
<title>잠시만 기다려 주세요 · One moment please</title>
<body style="font:1.1rem/1.6 system-ui,sans-serif;max-width:32rem;margin:15vh auto;padding:0 1rem">
<p>지금은 대기열에 연결할 수 없습니다. {seconds}초 후 자동으로 다시 시도합니다.</p>
<p lang="en">The waiting room cannot be reached right now. This page tries again in {seconds}
seconds.</p>
"""


class GateAnswer(NamedTuple):
    """An answer of the gate instead of the site's."""

    status: int
    headers: list[Header]
    body: bytes = b""


class Addresses(msgspec.Struct, frozen=True):
    """Where things are, as the visitor's browser reaches them.

    Args:
        room: its number.
        public_url: of Sunseo.
        page_url: of the waiting page.
        site_url: origin of the guarded site, or None to believe the request's Host.
    """

    room: int
    public_url: str
    page_url: str
    site_url: str | None = None

    def __post_init__(self) -> None:
        for url in (self.public_url, self.page_url, self.site_url or self.public_url):
            if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
                raise ValueError(f"{url!r} is not an absolute http or https URL")


def wants_problem(asked: GateRequest) -> bool:
    """Whether a program asks rather than a person: an app, a script, a single-page app."""
    headers = asked.headers
    accept = headers.get("accept", "").casefold()
    if "text/html" in accept:
        return False
    if "json" in accept or headers.get("x-requested-with", "").casefold() == "xmlhttprequest":
        return True
    return headers.get("sec-fetch-mode", "navigate").casefold() not in (
        "navigate",
        "nested-navigate",
    )


def refused(asked: GateRequest, where: Addresses, reason: str, poll: Poll) -> GateAnswer:
    """To the line: a redirect for browsers, a problem document for programs."""
    page = _page(asked, where, reason)
    if not wants_problem(asked):
        return GateAnswer(303, [("location", page), *_UNCACHED])
    base = f"{where.public_url}/v1/rooms/{where.room}"
    document = {
        "type": f"{where.public_url}/problems/pass_required",
        "title": "Pass required",
        "status": 403,
        "detail": "Join the waiting room, wait for your number, enter, and repeat the request "
        "with the pass as the header Sunseo-Pass.",
        "outcome": "pass_required",
        "reason": reason,
        "room": where.room,
        "page": page,
        "join": {
            "nonces": f"{base}/nonces",
            "places": f"{base}/places/{{nonce}}",
            "enter": f"{base}/enter",
        },
        "state": f"{base}/state",
        "poll": msgspec.to_builtins(poll),
    }
    return _problem(403, document)


def unreachable(asked: GateRequest, where: Addresses, retry_s: int) -> GateAnswer:
    """Nobody is let in while the room cannot be reached; the line would be of no use either."""
    again = ("retry-after", str(retry_s))
    if wants_problem(asked):
        document = {
            "type": f"{where.public_url}/problems/room_unreachable",
            "title": "The waiting room cannot be reached",
            "status": 503,
            "detail": "Try again after the time in Retry-After.",
            "outcome": "room_unreachable",
            "room": where.room,
        }
        answer = _problem(503, document)
        answer.headers.append(again)
        return answer
    page = PAGE_UNREACHABLE.format(seconds=retry_s).encode()
    html = ("content-type", "text/html; charset=utf-8")
    return GateAnswer(503, [html, again, *_UNCACHED], page)


def handed_over(asked: GateRequest, cookie: Header) -> GateAnswer | None:
    """Back from the line with a pass: keep it as a cookie, and go on without it in the address.

    None where the path could lead to another host.
    """
    location = _here(asked)
    if location is None:
        return None
    return GateAnswer(
        303, [("location", location), cookie, ("referrer-policy", "no-referrer"), *_UNCACHED]
    )


def pass_cookie(room: int, text: str, secure: bool) -> Header:
    return _cookie(f"sunseo_pass_{room}", text, secure, COOKIE_S)


def ended_cookie(room: int, secure: bool) -> Header:
    return _cookie(f"sunseo_pass_{room}", "", secure, 0)


def renewing_cookie(room: int, text: str, secure: bool) -> Header:
    return _cookie(f"sunseo_renewing_{room}", text, secure, 120)


def open_cookie(room: int, text: str, secure: bool, seconds: int) -> Header:
    return _cookie(f"sunseo_open_{room}", text, secure, seconds)


def handover_of(query: str) -> str | None:
    """The token in a query, or None. Tokens need no decoding."""
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name == HANDOVER:
            return value
    return None


def cookies_named(header: str, name: str) -> list[str]:
    """All values of a cookie: another host of the domain may have set one, too."""
    found = []
    for pair in header.split(";"):
        key, _, value = pair.strip().partition("=")
        if key == name:
            found.append(value)
    return found


_UNCACHED: Sequence[Header] = (("cache-control", "no-store"),)


def _cookie(name: str, value: str, secure: bool, seconds: int) -> Header:
    ending = "; Secure" if secure else ""
    return (
        "set-cookie",
        f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{ending}",
    )


def _problem(status: int, document: dict[str, object]) -> GateAnswer:
    media = ("content-type", "application/problem+json")
    return GateAnswer(status, [media, *_UNCACHED], json.dumps(document).encode())


def _page(asked: GateRequest, where: Addresses, reason: str) -> str:
    page = where.page_url + ("&" if "?" in where.page_url else "?")
    back = _return_address(asked, where)
    if back is not None:
        page += f"return={quote(back, safe='')}&"
    if reason != "no_pass":
        page += f"refused={reason}&"
    return page[:-1]


def _return_address(asked: GateRequest, where: Addresses) -> str | None:
    """Where the visitor goes on later, on this site alone; the waiting page checks that, too."""
    origin = where.site_url
    if origin is None:
        host = asked.headers.get("host", "")
        if not _HOST.fullmatch(host):
            return None
        origin = f"{asked.scheme}://{host}"
    origin = origin.rstrip("/")
    if asked.method not in ("GET", "HEAD"):  # what she sent is lost; the page she came from is not
        came_from = asked.headers.get("referer", "")
        fits = came_from.startswith(origin + "/") and len(came_from) <= RETURN_CHARACTERS_MAX
        return came_from if fits else origin + "/"
    here = _here(asked)
    if here is None or len(here) > RETURN_CHARACTERS_MAX:
        return origin + "/"
    return origin + here


def _here(asked: GateRequest) -> str | None:
    """Path and query of this request, to the letter, without a pass in it.

    None where the path could lead to another host. What is no visible ASCII is encoded. A server
    that keeps the request line to itself leaves us the decoded path: what was encoded in it without
    need is then written plainly.
    """
    path = _path_as_sent(asked)
    if path is None:
        return None
    pairs = asked.query.split("&")
    query = "&".join(pair for pair in pairs if pair.partition("=")[0] != HANDOVER)
    if not query:
        return path
    return f"{path}?{quote(_bytes_of(query), safe=_KEPT + '?%')}"


def _path_as_sent(asked: GateRequest) -> str | None:
    sent = asked.path if asked.raw_path is None else asked.raw_path.decode("latin-1")
    if not sent.startswith("/") or _ELSEWHERE.match(sent):
        return None
    if asked.raw_path is not None:
        return quote(asked.raw_path, safe=_KEPT + "%")
    return None if "\ufffd" in sent else quote(sent, safe=_KEPT, errors="replace")


def _bytes_of(query: str) -> bytes:
    """As they came: servers hand a query on byte by byte."""
    try:
        return query.encode("latin-1")
    except UnicodeEncodeError:
        return query.encode("utf-8", "replace")
