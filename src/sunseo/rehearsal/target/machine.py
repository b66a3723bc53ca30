"""The machine that all of it runs on."""

import os
import platform

import msgspec
import psutil

from sunseo.core.version import VERSION


class Machine(msgspec.Struct, frozen=True):
    cores: int
    memory_gb: float
    system: str
    python: str
    sunseo: str


def machine() -> Machine:
    memory = psutil.virtual_memory().total / 2**30
    return Machine(
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        round(memory, 1),
        f"{platform.system()} {platform.release()} {platform.machine()}",
        platform.python_version(),
        VERSION,
    )
