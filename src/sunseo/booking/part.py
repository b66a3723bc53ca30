"""The inventory's part in a batch: what holds claim, and who has it.

Orders' part looks into this one's share, since what they sell is here.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any
from uuid import UUID

import msgspec

from sunseo.booking import rules
from sunseo.booking.catalogue import Catalogue, CatalogueShelf
from sunseo.booking.commands import (
    ExpireHold,
    InventoryCommand,
    PlaceHold,
    PlaceHoldOutcome,
    ReleaseHold,
    RenewHold,
    SaleKey,
)
from sunseo.booking.inventory import Hold, Inventory, SaleState
from sunseo.booking.locked import (
    CatalogueReading,
    ask_for,
    ask_for_past_due,
    hold_of,
    sale_stream,
    take_holds,
    take_seats,
    take_stocks,
    take_uses,
)
from sunseo.booking.rules import HoldAnswer
from sunseo.booking.save import writes_of
from sunseo.core.clock import Instant
from sunseo.engine.part import (
    AskAgain,
    Batch,
    Command,
    NotReadError,
    PartAnswer,
    Read,
    Share,
    Write,
)
from sunseo.engine.streams import Stream
from sunseo.postgres.pipelined.statements import Columns, take

_RULES: Mapping[type[InventoryCommand], Callable[..., PartAnswer | AskAgain]] = {
    PlaceHold: rules.place_hold,
    RenewHold: rules.renew_hold,
    ReleaseHold: rules.release_hold,
    ExpireHold: rules.expire_hold,
}

_Keys = list[tuple[SaleKey, int | UUID]]


class InventoryPart:
    """A `Part`; keeps nothing between batches but catalogues."""

    commands: tuple[type[Command], ...] = tuple(_RULES)

    def __init__(self) -> None:
        self._shelf = CatalogueShelf()

    def streams(self, command: InventoryCommand) -> Iterable[Stream]:
        return (sale_stream(command.sale),)

    def join(self, batch: Batch) -> "InventoryShare":
        return InventoryShare(batch, self._shelf)


class InventoryShare(Share):
    """The inventory that all commands of one batch are about."""

    def __init__(self, batch: Batch, shelf: CatalogueShelf) -> None:
        self._batch = batch
        self._shelf = shelf
        self._commands = [c for c in batch.commands if isinstance(c, InventoryCommand)]
        self._inventory = Inventory({})
        self._claims: list[Hold] = []  # what named holds claim; all else of them is out of date
        self._past_due: dict[str, dict[tuple[SaleKey, int | UUID], tuple[UUID, ...]]] = {}

    def sale(self, key: SaleKey) -> SaleState | None:
        """A sale as it is locked; none where there is no such sale.

        Raises:
            NotReadError: nothing may be decided on it before its catalogue is read anew.
        """
        sale = self._inventory.sales.get(key)
        if sale is not None and sale.is_stale:
            raise NotReadError
        return sale

    def known(self) -> Iterable[Read]:
        if asked := self._named_holds():
            yield Read(ask_for("find_holds", asked), self._take_claims)

    def reads(self) -> Iterable[Read]:
        keys = list(dict.fromkeys(command.sale for command in self._commands))
        missing = set(self._shelf.missing(keys))
        shelved = ((key, self._shelf.get(key)) for key in keys)
        self._enter({key: catalogue for key, catalogue in shelved if catalogue is not None})
        if missing:
            reading = CatalogueReading(sorted(missing))
            for statement in reading.statements:
                yield Read(statement, partial(self._take_catalogues, reading))

        placing = [command for command in self._commands if isinstance(command, PlaceHold)]
        asked: list[tuple[str, _Keys, Callable[[Inventory, Columns], None]]] = [
            ("look_up_seats", self._seats(placing), take_seats),
            ("look_up_uses", self._persons(placing), take_uses),
            ("look_up_stocks", self._stocks(placing), take_stocks),
            ("look_up_stocks_of_products", self._products(placing, missing), take_stocks),
            ("find_holds", [(c.sale, c.effect) for c in placing] + self._named_holds(), take_holds),
        ]
        for name, rows, taker in asked:
            if rows:
                yield Read(ask_for(name, rows), partial(taker, self._inventory))

    def opened(self) -> None:
        for key, sale in self._inventory.sales.items():
            held = self._batch.held.get(sale_stream(key))
            if held is None:  # somebody else has it, or it came after the locks
                sale.is_stale = True
                continue
            sale.terms, sale.events = held.terms, held.events
            if held.terms.catalogue_version != sale.catalogue.version:
                sale.is_stale = True
                self._shelf.forget(key)

    def decide(self, command: Any, now: Instant) -> PartAnswer | AskAgain:
        return _RULES[type(command)](command, self.sale(command.sale), now)

    def second_look(
        self, answers: Sequence[tuple[Command, PartAnswer | AskAgain]], now: Instant
    ) -> Iterable[Read]:
        """Look for past-due holds where they may be all that stands in somebody's way."""
        asked: dict[str, _Keys] = {"stock": [], "person": []}
        for command, answer in answers:
            by, rows = _in_the_way(command, answer)
            asked[by].extend(rows)
        for by, rows in asked.items():
            if rows:
                yield Read(ask_for_past_due(by, rows, now), partial(self._take_past_due, by))

    def reconsider(self, command: Command, answer: PartAnswer | AskAgain) -> PartAnswer | AskAgain:
        by, rows = _in_the_way(command, answer)
        found = self._past_due.get(by, {})
        past_due = tuple(chain.from_iterable(found.get(row, ()) for row in rows))
        if not past_due:
            return answer
        return AskAgain(msgspec.structs.replace(command, reclaim=past_due))

    def writes(self) -> Iterable[Write]:
        return writes_of([sale for sale in self._inventory.sales.values() if sale.events])

    def _named_holds(self) -> _Keys:
        return [(command.sale, hold) for command in self._commands for hold in command.named_holds]

    def _seats(self, placing: Sequence[PlaceHold]) -> _Keys:
        asked: _Keys = [(command.sale, seat) for command in placing for seat in command.seats]
        return asked + [(hold.sale, seat) for hold in self._claims for seat in hold.seats]

    def _persons(self, placing: Sequence[PlaceHold]) -> _Keys:
        """Whose counters matter; whose sale's catalogue is still to come may have some."""
        asked: _Keys = [
            (command.sale, command.person)
            for command in placing
            if (sale := self._inventory.sales.get(command.sale)) is None
            or sale.catalogue.has_limits
        ]
        return asked + [(hold.sale, hold.person) for hold in self._claims if hold.uses]

    def _stocks(self, placing: Sequence[PlaceHold]) -> _Keys:
        """What is drawn on, as far as it is known without reading a catalogue first."""
        asked: _Keys = [(hold.sale, stock) for hold in self._claims for stock, _ in hold.draws]
        for command in placing:
            sale = self._inventory.sales.get(command.sale)
            products = sale.catalogue.products if sale is not None else {}
            for product, _ in command.products:
                if (offered := products.get(product)) is not None:
                    asked += [(command.sale, stock) for stock, _ in offered.draws]
        return asked

    def _products(self, placing: Sequence[PlaceHold], missing: Collection[SaleKey]) -> _Keys:
        """The products of whose draws no catalogue at hand tells."""
        return [
            (command.sale, product)
            for command in placing
            if command.sale in missing
            for product, _ in command.products
        ]

    def _enter(self, catalogues: Mapping[SaleKey, Catalogue]) -> None:
        for key, catalogue in catalogues.items():
            self._inventory.sales[key] = SaleState(key, catalogue)

    def _take_claims(self, columns: Columns) -> None:
        self._claims += map(hold_of, columns.rows())

    def _take_catalogues(self, reading: CatalogueReading, columns: Columns) -> None:
        reading.take(columns)
        if reading.is_complete:
            read = reading.catalogues()
            self._enter(read)
            for key, catalogue in read.items():
                self._shelf.put(key, catalogue)

    def _take_past_due(self, by: str, columns: Columns) -> None:
        found = self._past_due.setdefault(by, {})
        for organisation, sale, name, hold in take(columns, "organisation", "sale", by, "hold"):
            place = (organisation, sale), name
            found[place] = (*found.get(place, ()), hold)


def _in_the_way(command: Command, answer: PartAnswer | AskAgain) -> tuple[str, _Keys]:
    """By what to look for past-due holds after a refusal: by stock or by person, and which."""
    if isinstance(command, PlaceHold) and isinstance(answer, HoldAnswer):
        if answer.outcome is PlaceHoldOutcome.SOLD_OUT:
            return "stock", [(command.sale, stock) for stock in answer.stocks]
        if answer.outcome is PlaceHoldOutcome.LIMIT_REACHED:
            return "person", [(command.sale, command.person)]
    return "stock", []
