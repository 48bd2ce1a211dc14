//! From where a link opens, and how long its file stays.

use jiff::{SignedDuration, Timestamp};

use super::clean_up::still_on_disk;
use super::{Known, Link, Share};
use crate::Result;
use crate::lapse::Lapse;
use crate::local;
use crate::profile::{CleanUp, LOCAL, Profile, is_this_computer};

/// From where a link opens, while it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Wherever its storage is reached.
    Anywhere,
    /// On this computer, while its store runs.
    Computer,
    /// In this local network, while this computer is in it. It isn't encrypted.
    Network,
    /// It names an address where the local store doesn't listen any more.
    Nowhere,
}

impl Reach {
    /// Of a link of a profile that is this one now.
    pub(super) fn of_link(profile: &Profile, link: &Link) -> Self {
        let host = &link.facts.host;
        if !profile.is_local() {
            Self::of_host(host)
        } else if *host == profile.endpoint.authority {
            Self::Computer
        } else if profile.answers_at(host) {
            Self::Network
        } else {
            Self::Nowhere
        }
    }

    /// Of a link to a storage of the person's own: one that names this computer means another one elsewhere.
    fn of_host(host: &str) -> Self {
        if is_this_computer(host) { Self::Computer } else { Self::Anywhere }
    }

    /// Of the next link of a profile.
    fn of_profile(profile: &Profile) -> Self {
        match (&profile.link_endpoint, profile.is_local()) {
            (_, false) => Self::of_host(&profile.endpoint.authority),
            (None, true) => Self::Computer,
            (Some(_), true) => Self::Network,
        }
    }
}

/// The local store's addresses, looked at once for many shares.
pub(super) struct Places {
    /// `None` before its first start, or when it can't be read: then no link of it opens.
    local: Option<Profile>,
}

impl Places {
    pub(super) fn of(lapse: &Lapse) -> Self {
        Self { local: local::profile_as_known(lapse).ok().flatten() }
    }

    pub(super) fn known(&self, share: Share, clock_ahead: SignedDuration) -> Known {
        let now = Timestamp::now() + clock_ahead;
        let link = share.link(now).cloned();
        let reach = match (share.profile == LOCAL, &self.local, &link) {
            (false, _, Some(link)) => Reach::of_host(&link.facts.host),
            (false, _, None) => Reach::Anywhere,
            (true, None, None) => Reach::Computer,
            (true, None, Some(_)) => Reach::Nowhere,
            (true, Some(local), Some(link)) => Reach::of_link(local, link),
            (true, Some(local), None) => Reach::of_profile(local),
        };
        let lives = |link: &&Link| share.revoked_at.is_none() && link.is_live(now);
        Known {
            state: share.state(now),
            link,
            reach,
            live_links: share.links.iter().filter(lives).count(),
            clock_ahead,
            share,
        }
    }
}

impl Lapse {
    /// From where the next link of a profile opens.
    pub fn reach(&self, profile: &str) -> Result<Reach> {
        if profile != LOCAL {
            return Ok(Reach::of_profile(&self.settings()?.profile(profile)?));
        }
        let local = local::profile_as_known(self)?;
        Ok(local.map_or(Reach::Computer, |local| Reach::of_profile(&local)))
    }

    /// When a share's object is deleted from the bucket by itself, as the profile's setting and the file on the
    /// disk are now; `None` when it stays or is gone already.
    pub fn kept_until(&self, share: &Share) -> Result<Option<Timestamp>> {
        let clean_up = if share.profile == LOCAL {
            CleanUp::DEFAULT
        } else {
            let settings = self.settings()?;
            if settings.names().contains(&share.profile) {
                settings.profile(&share.profile)?.clean_up
            } else {
                CleanUp::Never
            }
        };
        let gone = share.revoked_at.is_some() || share.cleaned || share.etag.is_none();
        let (CleanUp::Days(days), false) = (clean_up, gone) else { return Ok(None) };
        if !still_on_disk(share) {
            return Ok(None);
        }
        let kept_for = SignedDuration::from_hours(24 * i64::from(days));
        Ok(share.ends_at().map(|end| end + kept_for))
    }

    /// Links of a profile that haven't ended and weren't revoked.
    pub fn live_links(&self, profile: &str) -> Result<u64> {
        let now = match profile {
            LOCAL => Timestamp::now(),
            name => self.clock(&self.settings()?.profile(name)?)?.now(),
        };
        self.history.live_links(profile, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_is_this_computer_is_no_other() {
        for host in [
            "127.0.0.1:8333",
            "localhost",
            "localhost:9000",
            "files.localhost:9000",
            "[::1]:80",
            "[::1]",
        ] {
            assert_eq!(Reach::of_host(host), Reach::Computer, "{host}");
        }
        for host in [
            "s3.example.com",
            "10.0.0.5:9000",
            "localhost.example.com",
            "[2001:db8::1]:443",
            "127.example.com",
        ] {
            assert_eq!(Reach::of_host(host), Reach::Anywhere, "{host}");
        }
    }
}
