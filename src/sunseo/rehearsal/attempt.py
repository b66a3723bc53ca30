"""The outer edge of all that sends a crowd: a folder, a loop, one line where it comes to nothing.

State       None outlives an attempt.
Guarantee   A folder of our own is removed, whatever happens.
On failure  One line says what went wrong; the exit code is 2. So it is after Ctrl-C where nobody
            below makes more of it.
"""

import asyncio
import shutil
import signal
import tempfile
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import msgspec
import uvloop
from rich.console import Console

from sunseo.core.outputs import write_outputs

GOOD, BROKEN, COULD_NOT = 0, 1, 2
"""Exit codes: all held, something did not, it could not be run to its end."""

SAME_SIGNAL_S = 2.0  # a Ctrl-C comes twice through some shells and tools

T = TypeVar("T")


class ResultFiles(msgspec.Struct, frozen=True, kw_only=True):
    """Where a result goes: as JSON, and as a page. A table is shown in any case."""

    json: Path | None = None
    as_json: bool = False
    report: Path | None = None


class Environment(ResultFiles, frozen=True, kw_only=True):
    """And how to reach a server that is not ours, or where to keep our own server's data."""

    operator_key: str | None = None
    database_url: str | None = None
    data: Path | None = None


class AttemptError(Exception):
    """It could not be run; the message is one line that says why."""


def attempt(
    console: Console,
    what: str,
    given: Path | None,
    play: Callable[[Path], Coroutine[Any, Any, T]],
    finish: Callable[[T], int],
) -> int:
    """Play in a folder and a loop of its own, then finish; returns the exit code.

    Args:
        console: for the one line.
        what: was attempted, one word for people.
        given: the folder to work in, which stays; without one it is made, and thrown away.
        play: gets the folder.
        finish: makes an exit code of what was played.
    """
    try:
        with (
            _working_folder(given) as folder,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            played = runner.run(play(folder))
    except (AttemptError, aiohttp.ClientError) as error:
        console.print(f"No {what}: {error}", style="red", highlight=False, markup=False)
        return COULD_NOT
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("Stopped at once; nothing is left behind.")
        return COULD_NOT
    return finish(played)


def deliver(
    result: T,
    to: ResultFiles,
    console: Console,
    *,
    table: Callable[[T, Path | None], object],
    page: Callable[[Path, T], object],
    more: Iterable[Callable[[], object]] = (),
) -> int:
    """One result as JSON, as a page, and as a table for people, as far as each is asked for.

    The table is told where the page is; `more` writes what is special to such a result. Returns an
    exit code: 0, unless something could not be written, which a line then says.
    """
    encoded = msgspec.json.encode(result)
    writers: list[Callable[[], object]] = []
    if to.json is not None:
        writers.append(partial(to.json.write_bytes, encoded))
    if to.as_json:
        writers.append(partial(print, encoded.decode()))
    if to.report is not None:
        writers.append(partial(page, to.report, result))
    failed = write_outputs(*writers, *more)
    table(result, to.report)
    for line in failed:
        console.print(line, style="red", highlight=False, markup=False, soft_wrap=True)
    return COULD_NOT if failed else GOOD


@contextmanager
def _working_folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    made = Path(tempfile.mkdtemp(prefix="sunseo-rehearsal-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def stop_on_signals() -> asyncio.Event:
    """The first SIGINT or SIGTERM asks for a partial report; the next one ends us at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    first = 0.0

    def on_signal() -> None:
        nonlocal first
        if not stop.is_set():
            stop.set()
            first = loop.time()
        elif loop.time() > first + SAME_SIGNAL_S and task is not None:
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    return stop
