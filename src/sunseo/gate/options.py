"""How a gate is set up."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Required, TypedDict, get_args

import msgspec

from sunseo.gate.answers import Addresses
from sunseo.gate.policy import BypassRules
from sunseo.gate.sender import SignalOptions
from sunseo.gate.verifier import gate_keys
from sunseo.passes.keys import GateKeys

FailMode = Literal["closed", "last_known", "open"]


class GateOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a gate is set up. See docs/guides/gate.md for the same in prose.

    Args:
        room: its number; must be the keys'.
        keys: gate keys; `verifier.gate_keys` reads what `GET /v1/rooms/{room}/keys` gives.
        sunseo_url: where the gate reaches Sunseo.
        public_url: where browsers reach Sunseo; the same if not given.
        page_url: the waiting page; `{public_url}/r/{room}` if not given.
        site_url: the guarded site's origin; the request's own Host if not given.
        protect: path prefixes that are guarded.
        bypass: who passes without a pass.
        trusted_proxies: networks whose X-Forwarded-For is believed, for bypass by network.
        skew_s: how long after its expiry a pass is still good.
        stale_s: age of the room's document from which the fail mode holds.
        fail_mode: until the room's own is known.
        open_rate_max: visitors a second in the fail mode "open", where the room sets none.
        renewal_wait_s: at most so long an answer waits for a renewed pass, once in half a pass's
            life; 0 never waits.
        signals: told to Sunseo, if given: how slow the site is.
    """

    room: int
    keys: GateKeys
    sunseo_url: str
    public_url: str | None = None
    page_url: str | None = None
    site_url: str | None = None
    protect: tuple[str, ...] = ("/",)
    bypass: BypassRules = BypassRules()
    trusted_proxies: tuple[str, ...] = ()
    skew_s: float = 5.0
    stale_s: float = 15.0
    fail_mode: FailMode = "closed"
    open_rate_max: float = 10.0
    renewal_wait_s: float = 0.25
    signals: SignalOptions | None = None

    def __post_init__(self) -> None:
        if self.fail_mode not in get_args(FailMode):
            raise ValueError("fail_mode is closed, last_known or open")
        if self.open_rate_max <= 0 or self.stale_s <= 0 or self.skew_s < 0:
            raise ValueError("open_rate_max and stale_s are above zero, skew_s is not below")

    def addresses(self) -> Addresses:
        public = (self.public_url or self.sunseo_url).rstrip("/")
        page = self.page_url or f"{public}/r/{self.room}"
        return Addresses(self.room, public, page, self.site_url)


class GateArguments(TypedDict, total=False):
    """What a middleware is given by name: `GateOptions`, as they are written most easily."""

    room: Required[int]
    keys: Required[GateKeys | Mapping[str, Any] | str | bytes]
    sunseo_url: Required[str]
    public_url: str | None
    page_url: str | None
    site_url: str | None
    protect: Sequence[str]
    bypass: BypassRules | None
    trusted_proxies: Sequence[str]
    skew_s: float
    stale_s: float
    fail_mode: FailMode
    open_rate_max: float
    renewal_wait_s: float
    signals: SignalOptions | None


def options_of(arguments: GateArguments) -> GateOptions:
    """Read what a middleware was given.

    Raises:
        TypeError: an argument is missing or unknown.
        ValueError: the options contradict each other, or the keys are not this room's.
    """
    plain: dict[str, Any] = dict(arguments)
    if "keys" in plain:
        plain["keys"] = gate_keys(plain["keys"])
    for name in ("protect", "trusted_proxies"):
        if name in plain:
            plain[name] = tuple(plain[name])
    if plain.get("bypass") is None:
        plain.pop("bypass", None)
    return GateOptions(**plain)
