"""CPU and memory of groups of processes, a second at a time."""

import os
import time
from collections.abc import Callable, Iterable

import msgspec
import psutil

MACHINE = "machine"
FAMILY_KEPT_S = 5.0  # processes come and go seldom; looking for them costs milliseconds


class ProcessUse(msgspec.Struct, frozen=True):
    """Of one group: cores in use since the last look, and memory in MB."""

    cores: float = 0.0
    memory_mb: float = 0.0


class Groups:
    """Watches everything below some processes; PostgreSQL is a group of its own.

    Args:
        server: tells the supervisor's process, which may be another one after a while; none where
            the server is elsewhere.
        drivers: of the crowd.
    """

    def __init__(self, server: Callable[[], int | None], drivers: Iterable[int]) -> None:
        self._server = server
        self._drivers = tuple(drivers)
        self._families: dict[str, list[psutil.Process]] = {}
        self._found_at = 0.0
        self._looked_at = time.monotonic()
        self._cpu_s: dict[int, float] = {}
        self._machine_s = machine_busy_s()

    def look(self) -> dict[str, ProcessUse]:
        now = time.monotonic()
        if now - self._found_at > FAMILY_KEPT_S or not self._families:
            self._families, self._found_at = self._find(), now
        passed_s = max(1e-3, now - self._looked_at)
        self._looked_at = now
        uses = {name: self._use(family, passed_s) for name, family in self._families.items()}
        return uses | self._whole_machine(passed_s)

    def _whole_machine(self, passed_s: float) -> dict[str, ProcessUse]:
        """What everybody on the machine uses, strangers included."""
        before, self._machine_s = self._machine_s, machine_busy_s()
        if before is None or self._machine_s is None:
            return {}
        memory = psutil.virtual_memory().used / 2**20
        return {
            MACHINE: ProcessUse(round((self._machine_s - before) / passed_s, 3), round(memory, 1))
        }

    def _find(self) -> dict[str, list[psutil.Process]]:
        families: dict[str, list[psutil.Process]] = {"server": [], "database": [], "crowd": []}
        server = self._server()
        if server is not None:
            for process in _family(server):
                families["database" if _is_postgres(process) else "server"].append(process)
        for driver in self._drivers:
            families["crowd"] += _family(driver)
        return families

    def _use(self, family: list[psutil.Process], passed_s: float) -> ProcessUse:
        spent_s, memory = 0.0, 0
        for process in family:
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    memory += process.memory_info().rss
            except psutil.Error:
                continue
            total = times.user + times.system
            spent_s += total - self._cpu_s.get(process.pid, total)
            self._cpu_s[process.pid] = total
        return ProcessUse(round(spent_s / passed_s, 3), round(memory / 2**20, 1))


def machine_busy_s() -> float | None:
    """Processor seconds that the machine has spent; none where not all of its cores are ours."""
    if hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) != psutil.cpu_count():
        return None
    times = psutil.cpu_times()
    return float(sum(times[:3]) + sum(getattr(times, name, 0.0) for name in ("irq", "softirq")))


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def _is_postgres(process: psutil.Process) -> bool:
    try:
        return process.name().startswith("postgres")
    except psutil.Error:
        return False
