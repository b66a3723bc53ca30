"""Whether a site behind a room was guarded, and whether the room slowed down for it: pure."""

from collections.abc import Sequence
from statistics import median

from sunseo.rehearsal.observe.histogram import merged, quantiles_ms
from sunseo.rehearsal.observe.ledger import Figures, Operation
from sunseo.rehearsal.verdict.evidence import Evidence, Findings

WINDOW_S = 5  # as the room judges
UNHEALTHY_WINDOWS = (
    4  # in a row: two for the room's verdict, one for the word to reach it, one more
)
SETTLED_S = 40.0  # after a cut: it shows when some have left
LAST_WINDOWS = 6


def windows_of(figures: Figures) -> list[tuple[float, float]]:
    """The site's p99 in seconds as visitors saw it, window by window, with each one's end."""
    seconds = figures.latencies.get(Operation.PAGE.value, {})
    starts = sorted({second // WINDOW_S * WINDOW_S for second in seconds})
    found: list[tuple[float, float]] = []
    for start in starts:
        counts = merged(seconds.get(start + place, {}) for place in range(WINDOW_S))
        found.append((float(start + WINDOW_S), quantiles_ms(counts, 0.99)[0] / 1000))
    return found


def guarded(evidence: Evidence) -> Findings:
    """Nobody came through to the site without a pass."""
    tally = evidence.tally
    if tally is None:
        return None
    if tally.without_pass:
        return tally.served, [{"without a pass": tally.without_pass}]
    return tally.served, []


def slowed(evidence: Evidence, target_s: float) -> Findings:
    """While the site was slower than its target for long, the room let fewer in."""
    samples, capacity = evidence.samples, evidence.capacity
    since = _unhealthy_since(windows_of(evidence.figures), target_s)
    if since is None:
        return None
    lowest = min((sample.capacity for sample in samples), default=capacity)
    if lowest < capacity:
        return len(samples), []
    return len(samples), [{"slow since": since, "capacity stayed": lowest}]


def recovered(evidence: Evidence, target_s: float) -> Findings:
    """Once the room had slowed down, the site came back to its target."""
    samples, capacity = evidence.samples, evidence.capacity
    cut_s = next((sample.at_s for sample in samples if 0 < sample.capacity < capacity), None)
    if cut_s is None:
        return None
    later = [p99_s for end_s, p99_s in windows_of(evidence.figures) if end_s > cut_s + SETTLED_S]
    if len(later) < LAST_WINDOWS:
        return None
    found = median(later[-LAST_WINDOWS:])
    if found <= target_s:
        return len(later), []
    return len(later), [{"p99 in the end": f"{found:.2f} s", "target": f"{target_s:g} s"}]


def _unhealthy_since(windows: Sequence[tuple[float, float]], target_s: float) -> float | None:
    """The end of the first window of a long slow time."""
    running: list[float] = []
    for end_s, p99_s in windows:
        running = [*running, end_s] if p99_s > target_s else []
        if len(running) >= UNHEALTHY_WINDOWS:
            return running[0]
    return None
