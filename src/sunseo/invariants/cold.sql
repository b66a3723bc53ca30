-- One statement for each invariant of entries.py, under the invariant's name: it returns the rows
-- at fault, and none where all is well. The first column is the sale; the others are shown as they
-- are called. verify.py wraps each to count the rows and to return the first few of every sale.
--
-- Those about sales take many of them at once; every table is narrowed to them by itself, since the
-- planner does not pass `= ANY` on through a join. What they check is never what they count with:
-- counters are recounted from holds and orders, and holds from what they name.
--
-- All joins are hash joins (see `bound_transaction`), and lists are unnested before they are
-- joined, so that none takes time in the square of its rows, statistics or not.

-- name: stock_capacity
-- Find stocks that do not add up.
SELECT t.sale, t.stock, t.capacity, t.capacity - t.held - t.sold AS free, t.held, t.sold
FROM stocks AS t
WHERE t.organisation = :organisation AND t.sale = ANY(CAST(:sales AS bigint[]))
    AND (t.held < 0 OR t.sold < 0 OR t.capacity - t.held - t.sold < 0);

-- name: stock_counters
-- Recount every stock from open holds and from orders, and compare.
WITH drawn AS (
    SELECT h.sale, unnest(h.stocks) AS stock, unnest(h.stock_units) AS held, 0 AS sold
    FROM holds AS h
    WHERE h.organisation = :organisation AND h.sale = ANY(CAST(:sales AS bigint[]))
        AND h.state = 'open'
    UNION ALL
    SELECT h.sale, unnest(h.stocks), 0, unnest(h.stock_units)
    FROM orders AS o
    JOIN holds AS h USING (organisation, sale, hold)
    WHERE o.organisation = :organisation AND o.sale = ANY(CAST(:sales AS bigint[]))
        AND h.sale = ANY(CAST(:sales AS bigint[]))
), recounted AS (
    SELECT drawn.sale, drawn.stock, sum(drawn.held) AS held, sum(drawn.sold) AS sold
    FROM drawn
    GROUP BY drawn.sale, drawn.stock
), kept AS (
    SELECT t.sale, t.stock, t.held, t.sold
    FROM stocks AS t
    WHERE t.organisation = :organisation AND t.sale = ANY(CAST(:sales AS bigint[]))
)
SELECT
    sale, stock, kept.held, COALESCE(recounted.held, 0) AS held_recounted,
    kept.sold, COALESCE(recounted.sold, 0) AS sold_recounted
FROM kept
FULL JOIN recounted USING (sale, stock)
WHERE kept.held IS DISTINCT FROM COALESCE(recounted.held, 0)
    OR kept.sold IS DISTINCT FROM COALESCE(recounted.sold, 0);

-- name: seat_owner
-- Find owned seats whose owner is no live hold that names them.
SELECT s.sale, s.seat, s.hold, h.state AS hold_state
FROM seats AS s
LEFT JOIN holds AS h
    ON h.organisation = :organisation AND h.sale = s.sale AND h.sale = ANY(CAST(:sales AS bigint[]))
        AND h.hold = s.hold
WHERE s.organisation = :organisation AND s.sale = ANY(CAST(:sales AS bigint[]))
    AND s.hold IS NOT NULL
    AND (h.hold IS NULL OR h.state NOT IN ('open', 'ordered') OR s.seat <> ALL (h.seats));

-- name: hold_owns_seats
-- Find live holds that do not own a seat they name.
WITH claimed AS (
    SELECT h.sale, h.hold, h.state, unnest(h.seats) AS seat
    FROM holds AS h
    WHERE h.organisation = :organisation AND h.sale = ANY(CAST(:sales AS bigint[]))
        AND h.state IN ('open', 'ordered')
), kept AS (
    SELECT s.sale, s.seat, s.hold
    FROM seats AS s
    WHERE s.organisation = :organisation AND s.sale = ANY(CAST(:sales AS bigint[]))
)
SELECT sale, claimed.hold, claimed.state AS hold_state, seat, kept.hold AS owner
FROM claimed
LEFT JOIN kept USING (sale, seat)
WHERE kept.hold IS DISTINCT FROM claimed.hold;

-- name: seat_one_claim
-- Find seats that live holds name more than once.
WITH claimed AS (
    SELECT h.sale, h.hold, unnest(h.seats) AS seat
    FROM holds AS h
    WHERE h.organisation = :organisation AND h.sale = ANY(CAST(:sales AS bigint[]))
        AND h.state IN ('open', 'ordered')
)
SELECT claimed.sale, claimed.seat, array_agg(claimed.hold ORDER BY claimed.hold) AS holds
FROM claimed
GROUP BY claimed.sale, claimed.seat
HAVING count(*) > 1;

-- name: seat_expiry
-- Find seats that expire at another time than their hold, or though they are free or sold.
SELECT
    s.sale, s.seat, s.hold, h.state AS hold_state, s.expires_at, h.expires_at AS hold_expires_at
FROM seats AS s
LEFT JOIN holds AS h
    ON h.organisation = :organisation AND h.sale = s.sale AND h.sale = ANY(CAST(:sales AS bigint[]))
        AND h.hold = s.hold
WHERE s.organisation = :organisation AND s.sale = ANY(CAST(:sales AS bigint[]))
    AND CASE
        WHEN h.state = 'open' THEN s.expires_at IS DISTINCT FROM h.expires_at
        WHEN s.hold IS NULL OR h.state = 'ordered' THEN s.expires_at IS NOT NULL
        ELSE false
    END;

-- name: person_counters
-- Recount what persons have from live holds, and compare, also where no counter is kept.
WITH counted AS (
    SELECT h.sale, h.person, unnest(h.use_occasions) AS occasion, unnest(h.use_units) AS units
    FROM holds AS h
    WHERE h.organisation = :organisation AND h.sale = ANY(CAST(:sales AS bigint[]))
        AND h.state IN ('open', 'ordered')
), recounted AS (
    SELECT counted.sale, counted.person, counted.occasion, sum(counted.units) AS units
    FROM counted
    GROUP BY counted.sale, counted.person, counted.occasion
), kept AS (
    SELECT u.sale, u.person, u.occasion, u.units
    FROM person_uses AS u
    WHERE u.organisation = :organisation AND u.sale = ANY(CAST(:sales AS bigint[]))
)
SELECT
    sale, person, occasion, kept.units AS units, COALESCE(recounted.units, 0) AS units_recounted
FROM kept
FULL JOIN recounted USING (sale, person, occasion)
WHERE COALESCE(kept.units, 0) <> COALESCE(recounted.units, 0);

-- name: person_counter_limits
-- Find counters that guard another limit than the sale's own.
SELECT
    u.sale, u.person, u.occasion, u.units_max,
    CASE u.occasion WHEN 0 THEN s.person_limit ELSE s.occasion_limit END AS sale_limit
FROM person_uses AS u
JOIN sales AS s USING (organisation, sale)
WHERE u.organisation = :organisation AND u.sale = ANY(CAST(:sales AS bigint[]))
    AND s.sale = ANY(CAST(:sales AS bigint[]))
    AND u.units_max IS DISTINCT FROM
        CASE u.occasion WHEN 0 THEN s.person_limit ELSE s.occasion_limit END;

-- name: person_limits
-- Count what persons have from the seats and products of live holds, and find who has too much.
WITH live AS (
    SELECT h.sale, h.person, h.seats, h.products, h.product_quantities
    FROM holds AS h
    WHERE h.organisation = :organisation AND h.sale = ANY(CAST(:sales AS bigint[]))
        AND h.state IN ('open', 'ordered')
), claimed_seats AS (
    SELECT live.sale, live.person, unnest(live.seats) AS seat
    FROM live
), claimed_products AS (
    SELECT
        live.sale, live.person, unnest(live.products) AS product,
        unnest(live.product_quantities) AS quantity
    FROM live
), seat_occasions AS (
    SELECT s.sale, s.seat, s.occasion
    FROM seats AS s
    WHERE s.organisation = :organisation AND s.sale = ANY(CAST(:sales AS bigint[]))
), product_occasions AS (
    SELECT DISTINCT d.sale, d.product, t.occasion
    FROM product_draws AS d
    JOIN stocks AS t USING (organisation, sale, stock)
    WHERE d.organisation = :organisation AND d.sale = ANY(CAST(:sales AS bigint[]))
        AND t.sale = ANY(CAST(:sales AS bigint[]))
), had AS (
    SELECT c.sale, c.person, 0 AS occasion, 1 AS units
    FROM claimed_seats AS c
    UNION ALL
    SELECT c.sale, c.person, 0, c.quantity
    FROM claimed_products AS c
    UNION ALL
    SELECT sale, c.person, s.occasion, 1
    FROM claimed_seats AS c
    JOIN seat_occasions AS s USING (sale, seat)
    UNION ALL
    SELECT sale, c.person, p.occasion, c.quantity
    FROM claimed_products AS c
    JOIN product_occasions AS p USING (sale, product)
), recounted AS (
    SELECT had.sale, had.person, had.occasion, sum(had.units) AS units
    FROM had
    GROUP BY had.sale, had.person, had.occasion
)
SELECT
    sale, recounted.person, recounted.occasion, recounted.units,
    CASE recounted.occasion WHEN 0 THEN s.person_limit ELSE s.occasion_limit END AS sale_limit
FROM recounted
JOIN sales AS s USING (sale)
WHERE s.organisation = :organisation AND s.sale = ANY(CAST(:sales AS bigint[]))
    AND recounted.units
        > CASE recounted.occasion WHEN 0 THEN s.person_limit ELSE s.occasion_limit END;

-- name: order_limit
-- Find holds of more units than one order may have.
SELECT h.sale, h.hold, h.units, s.order_limit
FROM holds AS h
JOIN sales AS s USING (organisation, sale)
WHERE h.organisation = :organisation AND h.sale = ANY(CAST(:sales AS bigint[]))
    AND s.sale = ANY(CAST(:sales AS bigint[]))
    AND h.units > s.order_limit;

-- name: hold_lists
-- Find holds whose paired lists differ in length.
SELECT
    h.sale, h.hold, h.products, h.product_quantities, h.stocks, h.stock_units, h.use_occasions,
    h.use_units
FROM holds AS h
WHERE h.organisation = :organisation AND h.sale = ANY(CAST(:sales AS bigint[]))
    AND (cardinality(h.products) <> cardinality(h.product_quantities)
        OR cardinality(h.stocks) <> cardinality(h.stock_units)
        OR cardinality(h.use_occasions) <> cardinality(h.use_units));

-- name: hold_claims
-- Find holds that name a seat or a product the sale does not have.
WITH placed AS (
    SELECT h.sale, h.hold, h.seats, h.products
    FROM holds AS h
    WHERE h.organisation = :organisation AND h.sale = ANY(CAST(:sales AS bigint[]))
), claimed_seats AS (
    SELECT placed.sale, placed.hold, unnest(placed.seats) AS seat
    FROM placed
), claimed_products AS (
    SELECT placed.sale, placed.hold, unnest(placed.products) AS product
    FROM placed
)
SELECT c.sale, c.hold, 'seat' AS part, c.seat AS number
FROM claimed_seats AS c
WHERE NOT EXISTS (
    SELECT FROM seats AS s
    WHERE s.organisation = :organisation AND s.sale = ANY(CAST(:sales AS bigint[]))
        AND s.sale = c.sale AND s.seat = c.seat
)
UNION ALL
SELECT c.sale, c.hold, 'product', c.product
FROM claimed_products AS c
WHERE NOT EXISTS (
    SELECT FROM products AS p
    WHERE p.organisation = :organisation AND p.sale = ANY(CAST(:sales AS bigint[]))
        AND p.sale = c.sale AND p.product = c.product
);

-- name: hold_units
-- Find holds whose units are not those of their seats and products.
SELECT h.sale, h.hold, h.units, cardinality(h.seats) + claimed.quantity AS units_recounted
FROM holds AS h
CROSS JOIN LATERAL (
    SELECT COALESCE(sum(q.quantity), 0) AS quantity
    FROM unnest(h.product_quantities) AS q (quantity)
) AS claimed
WHERE h.organisation = :organisation AND h.sale = ANY(CAST(:sales AS bigint[]))
    AND h.units <> cardinality(h.seats) + claimed.quantity;

-- name: hold_draws
-- Find holds that draw something else on stock than their products do.
WITH placed AS (
    SELECT h.sale, h.hold, h.products, h.product_quantities, h.stocks, h.stock_units
    FROM holds AS h
    WHERE h.organisation = :organisation AND h.sale = ANY(CAST(:sales AS bigint[]))
), drawn AS (
    SELECT
        placed.sale, placed.hold, unnest(placed.stocks) AS stock,
        unnest(placed.stock_units) AS units
    FROM placed
), noted AS (
    SELECT drawn.sale, drawn.hold, drawn.stock, sum(drawn.units) AS units
    FROM drawn
    GROUP BY drawn.sale, drawn.hold, drawn.stock
), claimed AS (
    SELECT
        placed.sale, placed.hold, unnest(placed.products) AS product,
        unnest(placed.product_quantities) AS quantity
    FROM placed
), recounted AS (
    SELECT c.sale, c.hold, d.stock, sum(c.quantity * d.units) AS units
    FROM claimed AS c
    JOIN product_draws AS d USING (sale, product)
    WHERE d.organisation = :organisation AND d.sale = ANY(CAST(:sales AS bigint[]))
    GROUP BY c.sale, c.hold, d.stock
)
SELECT sale, hold, stock, noted.units AS units, recounted.units AS units_recounted
FROM noted
FULL JOIN recounted USING (sale, hold, stock)
WHERE noted.units IS DISTINCT FROM recounted.units;

-- name: hold_uses
-- Find holds that count for their person by something else than what they claim.
WITH placed AS (
    SELECT
        h.sale, h.hold, h.seats, h.products, h.product_quantities, h.use_occasions, h.use_units,
        s.person_limit IS NOT NULL AS for_sale, s.occasion_limit IS NOT NULL AS for_occasions
    FROM holds AS h
    JOIN sales AS s USING (organisation, sale)
    WHERE h.organisation = :organisation AND h.sale = ANY(CAST(:sales AS bigint[]))
        AND s.sale = ANY(CAST(:sales AS bigint[]))
), counted AS (
    SELECT
        placed.sale, placed.hold, unnest(placed.use_occasions) AS occasion,
        unnest(placed.use_units) AS units
    FROM placed
), noted AS (
    SELECT counted.sale, counted.hold, counted.occasion, sum(counted.units) AS units
    FROM counted
    GROUP BY counted.sale, counted.hold, counted.occasion
), claimed_seats AS (
    SELECT
        placed.sale, placed.hold, placed.for_sale, placed.for_occasions,
        unnest(placed.seats) AS seat
    FROM placed
), claimed_products AS (
    SELECT
        placed.sale, placed.hold, placed.for_sale, placed.for_occasions,
        unnest(placed.products) AS product, unnest(placed.product_quantities) AS quantity
    FROM placed
), seat_occasions AS (
    SELECT s.sale, s.seat, s.occasion
    FROM seats AS s
    WHERE s.organisation = :organisation AND s.sale = ANY(CAST(:sales AS bigint[]))
), product_occasions AS (
    SELECT DISTINCT d.sale, d.product, t.occasion
    FROM product_draws AS d
    JOIN stocks AS t USING (organisation, sale, stock)
    WHERE d.organisation = :organisation AND d.sale = ANY(CAST(:sales AS bigint[]))
        AND t.sale = ANY(CAST(:sales AS bigint[]))
), claimed AS (
    SELECT c.sale, c.hold, 0 AS occasion, 1 AS units
    FROM claimed_seats AS c
    WHERE c.for_sale
    UNION ALL
    SELECT c.sale, c.hold, 0, c.quantity
    FROM claimed_products AS c
    WHERE c.for_sale
    UNION ALL
    SELECT sale, c.hold, s.occasion, 1
    FROM claimed_seats AS c
    JOIN seat_occasions AS s USING (sale, seat)
    WHERE c.for_occasions
    UNION ALL
    SELECT sale, c.hold, p.occasion, c.quantity
    FROM claimed_products AS c
    JOIN product_occasions AS p USING (sale, product)
    WHERE c.for_occasions
), recounted AS (
    SELECT claimed.sale, claimed.hold, claimed.occasion, sum(claimed.units) AS units
    FROM claimed
    GROUP BY claimed.sale, claimed.hold, claimed.occasion
)
SELECT sale, hold, occasion, noted.units AS units, recounted.units AS units_recounted
FROM noted
FULL JOIN recounted USING (sale, hold, occasion)
WHERE noted.units IS DISTINCT FROM recounted.units;

-- name: hold_amount
-- Find holds whose amount is not the sum of their prices; prices do not change once they are set.
WITH placed AS (
    SELECT h.sale, h.hold, h.amount, h.seats, h.products, h.product_quantities
    FROM holds AS h
    WHERE h.organisation = :organisation AND h.sale = ANY(CAST(:sales AS bigint[]))
), claimed_seats AS (
    SELECT placed.sale, placed.hold, unnest(placed.seats) AS seat
    FROM placed
), claimed_products AS (
    SELECT
        placed.sale, placed.hold, unnest(placed.products) AS product,
        unnest(placed.product_quantities) AS quantity
    FROM placed
), seat_prices AS MATERIALIZED (
    SELECT s.sale, s.seat, c.price
    FROM seats AS s
    JOIN price_classes AS c USING (organisation, sale, price_class)
    WHERE s.organisation = :organisation AND s.sale = ANY(CAST(:sales AS bigint[]))
        AND c.sale = ANY(CAST(:sales AS bigint[]))
), product_prices AS (
    SELECT p.sale, p.product, p.price
    FROM products AS p
    WHERE p.organisation = :organisation AND p.sale = ANY(CAST(:sales AS bigint[]))
), priced AS (
    SELECT sale, c.hold, s.price AS amount
    FROM claimed_seats AS c
    JOIN seat_prices AS s USING (sale, seat)
    UNION ALL
    SELECT sale, c.hold, p.price * c.quantity
    FROM claimed_products AS c
    JOIN product_prices AS p USING (sale, product)
), recounted AS (
    SELECT priced.sale, priced.hold, sum(priced.amount) AS amount
    FROM priced
    GROUP BY priced.sale, priced.hold
)
SELECT
    sale, hold, placed.amount AS amount, COALESCE(recounted.amount, 0) AS amount_recounted
FROM placed
LEFT JOIN recounted USING (sale, hold)
WHERE placed.amount <> COALESCE(recounted.amount, 0);

-- name: hold_end
-- Find holds that were ended against their time: an order or a release after it, expiry before it.
SELECT h.sale, h.hold, h.state, h.expires_at, h.ended_at
FROM holds AS h
WHERE h.organisation = :organisation AND h.sale = ANY(CAST(:sales AS bigint[]))
    AND CASE h.state
        WHEN 'open' THEN h.ended_at IS NOT NULL
        WHEN 'expired' THEN COALESCE(h.ended_at < h.expires_at, true)
        ELSE COALESCE(h.ended_at >= h.expires_at, true)
    END;

-- name: order_hold
-- Find orders that sell no ordered hold of their own person.
SELECT
    o.sale, o.order_id AS "order", o.hold, h.state AS hold_state, o.person,
    h.person AS hold_person
FROM orders AS o
LEFT JOIN holds AS h
    ON h.organisation = :organisation AND h.sale = o.sale AND h.sale = ANY(CAST(:sales AS bigint[]))
        AND h.hold = o.hold
WHERE o.organisation = :organisation AND o.sale = ANY(CAST(:sales AS bigint[]))
    AND (h.state IS DISTINCT FROM 'ordered' OR h.person IS DISTINCT FROM o.person);

-- name: hold_order
-- Find ordered holds that have no order, or several.
WITH placed AS (
    SELECT o.sale, o.hold, array_agg(o.order_id ORDER BY o.order_id) AS orders
    FROM orders AS o
    WHERE o.organisation = :organisation AND o.sale = ANY(CAST(:sales AS bigint[]))
    GROUP BY o.sale, o.hold
)
SELECT sale, hold, COALESCE(placed.orders, '{}') AS orders
FROM holds AS h
LEFT JOIN placed USING (sale, hold)
WHERE h.organisation = :organisation AND h.sale = ANY(CAST(:sales AS bigint[]))
    AND h.state = 'ordered' AND COALESCE(cardinality(placed.orders), 0) <> 1;

-- name: order_paid
-- Find orders of another amount than their hold's, or that cost something: nobody can pay yet.
SELECT o.sale, o.order_id AS "order", o.hold, o.amount, h.amount AS hold_amount, 0 AS paid
FROM orders AS o
LEFT JOIN holds AS h
    ON h.organisation = :organisation AND h.sale = o.sale AND h.sale = ANY(CAST(:sales AS bigint[]))
        AND h.hold = o.hold
WHERE o.organisation = :organisation AND o.sale = ANY(CAST(:sales AS bigint[]))
    AND (o.amount <> 0 OR o.amount <> COALESCE(h.amount, o.amount));

-- name: order_confirmed_once
-- Find orders without exactly one event that tells of them truly, and events without an order.
WITH events AS (
    SELECT j.stream AS sale, e.event, e.event ->> 'order' AS order_id
    FROM journal AS j
    CROSS JOIN LATERAL jsonb_path_query(j.events, 'strict $[*]', silent => true) AS e (event)
    WHERE j.organisation = :organisation AND j.kind = 'sale'
        AND j.stream = ANY(CAST(:sales AS bigint[]))
        AND e.event ->> 'type' = 'OrderConfirmed'
), told AS (
    SELECT events.sale, events.order_id, count(*) AS events, (array_agg(events.event))[1] AS event
    FROM events
    GROUP BY events.sale, events.order_id
), kept AS (
    SELECT o.sale, CAST(o.order_id AS text) AS order_id, o.hold, o.person, o.amount
    FROM orders AS o
    WHERE o.organisation = :organisation AND o.sale = ANY(CAST(:sales AS bigint[]))
)
SELECT
    sale, told.order_id IS NOT NULL AND kept.order_id IS NULL AS order_is_missing,
    COALESCE(kept.order_id, told.order_id) AS "order", COALESCE(told.events, 0) AS events,
    told.event
FROM kept
FULL JOIN told USING (sale, order_id)
WHERE kept.order_id IS NULL OR told.events IS DISTINCT FROM 1
    OR told.event ->> 'hold' IS DISTINCT FROM CAST(kept.hold AS text)
    OR told.event ->> 'person' IS DISTINCT FROM CAST(kept.person AS text)
    OR told.event -> 'amount' IS DISTINCT FROM to_jsonb(kept.amount);

-- name: journal_versions
-- Find where versions of the journal are missing, or it ends elsewhere than the sale's version.
WITH entries AS (
    SELECT
        j.stream AS sale, j.version,
        lag(j.version, 1, CAST(0 AS bigint)) OVER (PARTITION BY j.stream ORDER BY j.version) + 1
            AS expected
    FROM journal AS j
    WHERE j.organisation = :organisation AND j.kind = 'sale'
        AND j.stream = ANY(CAST(:sales AS bigint[]))
), ends AS (
    SELECT entries.sale, max(entries.version) AS version
    FROM entries
    GROUP BY entries.sale
)
SELECT entries.sale, 'next entry' AS what, entries.version, entries.expected
FROM entries
WHERE entries.version <> entries.expected
UNION ALL
SELECT sale, 'last entry', COALESCE(ends.version, 0), s.version
FROM sales AS s
LEFT JOIN ends USING (sale)
WHERE s.organisation = :organisation AND s.sale = ANY(CAST(:sales AS bigint[]))
    AND s.version <> COALESCE(ends.version, 0);

-- name: journal_events
-- Find entries that cannot be read: no event in them, or one without type and version.
SELECT j.stream AS sale, j.version, j.events
FROM journal AS j
WHERE j.organisation = :organisation AND j.kind = 'sale'
        AND j.stream = ANY(CAST(:sales AS bigint[]))
    AND (jsonb_typeof(j.events) <> 'array' OR j.events = '[]' OR EXISTS (
        SELECT FROM jsonb_path_query(j.events, 'strict $[*]', silent => true) AS e (event)
        WHERE jsonb_typeof(e.event -> 'type') IS DISTINCT FROM 'string'
            OR jsonb_typeof(e.event -> 'v') IS DISTINCT FROM 'number'
    ));

-- name: hold_placed_once
-- Find holds without exactly one event that tells of them truly, and events without a hold.
WITH events AS (
    SELECT j.stream AS sale, e.event, e.event ->> 'hold' AS hold
    FROM journal AS j
    CROSS JOIN LATERAL jsonb_path_query(j.events, 'strict $[*]', silent => true) AS e (event)
    WHERE j.organisation = :organisation AND j.kind = 'sale'
        AND j.stream = ANY(CAST(:sales AS bigint[]))
        AND e.event ->> 'type' = 'HoldPlaced'
), told AS (
    SELECT events.sale, events.hold, count(*) AS events, (array_agg(events.event))[1] AS event
    FROM events
    GROUP BY events.sale, events.hold
), kept AS (
    SELECT
        h.sale, CAST(h.hold AS text) AS hold, h.person, h.units, h.amount, h.seats,
        (SELECT COALESCE(jsonb_agg(jsonb_build_array(d.stock, d.units)), '[]')
            FROM unnest(h.stocks, h.stock_units) AS d (stock, units)) AS draws
    FROM holds AS h
    WHERE h.organisation = :organisation AND h.sale = ANY(CAST(:sales AS bigint[]))
)
SELECT
    sale, COALESCE(kept.hold, told.hold) AS hold,
    told.hold IS NOT NULL AND kept.hold IS NULL AS hold_is_missing,
    COALESCE(told.events, 0) AS events, told.event
FROM kept
FULL JOIN told USING (sale, hold)
WHERE kept.hold IS NULL OR told.events IS DISTINCT FROM 1
    OR told.event ->> 'person' IS DISTINCT FROM CAST(kept.person AS text)
    OR told.event -> 'units' IS DISTINCT FROM to_jsonb(kept.units)
    OR told.event -> 'amount' IS DISTINCT FROM to_jsonb(kept.amount)
    OR told.event -> 'seats' IS DISTINCT FROM to_jsonb(kept.seats)
    OR told.event -> 'draws' IS DISTINCT FROM kept.draws;

-- name: hold_ended_once
-- Find holds whose state is not told by exactly one event, the last one about them.
WITH events AS (
    SELECT
        j.stream AS sale, e.event ->> 'hold' AS hold, e.event ->> 'type' AS type,
        ARRAY[j.version, e.place] AS moment
    FROM journal AS j
    CROSS JOIN LATERAL jsonb_path_query(j.events, 'strict $[*]', silent => true)
        WITH ORDINALITY AS e (event, place)
    WHERE j.organisation = :organisation AND j.kind = 'sale'
        AND j.stream = ANY(CAST(:sales AS bigint[]))
        AND e.event ? 'hold'
), told AS (
    SELECT
        events.sale, events.hold,
        array_agg(events.type ORDER BY events.moment)
            FILTER (WHERE events.type NOT IN ('HoldPlaced', 'HoldRenewed')) AS ends,
        (array_agg(events.type ORDER BY events.moment DESC))[1] AS last
    FROM events
    GROUP BY events.sale, events.hold
), kept AS (
    SELECT
        h.sale, CAST(h.hold AS text) AS hold, h.state,
        CASE h.state
            WHEN 'released' THEN 'HoldReleased'
            WHEN 'expired' THEN 'HoldExpired'
            WHEN 'ordered' THEN 'OrderConfirmed'
        END AS expected
    FROM holds AS h
    WHERE h.organisation = :organisation AND h.sale = ANY(CAST(:sales AS bigint[]))
)
SELECT
    sale, hold, kept.state, kept.expected, COALESCE(told.ends, '{}') AS ends,
    told.last AS last_event
FROM kept
FULL JOIN told USING (sale, hold)
WHERE COALESCE(told.ends, '{}') <> array_remove(ARRAY[kept.expected], NULL)
    OR told.last <> COALESCE(kept.expected, told.last);

-- name: hold_renewals
-- Find holds renewed too often, or whose renewals and time are not those that the journal tells.
WITH events AS (
    SELECT
        j.stream AS sale, e.event ->> 'hold' AS hold, e.event ->> 'type' AS type,
        e.event ->> 'expires_at' AS expires_at, ARRAY[j.version, e.place] AS moment
    FROM journal AS j
    CROSS JOIN LATERAL jsonb_path_query(j.events, 'strict $[*]', silent => true)
        WITH ORDINALITY AS e (event, place)
    WHERE j.organisation = :organisation AND j.kind = 'sale'
        AND j.stream = ANY(CAST(:sales AS bigint[]))
        AND e.event ->> 'type' IN ('HoldPlaced', 'HoldRenewed')
), told AS (
    SELECT
        events.sale, events.hold, count(*) FILTER (WHERE events.type = 'HoldRenewed') AS renewals,
        CAST((array_agg(events.expires_at ORDER BY events.moment DESC))[1] AS numeric)
            AS expires_at_ms
    FROM events
    GROUP BY events.sale, events.hold
), kept AS (
    SELECT
        h.sale, CAST(h.hold AS text) AS hold, cardinality(h.renewals) AS renewals,
        s.renewals_max, h.expires_at
    FROM holds AS h
    JOIN sales AS s USING (organisation, sale)
    WHERE h.organisation = :organisation AND h.sale = ANY(CAST(:sales AS bigint[]))
        AND s.sale = ANY(CAST(:sales AS bigint[]))
)
SELECT
    sale, hold, kept.renewals, kept.renewals_max, told.renewals AS renewals_told,
    kept.expires_at, told.expires_at_ms AS expires_at_ms_told
FROM kept
LEFT JOIN told USING (sale, hold)
WHERE kept.renewals > kept.renewals_max OR kept.renewals <> told.renewals
    -- Events tell whole milliseconds, cut off or rounded.
    OR abs(extract(epoch FROM kept.expires_at) * 1000 - told.expires_at_ms) > 1;

-- name: journal_seats
-- Replay the journal, and find seats that have another owner than it tells.
WITH moves AS (
    SELECT
        j.stream AS sale, j.version, e.place, e.event ->> 'type' AS type, e.event ->> 'hold' AS hold,
        CAST(m.seat AS integer) AS seat
    FROM journal AS j
    CROSS JOIN LATERAL jsonb_path_query(j.events, 'strict $[*]', silent => true)
        WITH ORDINALITY AS e (event, place)
    CROSS JOIN LATERAL jsonb_array_elements_text(
        CASE jsonb_typeof(e.event -> 'seats') WHEN 'array' THEN e.event -> 'seats' ELSE '[]' END
    ) AS m (seat)
    WHERE j.organisation = :organisation AND j.kind = 'sale'
        AND j.stream = ANY(CAST(:sales AS bigint[]))
        AND e.event ? 'hold'
), last_moves AS (
    SELECT DISTINCT ON (moves.sale, moves.seat) moves.*
    FROM moves
    ORDER BY moves.sale, moves.seat, moves.version DESC, moves.place DESC
), told AS (
    SELECT
        last_moves.sale, last_moves.seat, last_moves.hold,
        CASE last_moves.type WHEN 'HoldPlaced' THEN 'held' ELSE 'sold' END AS state
    FROM last_moves
    WHERE last_moves.type NOT IN ('HoldReleased', 'HoldExpired')
), kept AS (
    SELECT
        s.sale, s.seat, CAST(s.hold AS text) AS hold,
        CASE WHEN s.expires_at IS NULL THEN 'sold' ELSE 'held' END AS state
    FROM seats AS s
    WHERE s.organisation = :organisation AND s.sale = ANY(CAST(:sales AS bigint[]))
        AND s.hold IS NOT NULL
)
SELECT
    sale, seat, COALESCE(kept.state, 'free') AS state, kept.hold,
    COALESCE(told.state, 'free') AS state_told, told.hold AS hold_told
FROM kept
FULL JOIN told USING (sale, seat)
WHERE kept.hold IS DISTINCT FROM told.hold OR kept.state IS DISTINCT FROM told.state;

-- name: journal_stocks
-- Replay the journal, and find stocks whose counters it tells otherwise.
WITH told AS (
    SELECT
        j.stream AS sale, CAST(d.draw ->> 0 AS integer) AS stock,
        sum(CAST(d.draw ->> 1 AS bigint)
            * CASE e.event ->> 'type' WHEN 'HoldPlaced' THEN 1 ELSE -1 END) AS held,
        sum(CASE e.event ->> 'type'
            WHEN 'OrderConfirmed' THEN CAST(d.draw ->> 1 AS bigint) ELSE 0 END) AS sold
    FROM journal AS j
    CROSS JOIN LATERAL jsonb_path_query(j.events, 'strict $[*]', silent => true) AS e (event)
    CROSS JOIN LATERAL jsonb_array_elements(
        CASE jsonb_typeof(e.event -> 'draws') WHEN 'array' THEN e.event -> 'draws' ELSE '[]' END
    ) AS d (draw)
    WHERE j.organisation = :organisation AND j.kind = 'sale'
        AND j.stream = ANY(CAST(:sales AS bigint[]))
        AND e.event ? 'hold'
    GROUP BY j.stream, stock
), kept AS (
    SELECT t.sale, t.stock, t.held, t.sold
    FROM stocks AS t
    WHERE t.organisation = :organisation AND t.sale = ANY(CAST(:sales AS bigint[]))
)
SELECT
    sale, stock, kept.held, COALESCE(told.held, 0) AS held_told, kept.sold,
    COALESCE(told.sold, 0) AS sold_told
FROM kept
FULL JOIN told USING (sale, stock)
WHERE kept.held IS DISTINCT FROM COALESCE(told.held, 0)
    OR kept.sold IS DISTINCT FROM COALESCE(told.sold, 0);

-- name: sale_parts
-- Find parts of a sale that name another part which the sale does not have.
SELECT s.sale, 'seat' AS part, s.seat AS number, 'occasion' AS names, s.occasion AS missing
FROM seats AS s
LEFT JOIN occasions AS o
    ON o.organisation = :organisation AND o.sale = s.sale AND o.sale = ANY(CAST(:sales AS bigint[]))
        AND o.occasion = s.occasion
WHERE s.organisation = :organisation AND s.sale = ANY(CAST(:sales AS bigint[]))
    AND o.occasion IS NULL
UNION ALL
SELECT s.sale, 'seat', s.seat, 'price class', s.price_class
FROM seats AS s
LEFT JOIN price_classes AS c
    ON c.organisation = :organisation AND c.sale = s.sale AND c.sale = ANY(CAST(:sales AS bigint[]))
        AND c.price_class = s.price_class
WHERE s.organisation = :organisation AND s.sale = ANY(CAST(:sales AS bigint[]))
    AND c.price_class IS NULL
UNION ALL
SELECT t.sale, 'stock', t.stock, 'occasion', t.occasion
FROM stocks AS t
LEFT JOIN occasions AS o
    ON o.organisation = :organisation AND o.sale = t.sale AND o.sale = ANY(CAST(:sales AS bigint[]))
        AND o.occasion = t.occasion
WHERE t.organisation = :organisation AND t.sale = ANY(CAST(:sales AS bigint[]))
    AND o.occasion IS NULL
UNION ALL
SELECT d.sale, 'draw of product', d.product, 'stock', d.stock
FROM product_draws AS d
LEFT JOIN stocks AS t
    ON t.organisation = :organisation AND t.sale = d.sale AND t.sale = ANY(CAST(:sales AS bigint[]))
        AND t.stock = d.stock
WHERE d.organisation = :organisation AND d.sale = ANY(CAST(:sales AS bigint[]))
    AND t.stock IS NULL
UNION ALL
SELECT d.sale, 'draw of stock', d.stock, 'product', d.product
FROM product_draws AS d
LEFT JOIN products AS p
    ON p.organisation = :organisation AND p.sale = d.sale AND p.sale = ANY(CAST(:sales AS bigint[]))
        AND p.product = d.product
WHERE d.organisation = :organisation AND d.sale = ANY(CAST(:sales AS bigint[]))
    AND p.product IS NULL;

-- name: seat_places
-- Find places that have several seats: who reads two tickets could not tell them apart.
SELECT
    s.sale, s.occasion, s.section, s.row_name, s.label, array_agg(s.seat ORDER BY s.seat) AS seats
FROM seats AS s
WHERE s.organisation = :organisation AND s.sale = ANY(CAST(:sales AS bigint[]))
GROUP BY s.sale, s.occasion, s.section, s.row_name, s.label
HAVING count(*) > 1;

-- name: sale_persons
-- Find sales with a limit that do not say whom it counts.
SELECT s.sale, s.occasion_limit, s.person_limit, s.persons
FROM sales AS s
WHERE s.organisation = :organisation AND s.sale = ANY(CAST(:sales AS bigint[]))
    AND s.persons IS NULL AND (s.occasion_limit IS NOT NULL OR s.person_limit IS NOT NULL);

-- name: part_names
-- Find names that several parts of a sale bear.
WITH named AS (
    SELECT c.sale, 'price class' AS part, c.name, CAST(NULL AS integer) AS occasion,
        CAST(NULL AS timestamptz) AS starts_at,
        c.price_class AS number
    FROM price_classes AS c
    WHERE c.organisation = :organisation AND c.sale = ANY(CAST(:sales AS bigint[]))
    UNION ALL
    SELECT p.sale, 'product', p.name, NULL, NULL, p.product
    FROM products AS p
    WHERE p.organisation = :organisation AND p.sale = ANY(CAST(:sales AS bigint[]))
    UNION ALL
    SELECT o.sale, 'occasion', o.name, NULL, o.starts_at, o.occasion
    FROM occasions AS o
    WHERE o.organisation = :organisation AND o.sale = ANY(CAST(:sales AS bigint[]))
    UNION ALL
    SELECT t.sale, 'stock', t.name, t.occasion, t.starts_at, t.stock
    FROM stocks AS t
    WHERE t.organisation = :organisation AND t.sale = ANY(CAST(:sales AS bigint[]))
)
SELECT
    named.sale, named.part, named.name, named.occasion, named.starts_at,
    array_agg(named.number ORDER BY named.number) AS numbers
FROM named
GROUP BY named.sale, named.part, named.name, named.occasion, named.starts_at
HAVING count(*) > 1;

-- name: known_sales
-- Find rows of sales that do not exist, table by table, stepping from one sale to the next.
WITH RECURSIVE found (part, sale) AS (
    SELECT part.name, CAST(-1 AS bigint)
    FROM (VALUES
        ('occasions'), ('price_classes'), ('seats'), ('stocks'), ('products'), ('product_draws'),
        ('person_uses'), ('holds'), ('orders'), ('journal')
    ) AS part (name)
    UNION ALL
    SELECT found.part, CASE found.part
        WHEN 'occasions' THEN (SELECT min(o.sale) FROM occasions AS o
            WHERE o.organisation = :organisation AND o.sale > found.sale)
        WHEN 'price_classes' THEN (SELECT min(c.sale) FROM price_classes AS c
            WHERE c.organisation = :organisation AND c.sale > found.sale)
        WHEN 'seats' THEN (SELECT min(s.sale) FROM seats AS s
            WHERE s.organisation = :organisation AND s.sale > found.sale)
        WHEN 'stocks' THEN (SELECT min(t.sale) FROM stocks AS t
            WHERE t.organisation = :organisation AND t.sale > found.sale)
        WHEN 'products' THEN (SELECT min(p.sale) FROM products AS p
            WHERE p.organisation = :organisation AND p.sale > found.sale)
        WHEN 'product_draws' THEN (SELECT min(d.sale) FROM product_draws AS d
            WHERE d.organisation = :organisation AND d.sale > found.sale)
        WHEN 'person_uses' THEN (SELECT min(u.sale) FROM person_uses AS u
            WHERE u.organisation = :organisation AND u.sale > found.sale)
        WHEN 'holds' THEN (SELECT min(h.sale) FROM holds AS h
            WHERE h.organisation = :organisation AND h.sale > found.sale)
        WHEN 'orders' THEN (SELECT min(o.sale) FROM orders AS o
            WHERE o.organisation = :organisation AND o.sale > found.sale)
        WHEN 'journal' THEN (SELECT min(j.stream) FROM journal AS j
            WHERE j.organisation = :organisation AND j.kind = 'sale' AND j.stream > found.sale)
    END
    FROM found
    WHERE found.sale IS NOT NULL
)
SELECT found.sale, found.part AS "table"
FROM found
WHERE found.sale >= 0 AND NOT EXISTS (
    SELECT FROM sales AS s
    WHERE s.organisation = :organisation AND s.sale = found.sale
);

-- name: journal_cursors
-- Find consumers who claim to have read what has not been written.
SELECT c.stream AS sale, c.consumer, c.version, s.version AS sale_version
FROM journal_cursors AS c
LEFT JOIN sales AS s ON s.organisation = c.organisation AND s.sale = c.stream
WHERE c.organisation = :organisation AND c.kind = 'sale' AND c.version > COALESCE(s.version, -1);

-- name: operator_effects
-- Find effects of operators whose result was never written.
SELECT CAST(NULL AS bigint) AS sale, f.effect, f.recorded_at
FROM operator_effects AS f
WHERE f.organisation = :organisation AND f.result IS NULL;

-- name: audit_log_chain
-- Find where an entry of the audit log is missing, or is not chained to the one before.
WITH entries AS (
    SELECT
        a.entry, a.previous_hash,
        lag(a.entry, 1, CAST(0 AS bigint)) OVER in_order AS before,
        lag(a.hash, 1, CAST(decode(repeat('00', 32), 'hex') AS bytea)) OVER in_order AS chained_to
    FROM audit_log AS a
    WHERE a.organisation = :organisation
    WINDOW in_order AS (ORDER BY a.entry)
)
SELECT
    CAST(NULL AS bigint) AS sale, entries.entry, entries.before,
    encode(entries.previous_hash, 'hex') AS previous_hash,
    encode(entries.chained_to, 'hex') AS hash_before
FROM entries
WHERE entries.entry <> entries.before + 1 OR entries.previous_hash <> entries.chained_to;

-- name: room_lines
-- Find rooms without a line or of no sale, and rows of no room, table by table.
SELECT CAST(NULL AS bigint) AS sale, fault.room, fault.part
FROM (
    SELECT r.room, 'no line' AS part
    FROM rooms AS r
    LEFT JOIN room_lines AS l ON l.organisation = r.organisation AND l.room = r.room
    WHERE r.organisation = :organisation AND l.room IS NULL
    UNION ALL
    SELECT r.room, 'no sale ' || r.sale
    FROM rooms AS r
    LEFT JOIN sales AS s ON s.organisation = r.organisation AND s.sale = r.sale
    WHERE r.organisation = :organisation AND r.sale IS NOT NULL AND s.sale IS NULL
    UNION ALL
    SELECT DISTINCT part.room, part.name
    FROM (
        SELECT l.organisation, l.room, 'room_lines' AS name FROM room_lines AS l
        UNION ALL
        SELECT p.organisation, p.room, 'room_places' FROM room_places AS p
        UNION ALL
        SELECT q.organisation, q.room, 'room_passes' FROM room_passes AS q
        UNION ALL
        SELECT e.organisation, e.room, 'room_entrants' FROM room_entrants AS e
        UNION ALL
        SELECT d.organisation, d.room, 'room_draws' FROM room_draws AS d
        UNION ALL
        SELECT s.organisation, s.room, 'room_draw_secrets' FROM room_draw_secrets AS s
        UNION ALL
        SELECT g.organisation, g.room, 'room_gaps' FROM room_gaps AS g
    ) AS part
    LEFT JOIN rooms AS r ON r.organisation = part.organisation AND r.room = part.room
    WHERE part.organisation = :organisation AND r.room IS NULL
) AS fault;

-- name: room_epochs
-- Find rows of epochs that are still to come.
SELECT DISTINCT CAST(NULL AS bigint) AS sale, part.room, part.name AS part, part.epoch
FROM (
    SELECT p.organisation, p.room, p.epoch, 'room_places' AS name FROM room_places AS p
    UNION ALL
    SELECT q.organisation, q.room, q.epoch, 'room_passes' FROM room_passes AS q
    UNION ALL
    SELECT e.organisation, e.room, e.epoch, 'room_entrants' FROM room_entrants AS e
    UNION ALL
    SELECT d.organisation, d.room, d.epoch, 'room_draws' FROM room_draws AS d
    UNION ALL
    SELECT g.organisation, g.room, g.epoch, 'room_gaps' FROM room_gaps AS g
) AS part
JOIN room_lines AS l ON l.organisation = part.organisation AND l.room = part.room
WHERE part.organisation = :organisation AND part.epoch > l.epoch;

-- name: room_numbers
-- Find lines whose places are not numbered without a gap, the numbers kept for a draw and those
-- passed over by a restore aside. So many different numbers, all within bounds, are all there are.
SELECT
    CAST(NULL AS bigint) AS sale, l.room, l.epoch, l.issued,
    COALESCE(given.places, 0) AS places, COALESCE(kept.numbers, 0) AS kept,
    COALESCE(passed.numbers, 0) AS passed_over, given.highest
FROM room_lines AS l
LEFT JOIN (
    SELECT p.room, p.epoch, count(*) AS places, count(DISTINCT p.number) AS numbers,
        min(p.number) AS lowest, max(p.number) AS highest,
        count(*) FILTER (WHERE EXISTS (
            SELECT FROM room_gaps AS g
            WHERE g.organisation = :organisation AND g.room = p.room AND g.epoch = p.epoch
                AND p.number > g.after AND p.number <= g.upto
        )) AS passed_over
    FROM room_places AS p
    WHERE p.organisation = :organisation
    GROUP BY p.room, p.epoch
) AS given ON given.room = l.room AND given.epoch = l.epoch
LEFT JOIN (
    SELECT d.room, d.epoch, d.entrants AS numbers
    FROM room_draws AS d
    WHERE d.organisation = :organisation AND d.state IN ('sealed', 'withheld')
) AS kept ON kept.room = l.room AND kept.epoch = l.epoch
LEFT JOIN (
    SELECT g.room, g.epoch, sum(g.upto - g.after) AS numbers, max(g.upto) AS highest
    FROM room_gaps AS g
    WHERE g.organisation = :organisation
    GROUP BY g.room, g.epoch
) AS passed ON passed.room = l.room AND passed.epoch = l.epoch
WHERE l.organisation = :organisation
    AND (
        COALESCE(given.places, 0) + COALESCE(kept.numbers, 0) + COALESCE(passed.numbers, 0)
            <> l.issued
        OR l.unlisted <> COALESCE(passed.numbers, 0)
        OR given.numbers <> given.places
        OR given.lowest <= COALESCE(kept.numbers, 0)
        OR given.passed_over > 0
        OR given.highest > l.issued OR passed.highest > l.issued
    );

-- name: room_serving
-- Find lines that call numbers which were never given.
SELECT CAST(NULL AS bigint) AS sale, l.room, l.epoch, l.issued, l.serving
FROM room_lines AS l
WHERE l.organisation = :organisation AND (l.serving > l.issued OR l.serving < 0);

-- name: room_occupancy
-- Recount who is inside.
SELECT
    CAST(NULL AS bigint) AS sale, l.room, l.epoch, l.live,
    COALESCE(inside.passes, 0) AS live_recounted
FROM room_lines AS l
LEFT JOIN (
    SELECT q.room, q.epoch, count(*) AS passes
    FROM room_passes AS q
    WHERE q.organisation = :organisation AND q.state = 'live'
    GROUP BY q.room, q.epoch
) AS inside ON inside.room = l.room AND inside.epoch = l.epoch
WHERE l.organisation = :organisation AND l.live <> COALESCE(inside.passes, 0);

-- name: room_passes
-- Find passes of no place, of somebody else's, or whose id does not begin with their number.
SELECT
    CAST(NULL AS bigint) AS sale, q.room, q.epoch, q.number, q.holder, p.holder AS place_of
FROM room_passes AS q
LEFT JOIN room_places AS p
    ON p.organisation = q.organisation AND p.room = q.room AND p.epoch = q.epoch
    AND p.number = q.number
WHERE q.organisation = :organisation
    AND (
        p.holder <> q.holder
        OR p.holder IS NULL AND NOT EXISTS (
            SELECT FROM room_gaps AS g
            WHERE g.organisation = q.organisation AND g.room = q.room AND g.epoch = q.epoch
                AND q.number > g.after AND q.number <= g.upto
        )
        OR left(replace(CAST(q.pass_id AS text), '-', ''), 16)
            <> lpad(to_hex(q.number), 16, '0')
    );

-- name: room_visits
-- Find places with another one of the same holder behind them that do not say so, or that could
-- still be used when it was given. (Passes are looked up for these only, whatever the statistics.)
SELECT
    CAST(NULL AS bigint) AS sale, p.room, p.epoch, p.holder, p.number, p.followed_by,
    p.next_number
FROM (
    SELECT
        each.room, each.epoch, each.holder, each.number, each.followed_by,
        lead(each.number) OVER visits AS next_number,
        lead(each.issued_at) OVER visits AS next_issued_at
    FROM room_places AS each
    WHERE each.organisation = :organisation
    WINDOW visits AS (PARTITION BY each.holder, each.room, each.epoch ORDER BY each.number)
) AS p
WHERE p.followed_by IS DISTINCT FROM p.next_number
    OR p.next_number IS NOT NULL AND NOT EXISTS (
        SELECT FROM room_passes AS q
        WHERE q.organisation = :organisation AND q.room = p.room AND q.epoch = p.epoch
            AND q.number = p.number
            AND (q.state NOT IN ('live', 'expired') OR q.session_until <= p.next_issued_at)
    );

-- name: room_pass_times
-- Find passes whose times contradict each other. Moments of different decisions are not compared:
-- between them the clock may have gone back.
SELECT
    CAST(NULL AS bigint) AS sale, q.room, q.epoch, q.number, q.state,
    q.entered_at, q.renewed_at, q.expires_at, q.slot_until, q.session_until, q.ended_at
FROM room_passes AS q
WHERE q.organisation = :organisation
    AND (
        q.expires_at > q.slot_until OR q.expires_at > q.session_until
        OR q.renewal < 0
    );

-- name: room_draws
-- Find those who took part in a draw and got no number of it.
SELECT CAST(NULL AS bigint) AS sale, left_out.*
FROM (
    SELECT e.room, e.epoch, e.holder, d.entrants
    FROM room_draws AS d
    JOIN room_entrants AS e
        ON e.organisation = d.organisation AND e.room = d.room AND e.epoch = d.epoch
    WHERE d.organisation = :organisation AND d.state = 'revealed'
    EXCEPT
    SELECT p.room, p.epoch, p.holder, d.entrants
    FROM room_draws AS d
    JOIN room_places AS p
        ON p.organisation = d.organisation AND p.room = d.room AND p.epoch = d.epoch
        AND p.number <= d.entrants
    WHERE d.organisation = :organisation AND d.state = 'revealed'
) AS left_out;

-- name: room_draw_secrets
-- Find draws of which the server keeps another secret than was promised, one of somebody else's, or
-- none although it is to reveal one. The secret itself is not told.
SELECT CAST(NULL AS bigint) AS sale, fault.*
FROM (
    SELECT
        COALESCE(d.room, s.room) AS room, COALESCE(d.epoch, s.epoch) AS epoch, d.state, d.kept,
        s.secret IS NOT NULL AS has_secret
    FROM (
        SELECT * FROM room_draws WHERE room_draws.organisation = :organisation
    ) AS d
    FULL JOIN (
        SELECT * FROM room_draw_secrets WHERE room_draw_secrets.organisation = :organisation
    ) AS s ON s.room = d.room AND s.epoch = d.epoch
    WHERE (d.kept AND d.state <> 'revealed') IS DISTINCT FROM (s.secret IS NOT NULL)
        OR sha256(s.secret) <> d.commitment
) AS fault;

-- name: bound_faults
-- Wrap any of the statements above: the first few rows at fault of each sale, and their number.
SELECT numbered.sale, numbered.total, row_to_json(numbered.fault) AS fault
FROM (
    SELECT
        fault.sale, fault, count(*) OVER (PARTITION BY fault.sale) AS total,
        row_number() OVER (PARTITION BY fault.sale ORDER BY fault) AS place
    FROM (/* faults */) AS fault
) AS numbered
WHERE numbered.place <= :rows_max
ORDER BY numbered.sale, numbered.place;

-- name: list_sales
-- Tell how large each sale is, roughly and cheaply: its last seat, and what happened in it.
SELECT s.sale, s.version + COALESCE(last.seat, 0) AS size
FROM sales AS s
LEFT JOIN LATERAL (
    SELECT seats.seat
    FROM seats
    WHERE seats.organisation = s.organisation AND seats.sale = s.sale
    ORDER BY seats.seat DESC
    LIMIT 1
) AS last ON true
WHERE s.organisation = :organisation
    AND (CAST(:sales AS bigint[]) IS NULL OR s.sale = ANY(CAST(:sales AS bigint[])))
ORDER BY s.sale;

-- name: read_audit_page
-- Read the audit log page by page, to hash its entries again.
SELECT a.*
FROM audit_log AS a
WHERE a.organisation = :organisation AND a.entry > :after
ORDER BY a.entry
LIMIT :rows_max;

-- name: bound_transaction
-- Bound what one statement may cost from here on: seconds, memory, and plans without luck.
SELECT
    set_config('statement_timeout', :statement_ms, true),
    set_config('work_mem', '64MB', true),
    set_config('enable_nestloop', 'off', true),
    set_config('enable_mergejoin', 'off', true);

-- name: read_room_settings
-- Read the settings of rooms, page by page.
SELECT r.room, r.name, CAST(r.settings AS text) AS settings, clock_timestamp() AS now
FROM rooms AS r
WHERE r.organisation = :organisation AND r.room > :after
ORDER BY r.room
LIMIT :rows_max;
