//! The shape of the database, and how an older one becomes today's.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::home::create_private_file;
use crate::{Code, Error, Result};

/// One step a version, never edited once released. `PRAGMA user_version` counts those done.
const STEPS: &[&str] = &[
    "
    CREATE TABLE shares (
        id TEXT PRIMARY KEY,
        profile TEXT NOT NULL,
        bucket TEXT NOT NULL,
        key TEXT NOT NULL,
        name TEXT NOT NULL,
        size INTEGER NOT NULL,
        etag TEXT,                      -- null until the object is there
        created_at INTEGER NOT NULL,    -- seconds since 1970, as every time here
        origin TEXT NOT NULL CHECK (origin IN ('file', 'stdin', 'object')),
        origin_path BLOB,               -- bytes: a name needn't be UTF-8
        origin_size INTEGER,
        origin_modified INTEGER,        -- nanoseconds
        origin_inode INTEGER,
        failed TEXT,
        revoked_at INTEGER,
        due_since INTEGER,              -- when it was first seen that the object may be deleted
        cleaned_at INTEGER              -- the object was deleted after its last link had ended
    );
    CREATE INDEX shares_by_age ON shares (created_at);
    -- One row a signing: every input of the canonical request, and no signature.
    CREATE TABLE links (
        id INTEGER PRIMARY KEY,
        share TEXT NOT NULL REFERENCES shares (id),
        scheme TEXT NOT NULL,
        host TEXT NOT NULL,
        path TEXT NOT NULL,
        region TEXT NOT NULL,
        access_key TEXT NOT NULL,
        disposition TEXT,
        content_type TEXT,
        signed_at INTEGER NOT NULL,
        seconds INTEGER NOT NULL,
        limited_by TEXT,
        temporary INTEGER NOT NULL,
        checked_at INTEGER,
        seen TEXT
    );
    CREATE INDEX links_of_share ON links (share);
    CREATE TABLE clocks (host TEXT PRIMARY KEY, ahead INTEGER NOT NULL);
    CREATE TABLE probes (profile TEXT PRIMARY KEY, at INTEGER NOT NULL, findings TEXT NOT NULL);
",
    "
    ALTER TABLE shares ADD COLUMN hidden_at INTEGER;    -- when the person took it off the list
",
    "
    ALTER TABLE shares ADD COLUMN packed INTEGER NOT NULL DEFAULT 0;    -- whether the origin is a folder
",
    "
    -- What is needed to go on with an upload; gone once its object is there or it was given up.
    CREATE TABLE uploads (
        share TEXT PRIMARY KEY REFERENCES shares (id),
        upload_id TEXT,                 -- null until the storage gave one, and where one PUT will do
        part_size INTEGER NOT NULL,
        integrity TEXT NOT NULL,        -- how the storage shows that what arrived is what was sent
        content_type TEXT NOT NULL,
        disposition TEXT NOT NULL,
        seconds INTEGER NOT NULL,       -- the life that was asked for its link
        owner TEXT,                     -- the process that sends it, by the name of its file in uploads/
        said TEXT,                      -- what the person said last, by whichever program
        trouble TEXT                    -- why it stopped
    ) WITHOUT ROWID;
    -- The parts that arrived.
    CREATE TABLE parts (
        share TEXT NOT NULL REFERENCES shares (id),
        number INTEGER NOT NULL,
        etag TEXT NOT NULL,
        crc64 INTEGER,                  -- CRC-64/NVME of its bytes, where the storage compares that
        PRIMARY KEY (share, number)
    ) WITHOUT ROWID;
",
    "
    ALTER TABLE shares ADD COLUMN label TEXT;           -- what the person groups shares by
    ALTER TABLE links ADD COLUMN revoked_at INTEGER;    -- when its key was switched off, or its object moved away
    CREATE INDEX links_of_key ON links (access_key);
    -- Plans to switch a key off that signs links: whoever finds one that isn't over finishes or undoes it.
    CREATE TABLE rotations (
        id INTEGER PRIMARY KEY,
        profile TEXT NOT NULL,
        old_key TEXT NOT NULL,
        new_key TEXT,                   -- null until it was made
        step TEXT NOT NULL,             -- how far it is
        before TEXT NOT NULL,           -- JSON: the access keys that the user had
        keep TEXT NOT NULL,             -- JSON: the shares whose links are signed again
        is_own INTEGER NOT NULL,        -- whether Lapse made the old key: it is deleted in the end
        by_hand INTEGER NOT NULL,       -- whether a person makes the new key and switches the old one off
        began_at INTEGER NOT NULL,
        ended_at INTEGER
    );
    CREATE INDEX rotations_of_key ON rotations (old_key);
    -- Objects on their way to another key, so that the links to the old one end and the file stays.
    CREATE TABLE moves (
        share TEXT PRIMARY KEY REFERENCES shares (id),
        key TEXT NOT NULL,              -- the new one until the copy is there, then the old one
        is_copied INTEGER NOT NULL
    ) WITHOUT ROWID;
    -- What was taken back, kept when the objects and the shares are gone.
    CREATE TABLE revocations (
        id INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        how TEXT NOT NULL,
        profile TEXT NOT NULL,
        share TEXT,                     -- null for a rotation
        name TEXT,
        label TEXT,
        old_key TEXT,
        new_key TEXT,
        checked INTEGER NOT NULL,
        refused INTEGER NOT NULL,
        kept INTEGER NOT NULL
    );
",
    "
    -- By whose session a link was signed: arn:aws:sts::ACCOUNT:assumed-role/NAME, where that is known.
    ALTER TABLE links ADD COLUMN role TEXT;
    -- Whether the old key's secret isn't kept any more.
    ALTER TABLE rotations ADD COLUMN is_forgotten INTEGER NOT NULL DEFAULT FALSE;
",
    "
    -- The watched folder that a share came from.
    ALTER TABLE shares ADD COLUMN folder TEXT;
    CREATE INDEX shares_of_folder ON shares (folder) WHERE folder IS NOT NULL;
    -- What is known of watched folders, beside what config.toml says.
    CREATE TABLE folders (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        path TEXT NOT NULL UNIQUE,
        inode INTEGER,                  -- which folder it is, as it was seen last
        born INTEGER,                   -- nanoseconds, where the file system tells
        volume TEXT,                    -- the UUID of the file system, where the system tells
        scope TEXT,                     -- which of its files were looked at last, as JSON
        trouble TEXT                    -- why it isn't watched just now, or only looked through
    );
    -- Their files: what was seen last of each, and what became of it. The files that wait are the queue.
    CREATE TABLE watched (
        folder INTEGER NOT NULL REFERENCES folders (id) ON DELETE CASCADE,
        dir BLOB NOT NULL,              -- below the folder, empty for itself
        name BLOB NOT NULL,
        size INTEGER NOT NULL,
        modified INTEGER NOT NULL,      -- nanoseconds
        inode INTEGER NOT NULL,
        state INTEGER NOT NULL,         -- 0 left alone, 1 waits, 2 shared
        looked INTEGER NOT NULL,        -- of one that waits: when it was seen so, in ms of the run that looked
        share TEXT,                     -- made of it last, or under way
        before TEXT,                    -- the share that it replaces
        tries INTEGER NOT NULL DEFAULT 0,
        retry_at INTEGER,               -- seconds since 1970
        error TEXT,
        shared_at INTEGER,
        gone_at INTEGER,                -- since when it isn't there
        PRIMARY KEY (folder, dir, name)
    ) WITHOUT ROWID;
    CREATE INDEX watched_queue ON watched (modified) WHERE state = 1 AND gone_at IS NULL;
    CREATE INDEX watched_inode ON watched (folder, inode);
    CREATE INDEX watched_before ON watched (folder, before) WHERE before IS NOT NULL;
",
];

/// How long to wait for another Lapse to finish its write.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn open(path: &Path) -> Result<Connection> {
    // SQLite would make it readable by others; its -wal and -shm files take the mode of this one.
    create_private_file(path).map_err(|error| Error::disk("open", path, error))?;
    connect(path).map_err(|error| match error {
        Opening::Sql(error) => explain(path, error),
        Opening::Newer(version) => Error::new(
            Code::DatabaseNewer,
            format!(
                "{} was written by a newer Lapse (version {version} of the database)",
                path.display()
            ),
            "Update Lapse; the database was left as it is.",
        ),
    })
}

enum Opening {
    Sql(rusqlite::Error),
    Newer(usize),
}

impl From<rusqlite::Error> for Opening {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

fn connect(path: &Path) -> Result<Connection, Opening> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    // Read before anything is written: a newer database stays untouched.
    if version(&connection)? > STEPS.len() {
        return Err(Opening::Newer(version(&connection)?));
    }
    use_wal(&connection)?;
    // As many as there are in the code.
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    if version(&connection)? < STEPS.len() {
        let migration =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        // Read again inside: another process may have done it meanwhile.
        for step in STEPS.iter().skip(version(&migration)?) {
            migration.execute_batch(step)?;
        }
        migration.pragma_update(
            None,
            "user_version",
            u32::try_from(STEPS.len()).unwrap_or(u32::MAX),
        )?;
        migration.commit()?;
    }
    Ok(connection)
}

/// SQLite itself doesn't wait where two make the same new database at once.
fn use_wal(connection: &Connection) -> rusqlite::Result<()> {
    let end = Instant::now() + PATIENCE;
    loop {
        let busy = match connection.pragma_update(None, "journal_mode", "wal") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => error,
            done => return done,
        };
        if Instant::now() > end {
            return Err(busy);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn version(connection: &Connection) -> rusqlite::Result<usize> {
    let done: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(done as usize)
}

/// What `SQLite` met, in a person's words.
pub(super) fn explain(path: &Path, error: rusqlite::Error) -> Error {
    let shown = path.display();
    let (code, message, hint) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            Code::DatabaseLocked,
            format!("another program holds {shown}"),
            "Close it (another Lapse, a backup, a database viewer), then try again.",
        ),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => (
            Code::DatabaseCorrupt,
            format!("{shown} is damaged"),
            "Move it away to start with an empty history, or put a backup in its place. Your files and buckets aren't touched.",
        ),
        Some(ErrorCode::DiskFull) => (
            Code::DiskFull,
            format!("no room to write {shown}"),
            "Make room on this disk, then try again.",
        ),
        Some(
            ErrorCode::ReadOnly
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::SystemIoFailure,
        ) => (
            Code::Disk,
            format!("can't write {shown}"),
            "Make the folder writable for you, or set LAPSE_HOME to one that is.",
        ),
        _ => (
            Code::DatabaseCorrupt,
            format!("{shown} can't be used: {error}"),
            "Move it away to start with an empty history, or put a backup in its place.",
        ),
    };
    Error::new(code, message, hint).caused_by(error)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Barrier};

    use super::*;

    #[test]
    fn many_first_opens_at_once_all_work() {
        const AT_ONCE: usize = 8;
        for _ in 0..20 {
            let dir = tempfile::tempdir().expect("a folder");
            let barrier = Arc::new(Barrier::new(AT_ONCE));
            let openers = (0..AT_ONCE).map(|_| {
                let (path, barrier) = (dir.path().join("lapse.db"), Arc::clone(&barrier));
                std::thread::spawn(move || {
                    barrier.wait();
                    open(&path).map(drop)
                })
            });
            for opener in openers.collect::<Vec<_>>() {
                opener.join().expect("no panic").expect("opened");
            }
        }
    }
}
