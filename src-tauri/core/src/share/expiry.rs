//! How long a link is to live.

use std::fmt;
use std::str::FromStr;

use crate::{Code, Error};

/// A length of life that a link can have: one second to seven days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expiry(u32);

impl Expiry {
    /// One day, the default.
    pub const DAY: Self = Self(86_400);
    /// The longest: `SigV4` allows no more.
    pub const LONGEST: Self = Self(7 * 86_400);

    /// One that was kept.
    pub(crate) fn of_seconds(seconds: u32) -> Self {
        Self(seconds.clamp(1, Self::LONGEST.0))
    }

    /// Seconds.
    pub fn seconds(self) -> u32 {
        self.0
    }
}

impl FromStr for Expiry {
    type Err = Error;

    /// A number and a unit: `90s`, `15m`, `6h`, `7d`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |message: &str| {
            Error::new(
                Code::Expiry,
                format!("«{}» {message}", text.escape_debug()),
                "Use a number and a unit, up to 7 days: 30s, 15m, 6h, 1d, 7d.",
            )
        };
        let unit = match text.chars().last() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3_600,
            Some('d') => 86_400,
            _ => return Err(wrong("isn't a length of time")),
        };
        let digits = &text[..text.len() - 1];
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong("isn't a length of time"));
        }
        let seconds = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
        match seconds {
            Some(0) => Err(wrong("gives a link no time at all")),
            Some(seconds) if seconds <= u64::from(Self::LONGEST.0) => {
                Ok(Self(u32::try_from(seconds).unwrap_or(Self::LONGEST.0)))
            }
            _ => Err(wrong("is longer than any pre-signed link may live, which is 7 days")),
        }
    }
}

impl fmt::Display for Expiry {
    /// The shortest spelling: the largest unit that leaves nothing over.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (length, unit) = [(86_400, 'd'), (3_600, 'h'), (60, 'm')]
            .into_iter()
            .find(|(length, _)| self.0.is_multiple_of(*length))
            .unwrap_or((1, 's'));
        write!(f, "{}{unit}", self.0 / length)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_that_no_link_can_have_are_refused() {
        for bad in [
            "",
            "0s",
            "0",
            "-1h",
            "8d",
            "soon",
            "1",
            "d",
            "1.5h",
            "+1h",
            "1w",
            " 1h",
            "169h",
            "99999999999999999999d",
            "１h",
            "1日",
        ] {
            assert_eq!(bad.parse::<Expiry>().expect_err(bad).code, Code::Expiry);
        }
        assert_eq!("168h".parse::<Expiry>().expect("7 days"), Expiry::LONGEST);
    }

    proptest! {
        #[test]
        fn every_length_survives_its_own_spelling(seconds in 1u32..=604_800) {
            let expiry = Expiry(seconds);
            prop_assert_eq!(expiry.to_string().parse::<Expiry>().expect("its own spelling"), expiry);
        }

        #[test]
        fn no_text_makes_a_panic_or_a_link_beyond_seven_days(text in ".*") {
            if let Ok(expiry) = text.parse::<Expiry>() {
                prop_assert!((1..=604_800).contains(&expiry.seconds()));
            }
        }
    }
}
