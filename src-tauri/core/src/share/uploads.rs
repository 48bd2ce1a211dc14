//! The uploads that run in this process, and the reins of each.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::{ShareId, can_go_on};
use crate::history::Said;
use crate::lapse::Lapse;
use crate::{Code, Error, Result};

/// How long another program may take to stop an upload and clear up after it.
const HEEDED: Duration = Duration::from_secs(15);

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
    /// Held from reading or writing what was said until the upload is told it: what is older isn't told later.
    saying: Mutex<()>,
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

    /// Until this is dropped nobody else says anything, nor tells it.
    pub(crate) fn saying(&self) -> MutexGuard<'_, ()> {
        self.saying.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what a person said in whichever program, if the upload runs here.
    pub(crate) fn heed(&self, id: &ShareId, said: Option<Said>) {
        self.tell(
            id,
            match said {
                None => Told::Go,
                Some(Said::Pause) => Told::Pause,
                Some(Said::Cancel) => Told::Cancel,
            },
        );
    }

    fn ids(&self) -> Vec<ShareId> {
        self.inner().running.keys().cloned().collect()
    }

    fn running(&self, id: &ShareId) -> Option<watch::Sender<Told>> {
        self.inner().running.get(id).cloned()
    }

    /// Tells an upload something, unless it was told to end, or doesn't run here.
    fn tell(&self, id: &ShareId, what: Told) {
        let Some(upload) = self.running(id) else { return };
        upload.send_if_modified(|told| {
            let open = matches!(told, Told::Go | Told::Pause) && *told != what;
            if open {
                *told = what;
            }
            open
        });
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
            Told::Stop => Err(stopped()),
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

pub(super) fn stopped() -> Error {
    let hint =
        "Share the file again when you like; `lapse uploads` shows what can be gone on with.";
    Error::new(Code::Interrupted, "the upload was stopped", hint)
}

pub(crate) fn canceled() -> Error {
    Error::new(Code::Canceled, "the upload was canceled", "Share the file again when you like.")
}

impl Lapse {
    /// How many uploads run in this `Lapse`, paused ones too.
    pub fn uploads(&self) -> usize {
        self.uploads.inner().running.len()
    }

    /// Ends an upload, whichever program sends it, and takes away what had arrived of it. Its share isn't listed any
    /// more. Returns once that is done; what couldn't be taken away stays in the bucket, where no link reaches it.
    pub async fn cancel(&self, id: &ShareId) -> Result<()> {
        let (id, is_under_way) = self.say(id, Some(Said::Cancel))?;
        // A watched file isn't shared again until it changes.
        self.history.watched().leave(&id)?;
        if let Some(upload) = self.uploads.running(&id) {
            upload.closed().await;
            return Ok(());
        }
        if is_under_way {
            // The program that sends it heeds that soon.
            let end = Instant::now() + HEEDED;
            while self.history.upload(&id)?.is_some() && self.history.is_under_way(&id) {
                if Instant::now() > end {
                    return Err(Error::new(
                        Code::NotKnown,
                        format!("the program that sends {id} hasn't stopped yet"),
                        "Look again with `lapse uploads`.",
                    ));
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        self.history.set_failed(&id, &canceled().message)?;
        self.history.set_hidden(&id, jiff::Timestamp::now())?;
        self.changed(&id);
        self.clean_upload(&id).await.map(drop)
    }

    /// Lets an upload wait, whichever program sends it. What arrived is kept; what is under way is sent again
    /// later.
    pub fn pause(&self, id: &ShareId) -> Result<()> {
        let (id, _) = self.say(id, Some(Said::Pause))?;
        // It waits for the person now, whatever it waited for before.
        self.history.set_trouble(&id, None)
    }

    /// Ends the uploads from a watched folder that run here; they are gone on with later.
    pub(crate) fn stop_uploads_of(&self, folder: &str) {
        for id in self.uploads.ids() {
            if self.history.find(&id).is_ok_and(|share| share.folder.as_deref() == Some(folder)) {
                self.uploads.tell(&id, Told::Stop);
            }
        }
    }

    /// Whether whoever watches folders goes on with an upload by itself.
    pub fn is_watchers(&self, share: &super::Share) -> Result<bool> {
        let Some(folder) = &share.folder else { return Ok(false) };
        Ok(self.settings()?.folder(folder).is_ok()
            && self.history.watched().is_waited_with(&share.id)?)
    }

    /// Lets a paused upload go on. Gives whether a program sends it: where none does, [`Self::carry_on`] does.
    pub fn resume(&self, id: &ShareId) -> Result<bool> {
        self.say(id, None).map(|(_, is_under_way)| is_under_way)
    }

    /// Lets every upload that runs here wait, and ends them: for when this process ends, and they should go on only
    /// when the person says so.
    pub fn pause_all(&self) -> Result<Vec<ShareId>> {
        let mut paused = Vec::new();
        for id in self.uploads.ids() {
            // One that can't be gone on with, or has just ended, is told below.
            if self.history.find(&id).is_ok_and(|share| can_go_on(&share.origin)) {
                self.history.set_said(&id, Some(Said::Pause))?;
                paused.push(id);
            }
        }
        self.interrupt();
        Ok(paused)
    }
}
