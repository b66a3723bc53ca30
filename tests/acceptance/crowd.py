"""One process of a crowd: a lane on a connection of its own, and buyers who remember everything.

Each buyer notes the sale's version and the database's time before it asks and after it was
answered. So whatever it was told must have been true at some moment between the two.
"""

import asyncio
from random import Random
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from sunseo.booking.commands import ExpireHold, InventoryCommand, PlaceHold, SaleKey
from sunseo.checkout.part import flush_of_sales
from sunseo.core.clock import to_millis
from sunseo.core.ids import Person
from sunseo.core.later import Later
from sunseo.engine.lanes import EngineLane
from sunseo.postgres.errors import fault_of
from sunseo.postgres.pipelined.pipeline import PipelineConnection
from tests.store.market import order, person, place, release, renew

GATE = 42
"""An advisory lock: the crowd starts when it is opened."""

PERSONS = 12
KEYS = 60  # of each person, shared by all processes: many are used twice, some for another body
SEATS = 40
PRODUCTS = (1, 2)
PEOPLE = {who.id: who for who in map(person, range(PERSONS))}

PAST_DUE = """
    SELECT hold FROM holds
    WHERE organisation = 1 AND sale = $1 AND state = 'open' AND expires_at <= clock_timestamp()
    LIMIT 3
"""


class Moment(msgspec.Struct, frozen=True):
    version: int
    millis: int


class Asked(msgspec.Struct, frozen=True):
    """One call, as its caller knows it."""

    command: Any
    before: Moment
    after: Moment
    outcome: str
    hold: Any = None  # as it was told
    order: UUID | None = None
    seats: tuple[int, ...] = ()  # that stood in the way
    stocks: tuple[int, ...] = ()


class Buyer:
    def __init__(
        self,
        seed: str,
        sale: SaleKey,
        lane: EngineLane,
        watch: Any,
        known: list[tuple[UUID, Person]],
    ) -> None:
        self._dice = Random(seed)
        self._sale = sale
        self._lane = lane
        self._watch = watch
        self._known = known  # holds that anybody in this process has been told of, with owners

    async def live(self, calls: int) -> list[Asked]:
        return [await self._ask(await self._choose()) for _ in range(calls)]

    async def _choose(self) -> InventoryCommand:
        dice, sale = self._dice, self._sale
        who = person(dice.randrange(PERSONS))
        key = str(dice.randrange(KEYS))
        known, owner = dice.choice(self._known[-8:] or [(who.id, who)])
        owner = owner if dice.random() < 0.95 else who
        match dice.choices(["place", "renew", "release", "order", "expire"], [10, 3, 4, 0.5, 3])[0]:
            case "renew":
                return renew(sale, owner, key, known)
            case "release":
                return release(sale, owner, known)
            case "order":
                return order(sale, owner, key, known)
            case "expire":
                past_due = await self._watch.fetch(PAST_DUE, sale[1])
                return ExpireHold(sale, dice.choice([known, *(row["hold"] for row in past_due)]))
        return self._wish(who, key)

    def _wish(self, who: Person, key: str) -> PlaceHold:
        """What is asked under a key is nearly always the same, so that retries are replays."""
        dice = Random(f"{who.id} {key}") if self._dice.random() < 0.95 else self._dice
        seats = dice.sample(range(1, SEATS + 1), dice.choice([0, 1, 1, 2, 3]))
        some = dice.sample(PRODUCTS, dice.choice([0, 0, 1] if seats else [1]))
        products = [(product, dice.choice([1, 1, 2])) for product in some]
        return place(self._sale, who, key, *seats, products=products)

    async def _ask(self, command: InventoryCommand) -> Asked:
        before = await self._moment()
        result: Any = (await self._lane.submit(command)).result
        after = await self._moment()
        hold = getattr(result, "hold", None)
        if isinstance(command, PlaceHold) and hold is not None:
            self._known.append((hold.hold, PEOPLE[hold.person]))
        placed = getattr(result, "order", None)
        return Asked(
            command,
            before,
            after,
            result.outcome.name,
            hold and _copy(hold),
            placed and placed.order,
            getattr(result, "seats", ()),
            getattr(result, "stocks", ()),
        )

    async def _moment(self) -> Moment:
        version, now = await self._watch.fetchrow(
            "SELECT version, clock_timestamp() FROM sales WHERE organisation = $1 AND sale = $2",
            *self._sale,
        )
        return Moment(version, to_millis(now))


def _copy(hold: Any) -> tuple[UUID, str]:
    """What a caller keeps of a hold; the lane's own object goes on changing."""
    return hold.hold, hold.state.value


def run_process(dsn: str, sale: SaleKey, seed: str, buyers: int, calls: int) -> list[Asked]:
    """Be one process of the crowd."""
    return asyncio.run(_run(dsn, sale, seed, buyers, calls))


async def _run(dsn: str, sale: SaleKey, seed: str, buyers: int, calls: int) -> list[Asked]:
    connection, waiting = PipelineConnection(dsn), PipelineConnection(dsn)
    lane = EngineLane(
        flush_of_sales(connection),
        flush_of_sales(waiting, waits=True),
        later=Later,
        fault_of=fault_of,
    )
    lane.start()
    watches = [await asyncpg.connect(dsn) for _ in range(buyers)]
    await watches[0].execute("SELECT pg_advisory_lock_shared($1)", GATE)
    known: list[tuple[UUID, Person]] = []
    histories = await asyncio.gather(
        *(
            Buyer(f"{seed} {number}", sale, lane, watch, known).live(calls)
            for number, watch in enumerate(watches)
        )
    )
    await lane.stop()
    await connection.close()
    for watch in watches:
        await watch.close()
    return [asked for history in histories for asked in history]
