"""Where a visitor is sent back to: only ever to an origin that the room's operator allowed.

The address comes from a link, and links can be made by anybody. It is compared as a whole origin,
not searched for one: what a browser might read differently from us (backslashes, control
characters, user names, a second `//`) cannot occur in what is equal to an allowed origin.
"""

import re
from collections.abc import Sequence
from urllib.parse import quote, unquote_plus, urlsplit, urlunsplit

PASS_PARAMETER = "sunseo_pass"  # noqa: S105 - the name under which a gate looks for it
RETURN_CHARACTERS_MAX = 2000

_ADDRESS = re.compile(r"(?P<origin>https?://[a-z0-9.:-]+)(?P<rest>(?:[/?#][\x21-\x5b\x5d-\x7e]*)?)")
_KEPT = "".join(chr(code) for code in range(0x21, 0x7F))  # all that is visible ASCII
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def allowed_return(address: str | None, origins: Sequence[str]) -> str | None:
    """The address, normalised, if it lies on one of these origins; otherwise None.

    Args:
        address: as it came from the link.
        origins: like `https://shop.example`, in lower case.
    """
    if not address or len(address) > RETURN_CHARACTERS_MAX:
        return None
    scheme, separator, rest = address.partition("://")
    host_end = re.search(r"[/?#]", rest)
    cut = host_end.start() if host_end else len(rest)
    folded = scheme.lower() + separator + rest[:cut].lower() + rest[cut:]
    found = _ADDRESS.fullmatch(quote(folded, safe=_KEPT))
    if found is None or not _is_one_of(found["origin"], origins):
        return None
    return found["origin"] + (found["rest"] or "/")


def with_pass(address: str, sealed: str) -> str:
    """An allowed address with the pass in its query; one that was there before is replaced."""
    parts = urlsplit(address)
    pairs = parts.query.split("&") if parts.query else []
    kept = [pair for pair in pairs if not _is_pass(pair)]
    query = "&".join([*kept, f"{PASS_PARAMETER}={sealed}"])
    return urlunsplit(parts._replace(path=parts.path or "/", query=query))


def site_of(address: str) -> str:
    """The part of an address that people know: its host."""
    return urlsplit(address).netloc


def _is_pass(pair: str) -> bool:
    return unquote_plus(pair.partition("=")[0]) == PASS_PARAMETER


def _is_one_of(origin: str, origins: Sequence[str]) -> bool:
    return _without_port(origin) in {_without_port(known) for known in origins}


def _without_port(origin: str) -> str:
    scheme = origin.partition(":")[0]
    return origin.removesuffix(_DEFAULT_PORTS.get(scheme, ""))
