//! What fuzzing calls: each function takes any bytes as what a client sent, and panics when a
//! promise of the code that reads them is broken.
//!
//! Only the feature `fuzzing` and the tests build this. The inputs that are kept in `fuzz/corpus`
//! run in the ordinary tests too, so that what was once found stays mended.

#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a broken promise is told by a panic"
)]

mod chunks;
mod front;
mod range;

use std::pin::Pin;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use s3s::stream::{ByteStream, DynByteStream};
use s3s::{Body, StdError};

pub use self::chunks::chunks;
pub use self::front::{date, front};
pub use self::range::range;
pub use crate::form::fuzz::{form, policy};

/// The first line, and everything after it.
pub(crate) fn first_line(data: &[u8]) -> Option<(&str, &[u8])> {
    let end = data.iter().position(|byte| *byte == b'\n')?;
    Some((std::str::from_utf8(&data[..end]).ok()?, &data[end + 1..]))
}

/// A body that arrives in pieces of `cut` bytes.
pub(crate) fn body(bytes: &[u8], cut: usize) -> Body {
    let pieces: Vec<_> = bytes.chunks(cut.max(1)).map(Bytes::copy_from_slice).map(Ok).collect();
    let pieces: DynByteStream = Box::pin(Pieces(stream::iter(pieces)));
    Body::from(pieces)
}

struct Pieces<S>(S);

impl<S: Stream<Item = Result<Bytes, StdError>> + Unpin> Stream for Pieces<S> {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(context)
    }
}

impl<S: Stream<Item = Result<Bytes, StdError>> + Unpin> ByteStream for Pieces<S> {}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    static RUNTIME: LazyLock<Mutex<tokio::runtime::Runtime>> = LazyLock::new(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        Mutex::new(runtime.expect("a runtime without sockets needs nothing"))
    });
    RUNTIME.lock().unwrap_or_else(PoisonError::into_inner).block_on(future)
}

/// The whole of a stream.
pub(crate) async fn read_all<E>(
    mut stream: impl Stream<Item = Result<Bytes, E>> + Unpin,
) -> Result<Vec<u8>, E> {
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await {
        bytes.extend_from_slice(&piece?);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    type Target = fn(&[u8]);
    const TARGETS: [(&str, Target); 6] = [
        ("chunks", chunks),
        ("date", date),
        ("form", form),
        ("front", front),
        ("policy", policy),
        ("range", range),
    ];

    #[test]
    fn kept_inputs_break_no_promise() {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        let targets = fs::read_dir(fuzz.join("fuzz_targets")).expect("targets");
        assert_eq!(targets.count(), TARGETS.len(), "each target is run here too");
        for (name, target) in TARGETS {
            let inputs = fs::read_dir(fuzz.join("corpus").join(name)).expect("inputs");
            let paths: Vec<_> = inputs.map(|input| input.expect("readable").path()).collect();
            assert!(!paths.is_empty(), "{name} has no input");
            for path in paths {
                let data = fs::read(&path).expect("readable");
                let held = std::panic::catch_unwind(|| target(&data));
                assert!(held.is_ok(), "{}: {}", path.display(), data.escape_ascii());
            }
        }
    }
}
