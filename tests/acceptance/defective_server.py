"""`sunseo serve` with one defect at a time, so that it can be seen whether a rehearsal notices.

Which one is written in the file that `DEFECTS` names, and may change while it serves. Workers are
started from a fresh interpreter, which imports this module first: the defects are in all of them.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from unittest.mock import patch

from msgspec.structs import replace

from sunseo.booking import events
from sunseo.booking.inventory import SaleState
from sunseo.checkout import part
from sunseo.checkout.commands import PlaceOrder, PlaceOrderOutcome
from sunseo.checkout.rules import OrderAnswer, OrderBook, place_order
from sunseo.cli.main import main
from sunseo.core.clock import Instant
from sunseo.engine.part import Write
from sunseo.room.line import rules
from sunseo.room.line.commands import Enter, EnterOutcome
from sunseo.room.line.line import Line

DEFECTS = "DEFECTS"
"""The variable of the environment that names the file."""

OVERSELLS = "sells one seat in a thousand to two"
LOSES = "loses an acknowledged order"
JUMPS = "lets in whoever asks, called or not"

EVERY, CHOSEN = 1_000, 25
"""Of a thousand seats the one in the middle of the first row, so that somebody else wants it."""

_sold_again: set[tuple[tuple[int, int], int]] = set()
_lost: set[tuple[int, int]] = set()


def has(defect: str) -> bool:
    return Path(os.environ[DEFECTS]).read_text("utf-8") == defect


def place_order_and_forget(
    command: PlaceOrder, sale: SaleState | None, book: OrderBook, now: Instant
) -> OrderAnswer:
    """Sell, and put the chosen seat back on sale, once."""
    answer = place_order(command, sale, book, now)
    if sale is None or answer.order is None or answer.outcome is not PlaceOrderOutcome.CONFIRMED:
        return answer
    for number in answer.order.seats:
        named = (sale.key, number)
        if number % EVERY == CHOSEN and named not in _sold_again and has(OVERSELLS):
            _sold_again.add(named)
            sale.seats[number].hold = None
            hold = replace(sale.holds[command.hold], seats=(number,), draws=())
            sale.events.append(events.hold_released(hold))
    return answer


def losing(
    writes: Callable[[part.OrderShare], Iterable[Write]],
) -> Callable[[part.OrderShare], Iterable[Write]]:
    def all_but_one(share: part.OrderShare) -> Iterable[Write]:
        """Store the batch's orders but for the first of a sale; its buyer is told of it anyway."""
        placed = share._book.placed
        for effect, order in list(placed.items()):
            if order.sale not in _lost and has(LOSES):
                _lost.add(order.sale)
                del placed[effect]
        return writes(share)

    return all_but_one


def careless(
    refuse: Callable[[Enter, Line], EnterOutcome | None],
) -> Callable[[Enter, Line], EnterOutcome | None]:
    def refuse_nobody_early(command: Enter, line: Line) -> EnterOutcome | None:
        refusal = refuse(command, line)
        early = refusal is EnterOutcome.NOT_SERVED and line.terms.phase in rules.ENTERING_PHASES
        return None if early and has(JUMPS) else refusal

    return refuse_nobody_early


if DEFECTS in os.environ:  # not in the tests' own process, which only wants the names
    patch.object(part, "place_order", place_order_and_forget).start()
    patch.object(part.OrderShare, "writes", losing(part.OrderShare.writes)).start()
    patch.object(rules, "_refuse_entry", careless(rules._refuse_entry)).start()

if __name__ == "__main__":
    main()
