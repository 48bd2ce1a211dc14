//! Room on the disk that is left to the index, so that a full disk can be made emptier.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::private;

/// What uploads leave free: `SQLite` lets its log grow to 4 MB before it begins anew.
const LEFT: u64 = 5 * 1024 * 1024;
/// What is kept for when others have filled the disk to its last byte.
const KEPT: usize = 1024 * 1024;

/// Refuses to write so much when too little would be left.
pub(crate) fn check(file: &File, length: u64) -> io::Result<()> {
    match free(file)? {
        Some(free) if free < length + LEFT => Err(io::ErrorKind::StorageFull.into()),
        _ => Ok(()),
    }
}

/// Keeps some room while there is plenty, and gives it up when there is none.
pub(crate) fn prepare(dir: &Path) {
    if let Err(error) = try_prepare(dir) {
        tracing::warn!(%error, "the store can't keep room for when the disk is full");
    }
}

fn try_prepare(dir: &Path) -> io::Result<()> {
    let path = path(dir);
    let free = free(&File::open(dir)?)?.unwrap_or(u64::MAX);
    if free < KEPT as u64 {
        give_up(dir);
    } else if free > 2 * LEFT && !path.try_exists()? {
        private::open_or_create(&path)?.write_all(&vec![0xff; KEPT])?;
    }
    Ok(())
}

/// There is room again for a few changes.
pub(crate) fn give_up(dir: &Path) {
    match fs::remove_file(path(dir)) {
        Ok(()) => tracing::warn!("the disk is full; the store uses what it kept for that"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(%error, "the store can't use what it kept for a full disk"),
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join("room")
}

/// Bytes that may still be written where the file is; `None` where that isn't told, as by some network file systems.
fn free(file: &File) -> io::Result<Option<u64>> {
    #[cfg(unix)]
    {
        let disk = rustix::fs::fstatvfs(file)?;
        Ok((disk.f_blocks > 0).then(|| disk.f_bavail.saturating_mul(disk.f_frsize)))
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        Ok(None)
    }
}
