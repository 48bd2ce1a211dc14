//! Watched folders.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lapse_core::watch::{Away, Batch, FolderStatus, WatchedFolder};
use lapse_core::{Code, Error, Lapse};
use tauri::{AppHandle, Manager as _, State};

use super::Answer;
use crate::choose::{Choose, choose};
use crate::rows::{at_home, count, millis};
use crate::shell::Shell;
use crate::tell::change;
use crate::window;
use crate::wire::{Change, FailedFile, Folder, FolderChoice, FolderState};

/// How often it is looked whether another process watches no more.
const LOOK: Duration = Duration::from_secs(5);

/// Watches, as long as no other process does, until the app ends.
pub(crate) async fn watch(app: AppHandle) {
    loop {
        if let Ok(lapse) = app.state::<Shell>().lapse() {
            match Box::pin(lapse.watch(std::future::pending())).await {
                Err(error) if error.code == Code::Watching => {}
                Err(error) => {
                    tracing::warn!(code = error.code.as_str(), "folders aren't watched");
                }
                Ok(()) => return,
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Copies the newest link where that is wanted, and says what was shared.
pub(crate) async fn tell_batch(app: AppHandle, batch: Batch) {
    let shell = app.state::<Shell>();
    let mut copied = false;
    if batch.folder.copy
        && let Ok(lapse) = shell.lapse()
        && let Ok(shared) = lapse.link(&batch.newest).await
    {
        copied = shell.clipboard.set(shared.url.expose()).is_ok();
    }
    let path = Path::new(&batch.folder.path);
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let hidden = window::is_hidden(&app);
    let count = u32::try_from(batch.count).unwrap_or(u32::MAX);
    let id = batch.newest.to_string();
    change(&app, Change::FolderShared { name, count, id, copied, hidden });
}

#[tauri::command]
pub(crate) async fn folders(shell: State<'_, Shell>) -> Answer<Vec<Folder>> {
    Ok(shell.lapse()?.watched_folders()?.into_iter().map(Folder::from).collect())
}

/// Asks for a folder and watches it. Gives how many were chosen.
#[tauri::command]
pub(crate) async fn add_folder(app: AppHandle) -> Answer<u32> {
    let Some(path) = choose(&app, Choose::Folder).await.pop() else { return Ok(0) };
    let lapse = app.state::<Shell>().lapse()?;
    may_watch(&path)?;
    lapse.watch_folder(WatchedFolder::of(&path)?, false).await?;
    change(&app, Change::Folders);
    Ok(1)
}

/// One that needs to be thought over is added where it can be asked.
fn may_watch(path: &Path) -> Result<(), Error> {
    let Some(warning) = Lapse::folder_warning(path) else { return Ok(()) };
    let hint = "Choose a folder in it. If you mean all of it, run: lapse watch add --yes";
    Err(Error::new(Code::Folder, warning.trim_end_matches('.'), hint))
}

#[tauri::command]
pub(crate) async fn set_folder(app: AppHandle, id: u32, choice: FolderChoice) -> Answer<()> {
    let lapse = app.state::<Shell>().lapse()?;
    let folder = lapse.folder_of_number(id.into())?;
    let expires = choice.expires.map(|expires| expires.parse()).transpose()?;
    lapse.change_folder(&folder.path, |folder| {
        folder.expires = expires.or(folder.expires);
        folder.copy = choice.copy.unwrap_or(folder.copy);
        folder.recursive = choice.recursive.unwrap_or(folder.recursive);
        folder.paused = choice.paused.unwrap_or(folder.paused);
        if let Some(ignore) = choice.ignore {
            folder.ignore = ignore;
        }
    })?;
    change(&app, Change::Folders);
    Ok(())
}

/// Lets a folder go on, whatever is at its place now.
#[tauri::command]
pub(crate) async fn resume_folder(app: AppHandle, id: u32) -> Answer<()> {
    let lapse = app.state::<Shell>().lapse()?;
    lapse.resume_folder(&lapse.folder_of_number(id.into())?.path)?;
    change(&app, Change::Folders);
    Ok(())
}

/// Asks where a folder is now. Gives how many were chosen.
#[tauri::command]
pub(crate) async fn locate_folder(app: AppHandle, id: u32) -> Answer<u32> {
    let Some(path) = choose(&app, Choose::Folder).await.pop() else { return Ok(0) };
    let lapse = app.state::<Shell>().lapse()?;
    may_watch(&path)?;
    let folder = lapse.folder_of_number(id.into())?;
    lapse.locate_folder(&folder.path, &path).await?;
    change(&app, Change::Folders);
    Ok(1)
}

/// Watches a folder no more. Gives how many links were revoked.
#[tauri::command]
pub(crate) async fn remove_folder(app: AppHandle, id: u32, revoke: bool) -> Answer<u32> {
    let lapse = app.state::<Shell>().lapse()?;
    let folder = lapse.folder_of_number(id.into())?;
    let revoked = if revoke {
        count(lapse.remove_folder_and_links(&folder.path).await?)
    } else {
        lapse.remove_folder(&folder.path).await?;
        0
    };
    change(&app, Change::Folders);
    Ok(revoked)
}

impl From<FolderStatus> for Folder {
    fn from(status: FolderStatus) -> Self {
        let FolderStatus { folder, number, away, is_watched, trouble, .. } = status;
        let state = match (folder.paused, away, is_watched) {
            (true, ..) => FolderState::Paused,
            (_, Some(Away::Gone), _) => FolderState::Away,
            (_, Some(Away::Replaced), _) => FolderState::Replaced,
            (_, Some(Away::Silent), _) => FolderState::Silent,
            (.., true) => FolderState::Watching,
            (.., false) => FolderState::Waits,
        };
        let name = |path: PathBuf| {
            let name = path.file_name().unwrap_or(path.as_os_str());
            name.to_string_lossy().into_owned()
        };
        let failed = status.failed.into_iter();
        Self {
            id: u32::try_from(number).unwrap_or(0),
            path: at_home(&folder.path),
            state,
            trouble,
            shared: count(status.shared),
            waiting: count(status.waiting),
            failed: failed.map(|(path, why)| FailedFile { name: name(path), why }).collect(),
            last_at: status.last_at.map(millis),
            expires: folder.expires.map(|expires| expires.to_string()),
            copy: folder.copy,
            ignore: folder.ignore,
            recursive: folder.recursive,
        }
    }
}
