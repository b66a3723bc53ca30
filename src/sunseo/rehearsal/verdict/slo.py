"""Bounds that a rehearsal is held against, as people write them: pure.

p99(hold) <= 500 ms          any percentile, or max, of any request, from when it was due
sold_out <= 60 s             from T0; nine_tenths likewise
errors <= 0.1 %              of all requests: 5xx that are no sheds, or no answer at all
later <= 5 %                 of all answers: 429, and 503 with Retry-After
requests_per_minute >= 100000    from the first request to the last one
"""

import re
from collections.abc import Iterable
from typing import Literal

import msgspec

from sunseo.rehearsal.observe.histogram import quantiles_ms
from sunseo.rehearsal.observe.ledger import Figures, Operation

_FORM = re.compile(
    r"\s*(?P<what>[a-z_]+|p[0-9]{1,2}(?:\.[0-9]{1,3})?)(?:\(\s*(?P<operation>[a-z]+)\s*\))?"
    r"\s*(?P<sign><=|>=)\s*(?P<number>[0-9][0-9_]*(?:\.[0-9]+)?)\s*(?P<unit>ms|s|%)?\s*"
)
_OPERATIONS = frozenset(operation.value for operation in Operation)
_SECONDS = {"ms": 0.001, "s": 1.0}
_TIMES = ("sold_out", "nine_tenths")
_SHARES = ("errors", "later")
_RATE = "requests_per_minute"


class Bound(msgspec.Struct, frozen=True):
    """One SLO; `limit` is in seconds, a share of one, or requests a minute."""

    text: str
    what: str
    operation: str
    is_upper: bool
    limit: float
    share: float = 0.0  # of a percentile


class SloResult(msgspec.Struct, frozen=True):
    """Whether an SLO held; `measured` as text, empty where there was nothing to measure."""

    slo: str
    standing: Literal["held", "broken", "not_checked"]
    measured: str


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What bounds are held against."""

    figures: Figures
    errors: int
    requests_per_s: float
    sold_out_s: float | None
    nine_tenths_s: float | None


def read_bound(text: str) -> Bound:
    """
    Raises:
        ValueError: it is none; the sentence says what is right.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not like 'p99(hold) <= 500 ms' or 'sold_out <= 60 s'")
    what, operation, unit = found["what"], found["operation"] or "", found["unit"] or ""
    is_upper, number = found["sign"] == "<=", float(found["number"].replace("_", ""))
    share = _share_of(what)
    if (share is not None) != bool(operation):
        raise ValueError(f"{text!r}: percentiles and max name a request, as in p99(hold)")
    if operation and operation not in _OPERATIONS:
        known = ", ".join(sorted(_OPERATIONS))
        raise ValueError(f"{text!r}: {operation} is no request; those are {known}")
    if share is not None or what in _TIMES:
        if unit not in _SECONDS or not is_upper:
            raise ValueError(f"{text!r}: times are bounded from above, in ms or s")
        return Bound(text, what, operation, is_upper, number * _SECONDS[unit], share or 0.0)
    if what in _SHARES:
        if unit != "%" or not is_upper:
            raise ValueError(f"{text!r}: shares are bounded from above, in %")
        return Bound(text, what, operation, is_upper, number / 100)
    if what == _RATE and not unit and not is_upper:
        return Bound(text, what, operation, is_upper, number)
    names = ", ".join(("p99(hold)", "max(hold)", *_TIMES, *_SHARES))
    raise ValueError(f"{text!r}: what can be bounded is {names} (<=) and {_RATE} (>=)")


def _share_of(what: str) -> float | None:
    if what == "max":
        return 1.0
    percentile = what.removeprefix("p")
    first = percentile[:1]
    return float(percentile) / 100 if first.isascii() and first.isdigit() else None


def hold_against(slos: Iterable[str], measured: Measured) -> list[SloResult]:
    """Each SLO with what was measured."""
    return [_judged(read_bound(slo), measured) for slo in slos]


def _judged(bound: Bound, measured: Measured) -> SloResult:
    if bound.what in _TIMES:
        at_s = measured.sold_out_s if bound.what == "sold_out" else measured.nine_tenths_s
        if at_s is None:  # what never came is later than any bound
            return SloResult(bound.text, "broken", "never")
        return _kept(bound, at_s, f"{at_s:,.1f} s")
    if bound.what in _SHARES:
        requests = measured.figures.requests
        count = measured.errors if bound.what == "errors" else measured.figures.put_off
        return _kept(bound, count / max(1, requests), f"{count / max(1, requests):.3%}")
    if bound.what == _RATE:
        rate = 60 * measured.requests_per_s
        return _kept(bound, rate, f"{rate:,.0f}")
    counts = measured.figures.latency(Operation(bound.operation))
    if not counts:
        return SloResult(bound.text, "not_checked", "")
    (value_ms,) = quantiles_ms(counts, bound.share)
    return _kept(bound, value_ms / 1000, f"{value_ms:,.0f} ms")


def _kept(bound: Bound, value: float, shown: str) -> SloResult:
    holds = value <= bound.limit if bound.is_upper else value >= bound.limit
    return SloResult(bound.text, "held" if holds else "broken", shown)
