//! The store's own access keys.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use data_encoding::BASE32_NOPAD;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Change;
use crate::fault::{Fault, KeyFault};
use crate::{BUCKET, Credentials, Key};

/// As many as AWS gives a user, active or not.
const MOST_OF_A_ROLE: i64 = 2;

/// A key as the server checks it.
pub(crate) struct AccessKey {
    pub(crate) credentials: Credentials,
    pub(crate) role: Option<Key>,
    /// The one bucket that it may touch; `None` for every bucket.
    pub(crate) bucket: Option<String>,
    /// Milliseconds since 1970.
    pub(crate) created_at: i64,
    active: AtomicBool,
    used: Mutex<Used>,
}

#[derive(Clone, Copy, Default)]
struct Used {
    last: Option<Use>,
    /// Whether the index knows `last`.
    saved: bool,
}

/// When a key signed, and what for.
#[derive(Clone, Copy)]
pub(crate) struct Use {
    /// Milliseconds since 1970.
    pub(crate) at: i64,
    pub(crate) service: Service,
}

/// What signatures are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    S3,
    Iam,
}

impl Service {
    /// As the scope of a credential has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Iam => "iam",
        }
    }
}

impl AccessKey {
    pub(crate) fn is_active(&self) -> bool {
        self.active.load(Ordering::Acquire)
    }

    /// What the index says already.
    pub(crate) fn set_active(&self, active: bool) {
        self.active.store(active, Ordering::Release);
    }

    /// It signed a request just now.
    pub(crate) fn note_use(&self, service: Service) {
        let last = Some(Use { at: super::now(), service });
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Used { last, saved: false };
    }

    pub(crate) fn last_use(&self) -> Option<Use> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).last
    }

    /// The last use, when the index may not know it yet; from now on it counts as known.
    pub(crate) fn take_unsaved_use(&self) -> Option<Use> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let unsaved = used.last.filter(|_| !used.saved);
        used.saved = true;
        unsaved
    }
}

impl Key {
    const ALL: [Self; 3] = [Self::Root, Self::Profile, Self::Env];

    /// Its name as a user of the keys' API.
    pub(crate) fn role(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Profile => "profile",
            Self::Env => "env",
        }
    }

    pub(crate) fn of_role(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.role() == name)
    }

    fn bucket(self) -> Option<&'static str> {
        match self {
            Self::Root => None,
            Self::Profile | Self::Env => Some(BUCKET),
        }
    }
}

/// Makes the keys of a new store.
pub(super) fn create_first(connection: &Connection) -> rusqlite::Result<()> {
    for key in Key::ALL {
        insert(connection, key)?;
    }
    Ok(())
}

/// Makes one more key of a role, unless it has as many as it may.
pub(crate) fn create_key(change: &Change<'_>, role: Key) -> Result<AccessKey, Fault> {
    let count: i64 = change.query_row(
        "SELECT count(*) FROM access_key WHERE role = ?1",
        [role.role()],
        |row| row.get(0),
    )?;
    if count >= MOST_OF_A_ROLE {
        return Err(KeyFault::TooMany.into());
    }
    let (credentials, created_at) = insert(change, role)?;
    Ok(AccessKey {
        credentials,
        role: Some(role),
        bucket: role.bucket().map(str::to_owned),
        created_at,
        active: AtomicBool::new(true),
        used: Mutex::default(),
    })
}

/// Switches a key off or on.
pub(crate) fn set_key_active(change: &Change<'_>, id: &str, active: bool) -> Result<(), Fault> {
    let changed =
        change.execute("UPDATE access_key SET active = ?2 WHERE id = ?1", params![id, active])?;
    if changed == 1 { Ok(()) } else { Err(KeyFault::Unknown.into()) }
}

/// Forgets a key with its secret.
pub(crate) fn delete_key(change: &Change<'_>, id: &str) -> Result<(), Fault> {
    let deleted = change.execute("DELETE FROM access_key WHERE id = ?1", [id])?;
    if deleted == 1 { Ok(()) } else { Err(KeyFault::Unknown.into()) }
}

/// Refuses when no root key but this one is active: without it nobody could make another.
pub(crate) fn check_other_root(change: &Change<'_>, id: &str) -> Result<(), Fault> {
    let is_last = change.query_row(
        "SELECT EXISTS (SELECT 1 FROM access_key WHERE role = 'root' AND active AND id = ?1)
         AND NOT EXISTS (SELECT 1 FROM access_key WHERE role = 'root' AND active AND id <> ?1)",
        [id],
        |row| row.get(0),
    )?;
    if is_last { Err(KeyFault::LastRoot.into()) } else { Ok(()) }
}

/// Notes when a key was used; nothing happens when it is gone.
pub(crate) fn save_use(change: &Change<'_>, id: &str, last: Use) -> rusqlite::Result<()> {
    change.execute(
        "UPDATE access_key SET last_used_at = ?2, last_used_for = ?3 WHERE id = ?1",
        params![id, last.at, last.service.name()],
    )?;
    Ok(())
}

pub(super) fn of_role(connection: &Connection, key: Key) -> rusqlite::Result<Option<Credentials>> {
    connection
        .query_row(
            "SELECT id, secret FROM access_key WHERE role = ?1 AND active ORDER BY created_at DESC LIMIT 1",
            [key.role()],
            credentials,
        )
        .optional()
}

pub(super) fn of_id(connection: &Connection, id: &str) -> rusqlite::Result<Option<Credentials>> {
    connection
        .query_row("SELECT id, secret FROM access_key WHERE id = ?1", [id], credentials)
        .optional()
}

pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<AccessKey>> {
    connection
        .prepare(
            "SELECT id, secret, role, bucket, active, created_at, last_used_at, last_used_for
             FROM access_key",
        )?
        .query_map([], |row| {
            let role: Option<String> = row.get(2)?;
            let at: Option<i64> = row.get(6)?;
            let service: Option<String> = row.get(7)?;
            let service =
                if service.as_deref() == Some("iam") { Service::Iam } else { Service::S3 };
            let last = at.map(|at| Use { at, service });
            Ok(AccessKey {
                credentials: credentials(row)?,
                role: role.as_deref().and_then(Key::of_role),
                bucket: row.get(3)?,
                active: AtomicBool::new(row.get(4)?),
                created_at: row.get(5)?,
                used: Mutex::new(Used { last, saved: true }),
            })
        })?
        .collect()
}

/// The newest key of a role is the one that counts, also when the clock was set back.
fn insert(connection: &Connection, role: Key) -> rusqlite::Result<(Credentials, i64)> {
    let credentials = random();
    let created_at = connection.query_row(
        "INSERT INTO access_key (id, secret, role, bucket, created_at)
         VALUES (?1, ?2, ?3, ?4, max(?5, coalesce((SELECT max(created_at) + 1 FROM access_key WHERE role = ?3), 0)))
         RETURNING created_at",
        params![
            credentials.access_key,
            credentials.secret_key,
            role.role(),
            role.bucket(),
            super::now()
        ],
        |row| row.get(0),
    )?;
    Ok((credentials, created_at))
}

fn credentials(row: &Row<'_>) -> rusqlite::Result<Credentials> {
    Ok(Credentials { access_key: row.get(0)?, secret_key: row.get(1)? })
}

/// 80 random bits in an id that looks like any access key, 200 in the secret. Base32 needs no
/// quoting in a shell, an ini file or a URL.
fn random() -> Credentials {
    Credentials {
        access_key: format!("LAPS{}", BASE32_NOPAD.encode(&rand::random::<[u8; 10]>())),
        secret_key: BASE32_NOPAD.encode(&rand::random::<[u8; 25]>()),
    }
}
