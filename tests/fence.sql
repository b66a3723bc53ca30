-- Installed into the tests' template database, and nowhere else: a transaction that changes a row of a
-- sale's inventory is not committed unless it has written the sale's own row as well, its version
-- raised. So whoever writes there holds the stream, be it a batch, set-up, an import or a repair.
--
-- That the row was written is noted in a setting that lives as long as the transaction. Settings are
-- rolled back with a savepoint, together with the write that they tell of, which xmin is not: within a
-- savepoint it is the sub-transaction's.
--
-- Tests that corrupt data on purpose say so: SET fence.off = on.

CREATE FUNCTION fence_note() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    sale record := COALESCE(NEW, OLD);
BEGIN
    PERFORM set_config(
        format('fence.sale_%s_%s', sale.organisation, sale.sale), pg_current_xact_id()::text, true
    );
    RETURN NULL;
END
$$;

CREATE TRIGGER fence_note AFTER INSERT OR DELETE ON sales
    FOR EACH ROW EXECUTE FUNCTION fence_note();
CREATE TRIGGER fence_note_raised AFTER UPDATE ON sales
    FOR EACH ROW WHEN (new.version > old.version) EXECUTE FUNCTION fence_note();

CREATE FUNCTION fence_check() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed record := COALESCE(NEW, OLD);
    noted text := current_setting(
        format('fence.sale_%s_%s', changed.organisation, changed.sale), true
    );
BEGIN
    IF current_setting('fence.off', true) IS DISTINCT FROM 'on'
        AND noted IS DISTINCT FROM pg_current_xact_id()::text
    THEN
        RAISE EXCEPTION '% of sale % was changed without the sale', tg_table_name, changed.sale
            USING ERRCODE = 'assert_failure';
    END IF;
    RETURN NULL;
END
$$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'occasions', 'price_classes', 'seats', 'stocks', 'products', 'product_draws',
        'person_uses', 'holds', 'orders'
    ] LOOP
        EXECUTE format(
            'CREATE CONSTRAINT TRIGGER fence AFTER INSERT OR UPDATE OR DELETE ON %I'
            ' DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fence_check()',
            name
        );
    END LOOP;
END
$$;
