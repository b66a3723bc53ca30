"""Send a crowd: wrk with our script, closed loop, keep-alive."""

import json
import os
import resource
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_name("wrk") / "holds.lua"
ANSWER_S = 60  # wrk counts slower answers as timed out, and we want to see them all
GRACE_S = 90.0
FILES_SPARE = 256


class LoadError(Exception):
    """The load generator is missing or failed."""


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk saw."""

    requests: int
    seconds: float
    refused: int
    socket_errors: int
    timeouts: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    late_p99_ms: float
    """By how much requests were sent after their moment, to the millisecond; 0 in a closed loop."""
    statuses: Mapping[str, int]
    """By status as `s201`; all zero unless the workload asked for counting."""

    @property
    def held(self) -> int:
        """Holds acknowledged: every answer that was not refused."""
        return self.requests - self.refused


def require_wrk() -> str:
    """Find wrk, or say how to get it."""
    path = shutil.which("wrk")
    if path is None:
        raise LoadError("wrk is missing: apt-get install wrk (Debian, Ubuntu), brew install wrk")
    return path


def send(
    port: int,
    connections: int,
    seconds: float,
    environment: Mapping[str, str],
    out: Path,
    *,
    script: Path = SCRIPT,
    path: str = "",
    core: int | None = None,
) -> Load:
    """Run wrk for some seconds over that many connections.

    `path` is for scripts that leave the request to wrk; with a `core`, wrk runs on that one alone.

    One thread: it made 30,000 requests/s from this script against the bare server, which was then
    the limit, and it leaves the cores to those measured.
    """
    allow_files(connections + FILES_SPARE)
    out.unlink(missing_ok=True)
    ended = subprocess.run(
        [
            *pinned(core), require_wrk(), "--threads", "1", "--connections", str(connections),
            "--duration", f"{max(1, round(seconds))}s", "--timeout", f"{ANSWER_S}s",
            "--script", str(script), f"http://127.0.0.1:{port}{path}",
        ],
        env={**os.environ, **environment, "BENCH_OUT": str(out)},
        capture_output=True,
        text=True,
        timeout=seconds + GRACE_S,
        check=False,
    )  # fmt: skip
    if ended.returncode != 0 or not out.exists():
        raise LoadError(f"wrk failed: {ended.stdout}{ended.stderr}")
    return read(out)


def pinned(core: int | None) -> list[str]:
    """What to put before a command so that it runs on one core alone."""
    return [] if core is None else ["taskset", "--cpu-list", str(core)]


def read(path: Path) -> Load:
    seen = json.loads(path.read_text())
    return Load(
        requests=seen["requests"],
        seconds=seen["duration_us"] / 1e6,
        refused=seen["refused"],
        socket_errors=seen["socket_errors"],
        timeouts=seen["timeouts"],
        p50_ms=seen["p50_us"] / 1e3,
        p99_ms=seen["p99_us"] / 1e3,
        max_ms=seen["max_us"] / 1e3,
        late_p99_ms=seen.get("late_p99_us", 0) / 1e3,
        statuses=seen["statuses"],
    )


def allow_files(wanted: int) -> None:
    """Raise our own limit of open files, which wrk inherits, where it is too low."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
