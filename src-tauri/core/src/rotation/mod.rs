//! All links at once: the key that signed them is switched off, and a new one signs from then on.
//!
//! The plan is a row in the database, written before anything is done. Each step may be done again. Until the new key
//! signs, a plan that is cut off is undone; from then on it is finished, by whichever process comes next. A plan about a
//! role's sessions is always finished: the session that could undo it is one of those.

mod authority;
mod garage;
mod iam;
mod policy;
mod role;
mod signer;
mod steps;

use std::fs::{File, TryLockError};
use std::time::Duration;

use jiff::Timestamp;

pub use self::authority::LastUse;
use self::authority::{Authority, KnownKey};
use self::garage::Garage;
use self::iam::Iam;
pub use self::signer::Admin;
pub(crate) use self::steps::by;
pub use self::steps::{AllRevoked, RotationStep};
use self::steps::{BY_HAND, LATER, SPREADING};
use crate::history::{Revocation, Rotation, Step, role_of_sessions};
use crate::home::create_private_file;
use crate::keychain::Sensitive;
use crate::lapse::Lapse;
use crate::profile::{Profile, SignIn, check_access_key};
use crate::share::{Link, Share, ShareId};
use crate::storage::provider::Rotation as Way;
use crate::storage::{Bucket, Keys, has_secret_from_env, keychain_error};
use crate::{Code, Error, Result};

/// For how long a key that was switched off can be switched on again from here.
pub(crate) const RESTORABLE: jiff::SignedDuration = jiff::SignedDuration::from_hours(7 * 24);
/// How often it is looked whether another process is done.
const LOOK: Duration = Duration::from_millis(50);

/// What switching off a profile's key would do.
#[derive(Debug)]
pub struct AllLinks {
    /// The profile.
    pub profile: String,
    /// The access key that signs its links.
    pub access_key: String,
    /// The shares with links by that key that live, of every profile that signs with it, the newest first.
    pub shares: Vec<Share>,
    /// Links of the profile that live and were signed by other keys, or by sessions that aren't known to be of that role:
    /// they stay.
    pub others: usize,
    /// Whether Lapse made the key, so that nothing else uses it.
    pub is_own: bool,
    /// When the key was last used, where its provider tells that.
    pub last_use: Option<LastUse>,
    /// Whether only a person can make a new key and switch this one off.
    pub by_hand: bool,
    /// The role by whose sessions the links are signed, where that is so: all its sessions would end.
    pub role: Option<String>,
}

/// What the person allows for a rotation.
#[derive(Debug, Clone, Default)]
pub struct Consent {
    /// Every other program that uses the key stops too.
    pub stop_others: bool,
    /// This access key of the user, which nobody uses any more, may be deleted to make room for a new one.
    pub delete_key: Option<String>,
    /// The new key, where only a person can make one; they switch the old one off.
    pub new_key: Option<Keys>,
    /// Every session of this role ends, whoever uses it.
    pub end_sessions_of: Option<String>,
}

/// Held by the one process that rotates keys.
pub(crate) struct RotationLock {
    _file: File,
}

impl Lapse {
    /// The access key that signs links of a profile now, and whether Lapse made it.
    fn signing_key(profile: &Profile, keys: &Keys) -> (String, bool) {
        match &profile.signer {
            Some(signer) => (signer.access_key.clone(), true),
            None => (keys.access_key.clone(), profile.is_local()),
        }
    }

    /// The keys that sign links of a bucket now. While a rotation makes new ones they are waited for: a link by the old
    /// ones would be dead at once.
    pub(crate) async fn signer(&self, bucket: &Bucket) -> Result<Keys> {
        let keys = bucket.signer();
        if keys.temporary() {
            if self.is_session_ended(bucket).await? {
                let new = self.keys(bucket.profile(), None).await?;
                return Ok(self.with_role(bucket.profile(), new).await);
            }
            let role = self.session_role(bucket).await.cloned();
            return Ok(Keys { role, ..keys.clone() });
        }
        while self.history.is_being_replaced(&keys.access_key)?
            && self.lock_rotation().is_err_and(|error| error.code == Code::Rotating)
        {
            tokio::time::sleep(LOOK).await;
        }
        let now = self.history.key_now(&keys.access_key)?;
        if now == keys.access_key {
            return Ok(keys.clone());
        }
        self.keys(bucket.profile(), Some(&now)).await
    }

    /// Whether a rotation has replaced the keys that a bucket was opened with.
    pub(crate) async fn has_new_key(&self, bucket: &Bucket) -> Result<bool> {
        let access_key = &bucket.keys().access_key;
        let is_replaced = self.history.key_now(access_key)? != *access_key;
        Ok(is_replaced || self.is_session_ended(bucket).await?)
    }

    /// What [`Self::revoke_all`] would do. Changes nothing.
    pub async fn all_links(&self, profile: Option<&str>) -> Result<AllLinks> {
        let profile = self.profile(profile).await?;
        let bucket = self.bucket(profile.clone()).await?;
        let (access_key, is_own) = Self::signing_key(&profile, bucket.keys());
        let now = bucket.clock().now();
        let sessions = self.role_of(&profile, bucket.signer()).await?;
        let mut shares = match &sessions {
            Some(sessions) => self.history.shares_of_role(sessions, now)?,
            None => self.history.shares_of_key(&access_key, now)?,
        };
        let ends = |link: &Link| match &sessions {
            Some(sessions) => link.role.as_ref() == Some(sessions),
            None => link.facts.access_key == access_key,
        };
        let live = |share: &Share, ended: bool| {
            share.links.iter().filter(|link| link.is_live(now) && ends(link) == ended).count()
        };
        shares.retain(|share| live(share, true) > 0);
        let all = self.history.all()?;
        let others = all
            .iter()
            .filter(|share| share.profile == profile.name && share.revoked_at.is_none())
            .map(|share| live(share, false))
            .sum();
        let authority = match sessions {
            Some(_) => None,
            None => Some(self.authority(&profile, &access_key, None).await),
        };
        let by_hand = matches!(&authority, Some(Err(error)) if error.code == Code::ByHand)
            && may_replace(&profile).is_ok();
        let last_use = match authority {
            Some(Ok(authority)) if !is_own => authority.last_use(&access_key).await.ok().flatten(),
            _ => None,
        };
        Ok(AllLinks {
            profile: profile.name,
            access_key,
            shares,
            others,
            is_own: is_own && sessions.is_none(),
            last_use,
            by_hand,
            role: sessions.as_deref().and_then(role_of_sessions).map(str::to_owned),
        })
    }

    /// Switches off the key that signs a profile's links, which ends every one of them. Those of the shares in `keep` are
    /// signed again by a new key, up to the same end. Then the storage is asked with each old link until it is refused.
    pub async fn revoke_all(
        &self,
        profile: Option<&str>,
        keep: &[ShareId],
        consent: &Consent,
    ) -> Result<AllRevoked> {
        let _lock = self.lock_rotation()?;
        let profile = self.free_profile(profile).await?;
        let bucket = self.bucket(profile.clone()).await?;
        if let Some(sessions) = self.role_of(&profile, bucket.signer()).await? {
            return self.end_sessions(&bucket, &sessions, keep, consent).await;
        }
        if let Some(role) = &consent.end_sessions_of {
            return Err(Error::new(
                Code::Usage,
                format!("links of «{}» aren't signed by sessions of a role", profile.name),
                format!("Leave {} out.", role.escape_debug()),
            ));
        }
        let (old_key, is_own) = Self::signing_key(&profile, bucket.keys());
        let now = bucket.clock().now();
        let kept = self.may_keep(keep, &old_key, |share| {
            share.links.iter().any(|link| link.is_live(now) && link.facts.access_key == old_key)
        })?;
        if profile.signer.is_none() && !profile.is_local() && has_secret_from_env() {
            return Err(Error::new(
                Code::ByHand,
                "the secret comes from LAPSE_SECRET_ACCESS_KEY, which Lapse can't replace",
                "Keep the key in the keychain (add the profile without that variable), or let Lapse sign with a key of its own: lapse profile signer create",
            ));
        }
        if let Some(new) = &consent.new_key {
            may_replace(&profile)?;
            return self.revoke_by_hand(&profile, old_key, kept, new).await;
        }
        if !is_own && !consent.stop_others {
            return Err(Error::new(
                Code::KeyInUse,
                format!("every other program that uses {old_key} would stop too"),
                "Where that is meant, add --stop-other-users-of-this-key. Or let Lapse sign with a key of its own from now on: lapse profile signer create",
            ));
        }
        let authority = self.authority(&profile, &old_key, None).await?;
        let before = self.make_room(&profile, &*authority, &old_key, consent).await?;
        let mut plan = Rotation {
            id: 0,
            profile: profile.name.clone(),
            old_key,
            new_key: None,
            step: Step::Planned,
            before: before.into_iter().map(|key| key.access_key).collect(),
            keep: kept,
            is_own,
            by_hand: false,
            began_at: Timestamp::now(),
        };
        plan.id = self.history.plan(&plan)?;
        crate::point::reach("rotate_planned");
        match self.make_key(&profile, &mut plan, &*authority).await {
            Ok(new) => self.finish(&profile, &mut plan, &new, SPREADING).await,
            Err(error) => {
                // Where even that can't be done now, the next start does it.
                if let Err(error) = self.undo(&profile, &mut plan).await {
                    tracing::warn!(code = error.code.as_str(), "a new key is left to be deleted");
                }
                Err(error)
            }
        }
    }

    /// The whole ids of the shares that are to be kept, which must have a link that ends.
    fn may_keep(
        &self,
        keep: &[ShareId],
        signer: &str,
        lives: impl Fn(&Share) -> bool,
    ) -> Result<Vec<ShareId>> {
        let mut kept = Vec::new();
        for id in keep {
            let share = self.history.find(id)?;
            if share.revoked_at.is_some() || !lives(&share) {
                return Err(Error::new(
                    Code::NotActive,
                    format!("the share {} has no link by {signer} that lives", share.id),
                    "Leave it out of --keep; `lapse list` shows what lives.",
                ));
            }
            kept.push(share.id);
        }
        Ok(kept)
    }

    /// The same where only a person can switch keys: they made the new one, and switch the old one off.
    async fn revoke_by_hand(
        &self,
        profile: &Profile,
        old_key: String,
        keep: Vec<ShareId>,
        new: &Keys,
    ) -> Result<AllRevoked> {
        check_access_key(&new.access_key)?;
        if new.access_key == old_key {
            return Err(Error::new(
                Code::NoSuchKey,
                format!("{old_key} is the key that signs now"),
                "Make a new one at the provider's site and give that.",
            ));
        }
        let name = profile.secret_name(&new.access_key);
        let kept = self.keychain.keychain().get(&name).await.map_err(keychain_error)?;
        if kept.as_ref().is_some_and(|kept| kept.expose() != new.secret.expose()) {
            return Err(Error::new(
                Code::NoSuchKey,
                format!("another secret of {} is kept already, for a profile", new.access_key),
                "Give the secret that belongs to it, or make a new key and give that.",
            ));
        }
        let mut plan = Rotation {
            id: 0,
            profile: profile.name.clone(),
            old_key,
            new_key: Some(new.access_key.clone()),
            step: Step::Made,
            before: kept.iter().map(|_| new.access_key.clone()).collect(),
            keep,
            is_own: false,
            by_hand: true,
            began_at: Timestamp::now(),
        };
        plan.id = self.history.plan(&plan)?;
        match self.keep_key(profile, &plan, new).await {
            Ok(()) => self.finish(profile, &mut plan, new, BY_HAND).await,
            Err(error) => {
                self.undo(profile, &mut plan).await?;
                Err(error)
            }
        }
    }

    /// Finishes or undoes what was cut off. Gives what was finished, and why something wasn't, which holds nothing else
    /// up. Does nothing while another process is at it.
    pub async fn finish_revokes(&self) -> Vec<Result<AllRevoked>> {
        let mut finished = self.finish_plans().await.unwrap_or_else(|error| vec![Err(error)]);
        finished.extend(self.finish_moves().await.into_iter().map(Err));
        finished
    }

    async fn finish_plans(&self) -> Result<Vec<Result<AllRevoked>>> {
        let mut finished = Vec::new();
        if self.history.open_rotations()?.is_empty() {
            return Ok(finished);
        }
        let _lock = match self.lock_rotation() {
            Err(error) if error.code == Code::Rotating => return Ok(finished),
            lock => lock?,
        };
        for plan in self.history.open_rotations()? {
            finished.extend(Box::pin(self.finish_plan(plan)).await.transpose());
        }
        Ok(finished)
    }

    async fn finish_plan(&self, mut plan: Rotation) -> Result<Option<AllRevoked>> {
        let Some(profile) = self.profile_of(&plan).await? else {
            // Whoever removed the profile took its keys along.
            self.history.set_step(plan.id, Step::Undone)?;
            return Ok(None);
        };
        if plan.role().is_some() {
            return self.finish_sessions(&profile, &mut plan, None, LATER).await.map(Some);
        }
        match plan.step {
            Step::Planned | Step::Made | Step::Undoing => {
                self.undo(&profile, &mut plan).await.map(|()| None)
            }
            Step::Restoring => self.finish_restore(&profile, &plan).await.map(|()| None),
            _ => {
                let mut new_key = plan.new_key.clone().unwrap_or_default();
                if plan.step == Step::Off {
                    // It may have been replaced since.
                    new_key = self.history.key_now(&new_key)?;
                }
                let new = self.keys(&profile, Some(&new_key)).await?;
                self.finish(&profile, &mut plan, &new, LATER).await.map(Some)
            }
        }
    }

    /// A profile, once no plan about it or its keys is open.
    async fn free_profile(&self, name: Option<&str>) -> Result<Profile> {
        let profile = self.profile(name).await?;
        let keys = profile.access_keys();
        for plan in self.history.open_rotations()? {
            let is_its = |key: &str| keys.contains(&key);
            let concerns = plan.profile == profile.name
                || is_its(&plan.old_key)
                || plan.new_key.as_deref().is_some_and(is_its);
            if concerns {
                Box::pin(self.finish_plan(plan)).await?;
            }
        }
        self.profile(Some(&profile.name)).await
    }

    /// Switches the key on again that was switched off last, within [`RESTORABLE`]. Gives which.
    pub async fn restore_key(&self, profile: Option<&str>) -> Result<String> {
        let _lock = self.lock_rotation()?;
        let profile = self.free_profile(profile).await?;
        let last = self.history.last_rotation(&profile.name)?.filter(|last| !last.is_own);
        let recent = |last: &Rotation| Timestamp::now().duration_since(last.began_at) < RESTORABLE;
        let Some(last) = last.filter(recent) else {
            return Err(Error::new(
                Code::NoSuchKey,
                format!(
                    "there is no key of «{}» to switch on again: none was switched off in the last 7 days, or it was deleted since",
                    profile.name
                ),
                "A key that Lapse made is deleted when it is replaced. Older ones of yours are switched on at the provider's site.",
            ));
        };
        if last.by_hand {
            let old = self.keys(&profile, Some(&last.old_key)).await?;
            let known = self.open_bucket(profile.clone(), old)?.knows_key().await;
            known.map_err(|error| match error.code {
                Code::SignIn => Error::new(
                    Code::ByHand,
                    format!("{} is off, and only you can switch it on", last.old_key),
                    "Do that at the provider's site, then say this again: Lapse looks whether it is on.",
                ),
                _ => error,
            })?;
        }
        let now = self.clock(&profile)?.now();
        let mut links = Vec::new();
        for share in self.history.shares_of_key(&last.old_key, now)? {
            // What was moved away stays closed.
            let opens = |link: &&Link| {
                link.facts.access_key == last.old_key
                    && link.facts.leads_to(&share.bucket, &share.key)
            };
            links.extend(share.links.iter().filter(opens).map(|link| link.row));
        }
        // Said before it is done: a link that opens is never called revoked.
        self.history.begin_restore(last.id, links).await?;
        crate::point::reach("restore_begun");
        self.finish_restore(&profile, &last).await?;
        Ok(last.old_key)
    }

    async fn finish_restore(&self, profile: &Profile, plan: &Rotation) -> Result<()> {
        if !plan.by_hand {
            let new = self.keys(profile, None).await?;
            let authority = self.authority(profile, &new.access_key, Some(&new)).await?;
            authority.set_active(&plan.old_key, true).await?;
        }
        crate::point::reach("restore_on");
        let now = self.clock(profile)?.now();
        let done = Revocation {
            new_key: plan.new_key.clone(),
            ..of_key("key_restored", profile, &plan.old_key, now)
        };
        self.history.end(plan.id, Step::Restored, done).await
    }

    async fn profile_of(&self, plan: &Rotation) -> Result<Option<Profile>> {
        match self.profile(Some(&plan.profile)).await {
            Ok(profile) => Ok(Some(profile)),
            Err(error) if error.code == Code::NoSuchProfile => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn lock_rotation(&self) -> Result<RotationLock> {
        let path = self.home.rotation_lock();
        let failed = |error| Error::disk("write", &path, error);
        let file = create_private_file(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(RotationLock { _file: file }),
            Err(TryLockError::Error(error)) => Err(failed(error)),
            Err(TryLockError::WouldBlock) => Err(Error::new(
                Code::Rotating,
                "another Lapse is rotating a key right now",
                "Wait until it is done; `lapse list` shows what lives then.",
            )),
        }
    }

    /// Who can switch a key of a profile off. `signed_by` signs in where the user's own key does that.
    async fn authority(
        &self,
        profile: &Profile,
        old_key: &str,
        signed_by: Option<&Keys>,
    ) -> Result<Box<dyn Authority>> {
        let clock = self.clock(profile)?;
        let store = self.home.store();
        match (&profile.sign_in, profile.provider.rotation) {
            (SignIn::LocalStore, _) => {
                let root = lapse_local_store::credentials(&store, lapse_local_store::Key::Root)
                    .map_err(|error| crate::local::store_error(&error))?;
                let secret = Sensitive::new(root.secret_key.clone());
                let keys = Keys::lasting(root.access_key.clone(), secret);
                Ok(Box::new(Iam::open(profile, keys, Some("profile".to_owned()), clock)?))
            }
            _ if let Some(signer) = &profile.signer
                && let Some(rotator) = &signer.rotator =>
            {
                let keys = self.keys(profile, Some(rotator)).await?;
                let user = &signer.user;
                Ok(match &signer.admin_endpoint {
                    Some(endpoint) => {
                        let endpoint = endpoint.clone();
                        Box::new(Garage::open(profile, endpoint, keys.secret, user, clock)?)
                    }
                    None => Box::new(Iam::open(profile, keys, Some(user.clone()), clock)?),
                })
            }
            (_, Way::Iam) if may_replace(profile).is_ok() => {
                let keys = match signed_by {
                    Some(keys) => keys.clone(),
                    None => self.keys(profile, Some(old_key)).await?,
                };
                Ok(Box::new(Iam::open(profile, keys, None, clock)?.of_whoever_signs().await))
            }
            _ if let Err(error) = may_replace(profile) => Err(error),
            (_, Way::GarageAdmin) => Err(Error::new(
                Code::ByHand,
                "Garage switches keys by its admin API alone",
                "Let Lapse sign with a key of its own (lapse profile signer create --admin-endpoint URL). Or make a new key with «garage key create», then: lapse revoke --all --new-key ID. Lapse sees that the old one is dead before it calls it done.",
            )),
            _ => Err(Error::new(
                Code::ByHand,
                format!("{} lets no program switch keys", profile.provider.name),
                "Make a new key at its site, then: lapse revoke --all --new-key ID. Lapse sees that the old one is dead before it calls it done.",
            )),
        }
    }

    /// The user's keys, once there is room for one more.
    async fn make_room(
        &self,
        profile: &Profile,
        authority: &dyn Authority,
        old_key: &str,
        consent: &Consent,
    ) -> Result<Vec<KnownKey>> {
        let mut keys = authority.keys().await?;
        if keys.iter().all(|key| key.access_key != old_key) {
            return Err(Error::new(
                Code::NoSuchKey,
                format!("{old_key} isn't among the keys that its sign-in may list"),
                "It was made another way (by the server's own settings): replace it there, then correct the profile.",
            ));
        }
        // It is on already: whether it may be switched is known before anything changes. A signer's rotator may.
        if keys.iter().any(|key| key.access_key == old_key && key.is_active)
            && profile.signer.is_none()
        {
            authority.set_active(old_key, true).await?;
        }
        let Some(unwanted) = &consent.delete_key else { return Ok(keys) };
        let is_there = keys.iter().any(|key| key.access_key == *unwanted);
        if !is_there || unwanted == old_key {
            return Err(Error::new(
                Code::NoSuchKey,
                format!("{} isn't another key of this user", unwanted.escape_debug()),
                "Leave --delete-key out, or name one that Lapse told of.",
            ));
        }
        authority.delete(unwanted).await?;
        self.history.end_key(unwanted, Timestamp::now()).await?;
        self.history
            .note(of_key("key_deleted", profile, unwanted, self.clock(profile)?.now()))
            .await?;
        keys.retain(|key| key.access_key != *unwanted);
        Ok(keys)
    }
}

/// That something was done with a key, of which no link was asked.
fn of_key(how: &str, profile: &Profile, key: &str, at: Timestamp) -> Revocation {
    Revocation {
        at,
        how: how.to_owned(),
        profile: profile.name.clone(),
        share: None,
        name: None,
        label: None,
        old_key: Some(key.to_owned()),
        new_key: None,
        checked: 0,
        refused: 0,
        kept: 0,
    }
}

/// Keys of the AWS tools are theirs: what Lapse put in their place would not be where they look.
fn may_replace(profile: &Profile) -> Result<()> {
    let is_theirs = matches!(profile.sign_in, SignIn::AwsProfile(_) | SignIn::AwsDefault);
    if !is_theirs || profile.signer.is_some() {
        return Ok(());
    }
    Err(Error::new(
        Code::ByHand,
        "the keys of this profile belong to the AWS tools, so Lapse can't replace them",
        "Let Lapse sign with a key of its own (lapse profile signer create), or revoke the shares one by one: lapse revoke ID…",
    ))
}
