//! The watched folder itself: which one it is, and what kind of disk it is on.

use std::collections::HashMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use super::Away;
use crate::history::Identity;

/// A disk that takes longer to answer may never do: its server is gone.
const ANSWERS: Duration = Duration::from_secs(2);

/// A watched folder that can be looked into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Root {
    /// Which folder it is.
    pub(super) identity: Identity,
    /// Whether changes by other computers aren't told there.
    pub(super) is_network: bool,
}

impl Root {
    /// The folder at a path, if it is the one that was there before. It is never waited for longer than [`ANSWERS`].
    pub(super) fn at(path: &Path, before: Option<&Identity>) -> Result<Self, Away> {
        /// Paths that were asked for, and not answered.
        static ASKED: Mutex<Option<HashMap<PathBuf, Instant>>> = Mutex::new(None);
        let mut asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
        let since =
            *asked.get_or_insert_default().entry(path.to_owned()).or_insert_with(Instant::now);
        drop(asked);
        // A thread that waits for a disk can't be ended: one is enough.
        if since.elapsed() >= ANSWERS {
            return Err(Away::Silent);
        }
        let (tell, told) = mpsc::channel();
        let path = path.to_owned();
        std::thread::spawn(move || {
            let found = Self::look(&path, None);
            let mut asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
            asked.get_or_insert_default().remove(&path);
            let _ = tell.send(found);
        });
        let found = told.recv_timeout(ANSWERS).map_err(|_| Away::Silent)??;
        found.if_same(before)
    }

    /// The same, waited for as long as it takes.
    pub(super) fn look(path: &Path, before: Option<&Identity>) -> Result<Self, Away> {
        let found = std::fs::metadata(path).ok().filter(Metadata::is_dir).ok_or(Away::Gone)?;
        // A link that leads elsewhere stands there now, or on the way: that isn't followed.
        if path.canonicalize().map_err(|_| Away::Gone)? != path {
            return Err(Away::Gone);
        }
        Self { identity: identity_of(&found), is_network: is_network(path) }.if_same(before)
    }

    fn if_same(self, before: Option<&Identity>) -> Result<Self, Away> {
        if before.is_none_or(|before| self.identity.is_same(before)) {
            Ok(self)
        } else {
            Err(Away::Replaced)
        }
    }
}

impl Identity {
    /// Whether that is the very folder, wherever it is now. A disk that is put in again may have another device number, so
    /// that says nothing; on some its folders have other inodes then.
    pub(super) fn is_same(&self, before: &Self) -> bool {
        fn may_be<T: PartialEq>(now: Option<&T>, then: Option<&T>) -> bool {
            now.zip(then).is_none_or(|(now, then)| now == then)
        }
        let is_told = self.born.is_some() && self.volume.is_some();
        let is_that = is_told && (&self.born, &self.volume) == (&before.born, &before.volume);
        let may_be_that = may_be(self.born.as_ref(), before.born.as_ref())
            && may_be(self.volume.as_ref(), before.volume.as_ref());
        is_that || (self.inode == before.inode && may_be_that)
    }

    /// With what isn't told now as it was before.
    pub(super) fn or(self, before: Option<&Self>) -> Self {
        let volume = self.volume.or_else(|| before?.volume.clone());
        Self { born: self.born.or_else(|| before?.born), volume, ..self }
    }
}

fn identity_of(found: &Metadata) -> Identity {
    Identity { inode: inode(found), born: born(found), volume: volume(found) }
}

#[cfg(unix)]
fn inode(found: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(found)
}

#[cfg(not(unix))]
fn inode(_found: &Metadata) -> u64 {
    0
}

fn born(found: &Metadata) -> Option<i64> {
    let at = jiff::Timestamp::try_from(found.created().ok()?).ok()?;
    i64::try_from(at.as_nanosecond()).ok()
}

/// What the disk was called when it was formatted, where the system tells: the folders of two cards may be alike in all
/// else.
#[cfg(target_os = "linux")]
fn volume(found: &Metadata) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let disks = std::fs::read_dir("/dev/disk/by-uuid").ok()?;
    let is_it = |path: &Path| std::fs::metadata(path).is_ok_and(|disk| disk.rdev() == found.dev());
    let disk = disks.flatten().find(|disk| is_it(&disk.path()))?;
    disk.file_name().into_string().ok()
}

#[cfg(not(target_os = "linux"))]
fn volume(_found: &Metadata) -> Option<String> {
    None
}

/// Whether changes by other computers aren't told there.
#[cfg(target_os = "linux")]
fn is_network(path: &Path) -> bool {
    // NFS, SMB (three), 9P, AFS, Ceph, and whatever a program serves (FUSE).
    const KINDS: [i64; 8] = [
        0x6969,
        0x517b,
        0xff53_4d42,
        0xfe53_4d42,
        0x0102_1997,
        0x5346_414f,
        0x00c3_6400,
        0x6573_5546,
    ];
    // Of 32 bits, whatever the sign.
    rustix::fs::statfs(path).is_ok_and(|found| KINDS.contains(&(found.f_type & 0xffff_ffff)))
}

/// Whether the files there get other inodes whenever the disk is put in: on FAT, exFAT, and what a program serves (FUSE).
#[cfg(target_os = "linux")]
pub(super) fn is_numbered_anew(path: &Path) -> bool {
    const KINDS: [i64; 3] = [0x4d44, 0x2011_bab0, 0x6573_5546];
    rustix::fs::statfs(path).is_ok_and(|found| KINDS.contains(&(found.f_type & 0xffff_ffff)))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_numbered_anew(_path: &Path) -> bool {
    false
}

/// Told by the system there.
#[cfg(not(target_os = "linux"))]
fn is_network(_path: &Path) -> bool {
    false
}

/// Of these files, by device and inode, those that a process of this person holds open for writing, as far as the
/// system tells.
#[cfg(target_os = "linux")]
pub(super) fn written(root: &Path, files: &[(u64, u64)]) -> std::collections::HashSet<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let mut held = std::collections::HashSet::new();
    let Ok(processes) = std::fs::read_dir("/proc") else { return held };
    for process in processes.flatten() {
        let is_process = process.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
        let Some(open) =
            is_process.then(|| std::fs::read_dir(process.path().join("fd")).ok()).flatten()
        else {
            continue;
        };
        for descriptor in open.flatten() {
            // The name first: to ask about a file on a disk that doesn't answer would wait.
            if !std::fs::read_link(descriptor.path()).is_ok_and(|name| name.starts_with(root)) {
                continue;
            }
            let Ok(found) = std::fs::metadata(descriptor.path()) else { continue };
            let file = (found.dev(), found.ino());
            if files.contains(&file) && writes(&process.path(), &descriptor.file_name()) {
                held.insert(file);
            }
        }
    }
    held
}

/// Whether a descriptor may write, by the flags that the system tells of it.
#[cfg(target_os = "linux")]
fn writes(process: &Path, descriptor: &std::ffi::OsStr) -> bool {
    let told = std::fs::read_to_string(process.join("fdinfo").join(descriptor)).unwrap_or_default();
    let flags = told.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    // O_ACCMODE: O_WRONLY or O_RDWR.
    flags.is_some_and(|flags| flags & 0o3 != 0)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn written(
    _root: &Path,
    _files: &[(u64, u64)],
) -> std::collections::HashSet<(u64, u64)> {
    std::collections::HashSet::new()
}
