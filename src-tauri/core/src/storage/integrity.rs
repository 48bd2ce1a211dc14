//! Whether what arrived is what was sent.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use crc_fast::{CrcAlgorithm, Digest};
use md5::{Digest as _, Md5};

const CRC64: CrcAlgorithm = CrcAlgorithm::Crc64Nvme;

/// How a storage shows that what arrived is what was sent, as its check found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Integrity {
    /// It compares a CRC-64/NVME that is sent along: of each part, and of the whole object.
    Crc64,
    /// Its etags of single requests are the MD5 of their bytes.
    Md5,
    /// By the size alone.
    Size,
}

impl Integrity {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Crc64 => "crc64",
            Self::Md5 => "md5",
            Self::Size => "size",
        }
    }

    /// One that a newer Lapse wrote promises nothing.
    pub(crate) fn of(text: &str) -> Self {
        [Self::Crc64, Self::Md5].into_iter().find(|one| one.as_str() == text).unwrap_or(Self::Size)
    }

    /// A sum to be fed with bytes.
    pub(crate) fn summing(self) -> Summing {
        match self {
            Self::Crc64 => Summing::Crc64(Box::new(Digest::new(CRC64))),
            Self::Md5 => Summing::Md5(Md5::new()),
            Self::Size => Summing::Nothing,
        }
    }
}

/// A sum that isn't whole yet.
#[derive(Clone)]
pub(crate) enum Summing {
    Crc64(Box<Digest>),
    Md5(Md5),
    Nothing,
}

impl Summing {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc64(digest) => digest.update(bytes),
            Self::Md5(digest) => digest.update(bytes),
            Self::Nothing => {}
        }
    }

    pub(crate) fn end(self) -> Sum {
        match self {
            Self::Crc64(digest) => Sum::Crc64(digest.finalize()),
            Self::Md5(digest) => Sum::Md5(digest.finalize().into()),
            Self::Nothing => Sum::Nothing,
        }
    }
}

/// What the bytes of one request sum up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sum {
    Crc64(u64),
    Md5([u8; 16]),
    Nothing,
}

impl Sum {
    pub(crate) fn crc64(self) -> Option<u64> {
        match self {
            Self::Crc64(crc) => Some(crc),
            Self::Md5(_) | Self::Nothing => None,
        }
    }

    /// Whether the storage's answer fits. One that doesn't answer a checksum has compared the one that was sent.
    pub(crate) fn fits(self, etag: &str, answered: Option<u64>) -> bool {
        match self {
            Self::Crc64(crc) => answered.is_none_or(|answered| answered == crc),
            Self::Md5(md5) => is_md5(etag, md5),
            Self::Nothing => true,
        }
    }
}

/// Whether an etag is this MD5.
pub(crate) fn is_md5(etag: &str, md5: [u8; 16]) -> bool {
    etag.trim_matches('"').eq_ignore_ascii_case(&data_encoding::HEXLOWER.encode(&md5))
}

/// The CRC-64/NVME of parts together, from each part's and its length.
pub(crate) fn joined(parts: impl IntoIterator<Item = (u64, u64)>) -> u64 {
    parts
        .into_iter()
        .fold(0, |all, (crc, length)| crc_fast::checksum_combine(CRC64, all, crc, length))
}

/// As S3 writes it.
pub(crate) fn crc64_text(crc: u64) -> String {
    BASE64_STANDARD.encode(crc.to_be_bytes())
}

/// What S3 wrote. A composite one (`…-N`) is no sum of the whole.
pub(crate) fn crc64_of(text: &str) -> Option<u64> {
    let bytes: [u8; 8] = BASE64_STANDARD.decode(text).ok()?.try_into().ok()?;
    Some(u64::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sums_are_the_known_ones() {
        let of = |integrity: Integrity| {
            let mut summing = integrity.summing();
            summing.add(b"1234");
            summing.add(b"56789");
            summing.end()
        };
        // The check value of the CRC catalogue, and RFC 1321's way of counting.
        assert_eq!(of(Integrity::Crc64), Sum::Crc64(0xae8b_1486_0a79_9888));
        assert!(of(Integrity::Md5).fits("\"25F9E794323B453885F5181F1B624D0B\"", None));
        assert!(!of(Integrity::Md5).fits("\"25f9e794323b453885f5181f1b624d0c\"", None));
        assert!(of(Integrity::Crc64).fits("whatever", None));
        assert!(!of(Integrity::Crc64).fits("whatever", Some(1)));
        assert_eq!(crc64_text(0xae8b_1486_0a79_9888), "rosUhgp5mIg=");
        assert_eq!(crc64_of("rosUhgp5mIg="), Some(0xae8b_1486_0a79_9888));
        assert_eq!(crc64_of("rosUhgp5mIg=-2"), None);
    }

    proptest! {
        #[test]
        fn parts_sum_up_to_the_whole(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..8)) {
            let crc = |bytes: &[u8]| crc_fast::checksum(CRC64, bytes);
            let each = parts.iter().map(|part| (crc(part), part.len() as u64));
            prop_assert_eq!(joined(each), crc(&parts.concat()));
        }
    }
}
