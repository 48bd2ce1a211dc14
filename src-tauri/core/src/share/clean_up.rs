//! Deletes objects whose links have all ended, so that a bucket doesn't fill up with what nobody can open.

use jiff::SignedDuration;

use super::{OpenFile, Origin, Share};
use crate::lapse::Lapse;
use crate::profile::CleanUp;
use crate::storage::Bucket;
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
        let CleanUp::Days(days) = profile.clean_up else { return Ok(()) };
        let end = self.clock(&profile)?.now() - SignedDuration::from_hours(24 * i64::from(days));
        let mut due = self.history.uncleaned(&profile.name, &profile.bucket, end)?;
        due.retain(still_on_disk);
        if due.is_empty() {
            return Ok(());
        }
        let bucket = self.bucket(profile).await?;
        for share in due.iter().take(AT_A_TIME) {
            delete_if_same(&bucket, share).await?;
            self.history.set_cleaned(&share.id, bucket.clock().now())?;
        }
        Ok(())
    }
}

/// The bucket may hold the last copy of a file that is gone or changed here: that one stays.
fn still_on_disk(share: &Share) -> bool {
    let Origin::File { path, fingerprint } = &share.origin else { return false };
    OpenFile::open(path).is_ok_and(|file| file.fingerprint == *fingerprint)
}

/// Someone may have put another object under our key.
async fn delete_if_same(bucket: &Bucket, share: &Share) -> Result<()> {
    match bucket.head(&share.key).await {
        Ok(object) if Some(&object.etag) == share.etag.as_ref() => bucket.delete(&share.key).await,
        Err(error) if error.code != Code::NoSuchObject => Err(error),
        _ => Ok(()),
    }
}
