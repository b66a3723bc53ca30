-- Restoring a backup brings a line back as it was at a moment. Numbers that were given after it have
-- no row any more: `issued` is raised past them, and what was passed over is written down here.

ALTER TABLE room_lines
    ADD COLUMN unlisted bigint NOT NULL DEFAULT 0;  -- numbers of this epoch in room_gaps; mostly none

CREATE TABLE room_gaps (
    organisation integer NOT NULL,
    room bigint NOT NULL,
    epoch integer NOT NULL,
    after bigint NOT NULL,     -- `issued` as the backup had it: numbers above this one …
    upto bigint NOT NULL,      -- … and up to this one are in no row
    backed_up_at timestamptz NOT NULL,
    restored_at timestamptz NOT NULL,
    CONSTRAINT room_gaps_key PRIMARY KEY (organisation, room, epoch, after),
    CONSTRAINT room_gaps_not_negative CHECK (after >= 0),
    CONSTRAINT room_gaps_upto_later CHECK (upto > after)
);
