//! Who sends an upload: one process at a time, known by a file that it holds locked as long as it lives.
//!
//! One file a process, not one an upload: making thousands of files takes longer than sending as many small ones.

use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::share::{ShareId, random_step};
use crate::{Error, Result};

/// This process as an owner of uploads.
#[derive(Debug)]
pub(super) struct Owner {
    folder: PathBuf,
    /// Made when something is first owned.
    held: Mutex<Option<Held>>,
    owned: Arc<Mutex<HashSet<ShareId>>>,
}

#[derive(Debug)]
struct Held {
    name: String,
    _file: File,
}

/// Says that this process sends a share, until it is dropped.
#[derive(Debug)]
pub(crate) struct UploadLock {
    id: ShareId,
    owned: Arc<Mutex<HashSet<ShareId>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Owner {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, held: Mutex::default(), owned: Arc::default() }
    }

    /// The name of this process, whose file it holds from now on.
    pub(super) fn name(&self) -> Result<String> {
        let mut held = locked(&self.held);
        if let Some(held) = &*held {
            return Ok(held.name.clone());
        }
        crate::home::make_private_dir(&self.folder)?;
        remove_dead(&self.folder);
        loop {
            let name = random_step();
            let path = self.folder.join(&name);
            let failed = |error| Error::disk("write", &path, error);
            let file = crate::home::create_private_file(&path).map_err(failed)?;
            // Another process may just have taken it for one of the dead.
            let is_ours = file.try_lock().is_ok() && path.exists();
            if is_ours {
                *held = Some(Held { name: name.clone(), _file: file });
                return Ok(name);
            }
        }
    }

    /// Owns an upload, unless this process does already.
    pub(super) fn take(&self, id: &ShareId) -> Option<UploadLock> {
        let is_new = locked(&self.owned).insert(id.clone());
        is_new.then(|| UploadLock { id: id.clone(), owned: Arc::clone(&self.owned) })
    }

    /// Whether an owner still sends a share.
    pub(super) fn sends(&self, owner: &str, id: &ShareId) -> bool {
        let is_this = locked(&self.held).as_ref().is_some_and(|held| held.name == owner);
        if is_this { locked(&self.owned).contains(id) } else { is_alive(&self.folder.join(owner)) }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(held) = &*locked(&self.held) {
            // A leftover is removed by whoever comes next.
            let _ = std::fs::remove_file(self.folder.join(&held.name));
        }
    }
}

impl Drop for UploadLock {
    fn drop(&mut self) {
        locked(&self.owned).remove(&self.id);
    }
}

fn is_alive(file: &Path) -> bool {
    let Ok(file) = File::open(file) else { return false };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// Files of processes that ended without a word.
fn remove_dead(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if let Ok(file) = File::open(entry.path())
            && file.try_lock().is_ok()
        {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
