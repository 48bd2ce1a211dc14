//! The bytes of one request, read again each time it is tried.

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::StreamBody;

use super::Progress;
use crate::share::OpenFile;
use crate::storage::{Integrity, Sum, Summing};
use crate::{Error, Result};

/// One read of the file.
pub(super) const READ: usize = 256 * 1024;

/// Bytes that are sent by one request.
#[derive(Clone)]
pub(super) struct Piece {
    from: From,
    pub(super) length: u64,
}

#[derive(Clone)]
enum From {
    /// From this place of the file on.
    File(Arc<File>, u64),
    Memory(Bytes),
}

impl Piece {
    pub(super) fn of_file(source: &OpenFile, offset: u64, length: u64) -> Result<Self> {
        let file = source.file.try_clone();
        let file = file.map_err(|error| Error::disk("read", &source.path, error))?;
        Ok(Self { from: From::File(Arc::new(file), offset), length })
    }

    /// A file that one read takes: read here, so that it isn't read twice. It takes as long as to open it took.
    pub(super) fn of_small_file(source: &OpenFile) -> Result<Self> {
        let length = source.fingerprint.size;
        let bytes = match length {
            0 => Bytes::new(),
            length => read_at(&source.file, 0, wanted(length)).map_err(super::unreadable)?,
        };
        // One that became shorter meanwhile has changed.
        Ok(Self { length, from: From::Memory(bytes) })
    }

    pub(super) fn of_memory(bytes: Bytes) -> Self {
        Self { length: bytes.len() as u64, from: From::Memory(bytes) }
    }

    /// At most `want` bytes from `at` on.
    fn read(&self, at: u64, want: usize) -> io::Result<Bytes> {
        match &self.from {
            From::File(file, offset) => read_at(file, offset + at, want),
            From::Memory(bytes) => {
                let at = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                let part = bytes.slice(at..bytes.len().min(at + want));
                if part.is_empty() { Err(shorter()) } else { Ok(part) }
            }
        }
    }

    /// What it sums up to, each way that is asked for, by reading it once.
    pub(super) async fn sums<const N: usize>(&self, ways: [Integrity; N]) -> io::Result<[Sum; N]> {
        let piece = self.clone();
        self.work(move || {
            let mut sums = ways.map(Integrity::summing);
            let mut at = 0;
            while at < piece.length {
                let bytes = piece.read(at, wanted(piece.length - at))?;
                for sum in &mut sums {
                    sum.add(&bytes);
                }
                at += bytes.len() as u64;
            }
            Ok(sums.map(Summing::end))
        })
        .await
    }

    /// What waits for a disk, or takes long, is done elsewhere.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        match &self.from {
            From::Memory(bytes) if bytes.len() <= READ => work(),
            From::Memory(_) | From::File(..) => off_the_async_threads(work).await,
        }
    }

    /// A body that reads the piece each time it is sent.
    pub(super) fn body(&self, sent: &Arc<Counted>) -> ByteStream {
        let (piece, sent) = (self.clone(), Arc::clone(sent));
        ByteStream::new(SdkBody::retryable(move || {
            let attempt = sent.begin();
            let state = (piece.clone(), Arc::clone(&sent), 0, sent.way.summing());
            let frames = stream::try_unfold(state, move |(piece, sent, at, mut sum)| async move {
                if at == piece.length {
                    return Ok(None);
                }
                let pacer = &sent.progress.pacer;
                let want = pacer.bite(wanted(piece.length - at));
                pacer.pay(want).await;
                let from = piece.clone();
                let read = move || {
                    let bytes = from.read(at, want)?;
                    sum.add(&bytes);
                    Ok((bytes, sum))
                };
                let (bytes, sum) = piece.work(read).await?;
                let read = bytes.len() as u64;
                // Nobody asks for more once the length that was told is reached.
                let whole = (at + read == piece.length).then(|| sum.clone().end());
                sent.add(attempt, read, whole);
                crate::point::reach("mid_part");
                Ok::<_, io::Error>(Some((Frame::data(bytes), (piece, sent, at + read, sum))))
            });
            SdkBody::from_body_1_x(StreamBody::new(frames))
        }))
    }
}

fn wanted(left: u64) -> usize {
    usize::try_from(left).unwrap_or(READ).min(READ)
}

async fn off_the_async_threads<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn read_at(file: &File, offset: u64, want: usize) -> io::Result<Bytes> {
    let mut buffer = vec![0; want];
    #[cfg(unix)]
    let read = std::os::unix::fs::FileExt::read_at(file, &mut buffer, offset)?;
    #[cfg(windows)]
    let read = std::os::windows::fs::FileExt::seek_read(file, &mut buffer, offset)?;
    if read == 0 {
        return Err(shorter());
    }
    buffer.truncate(read);
    Ok(buffer.into())
}

fn shorter() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter")
}

/// What one request has sent so far. It counts only as long as the request may still end well.
pub(super) struct Counted {
    progress: Arc<Progress>,
    round: u64,
    /// What is summed up while it is sent.
    way: Integrity,
    attempt: Mutex<Attempt>,
}

/// One sending of the body: one before it may still be let go of.
#[derive(Debug, Default)]
struct Attempt {
    number: u32,
    bytes: u64,
    sum: Option<Sum>,
}

impl Counted {
    pub(super) fn new(progress: &Arc<Progress>, way: Integrity) -> Self {
        let round = progress.round();
        Self { progress: Arc::clone(progress), round, way, attempt: Mutex::default() }
    }

    fn attempt(&self) -> MutexGuard<'_, Attempt> {
        self.attempt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> u32 {
        self.take_back();
        let mut attempt = self.attempt();
        attempt.number += 1;
        attempt.sum = None;
        attempt.number
    }

    /// So much more was handed over; `sum` once that was all.
    fn add(&self, number: u32, bytes: u64, sum: Option<Sum>) {
        let mut attempt = self.attempt();
        if attempt.number == number {
            attempt.bytes += bytes;
            attempt.sum = sum;
            // Under the lock: nothing is taken back before it was counted.
            self.progress.add(bytes, self.round);
        }
    }

    /// What was sent sums up to this; `before` where that was summed up before.
    pub(super) fn summed(&self, before: Sum) -> Sum {
        match self.way {
            // Of no bytes none were read.
            Integrity::Md5 => self.attempt().sum.unwrap_or_else(|| self.way.summing().end()),
            Integrity::Crc64 | Integrity::Size => before,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.attempt().bytes
    }

    fn take_back(&self) {
        let bytes = std::mem::take(&mut self.attempt().bytes);
        self.progress.take_back(bytes, self.round);
    }

    pub(super) fn arrived(&self) {
        self.attempt().bytes = 0;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.take_back();
    }
}
