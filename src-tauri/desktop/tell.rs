//! Tells the page what core says: rows that changed at once, progress ten times a second at most.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lapse_core::Lapse;
use lapse_core::event::{Event, Sink};
use lapse_core::share::ShareId;
use lapse_core::storage::probe::Finding;
use lapse_core::watch::Batch;
use tauri::{AppHandle, Emitter as _, Manager as _};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::commands::{folders, preferences};
use crate::rows::bytes;
use crate::shell::{self, Shell};
use crate::window;
use crate::wire::{Change, Failure, Progress, RotationStep};

/// Ten times a second is enough for any eye.
const PULSE: Duration = Duration::from_millis(100);
/// How often an upload that sends nothing is told of, so that its speed falls.
const STALLED: Duration = Duration::from_secs(1);
/// Over how many seconds a speed is smoothed.
const SMOOTH: f64 = 3.0;

/// What core said, on its way to the page.
#[derive(Debug)]
enum Told {
    Started {
        id: ShareId,
        size: Option<u64>,
    },
    Sent {
        id: ShareId,
        sent: u64,
    },
    Ended(ShareId),
    Changed(ShareId),
    Rotated(RotationStep),
    /// How many files wait for their turn is another number now.
    Waits,
    /// What is known of a watched folder is another thing now.
    Folders,
    Batch(Box<Batch>),
}

/// Core's sink: takes each event without waiting.
pub(crate) struct Bridge {
    told: UnboundedSender<Told>,
    /// Sentences for whoever gets the link of a share.
    notices: Mutex<HashMap<ShareId, Vec<String>>>,
    /// Who hears the lines of the storage check that runs.
    probing: Mutex<Option<Probing>>,
    /// One check at a time: its lines don't say whose they are.
    checks: tokio::sync::Mutex<()>,
}

type Probing = Box<dyn Fn(&Finding) + Send>;

/// The other end, for [`run`].
pub(crate) struct Heard(UnboundedReceiver<Told>);

impl Bridge {
    pub(crate) fn new() -> (Self, Heard) {
        let (told, heard) = unbounded_channel();
        let bridge = Self {
            told,
            notices: Mutex::default(),
            probing: Mutex::default(),
            checks: tokio::sync::Mutex::default(),
        };
        (bridge, Heard(heard))
    }

    /// What must be known of a share's link, each sentence once.
    pub(crate) fn take_notices(&self, id: &ShareId) -> Vec<String> {
        let mut notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        notices.remove(id).unwrap_or_default()
    }

    /// Tells the page soon how many files wait: thousands begin in a few seconds.
    pub(crate) fn waits(&self) {
        // It fails only when the app ends.
        let _ = self.told.send(Told::Waits);
    }

    /// Checks a storage, and `hear`s each line of that.
    pub(crate) async fn probing<T>(
        &self,
        hear: impl Fn(&Finding) + Send + 'static,
        check: impl Future<Output = T>,
    ) -> T {
        let _turn = self.checks.lock().await;
        self.hear_probed(Some(Box::new(hear)));
        let checked = check.await;
        self.hear_probed(None);
        checked
    }

    fn hear_probed(&self, hear: Option<Probing>) {
        *self.probing.lock().unwrap_or_else(PoisonError::into_inner) = hear;
    }
}

impl Sink for Bridge {
    fn emit(&self, event: Event<'_>) {
        let told = match event {
            Event::UploadStarted { id, size, .. } => Told::Started { id: id.clone(), size },
            Event::UploadProgress { id, sent } => Told::Sent { id: id.clone(), sent },
            Event::UploadEnded { id } => Told::Ended(id.clone()),
            Event::Changed(id) => Told::Changed(id.clone()),
            Event::Rotation(step) => Told::Rotated(step.into()),
            Event::Folder(_) => Told::Folders,
            Event::Batch(batch) => Told::Batch(Box::new(batch.clone())),
            // What a row says itself (where its link works, why it ends early) isn't said twice.
            Event::Notice { id, text, by_share: false, .. } => {
                let mut notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
                let notices = notices.entry(id.clone()).or_default();
                if !notices.contains(&text) {
                    notices.push(text);
                }
                return;
            }
            Event::Probed(finding) => {
                let probing = self.probing.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(hear) = &*probing {
                    hear(finding);
                }
                return;
            }
            _ => return,
        };
        // It fails only when the app ends.
        let _ = self.told.send(told);
    }
}

/// How far one upload is.
struct Upload {
    sent: u64,
    total: Option<u64>,
    rate: f64,
    looked: Instant,
    at_look: u64,
}

impl Upload {
    fn new(total: Option<u64>) -> Self {
        Self { sent: 0, total, rate: 0.0, looked: Instant::now(), at_look: 0 }
    }

    fn progress(&mut self, id: &str) -> Progress {
        let passed = self.looked.elapsed().as_secs_f64();
        if passed > 0.0 {
            let moved = bytes(self.sent.saturating_sub(self.at_look));
            let weight = if self.rate == 0.0 { 1.0 } else { 1.0 - (-passed / SMOOTH).exp() };
            self.rate += weight * (moved / passed - self.rate);
        }
        (self.looked, self.at_look) = (Instant::now(), self.sent);
        Progress {
            id: id.to_owned(),
            sent: bytes(self.sent),
            total: self.total.map(bytes),
            rate: self.rate,
        }
    }
}

/// Tells the page, until the app ends.
pub(crate) async fn run(app: AppHandle, Heard(mut heard): Heard) {
    let mut uploads: HashMap<String, Upload> = HashMap::new();
    let mut told = Vec::new();
    loop {
        let stalled = async {
            if uploads.is_empty() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(STALLED).await;
        };
        tokio::select! {
            more = heard.recv_many(&mut told, 10_000) => if more == 0 { return },
            () = stalled => {}
        }
        let mut changed = BTreeSet::new();
        let (mut waits, mut folders) = (false, false);
        for told in told.drain(..) {
            match told {
                Told::Started { id, size } => {
                    uploads.insert(id.to_string(), Upload::new(size));
                }
                Told::Sent { id, sent } => {
                    if let Some(upload) = uploads.get_mut(id.as_str()) {
                        upload.sent = sent;
                    }
                }
                Told::Ended(id) => {
                    uploads.remove(id.as_str());
                }
                Told::Changed(id) => {
                    changed.insert(id);
                }
                Told::Waits => waits = true,
                Told::Folders => folders = true,
                Told::Batch(batch) => {
                    folders = true;
                    tauri::async_runtime::spawn(folders::tell_batch(app.clone(), *batch));
                }
                Told::Rotated(step) => change(&app, Change::Rotated { step }),
            }
        }
        let shell = app.state::<Shell>();
        if !changed.is_empty() {
            let (shares, gone) = shell.rows(&changed);
            change(&app, Change::Shares { shares, gone });
        }
        if waits {
            change(&app, Change::Waiting { count: shell.intake.waiting() });
        }
        if folders {
            change(&app, Change::Folders);
        }
        if !uploads.is_empty() {
            let progress = uploads.iter_mut().map(|(id, upload)| upload.progress(id));
            shell.progress(progress.collect());
        }
        tokio::time::sleep(PULSE).await;
    }
}

/// Tells the page of a change.
pub(crate) fn change(app: &AppHandle, change: Change) {
    if let Err(error) = app.emit_to(window::MAIN, "change", change) {
        tracing::warn!(%error, "the page wasn't told");
    }
}

/// Tells the page what wasn't shared of what came in, and why.
pub(crate) fn not_shared(app: &AppHandle, name: String, failure: impl Into<Failure>) {
    let hidden = window::is_hidden(app);
    change(app, Change::NotShared { name, failure: failure.into(), hidden });
}

/// How often the work of other processes is looked for: a share from the command line stands in the list soon.
const LOOK: Duration = Duration::from_secs(2);

/// Tells the page when another process changed the list or the settings, until the app ends.
pub(crate) async fn watch_others(app: AppHandle) {
    let shell = app.state::<Shell>();
    let file = shell::settings_file().ok();
    let changed_at = || file.as_ref()?.metadata().ok()?.modified().ok();
    let mut settings = changed_at();
    let lan_of = |lapse: &Lapse| lapse.store_status().ok().and_then(|status| status.lan);
    let mut lan = shell.lapse().ok().and_then(|lapse| lan_of(&lapse));
    loop {
        tokio::time::sleep(LOOK).await;
        let Ok(lapse) = shell.lapse() else { continue };
        // Whoever hosted the store may have gone, and links of it are shown. One that is being handed over is let be.
        if !lapse.is_interrupted()
            && let Err(error) = lapse.serve_live_links().await
        {
            tracing::debug!(code = error.code.as_str(), "the local store isn't up");
        }
        // A database that can't be asked now is asked again soon.
        if lapse.changed_elsewhere().unwrap_or(false) {
            change(&app, Change::List);
        }
        let now = changed_at();
        if now != settings {
            settings = now;
            if let Ok(chosen) = preferences::chosen(&app, &lapse) {
                window::apply(&app, &chosen);
            }
            change(&app, Change::Settings);
            // The store left the network, or is in one: rows tell from where links open.
            let now = lan_of(&lapse);
            if now != lan {
                lan = now;
                change(&app, Change::List);
            }
        }
    }
}
