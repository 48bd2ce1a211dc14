//! Asking the storage what is true of links.

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};

use super::reach::Places;
use super::{Link, Reach, Share, ShareId, State, Unreachable};
use crate::lapse::Lapse;
use crate::storage::{Bucket, Seen};
use crate::{Code, Error, Result};

/// Shares that are asked about at once.
const AT_ONCE: usize = 16;

/// A share and what is true of it.
#[derive(Debug)]
pub struct Known {
    /// The share.
    pub share: Share,
    /// Its state at the server's time.
    pub state: State,
    /// The link that tells that state; `None` before the upload is done.
    pub link: Option<Link>,
    /// From where that link opens.
    pub reach: Reach,
    /// Its links whose time isn't over.
    pub live_links: usize,
    /// How far the server's clock, by which all times of a share go, is ahead of this computer's.
    pub clock_ahead: SignedDuration,
}

impl Known {
    /// Whether it was taken off the list.
    pub fn is_hidden(&self) -> bool {
        // One that lives after all, by a clock that was put right since, is shown.
        self.share.hidden && !self.state.is_alive()
    }
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

/// The host of a share's server: its links all name the same one, and the bucket may stand in front of it.
fn server_of(share: &Share) -> &str {
    let host = share.links.first().map(|link| link.facts.host.as_str()).unwrap_or_default();
    host.strip_prefix(share.bucket.as_str()).and_then(|rest| rest.strip_prefix('.')).unwrap_or(host)
}

/// Links that should open and don't, though nothing here ended them.
#[derive(Default)]
struct Lost {
    /// By the key that signed them: the first share, and how many.
    keys: HashMap<String, (ShareId, usize)>,
    refused: Option<(ShareId, usize)>,
}

impl Lost {
    /// Notes a share that was alive until now.
    fn look(&mut self, before: &State, now: &Known) {
        let id = &now.share.id;
        match (&now.state, &now.link) {
            _ if !before.is_alive() || *before == now.state => {}
            (State::Unreachable(Unreachable::KeyOff), Some(link)) => {
                let key = link.facts.access_key.clone();
                self.keys.entry(key).or_insert_with(|| (id.clone(), 0)).1 += 1;
            }
            (State::Unreachable(Unreachable::Refused), _) => {
                self.refused.get_or_insert_with(|| (id.clone(), 0)).1 += 1;
            }
            _ => {}
        }
    }

    fn tell(self, lapse: &Lapse) {
        let links = |count: usize| format!("{count} link{}", if count == 1 { "" } else { "s" });
        for (key, (id, count)) in self.keys {
            let text = format!(
                "{key} was switched off or deleted elsewhere: {} that it signed no longer open. Extend a share to give it a new link.",
                links(count)
            );
            lapse.notice(&id, text);
        }
        if let Some((id, count)) = self.refused {
            let text = format!(
                "The storage refuses {} before the end, and nothing here ended them: the bucket's policy, or what the key may do, was changed elsewhere.",
                links(count)
            );
            lapse.notice(&id, text);
        }
    }
}

impl Lapse {
    /// Every share that wasn't taken off the list, the newest first.
    pub fn list(&self) -> Result<Vec<Known>> {
        let places = Places::of(self);
        let mut listed = Vec::new();
        // Thousands of shares are on a few servers.
        let mut clocks = HashMap::new();
        for share in self.history.all()? {
            let server = server_of(&share);
            let ahead = if let Some(ahead) = clocks.get(server) {
                *ahead
            } else {
                let ahead = self.ahead_of(&share)?;
                clocks.insert(server.to_owned(), ahead);
                ahead
            };
            let known = places.known(share, ahead);
            if !known.is_hidden() {
                listed.push(known);
            }
        }
        Ok(listed)
    }

    /// One share, listed or not.
    pub fn show(&self, id: &ShareId) -> Result<Known> {
        let share = self.find(id)?;
        let ahead = self.ahead_of(&share)?;
        Ok(Places::of(self).known(share, ahead))
    }

    /// Takes every share that has ended or was revoked off the list, and gives which. They are still known by their
    /// ids. One that failed stays: its file wasn't shared yet.
    pub async fn hide_ended(&self) -> Result<Vec<ShareId>> {
        let mut ended = self.list()?;
        ended.retain(|known| matches!(known.state, State::Expired | State::Revoked(_)));
        let ended: Vec<_> = ended.into_iter().map(|known| known.share.id).collect();
        self.history.set_all_hidden(ended.clone(), Timestamp::now()).await?;
        for id in &ended {
            self.changed(id);
        }
        Ok(ended)
    }

    /// Takes one share off the list. It is still known by its id.
    pub fn hide(&self, id: &ShareId) -> Result<()> {
        let id = self.history.find(id)?.id;
        self.history.set_hidden(&id, Timestamp::now())?;
        self.changed(&id);
        Ok(())
    }

    /// The share of an id.
    pub(super) fn find(&self, id: &ShareId) -> Result<Share> {
        self.history.find(id)
    }

    /// The time of a share's server, as far as it is known.
    pub(crate) fn now_of(&self, share: &Share) -> Result<Timestamp> {
        Ok(Timestamp::now() + self.ahead_of(share)?)
    }

    /// How far a share's server is ahead of this computer.
    fn ahead_of(&self, share: &Share) -> Result<SignedDuration> {
        Ok(SignedDuration::from_secs(self.history.clock_offset(server_of(share))?))
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
            ids.iter().map(|id| self.find(id)).collect::<Vec<_>>()
        };
        let mut checked = Vec::new();
        let mut lost = Lost::default();
        let asking = shares.into_iter().map(|share| async move { self.check_one(share?).await });
        let mut asking = stream::iter(asking).buffered(AT_ONCE);
        while let Some(one) = asking.next().await {
            checked.push(one.map(|(before, known)| {
                lost.look(&before, &known);
                known
            }));
        }
        // What is true of one link by a key is true of all: those that nobody asked about are asked now.
        for access_key in lost.keys.keys().cloned().collect::<Vec<_>>() {
            let told: HashSet<_> = checked.iter().flatten().map(|known| &known.share.id).collect();
            let others = self.history.shares_of_key(&access_key, Timestamp::now())?;
            let others = others.into_iter().filter(|share| !told.contains(&share.id));
            let asking = others.map(|share| self.check_one(share));
            let others: Vec<_> = stream::iter(asking).buffered(AT_ONCE).collect().await;
            for (before, known) in others.into_iter().flatten() {
                lost.look(&before, &known);
            }
        }
        lost.tell(self);
        Ok(checked)
    }

    /// The state before, and what is known now.
    async fn check_one(&self, mut share: Share) -> Result<(State, Known)> {
        let state = share.state(self.now_of(&share)?);
        if matches!(state, State::Uploading | State::Paused | State::Failed(_)) {
            let ahead = self.ahead_of(&share)?;
            return Ok((state, Places::of(self).known(share, ahead)));
        }
        let bucket = self.bucket_of(&share).await?;
        let mut asked = Vec::new();
        for number in 0..share.links.len() {
            asked.push(self.ask_link(&bucket, &mut share, number).await?.is_some());
        }
        self.keep_clock(&bucket)?;
        self.changed(&share.id);
        let ahead = SignedDuration::from_secs(bucket.clock().offset());
        let known = Places::of(self).known(share, ahead);
        let deciding = known.link.as_ref().map(|link| link.row);
        let position = known.share.links.iter().position(|link| Some(link.row) == deciding);
        if known.state.is_alive() && position.is_some_and(|position| !asked[position]) {
            return Err(link_not_kept(&known.share.id));
        }
        Ok((state, known))
    }

    /// Asks with one link and keeps what was seen; `None` for a link whose key isn't kept.
    pub(super) async fn ask_link(
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
}
