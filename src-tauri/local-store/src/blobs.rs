//! Blob files: opaque names, written once, whole on the disk before any row names them.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, IoSlice, Write};
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use futures_util::{Stream, StreamExt, stream};
use hyper::StatusCode;
use s3s::dto::StreamingBlob;
use s3s::stream::{ByteStream, RemainingLength};
use s3s::{S3Error, StdError, s3_error};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::blocks::{Buffers, Wait};
use crate::chunks::BadChunk;
use crate::digest::{Algorithm, Extra, Hasher, Sums};
use crate::fault::Fault;
use crate::index::Piece;
use crate::pace::TooSlow;
use crate::{Error, blocks, check, fault, private, room};

/// Measured: 64 KiB reads halve the speed of a download, larger ones gain nothing.
const READ: u64 = blocks::LARGE as u64;
/// What all downloads together read at once, as long as each has a block. Slow readers hold what they were given when
/// they were fewer, so all of them may hold three times as much.
const READ_BY_ALL: u64 = 8 * 1024 * 1024;
/// What is gathered of an upload before it is written; at most two of these are held an upload.
const WRITE: usize = 1024 * 1024;
/// How long files are kept that no row names.
const ASIDE: Duration = Duration::from_hours(7 * 24);
/// Chunks below this are copied.
const SMALL: usize = 4 * 1024;

/// The blob files of a store.
pub(crate) struct Blobs {
    kept: PathBuf,
    temporary: PathBuf,
    aside: PathBuf,
    readers: Mutex<HashMap<String, Readers>>,
    downloads: AtomicU64,
    buffers: Arc<Buffers>,
}

#[derive(Default)]
struct Readers {
    count: usize,
    /// No row names the file any more: the last reader removes it.
    doomed: bool,
}

/// Whether the store in `dir` has any blob.
pub(crate) fn are_in(dir: &Path) -> bool {
    fs::read_dir(folder(dir)).is_ok_and(|mut entries| entries.next().is_some())
}

/// Where the store in `dir` has its blobs.
pub(crate) fn folder(dir: &Path) -> PathBuf {
    dir.join("blobs")
}

impl Blobs {
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        let blobs = Self {
            kept: folder(dir),
            temporary: dir.join("tmp"),
            aside: dir.join("unnamed"),
            readers: Mutex::default(),
            downloads: AtomicU64::new(0),
            buffers: Arc::default(),
        };
        for dir in [&blobs.kept, &blobs.temporary, &blobs.aside] {
            private::create_dir(dir).map_err(Error::io("make", dir))?;
        }
        private::sync_dir(dir).map_err(Error::io("sync", dir))?;
        Ok(blobs)
    }

    /// Removes temporary files, and puts the blobs that `is_named` doesn't know aside: what a crash left.
    pub(crate) fn sweep(
        &self,
        is_named: impl Fn(&str) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        for path in files(&self.temporary)? {
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
        let is_named = |path: &Path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.map_or(Ok(false), &is_named)
        };
        for path in files(&self.kept)? {
            if !is_named(&path)? {
                self.set_aside(&path).map_err(Error::io("move", &path))?;
            }
        }
        for path in files(&self.aside)? {
            let put_away = if is_named(&path)? {
                fs::rename(&path, self.kept.join(path.file_name().unwrap_or_default()))
            } else if is_old(&path) {
                fs::remove_file(&path)
            } else {
                Ok(())
            };
            put_away.map_err(Error::io("move", &path))?;
        }
        Ok(())
    }

    /// An index that was put back from a backup doesn't name what was stored since: such files are kept for a week.
    fn set_aside(&self, path: &Path) -> io::Result<()> {
        File::options().write(true).open(path)?.set_modified(SystemTime::now())?;
        fs::rename(path, self.aside.join(path.file_name().unwrap_or_default()))
    }

    /// Streams `body`, which must be of this `size`, to a temporary file, hashing on the way.
    pub(crate) async fn receive(
        &self,
        mut body: StreamingBlob,
        size: Size,
        asked: Option<Algorithm>,
    ) -> Result<Received, Fault> {
        // The file is written while the next batch arrives.
        let mut writing = Writing::Here(Box::new(Received::new(&self.temporary, asked)));
        let mut batch = Batch::default();
        let mut received = 0_u64;
        loop {
            let Some(chunk) = body.next().await else { break };
            let chunk = chunk.map_err(|error| broken_body(&error))?;
            received += chunk.len() as u64;
            size.check_so_far(received)?;
            batch.push(chunk);
            if batch.gathered >= WRITE {
                let file = writing.done().await?;
                let full = std::mem::take(&mut batch).finish();
                writing = Writing::There(spawn_blocking(move || file.write(&full)));
            }
        }
        size.check_end(received)?;
        let mut file = writing.done().await?;
        file.rest = batch.finish();
        Ok(file)
    }

    /// Makes a received file a blob; whoever writes its row syncs the folder first. It goes again unless its
    /// guard forgets it.
    pub(crate) fn keep(&self, received: Received) -> io::Result<Kept> {
        let name = received.name.clone();
        let (mut file, temporary, size, hasher) = received.finish()?;
        let (sums, blocks) = hasher.finish();
        file.write_all(&blocks)?;
        file.sync_all()?;
        let path = self.kept.join(&name);
        fs::rename(&temporary.0, &path)?;
        temporary.forget();
        let guard = Unlink(path);
        Ok(Kept { piece: Piece { file: name, size, crc64: sums.crc64 }, sums, guard })
    }

    /// Writes the checksums of its blocks behind the bytes of a blob that has none, if it is what was stored.
    pub(crate) fn add_sums(&self, piece: &Piece) -> io::Result<()> {
        let path = self.kept.join(&piece.file);
        let mut file = match private::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        let length = file.metadata()?.len();
        if length < piece.size || length == blocks::file_length(piece.size) {
            return Ok(());
        }
        let (crc64, blocks) = check::sums(&mut file, piece)?;
        if crc64 == piece.crc64 {
            file.write_all(&blocks)?;
            file.set_len(blocks::file_length(piece.size))?;
            file.sync_all()?;
        }
        Ok(())
    }

    /// Removes files that no row names any more, each as soon as nobody reads it.
    pub(crate) fn remove(&self, orphans: Vec<String>) {
        let mut readers = self.readers();
        for file in orphans {
            match readers.get_mut(&file) {
                Some(readers) => readers.doomed = true,
                None => unlink(&self.kept.join(file)),
            }
        }
    }

    /// Keeps the files of `pieces` while the answer lives, whatever happens to their rows.
    ///
    /// A file that was removed just before isn't brought back: look at the row once more afterwards.
    pub(crate) fn pin(self: &Arc<Self>, pieces: Vec<Piece>) -> Pinned {
        let mut readers = self.readers();
        for piece in &pieces {
            readers.entry(piece.file.clone()).or_default().count += 1;
        }
        drop(readers);
        Pinned { blobs: Arc::clone(self), pieces, only: None }
    }

    /// The same for a single file, which is opened at once: then it stays whatever happens. `NotFound` when it was
    /// removed just before, or is missing.
    pub(crate) fn open_only(self: &Arc<Self>, piece: Piece) -> io::Result<Pinned> {
        let file = File::open(self.kept.join(&piece.file))?;
        Ok(Pinned { blobs: Arc::clone(self), pieces: vec![piece], only: Some(file) })
    }

    fn readers(&self) -> MutexGuard<'_, HashMap<String, Readers>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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
    name: String,
    path: PathBuf,
    /// Made with the first write.
    file: Option<(File, Unlink)>,
    size: u64,
    hasher: Hasher,
    /// What is still to be written; for most objects all.
    rest: Vec<Bytes>,
}

impl Received {
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
    fn finish(mut self) -> io::Result<(File, Unlink, u64, Hasher)> {
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

/// A blob that no row names yet; dropped, its file goes.
pub(crate) struct Kept {
    pub(crate) piece: Piece,
    pub(crate) sums: Sums,
    pub(crate) guard: Unlink,
}

/// The files of an object, kept while this lives.
pub(crate) struct Pinned {
    blobs: Arc<Blobs>,
    pieces: Vec<Piece>,
    /// The only piece's file, open; then it isn't counted among the readers.
    only: Option<File>,
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

/// Removes a file when dropped.
pub(crate) struct Unlink(PathBuf);

impl Unlink {
    pub(crate) fn forget(mut self) {
        self.0 = PathBuf::new();
    }
}

impl Drop for Unlink {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            unlink(&self.0);
        }
    }
}

/// What can't be removed now is swept at the next start.
fn unlink(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::warn!(%error, file = %path.display(), "a file that nothing names couldn't be removed");
    }
}

fn files(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    fs::read_dir(dir)
        .and_then(|entries| {
            // Whatever else is there (a disk's lost+found) isn't ours.
            let files = entries.filter(|entry| {
                let kind = entry.as_ref().map(fs::DirEntry::file_type);
                !matches!(kind, Ok(Ok(kind)) if !kind.is_file())
            });
            files.map(|entry| Ok(entry?.path())).collect()
        })
        .map_err(Error::io("list", dir))
}

/// Whether a file was put aside more than a week ago.
fn is_old(path: &Path) -> bool {
    let since = fs::metadata(path).and_then(|found| found.modified()).ok();
    since.and_then(|since| since.elapsed().ok()).is_some_and(|age| age > ASIDE)
}

/// 128 random bits: names say nothing, never meet, and can't leave their folder.
fn random_name() -> String {
    HEXLOWER.encode(&rand::random::<[u8; 16]>())
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
