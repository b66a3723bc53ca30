"""What verification says of valid data, of data in motion, and of what it could not check."""

import asyncio
import random
from uuid import UUID

import asyncpg
import pytest
from msgspec.structs import replace

from sunseo.booking.commands import (
    ExpireHold,
    InventoryCommand,
    PlaceHold,
    PlaceHoldOutcome,
    ReleaseHold,
    RenewHold,
)
from sunseo.checkout.commands import PlaceOrder
from sunseo.invariants.entries import INVARIANTS, Scope
from sunseo.invariants.report import NotChecked
from sunseo.invariants.verify import (
    OUT_OF_TIME,
    Progress,
    UnknownSaleError,
    VerifyLimits,
    group_sales,
    verify,
)
from tests.store.shop import A_SALE, ORGANISATION, Shop, open_shop, person

BATCHES, BATCH = 25, 40
SALE_INVARIANTS = [i.name for i in INVARIANTS if i.scope is Scope.SALE]


class Crowd:
    """Persons who do all that persons do, at random, each in one of several sales."""

    def __init__(self, seed: int, sales: list[int]) -> None:
        self._dice = random.Random(seed)
        self._sales = sales
        self._holds: list[tuple[int, UUID, UUID]] = []

    def commands(self, number: int) -> list[InventoryCommand]:
        return [self._command() for _ in range(number)]

    def _command(self) -> InventoryCommand:
        if not self._holds or self._dice.random() < 0.5:
            return self._placing()
        sale, who, hold = self._dice.choice(self._holds)
        key = (ORGANISATION, sale)
        effect = self._effect()
        return self._dice.choice(
            [
                ReleaseHold(key, who, hold),
                RenewHold(key, effect, who, hold),
                ExpireHold(key, hold),
                PlaceOrder(key, effect, who, hold, None, effect),
                PlaceOrder(key, effect, who, hold, None, effect),
            ]
        )

    def _effect(self) -> UUID:
        return UUID(int=self._dice.getrandbits(128))

    def _placing(self) -> PlaceHold:
        dice = self._dice
        sale = dice.choice(self._sales)
        who = person(str(dice.randrange(12)))
        effect = self._effect()
        seats = tuple(dice.sample(range(1, 27), dice.randrange(4)))  # the sale has 25
        products = {dice.randrange(1, 4): dice.randrange(1, 3) for _ in range(dice.randrange(3))}
        if not seats and not products:
            products = {1: 1}
        self._holds.append((sale, who, effect))
        return PlaceHold((ORGANISATION, sale), effect, who, seats, tuple(products.items()), effect)


async def sell(shop: Shop, crowd: Crowd, outcomes: set[str]) -> None:
    answers = await shop.do_all(crowd.commands(BATCH))
    outcomes.update(f"{type(a.outcome).__name__}.{a.outcome.name}" for a in answers)
    shop.let_time_pass(60)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_busy_and_mixed_history_is_clean(database_dsn: str, seed: int) -> None:
    """Whatever a crowd does through the real batch, every invariant holds."""
    outcomes: set[str] = set()
    async with open_shop(database_dsn) as shop:
        crowd = Crowd(seed, [await shop.open_sale(), await shop.open_sale()])
        for _ in range(BATCHES):
            await sell(shop, crowd, outcomes)
        report = await verify(shop.engine, ORGANISATION)

    assert (report.violations, report.not_checked) == ([], [])
    assert (report.clean, report.sales) == (True, 2)
    assert {
        "PlaceHoldOutcome.HELD",
        "PlaceHoldOutcome.SEAT_TAKEN",
        "PlaceHoldOutcome.LIMIT_REACHED",
        "PlaceHoldOutcome.ORDER_LIMIT_REACHED",
        "PlaceHoldOutcome.UNKNOWN_SEAT",
        "RenewHoldOutcome.RENEWED",
        "ReleaseHoldOutcome.RELEASED",
        "ExpireHoldOutcome.EXPIRED",
        "PlaceOrderOutcome.CONFIRMED",
        "PlaceHoldOutcome.PAYMENT_REQUIRED",
    } <= outcomes, f"the history is less mixed than it should be: {sorted(outcomes)}"


async def test_a_sale_is_verified_while_it_runs(database_dsn: str) -> None:
    """Batches that commit during a verification never make it see half of one."""
    async with open_shop(database_dsn) as shop:
        crowd = Crowd(4, [await shop.open_sale()])
        is_over = asyncio.Event()

        async def keep_selling() -> int:
            batches = 0
            while not is_over.is_set():
                await sell(shop, crowd, set())
                batches += 1
            return batches

        selling = asyncio.create_task(keep_selling())
        reports = [await verify(shop.engine, ORGANISATION) for _ in range(5)]
        is_over.set()
        batches = await selling

    assert [report.violations for report in reports] == [[]] * 5
    assert all(report.clean for report in reports)
    assert batches > 5


async def test_a_sale_without_limits_is_clean(database_dsn: str) -> None:
    """Where a sale has no limits, nothing is counted for persons, and nothing is missed."""
    free_for_all = replace(A_SALE, order_limit=None, occasion_limit=None, person_limit=None)
    async with open_shop(database_dsn) as shop:
        sale = await shop.open_sale(free_for_all)
        held = await shop.place(sale, "ann", *range(1, 11), products=[(1, 30)])
        report = await verify(shop.engine, ORGANISATION)

    assert held is PlaceHoldOutcome.HELD
    assert report.clean


async def test_an_unknown_sale_is_told(database_dsn: str) -> None:
    """Naming a sale that does not exist is an error, not a clean report."""
    async with open_shop(database_dsn) as shop:
        sale = await shop.open_sale()
        with pytest.raises(UnknownSaleError, match=r"Organisation 1 has no sale 998, 999\."):
            await verify(shop.engine, ORGANISATION, [999, sale, 998])


async def test_only_the_sales_named_are_checked(database_dsn: str) -> None:
    """Neither another sale nor the organisation is looked at when a sale is named."""
    async with open_shop(database_dsn) as shop:
        one, other = await shop.open_sale(), await shop.open_sale()
        await shop.corrupt(
            f"UPDATE stocks SET held = 1 WHERE sale = {other}",  # noqa: S608 - a number of ours
            "UPDATE operator_effects SET result = NULL",
        )
        named = await verify(shop.engine, ORGANISATION, [one])
        everything = await verify(shop.engine, ORGANISATION)
        elsewhere = await verify(shop.engine, ORGANISATION + 1)

    assert (named.clean, named.sales, named.checked) == (True, 1, SALE_INVARIANTS)
    assert {(v.invariant, v.sale) for v in everything.violations} == {
        ("stock-counters", other),
        ("journal-stocks", other),
        ("operator-effects", None),
    }
    assert (elsewhere.clean, elsewhere.sales) == (True, 0)


async def test_many_rows_at_fault_are_counted_and_the_first_are_shown(database_dsn: str) -> None:
    """Of each sale come the first rows in order, however many sales share the statement."""
    async with open_shop(database_dsn) as shop:
        one, other = await shop.open_sale(), await shop.open_sale()
        await shop.corrupt("UPDATE seats SET price_class = 9")
        report = await verify(shop.engine, ORGANISATION, limits=VerifyLimits(rows_max=3))

    assert [(v.invariant, v.sale, v.total) for v in report.violations] == [
        ("sale-parts", one, 25),
        ("sale-parts", other, 25),
    ]
    for violation in report.violations:
        assert [row["number"] for row in violation.rows] == [1, 2, 3]


async def test_what_runs_out_of_time_is_not_clean(database_dsn: str) -> None:
    """An invariant whose statement does not end in time is named; the others are checked."""
    limits = VerifyLimits(statement_s=0.6)
    async with open_shop(database_dsn) as shop:
        sale = await shop.open_sale()
        blocker = await asyncpg.connect(database_dsn)
        try:
            async with blocker.transaction():
                await blocker.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
                report = await verify(shop.engine, ORGANISATION, [sale], limits=limits)
        finally:
            await blocker.close()

    missed = ["stock-counters", "order-hold", "hold-order", "order-paid", "order-confirmed-once"]
    assert report.not_checked == [NotChecked(name, [sale], OUT_OF_TIME) for name in missed]
    assert report.checked == [name for name in SALE_INVARIANTS if name not in missed]
    assert (report.clean, report.violations) == (False, [])


async def test_no_invariant_begins_when_the_time_of_a_snapshot_is_up(database_dsn: str) -> None:
    """A snapshot is given back in time, and all that was left to check is named."""
    async with open_shop(database_dsn) as shop:
        await shop.open_sale()
        report = await verify(shop.engine, ORGANISATION, limits=VerifyLimits(snapshot_s=0.0))

    assert (report.clean, report.checked, report.violations) == (False, [], [])
    assert [entry.invariant for entry in report.not_checked] == [i.name for i in INVARIANTS]


async def test_a_statement_that_fails_is_not_clean(database_dsn: str) -> None:
    """Data that cannot even be read leaves the invariant unchecked, and says why."""
    async with open_shop(database_dsn) as shop:
        sale = await shop.open_sale()
        await shop.place(sale, "ann", 1)
        await shop.corrupt(
            """UPDATE journal SET events = jsonb_set(events, '{0,seats}', '["A1"]')"""
            """ WHERE events @> '[{"type": "HoldPlaced"}]'"""
        )
        report = await verify(shop.engine, ORGANISATION)

    (missed,) = report.not_checked
    assert (missed.invariant, missed.sales) == ("journal-seats", [sale])
    assert "invalid input syntax" in missed.reason
    assert [violation.invariant for violation in report.violations] == ["hold-placed-once"]


async def test_progress_is_told_check_by_check(database_dsn: str) -> None:
    """Whoever shows a bar hears of every check, in order, up to the last one."""
    heard: list[Progress] = []
    async with open_shop(database_dsn) as shop:
        await shop.open_sale()
        await verify(shop.engine, ORGANISATION, on_progress=heard.append)

    total = len(INVARIANTS)
    assert heard == [
        *(Progress(done, total, invariant.name) for done, invariant in enumerate(INVARIANTS)),
        Progress(total, total, ""),
    ]


def test_small_sales_share_snapshots_and_large_ones_do_not() -> None:
    """Groups keep the order of the sales and end at the bounds of number and size."""
    limits = VerifyLimits(group_sales_max=3, group_size_max=10)
    sizes = {1: 4, 2: 6, 3: 1, 4: 50, 5: 0, 6: 0, 7: 0, 8: 0}

    assert list(group_sales(sizes, limits)) == [[1, 2], [3], [4], [5, 6, 7], [8]]
    assert list(group_sales({}, limits)) == []


async def test_many_small_sales_are_checked_in_several_groups(database_dsn: str) -> None:
    """What is wrong in one of many sales is told of that sale, whichever group it is in."""
    limits = VerifyLimits(group_sales_max=2)
    async with open_shop(database_dsn) as shop:
        sales = [await shop.open_sale(seats=None) for _ in range(5)]
        await shop.corrupt(
            f"UPDATE stocks SET held = 1 WHERE sale = {sales[3]} AND stock = 1"  # noqa: S608 - a number of ours
        )
        report = await verify(shop.engine, ORGANISATION, limits=limits)

    assert report.sales == 5
    assert {(v.invariant, v.sale) for v in report.violations} == {
        ("stock-counters", sales[3]),
        ("journal-stocks", sales[3]),
    }
