-- The statements of draws. They run on the cold pool. Everybody who changes a room's draw locks the
-- room first and then, where the line is concerned, the line.

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
