//! One folder that is watched now.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::look::{Looker, Watcher};
use super::root::Root;
use super::{Away, WatchedFolder};
use crate::event::Event;
use crate::lapse::Lapse;
use crate::share::ShareId;

/// How often a folder is looked through of which the system tells every change: it may be wrong.
const SELDOM: Duration = Duration::from_mins(15);
/// The same of one that takes long.
const RARELY: Duration = Duration::from_hours(6);
/// The same where it tells nothing.
const OFTEN: Duration = Duration::from_secs(5);

/// Which files of a folder were looked at before.
#[derive(Clone)]
pub(super) enum Before {
    Same,
    None,
    Others(Box<Looker>),
}

/// A folder that is watched now.
pub(super) struct Running {
    /// Each time that it is taken up another one.
    pub(super) id: u64,
    pub(super) folder: WatchedFolder,
    pub(super) looker: Looker,
    pub(super) before: Before,
    pub(super) is_looking: bool,
    /// To be looked at, of what the system told.
    pub(super) news: HashSet<PathBuf>,
    /// When all of it is looked through the next time, and how often.
    pub(super) next: Instant,
    every: Duration,
    /// The folder itself, while it is there.
    pub(super) root: Result<Root, Away>,
    /// The system tells of no more folders.
    pub(super) is_limited: bool,
    pub(super) unreadable: Vec<PathBuf>,
    /// Since the storage failed for several files in a row.
    pub(super) failures: u32,
    pub(super) waits: Option<(Instant, String)>,
    pub(super) trouble: Option<String>,
    /// Shared since all was shared the last time.
    pub(super) count: usize,
    pub(super) newest: Option<ShareId>,
    pub(super) shared_at: Instant,
    /// When it was told last how it goes.
    pub(super) told: Instant,
}

impl Running {
    pub(super) fn number(&self) -> i64 {
        self.looker.folder
    }

    /// Whether its files may be shared now.
    pub(super) fn is_open(&self, now: Instant) -> bool {
        self.root.is_ok() && self.waits.as_ref().is_none_or(|(until, _)| *until <= now)
    }

    fn is_polled(&self) -> bool {
        self.is_limited || self.looker.watcher.is_none()
    }

    pub(super) fn new(
        id: u64,
        folder: WatchedFolder,
        looker: Looker,
        before: Before,
        trouble: Option<String>,
    ) -> Self {
        Self {
            id,
            folder,
            looker,
            before,
            is_looking: false,
            news: HashSet::new(),
            next: Instant::now(),
            every: OFTEN,
            root: Err(Away::Gone),
            is_limited: false,
            unreadable: Vec::new(),
            failures: 0,
            waits: None,
            trouble,
            count: 0,
            newest: None,
            shared_at: Instant::now(),
            told: Instant::now(),
        }
    }

    /// All of it was looked through, which took so long.
    pub(super) fn looked_through(&mut self, took: Duration) {
        self.every = if self.is_polled() {
            (took * 50).clamp(OFTEN, SELDOM)
        } else {
            (took * 1000).clamp(SELDOM, RARELY)
        };
        self.next = self.next.min(Instant::now() + self.every);
    }

    /// Looks whether a folder is there, and which one it is.
    pub(super) fn look_at_root(&mut self, lapse: &Lapse, watcher: Option<&Watcher>) {
        let rows = lapse.history.watched();
        let number = self.number();
        let before = match rows.identity(number) {
            Ok(before) => before,
            Err(error) => {
                tracing::warn!(
                    code = error.code.as_str(),
                    "it isn't known which folder was watched"
                );
                return;
            }
        };
        let now = Root::at(&self.looker.root, before.as_ref());
        if now == self.root {
            return;
        }
        if let Ok(now) = &now {
            let identity = now.identity.clone().or(before.as_ref());
            if before.as_ref() != Some(&identity)
                && let Err(error) = rows.set_identity(number, Some(&identity))
            {
                tracing::warn!(code = error.code.as_str(), "which folder is watched isn't kept");
            }
            self.next = Instant::now();
            self.looker.watcher = watcher.filter(|_| !now.is_network).cloned();
        }
        self.root = now;
    }

    /// Keeps and tells why it isn't watched just now, or that it is again.
    pub(super) fn tell_trouble(&mut self, lapse: &Lapse) {
        let now = Instant::now();
        let every = || {
            let seconds = self.every.as_secs();
            if seconds < 120 {
                format!("every {seconds} s")
            } else {
                format!("every {} min", seconds / 60)
            }
        };
        let waits = self.waits.as_ref().filter(|(until, _)| *until > now);
        let trouble = match &self.root {
            Err(Away::Gone) => {
                Some("The folder isn't there now. It is watched again when it is back.".to_owned())
            }
            Err(Away::Replaced) => Some(
                "Another folder or disk is at its place now. If it is the right one, resume it."
                    .to_owned(),
            ),
            Err(Away::Silent) => {
                Some("Its disk doesn't answer now. It is watched again when it does.".to_owned())
            }
            Ok(_) if let Some((_, why)) = waits => Some(why.clone()),
            Ok(root) if root.is_network => Some(format!(
                "On a network disk changes aren't told, so it is looked through {}.",
                every()
            )),
            Ok(_) if self.is_limited => Some(format!(
                "The system tells changes of no more folders (fs.inotify.max_user_watches), so it is looked through {}.",
                every()
            )),
            Ok(_) if self.looker.watcher.is_none() => Some(format!(
                "The system tells of no changes, so it is looked through {}.",
                every()
            )),
            Ok(_) => self
                .unreadable
                .first()
                .map(|path| format!("{} can't be read.", path.to_string_lossy().escape_debug())),
        };
        if trouble == self.trouble {
            return;
        }
        if let Err(error) = lapse.history.watched().set_trouble(self.number(), trouble.as_deref()) {
            tracing::warn!(code = error.code.as_str(), "the state of a folder isn't kept");
            return;
        }
        self.trouble = trouble;
        let (folder, trouble) = (&*self.folder.path, self.trouble.as_deref());
        lapse.sink.emit(Event::Trouble { folder, trouble });
        lapse.sink.emit(Event::Folder(folder));
    }
}
