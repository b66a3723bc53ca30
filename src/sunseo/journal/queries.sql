-- name: append_entries
-- Write the events of a batch, one row a stream.
INSERT INTO journal (organisation, sale, version, recorded_at, events)
SELECT entries.organisation, entries.sale, entries.version, $5::text::timestamptz, entries.events::jsonb
FROM unnest($1::text::integer[], $2::text::bigint[], $3::text::bigint[], $4::text::text[])
    AS entries (organisation, sale, version, events);

-- name: read_tails
-- Read what has come since the version that a reader has of each sale, in order.
SELECT
    asked.sale, tail.version, tail.events,
    extract(epoch FROM clock_timestamp() - tail.recorded_at)::double precision AS age_s
FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) AS asked (organisation, sale, version)
CROSS JOIN LATERAL (
    SELECT j.version, j.recorded_at, j.events
    FROM journal AS j
    WHERE j.organisation = asked.organisation AND j.sale = asked.sale
        AND j.version > asked.version
    ORDER BY j.version
    LIMIT $4
) AS tail
ORDER BY asked.organisation, asked.sale, tail.version;
