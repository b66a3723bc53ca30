"""Heads that are called and never come: bought by the dozen, and placed where it hurts.

First the controller as it runs, against a line that an attacker has arranged. People who come do so
two seconds after they were called, stay for a minute, and enter by the rule that counts: while
fewer are live than the capacity. Then a server with its own leader, over HTTP.
"""

import time
from collections.abc import Callable, Iterator

import pytest

from sunseo.room.pacing.pacing import Census, PacingLimits, PacingState, tick
from tests.attacks.attacker import PATIENCE_S, Serving, Visitor, Wire, create_room, line_of

CAPACITY = 100
PEOPLE = 6000
STAYS_S = 60
COMES_AFTER_S = 2
LEARNT_S = 240  # a grace and a half, after which the controller knows what it is up against

LINES: dict[str, Callable[[int], bool]] = {
    "every second one is absent": lambda number: number % 2 == 0,
    "nine of ten are absent": lambda number: number % 10 == 0,
    "the first thousand are absent": lambda number: number > 1000,
    "blocks of two hundred are absent by turns": lambda number: number // 200 % 2 == 0,
    "all come, until all stay away": lambda number: number < 2000 or number % 2 == 0,
}


def played(comes: Callable[[int], bool], seconds: int) -> Iterator[tuple[int, int, int]]:
    """Second by second: who is live, what is called, and the highest who has entered."""
    limits = PacingLimits(capacity=CAPACITY, grace_s=150.0)
    state, serving, live, capacity = PacingState.fresh(), 0, 0, CAPACITY
    due: dict[int, list[int]] = {}
    leaves: dict[int, int] = {}
    last = 0
    for second in range(seconds):
        departed = leaves.pop(second, 0)
        live -= departed
        entered = []
        for number in due.pop(second, []):
            if live >= capacity:
                due.setdefault(second + 2, []).append(number)  # asks again, as the answer says
                continue
            live += 1
            last = max(last, number)
            entered.append((number, float(second)))
            leaves[second + STAYS_S] = leaves.get(second + STAYS_S, 0) + 1
        census = Census(
            now_s=float(second),
            issued=PEOPLE,
            serving=serving,
            live=live,
            entered=entered,
            departed=departed,
        )
        state, advance = tick(state, limits, census)
        called = range(serving + 1, advance.serving + 1)
        serving, capacity = advance.serving, advance.capacity
        due.setdefault(second + COMES_AFTER_S, []).extend(n for n in called if comes(n))
        yield live, serving, last


@pytest.mark.parametrize("name", LINES)
def test_absent_heads_neither_overfill_nor_starve_the_room(name: str) -> None:
    """Never one above the capacity; and once it is known, nine tenths of it are in use."""
    comes = LINES[name]
    used = []
    for second, (live, serving, _) in enumerate(played(comes, 900)):
        assert live <= CAPACITY
        if second >= LEARNT_S and serving < PEOPLE - 200:
            used.append(live)
    assert used, "the line was over before anything could be seen"
    assert sum(used) / len(used) >= 0.9 * CAPACITY


def test_absent_heads_do_not_stop_the_line() -> None:
    """A whole opening bought by somebody who never comes costs the others a minute at most."""
    first = next(
        second
        for second, (_, _, last) in enumerate(played(LINES["the first thousand are absent"], 900))
        if last > 1000
    )
    assert first <= 60


def test_half_of_a_line_is_absent_at_a_server(server: Serving, operator: str, wire: Wire) -> None:
    """With the first heads absent and then every second one, all who come get in, few at a time."""
    capacity = 4
    room = create_room(
        server, operator, capacity=capacity, tau_s=1, grace_s=4, poll_ceiling_s=2, pass_ttl_s=20
    )
    line = [Visitor(wire, room) for _ in range(40)]
    for visitor in line:
        assert visitor.join().status == 201
    here = [visitor for visitor in line if visitor.number > 2 * capacity and visitor.number % 2]
    inside: list[Visitor] = []
    most = 0

    deadline = time.monotonic() + PATIENCE_S
    while here and time.monotonic() < deadline:
        serving = wire.ask("GET", f"/v1/rooms/{room}/state").json["serving"]
        for visitor in [one for one in here if one.number <= serving]:
            if visitor.enter().status == 201:
                here.remove(visitor)
                inside.append(visitor)
        most = max(most, line_of(server, room)["live"])
        if inside:
            assert inside.pop(0).say("leave").status == 200
        time.sleep(0.1)

    assert not here, f"{len(here)} of those who came never got in"
    assert 1 <= most <= capacity
