"""The rules against a model that knows only what the documents say, over random histories."""

from collections import Counter
from random import Random
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from sunseo.booking.commands import (
    ExpireHoldOutcome,
    PlaceHoldOutcome,
    ReleaseHoldOutcome,
    RenewHoldOutcome,
)
from sunseo.booking.halt import REASONS
from sunseo.checkout.commands import PlaceOrderOutcome
from tests.paper_histories import NOBODYS_HOLD, WAITS_S, Limits, SideBySide, step

limits = st.one_of(st.none(), st.integers(1, 5))
persons = st.integers(1, 3)
which = st.integers(0, 40)  # of the holds so far, counted from the newest


class Histories(RuleBasedStateMachine):
    """Finds the shortest history in which rules and model part company."""

    @initialize(
        order=limits,
        occasion=limits,
        person=limits,
        renewals_max=st.integers(0, 2),
        closes_after_s=st.sampled_from([None, None, 400]),
    )
    def open(
        self,
        order: int | None,
        occasion: int | None,
        person: int | None,
        renewals_max: int,
        closes_after_s: int | None,
    ) -> None:
        self.both = SideBySide(Limits(order, occasion, person, renewals_max, closes_after_s))

    def _hold(self, which: int) -> UUID:
        return self.both.holds[-1 - which] if which < len(self.both.holds) else NOBODYS_HOLD

    @rule(seconds=st.sampled_from(WAITS_S))
    def wait(self, seconds: int) -> None:
        self.both.wait(seconds)

    @rule(
        who=persons,
        key=st.integers(100, 130),
        seats=st.lists(st.integers(1, 7), max_size=4, unique=True),
        products=st.lists(
            st.tuples(st.integers(1, 4), st.integers(1, 3)), max_size=2, unique_by=lambda p: p[0]
        ),
    )
    def place(self, who: int, key: int, seats: list[int], products: list[tuple[int, int]]) -> None:
        if seats or products:
            self.both.place(who, key, seats, products)

    @rule(which=which, effect=st.integers(1, 4))
    def renew(self, which: int, effect: int) -> None:
        hold = self._hold(which)
        self.both.renew(hold, self.both.owner_of(hold), effect)

    @rule(which=which)
    def release(self, which: int) -> None:
        hold = self._hold(which)
        self.both.release(hold, self.both.owner_of(hold))

    @rule(which=which)
    def expire(self, which: int) -> None:
        self.both.expire(self._hold(which))

    @rule(which=which, order=st.integers(1, 20), body=st.integers(1, 2))
    def order(self, which: int, order: int, body: int) -> None:
        hold = self._hold(which)
        self.both.order(hold, self.both.owner_of(hold), order, body)

    @rule(paused=st.sampled_from([False, False, True]))
    def pause(self, *, paused: bool) -> None:
        self.both.pause(paused=paused)


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


def live(seed: int, steps: int) -> Counter[str]:
    """One long history from a seed, of which most commands have a chance to succeed."""
    dice = Random(seed)
    some = [None, None, *range(1, 7)]
    both = SideBySide(
        Limits(
            dice.choice(some),
            dice.choice(some),
            dice.choice(some),
            dice.randint(0, 2),
            dice.choice([None, None, None, 400]),
        )
    )
    for _ in range(steps):
        step(dice, both, steps)
    return both.seen


@pytest.mark.parametrize("first_seed", [1, 1001])
def test_long_histories_agree_with_the_model_and_meet_every_outcome(first_seed: int) -> None:
    """Sixty long lives: rules and model never differ, and no documented outcome is left out."""
    seen: Counter[str] = Counter()
    for seed in range(first_seed, first_seed + 60):
        try:
            seen += live(seed, steps=120)
        except AssertionError as error:
            error.add_note(f"seed {seed}")
            raise

    documented = {
        f"{type(outcome).__name__}.{outcome.name}"
        for outcomes in (
            PlaceHoldOutcome,
            RenewHoldOutcome,
            ReleaseHoldOutcome,
            ExpireHoldOutcome,
            PlaceOrderOutcome,
        )
        for outcome in outcomes
    }
    before_all = [one.name for one in REASONS]
    elsewhere = {
        f"PlaceHoldOutcome.{name}"
        for name in ("UNKNOWN_SALE", "PASS_REQUIRED", "ACCOUNT_REQUIRED", *before_all)
    }
    elsewhere.add("PlaceOrderOutcome.PAYMENT_REQUIRED")  # of holds that an older version placed
    assert documented - elsewhere == set(seen)
