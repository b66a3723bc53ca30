"""Work that repeats, on a clock that jumps."""

import asyncio

import pytest

from sunseo.core.loops import Repeat
from tests.virtual_loop import run_virtual


class Turns:
    """A turn that takes a second, and notes when it begins and ends."""

    def __init__(self, *, busy: int = 0, fails: int = 0) -> None:
        self.began: list[float] = []
        self.ended: list[float] = []
        self.errors: list[str] = []
        self._busy = busy
        self._fails = fails

    async def __call__(self) -> bool:
        assert len(self.began) == len(self.ended), "turns overlap"
        number = len(self.began) + 1
        self.began.append(asyncio.get_running_loop().time())
        await asyncio.sleep(1.0)
        self.ended.append(asyncio.get_running_loop().time())
        if number <= self._fails:
            raise RuntimeError(f"turn {number}")
        return number <= self._busy

    def note(self, name: str, error: Exception) -> None:
        self.errors.append(f"{name}: {error}")


async def live(turns: Turns, until_s: float) -> Repeat:
    repeat = Repeat(turns, every_s=10.0, name="agent", on_error=turns.note)
    repeat.start()
    await asyncio.sleep(until_s)
    return repeat


def test_the_pause_counts_from_end_to_start() -> None:
    """A slow turn is followed by a full pause, and turns never overlap."""

    async def main() -> None:
        turns = Turns()
        await (await live(turns, 30.5)).stop()
        assert turns.began == pytest.approx([0.0, 11.0, 22.0])

    run_virtual(main())


def test_a_busy_agent_goes_on_at_once() -> None:
    """A turn that found more than it could do is followed by the next without a pause."""

    async def main() -> None:
        turns = Turns(busy=2)
        await (await live(turns, 5.0)).stop()
        assert turns.began == pytest.approx([0.0, 1.0, 2.0])

    run_virtual(main())


def test_a_turn_that_fails_is_told_and_the_next_one_comes() -> None:
    """An agent outlives its errors, and pauses after them even if it was busy."""

    async def main() -> None:
        turns = Turns(busy=9, fails=2)
        await (await live(turns, 22.5)).stop()
        assert turns.errors == ["agent: turn 1", "agent: turn 2"]
        assert turns.began == pytest.approx([0.0, 11.0, 22.0])

    run_virtual(main())


def test_stop_lets_the_turn_in_progress_finish() -> None:
    """No work is cut in half, and none begins after the stop."""

    async def main() -> None:
        turns = Turns(busy=9)
        repeat = await live(turns, 2.5)
        await repeat.stop()
        assert turns.ended == pytest.approx([1.0, 2.0, 3.0])
        assert asyncio.get_running_loop().time() == pytest.approx(3.0)

    run_virtual(main())


def test_stop_does_not_wait_for_the_pause() -> None:
    """A process that goes down does not sleep first."""

    async def main() -> None:
        turns = Turns()
        repeat = await live(turns, 2.0)
        await repeat.stop()
        assert asyncio.get_running_loop().time() == pytest.approx(2.0)

    run_virtual(main())


def test_stop_before_start_does_nothing() -> None:
    """A start that failed half-way can be cleaned up all the same."""

    async def main() -> None:
        await Repeat(Turns(), every_s=1.0, name="agent", on_error=Turns().note).stop()

    run_virtual(main())
