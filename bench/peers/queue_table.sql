-- A waiting line as people write it: a row a visitor, a counter, and a row a pass.
CREATE TABLE queue_rooms (
    room bigint PRIMARY KEY,
    issued bigint NOT NULL DEFAULT 0,
    serving bigint NOT NULL DEFAULT 0,
    capacity integer NOT NULL
);
CREATE TABLE queue_places (
    place uuid PRIMARY KEY,
    room bigint NOT NULL,
    number bigint NOT NULL,
    nonce text NOT NULL,
    joined_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (room, nonce),
    UNIQUE (room, number)
);
CREATE TABLE queue_passes (
    pass uuid PRIMARY KEY,
    place uuid NOT NULL UNIQUE REFERENCES queue_places,
    room bigint NOT NULL,
    entered_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX queue_passes_live ON queue_passes (room, expires_at);

-- Those who have joined and been called beforehand are the same as ours.
INSERT INTO queue_rooms (room, issued, serving, capacity)
SELECT room, issued, serving, capacity FROM room_lines;

INSERT INTO queue_places (place, room, number, nonce)
SELECT (lpad(to_hex(room), 16, '0') || lpad(to_hex(number), 16, '0'))::uuid, room, number, holder::text
FROM room_places;

INSERT INTO queue_passes (pass, place, room, entered_at, expires_at)
SELECT pass_id, (lpad(to_hex(room), 16, '0') || lpad(to_hex(number), 16, '0'))::uuid, room,
       entered_at, expires_at
FROM room_passes;
