//! Buckets and objects.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use s3s::dto::Timestamp;
use s3s::s3_error;
use serde::{Deserialize, Serialize};

use super::{Json, is_named, now};
use crate::digest::Stored;
use crate::fault::Fault;

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

/// Removes a bucket that holds no object, with its unfinished uploads; gives the files that no row names any more.
pub(crate) fn delete_bucket(
    transaction: &Transaction<'_>,
    name: &str,
) -> Result<Vec<String>, Fault> {
    let files = transaction
        .prepare_cached(
            "SELECT file FROM part JOIN upload ON upload.id = part.upload WHERE bucket = ?1",
        )?
        .query_map([name], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    transaction.execute("DELETE FROM upload WHERE bucket = ?1", [name])?;
    transaction.execute("DELETE FROM bucket WHERE name = ?1", [name])?;
    unnamed(transaction, files)
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

/// Puts `new` in the place of what is there; gives the files that no row names any more.
pub(crate) fn replace_object(
    transaction: &Transaction<'_>,
    new: &NewObject,
) -> Result<Vec<String>, Fault> {
    let orphans = remove(transaction, &new.bucket, &new.key)?;
    let size: u64 = new.pieces.iter().map(|piece| piece.size).sum();
    transaction
        .prepare_cached(
            "INSERT INTO object (bucket, key, size, etag, modified_at, headers, checksum)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            new.bucket,
            new.key.as_bytes(),
            size.cast_signed(),
            new.etag,
            now(),
            Json(&new.headers),
            Json(&new.checksum)
        ])?;
    let id = transaction.last_insert_rowid();
    let mut insert = transaction.prepare_cached(
        "INSERT INTO piece (object, position, file, size, crc64) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for (position, piece) in (0_i64..).zip(&new.pieces) {
        insert.execute(params![id, position, piece.file, piece.size.cast_signed(), piece.crc64])?;
    }
    unnamed(transaction, orphans)
}

/// Removes the object, if any; gives the files that no row names any more.
pub(crate) fn delete_object(
    transaction: &Transaction<'_>,
    bucket: &str,
    key: &str,
) -> Result<Vec<String>, Fault> {
    let orphans = remove(transaction, bucket, key)?;
    unnamed(transaction, orphans)
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

/// Those of `files` that no row names.
pub(super) fn unnamed(
    transaction: &Transaction<'_>,
    files: Vec<String>,
) -> Result<Vec<String>, Fault> {
    let mut orphans = Vec::new();
    for file in files {
        if !is_named(transaction, &file)? {
            orphans.push(file);
        }
    }
    Ok(orphans)
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

fn remove(transaction: &Transaction<'_>, bucket: &str, key: &str) -> Result<Vec<String>, Fault> {
    let Some(old) = find_object(transaction, bucket, key)? else { return Ok(Vec::new()) };
    let files = pieces(transaction, old.id)?.into_iter().map(|piece| piece.file).collect();
    transaction.prepare_cached("DELETE FROM object WHERE id = ?1")?.execute([old.id])?;
    Ok(files)
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
pub(super) fn blobs_after(connection: &Connection, file: &str) -> rusqlite::Result<Vec<Piece>> {
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
