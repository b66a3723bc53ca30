"""Comparing two revisions: what is refused at once, and what runs come to."""

from typing import Any

import pytest

from bench.compare import __main__ as compare
from bench.compare.ratios import Row, rows


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--base", "no-such-revision"], "no such revision here: no-such-revision"),
        (["--base", "--only=seats_64"], "argument --base: expected one argument"),
        ([], "BASE names the revision"),
        (["--base", "HEAD", "--only", "seats_64,seats_65"], "no such workload: seats_65; there"),
        (["--base", "HEAD", "--room", "poll"], "no such part of the room's benchmark: poll; there"),
        (["--base", "HEAD", "--runs", "0"], "argument --runs: '0' is no whole number from 1 on"),
        (["--base", "HEAD", "--runs", "2.5"], "argument --runs: '2.5' is no whole number"),
        (["--base", "HEAD", "--seconds", "nan"], "argument --seconds: 'nan' is no number from 1"),
        (["--base", "HEAD", "--times", "3"], "unrecognized arguments: --times 3"),
    ],
)
def test_what_there_is_not_is_refused_in_one_line(
    arguments: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A wrong word ends with exit code 2 and one line that names it, before anything is built."""

    def nothing(*_: Any) -> None:
        raise AssertionError("something was built")

    monkeypatch.setattr(compare, "build", nothing)

    assert compare.main(arguments) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert said in err or err.startswith("git")  # which an archive of the sources has not


def test_workloads_are_chosen_by_name() -> None:
    """Named ones alone, each once; all of them when nothing is named, and none beside a room."""

    def names(*arguments: str) -> list[str]:
        return [workload.name for workload in compare.options(arguments).only]

    assert names("--only", "seats_512, seats_1,seats_1") == ["seats_512", "seats_1"]
    assert "hot_stock_512" in names()
    assert names("--room", "polls,visits") == []
    assert compare.options(["--room", "polls,visits"]).room == ["polls", "visits"]


def test_ratio_is_of_medians_and_its_range_of_neighbours() -> None:
    """The ratio divides medians; the range has the least and largest ratio of two neighbours."""
    row = Row("seats_64", "rate", "holds/s", (100.0, 300.0, 200.0), (300.0, 300.0, 500.0))

    assert (row.base, row.here, row.ratio) == (200.0, 300.0, 1.5)
    assert row.range == (1.0, 3.0)
    assert row.told()["range"] == [1.0, 3.0]


def test_nothing_is_divided_by_nought() -> None:
    """Where the base did nothing there is no ratio, and a run in which it did nothing has none."""
    assert Row("w", "f", "u", (0.0,), (3.0,)).ratio is None
    assert Row("w", "f", "u", (0.0,), (3.0,)).range is None
    assert Row("w", "f", "u", (0.0, 2.0), (3.0, 3.0)).range == (1.5, 1.5)


def test_figure_that_one_side_has_not_is_left_out() -> None:
    """Only what both sides told in every run is compared."""
    base = [{("rate", "/s"): 1.0, ("batch", ""): 2.0}, {("rate", "/s"): 3.0}]
    here = [{("rate", "/s"): 2.0, ("batch", ""): 2.0}, {("rate", "/s"): 2.0, ("batch", ""): 2.0}]

    assert rows("w", base, here) == [Row("w", "rate", "/s", (1.0, 3.0), (2.0, 2.0))]


def test_cost_of_a_request_is_cores_by_rate() -> None:
    """Half a core at 5,000 requests a second is 100 µs each; a time costs nothing."""
    told = {"server_cores": 0.5, "store_cores": 0.25, "batch": 7}
    joins = {"name": "joins", "unit": "/s", "value": 5_000.0, "details": told}

    assert compare.costs(joins) == {
        ("joins: server's CPU a request", "µs"): 100.0,
        ("joins: PostgreSQL's CPU a request", "µs"): 50.0,
    }
    assert compare.costs(joins | {"unit": "ms"}) == {}
