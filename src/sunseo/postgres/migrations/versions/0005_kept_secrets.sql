-- Draws that hold themselves: the server keeps the secret in place of an operator or a second party.
-- The secret has a table of its own, so that whatever reads or publishes a draw cannot read it too.

ALTER TABLE room_draws ADD COLUMN kept boolean NOT NULL DEFAULT false;  -- the secret, by the server

CREATE TABLE room_draw_secrets (   -- until they are revealed
    organisation integer NOT NULL,
    room bigint NOT NULL,
    epoch integer NOT NULL,
    secret bytea NOT NULL,
    CONSTRAINT room_draw_secrets_key PRIMARY KEY (organisation, room, epoch)
);
