"""One client at work, alone in its process: `python -m bench.crowd.player NAME --url …`.

Prints what it took as JSON. Processor time counts from the first request on, without start and
imports; `driver` is the rehearsal's whole driver, with everything that its visitors do.
"""

import argparse
import asyncio
import contextlib
import io
import json
import resource
import time
from collections import Counter

import psutil
import uvloop

from bench.crowd.clients import CLIENTS
from sunseo.rehearsal.crowd.arrivals import Poisson
from sunseo.rehearsal.crowd.picking import seat_map_of
from sunseo.rehearsal.crowd.shared import Issuer
from sunseo.rehearsal.driver import Driver, DriverPlan, prepare_process
from sunseo.rehearsal.observe.ledger import Figures
from sunseo.rehearsal.scenes.kinds import Room
from sunseo.rehearsal.scenes.scenario import Scenario
from sunseo.rehearsal.scenes.seats import SeatGoods, SeatSale

SEATS = [{"seat": n + 1, "x": float(n % 50), "y": float(n // 50)} for n in range(2_000)]
GOODS = SeatGoods(seat_map_of(SEATS), SeatSale().person_limit)
SESSION_S = 0.2
VISITORS_A_SECOND = 1_500  # more than any driver manages: it is never idle for long
CONNECTIONS = 256
WAITING_CONNECTIONS = 4_000
LOOK_S = 0.5


class Spent:
    """Processor and wall time since it was made."""

    def __init__(self) -> None:
        self._cpu_s = cpu_seconds()
        self._began = time.monotonic()

    def told(self, requests: int, **more: float) -> str:
        cpu_s = cpu_seconds() - self._cpu_s
        seconds = time.monotonic() - self._began
        return json.dumps({"requests": requests, "seconds": seconds, "cpu_s": cpu_s, **more})


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def play(name: str, url: str, seconds: float) -> str:
    client = CLIENTS[name](url, CONNECTIONS)
    spent = Spent()
    await client.run(time.monotonic() + seconds)
    return spent.told(client.done)


def plan_for(url: str, visitors: int, duration_s: float, connections: int) -> DriverPlan:
    return DriverPlan(
        url=url,
        sales=[1],
        room=1,
        zero=time.monotonic() + 0.2,
        seed=1,
        scenario=Scenario(
            title="As many as can be",
            visitors=visitors,
            session_s=SESSION_S,
            arrivals=Poisson(duration_s=duration_s),
            sale=SeatSale(),
            room=Room(),
        ),
        stop_s=3600.0,
        record="",
        connections_max=connections,
        issuer=Issuer("https://tickets.example", "s" * 64, 1),
    )


async def drive(url: str, seconds: float) -> str:
    """Play visitors who come faster than anybody could serve them, until all have gone."""
    plan = plan_for(url, int(VISITORS_A_SECOND * seconds), seconds, CONNECTIONS)
    driver = Driver(plan, GOODS)
    spent = Spent()
    with contextlib.redirect_stdout(io.StringIO()):
        record = await driver.run()
    if record.ledger.faults:
        raise RuntimeError(f"a fault: {record.ledger.faults[0]}")
    return spent.told(record.figures.requests, busiest=busiest_second(record.figures))


def busiest_second(figures: Figures) -> int:
    """Answers in the second that had most: in the others visitors waited, as they were asked to."""
    answers: Counter[int] = Counter()
    for seconds in figures.latencies.values():
        for second, counts in seconds.items():
            answers[second] += sum(counts.values())
    return max(answers.values())


async def wait(url: str, visitors: int, seconds: float) -> str:
    """Bring visitors into a line that does not move, and weigh the process when so many wait."""
    before = resident_mb()
    # Some never meant to wait for long: so many more come that enough are left.
    plan = plan_for(url, visitors * 6 // 5, seconds, WAITING_CONNECTIONS)
    driver = Driver(plan, GOODS)
    spent = Spent()
    with contextlib.redirect_stdout(io.StringIO()):
        running = asyncio.create_task(driver.run())
        while not running.done() and driver.progress().in_line < visitors:
            await asyncio.wait([running], timeout=LOOK_S)
        all_in, memory_mb = driver.progress(), resident_mb()
        driver.told_to_stop.set()
        await running
    told = {"in_line": all_in.in_line, "memory_mb": memory_mb, "empty_mb": before}
    return spent.told(all_in.requests, **told)


def resident_mb() -> float:
    resident: int = psutil.Process().memory_info().rss
    return resident / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.crowd.player")
    parser.add_argument("name", choices=[*CLIENTS, "driver", "waiting"])
    parser.add_argument("--url", required=True)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--visitors", type=int, default=100_000, help="of `waiting`")
    given = parser.parse_args()
    prepare_process()
    if given.name == "driver":
        print(uvloop.run(drive(given.url, given.seconds)))
    elif given.name == "waiting":
        print(uvloop.run(wait(given.url, given.visitors, given.seconds)))
    else:
        print(uvloop.run(play(given.name, given.url, given.seconds)))


if __name__ == "__main__":
    main()
