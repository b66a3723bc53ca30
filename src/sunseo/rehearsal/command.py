"""`sunseo rehearse …`: the command line. What it runs is loaded when it is asked for."""

import secrets
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from sunseo.commands import CommandGroup, command_group
from sunseo.core.outputs import Output, OutputError, check_outputs, figures, page
from sunseo.rehearsal.capacity.command import capacity as capacity_search
from sunseo.rehearsal.export.command import add_export_commands
from sunseo.rehearsal.options import JsonFileOption, JsonOption, ReportOption, SeedOption

MISUSE = 2
INCIDENT_SUFFIXES = (".md", ".html")
DEMO, DEMO_SESSION_S = "concert", 3.0  # nobody looks on for longer than two minutes

CompareOption = Annotated[
    Path | None, typer.Option(help="Show what changed since: a file that --json-file has written.")
]
LivePortOption = Annotated[
    int, typer.Option(min=0, max=65535, help="Of the live page, on 127.0.0.1; 0: any free one.")
]


class ScenarioOrCommand(CommandGroup):
    """What is no command of the group is the name of a scenario: `run` is left out."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["run", *args]
        return super().parse_args(ctx, args)


rehearse = command_group(
    "Send a simulated crowd over real HTTP, and end with a verdict.",
    kind=ScenarioOrCommand,
    subcommand_metavar="SCENARIO [OPTIONS] | COMMAND [ARGS]",
)

add_export_commands(rehearse)
rehearse.command("capacity")(capacity_search)

FaultOption = Annotated[
    list[str] | None,
    typer.Option(help="Do this in mid-rehearsal: kill-server@20s,pause-db@30s:5s, for instance."),
]
IncidentOption = Annotated[
    list[Path] | None,
    typer.Option(help="With --fault: write an incident report to this .md or .html file."),
]


@rehearse.command()
def run(
    *,
    scenario: Annotated[
        str, typer.Argument(help="One of `sunseo rehearse list`, or a .toml file of your own.")
    ],
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
    visitors: Annotated[int | None, typer.Option(min=1, max=1_000_000, help="All of them.")] = None,
    units: Annotated[
        int | None, typer.Option("--units", "--seats", min=1, max=10_000_000, help="On sale.")
    ] = None,
    capacity: Annotated[int | None, typer.Option(min=1, help="Inside the room at once.")] = None,
    seed: SeedOption = None,
    duration: Annotated[
        float | None, typer.Option(min=1, max=7200, help="Seconds from T0 to the last arrival.")
    ] = None,
    session: Annotated[
        float | None,
        typer.Option(min=0.1, max=600, help="Seconds that a visitor spends inside, about."),
    ] = None,
    slo: Annotated[
        list[str] | None,
        typer.Option(help="A bound, as 'p99(hold) <= 500 ms'; instead of the scenario's."),
    ] = None,
    require_complete: Annotated[
        bool, typer.Option(help="Count what could not be checked as not done: exit code 2.")
    ] = False,
    as_json: JsonOption = False,
    json_file: JsonFileOption = None,
    report: ReportOption = None,
    compare: CompareOption = None,
    live_port: LivePortOption = 0,
    fault: FaultOption = None,
    incident: IncidentOption = None,
    data: Annotated[Path | None, typer.Option(help="Keep our server's data, here.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Of our server.")] = 1,
    drivers: Annotated[int, typer.Option(min=1, max=64, help="Processes of the crowd.")] = 1,
) -> None:
    """Send the crowd of a scenario (`run` may be left out); options go before its own words.

    Exit code 0 if everything held, 1 if something did not, 2 if it could not be run to its end.
    """
    if target is not None and operator_key is None:
        raise typer.BadParameter("--target stands with --operator-key")
    changes = {
        "visitors": visitors,
        "units": units,
        "capacity": capacity,
        "duration_s": duration,
        "session_s": session,
        "slo": slo or (),
    }
    options: dict[str, Any] = {
        "seed": _drawn(seed),
        "workers": workers,
        "drivers": drivers,
        "target": target,
    }
    options["faults"] = _checked(fault or [], options, incident or [])
    where = {
        "operator_key": operator_key,
        "database_url": database_url,
        "json": json_file,
        "as_json": as_json,
        "report": report,
        "compare": compare,
        "live_port": live_port,
        "incident": tuple(incident or ()),
        "data": data,
        "requires_complete": require_complete,
    }
    _run(scenario, changes, options, where)


@rehearse.command("list")
def list_scenarios() -> None:
    """Name the shipped scenarios."""
    from sunseo.rehearsal.scenes.scenario import (  # noqa: PLC0415 - other commands start faster without
        read_scenario,
        shipped,
    )

    for name in shipped():
        typer.echo(f"{name:<16}{read_scenario(name).title}")


@rehearse.command()
def show(
    scenario: Annotated[str, typer.Argument(help="One of `sunseo rehearse list`.")],
) -> None:
    """Print a scenario as TOML, to be copied and changed."""
    from sunseo.rehearsal.scenes.scenario import (  # noqa: PLC0415 - as above
        text_of,
    )
    from sunseo.rehearsal.scenes.scene import (  # noqa: PLC0415 - as above
        ScenarioError,
    )

    try:
        typer.echo(text_of(scenario), nl=False)
    except ScenarioError as error:
        _refuse(error)


def demo(
    *,
    visitors: Annotated[int, typer.Option(min=1, max=1_000_000, help="All of them.")] = 20_000,
    units: Annotated[
        int, typer.Option("--units", "--seats", min=1, max=10_000_000, help="On sale.")
    ] = 2_000,
    duration: Annotated[
        float, typer.Option(min=1, max=7200, help="Seconds from T0 to the last arrival.")
    ] = 40.0,
    seed: SeedOption = None,
    data: Annotated[Path | None, typer.Option(help="Keep the data, in this folder.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Of the server.")] = 1,
    report: ReportOption = None,
    compare: CompareOption = None,
    live_port: LivePortOption = 0,
    as_json: JsonOption = False,
    json_file: JsonFileOption = None,
) -> None:
    """Sell out a concert to a crowd on a throw-away server, then verify the result.

    The same as `rehearse concert`, with fewer options.
    """
    changes = {
        "visitors": visitors,
        "units": units,
        "duration_s": duration,
        "session_s": DEMO_SESSION_S,
    }
    where = {
        "json": json_file,
        "report": report,
        "compare": compare,
        "live_port": live_port,
        "data": data,
        "as_json": as_json,
    }
    _run(DEMO, changes, {"seed": _drawn(seed), "workers": workers}, where)


def _run(
    name: str, changes: dict[str, Any], options: dict[str, Any], where: dict[str, Any]
) -> None:
    from sunseo.rehearsal.report.compare import (  # noqa: PLC0415 - other commands start faster without
        CompareError,
        read_earlier,
    )
    from sunseo.rehearsal.report.result import (  # noqa: PLC0415 - as above
        Options,
    )
    from sunseo.rehearsal.run import (  # noqa: PLC0415 - as above
        RunEnvironment,
        run_rehearsal,
    )
    from sunseo.rehearsal.scenes.scenario import (  # noqa: PLC0415 - as above
        read_scenario,
    )
    from sunseo.rehearsal.scenes.scene import (  # noqa: PLC0415 - as above
        ScenarioError,
    )

    try:
        check_outputs(
            *figures("--json-file", where.get("json")),
            *page("--report", where.get("report")),
            *(Output("--incident", file, INCIDENT_SUFFIXES) for file in where.get("incident", ())),
        )
        scenario = read_scenario(name).changed(**changes)
        earlier = where.pop("compare")
        where["earlier"] = None if earlier is None else read_earlier(earlier)
    except (OutputError, ScenarioError, CompareError) as error:
        _refuse(error)
    chosen = Options(name=name, scenario=scenario, **options)
    raise typer.Exit(run_rehearsal(chosen, RunEnvironment(**where)))


def _drawn(seed: int | None) -> int:
    return secrets.randbelow(10**6) if seed is None else seed


def _checked(faults: list[str], options: dict[str, Any], reports: list[Path]) -> str:
    """All faults as one, once they are known to be possible."""
    from sunseo.rehearsal.faults.spec import (  # noqa: PLC0415 - as above
        SpecError,
        parse_faults,
        plan_faults,
        refuse_for_target,
    )

    try:
        specs = [spec for written in faults for spec in parse_faults(written)]
        plan_faults(specs, options["seed"])
        if options["target"] is not None:
            refuse_for_target(specs)
    except SpecError as error:
        _refuse(error)
    if reports and not specs:
        raise typer.BadParameter("--incident stands with --fault")
    return ",".join(map(str, specs))


def _refuse(error: Exception) -> NoReturn:
    typer.echo(f"sunseo: {error}".replace("\n", " "), err=True)
    raise typer.Exit(MISUSE)
