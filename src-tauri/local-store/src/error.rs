use std::io;
use std::path::{Path, PathBuf};

use crate::HostInfo;

/// Why the store couldn't be opened, read or hosted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process (or another part of this one) hosts the store.
    #[error("the store is hosted by process {} at {}", .0.pid, .0.endpoint)]
    Hosted(HostInfo),
    /// Another process holds the store's lock but doesn't serve: it is starting or stopping.
    #[error("another process is starting or stopping the store in {0}")]
    Busy(PathBuf),
    /// The port that this store's links name is in use by another program.
    #[error("port {port}, which the links of this store name, is in use by another program")]
    PortTaken {
        /// The port.
        port: u16,
    },
    /// The folder holds no store yet.
    #[error("there is no store in {0} yet")]
    NoStore(PathBuf),
    /// The index was written by a newer Lapse. It is left as it is.
    #[error("the store's index has version {found}; this Lapse knows version {known}")]
    Newer {
        /// The version on the disk.
        found: i64,
        /// The newest version that this build understands.
        known: i64,
    },
    /// The index isn't a database or is damaged.
    #[error("the store's index {path} is damaged")]
    Corrupt {
        /// The index file.
        path: PathBuf,
        /// What the database said.
        source: rusqlite::Error,
    },
    /// There are blobs and no index that names them: a new one would have them swept away.
    #[error("the store's index {0} is gone, but its objects aren't")]
    IndexGone(PathBuf),
    /// The index couldn't be read or written.
    #[error("the store's index {path} can't be used")]
    Index {
        /// The index file.
        path: PathBuf,
        /// What the database said.
        source: rusqlite::Error,
    },
    /// The store has no access key of this id.
    #[error("the store has no such access key")]
    NoSuchKey,
    /// A role has two keys at most, active or not, as users have on AWS.
    #[error("there are two access keys of this role already; delete one first")]
    TooManyKeys,
    /// A file or folder of the store couldn't be used.
    #[error("can't {doing} {path}")]
    Io {
        /// What was tried, as a verb.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }

    pub(crate) fn index(path: &Path) -> impl Fn(rusqlite::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
                Self::Corrupt { path: path.clone(), source }
            }
            _ => Self::Index { path: path.clone(), source },
        }
    }
}
