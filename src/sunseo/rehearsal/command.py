"""`sunseo rehearse …`: the command line. What it runs is loaded when it is asked for."""

import secrets
from pathlib import Path
from typing import Annotated, Any

import typer

CAPACITY_PART, CAPACITY_MIN = 10, 10  # one inside for so many seats, so many at least
DEMO_SESSION_S = 3.0  # nobody looks on for longer than two minutes

rehearse = typer.Typer(help="Send a crowd through a server, and judge.", no_args_is_help=True)


@rehearse.callback()
def _rehearse() -> None:
    """Send a simulated crowd over real HTTP, and end with a verdict."""


@rehearse.command()
def concert(
    *,
    target: Annotated[
        str | None, typer.Option(help="A running server's address; without it, one of our own.")
    ] = None,
    operator_key: Annotated[
        str | None,
        typer.Option(help="For --target: a key to set up the sale with.", envvar="OPERATOR_KEY"),
    ] = None,
    database_url: Annotated[
        str | None,
        typer.Option(help="For --target: its database, to hold the answers against it."),
    ] = None,
    visitors: Annotated[int, typer.Option(min=1, max=1_000_000, help="All of them.")] = 20_000,
    seats: Annotated[int, typer.Option(min=1, max=50_000, help="On sale.")] = 2_000,
    capacity: Annotated[
        int | None, typer.Option(min=1, help="Inside at once; a tenth of the seats if not given.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the crowd; drawn if not given.")] = None,
    duration: Annotated[
        float, typer.Option(min=1, max=7200, help="Seconds from T0 to the last arrival.")
    ] = 60.0,
    session: Annotated[
        float, typer.Option(min=0.1, max=600, help="Seconds that a visitor spends inside, about.")
    ] = 4.0,
    json: Annotated[Path | None, typer.Option(help="Write all figures to this file.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write a page to this .html file.")] = None,
    data: Annotated[Path | None, typer.Option(help="Keep our server's data, here.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Of our server.")] = 1,
    drivers: Annotated[int, typer.Option(min=1, max=64, help="Processes of the crowd.")] = 1,
) -> None:
    """A concert: everybody at T0, a seat map, too few seats.

    Exit code 0 if everything held, 1 if something did not, 2 if it could not be run to its end.
    """
    if target is not None and operator_key is None:
        raise typer.BadParameter("--target stands with --operator-key")
    options: dict[str, Any] = {
        "visitors": visitors,
        "seats": seats,
        "capacity": capacity,
        "seed": seed,
        "duration_s": duration,
        "session_s": session,
        "workers": workers,
        "drivers": drivers,
        "target": target,
    }
    where = {
        "operator_key": operator_key,
        "database_url": database_url,
        "json": json,
        "report": report,
        "data": data,
    }
    _run(options, where)


def demo(
    *,
    visitors: Annotated[int, typer.Option(min=1, max=1_000_000, help="All of them.")] = 20_000,
    seats: Annotated[int, typer.Option(min=1, max=50_000, help="On sale.")] = 2_000,
    duration: Annotated[
        float, typer.Option(min=1, max=7200, help="Seconds from T0 to the last arrival.")
    ] = 40.0,
    seed: Annotated[int | None, typer.Option(help="Of the crowd; drawn if not given.")] = None,
    data: Annotated[Path | None, typer.Option(help="Keep the data, in this folder.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Of the server.")] = 1,
    report: Annotated[Path | None, typer.Option(help="Write a page to this .html file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Sell out a concert to a crowd on a throw-away server, then verify the result.

    The same as `rehearse concert`, with fewer options.
    """
    options: dict[str, Any] = {
        "visitors": visitors,
        "seats": seats,
        "capacity": None,
        "seed": seed,
        "duration_s": duration,
        "session_s": DEMO_SESSION_S,
        "workers": workers,
    }
    _run(options, {"report": report, "data": data, "as_json": as_json})


def _run(options: dict[str, Any], where: dict[str, Any]) -> None:
    from sunseo.rehearsal.outcome import (  # noqa: PLC0415 - other commands start faster without
        Options,
    )
    from sunseo.rehearsal.run import (  # noqa: PLC0415 - as above
        Where,
        run_rehearsal,
    )

    for file in (where.get("json"), where.get("report")):
        if file is not None and not file.absolute().parent.is_dir():
            raise typer.BadParameter(f"there is no folder {file.parent}")
    if options["seed"] is None:
        options["seed"] = secrets.randbelow(10**6)
    if options["capacity"] is None:
        options["capacity"] = max(CAPACITY_MIN, options["seats"] // CAPACITY_PART)
    raise typer.Exit(run_rehearsal(Options(**options), Where(**where)))
