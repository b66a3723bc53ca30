"""What a search for capacity ended with: all that its screen, its JSON and its page tell."""

import shlex

import msgspec

from sunseo.rehearsal.attempt import BROKEN, COULD_NOT, GOOD
from sunseo.rehearsal.capacity.advice import Setting
from sunseo.rehearsal.capacity.binding import Binding
from sunseo.rehearsal.capacity.measured import Probe
from sunseo.rehearsal.report.result import Options
from sunseo.rehearsal.target.machine import Machine


class SearchTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for besides the scenario."""

    slos: tuple[str, ...]
    probe_s: float
    first: float
    ceiling: float
    precision: float


class CapacityResult(msgspec.Struct, frozen=True, kw_only=True):
    """
    Attributes:
        found: the highest rate that holds the bounds, in arrivals per second; none if none did.
        failed_at: the lowest that does not; none where the ceiling held.
        probes: in the order in which they were made.
        whole: whether the search came to its end.
    """

    started_at: str
    options: Options
    terms: SearchTerms
    machine: Machine
    found: float | None
    failed_at: float | None
    binding: Binding
    probes: list[Probe]
    advice: list[Setting]
    whole: bool

    @property
    def exit_code(self) -> int:
        if not self.whole:
            return COULD_NOT
        return BROKEN if self.found is None else GOOD

    @property
    def best(self) -> Probe | None:
        """The probe that the advice rests on: the last that held the rate found."""
        return last_of(self.probes, self.found, held=True)

    @property
    def worst(self) -> Probe | None:
        """The probe that says what binds: the last that failed at the lowest rate that did."""
        return last_of(self.probes, self.failed_at, held=False)

    @property
    def command(self) -> str:
        """How to run it again."""
        options, terms = self.options, self.terms
        parts = [f"sunseo rehearse capacity {shlex.quote(options.name)}"]
        if options.target is not None:
            parts.append(f"--target {options.target} --operator-key …")
        parts += [f"--slo {shlex.quote(slo)}" for slo in terms.slos]
        parts += [
            f"--from {terms.first:g} --to {terms.ceiling:g} --precision {terms.precision:g}",
            f"--probe {terms.probe_s:g} --session {options.scenario.session_s:g}",
            f"--workers {options.workers} --drivers {options.drivers} --seed {options.seed}",
        ]
        return " ".join(parts)


def last_of(probes: list[Probe], rate: float | None, *, held: bool) -> Probe | None:
    if rate is None:
        return None
    same = [p for p in probes if p.held is held and abs(p.rate - rate) < 0.01]
    return same[-1] if same else None
