"""An event loop whose clock jumps: whoever sleeps is woken at once, and nobody waits for nothing.

Time passes only when every task waits for it, so that what a test sees depends on its own script
alone. Where all tasks wait for each other for ever, the loop says so instead of hanging.
"""

import asyncio
import gc
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class StuckError(AssertionError):
    """Everybody waits, and nothing will ever happen."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop that measures time in jumps from one timer to the next."""

    def __init__(self) -> None:
        self._virtual_s = 0.0
        self.unheard: list[str] = []
        self.turns = 0
        self._interruptions: dict[int, Callable[[], object]] = {}
        super().__init__(_JumpingSelector(self))
        self.set_exception_handler(self._hear)

    def time(self) -> float:
        return self._virtual_s

    def interrupt(self, turn: int, callback: Callable[[], object]) -> None:
        """Call something just before one turn of the loop: between any two await points."""
        self._interruptions[turn] = callback

    def begin_turn(self) -> bool:
        """Count a turn; returns whether it was interrupted."""
        self.turns += 1
        if callback := self._interruptions.pop(self.turns, None):
            callback()
            return True
        return False

    def _hear(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # A lane that its test has forgotten is collected with its runner: no error of anybody.
        if "exception" in context:
            self.unheard.append(str(context))

    def jump(self, by_s: float) -> None:
        self._virtual_s += by_s


class _JumpingSelector(selectors.SelectSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        interrupted = self._loop.begin_turn()
        ready = super().select(0)
        if interrupted:
            return ready
        if not ready and timeout is None:
            raise StuckError("every task waits for another one")
        if not ready and timeout:
            self._loop.jump(timeout)
        return ready


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end in no time; an error that nobody retrieved fails the test."""
    loop = VirtualLoop()
    try:
        result = loop.run_until_complete(main)
        gc.collect(0)  # a task's unheard error is told when the task is collected
        assert not loop.unheard, loop.unheard
        return result
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(_turn())
        loop.close()


async def _turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)
