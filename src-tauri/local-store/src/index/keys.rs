//! The store's own access keys.

use data_encoding::BASE32_NOPAD;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::{BUCKET, Credentials, Key};

/// A key as the server checks it.
pub(crate) struct AccessKey {
    pub(crate) credentials: Credentials,
    /// The one bucket that it may touch; `None` for every bucket.
    pub(crate) bucket: Option<String>,
    pub(crate) active: bool,
}

impl Key {
    fn role(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Profile => "profile",
            Self::Env => "env",
        }
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
    for key in [Key::Root, Key::Profile, Key::Env] {
        let Credentials { access_key, secret_key } = random();
        connection.execute(
            "INSERT INTO access_key (id, secret, role, bucket, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![access_key, secret_key, key.role(), key.bucket(), super::now()],
        )?;
    }
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
        .prepare("SELECT id, secret, bucket, active FROM access_key")?
        .query_map([], |row| {
            Ok(AccessKey {
                credentials: credentials(row)?,
                bucket: row.get(2)?,
                active: row.get(3)?,
            })
        })?
        .collect()
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
