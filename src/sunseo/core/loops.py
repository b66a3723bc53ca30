"""Work that repeats: an agent has `run_once`; this only schedules it.

Guarantee   Turns of one agent never overlap. A turn that fails is logged and counted by the
            caller's `on_error`, and the next one still comes.
Clock       The pause is counted from the end of one turn to the start of the next.
On failure  `stop` lets the turn in progress finish.
"""

import asyncio
from collections.abc import Awaitable, Callable


class Repeat:
    """Call an agent's turn again and again.

    A turn returns whether it found so much to do that the next should follow at once.
    """

    def __init__(
        self,
        turn: Callable[[], Awaitable[bool]],
        *,
        every_s: float,
        name: str,
        on_error: Callable[[str, Exception], None],
    ) -> None:
        self._turn = turn
        self._every_s = every_s
        self._name = name
        self._on_error = on_error
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        self._stopping.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while not self._stopping.is_set():
            again_at_once = False
            try:
                again_at_once = await self._turn()
            except Exception as error:  # noqa: BLE001 - the outer edge of a loop that must go on
                self._on_error(self._name, error)
            if not again_at_once:
                await self._pause()

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), timeout=self._every_s)
        except TimeoutError:
            return
