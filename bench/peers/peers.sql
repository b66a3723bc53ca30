-- What the peers need besides the engine's own tables. Loaded into their databases only.

-- An outbox as people write it: one row an event, numbered by a sequence. It asks for less than the
-- engine's journal does (no gap-free order by sale), which spares the peers a lock on the sale.
CREATE TABLE outbox (
    event bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organisation integer NOT NULL,
    sale bigint NOT NULL,
    kind text NOT NULL,
    payload jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Let go of past-due holds before somebody is refused for want of units: those of one person, or
-- those that draw on one of some stocks. Rows that others have locked are skipped.
CREATE FUNCTION reclaim_past_due(
    p_organisation integer, p_sale bigint, p_person uuid, p_stocks integer[]
) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_hold holds;
    v_reclaimed integer := 0;
BEGIN
    FOR v_hold IN
        SELECT * FROM holds h
        WHERE h.organisation = p_organisation AND h.sale = p_sale AND h.state = 'open'
          AND h.expires_at <= clock_timestamp()
          AND (h.person = p_person OR h.stocks && p_stocks)
        ORDER BY h.expires_at LIMIT 100
        FOR NO KEY UPDATE SKIP LOCKED
    LOOP
        UPDATE holds SET state = 'expired', ended_at = clock_timestamp()
        WHERE organisation = p_organisation AND sale = p_sale AND hold = v_hold.hold;
        UPDATE person_uses u SET units = u.units - t.units
        FROM unnest(v_hold.use_occasions, v_hold.use_units) AS t(occasion, units)
        WHERE u.organisation = p_organisation AND u.sale = p_sale
          AND u.person = v_hold.person AND u.occasion = t.occasion;
        UPDATE stocks s SET held = s.held - t.units
        FROM unnest(v_hold.stocks, v_hold.stock_units) AS t(stock, units)
        WHERE s.organisation = p_organisation AND s.sale = p_sale AND s.stock = t.stock;
        INSERT INTO outbox (organisation, sale, kind, payload)
        VALUES (p_organisation, p_sale, 'HoldExpired', jsonb_build_object('hold', v_hold.hold));
        v_reclaimed := v_reclaimed + 1;
    END LOOP;
    RETURN v_reclaimed;
END $$;
