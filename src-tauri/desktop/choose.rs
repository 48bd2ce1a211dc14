//! The system's dialog for files.

use std::path::PathBuf;

use tauri::{AppHandle, Manager as _, WebviewWindow};
use tokio::sync::oneshot::{self, Sender};

use crate::window;

/// Which of them.
#[derive(Clone, Copy)]
pub(crate) enum Choose {
    Files,
    Folder,
}

/// What the person chose: nothing when they left the dialog.
pub(crate) async fn choose(app: &AppHandle, what: Choose) -> Vec<PathBuf> {
    let (chosen, answer) = oneshot::channel();
    let parent = app.get_webview_window(window::MAIN).filter(|_| !window::is_hidden(app));
    ask(app, what, parent, chosen);
    // A dialog that went away without an answer chose nothing.
    answer.await.unwrap_or_default()
}

/// GTK's own dialog: what Tauri's plugin has between leaves out names that aren't UTF-8.
#[cfg(target_os = "linux")]
fn ask(app: &AppHandle, what: Choose, parent: Option<WebviewWindow>, chosen: Sender<Vec<PathBuf>>) {
    use std::cell::Cell;

    use gtk::prelude::{FileChooserExt as _, NativeDialogExt as _};
    use gtk::{FileChooserAction, FileChooserNative, ResponseType};

    let asked = app.run_on_main_thread(move || {
        let action = match what {
            Choose::Files => FileChooserAction::Open,
            Choose::Folder => FileChooserAction::SelectFolder,
        };
        let parent = parent.and_then(|parent| parent.gtk_window().ok());
        let dialog = FileChooserNative::new(None, parent.as_ref(), action, None, None);
        dialog.set_select_multiple(matches!(what, Choose::Files));
        // The dialog lives as long as it holds itself: until it is answered.
        let held = Cell::new(Some((dialog.clone(), chosen)));
        dialog.connect_response(move |dialog, response| {
            let Some((_held, chosen)) = held.take() else { return };
            let is_chosen = response == ResponseType::Accept;
            // Who asked may have gone.
            let _ = chosen.send(if is_chosen { dialog.filenames() } else { Vec::new() });
        });
        dialog.show();
    });
    if let Err(error) = asked {
        tracing::warn!(%error, "no dialog can be shown");
    }
}

#[cfg(not(target_os = "linux"))]
fn ask(app: &AppHandle, what: Choose, parent: Option<WebviewWindow>, chosen: Sender<Vec<PathBuf>>) {
    use tauri_plugin_dialog::{DialogExt as _, FilePath};

    let mut dialog = app.dialog().file();
    if let Some(parent) = &parent {
        dialog = dialog.set_parent(parent);
    }
    let send = move |files: Vec<FilePath>| {
        // Who asked may have gone.
        let _ = chosen.send(files.into_iter().filter_map(|file| file.into_path().ok()).collect());
    };
    match what {
        Choose::Files => dialog.pick_files(move |files| send(files.unwrap_or_default())),
        Choose::Folder => dialog.pick_folder(move |folder| send(Vec::from_iter(folder))),
    }
}
