"""A room whose draw is about to take a step: its row locked, its draw read, the step written.

Guarantee   Whoever has a `LockedDraw` holds the lock on the room until the transaction ends: steps
            take turns with each other, with changes of the room's settings and with a reset.
Clock       PostgreSQL's, read after the lock.
"""

from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from sunseo.core.clock import Instant
from sunseo.core.outcome import RefusedError
from sunseo.operators import audit
from sunseo.room.draw.file import moment_text
from sunseo.room.draw.outcomes import DrawOutcome
from sunseo.room.draw.steps import Commitment, StoredDraw
from sunseo.room.postgres.cold import QUERIES

_encode = msgspec.json.Encoder().encode


class LockedDraw(msgspec.Struct, frozen=True):
    """A room whose row is locked, and its draw as it stands."""

    where: dict[str, Any]  # organisation, room, epoch
    sale: int | None
    registered: int
    draw: StoredDraw | None
    now: Instant

    def entry(self, event: str, **details: Any) -> dict[str, Any]:
        """One line of the public log."""
        return {"at": moment_text(self.now), "event": event, **details}


async def lock_draw(connection: AsyncConnection, organisation: int, room: int) -> LockedDraw:
    """Lock a room, and read the draw that it has.

    Raises:
        RefusedError: there is no such room.
    """
    where = {"organisation": organisation, "room": room}
    locked = (await connection.execute(QUERIES["lock_drawn_room"], where)).first()
    if locked is None:
        raise RefusedError(DrawOutcome.UNKNOWN_ROOM)
    found = (await connection.execute(QUERIES["read_drawn_line"], where)).one()
    where = where | {"epoch": found.epoch}
    row = (await connection.execute(QUERIES["read_draw"], where)).first()
    now = (await connection.execute(QUERIES["read_draw_clock"])).scalar_one()
    draw = None if row is None else draw_in(row, found.epoch)
    return LockedDraw(where, locked.sale, found.entrants, draw, now)


def draw_in(row: Any, epoch: int) -> StoredDraw:
    """The draw of a row that has its columns."""
    return StoredDraw(
        epoch=epoch,
        state=row.state,
        commitment=row.commitment,
        committer=row.committer,
        independent=row.independent,
        kept=row.kept,
        sealed_at=row.sealed_at,
        list_hash=row.list_hash,
        entrants=row.entrants,
        secret=row.secret,
        log=row.log,
    )


async def promise_draw(
    connection: AsyncConnection, organisation: int, room: int, actor: str
) -> None:
    """Commit the server to a secret of its own, unless the room has a draw already."""
    locked = await lock_draw(connection, organisation, room)
    if locked.draw is None:
        await write_commitment(connection, locked, actor, Commitment())


async def write_commitment(
    connection: AsyncConnection, locked: LockedDraw, actor: str, given: Commitment
) -> tuple[str, str]:
    """Keep a commitment in place of the one before; returns the draw's state, and the commitment.

    A secret of the server's own is made in the database and stays there: the log, the audit log and
    everything that an operator can read know its hash only.
    """
    kept = given.commitment is None
    commitment = given.commitment
    if commitment is None:
        made = await connection.execute(QUERIES["keep_secret"], locked.where)
        commitment = made.scalar_one()
    else:
        await connection.execute(QUERIES["drop_secret"], locked.where)
    entry = locked.entry(
        "committed",
        commitment=commitment.hex(),
        committer=given.committer,
        independent=given.independent,
        kept=kept,
        registered=locked.registered,
    )
    row = {
        "commitment": commitment,
        "committer": given.committer,
        "independent": given.independent,
        "kept": kept,
        "now": locked.now,
        "entry": encode_entry(entry),
    }
    written = await connection.execute(QUERIES["commit_draw"], locked.where | row)
    await record_step(connection, locked, actor, "commit_draw", entry)
    return written.scalar_one(), commitment.hex()


def encode_entry(entry: dict[str, Any]) -> str:
    """A line of the public log, as it is appended."""
    return _encode([entry]).decode()


async def record_step(
    connection: AsyncConnection,
    locked: LockedDraw,
    actor: str,
    action: str,
    entry: dict[str, Any],
) -> None:
    """Tell the audit log what the public one says."""
    told = {name: value for name, value in entry.items() if name not in ("at", "event")}
    await audit.append(
        connection,
        locked.where["organisation"],
        actor=actor,
        action=action,
        sale=locked.sale,
        details={"room": locked.where["room"], "epoch": locked.where["epoch"], **told},
        now=locked.now,
    )
