-- The one statement that every batch sends besides those of its streams and parts.

-- name: read_clock
-- Read the time to decide at, once all streams are locked.
SELECT clock_timestamp() AS now;
