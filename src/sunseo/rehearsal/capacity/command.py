"""`sunseo rehearse capacity`: the command line. What it runs is loaded when it is asked for."""

import secrets
from pathlib import Path
from typing import Annotated

import typer

from sunseo.core.outputs import check_outputs, figures, page

MISUSE = 2


def capacity(
    *,
    scenario: Annotated[
        str, typer.Argument(help="Whose people come: one of `sunseo rehearse list`, or a file.")
    ] = "concert",
    slo: Annotated[
        list[str] | None,
        typer.Option(help="A bound to hold, like 'p99(hold) <= 500ms'; may repeat."),
    ] = None,
    first: Annotated[
        float, typer.Option("--from", min=0.1, max=100_000, help="Arrivals per second to begin at.")
    ] = 10.0,
    ceiling: Annotated[
        float, typer.Option("--to", min=0.1, max=100_000, help="Never more arrivals per second.")
    ] = 2_000.0,
    precision: Annotated[
        float, typer.Option(min=0.01, max=1, help="How near the answer is to be, as a part of it.")
    ] = 0.1,
    probe: Annotated[
        float, typer.Option(min=4, max=600, help="Seconds of each probe; the later half counts.")
    ] = 20.0,
    session: Annotated[
        float | None,
        typer.Option(min=0.1, max=600, help="Seconds that a visitor spends inside, about."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the crowds; drawn if not given.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Of our server.")] = 1,
    drivers: Annotated[int, typer.Option(min=1, max=64, help="Processes of the crowd.")] = 1,
    target: Annotated[
        str | None, typer.Option(help="A running server's address; without it, one of our own.")
    ] = None,
    operator_key: Annotated[
        str | None,
        typer.Option(help="For --target: a key to set up the sales with.", envvar="OPERATOR_KEY"),
    ] = None,
    database_url: Annotated[
        str | None, typer.Option(help="For --target: its database, to look into the room.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
    json_file: Annotated[Path | None, typer.Option(help="Write all figures to this file.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write a page to this .html file.")] = None,
    data: Annotated[Path | None, typer.Option(help="Keep our server's data, here.")] = None,
) -> None:
    """Find the highest arrival rate that holds the bounds, what binds, and what to set.

    Exit code 0 if a rate was found, 1 if not even the lowest holds, 2 if it could not be searched.
    """
    from sunseo.rehearsal.attempt import Environment  # noqa: PLC0415 - loaded when needed
    from sunseo.rehearsal.capacity.bounds import steady_slos  # noqa: PLC0415 - as above
    from sunseo.rehearsal.capacity.result import SearchTerms  # noqa: PLC0415 - as above
    from sunseo.rehearsal.capacity.run import run_capacity  # noqa: PLC0415 - as above
    from sunseo.rehearsal.report.result import Options  # noqa: PLC0415 - as above
    from sunseo.rehearsal.scenes.scenario import read_scenario  # noqa: PLC0415 - as above

    if target is not None and operator_key is None:
        raise typer.BadParameter("--target stands with --operator-key")
    if first > ceiling:
        raise typer.BadParameter("--from must not be above --to")
    try:
        check_outputs(*figures("--json-file", json_file), *page("--report", report))
        played = read_scenario(scenario).changed(session_s=session)
        played.must_sell_in_order()
        slos = steady_slos(slo or played.slo)
    except ValueError as error:
        typer.echo(f"sunseo: {error}", err=True)
        raise typer.Exit(MISUSE) from None
    options = Options(
        name=scenario,
        scenario=played,
        seed=secrets.randbelow(10**6) if seed is None else seed,
        workers=workers,
        drivers=drivers,
        target=target,
    )
    terms = SearchTerms(
        slos=slos,
        probe_s=probe,
        first=first,
        ceiling=ceiling,
        precision=precision,
    )
    where = Environment(
        operator_key=operator_key,
        database_url=database_url,
        json=json_file,
        as_json=as_json,
        report=report,
        data=data,
    )
    raise typer.Exit(run_capacity(options, terms, where))
