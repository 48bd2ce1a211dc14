//! Multipart uploads that aren't finished, and their parts.

use rusqlite::{Connection, OptionalExtension, Row, params};
use s3s::s3_error;

use super::objects::{bucket_exists, key, unsigned};
use super::{Change, Headers, Json, NewObject, Piece, now, replace_object};
use crate::digest::{Algorithm, Stored};
use crate::event::EventKind;
use crate::fault::Fault;

/// An unfinished upload.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    pub(crate) id: String,
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) headers: Headers,
    /// The checksum that the client named at its start.
    pub(crate) algorithm: Option<Algorithm>,
    /// Whether the whole object's checksum is to be made of the parts' checksums.
    pub(crate) composite: bool,
    pub(crate) started_at: i64,
}

/// A part that was received.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) number: u16,
    pub(crate) piece: Piece,
    pub(crate) md5: [u8; 16],
    pub(crate) checksum: Stored,
    pub(crate) modified_at: i64,
}

/// A part to be.
pub(crate) struct NewPart {
    pub(crate) number: u16,
    pub(crate) piece: Piece,
    pub(crate) md5: [u8; 16],
    pub(crate) checksum: Stored,
}

pub(crate) fn create_upload(change: &Change<'_>, upload: &Upload) -> Result<(), Fault> {
    bucket_exists(change, &upload.bucket)?;
    change.execute(
        "INSERT INTO upload (id, bucket, key, headers, algorithm, composite, started_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            upload.id,
            upload.bucket,
            upload.key.as_bytes(),
            Json(&upload.headers),
            upload.algorithm.as_ref().map(Json),
            upload.composite,
            upload.started_at
        ],
    )?;
    Ok(())
}

/// Refuses with `NoSuchUpload` when there is none with this id for this very key.
pub(crate) fn find_upload(
    connection: &Connection,
    bucket: &str,
    key: &str,
    id: &str,
) -> Result<Upload, Fault> {
    bucket_exists(connection, bucket)?;
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM upload WHERE id = ?1 AND bucket = ?2 AND key = ?3"
        ))?
        .query_row(params![id, bucket, key.as_bytes()], upload)
        .optional()?
        .ok_or_else(|| {
            s3_error!(NoSuchUpload, "There is no such upload; it was finished or aborted.").into()
        })
}

/// Up to `limit` uploads after that key and id, in order of key and id.
pub(crate) fn uploads_after(
    connection: &Connection,
    bucket: &str,
    after: (&[u8], &str),
    limit: i64,
) -> Result<Vec<Upload>, Fault> {
    bucket_exists(connection, bucket)?;
    let rows = connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM upload WHERE bucket = ?1 AND (key, id) > (?2, ?3) ORDER BY key, id LIMIT ?4"
        ))?
        .query_map(params![bucket, after.0, after.1, limit], upload)?
        .collect::<Result<_, _>>()?;
    Ok(rows)
}

pub(crate) fn count_uploads(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT count(*) FROM upload", [], |row| unsigned(row, 0))
}

/// The parts of an upload, in order.
pub(crate) fn parts(connection: &Connection, upload: &str) -> rusqlite::Result<Vec<Part>> {
    connection
        .prepare_cached(
            "SELECT number, file, size, crc64, md5, checksum, modified_at FROM part WHERE upload = ?1 ORDER BY number",
        )?
        .query_map([upload], |row| {
            Ok(Part {
                number: row.get(0)?,
                piece: Piece { file: row.get(1)?, size: unsigned(row, 2)?, crc64: row.get(3)? },
                md5: row.get(4)?,
                checksum: row.get::<_, Json<_>>(5)?.0,
                modified_at: row.get(6)?,
            })
        })?
        .collect()
}

/// Keeps a part in the place of an older one of its number.
pub(crate) fn put_part(change: &mut Change<'_>, upload: &str, part: &NewPart) -> Result<(), Fault> {
    let old: Option<String> = change
        .query_row(
            "SELECT file FROM part WHERE upload = ?1 AND number = ?2",
            params![upload, part.number],
            |row| row.get(0),
        )
        .optional()?;
    change
        .prepare_cached(
            "INSERT OR REPLACE INTO part (upload, number, file, size, crc64, md5, checksum, modified_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            upload,
            part.number,
            part.piece.file,
            part.piece.size.cast_signed(),
            part.piece.crc64,
            part.md5,
            Json(&part.checksum),
            now()
        ])?;
    change.release(old.into_iter().collect())
}

/// Makes the object and forgets the upload.
pub(crate) fn finish_upload(
    change: &mut Change<'_>,
    upload: &str,
    object: &NewObject,
) -> Result<(), Fault> {
    replace_object(change, object, EventKind::CompleteMultipartUpload)?;
    abort_upload(change, upload)
}

/// Forgets the upload and its parts.
pub(crate) fn abort_upload(change: &mut Change<'_>, upload: &str) -> Result<(), Fault> {
    let files = parts(change, upload)?.into_iter().map(|part| part.piece.file).collect();
    change.execute("DELETE FROM upload WHERE id = ?1", [upload])?;
    change.release(files)
}

const COLUMNS: &str = "id, bucket, key, headers, algorithm, composite, started_at";

fn upload(row: &Row<'_>) -> rusqlite::Result<Upload> {
    Ok(Upload {
        id: row.get(0)?,
        bucket: row.get(1)?,
        key: key(row, 2)?,
        headers: row.get::<_, Json<_>>(3)?.0,
        algorithm: row.get::<_, Option<Json<_>>>(4)?.map(|json| json.0),
        composite: row.get(5)?,
        started_at: row.get(6)?,
    })
}
