"""From a result to a page: what a person can read in a minute, and figures for who wants more."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sunseo.core.languages import Language
from sunseo.rehearsal.report.charts import charts_of
from sunseo.rehearsal.report.findings import compared, slow_moments, tiles, why
from sunseo.rehearsal.report.result import Result
from sunseo.rehearsal.report.speech import Say, speech_in
from sunseo.rehearsal.report.templating import TEMPLATES
from sunseo.rehearsal.report.texts import CATALOGUES


def write_report(path: Path, result: Result) -> None:
    path.write_text(render_report(result), "utf-8")


def render_report(result: Result) -> str:
    """The page; each language is there whole, and a switch without a script shows one."""
    template = TEMPLATES.get_template("report.html")
    return template.render(
        result=result,
        parts=[_part(result, language) for language in CATALOGUES],
    )


def _part(result: Result, language: Language) -> dict[str, Any]:
    texts = CATALOGUES[language]
    say = speech_in(texts)
    return {
        "language": language,
        "say": say,
        "lead": _lead(result, say),
        "faults": [
            say("lead.fault", check=texts[f"check.{check.name}"], faults=f"{check.faults:,}")
            for check in result.checks
            if check.faults
        ]
        + [
            say("lead.slo", slo=kept.slo, measured=kept.measured)
            for kept in result.slos
            if kept.standing == "broken"
        ],
        "why": why(result, say),
        "tiles": tiles(result, say),
        "charts": charts_of(result, texts.__getitem__),
        "moments": slow_moments(result, say),
        "comparison": compared(result, say),
        "fairness": _fairness(result, say),
        "funnel": _bars(result.funnel, lambda name: texts[f"funnel.{name}"]),
        "gone": _bars(result.gone, lambda name: texts.get(f"gone.{name}", name)),
        "settings": _settings(result, say),
    }


def _lead(result: Result, say: Say) -> list[str]:
    return [
        _came_for(result, say),
        say(
            "lead.requests",
            requests=f"{result.requests:,}",
            busiest=f"{result.requests_per_s_busiest:,}",
            retries=f"{result.retries:,}",
        ),
    ]


def _came_for(result: Result, say: Say) -> str:
    scenario = result.options.scenario
    sold_out = (
        ""
        if result.sold_out_s is None
        else say("lead.sold_out", seconds=f"{result.sold_out_s:,.0f}")
    )
    return say(
        scenario.scene.lead,
        visitors=f"{result.funnel['came']:,}",
        units=f"{scenario.units:,}",
        orders=f"{result.orders:,}",
        sold=f"{result.sold:,}",
        sold_out=sold_out,
        **{name: f"{count:,}" for name, count in result.funnel.items()},
    )


def _fairness(result: Result, say: Say) -> str:
    fairness = result.fairness
    if fairness is None or not fairness.pairs:
        return ""
    return say(
        "fairness.text",
        pairs=f"{fairness.pairs:,}",
        inversions=f"{fairness.inversions:,}",
        share=f"{fairness.inversions / fairness.pairs:.1%}",
        tau=f"{fairness.tau:.3f}",
    )


def _settings(result: Result, say: Say) -> list[tuple[str, str]]:
    options, machine, driving = result.options, result.machine, result.driving
    own = "settings.machine.text" if options.target is None else "settings.machine.target"
    rows = [
        (say("settings.started"), result.started_at),
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
        (say("settings.missed"), f"{result.samples_missed:,}"),
    ]
    if options.target is None:
        rows.insert(6, (say("settings.workers"), str(options.workers)))
    return rows


def _bars(counts: dict[str, int], name_of: Callable[[str], str]) -> list[tuple[str, int, float]]:
    """Names, counts, and how long their bars are, in percent of the longest."""
    longest = max(counts.values(), default=0) or 1
    return [(name_of(key), count, 100 * count / longest) for key, count in counts.items()]
