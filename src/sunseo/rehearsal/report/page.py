"""From an outcome to a page: what a person can read in a minute, and figures for who wants more."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sunseo.rehearsal.report.charts import charts_of
from sunseo.rehearsal.report.findings import compared, slow_moments, tiles, why
from sunseo.rehearsal.report.outcome import Outcome
from sunseo.rehearsal.report.speech import Say, speech_in
from sunseo.rehearsal.report.templating import TEMPLATES
from sunseo.rehearsal.report.texts import CATALOGUES, Language


def write_report(path: Path, outcome: Outcome) -> None:
    path.write_text(render_report(outcome), "utf-8")


def render_report(outcome: Outcome) -> str:
    """The page; each language is there whole, and a switch without a script shows one."""
    template = TEMPLATES.get_template("report.html")
    return template.render(
        outcome=outcome,
        parts=[_part(outcome, language) for language in CATALOGUES],
    )


def _part(outcome: Outcome, language: Language) -> dict[str, Any]:
    texts = CATALOGUES[language]
    say = speech_in(texts)
    return {
        "language": language,
        "say": say,
        "lead": _lead(outcome, say),
        "faults": [
            say("lead.fault", check=texts[f"check.{check.name}"], faults=f"{check.faults:,}")
            for check in outcome.checks
            if check.faults
        ]
        + [
            say("lead.slo", slo=kept.slo, measured=kept.measured)
            for kept in outcome.slos
            if kept.standing == "broken"
        ],
        "why": why(outcome, say),
        "tiles": tiles(outcome, say),
        "charts": charts_of(outcome, texts.__getitem__),
        "moments": slow_moments(outcome, say),
        "comparison": compared(outcome, say),
        "fairness": _fairness(outcome, say),
        "funnel": _bars(outcome.funnel, lambda name: texts[f"funnel.{name}"]),
        "gone": _bars(outcome.gone, lambda name: texts.get(f"gone.{name}", name)),
        "settings": _settings(outcome, say),
    }


def _lead(outcome: Outcome, say: Say) -> list[str]:
    return [
        _came_for(outcome, say),
        say(
            "lead.requests",
            requests=f"{outcome.requests:,}",
            busiest=f"{outcome.requests_per_s_busiest:,}",
            retries=f"{outcome.retries:,}",
        ),
    ]


def _came_for(outcome: Outcome, say: Say) -> str:
    visitors, units = f"{outcome.funnel['came']:,}", outcome.options.scenario.units
    if not units:
        return say("lead.site", visitors=visitors, browsed=f"{outcome.funnel['browsed']:,}")
    sold_out = (
        ""
        if outcome.sold_out_s is None
        else say("lead.sold_out", seconds=f"{outcome.sold_out_s:,.0f}")
    )
    return say(
        "lead",
        visitors=visitors,
        units=f"{units:,}",
        orders=f"{outcome.orders:,}",
        sold=f"{outcome.sold:,}",
        sold_out=sold_out,
    )


def _fairness(outcome: Outcome, say: Say) -> str:
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


def _settings(outcome: Outcome, say: Say) -> list[tuple[str, str]]:
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
