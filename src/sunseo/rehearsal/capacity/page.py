"""The page that a search for capacity leaves behind: one file, in Korean and in English."""

from pathlib import Path
from typing import Any

from sunseo.core.languages import Language
from sunseo.rehearsal.capacity.result import CapacityResult
from sunseo.rehearsal.capacity.texts import CATALOGUES
from sunseo.rehearsal.capacity.wording import (
    SHOWN,
    advice_row,
    binding,
    headline,
    law_row,
    lead,
    probe_row,
)
from sunseo.rehearsal.report.chart import Curve, draw
from sunseo.rehearsal.report.speech import speech_in
from sunseo.rehearsal.report.templating import TEMPLATES


def write_page(path: Path, capacity: CapacityResult) -> None:
    path.write_text(render_page(capacity), "utf-8")


def render_page(capacity: CapacityResult) -> str:
    template = TEMPLATES.get_template("capacity.html")
    return template.render(
        capacity=capacity,
        shown=SHOWN,
        parts=[_part(capacity, language) for language in CATALOGUES],
    )


def _part(capacity: CapacityResult, language: Language) -> dict[str, Any]:
    say = speech_in(CATALOGUES[language])
    best = capacity.best
    probes = sorted(capacity.probes, key=lambda one: one.rate)
    return {
        "language": language,
        "say": say,
        "headline": headline(capacity, say),
        "lead": lead(capacity, say),
        "binding": binding(capacity, say),
        "svg": _chart(capacity, say("chart.rates")),
        "laws": [law_row(law, say) for law in best.laws] if best is not None else [],
        "best_rate": f"{best.rate:,.1f}" if best is not None else "",
        "advice": [advice_row(setting, say) for setting in capacity.advice],
        "probes": [(*probe_row(probe, say), probe.held) for probe in probes],
        "machine": say(
            "settings.machine.text"
            if capacity.options.target is None
            else "settings.machine.target",
            cores=capacity.machine.cores,
            memory=capacity.machine.memory_gb,
            system=capacity.machine.system,
            python=capacity.machine.python,
            version=capacity.machine.sunseo,
        ),
        "probe": say("settings.probe.text", seconds=f"{capacity.terms.probe_s:g}"),
    }


def _chart(capacity: CapacityResult, title: str) -> str:
    """p99 by rate; of several probes at one rate the worst."""
    curves = []
    for tone, name in enumerate(SHOWN, 1):
        points: dict[float, float] = {}
        for probe in capacity.probes:
            if name in probe.p99_ms:
                points[probe.rate] = max(points.get(probe.rate, 0.0), probe.p99_ms[name])
        curves.append(Curve(name, tone, sorted(points.items())))
    highest = max((probe.rate for probe in capacity.probes), default=1.0)
    return draw(title, curves, (0.0, highest))
