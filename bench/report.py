"""From runs to figures: medians, ratios, one JSON file, one table."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.contenders import OURS
from bench.measure import Run
from bench.workloads import Workload

Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Limits:
    """What could be had at most, in a workload's unit."""

    server: float | None = None
    batch: float | None = None
    batch_size: int | None = None


def results(
    workload: Workload,
    runs: Sequence[Run],
    limits: Limits,
    settings: Mapping[str, Any],
) -> list[Result]:
    """Compare ours with each peer under one workload, by medians."""
    ours = [run for run in runs if run.contender == OURS]
    names = list(dict.fromkeys(run.contender for run in runs if run.contender != OURS))
    return [
        result(workload, ours, [run for run in runs if run.contender == name], limits, settings)
        for name in names or [""]
    ]


def result(
    workload: Workload,
    ours: Sequence[Run],
    peer: Sequence[Run],
    limits: Limits,
    settings: Mapping[str, Any],
) -> Result:
    our_rate, peer_rate = median_rate(ours), median_rate(peer)
    peer_name = peer[0].contender if peer else None
    return {
        "name": f"{workload.name} against {peer_name}" if peer_name else workload.name,
        "workload": workload.name,
        "peer_name": peer_name,
        "title": workload.title,
        "unit": workload.unit,
        "ours": our_rate,
        "peer": peer_rate,
        "ratio": share(our_rate, peer_rate),
        "ours_p50_ms": median_of(ours, "p50_ms"),
        "peer_p50_ms": median_of(peer, "p50_ms"),
        "ours_p99_ms": median_of(ours, "p99_ms"),
        "peer_p99_ms": median_of(peer, "p99_ms"),
        "share_of_server_limit": share(our_rate, limits.server),
        "share_of_batch_limit": share(our_rate, limits.batch),
        "server_limit": rounded(limits.server),
        "batch_limit": rounded(limits.batch),
        "batch_limit_batch_size": limits.batch_size,
        "ours_batch_mean": rounded(median([r.batch for r in ours if r.batch] or [0])) or None,
        "runs": max(len(ours), len(peer)),
        "ours_each": [round(run.rate, 1) for run in ours],
        "peer_each": [round(run.rate, 1) for run in peer],
        "ours_cores": mean_cores(ours),
        "peer_cores": mean_cores(peer),
        "ours_refused_share": refused_share(ours),
        "peer_refused_share": refused_share(peer),
        "ours_faults": faults_of(ours),
        "peer_faults": faults_of(peer),
        "settings": {
            **settings,
            "connections": workload.connections,
            "workers": workload.workers,
        },
    }


def median_rate(runs: Sequence[Run]) -> float | None:
    return rounded(median(run.rate for run in runs)) if runs else None


def median_of(runs: Sequence[Run], name: str) -> float | None:
    return round(median(getattr(run.load, name) for run in runs), 2) if runs else None


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def share(part: float | None, whole: float | None) -> float | None:
    return round(part / whole, 3) if part is not None and whole else None


def refused_share(runs: Sequence[Run]) -> float | None:
    requests = sum(run.load.requests for run in runs)
    return share(sum(run.load.refused for run in runs), requests)


def mean_cores(runs: Sequence[Run]) -> dict[str, float]:
    names = runs[0].cores if runs else {}
    return {name: round(sum(r.cores[name] for r in runs) / len(runs), 2) for name in names}


def faults_of(runs: Sequence[Run]) -> list[str]:
    return [f"run {number}: {fault}" for number, r in enumerate(runs, 1) for fault in r.faults]


def write(path: Path, found: Sequence[Result]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(list(found), indent=2) + "\n")


def show(console: Console, found: Sequence[Result]) -> None:
    """Print the comparison as a table, and below it whatever an audit found wrong."""
    table = Table(title="Sunseo and its peers, medians", title_justify="left")
    table.add_column("workload")
    table.add_column("peer")
    for column in (
        "unit", "ours", "peer", "ratio", "ours p99 ms", "peer p99 ms",
        "of server limit", "of batch limit", "runs",
    ):  # fmt: skip
        table.add_column(column, justify="right")
    for row in found:
        if "workload" in row:
            table.add_row(*cells(row))
    console.print(table)
    for row in found:
        for who in ("ours", "peer"):
            for fault in row.get(f"{who}_faults", []):
                console.print(f"[yellow]{row['name']}, {who}, {fault}")


def cells(row: Result) -> list[str]:
    return [
        row["workload"],
        row["peer_name"] or "-",
        row["unit"],
        number(row["ours"]),
        number(row["peer"]),
        "-" if row["ratio"] is None else f"{row['ratio']:.1f} x",
        number(row["ours_p99_ms"], 1),
        number(row["peer_p99_ms"], 1),
        percent(row["share_of_server_limit"]),
        percent(row["share_of_batch_limit"]),
        str(row["runs"]),
    ]


def number(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
