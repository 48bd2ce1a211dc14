//! The uploads that run in this process, and the reins of each.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::ShareId;
use crate::lapse::Lapse;
use crate::{Code, Error, Result};

/// What an upload was told last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    Go,
    Pause,
    /// This one isn't wanted any more.
    Cancel,
    /// Lapse ends.
    Stop,
}

/// Every upload that runs in this process.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Nothing begins any more.
    stopped: bool,
    running: HashMap<ShareId, watch::Sender<Told>>,
}

impl Uploads {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets an upload be told things until what this gives is dropped.
    pub(crate) fn begin(&self, id: &ShareId) -> Reins<'_> {
        let mut inner = self.inner();
        let (sender, told) = watch::channel(if inner.stopped { Told::Stop } else { Told::Go });
        inner.running.insert(id.clone(), sender);
        Reins { uploads: self, id: id.clone(), told }
    }

    pub(crate) fn stop_all(&self) {
        let mut inner = self.inner();
        inner.stopped = true;
        for upload in inner.running.values() {
            upload.send_replace(Told::Stop);
        }
    }

    pub(crate) fn go_on(&self) {
        self.inner().stopped = false;
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.inner().stopped
    }

    pub(crate) fn is_paused(&self, id: &ShareId) -> bool {
        self.inner().running.get(id).is_some_and(|upload| *upload.borrow() == Told::Pause)
    }

    /// Tells an upload something, unless it was told to end; gives its channel, or none if it doesn't run here.
    fn tell(&self, id: &ShareId, what: Told) -> Option<watch::Sender<Told>> {
        let upload = self.inner().running.get(id).cloned()?;
        upload.send_if_modified(|told| {
            let open = matches!(told, Told::Go | Told::Pause) && *told != what;
            if open {
                *told = what;
            }
            open
        });
        Some(upload)
    }
}

/// What one upload is told.
#[derive(Debug)]
pub(crate) struct Reins<'a> {
    uploads: &'a Uploads,
    id: ShareId,
    told: watch::Receiver<Told>,
}

impl Reins<'_> {
    /// Waits as long as the upload is paused; an error says that it must end.
    pub(crate) async fn may_go(&mut self) -> Result<()> {
        // The sender is gone only after `end`, when nothing can be told any more.
        let told = self.told.wait_for(|told| *told != Told::Pause).await;
        match told.map_or(Told::Go, |told| *told) {
            Told::Go | Told::Pause => Ok(()),
            Told::Cancel => Err(canceled()),
            Told::Stop => Err(Error::new(
                Code::Interrupted,
                "the upload was stopped",
                "Share the file again when you like.",
            )),
        }
    }

    /// Waits until the upload is told anything but to go.
    pub(crate) async fn held(&mut self) {
        if self.told.wait_for(|told| *told != Told::Go).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// From here on nothing can be told. Gives whether the upload was canceled before.
    pub(crate) fn end(&self) -> bool {
        self.uploads.inner().running.remove(&self.id);
        *self.told.borrow() == Told::Cancel
    }
}

impl Drop for Reins<'_> {
    fn drop(&mut self) {
        self.uploads.inner().running.remove(&self.id);
    }
}

pub(crate) fn canceled() -> Error {
    Error::new(Code::Canceled, "the upload was canceled", "Share the file again when you like.")
}

impl Lapse {
    /// How many uploads run in this `Lapse`, paused ones too.
    pub fn uploads(&self) -> usize {
        self.uploads.inner().running.len()
    }

    /// Ends an upload that runs in this `Lapse`, and takes away what had arrived of it. Its share isn't listed
    /// any more. Returns once that is done; what couldn't be taken away stays in the bucket, where no link
    /// reaches it.
    pub async fn cancel(&self, id: &ShareId) -> Result<()> {
        self.tell_upload(id, Told::Cancel)?.closed().await;
        Ok(())
    }

    /// Lets an upload that runs in this `Lapse` wait. What arrived is kept; what is under way is sent again
    /// later.
    pub fn pause(&self, id: &ShareId) -> Result<()> {
        self.tell_upload(id, Told::Pause).map(drop)
    }

    /// Lets a paused upload go on.
    pub fn resume(&self, id: &ShareId) -> Result<()> {
        self.tell_upload(id, Told::Go).map(drop)
    }

    fn tell_upload(&self, id: &ShareId, what: Told) -> Result<watch::Sender<Told>> {
        let id = self.history.find(id)?.id;
        let upload = self.uploads.tell(&id, what).ok_or_else(|| {
            Error::new(
                Code::NotUploading,
                format!("no upload of the share {id} runs here"),
                "It has ended already, or another program sends it: stop it there.",
            )
        })?;
        self.changed(&id);
        Ok(upload)
    }
}
