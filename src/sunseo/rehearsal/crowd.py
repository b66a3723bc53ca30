"""So many buyers at once, the next one coming when one leaves, until everything is sold.

State       COMING until the sale is sold out, then LEAVING: nobody new comes.
Guarantee   Ends when the last buyer has left; a failure of one ends all.
Clock       Monotonic.
On failure  The first error is raised, and the others' requests are cancelled.
"""

import asyncio
import time
from collections.abc import Iterator

from sunseo.rehearsal.buyers import Buyer
from sunseo.rehearsal.visit import Sight, Visit


class Crowd:
    """Plays buyers, `visitors` of them at any moment."""

    def __init__(self, buyers: Iterator[Buyer], visitors: int, sight: Sight) -> None:
        self._buyers = buyers
        self._visitors = visitors
        self._sight = sight
        self._began = 0.0

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._began if self._began else 0.0

    async def run(self) -> None:
        self._began = time.monotonic()
        places = [asyncio.create_task(self._keep_coming()) for _ in range(self._visitors)]
        try:
            await asyncio.gather(*places)
        finally:
            for place in places:
                place.cancel()
            await asyncio.gather(*places, return_exceptions=True)

    async def _keep_coming(self) -> None:
        """One place in the crowd: buyers follow each other in it."""
        while not self._sight.is_sold_out:
            self._sight.figures.buyers += 1
            await Visit(next(self._buyers), self._sight).run()
