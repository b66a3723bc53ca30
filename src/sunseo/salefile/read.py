"""From a file's text to the sale that it says, or to all that is wrong with it."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from unicodedata import is_normalized
from zoneinfo import ZoneInfo

import msgspec
import tomli

from sunseo.core.currencies import is_currency
from sunseo.core.zones import is_zone
from sunseo.salefile.faults import FaultFinder, FileFault, SaleFileError
from sunseo.salefile.model import (
    DrawEntry,
    Money,
    OccasionName,
    RowEntry,
    SaleFile,
    SectionEntry,
    SlotsEntry,
    StockEntry,
)
from sunseo.salefile.money import AmountError, minor_units
from sunseo.salefile.places import Path, Positions, positions_in
from sunseo.salefile.spec import (
    ProductFacts,
    SaleSpec,
    SeatFacts,
    SeatKey,
    StockFacts,
    StockKey,
)

SEATS_MAX = 1_000_000  # in one file: more is a slip of the keyboard
SLOTS_MAX = 100_000
_NUMBER = re.compile(r"[1-9][0-9]{0,4}")
YEARS = range(1970, 3000)


def read_sale(file: str, content: bytes) -> SaleSpec:
    """Read a file of a sale.

    Raises:
        SaleFileError: names every fault by line and column.
    """
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        fault = FileFault(line, 1, "this is not UTF-8", "the file saved as UTF-8")
        raise SaleFileError(file, [fault]) from None
    try:
        data = tomli.loads(text, parse_float=Decimal)
    except tomli.TOMLDecodeError as error:
        fault = FileFault(error.lineno, error.colno, f"this is no TOML: {error.msg}", "see toml.io")
        raise SaleFileError(file, [fault]) from None
    except RecursionError:
        fault = FileFault(1, 1, "this is nested too deeply", "a sale as `sale init` writes it")
        raise SaleFileError(file, [fault]) from None
    return spec_in(file, data, positions_in(text))


def spec_in(file: str, data: dict[str, Any], positions: Positions) -> SaleSpec:
    """Make a sale of a file's values."""
    finder = FaultFinder(positions)
    read = finder.read(data, SaleFile)
    if read is None:
        raise SaleFileError(file, finder.faults)
    spec = _Builder(read, finder).build()
    if finder.faults:
        raise SaleFileError(file, finder.faults)
    return spec


class _Builder:
    """Resolves names, times and prices of one file; what cannot be is a fault at its place."""

    def __init__(self, file: SaleFile, finder: FaultFinder) -> None:
        self._file = file
        self._finder = finder
        self._zone = ZoneInfo(file.time_zone) if is_zone(file.time_zone) else None
        self._classes = {entry.name: n for n, entry in enumerate(file.price_classes)}
        self._seats: dict[SeatKey, SeatFacts] = {}
        self._stocks: dict[StockKey, StockFacts] = {}
        self._products: dict[str, ProductFacts] = {}
        self._seen: dict[Any, Path] = {}
        self._repeated: set[Path] = set()

    def build(self) -> SaleSpec:
        file, at_value = self._file, self._finder.at_value
        if not is_currency(file.currency):
            right = "one of ISO 4217 that people pay with, such as KRW"
            at_value(("currency",), f"there is no currency {file.currency!r}", right)
        if self._zone is None:
            at_value(("time_zone",), f"there is no zone {file.time_zone!r}", "such as Asia/Seoul")
        self._check_texts(msgspec.to_builtins(file, builtin_types=(datetime, Decimal)), ())
        own = self._own()
        occasions = self._occasions()
        classes = self._price_classes()
        for n, section in enumerate(file.sections):
            self._section(section, ("sections", n))
        for n, stock in enumerate(file.stocks):
            self._stock(stock, ("stocks", n))
        for n, slots in enumerate(file.slots):
            self._slots(slots, ("slots", n))
        self._draw_products()
        return SaleSpec(
            template=file.kind,
            slug=file.slug,
            own=own,
            occasions=occasions,
            price_classes=classes,
            seats=self._seats,
            stocks=self._stocks,
            products=self._products,
        )

    def _own(self) -> dict[str, Any]:
        file, limits = self._file, self._file.limits
        opens_at = self._moment(file.opens_at, ("opens_at",))
        closes_at = self._optional(file.closes_at, ("closes_at",))
        if closes_at is not None and closes_at <= opens_at:
            wrong = "the sale would close before it opens"
            self._finder.at_value(("closes_at",), wrong, "a time after opens_at")
        if limits.persons is None and (limits.occasion or limits.person):
            wrong = "whom the limit counts is not said"
            right = (
                'persons = "accounts" (guests can hold nothing) or "guests" (each session counts)'
            )
            self._finder.at_key(("limits", "persons"), wrong, right)
        return {
            "name": file.name,
            "currency": file.currency,
            "time_zone": file.time_zone,
            "opens_at": opens_at,
            "closes_at": closes_at,
            "hold_ttl_s": file.hold_ttl_s,
            "renewals_max": file.renewals_max,
            "order_limit": limits.order,
            "occasion_limit": limits.occasion,
            "person_limit": limits.person,
            "persons": limits.persons,
        }

    def _occasions(self) -> tuple[tuple[str, datetime], ...]:
        if not self._file.occasions:
            wrong = "a sale has at least one occasion"
            self._finder.at_key(("occasions",), wrong, "an [[occasions]] with name and starts_at")
        found = []
        for n, entry in enumerate(self._file.occasions):
            path: Path = ("occasions", n)
            starts_at = self._moment(entry.starts_at, (*path, "starts_at"))
            self._once(("occasion", entry.name, starts_at), (*path, "name"), entry.name)
            found.append((entry.name, starts_at))
        return tuple(found)

    def _price_classes(self) -> tuple[tuple[str, int], ...]:
        found = []
        for n, entry in enumerate(self._file.price_classes):
            path: Path = ("price_classes", n)
            self._once(("price class", entry.name), (*path, "name"), entry.name)
            found.append((entry.name, self._minor(entry.price, (*path, "price"))))
        return tuple(found)

    # Units

    def _section(self, entry: SectionEntry, path: Path) -> None:
        price_class = self._classes.get(entry.price_class)
        if price_class is None:
            known = ", ".join(self._classes) or "none is there: add [[price_classes]]"
            wrong = f"there is no price class {entry.price_class!r}"
            self._finder.at_value((*path, "price_class"), wrong, known)
            return
        occasions = list(range(len(self._file.occasions)))
        if entry.occasions is not None:
            where = (*path, "occasions")
            told = [self._occasion(o, (*where, n)) for n, o in enumerate(entry.occasions)]
            occasions = [o for o in told if o is not None]
        seats = list(self._seats_of(entry, path))
        if len(self._seats) + len(seats) * len(occasions) > SEATS_MAX:
            wrong = "these are too many seats"
            self._finder.at_value((*path, "rows"), wrong, f"at most {SEATS_MAX:,} in one file")
            return
        for occasion in occasions:
            for (row, label, x, y), where in seats:
                key = SeatKey(occasion, entry.name, row, label)
                shown = f"section {entry.name}, row {row}, seat {label}"
                if self._once(("seat", key), where, shown):
                    self._seats[key] = SeatFacts(price_class, x, y)

    def _seats_of(
        self, entry: SectionEntry, path: Path
    ) -> Iterator[tuple[tuple[str, str, float, float], Path]]:
        """What is printed on each seat, its place on the plan, and where the file says so."""
        if isinstance(entry.rows, int):
            if entry.seats_per_row is None:
                wrong = "how many seats a row has is not said"
                self._finder.at_key((*path, "seats_per_row"), wrong, "seats_per_row = 20")
                return
            if entry.rows * entry.seats_per_row > SEATS_MAX:
                wrong = "these are too many seats"
                self._finder.at_value((*path, "rows"), wrong, f"at most {SEATS_MAX:,} in one file")
                return
            for row in range(1, entry.rows + 1):
                for seat in range(1, entry.seats_per_row + 1):
                    yield (str(row), str(seat), float(seat), float(row)), (*path, "rows")
            return
        if entry.seats_per_row is not None:
            wrong = "the rows say themselves which seats they have"
            self._finder.at_key((*path, "seats_per_row"), wrong, "no such line")
        for n, told in enumerate(entry.rows):
            yield from self._row(told, float(n + 1), (*path, "rows", n))

    def _row(
        self, entry: RowEntry, y: float, path: Path
    ) -> Iterator[tuple[tuple[str, str, float, float], Path]]:
        where = (*path, "seats")
        labels = _labels(entry.seats)
        if labels is None:
            wrong = f"{entry.seats!r} is no range of seats"
            self._finder.at_value(where, wrong, '"1-20", or ["1", "2", "A"]')
            return
        for name, given in (("x", entry.x), ("y", entry.y)):
            if given is not None and len(given) != len(labels):
                wrong = f"these are {len(given)} for {len(labels)} seats"
                self._finder.at_value((*path, name), wrong, "one for each seat")
                return
        xs = entry.x or [float(place) for place in range(1, len(labels) + 1)]
        ys = entry.y or [y] * len(labels)
        for label, x, seat_y in zip(labels, xs, ys, strict=True):
            yield (entry.row, label, float(x), float(seat_y)), where

    def _stock(self, entry: StockEntry, path: Path) -> None:
        occasion = self._occasion(entry.occasion, (*path, "occasion"))
        starts_at = self._optional(entry.starts_at, (*path, "starts_at"))
        ends_at = self._optional(entry.ends_at, (*path, "ends_at"))
        if (starts_at is None) != (ends_at is None):
            missing = "ends_at" if starts_at else "starts_at"
            wrong = f"{missing} is missing: a slot has a start and an end"
            self._finder.at_key((*path, missing), wrong, f"{missing} = …")
        elif starts_at and ends_at and ends_at <= starts_at:
            wrong = "it would end before it starts"
            self._finder.at_value((*path, "ends_at"), wrong, "a time after starts_at")
        if occasion is None:
            return
        key = StockKey(occasion, entry.name, starts_at)
        if self._once(("stock", key), (*path, "name"), entry.name):
            self._stocks[key] = StockFacts(entry.capacity, ends_at)
        if entry.price is not None:
            price = self._minor(entry.price, (*path, "price"))
            self._sell(key, price, (*path, "name"))

    def _slots(self, entry: SlotsEntry, path: Path) -> None:
        """Slots are instants: whatever clocks do in between, each has its length."""
        occasion = self._occasion(entry.occasion, (*path, "occasion"))
        starts_at = self._moment(entry.starts_at, (*path, "starts_at"))
        ends_at = self._moment(entry.ends_at, (*path, "ends_at"))
        price = self._minor(entry.price, (*path, "price"))
        length = timedelta(minutes=entry.minutes)
        count = (ends_at - starts_at) // length
        if count < 1 or count > SLOTS_MAX:
            wrong = f"{max(count, 0)} slots of {entry.minutes} minutes fit in"
            self._finder.at_value((*path, "ends_at"), wrong, f"room for 1 to {SLOTS_MAX:,}")
            return
        if occasion is None:
            return
        for place in range(count):
            start = starts_at + place * length
            key = StockKey(occasion, entry.name, start)
            if self._once(
                ("stock", key), (*path, "starts_at"), f"{entry.name} at {start:%H:%M} UTC"
            ):
                self._stocks[key] = StockFacts(entry.capacity, start + length)
                self._sell(key, price, (*path, "name"))

    # Products

    def _sell(self, key: StockKey, price: int, path: Path) -> None:
        name = product_name(key, self._zone)
        if self._once(("product", name), path, f"a product {name}"):
            self._products[name] = ProductFacts(price, ((key, 1),))

    def _draw_products(self) -> None:
        for n, entry in enumerate(self._file.products):
            path: Path = ("products", n)
            draws = [
                (key, draw.units)
                for place, draw in enumerate(entry.draws)
                if (key := self._drawn(draw, (*path, "draws", place))) is not None
            ]
            if not entry.draws:
                wrong = "it draws on nothing"
                self._finder.at_key((*path, "draws"), wrong, 'draws = [{stock = "…"}]')
            price = self._minor(entry.price, (*path, "price"))
            if self._once(("product", entry.name), (*path, "name"), entry.name):
                self._products[entry.name] = ProductFacts(price, tuple(sorted(draws, key=repr)))

    def _drawn(self, entry: DrawEntry, path: Path) -> StockKey | None:
        occasion = self._occasion(entry.occasion, (*path, "occasion"))
        starts_at = self._optional(entry.starts_at, (*path, "starts_at"))
        if occasion is None:
            return None
        key = StockKey(occasion, entry.stock, starts_at)
        if key in self._stocks:
            return key
        names = dict.fromkeys(k.name for k in self._stocks if k.occasion == occasion)
        wrong = f"the occasion has no such stock {entry.stock!r}"
        self._finder.at_value((*path, "stock"), wrong, ", ".join(names) or "add it to [[stocks]]")
        return None

    # What all of them ask

    def _occasion(self, given: OccasionName | None, path: Path) -> int | None:
        """An occasion by name, by its place from one, or the only one that there is."""
        occasions = self._file.occasions
        known = ", ".join(entry.name for entry in occasions)
        if given is None:
            if len(occasions) == 1:
                return 0
            self._finder.at_key(path, "which occasion is not said", f"one of {known}")
            return None
        found = [n for n, o in enumerate(occasions) if given in (o.name, n + 1)]
        if len(found) == 1:
            return found[0]
        if found:
            places = " or ".join(str(n + 1) for n in found)
            self._finder.at_value(path, f"two occasions are called {given!r}", f"{places}")
            return None
        self._finder.at_value(path, f"there is no occasion {given!r}", f"one of {known}")
        return None

    def _moment(self, given: datetime, path: Path) -> datetime:
        """An instant in UTC; a time without offset is one of the sale's zone."""
        if given.year not in YEARS:
            self._finder.at_value(
                path, f"{given} is too far from today", "a year from 1970 to 2999"
            )
            return given.replace(year=2000, tzinfo=UTC)
        if given.tzinfo is not None or self._zone is None:
            return given.astimezone(UTC) if given.tzinfo else given.replace(tzinfo=UTC)
        early, late = (given.replace(tzinfo=self._zone, fold=fold) for fold in (0, 1))
        if early.utcoffset() != late.utcoffset():
            exists = early.astimezone(UTC).astimezone(self._zone).replace(tzinfo=None) == given
            wrong = f"{given} comes {'twice' if exists else 'never'} in {self._file.time_zone}"
            self._finder.at_value(path, wrong, f"one with an offset, such as {early.isoformat()}")
        return early.astimezone(UTC)

    def _optional(self, given: datetime | None, path: Path) -> datetime | None:
        return None if given is None else self._moment(given, path)

    def _minor(self, amount: Money, path: Path) -> int:
        if not is_currency(self._file.currency):
            return 0
        try:
            return minor_units(amount, self._file.currency)
        except AmountError as error:
            wrong = f"{amount} is no price in {self._file.currency}"
            self._finder.at_value(path, wrong, str(error))
            return 0

    def _once(self, key: Any, path: Path, shown: str) -> bool:
        """Whether something stands in the file for the first time; told once for each place."""
        before = self._seen.get(key)
        if before is None:
            self._seen[key] = path
            return True
        if path not in self._repeated:
            self._repeated.add(path)
            wrong = f"{shown} is there already, in line {self._finder.line_of(before)}"
            what = "seat" if key[0] == "seat" else "name"
            self._finder.at_value(path, wrong, f"each {what} once")
        return False

    def _check_texts(self, value: Any, path: Path) -> None:
        """Names that look like another one on paper, and are not the same to a computer."""
        if isinstance(value, dict):
            for key, inner in value.items():
                self._check_texts(inner, (*path, key))
        elif isinstance(value, list):
            for n, inner in enumerate(value):
                self._check_texts(inner, (*path, n))
        elif isinstance(value, str) and not _is_tidy(value):
            wrong = f"{value!r} would look like another text"
            right = "without blanks at its ends, in Unicode's composed form (NFC)"
            self._finder.at_value(path, wrong, right)


def _is_tidy(text: str) -> bool:
    return text == text.strip() and is_normalized("NFC", text) and "\x00" not in text


def product_name(key: StockKey, zone: ZoneInfo | None) -> str:
    """What one of a stock is called when it is sold: its name, and when it starts if it does."""
    if key.starts_at is None:
        return key.name
    return f"{key.name}, {key.starts_at.astimezone(zone or UTC):%Y-%m-%d %H:%M}"


def _labels(seats: str | tuple[str, ...]) -> list[str] | None:
    if not isinstance(seats, str):
        return list(seats)
    first, dash, last = seats.partition("-")
    ends = (first, last if dash else first)
    if not all(_NUMBER.fullmatch(end) for end in ends):
        return None
    return [str(label) for label in range(int(ends[0]), int(ends[1]) + 1)]
