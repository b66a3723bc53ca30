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
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sunseo.core.clock import Instant
from sunseo.core.fields import FieldError
from sunseo.core.outcome import RefusedError
from sunseo.core.signing import pads_of
from sunseo.operators.command import By, EffectAnswer, OperatorCommands
from sunseo.room.draw.bodies import DrawStatus, NewCommitment, Reveal, Withholding
from sunseo.room.draw.file import DrawHeader, header_line, moment_text
from sunseo.room.draw.locked import (
    QUERIES,
    Commitment,
    LockedDraw,
    encode_entry,
    lock_draw,
    promise_draw,
    record_step,
    write_commitment,
)
from sunseo.room.draw.outcomes import DrawOutcome
from sunseo.room.draw.rules import commitment_of, keeper_of, seed_of

LONG_STATEMENT_MS = 600_000  # millions of places are written in one statement


class DrawStore:
    """Draws of one organisation's rooms, by one process."""

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
            _refuse_commitment(locked)
            state, promised = await write_commitment(connection, locked, by.operator, commitment)
            return _step(locked, state) | {"commitment": promised}

        return await self._commands.once(by, f"commit_draw {room}", body, work)

    async def seal(self, by: By, room: int) -> EffectAnswer:
        """End registration and hash the list."""

        async def work(connection: AsyncConnection) -> dict[str, Any]:
            locked = await self._lock(connection, room)
            if locked.draw is None:
                raise RefusedError(DrawOutcome.NOT_COMMITTED)
            if locked.draw.sealed_at is not None:
                raise RefusedError(DrawOutcome.ALREADY_SEALED)
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
        return await self._to_its_end(self._commands.once(by, f"seal_draw {room}", None, work))

    async def withhold(self, by: By, room: int, body: Withholding) -> EffectAnswer:
        """Log that the secret did not come. It is still taken if it comes later."""

        async def work(connection: AsyncConnection) -> dict[str, Any]:
            locked = await self._lock(connection, room)
            draw = _sealed(locked)
            entry = locked.entry("withheld", committer=draw.committer, reason=body.reason)
            await connection.execute(
                QUERIES["withhold_draw"], locked.where | {"entry": encode_entry(entry)}
            )
            await record_step(connection, locked, by.operator, "withhold_draw", entry)
            return _step(locked, "withheld", draw.entrants, draw.list_hash)

        return await self._commands.once(by, f"withhold_draw {room}", body, work)

    async def reveal(self, by: By, room: int, body: Reveal) -> EffectAnswer:
        """Take the secret, or the one that the server keeps, and turn the list into places."""

        async def work(connection: AsyncConnection) -> dict[str, Any]:
            locked = await self._lock(connection, room)
            draw = _sealed(locked)
            secret = await _secret_in(connection, locked, body)
            if commitment_of(secret) != draw.commitment:
                raise RefusedError(DrawOutcome.WRONG_SECRET)
            await self._allow_long_statements(connection)
            if await self._hash_list(connection, locked) != (draw.list_hash, draw.entrants):
                raise RefusedError(DrawOutcome.LIST_CHANGED)
            await self._give_numbers(connection, locked, secret)
            await connection.execute(QUERIES["drop_secret"], locked.where)
            entry = locked.entry("revealed")
            await connection.execute(
                QUERIES["reveal_draw"],
                locked.where | {"now": locked.now, "secret": secret, "entry": encode_entry(entry)},
            )
            await record_step(connection, locked, by.operator, "reveal_draw", entry)
            return _step(locked, "revealed", draw.entrants, draw.list_hash)

        return await self._to_its_end(self._commands.once(by, f"reveal_draw {room}", body, work))

    async def promise(self, room: int, actor: str) -> None:
        """Have the server keep the secret of a draw that nobody has committed to."""
        async with self._engine.begin() as connection:
            await promise_draw(connection, self._organisation, room, actor)

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
        self, connection: AsyncConnection, locked: LockedDraw, secret: bytes
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


def _refuse_commitment(locked: LockedDraw) -> None:
    """A commitment stands once others have relied on it: until it is withheld."""
    draw = locked.draw
    if draw is None or draw.state == "withheld":
        return
    if draw.state == "committed" and locked.registered == 0:
        return
    raise RefusedError(
        DrawOutcome.ALREADY_REVEALED if draw.state == "revealed" else DrawOutcome.COMMITMENT_STANDS
    )


def commitment_in(body: NewCommitment) -> Commitment:
    """What an operator promises: a hash that somebody sent, or a secret of the server's own.

    Raises:
        FieldError: a part of a promise is missing.
    """
    if body.commitment is not None and body.committer is not None and body.independent is not None:
        return Commitment(body.committer, body.independent, bytes.fromhex(body.commitment))
    missing = [name for name in body.__struct_fields__ if getattr(body, name) is None]
    if len(missing) < len(body.__struct_fields__):
        raise FieldError(
            f"A commitment stands with who made it: {missing[0]} is missing.",
            field=missing[0],
            expected="commitment, committer and independent together, or none of them",
        )
    return Commitment()


async def _secret_in(connection: AsyncConnection, locked: LockedDraw, body: Reveal) -> bytes:
    """The secret that was sent, or else the one that the server keeps.

    Raises:
        RefusedError: none was sent, and somebody else keeps it.
    """
    if body.secret is not None:
        return bytes.fromhex(body.secret)
    kept = await connection.execute(QUERIES["read_secret"], locked.where)
    secret: bytes | None = kept.scalar_one_or_none()
    if secret is None:
        raise RefusedError(DrawOutcome.SECRET_ELSEWHERE, f"It is kept by {locked.draw.committer}.")
    return secret


def _sealed(locked: LockedDraw) -> Any:
    """The draw of a room, sealed and waiting for its secret.

    Raises:
        RefusedError: it is not, or not any more.
    """
    draw = locked.draw
    if draw is None:
        raise RefusedError(DrawOutcome.NOT_COMMITTED)
    if draw.state == "committed":
        raise RefusedError(DrawOutcome.NOT_SEALED)
    if draw.state == "revealed":
        raise RefusedError(DrawOutcome.ALREADY_REVEALED)
    return draw


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
        keeper=keeper_of(kept=row.kept, independent=row.independent),
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
