"""What a verification found, as data."""

from typing import Any

import msgspec


class Violation(msgspec.Struct, frozen=True):
    """An invariant that does not hold, in one sale or, where `sale` is null, outside of any."""

    invariant: str
    sale: int | None
    sentence: str
    rows: list[dict[str, Any]]  # at fault: the first few
    total: int  # of rows at fault


class NotChecked(msgspec.Struct, frozen=True):
    """An invariant that nothing is known about, in these sales; none named means all of them."""

    invariant: str
    sales: list[int]
    reason: str


class Report(msgspec.Struct, frozen=True):
    """`clean` means that everything was checked and nothing was found."""

    clean: bool
    organisation: int
    sales: int  # how many were checked
    checked: list[str]  # invariants that were checked wherever they apply
    violations: list[Violation]
    not_checked: list[NotChecked]
    seconds: float
