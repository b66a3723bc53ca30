"""The halls that are sold in the benchmark, as data and as SQL.

A hall is loaded once into a database that then serves as a template; every run gets its own clone,
so each starts alike. All halls have a second sale, in which servers warm up, and what an older one
left behind.
"""

from dataclasses import dataclass

WARM_UP_SALE = 900_001
WARM_UP_SEATS = 20_000
WARM_UP_PERSON_LIMIT = 1_000_000


@dataclass(frozen=True, slots=True)
class Hall:
    """Some sales, numbered from one, all alike.

    Attributes:
        seats: of each sale, numbered from one.
        taken: how many of them, from the first, somebody holds beforehand.
        stock: capacity of stock 1, on which product 1 draws one unit; 0 for no stock.
    """

    name: str
    sales: int
    seats: int
    taken: int
    stock: int
    person_limit: int
    occasion_limit: int | None
    hold_ttl_s: int = 600  # longer than any run: nothing expires in one


def arena(*, quick: bool) -> Hall:
    """One very large sale: nobody is refused."""
    return Hall("arena", 1, 50_000 if quick else 1_000_000, 0, 0, 1_000, None)


def new_persons(*, quick: bool) -> Hall:
    """The same with limits that people do reach."""
    return Hall("new_persons", 1, 50_000 if quick else 1_000_000, 0, 0, 4, 4)


def nearly_gone() -> Hall:
    return Hall("nearly_gone", 1, 2_000, 100, 0, 1_000, None)


def standing() -> Hall:
    """One stock row that everybody wants; it never sells out within a run."""
    return Hall("standing", 1, 0, 0, 1_000_000_000, 1_000_000, None)


def small_sales(*, quick: bool) -> Hall:
    """Thousands of small sales that all open at once."""
    return Hall("small_sales", 200 if quick else 5_000, 20, 0, 0, 1_000, None)


def warm_up() -> Hall:
    return Hall("warm_up", 1, WARM_UP_SEATS, 0, 1_000_000_000, WARM_UP_PERSON_LIMIT, None)


SALES = """
INSERT INTO sales (organisation, sale, name, template, currency, time_zone, opens_at, hold_ttl_s,
                   renewals_max, order_limit, occasion_limit, person_limit, persons)
SELECT 1, sale, 'Sale ' || sale, 'concert', 'KRW', 'Asia/Seoul', clock_timestamp(), $5, 3, 10,
       $3, $4, 'accounts'
FROM generate_series($1::bigint, $2::bigint) AS sale
"""
OCCASIONS = """
INSERT INTO occasions SELECT 1, sale, 1, 'Evening', clock_timestamp() + interval '30 days'
FROM generate_series($1::bigint, $2::bigint) AS sale
"""
PRICE_CLASSES = """
INSERT INTO price_classes SELECT 1, sale, 1, 'R', 0
FROM generate_series($1::bigint, $2::bigint) AS sale
"""
SEATS = """
INSERT INTO seats SELECT 1, sale, seat, 1, 1, 'A', ((seat - 1) / 50 + 1)::text,
       ((seat - 1) % 50 + 1)::text, (seat - 1) % 50, (seat - 1) / 50, NULL, NULL
FROM generate_series($1::bigint, $2::bigint) AS sale, generate_series(1, $3::integer) AS seat
"""
STOCKS = """
INSERT INTO stocks (organisation, sale, stock, occasion, name, capacity)
SELECT 1, sale, 1, 1, 'Standing', $3::bigint FROM generate_series($1::bigint, $2::bigint) AS sale
"""
PRODUCTS = """
INSERT INTO products SELECT 1, sale, 1, 'Standing', 0
FROM generate_series($1::bigint, $2::bigint) AS sale
"""
PRODUCT_DRAWS = """
INSERT INTO product_draws SELECT 1, sale, 1, 1, 1
FROM generate_series($1::bigint, $2::bigint) AS sale
"""
TAKEN_HOLD = """
INSERT INTO holds (organisation, sale, hold, person, state, seats, products, product_quantities,
                   stocks, stock_units, use_occasions, use_units, units, amount, request_digest,
                   placed_at, expires_at)
SELECT 1, $1::bigint, $2::uuid, $2, 'open', array_agg(seat), '{}', '{}', '{}', '{}', '{0}',
       ARRAY[$3::integer], $3, 0, $2, clock_timestamp(), clock_timestamp() + interval '1 day'
FROM generate_series(1, $3) AS seat
"""
TAKEN_SEATS = """
UPDATE seats s SET hold = h.hold, expires_at = h.expires_at FROM holds h
WHERE h.sale = $1 AND s.sale = h.sale AND s.seat = ANY (h.seats)
"""
TAKEN_USE = """
INSERT INTO person_uses SELECT 1, $1::bigint, $2::uuid, 0, $3::integer, $4::integer
"""

HISTORY_SALE = 900_002
HISTORY_HOLDS = 50_000
HISTORY = (
    """
INSERT INTO holds (organisation, sale, hold, person, state, seats, products, product_quantities,
                   stocks, stock_units, use_occasions, use_units, units, amount, request_digest,
                   placed_at, expires_at, ended_at)
SELECT 1, $1::bigint, past.id, past.id, 'released', ARRAY[past.number], '{}', '{}', '{}', '{}',
       '{0}', '{1}', 1, 0, past.id, now() - interval '1 day', now() - interval '1 day',
       now() - interval '1 day'
FROM (SELECT number, gen_random_uuid() AS id FROM generate_series(1, $2::integer) AS number) past
""",
    """
INSERT INTO person_uses
SELECT 1, $1::bigint, gen_random_uuid(), 0, 0, 4 FROM generate_series(1, $2::integer)
""",
)
"""An older sale's rows. Without any, the planner knows holds and counters as empty, plans scans of
whole tables, and keeps those plans in its prepared statements while the tables grow: everyone would
be measured on their first minute's worst luck."""
