-- The statements of set-up and of persons' reads. They run on the cold pool, so that they can
-- never starve a lane.

-- name: add_sale
-- Create a sale, unless there is one of that slug.
INSERT INTO sales (
    organisation, slug, name, template, currency, time_zone, opens_at, closes_at, hold_ttl_s,
    renewals_max, order_limit, occasion_limit, person_limit, persons
)
VALUES (
    :organisation, :slug, :name, :template, :currency, :time_zone, :opens_at, :closes_at, :hold_ttl_s,
    :renewals_max, :order_limit, :occasion_limit, :person_limit, :persons
)
ON CONFLICT (organisation, slug) WHERE slug IS NOT NULL DO NOTHING
RETURNING sale;

-- name: find_slug
-- Find the sale that has a slug.
SELECT s.sale FROM sales AS s
WHERE s.organisation = :organisation AND s.slug = :slug AND s.slug IS NOT NULL;

-- name: add_occasions
-- Add a sale's occasions, numbered on from the last one in the order given.
INSERT INTO occasions (organisation, sale, occasion, name, starts_at)
SELECT
    CAST(:organisation AS integer), CAST(:sale AS bigint), :last_occasion + given.place, given.name,
    given.starts_at
FROM unnest(CAST(:names AS text[]), CAST(:starts AS timestamptz[]))
    WITH ORDINALITY AS given (name, starts_at, place);

-- name: add_price_classes
-- Add a sale's price classes, numbered on from the last one in the order given.
INSERT INTO price_classes (organisation, sale, price_class, name, price)
SELECT
    CAST(:organisation AS integer), CAST(:sale AS bigint), :last_price_class + given.place,
    given.name, given.price
FROM unnest(CAST(:names AS text[]), CAST(:prices AS bigint[]))
    WITH ORDINALITY AS given (name, price, place);

-- name: lock_sale
-- Lock one sale for a change by an operator, which is then the only lock held on it.
SELECT version, catalogue_version, paused
FROM sales
WHERE organisation = :organisation AND sale = :sale
FOR NO KEY UPDATE;

-- name: read_numbers
-- Read which numbers a sale's parts have, to number on and to check references.
SELECT
    COALESCE((SELECT max(s.seat) FROM seats AS s
        WHERE s.organisation = :organisation AND s.sale = :sale), 0) AS last_seat,
    COALESCE((SELECT max(t.stock) FROM stocks AS t
        WHERE t.organisation = :organisation AND t.sale = :sale), 0) AS last_stock,
    COALESCE((SELECT max(p.product) FROM products AS p
        WHERE p.organisation = :organisation AND p.sale = :sale), 0) AS last_product,
    COALESCE((SELECT max(o.occasion) FROM occasions AS o
        WHERE o.organisation = :organisation AND o.sale = :sale), 0) AS last_occasion,
    COALESCE((SELECT max(c.price_class) FROM price_classes AS c
        WHERE c.organisation = :organisation AND c.sale = :sale), 0) AS last_price_class;

-- name: find_seats
-- Find which of the seats to be added are there already, by what is printed on their tickets.
SELECT given.place, s.seat, s.price_class, s.x, s.y,
    s.price_class = given.price_class AND s.x = given.x AND s.y = given.y AS is_same
FROM unnest(
    CAST(:occasions AS integer[]), CAST(:price_classes AS integer[]), CAST(:sections AS text[]),
    CAST(:rows AS text[]), CAST(:labels AS text[]), CAST(:xs AS real[]), CAST(:ys AS real[])
) WITH ORDINALITY
    AS given (occasion, price_class, section, row_name, label, x, y, place)
JOIN seats AS s
    ON s.occasion = given.occasion AND s.section = given.section
    AND s.row_name = given.row_name AND s.label = given.label
WHERE s.organisation = :organisation AND s.sale = :sale AND s.seat > 0
ORDER BY given.place;

-- name: find_stocks
-- Find which of the stocks to be added are there already, by occasion, name and start.
SELECT given.place, t.stock,
    t.capacity = given.capacity AND t.ends_at IS NOT DISTINCT FROM given.ends_at AS is_same
FROM unnest(
    CAST(:occasions AS integer[]), CAST(:names AS text[]), CAST(:starts AS timestamptz[]),
    CAST(:ends AS timestamptz[]), CAST(:capacities AS bigint[])
) WITH ORDINALITY AS given (occasion, name, starts_at, ends_at, capacity, place)
JOIN stocks AS t
    ON t.occasion = given.occasion AND t.name = given.name
    AND t.starts_at IS NOT DISTINCT FROM given.starts_at
WHERE t.organisation = :organisation AND t.sale = :sale AND t.stock > 0
ORDER BY given.place;

-- name: find_products
-- Find which of the products to be added are there already, by name, with what they draw on.
SELECT given.place, p.product, p.price, d.stocks, d.units
FROM unnest(CAST(:names AS text[])) WITH ORDINALITY AS given (name, place)
JOIN products AS p ON p.name = given.name
CROSS JOIN LATERAL (
    SELECT array_agg(draws.stock ORDER BY draws.stock) AS stocks,
        array_agg(draws.units ORDER BY draws.stock) AS units
    FROM product_draws AS draws
    WHERE draws.organisation = p.organisation AND draws.sale = p.sale
        AND draws.product = p.product
) AS d
WHERE p.organisation = :organisation AND p.sale = :sale AND p.product > 0
ORDER BY given.place;

-- name: add_seats
-- Add seats, numbered on from the last one in the order given.
INSERT INTO seats (
    organisation, sale, seat, occasion, price_class, section, row_name, label, x, y
)
SELECT
    CAST(:organisation AS integer), CAST(:sale AS bigint), :last_seat + given.place,
    given.occasion, given.price_class, given.section, given.row_name, given.label, given.x, given.y
FROM unnest(
    CAST(:occasions AS integer[]), CAST(:price_classes AS integer[]), CAST(:sections AS text[]),
    CAST(:rows AS text[]), CAST(:labels AS text[]), CAST(:xs AS real[]), CAST(:ys AS real[])
) WITH ORDINALITY
    AS given (occasion, price_class, section, row_name, label, x, y, place);

-- name: add_stocks
-- Add stocks, numbered on from the last one in the order given.
INSERT INTO stocks (organisation, sale, stock, occasion, name, starts_at, ends_at, capacity)
SELECT
    CAST(:organisation AS integer), CAST(:sale AS bigint), :last_stock + given.place,
    given.occasion, given.name, given.starts_at, given.ends_at, given.capacity
FROM unnest(
    CAST(:occasions AS integer[]), CAST(:names AS text[]), CAST(:starts AS timestamptz[]),
    CAST(:ends AS timestamptz[]), CAST(:capacities AS bigint[])
) WITH ORDINALITY AS given (occasion, name, starts_at, ends_at, capacity, place);

-- name: add_products
-- Add products, numbered on from the last one in the order given.
INSERT INTO products (organisation, sale, product, name, price)
SELECT
    CAST(:organisation AS integer), CAST(:sale AS bigint), :last_product + given.place,
    given.name, given.price
FROM unnest(CAST(:names AS text[]), CAST(:prices AS bigint[]))
    WITH ORDINALITY AS given (name, price, place);

-- name: add_draws
-- Say what each product draws on.
INSERT INTO product_draws (organisation, sale, product, stock, units)
SELECT
    CAST(:organisation AS integer), CAST(:sale AS bigint), given.product, given.stock, given.units
FROM unnest(
    CAST(:products AS integer[]), CAST(:stocks AS integer[]), CAST(:units AS integer[])
) AS given (product, stock, units);

-- name: set_paused
-- Pause a sale or let it go on.
UPDATE sales
SET paused = :paused
WHERE organisation = :organisation AND sale = :sale;

-- name: has_holds
-- Tell whether anybody has ever held anything of a sale.
SELECT EXISTS (
    SELECT FROM holds AS h
    WHERE h.organisation = :organisation AND h.sale = :sale
) AS has_holds;

-- name: change_sale
-- Write a sale's own fields.
UPDATE sales
SET
    name = :name, currency = :currency, time_zone = :time_zone, opens_at = :opens_at,
    closes_at = :closes_at, hold_ttl_s = :hold_ttl_s, renewals_max = :renewals_max,
    order_limit = :order_limit, occasion_limit = :occasion_limit, person_limit = :person_limit,
    persons = :persons
WHERE organisation = :organisation AND sale = :sale;

-- name: change_occasions
-- Write how occasions are called, and when they begin.
UPDATE occasions AS o
SET name = given.name, starts_at = given.starts_at
FROM unnest(
    CAST(:numbers AS integer[]), CAST(:names AS text[]), CAST(:starts AS timestamptz[])
) AS given (occasion, name, starts_at)
WHERE o.organisation = :organisation AND o.sale = :sale AND o.occasion = given.occasion;

-- name: change_price_classes
-- Write how price classes are called, and what they cost.
UPDATE price_classes AS c
SET name = given.name, price = given.price
FROM unnest(CAST(:numbers AS integer[]), CAST(:names AS text[]), CAST(:prices AS bigint[]))
    AS given (price_class, name, price)
WHERE c.organisation = :organisation AND c.sale = :sale AND c.price_class = given.price_class;

-- name: change_products
-- Write what products cost.
UPDATE products AS p
SET price = given.price
FROM unnest(CAST(:numbers AS integer[]), CAST(:prices AS bigint[])) AS given (product, price)
WHERE p.organisation = :organisation AND p.sale = :sale AND p.product = given.product;

-- name: change_stocks
-- Write how much there is of stocks.
UPDATE stocks AS t
SET capacity = given.capacity
FROM unnest(CAST(:numbers AS integer[]), CAST(:capacities AS bigint[])) AS given (stock, capacity)
WHERE t.organisation = :organisation AND t.sale = :sale AND t.stock = given.stock;

-- name: raise_person_limits
-- Let persons who are counted already have as many as the sale now says.
UPDATE person_uses AS u
SET units_max = CASE u.occasion WHEN 0 THEN s.person_limit ELSE s.occasion_limit END
FROM sales AS s
WHERE s.organisation = :organisation AND s.sale = :sale
    AND u.organisation = :organisation AND u.sale = :sale
    AND u.units_max <> CASE u.occasion WHEN 0 THEN s.person_limit ELSE s.occasion_limit END;

-- name: raise_versions
-- Raise a locked sale's versions.
UPDATE sales
SET version = version + 1, catalogue_version = catalogue_version + :catalogue_step
WHERE organisation = :organisation AND sale = :sale
RETURNING version;

-- name: read_sale
-- Read a sale with what it offers.
SELECT
    s.sale, s.name, s.template, s.currency, s.time_zone, s.opens_at, s.closes_at, s.paused,
    s.hold_ttl_s, s.renewals_max, s.order_limit, s.occasion_limit, s.person_limit, s.persons,
    s.version, s.catalogue_version, clock_timestamp() AS now,
    (SELECT COALESCE(jsonb_agg(jsonb_build_object('occasion', o.occasion, 'name', o.name,
            'starts_at', o.starts_at) ORDER BY o.occasion), '[]')
        FROM occasions AS o WHERE o.organisation = s.organisation AND o.sale = s.sale)
        AS occasions,
    (SELECT COALESCE(jsonb_agg(jsonb_build_object('price_class', c.price_class, 'name', c.name,
            'price', c.price) ORDER BY c.price_class), '[]')
        FROM price_classes AS c WHERE c.organisation = s.organisation AND c.sale = s.sale)
        AS price_classes,
    (SELECT COALESCE(jsonb_agg(jsonb_build_object('product', p.product, 'name', p.name,
            'price', p.price, 'draws',
            (SELECT jsonb_agg(jsonb_build_object('stock', d.stock, 'units', d.units)
                    ORDER BY d.stock)
                FROM product_draws AS d WHERE d.organisation = p.organisation
                    AND d.sale = p.sale AND d.product = p.product))
            ORDER BY p.product), '[]')
        FROM products AS p WHERE p.organisation = s.organisation AND p.sale = s.sale)
        AS products
FROM sales AS s
WHERE s.organisation = :organisation AND s.sale = :sale;

-- name: list_sales
-- Read the sales with their times, the newest first.
SELECT
    s.sale, s.version, COALESCE(s.slug, 'sale-' || s.sale) AS slug, s.name, s.opens_at, s.closes_at,
    s.opens_at <= asked.now OR EXISTS (
        SELECT FROM holds AS h WHERE h.organisation = s.organisation AND h.sale = s.sale
    ) AS is_on,
    s.opens_at <= asked.now AND (s.closes_at IS NULL OR s.closes_at > asked.now) AND NOT s.paused
        AS is_open,
    s.paused
FROM sales AS s
CROSS JOIN (SELECT clock_timestamp() AS now) AS asked
WHERE s.organisation = :organisation
    AND (CAST(:slug AS text) IS NULL OR COALESCE(s.slug, 'sale-' || s.sale) = :slug)
ORDER BY s.sale DESC
LIMIT :rows_max;

-- name: read_seats
-- Write the seats of one occasion as JSON, in the order of the availability bitmap.
SELECT
    s.catalogue_version,
    (SELECT COALESCE(string_agg(CAST(row_to_json(one) AS text), ',' ORDER BY one.seat), '')
        FROM (
            SELECT t.seat, t.price_class, t.section, t.row_name AS "row", t.label, t.x, t.y
            FROM seats AS t
            WHERE t.organisation = s.organisation AND t.sale = s.sale
                AND t.occasion = :occasion
        ) AS one) AS seats
FROM sales AS s
WHERE s.organisation = :organisation AND s.sale = :sale;

-- name: read_holds
-- Read a person's holds in a sale, the newest first, or the one that is asked for.
SELECT
    h.organisation, h.sale, h.hold, h.person, h.state, h.seats, h.products, h.product_quantities,
    h.stocks, h.stock_units, h.use_occasions, h.use_units, h.units, h.amount, h.request_digest,
    h.renewals, h.placed_at, h.expires_at, h.ended_at, s.currency, s.renewals_max,
    clock_timestamp() AS now
FROM holds AS h
JOIN sales AS s USING (organisation, sale)
WHERE ARRAY[h.organisation, h.sale] = ARRAY[CAST(:organisation AS integer), CAST(:sale AS bigint)]
    AND h.person = :person AND h.units > 0
    AND (CAST(:hold AS uuid) IS NULL OR h.hold = :hold)
ORDER BY h.placed_at DESC
LIMIT :rows_max;

-- name: find_past_due
-- Find the oldest past-due holds of an organisation, for the expirer.
SELECT
    h.sale, h.hold,
    CAST(extract(epoch FROM statement_timestamp() - h.expires_at) AS double precision) AS late_s
FROM holds AS h
WHERE ARRAY[h.organisation] = ARRAY[CAST(:organisation AS integer)] AND h.state = 'open'
    AND h.amount >= 0 AND h.expires_at <= statement_timestamp()
ORDER BY h.expires_at
LIMIT :rows_max;

-- name: read_availability_seats
-- Read the state of every seat of a sale, an occasion a row: 0 free, 1 held, 2 sold.
SELECT
    s.occasion, array_agg(s.seat ORDER BY s.seat) AS seats,
    string_agg(CASE WHEN s.hold IS NULL THEN '0' WHEN s.expires_at IS NOT NULL THEN '1'
        ELSE '2' END, '' ORDER BY s.seat) AS states
FROM seats AS s
WHERE s.organisation = :organisation AND s.sale = :sale
GROUP BY s.occasion
ORDER BY s.occasion;

-- name: read_availability_stocks
-- Read the counters of every stock of a sale.
SELECT t.stock, t.occasion, t.name, t.capacity, t.held, t.sold, t.starts_at, t.ends_at
FROM stocks AS t
WHERE t.organisation = :organisation AND t.sale = :sale
ORDER BY t.stock;

-- name: read_version
-- Read a sale's version, in the snapshot of the other reads.
SELECT version, catalogue_version, paused
FROM sales
WHERE organisation = :organisation AND sale = :sale;
