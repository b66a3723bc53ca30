-- name: read_orders
-- Read every order of a sale with what it is for.
SELECT o.order_id, h.seats, h.products, h.product_quantities
FROM orders AS o
JOIN holds AS h USING (organisation, sale, hold)
WHERE o.organisation = :organisation AND o.sale = :sale;

-- name: count_sold
-- Count what is sold: seats that are owned for good, and units of stock.
SELECT
    (
        SELECT count(*) FROM seats
        WHERE organisation = :organisation AND sale = :sale
            AND hold IS NOT NULL AND expires_at IS NULL
    ) AS seats,
    (
        SELECT coalesce(sum(sold), 0) FROM stocks
        WHERE organisation = :organisation AND sale = :sale
    ) AS stock;

-- name: count_connections
-- Count the database's clients, not this one.
SELECT count(*) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid();
