-- The statements of the inventory's lane. All of them are set-based and find their rows by key.
-- Locks are taken in the order of postgres/locks.py, each kind by one statement: the keys are
-- sorted first and then visited one after the other, which LATERAL makes the only possible plan.
--
-- Elsewhere tables are joined by `organisation = ANY (ARRAY[…])`: to the planner that is no equality
-- to sort and merge by, so that reading a table by its keys is the only way that it sees. With a
-- plain equality it scans a table that had one row when it was last analysed, and goes on doing so.

-- name: find_holds
-- Read holds by id, plainly: what they claim never changes, so it tells what to lock.
SELECT h.*
FROM unnest($1::text::integer[], $2::text::bigint[], $3::text::uuid[]) AS asked (organisation, sale, hold)
JOIN holds AS h
    ON h.organisation = ANY (ARRAY[asked.organisation]) AND h.sale = asked.sale
    AND h.hold = asked.hold;

-- name: lock_seats
-- Lock the seats that a batch asks for or lets go.
SELECT asked.organisation, asked.sale, asked.seat, s.occasion, s.price_class, s.hold, s.expires_at
FROM (
    SELECT keys.*
    FROM unnest($1::text::integer[], $2::text::bigint[], $3::text::integer[]) AS keys (organisation, sale, seat)
    ORDER BY keys.organisation, keys.sale, keys.seat
) AS asked
CROSS JOIN LATERAL (
    SELECT seats.occasion, seats.price_class, seats.hold, seats.expires_at
    FROM seats
    WHERE seats.organisation = asked.organisation AND seats.sale = asked.sale
        AND seats.seat = asked.seat
    FOR NO KEY UPDATE
) AS s;

-- name: lock_holds
-- Lock the holds that a batch may end or renew.
SELECT h.*
FROM (
    SELECT keys.*
    FROM unnest($1::text::integer[], $2::text::bigint[], $3::text::uuid[]) AS keys (organisation, sale, hold)
    ORDER BY keys.organisation, keys.sale, keys.hold
) AS asked
CROSS JOIN LATERAL (
    SELECT holds.*
    FROM holds
    WHERE holds.organisation = asked.organisation AND holds.sale = asked.sale
        AND holds.hold = asked.hold
    FOR NO KEY UPDATE
) AS h;

-- name: take_person_uses
-- Make sure that each counter exists, since absence cannot be locked, and lock those that did. What
-- is made here is nobody else's before this transaction ends. A counter that somebody else made
-- meanwhile is in neither half: it asks for another turn. The count comes first and so has all
-- insertions, in key order, done before the first lock.
WITH asked AS MATERIALIZED (
    SELECT keys.*
    FROM unnest($1::text::integer[], $2::text::bigint[], $3::text::uuid[], $4::text::integer[], $5::text::integer[])
        AS keys (organisation, sale, person, occasion, units_max)
    ORDER BY keys.organisation, keys.sale, keys.person, keys.occasion
), made AS (
    INSERT INTO person_uses (organisation, sale, person, occasion, units_max)
    SELECT asked.* FROM asked
    ON CONFLICT DO NOTHING
    RETURNING organisation, sale, person, occasion, units, units_max
)
SELECT made.* FROM made
UNION ALL
SELECT asked.organisation, asked.sale, asked.person, asked.occasion, u.units, u.units_max
FROM asked
CROSS JOIN LATERAL (
    SELECT person_uses.units, person_uses.units_max
    FROM person_uses
    WHERE person_uses.organisation = asked.organisation AND person_uses.sale = asked.sale
        AND person_uses.person = asked.person AND person_uses.occasion = asked.occasion
    FOR NO KEY UPDATE
) AS u
WHERE (SELECT count(*) FROM made) >= 0;

-- name: lock_stocks
-- Lock the counters of stock.
SELECT asked.organisation, asked.sale, asked.stock, t.capacity, t.held, t.sold
FROM (
    SELECT keys.*
    FROM unnest($1::text::integer[], $2::text::bigint[], $3::text::integer[]) AS keys (organisation, sale, stock)
    ORDER BY keys.organisation, keys.sale, keys.stock
) AS asked
CROSS JOIN LATERAL (
    SELECT stocks.capacity, stocks.held, stocks.sold
    FROM stocks
    WHERE stocks.organisation = asked.organisation AND stocks.sale = asked.sale
        AND stocks.stock = asked.stock
    FOR NO KEY UPDATE
) AS t;

-- name: lock_sales
-- Lock the sales themselves, the hottest rows, last.
SELECT
    asked.organisation, asked.sale, s.opens_at, s.closes_at, s.paused, s.hold_ttl_s,
    s.renewals_max, s.order_limit, s.version, s.catalogue_version
FROM (
    SELECT keys.*
    FROM unnest($1::text::integer[], $2::text::bigint[]) AS keys (organisation, sale)
    ORDER BY keys.organisation, keys.sale
) AS asked
CROSS JOIN LATERAL (
    SELECT sales.*
    FROM sales
    WHERE sales.organisation = asked.organisation AND sales.sale = asked.sale
    FOR NO KEY UPDATE
) AS s;

-- name: read_clock_and_holds
-- Read the time and, once nobody else can be at work on them, the holds that earlier tries left.
SELECT clock_timestamp() AS decided_at, h.*
FROM (SELECT) AS one
LEFT JOIN (
    SELECT holds.*
    FROM unnest($1::text::integer[], $2::text::bigint[], $3::text::uuid[]) AS asked (organisation, sale, hold)
    JOIN holds
        ON holds.organisation = ANY (ARRAY[asked.organisation]) AND holds.sale = asked.sale
        AND holds.hold = asked.hold
) AS h ON true;

-- name: find_past_due_by_stock
-- Find, oldest first, holds that still count in a stock though their time has run out.
SELECT asked.organisation, asked.sale, asked.stock, due.hold
FROM unnest($1::text::integer[], $2::text::bigint[], $3::text::integer[]) AS asked (organisation, sale, stock)
CROSS JOIN LATERAL (
    SELECT h.hold
    FROM holds AS h
    WHERE ARRAY[h.organisation, h.sale] = ARRAY[asked.organisation, asked.sale]
        AND h.state = 'open' AND h.expires_at <= $4 AND asked.stock = ANY (h.stocks)
    ORDER BY h.expires_at
    LIMIT $5
) AS due;

-- name: find_past_due_by_person
-- Find, oldest first, holds that still count for a person though their time has run out. They are
-- looked for among all holds of the person: after a mass expiry those of the sale are many more.
SELECT asked.organisation, asked.sale, asked.person, due.hold
FROM unnest($1::text::integer[], $2::text::bigint[], $3::text::uuid[]) AS asked (organisation, sale, person)
CROSS JOIN LATERAL (
    SELECT h.hold
    FROM holds AS h
    WHERE ARRAY[h.organisation, h.sale] = ARRAY[asked.organisation, asked.sale]
        AND h.person = asked.person AND h.units > 0
        AND h.ended_at IS NULL AND h.expires_at <= $4
    ORDER BY h.expires_at
    LIMIT $5
) AS due;

-- name: save_hall
-- Write what has moved, table by table: who has which seat, the holds that were placed, how others
-- ended or how long they now last, what persons have, and how much of each stock is held and sold.
-- One statement, since each costs its way there and back. Holds travel as JSON: their lists are
-- ragged, which arrays of arrays cannot be.
WITH moved_seats AS (
    UPDATE seats AS s
    SET hold = moved.hold, expires_at = moved.expires_at
    FROM unnest($1::text::integer[], $2::text::bigint[], $3::text::integer[], $4::text::uuid[], $5::text::timestamptz[])
        AS moved (organisation, sale, seat, hold, expires_at)
    WHERE s.organisation = ANY (ARRAY[moved.organisation]) AND s.sale = moved.sale
        AND s.seat = moved.seat
), placed_holds AS (
    INSERT INTO holds (
        organisation, sale, hold, person, state, seats, products, product_quantities, stocks,
        stock_units, use_occasions, use_units, units, amount, request_digest, renewals, placed_at,
        expires_at, ended_at
    )
    SELECT placed.*
    FROM json_to_recordset($6::text::json) AS placed (
        organisation integer, sale bigint, hold uuid, person uuid, state text, seats integer[],
        products integer[], product_quantities integer[], stocks integer[], stock_units integer[],
        use_occasions integer[], use_units integer[], units integer, amount bigint,
        request_digest uuid, renewals uuid[], placed_at timestamptz, expires_at timestamptz,
        ended_at timestamptz
    )
), moved_holds AS (
    UPDATE holds AS h
    SET
        state = moved.state, expires_at = moved.expires_at, ended_at = moved.ended_at,
        renewals = moved.renewals
    FROM json_to_recordset($7::text::json) AS moved (
        organisation integer, sale bigint, hold uuid, state text, renewals uuid[],
        expires_at timestamptz, ended_at timestamptz
    )
    WHERE h.organisation = ANY (ARRAY[moved.organisation]) AND h.sale = moved.sale
        AND h.hold = moved.hold
), counted_uses AS (
    UPDATE person_uses AS u
    SET units = counted.units
    FROM unnest($8::text::integer[], $9::text::bigint[], $10::text::uuid[], $11::text::integer[], $12::text::integer[])
        AS counted (organisation, sale, person, occasion, units)
    WHERE u.organisation = ANY (ARRAY[counted.organisation]) AND u.sale = counted.sale
        AND u.person = counted.person AND u.occasion = counted.occasion
)
UPDATE stocks AS t
SET held = counted.held, sold = counted.sold
FROM unnest($13::text::integer[], $14::text::bigint[], $15::text::integer[], $16::text::bigint[], $17::text::bigint[])
    AS counted (organisation, sale, stock, held, sold)
WHERE t.organisation = ANY (ARRAY[counted.organisation]) AND t.sale = counted.sale
    AND t.stock = counted.stock;

-- name: read_catalogue_sales
-- Read what catalogues say of the sales themselves.
SELECT
    s.organisation, s.sale, s.catalogue_version, s.currency, s.occasion_limit, s.person_limit,
    s.persons
FROM unnest($1::text::integer[], $2::text::bigint[]) AS asked (organisation, sale)
JOIN sales AS s ON s.organisation = ANY (ARRAY[asked.organisation]) AND s.sale = asked.sale;

-- name: read_catalogue_occasions
-- Read when the occasions of sales begin.
SELECT o.organisation, o.sale, o.occasion, o.starts_at
FROM unnest($1::text::integer[], $2::text::bigint[]) AS asked (organisation, sale)
JOIN occasions AS o
    ON o.organisation = ANY (ARRAY[asked.organisation]) AND o.sale = asked.sale;

-- name: read_catalogue_prices
-- Read the price classes of sales.
SELECT c.organisation, c.sale, c.price_class, c.price
FROM unnest($1::text::integer[], $2::text::bigint[]) AS asked (organisation, sale)
JOIN price_classes AS c
    ON c.organisation = ANY (ARRAY[asked.organisation]) AND c.sale = asked.sale;

-- name: read_catalogue_products
-- Read the products of sales with what each draws on. OFFSET 0 keeps the planner from joining all
-- products of a sale with all of its stocks, which looks as cheap while there are none.
SELECT d.organisation, d.sale, d.product, p.price, d.stock, d.units, t.occasion,
    t.starts_at
FROM unnest($1::text::integer[], $2::text::bigint[]) AS asked (organisation, sale)
CROSS JOIN LATERAL (
    SELECT product_draws.*
    FROM product_draws
    WHERE product_draws.organisation = asked.organisation AND product_draws.sale = asked.sale
    OFFSET 0
) AS d
CROSS JOIN LATERAL (
    SELECT products.price
    FROM products
    WHERE products.organisation = d.organisation AND products.sale = d.sale
        AND products.product = d.product
    OFFSET 0
) AS p
CROSS JOIN LATERAL (
    SELECT stocks.occasion, stocks.starts_at
    FROM stocks
    WHERE stocks.organisation = d.organisation AND stocks.sale = d.sale
        AND stocks.stock = d.stock
    OFFSET 0
) AS t
ORDER BY d.organisation, d.sale, d.product, d.stock;
