"""A scenario is read whole or refused in one line; the command line finds it by name or path."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from sunseo.rehearsal.command import rehearse
from sunseo.rehearsal.crowd.arrivals import Herd
from sunseo.rehearsal.scenes.scenario import read_scenario, shipped, text_of
from sunseo.rehearsal.scenes.scene import ScenarioError


@pytest.mark.parametrize("name", shipped())
def test_shipped_scenario_is_good(name: str) -> None:
    """Each shipped file is a scenario with a title, and can be copied as it stands."""
    assert read_scenario(name).title
    assert CliRunner().invoke(rehearse, ["show", name]).stdout == text_of(name)
    assert name in CliRunner().invoke(rehearse, ["list"]).stdout


@pytest.mark.parametrize(
    ("line", "instead", "told"),
    [
        ("visitors = 20_000", "visitors = 0", "visitors: Expected `int` >= 1"),
        ("visitors = 20_000", "", "Object missing required field `visitors`"),
        ("visitors = 20_000", "visitors = ", "not TOML"),
        (
            "units = 2_000",
            "unts = 2_000",
            "sale: Object contains unknown field `unts`; there are units, person_limit",
        ),
        ("duration_s = 60.0", 'duration_s = "a minute"', "arrivals.duration_s: Expected `float`"),
        (
            'kind = "herd"',
            'kind = "mob"',
            "arrivals.kind: Invalid value 'mob'; it is one of herd, poisson, ramp, steps, replay",
        ),
        ("herd_share = 0.63", "herd_share = 0.93", "early_share and herd_share"),
        ("person_limit = 4", "person_limit = 3", "sale.person_limit"),
        ("[93, 5, 2]", "[0, 0]", "tab_weights must not all be 0"),
        ("lost_share = 0.02", "lost_share = 2", "people.lost_share: Expected `float` <= 1.0"),
    ],
)
def test_wrong_file_is_refused_in_a_line(
    line: str, instead: str, told: str, tmp_path: Path
) -> None:
    """The line names file and field; nothing is started, and the exit code is that of misuse."""
    mine = tmp_path / "mine.toml"
    text = text_of("concert")
    assert line in text
    mine.write_text(text.replace(line, instead, 1), "utf-8")

    run = CliRunner().invoke(rehearse, [str(mine), "--visitors", "5"])

    assert run.exit_code == 2
    assert run.stderr.count("\n") == 1
    assert f"{mine}: " in run.stderr
    assert told in run.stderr


@pytest.mark.parametrize("command", [["nothing"], ["show", "nothing"], ["/no/such.toml"]])
def test_unknown_scenario_is_refused_in_a_line(command: list[str]) -> None:
    """A name or a path that is not there ends with one line, not with a trace."""
    run = CliRunner().invoke(rehearse, command)

    assert run.exit_code == 2
    assert run.stderr.count("\n") == 1


def test_options_go_before_the_scenario() -> None:
    """What is given replaces the scenario's own; moments of arrival move with the duration."""
    concert = read_scenario("concert")
    changed = concert.changed(visitors=30, units=50, duration_s=30.0, session_s=1.0)

    assert (changed.visitors, changed.units, changed.session_s) == (30, 50, 1.0)
    assert changed.capacity == 10
    assert isinstance(changed.arrivals, Herd)
    assert (changed.arrivals.early_s, changed.arrivals.herd_mean_s) == (5.0, 6.0)
    assert concert.changed(capacity=7).capacity == 7
    assert concert.changed() == concert


def test_change_that_does_not_fit_is_refused() -> None:
    """A herd of no seconds, for instance."""
    with pytest.raises(ScenarioError):
        read_scenario("concert").changed(duration_s=-1.0)
