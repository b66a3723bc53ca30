-- name: advance_sales
-- Raise the versions of the sales that a batch changed and write their events, one row a sale.
WITH entry AS (
    SELECT entries.organisation, entries.sale, entries.version, entries.events::jsonb AS events
    FROM unnest($1::text::integer[], $2::text::bigint[], $3::text::bigint[], $4::text[])
        AS entries (organisation, sale, version, events)
), raised AS (
    UPDATE sales AS s
    SET version = entry.version
    FROM entry
    WHERE s.organisation = ANY (ARRAY[entry.organisation]) AND s.sale = entry.sale
)
INSERT INTO journal (organisation, sale, version, recorded_at, events)
SELECT entry.organisation, entry.sale, entry.version, $5, entry.events
FROM entry;

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
