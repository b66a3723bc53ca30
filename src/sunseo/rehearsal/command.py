"""`sunseo rehearse …`: the command line. What it runs is loaded when it is asked for."""

import secrets
from pathlib import Path
from typing import Annotated

import typer

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
    from sunseo.rehearsal.outcome import (  # noqa: PLC0415 - other commands start faster without
        Options,
    )
    from sunseo.rehearsal.run import (  # noqa: PLC0415 - as above
        Where,
        run_rehearsal,
    )

    if target is not None and operator_key is None:
        raise typer.BadParameter("--target stands with --operator-key")
    for file in (json, report):
        if file is not None and not file.absolute().parent.is_dir():
            raise typer.BadParameter(f"there is no folder {file.parent}")
    options = Options(
        visitors=visitors,
        seats=seats,
        capacity=capacity if capacity is not None else max(1, seats // 10),
        seed=seed if seed is not None else secrets.randbelow(10**6),
        duration_s=duration,
        session_s=session,
        workers=workers,
        drivers=drivers,
        target=target,
    )
    where = Where(
        operator_key=operator_key, database_url=database_url, json=json, report=report, data=data
    )
    raise typer.Exit(run_rehearsal(options, where))
