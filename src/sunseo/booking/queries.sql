-- The statements of the inventory's part. All of them are set-based and find their rows by key.
-- A batch locks the sales, before anything else; every other row is read and written under the row
-- of its sale and never locked by itself.
--
-- Tables are joined by `organisation = ANY (ARRAY[…])`: to the planner that is no equality to sort
-- and merge by, so that reading a table by its keys is the only way that it sees. With a plain
-- equality it scans a table that had one row when it was last analysed, and goes on doing so.

-- name: lock_sales
-- Lock the sales of a batch: the keys are sorted first and then visited one after the other, which
-- LATERAL makes the only possible plan. What somebody else has locked is told from what is not there.
SELECT
    asked.organisation, asked.sale AS number, s.version, s.opens_at, s.closes_at, s.paused,
    s.hold_ttl_s, s.renewals_max, s.order_limit, s.catalogue_version,
    s.version IS NULL AND EXISTS (
        SELECT FROM sales
        WHERE sales.organisation = ANY (ARRAY[asked.organisation]) AND sales.sale = asked.sale
    ) AS is_locked
FROM (
    SELECT keys.*
    FROM unnest($1::text::integer[], $2::text::bigint[]) AS keys (organisation, sale)
    ORDER BY keys.organisation, keys.sale
) AS asked
LEFT JOIN LATERAL (
    SELECT sales.*
    FROM sales
    WHERE sales.organisation = asked.organisation AND sales.sale = asked.sale
    FOR NO KEY UPDATE SKIP LOCKED
) AS s ON true;

-- name: raise_sales
-- Note the new versions of sales that a batch has changed.
UPDATE sales AS s
SET version = raised.version
FROM unnest($1::text::integer[], $2::text::bigint[], $3::text::bigint[])
    AS raised (organisation, sale, version)
WHERE s.organisation = ANY (ARRAY[raised.organisation]) AND s.sale = raised.sale;

-- name: find_holds
-- Read holds by id: before the locks for what they claim, which never changes, and under them for
-- how they stand, and for what earlier tries of a command have left behind.
SELECT h.*
FROM unnest($1::text::integer[], $2::text::bigint[], $3::text::uuid[]) AS asked (organisation, sale, hold)
JOIN holds AS h
    ON h.organisation = ANY (ARRAY[asked.organisation]) AND h.sale = asked.sale
    AND h.hold = asked.hold;

-- name: look_up_seats
-- Read the seats that a batch asks for or lets go.
SELECT s.organisation, s.sale, s.seat, s.occasion, s.price_class, s.hold, s.expires_at
FROM unnest($1::text::integer[], $2::text::bigint[], $3::text::integer[]) AS asked (organisation, sale, seat)
JOIN seats AS s
    ON s.organisation = ANY (ARRAY[asked.organisation]) AND s.sale = asked.sale
    AND s.seat = asked.seat;

-- name: look_up_uses
-- Read all that is counted of persons. What is missing counts as nought.
SELECT u.organisation, u.sale, u.person, u.occasion, u.units, u.units_max
FROM unnest($1::text::integer[], $2::text::bigint[], $3::text::uuid[]) AS asked (organisation, sale, person)
JOIN person_uses AS u
    ON u.organisation = ANY (ARRAY[asked.organisation]) AND u.sale = asked.sale
    AND u.person = asked.person;

-- name: look_up_stocks
-- Read the counters of stock.
SELECT t.organisation, t.sale, t.stock, t.capacity, t.held, t.sold
FROM unnest($1::text::integer[], $2::text::bigint[], $3::text::integer[]) AS asked (organisation, sale, stock)
JOIN stocks AS t
    ON t.organisation = ANY (ARRAY[asked.organisation]) AND t.sale = asked.sale
    AND t.stock = asked.stock;

-- name: look_up_stocks_of_products
-- Read the counters that products draw on, where no catalogue is at hand to tell which. OFFSET 0
-- keeps the planner from beginning with all stocks of a sale.
SELECT DISTINCT asked.organisation, asked.sale, d.stock, t.capacity, t.held, t.sold
FROM unnest($1::text::integer[], $2::text::bigint[], $3::text::integer[]) AS asked (organisation, sale, product)
CROSS JOIN LATERAL (
    SELECT product_draws.stock
    FROM product_draws
    WHERE product_draws.organisation = asked.organisation AND product_draws.sale = asked.sale
        AND product_draws.product = asked.product
    OFFSET 0
) AS d
CROSS JOIN LATERAL (
    SELECT stocks.capacity, stocks.held, stocks.sold
    FROM stocks
    WHERE stocks.organisation = asked.organisation AND stocks.sale = asked.sale
        AND stocks.stock = d.stock
    OFFSET 0
) AS t;

-- name: find_past_due_by_stock
-- Find, oldest first, holds that still count in a stock though their time has run out.
SELECT asked.organisation, asked.sale, asked.stock, due.hold
FROM unnest($1::text::integer[], $2::text::bigint[], $3::text::integer[]) AS asked (organisation, sale, stock)
CROSS JOIN LATERAL (
    SELECT h.hold
    FROM holds AS h
    WHERE ARRAY[h.organisation, h.sale] = ARRAY[asked.organisation, asked.sale]
        AND h.state = 'open' AND h.expires_at <= $4::text::timestamptz AND asked.stock = ANY (h.stocks)
    ORDER BY h.expires_at
    LIMIT $5::text::bigint
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
        AND h.ended_at IS NULL AND h.expires_at <= $4::text::timestamptz
    ORDER BY h.expires_at
    LIMIT $5::text::bigint
) AS due;

-- name: move_seats
-- Write who has which seat, and until when.
UPDATE seats AS s
SET hold = moved.hold, expires_at = moved.expires_at
FROM unnest($1::text::integer[], $2::text::bigint[], $3::text::integer[], $4::text::uuid[], $5::text::timestamptz[])
    AS moved (organisation, sale, seat, hold, expires_at)
WHERE s.organisation = ANY (ARRAY[moved.organisation]) AND s.sale = moved.sale
    AND s.seat = moved.seat;

-- name: place_holds
-- Write the holds that were placed.
INSERT INTO holds (
    organisation, sale, hold, person, state, seats, products, product_quantities, stocks,
    stock_units, use_occasions, use_units, units, amount, request_digest, renewals, placed_at,
    expires_at, ended_at
)
SELECT placed.*
FROM json_to_recordset($1::text::json) AS placed (
    organisation integer, sale bigint, hold uuid, person uuid, state text, seats integer[],
    products integer[], product_quantities integer[], stocks integer[], stock_units integer[],
    use_occasions integer[], use_units integer[], units integer, amount bigint,
    request_digest uuid, renewals uuid[], placed_at timestamptz, expires_at timestamptz,
    ended_at timestamptz
);

-- name: move_holds
-- Write how other holds have ended, or how long they now last.
UPDATE holds AS h
SET
    state = moved.state, expires_at = moved.expires_at, ended_at = moved.ended_at,
    renewals = moved.renewals
FROM json_to_recordset($1::text::json) AS moved (
    organisation integer, sale bigint, hold uuid, state text, renewals uuid[],
    expires_at timestamptz, ended_at timestamptz
)
WHERE h.organisation = ANY (ARRAY[moved.organisation]) AND h.sale = moved.sale
    AND h.hold = moved.hold;

-- name: make_uses
-- Write the counters of persons who had none.
INSERT INTO person_uses (organisation, sale, person, occasion, units, units_max)
SELECT made.*
FROM unnest($1::text::integer[], $2::text::bigint[], $3::text::uuid[], $4::text::integer[], $5::text::integer[], $6::text::integer[])
    AS made (organisation, sale, person, occasion, units, units_max);

-- name: count_uses
-- Write what persons now have.
UPDATE person_uses AS u
SET units = counted.units
FROM unnest($1::text::integer[], $2::text::bigint[], $3::text::uuid[], $4::text::integer[], $5::text::integer[])
    AS counted (organisation, sale, person, occasion, units)
WHERE u.organisation = ANY (ARRAY[counted.organisation]) AND u.sale = counted.sale
    AND u.person = counted.person AND u.occasion = counted.occasion;

-- name: count_stocks
-- Write how much of each stock is held and sold.
UPDATE stocks AS t
SET held = counted.held, sold = counted.sold
FROM unnest($1::text::integer[], $2::text::bigint[], $3::text::integer[], $4::text::bigint[], $5::text::bigint[])
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
