"""Recorded arrivals: CSV files and access logs become moments from T0, and crowds of any size."""

from pathlib import Path

import pytest

from sunseo.rehearsal.arrivals import Replay, arrival_times
from sunseo.rehearsal.recorded import RecordError, moments_of
from sunseo.rehearsal.scenario import ScenarioError, read_scenario, text_of

LOG = """\
203.0.113.7 - - [22/Nov/2026:09:00:00 +0900] "GET / HTTP/1.1" 200 12
203.0.113.8 - frank [22/Nov/2026:08:59:58 +0900] "GET /buy HTTP/1.1" 200 12 "-" "Mozilla"
203.0.113.7 - - [22/Nov/2026:09:00:01 +0900] "GET /style.css HTTP/1.1" 200 12
2001:db8::1 - - [22/Nov/2026:00:00:03 +0000] "GET / HTTP/1.1" 200 12
"""


@pytest.mark.parametrize(
    ("text", "moments"),
    [
        ("at\n1800000000.5\n1800000000\n", [1_800_000_000.0, 1_800_000_000.5]),
        ("1800000000250,GET\n1800000001000,PUT\n", [1_800_000_000.25, 1_800_000_001.0]),
        ("2027-01-15T08:00:00Z\n2027-01-15 08:00:01\n", [1_800_000_000.0, 1_800_000_001.0]),
        ('"2027-01-15T17:00:00+09:00",x\n', [1_800_000_000.0]),
        ("0\n2.5\n", [0.0, 2.5]),
    ],
)
def test_moments_of_a_csv(text: str, moments: list[float]) -> None:
    """Seconds, milliseconds and ISO 8601 are told apart; a header and other columns are ignored."""
    assert moments_of(text) == moments


def test_visitors_of_an_access_log() -> None:
    """Each client address comes once, with its first request, whatever the zones of its lines."""
    moments = moments_of(LOG)

    assert [moment - moments[0] for moment in moments] == [0.0, 2.0, 5.0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty"),
        ("at\n", "no moment in it"),
        ("1800000000\nyesterday\n", "line 2: 'yesterday' is no moment"),
        ('203.0.113.7 - - [42/Nov/2026:09:00:00 +0900] "GET /"', "no moment of an access log"),
    ],
)
def test_what_is_no_record_is_refused(text: str, told: str) -> None:
    """The sentence says which line is wrong."""
    with pytest.raises(RecordError, match=told):
        moments_of(text)


def test_replay_brings_everybody_back() -> None:
    """As many as were recorded come at just their moments; before T0 where they came before."""
    replay = Replay(opens_at="2026-11-22T09:00:00+09:00").read(LOG)

    assert replay.moments_s == (-2.0, 0.0, 3.0)
    assert replay.early_from_s == 2.0
    assert [int(at // 1) for at in arrival_times(replay, 3, 1)] == [-2, 0, 3]


def test_replay_of_another_size_keeps_its_shape() -> None:
    """A part of them is drawn; of many more, each recorded moment is used about as often."""
    replay = Replay(moments_s=(0.0, 1.0, 5.0, 5.0))

    assert set(arrival_times(replay, 2, 1)) <= {0.0, 1.0, 5.0}
    many = arrival_times(replay, 401, 1)
    assert len(many) == 401
    assert 200 <= many.count(5.0) <= 201
    assert arrival_times(replay, 401, 1) == many
    assert replay.stretched(120.0).moments_s == (0.0, 2.0, 10.0, 10.0)


def of_file(folder: Path, recorded: str) -> Path:
    """A concert whose crowd is that of a file beside it."""
    (folder / "opening.log").write_text(recorded, "utf-8")
    head, _, tail = text_of("concert").partition("[arrivals]")
    arrivals = '[arrivals]\nkind = "replay"\nfile = "opening.log"\n\n[sale]'
    mine = folder / "mine.toml"
    mine.write_text(head + arrivals + tail.partition("[sale]")[2], "utf-8")
    return mine


def test_scenario_finds_its_record_beside_it(tmp_path: Path) -> None:
    """The path is seen from the scenario's own file, and the duration is what was recorded."""
    scenario = read_scenario(str(of_file(tmp_path, LOG)))

    assert isinstance(scenario.arrivals, Replay)
    assert scenario.arrivals.moments_s == (0.0, 2.0, 5.0)
    assert scenario.duration_s == 6.0
    assert scenario.changed(duration_s=12.0).duration_s == 12.0


def test_record_that_cannot_be_read_is_told_in_a_line(tmp_path: Path) -> None:
    """A wrong or missing file is named, with the field that names it."""
    wrong = of_file(tmp_path, "yesterday\ntoday\n")
    with pytest.raises(ScenarioError, match=r"arrivals\.file: opening\.log: line 2"):
        read_scenario(str(wrong))

    (tmp_path / "opening.log").unlink()
    with pytest.raises(ScenarioError, match=r"arrivals\.file: opening\.log: No such file"):
        read_scenario(str(wrong))
