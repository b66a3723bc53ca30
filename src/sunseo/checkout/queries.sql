-- name: find_orders
-- Read orders by id, with what their holds claim; under the locks, so that retries are found.
-- OFFSET 0 keeps the planner from beginning with all holds of a sale.
SELECT o.*, h.seats, h.products, h.product_quantities
FROM unnest($1::text::integer[], $2::text::bigint[], $3::text::uuid[]) AS asked (organisation, sale, order_id)
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
    $1::text::integer[], $2::text::bigint[], $3::text::uuid[], $4::text::uuid[], $5::text::uuid[], $6::text::text[], $7::text::bigint[],
    $8::text::text[], $9::text::uuid[], $10::text::timestamptz[]
) AS placed (
    organisation, sale, order_id, hold, person, beneficiary, amount, state, request_digest,
    confirmed_at
);
