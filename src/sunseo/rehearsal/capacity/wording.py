"""What a search for capacity found, in words and tables: for the screen and for the page alike."""

from sunseo.rehearsal.capacity.advice import Setting
from sunseo.rehearsal.capacity.measured import LittlesLaw, Probe
from sunseo.rehearsal.capacity.result import CapacityResult
from sunseo.rehearsal.report.speech import Say

SHOWN = ("join", "enter", "look", "hold", "order")


def headline(capacity: CapacityResult, say: Say) -> str:
    if capacity.found is None:
        return say("none")
    return say("found", rate=_figure(capacity.found))


def lead(capacity: CapacityResult, say: Say) -> list[str]:
    sentences = [] if capacity.whole else [say("partial")]
    worst = capacity.worst
    if worst is not None:
        sentences.append(
            say("interval", failed=_figure(worst.rate), broken="; ".join(worst.broken))
        )
    elif capacity.found is not None and capacity.whole:
        sentences.append(say("ceiling"))
    return sentences


def binding(capacity: CapacityResult, say: Say) -> str:
    worst = capacity.worst
    reading = worst.reading if worst is not None else None
    cores = reading.cores if reading is not None else {}
    others = max(0.0, reading.cores_in_use - reading.own_cores) if reading is not None else 0.0
    return say(
        f"binding.{capacity.binding}",
        busy=f"{reading.cores_in_use if reading is not None else 0:.2f}",
        cores=capacity.machine.cores,
        workers=capacity.options.workers,
        late=f"{worst.late_p99_ms if worst is not None else 0:,.0f}",
        lane=f"{max(reading.busy.values(), default=0) if reading is not None else 0:.2f} s",
        others=f"{others:.2f}",
        **{group: f"{cores.get(group, 0):.2f}" for group in ("server", "database", "crowd")},
    )


def law_row(law: LittlesLaw, say: Say) -> tuple[str, str, str, str, str]:
    wait = f"{law.wait_s:,.2f} s" if law.wait_s >= 1 else f"{1000 * law.wait_s:,.1f} ms"
    seen = "-" if law.seen is None else _figure(law.seen)
    return say(f"law.{law.station}"), _figure(law.rate), wait, _figure(law.product), seen


def advice_row(setting: Setting, say: Say) -> tuple[str, str, str]:
    figures = {name: _figure(value) for name, value in setting.figures.items()}
    return setting.name, f"{setting.value:,}", say(f"advice.{setting.name}", **figures)


def probe_row(probe: Probe, say: Say) -> tuple[list[str], str]:
    """Figures, and how it ended."""
    cores = f"{probe.reading.own_cores:.2f}" if probe.reading is not None else "-"
    figures = [_figure(probe.rate), _figure(probe.requests_per_s), cores]
    figures += [f"{probe.p99_ms[name]:,.0f}" if name in probe.p99_ms else "-" for name in SHOWN]
    broken = "; ".join(probe.broken)
    return figures, say("probe.held") if probe.held else say("probe.broken", what=broken)


def _figure(value: float) -> str:
    """As many digits as mean something."""
    if value == round(value) or value >= 100:
        return f"{value:,.0f}"
    return f"{value:,.1f}" if value >= 10 else f"{value:,.2f}"
