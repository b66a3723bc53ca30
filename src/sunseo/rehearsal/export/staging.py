"""Sets the scene for a crowd that another tool plays, and judges what came of it.

State       SETTING UP; then PLAYING while the tool runs, or OPEN until we are told to stop; JUDGED.
Guarantee   A tool that we started never outlives us, nor does a server of our own. Once the tool
            ran there is a verdict, if need be on what was told until then.
Clock       T0 is wall time, because that is what all tools can be told. On one machine it is one
            clock; against a target elsewhere only times that visitors measure themselves count.
On failure  One line says what went wrong; the exit code is 2.
"""

import asyncio
import os
import shlex
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import aiohttp
import msgspec

from sunseo.core.processes import exit_with_parent
from sunseo.rehearsal.attempt import AttemptError, stop_on_signals
from sunseo.rehearsal.export.judging import Observed, conclude_log
from sunseo.rehearsal.export.staged import Staged, exports, save
from sunseo.rehearsal.observe.observer import Observer
from sunseo.rehearsal.observe.processes import Groups
from sunseo.rehearsal.report.result import Options, Result
from sunseo.rehearsal.report.terminal import Terminal
from sunseo.rehearsal.scenes.setup import set_up, setup_s
from sunseo.rehearsal.target.operator import open_session
from sunseo.rehearsal.target.target import Target, read_sale, status_source

TOOL_STOP_S = 60.0  # for a tool that was told to stop to write what it has


class ToolError(AttemptError):
    """The tool could not be started; one line says why."""


class StageOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to play.

    Attributes:
        starts_in_s: until the first visitor may come; tools take their time to start.
        told: the log that the crowd writes.
        file: where to write down what was set up, for a judge to come.
        command: of the tool, or nothing.
        operator_key, database_url: of a server that is not ours.
        data: folder for our own server's data, if they are to stay.
    """

    starts_in_s: float
    told: Path
    file: Path
    command: Sequence[str] = ()
    operator_key: str | None = None
    database_url: str | None = None
    data: Path | None = None


class Played(NamedTuple):
    """What came of it, and the tool's own exit code."""

    result: Result
    tool_code: int


async def stage(
    options: Options, show: StageOptions, target: Target, folder: Path, terminal: Terminal
) -> Played | None:
    """Set up; then play and judge, or without a tool say what it has to know.

    Raises:
        SetupError, ToolError, LogError: it could not be done.
    """
    stop = stop_on_signals()
    async with open_session(target.url) as session:
        staged = await _set_up(options, show, target, folder, session)
        terminal.say(f"{staged.setup.summary} on {target.url}")
        show.told.unlink(missing_ok=True)  # of an earlier crowd
        if show.command:
            return await _play(staged, show, target, session, terminal=terminal, stop=stop)
    save(staged, show.file)
    for line in exports(staged.variables(show.told.absolute())):
        print(line)  # noqa: T201 - for a shell to read
    if target.supervisor is not None:
        terminal.say("The server stays until Ctrl-C: let the crowd be judged before.")
        await stop.wait()
    return None


async def _set_up(
    options: Options,
    show: StageOptions,
    target: Target,
    folder: Path,
    session: aiohttp.ClientSession,
) -> Staged:
    now = time.time()
    waits_s = show.starts_in_s + setup_s(options.scenario)
    opens_at = now + waits_s + options.scenario.arrivals.early_from_s
    setup = await set_up(
        session, target.key, options.scenario, datetime.fromtimestamp(opens_at, UTC)
    )
    return Staged(
        url=target.url,
        setup=setup,
        opens_at=opens_at,
        started_at=datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
        options=options,
        data=None if target.supervisor is None else str(folder),
    )


async def _play(
    staged: Staged,
    show: StageOptions,
    target: Target,
    session: aiohttp.ClientSession,
    *,
    terminal: Terminal,
    stop: asyncio.Event,
) -> Played:
    tool = await _start(show, staged.variables(show.told.absolute()))
    zero = time.monotonic() + staged.opens_at - time.time()
    source = status_source(target, session, staged.setup)
    groups = Groups(lambda: target.supervisor, [tool.pid])
    observer = Observer(source, session, groups, zero, terminal.note_sample)
    observing = asyncio.create_task(observer.run())
    stopping = asyncio.create_task(stop.wait())
    try:
        code = await _end_of(tool, stopping)
    finally:
        for task in (observing, stopping):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    await observer.run_once()
    terminal.say("Holding what visitors were told against what is stored ...")
    stored, report = await read_sale(target.engine, staged.setup)
    seen = Observed(observer.samples, observer.missed, stored, report)
    return Played(conclude_log(staged, show.told, seen, must_tell=True), code)


async def _end_of(tool: asyncio.subprocess.Process, stopping: "asyncio.Task[bool]") -> int:
    """Its exit code, once it has ended by itself or because we were told to stop."""
    playing = asyncio.create_task(tool.wait())
    try:
        await asyncio.wait([playing, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not playing.done():
            tool.send_signal(signal.SIGINT)
            await asyncio.wait([playing], timeout=TOOL_STOP_S)
    finally:
        if tool.returncode is None:
            tool.kill()
    return await playing


async def _start(show: StageOptions, variables: dict[str, str]) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *show.command,
            env=os.environ | variables,
            start_new_session=True,  # Ctrl-C is for us; we tell the tool, once
            preexec_fn=exit_with_parent,
        )
    except OSError as error:
        raise ToolError(f"{shlex.join(show.command)}: {error.strerror}") from None
