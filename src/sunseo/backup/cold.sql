-- What a backup tells of a database, what is compared with a later state of it, and what is set right
-- when it is brought back. Never on a server's way; all of it by the command line.
--
-- What is read for the manifest is read before a migration, too: it has to understand every schema.

-- name: read_moment
-- Read the time and the schema, in the snapshot that is saved.
SELECT
    clock_timestamp() AS moment, v.version_num AS schema,
    current_setting('server_version_num') AS postgres, to_regclass('rooms') IS NOT NULL AS has_rooms,
    EXISTS (
        SELECT FROM pg_attribute AS a
        WHERE a.attrelid = to_regclass('journal') AND a.attname = 'stream'
    ) AS has_streams
FROM alembic_version AS v;

-- name: export_snapshot
-- Let pg_dump see what this transaction sees; it stays open meanwhile.
SELECT pg_export_snapshot() AS snapshot, set_config('idle_in_transaction_session_timeout', '0', true);

-- name: read_sales
-- Read how far each sale's journal goes.
SELECT
    s.organisation, s.sale, s.name, s.version,
    (SELECT j.recorded_at FROM journal AS j
        WHERE j.organisation = s.organisation AND j.kind = 'sale' AND j.stream = s.sale
            AND j.version = s.version
    ) AS told_at,
    (SELECT count(*) FROM orders AS o
        WHERE o.organisation = s.organisation AND o.sale = s.sale) AS orders
FROM sales AS s
ORDER BY s.organisation, s.sale;

-- name: read_sales_before_streams
-- The same, of a schema whose journal knew of sales only.
SELECT
    s.organisation, s.sale, s.name, s.version,
    (SELECT j.recorded_at FROM journal AS j
        WHERE j.organisation = s.organisation AND j.sale = s.sale AND j.version = s.version
    ) AS told_at,
    (SELECT count(*) FROM orders AS o
        WHERE o.organisation = s.organisation AND o.sale = s.sale) AS orders
FROM sales AS s
ORDER BY s.organisation, s.sale;

-- name: read_rooms
-- Read each room's line, and how many numbers a minute it gave in its busiest ten seconds.
SELECT
    r.organisation, r.room, r.name, l.epoch, l.issued, l.serving, l.live, l.capacity, l.entrants,
    l.sealed, COALESCE(busiest.numbers, 0) AS busiest_minute, r.settings::text AS settings
FROM rooms AS r
JOIN room_lines AS l ON l.organisation = r.organisation AND l.room = r.room
LEFT JOIN (
    SELECT counted.organisation, counted.room, counted.epoch, max(counted.numbers) AS numbers
    FROM (
        SELECT p.organisation, p.room, p.epoch, 6 * count(*) AS numbers
        FROM room_places AS p
        GROUP BY p.organisation, p.room, p.epoch, floor(extract(epoch FROM p.issued_at) / 10)
    ) AS counted
    GROUP BY counted.organisation, counted.room, counted.epoch
) AS busiest
    ON busiest.organisation = r.organisation AND busiest.room = r.room AND busiest.epoch = l.epoch
ORDER BY r.organisation, r.room;

-- name: read_keys
-- Read which operator keys there are.
SELECT k.organisation, k.key_id, k.name, k.created_at, k.revoked_at
FROM operator_keys AS k
ORDER BY k.organisation, k.created_at, k.key_id;

-- name: read_revoked_passes
-- Read passes that were taken away, while tokens of their places may still be about.
SELECT q.organisation, q.room, q.epoch, q.number, q.pass_id, q.ended_at
FROM room_passes AS q
JOIN room_lines AS l
    ON l.organisation = q.organisation AND l.room = q.room AND l.epoch = q.epoch
WHERE q.state = 'revoked'
ORDER BY q.organisation, q.room, q.number;

-- name: read_orders_since
-- Read the orders that a backup of an earlier moment may lack.
SELECT o.organisation, o.sale, o.order_id, o.confirmed_at
FROM orders AS o
WHERE o.confirmed_at >= :since
ORDER BY o.organisation, o.sale, o.confirmed_at;

-- name: find_orders
-- Find which of these orders there are.
SELECT o.order_id
FROM orders AS o
WHERE o.order_id = ANY(CAST(:orders AS uuid[]));

-- name: count_relations
-- Count what lies in a database beside what PostgreSQL and its extensions keep there.
SELECT
    count(*) AS relations, min(CAST(c.relname AS text)) AS one_of_them,
    CAST(current_setting('server_version_num') AS integer) / 10000 AS major
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\_t%'
    AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    AND NOT EXISTS (
        SELECT FROM pg_depend AS d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
    );

-- name: empty_again
-- Drop all that was restored into a database which was empty, since it could not be set right.
DO $$
DECLARE
    relation record;
BEGIN
    FOR relation IN
        SELECT c.oid::regclass AS name
        FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
            AND n.nspname NOT LIKE 'pg\_t%' AND c.relkind IN ('r', 'p')
            AND NOT EXISTS (
                SELECT FROM pg_depend AS d
                WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
            )
    LOOP
        EXECUTE 'DROP TABLE IF EXISTS ' || relation.name || ' CASCADE';
    END LOOP;
END $$;

-- name: sign_schema
-- Say which schema this is, last of all: without it no server takes the database for whole.
INSERT INTO alembic_version (version_num) VALUES (:schema);

-- name: read_clock
-- Read the time.
SELECT clock_timestamp() AS now;

-- name: pass_numbers_over
-- Raise what a line has issued past numbers that live only in tokens, and write down which.
WITH raised AS (
    UPDATE room_lines
    SET
        issued = issued + CAST(:margin AS bigint), unlisted = unlisted + CAST(:margin AS bigint),
        serving = greatest(
            serving, least(COALESCE(CAST(:serving AS bigint), 0), issued + CAST(:margin AS bigint))
        )
    WHERE organisation = :organisation AND room = :room
    RETURNING organisation, room, epoch, issued
)
INSERT INTO room_gaps (organisation, room, epoch, after, upto, backed_up_at, restored_at)
SELECT organisation, room, epoch, issued - CAST(:margin AS bigint), issued, :moment, :now
FROM raised;

-- name: renew_room_versions
-- Have everybody who keeps settings of rooms read them anew.
UPDATE rooms SET version = version + 1;

-- name: pass_ids_over
-- Leave out numbers of sales and rooms that were made after the backup: tokens name them.
SELECT
    setval(
        pg_get_serial_sequence('sales', 'sale'),
        (SELECT last_value + CAST(:margin AS bigint) FROM sales_sale_seq)
    ),
    setval(
        pg_get_serial_sequence('rooms', 'room'),
        (SELECT last_value + CAST(:margin AS bigint) FROM rooms_room_seq)
    );
