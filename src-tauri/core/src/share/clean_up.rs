//! Deletes objects whose links have all ended, so that a bucket doesn't fill up with what nobody can open.

use jiff::SignedDuration;

use super::{OpenFile, Origin, Share};
use crate::lapse::Lapse;
use crate::profile::CleanUp;
use crate::storage::Bucket;
use crate::{Code, Result};

impl Lapse {
    /// Cleans up a few objects of the bucket's profile. What can't be done now is done another time, so
    /// nothing of it stands in the way of a share.
    pub(super) async fn clean_up(&self, bucket: &Bucket) {
        if let Err(error) = self.try_clean_up(bucket).await {
            tracing::info!(code = error.code.as_str(), "ended shares stay in the bucket for now");
        }
    }

    async fn try_clean_up(&self, bucket: &Bucket) -> Result<()> {
        let CleanUp::Days(days) = bucket.profile().clean_up else { return Ok(()) };
        let end = bucket.clock().now() - SignedDuration::from_hours(24 * i64::from(days));
        for share in self.history.uncleaned(&bucket.profile().name, end)? {
            if share.bucket == bucket.profile().bucket && still_on_disk(&share) {
                delete_if_same(bucket, &share).await?;
                self.history.set_cleaned(&share.id, bucket.clock().now())?;
            }
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
