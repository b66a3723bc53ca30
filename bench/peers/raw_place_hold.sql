-- One hold, one statement: what `raw_asyncpg.py` calls once a request, autocommitted.
-- Locks in the order seat, person, stock. Counters are inserted first, then locked, then decided on.
-- A refusal is returned, not raised: nothing but empty counter rows has been written by then.
CREATE FUNCTION place_hold(
    p_organisation integer, p_sale bigint, p_hold uuid, p_person uuid, p_digest uuid,
    p_seats integer[], p_products integer[], p_quantities integer[],
    OUT outcome text, OUT state text, OUT seats integer[], OUT products integer[],
    OUT product_quantities integer[], OUT units integer, OUT amount bigint, OUT currency text,
    OUT expires_at timestamptz, OUT renewals_left integer
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_sale sales;
    v_hold holds;
    v_now timestamptz;
    v_seats_found integer := 0;
    v_is_taken boolean := false;
    v_products_found integer := 0;
    v_occasions integer[];
    v_stocks integer[] := '{}';
    v_stock_units integer[] := '{}';
    v_use_occasions integer[] := '{}';
    v_use_units integer[] := '{}';
    v_use_limits integer[] := '{}';
    v_uses_found integer;
    v_row record;
    v_is_last_try boolean;
BEGIN
    units := 0;
    amount := 0;
    v_now := clock_timestamp();

    IF cardinality(p_seats) > 0 THEN
        FOR v_row IN
            SELECT s.occasion, s.hold, s.expires_at, c.price
            FROM seats s JOIN price_classes c
              ON c.organisation = s.organisation AND c.sale = s.sale
             AND c.price_class = s.price_class
            WHERE s.organisation = p_organisation AND s.sale = p_sale AND s.seat = ANY (p_seats)
            ORDER BY s.seat FOR NO KEY UPDATE OF s
        LOOP
            v_seats_found := v_seats_found + 1;
            v_now := clock_timestamp();
            v_is_taken := v_is_taken OR (v_row.hold IS NOT NULL
                AND (v_row.expires_at IS NULL OR v_row.expires_at > v_now));
            amount := amount + v_row.price;
            v_occasions := v_occasions || v_row.occasion;
        END LOOP;
    END IF;

    SELECT * INTO v_hold FROM holds h
    WHERE h.organisation = p_organisation AND h.sale = p_sale AND h.hold = p_hold;
    SELECT * INTO v_sale FROM sales s WHERE s.organisation = p_organisation AND s.sale = p_sale;
    IF v_hold.hold IS NOT NULL THEN
        IF v_hold.request_digest <> p_digest THEN
            outcome := 'key_reused';
            RETURN;
        END IF;
        outcome := 'replayed'; state := v_hold.state; seats := v_hold.seats;
        products := v_hold.products; product_quantities := v_hold.product_quantities;
        units := v_hold.units; amount := v_hold.amount; currency := v_sale.currency;
        expires_at := v_hold.expires_at;
        renewals_left := v_sale.renewals_max - cardinality(v_hold.renewals);
        RETURN;
    END IF;

    IF v_sale.sale IS NULL THEN outcome := 'unknown_sale'; RETURN; END IF;
    IF v_now < v_sale.opens_at OR v_now >= v_sale.closes_at THEN
        outcome := 'sale_not_open'; RETURN;
    END IF;
    IF v_sale.paused THEN outcome := 'sale_paused'; RETURN; END IF;
    IF v_seats_found <> cardinality(p_seats) THEN outcome := 'unknown_seat'; RETURN; END IF;

    units := v_seats_found;
    IF cardinality(p_products) > 0 THEN
        FOR v_row IN
            SELECT p.product, p.price, a.quantity FROM unnest(p_products, p_quantities)
                AS a(product, quantity)
            JOIN products p ON p.organisation = p_organisation AND p.sale = p_sale
                AND p.product = a.product
        LOOP
            v_products_found := v_products_found + 1;
            units := units + v_row.quantity;
            amount := amount + v_row.price * v_row.quantity;
        END LOOP;
        IF v_products_found <> cardinality(p_products) THEN
            outcome := 'unknown_product'; RETURN;
        END IF;
        SELECT array_agg(t.stock ORDER BY t.stock), array_agg(t.units ORDER BY t.stock)
        INTO v_stocks, v_stock_units
        FROM (
            SELECT d.stock, sum(d.units * a.quantity)::integer AS units
            FROM unnest(p_products, p_quantities) AS a(product, quantity)
            JOIN product_draws d ON d.organisation = p_organisation AND d.sale = p_sale
                AND d.product = a.product
            GROUP BY d.stock
        ) t;
    END IF;
    IF units > v_sale.order_limit THEN outcome := 'order_limit_reached'; RETURN; END IF;
    IF v_is_taken THEN outcome := 'seat_taken'; RETURN; END IF;

    IF v_sale.person_limit IS NOT NULL THEN
        v_use_occasions := ARRAY[0];
        v_use_units := ARRAY[units];
        v_use_limits := ARRAY[v_sale.person_limit];
    END IF;
    IF v_sale.occasion_limit IS NOT NULL THEN
        FOR v_row IN
            SELECT t.occasion, sum(t.units)::integer AS units FROM (
                SELECT unnest(v_occasions) AS occasion, 1 AS units
                UNION ALL
                SELECT DISTINCT ON (a.product, s.occasion) s.occasion, a.quantity
                FROM unnest(p_products, p_quantities) AS a(product, quantity)
                JOIN product_draws d ON d.organisation = p_organisation AND d.sale = p_sale
                    AND d.product = a.product
                JOIN stocks s ON s.organisation = p_organisation AND s.sale = p_sale
                    AND s.stock = d.stock
            ) t GROUP BY t.occasion ORDER BY t.occasion
        LOOP
            v_use_occasions := v_use_occasions || v_row.occasion;
            v_use_units := v_use_units || v_row.units;
            v_use_limits := v_use_limits || v_sale.occasion_limit;
        END LOOP;
    END IF;

    IF cardinality(v_use_occasions) > 0 THEN
        INSERT INTO person_uses
        SELECT p_organisation, p_sale, p_person, t.occasion, 0, t.units_max
        FROM unnest(v_use_occasions, v_use_limits) AS t(occasion, units_max)
        ORDER BY t.occasion ON CONFLICT DO NOTHING;
        FOREACH v_is_last_try IN ARRAY ARRAY[false, true] LOOP
            v_uses_found := 0;
            FOR v_row IN
                SELECT u.units + t.units > t.units_max AS is_too_much FROM person_uses u
                JOIN unnest(v_use_occasions, v_use_units, v_use_limits)
                    AS t(occasion, units, units_max) ON t.occasion = u.occasion
                WHERE u.organisation = p_organisation AND u.sale = p_sale
                  AND u.person = p_person
                ORDER BY u.occasion FOR NO KEY UPDATE OF u
            LOOP
                v_uses_found := v_uses_found + v_row.is_too_much::integer;
            END LOOP;
            EXIT WHEN v_uses_found = 0;
            IF v_is_last_try
               OR reclaim_past_due(p_organisation, p_sale, p_person, '{}') = 0 THEN
                outcome := 'limit_reached'; RETURN;
            END IF;
        END LOOP;
    END IF;

    IF cardinality(v_stocks) > 0 THEN
        FOREACH v_is_last_try IN ARRAY ARRAY[false, true] LOOP
            v_uses_found := 0;
            FOR v_row IN
                SELECT s.held + s.sold + t.units > s.capacity AS is_too_much FROM stocks s
                JOIN unnest(v_stocks, v_stock_units) AS t(stock, units) ON t.stock = s.stock
                WHERE s.organisation = p_organisation AND s.sale = p_sale
                ORDER BY s.stock FOR NO KEY UPDATE OF s
            LOOP
                v_uses_found := v_uses_found + v_row.is_too_much::integer;
            END LOOP;
            EXIT WHEN v_uses_found = 0;
            IF v_is_last_try
               OR reclaim_past_due(p_organisation, p_sale, NULL, v_stocks) = 0 THEN
                outcome := 'sold_out'; RETURN;
            END IF;
        END LOOP;
    END IF;

    -- From here the hold must succeed.
    v_now := clock_timestamp();
    expires_at := v_now + v_sale.hold_ttl_s * interval '1 second';
    INSERT INTO holds VALUES (
        p_organisation, p_sale, p_hold, p_person, 'open', p_seats, p_products, p_quantities,
        v_stocks, v_stock_units, v_use_occasions, v_use_units, units, amount, p_digest, '{}',
        v_now, expires_at, NULL
    );
    IF cardinality(p_seats) > 0 THEN
        UPDATE seats s SET hold = p_hold, expires_at = place_hold.expires_at
        WHERE s.organisation = p_organisation AND s.sale = p_sale AND s.seat = ANY (p_seats);
    END IF;
    IF cardinality(v_use_occasions) > 0 THEN
        UPDATE person_uses u SET units = u.units + t.units
        FROM unnest(v_use_occasions, v_use_units) AS t(occasion, units)
        WHERE u.organisation = p_organisation AND u.sale = p_sale AND u.person = p_person
          AND u.occasion = t.occasion;
    END IF;
    IF cardinality(v_stocks) > 0 THEN
        UPDATE stocks s SET held = s.held + t.units
        FROM unnest(v_stocks, v_stock_units) AS t(stock, units)
        WHERE s.organisation = p_organisation AND s.sale = p_sale AND s.stock = t.stock;
    END IF;
    INSERT INTO outbox (organisation, sale, kind, payload)
    VALUES (p_organisation, p_sale, 'HoldPlaced', jsonb_build_object(
        'hold', p_hold, 'person', p_person, 'seats', p_seats, 'units', place_hold.units));

    outcome := 'held'; state := 'open'; seats := p_seats; products := p_products;
    product_quantities := p_quantities; currency := v_sale.currency;
    renewals_left := v_sale.renewals_max;
END $$;
