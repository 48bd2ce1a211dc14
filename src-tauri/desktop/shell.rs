//! What the commands share: Lapse, opened, and the ways to the page.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use lapse_core::share::ShareId;
use lapse_core::{Code, Error, Home, KeychainChoice, Lapse, Options, Result, StoreHost};
use tauri::ipc::Channel;

use crate::clipboard::Clipboard;
use crate::commands::Answer;
use crate::intake::Intake;
use crate::tell::{Bridge, Heard};
use crate::wire::{self, Failure, Progress};

/// The state of the shell.
pub(crate) struct Shell {
    pub(crate) clipboard: Clipboard,
    pub(crate) intake: Intake,
    pub(crate) bridge: Arc<Bridge>,
    /// Whether the window isn't shown when it is drawn: it was started at login, or closed since.
    pub(crate) stays_hidden: AtomicBool,
    /// Opened, or why it can't be: a newer database, a full disk. Tried again when the page asks.
    lapse: RwLock<Result<Arc<Lapse>, Failure>>,
    progress: Mutex<Option<Channel<Vec<Progress>>>>,
}

impl Shell {
    pub(crate) fn new() -> (Self, Heard) {
        let (bridge, heard) = Bridge::new();
        let bridge = Arc::new(bridge);
        let shell = Self {
            clipboard: Clipboard::default(),
            intake: Intake::default(),
            lapse: RwLock::new(open(&bridge)),
            bridge,
            stays_hidden: AtomicBool::new(false),
            progress: Mutex::default(),
        };
        (shell, heard)
    }

    /// Lapse, or why there is none.
    pub(crate) fn lapse(&self) -> Result<Arc<Lapse>, Failure> {
        self.lapse.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lapse; where it couldn't be opened, that is tried once more.
    pub(crate) fn open_again(&self) -> Result<Arc<Lapse>, Failure> {
        let mut lapse = self.lapse.write().unwrap_or_else(PoisonError::into_inner);
        if lapse.is_err() {
            *lapse = open(&self.bridge);
        }
        lapse.clone()
    }

    /// A share as the page shows it.
    pub(crate) fn row(&self, id: &ShareId) -> Answer<wire::Share> {
        Ok(wire::Share::from(&self.lapse()?.show(id)?))
    }

    /// Shares as the page shows them, and the ids of those that aren't in the list any more.
    pub(crate) fn rows(&self, ids: &BTreeSet<ShareId>) -> (Vec<wire::Share>, Vec<String>) {
        let (mut rows, mut gone) = (Vec::new(), Vec::new());
        for id in ids {
            match self.lapse().map(|lapse| lapse.show(id)) {
                Ok(Ok(known)) if !known.is_hidden() => rows.push(wire::Share::from(&known)),
                Ok(Ok(_)) => gone.push(id.to_string()),
                Ok(Err(error)) if error.code == Code::NoSuchShare => gone.push(id.to_string()),
                // What can't be read now is read when the list is asked for again.
                _ => {}
            }
        }
        (rows, gone)
    }

    /// Stops uploads under way and clears up after them.
    pub(crate) fn interrupt(&self) {
        if let Ok(lapse) = self.lapse() {
            lapse.interrupt();
        }
    }

    /// The page that hears how far uploads are.
    pub(crate) fn hear_progress(&self, channel: Channel<Vec<Progress>>) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = Some(channel);
    }

    pub(crate) fn progress(&self, progress: Vec<Progress>) {
        let channel = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        // A page that was reloaded has another channel soon.
        if let Some(channel) = &*channel {
            let _ = channel.send(progress);
        }
    }
}

/// Where the person's settings are, which other programs may change.
pub(crate) fn settings_file() -> Result<PathBuf> {
    Ok(Home::from_env()?.config_file())
}

/// Where the window's size and place are kept.
pub(crate) fn window_file() -> Result<PathBuf> {
    Ok(Home::from_env()?.data().join("window.json"))
}

/// Whether Lapse never went to the tray before. Where that can't be kept, it is told again.
pub(crate) fn first_time_in_tray() -> bool {
    let Ok(home) = Home::from_env() else { return true };
    !matches!(
        std::fs::File::create_new(home.data().join("told-of-tray")),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists
    )
}

/// Where the web view keeps what it must.
pub(crate) fn web_view_folder() -> Result<PathBuf> {
    Ok(Home::from_env()?.data().join("webview"))
}

fn open(bridge: &Arc<Bridge>) -> Result<Arc<Lapse>, Failure> {
    let lapse = Lapse::open(Options {
        home: Home::from_env()?,
        keychain: KeychainChoice::FromEnv,
        store_host: StoreHost::Here { program: command_line() },
        sink: Arc::clone(bridge) as Arc<_>,
    })?;
    Ok(Arc::new(lapse))
}

/// The program `lapse`, which stands beside this one and hosts the local store when the window is gone.
pub(crate) fn command_line() -> Option<std::path::PathBuf> {
    let name = if cfg!(windows) { "lapse.exe" } else { "lapse" };
    let program = std::env::current_exe().ok()?.with_file_name(name);
    program.is_file().then_some(program)
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        tracing::debug!(code = error.code.as_str(), %error, "told the page of an error");
        Self { code: error.code.as_str().to_owned(), message: error.message, hint: error.hint }
    }
}
