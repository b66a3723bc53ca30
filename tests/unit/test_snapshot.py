"""Availability in memory: what is folded from events equals what a recount would say."""

from collections import Counter
from datetime import timedelta
from itertools import groupby
from random import Random
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sunseo.booking.availability.snapshot import (
    FREE,
    HELD,
    SOLD,
    ReloadError,
    SeatMap,
    Snapshot,
    StockLevel,
)
from sunseo.booking.inventory import SaleState
from sunseo.journal.events import (
    Event,
    HoldReleased,
    SalePaused,
    SaleResumed,
    SeatsAdded,
    StocksAdded,
    decode,
    encode,
)
from tests.paper_histories import SEATS, Limits, SideBySide, step
from tests.paper_inventory import person


def read(sale: SaleState, version: int) -> Snapshot:
    """What the tables say: the snapshot as `read_snapshot` would read it."""
    seats = sorted(sale.seats.items(), key=lambda pair: (pair[1].occasion, pair[0]))
    maps = []
    for occasion, group in groupby(seats, key=lambda pair: pair[1].occasion):
        rows = list(group)
        states = "".join(
            "0" if seat.hold is None else "1" if seat.expires_at is not None else "2"
            for _, seat in rows
        )
        maps.append(SeatMap(occasion, [number for number, _ in rows], states))
    levels = [StockLevel(n, 1, "", s.capacity, s.held, s.sold) for n, s in sale.stocks.items()]
    return Snapshot(version, maps, levels, paused=False)


def shown(snapshot: Snapshot) -> object:
    return (
        {n: (m.digits, m.counts, m.bitmap) for n, m in snapshot.seat_maps.items()},
        snapshot.stocks,
    )


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 5))
def test_folding_events_equals_a_recount(seed: int, rows_max: int) -> None:
    """After any history, journalled in rows of any size, the view is what the tables say."""
    dice = Random(seed)
    both = SideBySide(Limits(person=5))
    snapshot = read(both.lane.sale, 0)
    told = 0
    for _ in range(60):
        step(dice, both, 60)
        events = both.lane.sale.events[told:]
        if len(events) >= rows_max:
            told += len(events)
            journalled = decode(encode(events))
            snapshot.advance(snapshot.version + 1, journalled)
            assert shown(snapshot) == shown(read(both.lane.sale, snapshot.version))


def test_a_hall_of_50_000_seats_is_a_small_bitmap() -> None:
    """Two bits a seat: 12,500 bytes, well under 20 KB."""
    seats = SeatMap(1, range(1, 50_001), "0" * 50_000)
    seats.set(50_000, SOLD)

    assert len(seats.bitmap) == 12_500
    assert seats.bitmap[-1] == SOLD << 6
    assert seats.counts == (49_999, 0, 1)


@given(st.sets(st.integers(1, 300), min_size=1), st.data())
def test_a_seat_map_says_what_was_set_last(numbers: set[int], data: st.DataObject) -> None:
    """Digits, bitmap and counts agree, whatever the numbers of the seats."""
    seats = sorted(numbers)
    states = data.draw(st.lists(st.sampled_from("012"), min_size=len(seats), max_size=len(seats)))
    seat_map = SeatMap(1, seats, "".join(states))
    expected = {number: int(state) for number, state in zip(seats, states, strict=True)}
    moves = st.tuples(st.integers(0, 301), st.sampled_from([FREE, HELD, SOLD]))
    for seat, state in data.draw(st.lists(moves)):
        assert seat_map.set(seat, state) == (seat in expected)
        if seat in expected:
            expected[seat] = state

    assert seat_map.digits == "".join(str(expected[seat]) for seat in seats)
    counted = Counter(expected.values())
    assert seat_map.counts == (counted[FREE], counted[HELD], counted[SOLD])
    for place, seat in enumerate(seats):
        assert seat_map.bitmap[place // 4] >> (2 * (place % 4)) & 3 == expected[seat]
    assert len(seat_map.bitmap) == -(-len(seats) // 4)


@pytest.mark.parametrize("version", [-1, 0, 5, 7, 100])
def test_a_gap_or_a_repetition_asks_for_a_reload(version: int) -> None:
    """Only the very next version can be applied; anything else leaves the view as it was."""
    snapshot = read(SideBySide(Limits()).lane.sale, 5)
    before = shown(snapshot)

    with pytest.raises(ReloadError):
        snapshot.advance(version, [SalePaused()])
    assert (snapshot.version, snapshot.paused, shown(snapshot)) == (5, False, before)


@pytest.mark.parametrize(
    "event",
    [
        SeatsAdded(first_seat=7, last_seat=9),
        StocksAdded(stocks=(3,), products=()),
        HoldReleased(hold=UUID(int=1), seats=(99,), draws=()),
        HoldReleased(hold=UUID(int=1), seats=(), draws=((9, 1),)),
        None,
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_events_do_not_tell_asks_for_a_reload(event: Event | None) -> None:
    """New seats, new stock, unknown events and unknown places: the tables know."""
    snapshot = read(SideBySide(Limits()).lane.sale, 5)

    with pytest.raises(ReloadError):
        snapshot.advance(6, None if event is None else [event])
    assert snapshot.version == 5


def test_a_pause_is_seen() -> None:
    """The view follows the operator's pause and resume."""
    snapshot = read(SideBySide(Limits()).lane.sale, 5)
    snapshot.advance(6, [SalePaused()])
    assert snapshot.paused
    snapshot.advance(7, [SaleResumed()])
    assert (snapshot.paused, snapshot.version) == (False, 7)


def test_a_renewal_changes_nothing_that_is_shown() -> None:
    """Only its owner sees until when a hold lasts."""
    both = SideBySide(Limits())
    both.place(1, 100, [1], [])
    snapshot = read(both.lane.sale, 1)
    before = shown(snapshot)
    both.wait(1)
    both.renew(both.holds[0], person(1), 1)

    snapshot.advance(2, both.lane.sale.events[1:])
    assert shown(snapshot) == before
    assert both.lane.sale.seats[1].expires_at == both.now + timedelta(seconds=60)
    assert SEATS[1] == (1, 1)
    assert both.holds == [UUID(int=1001)]
