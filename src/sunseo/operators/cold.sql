-- name: add_key
-- Keep a new key's digest; the key itself is shown once and stored nowhere.
INSERT INTO operator_keys (organisation, key_id, name, digest)
VALUES (:organisation, :key_id, :name, :digest);

-- name: list_keys
-- Read all keys that were ever made, the oldest first.
SELECT key_id, name, created_at, revoked_at
FROM operator_keys
WHERE organisation = :organisation
ORDER BY created_at, key_id;

-- name: revoke_key
-- Take a key back.
UPDATE operator_keys
SET revoked_at = clock_timestamp()
WHERE organisation = :organisation AND key_id = :key_id
RETURNING revoked_at;

-- name: find_keys
-- Find the digests of those of these keys that have not been revoked.
SELECT key_id, digest
FROM operator_keys
WHERE organisation = :organisation AND key_id = ANY(CAST(:key_ids AS text[]))
    AND revoked_at IS NULL;

-- name: claim_effect
-- Be the first with this effect, or wait for the first to end and get nothing.
INSERT INTO operator_effects (organisation, effect, request_digest)
VALUES (:organisation, :effect, :request_digest)
ON CONFLICT DO NOTHING
RETURNING effect;

-- name: find_effect
-- Read what an effect did before.
SELECT request_digest, result
FROM operator_effects
WHERE organisation = :organisation AND effect = :effect;

-- name: finish_effect
-- Keep an effect's result for its retries.
UPDATE operator_effects
SET result = CAST(:result AS jsonb)
WHERE organisation = :organisation AND effect = :effect;

-- name: lock_audit_log
-- Let one writer at a time append to an organisation's audit log.
SELECT organisation
FROM organisations
WHERE organisation = :organisation
FOR NO KEY UPDATE;

-- name: read_audit_head
-- Read the last entry, which the next one is chained to.
SELECT entry, hash
FROM audit_log
WHERE organisation = :organisation
ORDER BY entry DESC
LIMIT 1;

-- name: append_audit_entry
-- Append an entry.
INSERT INTO audit_log (
    organisation, entry, recorded_at, actor, action, sale, details, previous_hash, hash
)
VALUES (
    :organisation, :entry, :recorded_at, :actor, :action, :sale, CAST(:details AS jsonb),
    :previous_hash, :hash
);
