//! Checksums of a blob's blocks, kept in its file behind the bytes, so that any range is compared before it is served.

use std::fs::File;
use std::io;

use s3s::crypto::{Checksum as _, Crc32c};

/// So many bytes have a checksum of their own; the last block may be shorter.
pub(crate) const BLOCK: u64 = 64 * 1024;
/// A CRC32C.
const SUM: u64 = 4;

/// The length of the file of a blob of this size.
pub(crate) fn file_length(size: u64) -> u64 {
    size + size.div_ceil(BLOCK) * SUM
}

/// Computes the checksums of the blocks while bytes pass.
pub(crate) struct Blocks {
    sums: Vec<u8>,
    hash: Crc32c,
    /// Bytes that are still to come of the current block.
    left: usize,
}

#[expect(clippy::cast_possible_truncation, reason = "a block fits into memory")]
const FULL: usize = BLOCK as usize;

impl Blocks {
    pub(crate) fn new() -> Self {
        Self { sums: Vec::new(), hash: Crc32c::new(), left: FULL }
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
        let hash = std::mem::replace(&mut self.hash, Crc32c::new());
        self.sums.extend(hash.finalize());
        self.left = FULL;
    }
}

/// Reads the blocks of a blob of `size` bytes that hold the `length` bytes from `start` on, at least one, and
/// compares them. Gives those bytes alone, or `InvalidData`.
pub(crate) fn read(file: &File, size: u64, start: u64, length: u64) -> io::Result<bytes::Bytes> {
    let first = start / BLOCK;
    let from = first * BLOCK;
    let to = (start + length).next_multiple_of(BLOCK).min(size);
    let blocks = (to - from).div_ceil(BLOCK);
    let mut data = vec![0; usize_of(to - from)?];
    let mut sums = vec![0; usize_of(blocks * SUM)?];
    read_at(file, &mut data, from)?;
    read_at(file, &mut sums, size + first * SUM)?;
    let mut found = Blocks::new();
    found.update(&data);
    if found.finish() != sums {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a blob isn't what was stored"));
    }
    let skip = usize_of(start - from)?;
    Ok(bytes::Bytes::from(data).slice(skip..skip + usize_of(length)?))
}

fn usize_of(length: u64) -> io::Result<usize> {
    usize::try_from(length).map_err(io::Error::other)
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
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
        let mut blocks = Blocks::new();
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
            prop_assert_eq!(&read(&file, size, from, much).expect("whole")[..], &data[start..start + length]);

            let flipped = start + flip.index(length);
            let mut damaged = data.clone();
            damaged[flipped] ^= 1;
            let mut sums = Blocks::new();
            sums.update(&data);
            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(&damaged).and_then(|()| file.write_all(&sums.finish())).expect("written");
            prop_assert!(read(&file, size, from, much).is_err());
        }
    }
}
