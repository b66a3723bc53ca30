"""Draws on PostgreSQL: their steps, each taken once, logged for the public and audited.

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
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sunseo.core.outcome import RefusedError
from sunseo.core.signing import pads_of
from sunseo.operators.command import By, EffectAnswer, OperatorCommands
from sunseo.room.draw.bodies import DrawStatus, NewCommitment, Reveal, Withholding
from sunseo.room.draw.file import header_line
from sunseo.room.draw.outcomes import DrawOutcome
from sunseo.room.draw.rules import commitment_of, seed_of
from sunseo.room.draw.steps import (
    DrawOfRoom,
    StoredDraw,
    commitment_in,
    header_of,
    refuse_commitment,
    sealed,
    status_of,
    to_seal,
)
from sunseo.room.postgres.cold import QUERIES
from sunseo.room.postgres.locked_draw import (
    LockedDraw,
    draw_in,
    encode_entry,
    lock_draw,
    promise_draw,
    record_step,
    write_commitment,
)

LONG_STATEMENT_MS = 600_000  # millions of places are written in one statement


class PostgresDraws:
    """The `DrawStore` of one organisation."""

    def __init__(self, engine: AsyncEngine, commands: OperatorCommands) -> None:
        self._engine = engine
        self._commands = commands
        self._organisation = commands.organisation
        self._reveals: set[asyncio.Task[EffectAnswer]] = set()

    async def commit(self, by: By, room: int, body: NewCommitment) -> EffectAnswer:
        """Keep a commitment. It should come before anybody registers; the log tells if not."""
        commitment = commitment_in(body)

        async def work(connection: AsyncConnection) -> dict[str, Any]:
            locked = await self._lock(connection, room)
            refuse_commitment(locked.draw, locked.registered)
            state, promised = await write_commitment(connection, locked, by.operator, commitment)
            return _step(locked, state) | {"commitment": promised}

        return await self._commands.once(by.sent(body), f"commit_draw {room}", work)

    async def seal(self, by: By, room: int) -> EffectAnswer:
        """End registration and hash the list."""

        async def work(connection: AsyncConnection) -> dict[str, Any]:
            locked = await self._lock(connection, room)
            to_seal(locked.draw)
            await self._allow_long_statements(connection)
            list_hash, total = await self._hash_list(connection, locked)
            entry = locked.entry("sealed", entrants=total, list_hash=list_hash.hex())
            await connection.execute(
                QUERIES["seal_draw"],
                locked.where
                | {
                    "now": locked.now,
                    "list_hash": list_hash,
                    "entrants": total,
                    "entry": encode_entry(entry),
                },
            )
            await record_step(connection, locked, by.operator, "seal_draw", entry)
            return _step(locked, "sealed", total, list_hash)

        await self._end_registration(room)
        return await self._to_its_end(self._commands.once(by.sent(), f"seal_draw {room}", work))

    async def withhold(self, by: By, room: int, body: Withholding) -> EffectAnswer:
        """Log that the secret did not come. It is still taken if it comes later."""

        async def work(connection: AsyncConnection) -> dict[str, Any]:
            locked = await self._lock(connection, room)
            draw = sealed(locked.draw)
            entry = locked.entry("withheld", committer=draw.committer, reason=body.reason)
            await connection.execute(
                QUERIES["withhold_draw"], locked.where | {"entry": encode_entry(entry)}
            )
            await record_step(connection, locked, by.operator, "withhold_draw", entry)
            return _step(locked, "withheld", draw.entrants, draw.list_hash)

        return await self._commands.once(by.sent(body), f"withhold_draw {room}", work)

    async def reveal(self, by: By, room: int, body: Reveal) -> EffectAnswer:
        """Take the secret, or the one that the server keeps, and turn the list into places."""

        async def work(connection: AsyncConnection) -> dict[str, Any]:
            locked = await self._lock(connection, room)
            draw = sealed(locked.draw)
            secret = await _secret_in(connection, locked, draw, body)
            if commitment_of(secret) != draw.commitment:
                raise RefusedError(DrawOutcome.WRONG_SECRET)
            await self._allow_long_statements(connection)
            if await self._hash_list(connection, locked) != draw.seal:
                raise RefusedError(DrawOutcome.LIST_CHANGED)
            await self._give_numbers(connection, locked, draw, secret)
            await connection.execute(QUERIES["drop_secret"], locked.where)
            entry = locked.entry("revealed")
            await connection.execute(
                QUERIES["reveal_draw"],
                locked.where | {"now": locked.now, "secret": secret, "entry": encode_entry(entry)},
            )
            await record_step(connection, locked, by.operator, "reveal_draw", entry)
            return _step(locked, "revealed", draw.entrants, draw.list_hash)

        return await self._to_its_end(
            self._commands.once(by.sent(body), f"reveal_draw {room}", work)
        )

    async def promise(self, room: int, actor: str) -> None:
        async with self._engine.begin() as connection:
            await promise_draw(connection, self._organisation, room, actor)

    async def status(self, room: int, epoch: int | None = None) -> DrawStatus | DrawOutcome:
        async with self._engine.connect() as connection:
            found = await self._read(connection, room, epoch)
        return found if isinstance(found, DrawOutcome) else status_of(found)

    async def publish(
        self, room: int, epoch: int | None = None
    ) -> AsyncGenerator[bytes, None] | DrawOutcome:
        """All out of one snapshot."""
        connection = await self._engine.connect()
        try:
            await connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            found = await self._read(connection, room, epoch)
        except BaseException:
            await connection.close()
            raise
        refusal = found if isinstance(found, DrawOutcome) else None
        draw = None if isinstance(found, DrawOutcome) else found.draw
        if draw is not None and draw.sealed_at is not None:
            return self._lines(connection, room, draw)
        await connection.close()
        return refusal or (DrawOutcome.NO_DRAW if draw is None else DrawOutcome.NOT_SEALED)

    async def _lines(
        self, connection: AsyncConnection, room: int, draw: StoredDraw
    ) -> AsyncGenerator[bytes, None]:
        where = {"organisation": self._organisation, "room": room, "epoch": draw.epoch}
        try:
            await self._allow_long_statements(connection)
            counts = await connection.execute(QUERIES["read_registrations"], where)
            by_minute = [(one.minute, one.registered) for one in counts]
            yield header_line(header_of(room, draw, by_minute))
            query = "publish_sealed" if draw.secret is None else "publish_drawn"
            async with connection.stream(QUERIES[query], where) as parts:
                async for part in parts:
                    yield part.lines.encode()
        finally:
            await connection.close()

    async def _read(
        self, connection: AsyncConnection, room: int, epoch: int | None
    ) -> DrawOfRoom | DrawOutcome:
        where = {"organisation": self._organisation, "room": room, "epoch": epoch}
        row = (await connection.execute(QUERIES["read_newest_draw"], where)).first()
        if row is None:
            return DrawOutcome.UNKNOWN_ROOM
        if epoch is not None and epoch != row.epoch and row.drawn_epoch is None:
            return DrawOutcome.NO_DRAW
        draw = None if row.drawn_epoch is None else draw_in(row, row.drawn_epoch)
        return DrawOfRoom(room, row.epoch, row.registered, draw)

    async def _lock(self, connection: AsyncConnection, room: int) -> LockedDraw:
        return await lock_draw(connection, self._organisation, room)

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

    async def _hash_list(
        self, connection: AsyncConnection, locked: LockedDraw
    ) -> tuple[bytes, int]:
        found = (await connection.execute(QUERIES["hash_entrants"], locked.where)).one()
        return found.list_hash, found.total

    async def _give_numbers(
        self, connection: AsyncConnection, locked: LockedDraw, draw: StoredDraw, secret: bytes
    ) -> None:
        where = locked.where
        seed = seed_of(where["room"], where["epoch"], secret, *draw.seal)
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


async def _secret_in(
    connection: AsyncConnection, locked: LockedDraw, draw: StoredDraw, body: Reveal
) -> bytes:
    """The secret that was sent, or else the one that the server keeps.

    Raises:
        RefusedError: none was sent, and somebody else keeps it.
    """
    if body.secret is not None:
        return bytes.fromhex(body.secret)
    kept = await connection.execute(QUERIES["read_secret"], locked.where)
    secret: bytes | None = kept.scalar_one_or_none()
    if secret is None:
        raise RefusedError(DrawOutcome.SECRET_ELSEWHERE, f"It is kept by {draw.committer}.")
    return secret


def _step(
    locked: LockedDraw, state: str, entrants: int | None = None, list_hash: bytes | None = None
) -> dict[str, Any]:
    return {
        "room": locked.where["room"],
        "epoch": locked.where["epoch"],
        "state": state,
        "entrants": entrants,
        "list_hash": None if list_hash is None else list_hash.hex(),
    }
