"""Whose network a visitor comes from, and how often a network or an account may ask.

State       For each network or account that asked lately, one moment: when its bucket is full
            again. At most `keys_max` of them in a worker; without any in the database.
Guarantee   In any stretch of t seconds a key gets at most `burst + t * burst / 60` times a yes that
            it keeps. A header that a visitor wrote herself never decides which key is hers.
Clock       Monotonic seconds, passed in.
On failure  When all places are taken, the key that asked longest ago is forgotten: it may then ask
            anew. A worker that starts knows nobody; several workers each count for themselves.

The bucket is the "virtual scheduling" form of the generic cell rate algorithm (ITU-T I.371): it
stores one number where a token bucket stores two.
"""

from collections.abc import Iterable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from math import ceil

IPV4_PREFIX = 24  # what a small provider or an office has
IPV6_PREFIX = 56  # what one home line is given
MINUTE_S = 60.0
KEYS_MAX = 65_536  # 7 MB when full; there are three such memories in each worker
HOPS_MAX = 20  # of X-Forwarded-For; nobody honest comes through more proxies

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class TrustedProxies:
    """Knows which proxies are ours, and so which part of X-Forwarded-For to believe.

    Args:
        networks: of the proxies, like `10.0.0.0/8` or `127.0.0.1`. Without any, the header is
            never looked at.

    Raises:
        ValueError: one of them is not a network.
    """

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks: tuple[Network, ...] = tuple(ip_network(text) for text in networks)

    @classmethod
    def named(cls, setting: str | None) -> "TrustedProxies":
        """From a setting: networks with commas between them."""
        named = [] if setting is None else setting.split(",")
        return cls(text.strip() for text in named if text.strip())

    def trust(self, peer: str | None) -> bool:
        address = address_of(peer)
        return address is not None and self._is_ours(address)

    def client_of(self, peer: str | None, forwarded: Sequence[str]) -> Address | None:
        """The address of who asks: the last one that no proxy of ours has.

        Args:
            peer: at the other end of the connection.
            forwarded: all lines of X-Forwarded-For, in the order they came. Each proxy appends, so
                that they are read from the end, and only as far as the writers are ours.
        """
        client = address_of(peer)
        if client is None or not self._is_ours(client) or not forwarded:
            return client
        hops = ",".join(forwarded).rsplit(",", HOPS_MAX)
        for hop in reversed(hops[-HOPS_MAX:]):
            address = address_of(hop)
            if address is None:  # what our proxy wrote is no address: it is all that we know
                return client
            client = address
            if not self._is_ours(client):
                return client
        return client

    def _is_ours(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def address_of(text: str | None) -> Address | None:
    """An address as proxies write them: with a port, in brackets, IPv4 within IPv6."""
    if not text:
        return None
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def forwarded_scheme(text: str, otherwise: str) -> str:
    """How the visitor's own connection came: the first entry of X-Forwarded-Proto.

    Each proxy of a chain appends how it was reached itself, in whatever case of letters. Who makes
    the first one up gets cookies that her own browser does not send, and nobody else anything.

    Args:
        text: the header, its lines joined by commas.
        otherwise: what holds where no proxy has said it.
    """
    schemes = (entry.strip().strip('"').lower() for entry in text.split(","))
    return next(filter(None, schemes), otherwise)


def network_of(address: Address | None) -> bytes:
    """The key of an address's network: /24 or /56. All whose address is unknown share one."""
    if address is None:
        return b""
    prefix = IPV4_PREFIX if address.version == 4 else IPV6_PREFIX
    return address.packed[: prefix // 8]


class Buckets:
    """How often each key may ask: `burst` at once, refilled evenly within a minute.

    Args:
        keys_max: how many keys are remembered.
    """

    def __init__(self, keys_max: int = KEYS_MAX) -> None:
        self._full_at: dict[bytes, float] = {}
        self._keys_max = keys_max

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, key: bytes, burst: int, now: float) -> float:
        """Take one from a bucket: 0.0, or the seconds until there is one to take.

        Args:
            key: of the bucket.
            burst: what it holds, and gets within a minute; may change from call to call.
            now: monotonic seconds.
        """
        step_s = MINUTE_S / burst
        full_at = max(self._full_at.pop(key, now), now)
        wait_s = full_at + step_s - MINUTE_S - now
        taken = wait_s <= 1e-9  # a rounding error is no reason to send somebody away
        self._full_at[key] = full_at + step_s if taken else full_at  # at the end: asked last
        if len(self._full_at) > self._keys_max:
            del self._full_at[next(iter(self._full_at))]
        return 0.0 if taken else wait_s

    def give_back(self, key: bytes, burst: int) -> None:
        """Undo one `take` that said yes: what was asked for could not be had."""
        if (full_at := self._full_at.get(key)) is not None:
            self._full_at[key] = full_at - MINUTE_S / burst


def whole_seconds(wait_s: float) -> int:
    """For Retry-After: never too early."""
    return max(1, ceil(wait_s))
