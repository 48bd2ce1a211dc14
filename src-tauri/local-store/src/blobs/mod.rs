//! Blob files: opaque names, written once, whole on the disk before any row names them.

mod download;
mod receive;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use data_encoding::HEXLOWER;
use s3s::dto::StreamingBlob;

pub(crate) use self::download::{Pinned, damaged};
pub(crate) use self::receive::{Received, Size};
use crate::blocks::Buffers;
use crate::digest::{Algorithm, Sums};
use crate::fault::Fault;
use crate::index::Piece;
use crate::{Error, blocks, check, private};

/// How long files are kept that no row names.
const ASIDE: Duration = Duration::from_hours(7 * 24);

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
        body: StreamingBlob,
        size: Size,
        asked: Option<Algorithm>,
    ) -> Result<Received, Fault> {
        Received::of(body, size, asked, &self.temporary).await
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
/// A blob that no row names yet; dropped, its file goes.
pub(crate) struct Kept {
    pub(crate) piece: Piece,
    pub(crate) sums: Sums,
    pub(crate) guard: Unlink,
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
