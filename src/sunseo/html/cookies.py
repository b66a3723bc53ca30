"""Cookies of ours, read and written.

Over HTTPS the names begin with `__Host-`, so that no other host, not even a subdomain, can plant
one.
"""

from itertools import islice

from sunseo.web.endpoint import Call, Header

PREFIX = "__Host-"
LANGUAGE = "sunseo_language"
KEPT_S = 86_400  # as long as a guest session lasts by default
LANGUAGE_KEPT_S = 180 * 86_400
COOKIE_BYTES_MAX = 1000  # a full one has about 500
COOKIES_MAX = 100  # of ours that are read of one request, however many others there are

_OURS = ("sunseo_", f"{PREFIX}sunseo_")


def read_cookies(call: Call) -> dict[str, str]:
    """Our cookies in a request; of those sent twice, the first, which has the longer path.

    Others of the same host may be there in any number, and in front of ours.
    """
    cookies: dict[str, str] = {}
    pairs = (pair.strip() for pair in ";".join(call.header_lines("cookie")).split(";"))
    for pair in islice((pair for pair in pairs if pair.startswith(_OURS)), COOKIES_MAX):
        name, separator, value = pair.partition("=")
        if separator and len(value) <= COOKIE_BYTES_MAX:
            cookies.setdefault(name, value.strip('"'))
    return cookies


class CookieJar:
    """Reads a request's cookies and writes those of its answer.

    Args:
        call: whose cookies.
        https: whether the visitor's connection is encrypted.
    """

    def __init__(self, call: Call, *, https: bool) -> None:
        self._read = read_cookies(call)
        self._https = https
        self.headers: list[Header] = []

    def get(self, name: str) -> str | None:
        # Over HTTPS only the protected name counts: the other one may have been planted.
        return self._read.get(PREFIX + name if self._https else name)

    def set(self, name: str, value: str, kept_s: int = KEPT_S) -> None:
        attributes = f"Path=/; Max-Age={kept_s}; HttpOnly; SameSite=Lax"
        if self._https:
            name, attributes = PREFIX + name, attributes + "; Secure"
        self.headers.append((b"set-cookie", f"{name}={value}; {attributes}".encode("latin-1")))

    def drop(self, name: str) -> None:
        self.set(name, "", 0)
