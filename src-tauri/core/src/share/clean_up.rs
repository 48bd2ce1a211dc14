//! Deletes objects whose links have all ended, and what is left of uploads that were given up, so that a bucket doesn't
//! fill up with what nobody can open.

use jiff::SignedDuration;

use super::folder::Folder;
use super::{OpenFile, Origin, Share};
use crate::lapse::Lapse;
use crate::profile::{CleanUp, Profile};
use crate::rotation::RESTORABLE;
use crate::{Code, Result};

/// More than one share adds, and few enough that nobody waits for them.
const AT_A_TIME: usize = 5;

impl Lapse {
    /// Cleans up a few objects of a profile (the one in use if none is named): for after a share. What can't
    /// be done now is done another time.
    pub async fn clean_up(&self, profile: Option<&str>) {
        if let Err(error) = self.try_clean_up(profile).await {
            tracing::info!(code = error.code.as_str(), "ended shares stay in the bucket for now");
        }
    }

    async fn try_clean_up(&self, profile: Option<&str>) -> Result<()> {
        let profile = self.profile(profile).await?;
        self.clean_given_up(&profile.name).await?;
        self.forget_old_keys(&profile).await?;
        let CleanUp::Days(days) = profile.clean_up else { return Ok(()) };
        let kept_for = SignedDuration::from_hours(24 * i64::from(days));
        let now = self.clock(&profile)?.now();
        let end = now - kept_for;
        self.history.note_due(&profile.name, end, now)?;
        // The local store has this computer's clock, which may be wrong for a while: nobody else corrects it.
        let noted = if profile.is_local() { now - SignedDuration::from_hours(24) } else { now };
        let mut due = self.history.uncleaned(&profile.name, &profile.bucket, end, noted)?;
        due.retain(still_on_disk);
        if due.is_empty() {
            return Ok(());
        }
        let bucket = self.bucket(profile).await?;
        for share in due.iter().take(AT_A_TIME) {
            let found = match bucket.head(&share.key).await {
                Ok(object) => Some(object.etag),
                Err(error) if error.code == Code::NoSuchObject => None,
                Err(error) => {
                    tracing::info!(share = %share.id, code = error.code.as_str(), "stays for now");
                    continue;
                }
            };
            // That answer told the server's time anew; what was kept of it may have been wrong.
            if share.ends_at().is_none_or(|end| end > bucket.clock().now() - kept_for) {
                continue;
            }
            // Someone may have put another object under our key.
            if found.is_some() && found == share.etag {
                bucket.delete(&share.key).await?;
            }
            self.history.set_cleaned(&share.id, bucket.clock().now())?;
            self.changed(&share.id);
        }
        Ok(())
    }
}

impl Lapse {
    /// Deletes the secrets of keys that were switched off for good, once no link by them is left to be asked about.
    async fn forget_old_keys(&self, profile: &Profile) -> Result<()> {
        if profile.is_local() {
            return Ok(());
        }
        let now = self.clock(profile)?.now();
        for (plan, access_key) in self.history.over_keys(&profile.name, now, now - RESTORABLE)? {
            self.forget_key(profile, &access_key, None).await?;
            self.history.set_forgotten(plan)?;
        }
        Ok(())
    }

    async fn clean_given_up(&self, profile: &str) -> Result<()> {
        let mut given_up = self.unfinished()?;
        given_up.retain(|upload| !upload.can_go_on && upload.share.profile == profile);
        for upload in given_up.iter().take(AT_A_TIME) {
            // One that another process sends now isn't touched.
            self.clean_upload(&upload.share.id).await?;
        }
        Ok(())
    }
}

/// The bucket may hold the last copy of a file that is gone or changed here: that one stays.
pub(super) fn still_on_disk(share: &Share) -> bool {
    match &share.origin {
        Origin::File { path, fingerprint } => {
            OpenFile::open(path).is_ok_and(|file| file.fingerprint == *fingerprint)
        }
        Origin::Folder { path, fingerprint } => {
            Folder::look(path).is_ok_and(|folder| folder.fingerprint == *fingerprint)
        }
        Origin::Stdin | Origin::Object => false,
    }
}
