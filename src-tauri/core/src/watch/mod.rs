//! Watched folders: whatever is saved into one is shared, with nobody pressing anything.
//!
//! What config.toml names is looked through at the start, when the system tells of a change, and from time to time. What
//! is found new or changed is a row that waits; once two looks agree it is shared, the oldest first. One process does
//! that at a time. Nothing is ever deleted remotely because a file isn't there any more.

mod look;
mod news;
mod root;
mod rules;
mod run;
mod running;
mod send;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;

use self::look::{Fresh, Looker};
use self::root::Root;
pub(crate) use self::rules::{Rules, Scope};
use crate::history::{Identity, Place};
use crate::home::create_private_file;
use crate::lapse::Lapse;
use crate::share::{self, AT_ONCE, Expiry, ShareId};
use crate::{Code, Error, Result};

/// The folder below a watched one where files go that were shared, if they are moved.
const SHARED: &str = "Shared";

/// Whoever lists the folders holds the lock for less.
const LOOKED_AT: Duration = Duration::from_millis(50);

/// A watched folder, as config.toml names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedFolder {
    /// Where it is: absolute, with no links in it.
    pub path: String,
    /// How long its links live; the setting where nothing is said.
    pub expires: Option<Expiry>,
    /// The profile; the one in use where none is given.
    pub profile: Option<String>,
    /// What its shares are grouped by.
    pub label: Option<String>,
    /// Names that are left alone, as in .gitignore.
    pub ignore: Vec<String>,
    /// Whether the folders in it are looked into.
    pub recursive: bool,
    /// Whether its newest link goes to the clipboard.
    pub copy: bool,
    /// Whether the person lets it wait.
    pub paused: bool,
    /// What becomes of a share when its file changes.
    pub changed: Changed,
    /// What is done with a file once it is shared.
    pub after: After,
}

impl WatchedFolder {
    /// The folder of a path, with nothing chosen.
    pub fn of(path: &Path) -> Result<Self> {
        let text = path.to_str().ok_or_else(|| not_text(path))?;
        Ok(Self::at(text))
    }

    /// A folder with nothing chosen.
    pub fn at(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            expires: None,
            profile: None,
            label: None,
            ignore: Vec::new(),
            recursive: false,
            copy: false,
            paused: false,
            changed: Changed::NewShare,
            after: After::Nothing,
        }
    }

    /// Whether one of the two is in the other: files could be shared twice.
    pub(crate) fn touches(&self, other: &Self) -> bool {
        let (path, there) = (Path::new(&self.path), Path::new(&other.path));
        path.starts_with(there) || there.starts_with(path)
    }
}

/// What becomes of a share when its file changes. It is always shared anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// The old one lives to its end.
    NewShare,
    /// The old one is taken back.
    Withdraw,
}

/// What is done with a file once it is shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// It is only ever read.
    Nothing,
    /// It goes to the folder «Shared» below the watched one.
    Move,
    /// A program is run, with these words, and the link on its standard input.
    Run(Vec<String>),
}

/// A watched folder and how it goes.
#[derive(Debug, Clone)]
pub struct FolderStatus {
    /// The folder.
    pub folder: WatchedFolder,
    /// Its number, as long as it is watched.
    pub number: i64,
    /// Why it can't be looked into, where that is so.
    pub away: Option<Away>,
    /// Whether a process watches it now.
    pub is_watched: bool,
    /// Why not, or why it is only looked through from time to time.
    pub trouble: Option<String>,
    /// Files that were shared.
    pub shared: u64,
    /// Files that wait.
    pub waiting: u64,
    /// Files that couldn't be shared, the first hundred, and why.
    pub failed: Vec<(PathBuf, String)>,
    /// When the last was shared.
    pub last_at: Option<Timestamp>,
}

/// Why a watched folder can't be looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Away {
    /// It isn't there.
    Gone,
    /// Another folder or disk is at its place: it goes on when the person says so.
    Replaced,
    /// Its disk doesn't answer.
    Silent,
}

/// All that waited in a folder is shared.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The folder.
    pub folder: WatchedFolder,
    /// How many files.
    pub count: usize,
    /// The share of the last one.
    pub newest: ShareId,
}

impl Place {
    /// The file's path, in a folder that is there.
    fn below(&self, root: &Path) -> PathBuf {
        root.join(look::path_of(&self.dir)).join(look::path_of(&self.name))
    }
}

/// Held by the one process that watches.
struct WatchLock {
    _file: File,
}

impl Lapse {
    /// Why a folder should be thought over before it is watched: much that nobody means to share may come into it.
    pub fn folder_warning(path: &Path) -> Option<String> {
        let path = path.canonicalize().ok()?;
        let home =
            directories::UserDirs::new().and_then(|dirs| dirs.home_dir().canonicalize().ok());
        let is_hidden = |step: std::path::Component<'_>| {
            let name = step.as_os_str().as_encoded_bytes();
            name.first() == Some(&b'.')
        };
        let what = if path.parent().is_none() {
            "the whole computer"
        } else if home.is_some_and(|home| home == path) {
            "your home folder, with whatever programs keep there"
        } else if path.components().any(is_hidden) {
            "a hidden folder: programs keep settings and keys in such"
        } else if ["/proc", "/sys", "/dev", "/etc"].iter().any(|own| path.starts_with(own)) {
            "a folder of the system"
        } else {
            return None;
        };
        Some(format!("That is {what}. Each new file in it would get a link."))
    }

    /// Watches a folder from now on. What is in it already is shared only where `existing` says so. Gives it as it is
    /// kept, with its whole path.
    pub async fn watch_folder(
        &self,
        mut folder: WatchedFolder,
        existing: bool,
    ) -> Result<WatchedFolder> {
        folder.path = whole_path(Path::new(&folder.path))?;
        self.may_watch(&folder)?;
        let settings = self.settings()?;
        if let Some(name) = &folder.profile
            && name != crate::profile::LOCAL
        {
            settings.profile(name)?;
        }
        crate::share::label(folder.label.as_deref())?;
        if let After::Run(run) = &mut folder.after {
            let Some(program) = run.first_mut() else {
                return Err(Error::new(Code::Usage, "the command is empty", "Name a program."));
            };
            *program = whole_program(program)?;
        }
        // What is there is known before anything is watched.
        let rows = self.history.watched();
        rows.forget_folder(&folder.path)?;
        let number = rows.folder(&folder.path)?;
        let looker = self.looker(&folder.path, number, Scope::of(&folder), Instant::now())?;
        let fresh = if existing { Fresh::Waits } else { Fresh::Left };
        let looking = tokio::task::spawn_blocking(move || looker.look_anew(fresh));
        looking.await.map_err(|error| cannot_look(&folder.path, &error))??;
        if let Ok(root) = Root::at(Path::new(&folder.path), None) {
            rows.set_identity(number, Some(&root.identity))?;
        }
        self.change_settings(|settings| {
            settings.set_folder(&folder.path, &folder);
            Ok(())
        })?;
        Ok(folder)
    }

    fn may_watch(&self, folder: &WatchedFolder) -> Result<()> {
        Rules::of(&Scope::of(folder))?;
        self.is_not_own(folder)?;
        let shown = folder.path.escape_debug();
        for other in self.settings()?.folders()? {
            if other.path == folder.path {
                return Err(Error::new(
                    Code::Folder,
                    format!("{shown} is watched already"),
                    "See it with `lapse watch list`; change it in config.toml or in the window.",
                ));
            }
            if folder.touches(&other) {
                return Err(Error::new(
                    Code::Folder,
                    format!(
                        "{shown} and the watched folder {} lie in one another",
                        other.path.escape_debug()
                    ),
                    "A file could be shared twice. Watch the outer one alone, with the folders in it, or remove that first.",
                ));
            }
        }
        Ok(())
    }

    /// What Lapse keeps for itself is never shared.
    fn is_not_own(&self, folder: &WatchedFolder) -> Result<()> {
        let path = Path::new(&folder.path);
        for own in self.home.folders() {
            let own = own.canonicalize().unwrap_or_else(|_| own.to_owned());
            if path.starts_with(&own) || (own.starts_with(path) && folder.recursive) {
                return Err(Error::new(
                    Code::Folder,
                    format!("{} holds what Lapse itself keeps", folder.path.escape_debug()),
                    "Choose a folder of your own files.",
                ));
            }
        }
        Ok(())
    }

    fn looker(&self, root: &str, number: i64, scope: Scope, began: Instant) -> Result<Looker> {
        Ok(Looker {
            rows: self.history.watched(),
            folder: number,
            root: PathBuf::from(root),
            rules: Rules::of(&scope)?,
            scope,
            began,
            watcher: None,
        })
    }

    /// The watched folders, and how each goes.
    pub fn watched_folders(&self) -> Result<Vec<FolderStatus>> {
        let is_watched = matches!(self.lock_watch(), Err(error) if error.code == Code::Watching);
        let rows = self.history.watched();
        let status = |folder: WatchedFolder| {
            let number = rows.folder(&folder.path)?;
            let counts = rows.counts(number)?;
            let failed = if counts.failed > 0 { rows.errors(number)? } else { Vec::new() };
            let root = PathBuf::from(&folder.path);
            let away = Root::at(&root, rows.identity(number)?.as_ref()).err();
            Ok(FolderStatus {
                number,
                away,
                is_watched: is_watched && !folder.paused,
                trouble: rows.trouble(number)?.filter(|_| is_watched && !folder.paused),
                shared: counts.shared,
                waiting: counts.waiting,
                failed: failed.into_iter().map(|(place, why)| (place.below(&root), why)).collect(),
                last_at: counts.last_at,
                folder,
            })
        };
        self.settings()?.folders()?.into_iter().map(status).collect()
    }

    /// The watched folder of a number.
    pub fn folder_of_number(&self, number: i64) -> Result<WatchedFolder> {
        let rows = self.history.watched();
        for folder in self.settings()?.folders()? {
            if rows.folder(&folder.path)? == number {
                return Ok(folder);
            }
        }
        let what = "the folder isn't watched any more";
        Err(Error::new(Code::NoSuchFolder, what, "Add it again."))
    }

    /// The watched folder that a path names.
    pub fn watched_folder(&self, path: &Path) -> Result<WatchedFolder> {
        let settings = self.settings()?;
        let text = path.to_string_lossy();
        settings.folder(&text).or_else(|_| {
            let whole = whole_path(path).unwrap_or_else(|_| {
                std::path::absolute(path)
                    .map_or_else(|_| text.to_string(), |path| path.to_string_lossy().into_owned())
            });
            settings.folder(&whole)
        })
    }

    /// Changes what is chosen for a folder. One that goes on after a pause is looked through.
    pub fn change_folder(
        &self,
        path: &str,
        change: impl FnOnce(&mut WatchedFolder),
    ) -> Result<WatchedFolder> {
        let mut folder = self.settings()?.folder(path)?;
        change(&mut folder);
        path.clone_into(&mut folder.path);
        Rules::of(&Scope::of(&folder))?;
        self.keep_folder(path, &folder)?;
        Ok(folder)
    }

    /// Puts a folder in the place of the one that is watched at `before`.
    fn keep_folder(&self, before: &str, folder: &WatchedFolder) -> Result<()> {
        self.change_settings(|settings| {
            settings.folder(before)?;
            settings.set_folder(before, folder);
            Ok(())
        })
    }

    /// Lets a folder go on: after a pause, or with another folder that stands at its path now.
    pub fn resume_folder(&self, path: &str) -> Result<()> {
        if self.settings()?.folder(path)?.paused {
            return self.change_folder(path, |folder| folder.paused = false).map(drop);
        }
        let rows = self.history.watched();
        rows.set_identity(rows.folder(path)?, None)
    }

    /// The folder was moved: it is watched at its new place, and what is known of its files stays. Of another folder what is
    /// in it already is left alone.
    pub async fn locate_folder(&self, path: &str, now: &Path) -> Result<WatchedFolder> {
        let mut folder = self.settings()?.folder(path)?;
        folder.path = whole_path(now)?;
        if folder.path != path {
            self.may_watch(&folder)?;
        }
        let rows = self.history.watched();
        let before = rows.identity(rows.folder(path)?)?;
        let found = Root::at(Path::new(&folder.path), None).ok().map(|root| root.identity);
        if !matches!((&found, &before), (Some(found), Some(before)) if found.is_same(before)) {
            self.look_at_another(path, &folder, found.as_ref()).await?;
        }
        rows.move_folder(path, &folder.path)?;
        if let Err(error) = self.keep_folder(path, &folder) {
            rows.move_folder(&folder.path, path)?;
            return Err(error);
        }
        Ok(folder)
    }

    /// Another folder stands for one: what is in it already is left alone, and nothing is known of the other's files.
    async fn look_at_another(
        &self,
        path: &str,
        folder: &WatchedFolder,
        found: Option<&Identity>,
    ) -> Result<()> {
        let rows = self.history.watched();
        // No folder has such a path.
        let aside = format!("{}//", folder.path);
        rows.forget_folder(&aside)?;
        let number = rows.folder(&aside)?;
        rows.set_identity(number, found)?;
        let looker = self.looker(&folder.path, number, Scope::of(folder), Instant::now())?;
        let looking = tokio::task::spawn_blocking(move || looker.look_anew(Fresh::Left));
        if looking.await.map_err(|error| cannot_look(&folder.path, &error))??.is_away {
            let what =
                format!("{} went away while it was looked through", folder.path.escape_debug());
            return Err(Error::new(Code::Folder, what, "Try again when it is back."));
        }
        rows.replace_folder(path, &aside)
    }

    /// Watches a folder no more. Its files aren't touched; what is being sent is given up; its links live on: which shares
    /// came from it is given.
    pub async fn remove_folder(&self, path: &str) -> Result<Vec<ShareId>> {
        self.settings()?.folder(path)?;
        self.change_settings(|settings| {
            settings.remove_folder(path);
            Ok(())
        })?;
        self.history.watched().forget_folder(path)?;
        for share in self.history.shares_of_folder(path)? {
            if share.failed.is_none()
                && self.history.upload(&share.id)?.is_some()
                && let Err(error) = self.cancel(&share.id).await
            {
                // Whoever sends it was told.
                tracing::info!(code = error.code.as_str(), "an upload isn't given up yet");
            }
        }
        self.live_shares_of_folder(path)
    }

    /// The same, once its links are revoked. Until each of them is, it only waits: so this can be said again. Gives how
    /// many there were.
    pub async fn remove_folder_and_links(&self, path: &str) -> Result<usize> {
        self.change_folder(path, |folder| folder.paused = true)?;
        let live = self.live_shares_of_folder(path)?;
        let taking = live
            .clone()
            .into_iter()
            .map(|id| async move { Box::pin(self.take_back(&id, share::File::Deleted)).await });
        let taken: Vec<_> = stream::iter(taking).buffered(AT_ONCE).collect().await;
        let mut failures = taken.into_iter().filter_map(Result::err);
        if let Some(first) = failures.next() {
            let left = 1 + failures.count();
            return Err(Error::new(
                first.code,
                format!(
                    "of {} links to files of {} {left} may live still: {}",
                    live.len(),
                    path.escape_debug(),
                    first.message
                ),
                "The folder is paused, not removed. Remove it again when that is mended.",
            ));
        }
        self.remove_folder(path).await?;
        Ok(live.len())
    }

    /// The shares of a watched folder that live, or are about to.
    pub fn live_shares_of_folder(&self, path: &str) -> Result<Vec<ShareId>> {
        let mut live = Vec::new();
        for share in self.history.shares_of_folder(path)? {
            let is_alive = share.state(self.now_of(&share)?).is_alive();
            if is_alive || (share.failed.is_none() && self.history.upload(&share.id)?.is_some()) {
                live.push(share.id);
            }
        }
        Ok(live)
    }

    /// [`Self::lock_watch`], where another one may only look who holds it.
    async fn lock_watch_patiently(&self) -> Result<WatchLock> {
        for _ in 0..10 {
            match self.lock_watch() {
                Err(error) if error.code == Code::Watching => tokio::time::sleep(LOOKED_AT).await,
                lock => return lock,
            }
        }
        self.lock_watch()
    }

    fn lock_watch(&self) -> Result<WatchLock> {
        let path = self.home.watch_lock();
        let failed = |error| Error::disk("write", &path, error);
        let file = create_private_file(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(WatchLock { _file: file }),
            Err(TryLockError::Error(error)) => Err(failed(error)),
            Err(TryLockError::WouldBlock) => Err(Error::new(
                Code::Watching,
                "another Lapse watches the folders already",
                "One at a time does: the window while it is open, or `lapse watch run`.",
            )),
        }
    }
}

/// Where a program is: whoever runs it later may be in another folder, and find others.
fn whole_program(name: &str) -> Result<String> {
    let dirs = std::env::var_os("PATH").unwrap_or_default();
    let found = if name.contains('/') {
        std::path::absolute(name).ok().filter(|path| path.is_file())
    } else {
        let mut there = std::env::split_paths(&dirs).map(|dir| dir.join(name));
        there.find(|path| !name.is_empty() && path.is_file())
    };
    let whole = found.as_deref().and_then(Path::to_str).map(str::to_owned);
    whole.ok_or_else(|| {
        Error::new(
            Code::Usage,
            format!("there is no program «{}»", name.escape_debug()),
            "Give its path, or a name that your shell finds; its words come after --with.",
        )
    })
}

/// An absolute path with no links in it, as text.
fn whole_path(path: &Path) -> Result<String> {
    let shown = format!("«{}»", path.to_string_lossy().escape_debug());
    let whole = path.canonicalize().map_err(|error| {
        Error::new(
            Code::Folder,
            format!("there is no folder {shown}"),
            "Check the name, or make the folder first.",
        )
        .caused_by(error)
    })?;
    if !whole.is_dir() {
        let hint = "To share one file, use: lapse share FILE";
        return Err(Error::new(Code::Folder, format!("{shown} isn't a folder"), hint));
    }
    if let Err(error) = std::fs::read_dir(&whole) {
        let what = format!("the folder {shown} can't be read");
        let hint = "Ask its owner for the right to read it.";
        return Err(Error::new(Code::Folder, what, hint).caused_by(error));
    }
    whole.to_str().map(str::to_owned).ok_or_else(|| not_text(&whole))
}

fn not_text(path: &Path) -> Error {
    Error::new(
        Code::Folder,
        format!(
            "the name of «{}» isn't UTF-8, which config.toml can't hold",
            path.to_string_lossy().escape_debug()
        ),
        "Rename that folder; the files in it may have any name.",
    )
}

fn cannot_look(path: &str, error: &tokio::task::JoinError) -> Error {
    tracing::error!(%error, "a look at a folder ended early");
    let what = format!("{} can't be looked through", path.escape_debug());
    Error::new(Code::Folder, what, "Try again.")
}
