-- name: append_entries
-- Write the events of a batch, one row a stream.
INSERT INTO journal (kind, organisation, stream, version, recorded_at, events)
SELECT
    entries.kind, entries.organisation, entries.stream, entries.version, $6::text::timestamptz,
    entries.events::jsonb
FROM unnest($1::text::text[], $2::text::integer[], $3::text::bigint[], $4::text::bigint[], $5::text::text[])
    AS entries (kind, organisation, stream, version, events);

-- name: read_tails
-- Read what has come since the version that a reader has of each sale, in order.
SELECT
    asked.sale, tail.version, tail.events,
    extract(epoch FROM clock_timestamp() - tail.recorded_at)::double precision AS age_s
FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) AS asked (organisation, sale, version)
CROSS JOIN LATERAL (
    SELECT j.version, j.recorded_at, j.events
    FROM journal AS j
    WHERE j.organisation = asked.organisation AND j.kind = 'sale' AND j.stream = asked.sale
        AND j.version > asked.version
    ORDER BY j.version
    LIMIT $4
) AS tail
ORDER BY asked.organisation, asked.sale, tail.version;
