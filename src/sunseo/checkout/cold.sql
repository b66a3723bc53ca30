-- name: read_orders
-- Read a person's orders in a sale, the newest first, or the one that is asked for.
SELECT o.*, h.seats, h.products, h.product_quantities, s.currency
FROM orders AS o
JOIN holds AS h USING (organisation, sale, hold)
JOIN sales AS s USING (organisation, sale)
WHERE o.organisation = :organisation AND o.sale = :sale AND o.person = :person
    AND o.amount >= 0 AND (CAST(:order AS uuid) IS NULL OR o.order_id = :order)
ORDER BY o.confirmed_at DESC
LIMIT :rows_max;
