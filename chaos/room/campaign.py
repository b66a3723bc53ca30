"""Kill a server again and again while visitors join and enter, and judge what came of it."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import msgspec

from chaos.asking import Answered
from chaos.kills import Kill, Kind, kill
from chaos.room.audit import Findings, audit
from chaos.room.ledger import Witness
from chaos.room.visitors import Room, RoomCrowd, is_entry, is_join, stayed_away
from chaos.room.watch import DocumentWatch, RowWatch
from tests.acceptance.serving import PATIENCE_S, Serving, token, until

BETWEEN = (5, 80)  # joins and entries between two kills: some hit a server that hardly recovered
SHARES = {Kind.POSTGRESQL: 0.45, Kind.SUPERVISOR: 0.1}  # of kills; all others are of workers
WATCHERS = 3
LATECOMERS_MAX = 300
REPLAYED_MAX = 3000
AT_ONCE = 25
LOGGED_MAX = 50  # lines told of one kill
WITHIN_S = {Kind.WORKER: 2.0, Kind.POSTGRESQL: 10.0}
"""From a kill to the first join or entry. The supervisor's start takes as long as it takes."""

RENEWAL_GRACE_S = 10  # the default
SETTINGS = {
    "holders": "anyone",
    "tau_s": 1,
    "pass_ttl_s": 20,
    "session_max_s": 3600,
    "renewal_grace_s": RENEWAL_GRACE_S,
    "skew_s": 1,
    "poll_ceiling_s": 10,
    "grace_s": 20,
}


class Timed(msgspec.Struct, frozen=True):
    """Seconds over the kills of one kind."""

    median: float
    p90: float
    longest: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Timed":
        ordered = sorted(seconds)
        p90 = ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))]
        return cls(*(round(value, 3) for value in (median(ordered), p90, ordered[-1])))


class Part(msgspec.Struct, frozen=True):
    """The kills of one kind, and times since the kill.

    Attributes:
        serving_s: to the first success, whichever it was, of a request sent after the kill.
        join_s: to the first join.
        entry_s: to the first entry.
        line_s: to when the line moved on.
        late: how many were not followed by a success in time.
    """

    kills: int
    caught: int
    serving_s: Timed
    join_s: Timed
    entry_s: Timed
    line_s: Timed | None
    whole_s: Timed
    late: int


class Late(msgspec.Struct, frozen=True):
    """A kill that was felt for longer than promised, and what could tell why.

    Attributes:
        number: of the kill, counted from one.
        after: what was killed before it, and how many seconds before.
        logged: what the server logged meanwhile, but for requests.
    """

    number: int
    kind: str
    serving_s: float
    after: str
    logged: list[str]


class Outcome(msgspec.Struct, frozen=True):
    """The verdict on one campaign."""

    passed: bool
    kept_in_time: bool
    late: list[Late]
    seed: int
    workers: int
    visitors: int
    seconds: float
    kills: int
    parts: dict[str, Part]
    intents: int
    asked: int
    joins: int
    entries: int
    places: int
    passes: int
    given_twice: list[str]
    lost: list[str]
    unasked: list[str]
    above_capacity: list[str]
    most_at_once: dict[int, int]
    most_live: dict[int, int]
    broken: list[str]
    rows_wrong: list[str]
    went_back: list[str]
    looks: int
    documents: int
    leaders: int
    latecomers: int
    replayed: int
    overdue_renewals: int
    verify_clean: bool
    troubles: dict[str, int]
    unadvised: int
    server_errors: int
    left_behind: list[str]


@dataclass(frozen=True)
class Plan:
    """What to do to the server."""

    kills: int
    visitors: int
    seed: int
    workers: int
    between: tuple[int, int] = BETWEEN


@dataclass
class Stage:
    """A server with its rooms, the crowd before them, and those who watch."""

    server: Serving
    rooms: list[Room]
    crowd: RoomCrowd
    witness: Witness
    rows: RowWatch
    documents: list[DocumentWatch]

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Visitors come and go, and everything is watched."""
        watches = [self.rows.run(), *(watch.run() for watch in self.documents)]
        watching = [asyncio.create_task(watch) for watch in watches]
        try:
            async with self.crowd.present():
                yield
        finally:
            for watch in watching:
                watch.cancel()
            for ended in await asyncio.gather(*watching, return_exceptions=True):
                if isinstance(ended, Exception):  # a watch that looks away proves nothing
                    raise ended


def set_up(server: Serving, plan: Plan) -> Stage:
    """One room for many at once, and one in which there is nearly always but one slot left."""
    operator = server.create_key()
    rooms = [
        _create_room(server, operator, max(3, plan.visitors // 3), share=0.9),
        _create_room(server, operator, 4, share=0.1),
    ]
    witness = Witness()
    crowd = RoomCrowd(server.url, rooms, token, witness, visitors=plan.visitors, seed=plan.seed)
    rows = RowWatch(server.data, rooms)
    documents = [DocumentWatch(server.url, rooms, witness) for _ in range(WATCHERS)]
    return Stage(server, rooms, crowd, witness, rows, documents)


def _create_room(server: Serving, operator: str, capacity: int, share: float) -> Room:
    settings = SETTINGS | {"capacity": capacity}
    made = server.ask(
        "POST", "/v1/rooms", {"name": f"{capacity}", "settings": settings}, bearer=operator
    )
    if made.status != 201:
        raise AssertionError(f"a room could not be made: {made}")
    number: int = made.json["room"]
    path = f"/v1/rooms/{number}/state"
    until(
        lambda: all(server.ask("GET", path).status == 200 for _ in range(12)),
        "every worker knows the room",
    )
    return Room(number, capacity, RENEWAL_GRACE_S, share)


async def campaign(stage: Stage, plan: Plan, tell: Callable[[str, int], None]) -> Outcome:
    """Kill `plan.kills` times, then have the absent come, ask again, and audit everything."""
    began = time.monotonic()
    chance = random.Random(plan.seed)
    crowd = stage.crowd
    kills: list[Kill] = []
    late: list[Late] = []
    async with stage.open():
        for kind in order_of_kills(plan.kills, chance):
            await _successes(crowd, chance.randint(*plan.between))
            position = stage.server.output.stat().st_size
            kills.append(await kill(stage.server, crowd, kind, chance))
            if is_late(kills[-1]):
                late.append(_late(kills, logged_since(stage.server.output, position)))
            await stage.rows.count()
            tell(f"{kind.value}: serving after {kills[-1].first_success_s:.2f} s", 1)
        await _successes(crowd, plan.between[1])

    absent = stayed_away(crowd.visits, stage.rows.serving)
    absent = chance.sample(absent, min(LATECOMERS_MAX, len(absent)))
    async with crowd.connected():
        tell("those who stayed away come", 0)
        await _all_of(absent, crowd.come_late)
        tell("joining again in the same words", 0)
        # A person whose visit is over would not hear of that one again, but begin another.
        waiting = [visit for visit in crowd.visits if visit.secret or not visit.passes]
        sample = chance.sample(waiting, min(REPLAYED_MAX, len(waiting)))
        await _all_of(sample, crowd.replay)
    tell("comparing answers and data", 0)
    await stage.rows.count()
    found = await audit(stage.server.dsn(), crowd.visits, stage.rooms)
    clean = stage.server.verify().clean
    asked = len(absent), len(sample)
    seconds = time.monotonic() - began
    return judge(
        stage, plan, kills, found, late=late, verify_clean=clean, asked=asked, seconds=seconds
    )


def is_late(one: Kill) -> bool:
    return one.first_success_s > WITHIN_S.get(one.kind, float("inf"))


def logged_since(log: Path, position: int) -> list[str]:
    """What a server has logged since its log had so many bytes, but for requests."""
    with log.open("rb") as lines:
        lines.seek(position)
        told = [line.decode(errors="replace").strip() for line in lines]
    return [line for line in told if '"event":"request"' not in line][:LOGGED_MAX]


def _late(kills: Sequence[Kill], logged: list[str]) -> Late:
    *before, one = kills
    after = f"{before[-1].kind.value}, {one.at - before[-1].at:.1f} s" if before else "none"
    return Late(len(kills), one.kind.value, round(one.first_success_s, 3), after, logged)


def order_of_kills(count: int, chance: random.Random) -> list[Kind]:
    """Each kind by its share, at least once, in random order."""
    others = [kind for kind, share in SHARES.items() for _ in range(max(1, round(share * count)))]
    kinds = [*others, *[Kind.WORKER] * count][:count]
    chance.shuffle(kinds)
    return kinds


async def _successes(crowd: RoomCrowd, count: int) -> None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            await crowd.successes(count)
    except TimeoutError:
        raise AssertionError(f"the rooms stand still: {crowd.broken[:5]}") from None


async def _all_of(visits: Sequence[object], do: Callable[..., object]) -> None:
    """Do something for all visits, some at once."""
    waiting = iter(visits)

    async def work() -> None:
        for visit in waiting:
            await do(visit)  # type: ignore[misc]  # any coroutine function

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


def judge(
    stage: Stage,
    plan: Plan,
    kills: list[Kill],
    found: Findings,
    *,
    late: list[Late],
    verify_clean: bool,
    asked: tuple[int, int],
    seconds: float,
) -> Outcome:
    """Put together what all have seen."""
    crowd = stage.crowd
    errors = sum(
        times for what, times in crowd.troubles.items() if what[0] == "5" and what[:3] != "503"
    )
    back = [*stage.witness.faults, *(fault for watch in stage.documents for fault in watch.faults)]
    wrong = [*found.twice, *found.lost, *found.unasked, *found.above]
    wrong += [*crowd.broken, *stage.rows.faults, *back]
    parts = {kind.value: part for kind in Kind if (part := part_of(stage, kills, kind))}
    return Outcome(
        passed=verify_clean and not (wrong or errors or crowd.unadvised),
        kept_in_time=not late,
        late=late,
        seed=plan.seed,
        workers=plan.workers,
        visitors=plan.visitors,
        seconds=round(seconds, 1),
        kills=len(kills),
        parts=parts,
        intents=len(crowd.answered),
        asked=sum(answered.asked for answered in crowd.answered),
        joins=sum(map(is_join, crowd.answered)),
        entries=sum(map(is_entry, crowd.answered)),
        places=found.places,
        passes=found.passes,
        given_twice=found.twice,
        lost=found.lost,
        unasked=found.unasked,
        above_capacity=found.above,
        most_at_once=found.most_at_once,
        most_live=stage.rows.most_live,
        broken=crowd.broken,
        rows_wrong=stage.rows.faults,
        went_back=back,
        looks=stage.rows.looks,
        documents=stage.witness.documents,
        leaders=stage.rows.leaders,
        latecomers=asked[0],
        replayed=asked[1],
        overdue_renewals=crowd.overdue_renewals,
        verify_clean=verify_clean,
        troubles=dict(crowd.troubles.most_common()),
        unadvised=crowd.unadvised,
        server_errors=errors,
        left_behind=[],
    )


def part_of(stage: Stage, kills: list[Kill], kind: Kind) -> Part | None:
    of_kind = [one for one in kills if one.kind is kind]
    if not of_kind:
        return None
    answered = stage.crowd.answered
    moved = stage.rows.moved.get(stage.rooms[0].number, [])
    lines = [s for one in of_kind if (s := _first_move(moved, one.at)) is not None]
    return Part(
        kills=len(of_kind),
        caught=sum(one.caught for one in of_kind),
        serving_s=Timed.of([one.first_success_s for one in of_kind]),
        join_s=Timed.of(_first_after(of_kind, filter(is_join, answered))),
        entry_s=Timed.of(_first_after(of_kind, filter(is_entry, answered))),
        line_s=Timed.of(lines) if lines else None,
        whole_s=Timed.of([one.whole_s for one in of_kind]),
        late=sum(map(is_late, of_kind)),
    )


def _first_after(kills: Sequence[Kill], answered: "filter[Answered]") -> list[float]:
    """Seconds from each kill to the first answer to something that was sent after it."""
    times = sorted((one.last_sent, one.ended) for one in answered)
    firsts = []
    for one in kills:
        ends = [ended for sent, ended in times if one.at <= sent < one.at + PATIENCE_S]
        if ends:
            firsts.append(min(ends) - one.at)
    return firsts


def _first_move(moved: Sequence[tuple[float, int]], at: float) -> float | None:
    return next((seen - at for seen, _ in moved if seen > at), None)
