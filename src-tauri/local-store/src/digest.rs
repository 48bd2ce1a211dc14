//! Checksums: what a request asks to be verified, and what was computed.

use std::thread;

use bytes::Bytes;
use data_encoding::BASE64;
use s3s::crypto::{Checksum as Hash, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use serde::{Deserialize, Serialize};

use crate::blocks::Blocks;

/// To start a thread takes as long as to hash some 20 KiB.
const MUCH: usize = 256 * 1024;

/// A checksum algorithm that S3 clients may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Algorithm {
    #[serde(rename = "CRC32")]
    Crc32,
    #[serde(rename = "CRC32C")]
    Crc32c,
    #[serde(rename = "CRC64NVME")]
    Crc64Nvme,
    #[serde(rename = "SHA1")]
    Sha1,
    #[serde(rename = "SHA256")]
    Sha256,
}

impl Algorithm {
    /// All of them.
    pub(crate) const ALL: [Self; 5] =
        [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// The name in S3's XML and headers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The algorithm of that name.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// The header or trailer that carries a value of it.
    pub(crate) fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// The length of a value in bytes.
    pub(crate) fn length(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// The checksum of `data`.
    pub(crate) fn of(self, data: &[u8]) -> Vec<u8> {
        let mut hasher = Extra::new(self);
        hasher.update(data);
        hasher.finish()
    }

    /// The checksum of two pieces of data joined, from theirs; `None` for hashes, which can't be joined.
    pub(crate) fn join(self, first: &[u8], second: &[u8], second_length: u64) -> Option<Vec<u8>> {
        let algorithm = match self {
            Self::Crc32 => crc_fast::CrcAlgorithm::Crc32IsoHdlc,
            Self::Crc32c => crc_fast::CrcAlgorithm::Crc32Iscsi,
            Self::Crc64Nvme => crc_fast::CrcAlgorithm::Crc64Nvme,
            Self::Sha1 | Self::Sha256 => return None,
        };
        let joined =
            crc_fast::checksum_combine(algorithm, number(first), number(second), second_length);
        Some(joined.to_be_bytes()[8 - self.length()..].to_vec())
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// Hashes data as it comes in: MD5 for the `ETag`, CRC64NVME of the whole and checksums of its blocks to find damage
/// later, and what the client asked for.
pub(crate) struct Hasher {
    md5: Md5,
    crc64: Crc64Nvme,
    blocks: Blocks,
    extra: Option<(Algorithm, Extra)>,
}

/// What a [`Hasher`] computed.
pub(crate) struct Sums {
    pub(crate) md5: [u8; 16],
    pub(crate) crc64: [u8; 8],
    extra: Option<(Algorithm, Vec<u8>)>,
}

impl Hasher {
    /// For the blob file of that name.
    pub(crate) fn new(blob: &str, asked: Option<Algorithm>) -> Self {
        let extra = asked.filter(|algorithm| *algorithm != Algorithm::Crc64Nvme);
        Self {
            md5: Md5::new(),
            crc64: Crc64Nvme::new(),
            blocks: Blocks::of(blob),
            extra: extra.map(|algorithm| (algorithm, Extra::new(algorithm))),
        }
    }

    /// Hashes the next chunks while `beside` is done. MD5 takes as long as all else together, so it has a thread
    /// of its own when there is much.
    pub(crate) fn update<T>(&mut self, chunks: &[Bytes], beside: impl FnOnce() -> T) -> T {
        let Self { md5, crc64, blocks, extra } = self;
        let mut of_md5 = || chunks.iter().for_each(|chunk| md5.update(chunk));
        let others = || {
            for chunk in chunks {
                crc64.update(chunk);
                blocks.update(chunk);
                if let Some((_, extra)) = extra {
                    extra.update(chunk);
                }
            }
            beside()
        };
        if chunks.iter().map(Bytes::len).sum::<usize>() < MUCH {
            of_md5();
            return others();
        }
        thread::scope(|scope| {
            scope.spawn(of_md5);
            others()
        })
    }

    /// The sums of the whole, and those of the blocks.
    pub(crate) fn finish(self) -> (Sums, Vec<u8>) {
        let sums = Sums {
            md5: self.md5.finalize(),
            crc64: self.crc64.finalize(),
            extra: self.extra.map(|(algorithm, extra)| (algorithm, extra.finish())),
        };
        (sums, self.blocks.finish())
    }
}

impl Sums {
    /// The value for the algorithm that was asked for; CRC64NVME is always there.
    pub(crate) fn get(&self, algorithm: Algorithm) -> Option<&[u8]> {
        match &self.extra {
            Some((computed, value)) if *computed == algorithm => Some(value),
            _ if algorithm == Algorithm::Crc64Nvme => Some(&self.crc64),
            _ => None,
        }
    }
}

/// Hashes by one algorithm.
pub(crate) enum Extra {
    Crc32(Crc32),
    Crc32c(Crc32c),
    Crc64Nvme(Crc64Nvme),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Extra {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Crc32 => Self::Crc32(Crc32::new()),
            Algorithm::Crc32c => Self::Crc32c(Crc32c::new()),
            Algorithm::Crc64Nvme => Self::Crc64Nvme(Crc64Nvme::new()),
            Algorithm::Sha1 => Self::Sha1(Sha1::new()),
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
        }
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        match self {
            Self::Crc32(hash) => hash.update(data),
            Self::Crc32c(hash) => hash.update(data),
            Self::Crc64Nvme(hash) => hash.update(data),
            Self::Sha1(hash) => hash.update(data),
            Self::Sha256(hash) => hash.update(data),
        }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        match self {
            Self::Crc32(hash) => hash.finalize().to_vec(),
            Self::Crc32c(hash) => hash.finalize().to_vec(),
            Self::Crc64Nvme(hash) => hash.finalize().to_vec(),
            Self::Sha1(hash) => hash.finalize().to_vec(),
            Self::Sha256(hash) => hash.finalize().to_vec(),
        }
    }
}

/// The checksum that an object or a part keeps and answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stored {
    pub(crate) algorithm: Algorithm,
    /// As S3 writes it: base64, for a composite with `-N`.
    pub(crate) value: String,
    /// Whether it is the checksum of the parts' checksums rather than of the bytes.
    pub(crate) composite: bool,
}

impl Stored {
    /// The checksum of whole bytes.
    pub(crate) fn full(algorithm: Algorithm, value: &[u8]) -> Self {
        Self { algorithm, value: BASE64.encode(value), composite: false }
    }

    /// The name of its type in S3's XML and headers.
    pub(crate) fn type_name(&self) -> &'static str {
        if self.composite { "COMPOSITE" } else { "FULL_OBJECT" }
    }

    /// The value when it is of `algorithm`.
    pub(crate) fn of(&self, algorithm: Algorithm) -> Option<String> {
        (self.algorithm == algorithm).then(|| self.value.clone())
    }
}
