"""Who is at the other end, behind proxies: only those that are named are believed."""

from sunseo.core.networks import TrustedProxies, forwarded_scheme
from sunseo.web.endpoint import Call


class ClientAddresses:
    """Reads addresses and schemes of calls; `proxies` are those whose headers are believed."""

    def __init__(self, proxies: TrustedProxies) -> None:
        self._proxies = proxies

    def client_of(self, call: Call) -> str | None:
        """The address of who calls, as text; see `TrustedProxies.client_of`."""
        lines = call.header_lines("x-forwarded-for")
        address = self._proxies.client_of(call.peer, lines)
        return None if address is None else str(address)

    def is_https(self, call: Call) -> bool:
        """Whether the visitor's own connection is encrypted, as far as we may believe it."""
        forwarded = call.header_lines("x-forwarded-proto")
        if forwarded and self._proxies.trust(call.peer):
            return forwarded_scheme(",".join(forwarded), call.scheme) == "https"
        return call.scheme == "https"
