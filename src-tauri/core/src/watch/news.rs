//! What the system tells of changes: where to look, and no more.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use notify::EventKind;
use notify::event::{AccessKind, AccessMode};

/// More news than that, and all is looked through.
pub(super) const MOST_NEWS: usize = 10_000;

/// What the system told since it was last asked.
#[derive(Debug, Default)]
pub(super) struct News {
    told: Mutex<Told>,
    pub(super) came: tokio::sync::Notify,
}

#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) paths: HashSet<PathBuf>,
    /// Something was lost.
    pub(super) all: bool,
}

impl News {
    pub(super) fn hear(&self, event: notify::Result<notify::Event>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Ok(event) if event.need_rescan() => told.all = true,
            // That something is read, by ourselves too.
            Ok(event)
                if matches!(event.kind, EventKind::Access(kind)
                    if kind != AccessKind::Close(AccessMode::Write)) =>
            {
                return;
            }
            Ok(event) => told.paths.extend(event.paths),
            Err(error) => {
                tracing::warn!(%error, "news of changes were lost");
                told.all = true;
            }
        }
        if told.paths.len() > MOST_NEWS {
            (told.all, told.paths) = (true, HashSet::new());
        }
        drop(told);
        self.came.notify_one();
    }

    pub(super) fn take(&self) -> Told {
        std::mem::take(&mut self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
