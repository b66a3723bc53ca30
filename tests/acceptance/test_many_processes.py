"""The concurrency proof: real processes on one small hall, held against a sequential model.

The journal gives the order in which everything happened. Replayed one event at a time through a
ledger that knows only what the documents promise, it has to explain every answer that any process
was given; and what the tables say in the end has to be what the ledger says.
"""

import asyncio
import multiprocessing
import os
import secrets
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from uuid import UUID

import asyncpg
import msgspec
import pytest

from sunseo.booking.commands import ExpireHold, PlaceHold, ReleaseHold, RenewHold, SaleKey
from sunseo.booking.setup.setup_bodies import NewSeats
from sunseo.checkout.commands import PlaceOrder
from sunseo.core.clock import to_millis
from sunseo.operators.command import By
from tests.acceptance.crowd import GATE, SEATS, Asked, run_process
from tests.acceptance.ledger import ROUNDING_MS, Ledger, Rules, Story
from tests.store.market import PATIENCE_S, Market, done

PROCESSES, BUYERS, CALLS = 4, 5, 180
FREE_SEATS = SEATS - 2  # numbered first; the last two cost something
TTL_S = 1  # of real time: holds run out by themselves while the crowd is at it
RULES = Rules(
    ttl_ms=TTL_S * 1000,
    renewals_max=1,
    person_limit=6,
    capacities={1: 14, 2: 6},
    products={1: {1: 1}, 2: {1: 2, 2: 1}},
)


async def open_sale(market: Market) -> SaleKey:
    """Free seats and two that cost, two kinds of stock, two products that share one of them."""
    sale = await market.sale(
        seats=FREE_SEATS,
        stocks=list(RULES.capacities.values()),
        products=[dict(draws) for draws in RULES.products.values()],
        hold_ttl_s=TTL_S,
        renewals_max=RULES.renewals_max,
        person_limit=RULES.person_limit,
        price_classes=[{"name": "R", "price": 0}, {"name": "VIP", "price": 100}],
    )
    dear = {"occasion": 1, "price_class": 2, "section": "V", "rows": 1, "seats_per_row": 2}
    seats = msgspec.convert({"blocks": [dear]}, NewSeats)
    done(await market.setup.add_seats(By("op", "dear"), sale[1], seats))
    return sale


async def run_crowd(market: Market, sale: SaleKey, seed: str) -> list[Asked]:
    """Start the processes, let them all go at once, and gather what they remember."""
    gate = await market.raw()
    await gate.execute("SELECT pg_advisory_lock($1)", GATE)
    loop = asyncio.get_running_loop()
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, mp_context=spawn) as pool:
        running = [
            loop.run_in_executor(
                pool, run_process, market.dsn, sale, f"{seed} {number}", BUYERS, CALLS
            )
            for number in range(PROCESSES)
        ]
        try:
            await market.until_somebody_waits_for_a_lock(PROCESSES)
        finally:  # whoever has come goes through, or the pool would never end
            await gate.execute("SELECT pg_advisory_unlock($1)", GATE)
        async with asyncio.timeout(PATIENCE_S * 2):
            histories = await asyncio.gather(*running)
    return [asked for history in histories for asked in history]


async def read_ledger(connection: "asyncpg.Connection[asyncpg.Record]", sale: SaleKey) -> Ledger:
    rows = await connection.fetch(
        "SELECT version, recorded_at, events FROM journal"
        " WHERE kind = 'sale' AND stream = $1 ORDER BY version",
        sale[1],
    )
    ledger = Ledger(RULES)
    ledger.replay(
        (row["version"], to_millis(row["recorded_at"]), msgspec.json.decode(row["events"]))
        for row in rows
    )
    return ledger


async def test_a_crowd_of_processes_is_explained_by_one_sequence(market: Market) -> None:
    """Every answer was true at some moment of its call, and every effect is there exactly once."""
    seed = os.environ.get("SUNSEO_TEST_SEED") or secrets.token_hex(4)
    print(f"SUNSEO_TEST_SEED={seed}")  # noqa: T201 - shown where the test fails
    sale = await open_sale(market)
    history = await run_crowd(market, sale, seed)
    ledger = await read_ledger(await market.raw(), sale)

    verdict = Verdict(ledger)
    unexplained = [asked for asked in history if not verdict.explains(asked)]
    assert not unexplained, f"{len(unexplained)} answers, for instance {unexplained[0]}"
    verdict.check_counts(history)
    await check_tables(market, ledger)

    seen = Counter(asked.outcome for asked in history)
    assert len(history) == PROCESSES * BUYERS * CALLS
    expected = {"HELD", "REPLAYED", "SEAT_TAKEN", "SOLD_OUT", "LIMIT_REACHED", "RELEASED"}
    assert expected | {"CONFIRMED", "RENEWED", "NOT_DUE", "PAYMENT_REQUIRED"} <= set(seen), seen
    assert sum(story.end == "expired" for story in ledger.holds.values()) > 5


class Verdict:
    """Says of each answer whether the ledger explains it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def explains(self, asked: Asked) -> bool:
        points = self._ledger.points(asked.before.version, asked.after.version)
        match asked.command:
            case PlaceHold():
                return self._place(asked, points)
            case RenewHold() | ReleaseHold() | PlaceOrder() | ExpireHold():
                return self._about_a_hold(asked, points)
        raise TypeError(asked.command)

    def _place(self, asked: Asked, points: range) -> bool:
        command: PlaceHold = asked.command
        story = self._ledger.holds.get(command.effect)
        match asked.outcome:
            case "HELD":
                assert asked.hold == (command.effect, "open")
                assert max(command.seats, default=0) <= FREE_SEATS, "held without payment"
                return story is not None and story.placed in points[1:] and _fits(story, command)
            case "REPLAYED":
                return story is not None and any(
                    (command.effect, story.state(p)) == asked.hold for p in points
                )
            case "KEY_REUSED":
                return (
                    story is not None and story.placed <= points[-1] and not _fits(story, command)
                )
            case "PAYMENT_REQUIRED":
                dear = tuple(seat for seat in command.seats if seat > FREE_SEATS)
                return bool(dear) and asked.seats == dear
            case "SEAT_TAKEN":
                return any(self._seats_taken(asked, p) for p in points)
            case "LIMIT_REACHED":
                wanted = _units(command)
                return any(
                    self._ledger.used(self._counting(asked, p), command.person) + wanted
                    > RULES.person_limit
                    for p in points
                )
            case "SOLD_OUT":
                draws = _draws(command)
                return bool(asked.stocks) and any(
                    all(
                        self._ledger.drawn(self._counting(asked, p), stock) + draws[stock]
                        > RULES.capacities[stock]
                        for stock in asked.stocks
                    )
                    for p in points
                )
        return False

    def _counting(self, asked: Asked, point: int) -> list[UUID]:
        """Holds that may have counted: those past due when the call began were to be reclaimed."""
        return [
            hold
            for hold in self._ledger.standing[point]
            if self._ledger.holds[hold].may_stand(point, asked.before.millis)
        ]

    def _seats_taken(self, asked: Asked, point: int) -> bool:
        owners = self._ledger.owners(point)
        stories = {seat: self._ledger.holds[hold] for seat, hold in owners.items()}
        named = set(asked.seats)
        for seat in asked.command.seats:
            story = stories.get(seat)
            if seat in named and (story is None or not story.may_stand(point, asked.before.millis)):
                return False
            # A seat that was somebody's for certain would have been named as well.
            if seat not in named and story and story.may_stand(point, asked.after.millis + 5):
                return False
        return bool(named)

    def _about_a_hold(self, asked: Asked, points: range) -> bool:
        command = asked.command
        story = self._ledger.holds.get(command.hold)
        mine = story is not None and getattr(command, "person", story.person) == story.person
        if isinstance(command, PlaceOrder) and command.effect in self._ledger.orders:
            ordered = self._ledger.orders[command.effect]
            known = self._ledger.holds[ordered].ended or 0
            if asked.outcome == "KEY_REUSED":
                return ordered != command.hold and known <= points[-1]
        if asked.outcome == "UNKNOWN_HOLD":
            return not mine or any(story.state(p) is None for p in points if story)
        if story is None or not mine:
            return False
        if asked.outcome in _MOVES:
            return self._moved(asked, story, points)
        return any(_stood(asked, story, p) for p in points)

    def _moved(self, asked: Asked, story: Story, points: range) -> bool:
        """The event of what was done stands between the call's beginning and its end."""
        if asked.outcome == "RENEWED":
            return any(since in points[1:] for since, _ in story.expiries[1:])
        if asked.outcome == "CONFIRMED":
            assert self._ledger.orders[asked.command.effect] == asked.command.hold
            assert asked.order == asked.command.effect
        return story.ended in points[1:] and story.end == _MOVES[asked.outcome]

    def check_counts(self, history: list[Asked]) -> None:
        """What was acknowledged happened once, and was acknowledged to one caller only."""
        told = Counter((a.outcome, a.command.hold) for a in history if a.outcome in _MOVES)
        ledger = self._ledger
        for hold, story in ledger.holds.items():
            assert told["RENEWED", hold] == ledger.renewed[hold]
            for outcome, end in _MOVES.items():
                if outcome in ("RELEASED", "CONFIRMED"):
                    assert told[outcome, hold] == (story.end == end)
                elif outcome == "EXPIRED":  # or reclaimed by a buyer who found it in the way
                    assert told[outcome, hold] <= (story.end == end)
        placed = Counter(a.command.effect for a in history if a.outcome == "HELD")
        assert placed == Counter(dict.fromkeys(ledger.holds, 1))


_MOVES = {"RENEWED": "", "RELEASED": "released", "CONFIRMED": "ordered", "EXPIRED": "expired"}


def _stood(asked: Asked, story: Story, point: int) -> bool:
    """Whether a hold stood at this point as its owner was told."""
    state = story.state(point)
    if state is None:
        return False
    over_ms = story.expires_ms(point)
    may_be_over = over_ms <= asked.after.millis + ROUNDING_MS
    may_be_open = state == "open" and over_ms > asked.before.millis - ROUNDING_MS
    truths: dict[str, Callable[[], bool]] = {
        "HOLD_ORDERED": lambda: state == "ordered",
        "HOLD_RELEASED": lambda: state == "released",
        "HOLD_EXPIRED": lambda: state == "expired" or (state == "open" and may_be_over),
        "RENEWALS_SPENT": lambda: may_be_open and story.renewals(point) == RULES.renewals_max,
        "NOT_DUE": lambda: may_be_open,
        "ENDED_BEFORE": lambda: state != "open",
        "REPLAYED": lambda: _replayed(asked, story, point),
    }
    return truths.get(asked.outcome, lambda: False)()


def _replayed(asked: Asked, story: Story, point: int) -> bool:
    match asked.command:
        case RenewHold():
            return story.renewals(point) > 0
        case ReleaseHold():
            return story.state(point) == "released"
        case PlaceOrder():
            return story.state(point) == "ordered" and asked.order == asked.command.effect
    return False


def _fits(story: Story, command: PlaceHold) -> bool:
    claim = (command.person, tuple(command.seats), dict(_draws(command)), _units(command))
    return claim == (story.person, tuple(story.seats), story.draws, story.units)


def _units(command: PlaceHold) -> int:
    return len(command.seats) + sum(quantity for _, quantity in command.products)


def _draws(command: PlaceHold) -> Counter[int]:
    drawn: Counter[int] = Counter()
    for product, quantity in command.products:
        for stock, units in RULES.products[product].items():
            drawn[stock] += units * quantity
    return drawn


async def check_tables(market: Market, ledger: Ledger) -> None:
    """Holds, orders, seats, stock and counters are what the sequence of events makes of them."""
    standing = ledger.standing[-1]
    holds = {hold: story.end or "open" for hold, story in ledger.holds.items()}
    assert dict(await market.rows("SELECT hold, state FROM holds")) == holds
    assert dict(await market.rows("SELECT order_id, hold FROM orders")) == ledger.orders
    owners = dict(await market.rows("SELECT seat, hold FROM seats WHERE hold IS NOT NULL"))
    assert owners == ledger.owners(ledger.point)
    sold = [hold for hold in standing if ledger.holds[hold].end == "ordered"]
    held = [hold for hold in standing if ledger.holds[hold].end == ""]
    for stock, *counted in await market.rows("SELECT stock, held, sold FROM stocks"):
        assert counted == [ledger.drawn(held, stock), ledger.drawn(sold, stock)]
    uses = await market.rows("SELECT person, units FROM person_uses")
    assert all(units == ledger.used(standing, person) for person, units in uses)
    assert {ledger.holds[hold].person for hold in standing} <= {person for person, _ in uses}


@pytest.mark.parametrize(
    ("event", "fault"),
    [
        ({"type": "HoldPlaced", "seats": [1], "draws": []}, "a seat has two owners"),
        ({"type": "HoldPlaced", "seats": [], "draws": [[1, 15]]}, "oversold"),
        ({"type": "HoldPlaced", "seats": [2], "draws": [], "units": 7}, "more than the limit"),
        ({"type": "HoldReleased", "seats": [1], "draws": [], "hold": 1}, None),
        ({"type": "HoldExpired", "seats": [1], "draws": [], "hold": 1}, "before its time"),
    ],
)
def test_the_ledger_itself_notices_what_must_not_happen(
    event: dict[str, object], fault: str | None
) -> None:
    """A judge that never objects proves nothing."""
    first = {"type": "HoldPlaced", "hold": str(UUID(int=1)), "person": str(UUID(int=7))}
    claim = {"seats": [1], "draws": [], "units": 1, "amount": 0, "expires_at": RULES.ttl_ms}
    hold = str(UUID(int=1 if event.pop("hold", 2) == 1 else 2))
    second = first | claim | {"hold": hold, "person": str(UUID(int=8))} | event
    ledger = Ledger(RULES)
    rows = [(1, 0, [first | claim]), (2, 1, [second])]
    if fault is None:
        ledger.replay(rows)
        return
    with pytest.raises(AssertionError, match=fault):
        ledger.replay(rows)
