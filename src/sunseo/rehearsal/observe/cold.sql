-- name: observe
-- Look at the line of a room, at what is sold in some sales, and at the database's other clients.
SELECT
    coalesce(max(l.issued), 0) AS issued,
    coalesce(max(l.serving), 0) AS serving,
    coalesce(max(l.live), 0) AS live,
    coalesce(max(l.capacity), 0) AS capacity,
    (
        SELECT count(*) FROM seats AS s
        WHERE s.organisation = :organisation AND s.sale = ANY(:sales) AND s.hold IS NOT NULL
            AND s.expires_at > clock_timestamp()
    ) + (
        SELECT coalesce(sum(held), 0)::bigint FROM stocks AS s
        WHERE s.organisation = :organisation AND s.sale = ANY(:sales)
    ) AS held,
    (
        SELECT count(*) FROM seats AS s
        WHERE s.organisation = :organisation AND s.sale = ANY(:sales) AND s.hold IS NOT NULL
            AND s.expires_at IS NULL
    ) + (
        SELECT coalesce(sum(sold), 0)::bigint FROM stocks AS s
        WHERE s.organisation = :organisation AND s.sale = ANY(:sales)
    ) AS sold,
    (
        SELECT count(*) FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
    ) AS connections
FROM room_lines AS l
WHERE l.organisation = :organisation AND l.room = :room;

-- name: read_places
-- Read every place of a room's present line.
SELECT p.holder, p.number, p.epoch
FROM room_places AS p
JOIN room_lines AS l
    ON l.organisation = p.organisation AND l.room = p.room AND l.epoch = p.epoch
WHERE p.organisation = :organisation AND p.room = :room
ORDER BY p.number;  -- the newest of a person last

-- name: read_passes
-- Read every pass of a room's present line, with when it took up a slot.
SELECT
    p.number, p.holder, p.state,
    extract(epoch FROM p.entered_at)::float8 AS entered_at,
    extract(epoch FROM p.ended_at)::float8 AS ended_at
FROM room_passes AS p
JOIN room_lines AS l
    ON l.organisation = p.organisation AND l.room = p.room AND l.epoch = p.epoch
WHERE p.organisation = :organisation AND p.room = :room;

-- name: read_releases
-- Read when which numbers of a room were called.
SELECT r.upto, extract(epoch FROM r.released_at)::float8 AS released_at
FROM room_releases AS r
JOIN room_lines AS l
    ON l.organisation = r.organisation AND l.room = r.room AND l.epoch = r.epoch
WHERE r.organisation = :organisation AND r.room = :room
ORDER BY r.upto;

-- name: read_holds
-- Read every hold of some sales.
SELECT hold, person, state, seats, products, product_quantities
FROM holds
WHERE organisation = :organisation AND sale = ANY(:sales);

-- name: read_sold
-- Read every order of some sales with what it is for.
SELECT o.order_id, o.sale, o.hold, o.person, h.seats, h.products, h.product_quantities
FROM orders AS o
LEFT JOIN holds AS h USING (organisation, sale, hold)
WHERE o.organisation = :organisation AND o.sale = ANY(:sales);

-- name: read_stocks
-- Read how much of every stock of some sales there is, and how much is sold.
SELECT sale, stock, capacity, sold
FROM stocks
WHERE organisation = :organisation AND sale = ANY(:sales);
