//! Sends the bytes of a source to its object: one PUT where it is small, multipart where it isn't.
//!
//! Memory doesn't grow with the file: a part is read from its range of the file while it is sent.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::event::{Event, Sink};
use crate::pace::Pacer;
use crate::share::{OpenFile, Reins, ShareId};
use crate::storage::{Bucket, Headers};
use crate::{Code, Error, Result};

const MIB: u64 = 1024 * 1024;
/// Up to here one request is quicker than three.
const ONE_PUT: u64 = 16 * MIB;
/// S3 wants at least 5 MiB for all parts but the last.
const PART: u64 = 16 * MIB;
/// S3 takes no more parts than this.
const MOST_PARTS: u64 = 10_000;
/// The largest part that is held in memory.
const LARGEST_PART: u64 = 64 * MIB;
/// The largest object of S3.
const LARGEST: u64 = 5 * 1024 * 1024 * MIB;
/// Parts on their way at once.
const PARALLEL: usize = 4;
/// How long an object may take to arrive once all of it was handed to the network.
const LAST_BYTES: Duration = Duration::from_secs(3);
/// One read of the file.
const READ: usize = 256 * 1024;
/// Ten times a second is enough for any eye.
const PULSE: Duration = Duration::from_millis(100);

/// What arrived.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) size: u64,
    pub(crate) etag: String,
}

/// One upload: where it goes, who hears of it, and who may hold it.
pub(crate) struct Sending<'a, 'u> {
    pub(crate) bucket: &'a Bucket,
    pub(crate) key: &'a str,
    pub(crate) headers: &'a Headers,
    pub(crate) progress: &'a Arc<Progress>,
    pub(crate) reins: &'a mut Reins<'u>,
}

impl Sending<'_, '_> {
    /// Sends a file that is open. If the file is seen to change, nothing of it stays in the bucket.
    pub(crate) async fn file(&mut self, source: &OpenFile) -> Result<Sent> {
        let size = source.fingerprint.size;
        if size > LARGEST {
            return Err(Error::new(
                Code::Storage,
                "the file is larger than 5 TiB, the most that S3 takes",
                "Split it and share the parts.",
            ));
        }
        let sent = if size <= ONE_PUT {
            self.put(&Piece::of(source, 0)?, size).await
        } else {
            self.parts(source).await
        };
        // A failed read looks like a broken connection: the file itself tells which it was.
        source.check_unchanged()?;
        Ok(Sent { size, etag: sent? })
    }

    /// Sends what a pipe gives, whose length nobody knows; `most` is what it surely won't exceed, if that is known.
    pub(crate) async fn stream(
        &mut self,
        source: &mut (impl AsyncRead + Unpin),
        most: Option<u64>,
    ) -> Result<Sent> {
        // A part is in memory while it is sent.
        let part = most.map_or(PART, part_size);
        if part > LARGEST_PART {
            return Err(Error::new(
                Code::Storage,
                "the folder holds more than 625 GiB, the most that can be packed on the way",
                "Pack it with another program and share the archive.",
            ));
        }
        let first = self.read_part(source, part).await?;
        let size = first.len() as u64;
        if size < part {
            let etag = self.put(&Piece::Memory(first), size).await?;
            return Ok(Sent { size, etag });
        }
        let upload = self.bucket.create_multipart(self.key, self.headers).await?;
        let done = self.stream_parts(&upload, first, part, source).await;
        self.give_up_if_failed(&upload, done).await
    }

    async fn stream_parts(
        &mut self,
        upload: &str,
        mut part: Bytes,
        whole: u64,
        source: &mut (impl AsyncRead + Unpin),
    ) -> Result<Sent> {
        let (mut size, mut etags) = (0, Vec::new());
        for number in 1.. {
            if i64::from(number) > MOST_PARTS.cast_signed() {
                return Err(Error::new(
                    Code::Storage,
                    "standard input gave more than 156 GiB, the most that can be shared from a pipe",
                    "Write it to a file and share that.",
                ));
            }
            let length = part.len() as u64;
            let piece = Piece::Memory(part);
            etags.push(loop {
                self.reins.may_go().await?;
                tokio::select! {
                    etag = send_part(self.bucket, self.key, upload, number, &piece, length, self.progress) => break etag?,
                    () = self.reins.held() => {}
                }
            });
            size += length;
            part = self.read_part(source, whole).await?;
            if part.is_empty() {
                break;
            }
        }
        let etag = complete(self.bucket, self.key, upload, &etags, size).await?;
        Ok(Sent { size, etag })
    }

    /// The next part of a pipe; less than a whole one at its end.
    async fn read_part(
        &mut self,
        source: &mut (impl AsyncRead + Unpin),
        whole: u64,
    ) -> Result<Bytes> {
        let mut part = BytesMut::new();
        loop {
            self.reins.may_go().await?;
            // Nothing that was read is lost when this is dropped and begun again.
            tokio::select! {
                filled = fill(source, &mut part, whole) => break filled.map_err(unreadable_input)?,
                () = self.reins.held() => {}
            }
        }
        Ok(part.freeze())
    }

    async fn put(&mut self, piece: &Piece, size: u64) -> Result<String> {
        loop {
            self.reins.may_go().await?;
            let sent = Arc::new(Counted::new(self.progress));
            let body = piece.body(size, &sent);
            let mut putting = std::pin::pin!(async {
                let _lane = self.progress.pacer.lane().await;
                self.bucket.put(self.key, self.headers, body, size).await
            });
            let mut done = tokio::select! {
                etag = &mut putting => Some(etag),
                () = self.reins.held() => None,
            };
            // The last bytes can't be called back: the object would arrive after its DELETE, and stay.
            if done.is_none() && sent.bytes() == size {
                done = tokio::time::timeout(LAST_BYTES, &mut putting).await.ok();
            }
            if let Some(etag) = done {
                if etag.is_ok() {
                    sent.arrived();
                }
                return etag;
            }
        }
    }

    async fn parts(&mut self, source: &OpenFile) -> Result<String> {
        let upload = self.bucket.create_multipart(self.key, self.headers).await?;
        let done = self.all_parts(&upload, source).await;
        self.give_up_if_failed(&upload, done).await
    }

    async fn all_parts(&mut self, upload: &str, source: &OpenFile) -> Result<String> {
        let (bucket, key, progress) = (self.bucket, self.key, self.progress);
        let ranges = part_ranges(source.fingerprint.size);
        let mut etags: Vec<Option<String>> = vec![None; ranges.len()];
        loop {
            self.reins.may_go().await?;
            let missing: Vec<usize> = (0..ranges.len()).filter(|at| etags[*at].is_none()).collect();
            if missing.is_empty() {
                break;
            }
            let mut sending = std::pin::pin!(
                stream::iter(missing)
                    .map(|at| {
                        let (offset, length) = ranges[at];
                        async move {
                            source.check_unchanged()?;
                            let number = i32::try_from(at + 1).unwrap_or(i32::MAX);
                            let piece = Piece::of(source, offset)?;
                            let sent =
                                send_part(bucket, key, upload, number, &piece, length, progress);
                            Ok::<_, Error>((at, sent.await?))
                        }
                    })
                    .buffer_unordered(PARALLEL)
            );
            loop {
                tokio::select! {
                    next = sending.try_next() => match next? {
                        Some((at, etag)) => etags[at] = Some(etag),
                        None => break,
                    },
                    // Dropped: what was under way is sent again, what arrived isn't.
                    () = self.reins.held() => break,
                }
            }
        }
        source.check_unchanged()?;
        let etags: Vec<String> = etags.into_iter().flatten().collect();
        complete(bucket, key, upload, &etags, source.fingerprint.size).await
    }

    /// Parts that were sent cost money until they are given up.
    async fn give_up_if_failed<T>(&self, upload: &str, done: Result<T>) -> Result<T> {
        if done.is_err()
            && let Err(error) = self.bucket.abort_multipart(self.key, upload).await
        {
            tracing::warn!(code = error.code.as_str(), "an unfinished upload couldn't be given up");
        }
        done
    }
}

async fn send_part(
    bucket: &Bucket,
    key: &str,
    upload: &str,
    number: i32,
    piece: &Piece,
    length: u64,
    progress: &Arc<Progress>,
) -> Result<String> {
    let _lane = progress.pacer.lane().await;
    let sent = Arc::new(Counted::new(progress));
    let etag = bucket.upload_part(key, upload, number, piece.body(length, &sent), length).await?;
    sent.arrived();
    Ok(etag)
}

/// When the answer is lost, a second Complete finds no upload: then the object itself tells.
async fn complete(
    bucket: &Bucket,
    key: &str,
    upload: &str,
    etags: &[String],
    size: u64,
) -> Result<String> {
    match bucket.complete_multipart(key, upload, etags).await {
        Ok(etag) => Ok(etag),
        Err(error) => match bucket.head(key).await {
            Ok(object) if object.size == size => Ok(object.etag),
            _ => Err(error),
        },
    }
}

/// Reads until a whole part is there or the pipe ends.
async fn fill(
    source: &mut (impl AsyncRead + Unpin),
    part: &mut BytesMut,
    whole: u64,
) -> io::Result<()> {
    loop {
        let left = whole - part.len() as u64;
        if left == 0 || source.take(left).read_buf(part).await? == 0 {
            return Ok(());
        }
    }
}

fn unreadable_input(error: io::Error) -> Error {
    // Whoever packs a folder says what was wrong with which file.
    let error = match error.downcast::<Error>() {
        Ok(error) => return error,
        Err(error) => error,
    };
    Error::new(
        Code::FileUnreadable,
        "standard input can't be read",
        "Check the program that writes it.",
    )
    .caused_by(error)
}

fn part_size(size: u64) -> u64 {
    size.div_ceil(MOST_PARTS).next_multiple_of(MIB).max(PART)
}

/// Offset and length of each part: as few as 16 MiB parts give, larger ones where 10,000 wouldn't do.
fn part_ranges(size: u64) -> Vec<(u64, u64)> {
    let part = part_size(size);
    (0..size.div_ceil(part)).map(|number| (number * part, part.min(size - number * part))).collect()
}

/// Bytes that are sent by one request, and again when it is tried again.
#[derive(Clone)]
enum Piece {
    /// From this place of the file on.
    File(Arc<File>, u64),
    Memory(Bytes),
}

impl Piece {
    fn of(source: &OpenFile, offset: u64) -> Result<Self> {
        let file = source.file.try_clone();
        let file = file.map_err(|error| Error::disk("read", &source.path, error))?;
        Ok(Self::File(Arc::new(file), offset))
    }

    /// At most `want` bytes from `at` on.
    async fn read(&self, at: u64, want: usize) -> io::Result<Bytes> {
        match self {
            Self::File(file, offset) => {
                let (file, offset) = (Arc::clone(file), *offset + at);
                tokio::task::spawn_blocking(move || read_at(&file, offset, want))
                    .await
                    .map_err(io::Error::other)?
            }
            Self::Memory(bytes) => {
                let at = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                Ok(bytes.slice(at..bytes.len().min(at + want)))
            }
        }
    }

    /// A body that reads the piece each time it is sent.
    fn body(&self, length: u64, sent: &Arc<Counted>) -> ByteStream {
        let (piece, sent) = (Arc::new(self.clone()), Arc::clone(sent));
        ByteStream::new(SdkBody::retryable(move || {
            sent.take_back();
            let state = (Arc::clone(&piece), Arc::clone(&sent), 0);
            let frames = stream::try_unfold(state, move |(piece, sent, at)| async move {
                if at == length {
                    return Ok(None);
                }
                let pacer = &sent.progress.pacer;
                let want = pacer.bite(usize::try_from(length - at).unwrap_or(READ).min(READ));
                pacer.pay(want).await;
                let bytes = piece.read(at, want).await?;
                let read = bytes.len() as u64;
                sent.add(read);
                Ok::<_, io::Error>(Some((Frame::data(bytes), (piece, sent, at + read))))
            });
            SdkBody::from_body_1_x(StreamBody::new(frames))
        }))
    }
}

fn read_at(file: &File, offset: u64, want: usize) -> io::Result<Bytes> {
    let mut buffer = vec![0; want];
    #[cfg(unix)]
    let read = std::os::unix::fs::FileExt::read_at(file, &mut buffer, offset)?;
    #[cfg(windows)]
    let read = std::os::windows::fs::FileExt::seek_read(file, &mut buffer, offset)?;
    if read == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter"));
    }
    buffer.truncate(read);
    Ok(buffer.into())
}

/// What one request has sent so far. It counts only as long as the request may still end well.
struct Counted {
    progress: Arc<Progress>,
    bytes: AtomicU64,
}

impl Counted {
    fn new(progress: &Arc<Progress>) -> Self {
        Self { progress: Arc::clone(progress), bytes: AtomicU64::new(0) }
    }

    fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.progress.add(bytes);
    }

    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn take_back(&self) {
        self.progress.take_back(self.bytes.swap(0, Ordering::Relaxed));
    }

    fn arrived(&self) {
        self.bytes.store(0, Ordering::Relaxed);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.take_back();
    }
}

/// Counts what was handed to the network, no faster than it may be, and tells it at most ten times a second.
pub(crate) struct Progress {
    id: ShareId,
    sent: AtomicU64,
    began: Instant,
    /// Milliseconds after `began` when it was told last.
    told: AtomicU64,
    sink: Arc<dyn Sink>,
    pacer: Arc<Pacer>,
}

impl Progress {
    pub(crate) fn new(id: &ShareId, sink: &Arc<dyn Sink>, pacer: &Arc<Pacer>) -> Self {
        Self {
            id: id.clone(),
            sent: AtomicU64::new(0),
            began: Instant::now(),
            told: AtomicU64::new(0),
            sink: Arc::clone(sink),
            pacer: Arc::clone(pacer),
        }
    }

    fn add(&self, bytes: u64) {
        let sent = self.sent.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let told = self.told.load(Ordering::Relaxed);
        let due = now.saturating_sub(told) >= u64::try_from(PULSE.as_millis()).unwrap_or(100);
        if due
            && self.told.compare_exchange(told, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            self.sink.emit(Event::UploadProgress { id: &self.id, sent });
        }
    }

    fn take_back(&self, bytes: u64) {
        self.sent.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_cover_any_file_once_and_are_few_enough(size in ONE_PUT + 1..=LARGEST) {
            let parts = part_ranges(size);
            prop_assert!(parts.len() as u64 <= MOST_PARTS);
            let mut end = 0;
            for (at, (offset, length)) in parts.iter().enumerate() {
                prop_assert_eq!(*offset, end);
                prop_assert!(*length >= 5 * MIB || at == parts.len() - 1);
                prop_assert!(*length > 0 && *length <= 5 * 1024 * MIB);
                end += length;
            }
            prop_assert_eq!(end, size);
        }
    }
}
