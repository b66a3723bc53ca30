"""`sunseo verify`: run it, show progress, print the report, and choose the exit code."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import asyncpg
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as ProgressBar
from sqlalchemy.exc import SQLAlchemyError

from sunseo.invariants.report import Report
from sunseo.invariants.screen import show
from sunseo.invariants.verify import Progress, UnknownSaleError, VerifyLimits, verify
from sunseo.postgres.pool import create_cold_engine

CLEAN, VIOLATED, NOT_CHECKED = 0, 1, 2


async def run_verify(
    dsn: str,
    organisation: int,
    sales: Sequence[int] | None,
    as_json: bool,
    *,
    limits: VerifyLimits | None = None,
    place: str = "the database",
    whole: bool = False,
) -> int:
    """Verify and print; returns 0 if clean, 1 if violated, 2 if it could not (all) be checked.

    The report goes to standard output, as JSON or as a table; progress and failures to standard
    error.
    """
    output, errors = Console(), Console(stderr=True)
    try:
        report = await _verify(dsn, organisation, sales or None, limits, errors)
    except UnknownSaleError as error:
        errors.print(f"{error} Nothing was checked.", highlight=False)
        return NOT_CHECKED
    except (SQLAlchemyError, asyncpg.PostgresError, OSError) as error:
        errors.print(f"The database could not be asked: {_said(error)}", highlight=False)
        return NOT_CHECKED

    if as_json:
        output.file.write(f"{msgspec.json.encode(report).decode()}\n")
    else:
        show(report, output, whole=whole)
    if report.sales == 0:
        # Not highlighted, and never wrapped: it has to be read.
        errors.print(
            f"NO SALES: {place} holds no sale of organisation {organisation}, so that nothing"
            " could be found wrong with any. Is it the right one?",
            style="bold yellow",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    return exit_code(report)


def exit_code(report: Report) -> int:
    if report.violations:
        return VIOLATED
    return CLEAN if report.clean else NOT_CHECKED


async def _verify(
    dsn: str,
    organisation: int,
    sales: Sequence[int] | None,
    limits: VerifyLimits | None,
    console: Console,
) -> Report:
    engine = create_cold_engine(dsn, size=1)
    try:
        with _progress_bar(console) as on_progress:
            return await verify(engine, organisation, sales, limits=limits, on_progress=on_progress)
    finally:
        await engine.dispose()


@contextmanager
def _progress_bar(console: Console) -> Iterator[Callable[[Progress], None]]:
    """Show a bar while there is a terminal to show it on."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    bar = ProgressBar(*columns, console=console, transient=True, disable=not console.is_terminal)
    with bar:
        task = bar.add_task("verify", total=None)

        def on_progress(progress: Progress) -> None:
            bar.update(
                task,
                completed=progress.done,
                total=progress.total,
                description=progress.invariant or "verify",
            )

        yield on_progress


def _said(error: BaseException) -> str:
    """What the database or the driver said, in one line and without the statement."""
    cause = getattr(error, "orig", None) or error
    return str(cause).splitlines()[0] if str(cause) else type(cause).__name__
