-- What the optimistic peer adds to the engine's tables: a version of each row.
ALTER TABLE seats ADD COLUMN row_version integer NOT NULL DEFAULT 0;
ALTER TABLE person_uses ADD COLUMN row_version integer NOT NULL DEFAULT 0;
ALTER TABLE stocks ADD COLUMN row_version integer NOT NULL DEFAULT 0;
