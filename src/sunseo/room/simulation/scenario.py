"""What is simulated: a scenario, from a TOML file or from options. See docs/guides/pacing.md."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Share = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Positive = Annotated[float, Meta(gt=0, le=1_000_000)]


class SimulationScenarioError(ValueError):
    """The scenario cannot be read; the message is one line."""


class Spread(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A distribution of seconds. `spread` is the standard deviation over the mean (lognormal)."""

    mean_s: Annotated[float, Meta(gt=0, le=86_400)]
    kind: Literal["exponential", "lognormal", "constant"] = "exponential"
    spread: Annotated[float, Meta(gt=0, le=5)] = 0.6


class ArrivalStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From this second on so many arrive a second."""

    at_s: Seconds
    rate_per_s: Annotated[float, Meta(ge=0, le=1_000_000)]


class SimulatedArrivals(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Some stand there before the opening, the others come as a Poisson process."""

    present_share: Share = 0.5  # of all visitors, when it opens
    rate_per_s: Annotated[float, Meta(ge=0, le=1_000_000)] = 20.0
    steps: Annotated[tuple[ArrivalStep, ...], Meta(max_length=100)] = ()


class Pause(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From one moment to the other nobody is called and nobody enters."""

    from_s: Seconds
    to_s: Seconds


class SimulatedPeople(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What visitors do after they took a number."""

    show_up: Share = 0.7  # the others never come back
    hidden_share: Share = 0.05  # of those who come back: their tab is hidden, it does not poll
    hidden: Spread = Spread(45.0)  # between two looks of theirs
    session: Spread = Spread(180.0)
    patience: Spread | None = None  # who waited so long goes home; none: they all wait


class SimulatedService(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The site behind the room; from `worse_from_s` to `worse_to_s` it gets steadily worse.

    Its p99 is `p99_idle_s` with nobody inside and reaches `p99_target_s` with `people_max` inside,
    growing with the fourth power. `lost_share` of `people_max` is lost by the end, and sessions
    are `slower` times as long.
    """

    people_max: Annotated[int, Meta(ge=1, le=10_000_000)] | None = None  # none: never in trouble
    p99_idle_s: Positive = 0.2
    p99_target_s: Positive = 1.0
    worse_from_s: Seconds = 0.0
    worse_to_s: Seconds = 0.0
    lost_share: Annotated[float, Meta(ge=0, le=0.95)] = 0.0
    slower: Annotated[float, Meta(ge=1, le=20)] = 1.0


class SimulatedStock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    units: Annotated[int, Meta(ge=0, le=10_000_000)]
    units_per_buyer: Annotated[int, Meta(ge=1, le=100)] = 2
    buy_share: Share = 0.6  # of those who enter and still find something


class SimulatedRoom(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings of the room, as RoomSettings has them."""

    capacity: Annotated[int, Meta(ge=1, le=1_000_000)] = 1000
    capacity_min: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    rate_max: Positive | None = None
    tau_s: Annotated[float, Meta(ge=1, le=120)] = 8.0
    grace_s: Annotated[float, Meta(ge=10, le=86_400)] = 150.0
    session_max_s: Annotated[float, Meta(ge=1, le=86_400)] = 900.0
    poll_floor_s: Annotated[float, Meta(ge=0.5, le=600)] = 2.0
    poll_ceiling_s: Annotated[float, Meta(ge=0.5, le=600)] = 60.0
    poll_divisor: Annotated[float, Meta(ge=1, le=100)] = 10.0


class SimulationScenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    seed: Annotated[int, Meta(ge=0)] = 1
    visitors: Annotated[int, Meta(ge=1, le=1_000_000)] = 20_000
    duration_max_s: Annotated[float, Meta(ge=60, le=86_400)] = 14_400.0
    room: SimulatedRoom = SimulatedRoom()
    arrivals: SimulatedArrivals = SimulatedArrivals()
    people: SimulatedPeople = SimulatedPeople()
    service: SimulatedService = SimulatedService()
    stock: SimulatedStock | None = None
    pauses: Annotated[tuple[Pause, ...], Meta(max_length=100)] = ()

    def __post_init__(self) -> None:
        if self.room.poll_floor_s > self.room.poll_ceiling_s:
            raise ValueError("room.poll_floor_s must not be above room.poll_ceiling_s")
        if self.service.worse_to_s < self.service.worse_from_s:
            raise ValueError("service.worse_to_s must not be before service.worse_from_s")
        if self.service.p99_target_s <= self.service.p99_idle_s:
            raise ValueError("service.p99_target_s must be above service.p99_idle_s")
        steps = [step.at_s for step in self.arrivals.steps]
        if steps != sorted(set(steps)):
            raise ValueError("arrivals.steps must be in order of at_s, each moment once")
        moments = [moment for pause in self.pauses for moment in (pause.from_s, pause.to_s)]
        if moments != sorted(set(moments)):
            raise ValueError("pauses must be in order, each with from_s before its to_s")


def read_scenario(path: Path) -> SimulationScenario:
    """A scenario from a TOML file; raises `SimulationScenarioError`, in one line."""
    try:
        with path.open("rb") as file:
            values = tomllib.load(file)
    except OSError as error:
        raise SimulationScenarioError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SimulationScenarioError(f"{path}: not TOML: {error}") from error
    try:
        return msgspec.convert(values, SimulationScenario)
    except (msgspec.ValidationError, ValueError) as error:
        raise SimulationScenarioError(f"{path}: {error}") from error
