//! The one window: how it opens, hides and ends, and what is dropped on it.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use lapse_core::{Code, Error};
use tauri::plugin::TauriPlugin;
use tauri::window::Color;
use tauri::{
    AppHandle, DragDropEvent, Manager as _, Theme, WebviewUrl, WebviewWindow, WebviewWindowBuilder,
    WindowEvent, Wry,
};
use tauri_plugin_window_state::StateFlags;

use crate::rows::{bytes, count};
use crate::shell::{self, Shell};
use crate::tell::{change, not_shared};
use crate::wire::{Change, Preferences};
use crate::{intake, tray};

/// The only window's label: capabilities name it.
pub(crate) const MAIN: &str = "main";

/// How long the first screen may take.
const LATE: Duration = Duration::from_secs(5);

/// Keeps size and place, in Lapse's own folder.
pub(crate) fn state_plugin(file: &Path) -> TauriPlugin<Wry> {
    tauri_plugin_window_state::Builder::default()
        .with_filename(file.to_string_lossy())
        .with_state_flags(StateFlags::SIZE | StateFlags::POSITION | StateFlags::MAXIMIZED)
        .build()
}

/// Makes the window. It is shown when its page begins to draw its first screen, so nobody sees it wait for that.
pub(crate) fn open(app: &AppHandle, hidden: bool) -> tauri::Result<()> {
    let shell = app.state::<Shell>();
    shell.stays_hidden.store(hidden, Ordering::Relaxed);
    let preferences = shell.lapse().ok().and_then(|lapse| lapse.preferences().ok());
    let theme = preferences.as_ref().and_then(|chosen| theme(chosen.window.theme.as_str()));
    let mut builder = WebviewWindowBuilder::new(app, MAIN, WebviewUrl::default());
    // The web view writes some files of its own even so. Without a folder for them the page says what is wrong.
    if let Ok(folder) = shell::web_view_folder()
        && std::fs::create_dir_all(&folder).is_ok()
    {
        builder = builder.data_directory(folder);
    }
    let window = builder
        .title("Lapse")
        .inner_size(420.0, 640.0)
        .min_inner_size(360.0, 420.0)
        .visible(false)
        .theme(theme)
        // Nothing of the page is kept on the disk: it draws links. Such a page can't be driven, so the variable by which
        // Tauri lets a driver in turns it off.
        .incognito(std::env::var_os("TAURI_WEBVIEW_AUTOMATION").is_none())
        .build()?;
    if let Some(chosen) = preferences {
        window.set_zoom(chosen.window.zoom)?;
    }
    let dark = window.theme().is_ok_and(|theme| theme == Theme::Dark);
    let ground = if dark { Color(0x19, 0x1a, 0x1e, 255) } else { Color(0xfc, 0xfc, 0xfd, 255) };
    window.set_background_color(Some(ground))?;
    let app = app.clone();
    window.on_window_event(move |event| happened(&app, event));
    Ok(())
}

/// Makes what was chosen true of the window.
pub(crate) fn apply(app: &AppHandle, chosen: &Preferences) {
    let Some(window) = main_window(app) else { return };
    let applied =
        window.set_theme(theme(&chosen.theme)).and_then(|()| window.set_zoom(chosen.zoom));
    if let Err(error) = applied {
        tracing::warn!(%error, "the window doesn't take what was chosen");
    }
}

/// The theme of a preference; `None`: the system's.
pub(crate) fn theme(name: &str) -> Option<Theme> {
    match name {
        "light" => Some(Theme::Light),
        "dark" => Some(Theme::Dark),
        _ => None,
    }
}

fn main_window(app: &AppHandle) -> Option<WebviewWindow> {
    app.get_webview_window(MAIN)
}

/// Brings the window to the front.
pub(crate) fn show(app: &AppHandle) {
    let Some(window) = main_window(app) else { return };
    app.state::<Shell>().stays_hidden.store(false, Ordering::Relaxed);
    let shown = window.show().and_then(|()| window.unminimize()).and_then(|()| window.set_focus());
    if let Err(error) = shown {
        tracing::warn!(%error, "the window can't be shown");
    }
}

/// Shows the window whose page draws its first screen now, unless it is to stay in the tray.
pub(crate) fn drawn(app: &AppHandle) {
    if !app.state::<Shell>().stays_hidden.load(Ordering::Relaxed) {
        show(app);
    }
}

/// Shows the window although its page hasn't said that it is drawn: a page that fails is better seen than not.
pub(crate) async fn draw_late(app: AppHandle) {
    tokio::time::sleep(LATE).await;
    if main_window(&app).is_some_and(|window| !window.is_visible().unwrap_or(true)) {
        drawn(&app);
    }
    intake::take_first(&app);
}

/// Whether nobody can see the window.
pub(crate) fn is_hidden(app: &AppHandle) -> bool {
    main_window(app).is_none_or(|window| {
        !window.is_visible().unwrap_or(true) || window.is_minimized().unwrap_or(false)
    })
}

fn happened(app: &AppHandle, event: &WindowEvent) {
    match event {
        WindowEvent::CloseRequested { api, .. } => {
            api.prevent_close();
            close(app);
        }
        WindowEvent::DragDrop(event) => dragged(app, event),
        _ => {}
    }
}

/// The window's close button.
fn close(app: &AppHandle) {
    let shell = app.state::<Shell>();
    let stays = shell
        .lapse()
        .ok()
        .and_then(|lapse| lapse.preferences().ok())
        .is_some_and(|chosen| chosen.window.close_to_tray);
    if stays && tray::is_there() {
        hide(app);
    } else {
        crate::commands::window::ask_to_quit(app);
    }
}

fn hide(app: &AppHandle) {
    let Some(window) = main_window(app) else { return };
    app.state::<Shell>().stays_hidden.store(true, Ordering::Relaxed);
    if let Err(error) = window.hide() {
        tracing::warn!(%error, "the window can't be hidden");
    }
    if shell::first_time_in_tray() {
        change(app, Change::Hidden);
    }
}

fn dragged(app: &AppHandle, event: &DragDropEvent) {
    match event {
        DragDropEvent::Enter { paths, .. } => {
            let files: Vec<&Path> =
                paths.iter().map(PathBuf::as_path).filter(|p| p.is_absolute()).collect();
            let first = files.first();
            let size = first
                .and_then(|path| path.metadata().ok())
                .filter(std::fs::Metadata::is_file)
                .map(|metadata| bytes(metadata.len()));
            let name = first.and_then(|path| path.file_name());
            change(
                app,
                Change::DragOver {
                    name: name.map(|name| name.to_string_lossy().into_owned()),
                    size,
                    count: count(files.len()),
                },
            );
        }
        DragDropEvent::Drop { paths, .. } => {
            change(app, Change::DragOut);
            dropped(app, paths);
        }
        DragDropEvent::Leave => change(app, Change::DragOut),
        _ => {}
    }
}

fn dropped(app: &AppHandle, paths: &[PathBuf]) {
    let mut files = Vec::new();
    for path in paths {
        let text = path.to_string_lossy();
        if !path.is_absolute() {
            // A browser's address or picture: the bytes are elsewhere.
            let error = Error::new(
                Code::NotAFile,
                "what was dropped is an address, not a file",
                "Save it as a file first, then drop the file.",
            );
            not_shared(app, text.chars().take(80).collect(), error);
        } else if text.contains('\u{fffd}') {
            // The web view gives names as text, with this in place of bytes that aren't: what has that very name may be
            // another file.
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let error = Error::new(
                Code::FileMissing,
                format!("the name of «{name}» isn't UTF-8, and a drop can't carry such a name"),
                "Choose it with Browse, or share it with the command line.",
            );
            not_shared(app, name, error);
        } else {
            files.push(path.clone());
        }
    }
    intake::take_paths(app, files);
}
