//! What is true of a share now: derived from facts, never stored.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::Share;
use crate::Code;
use crate::storage::{LinkFacts, Seen};

/// One signing of a share.
#[derive(Debug, Clone)]
pub struct Link {
    /// Its row in the database.
    pub(crate) row: i64,
    /// Every input of the link but the secret.
    pub facts: LinkFacts,
    /// Why it ends earlier than asked, or may.
    pub limited_by: Option<Code>,
    /// Whether the keys that signed it were temporary.
    pub temporary: bool,
    /// The role by whose session, where that is known.
    pub(crate) role: Option<String>,
    /// When the storage was last asked about it, and what it said.
    pub checked: Option<(Timestamp, Seen)>,
    /// When it was taken back alone: its key was switched off, or its object moved away.
    pub revoked_at: Option<Timestamp>,
}

impl Link {
    /// Whether its time isn't over and it wasn't taken back, at the server's time `now`.
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.facts.ends_at() > now
    }

    /// What was seen of it since `at`.
    pub(crate) fn seen_since(&self, at: Timestamp) -> Option<Seen> {
        self.checked.filter(|(when, _)| *when >= at).map(|(_, seen)| seen)
    }
}

/// Whether a share's bytes are on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnderWay {
    /// No living process sends them.
    No,
    Yes,
    /// A process holds them until the person lets it go on.
    Paused,
    /// No process sends them now; one can go on with that.
    Waits,
}

/// Why a link that should work doesn't.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreachable {
    /// The object isn't in the bucket.
    ObjectGone,
    /// The key that signed is switched off or deleted.
    KeyOff,
    /// The storage refuses the link before its end, and says no more.
    Refused,
    /// The storage doesn't listen at the link's address now.
    NoAddress,
    /// The storage didn't answer, or not as one.
    NoAnswer,
}

/// What a share is, seen from the time of its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// A process is sending it.
    Uploading,
    /// What is missing is sent once the person, or Lapse's next start, goes on with it.
    Paused,
    /// The upload ended before its time.
    Failed(String),
    /// The link lives.
    Active,
    /// The link lives, and ends earlier than was asked.
    CutShort(Code),
    /// The time of all its links is over.
    Expired,
    /// It was taken back at this time: its object was deleted or moved, or the key that signed was switched off.
    Revoked(Timestamp),
    /// Its time isn't over, but the last check found no way to the file.
    Unreachable(Unreachable),
}

impl State {
    /// The stable name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Uploading => "uploading",
            Self::Paused => "paused",
            Self::Failed(_) => "failed",
            Self::Active => "active",
            Self::CutShort(_) => "cut_short",
            Self::Expired => "expired",
            Self::Revoked(_) => "revoked",
            Self::Unreachable(_) => "unreachable",
        }
    }

    /// Whether the link is meant to work now.
    pub fn is_alive(&self) -> bool {
        matches!(self, Self::Active | Self::CutShort(_) | Self::Unreachable(_))
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Share {
    /// The state at `now`, which is the server's time.
    pub fn state(&self, now: Timestamp) -> State {
        if let Some(at) = self.revoked_at {
            return self.revoked(at, now);
        }
        if let Some(reason) = &self.failed {
            return State::Failed(reason.clone());
        }
        if self.links.is_empty() {
            return match self.under_way {
                UnderWay::Paused | UnderWay::Waits => State::Paused,
                UnderWay::Yes => State::Uploading,
                UnderWay::No => {
                    State::Failed("the upload was interrupted; share the file again".to_owned())
                }
            };
        }
        let Some(link) = self.live_link(now) else { return State::Expired };
        if let Some(at) = link.revoked_at {
            return self.taken_back(at, now);
        }
        match link.checked.map(|(_, seen)| seen) {
            Some(Seen::Gone) => State::Unreachable(Unreachable::ObjectGone),
            Some(Seen::KeyOff) => State::Unreachable(Unreachable::KeyOff),
            Some(Seen::Refused) => State::Unreachable(Unreachable::Refused),
            Some(Seen::NoAddress) => State::Unreachable(Unreachable::NoAddress),
            Some(Seen::NotKnown) => State::Unreachable(Unreachable::NoAnswer),
            Some(Seen::Works) | None => match link.limited_by {
                Some(code @ (Code::SignInEnds | Code::ProviderCap)) => State::CutShort(code),
                _ => State::Active,
            },
        }
    }

    /// Revoked means measured: all links open the same object, so one that was refused since then proves it, and one that
    /// still works disproves it. That a key is off speaks for its own links alone. With none left to ask, their time is over
    /// anyway.
    fn revoked(&self, at: Timestamp, now: Timestamp) -> State {
        let alive = self.links.iter().filter(|link| link.facts.ends_at() > now);
        let seen: Vec<_> = alive.map(|link| link.seen_since(at)).collect();
        if seen.contains(&Some(Seen::Works)) {
            State::Active
        } else if seen.iter().any(|seen| matches!(seen, Some(Seen::Gone | Seen::Refused)))
            || seen.iter().all(|seen| seen.is_some_and(Seen::is_refusal))
        {
            State::Revoked(at)
        } else {
            State::Unreachable(Unreachable::NoAnswer)
        }
    }

    /// Every link that could open was taken back alone. Each must have been refused since: they needn't have the same
    /// key or object.
    fn taken_back(&self, at: Timestamp, now: Timestamp) -> State {
        let alive = self.links.iter().filter(|link| link.facts.ends_at() > now);
        let seen: Vec<_> =
            alive.map(|link| link.seen_since(link.revoked_at.unwrap_or(at))).collect();
        if seen.contains(&Some(Seen::Works)) {
            State::Active
        } else if seen.iter().all(|seen| seen.is_some_and(Seen::is_refusal)) {
            State::Revoked(at)
        } else {
            State::Unreachable(Unreachable::NoAnswer)
        }
    }

    /// When the link that decides the state was last checked.
    pub fn checked_at(&self) -> Option<Timestamp> {
        self.links.iter().filter_map(|link| link.checked.map(|(at, _)| at)).max()
    }
}
