-- When a key last signed a request that the store took, and for which service: s3 or iam.
-- A key that is made later has a role as well.
ALTER TABLE access_key ADD COLUMN last_used_at INTEGER;
ALTER TABLE access_key ADD COLUMN last_used_for TEXT;
