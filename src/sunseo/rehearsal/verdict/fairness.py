"""How far an order of events is from the order of numbers: pure."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence

import msgspec


class Fairness(msgspec.Struct, frozen=True):
    """
    Attributes:
        pairs: of all that could be compared.
        inversions: pairs in the other order than their numbers.
        tau: Kendall's, 1 where there is none, 0 for chance, -1 for the opposite order.
    """

    pairs: int
    inversions: int
    tau: float


def fairness_of(numbers: Sequence[int]) -> Fairness:
    """Of numbers, each one once, in the order in which they entered."""
    count = len(numbers)
    pairs = count * (count - 1) // 2
    _, inversions = _sort(list(numbers))
    tau = 1.0 - 2.0 * inversions / pairs if pairs else 1.0
    return Fairness(pairs, inversions, round(tau, 4))


def _sort(numbers: list[int]) -> tuple[list[int], int]:
    """Merge sort, counting how many pairs had to change sides."""
    if len(numbers) < 2:
        return numbers, 0
    middle = len(numbers) // 2
    left, in_left = _sort(numbers[:middle])
    right, in_right = _sort(numbers[middle:])
    inversions = in_left + in_right
    for number in right:
        inversions += len(left) - bisect_left(left, number)
    return sorted(left + right), inversions


class JoinedAt(msgspec.Struct, frozen=True):
    number: int
    asked_at: float
    told_at: float


def overtakers(joined: Iterable[JoinedAt]) -> list[JoinedAt]:
    """Those with a lower number than somebody who was told hers before they had asked.

    Who asked while others were being answered may get any number among theirs: nobody can say who
    was first. Who had a number before the other one even asked must be ahead of her.
    """
    by_asking = sorted(joined, key=lambda one: one.asked_at)
    by_telling = sorted(by_asking, key=lambda one: one.told_at)
    found: list[JoinedAt] = []
    highest_told, place = 0, 0
    for one in by_asking:
        while by_telling[place].told_at < one.asked_at:
            highest_told = max(highest_told, by_telling[place].number)
            place += 1
        if one.number < highest_told:
            found.append(one)
    return found
