"""Two controllers at once: a leader that was paused by its machine, and wakes up."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil

from sunseo.postgres.pool import create_cold_engine
from sunseo.room.postgres.cold import QUERIES
from tests.attacks.attacker import (
    Serving,
    Visitor,
    Wire,
    create_room,
    in_own_loop,
    line_of,
    rows,
    until,
)


def lead(server: Serving) -> tuple[int, str]:
    """The fence of the present lead, and who has it."""
    ((fence, leader),) = rows(
        server, "SELECT fence, leader::text FROM room_leases WHERE role = 'pacing'"
    )
    return fence, leader


@contextmanager
def paused(process: int) -> Iterator[None]:
    """A process that stands still, as in a long pause of its machine, and then goes on."""
    psutil.Process(process).send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        psutil.Process(process).send_signal(signal.SIGCONT)


def lengthen(server: Serving, room: int, numbers: int) -> int:
    """Let the line grow, without asking a worker that may stand still."""
    ((issued,),) = rows(
        server,
        "UPDATE room_lines SET issued = issued + $2 WHERE room = $1 RETURNING issued",
        room,
        numbers,
    )
    return int(issued)


def test_paused_leader_wakes_and_moves_nothing_back(
    server: Serving, operator: str, wire: Wire
) -> None:
    """Another worker leads meanwhile, with a higher fence; the sleeper follows when it wakes."""
    room = create_room(server, operator)
    for _ in range(5):
        Visitor(wire, room).join()
    until(lambda: line_of(server, room)["serving"] == 5, "the leader calls them")
    before = lead(server)

    for worker in server.workers():
        with paused(worker):
            issued = lengthen(server, room, 10)
            # If it was the follower that was stopped, the leader calls them; if it was the leader,
            # the other one does so when the lease is over. Either way the line goes on.
            until(lambda goal=issued: line_of(server, room)["serving"] == goal, "it goes on")  # type: ignore[misc]  # mypy cannot name a lambda's default
    followed = lead(server)
    issued = lengthen(server, room, 10)
    until(lambda: line_of(server, room)["serving"] == issued, "it goes on with both awake")

    after = lead(server)
    ((fence,),) = rows(server, "SELECT fence FROM room_lines WHERE room = $1", room)
    assert before[0] < followed[0] == after[0]
    assert after[1] == followed[1]
    assert fence == after[0]
    assert line_of(server, room)["serving"] == line_of(server, room)["issued"]


def test_a_writer_with_an_old_fence_is_refused(server: Serving, operator: str) -> None:
    """What the sleeper had decided, written by its own statement: the line takes no old fence."""
    room = create_room(server, operator)
    lengthen(server, room, 10)
    until(lambda: line_of(server, room)["serving"] == 10, "the leader calls them")
    fence, _ = lead(server)

    assert in_own_loop(advanced(server.dsn(), room, fence - 1)) == []
    assert line_of(server, room) == {"issued": 10, "serving": 10, "live": 0, "epoch": 1}
    assert in_own_loop(advanced(server.dsn(), room, fence)) == [(room, 10)]  # and never back


async def advanced(dsn: str, room: int, fence: int) -> list[Any]:
    """Write a step as a controller does, which would take the line back to its first number."""
    step = {"room": room, "epoch": 1, "serving": 1, "capacity": 1, "moves": True, "state": {}}
    engine = create_cold_engine(dsn, size=1)
    try:
        async with engine.begin() as connection:
            given = {"organisation": 1, "fence": fence, "advances": json.dumps([step])}
            moved = await connection.execute(QUERIES["advance_lines"], given)
            return [tuple(row) for row in moved]
    finally:
        await engine.dispose()
