-- How a test's database is given to the next one: empty as the template is, or not at all.

-- name: still_connected
-- Count the connections that a test has left open.
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend';

-- name: wipe
-- Empty all tables that migrations leave empty, and number sales and rooms from 1 again.
DO $$
DECLARE
    name text;
    is_used boolean;
BEGIN
    SET LOCAL session_replication_role = replica;  -- no fence, no foreign keys
    FOR name IN
        SELECT tablename FROM pg_tables
        WHERE schemaname = 'public' AND tablename NOT IN ('organisations', 'alembic_version')
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %I)', name) INTO is_used;
        IF is_used THEN
            EXECUTE format('DELETE FROM %I', name);
        END IF;
    END LOOP;
    PERFORM setval(sequence::regclass, 1, false)
    FROM (SELECT format('%I', sequencename) FROM pg_sequences WHERE last_value IS NOT NULL)
        AS used (sequence);
END
$$;

-- name: shape
-- Say what no test may change in a database that another one is given: each row of the catalogue by
-- the transaction that wrote it, settings, rights, and what migrations have written into tables.
SELECT md5(concat_ws(' ',
    (SELECT sum(hashtext(concat(oid, xmin))::bigint) FROM pg_class),
    (SELECT sum(hashtext(concat(attrelid, attnum, xmin))::bigint) FROM pg_attribute
        WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)),
    (SELECT sum(hashtext(concat(oid, xmin))::bigint) FROM pg_constraint),
    (SELECT sum(hashtext(concat(oid, xmin))::bigint) FROM pg_trigger),
    (SELECT sum(hashtext(concat(oid, xmin))::bigint) FROM pg_proc WHERE oid >= 16384),
    (SELECT sum(hashtext(concat(indexrelid, xmin))::bigint) FROM pg_index),
    (SELECT sum(hashtext(concat(oid, xmin))::bigint) FROM pg_namespace),
    (SELECT sum(hashtext(concat(oid, xmin))::bigint) FROM pg_extension),
    (SELECT concat(datallowconn, datconnlimit, datacl) FROM pg_database
        WHERE datname = current_database()),
    (SELECT count(*) FROM pg_db_role_setting
        WHERE setdatabase IN (SELECT oid FROM pg_database WHERE datname = current_database())),
    (SELECT string_agg(o::text, ' ' ORDER BY o::text) FROM organisations AS o),
    (SELECT string_agg(a::text, ' ') FROM alembic_version AS a)
));
