"""Latencies in buckets, and how far an order of entering is from the order of numbers."""

from hypothesis import given
from hypothesis import strategies as st

from sunseo.rehearsal.observe.histogram import (
    Counts,
    bucket_of,
    merged,
    micros_of,
    note,
    quantiles_ms,
)
from sunseo.rehearsal.observe.ledger import Figures, Operation
from sunseo.rehearsal.verdict.fairness import JoinedAt, fairness_of, overtakers


@given(st.integers(0, 10**10))
def test_bucket_is_near_its_value(micros: int) -> None:
    """Any time is told within 1.6 percent, from a microsecond to hours."""
    assert abs(micros_of(bucket_of(micros)) - micros) <= micros / 64 + 1


@given(st.integers(0, 10**9))
def test_buckets_are_in_the_order_of_their_values(micros: int) -> None:
    """A longer time never falls into an earlier bucket."""
    assert bucket_of(micros) <= bucket_of(micros + 1)


def test_quantiles_are_nearest_ranks() -> None:
    """Of one to a hundred milliseconds the median is 50, the 99th percentile 99."""
    counts: Counts = {}
    for millis in range(1, 101):
        note(counts, millis / 1000)

    p50, p99, longest = quantiles_ms(counts, 0.5, 0.99, 1.0)
    assert (round(p50), round(p99), round(longest)) == (50, 99, 100)
    assert quantiles_ms({}, 0.5, 0.99) == [0.0, 0.0]


def test_merging_adds_counts() -> None:
    """Two drivers' histograms together count what both have seen."""
    assert merged([{1: 2, 3: 1}, {3: 4}]) == {1: 2, 3: 5}


def test_figures_of_drivers_add_up() -> None:
    """Outcomes, latencies, arrivals and endings of two drivers are summed, key by key."""
    one = Figures({"join": {"201": 2}}, {"join": {0: {5: 2}}}, {"bought": 1}, {0: 2}, 1, 1, {1: 1})
    two = Figures({"join": {"201": 1, "200": 3}}, {"join": {0: {5: 1}, 1: {6: 3}}}, {"bought": 2})
    one.answers, two.answers = {7: {"good": 2}}, {7: {"good": 1, "later": 1}, 8: {"error": 1}}
    one.add(two)

    assert one.answers == {7: {"good": 3, "later": 1}, 8: {"error": 1}}
    assert one.outcomes == {"join": {"201": 3, "200": 3}}
    assert one.latencies == {"join": {0: {5: 3}, 1: {6: 3}}}
    assert one.gone == {"bought": 3}
    assert one.requests == 7
    assert one.count(Operation.JOIN, "200") == 3
    assert one.latency(Operation.JOIN, since=1) == {6: 3}


def test_order_of_numbers_is_perfectly_fair() -> None:
    """Who enters by number inverts nothing; the opposite order inverts everything."""
    assert fairness_of(range(100)).tau == 1.0
    assert fairness_of(range(100, 0, -1)).tau == -1.0
    assert fairness_of([1, 3, 2]).inversions == 1
    assert fairness_of([7]).pairs == 0


@given(st.lists(st.integers(0, 30), max_size=12, unique=True))
def test_inversions_are_those_that_counting_finds(numbers: list[int]) -> None:
    """Merge sort counts what comparing every pair counts."""
    counted = sum(
        numbers[a] > numbers[b] for a in range(len(numbers)) for b in range(a + 1, len(numbers))
    )
    assert fairness_of(numbers).inversions == counted


def test_overtaking_is_having_a_lower_number_than_who_was_done_before() -> None:
    """Only who asked after another one had her number must be behind her."""
    first = JoinedAt(5, asked_at=0.0, told_at=1.0)
    meanwhile = JoinedAt(3, asked_at=0.9, told_at=2.0)
    afterwards = JoinedAt(4, asked_at=1.1, told_at=2.0)

    assert overtakers([first, meanwhile]) == []
    assert overtakers([first, meanwhile, afterwards]) == [afterwards]
