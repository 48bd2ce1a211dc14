//! Checksums of a blob's blocks, kept in its file behind the bytes, so that any range is compared before it is served.
//! Each is of the file's name and the block's number as well: a file or a block in another's place is no match.

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use s3s::crypto::{Checksum as _, Crc32c};

/// So many bytes have a checksum of their own; the last block may be shorter.
pub(crate) const BLOCK: u64 = 32 * 1024;
/// A CRC32C.
const SUM: u64 = 4;

/// The length of the file of a blob of this size.
pub(crate) fn file_length(size: u64) -> u64 {
    size + size.div_ceil(BLOCK) * SUM
}

/// Computes the checksums of the blocks while bytes pass.
pub(crate) struct Blocks {
    name: String,
    /// The number of the current block.
    number: u64,
    sums: Vec<u8>,
    hash: Crc32c,
    /// Bytes that are still to come of the current block.
    left: usize,
}

#[expect(clippy::cast_possible_truncation, reason = "a block fits into memory")]
const FULL: usize = BLOCK as usize;

impl Blocks {
    /// Of the blob file of that name, from its beginning.
    pub(crate) fn of(name: &str) -> Self {
        Self::from(name, 0)
    }

    fn from(name: &str, number: u64) -> Self {
        let hash = begin(name, number);
        Self { name: name.to_owned(), number, sums: Vec::new(), hash, left: FULL }
    }

    pub(crate) fn update(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let (now, later) = data.split_at(self.left.min(data.len()));
            self.hash.update(now);
            self.left -= now.len();
            data = later;
            if self.left == 0 {
                self.end_block();
            }
        }
    }

    /// What stands behind the bytes.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        if self.left < FULL {
            self.end_block();
        }
        self.sums
    }

    fn end_block(&mut self) {
        self.number += 1;
        let hash = std::mem::replace(&mut self.hash, begin(&self.name, self.number));
        self.sums.extend(hash.finalize());
        self.left = FULL;
    }
}

fn begin(name: &str, number: u64) -> Crc32c {
    let mut hash = Crc32c::new();
    hash.update(name.as_bytes());
    hash.update(&number.to_le_bytes());
    hash
}

/// Whether a read may wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    Yes,
    /// Only what the system holds in memory is read.
    No,
}

/// Reads the blocks of a blob of `size` bytes that hold the `length` bytes from `start` on, at least one, and
/// compares them. Gives those bytes alone, or `InvalidData`; `None` when that would have to wait and mustn't.
pub(crate) fn read(
    file: &File,
    (name, size): (&str, u64),
    (start, length): (u64, u64),
    buffers: &Arc<Buffers>,
    wait: Wait,
) -> io::Result<Option<Bytes>> {
    let first = start / BLOCK;
    let from = first * BLOCK;
    let to = (start + length).next_multiple_of(BLOCK).min(size);
    let blocks = (to - from).div_ceil(BLOCK);
    let mut data = buffers.take(usize_of(to - from)?);
    let mut sums = vec![0; usize_of(blocks * SUM)?];
    if !read_at(file, data.as_mut(), from, wait)?
        || !read_at(file, &mut sums, size + first * SUM, wait)?
    {
        return Ok(None);
    }
    let mut found = Blocks::from(name, first);
    found.update(data.as_ref());
    if found.finish() != sums {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a blob isn't what was stored"));
    }
    let skip = usize_of(start - from)?;
    Ok(Some(Bytes::from_owner(data).slice(skip..skip + usize_of(length)?)))
}

/// Large buffers that were used before: the system takes longer to give new memory than to fill it.
#[derive(Default)]
pub(crate) struct Buffers(Mutex<Vec<Vec<u8>>>);

/// What the largest buffers hold; smaller ones aren't kept.
pub(crate) const LARGE: usize = 256 * 1024;
/// So many are kept.
const KEPT: usize = 16;

impl Buffers {
    fn take(self: &Arc<Self>, length: usize) -> Buffer {
        let home = (length > LARGE / 2 && length <= LARGE).then(|| Arc::clone(self));
        let used = home.as_ref().and_then(|home| home.kept().pop());
        let bytes = used.unwrap_or_else(|| vec![0; if home.is_some() { LARGE } else { length }]);
        Buffer { bytes, length, home }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Buffer {
    bytes: Vec<u8>,
    length: usize,
    home: Option<Arc<Buffers>>,
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl AsMut<[u8]> for Buffer {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.length]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(home) = self.home.take() else { return };
        let mut kept = home.kept();
        if kept.len() < KEPT {
            kept.push(std::mem::take(&mut self.bytes));
        }
    }
}

fn usize_of(length: u64) -> io::Result<usize> {
    usize::try_from(length).map_err(io::Error::other)
}

/// Fills the buffer; gives whether it could without waiting, where it mustn't.
fn read_at(file: &File, buffer: &mut [u8], offset: u64, wait: Wait) -> io::Result<bool> {
    match wait {
        Wait::Yes => read_exact_at(file, buffer, offset).map(|()| true),
        Wait::No => Ok(read_cached_at(file, buffer, offset)),
    }
}

/// What goes wrong here is told by the read that may wait.
#[cfg(target_os = "linux")]
fn read_cached_at(file: &File, buffer: &mut [u8], offset: u64) -> bool {
    use rustix::io::{ReadWriteFlags, preadv2};
    let wanted = buffer.len();
    let read = preadv2(file, &mut [io::IoSliceMut::new(buffer)], offset, ReadWriteFlags::NOWAIT);
    read == Ok(wanted)
}

#[cfg(not(target_os = "linux"))]
fn read_cached_at(_: &File, _: &mut [u8], _: u64) -> bool {
    false
}

#[cfg(unix)]
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buffer, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                buffer = &mut buffer[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    use proptest::prelude::*;

    fn blob(data: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("a file");
        let mut blocks = Blocks::of("name");
        for some in data.chunks(50_000) {
            blocks.update(some);
        }
        file.write_all(data).and_then(|()| file.write_all(&blocks.finish())).expect("written");
        file
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_range_is_read_and_any_flipped_bit_near_it_is_found(
            size in 1_u64..300_000, at in any::<prop::sample::Index>(), end in any::<prop::sample::Index>(),
            flip in any::<prop::sample::Index>(),
        ) {
            let data: Vec<u8> = (0..size).map(|place| u8::try_from(place % 251).expect("small")).collect();
            let file = blob(&data);
            prop_assert_eq!(file.metadata().expect("metadata").len(), file_length(size));
            let start = at.index(data.len());
            let length = 1 + end.index(data.len() - start);
            let (from, much) = (start as u64, length as u64);
            let buffers = Arc::default();
            for wait in [Wait::Yes, Wait::No] {
                let read = read(&file, ("name", size), (from, much), &buffers, wait).expect("whole");
                prop_assert!(read.is_some() || wait == Wait::No);
                prop_assert!(read.is_none_or(|read| read == data[start..start + length]));
            }

            let flipped = start + flip.index(length);
            let mut damaged = data.clone();
            damaged[flipped] ^= 1;
            let mut sums = Blocks::of("name");
            sums.update(&data);
            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(&damaged).and_then(|()| file.write_all(&sums.finish())).expect("written");
            prop_assert!(read(&file, ("name", size), (from, much), &buffers, Wait::Yes).is_err());
        }
    }
}
