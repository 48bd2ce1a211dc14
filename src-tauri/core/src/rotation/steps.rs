//! The steps of a rotation, each of which may be done again.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};

use super::authority::{Authority, KnownKey};
use crate::event::Event;
use crate::history::{Revocation, Rotation, Step, role_of_sessions};
use crate::lapse::Lapse;
use crate::profile::Profile;
use crate::share::{Link, Share, ShareId, Shared, allowed};
use crate::storage::{Bucket, Keys, LinkFacts, Seen, keychain_error};
use crate::{Code, Error, Result};

/// How long a new key may take until it works, and an old one until it doesn't: some providers take a while.
pub(super) const SPREADING: Duration =
    if cfg!(feature = "failpoints") { Duration::from_secs(6) } else { Duration::from_secs(90) };
/// How long the old links are asked by a later start, which has other things to do.
pub(super) const LATER: Duration = Duration::from_secs(2);
/// How long a person may take to switch a key off.
pub(super) const BY_HAND: Duration =
    if cfg!(feature = "failpoints") { SPREADING } else { Duration::from_mins(10) };
/// Between two looks, at first.
pub(super) const PAUSE: Duration = Duration::from_millis(250);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Links that are asked at once.
const AT_ONCE: usize = 48;
/// How far a server's date of a new key may be from ours.
const ABOUT: SignedDuration = SignedDuration::from_mins(2);
/// A plan whose links can't be asked isn't kept open for ever.
pub(super) const OLD: SignedDuration = SignedDuration::from_hours(1);
/// Nor one that waits for a person: no link lives longer.
const OLD_BY_HAND: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What a rotation has just done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RotationStep {
    /// A new key was made.
    Made {
        /// Its id.
        access_key: String,
    },
    /// Its secret is in the keychain.
    Stored,
    /// The storage knows it.
    Works,
    /// Links that are kept were signed by it.
    Signed {
        /// How many.
        kept: usize,
    },
    /// The old key is switched off.
    Off {
        /// Its id.
        access_key: String,
    },
    /// The role refuses every session that was issued before now.
    SessionsEnded {
        /// Its name.
        role: String,
    },
    /// The person must switch the old key off now.
    ByHand {
        /// Its id.
        access_key: String,
    },
    /// The storage was asked with the old links.
    Asked {
        /// Links that were asked.
        checked: usize,
        /// Those that are surely refused.
        refused: usize,
        /// When those that aren't are asked again, if they are.
        again: Option<Duration>,
    },
    /// The old key is deleted.
    Deleted,
    /// Keys that Lapse doesn't use: the person may have made them, one was made for a rotation that was cut off, or the
    /// secret of a signer was lost.
    Left {
        /// Their ids.
        access_keys: Vec<String>,
    },
}

/// What a rotation came to.
#[derive(Debug)]
pub struct AllRevoked {
    /// The profile.
    pub profile: String,
    /// The key that was switched off; where the sessions of a role were ended `arn:aws:sts::ACCOUNT:assumed-role/NAME`.
    pub old_key: String,
    /// The key that signs now.
    pub new_key: String,
    /// Old links that the storage was asked about; kept shares' aren't counted.
    pub checked: usize,
    /// Those that it surely refuses.
    pub refused: usize,
    /// Old links that can't be asked: what signed them isn't kept.
    pub unasked: usize,
    /// The shares that were kept, with their new links.
    pub kept: Vec<Shared>,
    /// Whether everything asked shows that what signed before is off, kept shares' old links too.
    pub is_off: bool,
    /// Whether only a person can switch the old key off.
    pub by_hand: bool,
    /// Whether the old key can be switched on again.
    pub is_restorable: bool,
}

impl AllRevoked {
    /// The role whose sessions were ended, where it was no key that was switched off.
    pub fn role(&self) -> Option<&str> {
        role_of_sessions(&self.old_key)
    }
}

/// What the storage said to old links.
pub(super) struct Answered {
    /// Those of shares that aren't kept.
    pub(super) checked: usize,
    /// Those of them that it surely refuses.
    pub(super) refused: usize,
    /// Those that can't be asked: what signed them isn't kept.
    pub(super) unasked: usize,
    /// Whether it refuses every one, the kept shares' too.
    pub(super) all: bool,
}

/// One old link to be asked about.
pub(super) struct Asked {
    share: ShareId,
    pub(super) link: Link,
    size: u64,
    is_kept: bool,
    seen: Option<Seen>,
}

impl Lapse {
    pub(super) fn stepped(&self, step: &RotationStep) {
        self.sink.emit(Event::Rotation(step));
    }

    /// Makes the new key, keeps its secret, and waits until it works.
    pub(super) async fn make_key(
        &self,
        profile: &Profile,
        plan: &mut Rotation,
        authority: &dyn Authority,
    ) -> Result<Keys> {
        let new = match authority.create().await {
            Ok(new) => new,
            Err(error) if error.code == Code::TooManyKeys => {
                return Err(self.too_many(plan, authority, error).await);
            }
            Err(error) => return Err(error),
        };
        crate::point::reach("rotate_created");
        self.history.set_new_key(plan.id, &new.access_key)?;
        (plan.new_key, plan.step) = (Some(new.access_key.clone()), Step::Made);
        self.stepped(&RotationStep::Made { access_key: new.access_key.clone() });
        crate::point::reach("rotate_made");
        self.keep_key(profile, plan, &new).await?;
        Ok(new)
    }

    /// Keeps the secret of a new key, and waits until it works.
    pub(super) async fn keep_key(
        &self,
        profile: &Profile,
        plan: &Rotation,
        new: &Keys,
    ) -> Result<()> {
        // The local store keeps its keys itself.
        if !profile.is_local() {
            let name = profile.secret_name(&new.access_key);
            let set = self.keychain.keychain().set(&name, &new.secret).await;
            set.map_err(keychain_error)?;
        }
        self.stepped(&RotationStep::Stored);
        crate::point::reach("rotate_stored");
        self.wait_until_it_works(profile, plan, new).await?;
        self.stepped(&RotationStep::Works);
        crate::point::reach("rotate_works");
        Ok(())
    }

    /// Which other key stands in the way, for the person to say whether it may go.
    async fn too_many(&self, plan: &Rotation, authority: &dyn Authority, error: Error) -> Error {
        let Some(other) = plan.before.iter().find(|key| **key != plan.old_key) else {
            return error;
        };
        let used = match authority.last_use(other).await {
            Ok(Some(used)) => {
                let service =
                    used.service.map_or_else(String::new, |service| format!(" for {service}"));
                format!("was last used on {}{service}", used.at.strftime("%Y-%m-%d"))
            }
            Ok(None) => "was never used".to_owned(),
            Err(_) => "may be in use; when it was last isn't told".to_owned(),
        };
        Error::new(
            Code::TooManyKeys,
            format!("the user has two access keys, which is the most: {other} {used}"),
            format!("If nothing needs that one any more, let it go: --delete-key {other}"),
        )
    }

    async fn wait_until_it_works(
        &self,
        profile: &Profile,
        plan: &Rotation,
        new: &Keys,
    ) -> Result<()> {
        let bucket = self.open_bucket(profile.clone(), new.clone())?;
        let sample = self.sample(&bucket, plan).await?;
        let end = Instant::now() + SPREADING;
        let mut pause = PAUSE;
        loop {
            let seen = match &sample {
                Some((facts, size)) => bucket.ask(&by(facts, new), new, *size).await?,
                // Nothing lives that could be opened: that the key is known must do.
                None => match bucket.knows_key().await {
                    Ok(()) => Seen::Works,
                    Err(error) if error.code == Code::SignIn => Seen::KeyOff,
                    Err(error) => return Err(error),
                },
            };
            if seen == Seen::Works {
                return Ok(());
            }
            if Instant::now() + pause > end {
                return Err(Error::new(
                    Code::NotKnown,
                    format!("the new key {} doesn't work yet", new.access_key),
                    "Nothing was changed: the links are as they were. Try again in a few minutes.",
                ));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Waits until the storage knows a new key, whatever it may do.
    pub(super) async fn wait_until_known(&self, profile: &Profile, new: &Keys) -> Result<()> {
        let bucket = self.open_bucket(profile.clone(), new.clone())?;
        let end = Instant::now() + SPREADING;
        let mut pause = PAUSE;
        loop {
            match bucket.knows_key().await {
                Err(error) if error.code == Code::SignIn && Instant::now() + pause < end => {}
                known => return known,
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// A link by the old key that opens now: what a new key must open too.
    async fn sample(&self, bucket: &Bucket, plan: &Rotation) -> Result<Option<(LinkFacts, u64)>> {
        let now = bucket.clock().now();
        let old = self.keys(bucket.profile(), Some(&plan.old_key)).await?;
        for share in self.history.shares_of_key(&plan.old_key, now)?.into_iter().take(5) {
            let by_old = |link: &&Link| link.is_live(now) && link.facts.access_key == plan.old_key;
            let Some(link) = share.links.iter().rfind(by_old) else { continue };
            if bucket.ask(&link.facts, &old, share.size).await? == Seen::Works {
                return Ok(Some((link.facts.clone(), share.size)));
            }
        }
        Ok(None)
    }

    /// Takes the new key away again: nothing has changed.
    pub(super) async fn undo(&self, profile: &Profile, plan: &mut Rotation) -> Result<()> {
        self.history.set_step(plan.id, Step::Undoing)?;
        crate::point::reach("undo_begun");
        if plan.by_hand {
            let new_key = plan.new_key.clone().unwrap_or_default();
            // One that was kept before is someone's.
            if !plan.before.contains(&new_key) {
                let name = profile.secret_name(&new_key);
                self.keychain.keychain().delete(&name).await.map_err(keychain_error)?;
            }
            plan.step = Step::Undone;
            return self.history.set_step(plan.id, Step::Undone);
        }
        let authority = self.authority(profile, &plan.old_key, None).await?;
        let new_key = match &plan.new_key {
            Some(new_key) => Some(new_key.clone()),
            // Its answer may have been lost.
            None => lost_key(&authority.keys().await?, plan).unwrap_or_else(|left| {
                self.stepped(&RotationStep::Left { access_keys: left });
                None
            }),
        };
        if let Some(new_key) = new_key {
            authority.delete(&new_key).await?;
            crate::point::reach("undo_deleted");
            if !profile.is_local() {
                let name = profile.secret_name(&new_key);
                self.keychain.keychain().delete(&name).await.map_err(keychain_error)?;
            }
        }
        plan.step = Step::Undone;
        self.history.set_step(plan.id, Step::Undone)
    }

    /// From the new key that works to the old one that is gone.
    pub(super) async fn finish(
        &self,
        profile: &Profile,
        plan: &mut Rotation,
        new: &Keys,
        patience: Duration,
    ) -> Result<AllRevoked> {
        let old = match self.keys(profile, Some(&plan.old_key)).await {
            // Its links can't be asked any more, which is said by their number.
            Err(error) if error.code == Code::LinkNotKept => None,
            keys => Some(keys?),
        };
        let bucket = self.open_bucket(profile.clone(), new.clone())?;
        if plan.step == Step::Made {
            self.switch(&bucket, plan, new).await?;
        }
        if plan.step == Step::Signed {
            // What a person reads, and what other programs of theirs read.
            self.change_settings(|settings| {
                settings.replace_key(&plan.old_key, &new.access_key);
                Ok(())
            })?;
            crate::point::reach("rotate_switched");
            let access_key = plan.old_key.clone();
            let step = if plan.by_hand {
                RotationStep::ByHand { access_key }
            } else {
                let authority = self.authority(profile, &new.access_key, Some(new)).await?;
                match authority.set_active(&plan.old_key, false).await {
                    // Someone was faster.
                    Err(error) if error.code == Code::NoSuchKey => {}
                    done => done?,
                }
                RotationStep::Off { access_key }
            };
            crate::point::reach("rotate_switched_off");
            self.history.set_step(plan.id, Step::Off)?;
            plan.step = Step::Off;
            self.stepped(&step);
            crate::point::reach("rotate_off");
        }
        let asked = self.old_links(&bucket, plan)?;
        let nothing_asked = asked.is_empty();
        let is_on = match &old {
            // That a person switched it off is seen at a link, or at the key itself.
            Some(old) if plan.by_hand && (nothing_asked || patience == LATER) => {
                let known = self.open_bucket(profile.clone(), old.clone())?.knows_key().await;
                Some(!matches!(known, Err(error) if error.code == Code::SignIn))
            }
            _ => None,
        };
        let mut answered = if is_on == Some(true) {
            // Its links needn't be asked.
            let checked = asked.iter().filter(|one| !one.is_kept).count();
            Answered { checked, refused: 0, unasked: 0, all: false }
        } else {
            self.ask_all_until_refused(&bucket, asked, old.as_ref(), new, patience).await?
        };
        // Nobody can tell of one whose secret isn't kept.
        answered.all &= !plan.by_hand || old.is_some();
        self.keep_clock(&bucket)?;
        crate::point::reach("rotate_asked");
        if plan.is_own && answered.all {
            let authority = self.authority(profile, &new.access_key, Some(new)).await?;
            authority.delete(&plan.old_key).await?;
            crate::point::reach("rotate_deleted");
            self.stepped(&RotationStep::Deleted);
        }
        let old = if plan.by_hand { OLD_BY_HAND } else { OLD };
        let is_over = answered.all || Timestamp::now().duration_since(plan.began_at) > old;
        self.sum_up(&bucket, plan, new, &answered, is_over).await
    }

    /// Lets what is new sign from now on, and signs what is kept by it.
    pub(super) async fn switch(
        &self,
        bucket: &Bucket,
        plan: &mut Rotation,
        new: &Keys,
    ) -> Result<()> {
        let now = bucket.clock().second();
        let links = self.sign_kept(bucket, plan, new, now)?;
        let kept = links.len();
        self.history.switch(plan, links, now).await?;
        plan.step = plan.switched();
        self.close_buckets().await;
        self.stepped(&RotationStep::Signed { kept });
        crate::point::reach("rotate_signed");
        Ok(())
    }

    /// What a plan came to, written down for good where it is over.
    pub(super) async fn sum_up(
        &self,
        bucket: &Bucket,
        plan: &mut Rotation,
        new: &Keys,
        answered: &Answered,
        is_over: bool,
    ) -> Result<AllRevoked> {
        let &Answered { checked, refused, unasked, all } = answered;
        let kept = self.kept(bucket, plan, new)?;
        if is_over {
            let how = if plan.role().is_some() { "sessions_ended" } else { "key_rotated" };
            let done = Revocation {
                at: bucket.clock().now(),
                how: how.to_owned(),
                profile: plan.profile.clone(),
                share: None,
                name: None,
                label: None,
                old_key: Some(plan.old_key.clone()),
                new_key: Some(new.access_key.clone()),
                checked: checked as u64,
                refused: refused as u64,
                kept: kept.len() as u64,
            };
            self.history.end(plan.id, Step::Done, done).await?;
            plan.step = Step::Done;
        }
        Ok(AllRevoked {
            profile: plan.profile.clone(),
            old_key: plan.old_key.clone(),
            new_key: new.access_key.clone(),
            checked,
            refused,
            unasked,
            kept,
            is_off: all,
            by_hand: plan.by_hand,
            is_restorable: plan.role().is_none() && !plan.is_own && all,
        })
    }

    /// Links of the kept shares by what is new, up to the end that was shown before, or to that of temporary keys.
    fn sign_kept(
        &self,
        bucket: &Bucket,
        plan: &Rotation,
        new: &Keys,
        now: Timestamp,
    ) -> Result<Vec<(ShareId, Link)>> {
        let mut links = Vec::new();
        let mut shares = by_id(self.history.shares_of_plan(plan, now)?);
        for id in &plan.keep {
            let Some(share) = shares.remove(id) else { continue };
            let ends = |link: &&Link| link.is_live(now) && plan.signed(link);
            let last = share.links.iter().filter(ends).max_by_key(|link| link.facts.ends_at());
            let Some(link) = last else { continue };
            let left = link.facts.ends_at().as_second() - now.as_second();
            let Ok(left @ 1..) = u32::try_from(left) else { continue };
            let (seconds, limited_by) = allowed(left, now, bucket.profile(), new)?;
            let mut link = link.clone();
            link.facts.access_key.clone_from(&new.access_key);
            (link.facts.signed_at, link.facts.seconds) = (now, seconds);
            (link.row, link.checked) = (0, None);
            (link.temporary, link.role) = (new.temporary(), new.role.clone());
            link.limited_by = limited_by.or(link.limited_by);
            links.push((share.id, link));
        }
        Ok(links)
    }

    /// The kept shares as they are now, each with its link.
    pub(super) fn kept(&self, bucket: &Bucket, plan: &Rotation, new: &Keys) -> Result<Vec<Shared>> {
        let now = bucket.clock().now();
        let mut kept = Vec::new();
        let mut shares = by_id(self.history.shares_of_key(&new.access_key, now)?);
        for id in &plan.keep {
            let Some(share) = shares.remove(id) else { continue };
            let by_new =
                |link: &&Link| link.is_live(now) && link.facts.access_key == new.access_key;
            if let Some(link) = share.links.iter().rfind(by_new).cloned() {
                let url = link.facts.presign(new)?;
                kept.push(Shared { state: share.state(now), share, link, url });
            }
        }
        Ok(kept)
    }

    /// Asks with the old links until each is refused, or the time is over. In the same pass a link by the new key must
    /// open, else a refusal may be the network's. Gives how many were asked and how many refused, kept ones apart.
    pub(super) async fn ask_all_until_refused(
        &self,
        bucket: &Bucket,
        mut asked: Vec<Asked>,
        old: Option<&Keys>,
        new: &Keys,
        patience: Duration,
    ) -> Result<Answered> {
        let Some(old) = old else {
            let unasked = asked.iter().filter(|one| !one.is_kept).count();
            return Ok(Answered { checked: 0, refused: 0, unasked, all: true });
        };
        let count = |asked: &[Asked]| {
            let checked = asked.iter().filter(|one| !one.is_kept);
            let refused =
                checked.clone().filter(|one| one.seen.is_some_and(Seen::is_refusal)).count();
            (checked.count(), refused)
        };
        let end = Instant::now() + patience;
        let mut pause = PAUSE;
        loop {
            let open: Vec<usize> = (0..asked.len())
                .filter(|at| !asked[*at].seen.is_some_and(Seen::is_refusal))
                .collect();
            let asking = open.into_iter().map(|at| {
                let one = &asked[at];
                async move { (at, bucket.ask(&one.link.facts, old, one.size).await) }
            });
            let answers: Vec<_> = stream::iter(asking).buffer_unordered(AT_ONCE).collect().await;
            let way = self.way_with(bucket, &asked, new).await?;
            let now = bucket.clock().second();
            let mut rows = Vec::new();
            for (at, seen) in answers {
                let seen = match seen? {
                    seen if way == Way::Open || seen == Seen::Works => seen,
                    seen @ (Seen::KeyOff | Seen::Gone) if way == Way::KeyIsKnown => seen,
                    _ => Seen::NotKnown,
                };
                asked[at].seen = Some(seen);
                rows.push((asked[at].link.row, now, seen));
            }
            self.history.set_all_seen(rows).await?;
            let (checked, refused) = count(&asked);
            let all = asked.iter().all(|one| one.seen.is_some_and(Seen::is_refusal));
            let is_last = all || Instant::now() + pause > end;
            let again = (!is_last).then_some(pause);
            self.stepped(&RotationStep::Asked { checked, refused, again });
            if is_last {
                let mut told = BTreeSet::new();
                for one in &asked {
                    if told.insert(&one.share) {
                        self.changed(&one.share);
                    }
                }
                return Ok(Answered { checked, refused, unasked: 0, all });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Links that a plan ends, whose time isn't over.
    pub(super) fn old_links(&self, bucket: &Bucket, plan: &Rotation) -> Result<Vec<Asked>> {
        let now = bucket.clock().now();
        let keep: HashSet<_> = plan.keep.iter().collect();
        // Those by a session since then live on.
        let before = plan.role().map(|_| plan.began_at);
        let ends = |link: &Link| {
            plan.signed(link)
                && link.facts.ends_at() > now
                && before.is_none_or(|before| link.facts.signed_at < before)
        };
        let mut asked = Vec::new();
        for share in self.history.shares_of_plan(plan, now)? {
            let Share { id, size, links, bucket, key, .. } = share;
            let is_kept = keep.contains(&id);
            // What leads to where the object was before it was moved away had its proof then.
            let leads = |link: &Link| link.facts.leads_to(&bucket, &key);
            for link in links.into_iter().filter(|link| ends(link) && leads(link)) {
                // What was seen since it was taken back needn't be seen again.
                let seen = link.revoked_at.and_then(|at| link.seen_since(at));
                let seen = seen.filter(|seen| seen.is_refusal());
                asked.push(Asked { share: id.clone(), link, size, is_kept, seen });
            }
        }
        Ok(asked)
    }

    /// Whether the same object opens by the new key.
    async fn way_with(&self, bucket: &Bucket, asked: &[Asked], new: &Keys) -> Result<Way> {
        // What is kept must be there.
        let kept = asked.iter().filter(|one| one.is_kept);
        for one in kept.chain(asked.iter().filter(|one| !one.is_kept)).take(5) {
            match bucket.ask(&by(&one.link.facts, new), new, one.size).await? {
                Seen::Works => return Ok(Way::Open),
                // Its object may have been deleted before.
                Seen::Gone | Seen::Refused => {}
                _ => return Ok(Way::Shut),
            }
        }
        // With no object left to open only what is said of the key itself proves anything.
        tracing::debug!(profile = bucket.profile().name, "no link opens by the new key");
        Ok(if bucket.knows_key().await.is_ok() { Way::KeyIsKnown } else { Way::Shut })
    }
}

/// What the new key shows of the way to the storage: whether a refusal may be the network's, or a policy's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A link by it opens.
    Open,
    /// The storage knows it, and no link by it opens.
    KeyIsKnown,
    /// Something is in between.
    Shut,
}

/// Thousands are read at once.
fn by_id(shares: Vec<Share>) -> HashMap<ShareId, Share> {
    shares.into_iter().map(|share| (share.id.clone(), share)).collect()
}

/// The same link by other keys, up to the same end: for ourselves.
pub(crate) fn by(facts: &LinkFacts, keys: &Keys) -> LinkFacts {
    let signed_at = facts.signed_at.max(facts.ends_at() - SignedDuration::from_secs(604_800));
    LinkFacts { access_key: keys.access_key.clone(), signed_at, ..facts.clone() }
}

/// The key that was made for a plan, though no answer said so: one that wasn't there before, and of that time. Never one
/// that may be the person's own: those are given as they are.
fn lost_key(keys: &[KnownKey], plan: &Rotation) -> Result<Option<String>, Vec<String>> {
    let new: Vec<_> = keys.iter().filter(|key| !plan.before.contains(&key.access_key)).collect();
    let of_then = |key: &KnownKey| match key.created_at {
        Some(at) => at.duration_since(plan.began_at).abs() < ABOUT,
        // Of a user that Lapse made, nobody else makes keys; of another it was made since then.
        None => plan.is_own || Timestamp::now().duration_since(plan.began_at) < ABOUT,
    };
    match &new[..] {
        [] => Ok(None),
        [one] if of_then(one) => Ok(Some(one.access_key.clone())),
        _ => Err(new.into_iter().map(|key| key.access_key.clone()).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_key_of_the_plans_own_time_is_taken_for_its_own() {
        let now = Timestamp::now();
        let plan = |is_own, began_at| Rotation {
            id: 1,
            profile: "work".into(),
            old_key: "OLD".into(),
            new_key: None,
            step: Step::Planned,
            before: vec!["OLD".into(), "OTHER".into()],
            keep: Vec::new(),
            is_own,
            by_hand: false,
            began_at,
        };
        let key = |access_key: &str, created_at| KnownKey {
            access_key: access_key.into(),
            is_active: true,
            created_at,
        };
        let (then, day) = (Some(now), SignedDuration::from_hours(24));
        let before = [key("OLD", None), key("OTHER", then)];
        let with = |new: &[KnownKey]| [&before[..], new].concat();
        let found = |keys: &[KnownKey], plan: &Rotation| lost_key(keys, plan);
        assert_eq!(found(&before, &plan(false, now)), Ok(None));
        let one = with(&[key("NEW", then)]);
        assert_eq!(found(&one, &plan(false, now)), Ok(Some("NEW".into())));
        // A day later the person has made one.
        assert_eq!(found(&one, &plan(false, now - day)), Err(vec!["NEW".into()]));
        let undated = with(&[key("NEW", None)]);
        assert_eq!(found(&undated, &plan(false, now)), Ok(Some("NEW".into())));
        assert_eq!(found(&undated, &plan(false, now - day)), Err(vec!["NEW".into()]));
        assert_eq!(found(&undated, &plan(true, now - day)), Ok(Some("NEW".into())));
        let two = with(&[key("A", then), key("B", then)]);
        assert_eq!(found(&two, &plan(true, now)), Err(vec!["A".into(), "B".into()]));
    }
}
