"""From an outcome to a page: what a person can read in a minute, and figures for who wants more."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from sunseo.rehearsal.outcome import Moment, Outcome
from sunseo.rehearsal.report.chart import Curve, draw, rates
from sunseo.rehearsal.report.texts import CATALOGUES, Language

Points = list[tuple[float, float]]

_ENVIRONMENT = Environment(
    loader=PackageLoader("sunseo.rehearsal.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def write_report(path: Path, outcome: Outcome) -> None:
    path.write_text(render_report(outcome), "utf-8")


def render_report(outcome: Outcome) -> str:
    """The page; each language is there whole, and a switch without a script shows one."""
    template = _ENVIRONMENT.get_template("report.html")
    return template.render(
        outcome=outcome, parts=[_part(outcome, language) for language in CATALOGUES]
    )


def _part(outcome: Outcome, language: Language) -> dict[str, Any]:
    texts = CATALOGUES[language]

    def say(key: str, **given: object) -> str:
        return texts[key].format(**given)

    return {
        "language": language,
        "say": say,
        "lead": _lead(outcome, say),
        "faults": [
            say("lead.fault", check=texts[f"check.{check.name}"], faults=f"{check.faults:,}")
            for check in outcome.checks
            if check.faults
        ],
        "fairness": _fairness(outcome, say),
        "charts": _charts(outcome, texts.__getitem__),
        "funnel": _bars(outcome.funnel, lambda name: texts[f"funnel.{name}"]),
        "gone": _bars(outcome.gone, lambda name: texts.get(f"gone.{name}", name)),
        "settings": _settings(outcome, say),
    }


def _lead(outcome: Outcome, say: Callable[..., str]) -> list[str]:
    sold_out = (
        ""
        if outcome.sold_out_s is None
        else say("lead.sold_out", seconds=f"{outcome.sold_out_s:,.0f}")
    )
    return [
        say(
            "lead",
            visitors=f"{outcome.funnel['came']:,}",
            seats=f"{outcome.options.scenario.units:,}",
            orders=f"{outcome.orders:,}",
            sold=f"{outcome.sold:,}",
            sold_out=sold_out,
        ),
        say(
            "lead.requests",
            requests=f"{outcome.requests:,}",
            busiest=f"{outcome.requests_per_s_busiest:,}",
            retries=f"{outcome.retries:,}",
        ),
    ]


def _fairness(outcome: Outcome, say: Callable[..., str]) -> str:
    fairness = outcome.fairness
    if fairness is None or not fairness.pairs:
        return ""
    return say(
        "fairness.text",
        pairs=f"{fairness.pairs:,}",
        inversions=f"{fairness.inversions:,}",
        share=f"{fairness.inversions / fairness.pairs:.1%}",
        tau=f"{fairness.tau:.3f}",
    )


def _settings(outcome: Outcome, say: Callable[..., str]) -> list[tuple[str, str]]:
    options, machine, driving = outcome.options, outcome.machine, outcome.driving
    own = "settings.machine.text" if options.target is None else "settings.machine.target"
    rows = [
        (say("settings.started"), outcome.started_at),
        (
            say("settings.machine"),
            say(
                own,
                cores=machine.cores,
                memory=machine.memory_gb,
                system=machine.system,
                python=machine.python,
                version=machine.sunseo,
            ),
        ),
        (say("settings.capacity"), f"{options.scenario.capacity:,}"),
        (say("settings.session"), f"{options.scenario.session_s:g} s"),
        (say("settings.duration"), f"{options.scenario.duration_s:g} s"),
        (say("settings.seed"), str(options.seed)),
        (
            say("settings.driver"),
            say(
                "settings.driver.text",
                cpu=f"{driving.cpu_s:,.0f}",
                memory=f"{driving.memory_mb:,.0f}",
                p50=f"{driving.late_p50_ms:,.1f}",
                p99=f"{driving.late_p99_ms:,.1f}",
            ),
        ),
        (say("settings.missed"), f"{outcome.samples_missed:,}"),
    ]
    if options.target is None:
        rows.insert(6, (say("settings.workers"), str(options.workers)))
    return rows


def _bars(counts: dict[str, int], name_of: Callable[[str], str]) -> list[tuple[str, int, float]]:
    """Names, counts, and how long their bars are, in percent of the longest."""
    longest = max(counts.values(), default=0) or 1
    return [(name_of(key), count, 100 * count / longest) for key, count in counts.items()]


def _charts(outcome: Outcome, text: Callable[[str], str]) -> list[dict[str, Any]]:
    moments, samples = outcome.moments, outcome.samples

    def seen(name: str) -> Points:
        return [(sample.at_s, float(getattr(sample, name) or 0)) for sample in samples]

    def counted(name: str) -> Points:
        return rates([(s.at_s, s.metrics[name]) for s in samples if name in s.metrics])

    def waited(name: str) -> Points:
        return [(moment.at_s + 0.5, moment.p99) for moment in moments.get(name, [])]

    def used(name: str) -> Points:
        return [(s.at_s, s.uses[name].cores) for s in samples[1:] if name in s.uses]

    drawn: list[tuple[str, list[tuple[str, int, Points]]]] = [
        ("arrivals", [("arrivals", 1, _arrivals(outcome))]),
        ("line", [("issued", 2, seen("issued")), ("serving", 1, seen("serving"))]),
        ("occupancy", [("capacity", 0, seen("capacity")), ("live", 1, seen("live"))]),
        ("stock", [("sold", 1, seen("sold")), ("held", 3, seen("held"))]),
        ("requests", [("requests", 1, _requests(outcome)), ("polls", 2, counted("polls"))]),
        (
            "latency",
            [
                ("join", 1, waited("join")),
                ("state", 2, waited("state")),
                ("enter", 3, waited("enter")),
                ("hold", 4, waited("hold")),
                ("order", 5, waited("order")),
            ],
        ),
        (
            "cores",
            [
                ("server", 1, used("server")),
                ("database", 3, used("database")),
                ("crowd", 2, used("crowd")),
            ],
        ),
        ("connections", [("connections", 1, seen("connections"))]),
    ]
    span = _span(outcome)
    return [
        {
            "title": text(f"chart.{name}"),
            "legend": [(text(f"curve.{curve}"), tone) for curve, tone, _ in curves],
            "svg": draw(
                text(f"chart.{name}"),
                [Curve(curve, tone, points) for curve, tone, points in curves],
                span,
            ),
        }
        for name, curves in drawn
        if any(y for _, _, points in curves for _, y in points)
    ]


def _span(outcome: Outcome) -> tuple[float, float]:
    moments = [sample.at_s for sample in outcome.samples]
    moments += [float(second) for second, _ in outcome.arrivals]
    return min(moments, default=0.0), max(moments, default=1.0)


def _arrivals(outcome: Outcome) -> Points:
    return [(second + 0.5, float(count)) for second, count in outcome.arrivals]


def _requests(outcome: Outcome) -> Points:
    seconds: dict[int, int] = {}
    many: list[list[Moment]] = list(outcome.moments.values())
    for moments in many:
        for moment in moments:
            seconds[moment.at_s] = seconds.get(moment.at_s, 0) + moment.count
    return [(second + 0.5, float(count)) for second, count in sorted(seconds.items())]
