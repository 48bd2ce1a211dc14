//! Taking shares back, one by one: the object is deleted, or moved to another key, and the storage is asked with every
//! link that was ever given.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, stream};
use serde::Serialize;

use super::{Share, ShareId, State, UnderWay, object_key};
use crate::history::Revocation;
use crate::home::create_private_file;
use crate::lapse::Lapse;
use crate::storage::{Bucket, Headers, LinkFacts, Seen};
use crate::{Code, Error, Result};

/// Shares that are taken back at once.
pub(crate) const AT_ONCE: usize = 16;
/// A link may still open for a moment after its object was deleted, where deletes take time to spread.
const SPREADING: u32 = 10;
/// Between two looks at such a link.
const PAUSE: Duration = Duration::from_millis(500);
/// How long the storage may take to delete an object.
const ANSWER: Duration = Duration::from_secs(20);

/// What becomes of the file when its links are taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum File {
    /// Its object is deleted.
    Deleted,
    /// The storage moves it to another key, where no link leads.
    Kept,
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
    /// Whether the bucket keeps old versions of the object, which no link of Lapse opens.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keeps_versions: bool,
}

/// An object on its way to another key, or to be deleted.
#[derive(Debug)]
pub(crate) struct Move {
    pub(crate) share: ShareId,
    /// The new key until the copy is there, then the old one. The share's own where it is to be deleted.
    pub(crate) key: String,
    pub(crate) is_copied: bool,
}

/// Held by whoever moves a share's object.
struct MoveLock {
    path: PathBuf,
    _file: std::fs::File,
}

impl Drop for MoveLock {
    fn drop(&mut self) {
        // One that is left is used again.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whether a file that is open is the one at this path still.
#[cfg(unix)]
fn is_at(file: &std::fs::File, path: &std::path::Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let number = |found: &std::fs::Metadata| (found.dev(), found.ino());
    matches!((&file.metadata(), &path.metadata()), (Ok(open), Ok(there)) if number(open) == number(there))
}

/// An open file's name isn't free for another there.
#[cfg(not(unix))]
fn is_at(_file: &std::fs::File, path: &std::path::Path) -> bool {
    path.exists()
}

fn is_moving(id: &ShareId) -> Error {
    Error::new(
        Code::NotActive,
        format!("{id} is being revoked already"),
        "Wait until that is done; `lapse list` shows it.",
    )
}

impl Lapse {
    /// Takes a share back, then asks with every link that was ever given.
    pub async fn revoke(&self, id: &ShareId, file: File) -> Result<Revoked> {
        let share = self.find(id)?;
        may_be_revoked(&share)?;
        // Of two that move one object the second would delete what the first made.
        let _moving = self.lock_move(&share.id)?.ok_or_else(|| is_moving(&share.id))?;
        self.revoke_held(&share.id, file).await
    }

    /// The same, where a move is held already.
    async fn revoke_held(&self, id: &ShareId, file: File) -> Result<Revoked> {
        let mut share = self.find(id)?;
        // Also a share that failed: its object may have arrived before the answer was lost.
        let bucket = self.bucket_of(&share).await?;
        let mut keeps_versions = false;
        let how = match file {
            File::Deleted => {
                keeps_versions = self.delete_for_good(&bucket, &mut share).await?;
                "deleted"
            }
            File::Kept => {
                keeps_versions |= self.move_away(&bucket, &mut share).await?;
                share = self.find(&share.id)?;
                "moved"
            }
        };
        let (mut checked, mut refused) = (0, 0);
        for number in 0..share.links.len() {
            // The object is gone from there: what goes wrong now makes the rest unknown, not the revoke undone.
            let mut seen = self
                .ask_until_refused(&bucket, &mut share, number)
                .await
                .unwrap_or(Some(Seen::NotKnown));
            if seen.is_none() && share.links[number].facts.ends_at() > bucket.clock().now() {
                seen = self.ask_for_gone(&bucket, &mut share, number).await.ok();
            }
            checked += usize::from(seen.is_some());
            refused += usize::from(seen.is_some_and(Seen::is_refusal));
        }
        self.keep_clock(&bucket)?;
        let done = Revocation {
            at: bucket.clock().second(),
            how: how.to_owned(),
            profile: share.profile.clone(),
            share: Some(share.id.to_string()),
            name: Some(share.name.clone()),
            label: share.label.clone(),
            old_key: None,
            new_key: None,
            checked: checked as u64,
            refused: refused as u64,
            kept: 0,
        };
        self.history.note(done).await?;
        self.changed(&share.id);
        let state = share.state(bucket.clock().now());
        Ok(Revoked { id: share.id, state, checked, refused, keeps_versions })
    }

    /// Takes back every share of a label that isn't yet, many at once; others aren't touched.
    pub async fn revoke_label(
        &self,
        label: &str,
        file: File,
    ) -> Result<Vec<(ShareId, Result<Revoked>)>> {
        let mut shares = self.history.labeled(label)?;
        if shares.is_empty() {
            return Err(Error::new(
                Code::NoSuchShare,
                format!("no share has the label «{}»", label.escape_debug()),
                "See labels with `lapse list --json`.",
            ));
        }
        let is_sent = |share: &Share| share.under_way != UnderWay::No;
        shares.retain(|share| {
            share.revoked_at.is_none() && (is_sent(share) || may_be_revoked(share).is_ok())
        });
        let revoking = shares.into_iter().map(|share| async move {
            let revoked = if is_sent(&share) {
                Box::pin(self.take_back(&share.id, file)).await
            } else {
                Box::pin(self.revoke(&share.id, file)).await
            };
            (share.id, revoked)
        });
        Ok(stream::iter(revoking).buffered(AT_ONCE).collect().await)
    }

    /// Ends the upload of a share, which has no link yet, or its links where it is there already.
    pub async fn take_back(&self, id: &ShareId, file: File) -> Result<Revoked> {
        match self.cancel(id).await {
            Ok(()) => {
                let share = self.find(id)?;
                let state = share.state(self.now_of(&share)?);
                let id = share.id;
                Ok(Revoked { id, state, checked: 0, refused: 0, keeps_versions: false })
            }
            Err(error) if error.code == Code::NotUploading => self.revoke(id, file).await,
            Err(error) => Err(error),
        }
    }

    /// Deletes the old versions that the bucket keeps of what a share's links led to, after it was revoked. A file that was
    /// kept stays, with its versions.
    pub async fn purge(&self, id: &ShareId) -> Result<usize> {
        let share = self.find(id)?;
        let left = |facts: &LinkFacts| {
            share.revoked_at.is_some() || !facts.leads_to(&share.bucket, &share.key)
        };
        let links = share.links.iter().map(|link| &link.facts).filter(|facts| left(facts));
        let mut keys: BTreeSet<_> = links.flat_map(|facts| facts.keys(&share.bucket)).collect();
        keys.extend(share.revoked_at.map(|_| share.key.clone()));
        if keys.is_empty() || !share.is_ours() {
            return Err(Error::new(
                Code::NotActive,
                format!("the share {} isn't revoked", share.id),
                format!("Revoke it first: lapse revoke {}", share.id),
            ));
        }
        let bucket = self.bucket_of(&share).await?;
        let mut deleted = 0;
        for key in keys {
            for version in bucket.versions(&key).await? {
                bucket.delete_version(&key, &version).await?;
                deleted += 1;
            }
        }
        Ok(deleted)
    }

    /// What was revoked so far, the oldest first: kept when objects and shares are gone. No secret is in it.
    pub fn revocations(&self) -> Result<Vec<Revocation>> {
        self.history.revocations()
    }

    /// Moves a share's object to a key that nobody knows. Gives whether the bucket keeps the old one as a version.
    async fn move_away(&self, bucket: &Bucket, share: &mut Share) -> Result<bool> {
        let begun = self.history.moving(&share.id)?;
        let old = match begun {
            Some(Move { key, is_copied: true, .. }) => key,
            begun => {
                let new = if let Some(Move { key, .. }) = begun {
                    // The parts of a copy that was cut off.
                    bucket.abort_unheard(&key).await?;
                    key
                } else {
                    let new = object_key(&bucket.profile().prefix, &share.name);
                    self.history.begin_move(&share.id, &new)?;
                    new
                };
                crate::point::reach("move_begun");
                let facts = share.links.last().map(|link| &link.facts);
                let headers = Headers {
                    content_type: facts
                        .and_then(|facts| facts.content_type.clone())
                        .unwrap_or_else(|| "application/octet-stream".to_owned()),
                    disposition: facts
                        .and_then(|facts| facts.disposition.clone())
                        .unwrap_or_else(|| "attachment".to_owned()),
                };
                let copied = bucket.copy(&share.key, &new, share.size, &headers).await;
                let copy = match copied {
                    Ok(copy) => copy,
                    Err(error) if error.passes() => return Err(error),
                    Err(error) => {
                        bucket.delete(&new).await?;
                        self.history.end_move(&share.id)?;
                        return Err(error);
                    }
                };
                crate::point::reach("move_copied");
                let at = bucket.clock().second();
                self.history.moved(share, &new, &copy.etag, at).await?;
                share.key.clone()
            }
        };
        crate::point::reach("move_switched");
        let keeps_versions = bucket.delete(&old).await?;
        crate::point::reach("move_deleted");
        self.history.end_move(&share.id)?;
        Ok(keeps_versions)
    }

    /// Deletes a share's object. Written down before: a crash, or an answer that is lost, leaves it to be done again.
    /// Gives whether the bucket keeps it as an old version.
    async fn delete_for_good(&self, bucket: &Bucket, share: &mut Share) -> Result<bool> {
        let in_time = async |asked: BoxFuture<'_, Result<bool>>| {
            tokio::time::timeout(ANSWER, asked).await.unwrap_or_else(|_| {
                Err(Error::new(
                    Code::Unreachable,
                    format!("{} doesn't answer", bucket.profile().endpoint.authority),
                    "Check the network, then try again.",
                )
                .passing(true))
            })
        };
        // Where nothing answers nothing is begun.
        match in_time(Box::pin(async { bucket.head(&share.key).await.map(|_| true) })).await {
            Err(error) if error.passes() => return Err(error),
            _ => {}
        }
        let before = share.revoked_at;
        let at = before.unwrap_or_else(|| bucket.clock().second());
        match self.history.begin_delete(share, at).await {
            // What ends the link makes room, too.
            Err(error) if error.code == Code::DiskFull => {}
            begun => begun?,
        }
        crate::point::reach("delete_begun");
        let mut deleted = in_time(Box::pin(bucket.delete(&share.key))).await;
        if matches!(&deleted, Err(error) if error.code == Code::DiskFull) {
            // The local store gives up what it keeps for that when it first meets a full disk.
            deleted = in_time(Box::pin(bucket.delete(&share.key))).await;
        }
        match deleted {
            Err(error) if error.passes() => Err(Error::new(
                error.code,
                format!("it isn't known whether «{}» is deleted: {}", share.name, error.message),
                "Lapse finishes it at its next start; its link may open until then.",
            )
            .passing(true)),
            Err(error) => {
                self.history.end_delete(&share.id, before).await?;
                Err(error)
            }
            Ok(keeps_versions) => {
                crate::point::reach("delete_done");
                share.revoked_at = Some(at);
                self.history.end_delete(&share.id, share.revoked_at).await?;
                Ok(keeps_versions)
            }
        }
    }

    /// The key of a link isn't kept: asks with the same link by the key of now whether its object is gone, which ends
    /// both. Anything else proves nothing.
    async fn ask_for_gone(
        &self,
        bucket: &Bucket,
        share: &mut Share,
        number: usize,
    ) -> Result<Seen> {
        let keys = bucket.signer();
        let link = &mut share.links[number];
        let by_now = crate::rotation::by(&link.facts, keys);
        // A local store with another port is another store.
        let port = |host: &str| host.rsplit_once(':').map(|(_, port)| port.to_owned());
        let profile = bucket.profile();
        let is_there =
            !profile.is_local() || port(&link.facts.host) == port(&profile.endpoint.authority);
        let seen = match bucket.ask(&by_now, keys, share.size).await? {
            Seen::Gone if is_there => Seen::Gone,
            _ => Seen::NotKnown,
        };
        let at = bucket.clock().second();
        link.checked = Some((at, seen));
        self.history.set_seen(link.row, at, seen)?;
        Ok(seen)
    }

    /// Finishes what was cut off while objects were moved away. Gives why some couldn't be.
    pub async fn finish_moves(&self) -> Vec<Error> {
        let moves = match self.history.moves() {
            Ok(moves) => moves,
            Err(error) => return vec![error],
        };
        let mut failures = Vec::new();
        for Move { share, .. } in moves {
            failures.extend(Box::pin(self.finish_move(&share)).await.err());
        }
        failures
    }

    async fn finish_move(&self, id: &ShareId) -> Result<()> {
        let Some(_moving) = self.lock_move(id)? else { return Ok(()) };
        // It may have been done since.
        let Some(begun) = self.history.moving(id)? else { return Ok(()) };
        let is_delete = begun.is_copied && begun.key == self.find(id)?.key;
        let file = if is_delete { File::Deleted } else { File::Kept };
        self.revoke_held(id, file).await.map(drop)
    }

    /// Holds the move of a share's object; nothing where that is held already, here or elsewhere.
    fn lock_move(&self, id: &ShareId) -> Result<Option<MoveLock>> {
        let path = self.home.move_lock(id.as_str());
        let failed = |error| Error::disk("write", &path, error);
        let file = create_private_file(&path).map_err(failed)?;
        // Whoever held it last may have removed it meanwhile.
        let held = file.try_lock().is_ok() && is_at(&file, &path);
        Ok(held.then_some(MoveLock { path, _file: file }))
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

fn may_be_revoked(share: &Share) -> Result<()> {
    if !share.is_ours() {
        return Err(Error::new(
            Code::NotOurs,
            format!(
                "s3://{}/{} was in the bucket before it was shared, so Lapse doesn't delete it",
                share.bucket, share.key
            ),
            "To end its link now, delete or move the object yourself, or rotate the key that signed it: lapse revoke --all",
        ));
    }
    if share.under_way != UnderWay::No {
        return Err(Error::new(
            Code::NotActive,
            format!("the share {} is still being uploaded", share.id),
            format!("Stop that first: lapse cancel {}", share.id),
        ));
    }
    Ok(())
}
