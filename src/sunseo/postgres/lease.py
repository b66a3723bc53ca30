"""Being the only process in a role, for a while: a row with an end.

State       A role is FREE, or HELD by one process until a moment that the process keeps moving.
Guarantee   Two processes never both pass `guard` for one role while a lease lasts: a transaction
            that has passed it keeps the lease from changing hands until it ends.
Clock       PostgreSQL's. A lease that ends further away than its whole length was written while
            the clock stood wrong, and is nobody's.
On failure  A process that dies lets go when its lease ends. One that is stopped in mid-work, and
            goes on after that, is turned away by `guard`.
"""

from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from sunseo.postgres.queries import load_cold_queries

_QUERIES = load_cold_queries("sunseo.postgres")

LEASE_S = 10.0  # how long a role stands empty after its holder was killed


class Lease:
    """One process's claim on a role of an organisation."""

    def __init__(self, organisation: int, role: str, length_s: float = LEASE_S) -> None:
        self._role = {"organisation": organisation, "role": role}
        self._mine = self._role | {"holder": uuid4(), "length_s": length_s}
        self._length_s = length_s

    async def hold(self, connection: AsyncConnection) -> bool:
        """Take the lease where it is free, or keep it; returns whether it is ours.

        It is written only when it is taken and when half of it is over, since many ask often.
        """
        row = (await connection.execute(_QUERIES["read_lease"], self._mine)).one_or_none()
        if row is not None and 0 < row.left_s <= self._length_s:
            if not row.is_mine:
                return False
            if row.left_s > self._length_s / 2:
                return True
        return (await connection.execute(_QUERIES["hold_lease"], self._mine)).first() is not None

    async def guard(self, connection: AsyncConnection) -> bool:
        """See that the lease is ours, and keep it so until this transaction ends."""
        return (await connection.execute(_QUERIES["guard_lease"], self._mine)).first() is not None

    async def drop(self, connection: AsyncConnection) -> None:
        """Let the next process begin at once."""
        await connection.execute(_QUERIES["drop_lease"], self._mine)
