//! What happens to objects, told in process: S3's notifications without a network.

use jiff::Timestamp;

/// Something that happened to an object, told once it is on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The object's bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// Its size in bytes; of a removed one, what it was.
    pub size: u64,
    /// Its `ETag` without quotes; of a removed one, what it was.
    pub etag: String,
    /// When.
    pub at: Timestamp,
}

/// What happened to an object. An overwritten one is only told as created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It was put in one request.
    Put,
    /// It came by POST form.
    Post,
    /// It was copied from another.
    Copy,
    /// Its parts were joined.
    CompleteMultipartUpload,
    /// It was deleted.
    Delete,
    /// A lifecycle rule removed it.
    LifecycleExpiration,
}

impl EventKind {
    /// The name that S3's notifications have for it, like `s3:ObjectCreated:Put`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Put => "s3:ObjectCreated:Put",
            Self::Post => "s3:ObjectCreated:Post",
            Self::Copy => "s3:ObjectCreated:Copy",
            Self::CompleteMultipartUpload => "s3:ObjectCreated:CompleteMultipartUpload",
            Self::Delete => "s3:ObjectRemoved:Delete",
            Self::LifecycleExpiration => "s3:LifecycleExpiration:Delete",
        }
    }
}
