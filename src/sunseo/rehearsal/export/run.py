"""Runs `stage` and `judge`: prints what came of it, and gives the exit code."""

import asyncio
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from sunseo.postgres.embedded.running import running_dsn
from sunseo.rehearsal.attempt import (
    BROKEN,
    COULD_NOT,
    GOOD,
    ResultFiles,
    attempt,
    deliver,
)
from sunseo.rehearsal.export.judging import Observed, conclude_log
from sunseo.rehearsal.export.log import LogError
from sunseo.rehearsal.export.staged import Staged, StagedError, load
from sunseo.rehearsal.export.staging import Played, StageOptions, stage
from sunseo.rehearsal.observe.observer import DatabaseStatus, Sample
from sunseo.rehearsal.report.page import write_report
from sunseo.rehearsal.report.result import Options, Result
from sunseo.rehearsal.report.terminal import Terminal
from sunseo.rehearsal.target.target import ORGANISATION, open_engine, open_target, read_sale


def run_stage(options: Options, show: StageOptions, results: ResultFiles) -> int:
    """Set the scene, play and judge where there is a tool; returns the exit code."""
    # What a shell is to read goes to standard output alone.
    console = Console(stderr=not show.command or results.as_json)
    terminal = Terminal(console, options)

    def play(folder: Path) -> Coroutine[Any, Any, Played | None]:
        return _stage(options, show, folder.absolute(), terminal)

    def finish(played: Played | None) -> int:
        if played is None:
            return GOOD
        unwritten = _show(played.result, terminal, results)
        if played.tool_code:
            terminal.say(f"{options.played_by[0]} itself ended with exit code {played.tool_code}.")
        return unwritten or played.result.exit_code or (BROKEN if played.tool_code else GOOD)

    return attempt(console, "rehearsal", show.data, play, finish)


def run_judge(file: Path, told: Path, database_url: str | None, results: ResultFiles) -> int:
    """Judge what another tool's crowd has left; returns the exit code."""
    console = Console(stderr=results.as_json)
    try:
        staged = load(file)
        result = asyncio.run(_judge(staged, told, database_url))
    except (StagedError, LogError) as error:
        console.print(f"No verdict: {error}", style="red", highlight=False, markup=False)
        return COULD_NOT
    return _show(result, Terminal(console, staged.options), results) or result.exit_code


async def _stage(
    options: Options, show: StageOptions, folder: Path, terminal: Terminal
) -> Played | None:
    async with open_target(
        folder,
        terminal.say,
        url=options.target,
        workers=options.workers,
        operator_key=show.operator_key,
        database_url=show.database_url,
    ) as target:
        return await stage(options, show, target, folder, terminal)


async def _judge(staged: Staged, told: Path, database_url: str | None) -> Result:
    dsn = database_url
    if dsn is None and staged.data is not None:
        dsn = running_dsn(Path(staged.data))
        if dsn is None:
            raise StagedError(f"the server that was set up in {staged.data} runs no more")
    async with open_engine(dsn) as engine:
        samples: list[Sample] = []
        if engine is not None:
            setup = staged.setup
            status = DatabaseStatus(engine, ORGANISATION, setup.sales, setup.room)
            snapshot = await status.look()
            samples.append(
                Sample(
                    at_s=round(time.time() - staged.opens_at, 3), **msgspec.structs.asdict(snapshot)
                )
            )
        stored, report = await read_sale(engine, staged.setup)
    return conclude_log(staged, told, Observed(samples, 0, stored, report))


def _show(result: Result, terminal: Terminal, results: ResultFiles) -> int:
    return deliver(result, results, terminal.console, table=terminal.conclude, page=write_report)
