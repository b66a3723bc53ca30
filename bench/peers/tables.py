"""The engine's tables as SQLAlchemy Core knows them: only the columns that a hold needs."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Integer,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

metadata = MetaData()


def keyed(name: str, *columns: "Column[object]") -> Table:
    """Make a table whose key begins with organisation and sale, as all of them do."""
    return Table(
        name,
        metadata,
        Column("organisation", Integer, primary_key=True),
        Column("sale", BigInteger, primary_key=True),
        *columns,
    )


sales = keyed(
    "sales",
    Column("currency", Text),
    Column("opens_at", DateTime(timezone=True)),
    Column("closes_at", DateTime(timezone=True)),
    Column("paused", Boolean),
    Column("hold_ttl_s", Integer),
    Column("renewals_max", Integer),
    Column("order_limit", Integer),
    Column("occasion_limit", Integer),
    Column("person_limit", Integer),
)
price_classes = keyed(
    "price_classes",
    Column("price_class", Integer, primary_key=True),
    Column("price", BigInteger),
)
seats = keyed(
    "seats",
    Column("seat", Integer, primary_key=True),
    Column("occasion", Integer),
    Column("price_class", Integer),
    Column("hold", UUID(as_uuid=True)),
    Column("expires_at", DateTime(timezone=True)),
    Column("row_version", Integer),  # in the optimistic peer's database only
)
stocks = keyed(
    "stocks",
    Column("stock", Integer, primary_key=True),
    Column("occasion", Integer),
    Column("capacity", BigInteger),
    Column("held", BigInteger),
    Column("sold", BigInteger),
    Column("row_version", Integer),
)
products = keyed(
    "products",
    Column("product", Integer, primary_key=True),
    Column("price", BigInteger),
)
product_draws = keyed(
    "product_draws",
    Column("product", Integer, primary_key=True),
    Column("stock", Integer, primary_key=True),
    Column("units", Integer),
)
person_uses = keyed(
    "person_uses",
    Column("person", UUID(as_uuid=True), primary_key=True),
    Column("occasion", Integer, primary_key=True),
    Column("units", Integer),
    Column("units_max", Integer),
    Column("row_version", Integer),
)
holds = keyed(
    "holds",
    Column("hold", UUID(as_uuid=True), primary_key=True),
    Column("person", UUID(as_uuid=True)),
    Column("state", Text),
    Column("seats", ARRAY(Integer)),
    Column("products", ARRAY(Integer)),
    Column("product_quantities", ARRAY(Integer)),
    Column("stocks", ARRAY(Integer)),
    Column("stock_units", ARRAY(Integer)),
    Column("use_occasions", ARRAY(Integer)),
    Column("use_units", ARRAY(Integer)),
    Column("units", Integer),
    Column("amount", BigInteger),
    Column("request_digest", UUID(as_uuid=True)),
    Column("renewals", ARRAY(UUID(as_uuid=True))),
    Column("placed_at", DateTime(timezone=True)),
    Column("expires_at", DateTime(timezone=True)),
)
outbox = Table(
    "outbox",
    metadata,
    Column("event", BigInteger, primary_key=True),
    Column("organisation", Integer),
    Column("sale", BigInteger),
    Column("kind", Text),
    Column("payload", JSONB),
)
