//! The window itself: its start, its end, and what it says outside of itself.

use std::time::Duration;

use lapse_core::{Home, Lapse, profile};
use tauri::{AppHandle, Manager as _};
use tauri_plugin_notification::NotificationExt as _;
use tauri_plugin_opener::OpenerExt as _;

use super::{Answer, preferences, profiles, shares};
use crate::shell::Shell;
use crate::tell::change;
use crate::wire::{Change, Preferences, Quit, Share, Start, Tray};
use crate::{rows, tray, window};

/// Shares that the window is drawn with at once; the others come when it stands.
const FIRST: usize = 50;

#[tauri::command]
pub(crate) async fn start(app: AppHandle) -> Answer<Start> {
    let shell = app.state::<Shell>();
    let mut start = Start {
        version: app.package_info().version.to_string(),
        platform: std::env::consts::OS.to_owned(),
        preferences: Preferences::default(),
        profiles: Vec::new(),
        shares: Vec::new(),
        more: false,
        problem: None,
        data_folder: String::new(),
        data_size: 0.0,
    };
    if let Ok(home) = Home::from_env() {
        (start.data_folder, start.data_size) = data(&home);
    }
    // A window that can't do its work still says why.
    let was_open = shell.lapse().is_ok();
    if let Err(problem) = shell.open_again().and_then(|lapse| fill(&mut start, &app, &lapse)) {
        start.problem = Some(problem);
    } else if !was_open {
        tauri::async_runtime::spawn(crate::serve_links(app.clone()));
    }
    Ok(start)
}

fn fill(start: &mut Start, app: &AppHandle, lapse: &Lapse) -> Answer<()> {
    let shares = lapse.list()?;
    start.preferences = preferences::chosen(app, lapse)?;
    start.profiles = profiles::listed(lapse)?;
    start.shares = shares.iter().take(FIRST).map(Share::from).collect();
    start.more = shares.len() > FIRST;
    Ok(())
}

/// The folder of the list and the settings, as a person writes it, and the size of what is in it but the store.
fn data(home: &Home) -> (String, f64) {
    let folder = home.data();
    let size = |path: std::path::PathBuf| path.metadata().map_or(0, |found| found.len());
    let shown = match std::env::home_dir()
        .and_then(|own| folder.strip_prefix(own).ok().map(ToOwned::to_owned))
    {
        Some(rest) if !cfg!(windows) => format!("~/{}", rest.display()),
        _ => folder.display().to_string(),
    };
    (shown, rows::bytes(size(home.database()) + size(home.config_file())))
}

#[tauri::command]
pub(crate) fn drawn(app: AppHandle) {
    window::drawn(&app);
}

#[tauri::command]
pub(crate) async fn show_data(app: AppHandle) -> Answer<()> {
    let home = Home::from_env()?;
    app.opener()
        .reveal_item_in_dir(home.database())
        .map_err(|_| shares::no_file_manager(home.data()))
}

#[tauri::command]
pub(crate) fn notify(app: AppHandle, title: String, body: String) {
    // There the body is markup, and names of files are in it.
    let body = if cfg!(target_os = "linux") {
        body.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
    } else {
        body
    };
    // A desktop without notifications has no other place to say it.
    if let Err(error) = app.notification().builder().title(title).body(body).show() {
        tracing::warn!(%error, "a notification can't be shown");
    }
}

#[tauri::command]
pub(crate) fn set_tray(app: AppHandle, tray: Tray) {
    if let Err(error) = tray::set_menu(&app, &tray) {
        tracing::warn!(%error, "the tray has no menu");
    }
}

/// How long uploads may take to clear up after themselves when Lapse ends.
const CLEARING_UP: Duration = Duration::from_secs(5);
/// How often it is looked whether they have.
const LOOK: Duration = Duration::from_millis(20);

/// What speaks against quitting at once.
#[derive(Default)]
struct Against {
    uploads: u32,
    waiting: u32,
    local_links: u32,
}

async fn against(shell: &Shell) -> Against {
    let Ok(lapse) = shell.lapse() else { return Against::default() };
    // Links of a store that another process hosts go on without us.
    let hosted = lapse.hosts_store().await;
    let local_links = if hosted { lapse.live_links(profile::LOCAL).unwrap_or(0) } else { 0 };
    Against {
        uploads: rows::count(lapse.uploads()),
        waiting: shell.intake.waiting(),
        local_links: rows::count(local_links),
    }
}

/// Quits; while files are uploaded the person is asked first. Links of the local store alone go on in the
/// background without a question, where a program for that is there.
pub(crate) fn ask_to_quit(app: &AppHandle) {
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        let Against { uploads, waiting, local_links } = against(&app.state::<Shell>()).await;
        let can_keep = crate::shell::command_line().is_some();
        let at_once = uploads + waiting == 0 && (local_links == 0 || can_keep);
        // Links that nobody went on with would be lost without a word.
        if at_once && leave(&app, local_links > 0).await.is_ok() {
            return;
        }
        window::show(&app);
        change(&app, Change::QuitAsked { uploads, waiting, local_links, can_keep });
    });
}

#[tauri::command]
pub(crate) async fn quit(app: AppHandle, how: Quit) -> Answer<()> {
    match how {
        Quit::Stay => {}
        Quit::KeepLinks => leave(&app, true).await?,
        Quit::StopAll => leave(&app, false).await?,
    }
    Ok(())
}

/// Ends Lapse: uploads clear up after themselves, the local store's links go on in another process or stop. It stays
/// when the links should go on and can't.
pub(crate) async fn leave(app: &AppHandle, keep_links: bool) -> Answer<()> {
    let shell = app.state::<Shell>();
    if let Ok(lapse) = shell.lapse() {
        lapse.interrupt();
        let clear = async {
            while lapse.uploads() > 0 || shell.intake.waiting() > 0 {
                tokio::time::sleep(LOOK).await;
            }
        };
        // What isn't cleared up by then is when its links have ended.
        let _ = tokio::time::timeout(CLEARING_UP, clear).await;
        if !keep_links {
            lapse.stop_hosting().await;
        } else if let Err(error) = lapse.hand_over_store().await {
            lapse.go_on();
            tauri::async_runtime::spawn(crate::serve_links(app.clone()));
            return Err(error.into());
        }
    }
    app.exit(0);
    Ok(())
}
