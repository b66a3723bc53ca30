-- name: read_orders
-- Read a person's orders in a sale, the newest first, or the one that is asked for. OFFSET 0 keeps
-- the planner from joining with all holds of the sale, which looks as cheap while there are few.
SELECT
    o.organisation, o.sale, o.order_id, o.hold, o.person, o.beneficiary, o.amount, o.state,
    o.request_digest, o.confirmed_at, h.seats, h.products, h.product_quantities, s.currency
FROM orders AS o
JOIN sales AS s USING (organisation, sale)
CROSS JOIN LATERAL (
    SELECT holds.seats, holds.products, holds.product_quantities
    FROM holds
    WHERE holds.organisation = o.organisation AND holds.sale = o.sale AND holds.hold = o.hold
    OFFSET 0
) AS h
WHERE ARRAY[o.organisation, o.sale] = ARRAY[CAST(:organisation AS integer), CAST(:sale AS bigint)]
    AND o.person = :person AND o.amount >= 0
    AND (CAST(:order AS uuid) IS NULL OR o.order_id = :order)
ORDER BY o.confirmed_at DESC
LIMIT :rows_max;
