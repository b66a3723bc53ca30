-- The journal tells of streams: a kind, and a number within the organisation. What was written so far
-- was all about sales. Two columns are renamed, which only the processes that this migration was made
-- for can follow; older ones see that the schema is not theirs, and are not ready.

ALTER TABLE journal RENAME COLUMN sale TO stream;
ALTER TABLE journal
    ADD COLUMN kind text NOT NULL DEFAULT 'sale',
    ADD CONSTRAINT journal_kind_known CHECK (kind IN ('account', 'sale', 'room')),
    DROP CONSTRAINT journal_key,
    ADD CONSTRAINT journal_key PRIMARY KEY (organisation, kind, stream, version);
ALTER TABLE journal ALTER COLUMN kind DROP DEFAULT;

ALTER TABLE journal_cursors RENAME COLUMN sale TO stream;
ALTER TABLE journal_cursors
    ADD COLUMN kind text NOT NULL DEFAULT 'sale',
    ADD CONSTRAINT journal_cursors_kind_known CHECK (kind IN ('account', 'sale', 'room')),
    DROP CONSTRAINT journal_cursors_key,
    ADD CONSTRAINT journal_cursors_key PRIMARY KEY (organisation, consumer, kind, stream);
ALTER TABLE journal_cursors ALTER COLUMN kind DROP DEFAULT;

CREATE TABLE leases (          -- who is the only one in a role, of the processes that could be
    organisation integer NOT NULL,
    role text NOT NULL,
    holder uuid NOT NULL,
    fence bigint NOT NULL,     -- grows with every change of holder
    lease_until timestamptz NOT NULL,
    CONSTRAINT leases_key PRIMARY KEY (organisation, role)
);
