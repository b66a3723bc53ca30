"""The draw of a room: its steps, each taken once, logged for the public and audited.

State       NONE, COMMITTED, SEALED, REVEALED. WITHHELD lies beside SEALED: the fault stays in the
            log, and either the secret still comes or another commitment takes its place.
Guarantee   A step is one transaction that locks the room. Sealing locks the line first, for a
            moment: the batch at work on it ends before, and the next one registers nobody. It keeps
            the numbers 1 to n for the entrants, and whoever joins from then on numbers on behind
            them. So neither hashing the list nor drawing needs the line, and nobody waits for it.
            Sealing and revealing go on when the caller gives up: repeated with the key, they tell
            the result.
Clock       PostgreSQL's, read after the room is locked.
On failure  A step rolls back whole and can be taken again. Only that registration is over stays
            so, once a seal has begun.
"""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from enum import unique
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sunseo.core.clock import Instant
from sunseo.core.ids import Person, effect_id, request_digest
from sunseo.core.outcome import Kind, Outcome
from sunseo.core.signing import pads_of
from sunseo.operators import audit
from sunseo.operators.effects import EffectAnswer, EffectOutcome, Refused, Work, once
from sunseo.postgres.queries import load_cold_queries
from sunseo.room.draw.bodies import DrawStatus, NewCommitment, Reveal, Withholding
from sunseo.room.draw.file import DrawHeader, header_line, moment_text
from sunseo.room.draw.rules import commitment_of, seed_of

QUERIES = load_cold_queries("sunseo.room.draw")

OPERATOR_ISSUER = "sunseo:operator"
LONG_STATEMENT_MS = 600_000  # millions of places are written in one statement

_encode = msgspec.json.Encoder().encode


@unique
class DrawOutcome(Outcome):
    """What the steps of a draw can be answered besides `EffectOutcome`."""

    UNKNOWN_ROOM = Kind.ABSENT, "There is no such room."
    NO_DRAW = Kind.ABSENT, "The room has no draw in this epoch."
    NOT_COMMITTED = Kind.CONFLICT, "Nobody has committed to a secret yet."
    COMMITMENT_STANDS = Kind.CONFLICT, "A commitment stands, and others have relied on it."
    NOT_SEALED = Kind.CONFLICT, "The list of entrants is not sealed yet."
    ALREADY_SEALED = Kind.CONFLICT, "The list of entrants is sealed already."
    ALREADY_REVEALED = Kind.CONFLICT, "The secret is revealed already."
    WRONG_SECRET = Kind.REFUSED, "This is not the secret that was committed to."
    LIST_CHANGED = Kind.CONFLICT, "The stored entrants are not those whose list was sealed."


DRAW_OUTCOMES: tuple[Outcome, ...] = (*EffectOutcome, *DrawOutcome)


class _Room(msgspec.Struct, frozen=True):
    """A room whose row is locked, and its draw as it stands."""

    where: dict[str, Any]  # organisation, room, epoch
    sale: int | None
    registered: int
    draw: Any  # a row of room_draws, or none
    now: Instant


class DrawStore:
    """Draws of one organisation's rooms, by one process."""

    def __init__(self, engine: AsyncEngine, organisation: int) -> None:
        self._engine = engine
        self._organisation = organisation
        self._reveals: set[asyncio.Task[EffectAnswer]] = set()

    async def commit(self, operator: str, key: str, room: int, body: NewCommitment) -> EffectAnswer:
        """Keep a commitment. It should come before anybody registers; the log tells if not."""

        async def work(connection: AsyncConnection) -> dict[str, Any]:
            locked = await self._lock(connection, room)
            _refuse_commitment(locked)
            entry = _entry(
                locked,
                "committed",
                commitment=body.commitment,
                committer=body.committer,
                independent=body.independent,
                registered=locked.registered,
            )
            kept = await connection.execute(
                QUERIES["commit_draw"],
                locked.where
                | {
                    "commitment": bytes.fromhex(body.commitment),
                    "committer": body.committer,
                    "independent": body.independent,
                    "now": locked.now,
                    "entry": _encode([entry]).decode(),
                },
            )
            await self._record(connection, operator, "commit_draw", locked, entry)
            return _step(locked, kept.scalar_one())

        return await self._once((operator, key), f"commit_draw {room}", body, work)

    async def seal(self, operator: str, key: str, room: int) -> EffectAnswer:
        """End registration and hash the list."""

        async def work(connection: AsyncConnection) -> dict[str, Any]:
            locked = await self._lock(connection, room)
            if locked.draw is None:
                raise Refused(DrawOutcome.NOT_COMMITTED)
            if locked.draw.sealed_at is not None:
                raise Refused(DrawOutcome.ALREADY_SEALED)
            await self._allow_long_statements(connection)
            list_hash, total = await self._hash_list(connection, locked)
            entry = _entry(locked, "sealed", entrants=total, list_hash=list_hash.hex())
            await connection.execute(
                QUERIES["seal_draw"],
                locked.where
                | {
                    "now": locked.now,
                    "list_hash": list_hash,
                    "entrants": total,
                    "entry": _encode([entry]).decode(),
                },
            )
            await self._record(connection, operator, "seal_draw", locked, entry)
            return _step(locked, "sealed", total, list_hash)

        await self._end_registration(room)
        return await self._to_its_end(self._once((operator, key), f"seal_draw {room}", None, work))

    async def withhold(self, operator: str, key: str, room: int, body: Withholding) -> EffectAnswer:
        """Log that the secret did not come. It is still taken if it comes later."""

        async def work(connection: AsyncConnection) -> dict[str, Any]:
            locked = await self._lock(connection, room)
            draw = _sealed(locked)
            entry = _entry(locked, "withheld", committer=draw.committer, reason=body.reason)
            await connection.execute(
                QUERIES["withhold_draw"], locked.where | {"entry": _encode([entry]).decode()}
            )
            await self._record(connection, operator, "withhold_draw", locked, entry)
            return _step(locked, "withheld", draw.entrants, draw.list_hash)

        return await self._once((operator, key), f"withhold_draw {room}", body, work)

    async def reveal(self, operator: str, key: str, room: int, body: Reveal) -> EffectAnswer:
        """Take the secret and turn the list into places."""
        secret = bytes.fromhex(body.secret)

        async def work(connection: AsyncConnection) -> dict[str, Any]:
            locked = await self._lock(connection, room)
            draw = _sealed(locked)
            if commitment_of(secret) != draw.commitment:
                raise Refused(DrawOutcome.WRONG_SECRET)
            await self._allow_long_statements(connection)
            if await self._hash_list(connection, locked) != (draw.list_hash, draw.entrants):
                raise Refused(DrawOutcome.LIST_CHANGED)
            await self._give_numbers(connection, locked, secret)
            entry = _entry(locked, "revealed")
            await connection.execute(
                QUERIES["reveal_draw"],
                locked.where
                | {"now": locked.now, "secret": secret, "entry": _encode([entry]).decode()},
            )
            await self._record(connection, operator, "reveal_draw", locked, entry)
            return _step(locked, "revealed", draw.entrants, draw.list_hash)

        return await self._to_its_end(
            self._once((operator, key), f"reveal_draw {room}", body, work)
        )

    async def status(self, room: int, epoch: int | None = None) -> DrawStatus | DrawOutcome:
        """A room's draw, of the epoch that counts now or of a named one."""
        async with self._engine.connect() as connection:
            row = await self._read(connection, room, epoch)
        return row if isinstance(row, DrawOutcome) else _status(room, row)

    async def publish(
        self, room: int, epoch: int | None = None
    ) -> AsyncGenerator[bytes, None] | DrawOutcome:
        """The published file, in chunks of text, all out of one snapshot.

        Whoever asks closes the iterator, or reads it to its end.
        """
        connection = await self._engine.connect()
        try:
            await connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            found = await self._read(connection, room, epoch)
            if not isinstance(found, DrawOutcome) and found.drawn_epoch is None:
                found = DrawOutcome.NO_DRAW
            if not isinstance(found, DrawOutcome) and found.sealed_at is None:
                found = DrawOutcome.NOT_SEALED
        except BaseException:
            await connection.close()
            raise
        if isinstance(found, DrawOutcome):
            await connection.close()
            return found
        return self._lines(connection, room, found)

    async def _lines(
        self, connection: AsyncConnection, room: int, row: Any
    ) -> AsyncGenerator[bytes, None]:
        where = {"organisation": self._organisation, "room": room, "epoch": row.drawn_epoch}
        try:
            await self._allow_long_statements(connection)
            counts = await connection.execute(QUERIES["read_registrations"], where)
            yield header_line(_header(room, row, [(one.minute, one.registered) for one in counts]))
            query = "publish_sealed" if row.secret is None else "publish_drawn"
            async with connection.stream(QUERIES[query], where) as parts:
                async for part in parts:
                    yield part.lines.encode()
        finally:
            await connection.close()

    async def _read(self, connection: AsyncConnection, room: int, epoch: int | None) -> Any:
        where = {"organisation": self._organisation, "room": room, "epoch": epoch}
        row = (await connection.execute(QUERIES["read_newest_draw"], where)).first()
        if row is None:
            return DrawOutcome.UNKNOWN_ROOM
        if epoch is not None and epoch != row.epoch and row.drawn_epoch is None:
            return DrawOutcome.NO_DRAW
        return row

    async def _lock(self, connection: AsyncConnection, room: int) -> _Room:
        """Lock a room, and read the draw that it has.

        Raises:
            Refused: there is no such room.
        """
        where = {"organisation": self._organisation, "room": room}
        locked = (await connection.execute(QUERIES["lock_drawn_room"], where)).first()
        if locked is None:
            raise Refused(DrawOutcome.UNKNOWN_ROOM)
        found = (await connection.execute(QUERIES["read_drawn_line"], where)).one()
        where = where | {"epoch": found.epoch}
        draw = (await connection.execute(QUERIES["read_draw"], where)).first()
        now = (await connection.execute(QUERIES["read_draw_clock"])).scalar_one()
        return _Room(where, locked.sale, found.entrants, draw, now)

    async def _end_registration(self, room: int) -> None:
        """Register nobody any more, if there is a draw to be sealed."""
        where = {"organisation": self._organisation, "room": room}
        async with self._engine.begin() as connection:
            if (await connection.execute(QUERIES["lock_drawn_room"], where)).first() is None:
                return
            line = (await connection.execute(QUERIES["lock_drawn_line"], where)).one()
            draw = await connection.execute(QUERIES["read_draw"], where | {"epoch": line.epoch})
            found = draw.first()
            if found is not None and found.sealed_at is None:
                await connection.execute(QUERIES["seal_line"], where)

    async def _hash_list(self, connection: AsyncConnection, locked: _Room) -> tuple[bytes, int]:
        found = (await connection.execute(QUERIES["hash_entrants"], locked.where)).one()
        return found.list_hash, found.total

    async def _give_numbers(
        self, connection: AsyncConnection, locked: _Room, secret: bytes
    ) -> None:
        where, draw = locked.where, locked.draw
        seed = seed_of(where["room"], where["epoch"], secret, draw.list_hash, draw.entrants)
        pads = pads_of(seed)
        await connection.execute(
            QUERIES["draw_numbers"],
            where | {"now": locked.now, "inner": pads.inner, "outer": pads.outer},
        )

    async def _allow_long_statements(self, connection: AsyncConnection) -> None:
        await connection.execute(
            QUERIES["allow_long_statements"], {"milliseconds": f"{LONG_STATEMENT_MS}"}
        )

    async def _to_its_end(self, step: Coroutine[Any, Any, EffectAnswer]) -> EffectAnswer:
        """Have a step done even if nobody waits for it any more."""
        task = asyncio.get_running_loop().create_task(step)
        self._reveals.add(task)
        task.add_done_callback(self._reveals.discard)
        return await asyncio.shield(task)

    async def _once(
        self, by: tuple[str, str], action: str, body: msgspec.Struct | None, work: Work
    ) -> EffectAnswer:
        operator, key = by
        person = Person.named(self._organisation, OPERATOR_ISSUER, operator)
        effect = effect_id(person, 0, action, key)
        return await once(self._engine, self._organisation, effect, request_digest(body), work)

    async def _record(
        self,
        connection: AsyncConnection,
        operator: str,
        action: str,
        locked: _Room,
        entry: dict[str, Any],
    ) -> None:
        told = {name: value for name, value in entry.items() if name not in ("at", "event")}
        await audit.append(
            connection,
            self._organisation,
            actor=operator,
            action=action,
            sale=locked.sale,
            details={"room": locked.where["room"], "epoch": locked.where["epoch"], **told},
            now=locked.now,
        )


def _refuse_commitment(locked: _Room) -> None:
    """A commitment stands once others have relied on it: until it is withheld."""
    draw = locked.draw
    if draw is None or draw.state == "withheld":
        return
    if draw.state == "committed" and locked.registered == 0:
        return
    raise Refused(
        DrawOutcome.ALREADY_REVEALED if draw.state == "revealed" else DrawOutcome.COMMITMENT_STANDS
    )


def _sealed(locked: _Room) -> Any:
    """The draw of a room, sealed and waiting for its secret.

    Raises:
        Refused: it is not, or not any more.
    """
    draw = locked.draw
    if draw is None:
        raise Refused(DrawOutcome.NOT_COMMITTED)
    if draw.state == "committed":
        raise Refused(DrawOutcome.NOT_SEALED)
    if draw.state == "revealed":
        raise Refused(DrawOutcome.ALREADY_REVEALED)
    return draw


def _entry(locked: _Room, event: str, **details: Any) -> dict[str, Any]:
    """One line of the public log."""
    return {"at": moment_text(locked.now), "event": event, **details}


def _step(
    locked: _Room, state: str, entrants: int | None = None, list_hash: bytes | None = None
) -> dict[str, Any]:
    return {
        "room": locked.where["room"],
        "epoch": locked.where["epoch"],
        "state": state,
        "entrants": entrants,
        "list_hash": None if list_hash is None else list_hash.hex(),
    }


def _status(room: int, row: Any) -> DrawStatus:
    if row.drawn_epoch is None:
        return DrawStatus(room=room, epoch=row.epoch, state="none", registered=row.registered)
    of_now = row.drawn_epoch == row.epoch and row.entrants is None
    return DrawStatus(
        room=room,
        epoch=row.drawn_epoch,
        state=row.state,
        registered=row.registered if of_now else row.entrants or 0,
        commitment=row.commitment.hex(),
        committer=row.committer,
        independent=row.independent,
        entrants=row.entrants,
        list_hash=_hex(row.list_hash),
        secret=_hex(row.secret),
        seed=_hex(_seed(room, row)),
        log=row.log,
    )


def _header(room: int, row: Any, counts: list[tuple[Instant, int]]) -> DrawHeader:
    return DrawHeader(
        state=row.state,
        room=room,
        epoch=row.drawn_epoch,
        commitment=row.commitment.hex(),
        committer=row.committer,
        independent=row.independent,
        entrants=row.entrants,
        list_hash=row.list_hash.hex(),
        secret=_hex(row.secret),
        seed=_hex(_seed(room, row)),
        registrations=[(moment_text(minute), registered) for minute, registered in counts],
        log=row.log,
    )


def _seed(room: int, row: Any) -> bytes | None:
    if row.secret is None:
        return None
    return seed_of(room, row.drawn_epoch, row.secret, row.list_hash, row.entrants)


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()
