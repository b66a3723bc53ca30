"""What happened in a simulation, second by second and person by person."""

import msgspec

from sunseo.room.pacing.pacing import Reason, Speed


class SimulatedMoment(msgspec.Struct, frozen=True, gc=False):
    """The room after one tick."""

    at_s: float
    issued: int
    serving: int
    live: int
    capacity: int  # C_eff
    speed: Speed | None
    reason: Reason
    show_up: float
    units_left: int | None
    sold_out: bool


class SimulatedVisit(msgspec.Struct, gc=False):
    """One visitor's way; times are seconds since the opening."""

    joined_s: float
    number: int
    hidden: bool
    entered_s: float | None = None
    left_s: float | None = None
    polls: int = 0
    turned_back: int = 0  # came to the door, and the room was full
    bought: int = 0  # units
    in_vain: bool = False  # entered, wanted to buy, found nothing
    told_sold_out_s: float | None = None
    gave_up_s: float | None = None


class SimulationRecord(msgspec.Struct, frozen=True):
    moments: list[SimulatedMoment]
    visits: list[SimulatedVisit]  # in order of their numbers
    overshoot: int  # most people inside above C_eff right after one was let in
    sold_out_s: float | None  # when the last unit went
    line_empty_s: float | None  # when everybody had been called
