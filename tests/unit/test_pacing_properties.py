"""What holds of the controller whatever it is told."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from sunseo.room.pacing.pacing import Advance, Census, PacingLimits, PacingState, tick

ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True)
MOMENTS = st.one_of(st.floats(-10.0, 200.0), ANY_FLOAT)  # after the last tick
LIMITS = st.builds(
    PacingLimits,
    capacity=st.integers(1, 2000),
    capacity_min=st.none() | st.integers(1, 2000),
    rate_max=st.none() | st.floats(0.01, 1000.0),
    tau_s=st.floats(1.0, 120.0),
    grace_s=st.floats(2.0, 90_000.0),
    units_per_buyer=st.floats(0.1, 100.0),
)
TICKS = st.lists(
    st.fixed_dictionaries(
        {
            "after_s": MOMENTS,
            "joined": st.integers(0, 500),
            "live": st.integers(-5, 3000),
            "entered": st.lists(st.tuples(st.integers(-5, 3000), ANY_FLOAT), max_size=5),
            "departed": st.integers(-5, 500),
            "health": ANY_FLOAT,
            "units_left": st.none() | st.integers(-5, 5000),
            "buys_of_entered": ANY_FLOAT,
            "gaps": st.integers(-5, 50),
            "open": st.booleans(),
            "lost": st.booleans(),  # the write of this tick fails
            "limits": LIMITS,
        }
    ),
    max_size=10,
)


def led(ticks: list[dict[str, object]]) -> list[tuple[Census, PacingLimits, Advance]]:
    """Play a room through those ticks, as a leader would, with a stored serving."""
    state, serving, issued, now_s = PacingState.fresh(), 0, 0, 0.0
    seen = []
    for given_tick in ticks:
        told = dict(given_tick)
        limits, lost = told.pop("limits"), told.pop("lost")
        issued += told.pop("joined")  # type: ignore[operator]  # drawn as integers
        now_s += told.pop("after_s")  # type: ignore[operator]  # drawn as floats
        census = Census(now_s=now_s, issued=issued, serving=serving, **told)  # type: ignore[arg-type]  # as drawn
        assert isinstance(limits, PacingLimits)
        after, advance = tick(state, limits, census)
        seen.append((census, limits, advance))
        if not lost:
            serving = advance.serving
        state = msgspec.json.decode(msgspec.json.encode(after), type=PacingState)
        assert state == after
    return seen


@given(TICKS)
@settings(max_examples=100, deadline=None)
def test_controller_keeps_its_promises_whatever_it_is_told(ticks: list[dict[str, object]]) -> None:
    """Serving is monotone and within issued, C_eff within its bounds, every figure what it is."""
    for census, limits, advance in led(ticks):
        assert census.serving <= advance.serving <= census.issued
        if not census.open:
            assert advance.serving == census.serving

        floor = limits.capacity_min or max(1, round(limits.capacity * 0.1))
        assert min(limits.capacity, floor) <= advance.capacity <= limits.capacity

        assert 0.0 < advance.show_up <= 1.0
        assert 0.0 <= advance.expected <= census.serving
        if advance.speed is not None:
            speed = advance.speed
            assert 0.0 <= speed.v10 <= speed.v50 <= speed.v90 < float("inf")


@given(TICKS)
@settings(max_examples=30, deadline=None)
def test_the_same_is_decided_twice(ticks: list[dict[str, object]]) -> None:
    """State in, state out: nothing else has a say."""
    first = [advance for _, _, advance in led(ticks)]
    assert first == [advance for _, _, advance in led(ticks)]
