"""What a visitor asks in a wait of twenty minutes: counted, with our script in a real browser."""

import asyncio

from bench.room import figures
from bench.room.figures import Figure
from bench.room.session import Bench
from tests.acceptance.browsers import chromium, chromium_path
from tests.acceptance.room_peer import scripted_room
from tests.acceptance.tabs import Visitor

REQUESTS = 55
WAIT_S = 1_200
SPEED = 10.0
STEP_S = 2
SECONDS_MAX = 1_300


async def measure_wait(bench: Bench) -> list[Figure]:
    """Have a tab wait, on a clock that is put forward, before a room that counts."""
    if chromium_path() is None:
        bench.console.print("  no chromium here, so that nothing is counted")
        return []
    asked = await asyncio.to_thread(count_requests, bench.runs)
    return [
        figures.of(
            [float(sum(one.values())) for one in asked],
            section="wait",
            name=f"requests of a visitor who waits {WAIT_S // 60} minutes, page and all",
            unit="",
            at_most=REQUESTS,
            note=", ".join(f"{what} {count}" for what, count in asked[0].items()),
            details={"each": asked},
        )
    ]


def count_requests(times: int) -> list[dict[str, int]]:
    """By what was asked for, once for each of several rolls of the dice."""
    asked = []
    with chromium() as browser:
        for seed in range(1, times + 1):
            context = browser.new_context()
            with scripted_room(speed=SPEED, ahead=round(SPEED * WAIT_S)) as room:
                visitor = Visitor(context, room, seed)
                visitor.press(base=room.url)
                waited = visitor.wait_for_turn(SECONDS_MAX, step_s=STEP_S)
                if visitor.get("turn.outcome") != "entered" or waited < WAIT_S - 1:
                    raise RuntimeError(f"the visitor has not entered in {waited:.0f} s")
                asked.append(dict(room.asked))
            context.close()
    return asked
