//! Bytes on their way in.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::StreamExt;
use hyper::StatusCode;
use s3s::dto::StreamingBlob;
use s3s::{S3Error, StdError, s3_error};
use tokio::task::{JoinHandle, spawn_blocking};

use super::{Unlink, random_name};
use crate::chunks::BadChunk;
use crate::digest::{Algorithm, Hasher};
use crate::fault::{self, Fault};
use crate::pace::TooSlow;
use crate::{private, room};

/// What is gathered of an upload before it is written; at most two of these are held an upload.
const WRITE: usize = 1024 * 1024;
/// Chunks below this are copied.
const SMALL: usize = 4 * 1024;

/// How many bytes a body may have.
pub(crate) enum Size {
    /// As many as the client announced.
    Exactly(u64),
    /// As many as its signer allows.
    Within(RangeInclusive<u64>),
}

impl Size {
    fn check_so_far(&self, received: u64) -> Result<(), S3Error> {
        match self {
            Self::Exactly(length) if received > *length => {
                Err(s3_error!(IncompleteBody, "More was sent than announced."))
            }
            Self::Within(sizes) if received > *sizes.end() => Err(s3_error!(
                EntityTooLarge,
                "Your proposed upload exceeds the maximum allowed size"
            )),
            _ => Ok(()),
        }
    }

    fn check_end(&self, received: u64) -> Result<(), S3Error> {
        match self {
            Self::Exactly(length) if received < *length => {
                Err(s3_error!(IncompleteBody, "Less was sent than announced."))
            }
            Self::Within(sizes) if received < *sizes.start() => Err(s3_error!(
                EntityTooSmall,
                "Your proposed upload is smaller than the minimum allowed size"
            )),
            _ => Ok(()),
        }
    }
}

/// A received file, not yet part of the store.
pub(crate) struct Received {
    /// Of the blob to be, and of the temporary file.
    pub(super) name: String,
    path: PathBuf,
    /// Made with the first write.
    file: Option<(File, Unlink)>,
    size: u64,
    hasher: Hasher,
    /// What is still to be written; for most objects all.
    rest: Vec<Bytes>,
}

impl Received {
    /// Streams `body` to a file in `folder`.
    pub(super) async fn of(
        mut body: StreamingBlob,
        size: Size,
        asked: Option<Algorithm>,
        folder: &Path,
    ) -> Result<Self, Fault> {
        // The file is written while the next batch arrives.
        let mut writing = Writing::Here(Box::new(Self::new(folder, asked)));
        let mut batch = Batch::default();
        let mut received = 0_u64;
        loop {
            let Some(chunk) = body.next().await else { break };
            received += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
            let chunk = chunk.map_err(|error| broken_body(&error));
            match chunk.and_then(|chunk| size.check_so_far(received).map(|()| chunk)) {
                Ok(chunk) => batch.push(chunk),
                Err(refused) => return Err(writing.end(refused).await),
            }
            if batch.gathered >= WRITE {
                let file = writing.done().await?;
                let full = std::mem::take(&mut batch).finish();
                writing = Writing::There(spawn_blocking(move || file.write(&full)));
            }
        }
        if let Err(refused) = size.check_end(received) {
            return Err(writing.end(refused).await);
        }
        let mut file = writing.done().await?;
        file.rest = batch.finish();
        Ok(file)
    }

    fn new(folder: &Path, asked: Option<Algorithm>) -> Self {
        let name = random_name();
        let (path, hasher) = (folder.join(&name), Hasher::new(&name, asked));
        Self { name, path, file: None, size: 0, hasher, rest: Vec::new() }
    }

    fn write(mut self, batch: &[Bytes]) -> io::Result<Self> {
        let (mut file, temporary) = match self.file.take() {
            Some(open) => open,
            None => (private::create_new(&self.path)?, Unlink(self.path.clone())),
        };
        let length = batch.iter().map(|chunk| chunk.len() as u64).sum();
        room::check(&file, length)?;
        self.hasher.update(batch, || write_all(&mut file, batch))?;
        self.size += length;
        self.file = Some((file, temporary));
        Ok(self)
    }

    /// The whole file.
    pub(super) fn finish(mut self) -> io::Result<(File, Unlink, u64, Hasher)> {
        let rest = std::mem::take(&mut self.rest);
        let Self { file, size, hasher, .. } = self.write(&rest)?;
        let (file, temporary) = file.ok_or(io::ErrorKind::NotFound)?;
        Ok((file, temporary, size, hasher))
    }
}

/// What was received and isn't written yet. Small chunks are copied together: each one by itself takes more memory
/// than it has bytes.
#[derive(Default)]
struct Batch {
    chunks: Vec<Bytes>,
    small: Vec<u8>,
    gathered: usize,
}

impl Batch {
    fn push(&mut self, chunk: Bytes) {
        self.gathered += chunk.len();
        if chunk.len() < SMALL {
            self.small.extend_from_slice(&chunk);
        } else {
            self.end_small();
            self.chunks.push(chunk);
        }
    }

    fn end_small(&mut self) {
        if !self.small.is_empty() {
            self.chunks.push(std::mem::take(&mut self.small).into());
        }
    }

    fn finish(mut self) -> Vec<Bytes> {
        self.end_small();
        self.chunks
    }
}

/// A file on its way in, and where it is written.
enum Writing {
    Here(Box<Received>),
    There(JoinHandle<io::Result<Received>>),
}

impl Writing {
    /// What is half written is removed before anybody is told.
    async fn end(self, refused: S3Error) -> Fault {
        drop(self.done().await);
        refused.into()
    }

    async fn done(self) -> Result<Received, Fault> {
        match self {
            Self::Here(received) => Ok(*received),
            Self::There(writing) => Ok(writing.await??),
        }
    }
}

fn write_all(file: &mut File, batch: &[Bytes]) -> io::Result<()> {
    let mut slices: Vec<_> = batch.iter().map(|chunk| IoSlice::new(chunk)).collect();
    let mut left = slices.as_mut_slice();
    while !left.is_empty() {
        match file.write_vectored(left)? {
            0 if left.iter().any(|slice| !slice.is_empty()) => {
                return Err(io::ErrorKind::WriteZero.into());
            }
            written => IoSlice::advance_slices(&mut left, written),
        }
    }
    Ok(())
}
/// The error types of s3s's body readers are private; their texts are all there is to tell them apart.
fn broken_body(error: &StdError) -> S3Error {
    let text = error.to_string();
    if text.contains(&TooSlow.to_string()) {
        return s3_error!(RequestTimeout, "The body was sent too slowly.");
    }
    if text.contains("Sha256Mismatch") {
        let message = "The body isn't what x-amz-content-sha256 says.";
        fault::other(StatusCode::BAD_REQUEST, "XAmzContentSHA256Mismatch", message)
    } else if text.contains("SignatureMismatch") {
        s3_error!(SignatureDoesNotMatch, "The signature of a chunk is wrong.")
    } else if text.contains(&BadChunk.to_string())
        || text.contains("FormatError")
        || text.contains("TooLarge")
        || text.contains("TooMany")
    {
        s3_error!(InvalidRequest, "The chunks of the body are malformed.")
    } else {
        s3_error!(IncompleteBody, "The body ended before its announced length.")
    }
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_chunks_are_copied_together_and_stay_in_order() {
        let mut batch = Batch::default();
        let mut expected = Vec::new();
        for number in 0..100_000_usize {
            let length = if number % 40_000 == 39_999 { SMALL } else { 1 };
            let chunk = vec![u8::try_from(number % 251).expect("small"); length];
            expected.extend_from_slice(&chunk);
            batch.push(chunk.into());
        }
        assert_eq!(batch.gathered, expected.len());
        let chunks = batch.finish();
        assert_eq!(chunks.len(), 5);
        assert!(chunks.concat() == expected);
    }
}
