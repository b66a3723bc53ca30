"""Two rehearsals held against each other."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from sunseo.rehearsal.observe.observer import Sample
from sunseo.rehearsal.observe.processes import ProcessUse
from sunseo.rehearsal.report.compare import (
    Compared,
    CompareError,
    FigureChange,
    compare,
    read_earlier,
    turn_of,
)
from sunseo.rehearsal.verdict.judge import Check
from sunseo.rehearsal.verdict.slo import SloResult


def compared(**given: Any) -> Compared:
    base: dict[str, Any] = {
        "standing": "held",
        "started_at": "2026-08-01T10:00:00+00:00",
        "options": {"scenario": "concert", "visitors": 100, "seed": 1},
        "machine": {"cores": 2, "sunseo": "0.1"},
    }
    return msgspec.convert(base | given, Compared)


def changes_of(earlier: Compared, now: Compared) -> dict[tuple[str, str], FigureChange]:
    return {(one.name, one.of): one for one in compare(earlier, now).changes}


def test_same_settings_are_the_same_rehearsal() -> None:
    """Nothing was asked for otherwise: the figures can be compared, whatever the version."""
    comparison = compare(compared(), compared(machine={"cores": 2, "sunseo": "0.2"}))

    assert comparison.is_same_rehearsal
    assert comparison.settings == []
    assert [one.name for one in comparison.surroundings] == ["sunseo"]


def test_other_settings_are_named() -> None:
    """Each setting that differs is told with both values, those inside others by their path."""
    earlier = compared(options={"visitors": 100, "seed": 1, "arrivals": {"kind": "herd", "s": 60}})
    now = compared(options={"visitors": 200, "seed": 1, "arrivals": {"kind": "ramp", "s": 60}})
    comparison = compare(earlier, now)

    assert not comparison.is_same_rehearsal
    assert [(one.name, one.earlier, one.now) for one in comparison.settings] == [
        ("visitors", "100", "200"),
        ("arrivals.kind", "herd", "ramp"),
    ]


def test_setting_that_only_one_tells_is_a_difference() -> None:
    """What the file of another version does not tell may have been anything."""
    earlier = compared(options={"visitors": 100, "seed": 1})
    now = compared(options={"scenario": {"visitors": 100}, "seed": 1})
    comparison = compare(earlier, now)

    assert not comparison.is_same_rehearsal
    assert [(one.name, one.earlier, one.now) for one in comparison.settings] == [
        ("scenario.visitors", "?", "100"),
        ("visitors", "100", "?"),
    ]


def test_labels_make_no_other_rehearsal() -> None:
    """Another title or another bound is told, and changes nothing in what happened."""
    earlier, now = (
        compared(options={"name": name, "scenario": {"title": name, "slo": [name], "units": 5}})
        for name in ("concert", "ours.toml")
    )
    comparison = compare(earlier, now)

    assert comparison.is_same_rehearsal
    assert [one.name for one in comparison.surroundings] == [
        "name",
        "scenario.title",
        "scenario.slo",
    ]


def test_operation_that_only_one_asked_for_is_left_out() -> None:
    """A latency that the other one has not measured is compared with nothing."""
    earlier = compared(latencies={"join": {"p50": 1, "p99": 2}})
    now = compared(latencies={"join": {"p50": 1, "p99": 2}, "draw": {"p50": 1, "p99": 2}})

    assert ("p99", "join") in changes_of(earlier, now)
    assert ("p99", "draw") not in changes_of(earlier, now)


def test_figures_turn_better_or_worse() -> None:
    """Shorter and fewer is better for waits, more for what was sold; a larger crowd is neither."""
    earlier = compared(
        latencies={"hold": {"p50": 10.0, "p99": 100.0}}, sold=50, retries=100, requests=1_000
    )
    now = compared(
        latencies={"hold": {"p50": 10.4, "p99": 300.0}}, sold=80, retries=20, requests=2_000
    )
    changes = changes_of(earlier, now)

    assert changes["p99", "hold"] == FigureChange("p99", "hold", "ms", 100.0, 300.0, "worse")
    assert changes["p50", "hold"].turn == "same"
    assert changes["sold", ""].turn == "better"
    assert changes["retries", ""].turn == "better"
    assert changes["requests", ""].turn == "other"


def test_never_sold_out_is_worse_than_late() -> None:
    """What did not come about is worse than any time; where it never did, nothing is told."""
    late, never = compared(sold_out_s=500.0), compared(sold_out_s=None)

    assert changes_of(late, never)["sold_out", ""].turn == "worse"
    assert changes_of(never, late)["sold_out", ""].turn == "better"
    assert ("sold_out", "") not in changes_of(never, never)


def test_one_fault_more_is_worse() -> None:
    """Faults are counted, not measured; a check that one run could not make is not compared."""
    before = [Check("one-owner", "broken", 9, 8), Check("errors", "not_checked", 0)]
    after = [Check("one-owner", "broken", 9, 9), Check("errors", "broken", 9, 3)]
    changes = changes_of(
        compared(checks=msgspec.to_builtins(before)), compared(checks=msgspec.to_builtins(after))
    )

    assert changes["faults", "one-owner"].turn == "worse"
    assert ("faults", "errors") not in changes


def test_objectives_that_broke_are_told() -> None:
    """An objective that both runs had is worse where only the later one broke it."""
    held, broke = ([SloResult("p99(hold) <= 1 s", how, "x")] for how in ("held", "broken"))
    earlier, now = (compared(slos=msgspec.to_builtins(slos)) for slos in (held, broke))

    assert changes_of(earlier, now)["slo", "p99(hold) <= 1 s"].turn == "worse"
    assert changes_of(now, earlier)["slo", "p99(hold) <= 1 s"].turn == "better"
    assert ("slo", "p99(hold) <= 1 s") not in changes_of(earlier, earlier)


def test_use_of_the_machine_is_summed() -> None:
    """Processor seconds are cores times time; memory and connections are the most there was."""

    def sample(at_s: float, cores: float, memory: float, connections: int) -> Sample:
        return Sample(
            at_s=at_s,
            issued=0,
            serving=0,
            live=0,
            capacity=1,
            held=0,
            sold=0,
            connections=connections,
            uses={"server": ProcessUse(cores, memory)},
        )

    samples = [sample(0, 9.0, 100, 4), sample(2, 0.5, 300, 6), sample(3, 1.0, 200, 5)]
    one = compared(samples=msgspec.to_builtins(samples))
    changes = changes_of(one, one)

    assert changes["cpu", "server"].now == 2.0
    assert changes["memory", "server"].now == 300.0
    assert changes["connections", ""].now == 6.0
    assert ("cpu", "database") not in changes


@pytest.mark.parametrize(
    ("earlier", "now", "turn"),
    [
        (100.0, 114.0, "same"),
        (100.0, 116.0, "worse"),
        (100.0, 84.0, "better"),
        (1.0, 5.9, "same"),  # milliseconds that nobody notices
        (0.0, 6.0, "worse"),
    ],
)
def test_noise_is_no_change(earlier: float, now: float, turn: str) -> None:
    """A difference below the noise of a rehearsal, or below what matters, is none."""
    assert turn_of(earlier, now, "ms", "low") == turn


@pytest.mark.parametrize("content", [b"{}", b"[1]", b"no json", b"\xff\xfe"])
def test_other_files_are_refused_with_a_line(tmp_path: Path, content: bytes) -> None:
    """What is not the JSON of a rehearsal is named, and said to be none."""
    file = tmp_path / "earlier.json"
    file.write_bytes(content)

    with pytest.raises(CompareError, match=r"earlier\.json is not what --json") as refused:
        read_earlier(file)
    assert "\n" not in str(refused.value)


def test_missing_file_is_refused_with_a_line(tmp_path: Path) -> None:
    """A file that is not there is named."""
    with pytest.raises(CompareError, match=r"gone\.json: No such file"):
        read_earlier(tmp_path / "gone.json")
