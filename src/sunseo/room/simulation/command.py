"""`sunseo room simulate`: play an opening before it happens, and print its figures."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as ProgressBar

from sunseo.room.simulation.figures import figures_of
from sunseo.room.simulation.plot import PlotError, check_plot, write_plot
from sunseo.room.simulation.run import Progress, simulate
from sunseo.room.simulation.scenario import (
    SimulationScenario,
    SimulationScenarioError,
    read_scenario,
)
from sunseo.room.simulation.screen import show_figures

MISUSE = 2


def simulate_room(  # noqa: PLR0917 - Typer makes options of them, each given by name
    scenario: Annotated[Path | None, typer.Argument(help="A TOML file; see the guide.")] = None,
    visitors: Annotated[int | None, typer.Option(help="Numbers taken in all.")] = None,
    capacity: Annotated[int | None, typer.Option(help="Passes at once.")] = None,
    rate: Annotated[float | None, typer.Option(help="Entering per second at most.")] = None,
    arrivals: Annotated[float | None, typer.Option(help="Coming per second.")] = None,
    present: Annotated[float | None, typer.Option(help="Share there at the opening.")] = None,
    show_up: Annotated[float | None, typer.Option(help="Share that enters when called.")] = None,
    session: Annotated[float | None, typer.Option(help="Mean seconds inside.")] = None,
    patience: Annotated[
        float | None, typer.Option(help="Mean seconds before somebody goes home uncalled.")
    ] = None,
    units: Annotated[
        int | None, typer.Option("--units", "--seats", help="On sale behind the room.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of all dice.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Write FILE.png, .html or .svg.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Simulate a room with the real controller; options override the scenario's file."""
    changes = {
        ("visitors",): visitors,
        ("seed",): seed,
        ("room", "capacity"): capacity,
        ("room", "rate_max"): rate,
        ("arrivals", "rate_per_s"): arrivals,
        ("arrivals", "present_share"): present,
        ("people", "show_up"): show_up,
        ("people", "session", "mean_s"): session,
        ("people", "patience", "mean_s"): patience,
        ("stock", "units"): units,
    }
    try:
        chosen = _changed(read_scenario(scenario) if scenario else SimulationScenario(), changes)
        if plot is not None:
            check_plot(plot)
        _run(chosen, plot, as_json)
    except (SimulationScenarioError, PlotError) as error:
        _refuse(str(error))
    except OSError as error:
        _refuse(f"{error.filename or plot}: {error.strerror or error}")


def _changed(
    scenario: SimulationScenario, changes: Mapping[tuple[str, ...], object]
) -> SimulationScenario:
    """The scenario with the options that were given, checked as a whole."""
    values = msgspec.to_builtins(scenario)
    for path, value in changes.items():
        if value is not None:
            _put(values, path, value)
    if values["stock"] is None:
        del values["stock"]
    try:
        return msgspec.convert(values, SimulationScenario)
    except msgspec.ValidationError as error:
        raise SimulationScenarioError(str(error)) from error


def _put(values: dict[str, object], path: tuple[str, ...], value: object) -> None:
    here = values
    for name in path[:-1]:
        inner = here.get(name)
        if not isinstance(inner, dict):
            inner = here[name] = {}
        here = inner
    here[path[-1]] = value


def _run(scenario: SimulationScenario, plot: Path | None, as_json: bool) -> None:
    console = Console()
    with _progress(scenario.visitors) as progress:
        record = simulate(scenario, progress)
    figures = figures_of(scenario, record)
    if plot is not None:
        write_plot(plot, scenario, record)
    if as_json:
        sys.stdout.write(f"{msgspec.json.encode(figures).decode()}\n")
        return
    show_figures(figures, console)
    if plot is not None:
        console.print(f"Pictures in {plot}", highlight=False, markup=False)


@contextmanager
def _progress(visitors: int) -> Iterator[Progress]:
    """A bar on the terminal, on standard error; nothing elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    bar = ProgressBar(*columns, console=console, transient=True, disable=not console.is_terminal)
    with bar:
        task = bar.add_task("Simulating", total=visitors)

        def show(at_s: float, done: int) -> None:
            minutes = f"Simulating, minute {at_s / 60:.0f}"
            bar.update(task, completed=done, description=minutes)

        yield show


def _refuse(line: str) -> NoReturn:
    typer.echo(f"sunseo: {line}".replace("\n", " "), err=True)
    raise typer.Exit(MISUSE)
