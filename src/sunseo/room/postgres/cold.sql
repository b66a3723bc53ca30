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

-- name: find_changed_rooms
-- Find the rooms of which anything was written since the last look, and a share of all in turn; all,
-- where that was another server. It also tells the oldest transaction under way: what this look does
-- not see yet was written by that one or a later one. An age is in transactions, and below zero where
-- a row is so old that they have been counted round since.
WITH mark AS MATERIALIZED (
    SELECT
        statement_timestamp() AS now, pg_postmaster_start_time() AS server,
        CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS xid) AS text) AS since,
        CASE WHEN pg_postmaster_start_time() = CAST(:server AS timestamptz)
            THEN age(CAST(CAST(:since AS text) AS xid)) END AS fresh
)
SELECT
    mark.now, mark.server, mark.since, mark.fresh IS NULL AS anew,
    ARRAY(
        SELECT r.room FROM rooms AS r WHERE r.organisation = :organisation
            AND (mark.fresh IS NULL OR age(r.xmin) BETWEEN 0 AND mark.fresh)
        UNION
        SELECT l.room FROM room_lines AS l WHERE l.organisation = :organisation
            AND age(l.xmin) BETWEEN 0 AND mark.fresh
        UNION
        SELECT p.room FROM room_pacings AS p WHERE p.organisation = :organisation
            AND age(p.xmin) BETWEEN 0 AND mark.fresh
        UNION
        SELECT d.room FROM room_draws AS d WHERE d.organisation = :organisation
            AND age(d.xmin) BETWEEN 0 AND mark.fresh
    ) AS changed,
    ARRAY(
        SELECT r.room FROM rooms AS r
        WHERE r.organisation = :organisation AND r.room % :turns = :turn
    ) AS in_turn
FROM mark;

-- name: read_board
-- Read rooms as they are shown, but for those whose mark is known: the settings only of those whose
-- version is not known yet, and which passes have ended before their time only where we sell behind
-- the room ourselves. A mark names the versions of all rows that a room is shown by; whatever ends a
-- pass writes its line, too.
SELECT
    statement_timestamp() AS now,
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
LEFT JOIN unnest(CAST(:known AS bigint[]), CAST(:versions AS bigint[]), CAST(:marks AS text[]))
    AS k (room, version, mark) ON k.room = r.room
CROSS JOIN LATERAL (
    SELECT concat_ws(
        ' ', r.xmin, coalesce(CAST(l.xmin AS text), '-'), coalesce(CAST(p.xmin AS text), '-'),
        coalesce(CAST(d.xmin AS text), '-')
    ) AS mark
) AS m
WHERE r.organisation = :organisation AND r.room = ANY(CAST(:rooms AS bigint[]))
    AND k.mark IS DISTINCT FROM m.mark
ORDER BY r.room;

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
-- Read what the last leader remembered of rooms, and said of them.
SELECT
    p.room, p.epoch, CAST(p.state -> 'memory' AS text) AS memory,
    CAST(p.state -> 'shown' AS text) AS shown
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

-- name: lock_drawn_room
-- Lock a room, so that the steps of its draw take turns with each other and with a reset.
SELECT sale
FROM rooms
WHERE organisation = :organisation AND room = :room
FOR NO KEY UPDATE;

-- name: read_drawn_line
-- Read which epoch a room is in, and how many have registered.
SELECT epoch, entrants, sealed
FROM room_lines
WHERE organisation = :organisation AND room = :room;

-- name: lock_drawn_line
-- Lock a room's line: the batch at work on it ends first, the next one finds what is done here.
SELECT epoch, entrants, sealed
FROM room_lines
WHERE organisation = :organisation AND room = :room
FOR NO KEY UPDATE;

-- name: read_draw
-- Read the draw of an epoch.
SELECT
    state, commitment, committer, independent, kept, committed_at, sealed_at, list_hash, entrants,
    secret, revealed_at, log
FROM room_draws
WHERE organisation = :organisation AND room = :room AND epoch = :epoch;

-- name: read_newest_draw
-- Read a room with the newest draw that it has had, if any, and with who has registered now.
SELECT
    l.epoch, l.entrants AS registered, d.epoch AS drawn_epoch, d.state, d.commitment, d.committer,
    d.independent, d.kept, d.committed_at, d.sealed_at, d.list_hash, d.entrants, d.secret,
    d.revealed_at, d.log
FROM room_lines AS l
LEFT JOIN room_draws AS d
    ON d.organisation = l.organisation AND d.room = l.room
        AND (CAST(:epoch AS integer) IS NULL AND d.epoch = l.epoch OR d.epoch = :epoch)
WHERE l.organisation = :organisation AND l.room = :room;

-- name: commit_draw
-- Keep a commitment; a new one takes the place of one that was withheld or never used.
INSERT INTO room_draws (
    organisation, room, epoch, state, commitment, committer, independent, kept, committed_at, log
)
VALUES (
    :organisation, :room, :epoch, 'committed', :commitment, :committer, :independent, :kept, :now,
    CAST(:entry AS jsonb)
)
ON CONFLICT (organisation, room, epoch) DO UPDATE
SET
    state = CASE WHEN room_draws.sealed_at IS NULL THEN 'committed' ELSE 'sealed' END,
    commitment = excluded.commitment, committer = excluded.committer,
    independent = excluded.independent, kept = excluded.kept, committed_at = excluded.committed_at,
    log = room_draws.log || excluded.log
RETURNING state;

-- name: keep_secret
-- Make a secret and keep it; only what may be published of it leaves the database. PostgreSQL makes
-- it from its source of strong random numbers: what is no parameter cannot stand in anybody's log.
INSERT INTO room_draw_secrets (organisation, room, epoch, secret)
VALUES (
    :organisation, :room, :epoch,
    sha256(
        uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
    )
)
ON CONFLICT (organisation, room, epoch) DO UPDATE SET secret = excluded.secret
RETURNING sha256(secret) AS commitment;

-- name: read_secret
-- Read the secret that the server keeps, to reveal it.
SELECT secret
FROM room_draw_secrets
WHERE organisation = :organisation AND room = :room AND epoch = :epoch;

-- name: drop_secret
-- Forget a secret that was revealed, or whose commitment another one has followed.
DELETE FROM room_draw_secrets
WHERE organisation = :organisation AND room = :room AND epoch = :epoch;

-- name: hash_entrants
-- Hash the sorted ids of all who have registered, one after another, and count them.
SELECT
    sha256(coalesce(string_agg(uuid_send(e.entrant), '' ORDER BY e.entrant), '')) AS list_hash,
    count(*) AS total
FROM room_entrants AS e
WHERE e.organisation = :organisation AND e.room = :room AND e.epoch = :epoch;

-- name: seal_line
-- Take no more entrants, and keep the first numbers for those who have registered.
UPDATE room_lines
SET sealed = true, issued = greatest(issued, entrants)
WHERE organisation = :organisation AND room = :room;

-- name: seal_draw
-- Keep what is published of the sealed list.
UPDATE room_draws
SET
    state = 'sealed', sealed_at = :now, list_hash = :list_hash, entrants = :entrants,
    log = log || CAST(:entry AS jsonb)
WHERE organisation = :organisation AND room = :room AND epoch = :epoch;

-- name: withhold_draw
-- Note that the secret did not come.
UPDATE room_draws
SET state = 'withheld', log = log || CAST(:entry AS jsonb)
WHERE organisation = :organisation AND room = :room AND epoch = :epoch;

-- name: read_draw_clock
-- Read the time, after the last lock.
SELECT clock_timestamp();

-- name: allow_long_statements
-- Let this transaction's statements take their time, for a draw of millions is rare; and join by
-- hash, since a table that has just been filled has no statistics yet. A million ids sort in memory.
SELECT
    set_config('statement_timeout', :milliseconds, true), set_config('enable_nestloop', 'off', true),
    set_config('work_mem', '128MB', true);

-- name: draw_numbers
-- Give each entrant the rank of her keyed hash as number: HMAC by its two paddings, ties by id.
INSERT INTO room_places (organisation, room, epoch, holder, number, binding, issued_at)
SELECT
    e.organisation, e.room, e.epoch, e.holder,
    row_number() OVER (
        ORDER BY
            sha256(CAST(:outer AS bytea) || sha256(CAST(:inner AS bytea) || uuid_send(e.entrant))),
            e.entrant
    ),
    e.binding, :now
FROM room_entrants AS e
WHERE e.organisation = :organisation AND e.room = :room AND e.epoch = :epoch;

-- name: reveal_draw
-- Keep the secret, which everybody may know from now on.
UPDATE room_draws
SET
    state = 'revealed', secret = :secret, revealed_at = :now,
    log = log || CAST(:entry AS jsonb)
WHERE organisation = :organisation AND room = :room AND epoch = :epoch;

-- name: read_registrations
-- Read how many had registered at the end of each minute in which somebody did.
SELECT
    date_trunc('minute', e.registered_at, 'UTC') AS minute,
    CAST(sum(count(*)) OVER (ORDER BY date_trunc('minute', e.registered_at, 'UTC')) AS bigint)
        AS registered
FROM room_entrants AS e
WHERE e.organisation = :organisation AND e.room = :room AND e.epoch = :epoch
GROUP BY 1
ORDER BY 1;

-- name: publish_sealed
-- Write the lines of a sealed list, in 256 parts by the first byte of the id.
SELECT
    string_agg(encode(uuid_send(e.entrant), 'hex') || E'\n', '' ORDER BY e.entrant) AS lines
FROM room_entrants AS e
WHERE e.organisation = :organisation AND e.room = :room AND e.epoch = :epoch
GROUP BY get_byte(uuid_send(e.entrant), 0)
ORDER BY get_byte(uuid_send(e.entrant), 0);

-- name: publish_drawn
-- Write the lines of a draw, in 256 parts by the first byte of the id.
SELECT
    string_agg(
        encode(uuid_send(e.entrant), 'hex') || ' ' || p.number || E'\n', '' ORDER BY e.entrant
    ) AS lines
FROM room_draws AS d
JOIN room_entrants AS e
    ON e.organisation = d.organisation AND e.room = d.room AND e.epoch = d.epoch
JOIN room_places AS p  -- who has come again since has a later number, too
    ON p.organisation = e.organisation AND p.room = e.room AND p.epoch = e.epoch
        AND p.holder = e.holder AND p.number <= d.entrants
WHERE d.organisation = :organisation AND d.room = :room AND d.epoch = :epoch
GROUP BY get_byte(uuid_send(e.entrant), 0)
ORDER BY get_byte(uuid_send(e.entrant), 0);
