"""`sunseo room simulate`, as typed."""

import re
import tomllib
from pathlib import Path

import msgspec
import pytest
import typer
from typer.testing import CliRunner, Result

from sunseo.room.simulation.command import simulate_room
from sunseo.room.simulation.figures import SimulationFigures
from sunseo.room.simulation.scenario import SimulationScenario, read_scenario

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
GUIDE, SCENARIOS = GUIDES / "pacing.md", GUIDES / "scenarios"
SMALL = ["--visitors", "300", "--capacity", "30"]


def typed(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(simulate_room)
    return CliRunner().invoke(app, list(arguments))


def test_figures_are_shown_as_a_table() -> None:
    """A person reads what is used, what overshot and how far estimates were off."""
    result = typed(*SMALL)
    assert result.exit_code == 0
    assert "Overshoot of C_eff on entering" in result.stdout
    assert "Use of C_eff after two minutes" in result.stdout


def test_figures_are_printed_as_json() -> None:
    """A program reads the same as one object, and nothing else stands there."""
    result = typed(*SMALL, "--json", "--units", "50", "--seed", "7")
    figures = msgspec.json.decode(result.stdout, type=SimulationFigures)
    assert (figures.seed, figures.visitors, figures.overshoot) == (7, 300, 0)
    assert figures.units_left == 0


def test_those_who_go_home_are_counted() -> None:
    """With little patience some leave the line; the table says how many, the JSON too."""
    some = [*SMALL, "--patience", "30", "--session", "300"]
    assert "Went home uncalled" in typed(*some).stdout
    figures = msgspec.json.decode(typed(*some, "--json").stdout, type=SimulationFigures)
    assert figures.gave_up > 0
    assert figures.gave_up + figures.entered <= 300


def test_scenario_comes_from_a_file_and_options_go_before_it(tmp_path: Path) -> None:
    """What the file says holds, unless an option says otherwise."""
    file = tmp_path / "small.toml"
    file.write_text("seed = 5\nvisitors = 400\n[room]\ncapacity = 30\n", "utf-8")
    result = typed(str(file), "--visitors", "200", "--json")
    figures = msgspec.json.decode(result.stdout, type=SimulationFigures)
    assert (figures.seed, figures.visitors) == (5, 200)


@pytest.mark.parametrize("suffix", ["svg", "html", "png"])
def test_pictures_are_written_without_another_host(tmp_path: Path, suffix: str) -> None:
    """Each format is one whole file, which loads nothing."""
    file = tmp_path / f"room.{suffix}"
    assert typed(*SMALL, "--plot", str(file)).exit_code == 0
    content = file.read_bytes()
    assert content.startswith({"svg": b"<svg", "html": b"<!doctype", "png": b"\x89PNG"}[suffix])
    assert content.replace(b"http://www.w3.org/2000/svg", b"").count(b"://") == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--capacity", "0"], "capacity"),
        (["--show-up", "1.5"], "show_up"),
        (["--plot", "room.pdf"], ".pdf"),
        (["--plot", "/no/such/folder/room.svg"], "no folder"),
        (["missing.toml"], "No such file"),
    ],
)
def test_bad_input_is_refused_in_one_line(arguments: list[str], said: str) -> None:
    """Exit code 2, one line that names what is wrong, and no figures."""
    result = typed(*SMALL, *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert said in result.stderr


@pytest.mark.parametrize(
    "text",
    [
        "visitors = 'many'",
        "colour = 1",
        "visitors = ",
        "[service]\nworse_from_s = 9\nworse_to_s = 8",
        "pauses = [{ from_s = 20.0, to_s = 10.0 }]",
        "pauses = [{ from_s = 10.0, to_s = 30.0 }, { from_s = 20.0, to_s = 40.0 }]",
    ],
)
def test_bad_file_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    """A wrong type, an unknown name, broken TOML, values against each other."""
    file = tmp_path / "bad.toml"
    file.write_text(text, "utf-8")
    result = typed(str(file))
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "bad.toml" in result.stderr


@pytest.mark.parametrize("name", ["opening", "degrading", "pause", "stock", "step"])
def test_scenarios_of_the_guide_are_read(name: str) -> None:
    """The files that the guide names are scenarios."""
    read_scenario(SCENARIOS / f"{name}.toml")


def test_defaults_of_the_guide_are_the_code_s() -> None:
    """The file that the guide shows with every default is the scenario without a file."""
    (shown,) = re.findall(r"```toml\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    assert msgspec.convert(tomllib.loads(shown), SimulationScenario) == SimulationScenario()
