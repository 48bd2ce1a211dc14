//! Buckets and objects.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row, params};
use s3s::dto::Timestamp;
use s3s::s3_error;
use serde::{Deserialize, Serialize};

use super::{Change, Json, now};
use crate::digest::Stored;
use crate::event::{Event, EventKind};
use crate::fault::Fault;
use crate::lifecycle::Rule;

/// A bucket.
pub(crate) struct Bucket {
    pub(crate) name: String,
    pub(crate) created_at: i64,
}

/// What a client said about an object, answered with it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Headers {
    pub(crate) content_type: Option<String>,
    pub(crate) content_disposition: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) content_language: Option<String>,
    pub(crate) cache_control: Option<String>,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) metadata: Option<HashMap<String, String>>,
}

/// An object, without its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) id: i64,
    pub(crate) size: u64,
    /// Without quotes.
    pub(crate) etag: String,
    pub(crate) modified_at: i64,
    pub(crate) headers: Headers,
    pub(crate) checksum: Stored,
}

/// A blob file that holds (a piece of) an object.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) file: String,
    pub(crate) size: u64,
    pub(crate) crc64: [u8; 8],
}

/// An object to be.
pub(crate) struct NewObject {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) etag: String,
    pub(crate) headers: Headers,
    pub(crate) checksum: Stored,
    pub(crate) pieces: Vec<Piece>,
}

pub(crate) fn create_bucket(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    let made = connection.execute(
        "INSERT INTO bucket (name, created_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        params![name, now()],
    )?;
    Ok(made == 1)
}

/// Removes a bucket that holds no object, with its unfinished uploads.
pub(crate) fn delete_bucket(change: &mut Change<'_>, name: &str) -> Result<(), Fault> {
    let files = change
        .prepare_cached(
            "SELECT file FROM part JOIN upload ON upload.id = part.upload WHERE bucket = ?1",
        )?
        .query_map([name], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    change.execute("DELETE FROM upload WHERE bucket = ?1", [name])?;
    change.execute("DELETE FROM bucket WHERE name = ?1", [name])?;
    change.release(files)
}

/// The lifecycle rules of a bucket; none when it has no configuration.
pub(crate) fn lifecycle(connection: &Connection, bucket: &str) -> rusqlite::Result<Vec<Rule>> {
    let found = connection
        .prepare_cached("SELECT rules FROM lifecycle WHERE bucket = ?1")?
        .query_row([bucket], |row| row.get::<_, Json<_>>(0))
        .optional()?;
    Ok(found.map(|rules| rules.0).unwrap_or_default())
}

/// All buckets that have rules.
pub(crate) fn lifecycles(connection: &Connection) -> rusqlite::Result<Vec<(String, Vec<Rule>)>> {
    connection
        .prepare_cached("SELECT bucket, rules FROM lifecycle ORDER BY bucket")?
        .query_map([], |row| Ok((row.get(0)?, row.get::<_, Json<_>>(1)?.0)))?
        .collect()
}

/// Puts rules in the place of those that a bucket has.
pub(crate) fn set_lifecycle(
    change: &Change<'_>,
    bucket: &str,
    rules: &Vec<Rule>,
) -> rusqlite::Result<()> {
    let insert = "INSERT OR REPLACE INTO lifecycle (bucket, rules) VALUES (?1, ?2)";
    change.execute(insert, params![bucket, Json(rules)]).map(drop)
}

pub(crate) fn remove_lifecycle(change: &Change<'_>, bucket: &str) -> rusqlite::Result<()> {
    change.execute("DELETE FROM lifecycle WHERE bucket = ?1", [bucket]).map(drop)
}

pub(crate) fn buckets(connection: &Connection) -> rusqlite::Result<Vec<Bucket>> {
    connection
        .prepare_cached("SELECT name, created_at FROM bucket ORDER BY name")?
        .query_map([], |row| Ok(Bucket { name: row.get(0)?, created_at: row.get(1)? }))?
        .collect()
}

/// Refuses with `NoSuchBucket`.
pub(crate) fn bucket_exists(connection: &Connection, name: &str) -> Result<(), Fault> {
    let exists = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM bucket WHERE name = ?1)")?
        .query_row([name], |row| row.get(0))?;
    if exists {
        Ok(())
    } else {
        Err(s3_error!(NoSuchBucket, "There is no bucket of this name.").into())
    }
}

/// The object of that key, if any. Refuses with `NoSuchBucket`.
pub(crate) fn find_object(
    connection: &Connection,
    bucket: &str,
    key: &str,
) -> Result<Option<Object>, Fault> {
    let found = connection
        .prepare_cached(
            "SELECT id, size, etag, modified_at, headers, checksum FROM object WHERE bucket = ?1 AND key = ?2",
        )?
        .query_row(params![bucket, key.as_bytes()], object)
        .optional()?;
    if found.is_none() {
        bucket_exists(connection, bucket)?;
    }
    Ok(found)
}

/// Whether the object with this id is still there.
pub(crate) fn is_current(connection: &Connection, id: i64) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM object WHERE id = ?1)")?
        .query_row([id], |row| row.get(0))
}

/// The blob files of an object, in order.
pub(crate) fn pieces(connection: &Connection, id: i64) -> rusqlite::Result<Vec<Piece>> {
    connection
        .prepare_cached("SELECT file, size, crc64 FROM piece WHERE object = ?1 ORDER BY position")?
        .query_map([id], |row| {
            Ok(Piece { file: row.get(0)?, size: unsigned(row, 1)?, crc64: row.get(2)? })
        })?
        .collect()
}

/// Puts `new` in the place of what is there; `kind` says how it came.
pub(crate) fn replace_object(
    change: &mut Change<'_>,
    new: &NewObject,
    kind: EventKind,
) -> Result<(), Fault> {
    let replaced = remove(change, &new.bucket, &new.key)?;
    let size: u64 = new.pieces.iter().map(|piece| piece.size).sum();
    let at = now();
    change
        .prepare_cached(
            "INSERT INTO object (bucket, key, size, etag, modified_at, headers, checksum)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            new.bucket,
            new.key.as_bytes(),
            size.cast_signed(),
            new.etag,
            at,
            Json(&new.headers),
            Json(&new.checksum)
        ])?;
    let id = change.last_insert_rowid();
    let mut insert = change.prepare_cached(
        "INSERT INTO piece (object, position, file, size, crc64) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for (position, piece) in (0_i64..).zip(&new.pieces) {
        insert.execute(params![id, position, piece.file, piece.size.cast_signed(), piece.crc64])?;
    }
    drop(insert);
    change.tell(event(kind, &new.bucket, &new.key, (size, &new.etag), at));
    change.release(replaced.map(|(_, files)| files).unwrap_or_default())
}

/// Removes the object, if any; `kind` says why.
pub(crate) fn delete_object(
    change: &mut Change<'_>,
    bucket: &str,
    key: &str,
    kind: EventKind,
) -> Result<(), Fault> {
    let Some((old, files)) = remove(change, bucket, key)? else { return Ok(()) };
    change.tell(event(kind, bucket, key, (old.size, &old.etag), now()));
    change.release(files)
}

fn event(kind: EventKind, bucket: &str, key: &str, (size, etag): (u64, &str), at: i64) -> Event {
    let (bucket, key, etag) = (bucket.to_owned(), key.to_owned(), etag.to_owned());
    let at = jiff::Timestamp::from_millisecond(at).unwrap_or_default();
    Event { kind, bucket, key, size, etag, at }
}

/// Up to `limit` objects of `bucket`, from the key `from` on, in the order of their keys' bytes.
pub(crate) fn keys_from(
    connection: &Connection,
    bucket: &str,
    from: &[u8],
    limit: i64,
) -> Result<Vec<(String, Object)>, Fault> {
    let rows = connection
        .prepare_cached(
            "SELECT id, size, etag, modified_at, headers, checksum, key FROM object
             WHERE bucket = ?1 AND key >= ?2 ORDER BY key LIMIT ?3",
        )?
        .query_map(params![bucket, from, limit], |row| Ok((key(row, 6)?, object(row)?)))?
        .collect::<Result<_, _>>()?;
    Ok(rows)
}

/// A key column; keys come from URLs and are UTF-8.
pub(super) fn key(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    String::from_utf8(row.get(column)?).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Blob,
            Box::new(error),
        )
    })
}

/// A size column: never negative, since only sizes are written there.
pub(super) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.unsigned_abs())
}

/// What was there, with its files.
fn remove(
    connection: &Connection,
    bucket: &str,
    key: &str,
) -> Result<Option<(Object, Vec<String>)>, Fault> {
    let Some(old) = find_object(connection, bucket, key)? else { return Ok(None) };
    let files = pieces(connection, old.id)?.into_iter().map(|piece| piece.file).collect();
    connection.prepare_cached("DELETE FROM object WHERE id = ?1")?.execute([old.id])?;
    Ok(Some((old, files)))
}

fn object(row: &Row<'_>) -> rusqlite::Result<Object> {
    Ok(Object {
        id: row.get(0)?,
        size: unsigned(row, 1)?,
        etag: row.get(2)?,
        modified_at: row.get(3)?,
        headers: row.get::<_, Json<_>>(4)?.0,
        checksum: row.get::<_, Json<_>>(5)?.0,
    })
}

/// Some of the blobs that rows name, each once, by file name, after `file`.
pub(crate) fn blobs_after(connection: &Connection, file: &str) -> rusqlite::Result<Vec<Piece>> {
    connection
        .prepare_cached(
            "SELECT file, size, crc64 FROM piece WHERE file > ?1
             UNION SELECT file, size, crc64 FROM part WHERE file > ?1 ORDER BY file LIMIT 1000",
        )?
        .query_map([file], |row| {
            Ok(Piece { file: row.get(0)?, size: unsigned(row, 1)?, crc64: row.get(2)? })
        })?
        .collect()
}

/// What names a blob: bucket, key, and whether it is a part of an unfinished upload.
pub(super) fn owners(
    connection: &Connection,
    file: &str,
) -> rusqlite::Result<Vec<(String, String, bool)>> {
    connection
        .prepare_cached(
            "SELECT DISTINCT bucket, key, 0 FROM piece JOIN object ON id = object WHERE file = ?1
             UNION ALL SELECT bucket, key, 1 FROM part JOIN upload ON id = upload WHERE file = ?1",
        )?
        .query_map([file], |row| Ok((row.get(0)?, key(row, 1)?, row.get(2)?)))?
        .collect()
}
