"""Latencies counted in logarithmic buckets: any span, no list of every value, mergeable.

As HdrHistogram does: 64 buckets to each doubling, so a value is known within 1.6 %.
"""

from collections.abc import Iterable
from math import ceil

Counts = dict[int, int]
"""How many values fell into each bucket."""

_SUB_BITS = 6
_SUB = 1 << _SUB_BITS


def bucket_of(micros: int) -> int:
    shift = max(0, micros.bit_length() - _SUB_BITS - 1)
    return (shift << _SUB_BITS) + (micros >> shift)


def micros_of(bucket: int) -> float:
    """The middle of a bucket."""
    shift = max(0, (bucket >> _SUB_BITS) - 1)
    part = bucket - (shift << _SUB_BITS)
    return (part + 0.5) * (1 << shift) if shift else float(part)


def note(counts: Counts, seconds: float) -> None:
    bucket = bucket_of(max(0, int(seconds * 1e6)))
    counts[bucket] = counts.get(bucket, 0) + 1


def merged(many: Iterable[Counts]) -> Counts:
    total: Counts = {}
    for counts in many:
        for bucket, times in counts.items():
            total[bucket] = total.get(bucket, 0) + times
    return total


def quantiles_ms(counts: Counts, *shares: float) -> list[float]:
    """Values, in milliseconds, that these shares do not exceed; zeros where nothing was counted."""
    total = sum(counts.values())
    if not total:
        return [0.0 for _ in shares]
    found: list[float] = []
    ranks = [max(1, ceil(share * total)) for share in shares]
    ascending = sorted(counts.items())
    for rank in ranks:
        seen = 0
        for bucket, times in ascending:
            seen += times
            if seen >= rank:
                found.append(round(micros_of(bucket) / 1000, 2))
                break
    return found
