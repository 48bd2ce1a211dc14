//! Shares and their links.

use lapse_core::share::{Expiry, File, ShareId, Shared, Source};
use lapse_core::{Code, Error};
use qrcode::QrCode;
use tauri::ipc::Channel;
use tauri::{AppHandle, Manager as _, State};
use tauri_plugin_opener::OpenerExt as _;

use super::{Answer, share_id};
use crate::choose::{Choose, choose};
use crate::clipboard::Pasted;
use crate::intake;
use crate::rows::{count, millis};
use crate::shell::Shell;
use crate::tell::{change, not_shared};
use crate::window;
use crate::wire::{Change, Checked, Copied, Failure, Link, Progress, Revoked, Share};

#[tauri::command]
pub(crate) fn hear_progress(app: AppHandle, channel: Channel<Vec<Progress>>) {
    app.state::<Shell>().hear_progress(channel);
    intake::take_first(&app);
}

#[tauri::command]
pub(crate) async fn shares(shell: State<'_, Shell>) -> Answer<Vec<Share>> {
    Ok(shell.lapse()?.list()?.iter().map(Share::from).collect())
}

#[tauri::command]
pub(crate) async fn browse(app: AppHandle) -> Answer<u32> {
    Ok(share_chosen(&app, Choose::Files).await)
}

#[tauri::command]
pub(crate) async fn browse_folder(app: AppHandle) -> Answer<u32> {
    Ok(share_chosen(&app, Choose::Folder).await)
}

/// «Share a file…» of the tray.
pub(crate) fn browse_from_tray(app: &AppHandle) {
    let app = app.clone();
    tauri::async_runtime::spawn(async move { share_chosen(&app, Choose::Files).await });
}

/// Asks by the system's dialog and shares what is chosen. Gives how many.
async fn share_chosen(app: &AppHandle, what: Choose) -> u32 {
    let files = choose(app, what).await;
    let number = count(files.len());
    intake::take_paths(app, files);
    number
}

#[tauri::command]
pub(crate) async fn paste(app: AppHandle, picture_name: String) -> Answer<u32> {
    let shell = app.state::<Shell>();
    let sources: Vec<Source> = match shell.clipboard.paste()? {
        Pasted::Files(files) => files.into_iter().map(Source::File).collect(),
        Pasted::Picture(bytes) => vec![Source::Bytes { name: picture_name, bytes: bytes.into() }],
        Pasted::Nothing => Vec::new(),
    };
    let number = count(sources.len());
    intake::take(&app, sources);
    Ok(number)
}

#[tauri::command]
pub(crate) async fn copy_link(shell: State<'_, Shell>, id: String) -> Answer<Copied> {
    let shared = shell.lapse()?.link(&share_id(&id)?).await?;
    copied(&shell, &shared)
}

#[tauri::command]
pub(crate) async fn copy_links(shell: State<'_, Shell>, ids: Vec<String>) -> Answer<()> {
    let lapse = shell.lapse()?;
    let mut urls = Vec::new();
    for id in &ids {
        let url = lapse.link(&share_id(id)?).await?.url;
        urls.push(url.expose().clone());
    }
    Ok(shell.clipboard.set(&urls.join("\n"))?)
}

/// Puts a link on the clipboard. A clipboard that refuses is said; the link is there all the same.
fn copied(shell: &Shell, shared: &Shared) -> Answer<Copied> {
    let mut notices = shell.bridge.take_notices(&shared.share.id);
    let put = shell.clipboard.set(shared.url.expose());
    let copied = put.is_ok();
    notices.extend(put.err().map(|error| error.to_string()));
    let share = shell.row(&shared.share.id)?;
    Ok(Copied { share, copied, notices })
}

/// A recent link of the tray's menu.
pub(crate) async fn copy_from_tray(app: &AppHandle, id: &ShareId) {
    let shell = app.state::<Shell>();
    let copied = match shell.lapse() {
        Ok(lapse) => match lapse.link(id).await {
            Ok(shared) => copied(&shell, &shared),
            Err(error) => Err(error.into()),
        },
        Err(failure) => Err(failure),
    };
    let hidden = window::is_hidden(app);
    match copied {
        Ok(Copied { share, copied, notices }) => {
            change(app, Change::Copied { id: share.id, copied, notices, hidden });
        }
        Err(failure) => {
            let name = shell.row(id).map_or_else(|_| String::new(), |share| share.name);
            not_shared(app, name, failure);
        }
    }
}

#[tauri::command]
pub(crate) async fn link(shell: State<'_, Shell>, id: String) -> Answer<Link> {
    let lapse = shell.lapse()?;
    let Shared { share, url, .. } = lapse.link(&share_id(&id)?).await?;
    let (qr_side, qr_path) = qr(url.expose());
    Ok(Link {
        url: url.expose().clone(),
        qr_side,
        qr_path,
        object: format!("s3://{}/{}", share.bucket, share.key),
        kept_until: lapse.kept_until(&share)?.map(millis),
        etag: share.etag,
    })
}

/// A QR code as its side and the path of its dark modules; nothing where the text is too long for one.
fn qr(text: &str) -> (u32, String) {
    use std::fmt::Write as _;
    let Ok(code) = QrCode::with_error_correction_level(text, qrcode::EcLevel::L) else {
        return (0, String::new());
    };
    let mut path = String::new();
    for (place, module) in code.to_colors().into_iter().enumerate() {
        if module == qrcode::Color::Dark {
            let (x, y) = (place % code.width(), place / code.width());
            // A String takes whatever is written to it.
            let _ = write!(path, "M{x} {y}h1v1h-1z");
        }
    }
    (count(code.width()), path)
}

#[tauri::command]
pub(crate) async fn open_link(app: AppHandle, id: String) -> Answer<()> {
    let shared = app.state::<Shell>().lapse()?.link(&share_id(&id)?).await?;
    let opened = app.opener().open_url(shared.url.expose(), None::<&str>);
    opened.map_err(|_| {
        let hint = "Copy the link and paste it into a browser.";
        Error::new(Code::Desktop, "no browser could be opened", hint).into()
    })
}

#[tauri::command]
pub(crate) async fn show_file(app: AppHandle, id: String) -> Answer<()> {
    let known = app.state::<Shell>().lapse()?.show(&share_id(&id)?)?;
    let file = known.share.file().filter(|file| file.exists()).ok_or_else(|| {
        let hint = "It was moved, renamed or deleted since it was shared.";
        Error::new(Code::FileMissing, format!("«{}» isn't where it was", known.share.name), hint)
    })?;
    app.opener().reveal_item_in_dir(file).map_err(|_| no_file_manager(file))
}

/// No file manager takes the request: then the person is told where the file is.
pub(crate) fn no_file_manager(path: &std::path::Path) -> Failure {
    let hint = format!("It is at {}.", path.display());
    Error::new(Code::Desktop, "no file manager could be opened", hint).into()
}

#[tauri::command]
pub(crate) async fn check(shell: State<'_, Shell>, id: String) -> Answer<Checked> {
    let id = share_id(&id)?;
    let mut checked = shell.lapse()?.check(std::slice::from_ref(&id)).await?;
    let notices = shell.bridge.take_notices(&id);
    let share = match checked.pop() {
        Some(known) => Share::from(&known?),
        None => shell.row(&id)?,
    };
    Ok(Checked { share, notices })
}

#[tauri::command]
pub(crate) async fn extend(shell: State<'_, Shell>, id: String, expires: String) -> Answer<Copied> {
    let expires: Expiry = expires.parse()?;
    let shared = shell.lapse()?.extend(&share_id(&id)?, expires).await?;
    copied(&shell, &shared)
}

#[tauri::command]
pub(crate) async fn revoke(
    shell: State<'_, Shell>,
    id: String,
    keep_file: bool,
) -> Answer<Revoked> {
    let id = share_id(&id)?;
    let file = if keep_file { File::Kept } else { File::Deleted };
    let revoked = shell.lapse()?.revoke(&id, file).await?;
    Ok(Revoked {
        share: shell.row(&id)?,
        checked: count(revoked.checked),
        refused: count(revoked.refused),
        keeps_versions: revoked.keeps_versions,
    })
}

#[tauri::command]
pub(crate) async fn purge(shell: State<'_, Shell>, id: String) -> Answer<u32> {
    Ok(count(shell.lapse()?.purge(&share_id(&id)?).await?))
}

#[tauri::command]
pub(crate) async fn call_off(app: AppHandle, ids: Vec<String>) -> Answer<Vec<String>> {
    let ids = ids.iter().map(|id| share_id(id)).collect::<Answer<_>>()?;
    Ok(intake::call_off(&app, ids).await.iter().map(ToString::to_string).collect())
}

#[tauri::command]
pub(crate) async fn share_again(app: AppHandle, id: String, changed_too: bool) -> Answer<()> {
    intake::again(&app, &share_id(&id)?, changed_too).await
}

#[tauri::command]
pub(crate) async fn pause(shell: State<'_, Shell>, id: String) -> Answer<()> {
    Ok(shell.lapse()?.pause(&share_id(&id)?)?)
}

#[tauri::command]
pub(crate) async fn resume(app: AppHandle, id: String) -> Answer<()> {
    let id = share_id(&id)?;
    let is_sent = app.state::<Shell>().lapse()?.resume(&id)?;
    if is_sent { Ok(()) } else { intake::carry_on(&app, &id).await }
}

#[tauri::command]
pub(crate) async fn cancel(shell: State<'_, Shell>, id: String) -> Answer<()> {
    Ok(shell.lapse()?.cancel(&share_id(&id)?).await?)
}

#[tauri::command]
pub(crate) async fn clear_ended(shell: State<'_, Shell>) -> Answer<Vec<String>> {
    let gone = shell.lapse()?.hide_ended().await?;
    Ok(gone.iter().map(ToString::to_string).collect())
}
