-- A sale with a limit for each person says who counts as one. Sales that have a limit already go on as
-- they did: every session of a guest counts as a person.

ALTER TABLE sales ADD COLUMN persons text;  -- who holds: accounts, or guests as well; none: no limit
UPDATE sales SET persons = 'guests' WHERE occasion_limit IS NOT NULL OR person_limit IS NOT NULL;
ALTER TABLE sales
    ADD CONSTRAINT sales_persons_known CHECK (persons IN ('accounts', 'guests')),
    ADD CONSTRAINT sales_limits_count_persons
        CHECK (persons IS NOT NULL OR (occasion_limit IS NULL AND person_limit IS NULL));
