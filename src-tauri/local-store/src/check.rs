//! Verifies every blob, hosted or not.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use s3s::crypto::{Checksum as _, Crc64Nvme};

use crate::blocks::{self, Blocks};
use crate::index::{self, Piece};
use crate::{Error, blobs};

/// How much is read at once.
const READ: usize = 256 * 1024;

/// What [`check`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Blob files that were read; several objects may share one.
    pub files: u64,
    /// The sum of their sizes in bytes.
    pub bytes: u64,
    /// What isn't as it was stored.
    pub damaged: Vec<Damaged>,
}

/// An object, or a part of an unfinished upload, whose blob isn't as it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// Whether it is a part of an upload that isn't finished.
    pub unfinished: bool,
    /// The blob file's name in the store's folder `blobs`.
    pub file: String,
    /// What is wrong with it.
    pub damage: Damage,
}

/// What is wrong with a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The file isn't there.
    Missing,
    /// The file is shorter or longer than what was stored.
    Size,
    /// The bytes aren't those that were stored.
    Bytes,
    /// The disk doesn't give the bytes.
    Unreadable,
}

/// Reads every blob of the store in `dir` and compares it with the checksum that was kept when it was
/// stored. `progress` hears after each file how many bytes were read so far.
///
/// What is deleted or replaced meanwhile isn't reported. Nothing is changed.
///
/// Errors: as [`crate::usage`]; a blob that can't be read is a finding, not an error.
pub fn check(dir: &Path, mut progress: impl FnMut(u64)) -> Result<Checked, Error> {
    let mut checked = Checked::default();
    let Some(index) = index::Reader::open(dir)? else { return Ok(checked) };
    let mut last = String::new();
    loop {
        let page = index.blobs_after(&last)?;
        let Some(end) = page.last() else { return Ok(checked) };
        last.clone_from(&end.file);
        for piece in page {
            let damage = verify(&blobs::folder(dir).join(&piece.file), &piece).err();
            if let Some(damage) = damage {
                // None is left when it was deleted after we had asked.
                checked.damaged.extend(index.owners(&piece.file)?.into_iter().map(
                    |(bucket, key, unfinished)| Damaged {
                        bucket,
                        key,
                        unfinished,
                        file: piece.file.clone(),
                        damage,
                    },
                ));
            }
            checked.files += 1;
            checked.bytes += piece.size;
            progress(checked.bytes);
        }
    }
}

fn verify(path: &Path, piece: &Piece) -> Result<(), Damage> {
    let failed = |error: &io::Error| match error.kind() {
        io::ErrorKind::NotFound => Damage::Missing,
        _ => Damage::Unreadable,
    };
    let mut file = File::open(path).map_err(|error| failed(&error))?;
    if file.metadata().map_err(|error| failed(&error))?.len() != blocks::file_length(piece.size) {
        return Err(Damage::Size);
    }
    let (crc64, blocks) = sums(&mut file, piece).map_err(|error| failed(&error))?;
    let mut kept = Vec::new();
    file.read_to_end(&mut kept).map_err(|error| failed(&error))?;
    if crc64 == piece.crc64 && blocks == kept { Ok(()) } else { Err(Damage::Bytes) }
}

/// CRC64NVME of a blob's bytes, and the checksums of their blocks. The file stands before them, then behind them.
pub(crate) fn sums(file: &mut File, piece: &Piece) -> io::Result<([u8; 8], Vec<u8>)> {
    let (mut whole, mut blocks) = (Crc64Nvme::new(), Blocks::of(&piece.file));
    let mut buffer = vec![0; READ];
    let mut bytes = file.take(piece.size);
    loop {
        match bytes.read(&mut buffer) {
            Ok(0) => return Ok((whole.finalize(), blocks.finish())),
            Ok(length) => {
                whole.update(&buffer[..length]);
                blocks.update(&buffer[..length]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
