//! A file and its link.

mod ask;
mod clean_up;
mod expiry;
mod folder;
mod make;
mod name;
mod reach;
mod revoke;
mod source;
mod state;
mod upload;
mod uploads;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use jiff::Timestamp;
use serde::{Serialize, Serializer};

pub use ask::Known;
pub use expiry::Expiry;
pub(crate) use make::allowed;
pub use make::{Request, Shared};
pub(crate) use name::{content_type, disposition, label, object_key};
pub use reach::Reach;
pub(crate) use revoke::{AT_ONCE, Move};
pub use revoke::{File, Revoked};
pub use source::Source;
pub(crate) use source::{Fingerprint, OpenFile, Origin, open_directly};
pub(crate) use state::UnderWay;
pub use state::{Link, State, Unreachable};
pub use upload::Unfinished;
pub(crate) use upload::can_go_on;
pub(crate) use uploads::{Reins, Uploads};

use crate::storage::Seen;
use crate::{Code, Error, Result};

/// Letters and digits of a whole id.
const WHOLE: usize = 10;

/// Names a share: ten letters and digits, or as many of its first ones as are enough.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShareId(String);

impl ShareId {
    /// A new one, at random.
    pub fn random() -> Self {
        let mut text = random_step();
        text.truncate(WHOLE);
        Self(text)
    }

    /// Whether it isn't only the beginning of one.
    pub(crate) fn is_whole(&self) -> bool {
        self.0.len() == WHOLE
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ShareId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let low = text.to_ascii_lowercase();
        let plain = low.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'));
        if plain && (1..4).contains(&low.len()) {
            return Err(Error::new(
                Code::NoSuchShare,
                format!("«{low}» is too short to name a share"),
                "Write at least 4 letters of its id; `lapse list` shows them.",
            ));
        }
        if !plain || !(4..=WHOLE).contains(&low.len()) {
            return Err(no_such_share(text));
        }
        Ok(Self(low))
    }
}

impl fmt::Display for ShareId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ShareId {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

pub(crate) fn no_such_share(id: &str) -> Error {
    Error::new(
        Code::NoSuchShare,
        format!("there is no share «{}»", id.chars().take(40).collect::<String>().escape_debug()),
        "See them with `lapse list`.",
    )
}

/// 128 random bits as text: what makes an object's key unguessable.
pub(crate) fn random_step() -> String {
    let bytes: [u8; 16] = rand::random();
    BASE32_NOPAD.encode(&bytes).to_lowercase()
}

/// One object and its links, as facts.
#[derive(Debug, Clone)]
pub struct Share {
    /// Its name here.
    pub id: ShareId,
    /// The profile it was made with.
    pub profile: String,
    /// The bucket.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// The file's own name.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// The etag, once the object is there.
    pub etag: Option<String>,
    /// Where the bytes came from.
    pub(crate) origin: Origin,
    /// What the person groups it by.
    pub label: Option<String>,
    /// The watched folder that it came from.
    pub folder: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Why the upload didn't end well.
    pub failed: Option<String>,
    /// When its object was deleted to take it back.
    pub revoked_at: Option<Timestamp>,
    /// One for each signing, the oldest first.
    pub links: Vec<Link>,
    /// Whether the person took it off the list.
    pub(crate) hidden: bool,
    /// Whether its object was deleted after its last link had ended.
    pub(crate) cleaned: bool,
    /// Whether a live process is uploading it now.
    pub(crate) under_way: UnderWay,
    /// Bytes of an upload that isn't over which the storage is known to have.
    pub arrived: u64,
    /// Why its upload waits.
    pub trouble: Option<String>,
}

impl Share {
    /// The link that tells the share's state and is given again: of those that live at `now`, and weren't taken back,
    /// one that was seen to work, else one not asked about; of equals the one that ends last. With none alive, the last to end.
    pub fn link(&self, now: Timestamp) -> Option<&Link> {
        let rank = |link: &&Link| {
            let end = link.facts.ends_at();
            let seen = match link.checked {
                Some((_, Seen::Works)) => 2,
                None => 1,
                Some(_) => 0,
            };
            let alive = end > now;
            (alive, alive && link.revoked_at.is_none(), if alive { seen } else { 0 }, end)
        };
        self.links.iter().max_by_key(rank)
    }

    /// When the last of its links ends.
    pub fn ends_at(&self) -> Option<Timestamp> {
        self.links.iter().map(|link| link.facts.ends_at()).max()
    }

    /// The same as [`Self::link`], of a share with a link that lives.
    pub fn live_link(&self, now: Timestamp) -> Option<&Link> {
        self.link(now).filter(|link| link.facts.ends_at() > now)
    }

    /// The file or folder that it was made from, where it was one.
    pub fn file(&self) -> Option<&Path> {
        match &self.origin {
            Origin::File { path, .. } | Origin::Folder { path, .. } => Some(path),
            Origin::Stdin | Origin::Object => None,
        }
    }

    pub(crate) fn fingerprint(&self) -> Option<Fingerprint> {
        match &self.origin {
            Origin::File { fingerprint, .. } | Origin::Folder { fingerprint, .. } => {
                Some(*fingerprint)
            }
            Origin::Stdin | Origin::Object => None,
        }
    }

    /// Whether Lapse may delete the object: only one that it made.
    pub fn is_ours(&self) -> bool {
        !matches!(self.origin, Origin::Object)
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;

    use super::*;
    use crate::profile::{Draft, SignIn};
    use crate::storage::LinkFacts;

    fn share(links: &[(i64, Option<Seen>)], now: Timestamp) -> Share {
        let draft = Draft {
            name: "work".into(),
            provider: "aws".into(),
            region: Some("eu-central-1".into()),
            bucket: "files".into(),
            sign_in: Some(SignIn::AwsDefault),
            ..Draft::default()
        };
        let profile = draft.build().expect("a good profile");
        let link = |(row, (hours, seen)): (i64, &(i64, Option<Seen>))| Link {
            row,
            facts: LinkFacts::new(&profile, "k", "A", now + (hours - 1).hours(), 3600),
            limited_by: None,
            temporary: false,
            role: None,
            checked: seen.map(|seen| (now, seen)),
            revoked_at: None,
        };
        Share {
            id: ShareId::random(),
            profile: "work".into(),
            bucket: "files".into(),
            key: "k".into(),
            name: "k".into(),
            size: 1,
            etag: Some("e".into()),
            origin: Origin::Stdin,
            label: None,
            folder: None,
            created_at: now,
            failed: None,
            revoked_at: None,
            hidden: false,
            cleaned: false,
            links: (0..).zip(links).map(link).collect(),
            under_way: UnderWay::No,
            arrived: 0,
            trouble: None,
        }
    }

    #[test]
    fn a_link_that_works_speaks_for_the_share() {
        let now = Timestamp::now();
        for (links, chosen, state) in [
            (&[(2, None), (9, None), (5, None)][..], 1, "active"),
            (&[(9, Some(Seen::KeyOff)), (2, Some(Seen::Works)), (1, None)], 1, "active"),
            (&[(9, Some(Seen::KeyOff)), (2, None)], 1, "active"),
            (&[(9, Some(Seen::KeyOff)), (-2, Some(Seen::Works))], 0, "unreachable"),
            (&[(-9, Some(Seen::Works)), (-2, None)], 1, "expired"),
        ] {
            let share = share(links, now);
            assert_eq!(share.link(now).map(|link| link.row), Some(chosen), "{links:?}");
            assert_eq!(share.state(now).as_str(), state, "{links:?}");
        }
    }

    #[test]
    fn each_link_that_was_taken_back_alone_must_have_been_refused_since() {
        let now = Timestamp::now();
        let (taken, not) = (true, false);
        for (links, state) in [
            (&[(5, Some(Seen::KeyOff), taken)][..], "revoked"),
            (&[(5, None, taken)], "unreachable"),
            (&[(5, Some(Seen::KeyOff), taken), (6, Some(Seen::NotKnown), taken)], "unreachable"),
            (&[(5, Some(Seen::KeyOff), taken), (6, Some(Seen::Works), taken)], "active"),
            // A new one speaks for the share, and one that has ended doesn't.
            (&[(9, Some(Seen::KeyOff), taken), (5, None, not)], "active"),
            (&[(9, Some(Seen::KeyOff), taken), (-5, None, not)], "revoked"),
            (&[(-5, Some(Seen::KeyOff), taken)], "expired"),
        ] {
            let facts: Vec<_> = links.iter().map(|(hours, seen, _)| (*hours, *seen)).collect();
            let mut share = share(&facts, now);
            for (link, (_, _, is_taken)) in share.links.iter_mut().zip(links) {
                link.revoked_at = is_taken.then_some(now);
            }
            assert_eq!(share.state(now).as_str(), state, "{links:?}");
            // Seen before it was taken back proves nothing.
            for link in &mut share.links {
                link.revoked_at = link.revoked_at.map(|at| at + 1.hours());
            }
            let later = if state == "revoked" { "unreachable" } else { state };
            assert!([later, "unreachable"].contains(&share.state(now).as_str()), "{links:?}");
        }
    }

    #[test]
    fn only_a_refusal_seen_since_proves_a_revoke() {
        let now = Timestamp::now();
        for (links, state) in [
            (&[(5, None)][..], "unreachable"),
            (&[(5, Some(Seen::NotKnown))], "unreachable"),
            (&[(5, Some(Seen::NotKnown)), (6, Some(Seen::Gone))], "revoked"),
            (&[(5, Some(Seen::Works)), (6, Some(Seen::Gone))], "active"),
            (&[(-5, Some(Seen::Works))], "revoked"),
        ] {
            let mut share = share(links, now);
            share.revoked_at = Some(now);
            assert_eq!(share.state(now).as_str(), state, "{links:?}");
            share.revoked_at = Some(now + 1.hours());
            let later = if links[0].0 < 0 { "revoked" } else { "unreachable" };
            assert_eq!(share.state(now).as_str(), later, "seen before the revoke: {links:?}");
        }
    }
}
