"""What an operator can set of a room: every field bounded, and checked against its neighbours.

Stored as JSON in `rooms.settings`, whole, so that a later change of a default does not change the
rooms that exist. Times of day are the room's own (`time_zone`), moments are absolute.
"""

import re
from ipaddress import ip_network
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from sunseo.core.fields import Moment
from sunseo.core.languages import Language
from sunseo.core.zones import is_zone

Mode = Literal["fifo", "random", "passthrough", "closed"]
Holders = Literal["accounts", "persons", "anyone"]
FailMode = Literal["closed", "last_known", "open"]
Challenge = Literal["none", "altcha", "turnstile"]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


EVERY_DAY: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WEEK_MINUTES = 7 * 24 * 60
PASS_TTL_S_MAX = 60  # a pass that a gate checks by itself outlives its revocation by at most this

_ORIGIN = re.compile(r"https?://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?")

Seconds = Annotated[int, Meta(ge=1, le=86_400)]
Path = Annotated[str, Meta(min_length=1, max_length=500, pattern="^/")]
Network = Annotated[str, Meta(min_length=2, max_length=50)]
UserAgent = Annotated[str, Meta(min_length=3, max_length=200)]
Origin = Annotated[str, Meta(min_length=8, max_length=300)]
Words = Annotated[str, Meta(max_length=1000)]


class Opening(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A recurring opening: on these days, at this time on the room's clock, for so long."""

    time: Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", max_length=5)]
    minutes: Annotated[int, Meta(ge=1, le=WEEK_MINUTES)]
    days: Annotated[tuple[Day, ...], Meta(min_length=1, max_length=7)] = EVERY_DAY


class Bypass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who passes a gate without a pass. Paths are prefixes; user agents are parts of the name."""

    paths: Annotated[tuple[Path, ...], Meta(max_length=100)] = ()
    networks: Annotated[tuple[Network, ...], Meta(max_length=100)] = ()
    user_agents: Annotated[tuple[UserAgent, ...], Meta(max_length=100)] = ()

    def __post_init__(self) -> None:
        for index, network in enumerate(self.networks):
            try:
                ip_network(network)
            except ValueError:
                raise ValueError(
                    f"networks[{index}] must be like 192.0.2.0/24 or 2001:db8::/56"
                ) from None


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the operator says to the line, in plain text."""

    ko: Words = ""
    en: Words = ""


class HealthTargets(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What counts as well; at less than this the room slows down."""

    lane_wait_s: Annotated[float, Meta(gt=0, le=60)] = 0.25
    p99_s: Annotated[float, Meta(gt=0, le=60)] = 1.0  # of the protected service
    error_rate: Annotated[float, Meta(gt=0, le=1)] = 0.05  # share of answers that are 5xx


class RoomSettings(msgspec.Struct, frozen=True, kw_only=True):
    """See docs/guides/room-operator.md for the same in prose."""

    # How many, how fast
    capacity: Annotated[int, Meta(ge=1, le=10_000_000)] = 1000  # passes at once
    capacity_min: Annotated[int, Meta(ge=1, le=10_000_000)] | None = None  # when unhealthy
    rate_max: Annotated[float, Meta(gt=0, le=1_000_000)] | None = None  # admitted per second
    tau_s: Annotated[float, Meta(ge=1, le=120)] = 8.0  # in which free capacity is filled
    units_per_buyer: Annotated[float, Meta(gt=0, le=10_000)] = 1.0  # to hold the line on low stock
    health: HealthTargets = HealthTargets()

    # Who, and in which order
    mode: Mode = "fifo"
    holders: Holders = "anyone"
    challenge: Challenge = "none"
    challenge_difficulty: Annotated[int, Meta(ge=1_000, le=10_000_000)] = 50_000  # hashes at most
    network_joins_max: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None  # a minute
    bypass: Bypass = Bypass()

    # How long
    pass_ttl_s: Annotated[int, Meta(ge=5, le=PASS_TTL_S_MAX)] = PASS_TTL_S_MAX
    session_max_s: Seconds = 900  # from entering, however often the pass is renewed
    renewal_grace_s: Annotated[int, Meta(ge=0, le=60)] = 10  # for the answer that was lost
    skew_s: Annotated[int, Meta(ge=0, le=60)] = 5  # after expiry, before the slot is given on
    grace_s: Seconds = 150  # after being called, before the reservation of a slot lapses
    poll_floor_s: Annotated[int, Meta(ge=1, le=600)] = 2
    poll_ceiling_s: Annotated[int, Meta(ge=1, le=600)] = 60
    poll_divisor: Annotated[int, Meta(ge=1, le=100)] = 10  # of the time that is still to wait
    pass_signature: Literal["hmac", "ed25519"] = "hmac"  # noqa: S105 - the name of an algorithm

    # When
    opens_at: Moment | None = None
    closes_at: Moment | None = None
    schedule: Annotated[tuple[Opening, ...], Meta(max_length=50)] = ()
    time_zone: Annotated[str, Meta(min_length=1, max_length=64)] = "UTC"
    join_early_s: Annotated[int, Meta(ge=0, le=30 * 86_400)] = 1800  # before it opens
    paused: bool = False

    # When the room itself fails
    fail_mode: FailMode = "closed"
    open_rate_max: Annotated[float, Meta(gt=0, le=1_000_000)] | None = None  # per second and gate

    # What the visitor sees
    message: Message | None = None
    languages: Annotated[tuple[Language, ...], Meta(min_length=1, max_length=2)] = ("ko", "en")
    return_hosts: Annotated[tuple[Origin, ...], Meta(max_length=100)] = ()

    def __post_init__(self) -> None:
        self._check_capacity()
        self._check_times()
        self._check_opening()
        if self.fail_mode == "open" and self.open_rate_max is None:
            raise ValueError("open_rate_max must be given where fail_mode is open")
        if len(set(self.languages)) != len(self.languages):
            raise ValueError("languages name each language once")
        for index, host in enumerate(self.return_hosts):
            if not _ORIGIN.fullmatch(host):
                raise ValueError(
                    f"return_hosts[{index}] must be an origin like https://shop.example,"
                    " in lower case"
                )

    def _check_capacity(self) -> None:
        if self.capacity_min is not None and self.capacity_min > self.capacity:
            raise ValueError("capacity_min must not be above capacity")

    def _check_times(self) -> None:
        if self.poll_floor_s > self.poll_ceiling_s:
            raise ValueError("poll_floor_s must not be above poll_ceiling_s")
        if self.grace_s < 2 * self.poll_ceiling_s:
            raise ValueError("grace_s must be at least twice poll_ceiling_s")
        if self.renewal_grace_s >= self.pass_ttl_s:
            raise ValueError("renewal_grace_s must be below pass_ttl_s")
        if self.session_max_s < self.pass_ttl_s:
            raise ValueError("session_max_s must not be below pass_ttl_s")

    def _check_opening(self) -> None:
        if not is_zone(self.time_zone):
            raise ValueError("time_zone must be a name like Asia/Seoul")
        if self.opens_at and self.closes_at and self.closes_at <= self.opens_at:
            raise ValueError("closes_at must be later than opens_at")

    @property
    def slot_ttl_s(self) -> int:
        """How long after its last renewal a pass occupies its slot."""
        return self.pass_ttl_s + self.skew_s


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(RoomSettings).decode


def encode_settings(settings: RoomSettings) -> str:
    """The JSON for `rooms.settings`."""
    return _encode(settings).decode()


def decode_settings(stored: str | bytes) -> RoomSettings:
    """Read `rooms.settings`; fields that a newer version wrote are passed over."""
    return _decode(stored)


def changed_settings(settings: RoomSettings, changes: dict[str, Any]) -> RoomSettings:
    """Settings with some fields changed; None brings back a field's default.

    Raises:
        ValueError: a value contradicts another; the message says which.
    """
    kept = {
        name: getattr(settings, name)
        for name in RoomSettings.__struct_fields__
        if name not in changes
    }
    return RoomSettings(
        **kept, **{name: value for name, value in changes.items() if value is not None}
    )
