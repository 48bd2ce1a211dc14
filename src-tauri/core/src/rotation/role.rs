//! Sessions of a role: temporary keys can't be switched off one by one, but their role can refuse every session that was
//! issued before a time. That stops everyone who uses the role.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::iam::Iam;
use super::steps::{Answered, Asked, LONGEST_PAUSE, PAUSE, SPREADING, by};
use super::{AllRevoked, Consent, LOOK, RotationStep, policy};
use crate::history::{Revocation, Rotation, Step};
use crate::lapse::Lapse;
use crate::profile::Profile;
use crate::share::{Link, Share, ShareId, allowed};
use crate::storage::provider::Rotation as Way;
use crate::storage::{Bucket, Keys, Seen};
use crate::{Code, Error, Result};

impl Lapse {
    /// The role by whose sessions a bucket's links are signed, where that is so and its provider tells.
    pub(super) async fn role_of(&self, bucket: &Bucket) -> Option<String> {
        let (profile, keys) = (bucket.profile(), bucket.signer());
        if profile.provider.rotation != Way::Iam || !keys.temporary() {
            return None;
        }
        let clock = self.clock(profile).ok()?;
        Iam::open(profile, keys.clone(), None, clock).ok()?.role().await.ok().flatten()
    }

    /// Whether the sessions were ended by which a bucket was opened. While that is being done it is waited for.
    pub(super) async fn is_session_ended(&self, bucket: &Bucket) -> Result<bool> {
        if !bucket.signer().temporary() {
            return Ok(false);
        }
        loop {
            match self.history.sessions_ended(&bucket.profile().name)? {
                Some((_, true))
                    if self.lock_rotation().is_err_and(|error| error.code == Code::Rotating) =>
                {
                    tokio::time::sleep(LOOK).await;
                }
                ended => return Ok(ended.is_some_and(|(at, _)| bucket.opened_at() <= at)),
            }
        }
    }

    /// Ends all sessions of the role by which a bucket's links are signed; links of the shares in `keep` are signed again.
    pub(super) async fn end_sessions(
        &self,
        bucket: &Bucket,
        role: &str,
        keep: &[ShareId],
        consent: &Consent,
    ) -> Result<AllRevoked> {
        let profile = bucket.profile().clone();
        if consent.end_sessions_of.as_deref() != Some(role) {
            return Err(Error::new(
                Code::KeyInUse,
                format!("every session of the role {role} would end, whoever uses it"),
                format!(
                    "Where only Lapse uses that role, add --end-sessions-of-role {role}. Else let Lapse sign with a key of its own: lapse profile signer create"
                ),
            ));
        }
        let now = bucket.clock().now();
        let lives = |link: &Link| link.temporary && link.is_live(now);
        let keep = self.may_keep(keep, role, |share| {
            share.profile == profile.name && share.links.iter().any(lives)
        })?;
        // Where the sign-in keeps its session until that ends by itself, Lapse would lock itself out.
        let next = self.keys(&profile, None).await?;
        if !next.temporary() || next.access_key == bucket.signer().access_key {
            return Err(Error::new(
                Code::ByHand,
                format!(
                    "the sign-in of «{}» gives the same session again until that ends",
                    profile.name
                ),
                "Ending it would lock Lapse out. Revoke the shares one by one (lapse revoke ID…), or let Lapse sign with a key of its own: lapse profile signer create",
            ));
        }
        let mut plan = Rotation {
            id: 0,
            profile: profile.name.clone(),
            old_key: format!("role/{role}"),
            new_key: None,
            step: Step::Planned,
            before: Vec::new(),
            keep,
            is_own: false,
            by_hand: false,
            // Sessions are issued in whole seconds: after each of before.
            began_at: Timestamp::from_second(now.as_second() + 1).unwrap_or(now),
        };
        plan.id = self.history.plan(&plan)?;
        crate::point::reach("rotate_planned");
        self.deny(&profile, &mut plan, bucket.signer()).await?;
        self.finish_sessions(&profile, &mut plan, Some(bucket.signer()), SPREADING).await
    }

    /// Lets the role refuse its sessions of before the plan's time. Where that surely wasn't done, the plan is over.
    async fn deny(&self, profile: &Profile, plan: &mut Rotation, keys: &Keys) -> Result<()> {
        let role = plan.role().unwrap_or_default().to_owned();
        let iam = Iam::open(profile, keys.clone(), None, self.clock(profile)?)?;
        let document = policy::deny_sessions_before(plan.began_at);
        if let Err(error) = iam.put_role_policy(&role, &document).await {
            if error.passes() {
                return Err(Error::new(
                    Code::NotKnown,
                    format!(
                        "whether the sessions of {role} were ended isn't known: {}",
                        error.message
                    ),
                    "Lapse finds out at its next start, and finishes it.",
                ));
            }
            self.history.set_step(plan.id, Step::Undone)?;
            return Err(error);
        }
        crate::point::reach("rotate_created");
        self.history.set_step(plan.id, Step::Made)?;
        plan.step = Step::Made;
        self.stepped(&RotationStep::SessionsEnded { role });
        crate::point::reach("rotate_made");
        Ok(())
    }

    /// From the role that refuses its earlier sessions to the links that were seen to be refused. `old` is such a
    /// session, where one is still known.
    pub(super) async fn finish_sessions(
        &self,
        profile: &Profile,
        plan: &mut Rotation,
        old: Option<&Keys>,
        patience: Duration,
    ) -> Result<AllRevoked> {
        let new = self.new_session(profile, plan).await?;
        if plan.step == Step::Planned {
            self.deny(profile, plan, &new).await?;
        }
        let bucket = self.open_bucket(profile.clone(), new.clone())?;
        if plan.step == Step::Made {
            let links = self.sign_with_session(&bucket, plan, &new)?;
            let kept = links.len();
            let at = Timestamp::from_second(bucket.clock().now().as_second()).unwrap_or_default();
            self.history.switch_sessions(plan, links, at).await?;
            plan.step = Step::Off;
            self.close_buckets().await;
            self.stepped(&RotationStep::Signed { kept });
            crate::point::reach("rotate_signed");
        }
        let ended = self.ended_links(&bucket, plan, old)?;
        let others = ended.iter().filter(|one| !one.is_kept).count();
        let unasked = if old.is_none() { others } else { 0 };
        let Answered { checked, refused, all } = match old {
            Some(old) => self.ask_all_until_refused(&bucket, ended, old, &new, patience).await?,
            None => Answered { checked: 0, refused: 0, all: true },
        };
        self.keep_clock(&bucket)?;
        crate::point::reach("rotate_asked");
        let kept = self.kept(&bucket, plan, &new)?;
        self.history.set_step(plan.id, Step::Done)?;
        plan.step = Step::Done;
        self.history.note(&Revocation {
            at: bucket.clock().now(),
            how: "sessions_ended".to_owned(),
            profile: profile.name.clone(),
            share: None,
            name: None,
            label: None,
            old_key: Some(plan.old_key.clone()),
            new_key: Some(new.access_key.clone()),
            checked: checked as u64,
            refused: refused as u64,
            kept: kept.len() as u64,
        })?;
        Ok(AllRevoked {
            profile: profile.name.clone(),
            old_key: plan.old_key.clone(),
            new_key: new.access_key,
            checked,
            refused,
            unasked,
            kept,
            is_off: all,
            is_restorable: false,
        })
    }

    /// A session that was issued since the plan's time, once the storage lets it do what the one of before could.
    async fn new_session(&self, profile: &Profile, plan: &Rotation) -> Result<Keys> {
        let end = Instant::now() + SPREADING;
        let mut pause = PAUSE;
        loop {
            let clock = self.clock(profile)?;
            while clock.now() < plan.began_at {
                tokio::time::sleep(LOOK).await;
            }
            let keys = self.keys(profile, None).await?;
            let bucket = self.open_bucket(profile.clone(), keys.clone())?;
            let now = bucket.clock().now();
            let mut refused = false;
            for one in self.history.shares_of_sessions(&profile.name, now)?.iter().take(5) {
                let lives = |link: &&Link| link.temporary && link.facts.ends_at() > now;
                let Some(link) = one.links.iter().rfind(lives) else { continue };
                match bucket.ask(&by(&link.facts, &keys), &keys, one.size).await? {
                    Seen::Works => return Ok(keys),
                    // Its object may have been deleted before.
                    Seen::Gone => {}
                    _ => refused = true,
                }
            }
            // With no object left to open, that the session is known must do.
            if !refused && bucket.knows_key().await.is_ok() {
                return Ok(keys);
            }
            if Instant::now() + pause > end {
                return Err(Error::new(
                    Code::NotKnown,
                    format!("the sign-in of «{}» gives no session that works yet", profile.name),
                    "Links by earlier sessions end; Lapse finishes this by itself when a new session works.",
                ));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Links of the kept shares by the new session, up to the end that was shown before, or to the session's own.
    fn sign_with_session(
        &self,
        bucket: &Bucket,
        plan: &Rotation,
        new: &Keys,
    ) -> Result<Vec<(ShareId, Link)>> {
        let now = Timestamp::from_second(bucket.clock().now().as_second()).unwrap_or_default();
        let mut links = Vec::new();
        for share in self.history.shares_of_sessions(&plan.profile, now)? {
            let of_before = |link: &&Link| link.temporary && link.is_live(now);
            let last = share.links.iter().filter(of_before).max_by_key(|link| link.facts.ends_at());
            let Some(link) = last.filter(|_| plan.keep.contains(&share.id)) else { continue };
            let left = link.facts.ends_at().as_second() - now.as_second();
            let Ok(left @ 1..) = u32::try_from(left) else { continue };
            let (seconds, limited_by) = allowed(left, now, bucket.profile(), new)?;
            let mut link = link.clone();
            link.facts.access_key.clone_from(&new.access_key);
            (link.facts.signed_at, link.facts.seconds) = (now, seconds);
            (link.row, link.checked, link.temporary) = (0, None, new.temporary());
            link.limited_by = limited_by.or(link.limited_by);
            links.push((share.id, link));
        }
        Ok(links)
    }

    /// Links by sessions of before the plan's time that would live still. Their keys aren't kept: what is asked is the
    /// same by the last session of then, which the role refuses alike.
    fn ended_links(
        &self,
        bucket: &Bucket,
        plan: &Rotation,
        old: Option<&Keys>,
    ) -> Result<Vec<Asked>> {
        let now = bucket.clock().now();
        let mut ended = Vec::new();
        for share in self.history.shares_of_sessions(&plan.profile, now)? {
            let Share { id, size, links, .. } = share;
            let is_kept = plan.keep.contains(&id);
            let of_before = |link: &Link| {
                link.temporary && link.facts.signed_at < plan.began_at && link.facts.ends_at() > now
            };
            for mut link in links.into_iter().filter(of_before) {
                if let Some(old) = old.filter(|old| old.access_key != link.facts.access_key) {
                    link.facts = by(&link.facts, old);
                }
                ended.push(Asked { share: id.clone(), link, size, is_kept, seen: None });
            }
        }
        Ok(ended)
    }
}
