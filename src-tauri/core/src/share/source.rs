//! Where the bytes of a share come from.

use std::fs::{File, Metadata};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::folder::Folder;
use crate::error::reason;
use crate::{Code, Error, Result};

/// What is to be shared.
#[derive(Debug, Clone)]
pub enum Source {
    /// A file on this computer, or a folder: that is shared as one zip.
    File(PathBuf),
    /// Standard input.
    Stdin,
    /// What a program holds in memory: a picture from the clipboard.
    Bytes {
        /// The name that recipients see when none is given.
        name: String,
        /// All of it.
        bytes: Bytes,
    },
    /// An object that is in a bucket already: only signed for, never copied or deleted.
    Object {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
}

impl Source {
    /// What a word of the command line names: `-`, `s3://BUCKET/KEY`, or a path.
    pub fn parse(word: &std::ffi::OsStr) -> Result<Self> {
        if word == "-" {
            return Ok(Self::Stdin);
        }
        if let Some(text) = word.to_str()
            && let Some((bucket, key)) = crate::storage::parse_s3_uri(text)?
        {
            return Ok(Self::Object { bucket, key });
        }
        Ok(Self::File(PathBuf::from(word)))
    }

    /// The name that recipients see when none is given.
    pub fn own_name(&self) -> String {
        match self {
            Self::File(path) if path.is_dir() => Folder::zip_name(path),
            Self::File(path) => path
                .file_name()
                .map_or_else(|| "file".to_owned(), |name| name.to_string_lossy().into_owned()),
            Self::Stdin => "stdin".to_owned(),
            Self::Bytes { name, .. } => name.clone(),
            Self::Object { key, .. } => {
                key.rsplit('/').find(|step| !step.is_empty()).unwrap_or("file").to_owned()
            }
        }
    }
}

/// What is remembered of where a share came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    File {
        path: PathBuf,
        fingerprint: Fingerprint,
    },
    /// A folder, and what was in it.
    Folder {
        path: PathBuf,
        fingerprint: Fingerprint,
    },
    /// Standard input or memory: nothing that could be read again.
    Stdin,
    Object,
}

/// What tells that a file is still the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    pub(crate) size: u64,
    /// Nanoseconds since 1970.
    pub(crate) modified: i64,
    pub(crate) inode: u64,
}

impl Fingerprint {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let modified = metadata
            .modified()
            .ok()
            .and_then(|time| jiff::Timestamp::try_from(time).ok())
            .and_then(|time| i64::try_from(time.as_nanosecond()).ok())
            .unwrap_or(0);
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(metadata);
        #[cfg(not(unix))]
        let inode = 0;
        Self { size: metadata.len(), modified, inode }
    }
}

/// A file that is being shared: opened once, so that a file put in its place isn't mixed in.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(crate) file: File,
    pub(crate) path: PathBuf,
    pub(crate) fingerprint: Fingerprint,
}

impl OpenFile {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Self::open_by(path, |path| File::open(path))
    }

    /// The same, where no link may lead to it.
    pub(crate) fn open_directly(path: &Path) -> Result<Self> {
        Self::open_by(path, open_directly)
    }

    fn open_by(path: &Path, open: impl FnOnce(&Path) -> std::io::Result<File>) -> Result<Self> {
        let unreadable = |error| unreadable(path, error);
        // Looked at before it is opened: opening a pipe or a device could wait for ever.
        let metadata = std::fs::metadata(path).map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(Error::new(
                Code::NotAFile,
                format!("{} isn't a regular file", quoted(path)),
                "To share what a program prints, use: … | lapse share - --name NAME",
            ));
        }
        let file = open(path).map_err(unreadable)?;
        let fingerprint = Fingerprint::of(&file.metadata().map_err(unreadable)?);
        if fingerprint.size == 0 && read_one(&file).map_err(unreadable)? > 0 {
            return Err(Error::new(
                Code::NotAFile,
                format!(
                    "{} has no size of its own (the system makes it up as it is read)",
                    quoted(path)
                ),
                "Share what is in it: cat FILE | lapse share - --name NAME",
            ));
        }
        let path = std::path::absolute(path).map_err(unreadable)?;
        Ok(Self { file, path, fingerprint })
    }

    /// Fails if the file is seen to have changed since it was opened, here or under its name.
    pub(crate) async fn check_unchanged(&self) -> Result<()> {
        let (file, path) = (self.file.try_clone(), self.path.clone());
        // A disk may take a while to answer.
        let looking = tokio::task::spawn_blocking(move || {
            let fingerprint = |found: Metadata| Fingerprint::of(&found);
            let now = file.and_then(|file| file.metadata()).map(fingerprint).ok();
            (now, std::fs::metadata(path).map(fingerprint).ok())
        });
        match looking.await {
            Ok((now, named)) if now == Some(self.fingerprint) && named == now => Ok(()),
            _ => Err(self.changed()),
        }
    }

    pub(crate) fn changed_since(&self, shared_at: Timestamp) -> Error {
        let day = shared_at.to_zoned_datetime(TimeZone::system()).date();
        Error::new(
            Code::FileChanged,
            format!("{} changed since it was shared ({day})", quoted(&self.path)),
            "Share it as it is now, if that is what you want to give.",
        )
    }

    pub(crate) fn changed(&self) -> Error {
        Error::new(
            Code::FileChanged,
            format!("{} changed while it was read, so it wasn't shared", quoted(&self.path)),
            "Wait until whatever writes it has finished, then share it again.",
        )
    }
}

/// Opens a file that lies where its path says: not behind a link, also not one that was put there this moment.
#[cfg(target_os = "linux")]
pub(crate) fn open_directly(path: &Path) -> std::io::Result<File> {
    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
    use rustix::io::Errno;
    // A pipe isn't waited for.
    let how = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match openat2(CWD, path, how, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        // An older system has no such call, or forbids it.
        Err(Errno::NOSYS | Errno::PERM) => return open_if_direct(path),
        opened => File::from(opened?),
    };
    if file.metadata()?.is_file() { Ok(file) } else { Err(std::io::ErrorKind::InvalidInput.into()) }
}

#[cfg(not(target_os = "linux"))]
pub(crate) use open_if_direct as open_directly;

fn open_if_direct(path: &Path) -> std::io::Result<File> {
    if path.symlink_metadata()?.is_file() && path.canonicalize()? == path {
        File::open(path)
    } else {
        Err(std::io::ErrorKind::InvalidInput.into())
    }
}

pub(super) fn unreadable(path: &Path, error: std::io::Error) -> Error {
    let (code, hint) = match error.kind() {
        std::io::ErrorKind::NotFound => (Code::FileMissing, "Check the name and the folder."),
        std::io::ErrorKind::PermissionDenied => {
            (Code::FileUnreadable, "Ask its owner for the right to read it.")
        }
        _ => (Code::FileUnreadable, "Check the file and the disk, then try again."),
    };
    let what = if code == Code::FileMissing {
        format!("there is no file {}", quoted(path))
    } else {
        format!("can't read {}: {}", quoted(path), reason(&error))
    };
    Error::new(code, what, hint).caused_by(error)
}

/// How much a read of one byte gives.
fn read_one(mut file: &File) -> std::io::Result<usize> {
    std::io::Read::read(&mut file, &mut [0])
}

/// A path on one line, whatever is in it.
pub(super) fn quoted(path: &Path) -> String {
    format!("«{}»", path.to_string_lossy().escape_debug())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn behind_a_link_nothing_is_opened_directly_and_a_pipe_is_not_waited_for() {
        let dir = tempfile::tempdir().expect("a folder");
        let root = dir.path().canonicalize().expect("its path");
        std::fs::create_dir(root.join("real")).expect("a folder");
        std::fs::write(root.join("real/file"), "text").expect("a file");
        symlink("real", root.join("link")).expect("a link");
        symlink("real/file", root.join("name")).expect("a link");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            root.join("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .expect("a pipe");
        assert!(open_directly(&root.join("real/file")).is_ok());
        for name in ["link/file", "name", "pipe", "real", "nothing"] {
            assert!(open_directly(&root.join(name)).is_err(), "{name}");
        }
    }
}
