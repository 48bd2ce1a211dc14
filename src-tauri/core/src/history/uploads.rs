//! The journal of uploads: what is needed to go on with one after its process ended.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{History, UploadLock, signed, unsigned};
use crate::share::{Share, ShareId};
use crate::storage::{Headers, Integrity};
use crate::{Code, Error, Result};

/// How an upload is made.
#[derive(Debug, Clone)]
pub(crate) struct UploadRow {
    /// None until the storage gave one, and where one PUT will do.
    pub(crate) upload_id: Option<String>,
    pub(crate) part_size: u64,
    pub(crate) integrity: Integrity,
    pub(crate) headers: Headers,
    /// The life that was asked for its link.
    pub(crate) seconds: u32,
    pub(crate) said: Option<Said>,
    /// Why it stopped.
    pub(crate) trouble: Option<String>,
    /// The process that sends it, or did.
    pub(crate) owner: Option<String>,
}

/// What the person said last of an upload, in whichever program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    Pause,
    Cancel,
}

/// A part that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartRow {
    /// From 1 on.
    pub(crate) number: u32,
    pub(crate) etag: String,
    /// CRC-64/NVME, where that is compared.
    pub(crate) crc64: Option<u64>,
}

impl Said {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Cancel => "cancel",
        }
    }

    fn of(text: &str) -> Option<Self> {
        [Self::Pause, Self::Cancel].into_iter().find(|said| said.as_str() == text)
    }
}

impl History {
    /// How a share is uploaded; nothing once it was, or was given up.
    pub(crate) fn upload(&self, id: &ShareId) -> Result<Option<UploadRow>> {
        self.connection()
            .prepare_cached("SELECT * FROM uploads WHERE share = ?1")
            .and_then(|mut select| select.query_row([id.as_str()], upload_of).optional())
            .map_err(|error| self.failed(error))
    }

    /// Makes this process the owner of an upload; nothing where another one sends it, or this one does.
    pub(crate) async fn own(&self, id: &ShareId) -> Result<Option<UploadLock>> {
        let (name, id, owners) = (self.owner.name()?, id.clone(), Arc::clone(&self.owner));
        // In one transaction: of two that come at once one is first.
        self.write(move |connection| {
            let sql = "SELECT owner FROM uploads WHERE share = ?1";
            let owner: Option<String> =
                connection.query_row(sql, [id.as_str()], |row| row.get(0)).optional()?.flatten();
            if owner.is_some_and(|owner| owners.sends(&owner, &id)) {
                return Ok(None);
            }
            let sql = "UPDATE uploads SET owner = ?2 WHERE share = ?1";
            connection.execute(sql, params![id.as_str(), name])?;
            Ok(owners.take(&id))
        })
        .await
    }

    /// This process doesn't send an upload any more.
    pub(crate) async fn disown(&self, lock: UploadLock, id: &ShareId) -> Result<()> {
        let id = id.clone();
        self.write(move |connection| {
            let sql = "UPDATE uploads SET owner = NULL WHERE share = ?1";
            let changed = connection.execute(sql, [id.as_str()]).map(drop);
            drop(lock);
            changed
        })
        .await
    }

    /// Whether a live process sends an upload.
    pub(crate) fn is_sent(&self, id: &ShareId, upload: &UploadRow) -> bool {
        upload.owner.as_ref().is_some_and(|owner| self.owner.sends(owner, id))
    }

    /// The same, of a share.
    pub(crate) fn is_under_way(&self, id: &ShareId) -> bool {
        matches!(self.upload(id), Ok(Some(upload)) if self.is_sent(id, &upload))
    }

    /// Whether any live process sends a share.
    pub(crate) fn has_upload_under_way(&self) -> bool {
        let connection = self.connection();
        let read = || -> rusqlite::Result<Vec<(String, Option<String>)>> {
            let sql = "SELECT share, owner FROM uploads WHERE owner IS NOT NULL";
            let mut select = connection.prepare_cached(sql)?;
            select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        };
        let owned = read().unwrap_or_default();
        drop(connection);
        owned.into_iter().any(|(id, owner)| {
            id.parse().is_ok_and(|id| owner.is_some_and(|owner| self.owner.sends(&owner, &id)))
        })
    }

    /// Every share with an upload that isn't over, the oldest first.
    pub(crate) fn unfinished(&self) -> Result<Vec<(Share, UploadRow)>> {
        let shares = self.select(
            "WHERE EXISTS (SELECT 1 FROM uploads WHERE share = s.id) ORDER BY s.created_at, s.rowid",
            [],
        )?;
        let mut unfinished = Vec::new();
        for share in shares {
            // One that ended since.
            let Some(upload) = self.upload(&share.id)? else { continue };
            unfinished.push((share, upload));
        }
        Ok(unfinished)
    }

    /// The parts that arrived, in order.
    pub(crate) fn parts(&self, id: &ShareId) -> Result<Vec<PartRow>> {
        let connection = self.connection();
        let read = || -> rusqlite::Result<Vec<PartRow>> {
            connection
                .prepare_cached("SELECT * FROM parts WHERE share = ?1 ORDER BY number")?
                .query_map([id.as_str()], part_of)?
                .collect()
        };
        read().map_err(|error| self.failed(error))
    }

    /// Bytes of the parts that arrived: the last one of a file may be shorter.
    pub(super) fn arrived_of(&self, share: &Share, upload: &UploadRow) -> Result<u64> {
        let sql = "SELECT coalesce(sum(max(0, min(?2, ?3 - (number - 1) * ?2))), 0) FROM parts WHERE share = ?1";
        let values = params![share.id.as_str(), signed(upload.part_size), signed(share.size)];
        self.connection()
            .prepare_cached(sql)
            .and_then(|mut sum| sum.query_row(values, |row| row.get(0)))
            .map(unsigned)
            .map_err(|error| self.failed(error))
    }

    /// The storage gave the upload its id: parts of an earlier one are nothing any more.
    pub(crate) async fn begun(
        &self,
        id: &ShareId,
        upload: &str,
        integrity: Integrity,
    ) -> Result<()> {
        let (id, upload) = (id.clone(), upload.to_owned());
        self.write(move |connection| {
            connection.execute("DELETE FROM parts WHERE share = ?1", [id.as_str()])?;
            connection
                .execute(
                    "UPDATE uploads SET upload_id = ?2, integrity = ?3 WHERE share = ?1",
                    params![id.as_str(), upload, integrity.as_str()],
                )
                .map(drop)
        })
        .await
    }

    /// A part arrived.
    pub(crate) async fn arrived(&self, id: &ShareId, part: PartRow) -> Result<()> {
        let id = id.clone();
        self.write(move |connection| {
            connection
                .prepare_cached(
                    "INSERT INTO parts (share, number, etag, crc64) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT DO UPDATE SET etag = ?3, crc64 = ?4",
                )?
                .execute(params![
                    id.as_str(),
                    part.number,
                    part.etag,
                    part.crc64.map(u64::cast_signed)
                ])
                .map(drop)
        })
        .await
    }

    /// What arrived of an upload is nothing any more: it is begun from the beginning, with its source as it is now.
    pub(crate) async fn begin_anew(&self, share: &Share, part_size: u64) -> Result<()> {
        let (id, size) = (share.id.clone(), signed(share.size));
        let now = share.fingerprint();
        self.write(move |connection| {
            connection.execute("DELETE FROM parts WHERE share = ?1", [id.as_str()])?;
            connection.execute(
                "UPDATE uploads SET upload_id = NULL, part_size = ?2 WHERE share = ?1",
                params![id.as_str(), signed(part_size)],
            )?;
            connection
                .execute(
                    "UPDATE shares SET size = ?2, origin_size = ?3, origin_modified = ?4, origin_inode = ?5
                     WHERE id = ?1",
                    params![
                        id.as_str(),
                        size,
                        now.map(|now| signed(now.size)),
                        now.map(|now| now.modified),
                        now.map(|now| now.inode.cast_signed()),
                    ],
                )
                .map(drop)
        })
        .await
    }

    /// What the person says of an upload. Gives whether there is one.
    pub(crate) fn set_said(&self, id: &ShareId, said: Option<Said>) -> Result<bool> {
        self.connection()
            .execute(
                "UPDATE uploads SET said = ?2 WHERE share = ?1",
                params![id.as_str(), said.map(Said::as_str)],
            )
            .map(|rows| rows > 0)
            .map_err(|error| self.failed(error))
    }

    /// Why an upload stopped; nothing while it runs.
    pub(crate) fn set_trouble(&self, id: &ShareId, trouble: Option<&str>) -> Result<()> {
        self.change(
            "UPDATE uploads SET trouble = ?2 WHERE share = ?1",
            params![id.as_str(), trouble],
        )
    }

    /// The upload won't be gone on with, and nothing of it is at the storage.
    pub(crate) async fn forget_upload(&self, id: &ShareId) -> Result<()> {
        let id = id.clone();
        self.write(move |connection| delete(connection, &id)).await
    }
}

pub(crate) fn sent_already(id: &ShareId) -> Error {
    Error::new(
        Code::NotUploading,
        format!("another program sends the share {id}"),
        "Wait for it, or stop it there.",
    )
}

pub(super) fn insert(
    connection: &Connection,
    id: &ShareId,
    upload: &UploadRow,
    owner: &str,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO uploads (share, part_size, integrity, content_type, disposition, seconds, owner)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            id.as_str(),
            signed(upload.part_size),
            upload.integrity.as_str(),
            upload.headers.content_type,
            upload.headers.disposition,
            upload.seconds,
            owner,
        ])
        .map(drop)
}

pub(super) fn delete(connection: &Connection, id: &ShareId) -> rusqlite::Result<()> {
    for sql in ["DELETE FROM parts WHERE share = ?1", "DELETE FROM uploads WHERE share = ?1"] {
        connection.prepare_cached(sql)?.execute([id.as_str()])?;
    }
    Ok(())
}

fn upload_of(row: &Row<'_>) -> rusqlite::Result<UploadRow> {
    let (integrity, said): (String, Option<String>) = (row.get("integrity")?, row.get("said")?);
    Ok(UploadRow {
        upload_id: row.get("upload_id")?,
        part_size: unsigned(row.get("part_size")?),
        integrity: Integrity::of(&integrity),
        headers: Headers {
            content_type: row.get("content_type")?,
            disposition: row.get("disposition")?,
        },
        seconds: row.get("seconds")?,
        said: said.as_deref().and_then(Said::of),
        trouble: row.get("trouble")?,
        owner: row.get("owner")?,
    })
}

fn part_of(row: &Row<'_>) -> rusqlite::Result<PartRow> {
    Ok(PartRow {
        number: row.get("number")?,
        etag: row.get("etag")?,
        crc64: row.get::<_, Option<i64>>("crc64")?.map(i64::cast_unsigned),
    })
}
