//! Sending what a share is made of: until it is there, however often it is interrupted.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use jiff::Timestamp;

use super::folder::Folder;
use super::make::Found;
use super::source::quoted;
use super::uploads::canceled;
use super::{Expiry, Fingerprint, OpenFile, Origin, Reins, Share, ShareId, Shared};
use crate::event::Event;
use crate::history::{Said, UploadLock, UploadRow, sent_already};
use crate::lapse::Lapse;
use crate::storage::Bucket;
use crate::transfer::{ONE_PUT, Progress, Sending, Sent, part_size};
use crate::{Code, Error, Result};

/// How long an upload that was going well waits for a storage that isn't there now.
const PATIENCE: Duration = Duration::from_mins(10);
/// The longest between two looks whether it is back.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// How often it is looked what other programs say of an upload.
const HEED: Duration = Duration::from_millis(500);

/// What is sent.
pub(super) enum Input {
    File(OpenFile),
    Folder(Folder),
    Bytes(Bytes),
    Stdin,
}

impl Input {
    /// Bytes, where that is known before.
    fn size(&self) -> Option<u64> {
        match self {
            Self::File(file) => Some(file.fingerprint.size),
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::Folder(_) | Self::Stdin => None,
        }
    }

    pub(super) fn part_size(&self) -> u64 {
        self.size().map_or(0, part_size)
    }

    /// Whether one request may not be enough for it.
    fn is_large(&self) -> bool {
        self.size().is_none_or(|size| size > ONE_PUT)
    }

    async fn send(&mut self, sending: &mut Sending<'_, '_>) -> Result<Sent> {
        match self {
            Self::File(file) => sending.file(file).await,
            Self::Bytes(bytes) => sending.stream(&mut bytes.as_ref(), None).await,
            Self::Stdin => sending.stream(&mut tokio::io::stdin(), None).await,
            Self::Folder(folder) => {
                let most = folder.most_bytes();
                sending.stream(&mut folder.clone().pack(), Some(most)).await
            }
        }
    }
}

/// An upload that this process owns.
pub(super) struct Owned {
    pub(super) share: Share,
    pub(super) upload: UploadRow,
    pub(super) lock: UploadLock,
    /// Whether it was begun before.
    pub(super) resumed: bool,
}

/// An upload that isn't over.
#[derive(Debug)]
pub struct Unfinished {
    /// Its share.
    pub share: Share,
    /// Whether the person paused it, or has to do something before it can go on.
    pub paused: bool,
    /// Whether it can be gone on with; if not, what arrived of it only waits to be taken away.
    pub can_go_on: bool,
}

impl Lapse {
    /// Sends all that is missing, and gives the first link.
    pub(super) async fn send(
        &self,
        mut bucket: Bucket,
        owned: Owned,
        mut input: Input,
    ) -> Result<Shared> {
        let Owned { share, mut upload, lock, resumed } = owned;
        let mut reins = self.uploads.begin(&share.id);
        self.changed(&share.id);
        let mut sent = tokio::select! {
            sent = self.send_patiently(&mut bucket, &share, &mut upload, &mut input, &mut reins, resumed) => sent,
            () = self.heed(&share.id) => Err(canceled()),
        };
        self.sink.emit(Event::UploadEnded { id: &share.id });
        // From here on it can't be canceled, so one that was, whenever, is.
        let is_canceled = reins.end();
        if is_canceled {
            sent = Err(canceled());
        }
        let done = match sent {
            Ok(sent) => {
                let expires = Expiry::of_seconds(upload.seconds);
                let given =
                    self.give_link(&bucket, share.clone(), sent, upload.headers.clone(), expires);
                // The object is there: only its link is missing, which can be had later.
                given.await.inspect_err(|error| self.keep_trouble(&share.id, Some(&error.message)))
            }
            Err(error) => {
                self.ended_early(&bucket, &share, &upload, resumed, &error).await;
                Err(error)
            }
        };
        if done.is_err() {
            // Only now nobody sends it.
            if let Err(error) = self.history.disown(lock, &share.id).await {
                tracing::warn!(share = %share.id, code = error.code.as_str(), "an upload looks as if it went on");
            }
            self.changed(&share.id);
        }
        done
    }

    /// Tries again while that may help: the storage is away, or the sign-in has to be renewed.
    async fn send_patiently(
        &self,
        bucket: &mut Bucket,
        share: &Share,
        upload: &mut UploadRow,
        input: &mut Input,
        reins: &mut Reins<'_>,
        mut resumed: bool,
    ) -> Result<Sent> {
        let progress = Arc::new(Progress::new(&share.id, input.size(), &self.sink, &self.pacer));
        let mut failures = 0;
        let mut failed_at = Instant::now();
        self.sink.emit(Event::UploadStarted {
            id: &share.id,
            name: &share.name,
            size: input.size(),
        });
        loop {
            // What came from a pipe can't be had again.
            let again = matches!(input, Input::File(_) | Input::Bytes(_));
            let sent = tokio::select! {
                sent = self.send_once(bucket, share, upload, input, reins, &progress, resumed) => sent,
                () = bucket.cut_off(), if again => Err(elsewhere()),
            };
            let Err(error) = sent else { return sent };
            // One that never was answered is told at once.
            if again && error.may_mean_old_keys() && self.has_new_key(bucket).await? {
                // What a rotation switched off meanwhile is no reason to wait.
                self.close_bucket(bucket).await;
                *bucket = self.bucket_to_go_on(share).await?;
                resumed = true;
                continue;
            }
            let waits = again && error.passes();
            let Some(silent) = progress.silent_for().filter(|silent| waits && *silent < PATIENCE)
            else {
                return Err(error);
            };
            failures = if silent < failed_at.elapsed() { 0 } else { failures + 1 };
            (failed_at, resumed) = (Instant::now(), true);
            tracing::info!(share = %share.id, code = error.code.as_str(), "an upload waits");
            self.keep_trouble(&share.id, Some(&error.message));
            self.sink.emit(Event::UploadWaits { id: &share.id, why: &error.message });
            let longest = Duration::from_secs(1 << failures.min(5)).min(LONGEST_WAIT);
            tokio::select! {
                () = tokio::time::sleep(longest.mul_f64(rand::random())) => {}
                () = reins.held() => {}
            }
            reins.may_go().await?;
            self.keep_trouble(&share.id, None);
            // The keys may have been renewed since, and the local store must be up.
            self.close_bucket(bucket).await;
            if let Ok(renewed) = self.bucket_to_go_on(share).await {
                *bucket = renewed;
            }
        }
    }

    async fn bucket_to_go_on(&self, share: &Share) -> Result<Bucket> {
        let profile = self.profile(Some(&share.profile)).await?.in_bucket(&share.bucket)?;
        self.bucket_for_upload(profile).await
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "they are one upload, in pieces that are borrowed apart"
    )]
    async fn send_once(
        &self,
        bucket: &Bucket,
        share: &Share,
        upload: &mut UploadRow,
        input: &mut Input,
        reins: &mut Reins<'_>,
        progress: &Arc<Progress>,
        resumed: bool,
    ) -> Result<Sent> {
        bucket.must_exist().await?;
        if upload.upload_id.is_none() {
            upload.integrity = self.integrity(bucket, input.is_large()).await?;
        }
        let renew = || -> BoxFuture<'_, Result<Option<Bucket>>> {
            Box::pin(async move {
                let is_replaced = self.has_new_key(bucket).await?;
                Ok(if is_replaced { Some(self.bucket_to_go_on(share).await?) } else { None })
            })
        };
        let mut sending = Sending {
            bucket: Cow::Borrowed(bucket),
            renew: &renew,
            share: &share.id,
            key: &share.key,
            upload,
            history: &self.history,
            progress,
            reins,
            resumed,
            lost: false,
        };
        let sent = input.send(&mut sending).await;
        if sending.lost {
            self.notice(
                &share.id,
                format!("The storage had given the unfinished upload of «{}» up, so it was sent from its beginning.", share.name),
            );
        }
        sent
    }

    /// Hears what other programs say of an upload that runs here.
    async fn heed(&self, id: &ShareId) {
        // A small upload is over before anyone says anything.
        let mut seen = None;
        loop {
            tokio::time::sleep(HEED).await;
            let _saying = self.uploads.saying();
            let version = self.history.version().ok();
            if version != seen {
                seen = version;
                match self.history.upload(id) {
                    Ok(Some(UploadRow { said, .. })) => self.uploads.heed(id, said),
                    Ok(None) => {}
                    Err(error) => tracing::debug!(code = error.code.as_str(), "nothing is heard"),
                }
            }
        }
    }

    fn keep_trouble(&self, id: &ShareId, trouble: Option<&str>) {
        if let Err(error) = self.history.set_trouble(id, trouble) {
            tracing::warn!(share = %id, code = error.code.as_str(), "why an upload stopped isn't kept");
        }
        self.changed(id);
    }

    /// Keeps why an upload doesn't go on; what won't pass by itself is the person's to go on with.
    fn wait_with(&self, id: &ShareId, error: &Error) {
        if !error.passes()
            && let Err(error) = self.history.set_said(id, Some(Said::Pause))
        {
            tracing::warn!(share = %id, code = error.code.as_str(), "an upload isn't paused");
        }
        self.keep_trouble(id, Some(&error.message));
    }

    /// What has parts at the storage keeps them, to be gone on with; all else is taken away.
    async fn ended_early(
        &self,
        bucket: &Bucket,
        share: &Share,
        upload: &UploadRow,
        resumed: bool,
        error: &Error,
    ) {
        let keeps = can_go_on(&share.origin)
            && match error.code {
                Code::Canceled | Code::FileChanged | Code::FileMissing | Code::Damaged => false,
                Code::Interrupted => true,
                _ => {
                    resumed && error.passes()
                        || self.history.parts(&share.id).is_ok_and(|parts| !parts.is_empty())
                }
            };
        if keeps && error.code == Code::Interrupted {
            return;
        }
        if keeps {
            self.wait_with(&share.id, error);
            return;
        }
        // Told before it is taken away, which may take a while.
        let told = self.history.set_failed(&share.id, &error.message).and_then(|()| {
            if error.code == Code::Canceled {
                self.history.set_hidden(&share.id, Timestamp::now())?;
            }
            Ok(())
        });
        if let Err(error) = told {
            tracing::warn!(share = %share.id, code = error.code.as_str(), "a failed upload isn't kept as one");
        }
        // A storage that was never reached has nothing of it.
        let nothing =
            upload.upload_id.is_none() && matches!(error.code, Code::Unreachable | Code::NotS3);
        let taken = if nothing {
            self.history.forget_upload(&share.id).await
        } else {
            self.take_away(bucket, share, upload).await
        };
        if let Err(error) = taken {
            tracing::warn!(share = %share.id, code = error.code.as_str(), "a failed upload may have left something");
        }
    }

    /// Takes away what arrived of an upload that isn't wanted any more. While that can't be done it stays written
    /// down, to be done another time.
    pub(super) async fn take_away(
        &self,
        bucket: &Bucket,
        share: &Share,
        upload: &UploadRow,
    ) -> Result<()> {
        match &upload.upload_id {
            Some(id) => bucket.abort_multipart(&share.key, id).await?,
            // A Create whose answer was lost: the key is ours alone.
            None if share.size > ONE_PUT || share.size == 0 => {
                bucket.abort_unheard(&share.key).await?;
            }
            None => {}
        }
        // The whole object may have arrived all the same.
        bucket.delete(&share.key).await?;
        self.history.forget_upload(&share.id).await
    }

    /// Every upload that isn't over, the oldest first.
    pub fn unfinished(&self) -> Result<Vec<Unfinished>> {
        let mut unfinished = Vec::new();
        for (share, upload) in self.history.unfinished()? {
            let can_go_on = share.failed.is_none() && can_go_on(&share.origin);
            let paused = upload.said == Some(Said::Pause);
            unfinished.push(Unfinished { share, paused, can_go_on });
        }
        Ok(unfinished)
    }

    /// Goes on with an upload that no program sends now, and gives its link. Only what is missing is sent; a file
    /// that changed since is sent from its beginning, and that is told.
    pub async fn carry_on(&self, id: &ShareId) -> Result<Shared> {
        self.pacer.set_limit(self.settings()?.upload_limit());
        let id = self.history.find(id)?.id;
        let Some(lock) = self.history.own(&id).await? else { return Err(sent_already(&id)) };
        // Read once nobody else writes it.
        let share = self.find(&id)?;
        let Some(upload) = self.history.upload(&id)?.filter(|_| share.failed.is_none()) else {
            return Err(not_uploading(&id));
        };
        self.history.set_said(&id, None)?;
        self.keep_trouble(&id, None);
        let mut owned = Owned { share, upload, lock, resumed: true };
        match self.prepare(&mut owned).await {
            Ok((bucket, input)) => {
                let is_watched = owned.share.folder.is_some();
                let shared = Box::pin(self.send(bucket, owned, input)).await?;
                if is_watched {
                    self.history.watched().wait_no_longer(&id)?;
                }
                Ok(shared)
            }
            Err(error) => {
                self.wait_with(&id, &error);
                self.history.disown(owned.lock, &id).await?;
                self.changed(&id);
                Err(error)
            }
        }
    }

    /// What an upload needs to go on.
    async fn prepare(&self, owned: &mut Owned) -> Result<(Bucket, Input)> {
        let Owned { share, upload, .. } = owned;
        let id = share.id.clone();
        let found = match &share.origin {
            // A watched file that changed has to settle again, and lies behind no link.
            Origin::File { path, fingerprint } if share.folder.is_some() => {
                Found::directly(path, *fingerprint).await?
            }
            Origin::File { path, .. } | Origin::Folder { path, .. } => Found::at(path).await?,
            Origin::Stdin | Origin::Object => {
                return Err(Error::new(
                    Code::FileMissing,
                    format!("«{}» was never a file on this computer", share.name),
                    format!(
                        "Share it from where it came from; `lapse cancel {id}` takes away what arrived."
                    ),
                ));
            }
        };
        let (input, now) = match (found, &share.origin) {
            (Found::File(file), Origin::File { .. }) => {
                let now = file.fingerprint;
                (Input::File(file), now)
            }
            (Found::Folder(folder), Origin::Folder { .. }) => {
                self.tell_left_out(&id, &folder);
                let now = folder.fingerprint;
                (Input::Folder(folder), now)
            }
            (Found::File(OpenFile { path, .. }) | Found::Folder(Folder { path, .. }), _) => {
                return Err(super::make::not_there(&path));
            }
        };
        let bucket = self.bucket_to_go_on(share).await?;
        self.begin_anew(&bucket, share, upload, &input, now).await?;
        Ok((bucket, input))
    }

    /// Takes away what arrived where it can't be gone on with: of a file that changed, of a folder, which is packed
    /// anew.
    async fn begin_anew(
        &self,
        bucket: &Bucket,
        share: &mut Share,
        upload: &mut UploadRow,
        input: &Input,
        now: Fingerprint,
    ) -> Result<()> {
        let is_changed = match &mut share.origin {
            Origin::File { path, fingerprint } if *fingerprint != now => {
                let what = format!(
                    "{} changed since its upload began, so it is sent from its beginning.",
                    quoted(path)
                );
                *fingerprint = now;
                self.notice(&share.id, what);
                true
            }
            Origin::Folder { fingerprint, .. } => {
                *fingerprint = now;
                false
            }
            _ => return Ok(()),
        };
        if let Some(id) = upload.upload_id.take() {
            bucket.abort_multipart(&share.key, &id).await?;
        }
        if is_changed {
            share.size = now.size;
        }
        upload.part_size = input.part_size();
        self.history.begin_anew(share, upload.part_size).await
    }

    /// Takes away what is left at the storage of uploads that were given up, of all profiles. Gives of how many
    /// that was, and what couldn't be taken away.
    pub async fn clean_uploads(&self) -> Result<(usize, Vec<Error>)> {
        let (mut cleaned, mut failed) = (0, Vec::new());
        for unfinished in self.unfinished()?.into_iter().filter(|upload| !upload.can_go_on) {
            match self.clean_upload(&unfinished.share.id).await {
                Ok(done) => cleaned += usize::from(done),
                Err(error) => failed.push(error),
            }
        }
        Ok((cleaned, failed))
    }

    /// Takes away what is left of an upload that nobody sends.
    pub(crate) async fn clean_upload(&self, id: &ShareId) -> Result<bool> {
        let Some(lock) = self.history.own(id).await? else { return Ok(false) };
        let cleaned = async {
            let Some(upload) = self.history.upload(id)? else { return Ok(false) };
            let share = self.find(id)?;
            if share.failed.is_none() {
                self.history.set_failed(id, "the upload was interrupted")?;
            }
            let bucket = self.bucket_to_go_on(&share).await?;
            self.take_away(&bucket, &share, &upload).await?;
            Ok(true)
        };
        let cleaned = cleaned.await;
        self.history.disown(lock, id).await?;
        self.changed(id);
        cleaned
    }

    /// Unfinished uploads under the prefix of a profile that no share of this Lapse names: another computer may be
    /// sending them, so they are never touched.
    pub async fn other_uploads(&self, profile: Option<&str>) -> Result<Vec<String>> {
        let bucket = self.bucket_for_upload(self.profile(profile).await?).await?;
        let prefix = match bucket.profile().prefix.as_str() {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        let mut keys: Vec<String> =
            bucket.list_uploads(&prefix).await?.into_iter().map(|(key, _)| key).collect();
        let ours = self.history.unfinished()?;
        keys.retain(|key| ours.iter().all(|(share, _)| share.key != *key));
        Ok(keys)
    }

    /// Says of an upload that it is to wait, or to go on; whichever program sends it heeds that. Gives whether one
    /// does.
    pub(super) fn say(&self, id: &ShareId, said: Option<Said>) -> Result<(ShareId, bool)> {
        let share = self.history.find(id)?;
        let _saying = self.uploads.saying();
        if share.failed.is_some() || !self.history.set_said(&share.id, said)? {
            return Err(not_uploading(&share.id));
        }
        self.uploads.heed(&share.id, said);
        self.changed(&share.id);
        Ok((share.id.clone(), self.history.is_under_way(&share.id)))
    }
}

/// Whether the bytes can be had again.
pub(crate) fn can_go_on(origin: &Origin) -> bool {
    matches!(origin, Origin::File { .. } | Origin::Folder { .. })
}

fn elsewhere() -> Error {
    Error::new(
        Code::Unreachable,
        "this computer is in another network now",
        "Try again: what arrived is kept.",
    )
    .passing(true)
}

fn not_uploading(id: &ShareId) -> Error {
    Error::new(
        Code::NotUploading,
        format!("the share {id} isn't being uploaded"),
        "Its upload has ended; `lapse list` shows how.",
    )
}
