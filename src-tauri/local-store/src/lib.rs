//! The embedded S3 store: a small server on loopback that keeps objects in one folder.
//!
//! [`start`] hosts the store of a folder; every other process reaches it by HTTP and learns where
//! from [`endpoint`], [`host_of`] and [`credentials`], which read the folder without hosting it.
//! How it works inside, and what it doesn't do, is in the README beside this crate.

mod access;
mod blobs;
mod blocks;
mod check;
mod chunks;
mod descriptors;
mod digest;
mod error;
mod event;
mod fault;
mod form;
mod front;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod host;
mod iam;
mod index;
mod keys;
mod lifecycle;
mod lines;
mod pace;
mod private;
mod room;
mod s3;
mod server;
mod signature;
mod store;
mod unsupported;

use std::fmt;
use std::path::Path;

use jiff::Timestamp;

pub use check::{Checked, Damage, Damaged, check};
pub use descriptors::descriptors;
pub use error::Error;
pub use event::{Event, EventKind};
pub use host::{Activity, HostInfo, Limits, Options, Running, host_of, start};
pub use lifecycle::Swept;

/// The bucket that a new store is born with, and the only one that [`Key::Profile`] and
/// [`Key::Env`] may touch.
pub const BUCKET: &str = "lapse";

/// The region that requests to the store are signed for.
pub const REGION: &str = "us-east-1";

/// The crate whose log lines mustn't be written.
///
/// At `debug` it logs whole request lines and the signature that it expected, which is as good as
/// the secret for that one request.
pub const LOG_SILENT: &str = "s3s";

/// An access key of the store with its secret. `Debug` doesn't show the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The access key id, 20 upper-case letters and digits.
    pub access_key: String,
    /// The secret that signs, 40 letters and digits.
    pub secret_key: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key", &self.access_key)
            .field("secret_key", &"[redacted]")
            .finish()
    }
}

/// The keys that every store has from its first start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// May do everything, also make buckets.
    Root,
    /// Signs the links of Lapse's own profile; bucket [`BUCKET`] only.
    Profile,
    /// For other S3 clients; bucket [`BUCKET`] only.
    Env,
}

/// An access key of a running store, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// The access key id.
    pub access_key: String,
    /// What it may do; `None` for one that a newer Lapse made for a purpose unknown here.
    pub role: Option<Key>,
    /// Whether requests and links that it signed are taken.
    pub active: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last signed a request that was taken. After a crash it may be a minute behind.
    pub last_used: Option<Timestamp>,
}

/// What a store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Objects in all buckets; unfinished uploads aren't counted.
    pub objects: u64,
    /// The sum of their sizes in bytes.
    pub bytes: u64,
}

/// Reads a key of the store in `dir`, hosted or not.
///
/// Errors: [`Error::NoStore`] before the first start, [`Error::Newer`], [`Error::Corrupt`],
/// [`Error::Index`].
pub fn credentials(dir: &Path, key: Key) -> Result<Credentials, Error> {
    let index = index::Reader::open(dir)?.ok_or_else(|| Error::NoStore(dir.to_owned()))?;
    index.credentials_of_role(key)?.ok_or_else(|| Error::NoStore(dir.to_owned()))
}

/// The secret of any access key that this store ever made, while it is kept, also when the key is
/// switched off: a link is a function of its row and this secret. `None` for an unknown key.
pub fn secret_of(dir: &Path, access_key: &str) -> Result<Option<Credentials>, Error> {
    match index::Reader::open(dir)? {
        Some(index) => index.credentials_of(access_key),
        None => Ok(None),
    }
}

/// The endpoint that links of this store carry (`http://127.0.0.1:PORT`), known once a port was
/// chosen, even with no host running.
pub fn endpoint(dir: &Path) -> Result<Option<String>, Error> {
    match index::Reader::open(dir)? {
        Some(index) => {
            Ok(index.port()?.map(|port| host::endpoint_of(std::net::Ipv4Addr::LOCALHOST, port)))
        }
        None => Ok(None),
    }
}

/// Counts what the store in `dir` holds; zero before its first start.
pub fn usage(dir: &Path) -> Result<Usage, Error> {
    match index::Reader::open(dir)? {
        Some(index) => index.usage(),
        None => Ok(Usage { objects: 0, bytes: 0 }),
    }
}
