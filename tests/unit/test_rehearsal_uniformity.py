"""Whether numbers were drawn: fair draws pass, and each kind of favour is found."""

from collections.abc import Callable
from random import Random

import pytest

from sunseo.rehearsal.verdict.uniformity import uniformity_of

FAIR_DRAWS = 1_000


def shuffled(count: int, dice: Random) -> list[int]:
    numbers = list(range(1, count + 1))
    dice.shuffle(numbers)
    return numbers


@pytest.mark.parametrize("count", [12, 60, 300])
def test_fair_draws_look_odd_as_often_as_they_say(count: int) -> None:
    """Of fair draws, one in a hundred has a chance below a hundredth, by either test."""
    dice = Random(20_261_122)
    found = [uniformity_of(shuffled(count, dice)) for _ in range(FAIR_DRAWS)]

    assert not any(one.is_doubtful for one in found)
    assert sum(one.trend_p < 0.01 for one in found) < 0.02 * FAIR_DRAWS
    assert sum(one.grid_p < 0.01 for one in found) < 0.02 * FAIR_DRAWS
    assert sum(one.trend_p < 0.5 for one in found) > 0.4 * FAIR_DRAWS
    if count >= 60:
        assert sum(one.grid_p < 0.5 for one in found) > 0.4 * FAIR_DRAWS


def in_order(numbers: list[int]) -> list[int]:
    return sorted(numbers)


def mostly_in_order(numbers: list[int]) -> list[int]:
    """The first third of those who came has the best third of the numbers, in any order."""
    third = len(numbers) // 3
    return [n for n in numbers if n <= third] + [n for n in numbers if n > third]


def middle_first(numbers: list[int]) -> list[int]:
    """Those who came neither early nor late have the best numbers: no trend at all."""
    half, quarter = len(numbers) // 2, len(numbers) // 4
    worse = [n for n in numbers if n > half]
    return worse[:quarter] + [n for n in numbers if n <= half] + worse[quarter:]


@pytest.mark.parametrize(
    ("favour", "test"),
    [(in_order, "trend_p"), (mostly_in_order, "trend_p"), (middle_first, "grid_p")],
)
def test_favour_is_found(favour: Callable[[list[int]], list[int]], test: str) -> None:
    """A draw that looks at when people came is doubtful, by the test that is meant for it."""
    numbers = shuffled(300, Random(1))
    found = uniformity_of(favour(numbers))

    assert found.is_doubtful
    assert getattr(found, test) < 1e-6


def test_of_a_handful_nothing_is_said() -> None:
    """Nine in perfect order may be chance."""
    assert not uniformity_of(range(1, 10)).is_doubtful
    assert uniformity_of(range(1, 31)).is_doubtful


def test_numbers_need_not_be_without_gaps() -> None:
    """A crowd among others sees only its own numbers; their order is what counts."""
    dice = Random(7)
    numbers = shuffled(200, dice)

    assert uniformity_of([13 * n + 5 for n in numbers]) == uniformity_of(numbers)
