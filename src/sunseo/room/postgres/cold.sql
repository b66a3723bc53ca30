-- name: add_room
-- Add a room, unless its sale has one.
INSERT INTO rooms (organisation, name, sale, settings)
VALUES (:organisation, :name, :sale, CAST(:settings AS jsonb))
ON CONFLICT DO NOTHING
RETURNING room, CAST(settings AS text) AS settings, clock_timestamp() AS now;

-- name: add_line
-- Give a new room its line.
INSERT INTO room_lines (organisation, room, capacity)
VALUES (:organisation, :room, :capacity);

-- name: lock_room
-- Lock a room: set-up of one room takes turns.
SELECT room, name, sale, version, settings::text AS settings, clock_timestamp() AS now
FROM rooms
WHERE organisation = :organisation AND room = :room
FOR NO KEY UPDATE;

-- name: lock_line
-- Lock a room's line, which batches of its lane wait for.
SELECT epoch, issued, serving, live, capacity, entrants, sealed
FROM room_lines
WHERE organisation = :organisation AND room = :room
FOR NO KEY UPDATE;

-- name: read_draw_state
-- Read how far the draw of an epoch is, if there is one on which anybody has relied: a secret that the
-- server promised by itself binds nobody before somebody has registered, which the line tells.
SELECT state
FROM room_draws
WHERE organisation = :organisation AND room = :room AND epoch = :epoch
    AND NOT (kept AND state = 'committed');

-- name: change_room
-- Write a locked room's name and settings.
UPDATE rooms
SET name = :name, settings = CAST(:settings AS jsonb), version = version + 1
WHERE organisation = :organisation AND room = :room
RETURNING version, CAST(settings AS text) AS settings, clock_timestamp() AS now;

-- name: change_capacity
-- Let a changed capacity count at once: a room at its old one goes to the new one, a room that is
-- throttled is throttled on, and none stays above the new one.
UPDATE room_lines
SET capacity = CASE WHEN capacity = :before THEN :after ELSE least(capacity, :after) END
WHERE organisation = :organisation AND room = :room;

-- name: reset_line
-- Begin a new epoch: every place and pass of the old one is void.
UPDATE room_lines
SET
    epoch = epoch + 1, issued = 0, serving = 0, live = 0, departed = 0, entrants = 0, unlisted = 0,
    sealed = false, capacity = :capacity
WHERE organisation = :organisation AND room = :room
RETURNING epoch;

-- name: raise_room_version
-- Have everybody who keeps a room's settings read them anew.
UPDATE rooms
SET version = version + 1
WHERE organisation = :organisation AND room = :room
RETURNING version;

-- name: read_rooms
-- Read a room with its line, or all rooms.
SELECT
    r.room, r.name, r.sale, r.version, r.settings::text AS settings, r.created_at,
    l.epoch, l.issued, l.serving, l.live, l.departed, l.capacity, l.entrants, l.sealed,
    d.state AS draw, d.kept, d.independent, d.committer, d.commitment,
    CASE WHEN p.epoch = l.epoch THEN CAST(p.state -> 'shown' AS text) END AS shown,
    clock_timestamp() AS now
FROM rooms AS r
JOIN room_lines AS l ON l.organisation = r.organisation AND l.room = r.room
LEFT JOIN room_pacings AS p ON p.organisation = r.organisation AND p.room = r.room
LEFT JOIN room_draws AS d
    ON d.organisation = l.organisation AND d.room = l.room AND d.epoch = l.epoch
WHERE r.organisation = :organisation AND (CAST(:room AS bigint) IS NULL OR r.room = :room)
ORDER BY r.room
LIMIT :rows_max;

-- name: forget_signals
-- Drop sources that have been silent for long, so that their names are free again; what was said at
-- a time that is yet to come was said before the clock went back.
DELETE FROM room_signals
WHERE organisation = :organisation AND room = :room
    AND abs(extract(epoch FROM clock_timestamp() - at)) > :silent_s;

-- name: take_signal
-- Keep the last word of a source, if there is room for another source.
INSERT INTO room_signals (organisation, room, source, measured, target, at)
SELECT
    CAST(:organisation AS integer), CAST(:room AS bigint), CAST(:source AS text), :measured,
    :target, clock_timestamp()
WHERE :sources_max > (
    SELECT count(*) FROM room_signals AS s
    WHERE s.organisation = :organisation AND s.room = :room AND s.source <> :source
)
ON CONFLICT (organisation, room, source)
    DO UPDATE SET measured = excluded.measured, target = excluded.target, at = excluded.at
RETURNING source;

-- name: read_board
-- Read the rooms that have changed as they are shown: the settings only of those whose version is
-- not known yet, and which passes have ended before their time only where we sell behind the room
-- ourselves. A mark names the versions of all rows that a room is shown by; whatever ends a pass
-- writes its line, too. Where nothing has changed, one row tells the time.
SELECT t.now, changed.*
FROM (SELECT statement_timestamp() AS now) AS t
LEFT JOIN (
    SELECT
        r.room, r.version, r.name, r.sale,
        CASE WHEN k.version = r.version THEN NULL ELSE CAST(r.settings AS text) END AS settings,
        m.mark,
        l.epoch, l.issued, l.serving, l.live, l.departed, l.capacity, l.entrants,
        d.state AS draw, d.kept, d.independent, d.committer, d.commitment,
        CASE WHEN p.epoch = l.epoch THEN CAST(p.state -> 'shown' AS text) END AS shown,
        (SELECT array_agg(v.pass_id ORDER BY v.pass_id) FROM (
            SELECT s.pass_id
            FROM room_passes AS s
            WHERE ARRAY[s.organisation, s.room, s.epoch] = ARRAY[l.organisation, l.room, l.epoch]
                AND s.state = 'revoked'
                AND s.expires_at > statement_timestamp() - make_interval(secs => :listed_s)
            ORDER BY s.expires_at DESC
            LIMIT :revoked_max) AS v) AS revoked,
        CASE WHEN r.sale IS NOT NULL THEN (SELECT array_agg(v.pass_id) FROM (
            SELECT s.pass_id
            FROM room_passes AS s
            WHERE ARRAY[s.organisation, s.room, s.epoch] = ARRAY[l.organisation, l.room, l.epoch]
                AND s.state IN ('left', 'completed', 'revoked')
                AND s.expires_at > statement_timestamp()
            ORDER BY s.expires_at DESC
            LIMIT :void_max) AS v) END AS void
    FROM rooms AS r
    LEFT JOIN room_lines AS l ON l.organisation = r.organisation AND l.room = r.room
    LEFT JOIN room_pacings AS p ON p.organisation = r.organisation AND p.room = r.room
    LEFT JOIN room_draws AS d
        ON d.organisation = l.organisation AND d.room = l.room AND d.epoch = l.epoch
    LEFT JOIN unnest(CAST(:rooms AS bigint[]), CAST(:versions AS bigint[]), CAST(:marks AS text[]))
        AS k (room, version, mark) ON k.room = r.room
    CROSS JOIN LATERAL (
        SELECT concat_ws(
            ' ', r.xmin, coalesce(CAST(l.xmin AS text), '-'), coalesce(CAST(p.xmin AS text), '-'),
            coalesce(CAST(d.xmin AS text), '-')
        ) AS mark
    ) AS m
    WHERE r.organisation = :organisation
        AND k.mark IS DISTINCT FROM m.mark
) AS changed ON true
ORDER BY changed.room;

-- name: hold_lease
-- Take the lead where nobody has it, or keep it; the fence grows with every change of leader. A lease
-- that ends further away than one lasts is nobody's: it was given before the clock went back.
INSERT INTO room_leases (organisation, role, leader, fence, lease_until)
VALUES (:organisation, :role, :leader, 1, clock_timestamp() + make_interval(secs => :lease_s))
ON CONFLICT (organisation, role) DO UPDATE SET
    leader = excluded.leader,
    fence = room_leases.fence
        + CASE WHEN room_leases.leader = excluded.leader THEN 0 ELSE 1 END,
    lease_until = excluded.lease_until
WHERE room_leases.leader = excluded.leader OR room_leases.lease_until < clock_timestamp()
    OR room_leases.lease_until > clock_timestamp() + make_interval(secs => :lease_s)
RETURNING fence;

-- name: drop_lease
-- Let the next leader begin at once.
UPDATE room_leases
SET lease_until = clock_timestamp()
WHERE organisation = :organisation AND role = :role AND leader = :leader;

-- name: check_lease
-- See that nobody else leads, and that nobody will until this transaction ends.
SELECT fence
FROM room_leases
WHERE organisation = :organisation AND role = :role AND fence = :fence
FOR SHARE;

-- name: read_memory
-- Read what the last leader remembered of rooms.
SELECT p.room, p.epoch, CAST(p.state -> 'memory' AS text) AS memory
FROM room_pacings AS p
WHERE p.organisation = :organisation AND p.room = ANY(CAST(:rooms AS bigint[]));

-- name: read_entered
-- Read who entered rooms lately, numbers and moments of a room as one text: at thousands a second,
-- rows would hold up everybody else in the process for longer than the rest of a step.
SELECT
    g.room,
    CAST(json_agg(json_build_array(
        e.number, CAST(extract(epoch FROM e.entered_at) AS double precision)
    )) AS text) AS entered
FROM jsonb_to_recordset(CAST(:rooms AS jsonb))
    AS g (room bigint, epoch integer, since double precision)
CROSS JOIN LATERAL (
    SELECT p.number, p.entered_at
    FROM room_passes AS p
    WHERE ARRAY[p.organisation, p.room, p.epoch]
            = ARRAY[CAST(:organisation AS integer), g.room, g.epoch]
        AND p.number > 0 AND p.entered_at > to_timestamp(g.since)
        -- Later ones were counted before the clock went back, or will be with the next step.
        AND p.entered_at <= statement_timestamp()
    ORDER BY p.entered_at
    LIMIT :rows_max
) AS e
GROUP BY g.room;

-- name: shorten_passes
-- Have passes that were renewed at a time that is yet to come, before the clock went back, last from
-- now on: else they would keep their slots for as long as it went back.
UPDATE room_passes AS p
SET
    renewed_at = at.now,
    expires_at = least(
        p.expires_at, at.now + make_interval(secs => least(g.ttl_s, g.session_s))
    ),
    slot_until = least(p.slot_until, at.now + make_interval(secs => g.slot_s)),
    session_until = least(p.session_until, at.now + make_interval(secs => g.session_s))
FROM jsonb_to_recordset(CAST(:rooms AS jsonb))
    AS g (room bigint, epoch integer, ttl_s integer, slot_s integer, session_s integer)
CROSS JOIN (SELECT clock_timestamp() AS now) AS at
WHERE ARRAY[p.organisation, p.room, p.epoch]
        = ARRAY[CAST(:organisation AS integer), g.room, g.epoch]
    AND p.state = 'live' AND p.renewed_at > at.now;

-- name: lock_moving_lines
-- Lock the lines that are about to move, in the order in which lanes lock them.
SELECT room
FROM room_lines
WHERE organisation = :organisation AND room = ANY(CAST(:rooms AS bigint[]))
ORDER BY room
FOR NO KEY UPDATE;

-- name: advance_lines
-- Move lines on, note by how much, and keep what the leader remembers; a leader that was followed
-- by another one, or that thinks of another epoch, changes nothing.
WITH given AS (
    SELECT *
    FROM jsonb_to_recordset(CAST(:advances AS jsonb))
        AS g (room bigint, epoch integer, serving bigint, capacity integer, moves boolean,
            state jsonb)
), moved AS (
    UPDATE room_lines AS l
    SET
        serving = greatest(l.serving, least(l.issued, g.serving)), capacity = g.capacity,
        fence = :fence
    FROM given AS g
    WHERE l.organisation = :organisation AND l.room = g.room AND g.moves AND l.epoch = g.epoch
        AND l.fence <= :fence
    RETURNING l.room, l.epoch, l.serving
), released AS (
    INSERT INTO room_releases (organisation, room, epoch, upto, released_at)
    SELECT CAST(:organisation AS integer), m.room, m.epoch, m.serving, statement_timestamp()
    FROM moved AS m
    WHERE m.serving > 0
    ON CONFLICT DO NOTHING
), kept AS (
    INSERT INTO room_pacings (organisation, room, epoch, state, ticked_at)
    SELECT CAST(:organisation AS integer), g.room, g.epoch, g.state, statement_timestamp()
    FROM given AS g
    WHERE NOT g.moves OR EXISTS (SELECT FROM moved AS m WHERE m.room = g.room)
    ON CONFLICT (organisation, room) DO UPDATE
        SET epoch = excluded.epoch, state = excluded.state, ticked_at = excluded.ticked_at
        WHERE room_pacings.epoch <= excluded.epoch
)
SELECT room, serving
FROM moved;

-- name: forget_releases
-- Drop what is too old for any grace.
DELETE FROM room_releases
WHERE organisation = :organisation
    AND released_at < statement_timestamp() - make_interval(secs => :kept_s);

-- name: find_due_rooms
-- Find rooms with passes whose slots have run out.
SELECT l.room
FROM room_lines AS l
WHERE l.organisation = :organisation AND l.live > 0 AND EXISTS (
    SELECT FROM room_passes AS p
    WHERE ARRAY[p.organisation, p.room, p.epoch] = ARRAY[l.organisation, l.room, l.epoch]
        AND p.state = 'live' AND p.slot_until <= statement_timestamp()
)
ORDER BY l.room;

-- name: read_signals
-- Read what sources lately said about the health of rooms; room 0 is the server itself. What was
-- said at a time that is yet to come does not stay fresh for as long as the clock went back.
SELECT room, source, measured, target
FROM room_signals
WHERE organisation = :organisation
    AND abs(extract(epoch FROM statement_timestamp() - at)) < :fresh_s;

-- name: tell_worker_signals
-- Keep what a worker finds of its own health, under room 0.
INSERT INTO room_signals (organisation, room, source, measured, target, at)
SELECT CAST(:organisation AS integer), 0, g.source, g.measured, g.target, clock_timestamp()
FROM jsonb_to_recordset(CAST(:signals AS jsonb))
    AS g (source text, measured double precision, target double precision)
ON CONFLICT (organisation, room, source)
    DO UPDATE SET measured = excluded.measured, target = excluded.target, at = excluded.at;
