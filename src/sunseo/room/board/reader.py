"""What one board asks of the store, look by look.

State       Up to where the last look saw that was kept, and whose turn it is.
Guarantee   Whatever is stored is told by the next look. A room may be told twice. Each room is told
            in its turn every `TURNS` looks, whatever was written.
On failure  The next look tells the same and what is new since.
"""

from collections.abc import Iterable

from sunseo.room.store import (
    BoardMark,
    BoardNews,
    BoardStore,
    LostRoom,
    MarkedRoom,
    PassLists,
    ShownRoom,
)

TURNS = 600  # looks, about five minutes
LISTS = PassLists(
    listed_s=60 + 5,  # after expiry: a gate's clock may be late by the largest skew
    revoked_max=1000,  # that one document lists
    void_max=20_000,  # more than end in a minute behind any room of ours
)


class RoomReader:
    """One board's."""

    def __init__(self, store: BoardStore) -> None:
        self._store = store
        self._looks = 0
        self._mark: BoardMark | None = None

    async def news(self) -> BoardNews:
        """Which rooms may have changed since the look that was kept last."""
        self._looks += 1
        return await self._store.news(self._mark, turns=TURNS, turn=self._looks % TURNS)

    def keep(self, news: BoardNews) -> None:
        """Take all that it told as known."""
        self._mark = news.mark

    async def read(
        self, rooms: Iterable[int], known: Iterable[MarkedRoom]
    ) -> list[ShownRoom | LostRoom]:
        """Read rooms as they are shown, but for those whose mark is as it was."""
        return await self._store.read(rooms, known, LISTS)
