//! The database of shares: facts, and never a secret or a link.

mod owner;
mod rotations;
mod schema;
mod uploads;
mod watched;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::share::{Fingerprint, Link, Origin, Share, ShareId, UnderWay, can_go_on, no_such_share};
use crate::storage::probe::Finding;
use crate::storage::{LinkFacts, Seen};
use crate::{Code, Error, Result};

use owner::Owner;
pub(crate) use owner::UploadLock;
pub use rotations::Revocation;
pub(crate) use rotations::{Rotation, Step, role_of_sessions};
pub(crate) use uploads::{PartRow, Said, UploadRow, sent_already};
pub(crate) use watched::{Change, Fate, Identity, Known, Place, Waiting, WatchedRows};
use writer::Writer;

/// The open database.
#[derive(Debug)]
pub(crate) struct History {
    shared: Arc<Shared>,
    writer: Writer,
    /// This process, where it sends uploads.
    owner: Arc<Owner>,
}

/// The connection: for whoever reads or changes a row, and for the thread that writes for many.
#[derive(Debug)]
struct Shared {
    connection: Mutex<Connection>,
    path: PathBuf,
}

impl Shared {
    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic elsewhere leaves no half-done work: every change is one transaction.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, error: rusqlite::Error) -> Error {
        schema::explain(&self.path, error)
    }
}

impl History {
    pub(crate) fn open(path: &Path, uploads: PathBuf) -> Result<Self> {
        let connection = Mutex::new(schema::open(path)?);
        let shared = Arc::new(Shared { connection, path: path.to_owned() });
        Ok(Self { shared, writer: Writer::default(), owner: Arc::new(Owner::new(uploads)) })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.shared.connection()
    }

    fn failed(&self, error: rusqlite::Error) -> Error {
        self.shared.failed(error)
    }

    /// Writes together with whatever else waits to be written.
    async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        self.writer.write(&self.shared, change).await
    }

    /// Keeps a share of an object that was there before.
    pub(crate) async fn add(&self, share: &Share) -> Result<()> {
        let share = share.clone();
        self.write(move |connection| insert_share(connection, &share)).await
    }

    /// Writes down what is about to be uploaded and how, before anything is sent. This process owns that.
    /// `place` is the watched file that it is made of; nothing is written where it isn't known any more.
    pub(crate) async fn intend(
        &self,
        share: &Share,
        upload: &UploadRow,
        place: Option<&Place>,
    ) -> Result<Option<UploadLock>> {
        let (owner, lock) = (self.owner.name()?, self.owner.take(&share.id));
        let lock = lock.ok_or_else(|| uploads::sent_already(&share.id))?;
        let (share, upload, place) = (share.clone(), upload.clone(), place.cloned());
        self.write(move |connection| {
            // A file that got another name this moment is shared by that.
            if let Some(place) = &place
                && !watched::takes(connection, place, &share)?
            {
                return Ok(None);
            }
            insert_share(connection, &share)?;
            uploads::insert(connection, &share.id, &upload, &owner)?;
            Ok(Some(lock))
        })
        .await
    }

    /// The object is there: its size and etag, and the first link. The upload is over. False, and nothing is written,
    /// where a rotation has replaced the key of the link.
    pub(crate) async fn uploaded(
        &self,
        id: &ShareId,
        size: u64,
        etag: &str,
        link: &Link,
    ) -> Result<bool> {
        let (id, etag, link) = (id.clone(), etag.to_owned(), link.clone());
        self.write(move |connection| {
            if !rotations::signs(connection, &link)? {
                return Ok(false);
            }
            connection
                .prepare_cached(
                    "UPDATE shares SET size = ?2, etag = ?3, failed = NULL WHERE id = ?1",
                )?
                .execute(params![id.as_str(), signed(size), etag])?;
            insert_link(connection, &id, &link)?;
            uploads::delete(connection, &id)?;
            Ok(true)
        })
        .await
    }

    /// One more link of a share. False, and nothing is written, where a rotation has replaced its key.
    pub(crate) async fn add_link(&self, id: &ShareId, link: &Link) -> Result<bool> {
        let (id, link) = (id.clone(), link.clone());
        self.write(move |connection| {
            let signs = rotations::signs(connection, &link)?;
            if signs {
                insert_link(connection, &id, &link)?;
            }
            Ok(signs)
        })
        .await
    }

    pub(crate) fn set_failed(&self, id: &ShareId, reason: &str) -> Result<()> {
        self.change("UPDATE shares SET failed = ?2 WHERE id = ?1", params![id.as_str(), reason])
    }

    pub(crate) fn set_hidden(&self, id: &ShareId, at: Timestamp) -> Result<()> {
        self.change(
            "UPDATE shares SET hidden_at = ?2 WHERE id = ?1",
            params![id.as_str(), at.as_second()],
        )
    }

    /// The same of many in one transaction.
    pub(crate) async fn set_all_hidden(&self, ids: Vec<ShareId>, at: Timestamp) -> Result<()> {
        self.write(move |connection| {
            let mut update =
                connection.prepare_cached("UPDATE shares SET hidden_at = ?2 WHERE id = ?1")?;
            for id in ids {
                update.execute(params![id.as_str(), at.as_second()])?;
            }
            Ok(())
        })
        .await
    }

    pub(crate) fn set_cleaned(&self, id: &ShareId, at: Timestamp) -> Result<()> {
        self.change(
            "UPDATE shares SET cleaned_at = ?2 WHERE id = ?1",
            params![id.as_str(), at.as_second()],
        )
    }

    pub(crate) fn set_seen(&self, link: i64, at: Timestamp, seen: Seen) -> Result<()> {
        self.change(
            "UPDATE links SET checked_at = ?2, seen = ?3 WHERE id = ?1",
            params![link, at.as_second(), seen.as_str()],
        )
    }

    fn change(&self, sql: &str, values: impl rusqlite::Params) -> Result<()> {
        self.connection().execute(sql, values).map(drop).map_err(|error| self.failed(error))
    }

    /// The share that an id, or the beginning of just one, names.
    pub(crate) fn find(&self, id: &ShareId) -> Result<Share> {
        // A whole one is looked up; for a beginning all are looked through.
        let mut found = if id.is_whole() {
            self.select("WHERE s.id = ?1", params![id.as_str()])?
        } else {
            let pattern = format!("{}%", id.as_str());
            self.select("WHERE s.id LIKE ?1 ORDER BY s.created_at DESC LIMIT 2", params![pattern])?
        };
        match (found.pop(), found.is_empty()) {
            (Some(share), true) => Ok(share),
            (Some(_), false) => Err(Error::new(
                Code::NoSuchShare,
                format!("«{id}» is the beginning of more than one share's id"),
                "Write more of it; `lapse list` shows them whole.",
            )),
            (None, _) => Err(no_such_share(id.as_str())),
        }
    }

    /// Every share, the newest first.
    pub(crate) fn all(&self) -> Result<Vec<Share>> {
        self.select("ORDER BY s.created_at DESC, s.rowid DESC", [])
    }

    /// Notes which shares of a profile became due for clean-up, and which were thought so under a wrong clock.
    pub(crate) fn note_due(&self, profile: &str, end: Timestamp, now: Timestamp) -> Result<()> {
        self.change(
            "UPDATE shares SET due_since = CASE
                WHEN (SELECT max(signed_at + seconds) FROM links WHERE share = shares.id) > ?2 THEN NULL
                ELSE coalesce(due_since, ?3) END
             WHERE profile = ?1 AND origin = 'file' AND etag IS NOT NULL
               AND revoked_at IS NULL AND cleaned_at IS NULL
               AND (due_since IS NOT NULL
                    OR (SELECT max(signed_at + seconds) FROM links WHERE share = shares.id) <= ?2)",
            params![profile, end.as_second(), now.as_second()],
        )
    }

    /// The shares of files whose last link ended before `end`, which was noted before `noted`, and whose
    /// objects are still there.
    pub(crate) fn uncleaned(
        &self,
        profile: &str,
        bucket: &str,
        end: Timestamp,
        noted: Timestamp,
    ) -> Result<Vec<Share>> {
        self.select(
            "WHERE s.profile = ?1 AND s.bucket = ?2 AND s.origin = 'file' AND s.etag IS NOT NULL
               AND s.revoked_at IS NULL AND s.cleaned_at IS NULL
               AND (SELECT max(signed_at + seconds) FROM links WHERE share = s.id) <= ?3
               AND s.due_since <= ?4
             ORDER BY s.created_at",
            params![profile, bucket, end.as_second(), noted.as_second()],
        )
    }

    /// Whether any share of a profile has a link that ends after `now`.
    pub(crate) fn live_links(&self, profile: &str, now: Timestamp) -> Result<u64> {
        let sql = "SELECT count(*) FROM shares s JOIN links l ON l.share = s.id
                    WHERE s.profile = ?1 AND s.revoked_at IS NULL AND l.signed_at + l.seconds > ?2
                      -- One that was taken back and not seen to be refused may live.
                      AND (l.revoked_at IS NULL OR l.seen IS NULL
                           OR l.seen NOT IN ('refused', 'gone', 'key_off'))";
        let connection = self.connection();
        connection
            .query_row(sql, params![profile, now.as_second()], |row| row.get::<_, i64>(0))
            .map(i64::unsigned_abs)
            .map_err(|error| self.failed(error))
    }

    /// A number that changes when another connection than this one wrote.
    pub(crate) fn version(&self) -> Result<i64> {
        self.connection()
            .pragma_query_value(None, "data_version", |row| row.get(0))
            .map_err(|error| self.failed(error))
    }

    fn select(&self, tail: &str, values: impl rusqlite::Params) -> Result<Vec<Share>> {
        let connection = self.connection();
        let read = || -> rusqlite::Result<Vec<Share>> {
            let sql = format!("SELECT s.* FROM shares s {tail}");
            let mut shares = connection
                .prepare(&sql)?
                .query_map(values, share_of)?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            let mut links =
                connection.prepare_cached("SELECT * FROM links WHERE share = ?1 ORDER BY id")?;
            for share in &mut shares {
                share.links = links
                    .query_map([share.id.as_str()], link_of)?
                    .collect::<rusqlite::Result<_>>()?;
            }
            Ok(shares)
        };
        let mut shares = read().map_err(|error| self.failed(error))?;
        drop(connection);
        for share in &mut shares {
            if share.links.is_empty() && share.failed.is_none() {
                let upload = self.upload(&share.id)?;
                let is_paused = matches!(&upload, Some(UploadRow { said: Some(Said::Pause), .. }));
                let is_sent = upload.as_ref().is_some_and(|upload| self.is_sent(&share.id, upload));
                share.under_way = match (is_sent, &upload) {
                    (true, _) if is_paused => UnderWay::Paused,
                    (true, _) => UnderWay::Yes,
                    (false, Some(_)) if can_go_on(&share.origin) => UnderWay::Waits,
                    (false, _) => UnderWay::No,
                };
                if let Some(upload) = upload {
                    share.arrived = self.arrived_of(share, &upload)?;
                    share.trouble = upload.trouble;
                }
            }
        }
        Ok(shares)
    }

    /// How far a server's clock is ahead, as last seen.
    pub(crate) fn clock_offset(&self, host: &str) -> Result<i64> {
        let connection = self.connection();
        let found = connection
            .query_row("SELECT ahead FROM clocks WHERE host = ?1", [host], |row| row.get(0))
            .optional()
            .map_err(|error| self.failed(error))?;
        Ok(found.unwrap_or(0))
    }

    pub(crate) fn set_clock_offset(&self, host: &str, ahead: i64) -> Result<()> {
        self.change(
            "INSERT INTO clocks (host, ahead) VALUES (?1, ?2) ON CONFLICT (host) DO UPDATE SET ahead = ?2",
            params![host, ahead],
        )
    }

    /// What the last check of a profile found.
    pub(crate) fn findings(&self, profile: &str) -> Result<Option<(Timestamp, Vec<Finding>)>> {
        let connection = self.connection();
        let row: Option<(i64, String)> = connection
            .query_row("SELECT at, findings FROM probes WHERE profile = ?1", [profile], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()
            .map_err(|error| self.failed(error))?;
        Ok(row.and_then(|(at, findings)| Some((time(at), serde_json::from_str(&findings).ok()?))))
    }

    pub(crate) fn set_findings(
        &self,
        profile: &str,
        at: Timestamp,
        findings: &[Finding],
    ) -> Result<()> {
        let json = serde_json::to_string(findings).unwrap_or_default();
        self.change(
            "INSERT INTO probes (profile, at, findings) VALUES (?1, ?2, ?3)
             ON CONFLICT (profile) DO UPDATE SET at = ?2, findings = ?3",
            params![profile, at.as_second(), json],
        )
    }

    pub(crate) fn forget_findings(&self, profile: &str) -> Result<()> {
        self.change("DELETE FROM probes WHERE profile = ?1", [profile])
    }
}

fn insert_share(connection: &Connection, share: &Share) -> rusqlite::Result<()> {
    let (kind, path, fingerprint) = match &share.origin {
        Origin::File { path, fingerprint } | Origin::Folder { path, fingerprint } => {
            ("file", Some(path_bytes(path)), Some(*fingerprint))
        }
        Origin::Stdin => ("stdin", None, None),
        Origin::Object => ("object", None, None),
    };
    connection
        .prepare_cached(
            "INSERT INTO shares (id, profile, bucket, key, name, size, etag, created_at,
                                 origin, origin_path, origin_size, origin_modified, origin_inode, packed, label, folder)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        )?
        .execute(params![
            share.id.as_str(),
            share.profile,
            share.bucket,
            share.key,
            share.name,
            signed(share.size),
            share.etag,
            share.created_at.as_second(),
            kind,
            path,
            fingerprint.map(|f| signed(f.size)),
            fingerprint.map(|f| f.modified),
            fingerprint.map(|f| f.inode.cast_signed()),
            matches!(share.origin, Origin::Folder { .. }),
            share.label,
            share.folder,
        ])
        .map(drop)
}

fn insert_link(connection: &Connection, id: &ShareId, link: &Link) -> rusqlite::Result<()> {
    let facts = &link.facts;
    connection
        .prepare_cached(
            "INSERT INTO links (share, scheme, host, path, region, access_key, disposition, content_type,
                                signed_at, seconds, limited_by, temporary, role)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )?
        .execute(params![
                id.as_str(),
                facts.scheme,
                facts.host,
                facts.path,
                facts.region,
                facts.access_key,
                facts.disposition,
                facts.content_type,
                facts.signed_at.as_second(),
                facts.seconds,
                link.limited_by.map(Code::as_str),
                link.temporary,
                link.role,
        ])
        .map(drop)
}

fn share_of(row: &Row<'_>) -> rusqlite::Result<Share> {
    let kind: String = row.get("origin")?;
    let path: Option<Vec<u8>> = row.get("origin_path")?;
    let origin = match (kind.as_str(), path) {
        ("file", Some(path)) => {
            let path = path_of(path);
            let fingerprint = Fingerprint {
                size: unsigned(row.get("origin_size")?),
                modified: row.get("origin_modified")?,
                inode: row.get::<_, i64>("origin_inode")?.cast_unsigned(),
            };
            if row.get("packed")? {
                Origin::Folder { path, fingerprint }
            } else {
                Origin::File { path, fingerprint }
            }
        }
        ("object", _) => Origin::Object,
        _ => Origin::Stdin,
    };
    let id: String = row.get("id")?;
    Ok(Share {
        id: id.parse().map_err(|_| rusqlite::Error::InvalidQuery)?,
        profile: row.get("profile")?,
        bucket: row.get("bucket")?,
        key: row.get("key")?,
        name: row.get("name")?,
        size: unsigned(row.get("size")?),
        etag: row.get("etag")?,
        origin,
        label: row.get("label")?,
        folder: row.get("folder")?,
        created_at: time(row.get("created_at")?),
        failed: row.get("failed")?,
        revoked_at: row.get::<_, Option<i64>>("revoked_at")?.map(time),
        hidden: row.get::<_, Option<i64>>("hidden_at")?.is_some(),
        cleaned: row.get::<_, Option<i64>>("cleaned_at")?.is_some(),
        links: Vec::new(),
        under_way: UnderWay::No,
        arrived: 0,
        trouble: None,
    })
}

fn link_of(row: &Row<'_>) -> rusqlite::Result<Link> {
    let limited_by: Option<String> = row.get("limited_by")?;
    let checked_at: Option<i64> = row.get("checked_at")?;
    let seen: Option<String> = row.get("seen")?;
    Ok(Link {
        row: row.get("id")?,
        facts: LinkFacts {
            scheme: row.get("scheme")?,
            host: row.get("host")?,
            path: row.get("path")?,
            region: row.get("region")?,
            access_key: row.get("access_key")?,
            disposition: row.get("disposition")?,
            content_type: row.get("content_type")?,
            signed_at: time(row.get("signed_at")?),
            seconds: row.get("seconds")?,
        },
        limited_by: limited_by.as_deref().and_then(Code::of_limit),
        temporary: row.get("temporary")?,
        role: row.get("role")?,
        checked: checked_at
            .zip(seen.as_deref().and_then(Seen::of))
            .map(|(at, seen)| (time(at), seen)),
        revoked_at: row.get::<_, Option<i64>>("revoked_at")?.map(time),
    })
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or_default()
}

/// `SQLite` has signed numbers only; sizes are far below that.
fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn unsigned(size: i64) -> u64 {
    u64::try_from(size).unwrap_or(0)
}

#[cfg(unix)]
fn path_bytes(path: &Path) -> Vec<u8> {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()).to_vec()
}

#[cfg(unix)]
fn path_of(bytes: Vec<u8>) -> PathBuf {
    <std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes).into()
}

#[cfg(not(unix))]
fn path_bytes(path: &Path) -> Vec<u8> {
    path.to_string_lossy().into_owned().into_bytes()
}

#[cfg(not(unix))]
fn path_of(bytes: Vec<u8>) -> PathBuf {
    String::from_utf8_lossy(&bytes).into_owned().into()
}
