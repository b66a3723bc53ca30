"""Which requests need a pass. Pure.

Doubt goes to the guarded side: a path that two servers could read differently is never open, and
needs a pass even where only part of a site is guarded.
"""

import hmac
import re
import unicodedata
from collections.abc import Iterable, Mapping
from hashlib import sha256
from ipaddress import ip_network
from urllib.parse import unquote_to_bytes

import msgspec

from sunseo.core.networks import Address

OPERATOR_SECRET_CHARACTERS_MIN = 32

_SAFE_METHODS = frozenset(("GET", "HEAD"))
_OVERRIDES = ("x-http-method-override", "x-http-method", "x-method-override")
_REWRITES = ("x-original-url", "x-rewrite-url")
_TOLD_TWICE = re.compile(r"[\x00-\x1f\x7f\\;%]|//|/\.{1,2}(?:/|$)|[. ](?:/|$)")
_HIDDEN = re.compile(rb"%(?:2f|5c|00|25)", re.IGNORECASE)


class GateRequest(msgspec.Struct, frozen=True, gc=False):
    """A request, as far as a gate looks at it.

    Attributes:
        path: decoded, as the app will see it.
        raw_path: as it stood in the request line, without the query; None if the server keeps it
            to itself.
        headers: by name in lower case; of repeated ones the values joined by commas.
        client: the visitor's address, None if unknown.
    """

    method: str
    path: str
    raw_path: bytes | None
    query: str
    headers: Mapping[str, str]
    scheme: str
    client: Address | None


def clean_path(path: str, raw_path: bytes | None = None) -> str | None:
    """A path that means the same to everybody, or None where servers may differ.

    Ambiguous are: `//`, `.` and `..` as segments, names that end in a dot or blank, backslashes,
    control characters, path parameters (`;`), an encoded slash, backslash, zero or per cent sign,
    bytes that are not UTF-8, letters with a compatibility form, and an absolute URI.
    """
    if not path.startswith("/") or _TOLD_TWICE.search(path):
        return None
    if "\ufffd" in path or unicodedata.normalize("NFKC", path) != path:
        return None
    if raw_path is not None and not _says_the_same(path, raw_path):
        return None
    return path


def _says_the_same(path: str, raw_path: bytes) -> bool:
    if _HIDDEN.search(raw_path):
        return False
    try:
        return unquote_to_bytes(raw_path).decode() == path
    except UnicodeDecodeError:
        return False


class BypassRules(msgspec.Struct, frozen=True):
    """Who passes without a pass.

    Args:
        paths: prefixes, by whole segments and with their case: `/static` opens `/static/a.css`.
        networks: of clients, like `192.0.2.0/24`.
        user_agents: parts of the name, as crawlers have it. Anybody can claim such a name, so that
            this opens GET and HEAD only.
        operator_secret: who sends it as the header `Sunseo-Operator` passes; 32 characters or more.
        preflight: whether CORS preflights pass, which carry neither cookies nor headers.

    Raises:
        ValueError: a network is none, a path is ambiguous, or the secret is too short.
    """

    paths: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    user_agents: tuple[str, ...] = ()
    operator_secret: str | None = None
    preflight: bool = False

    def __post_init__(self) -> None:
        for network in self.networks:
            ip_network(network)
        _check_prefixes(self.paths)
        secret = self.operator_secret
        if secret is not None and len(secret) < OPERATOR_SECRET_CHARACTERS_MIN:
            raise ValueError(
                f"operator_secret is shorter than {OPERATOR_SECRET_CHARACTERS_MIN} characters"
            )
        if not all(part.strip() for part in self.user_agents):
            raise ValueError("a user agent that is empty would open everything")


class Policy:
    """Says whether a request needs a pass.

    Args:
        protect: path prefixes that are guarded, in any case of letters.
        bypass: who passes all the same.
    """

    def __init__(self, protect: Iterable[str] = ("/",), bypass: BypassRules | None = None) -> None:
        rules = bypass or BypassRules()
        guarded = tuple(protect)
        if not guarded:
            raise ValueError("protect is empty: this gate would guard nothing")
        _check_prefixes(guarded)
        self._protect = tuple(_prefix(_folded(path)) for path in guarded)
        self._everything = "/" in self._protect
        self._open_paths = tuple(_prefix(path) for path in rules.paths)
        self._networks = tuple(ip_network(network) for network in rules.networks)
        self._user_agents = tuple(part.casefold() for part in rules.user_agents)
        self._operator = None if rules.operator_secret is None else _digest(rules.operator_secret)
        self._preflight = rules.preflight

    def needs_pass(self, asked: GateRequest) -> bool:
        path = clean_path(asked.path, asked.raw_path)
        if any(name in asked.headers for name in _REWRITES):
            path = None  # the app may believe that it was asked for another path
        if path is not None and not self._everything and not self._guards(path):
            return False
        return not self._lets_pass(asked, path)

    def _guards(self, path: str) -> bool:
        folded = _folded(path) + "/"
        return any(folded.startswith(prefix) for prefix in self._protect)

    def _lets_pass(self, asked: GateRequest, path: str | None) -> bool:
        if self._operator is not None and self._is_operator(asked.headers):
            return True
        if asked.client is not None and any(asked.client in known for known in self._networks):
            return True
        if path is None:
            return False
        if self._open_paths and any((path + "/").startswith(open_) for open_ in self._open_paths):
            return True
        if self._preflight and _is_preflight(asked):
            return True
        return bool(self._user_agents) and self._is_crawler(asked)

    def _is_operator(self, headers: Mapping[str, str]) -> bool:
        shown = headers.get("sunseo-operator")
        if shown is None or self._operator is None:
            return False
        return hmac.compare_digest(_digest(shown), self._operator)

    def _is_crawler(self, asked: GateRequest) -> bool:
        if asked.method not in _SAFE_METHODS or _overrides_method(asked):
            return False
        user_agent = asked.headers.get("user-agent", "").casefold()
        return any(part in user_agent for part in self._user_agents)


def _is_preflight(asked: GateRequest) -> bool:
    headers = asked.headers
    return (
        asked.method == "OPTIONS"
        and "origin" in headers
        and "access-control-request-method" in headers
        and not _overrides_method(asked)
    )


def _overrides_method(asked: GateRequest) -> bool:
    """Whether an app that knows such tricks would take this for another method."""
    return "_method=" in asked.query or any(name in asked.headers for name in _OVERRIDES)


def _check_prefixes(paths: Iterable[str]) -> None:
    for path in paths:
        if clean_path(path) is None:
            raise ValueError(f"{path!r} is no path, or one that servers read differently")


def _prefix(path: str) -> str:
    """A prefix that ends where a segment ends."""
    return path if path.endswith("/") else path + "/"


def _folded(path: str) -> str:
    """Letters in any case are one, also those that only some take for others.

    Python's `re.IGNORECASE` matches an i with a dotless one and with a dotted capital, and so do
    frameworks that route by it; `upper()` makes an I of the first.
    """
    return path.replace("\u0130", "i").upper().casefold()


def _digest(secret: str) -> bytes:
    """Of one length, so that comparing tells nothing of the secret's."""
    return sha256(secret.encode("utf-8", "surrogateescape")).digest()
