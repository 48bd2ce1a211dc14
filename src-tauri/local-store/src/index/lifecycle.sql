-- A bucket's lifecycle rules.
CREATE TABLE lifecycle (
    bucket TEXT PRIMARY KEY REFERENCES bucket (name) ON DELETE CASCADE,
    rules  TEXT NOT NULL                             -- JSON
) STRICT, WITHOUT ROWID;

-- The blobs of an older store have no checksums of their blocks yet.
INSERT INTO setting (name, value)
SELECT 'unsummed', 1 WHERE EXISTS (SELECT 1 FROM piece) OR EXISTS (SELECT 1 FROM part);
