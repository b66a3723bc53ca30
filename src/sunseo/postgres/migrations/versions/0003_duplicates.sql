-- What stands more than once under one name, before the schema forbids it: to be told, or mended.

-- name: find_duplicates
-- Find every name that stands more than once, with the numbers of those that bear it.
SELECT
    format('sale %s, occasion %s, section %s, row %s, seat %s', s.sale, s.occasion, s.section,
        s.row_name, s.label) AS unit,
    array_agg(s.seat ORDER BY s.seat) AS numbers, count(s.hold) AS owned
FROM seats AS s
GROUP BY s.organisation, s.sale, s.occasion, s.section, s.row_name, s.label
HAVING count(*) > 1
UNION ALL
SELECT
    format('sale %s, occasion %s, stock %s%s', t.sale, t.occasion, t.name, ' at ' || t.starts_at),
    array_agg(t.stock ORDER BY t.stock), count(*) FILTER (WHERE t.held + t.sold > 0)
FROM stocks AS t
GROUP BY t.organisation, t.sale, t.occasion, t.name, t.starts_at
HAVING count(*) > 1
UNION ALL
SELECT
    format('sale %s, product %s', p.sale, p.name), array_agg(p.product ORDER BY p.product), 0
FROM products AS p
GROUP BY p.organisation, p.sale, p.name
HAVING count(*) > 1
UNION ALL
SELECT
    format('sale %s, price class %s', c.sale, c.name),
    array_agg(c.price_class ORDER BY c.price_class), 0
FROM price_classes AS c
GROUP BY c.organisation, c.sale, c.name
HAVING count(*) > 1
UNION ALL
SELECT
    format('sale %s, occasion %s at %s', o.sale, o.name, o.starts_at),
    array_agg(o.occasion ORDER BY o.occasion), 0
FROM occasions AS o
GROUP BY o.organisation, o.sale, o.name, o.starts_at
HAVING count(*) > 1
ORDER BY unit;

-- name: remove_seats
-- Take away the seats that no hold has ever named, where another one stands for the same place.
WITH claimed AS (
    SELECT DISTINCT h.organisation, h.sale, unnest(h.seats) AS seat FROM holds AS h
), ranked AS (
    SELECT
        organisation, sale, seat, c.seat IS NOT NULL AS is_claimed,
        row_number() OVER (
            PARTITION BY organisation, sale, s.occasion, s.section, s.row_name, s.label
            ORDER BY s.hold IS NULL, c.seat IS NULL, seat
        ) AS place
    FROM seats AS s
    LEFT JOIN claimed AS c USING (organisation, sale, seat)
)
DELETE FROM seats AS s
USING ranked AS r
WHERE (s.organisation, s.sale, s.seat) = (r.organisation, r.sale, r.seat)
    AND r.place > 1 AND NOT r.is_claimed
RETURNING format('sale %s: seat %s is gone; nobody ever held it', s.sale, s.seat) AS note;

-- name: rename_seats
-- Tell by their labels those apart that people have held.
WITH ranked AS (
    SELECT
        s.organisation, s.sale, s.seat,
        row_number() OVER (
            PARTITION BY s.organisation, s.sale, s.occasion, s.section, s.row_name, s.label
            ORDER BY s.hold IS NULL, s.seat
        ) AS place
    FROM seats AS s
)
UPDATE seats AS s
SET label = format('%s (%s)', s.label, s.seat)
FROM ranked AS r
WHERE (s.organisation, s.sale, s.seat) = (r.organisation, r.sale, r.seat) AND r.place > 1
RETURNING format('sale %s: seat %s is called section %s, row %s, seat %s now, and is %s', s.sale,
    s.seat, s.section, s.row_name, s.label,
    CASE WHEN s.hold IS NULL THEN 'free' WHEN s.expires_at IS NULL THEN 'sold' ELSE 'held' END)
    AS note;

-- name: rename_stocks
-- Tell stocks apart by their names.
WITH ranked AS (
    SELECT
        t.organisation, t.sale, t.stock,
        row_number() OVER (
            PARTITION BY t.organisation, t.sale, t.occasion, t.name, t.starts_at ORDER BY t.stock
        ) AS place
    FROM stocks AS t
)
UPDATE stocks AS t
SET name = format('%s (%s)', t.name, t.stock)
FROM ranked AS r
WHERE (t.organisation, t.sale, t.stock) = (r.organisation, r.sale, r.stock) AND r.place > 1
RETURNING format('sale %s: stock %s is called %s now', t.sale, t.stock, t.name) AS note;

-- name: rename_products
-- Tell products apart by their names.
WITH ranked AS (
    SELECT
        p.organisation, p.sale, p.product,
        row_number() OVER (PARTITION BY p.organisation, p.sale, p.name ORDER BY p.product) AS place
    FROM products AS p
)
UPDATE products AS p
SET name = format('%s (%s)', p.name, p.product)
FROM ranked AS r
WHERE (p.organisation, p.sale, p.product) = (r.organisation, r.sale, r.product) AND r.place > 1
RETURNING format('sale %s: product %s is called %s now', p.sale, p.product, p.name) AS note;

-- name: rename_price_classes
-- Tell price classes apart by their names.
WITH ranked AS (
    SELECT
        c.organisation, c.sale, c.price_class,
        row_number() OVER (
            PARTITION BY c.organisation, c.sale, c.name ORDER BY c.price_class
        ) AS place
    FROM price_classes AS c
)
UPDATE price_classes AS c
SET name = format('%s (%s)', c.name, c.price_class)
FROM ranked AS r
WHERE (c.organisation, c.sale, c.price_class) = (r.organisation, r.sale, r.price_class)
    AND r.place > 1
RETURNING format('sale %s: price class %s is called %s now', c.sale, c.price_class, c.name) AS note;

-- name: rename_occasions
-- Tell occasions apart by their names.
WITH ranked AS (
    SELECT
        o.organisation, o.sale, o.occasion,
        row_number() OVER (
            PARTITION BY o.organisation, o.sale, o.name, o.starts_at ORDER BY o.occasion
        ) AS place
    FROM occasions AS o
)
UPDATE occasions AS o
SET name = format('%s (%s)', o.name, o.occasion)
FROM ranked AS r
WHERE (o.organisation, o.sale, o.occasion) = (r.organisation, r.sale, r.occasion) AND r.place > 1
RETURNING format('sale %s: occasion %s is called %s now', o.sale, o.occasion, o.name) AS note;
