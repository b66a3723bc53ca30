"""What the gate costs the site that it guards, in this process and without a network."""

import time
from collections.abc import Sequence
from itertools import cycle, islice
from statistics import median

from bench import gate
from bench.gate import HOUR_MS, REQUESTS, ROUNDS, VISITORS, Times, times_of
from bench.room import figures
from bench.room.figures import Figure
from bench.room.session import Bench
from sunseo.gate.verifier import PassVerifier
from tests.gate_room import EPOCH, ROOM, Room

VERIFY_US = {False: 50.0, True: 300.0}
NAMES = {False: "HMAC", True: "Ed25519"}
REMEMBERED = 100  # passes, for requests whose pass the gate knows already


async def measure_gate(bench: Bench) -> list[Figure]:
    """Verification alone, then the whole gate before an app that does nothing."""
    found: list[Figure] = []
    alone = await gate.measure_rounds(gate.bare, [b""])
    for ed25519, name in NAMES.items():
        room = Room(ed25519)
        passes = [
            room.sealed(room.ticket(issued_at_ms=room.now_ms, expires_at_ms=room.now_ms + HOUR_MS))
            for _ in range(VISITORS)
        ]
        found += _verified(name, verify(room, passes), VERIFY_US[ed25519])
        cookies = [f"theme=dark; sunseo_pass_{ROOM}={text}".encode() for text in passes]
        guarded = gate.guarded(room)
        first = await gate.measure_rounds(guarded, cookies)
        found += _added(f"{name}: added by the gate to a pass's first request", first, alone)
        later = await gate.measure_rounds(guarded, cookies[:REMEMBERED])
        found += _added(f"{name}: added by the gate to its later requests", later, alone)
    for figure in found:
        bench.console.print(f"  {figure.name}: {figure.value:.1f} µs")
    return found


def verify(room: Room, passes: Sequence[str]) -> list[Times]:
    """Time one verification after the other, each of a pass that is not remembered."""
    verifier = PassVerifier(room.keys)
    texts = cycle(passes)  # more than it remembers, so that none is when its turn comes again
    rounds = []
    for _ in range(ROUNDS):
        taken = []
        for text in islice(texts, REQUESTS):
            begun = time.perf_counter_ns()
            verifier.check(text, room.now_ms, EPOCH, 0)
            taken.append(time.perf_counter_ns() - begun)
        rounds.append(times_of(taken))
    return rounds


def _verified(name: str, rounds: Sequence[Times], p99_max: float) -> list[Figure]:
    return [
        figures.of(
            [times.p50 for times in rounds],
            section="gate",
            name=f"{name} pass verified, uncached: p50",
            unit="µs",
        ),
        figures.of(
            [times.p99 for times in rounds],
            section="gate",
            name=f"{name} pass verified, uncached: p99",
            unit="µs",
            at_most=p99_max,
        ),
    ]


def _added(name: str, rounds: Sequence[Times], alone: Sequence[Times]) -> list[Figure]:
    """What requests take longer than at the app alone."""
    found = []
    for part in Times._fields:
        without = median(getattr(times, part) for times in alone)
        found.append(
            figures.of(
                [getattr(times, part) - without for times in rounds],
                section="gate",
                name=f"{name}: {part}",
                unit="µs",
                details={"app_alone_us": without},
            )
        )
    return found
