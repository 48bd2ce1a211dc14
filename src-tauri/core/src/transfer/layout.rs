//! How a file is cut into parts.

use std::ops::RangeInclusive;

pub(crate) const MIB: u64 = 1024 * 1024;
/// Up to here one request is quicker than three.
pub(crate) const ONE_PUT: u64 = 16 * MIB;
/// S3 wants at least 5 MiB for all parts but the last. What is under way when an upload is cut off is sent again, so
/// parts are no larger than makes them quick.
const PART: u64 = 8 * MIB;
/// S3 takes no more parts than this.
pub(super) const MOST_PARTS: u64 = 10_000;
/// The largest object of S3.
pub(super) const LARGEST: u64 = 5 * 1024 * 1024 * MIB;

/// The parts of an object of this size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) size: u64,
    /// Bytes of each part but the last.
    pub(super) part: u64,
}

/// Larger than usual only where 10,000 of those wouldn't do.
pub(crate) fn part_size(size: u64) -> u64 {
    size.div_ceil(MOST_PARTS).next_multiple_of(MIB).max(PART)
}

impl Layout {
    pub(super) fn count(self) -> u32 {
        u32::try_from(self.size.div_ceil(self.part)).unwrap_or(u32::MAX)
    }

    /// The numbers of its parts.
    pub(super) fn numbers(self) -> RangeInclusive<u32> {
        1..=self.count()
    }

    /// Where a part begins, and its length.
    pub(super) fn range(self, number: u32) -> (u64, u64) {
        let offset = u64::from(number.saturating_sub(1)) * self.part;
        (offset, self.part.min(self.size.saturating_sub(offset)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(size: u64) -> Result<(), TestCaseError> {
        let layout = Layout { size, part: part_size(size) };
        prop_assert!(u64::from(layout.count()) <= MOST_PARTS);
        let mut end = 0;
        for number in layout.numbers() {
            let (offset, length) = layout.range(number);
            prop_assert_eq!(offset, end);
            prop_assert!(length >= 5 * MIB || number == layout.count());
            prop_assert!(length > 0 && length <= 5 * 1024 * MIB);
            end += length;
        }
        prop_assert_eq!(end, size);
        Ok(())
    }

    proptest! {
        #[test]
        fn parts_cover_any_file_once_and_are_few_enough(size in ONE_PUT + 1..=LARGEST) {
            check(size)?;
        }

        #[test]
        fn also_where_parts_begin_to_grow(near in 0..4_u64, more in 0..3_u64, less in 0..3_u64) {
            check((near + 1) * MOST_PARTS * PART + more - less)?;
            check(LARGEST - near)?;
            check(near * PART + ONE_PUT + 1 + more)?;
        }
    }
}
