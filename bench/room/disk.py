"""What the disk alone does: no answer leaves before its commit is on it."""

import asyncio
import os
import time
from pathlib import Path

from bench.room.figures import Figure
from bench.room.session import Bench

SECONDS = 30.0
EVERY_S = 0.01  # about as often as a lane commits
WRITE_BYTES = 8192
FILE_BYTES = 16 * 1024 * 1024  # a segment of PostgreSQL's log, written over from its beginning
STALL_MS = 50.0


async def measure_disk(bench: Bench) -> list[Figure]:
    """Write and flush a small block again and again, with nothing else on the machine."""
    took_ms = sorted(await asyncio.to_thread(flush_repeatedly, bench.folder / "disk.bin"))
    stalls = sum(ms > STALL_MS for ms in took_ms)

    def figure(name: str, value: float, note: str = "") -> Figure:
        name = f"a bare fdatasync of 8 kB, a hundred a second: {name}"
        return Figure(section="disk", name=name, unit="ms", value=value, note=note)

    return [
        figure("p50", took_ms[len(took_ms) // 2]),
        figure("p99", took_ms[int(0.99 * len(took_ms))]),
        figure(
            "longest",
            took_ms[-1],
            f"{stalls} of {len(took_ms)} took more than {STALL_MS:.0f} ms, in {SECONDS:.0f} s. All "
            "who wait for a commit wait for such a one",
        ),
    ]


def flush_repeatedly(path: Path) -> list[float]:
    """Milliseconds of each write with its flush, at an even pace, to a file that is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    block = os.urandom(WRITE_BYTES)
    with path.open("wb") as file:
        file.write(bytes(FILE_BYTES))
        file.flush()
        os.sync()
        took_ms: list[float] = []
        until = time.monotonic() + SECONDS
        while (began := time.monotonic()) < until:
            os.pwrite(file.fileno(), block, len(took_ms) * WRITE_BYTES % FILE_BYTES)
            os.fdatasync(file.fileno())
            took_ms.append((time.monotonic() - began) * 1000)
            time.sleep(max(0.0, EVERY_S - took_ms[-1] / 1000))
    path.unlink()
    return took_ms
