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
use crate::share::OpenFile;
use crate::storage::{Bucket, Headers};
use crate::{Code, Error, Result};

const MIB: u64 = 1024 * 1024;
/// Up to here one request is quicker than three.
const ONE_PUT: u64 = 16 * MIB;
/// S3 wants at least 5 MiB for all parts but the last.
const PART: u64 = 16 * MIB;
/// S3 takes no more parts than this.
const MOST_PARTS: u64 = 10_000;
/// The largest object of S3.
const LARGEST: u64 = 5 * 1024 * 1024 * MIB;
/// Parts on their way at once.
const PARALLEL: usize = 4;
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

/// Sends a file that is open. If the file is seen to change, nothing of it stays in the bucket.
pub(crate) async fn send_file(
    bucket: &Bucket,
    key: &str,
    headers: &Headers,
    source: &OpenFile,
    sink: &Arc<dyn Sink>,
    stop: impl Future<Output = ()>,
) -> Result<Sent> {
    let size = source.fingerprint.size;
    if size > LARGEST {
        return Err(Error::new(
            Code::Storage,
            "the file is larger than 5 TiB, the most that S3 takes",
            "Split it and share the parts.",
        ));
    }
    let progress = Arc::new(Progress::new(Arc::clone(sink)));
    let sent = if size <= ONE_PUT {
        let body = range_body(source, 0, size, &progress)?;
        tokio::select! {
            sent = bucket.put(key, headers, body, size) => sent,
            () = stop => Err(stopped()),
        }
    } else {
        send_parts(bucket, key, headers, source, &progress, stop).await
    };
    // A failed read looks like a broken connection: the file itself tells which it was.
    source.check_unchanged()?;
    Ok(Sent { size, etag: sent? })
}

async fn send_parts(
    bucket: &Bucket,
    key: &str,
    headers: &Headers,
    source: &OpenFile,
    progress: &Arc<Progress>,
    stop: impl Future<Output = ()>,
) -> Result<String> {
    let upload = bucket.create_multipart(key, headers).await?;
    let parts = part_ranges(source.fingerprint.size);
    let sending = stream::iter(parts.into_iter().zip(1..))
        .map(|((offset, length), number)| {
            let upload = &upload;
            async move {
                source.check_unchanged()?;
                let body = range_body(source, offset, length, progress)?;
                bucket.upload_part(key, upload, number, body, length).await
            }
        })
        .buffered(PARALLEL)
        .try_collect::<Vec<_>>();
    let sent = tokio::select! {
        sent = sending => sent,
        () = stop => Err(stopped()),
    };
    let done = match sent {
        Ok(etags) => match source.check_unchanged() {
            Ok(()) => complete(bucket, key, &upload, &etags, source.fingerprint.size).await,
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    give_up_if_failed(bucket, key, &upload, done).await
}

/// Sends what a pipe gives, whose length nobody knows.
pub(crate) async fn send_stream(
    bucket: &Bucket,
    key: &str,
    headers: &Headers,
    source: &mut (impl AsyncRead + Unpin),
    sink: &Arc<dyn Sink>,
    stop: impl Future<Output = ()>,
) -> Result<Sent> {
    let mut stop = std::pin::pin!(stop);
    let first = tokio::select! {
        first = read_part(source) => first?,
        () = &mut stop => return Err(stopped()),
    };
    let mut size = first.len() as u64;
    if size < PART {
        let etag = bucket.put(key, headers, ByteStream::from(first), size).await?;
        return Ok(Sent { size, etag });
    }
    let upload = bucket.create_multipart(key, headers).await?;
    let mut send_all = async || {
        let mut etags = Vec::new();
        let mut part = first.clone();
        for number in 1.. {
            if i64::from(number) > MOST_PARTS.cast_signed() {
                return Err(Error::new(
                    Code::Storage,
                    "standard input gave more than 156 GiB, the most that can be shared from a pipe",
                    "Write it to a file and share that.",
                ));
            }
            let length = part.len() as u64;
            etags.push(
                bucket.upload_part(key, &upload, number, ByteStream::from(part), length).await?,
            );
            sink.emit(Event::UploadProgress { sent: size });
            part = read_part(source).await?;
            if part.is_empty() {
                break;
            }
            size += part.len() as u64;
        }
        complete(bucket, key, &upload, &etags, size).await
    };
    let done = tokio::select! {
        done = send_all() => done,
        () = stop => Err(stopped()),
    };
    let etag = give_up_if_failed(bucket, key, &upload, done).await?;
    Ok(Sent { size, etag })
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

/// Parts that were sent cost money until they are given up.
async fn give_up_if_failed(
    bucket: &Bucket,
    key: &str,
    upload: &str,
    done: Result<String>,
) -> Result<String> {
    if done.is_err()
        && let Err(error) = bucket.abort_multipart(key, upload).await
    {
        tracing::warn!(code = error.code.as_str(), "an unfinished upload couldn't be given up");
    }
    done
}

fn stopped() -> Error {
    Error::new(Code::Interrupted, "the upload was stopped", "Share the file again when you like.")
}

async fn read_part(source: &mut (impl AsyncRead + Unpin)) -> Result<Bytes> {
    let mut part = BytesMut::new();
    let mut limited = source.take(PART);
    while limited.read_buf(&mut part).await.map_err(unreadable_input)? > 0 {}
    Ok(part.freeze())
}

fn unreadable_input(error: io::Error) -> Error {
    Error::new(
        Code::FileUnreadable,
        "standard input can't be read",
        "Check the program that writes it.",
    )
    .caused_by(error)
}

/// Offset and length of each part: as few as 16 MiB parts give, larger ones where 10,000 wouldn't do.
fn part_ranges(size: u64) -> Vec<(u64, u64)> {
    let part = size.div_ceil(MOST_PARTS).next_multiple_of(MIB).max(PART);
    (0..size.div_ceil(part)).map(|number| (number * part, part.min(size - number * part))).collect()
}

/// A body that reads a range of the file each time it is sent: a retry reads it again.
fn range_body(
    source: &OpenFile,
    offset: u64,
    length: u64,
    progress: &Arc<Progress>,
) -> Result<ByteStream> {
    let file = source.file.try_clone().map_err(|error| Error::disk("read", &source.path, error))?;
    let file = Arc::new(file);
    let progress = Arc::clone(progress);
    let before = Arc::new(AtomicU64::new(0));
    Ok(ByteStream::new(SdkBody::retryable(move || {
        progress.take_back(before.swap(0, Ordering::Relaxed));
        let state = (Arc::clone(&file), Arc::clone(&progress), Arc::clone(&before), offset, length);
        let frames =
            stream::try_unfold(state, |(file, progress, before, offset, left)| async move {
                if left == 0 {
                    return Ok(None);
                }
                let want = usize::try_from(left).unwrap_or(READ).min(READ);
                let reader = Arc::clone(&file);
                let bytes = tokio::task::spawn_blocking(move || read_at(&reader, offset, want))
                    .await
                    .map_err(io::Error::other)??;
                let read = bytes.len() as u64;
                before.fetch_add(read, Ordering::Relaxed);
                progress.add(read);
                Ok::<_, io::Error>(Some((
                    Frame::data(bytes),
                    (file, progress, before, offset + read, left - read),
                )))
            });
        SdkBody::from_body_1_x(StreamBody::new(frames))
    })))
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

/// Counts what was handed to the network and tells it at most ten times a second.
struct Progress {
    sent: AtomicU64,
    began: Instant,
    /// Milliseconds after `began` when it was told last.
    told: AtomicU64,
    sink: Arc<dyn Sink>,
}

impl Progress {
    fn new(sink: Arc<dyn Sink>) -> Self {
        Self { sent: AtomicU64::new(0), began: Instant::now(), told: AtomicU64::new(0), sink }
    }

    fn add(&self, bytes: u64) {
        let sent = self.sent.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let told = self.told.load(Ordering::Relaxed);
        let due = now.saturating_sub(told) >= u64::try_from(PULSE.as_millis()).unwrap_or(100);
        if due
            && self.told.compare_exchange(told, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            self.sink.emit(Event::UploadProgress { sent });
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
