//! Sessions of a role: temporary keys can't be switched off one by one, but their role can refuse every session that was
//! issued before a time. That stops everyone who uses the role.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::iam::Iam;
use super::steps::{LONGEST_PAUSE, OLD, PAUSE, SPREADING, by};
use super::{AllRevoked, Consent, LOOK, RotationStep, policy};
use crate::history::{Rotation, Step, role_of_sessions};
use crate::lapse::Lapse;
use crate::profile::Profile;
use crate::share::{Link, ShareId};
use crate::storage::provider::Rotation as Way;
use crate::storage::{Bucket, Keys, Seen};
use crate::{Code, Error, Result};

/// Who signs in is asked while a file is shared, which must not wait for a host that isn't there.
const WHO: Duration = Duration::from_secs(3);

impl Lapse {
    /// The role by whose session a profile signs in with these keys, where that is so and its provider tells.
    pub(super) async fn role_of(&self, profile: &Profile, keys: &Keys) -> Result<Option<String>> {
        if profile.provider.rotation != Way::Iam || !keys.temporary() {
            return Ok(None);
        }
        Iam::open(profile, keys.clone(), None, self.clock(profile)?)?.role().await
    }

    /// Keys, with the role that they are of where that can be told now.
    pub(super) async fn with_role(&self, profile: &Profile, keys: Keys) -> Keys {
        let asked = tokio::time::timeout(WHO, self.role_of(profile, &keys)).await;
        Keys { role: asked.ok().and_then(Result::ok).flatten(), ..keys }
    }

    /// Whether the sessions were ended by which a bucket was opened. While that is being done it is waited for.
    pub(super) async fn is_session_ended(&self, bucket: &Bucket) -> Result<bool> {
        let Some(role) = self.session_role(bucket).await else { return Ok(false) };
        loop {
            match self.history.sessions_ended(role)? {
                Some((_, true))
                    if self.lock_rotation().is_err_and(|error| error.code == Code::Rotating) =>
                {
                    tokio::time::sleep(LOOK).await;
                }
                ended => return Ok(ended.is_some_and(|(at, _)| bucket.opened_at() <= at)),
            }
        }
    }

    /// The role by whose session links of a bucket are signed, asked once.
    pub(super) async fn session_role<'a>(&self, bucket: &'a Bucket) -> Option<&'a String> {
        let (profile, keys) = (bucket.profile(), bucket.signer());
        let ask = async || self.with_role(profile, keys.clone()).await.role;
        bucket.known().role.get_or_init(ask).await.as_ref()
    }

    /// Ends all sessions of the role by which a bucket's links are signed; links of the shares in `keep` are signed again.
    pub(super) async fn end_sessions(
        &self,
        bucket: &Bucket,
        sessions: &str,
        keep: &[ShareId],
        consent: &Consent,
    ) -> Result<AllRevoked> {
        let profile = bucket.profile().clone();
        let role = role_of_sessions(sessions).unwrap_or_default();
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
        let lives = |link: &Link| link.role.as_deref() == Some(sessions) && link.is_live(now);
        let keep = self.may_keep(keep, role, |share| share.links.iter().any(lives))?;
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
            old_key: sessions.to_owned(),
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
        self.deny(&profile, &mut plan, bucket.signer(), true).await?;
        self.finish_sessions(&profile, &mut plan, Some(bucket.signer()), SPREADING).await
    }

    /// Lets the role refuse its sessions of before the plan's time. Where that surely wasn't done, the plan is over.
    async fn deny(
        &self,
        profile: &Profile,
        plan: &mut Rotation,
        keys: &Keys,
        is_first: bool,
    ) -> Result<()> {
        let role = plan.role().unwrap_or_default().to_owned();
        let iam = Iam::open(profile, keys.clone(), None, self.clock(profile)?)?;
        let document = policy::deny_sessions_before(plan.began_at);
        if let Err(error) = iam.put_role_policy(&role, &document).await {
            // One that is asked again, after a process was killed, may have been let in the first time.
            let is_young = Timestamp::now().duration_since(plan.began_at) < OLD;
            if error.passes() || (!is_first && is_young) {
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
            self.deny(profile, plan, &new, false).await?;
        }
        let bucket = self.open_bucket(profile.clone(), new.clone())?;
        if plan.step == Step::Made {
            self.switch(&bucket, plan, &new).await?;
        }
        let mut ended = self.old_links(&bucket, plan)?;
        let nobodys = self.history.links_of_nobody(&profile.name, bucket.clock().now())?;
        if let Some(old) = old {
            // Keys of other sessions aren't kept: what is asked is the same by the last one of then, which the role
            // refuses alike.
            for one in &mut ended {
                if one.link.facts.access_key != old.access_key {
                    one.link.facts = by(&one.link.facts, old);
                }
            }
        }
        let mut answered = self.ask_all_until_refused(&bucket, ended, old, &new, patience).await?;
        answered.unasked += nobodys;
        self.keep_clock(&bucket)?;
        crate::point::reach("rotate_asked");
        self.sum_up(&bucket, plan, &new, &answered, true).await
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
            let keys = self.with_role(profile, keys).await;
            let bucket = self.open_bucket(profile.clone(), keys.clone())?;
            let now = bucket.clock().now();
            let mut refused = false;
            for one in self.history.shares_of_plan(plan, now)?.iter().take(5) {
                let lives = |link: &&Link| plan.signed(link) && link.facts.ends_at() > now;
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
}
