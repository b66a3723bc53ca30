"""How long people waited in line, and what they had been told."""

from collections.abc import Iterable, Sequence

import msgspec

from sunseo.rehearsal.observe.ledger import EnteredRoom, Ledger


class Waits(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds; of visitors who entered.

    Attributes:
        entered: how many they were.
        p50, p90, longest: from when they asked for their place, or registered for a draw, until
            they had their pass.
        told: how many of them had been told a time; the rest of the line is about them, and begins
            at the moment when they were told for the first time.
        told_p50, told_p90: what they were told is likely.
        real_p50, real_p90: what it was in the end.
        longer: how many waited longer than the slow case that they were told.
    """

    entered: int
    p50: float
    p90: float
    longest: float
    told: int = 0
    told_p50: float | None = None
    told_p90: float | None = None
    real_p50: float | None = None
    real_p90: float | None = None
    longer: int = 0


def waits_of(ledger: Ledger) -> Waits | None:
    """None where nobody entered."""
    entered: dict[int, EnteredRoom] = {}
    for one in ledger.entered:
        entered.setdefault(one.visitor, one)
    asked = {one.visitor: one.registered_at for one in ledger.drawn}
    for place in ledger.placed:
        asked[place.visitor] = min(place.asked_at, asked.get(place.visitor, place.asked_at))
    whole = [one.told_at - asked[visitor] for visitor, one in entered.items() if visitor in asked]
    if not whole:
        return None
    told = [one for one in ledger.estimates if one.visitor in entered]
    real = [entered[one.visitor].told_at - one.at for one in told]
    return Waits(
        entered=len(whole),
        p50=_quantile(whole, 0.5),
        p90=_quantile(whole, 0.9),
        longest=_quantile(whole, 1.0),
        told=len(told),
        told_p50=_quantile(likely, 0.5) if (likely := [one.likely_s for one in told]) else None,
        told_p90=_quantile(likely, 0.9) if likely else None,
        real_p50=_quantile(real, 0.5) if real else None,
        real_p90=_quantile(real, 0.9) if real else None,
        longer=sum(
            one.slow_s is not None and waited > one.slow_s
            for one, waited in zip(told, real, strict=True)
        ),
    )


def _quantile(values: Iterable[float], share: float) -> float:
    """The smallest value that so many are not above."""
    ordered: Sequence[float] = sorted(values)
    return round(ordered[max(0, -int(-len(ordered) * share // 1) - 1)], 1)
