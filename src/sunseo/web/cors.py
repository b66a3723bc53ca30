"""Requests from pages of other sites (CORS): allowed for endpoints that know nobody by a cookie.

Who may call is told by the token in the request, never by the browser's own memory, so that any
page may send what any program may. `*` without credentials is right, and needs no `Vary`.
"""

from sunseo.web.endpoint import Header

CROSS_ORIGIN_HEADERS: tuple[Header, ...] = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"retry-after, etag"),
)

_DAY_S = 86_400  # browsers keep a preflight for less, each as long as it likes


def preflight_headers(methods: str) -> list[Header]:
    """The answer to a browser that asks whether it may send one of these methods."""
    return [
        (b"access-control-allow-origin", b"*"),
        (b"access-control-allow-methods", methods.encode()),
        (b"access-control-allow-headers", b"authorization, content-type, idempotency-key"),
        (b"access-control-max-age", str(_DAY_S).encode()),
    ]
