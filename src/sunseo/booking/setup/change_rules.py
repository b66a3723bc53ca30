"""Which values of a sale may change once it is on: pure, asked by those who plan, too."""

from typing import Any

OWN = (
    "name",
    "currency",
    "time_zone",
    "opens_at",
    "closes_at",
    "hold_ttl_s",
    "renewals_max",
    "order_limit",
    "occasion_limit",
    "person_limit",
    "persons",
)
PARTS = {"occasions": "occasion", "price_classes": "price_class", "products": "product"}

FREE = frozenset({"name", "closes_at"})
RISING = frozenset({"hold_ttl_s", "renewals_max", "order_limit", "capacity"})
RISING_COUNTED = frozenset({"occasion_limit", "person_limit"})  # counters exist: none is not more


def may_change(name: str, before: Any, after: Any) -> bool:
    """Whether a value may change while the sale is on, by the field's name."""
    if name in FREE:
        return True
    if name in RISING and after is None:
        return True
    if name in RISING | RISING_COUNTED:
        return None not in (before, after) and bool(after > before)
    return False


def rule_of(name: str) -> str:
    """What is true of a field while the sale is on, as a predicate."""
    return "may only rise" if name in RISING | RISING_COUNTED else "stays as it is"
