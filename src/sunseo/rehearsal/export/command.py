"""`sunseo rehearse export`, `stage` and `judge`: the command line.

What they run is loaded when they are asked for, so that other commands start faster.
"""

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from sunseo.core.outputs import Output, OutputError, check_outputs, figures, page
from sunseo.rehearsal.options import JsonFileOption, JsonOption, ReportOption, SeedOption

if TYPE_CHECKING:
    from sunseo.rehearsal.report.result import Options

MISUSE = 2
TOLD, STAGED = Path("told.jsonl"), Path("stage.json")

ScenarioArgument = Annotated[
    str, typer.Argument(help="One of `sunseo rehearse list`, or a .toml file of your own.")
]
VisitorsOption = Annotated[int | None, typer.Option(min=1, max=1_000_000, help="All of them.")]
UnitsOption = Annotated[
    int | None, typer.Option("--units", "--seats", min=1, max=50_000, help="On sale.")
]
CapacityOption = Annotated[int | None, typer.Option(min=1, help="Inside the room at once.")]
DurationOption = Annotated[
    float | None, typer.Option(min=1, max=7200, help="Seconds from T0 to the last arrival.")
]
SessionOption = Annotated[
    float | None, typer.Option(min=0.1, max=600, help="Seconds that a visitor spends inside.")
]
DatabaseUrlOption = Annotated[
    str | None, typer.Option(help="For --target: its database, to hold the answers against it.")
]
LogOption = Annotated[Path, typer.Option(help="The log that the crowd writes.")]


def add_export_commands(rehearse: typer.Typer) -> None:
    rehearse.command("export")(export)
    rehearse.command("stage")(stage)
    rehearse.command("judge")(judge)


def export(
    *,
    scenario: ScenarioArgument = "concert",
    to: Annotated[str, typer.Option(help="k6, locust, jmeter, or json: the plan alone.")],
    output: Annotated[Path | None, typer.Option(help="This file, instead of the screen.")] = None,
    visitors: VisitorsOption = None,
    seed: SeedOption = None,
    duration: DurationOption = None,
    session: SessionOption = None,
) -> None:
    """Write a scenario's crowd for k6, Locust or JMeter, to be edited and kept, or as a plan."""
    from sunseo.rehearsal.export.plan import (  # noqa: PLC0415 - see above
        plan_of,
    )
    from sunseo.rehearsal.export.script import (  # noqa: PLC0415 - see above
        Tool,
        write_script,
    )

    try:
        tool = Tool(to)
    except ValueError:
        _refuse(f"--to is one of {', '.join(one.value for one in Tool)}, not {to!r}")
    options = _options(
        scenario, seed=seed, visitors=visitors, duration_s=duration, session_s=session
    )
    if output is not None:
        _check(Output("--output", output))
    script = write_script(tool, plan_of(options))
    if output is None:
        typer.echo(script, nl=False)
        return
    try:
        output.write_text(script, "utf-8")
    except OSError as error:
        _refuse(f"{output}: {error.strerror}")


def stage(
    *,
    scenario: ScenarioArgument,
    command: Annotated[
        list[str] | None, typer.Argument(help="After `--`: the tool's command, run and judged.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="A running server's address; without it, one of our own.")
    ] = None,
    operator_key: Annotated[
        str | None,
        typer.Option(help="For --target: a key to set up the sale with.", envvar="OPERATOR_KEY"),
    ] = None,
    database_url: DatabaseUrlOption = None,
    visitors: VisitorsOption = None,
    units: UnitsOption = None,
    capacity: CapacityOption = None,
    seed: SeedOption = None,
    duration: DurationOption = None,
    session: SessionOption = None,
    slo: Annotated[
        list[str] | None, typer.Option(help="A bound such as 'p99(hold) <= 500 ms'; may repeat.")
    ] = None,
    starts_in: Annotated[
        float, typer.Option(min=0, max=3600, help="Seconds until the first visitor may come.")
    ] = 20.0,
    told: LogOption = TOLD,
    staged: Annotated[Path, typer.Option(help="Write down for `judge` what was set up.")] = STAGED,
    as_json: JsonOption = False,
    json_file: JsonFileOption = None,
    report: ReportOption = None,
    data: Annotated[Path | None, typer.Option(help="Keep our server's data, here.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Of our server.")] = 1,
) -> None:
    """Set up sale and room for an exported crowd; with a command, send that crowd, and judge.

    Without one it prints the variables that a script wants, and a server of our own stays until
    Ctrl-C. Exit codes are those of a rehearsal, and 1 as well if only the tool itself has failed.
    """
    from sunseo.rehearsal.attempt import (  # noqa: PLC0415 - see above
        ResultFiles,
    )
    from sunseo.rehearsal.export.run import (  # noqa: PLC0415 - see above
        run_stage,
    )
    from sunseo.rehearsal.export.staging import (  # noqa: PLC0415 - see above
        StageOptions,
    )

    if target is not None and operator_key is None:
        raise typer.BadParameter("--target stands with --operator-key")
    _check(Output("--told", told), Output("--staged", staged), json=json_file, report=report)
    options = _options(
        scenario,
        seed=seed,
        target=target,
        workers=workers,
        played_by=tuple(command or ()),
        visitors=visitors,
        units=units,
        capacity=capacity,
        duration_s=duration,
        session_s=session,
        slo=slo or (),
    )
    show = StageOptions(
        starts_in_s=starts_in,
        told=told,
        file=staged,
        command=options.played_by,
        operator_key=operator_key,
        database_url=database_url,
        data=data,
    )
    files = ResultFiles(json=json_file, as_json=as_json, report=report)
    raise typer.Exit(run_stage(options, show, files))


def judge(
    *,
    staged: Annotated[Path, typer.Argument(help="What `stage` has written down.")] = STAGED,
    told: LogOption = TOLD,
    database_url: DatabaseUrlOption = None,
    as_json: JsonOption = False,
    json_file: JsonFileOption = None,
    report: ReportOption = None,
) -> None:
    """Judge an exported crowd by its log and by what is stored, as far as there is either.

    Exit code 0 if everything held, 1 if something did not, 2 if it could not be judged to its end.
    """
    from sunseo.rehearsal.attempt import (  # noqa: PLC0415 - see above
        ResultFiles,
    )
    from sunseo.rehearsal.export.run import (  # noqa: PLC0415 - see above
        run_judge,
    )

    _check(json=json_file, report=report)
    files = ResultFiles(json=json_file, as_json=as_json, report=report)
    raise typer.Exit(run_judge(staged, told, database_url, files))


def _options(name: str, *, seed: int | None, **given: Any) -> "Options":
    from sunseo.rehearsal.report.result import (  # noqa: PLC0415 - see above
        Options,
    )
    from sunseo.rehearsal.scenes.scenario import (  # noqa: PLC0415 - see above
        read_scenario,
    )
    from sunseo.rehearsal.scenes.scene import (  # noqa: PLC0415 - as above
        ScenarioError,
    )

    kept = {key: given.pop(key) for key in ("target", "workers", "played_by") if key in given}
    drawn = secrets.randbelow(10**6) if seed is None else seed
    try:
        scenario = read_scenario(name).changed(**given)
        scenario.must_sell_in_order()
    except ScenarioError as error:
        _refuse(str(error))
    return Options(name=name, scenario=scenario, seed=drawn, **kept)


def _check(*outputs: Output, json: Path | None = None, report: Path | None = None) -> None:
    try:
        check_outputs(*outputs, *figures("--json-file", json), *page("--report", report))
    except OutputError as error:
        _refuse(str(error))


def _refuse(line: str) -> NoReturn:
    typer.echo(f"sunseo: {line}".replace("\n", " "), err=True)
    raise typer.Exit(MISUSE)
