"""Do what a plan says, by requests that may each be sent again.

State       None of its own. What is done is found by the next plan.
Guarantee   A request's key is made of what it says and of the version that it was planned on: sent
            twice it is done once, and planned anew after a change it is another one.
On failure  What was done stays; applied again, the file finds it and goes on with the rest.
"""

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import Any, Protocol, TypeVar

import msgspec

from sunseo.salefile.plan import SalePlan, request_of_new
from sunseo.salefile.spec import KnownSale, StockKey

T = TypeVar("T")

SEATS_AT_ONCE = 10_000  # the sale's row is locked while they are written
PARTS_AT_ONCE = 1_000  # the most that one request may have
BIG_PARTS = ("stocks", "products")


class Send(Protocol):
    """Sends a request; a refusal ends the command."""

    def __call__(self, method: str, path: str, body: Any, key: str) -> Any: ...


def apply_plan(
    plan: SalePlan, known: KnownSale | None, send: Send, told: Callable[[str], None]
) -> int:
    """Carry out a plan without refusals; returns the sale's number."""
    steps = _Steps(plan, send)
    if plan.sale is None:
        told("making the sale")
        steps.create()
    elif plan.change:
        told("changing the sale")
        steps.change()
    for done in steps.add_seats():
        told(f"{done:,} of {len(plan.new_seats):,} seats")
    numbers = dict(known.stock_numbers) if known else {}
    for new in steps.add_stocks():
        numbers |= new
        told(f"{len(numbers):,} stocks are there")
    for done in steps.add_products(numbers):
        told(f"{done:,} of {len(plan.new_products):,} products")
    return steps.sale


class _Steps:
    def __init__(self, plan: SalePlan, send: Send) -> None:
        self._plan = plan
        self._spec = plan.target
        self._send = send
        self.sale = plan.sale or 0

    def create(self) -> None:
        self.sale = self._ask("POST", "/v1/sales", request_of_new(self._spec))["sale"]

    def change(self) -> None:
        """Change all at once, as far as one request can say it."""
        big = {what: self._plan.change[what] for what in BIG_PARTS if what in self._plan.change}
        body = {what: told for what, told in self._plan.change.items() if what not in big}
        for what, parts in big.items():
            first, *rest = _chunks(parts, PARTS_AT_ONCE)
            body[what] = first
            for chunk in rest:
                self._ask("PATCH", f"/v1/sales/{self.sale}", {what: chunk})
        self._ask("PATCH", f"/v1/sales/{self.sale}", body)

    def add_seats(self) -> Iterator[int]:
        done = 0
        for keys in _chunks(self._plan.new_seats, SEATS_AT_ONCE):
            facts = [(key, self._spec.seats[key]) for key in keys]
            seats = [
                {
                    "occasion": key.occasion + 1,
                    "price_class": fact.price_class + 1,
                    "section": key.section,
                    "row": key.row,
                    "label": key.label,
                    "x": fact.x,
                    "y": fact.y,
                }
                for key, fact in facts
            ]
            self._ask("POST", f"/v1/sales/{self.sale}/seats", {"seats": seats})
            done += len(keys)
            yield done

    def add_stocks(self) -> Iterator[dict[StockKey, int]]:
        """Add the stocks; yields their numbers."""
        for keys in _chunks(self._plan.new_stocks, PARTS_AT_ONCE):
            stocks = [
                {
                    "occasion": key.occasion + 1,
                    "name": key.name,
                    "capacity": facts.capacity,
                    "starts_at": key.starts_at and key.starts_at.isoformat(),
                    "ends_at": facts.ends_at and facts.ends_at.isoformat(),
                }
                for key, facts in ((key, self._spec.stocks[key]) for key in keys)
            ]
            answer = self._ask("POST", f"/v1/sales/{self.sale}/stocks", {"stocks": stocks})
            yield dict(zip(keys, answer["stocks"], strict=True))

    def add_products(self, numbers: dict[StockKey, int]) -> Iterator[int]:
        done = 0
        for names in _chunks(self._plan.new_products, PARTS_AT_ONCE):
            products = [
                {
                    "name": name,
                    "price": facts.price,
                    "draws": [{"stock": numbers[key], "units": n} for key, n in facts.draws],
                }
                for name, facts in ((name, self._spec.products[name]) for name in names)
            ]
            self._ask("POST", f"/v1/sales/{self.sale}/stocks", {"products": products})
            done += len(names)
            yield done

    def _ask(self, method: str, path: str, body: Any) -> Any:
        said = msgspec.json.encode([method, path, self._plan.version, body], order="sorted")
        return self._send(method, path, body, f"file-{sha256(said).hexdigest()}")


def _chunks(parts: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (parts[start : start + size] for start in range(0, len(parts), size))
