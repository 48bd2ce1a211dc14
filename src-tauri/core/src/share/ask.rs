//! Asking the storage what is true of links, and taking them back.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use serde::Serialize;

use super::{Link, Share, ShareId, State};
use crate::lapse::Lapse;
use crate::storage::{Bucket, Seen};
use crate::{Code, Error, Result};

/// Shares that are asked about at once.
const AT_ONCE: usize = 16;
/// A link may still open for a moment after its object was deleted, where deletes take time to spread.
const SPREADING: u32 = 10;
/// Between two looks at such a link.
const PAUSE: Duration = Duration::from_millis(500);

/// A share and what is true of it.
#[derive(Debug)]
pub struct Known {
    /// The share.
    pub share: Share,
    /// Its state at the server's time.
    pub state: State,
    /// The link that tells that state; `None` before the upload is done.
    pub link: Option<Link>,
}

/// What was seen after a revoke.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Revoked {
    /// The share.
    pub id: ShareId,
    /// Its state now.
    pub state: State,
    /// Links that the storage was asked about.
    pub checked: usize,
    /// Those that it surely refuses.
    pub refused: usize,
}

fn link_not_kept(id: &ShareId) -> Error {
    Error::new(
        Code::LinkNotKept,
        format!(
            "the storage can't be asked about the share {id}: the key that signed its link is no longer kept here"
        ),
        format!(
            "The link may still work for whoever has it. `lapse revoke {id}` ends it, `lapse extend {id} --expires 1d` makes a new one."
        ),
    )
}

impl Known {
    fn at(share: Share, now: Timestamp) -> Self {
        Self { state: share.state(now), link: share.link(now).cloned(), share }
    }
}

impl Lapse {
    /// Every share, the newest first.
    pub fn list(&self) -> Result<Vec<Known>> {
        self.history.all()?.into_iter().map(|share| self.known(share)).collect()
    }

    /// One share.
    pub fn show(&self, id: &ShareId) -> Result<Known> {
        self.known(self.history.find(id)?)
    }

    fn known(&self, share: Share) -> Result<Known> {
        let now = self.now_of(&share)?;
        Ok(Known::at(share, now))
    }

    /// The time of a share's server, as far as it is known.
    pub(super) fn now_of(&self, share: &Share) -> Result<Timestamp> {
        // Links of one share all name one server; the bucket may stand in front of it.
        let host = share.links.first().map(|link| link.facts.host.as_str()).unwrap_or_default();
        let host = host.strip_prefix(&format!("{}.", share.bucket)).unwrap_or(host);
        Ok(crate::ServerClock::with_offset(self.history.clock_offset(host)?).now())
    }

    /// The bucket that a share is in.
    pub(super) async fn bucket_of(&self, share: &Share) -> Result<Bucket> {
        self.bucket(self.profile(Some(&share.profile)).await?.in_bucket(&share.bucket)?).await
    }

    /// Asks the storage with each link of the shares that may still live, and gives their true states.
    /// An error stands for a share whose storage couldn't be asked.
    pub async fn check(&self, ids: &[ShareId]) -> Result<Vec<Result<Known>>> {
        let shares = if ids.is_empty() {
            self.list()?
                .into_iter()
                .filter(|known| known.state.is_alive())
                .map(|known| Ok(known.share))
                .collect()
        } else {
            ids.iter().map(|id| self.history.find(id)).collect::<Vec<_>>()
        };
        let asking = shares.into_iter().map(|share| async move { self.check_one(share?).await });
        Ok(stream::iter(asking).buffered(AT_ONCE).collect().await)
    }

    async fn check_one(&self, mut share: Share) -> Result<Known> {
        let state = share.state(self.now_of(&share)?);
        if matches!(state, State::Uploading | State::Failed(_)) {
            return Ok(Known { share, state, link: None });
        }
        let bucket = self.bucket_of(&share).await?;
        let mut asked = Vec::new();
        for number in 0..share.links.len() {
            asked.push(self.ask_link(&bucket, &mut share, number).await?.is_some());
        }
        self.keep_clock(&bucket)?;
        let known = Known::at(share, bucket.clock().now());
        let deciding = known.link.as_ref().map(|link| link.row);
        let position = known.share.links.iter().position(|link| Some(link.row) == deciding);
        if known.state.is_alive() && position.is_some_and(|position| !asked[position]) {
            return Err(link_not_kept(&known.share.id));
        }
        Ok(known)
    }

    /// Asks with one link and keeps what was seen; `None` for a link whose key isn't kept.
    async fn ask_link(
        &self,
        bucket: &Bucket,
        share: &mut Share,
        number: usize,
    ) -> Result<Option<Seen>> {
        let size = share.size;
        let Some(link) = share.links.get_mut(number) else { return Ok(None) };
        let keys = match self.keys(bucket.profile(), Some(&link.facts.access_key)).await {
            Err(error) if error.code == Code::LinkNotKept => return Ok(None),
            keys => keys?,
        };
        let seen = bucket.ask(&link.facts, &keys, size).await?;
        let at = bucket.clock().now();
        link.checked = Some((at, seen));
        self.history.set_seen(link.row, at, seen)?;
        Ok(Some(seen))
    }

    /// Takes a share back: deletes its object, then asks with every link that was ever given.
    pub async fn revoke(&self, id: &ShareId) -> Result<Revoked> {
        let mut share = self.history.find(id)?;
        if !share.is_ours() {
            return Err(Error::new(
                Code::NotOurs,
                format!(
                    "s3://{}/{} was in the bucket before it was shared, so Lapse doesn't delete it",
                    share.bucket, share.key
                ),
                "To end its link now, delete or move the object yourself, or switch off the key that signed it.",
            ));
        }
        if share.under_way {
            return Err(Error::new(
                Code::NotActive,
                format!("the share {} is still being uploaded", share.id),
                "Stop that upload first (Ctrl-C where it runs).",
            ));
        }
        // Also a share that failed: its object may have arrived before the answer was lost.
        let bucket = self.bucket_of(&share).await?;
        bucket.delete(&share.key).await?;
        let at = Timestamp::from_second(bucket.clock().now().as_second()).unwrap_or_default();
        self.history.set_revoked(&share.id, at)?;
        share.revoked_at = Some(at);
        let (mut checked, mut refused) = (0, 0);
        for number in 0..share.links.len() {
            // The object is deleted: what goes wrong now makes the rest unknown, not the revoke undone.
            let seen = self
                .ask_until_refused(&bucket, &mut share, number)
                .await
                .unwrap_or(Some(Seen::NotKnown));
            checked += usize::from(seen.is_some());
            refused += usize::from(seen.is_some_and(Seen::is_refusal));
        }
        self.keep_clock(&bucket)?;
        let state = share.state(bucket.clock().now());
        Ok(Revoked { id: share.id, state, checked, refused })
    }

    async fn ask_until_refused(
        &self,
        bucket: &Bucket,
        share: &mut Share,
        number: usize,
    ) -> Result<Option<Seen>> {
        let mut seen = self.ask_link(bucket, share, number).await?;
        for _ in 0..SPREADING {
            if seen != Some(Seen::Works) {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            seen = self.ask_link(bucket, share, number).await?;
        }
        Ok(seen)
    }
}
