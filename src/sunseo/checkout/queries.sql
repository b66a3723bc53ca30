-- name: find_orders
-- Read orders by id, with what their holds claim; after all locks, so that retries are found.
-- OFFSET 0 keeps the planner from beginning with all holds of a sale.
SELECT o.*, h.seats, h.products, h.product_quantities
FROM unnest($1::integer[], $2::bigint[], $3::uuid[]) AS asked (organisation, sale, order_id)
JOIN orders AS o
    ON o.organisation = ANY (ARRAY[asked.organisation]) AND o.sale = asked.sale
    AND o.order_id = asked.order_id
CROSS JOIN LATERAL (
    SELECT holds.seats, holds.products, holds.product_quantities
    FROM holds
    WHERE holds.organisation = o.organisation AND holds.sale = o.sale AND holds.hold = o.hold
    OFFSET 0
) AS h;

-- name: place_orders
-- Write the orders that a batch has placed.
INSERT INTO orders (
    organisation, sale, order_id, hold, person, beneficiary, amount, state, request_digest,
    confirmed_at
)
SELECT placed.*
FROM unnest(
    $1::integer[], $2::bigint[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::bigint[],
    $8::text[], $9::uuid[], $10::timestamptz[]
) AS placed (
    organisation, sale, order_id, hold, person, beneficiary, amount, state, request_digest,
    confirmed_at
);
