//! A folder, shared as one zip that is packed while it is sent: no copy of it is ever on the disk.

use std::fs::{self, File};
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncWriteExt as _, DuplexStream, ReadBuf};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use zip::write::{FullFileOptions, SimpleFileOptions};
use zip::{CompressionMethod, ZipWriter};

use super::Fingerprint;
use super::source::{quoted, unreadable};
use crate::error::reason;
use crate::{Code, Error, Result};

/// Packed bytes that wait to be sent.
const AHEAD: usize = 1024 * 1024;
/// One read of a file.
const READ: usize = 256 * 1024;
/// From here on an entry's sizes take 64 bits; what doesn't compress grows a little.
const LARGE: u64 = 4_000_000_000;

/// A folder as it was seen.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    /// The sum of the sizes, and what tells whether anything in it changed.
    pub(crate) fingerprint: Fingerprint,
    /// Links, sockets, pipes and devices in it, which aren't packed.
    pub(crate) left_out: usize,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// Below the folder.
    path: PathBuf,
    is_folder: bool,
    seen: Fingerprint,
    mode: Option<u32>,
}

impl Folder {
    /// Looks at everything in a folder. Fails with the first thing that can't be read, before anything is packed.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let folder = Self::look(path)?;
        for entry in folder.entries.iter().filter(|entry| !entry.is_folder) {
            let path = folder.path.join(&entry.path);
            open_plain(&path).map_err(|error| unreadable(&path, error))?;
        }
        Ok(folder)
    }

    /// The same without a look into the files.
    pub(crate) fn look(path: &Path) -> Result<Self> {
        let path = std::path::absolute(path).map_err(|error| unreadable(path, error))?;
        let metadata = fs::metadata(&path).map_err(|error| unreadable(&path, error))?;
        if !metadata.is_dir() {
            return Err(Error::new(
                Code::FileMissing,
                format!("there is no folder {} any more", quoted(&path)),
                "Check the name and the place.",
            ));
        }
        let (mut entries, mut left_out) = (Vec::new(), 0);
        let mut open = vec![PathBuf::new()];
        while let Some(below) = open.pop() {
            let here = path.join(&below);
            let failed = |error| unreadable(&here, error);
            for found in fs::read_dir(&here).map_err(failed)? {
                let found = found.map_err(failed)?;
                // Not followed: a link may lead out of the folder, or in a circle.
                let metadata =
                    found.metadata().map_err(|error| unreadable(&found.path(), error))?;
                let path = below.join(found.file_name());
                if metadata.is_dir() {
                    open.push(path.clone());
                } else if !metadata.is_file() {
                    left_out += 1;
                    continue;
                }
                entries.push(Entry {
                    path,
                    is_folder: metadata.is_dir(),
                    seen: Fingerprint::of(&metadata),
                    mode: mode(&metadata),
                });
            }
        }
        entries.sort_by(|one, other| one.path.cmp(&other.path));
        let files = entries.iter().filter(|entry| !entry.is_folder);
        let mut hash = Sha256::new();
        for Entry { path, seen, .. } in files.clone() {
            hash.update(path.as_os_str().as_encoded_bytes());
            hash.update([0]);
            hash.update(seen.size.to_le_bytes());
            hash.update(seen.modified.to_le_bytes());
            hash.update(seen.inode.to_le_bytes());
        }
        let digest = hash.finalize();
        let modified = digest.first_chunk().map_or(0, |bytes| i64::from_le_bytes(*bytes));
        let inode = Fingerprint::of(&metadata).inode;
        let size = files.map(|entry| entry.seen.size).sum();
        Ok(Self { path, fingerprint: Fingerprint { size, modified, inode }, left_out, entries })
    }

    /// The name that recipients see.
    pub(crate) fn zip_name(path: &Path) -> String {
        // `.` and `..` have a name too, once they are resolved.
        let name = path.file_name().map(ToOwned::to_owned);
        let name = name.or_else(|| fs::canonicalize(path).ok()?.file_name().map(ToOwned::to_owned));
        name.map_or_else(|| "folder.zip".to_owned(), |name| format!("{}.zip", name.display()))
    }

    /// The most that its zip may need.
    pub(crate) fn most_bytes(&self) -> u64 {
        let heads: usize =
            self.entries.iter().map(|entry| 256 + 2 * entry.path.as_os_str().len()).sum();
        self.fingerprint.size + self.fingerprint.size / 1000 + heads as u64 + 1024
    }

    /// Begins to pack it; the zip is what can be read.
    pub(crate) fn pack(self) -> Packed {
        let (reader, writer) = tokio::io::duplex(AHEAD);
        let packing = tokio::task::spawn_blocking({
            let pipe = Pipe { writer, runtime: Handle::current(), closed: Arc::default() };
            move || self.write(pipe)
        });
        Packed { reader, packing: Some(packing) }
    }

    fn write(&self, pipe: Pipe) -> Result<()> {
        let closed = Arc::clone(&pipe.closed);
        let mut zip = ZipWriter::new_stream(pipe);
        let packed = self.entries.iter().try_for_each(|entry| self.add(&mut zip, entry));
        // What came, went or changed beside a file that is read is told too.
        let packed = packed.and_then(|()| match Self::look(&self.path)? {
            now if now.entries == self.entries => Ok(()),
            now => Err(self.changed(&now)),
        });
        if packed.is_err() {
            // The crate ends the archive when it is dropped; nothing of that may look like a whole one.
            closed.store(true, Ordering::Relaxed);
        }
        packed?;
        zip.finish().map(drop).map_err(|error| not_packed(&self.path, &io::Error::other(error)))
    }

    fn add<W: Write + io::Seek>(&self, zip: &mut ZipWriter<W>, entry: &Entry) -> Result<()> {
        let path = self.path.join(&entry.path);
        let failed = |error: io::Error| not_packed(&path, &error);
        let unpackable = |error: zip::result::ZipError| failed(io::Error::other(error));
        let name = name_in_zip(&entry.path);
        let options = options(entry).map_err(unpackable)?;
        if entry.is_folder {
            let name = String::from_utf8_lossy(&name).into_owned();
            return zip.add_directory(name, options).map_err(unpackable);
        }
        let mut file = open_plain(&path).map_err(|error| unreadable(&path, error))?;
        let is_same = |file: &File| {
            file.metadata().is_ok_and(|metadata| Fingerprint::of(&metadata) == entry.seen)
        };
        if !is_same(&file) {
            return Err(changed(&path));
        }
        zip.start_file_with_options(options.name(&name)).map_err(unpackable)?;
        let (mut buffer, mut read) = (vec![0; READ], 0);
        loop {
            let got = file.read(&mut buffer).map_err(|error| unreadable(&path, error))?;
            if got == 0 {
                break;
            }
            read += got as u64;
            zip.write_all(&buffer[..got]).map_err(failed)?;
        }
        if read != entry.seen.size || !is_same(&file) {
            return Err(changed(&path));
        }
        Ok(())
    }

    /// Names the first thing that differs.
    fn changed(&self, now: &Self) -> Error {
        let other = |one: &Entry, entries: &[Entry]| !entries.contains(one);
        let gone = self.entries.iter().find(|entry| other(entry, &now.entries));
        let first = gone.or_else(|| now.entries.iter().find(|entry| other(entry, &self.entries)));
        changed(&first.map_or_else(|| self.path.clone(), |entry| self.path.join(&entry.path)))
    }
}

fn changed(path: &Path) -> Error {
    Error::new(
        Code::FileChanged,
        format!("{} changed while its folder was packed, so that wasn't shared", quoted(path)),
        "Wait until whatever writes it has finished, then share the folder again.",
    )
}

fn not_packed(path: &Path, error: &io::Error) -> Error {
    Error::new(
        Code::FileUnreadable,
        format!("{} can't be packed: {}", quoted(path), reason(error)),
        "Pack the folder with another program and share the archive.",
    )
}

/// A pipe or a link that was put in the file's place isn't waited for, nor followed.
fn open_plain(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt as _;
        options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
    }
    options.open(path)
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other systems have none")]
fn mode(metadata: &fs::Metadata) -> Option<u32> {
    Some(std::os::unix::fs::MetadataExt::mode(metadata) & 0o777)
}

#[cfg(not(unix))]
fn mode(_: &fs::Metadata) -> Option<u32> {
    None
}

/// Relative, with slashes; a name that isn't UTF-8 keeps its bytes.
fn name_in_zip(path: &Path) -> Vec<u8> {
    let steps: Vec<&[u8]> = path.iter().map(std::ffi::OsStr::as_encoded_bytes).collect();
    steps.join(&b'/')
}

fn options(entry: &Entry) -> zip::result::ZipResult<FullFileOptions<'static, 'static>> {
    let method = if is_packed_already(&entry.path) {
        CompressionMethod::Stored
    } else {
        CompressionMethod::Deflated
    };
    let mut options = SimpleFileOptions::default()
        .compression_method(method)
        .large_file(entry.seen.size >= LARGE);
    if let Some(mode) = entry.mode {
        options = options.unix_permissions(mode);
    }
    let modified = Timestamp::from_nanosecond(entry.seen.modified.into()).unwrap_or_default();
    // Zip's own time has two seconds and no zone; programs of today read the other one.
    let local = modified.to_zoned_datetime(TimeZone::system());
    let small = |number: i8| u8::try_from(number).unwrap_or(0);
    let day = u16::try_from(local.year()).unwrap_or(0);
    let time = zip::DateTime::from_date_and_time(
        day,
        small(local.month()),
        small(local.day()),
        small(local.hour()),
        small(local.minute()),
        small(local.second()),
    );
    if let Ok(time) = time {
        options = options.last_modified_time(time);
    }
    match u32::try_from(modified.as_second()) {
        Ok(seconds) => options.with_extended_timestamp(Some(seconds), None, None),
        Err(_) => Ok(options.into_full_options()),
    }
}

/// Packing these again costs time and gains nothing.
fn is_packed_already(path: &Path) -> bool {
    let Some(kind) = mime_guess::from_path(path).first() else { return false };
    let packed = [
        "jpeg",
        "png",
        "gif",
        "webp",
        "avif",
        "heic",
        "zip",
        "gzip",
        "zstd",
        "x-7z",
        "x-xz",
        "bzip",
        "x-rar",
        "openxmlformats",
        "opendocument",
        "epub",
        "mpeg",
        "ogg",
        "flac",
        "aac",
    ];
    kind.type_() == "video" || packed.iter().any(|word| kind.subtype().as_str().contains(word))
}

/// Where the archive is written to, on a thread that may wait.
struct Pipe {
    writer: DuplexStream,
    runtime: Handle,
    /// Nothing more goes through.
    closed: Arc<AtomicBool>,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.closed.load(Ordering::Relaxed) {
            return Ok(bytes.len());
        }
        let written = self.runtime.block_on(self.writer.write(bytes));
        if written.is_err() {
            self.closed.store(true, Ordering::Relaxed);
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The zip of a folder, as it is packed. It ends only when all went well.
pub(crate) struct Packed {
    reader: DuplexStream,
    packing: Option<JoinHandle<Result<()>>>,
}

impl AsyncRead for Packed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.reader).poll_read(context, buffer))?;
        if buffer.filled().len() > before || buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let Some(packing) = &mut self.packing else { return Poll::Ready(Ok(())) };
        let packed = ready!(Pin::new(packing).poll(context));
        self.packing = None;
        Poll::Ready(packed.map_err(io::Error::other)?.map_err(io::Error::other))
    }
}
