//! Bytes on their way out.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use s3s::dto::StreamingBlob;
use s3s::stream::{ByteStream, RemainingLength};
use s3s::{S3Error, StdError, s3_error};
use tokio::task::spawn_blocking;

use super::{Blobs, unlink};
use crate::blocks::{self, Wait};
use crate::digest::{Algorithm, Extra};
use crate::fault::Fault;
use crate::index::Piece;

/// Measured: 64 KiB reads halve the speed of a download, larger ones gain nothing.
const READ: u64 = blocks::LARGE as u64;
/// What all downloads together read at once, as long as each has a block. Slow readers hold what they were given when
/// they were fewer, so all of them may hold three times as much.
const READ_BY_ALL: u64 = 8 * 1024 * 1024;

/// The files of an object, kept while this lives.
pub(crate) struct Pinned {
    pub(super) blobs: Arc<Blobs>,
    pub(super) pieces: Vec<Piece>,
    /// The only piece's file, open; then it isn't counted among the readers.
    pub(super) only: Option<File>,
}

impl Pinned {
    /// Refuses when a file is gone or has another size than its row says.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        for piece in &self.pieces {
            let path = self.blobs.kept.join(&piece.file);
            let found = match self.only.as_ref().map_or_else(|| fs::metadata(&path), File::metadata)
            {
                Ok(metadata) => Some(metadata.len()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error.into()),
            };
            let expected = blocks::file_length(piece.size);
            if found != Some(expected) {
                tracing::error!(file = %path.display(), expected, ?found, "a blob is damaged");
                return Err(damaged().into());
            }
        }
        Ok(())
    }

    /// Whether nothing can happen to its files any more.
    pub(crate) fn is_open(&self) -> bool {
        self.only.is_some()
    }

    /// The sizes of the pieces, in order.
    pub(crate) fn sizes(&self) -> impl ExactSizeIterator<Item = u64> {
        self.pieces.iter().map(|piece| piece.size)
    }

    /// Reads all of the object and hashes it; blocks.
    pub(crate) fn hash(self, algorithm: Algorithm) -> Result<Vec<u8>, Fault> {
        let left = self.pieces.iter().map(|piece| piece.size).sum();
        let mut reading = Reading::begin(self, 0, left);
        let mut hash = Extra::new(algorithm);
        while reading.left > 0 {
            match reading.read(Wait::Yes).map_err(broken_blob)? {
                Some(chunk) => hash.update(&chunk),
                None => return Err(damaged().into()),
            }
        }
        Ok(hash.finish())
    }

    /// Streams these bytes of the object. Nothing passes that isn't what was stored: damage at the beginning
    /// is refused, later on the stream breaks off.
    pub(crate) async fn stream(self, range: Range<u64>) -> Result<StreamingBlob, Fault> {
        let left = range.end - range.start;
        let reading = Reading::begin(self, range.start, left);
        let first = reading.next().await.map_err(broken_blob)?;
        let Some((first, reading)) = first else { return Ok(s3s::Body::empty().into()) };
        let rest = stream::unfold(Some(reading), |reading| async {
            match reading?.next().await {
                Ok(Some((chunk, reading))) => Some((Ok(chunk), Some(reading))),
                Ok(None) => None,
                Err(error) => Some((Err(error.into()), None)),
            }
        });
        let chunks = stream::iter([Ok(first)]).chain(rest);
        Ok(StreamingBlob::new(Sized { chunks: Box::pin(chunks), left }))
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if self.only.is_some() {
            return;
        }
        let mut all = self.blobs.readers();
        for piece in &self.pieces {
            let Some(readers) = all.get_mut(&piece.file) else { continue };
            readers.count -= 1;
            if readers.count == 0 {
                if readers.doomed {
                    unlink(&self.blobs.kept.join(&piece.file));
                }
                all.remove(&piece.file);
            }
        }
    }
}

/// A download under way.
struct Reading {
    pinned: Pinned,
    /// The piece to open next.
    next: usize,
    open: Option<OpenPiece>,
    /// Bytes of the object still to be skipped.
    skip: u64,
    left: u64,
}

struct OpenPiece {
    file: File,
    name: String,
    size: u64,
    at: u64,
}

impl Reading {
    fn begin(pinned: Pinned, skip: u64, left: u64) -> Self {
        pinned.blobs.downloads.fetch_add(1, Ordering::Relaxed);
        Self { next: 0, open: None, skip, left, pinned }
    }

    /// The next bytes, read by another thread when the disk must be waited for.
    async fn next(mut self) -> io::Result<Option<(Bytes, Self)>> {
        if self.left == 0 {
            return Ok(None);
        }
        if let Some(chunk) = self.read(Wait::No)? {
            return Ok(Some((chunk, self)));
        }
        spawn_blocking(move || {
            let chunk = self.read(Wait::Yes)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            Ok(Some((chunk, self)))
        })
        .await
        .map_err(io::Error::other)?
    }

    fn read(&mut self, wait: Wait) -> io::Result<Option<Bytes>> {
        if self.open.is_none() {
            if wait == Wait::No && self.pinned.only.is_none() {
                return Ok(None);
            }
            self.open = Some(self.open_next()?);
        }
        let Some(piece) = &mut self.open else { return Ok(None) };
        let downloads = self.pinned.blobs.downloads.load(Ordering::Relaxed).max(1);
        let much =
            (READ_BY_ALL / downloads / blocks::BLOCK * blocks::BLOCK).clamp(blocks::BLOCK, READ);
        // Up to the end of a block, so that none is read twice.
        let end = (piece.at + 1).next_multiple_of(blocks::BLOCK) - blocks::BLOCK + much;
        let length = (end - piece.at).min(piece.size - piece.at).min(self.left);
        let buffers = &self.pinned.blobs.buffers;
        let read =
            blocks::read(&piece.file, (&piece.name, piece.size), (piece.at, length), buffers, wait);
        let chunk = read.inspect_err(|error| {
            tracing::error!(%error, file = piece.name, at = piece.at, "a blob couldn't be read as it was stored");
        })?;
        if chunk.is_some() {
            piece.at += length;
            self.left -= length;
            if piece.at == piece.size {
                self.open = None;
            }
        }
        Ok(chunk)
    }

    fn open_next(&mut self) -> io::Result<OpenPiece> {
        loop {
            let piece = self.pinned.pieces.get(self.next).ok_or(io::ErrorKind::UnexpectedEof)?;
            self.next += 1;
            if piece.size <= self.skip {
                self.skip -= piece.size;
                continue;
            }
            let file = match &self.pinned.only {
                Some(file) => file.try_clone()?,
                None => File::open(self.pinned.blobs.kept.join(&piece.file))?,
            };
            let (name, size) = (piece.file.clone(), piece.size);
            return Ok(OpenPiece { file, name, size, at: std::mem::take(&mut self.skip) });
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.pinned.blobs.downloads.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream that knows how much is left, so that the answer isn't sent in chunks.
struct Sized {
    chunks: Pin<Box<dyn Stream<Item = Result<Bytes, StdError>> + Send + Sync>>,
    left: u64,
}

impl Stream for Sized {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.chunks.poll_next_unpin(context);
        if let Poll::Ready(Some(Ok(chunk))) = &polled {
            self.left -= chunk.len() as u64;
        }
        polled
    }
}

impl ByteStream for Sized {
    fn remaining_length(&self) -> RemainingLength {
        usize::try_from(self.left)
            .map_or_else(|_| RemainingLength::unknown(), RemainingLength::new_exact)
    }
}
pub(crate) fn damaged() -> S3Error {
    s3_error!(InternalError, "The stored bytes of this object are missing or damaged.")
}

fn broken_blob(error: io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => damaged().into(),
        _ => Fault::Io(error),
    }
}
