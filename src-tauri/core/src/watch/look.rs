//! Looking at what is in a watched folder, and comparing it with what is known. The scan is the truth; what the system
//! tells of changes only says where to look.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::root::{Root, written};
use super::rules::{Rules, Scope};
use crate::Result;
use crate::history::{Change, Fate, Known, Place, Waiting, WatchedRows};
use crate::share::Fingerprint;

/// Two looks so far apart must agree before a file is shared.
pub(super) const SETTLE: Duration = Duration::from_secs(2);
/// The longest that a file which a program holds open isn't looked at, where nothing tells that it was closed.
const HELD: Duration = Duration::from_mins(1);
/// A file that is found by no name for so long is gone.
const ASIDE: SignedDuration = SignedDuration::from_hours(24);
/// Changes that are written at once.
const AT_ONCE: usize = 1000;

/// The system's news of changes, where it gives them.
pub(super) type Watcher = Arc<Mutex<RecommendedWatcher>>;

/// Looks at the files of one folder.
#[derive(Debug, Clone)]
pub(super) struct Looker {
    pub(super) rows: WatchedRows,
    pub(super) folder: i64,
    pub(super) root: PathBuf,
    pub(super) scope: Scope,
    pub(super) rules: Rules,
    /// When this run began.
    pub(super) began: Instant,
    /// Nothing where the folder is only looked through.
    pub(super) watcher: Option<Watcher>,
}

/// What becomes of files that are new.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fresh<'a> {
    /// They are shared.
    Waits,
    /// They are left alone.
    Left,
    /// Those that weren't looked at before were there before: they are left alone.
    LeftUnless(&'a Looker),
}

impl Fresh<'_> {
    fn fate(self, below: &[u8]) -> Fate {
        match self {
            Self::Waits => Fate::Waits,
            Self::LeftUnless(before) if before.covers(&path_of(below)) => Fate::Waits,
            Self::Left | Self::LeftUnless(_) => Fate::Left,
        }
    }
}

/// What a look came to.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// Another folder is at its place: nothing of it is kept.
    pub(super) is_away: bool,
    /// The system tells of no more folders.
    pub(super) is_limited: bool,
    /// Folders that can't be read.
    pub(super) unreadable: Vec<PathBuf>,
}

/// Changes on their way to the database.
struct Changes<'a> {
    looker: &'a Looker,
    waiting: Vec<Change>,
    /// Another folder is at its place now.
    is_away: bool,
}

impl Changes<'_> {
    fn add(&mut self, change: Change) -> Result<()> {
        self.waiting.push(change);
        if self.waiting.len() >= AT_ONCE { self.write() } else { Ok(()) }
    }

    /// Nothing is kept of what was seen in another folder.
    fn write(&mut self) -> Result<()> {
        let changes = std::mem::take(&mut self.waiting);
        if changes.is_empty() {
            return Ok(());
        }
        self.is_away |= !self.looker.is_there()?;
        if self.is_away { Ok(()) } else { self.looker.rows.apply(&changes) }
    }
}

impl Looker {
    fn now(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    fn changes(&self) -> Changes<'_> {
        Changes { looker: self, waiting: Vec::new(), is_away: false }
    }

    /// Whether the folder is the one that is watched.
    fn is_there(&self) -> Result<bool> {
        let before = self.rows.identity(self.folder)?;
        Ok(Root::look(&self.root, before.as_ref()).is_ok())
    }

    /// Whether it looks at a file there.
    fn covers(&self, below: &Path) -> bool {
        let is_deep = below.parent().is_some_and(|dir| dir != Path::new(""));
        (self.scope.recursive || !is_deep) && !self.rules.leave_whole(below, false)
    }

    /// Looks through all of it. What is new is to be shared or left alone as `fresh` says.
    pub(super) fn look_through(&self, fresh: Fresh<'_>) -> Result<Looked> {
        let mut looked = Looked::default();
        let mut visited = HashSet::new();
        self.look_below(Vec::new(), fresh, &mut looked, &mut visited)?;
        // Folders that aren't there any more.
        let mut changes = self.changes();
        for dir in self.rows.dirs(self.folder)? {
            let is_unreadable =
                || looked.unreadable.iter().any(|path| self.path(&dir).starts_with(path));
            if !visited.contains(&dir) && !is_unreadable() {
                for (name, known) in self.rows.of_dir(self.folder, &dir)? {
                    self.missed(&dir, name, &known, &mut changes)?;
                }
            }
        }
        changes.write()?;
        looked.is_away |= changes.is_away;
        self.rows.forget_aside(self.folder, Timestamp::now() - ASIDE)?;
        Ok(looked)
    }

    /// The same where other files were looked at before; from now on these are.
    pub(super) fn look_anew(&self, fresh: Fresh<'_>) -> Result<Looked> {
        let looked = self.look_through(fresh)?;
        if !looked.is_away {
            self.keep_scope()?;
        }
        Ok(looked)
    }

    /// Keeps which files were looked at.
    fn keep_scope(&self) -> Result<()> {
        let scope = serde_json::to_string(&self.scope).unwrap_or_default();
        self.rows.set_scope(self.folder, &scope)
    }

    /// Looks at what the system told of.
    pub(super) fn look_at(&self, paths: Vec<PathBuf>) -> Result<Looked> {
        let mut looked = Looked::default();
        let mut changes = self.changes();
        let mut visited = HashSet::new();
        for path in paths {
            let Ok(below) = path.strip_prefix(&self.root) else { continue };
            let (Some(name), Some(dir)) = (below.file_name(), below.parent()) else {
                // The folder itself.
                changes.write()?;
                self.look_below(Vec::new(), Fresh::Waits, &mut looked, &mut visited)?;
                continue;
            };
            let is_deep = dir != Path::new("");
            if is_deep && !self.scope.recursive {
                continue;
            }
            let place = self.place(bytes_of(dir.as_os_str()), name);
            let found = path.symlink_metadata();
            let is_dir = found.as_ref().is_ok_and(Metadata::is_dir);
            if self.rules.leave_whole(below, is_dir) {
                continue;
            }
            match found {
                Ok(found) if found.is_file() => {
                    let known = self.rows.of_file(&place)?;
                    self.found(place, &found, known.as_ref(), Fate::Waits, true, &mut changes)?;
                }
                Ok(found) if found.is_dir() && self.scope.recursive => {
                    changes.write()?;
                    let dir = bytes_of(below.as_os_str());
                    self.look_below(dir, Fresh::Waits, &mut looked, &mut visited)?;
                }
                Ok(_) => {}
                Err(_) => {
                    if let Some(known) = self.rows.of_file(&place)? {
                        self.missed(&place.dir, place.name, &known, &mut changes)?;
                    }
                }
            }
        }
        changes.write()?;
        looked.is_away |= changes.is_away;
        Ok(looked)
    }

    fn look_below(
        &self,
        start: Vec<u8>,
        fresh: Fresh<'_>,
        looked: &mut Looked,
        visited: &mut HashSet<Vec<u8>>,
    ) -> Result<()> {
        let mut changes = self.changes();
        let mut open = vec![start];
        while let Some(dir) = open.pop() {
            let path = self.path(&dir);
            // Before it is read: what comes meanwhile is told.
            self.watch(&path, looked);
            let entries = match std::fs::read_dir(&path) {
                Ok(entries) => entries,
                // It went meanwhile.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && !dir.is_empty() => {
                    continue;
                }
                Err(_) => {
                    looked.unreadable.push(path);
                    continue;
                }
            };
            let mut known = self.rows.of_dir(self.folder, &dir)?;
            for entry in entries {
                let Ok(entry) = entry else {
                    // What couldn't be read isn't gone.
                    looked.unreadable.push(path.clone());
                    known.clear();
                    break;
                };
                let Ok(kind) = entry.file_type() else { continue };
                let name = entry.file_name();
                let below = join(&dir, &name);
                // One that is known from before is as if it were gone.
                if self.rules.leave(&path_of(&below), kind.is_dir()) {
                    continue;
                }
                if kind.is_dir() && self.scope.recursive {
                    open.push(below);
                } else if kind.is_file()
                    && let Ok(found) = entry.metadata()
                {
                    let before = known.remove(name.as_encoded_bytes());
                    let place = self.place(dir.clone(), &name);
                    let fate = fresh.fate(&below);
                    self.found(place, &found, before.as_ref(), fate, false, &mut changes)?;
                }
            }
            for (name, known) in known {
                self.missed(&dir, name, &known, &mut changes)?;
            }
            visited.insert(dir);
        }
        crate::point::reach("looked_below");
        changes.write()?;
        looked.is_away |= changes.is_away;
        Ok(())
    }

    /// A file is there. `told`: the system said that something happened to it.
    fn found(
        &self,
        place: Place,
        found: &Metadata,
        known: Option<&Known>,
        fate: Fate,
        told: bool,
        changes: &mut Changes<'_>,
    ) -> Result<()> {
        let fingerprint = Fingerprint::of(found);
        let looked = self.now();
        let known = match known {
            Some(known) if known.fingerprint == fingerprint => {
                if known.is_gone {
                    return changes.add(Change::Back { place });
                }
                // It was closed, or who may read it was changed.
                let waits_on =
                    known.fate == Fate::Waits && (known.looked > looked || known.has_error);
                if told && waits_on {
                    return changes.add(Change::Due { place, looked });
                }
                return Ok(());
            }
            known => known,
        };
        let is_another = known.is_some_and(|known| known.fingerprint.inode != fingerprint.inode);
        let from = if known.is_none() || is_another {
            self.name_before(&place, found, fingerprint, is_another)?
        } else {
            None
        };
        changes.add(match (from, known) {
            (Some(from), _) => Change::Renamed { from, to: place, fingerprint, fate, looked },
            // What was there before is so still, by another number: on some disks each file gets a new one whenever they
            // are put in.
            (None, Some(known))
                if known.fate == Fate::Left
                    && known.fingerprint.size == fingerprint.size
                    && known.fingerprint.modified == fingerprint.modified =>
            {
                Change::Seen { place, fingerprint, fate: Fate::Left, looked }
            }
            (None, _) => Change::Seen { place, fingerprint, fate, looked },
        })
    }

    /// The name under which a file is known that has another one now. One that is new is that of the file that it is put in
    /// the place of.
    fn name_before(
        &self,
        place: &Place,
        found: &Metadata,
        fingerprint: Fingerprint,
        is_another: bool,
    ) -> Result<Option<Place>> {
        // A file with one name, which is there by both: on that disk they are the same, as a.txt and A.txt are.
        let has_one_name = links(found) == 1;
        let is_moved = |(other, is_new): &(Place, bool)| {
            let there = || self.path_of(other).symlink_metadata();
            let is_there = || there().is_ok_and(|there| Fingerprint::of(&there) == fingerprint);
            !(*is_new && is_another) && (other.is_nowhere() || has_one_name || !is_there())
        };
        let namesakes = self.rows.namesakes(place, fingerprint)?;
        Ok(namesakes.into_iter().find(is_moved).map(|(other, _)| other))
    }

    fn missed(
        &self,
        dir: &[u8],
        name: Vec<u8>,
        known: &Known,
        changes: &mut Changes<'_>,
    ) -> Result<()> {
        if known.is_gone {
            return Ok(());
        }
        let place = Place { folder: self.folder, dir: dir.to_vec(), name };
        changes.add(Change::Gone { place, at: Timestamp::now() })
    }

    fn watch(&self, path: &Path, looked: &mut Looked) {
        let Some(watcher) = &self.watcher else { return };
        let mut watcher = watcher.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = watcher.watch(path, RecursiveMode::NonRecursive) {
            tracing::debug!(%error, "a folder isn't watched");
            looked.is_limited |= matches!(error.kind, notify::ErrorKind::MaxFilesWatch);
        }
    }

    /// Of files that wait, those that are as they were at the look before, and which nobody writes. The others are
    /// looked at again later.
    pub(super) fn settled(&self, waiting: Vec<Waiting>) -> Result<Vec<Waiting>> {
        let mut changes = self.changes();
        let mut same = Vec::new();
        for one in waiting {
            match self.path_of(&one.place).symlink_metadata() {
                Ok(found) if found.is_file() => {
                    let fingerprint = Fingerprint::of(&found);
                    if fingerprint == one.fingerprint {
                        same.push((file_of(&found), one));
                    } else {
                        let (place, looked) = (one.place, self.now());
                        let fate = Fate::Waits;
                        changes.add(Change::Seen { place, fingerprint, fate, looked })?;
                    }
                }
                _ => changes.add(Change::Gone { place: one.place, at: Timestamp::now() })?,
            }
        }
        let files: Vec<_> = same.iter().map(|(file, _)| *file).collect();
        let held = if files.is_empty() { HashSet::new() } else { written(&self.root, &files) };
        let mut settled = Vec::new();
        if !self.is_there()? {
            return Ok(settled);
        }
        for (file, one) in same {
            if !held.contains(&file) {
                settled.push(one);
                continue;
            }
            // The older, the seldomer: one may be held open for days.
            let age = Timestamp::now().as_nanosecond() - i128::from(one.fingerprint.modified);
            let age = u64::try_from(age).map_or(SETTLE, Duration::from_nanos);
            let pause = age.min(HELD).saturating_sub(SETTLE);
            let looked = self.now() + i64::try_from(pause.as_millis()).unwrap_or(0);
            changes.add(Change::Due { place: one.place, looked })?;
        }
        changes.write()?;
        Ok(settled)
    }

    fn place(&self, dir: Vec<u8>, name: &OsStr) -> Place {
        Place { folder: self.folder, dir, name: bytes_of(name) }
    }

    fn path(&self, dir: &[u8]) -> PathBuf {
        if dir.is_empty() { self.root.clone() } else { self.root.join(path_of(dir)) }
    }

    pub(super) fn path_of(&self, place: &Place) -> PathBuf {
        place.below(&self.root)
    }
}

/// The files of each folder.
pub(super) fn by_folder(waiting: Vec<Waiting>) -> HashMap<i64, Vec<Waiting>> {
    let mut sorted: HashMap<i64, Vec<Waiting>> = HashMap::new();
    for one in waiting {
        sorted.entry(one.place.folder).or_default().push(one);
    }
    sorted
}

fn join(dir: &[u8], name: &OsStr) -> Vec<u8> {
    let name = name.as_encoded_bytes();
    if dir.is_empty() { name.to_vec() } else { [dir, b"/", name].concat() }
}

#[cfg(unix)]
fn file_of(found: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt as _;
    (found.dev(), found.ino())
}

#[cfg(not(unix))]
fn file_of(_found: &Metadata) -> (u64, u64) {
    (0, 0)
}

#[cfg(unix)]
fn links(found: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(found)
}

/// Isn't told.
#[cfg(not(unix))]
fn links(_found: &Metadata) -> u64 {
    0
}

#[cfg(unix)]
fn bytes_of(name: &OsStr) -> Vec<u8> {
    std::os::unix::ffi::OsStrExt::as_bytes(name).to_vec()
}

#[cfg(unix)]
pub(super) fn path_of(bytes: &[u8]) -> PathBuf {
    <OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes).into()
}

#[cfg(not(unix))]
fn bytes_of(name: &OsStr) -> Vec<u8> {
    name.to_string_lossy().into_owned().into_bytes()
}

#[cfg(not(unix))]
pub(super) fn path_of(bytes: &[u8]) -> PathBuf {
    String::from_utf8_lossy(bytes).into_owned().into()
}
