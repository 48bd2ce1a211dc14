//! What stops a request inside the backend, and how a client is told.

use std::borrow::Cow;
use std::io;

use bytes::Bytes;
use hyper::header::CONTENT_LENGTH;
use hyper::{Response, StatusCode};
use s3s::{Body, S3Error, S3ErrorCode, s3_error};

/// Why a request can't be done.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The client is told exactly this.
    Refused(S3Error),
    /// The index failed.
    Index(rusqlite::Error),
    /// A file failed.
    Io(io::Error),
    /// An access key stays as it is.
    Key(KeyFault),
}

/// Why an access key can't be made or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyFault {
    Unknown,
    TooMany,
    LastRoot,
}

impl Fault {
    /// The same once more, for another request that it stops.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Index(rusqlite::Error::SqliteFailure(code, message)) => {
                Self::Index(rusqlite::Error::SqliteFailure(*code, message.clone()))
            }
            Self::Io(error) => Self::Io(error.raw_os_error().map_or_else(
                || io::Error::new(error.kind(), error.to_string()),
                io::Error::from_raw_os_error,
            )),
            other => Self::Io(io::Error::other(format!("{other:?}"))),
        }
    }
}

impl From<KeyFault> for Fault {
    fn from(fault: KeyFault) -> Self {
        Self::Key(fault)
    }
}

impl From<KeyFault> for S3Error {
    fn from(fault: KeyFault) -> Self {
        match fault {
            KeyFault::Unknown => {
                other(StatusCode::NOT_FOUND, "NoSuchEntity", "The Access Key cannot be found.")
            }
            KeyFault::TooMany => other(
                StatusCode::CONFLICT,
                "LimitExceeded",
                "Cannot exceed quota for AccessKeysPerUser: 2",
            ),
            KeyFault::LastRoot => other(
                StatusCode::CONFLICT,
                "DeleteConflict",
                "Without this key no root key would be active.",
            ),
        }
    }
}

impl From<S3Error> for Fault {
    fn from(error: S3Error) -> Self {
        Self::Refused(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Index(error)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<tokio::task::JoinError> for Fault {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Io(io::Error::other(error))
    }
}

impl From<Fault> for S3Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(error) => error,
            Fault::Key(fault) => fault.into(),
            Fault::Index(error) => {
                tracing::warn!(%error, "the index of the local store failed");
                match error.sqlite_error_code() {
                    Some(rusqlite::ErrorCode::DiskFull) => full(),
                    Some(rusqlite::ErrorCode::ReadOnly) => read_only(),
                    _ => s3_error!(InternalError, "The store's index failed."),
                }
            }
            Fault::Io(error) => {
                tracing::warn!(%error, "a file of the local store failed");
                match error.kind() {
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => full(),
                    io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                        read_only()
                    }
                    _ => s3_error!(InternalError, "A file of the store failed."),
                }
            }
        }
    }
}

/// An error whose code s3s doesn't know.
pub(crate) fn other(
    status: StatusCode,
    code: &'static str,
    message: impl Into<Cow<'static, str>>,
) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), message);
    error.set_status_code(status);
    error
}

/// Says in the XML of an S3 error what was asked for and in which request: s3s leaves both out.
pub(crate) fn signed(mut answer: Response<Body>, path: &str, request_id: &str) -> Response<Body> {
    const END: &[u8] = b"</Error>";
    let is_error = answer.status().is_client_error() || answer.status().is_server_error();
    let Some(bytes) = answer.body().bytes().filter(|_| is_error) else { return answer };
    if let Some(start) = bytes.strip_suffix(END) {
        // A path in a request line has no quotes, yet it may have a `<` or an `&`.
        let path = path.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let tail =
            format!("<Resource>{path}</Resource><RequestId>{request_id}</RequestId></Error>");
        *answer.body_mut() = Body::from(Bytes::from([start, tail.as_bytes()].concat()));
        answer.headers_mut().remove(CONTENT_LENGTH);
    }
    answer
}

/// 507, since clients retry a 500 or 503, which wouldn't help.
fn full() -> S3Error {
    other(StatusCode::INSUFFICIENT_STORAGE, "InsufficientStorage", "The disk of the store is full.")
}

fn read_only() -> S3Error {
    s3_error!(InternalError, "The store's folder can't be written to.")
}

/// A fault outside any request.
pub(crate) fn to_error(fault: Fault, index: &std::path::Path) -> crate::Error {
    match fault {
        Fault::Index(source) => crate::Error::index(index)(source),
        Fault::Io(source) => crate::Error::io("use", index)(source),
        Fault::Key(KeyFault::Unknown) => crate::Error::NoSuchKey,
        Fault::Key(KeyFault::TooMany) => crate::Error::TooManyKeys,
        Fault::Key(fault @ KeyFault::LastRoot) => to_error(S3Error::from(fault).into(), index),
        Fault::Refused(error) => crate::Error::io("use", index)(io::Error::other(error)),
    }
}
