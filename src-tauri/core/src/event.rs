//! What happened, told to whoever draws it.

use crate::error::Code;
use crate::rotation::RotationStep;
use crate::share::ShareId;
use crate::storage::probe::Finding;
use crate::watch::Batch;

/// Something that a front end may show. Core draws nothing itself.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// An upload began. Several may run at once.
    UploadStarted {
        /// The share that it is for.
        id: &'a ShareId,
        /// The file's own name.
        name: &'a str,
        /// Bytes to send, where that is known (not for a pipe).
        size: Option<u64>,
    },
    /// Bytes of an upload that the storage has taken so far. After a pause these may be fewer than before.
    UploadProgress {
        /// The share.
        id: &'a ShareId,
        /// Bytes sent.
        sent: u64,
    },
    /// An upload waits for a storage that isn't there now, and goes on by itself.
    UploadWaits {
        /// The share.
        id: &'a ShareId,
        /// What is the matter.
        why: &'a str,
    },
    /// An upload ended, well or not.
    UploadEnded {
        /// The share.
        id: &'a ShareId,
    },
    /// What is known of a share changed, or it is new: ask for it again.
    Changed(&'a ShareId),
    /// A person must know this before they use a link.
    Notice {
        /// The share of that link.
        id: &'a ShareId,
        /// Why, when a link's end or reach is meant.
        code: Option<Code>,
        /// One or two sentences.
        text: String,
        /// Whether the share itself tells the same by its end or its reach: who shows those needn't say it again.
        by_share: bool,
    },
    /// One line of a storage check is known.
    Probed(&'a Finding),
    /// A step of a key's rotation is done.
    Rotation(&'a RotationStep),
    /// What is known of a watched folder changed.
    Folder(&'a str),
    /// Why a watched folder isn't watched just now, or only looked through; nothing where all is well again.
    Trouble {
        /// Its path.
        folder: &'a str,
        /// What is the matter.
        trouble: Option<&'a str>,
    },
    /// All that waited in a watched folder is shared.
    Batch(&'a Batch),
}

/// Takes events. Called from any task, so it must not block for long.
pub trait Sink: Send + Sync {
    /// Something happened.
    fn emit(&self, event: Event<'_>);
}

/// Drops every event: for callers that show nothing.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Sink for Silent {
    fn emit(&self, _: Event<'_>) {}
}
