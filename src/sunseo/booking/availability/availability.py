"""What is free, for everybody who looks: snapshots kept by a worker, fed from the journal's tail.

State       A sale is UNWATCHED until somebody looks, then WATCHED; after a while without a look
            it is forgotten.
Guarantee   However many look, the database sees one read when a sale becomes watched and one
            statement a turn for the news of all watched sales. Events are applied in the order of
            versions, without gap; what cannot be applied makes the sale be read again.
Clock       Monotonic, only to forget.
On failure  Snapshots stay as they were, and the next turn goes on from their versions; one that
            could not be read again is read by the next who looks. A sale whose news or rows make no
            sense is set aside: who looks at it is told, and the news of all others go on.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.booking.availability.snapshot import ReloadError, SeatMap, Snapshot, StockLevel
from sunseo.booking.setup.setup import QUERIES
from sunseo.core.clock import Monotonic
from sunseo.core.later import LaterOutcome
from sunseo.core.outcome import RefusedError
from sunseo.journal.tail import JournalTail
from sunseo.telemetry.aside import SetAside

FORGET_AFTER_S = 60.0
UNKNOWN_FOR_S = 1.0  # how long a sale that does not exist is taken not to, whoever asks
WATCHED_MAX = 20_000


class _Watched(msgspec.Struct):
    snapshot: Snapshot
    looked_at: float


class AvailabilityBoard:
    """One organisation's, in one process."""

    def __init__(
        self,
        engine: AsyncEngine,
        organisation: int,
        tail: JournalTail,
        *,
        monotonic: Monotonic = time.monotonic,
        on_lag: Callable[[float], None] = lambda _lag_s: None,
        aside: SetAside | None = None,
    ) -> None:
        self._engine = engine
        self._organisation = organisation
        self._tail = tail
        self._monotonic = monotonic
        self._on_lag = on_lag
        self._aside = aside or SetAside()
        self._watched: dict[int, _Watched] = {}
        self._unknown: dict[int, float] = {}
        self._reads: dict[int, asyncio.Task[Snapshot | None]] = {}

    async def look(self, sale: int) -> Snapshot | None:
        """The sale's availability, at most about a turn old; none where there is no such sale.

        Raises:
            RefusedError: the sale is there, and cannot be read.
        """
        now = self._monotonic()
        if (watched := self._watched.get(sale)) is not None:
            watched.looked_at = now
            return watched.snapshot
        if self._unknown.get(sale, -UNKNOWN_FOR_S) > now - UNKNOWN_FOR_S:
            return None
        return await self._read_once(sale)

    def forget(self, sale: int) -> None:
        """Have the next look read the sale anew: something was changed just now."""
        self._unknown.pop(sale, None)
        self._watched.pop(sale, None)
        self._reads.pop(sale, None)

    async def run_once(self) -> bool:
        """Catch up with the journal; returns whether there was more than one turn takes."""
        now = self._monotonic()
        self._forget(now)
        if not self._watched:
            return False
        versions = {sale: watched.snapshot.version for sale, watched in self._watched.items()}
        rows, more = await self._tail.read(self._organisation, versions)
        stale: set[int] = set()
        for row in rows:
            if row.sale in stale or (watched := self._watched.get(row.sale)) is None:
                continue
            try:
                watched.snapshot.advance(row.version, row.events)
                self._on_lag(row.age_s)
            except ReloadError:
                stale.add(row.sale)
            except (LookupError, TypeError, ValueError) as error:  # the tables may tell what the
                self._aside.put("sale", row.sale, error)  # journal does not
                stale.add(row.sale)
        # Dropped before they are read again: a row may have been applied in part, and a read that
        # fails must not leave that for show.
        dropped = {sale: self._watched.pop(sale).looked_at for sale in stale}
        for sale, looked_at in dropped.items():
            with suppress(RefusedError):  # said already; who looks next is told
                await self._read(sale, looked_at=looked_at)
        return more

    async def _read_once(self, sale: int) -> Snapshot | None:
        """Let all who look at once share one read."""
        read = self._reads.get(sale)
        if read is None:
            read = asyncio.ensure_future(self._read(sale, looked_at=self._monotonic()))
            self._reads[sale] = read
            read.add_done_callback(lambda done: self._note_read(sale, done))
        return await asyncio.shield(read)

    async def _read(self, sale: int, *, looked_at: float) -> Snapshot | None:
        try:
            snapshot = await read_snapshot(self._engine, self._organisation, sale)
        except (LookupError, TypeError, ValueError) as error:
            self._aside.put("sale", sale, error)
            raise RefusedError(LaterOutcome.UNREADABLE, extra={"sale": sale}) from error
        self._aside.take_back("sale", sale)
        if snapshot is None:
            self._watched.pop(sale, None)
            self._unknown[sale] = self._monotonic()
            return None
        watched = self._watched.get(sale)
        if watched is not None and watched.snapshot.version > snapshot.version:
            return watched.snapshot
        self._watched[sale] = _Watched(snapshot, looked_at)
        return snapshot

    def _note_read(self, sale: int, done: asyncio.Task[Snapshot | None]) -> None:
        if self._reads.get(sale) is done:
            del self._reads[sale]

    def _forget(self, now: float) -> None:
        for sale in [s for s, at in self._unknown.items() if at < now - UNKNOWN_FOR_S]:
            del self._unknown[sale]
        for sale in [
            s for s, watched in self._watched.items() if watched.looked_at < now - FORGET_AFTER_S
        ]:
            del self._watched[sale]
        while len(self._watched) > WATCHED_MAX:
            del self._watched[min(self._watched, key=lambda s: self._watched[s].looked_at)]


async def read_snapshot(engine: AsyncEngine, organisation: int, sale: int) -> Snapshot | None:
    """Read a sale's availability from the tables, all of it as of one moment."""
    where = {"organisation": organisation, "sale": sale}
    async with engine.connect() as raw:
        connection = await raw.execution_options(isolation_level="REPEATABLE READ")
        row = (await connection.execute(QUERIES["read_version"], where)).one_or_none()
        if row is None:
            return None
        seats = (await connection.execute(QUERIES["read_availability_seats"], where)).all()
        stocks = (await connection.execute(QUERIES["read_availability_stocks"], where)).all()
    return Snapshot(
        row.version,
        [SeatMap(found.occasion, found.seats, found.states) for found in seats],
        [StockLevel(*found) for found in stocks],
        paused=row.paused,
        catalogue_version=row.catalogue_version,
    )
