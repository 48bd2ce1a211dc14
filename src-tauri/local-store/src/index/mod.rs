//! The index (`SQLite`): what is stored where, and the store's keys and port.

mod keys;
mod objects;
mod uploads;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior};
use tokio::sync::broadcast;

use crate::event::Event;
use crate::fault::Fault;
use crate::{BUCKET, Error, Key, Usage, blobs, private};

pub(crate) use keys::{
    AccessKey, Service, check_other_root, create_key, delete_key, save_use, set_key_active,
};
pub(crate) use objects::{
    Headers, NewObject, Object, Piece, blobs_after, bucket_exists, buckets, create_bucket,
    delete_bucket, delete_object, find_object, is_current, keys_from, lifecycle, lifecycles,
    pieces, remove_lifecycle, replace_object, set_lifecycle,
};
pub(crate) use uploads::{
    NewPart, Part, Upload, abort_upload, count_uploads, create_upload, find_upload, finish_upload,
    parts, put_part, uploads_after,
};
pub(crate) use writer::{Change, Written};

/// One script a version; `user_version` says how many were run.
const MIGRATIONS: [&str; VERSION as usize] =
    [include_str!("schema.sql"), include_str!("key_use.sql"), include_str!("lifecycle.sql")];
const VERSION: u32 = 3;
/// Connections that read at once.
const READERS: usize = 4;

/// The index file in the store's folder `dir`.
pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join("index.db")
}

/// The index as its host uses it. Calls block: keep them off the async threads.
pub(crate) struct Index {
    writer: writer::Writer,
    readers: Vec<Mutex<Connection>>,
    next_reader: AtomicUsize,
}

impl Index {
    /// Opens the index of `dir`; makes it, with the first bucket and the keys, when there is none. `events`
    /// hears of objects.
    pub(crate) fn open(dir: &Path, events: broadcast::Sender<Event>) -> Result<Self, Error> {
        let path = path(dir);
        let failed = Error::index(&path);
        // A newer index mustn't be touched, and opening it for writing may already move its log.
        let has_index = path.exists() && Reader::open(dir)?.is_some();
        if !has_index && blobs::are_in(dir) {
            return Err(Error::IndexGone(path));
        }
        // SQLite gives the log files the mode of the database.
        private::open_or_create(&path).map_err(Error::io("open", &path))?;
        let mut writer = Connection::open(&path).map_err(&failed)?;
        configure(&writer).map_err(&failed)?;
        migrate(&mut writer).map_err(&failed)?;
        // What an index can't do without isn't in its log alone.
        writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(&failed)?;
        let reader = || -> rusqlite::Result<_> {
            let reader = Connection::open(&path)?;
            configure(&reader)?;
            Ok(Mutex::new(reader))
        };
        let readers = (0..READERS).map(|_| reader()).collect::<Result<_, _>>().map_err(&failed)?;
        let writer = writer::Writer::start(writer, dir, events).map_err(Error::io("use", &path))?;
        Ok(Self { writer, readers, next_reader: AtomicUsize::new(0) })
    }

    /// Reads in one consistent view.
    pub(crate) fn read<T>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let turn = self.next_reader.fetch_add(1, Ordering::Relaxed);
        let mut connection = lock(&self.readers[turn % READERS]);
        let view = connection.transaction()?;
        job(&view)
    }

    /// Writes in one transaction: all of it is on the disk when this returns `Ok`, else nothing.
    pub(crate) fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Change<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<Written<T>, Fault> {
        self.writer.write(false, job)
    }

    /// As [`Self::write`], of rows that name a file which was just moved to the blobs: its name is on the disk
    /// before the rows are.
    pub(crate) fn write_blob<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Change<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<Written<T>, Fault> {
        self.writer.write(true, job)
    }
}

/// The index as every other process uses it: nothing is written.
pub(crate) struct Reader {
    connection: Connection,
    path: PathBuf,
}

impl Reader {
    /// Opens the index of `dir`, or `None` when there is no store yet.
    pub(crate) fn open(dir: &Path) -> Result<Option<Self>, Error> {
        let path = path(dir);
        if !path.try_exists().map_err(Error::io("look for", &path))? {
            return Ok(None);
        }
        let failed = Error::index(&path);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(&failed)?;
        connection.busy_timeout(BUSY).map_err(&failed)?;
        let found: i64 =
            connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(&failed)?;
        match found {
            0 => Ok(None),
            found if found > VERSION.into() => Err(Error::Newer { found, known: VERSION.into() }),
            _ => Ok(Some(Self { connection, path })),
        }
    }

    /// The port that was chosen for this store.
    pub(crate) fn port(&self) -> Result<Option<u16>, Error> {
        port(&self.connection).map_err(Error::index(&self.path))
    }

    /// The active key of a role; the newest, when there are several.
    pub(crate) fn credentials_of_role(
        &self,
        role: Key,
    ) -> Result<Option<crate::Credentials>, Error> {
        keys::of_role(&self.connection, role).map_err(Error::index(&self.path))
    }

    /// Any key by its id, active or not.
    pub(crate) fn credentials_of(&self, id: &str) -> Result<Option<crate::Credentials>, Error> {
        keys::of_id(&self.connection, id).map_err(Error::index(&self.path))
    }

    /// How many objects there are, and their bytes.
    pub(crate) fn usage(&self) -> Result<Usage, Error> {
        self.connection
            .query_row("SELECT count(*), coalesce(sum(size), 0) FROM object", [], |row| {
                Ok(Usage {
                    objects: row.get::<_, i64>(0)?.unsigned_abs(),
                    bytes: row.get::<_, i64>(1)?.unsigned_abs(),
                })
            })
            .map_err(Error::index(&self.path))
    }

    /// Some of the blobs that rows name, each once, by file name, after `file`.
    pub(crate) fn blobs_after(&self, file: &str) -> Result<Vec<Piece>, Error> {
        blobs_after(&self.connection, file).map_err(Error::index(&self.path))
    }

    /// What names a blob: bucket, key, and whether it is a part of an unfinished upload.
    pub(crate) fn owners(&self, file: &str) -> Result<Vec<(String, String, bool)>, Error> {
        objects::owners(&self.connection, file).map_err(Error::index(&self.path))
    }
}

/// Whether an older Lapse left blobs without checksums of their blocks.
pub(crate) fn is_unsummed(connection: &Connection) -> rusqlite::Result<bool> {
    let setting = "SELECT EXISTS (SELECT 1 FROM setting WHERE name = 'unsummed')";
    connection.query_row(setting, [], |row| row.get(0))
}

/// All blobs have checksums of their blocks now.
pub(crate) fn set_summed(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM setting WHERE name = 'unsummed'", []).map(drop)
}

/// The port that was chosen for this store.
pub(crate) fn port(connection: &Connection) -> rusqlite::Result<Option<u16>> {
    connection
        .query_row("SELECT value FROM setting WHERE name = 'port'", [], |row| row.get(0))
        .optional()
}

/// Keeps the port for good: links name it.
pub(crate) fn set_port(connection: &Connection, port: u16) -> rusqlite::Result<()> {
    connection.execute("INSERT INTO setting (name, value) VALUES ('port', ?1)", [port])?;
    Ok(())
}

/// Every key, active or not.
pub(crate) fn access_keys(connection: &Connection) -> rusqlite::Result<Vec<AccessKey>> {
    keys::all(connection)
}

/// Whether any row names the blob file.
pub(crate) fn is_named(connection: &Connection, file: &str) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM piece WHERE file = ?1) OR EXISTS (SELECT 1 FROM part WHERE file = ?1)",
        )?
        .query_row([file], |row| row.get(0))
}

/// Milliseconds since 1970.
pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

const BUSY: Duration = Duration::from_secs(10);

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // A deleted secret or key shouldn't linger in free pages.
    connection.pragma_update(None, "secure_delete", "FAST")
}

fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: u32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    for script in MIGRATIONS.iter().skip(version as usize) {
        transaction.execute_batch(script)?;
    }
    if version == 0 {
        create_bucket(&transaction, BUCKET)?;
        keys::create_first(&transaction)?;
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

/// A job that panicked has rolled its transaction back; the connection is as good as before.
fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

/// JSON kept in a column.
struct Json<T>(T);

impl<T: serde::Serialize> rusqlite::ToSql for Json<&T> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        serde_json::to_string(self.0)
            .map(Into::into)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
    }
}

impl<T: serde::de::DeserializeOwned> rusqlite::types::FromSql for Json<T> {
    fn column_result(value: rusqlite::types::ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?)
            .map(Self)
            .map_err(|error| rusqlite::types::FromSqlError::Other(Box::new(error)))
    }
}
