"""The drivers of a rehearsal, each a process: made ready, started, listened to, and brought home.

State       READY once every driver has said so, PLAYING until every one has ended.
Guarantee   No driver outlives this process. Told to stop, each still writes its record.
On failure  A driver that ends without a record is a DriverError with its last words.
"""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from sunseo.rehearsal.attempt import AttemptError
from sunseo.rehearsal.driver import READY, DriverPlan, DriverProgress
from sunseo.rehearsal.observe.ledger import DriverRecord, Figures, Ledger

HOME_S = 30.0  # for a driver that was told to stop to write its record
WORDS_TOLD = 3


class DriverError(AttemptError):
    """A driver broke down; one line says how."""


@asynccontextmanager
async def ready_drivers(count: int, log: Path) -> "AsyncIterator[Drivers]":
    """So many drivers that wait for their plans; none is left at the end.

    Raises:
        DriverError: one did not get that far.
    """
    drivers = Drivers(log)
    try:
        await drivers.make_ready(count)
        yield drivers
    finally:
        await drivers.end()


class Drivers:
    def __init__(self, log: Path) -> None:
        self._plans: list[DriverPlan] = []
        self._log = log
        self._processes: list[asyncio.subprocess.Process] = []
        self._progress: dict[int, DriverProgress] = {}

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    async def make_ready(self, count: int) -> None:
        """Come back when each has said that it can take its plan."""
        for _ in range(count):
            with self._log.open("ab") as errors:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "sunseo.rehearsal.driver",
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    start_new_session=True,  # Ctrl-C is for us; we tell the drivers
                )
            self._processes.append(process)
        for process in self._processes:
            if process.stdout is not None and await process.stdout.readline() != READY:
                raise DriverError(f"a driver broke down: {self._last_words()}")

    def start(self, plans: Iterable[DriverPlan]) -> None:
        """Tell each its plan."""
        self._plans = list(plans)
        for plan, process in zip(self._plans, self._processes, strict=True):
            Path(plan.record).unlink(missing_ok=True)  # of an earlier rehearsal
            if process.stdin is not None:
                process.stdin.write(msgspec.json.encode(plan))
                process.stdin.close()

    async def listen(self) -> None:
        """Follow the drivers' progress until all have ended."""
        await asyncio.gather(*map(self._follow, range(len(self._processes))))

    async def _follow(self, part: int) -> None:
        process = self._processes[part]
        if process.stdout is None:
            return
        async for line in process.stdout:
            self._progress[part] = msgspec.json.decode(line, type=DriverProgress)
        await process.wait()

    @property
    def progress(self) -> DriverProgress | None:
        """All drivers' together; latencies are those of the slowest."""
        told = list(self._progress.values())
        if not told:
            return None
        summed = {
            name: sum(getattr(one, name) for one in told)
            for name in ("arrived", "in_line", "inside", "bought", "orders", "gone", "requests")
        }
        return DriverProgress(
            at_s=max(one.at_s for one in told),
            late_ms=max(one.late_ms for one in told),
            p99_ms={name: max(one.p99_ms[name] for one in told) for name in told[0].p99_ms},
            **summed,
        )

    def stop(self) -> None:
        for process in self._processes:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)

    async def end(self) -> None:
        """See that none is left, whatever has happened."""
        self.stop()
        for process in self._processes:
            try:
                async with asyncio.timeout(HOME_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()

    def collect(self) -> DriverRecord:
        """Put all drivers' records together.

        Raises:
            DriverError: one has not written any.
        """
        whole = DriverRecord(Ledger(), Figures(), whole=True, seconds=0.0, cpu_s=0.0, memory_mb=0.0)
        for plan in self._plans:
            try:
                written = Path(plan.record).read_bytes()
            except FileNotFoundError:
                raise DriverError(f"a driver broke down: {self._last_words()}") from None
            record = msgspec.msgpack.decode(written, type=DriverRecord)
            whole.ledger.add(record.ledger)
            whole.figures.add(record.figures)
            whole.whole &= record.whole
            whole.seconds = max(whole.seconds, record.seconds)
            whole.cpu_s += record.cpu_s
            whole.memory_mb += record.memory_mb
        return whole

    def _last_words(self) -> str:
        lines = self._log.read_text("utf-8", errors="replace").splitlines()
        return " / ".join(lines[-WORDS_TOLD:]) or "it said nothing"
