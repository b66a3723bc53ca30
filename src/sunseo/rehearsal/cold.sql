-- name: observe
-- Look at the line of a room, at the seats of its sale, and at the database's other clients.
SELECT
    l.issued, l.serving, l.live, l.capacity,
    (
        SELECT count(*) FROM seats AS s
        WHERE s.organisation = l.organisation AND s.sale = :sale AND s.hold IS NOT NULL
            AND s.expires_at > clock_timestamp()
    ) AS held,
    (
        SELECT count(*) FROM seats AS s
        WHERE s.organisation = l.organisation AND s.sale = :sale AND s.hold IS NOT NULL
            AND s.expires_at IS NULL
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
-- Read every hold of a sale.
SELECT hold, person, state, seats
FROM holds
WHERE organisation = :organisation AND sale = :sale;

-- name: read_sold
-- Read every order of a sale with the seats it is for.
SELECT o.order_id, o.hold, o.person, h.seats
FROM orders AS o
LEFT JOIN holds AS h USING (organisation, sale, hold)
WHERE o.organisation = :organisation AND o.sale = :sale;
