-- name: append_entry
-- Write what an operator's change did to a sale, whose version the same transaction has raised.
INSERT INTO journal (organisation, sale, version, recorded_at, events)
VALUES (:organisation, :sale, :version, :recorded_at, CAST(:events AS jsonb));

-- name: try_lead
-- Be the one process that serves a consumer, for the length of this transaction.
SELECT pg_try_advisory_xact_lock(hashtextextended(:consumer, :organisation));

-- name: read_news
-- Read, in order, what a consumer has not yet dealt with, from every sale that has news.
SELECT news.sale, news.version, news.recorded_at, news.events
FROM sales AS s
LEFT JOIN journal_cursors AS c
    ON c.organisation = s.organisation AND c.consumer = :consumer AND c.sale = s.sale
CROSS JOIN LATERAL (
    SELECT j.sale, j.version, j.recorded_at, j.events
    FROM journal AS j
    WHERE j.organisation = s.organisation AND j.sale = s.sale
        AND j.version > COALESCE(c.version, 0)
    ORDER BY j.version
    LIMIT :rows_max
) AS news
WHERE s.organisation = :organisation AND s.version > COALESCE(c.version, 0)
ORDER BY news.sale, news.version
LIMIT :rows_max;

-- name: move_cursors
-- Note how far a consumer has come, sale by sale.
INSERT INTO journal_cursors (organisation, consumer, sale, version)
SELECT CAST(:organisation AS integer), CAST(:consumer AS text), moved.sale, moved.version
FROM unnest(CAST(:sales AS bigint[]), CAST(:versions AS bigint[])) AS moved (sale, version)
ON CONFLICT (organisation, consumer, sale) DO UPDATE SET version = excluded.version;
