-- What is stored where. Times are milliseconds since 1970, UTC. Keys are bytes, so that listings
-- sort as S3 sorts.
CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE access_key (
    id         TEXT PRIMARY KEY,
    secret     TEXT NOT NULL,
    role       TEXT,                                 -- root, profile, env; NULL for one made later
    bucket     TEXT,                                 -- NULL: every bucket
    active     INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX access_key_role ON access_key (role, created_at);

CREATE TABLE bucket (
    name       TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Ids are never used twice: a reader asks by id whether the object it found is still there.
CREATE TABLE object (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    bucket      TEXT NOT NULL REFERENCES bucket (name),
    key         BLOB NOT NULL,
    size        INTEGER NOT NULL,
    etag        TEXT NOT NULL,
    modified_at INTEGER NOT NULL,
    headers     TEXT NOT NULL,                       -- JSON: content type, metadata …
    checksum    TEXT NOT NULL,                       -- JSON: algorithm, value, composite
    UNIQUE (bucket, key)
) STRICT;

-- The blob files of an object, in order. Several objects may name one file (copies).
CREATE TABLE piece (
    object   INTEGER NOT NULL REFERENCES object (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    file     TEXT NOT NULL,
    size     INTEGER NOT NULL,
    crc64    BLOB NOT NULL,
    PRIMARY KEY (object, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX piece_file ON piece (file);

CREATE TABLE upload (
    id         TEXT PRIMARY KEY,
    bucket     TEXT NOT NULL REFERENCES bucket (name),
    key        BLOB NOT NULL,
    headers    TEXT NOT NULL,
    algorithm  TEXT,                                 -- JSON, the checksum asked for
    composite  INTEGER NOT NULL,
    started_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX upload_key ON upload (bucket, key, id);

CREATE TABLE part (
    upload      TEXT NOT NULL REFERENCES upload (id) ON DELETE CASCADE,
    number      INTEGER NOT NULL,
    file        TEXT NOT NULL,
    size        INTEGER NOT NULL,
    crc64       BLOB NOT NULL,
    md5         BLOB NOT NULL,
    checksum    TEXT NOT NULL,
    modified_at INTEGER NOT NULL,
    PRIMARY KEY (upload, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX part_file ON part (file);
