"""How soon a visitor asks for her room's state again: the one rule, for all who wait or play it.

In JavaScript it is `pollAfterS` of `sunseo.js`, in Groovy `pollAfterS` of the plan for JMeter;
scripts for k6 and Locust take that text and this one as they stand. The vectors in
docs/protocol/vectors.json hold them all to it.
"""

from typing import Protocol

import msgspec


class Poll(msgspec.Struct, frozen=True):
    """How often to ask: the time still to wait by `divisor`, between `floor` and `ceiling` s."""

    floor: float = 2.0
    ceiling: float = 60.0
    divisor: float = 10.0


class CallingRate(Protocol):
    """How many are called a second: the middle of the estimate."""

    @property
    def v50(self) -> float: ...


class PolledState(Protocol):
    """What the rule reads of a room's state document."""

    @property
    def phase(self) -> str: ...
    @property
    def opens_at(self) -> int | None: ...
    @property
    def halted(self) -> str | None: ...
    @property
    def speed(self) -> CallingRate | None: ...
    @property
    def poll(self) -> Poll: ...


def poll_after_s(
    poll: Poll,
    ahead: float | None,
    speed: float | None,
    *,
    opens_in_s: float | None = None,
    is_paused: bool = False,
    draw_is_due: bool = False,
) -> float:
    """A part of the time still to wait. Clients multiply it by chance, 1 to 1.3.

    Args:
        poll: as the room asks.
        ahead: how many are to be called until it is her turn, herself included; None for who has
            no number.
        speed: how many are called a second; None or 0 where nobody can say. Then whoever is near
            the front asks as if it were one a second, and nobody less often than four times in a
            ceiling.
        opens_in_s: until the opening, where that is to come; nothing else counts before it.
        is_paused: that takes its time: once in half a ceiling is enough.
        draw_is_due: numbers are being drawn right now.
    """
    if opens_in_s is not None:
        after_s = opens_in_s / poll.divisor
    elif ahead is None:
        after_s = 5.0 if draw_is_due else poll.ceiling / 4
    elif ahead <= 0:
        after_s = 0.0
    elif speed:
        after_s = ahead / speed / poll.divisor
    else:
        after_s = min(ahead / poll.divisor, poll.ceiling / 4)
    if is_paused:
        after_s = max(after_s, poll.ceiling / 2)
    return min(poll.ceiling, max(poll.floor, after_s))


def next_poll_s(state: PolledState, ahead: float | None, now_ms: float) -> float:
    """The same, by the room's document. `now_ms` is the room's time."""
    is_before = state.phase == "before" and state.opens_at is not None
    return poll_after_s(
        state.poll,
        ahead,
        None if state.speed is None else state.speed.v50,
        opens_in_s=((state.opens_at or 0) - now_ms) / 1000 if is_before else None,
        is_paused=state.phase == "paused",
        draw_is_due=state.halted == "draw_due",
    )
