-- name: append_entry
-- Write what an operator's change did to a stream, whose version the same transaction has raised.
INSERT INTO journal (organisation, kind, stream, version, recorded_at, events)
VALUES (:organisation, :kind, :stream, :version, :recorded_at, CAST(:events AS jsonb));

-- name: read_news
-- Read, in order, what a consumer has not yet dealt with, from every sale that has news.
SELECT news.kind, news.stream, news.version, news.recorded_at, news.events
FROM sales AS s
LEFT JOIN journal_cursors AS c
    ON c.organisation = s.organisation AND c.consumer = :consumer AND c.kind = 'sale'
    AND c.stream = s.sale
CROSS JOIN LATERAL (
    SELECT j.kind, j.stream, j.version, j.recorded_at, j.events
    FROM journal AS j
    WHERE j.organisation = s.organisation AND j.kind = 'sale' AND j.stream = s.sale
        AND j.version > COALESCE(c.version, 0)
    ORDER BY j.version
    LIMIT :rows_max
) AS news
WHERE s.organisation = :organisation AND s.version > COALESCE(c.version, 0)
ORDER BY news.kind, news.stream, news.version
LIMIT :rows_max;

-- name: move_cursors
-- Note how far a consumer has come, stream by stream.
INSERT INTO journal_cursors (organisation, consumer, kind, stream, version)
SELECT
    CAST(:organisation AS integer), CAST(:consumer AS text), moved.kind, moved.stream, moved.version
FROM unnest(CAST(:kinds AS text[]), CAST(:streams AS bigint[]), CAST(:versions AS bigint[]))
    AS moved (kind, stream, version)
ON CONFLICT (organisation, consumer, kind, stream) DO UPDATE SET version = excluded.version;
