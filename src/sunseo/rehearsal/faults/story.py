"""From incidents to what a report says of them, in one language: the same for every format."""

from collections.abc import Mapping
from typing import NamedTuple

from sunseo.core.languages import Language
from sunseo.rehearsal.faults.incident import Incident
from sunseo.rehearsal.faults.texts import CATALOGUES
from sunseo.rehearsal.report.chart import Curve, draw
from sunseo.rehearsal.report.result import Result
from sunseo.rehearsal.report.speech import Say, speech_in
from sunseo.rehearsal.report.texts import CATALOGUES as REPORT_CATALOGUES

Row = tuple[str, str]

BARS = "▁▂▃▄▅▆▇█"
LASTING_S = 0.05  # what is done at once takes some milliseconds
NUMBERS_MAX = 12


class Picture(NamedTuple):
    """Curves as SVG, and the most telling one as a line of text."""

    title: str
    legend: list[tuple[str, int]]
    svg: str
    bars: str
    most: str


class Chapter(NamedTuple):
    """One incident. Without a timeline it was not done, and `cause` says why."""

    title: str
    timeline: list[Row]
    impact: list[Row]
    cause: list[str]
    recovery: list[str]
    held: list[str]
    pictures: list[Picture]


class Story(NamedTuple):
    language: Language
    say: Say
    lead: list[str]
    columns: list[str]
    overview: list[list[str]]
    chapters: list[Chapter]
    verdict: str
    checks: list[tuple[str, str, str]]  # how it stands, what it is, how many


def tell_story(result: Result, language: Language) -> Story:
    say = speech_in(CATALOGUES[language])
    incidents = result.incidents
    report = REPORT_CATALOGUES[language]
    return Story(
        language=language,
        say=say,
        lead=[
            say(
                "lead",
                scenario=result.options.name,
                visitors=f"{result.options.scenario.visitors:,}",
                seed=result.options.seed,
                started=result.started_at,
                count=len(incidents),
                done=sum(incident.has_happened for incident in incidents),
            ),
            say("zero"),
        ],
        columns=[say(name) for name in ("fault", "at", "noticed", "served", "hurt", "lost")],
        overview=[_overview(incident, say) for incident in incidents],
        chapters=[_chapter(incident, say, report) for incident in incidents],
        verdict=report[f"verdict.{result.standing}"],
        checks=[
            (check.standing, report[f"check.{check.name}"], f"{check.faults or check.looked_at:,}")
            for check in result.checks
        ],
    )


def _overview(incident: Incident, say: Say) -> list[str]:
    title = say(f"fault.{incident.kind}")
    if not incident.has_happened:
        return [title, say("moment", seconds=f"{incident.planned_s:g}"), *["-"] * 4]
    lost = say("not_checked") if incident.lost is None else f"{incident.lost:,}"
    return [
        title,
        _moment(incident, 0.0, say),
        _span(incident.noticed_s, say, "nobody"),
        _span(incident.served_s, say, "not_seen"),
        f"{incident.hurt:,}",
        lost,
    ]


def _chapter(incident: Incident, say: Say, report: Mapping[str, str]) -> Chapter:
    title = say(f"fault.{incident.kind}")
    if not incident.has_happened:
        when = say("moment", seconds=f"{incident.planned_s:g}")
        why = incident.trouble or say("gone_by_then")
        return Chapter(f"{when}  {title}", [], [], [say("not_done", why=why)], [], [], [])
    when = _moment(incident, 0.0, say)
    if incident.lasted_s:
        when += f" (+{say('seconds', seconds=f'{incident.lasted_s:.1f}')})"
    return Chapter(
        title=f"{when}  {title}",
        timeline=_timeline(incident, say),
        impact=_impact(incident, say, report),
        cause=_cause(incident, say),
        recovery=_recovery(incident, say),
        held=_held(incident, say),
        pictures=_pictures(incident, say),
    )


def _timeline(incident: Incident, say: Say) -> list[Row]:
    lines = [(0.0, say(f"fault.{incident.kind}"))]
    if incident.lasted_s >= LASTING_S:
        lines.append((incident.lasted_s, say("line.over")))
    for who, at_s in incident.noticed.items():
        if who == "metrics":
            lines.append((at_s, say("line.metrics", metric=say(f"metric.{incident.metric}"))))
        elif who != "log":  # its own lines are below
            lines.append((at_s, say(f"line.{who}")))
    for logged in incident.log_events:
        line = say("line.log", event=logged.event, about=logged.about).rstrip()
        times = f" {say('line.times', times=f'{logged.times:,}')}" if logged.times > 1 else ""
        lines.append((logged.at_s, line + times))
    for name in ("ready", "served", "level", "settled"):
        at_s = getattr(incident, f"{name}_s")
        if at_s is not None and incident.noticed:
            lines.append((at_s, say(f"line.{name}")))
    if incident.served_s is None:
        lines.append((incident.watched_s, say("line.cut_short")))
    return [
        (_moment(incident, at_s, say), line)
        for at_s, line in sorted(lines, key=lambda line: line[0])
    ]


def _impact(incident: Incident, say: Say, report: Mapping[str, str]) -> list[Row]:
    kinds = [f"{say(f'kind.{kind}')} {count:,}" for kind, count in incident.kinds.items()]
    wanted = [f"{report[f'operation.{name}']} {n:,}" for name, n in incident.hurt_at.items()]
    rows = [("hurt", f"{incident.hurt:,}")]
    if incident.hurt:
        waited = (incident.waited_p50_s, incident.waited_longest_s)
        rows += [
            ("kinds", ", ".join(kinds)),
            ("at", ", ".join(wanted)),
            ("waited", "; ".join(say("seconds", seconds=f"{one:.1f}") for one in waited)),
            ("unanswered", f"{incident.unanswered:,}"),
        ]
    rows.append(("slow", f"{incident.slow:,}"))
    before, worst = incident.before, incident.worst
    if before is not None and worst is not None:
        rows += [
            ("good", f"{before.good_per_s:,.0f}; {worst.good_per_s:,.0f}"),
            ("p99", f"{before.p99_ms:,.0f}; {worst.p99_ms:,.0f}"),
            ("fewer", f"{incident.fewer:,}"),
        ]
    return [(say(f"impact.{name}"), figure) for name, figure in rows]


def _cause(incident: Incident, say: Say) -> list[str]:
    told = [say(f"cause.{incident.kind}", delay=f"{incident.delay_s * 1000:g}")]
    if incident.processes:
        shown = ", ".join(map(str, incident.processes[:NUMBERS_MAX]))
        more = " …" if len(incident.processes) > NUMBERS_MAX else ""
        told.append(say("cause.processes", count=len(incident.processes), numbers=shown + more))
    if incident.connections:
        told.append(say("cause.connections", count=f"{incident.connections:,}"))
    return told


def _recovery(incident: Incident, say: Say) -> list[str]:
    if incident.served_s is None:
        return [say("recovery.none", watched=f"{incident.watched_s:.1f}")]
    over_s = max(0.0, incident.served_s - incident.lasted_s)
    told = [say("recovery.served", after=f"{incident.served_s:.1f}", over=f"{over_s:.1f}")]
    if incident.level_s is not None:
        told.append(say("recovery.level", after=f"{incident.level_s:.1f}"))
    elif incident.before is not None:
        told.append(say("recovery.no_level", watched=f"{incident.watched_s:.1f}"))
    if incident.settled_s is not None:
        told.append(say("recovery.settled", after=f"{incident.settled_s:.1f}"))
    return told


def _held(incident: Incident, say: Say) -> list[str]:
    key = "held.unknown" if incident.lost is None else "held.kept"
    return [say(key, acknowledged=f"{incident.acknowledged:,}", lost=incident.lost)]


def _pictures(incident: Incident, say: Say) -> list[Picture]:
    good = [(point.at_s, point.good) for point in incident.picture]
    troubled = [(point.at_s, point.troubled) for point in incident.picture]
    p50 = [(moment.at_s, moment.p50_ms) for moment in incident.slowness]
    p99 = [(moment.at_s, moment.p99_ms) for moment in incident.slowness]
    return [
        _picture(
            incident,
            say("picture.answers"),
            [Curve(say("curve.good"), 1, good), Curve(say("curve.troubled"), 3, troubled)],
        ),
        _picture(incident, say("picture.latency"), [Curve("p99", 4, p99), Curve("p50", 2, p50)]),
    ]


def _picture(incident: Incident, title: str, curves: list[Curve]) -> Picture:
    points = [point for curve in curves for point in curve.points]
    most = max((y for _, y in points), default=0.0)
    span = (min((x for x, _ in points), default=0.0), max((x for x, _ in points), default=1.0))
    ends_s = incident.lasted_s
    end = [Curve("", 0, [(ends_s, 0.0), (ends_s, most)])] if ends_s >= LASTING_S else []
    first = [y for _, y in curves[0].points]
    return Picture(
        title=title,
        legend=[(curve.name, curve.tone) for curve in curves],
        svg=draw(title, [*curves, *end], span),
        bars="".join(BARS[min(7, int(8 * y / (max(first) or 1.0)))] for y in first),
        most=f"{max(first, default=0.0):,.0f}",
    )


def _moment(incident: Incident, after_s: float, say: Say) -> str:
    return say("moment", seconds=f"{(incident.began_s or 0.0) + after_s:.1f}")


def _span(after_s: float | None, say: Say, otherwise: str) -> str:
    return say(otherwise) if after_s is None else say("seconds", seconds=f"{after_s:.1f}")
