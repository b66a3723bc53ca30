"""A small sale on a real database, sold through the real batch, for tests of what is stored.

Commands go to the inventory's flush one by one, without a lane around it, so that a test knows
which journal entry is whose. Time passes when a test says so.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.booking.commands import (
    ExpireHold,
    InventoryCommand,
    PlaceHold,
    ReleaseHold,
    RenewHold,
)
from sunseo.booking.setup.setup import SaleSetup
from sunseo.booking.setup.setup_bodies import (
    Draw,
    NewOccasion,
    NewPriceClass,
    NewProduct,
    NewSale,
    NewSeats,
    NewStock,
    NewStocks,
    SeatBlock,
)
from sunseo.checkout.commands import PlaceOrder
from sunseo.checkout.part import flush_of_sales
from sunseo.core.ids import digest_id
from sunseo.core.outcome import Outcome
from sunseo.engine.entry import Defer
from sunseo.engine.part import Command, PartAnswer
from sunseo.operators.command import By, OperatorCommands
from sunseo.postgres.pipelined.pipeline import PipelineConnection
from sunseo.postgres.pipelined.statements import Columns, Row, Session, Statement
from sunseo.postgres.pool import create_cold_engine
from tests.effects import result_of

ORGANISATION = 1
TURNS_MAX = 10  # that one command is put off before a test gives up

A_SALE = NewSale(
    name="A sale of everything",
    currency="KRW",
    time_zone="Asia/Seoul",
    opens_at=datetime(2026, 1, 1, tzinfo=UTC),
    hold_ttl_s=300,
    renewals_max=3,
    order_limit=4,
    occasion_limit=6,
    person_limit=8,
    persons="guests",
    price_classes=(NewPriceClass("free", 0), NewPriceClass("dear", 1000)),
    occasions=(
        NewOccasion("Friday", datetime(2999, 1, 1, tzinfo=UTC)),
        NewOccasion("Saturday", datetime(2999, 1, 2, tzinfo=UTC)),
    ),
)
SEATS = NewSeats(
    blocks=(
        SeatBlock(occasion=1, price_class=1, section="A", rows=1, seats_per_row=10),  # 1 to 10
        SeatBlock(occasion=2, price_class=1, section="A", rows=1, seats_per_row=10),  # 11 to 20
        SeatBlock(occasion=1, price_class=2, section="V", rows=1, seats_per_row=5),  # 21 to 25
    )
)
STOCKS = NewStocks(
    stocks=(NewStock(1, "Standing", 50), NewStock(2, "Parking", 20)),
    products=(
        NewProduct("Standing", 0, (Draw(1),)),
        NewProduct("Both days", 0, (Draw(1), Draw(2, 2))),
        NewProduct("Dear standing", 500, (Draw(1),)),
    ),
)


class Shop:
    """One database with sales on it."""

    def __init__(self, engine: AsyncEngine, connection: "TimedConnection") -> None:
        self.engine = engine
        self.setup = SaleSetup(OperatorCommands(engine, ORGANISATION))
        self._connection = connection
        self._flush = flush_of_sales(connection)
        self._keys = 0

    async def open_sale(
        self,
        sale: NewSale = A_SALE,
        seats: NewSeats | None = SEATS,
        stocks: NewStocks | None = STOCKS,
    ) -> int:
        """Set up a sale as an operator would; returns its number."""
        created = await self.setup.create_sale(By("operator", self._key()), sale)
        assert result_of(created) is not None
        number: int = result_of(created)["sale"]
        if seats is not None:
            await self.setup.add_seats(By("operator", self._key()), number, seats)
        if stocks is not None:
            await self.setup.add_stocks(By("operator", self._key()), number, stocks)
        return number

    async def place(
        self,
        sale: int,
        who: str,
        *seats: int,
        products: Sequence[tuple[int, int]] = (),
        key: str = "",
    ) -> Outcome:
        """Ask for a hold, which will be called `hold_of(who, key)`."""
        digest = digest_id(b"body", repr((seats, products)))
        command = PlaceHold(
            (ORGANISATION, sale),
            hold_of(who, key),
            person(who),
            seats,
            tuple(products),
            digest,
        )
        return await self.do(command)

    async def renew(self, sale: int, who: str, key: str = "") -> Outcome:
        effect = digest_id(b"renewal", who, self._key())
        return await self.do(
            RenewHold((ORGANISATION, sale), effect, person(who), hold_of(who, key))
        )

    async def release(self, sale: int, who: str, key: str = "") -> Outcome:
        return await self.do(ReleaseHold((ORGANISATION, sale), person(who), hold_of(who, key)))

    async def expire(self, sale: int, who: str, key: str = "") -> Outcome:
        return await self.do(ExpireHold((ORGANISATION, sale), hold_of(who, key)))

    async def order(self, sale: int, who: str, key: str = "") -> Outcome:
        """Ask for an order, which will be called `order_of(who, key)`."""
        command = PlaceOrder(
            (ORGANISATION, sale),
            order_of(who, key),
            person(who),
            hold_of(who, key),
            None,
            digest_id(b"body", who, key),
        )
        return await self.do(command)

    async def do(self, command: InventoryCommand) -> Outcome:
        """Have one command decided, however often it is put off, and tell its outcome."""
        (answer,) = await self.do_all([command])
        return answer.outcome

    async def do_all(self, commands: Sequence[InventoryCommand]) -> list[PartAnswer]:
        """Have commands decided in one batch; those put off go on with the next one."""
        answers: dict[int, PartAnswer] = {}
        waiting: dict[int, Command] = dict(enumerate(commands))
        for _ in range(TURNS_MAX):
            if not waiting:
                break
            decided = await self._flush(list(waiting.values()))
            for place, answer in zip(list(waiting), decided, strict=True):
                if isinstance(answer, Defer):
                    waiting[place] = answer.command
                else:
                    answers[place] = answer
                    del waiting[place]
        assert not waiting, f"still without an answer after {TURNS_MAX} turns: {waiting}"
        return [answers[place] for place in range(len(commands))]

    def let_time_pass(self, seconds: float) -> None:
        """Put the clock by which commands are decided forward."""
        self._connection.ahead += timedelta(seconds=seconds)

    async def corrupt(self, *statements: str) -> None:
        """Do to the data what the engine never does."""
        async with self.engine.begin() as connection:
            await connection.execute(text("SET LOCAL fence.off = 'on'"))
            for statement in statements:
                changed = await connection.execute(text(statement))
                is_change = not statement.startswith(("ALTER", "DROP"))
                assert not is_change or changed.rowcount, f"this changed nothing: {statement}"

    def _key(self) -> str:
        self._keys += 1
        return f"key {self._keys}"


class TimedConnection(PipelineConnection):
    """A lane's connection whose clock is some time ahead of the database's."""

    ahead = timedelta(0)

    async def session(self) -> "_TimedSession":  # type: ignore[override]  # it stands before one
        return _TimedSession(self, await super().session())


class _TimedSession:
    def __init__(self, timed: TimedConnection, session: Session) -> None:
        self._timed = timed
        self._session = session

    @property
    def is_alive(self) -> bool:
        return self._session.is_alive

    def send(self, statements: Sequence[Statement]) -> Awaitable[Sequence[Columns]]:
        return asyncio.ensure_future(self._send_and_shift(statements))

    async def _send_and_shift(self, statements: Sequence[Statement]) -> Sequence[Columns]:
        answers = await self._session.send(statements)
        return [
            _Shifted(answer, self._timed.ahead) if "read_clock" in statement.query else answer
            for statement, answer in zip(statements, answers, strict=True)
        ]


class _Shifted:
    def __init__(self, answer: Columns, ahead: timedelta) -> None:
        self._answer = answer
        self._ahead = ahead
        self.tag = answer.tag

    def __len__(self) -> int:
        return len(self._answer)

    def __getitem__(self, name: str) -> Sequence[Any]:
        return [moment + self._ahead for moment in self._answer[name]]

    def rows(self) -> Sequence[Row]:
        return self._answer.rows()


@asynccontextmanager
async def open_shop(dsn: str) -> AsyncIterator[Shop]:
    engine = create_cold_engine(dsn)
    connection = TimedConnection(dsn)
    try:
        yield Shop(engine, connection)
    finally:
        await connection.close()
        await engine.dispose()


def person(who: str) -> UUID:
    return digest_id(b"person", who)


def hold_of(who: str, key: str = "") -> UUID:
    return digest_id(b"hold", who, key)


def order_of(who: str, key: str = "") -> UUID:
    return digest_id(b"order", who, key)
