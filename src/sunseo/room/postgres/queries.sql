-- The statements of the room's lane: lock, look up, write. They find their rows by key, in the forms
-- that booking/queries.sql explains. Keys and rows travel as JSON, which takes the client a fifth of
-- the time that arrays take.

-- name: lock_lines
-- Lock the lines of the rooms of a batch; it tells what the batch has to look up.
SELECT
    asked.organisation, asked.room, l.epoch, l.issued, l.serving, l.live, l.departed, l.capacity,
    l.entrants, l.sealed, l.unlisted
FROM (
    SELECT keys.*
    FROM unnest($1::integer[], $2::bigint[]) AS keys (organisation, room)
    ORDER BY keys.organisation, keys.room
) AS asked
CROSS JOIN LATERAL (
    SELECT room_lines.*
    FROM room_lines
    WHERE room_lines.organisation = asked.organisation AND room_lines.room = asked.room
    FOR NO KEY UPDATE
) AS l;

-- name: look_up
-- Read the time, and everything that a batch decides by: settings that are not known yet, newest
-- places by holder with the pass that tells whether a person's is used up, registrations by holder,
-- passes by number, passes whose time has run out, longest ago first, and where a backup was restored
-- the holders of numbers (`renewal` is 1 where the number is one that lives only in its token).
-- All in one statement, since each one costs a journey; `kind` tells the rows apart.
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
)
SELECT
    'clock' AS kind, NULL::integer AS organisation, NULL::bigint AS room, NULL::bigint AS number,
    NULL::uuid AS holder, NULL::uuid AS id, NULL::uuid AS binding, NULL::text AS text,
    NULL::integer AS renewal, clock.now AS at, NULL::timestamptz AS renewed_at,
    NULL::timestamptz AS entered_at, NULL::timestamptz AS expires_at,
    NULL::timestamptz AS slot_until, NULL::timestamptz AS session_until,
    NULL::timestamptz AS ended_at
FROM clock
UNION ALL
SELECT
    'room', asked.organisation, asked.room, r.version, NULL, NULL, NULL,
    CASE WHEN r.version <> asked.version THEN r.settings::text END,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM json_to_recordset($1::text::json) AS asked (organisation integer, room bigint, version bigint)
JOIN rooms AS r ON r.organisation = ANY (ARRAY[asked.organisation]) AND r.room = asked.room
UNION ALL
SELECT
    'place', asked.organisation, asked.room, p.number, p.holder, q.pass_id, p.binding,
    q.state, q.renewal, p.issued_at, q.renewed_at, q.entered_at, q.expires_at, q.slot_until,
    q.session_until, q.ended_at
FROM json_to_recordset($2::text::json)
    AS asked (organisation integer, room bigint, epoch integer, holder uuid)
JOIN room_places AS p  -- by the expression that room_places_one_per_holder has hashed
    ON int4send(p.organisation) || int8send(p.room) || int4send(p.epoch) || uuid_send(p.holder)
        = int4send(asked.organisation) || int8send(asked.room) || int4send(asked.epoch)
            || uuid_send(asked.holder)
    AND p.followed_by IS NULL
LEFT JOIN room_passes AS q
    ON q.organisation = ANY (ARRAY[p.organisation]) AND q.room = p.room
    AND q.epoch = p.epoch AND q.number = p.number AND p.binding IS NULL
UNION ALL
SELECT
    'entrant', asked.organisation, asked.room, NULL, e.holder, e.entrant, e.binding, NULL, NULL,
    e.registered_at, NULL, NULL, NULL, NULL, NULL, NULL
FROM json_to_recordset($3::text::json)
    AS asked (organisation integer, room bigint, epoch integer, holder uuid)
JOIN room_entrants AS e
    ON e.organisation = ANY (ARRAY[asked.organisation]) AND e.room = asked.room
    AND e.epoch = asked.epoch AND e.holder = asked.holder
UNION ALL
SELECT
    'pass', asked.organisation, asked.room, p.number, p.holder, p.pass_id, NULL, p.state,
    p.renewal, NULL, p.renewed_at, p.entered_at, p.expires_at, p.slot_until, p.session_until,
    p.ended_at
FROM json_to_recordset($4::text::json)
    AS asked (organisation integer, room bigint, epoch integer, number bigint)
JOIN room_passes AS p
    ON p.organisation = ANY (ARRAY[asked.organisation]) AND p.room = asked.room
    AND p.epoch = asked.epoch AND p.number = asked.number
UNION ALL
SELECT
    'due', asked.organisation, asked.room, due.number, due.holder, due.pass_id, NULL,
    due.state, due.renewal, NULL, due.renewed_at, due.entered_at, due.expires_at, due.slot_until,
    due.session_until, due.ended_at
FROM json_to_recordset($5::text::json)
    AS asked (organisation integer, room bigint, epoch integer, passes_max integer)
CROSS JOIN clock
CROSS JOIN LATERAL (
    SELECT p.*
    FROM room_passes AS p
    WHERE ARRAY[p.organisation, p.room, p.epoch]
            = ARRAY[asked.organisation, asked.room, asked.epoch]
        AND p.state = 'live' AND p.slot_until <= clock.now
    ORDER BY p.slot_until, p.number
    LIMIT asked.passes_max
) AS due
UNION ALL
SELECT
    'number', asked.organisation, asked.room, asked.number, p.holder, NULL, NULL, NULL,
    CASE WHEN EXISTS (
        SELECT FROM room_gaps AS g
        WHERE g.organisation = ANY (ARRAY[asked.organisation]) AND g.room = asked.room
            AND g.epoch = asked.epoch AND g.after < asked.number AND g.upto >= asked.number
    ) THEN 1 END,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM json_to_recordset($6::text::json)
    AS asked (organisation integer, room bigint, epoch integer, number bigint)
LEFT JOIN room_places AS p
    ON p.organisation = ANY (ARRAY[asked.organisation]) AND p.room = asked.room
    AND p.epoch = asked.epoch AND p.number = asked.number;

-- name: write_lines
-- Write what has moved in the lines of a batch: places, registrations, passes, and the lines
-- themselves. Times in rows of passes are milliseconds since 1970.
WITH followed AS (  -- places of earlier batches; those of this one come with what follows them
    UPDATE room_places AS p
    SET followed_by = used_up.followed_by
    FROM json_to_recordset($3::text::json) AS used_up (
        organisation integer, room bigint, epoch integer, number bigint, followed_by bigint
    )
    WHERE p.organisation = ANY (ARRAY[used_up.organisation]) AND p.room = used_up.room
        AND p.epoch = used_up.epoch AND p.number = used_up.number
),
placed AS (
    INSERT INTO room_places (
        organisation, room, epoch, holder, number, binding, issued_at, followed_by
    )
    SELECT
        new.organisation, new.room, new.epoch, new.holder, new.number, new.binding,
        $1::timestamptz, new.followed_by
    FROM json_to_recordset($2::text::json) AS new (
        organisation integer, room bigint, epoch integer, holder uuid, number bigint, binding uuid,
        followed_by bigint
    )
),
registered AS (
    INSERT INTO room_entrants (organisation, room, epoch, holder, entrant, binding, registered_at)
    SELECT
        new.organisation, new.room, new.epoch, new.holder, new.entrant, new.binding,
        $1::timestamptz
    FROM json_to_recordset($4::text::json) AS new (
        organisation integer, room bigint, epoch integer, holder uuid, entrant uuid, binding uuid
    )
),
passed AS (
    INSERT INTO room_passes (
        organisation, room, epoch, number, pass_id, holder, state, renewal, renewed_at, entered_at,
        expires_at, slot_until, session_until, ended_at
    )
    SELECT
        moved.organisation, moved.room, moved.epoch, moved.number, moved.pass_id, moved.holder,
        moved.state, moved.renewal, to_timestamp(moved.renewed_at_ms / 1000.0::float8),
        to_timestamp(moved.entered_at_ms / 1000.0::float8),
        to_timestamp(moved.expires_at_ms / 1000.0::float8),
        to_timestamp(moved.slot_until_ms / 1000.0::float8),
        to_timestamp(moved.session_until_ms / 1000.0::float8),
        to_timestamp(moved.ended_at_ms / 1000.0::float8)
    FROM json_to_recordset($5::text::json) AS moved (
        organisation integer, room bigint, epoch integer, number bigint, pass_id uuid, holder uuid,
        state text, renewal integer, renewed_at_ms bigint, entered_at_ms bigint,
        expires_at_ms bigint, slot_until_ms bigint, session_until_ms bigint, ended_at_ms bigint
    )
    ON CONFLICT (organisation, room, epoch, number) DO UPDATE SET
        state = EXCLUDED.state, renewal = EXCLUDED.renewal, renewed_at = EXCLUDED.renewed_at,
        expires_at = EXCLUDED.expires_at, slot_until = EXCLUDED.slot_until,
        ended_at = EXCLUDED.ended_at
)
UPDATE room_lines AS l
SET
    issued = moved.issued, live = moved.live, departed = moved.departed, entrants = moved.entrants
FROM json_to_recordset($6::text::json) AS moved (
    organisation integer, room bigint, issued bigint, live integer, departed bigint, entrants bigint
)
WHERE l.organisation = ANY (ARRAY[moved.organisation]) AND l.room = moved.room;
