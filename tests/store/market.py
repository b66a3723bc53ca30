"""A market on a real database: sales set up as operators do, commands flushed as lanes do."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import count
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from sunseo.booking.commands import (
    InventoryCommand,
    PlaceHold,
    ReleaseHold,
    RenewHold,
    SaleKey,
)
from sunseo.booking.inventory import Hold
from sunseo.booking.rules import HoldAnswer
from sunseo.booking.setup.setup import SaleSetup
from sunseo.booking.setup.setup_bodies import NewSale, NewSeats, NewStocks
from sunseo.checkout.commands import PlaceOrder
from sunseo.checkout.part import flush_of_sales
from sunseo.core.ids import Person, digest_id, effect_id
from sunseo.core.later import Later
from sunseo.core.outcome import Outcome
from sunseo.engine.applying import LaneLimits
from sunseo.engine.batch import BatchFlush
from sunseo.engine.entry import Defer
from sunseo.engine.lanes import EngineLane
from sunseo.engine.part import Command
from sunseo.operators.command import By, EffectAnswer, OperatorCommands
from sunseo.postgres.connection import ConnectionLimits, LaneConnection
from sunseo.postgres.errors import fault_of
from sunseo.postgres.pipelined.pipeline import PipelineConnection
from sunseo.postgres.pipelined.statements import COMMIT, Columns, Session, Statement
from sunseo.postgres.pool import create_cold_engine
from tests.effects import result_of
from tests.postgres_fixture import UNFENCED
from tests.store.beside import Beside

ORGANISATION = 1
PATIENCE_S = 120.0  # for what is awaited by event; none of it is a figure
POLL_S = 0.01  # between looks at what tells nobody of itself
TURNS_MAX = 9

KIM, LEE = (Person.named(ORGANISATION, "test", name) for name in ("kim", "lee"))

OPENING = datetime.fromisoformat("2026-01-01T00:00:00Z")
SHOW = datetime.fromisoformat("2999-01-01T00:00:00Z")


def person(number: int) -> Person:
    return Person.named(ORGANISATION, "test", str(number))


def place(
    sale: SaleKey,
    who: Person,
    key: str,
    *seats: int,
    products: Sequence[tuple[int, int]] = (),
) -> PlaceHold:
    body = repr((seats, products))
    return PlaceHold(
        sale,
        effect_id(who, sale[1], "place_hold", key),
        who.id,
        seats,
        tuple(products),
        digest_id(b"request", body),
    )


def renew(sale: SaleKey, who: Person, key: str, hold: UUID) -> RenewHold:
    return RenewHold(sale, effect_id(who, sale[1], f"renew_hold {hold}", key), who.id, hold)


def release(sale: SaleKey, who: Person, hold: UUID) -> ReleaseHold:
    return ReleaseHold(sale, who.id, hold)


def order(
    sale: SaleKey, who: Person, key: str, hold: UUID, beneficiary: str | None = None
) -> PlaceOrder:
    effect = effect_id(who, sale[1], "place_order", key)
    digest = digest_id(b"request", str(hold), beneficiary or "")
    return PlaceOrder(sale, effect, who.id, hold, beneficiary, digest)


class PausingConnection(PipelineConnection):
    """Holds a batch still just before its commit, with everything written and locked."""

    def __init__(self, dsn: str, limits: ConnectionLimits | None = None) -> None:
        super().__init__(dsn, limits=limits)
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()

    async def session(self) -> "_PausingSession":  # type: ignore[override]  # it stands before one
        return _PausingSession(self, await super().session())


class _PausingSession:
    def __init__(self, told: PausingConnection, session: Session) -> None:
        self._told = told
        self._session = session

    @property
    def is_alive(self) -> bool:
        return self._session.is_alive

    def send(self, statements: Sequence[Statement]) -> Awaitable[Sequence[Columns]]:
        if statements[-1] != COMMIT:
            return self._session.send(statements)
        return asyncio.ensure_future(self._commit_when_told(statements[:-1]))

    async def _commit_when_told(self, writes: Sequence[Statement]) -> Sequence[Columns]:
        written = await self._session.send(writes)
        self._told.reached.set()
        await asyncio.wait_for(self._told.go_on.wait(), PATIENCE_S)
        return [*written, *await self._session.send([COMMIT])]


class Market:
    """One database with its sales, and as many workers on it as a test asks for."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.engine = create_cold_engine(dsn)
        self.setup = SaleSetup(OperatorCommands(self.engine, ORGANISATION))
        self._keys = (f"setup-{number}" for number in count(1))
        self._names = count(1)
        self._lane_connections: list[PipelineConnection | LaneConnection] = []
        self._raw: list[asyncpg.Connection[asyncpg.Record]] = []
        self._beside = Beside(dsn, **UNFENCED)
        self._lanes: list[EngineLane] = []
        self._flush: BatchFlush | None = None

    async def close_lanes(self) -> None:
        for lane in self._lanes:
            await lane.stop()
        for connection in self._lane_connections:
            await connection.close()

    async def close(self) -> None:
        await self.close_lanes()
        for raw in self._raw:
            await raw.close(timeout=PATIENCE_S)
        await self._beside.close()
        await self.engine.dispose()

    async def sale(
        self,
        *,
        seats: int | Sequence[int] = 0,
        price: int = 0,
        stocks: Sequence[int] = (),
        products: Sequence[dict[int, int]] = (),
        product_price: int = 0,
        **terms: Any,
    ) -> SaleKey:
        """Create a sale: `seats` by occasion, stock of occasion 1 by capacity, draws by product."""
        by_occasion = [seats] if isinstance(seats, int) else list(seats)
        body = {
            "name": "Concert",
            "currency": "KRW",
            "time_zone": "Asia/Seoul",
            "opens_at": OPENING,
            "persons": "guests",
            "price_classes": [{"name": "R", "price": price}],
            "occasions": [
                {"name": f"Day {day}", "starts_at": SHOW} for day, _ in enumerate(by_occasion, 1)
            ],
        } | terms
        created = await self.setup.create_sale(By("op", next(self._keys)), _convert(body, NewSale))
        sale = done(created)["sale"]
        blocks = [
            {
                "occasion": day,
                "price_class": 1,
                "section": "A",
                "rows": 1,
                "seats_per_row": seats_of_day,
            }
            for day, seats_of_day in enumerate(by_occasion, 1)
            if seats_of_day
        ]
        if blocks:
            await self.add_seats(sale, {"blocks": blocks})
        if stocks or products:
            await self.add_stocks(sale, stocks, products, product_price)
        return ORGANISATION, sale

    async def add_seats(self, sale: int, body: dict[str, Any]) -> dict[str, Any]:
        new = _convert(body, NewSeats)
        return done(await self.setup.add_seats(By("op", next(self._keys)), sale, new))

    async def add_stocks(
        self,
        sale: int,
        stocks: Sequence[int],
        products: Sequence[dict[int, int]],
        price: int = 0,
    ) -> dict[str, Any]:
        body = {
            "stocks": [
                {"occasion": 1, "name": f"Standing {next(self._names)}", "capacity": units}
                for units in stocks
            ],
            "products": [
                {
                    "name": f"Ticket {next(self._names)}",
                    "price": price,
                    "draws": [{"stock": stock, "units": units} for stock, units in draws.items()],
                }
                for draws in products
            ],
        }
        new = _convert(body, NewStocks)
        return done(await self.setup.add_stocks(By("op", next(self._keys)), sale, new))

    def connection(self, dsn: str | None = None, **limits: Any) -> PipelineConnection:
        connection = PipelineConnection(dsn or self.dsn, limits=ConnectionLimits(**limits))
        self._lane_connections.append(connection)
        return connection

    def room_connection(self, **limits: Any) -> LaneConnection:
        """A connection as lanes of rooms have one, and the journal's tail."""
        connection = LaneConnection(self.dsn, limits=ConnectionLimits(**limits))
        self._lane_connections.append(connection)
        return connection

    def pausing(self) -> PausingConnection:
        connection = PausingConnection(self.dsn)
        self._lane_connections.append(connection)
        return connection

    def flush(
        self,
        connection: PipelineConnection | None = None,
        dsn: str | None = None,
        *,
        waits: bool = True,
        **limits: Any,
    ) -> BatchFlush:
        """A lane's flush on a connection of its own."""
        return flush_of_sales(connection or self.connection(dsn, **limits), waits=waits)

    def lane(
        self, flush: BatchFlush | None = None, waiting: BatchFlush | None = None, **limits: Any
    ) -> EngineLane:
        lane = EngineLane(
            flush or self.flush(waits=False),
            waiting or self.flush(),
            later=Later,
            fault_of=fault_of,
            limits=LaneLimits(**limits),
        )
        lane.start()
        self._lanes.append(lane)
        return lane

    async def ask(self, *commands: InventoryCommand) -> list[Any]:
        """Answer commands in one batch, and what it puts off in the next ones."""
        self._flush = self._flush or self.flush()
        return await ask(self._flush, *commands)

    async def outcomes(self, *commands: InventoryCommand) -> list[Outcome]:
        return [answer.outcome for answer in await self.ask(*commands)]

    async def held(self, command: PlaceHold) -> Hold:
        """Place a hold that has to succeed."""
        (answer,) = await self.ask(command)
        assert isinstance(answer, HoldAnswer)
        assert answer.outcome.name == "HELD", answer
        assert answer.hold is not None
        return answer.hold

    async def raw(self) -> "asyncpg.Connection[asyncpg.Record]":
        """A plain connection for what tests do behind the engine's back."""
        connection = await asyncpg.connect(self.dsn, server_settings=UNFENCED)
        self._raw.append(connection)
        return connection

    async def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        return await self._beside.rows(query, *arguments)

    async def value(self, query: str, *arguments: Any) -> Any:
        return (await self.rows(query, *arguments))[0][0]

    async def let_run_out(self, *holds: UUID) -> None:
        """Put the end of these holds into the past: time passes without anybody sleeping."""
        for hold in holds:
            async with self._beside.connection() as connection, connection.transaction():
                # The sale first, since batches may be at work on the same rows.
                await connection.execute(
                    "SELECT 1 FROM sales JOIN holds USING (organisation, sale)"
                    " WHERE hold = $1 FOR NO KEY UPDATE OF sales",
                    hold,
                )
                await connection.execute(
                    "UPDATE holds SET expires_at = clock_timestamp() - interval '1 ms'"
                    " WHERE hold = $1",
                    hold,
                )
                await connection.execute(
                    "UPDATE seats SET expires_at = clock_timestamp() - interval '1 ms'"
                    " WHERE hold = $1 AND expires_at IS NOT NULL",
                    hold,
                )

    async def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything that is stored, to see whether anything moved."""
        names = await self.rows(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = 'public' AND table_type = 'BASE TABLE' ORDER BY table_name"
        )
        return {
            name: await self.rows(f"SELECT * FROM {name} AS t ORDER BY t::text")  # noqa: S608 - names from the catalogue
            for (name,) in names
        }

    async def until_somebody_waits_for_a_lock(self, waiting: int = 1) -> None:
        """Come back when so many backends of this database queue for a lock."""
        async with self._beside.connection() as connection, asyncio.timeout(PATIENCE_S):
            while True:
                found = await connection.fetchval(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
                if found >= waiting:
                    return
                await asyncio.sleep(POLL_S)

    @asynccontextmanager
    async def paused_batch(
        self, *commands: InventoryCommand
    ) -> AsyncIterator[tuple[PausingConnection, "asyncio.Task[list[Any]]"]]:
        """A batch on another worker that has done all but commit, until it is let go on."""
        pause = self.pausing()
        batch = asyncio.ensure_future(ask(self.flush(pause), *commands))
        async with asyncio.timeout(PATIENCE_S):
            await pause.reached.wait()
        try:
            yield pause, batch
        finally:
            pause.go_on.set()
            await batch


async def ask(flush: BatchFlush, *commands: InventoryCommand) -> list[Any]:
    """Answer commands as a lane does, batch after batch until none is put off."""
    answers: dict[int, Any] = {}
    waiting: dict[int, Command] = dict(enumerate(commands))
    for _ in range(TURNS_MAX):
        results = await flush(list(waiting.values()))
        put_off: dict[int, Command] = {}
        for place_in_line, result in zip(waiting, results, strict=True):
            if isinstance(result, Defer):
                put_off[place_in_line] = result.command
            else:
                answers[place_in_line] = result
        if not put_off:
            return [answers[place_in_line] for place_in_line in range(len(commands))]
        waiting = put_off
    raise AssertionError(f"put off for ever: {waiting}")


def done(answer: EffectAnswer) -> dict[str, Any]:
    assert answer.outcome.name == "DONE", answer
    assert result_of(answer) is not None
    return result_of(answer)


def _convert(body: dict[str, Any], into: Any) -> Any:
    return msgspec.convert(body, into)
