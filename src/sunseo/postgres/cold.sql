-- The statements of leases, on the cold pool.

-- name: read_lease
-- See who is in a role, and for how many seconds more.
SELECT
    l.holder = :holder AS is_mine,
    CAST(extract(epoch FROM l.lease_until - clock_timestamp()) AS double precision) AS left_s
FROM leases AS l
WHERE l.organisation = :organisation AND l.role = :role;

-- name: hold_lease
-- Take a role that nobody is in, or keep it; the fence grows with every change of holder.
INSERT INTO leases (organisation, role, holder, fence, lease_until)
VALUES (:organisation, :role, :holder, 1, clock_timestamp() + make_interval(secs => :length_s))
ON CONFLICT (organisation, role) DO UPDATE SET
    holder = excluded.holder,
    fence = leases.fence + CASE WHEN leases.holder = excluded.holder THEN 0 ELSE 1 END,
    lease_until = clock_timestamp() + make_interval(secs => :length_s)
WHERE leases.holder = excluded.holder OR leases.lease_until <= clock_timestamp()
    OR leases.lease_until > clock_timestamp() + make_interval(secs => :length_s)
RETURNING fence;

-- name: guard_lease
-- See that a lease is held and not over, and that nobody takes it before this transaction ends.
SELECT l.fence
FROM leases AS l
WHERE l.organisation = :organisation AND l.role = :role AND l.holder = :holder
    AND l.lease_until > clock_timestamp()
FOR SHARE;

-- name: drop_lease
-- Let the next process begin at once.
UPDATE leases
SET lease_until = clock_timestamp()
WHERE organisation = :organisation AND role = :role AND holder = :holder;
