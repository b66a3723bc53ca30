-- name: add_room
-- Add a room, unless its sale has one.
INSERT INTO rooms (organisation, name, sale, settings)
VALUES (:organisation, :name, :sale, CAST(:settings AS jsonb))
ON CONFLICT DO NOTHING
RETURNING room;

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
SELECT epoch, issued, serving, live, capacity
FROM room_lines
WHERE organisation = :organisation AND room = :room
FOR NO KEY UPDATE;

-- name: change_room
-- Write a locked room's name and settings.
UPDATE rooms
SET name = :name, settings = CAST(:settings AS jsonb), version = version + 1
WHERE organisation = :organisation AND room = :room
RETURNING version;

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
    epoch = epoch + 1, issued = 0, serving = 0, live = 0, departed = 0, entrants = 0,
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
    clock_timestamp() AS now
FROM rooms AS r
JOIN room_lines AS l ON l.organisation = r.organisation AND l.room = r.room
WHERE r.organisation = :organisation AND (CAST(:room AS bigint) IS NULL OR r.room = :room)
ORDER BY r.room
LIMIT :rows_max;

-- name: forget_signals
-- Drop sources that have been silent for long, so that their names are free again.
DELETE FROM room_signals
WHERE organisation = :organisation AND room = :room
    AND at < clock_timestamp() - make_interval(secs => :silent_s);

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
-- Read all rooms as they are shown: the settings only of those whose version is not known yet.
SELECT
    r.room, r.version, r.name, r.sale,
    CASE WHEN CAST(:known AS jsonb) ->> CAST(r.room AS text) = CAST(r.version AS text) THEN NULL
        ELSE CAST(r.settings AS text) END AS settings,
    l.epoch, l.issued, l.serving, l.live, l.departed, l.capacity,
    CASE WHEN p.epoch = l.epoch THEN CAST(p.state -> 'shown' AS text) END AS shown,
    (SELECT array_agg(v.pass_id ORDER BY v.pass_id) FROM (
        SELECT s.pass_id
        FROM room_passes AS s
        WHERE ARRAY[s.organisation, s.room, s.epoch] = ARRAY[l.organisation, l.room, l.epoch]
            AND s.state = 'revoked'
            AND s.expires_at > statement_timestamp() - make_interval(secs => :listed_s)
        ORDER BY s.expires_at DESC
        LIMIT :revoked_max) AS v) AS revoked,
    statement_timestamp() AS now
FROM rooms AS r
JOIN room_lines AS l ON l.organisation = r.organisation AND l.room = r.room
LEFT JOIN room_pacings AS p ON p.organisation = r.organisation AND p.room = r.room
WHERE r.organisation = :organisation
ORDER BY r.room;
