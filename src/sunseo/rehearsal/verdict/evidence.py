"""What a verdict is founded on: what visitors were told, what was seen, and what is stored."""

from collections.abc import Sequence
from typing import Any

import msgspec

from sunseo.invariants.report import Report
from sunseo.rehearsal.observe.ledger import Figures, Ledger
from sunseo.rehearsal.observe.observer import Sample
from sunseo.rehearsal.observe.stored import Stored
from sunseo.rehearsal.scenes.scenario import Part, Scenario
from sunseo.rehearsal.target.site_app import Tally


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Everything there is to judge by. `stored` and `report` need the database's address."""

    ledger: Ledger
    figures: Figures
    samples: list[Sample]
    capacity: int
    units: int
    person_limit: int = 4
    has: frozenset[Part] = frozenset({"room", "sale", "seats"})
    target_s: float = 0.0
    tally: Tally | None = None
    whole: bool
    stored: Stored | None = None
    report: Report | None = None
    outages: Sequence[tuple[float, float]] = ()  # when faults were rehearsed

    @classmethod
    def of(cls, scenario: Scenario, **seen: Any) -> "Evidence":
        """With what a scenario has; what was `seen` goes by its names."""
        return cls(
            capacity=scenario.capacity,
            units=scenario.units,
            person_limit=scenario.person_limit,
            has=scenario.parts,
            target_s=0.0 if scenario.site is None else scenario.site.target_s,
            **seen,
        )
