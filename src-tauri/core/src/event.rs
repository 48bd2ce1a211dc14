//! What happened, told to whoever draws it.

use crate::error::Code;
use crate::storage::probe::Finding;

/// Something that a front end may show. Core draws nothing itself.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// An upload began.
    UploadStarted {
        /// The file's own name.
        name: &'a str,
        /// Bytes to send, where that is known (not for a pipe).
        size: Option<u64>,
    },
    /// Bytes of the current upload that the storage has taken so far.
    UploadProgress {
        /// Bytes sent.
        sent: u64,
    },
    /// The current upload ended, well or not.
    UploadEnded,
    /// A person must know this before they use a link.
    Notice {
        /// Why, when a link's end or reach is meant.
        code: Option<Code>,
        /// One or two sentences.
        text: String,
    },
    /// One line of a storage check is known.
    Probed(&'a Finding),
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
