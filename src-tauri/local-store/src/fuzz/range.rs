//! Ranges of reads and of copies.

use super::first_line;
use crate::s3::{copy, get};

/// Stands for all numbers that no size reaches.
const BEYOND: u128 = 1 << 100;

/// `SIZE`, a line end, and the value of a `Range` header for an object of that size.
pub fn range(data: &[u8]) {
    let Some((size, text)) = first_line(data) else { return };
    let (Ok(size), Ok(text)) = (size.parse::<u64>(), std::str::from_utf8(text)) else { return };
    let copied = copy::range(text, size).ok();
    let parsed = s3s::dto::Range::parse(text).ok();
    let got = parsed.and_then(|range| get::satisfiable(range, size).ok());
    for range in copied.iter().chain(&got) {
        assert!(range.start < range.end && range.end <= size, "{range:?} of {size}");
    }

    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<u128>().unwrap_or(BEYOND).min(BEYOND))
    };
    let ends = text.strip_prefix("bytes=").and_then(|ends| ends.split_once('-'));
    let (first, last) = ends.unwrap_or(("x", "x"));
    let of = |range: &Option<std::ops::Range<u64>>| {
        range.as_ref().map(|range| (u128::from(range.start), u128::from(range.end)))
    };
    let (copied, got, size) = (of(&copied), of(&got), u128::from(size));
    // s3s takes no position beyond this.
    let fits = |position: u128| position <= i64::MAX as u128;
    match (number(first), number(last)) {
        (Some(first), Some(last)) => {
            let within = first <= last && last < size;
            assert_eq!(copied, within.then_some((first, last + 1)), "a range within is copied");
            let met = first <= last && first < size && fits(last);
            assert_eq!(
                got,
                met.then(|| (first, (last + 1).min(size))),
                "a range that begins within is read"
            );
        }
        (Some(first), None) if last.is_empty() => {
            assert_eq!(copied, None, "a copy names both ends");
            let met = first < size && fits(first);
            assert_eq!(got, met.then_some((first, size)), "an open range goes to the end");
        }
        (None, Some(last)) if first.is_empty() => {
            assert_eq!(copied, None, "a copy names both ends");
            let met = last > 0 && size > 0;
            if last <= u128::from(u64::MAX) {
                assert_eq!(got, met.then(|| (size - last.min(size), size)), "a suffix is the end");
            }
        }
        _ => assert_eq!((copied, got), (None, None), "what isn't a range is refused"),
    }
}
