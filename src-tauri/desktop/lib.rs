//! The window over [`lapse_core`]: it takes drops, dialogs and the clipboard, and tells the page what happens.
//!
//! The page is in `ui/`; what crosses between the two is in [`wire`]. The page names no path, and it is given no secret but a
//! link, for the sheet that shows it.

mod arguments;
mod choose;
mod clipboard;
mod commands;
mod intake;
mod rows;
mod shell;
mod tell;
mod tray;
mod window;
pub mod wire;

#[cfg(test)]
mod tests;

use std::process::ExitCode;

use tauri::{App, Manager as _, RunEvent};
use tauri_plugin_autostart::MacosLauncher;

use lapse_core::profile::LOCAL;
use shell::Shell;

/// Runs Lapse's window until the person quits.
pub fn run() -> ExitCode {
    log_to_stderr();
    arguments::as_addresses();
    let (shell, heard) = Shell::new();
    let builder = tauri::Builder::default();
    #[cfg(not(target_os = "linux"))]
    let builder = builder.plugin(tauri_plugin_dialog::init());
    let built = builder
        // The first, so that a second start ends before it opens anything.
        .plugin(tauri_plugin_single_instance::init(|app, words, folder| {
            arguments::from_second_start(app, words, &folder);
        }))
        .plugin(tauri_plugin_autostart::init(
            MacosLauncher::LaunchAgent,
            Some(vec![arguments::HIDDEN]),
        ))
        .plugin(tauri_plugin_notification::init())
        .plugin(tauri_plugin_opener::init())
        .manage(shell)
        .invoke_handler(commands::handler())
        .setup(|app| {
            set_up(app, heard)?;
            Ok(())
        })
        .build(tauri::generate_context!());
    let app = match built {
        Ok(app) => app,
        Err(error) => return cant_start(&error),
    };
    app.run(|app, event| match event {
        // Only `quit` ends Lapse; the last window may be gone while it is in the tray.
        RunEvent::ExitRequested { api, code: None, .. } => api.prevent_exit(),
        RunEvent::Exit => app.state::<Shell>().interrupt(),
        _ => {}
    });
    ExitCode::SUCCESS
}

fn set_up(app: &mut App, heard: tell::Heard) -> tauri::Result<()> {
    let arguments = arguments::of_this_start();
    let handle = app.handle();
    // Without a home folder nothing is kept; the page says so.
    if let Ok(file) = shell::window_file() {
        handle.plugin(window::state_plugin(&file))?;
    }
    window::open(handle, arguments.hidden)?;
    tray::put(handle)?;
    tauri::async_runtime::spawn(tell::run(handle.clone(), heard));
    tauri::async_runtime::spawn(tell::watch_others(handle.clone()));
    tauri::async_runtime::spawn(serve_links(handle.clone()));
    tauri::async_runtime::spawn(intake::go_on(handle.clone()));
    tauri::async_runtime::spawn(intake::finish_revokes(handle.clone()));
    tauri::async_runtime::spawn(commands::folders::watch(handle.clone()));
    tauri::async_runtime::spawn(window::draw_late(handle.clone()));
    #[cfg(unix)]
    tauri::async_runtime::spawn(end_when_told(handle.clone()));
    // A page that listens is told what becomes of them.
    app.state::<Shell>().intake.keep_first(arguments.files);
    Ok(())
}

/// Links of the local store work as long as the window runs, and the first drop doesn't wait for it.
pub(crate) async fn serve_links(app: tauri::AppHandle) {
    let Ok(lapse) = app.state::<Shell>().lapse() else { return };
    let served = match lapse.settings().map(|settings| settings.current() == LOCAL) {
        Ok(true) => lapse.profile(Some(LOCAL)).await.map(drop),
        _ => lapse.serve_live_links().await.map(drop),
    };
    // The first share says it again, where the person sees it.
    if let Err(error) = served {
        tracing::warn!(code = error.code.as_str(), "the local store isn't up");
    }
}

/// Leaves well when the session ends, or whoever started Lapse ends it: uploads clear up, local links go on.
#[cfg(unix)]
async fn end_when_told(app: tauri::AppHandle) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    if let Err(failure) = commands::window::leave(&app, true).await {
        // Whoever ends it now doesn't wait for an answer.
        tracing::warn!(code = failure.code, "nobody goes on with the local store");
        app.exit(0);
    }
}

/// Without a window there is no other place to say it.
#[expect(clippy::print_stderr, reason = "the window that would say it can't be made")]
fn cant_start(error: &tauri::Error) -> ExitCode {
    eprintln!(
        "lapse-desktop: the window can't be opened: {error}. Check that a screen is there (DISPLAY or WAYLAND_DISPLAY)."
    );
    ExitCode::FAILURE
}

/// Only where `RUST_LOG` asks for it, and never wider than secrets allow.
fn log_to_stderr() {
    use tracing_subscriber::filter::{EnvFilter, FilterExt as _, filter_fn};
    use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
    use tracing_subscriber::util::SubscriberInitExt as _;

    let Ok(wanted) = std::env::var("RUST_LOG") else { return };
    let filter = EnvFilter::new(wanted).and(filter_fn(lapse_core::may_log));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(filter);
    tracing_subscriber::registry().with(lines).init();
}
