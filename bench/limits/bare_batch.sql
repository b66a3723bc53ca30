-- name: lock_seats
SELECT s.sale, s.seat, s.hold IS NULL OR s.expires_at <= clock_timestamp() AS is_free
FROM unnest($1::bigint[], $2::integer[]) AS asked (sale, seat)
JOIN seats s ON s.organisation = 1 AND s.sale = asked.sale AND s.seat = asked.seat
ORDER BY s.organisation, s.sale, s.seat FOR NO KEY UPDATE OF s

-- name: make_uses
INSERT INTO person_uses (organisation, sale, person, occasion, units_max)
SELECT 1, asked.sale, asked.person, asked.occasion, $4
FROM unnest($1::bigint[], $2::uuid[], $3::integer[]) AS asked (sale, person, occasion)
ORDER BY asked.sale, asked.person, asked.occasion ON CONFLICT DO NOTHING

-- name: lock_uses
SELECT u.sale, u.person, u.occasion, u.units
FROM unnest($1::bigint[], $2::uuid[], $3::integer[]) AS asked (sale, person, occasion)
JOIN person_uses u ON u.organisation = 1 AND u.sale = asked.sale AND u.person = asked.person
    AND u.occasion = asked.occasion
ORDER BY u.sale, u.person, u.occasion FOR NO KEY UPDATE OF u

-- name: lock_stocks
SELECT t.held, t.sold, t.capacity FROM stocks t
WHERE t.organisation = 1 AND t.sale = 1 AND t.stock = 1 FOR NO KEY UPDATE

-- name: lock_sales
SELECT s.sale, s.version FROM sales s
WHERE s.organisation = 1 AND s.sale = ANY ($1::bigint[]) ORDER BY s.sale FOR NO KEY UPDATE

-- name: find_holds
SELECT h.hold FROM unnest($1::bigint[], $2::uuid[]) AS asked (sale, hold)
JOIN holds h ON h.organisation = 1 AND h.sale = asked.sale AND h.hold = asked.hold

-- name: move_seats
UPDATE seats s SET hold = moved.hold, expires_at = $4
FROM unnest($1::bigint[], $2::integer[], $3::uuid[]) AS moved (sale, seat, hold)
WHERE s.organisation = 1 AND s.sale = moved.sale AND s.seat = moved.seat

-- name: place_holds
INSERT INTO holds (organisation, sale, hold, person, state, seats, products, product_quantities,
                   stocks, stock_units, use_occasions, use_units, units, amount, request_digest,
                   placed_at, expires_at)
SELECT 1, placed.sale, placed.hold, placed.person, 'open', placed.seats::integer[], $5, $5, $5, $5,
       $6, $7, 1, 0, placed.hold, $8, $9
FROM unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::text[]) AS placed (sale, hold, person, seats)

-- name: count_uses
UPDATE person_uses u SET units = counted.units
FROM unnest($1::bigint[], $2::uuid[], $3::integer[], $4::integer[])
    AS counted (sale, person, occasion, units)
WHERE u.organisation = 1 AND u.sale = counted.sale AND u.person = counted.person
    AND u.occasion = counted.occasion

-- name: count_stocks
UPDATE stocks SET held = held + $1 WHERE organisation = 1 AND sale = 1 AND stock = 1

-- name: advance_sales
WITH entry AS (
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS entry (sale, version, events)
), raised AS (
    UPDATE sales s SET version = entry.version FROM entry
    WHERE s.organisation = 1 AND s.sale = entry.sale
)
INSERT INTO journal (organisation, kind, stream, version, recorded_at, events)
SELECT 1, 'sale', entry.sale, entry.version, $4, entry.events::jsonb FROM entry
