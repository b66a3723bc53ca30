"""Read what the locked rows of sales say, and name the statements that ask for it."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from sunseo.booking.catalogue import Catalogue, PersonScope, Product
from sunseo.booking.commands import SaleKey
from sunseo.booking.inventory import Hold, HoldState, Inventory, SaleTerms, Seat, Stock, Use
from sunseo.core.clock import Instant
from sunseo.engine.streams import Stream, StreamKind
from sunseo.postgres.locks import Lockable
from sunseo.postgres.pipelined.arrays import array_of
from sunseo.postgres.pipelined.statements import Columns, Row, Statement, take
from sunseo.postgres.queries import load_queries

QUERIES = load_queries("sunseo.booking")

RECLAIM_MAX = 100  # past-due holds to reclaim for one stock or person in one turn, oldest first


class LockedSale(SaleTerms, frozen=True):
    """A sale's own row, and which catalogue goes with it."""

    catalogue_version: int


def sale_stream(key: SaleKey) -> Stream:
    return Stream(SALES.name, *key)


def _locked_sales(columns: Columns) -> list[LockedSale]:
    rows = take(
        columns,
        "opens_at",
        "closes_at",
        "paused",
        "hold_ttl_s",
        "renewals_max",
        "order_limit",
        "version",
        "catalogue_version",
    )
    return [LockedSale(*row) for row in rows]


SALES = StreamKind(
    "sale", Lockable.SALE, QUERIES["lock_sales"], QUERIES["raise_sales"], _locked_sales
)


def ask_for(name: str, asked: Iterable[tuple[SaleKey, int | UUID]]) -> Statement:
    """A statement that finds rows by the sale and one more key; each row once."""
    rows = list(dict.fromkeys(asked))
    keys = array_of(key for _, key in rows)
    return Statement(QUERIES[name], (*sale_columns(sale for sale, _ in rows), keys))


def ask_for_past_due(
    by: str, asked: Iterable[tuple[SaleKey, int | UUID]], now: Instant
) -> Statement:
    """What finds past-due holds that still count for a stock or a person, oldest first."""
    statement = ask_for(f"find_past_due_by_{by}", asked)
    arguments = (*statement.arguments, now.isoformat(), str(RECLAIM_MAX))
    return Statement(statement.query, arguments)


def sale_columns(keys: Iterable[SaleKey]) -> tuple[str, str]:
    pairs = list(keys)
    return array_of(organisation for organisation, _ in pairs), array_of(sale for _, sale in pairs)


def take_seats(inventory: Inventory, columns: Columns) -> None:
    names = "organisation", "sale", "seat", "occasion", "price_class", "hold", "expires_at"
    for organisation, number, seat, *row in take(columns, *names):
        if (sale := inventory.sales.get((organisation, number))) is not None:
            sale.seats[seat] = Seat(*row)


def take_stocks(inventory: Inventory, columns: Columns) -> None:
    names = "organisation", "sale", "stock", "capacity", "held", "sold"
    for organisation, number, stock, *row in take(columns, *names):
        if (sale := inventory.sales.get((organisation, number))) is not None:
            sale.stocks[stock] = Stock(*row)


def take_uses(inventory: Inventory, columns: Columns) -> None:
    names = "organisation", "sale", "person", "occasion", "units", "units_max"
    for organisation, number, person, occasion, *row in take(columns, *names):
        if (sale := inventory.sales.get((organisation, number))) is not None:
            sale.uses[person, occasion] = Use(*row)


def take_holds(inventory: Inventory, columns: Columns) -> None:
    for hold in map(hold_of, columns.rows()):
        if (sale := inventory.sales.get(hold.sale)) is not None:
            sale.holds[hold.hold] = hold


def hold_of(row: Row) -> Hold:
    return Hold(
        sale=(row["organisation"], row["sale"]),
        hold=row["hold"],
        person=row["person"],
        state=HoldState(row["state"]),
        seats=tuple(row["seats"]),
        products=tuple(zip(row["products"], row["product_quantities"], strict=True)),
        draws=tuple(zip(row["stocks"], row["stock_units"], strict=True)),
        uses=tuple(zip(row["use_occasions"], row["use_units"], strict=True)),
        units=row["units"],
        amount=row["amount"],
        request_digest=row["request_digest"],
        renewals=tuple(row["renewals"]),
        placed_at=row["placed_at"],
        expires_at=row["expires_at"],
        ended_at=row["ended_at"],
    )


class CatalogueReading:
    """The catalogues of some sales, put together from four statements."""

    def __init__(self, keys: Sequence[SaleKey]) -> None:
        columns = sale_columns(keys)
        names = "sales", "occasions", "prices", "products"
        self.statements = [Statement(QUERIES[f"read_catalogue_{name}"], columns) for name in names]
        self._answers: list[Columns] = []

    def take(self, columns: Columns) -> None:
        self._answers.append(columns)

    @property
    def is_complete(self) -> bool:
        return len(self._answers) == len(self.statements)

    def catalogues(self) -> dict[SaleKey, Catalogue]:
        sales, *parts = self._answers
        occasions, prices, products = map(_by_sale, parts)
        return {
            key: Catalogue(
                version=row["catalogue_version"],
                currency=row["currency"],
                occasion_limit=row["occasion_limit"],
                person_limit=row["person_limit"],
                prices={one["price_class"]: one["price"] for one in prices.get(key, ())},
                products=_products_of(products.get(key, ()), starts),
                starts=starts,
                persons=PersonScope(row["persons"]) if row["persons"] else None,
            )
            for row in sales.rows()
            for key in [(row["organisation"], row["sale"])]
            for starts in [{one["occasion"]: one["starts_at"] for one in occasions.get(key, ())}]
        }


def _by_sale(columns: Columns) -> dict[SaleKey, list[Row]]:
    rows: dict[SaleKey, list[Row]] = {}
    for row in columns.rows():
        rows.setdefault((row["organisation"], row["sale"]), []).append(row)
    return rows


def _products_of(rows: Iterable[Row], starts: Mapping[int, Instant]) -> dict[int, Product]:
    offered: dict[int, Product] = {}
    for row in rows:
        known = offered.get(row["product"], Product(row["price"], (), ()))
        # An appointment begins when it does; other stock when its occasion does.
        begins = row["starts_at"] or starts.get(row["occasion"])
        offered[row["product"]] = Product(
            row["price"],
            (*known.draws, (row["stock"], row["units"])),
            tuple(sorted({*known.occasions, row["occasion"]})),
            min(filter(None, (known.starts_at, begins)), default=None),
        )
    return offered
