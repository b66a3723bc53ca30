"""What a report says in words: why the verdict is what it is, what was slow, what has changed."""

from typing import Any

from sunseo.rehearsal.observe.readings import connections_max
from sunseo.rehearsal.report.compare import NOISE, Comparison, FigureChange
from sunseo.rehearsal.report.result import Result
from sunseo.rehearsal.report.slowest import SlowMoment
from sunseo.rehearsal.report.speech import Say

GROUPS = ("server", "database", "crowd", "others")


def why(result: Result, say: Say) -> str:
    made = [check for check in result.checks if check.standing != "not_checked"]
    return say(
        "why",
        made=f"{len(made)}",
        things=f"{sum(check.looked_at for check in made):,}",
        faults=f"{sum(check.faults for check in made):,}",
        missing=f"{len(result.checks) - len(made)}",
    )


def tiles(result: Result, say: Say) -> list[tuple[str, str]]:
    """The figures that one asks for first."""
    scenario = result.options.scenario
    asked = (*scenario.scene.tiles, *scenario.entrance.tiles)
    shown = [(name, _tile(result, name, say)) for name in asked]
    shown.append(("busiest", f"{result.requests_per_s_busiest:,}"))
    shown += [
        (operation, _value(say, latency.p99, "ms"))
        for operation in ("hold", "page")
        if (latency := result.latencies.get(operation)) is not None
    ]
    if (connections := connections_max(result.samples)) is not None:
        shown.append(("connections", f"{connections:,}"))
    return [(say(f"tile.{name}"), value) for name, value in shown]


def _tile(result: Result, name: str, say: Say) -> str:
    """One of those that a scene asks for, or a count of its funnel."""
    match name:
        case "orders":
            return f"{result.orders:,}"
        case "sold_out":
            return _value(say, result.sold_out_s, "s", missing="never")
        case "line":
            return f"{max((s.issued - s.serving for s in result.samples), default=0):,}"
        case _:
            return f"{result.funnel[name]:,}"


# The slowest moments


def slow_moments(result: Result, say: Say) -> list[dict[str, Any]]:
    return [
        {
            "when": say(
                "slowest.when",
                from_s=f"{moment.from_s}",
                to_s=f"{moment.to_s}",
                operation=say(f"operation.{moment.operation}"),
                p99=f"{moment.p99:,.0f}",
            ),
            "causes": _causes(moment, result.machine.cores, say),
        }
        for moment in result.slowest
    ]


def _causes(moment: SlowMoment, cores: int, say: Say) -> list[str]:
    seen = moment.figures
    figures = {
        "busy": f"{seen.get('cores', 0):.2f}",
        "cores": str(cores),
        **{group: f"{seen.get(group, 0):.2f}" for group in GROUPS},
        "flush": f"{seen.get('flush_ms', 0):,.0f}",
        "wait": f"{seen.get('lane_wait_ms', 0):,.0f}",
        "shed": f"{seen.get('shed', 0):.0%}",
    }
    told = [say(f"cause.{cause}", **figures) for cause in moment.causes]
    first, *others = told
    return [say("slowest.probably", cause=first), *(say("slowest.also", cause=c) for c in others)]


# The comparison with an earlier rehearsal


def compared(result: Result, say: Say) -> dict[str, Any] | None:
    comparison = result.comparison
    if comparison is None:
        return None
    same = "same" if comparison.is_same_rehearsal else "other"
    sentences = [
        say(f"comparison.{same}", started=comparison.earlier_started_at),
        say(
            "comparison.standing",
            earlier=say(f"verdict.{comparison.earlier_standing}"),
            now=say(f"verdict.{result.standing}"),
        ),
        say(
            "comparison.sum",
            **{turn: str(comparison.count(turn)) for turn in ("better", "worse", "same")},
            noise=f"{NOISE:.0%}",
        ),
    ]
    if comparison.surroundings:
        sentences.append(say("comparison.surroundings"))
    return {
        "sentences": sentences,
        "differences": [*comparison.settings, *comparison.surroundings],
        "changed": [change_row(one, say) for one in changed(comparison)],
        "same": [change_row(one, say) for one in comparison.changes if one.turn == "same"],
    }


def changed(comparison: Comparison) -> list[FigureChange]:
    """What is not the same, the bad news first."""
    order = ("worse", "better", "other")
    return [one for turn in order for one in comparison.changes if one.turn == turn]


def change_row(change: FigureChange, say: Say) -> dict[str, str]:
    never = "never" if change.unit == "s" else "none"
    return {
        "name": _figure_name(change, say),
        "earlier": _value(say, change.earlier, change.unit, missing=never),
        "now": _value(say, change.now, change.unit, missing=never),
        "turn": change.turn,
        "verdict": " ".join(filter(None, (_percent(change), say(f"turn.{change.turn}")))),
    }


def _figure_name(change: FigureChange, say: Say) -> str:
    stems = {"faults": "check", "p50": "operation", "p99": "operation"}
    of = change.of
    if of and change.name != "slo":  # those are in everybody's language
        of = say(f"{stems.get(change.name, 'curve')}.{of}")
    return say(f"figure.{change.name}", of=of)


def _percent(change: FigureChange) -> str:
    if not change.earlier or change.now is None or change.turn == "same":
        return ""
    return f"{(change.now - change.earlier) / change.earlier:+.0%}"


def _value(say: Say, value: float | None, unit: str, *, missing: str = "none") -> str:
    if value is None:
        return say(f"value.{missing}")
    if unit == "tau":
        return f"{value:.3f}"
    digits = 1 if unit and value < 10 and value != round(value) else 0
    return f"{value:,.{digits}f} {unit}".rstrip()
