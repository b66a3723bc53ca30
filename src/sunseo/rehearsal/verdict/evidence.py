"""What a verdict is founded on: what visitors were told, what was seen, and what is stored."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from sunseo.invariants.report import Report
from sunseo.rehearsal.observe.ledger import Figures, Ledger
from sunseo.rehearsal.observe.observer import Sample
from sunseo.rehearsal.observe.stored import Stored
from sunseo.rehearsal.target.site_app import Tally

Fact = dict[str, object]
"""One fault, as names and values."""

Findings = tuple[int, list[Fact]] | None
"""How many things were looked at, and what is wrong; none where there was nothing to look at."""

CheckFunction = Callable[["Evidence"], Findings]
"""What one check does."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Everything there is to judge by. `stored` and `report` need the database's address.

    Attributes:
        checks: those of what was played, beside those that every rehearsal has.
    """

    ledger: Ledger
    figures: Figures
    samples: list[Sample]
    capacity: int
    units: int
    person_limit: int = 4
    checks: Mapping[str, CheckFunction] = {}
    tally: Tally | None = None
    whole: bool
    stored: Stored | None = None
    report: Report | None = None
    outages: Sequence[tuple[float, float]] = ()  # when faults were rehearsed
