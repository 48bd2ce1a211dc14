//! Draws what core tells: a bar for each file that goes up and one for all, notices, and the lines of a check. On
//! standard error, and bars only on a terminal.

use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use lapse_core::event::{Event, Sink};
use lapse_core::rotation::RotationStep;
use lapse_core::share::ShareId;
use lapse_core::watch::Batch;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;

use crate::output;

/// Files with a bar of their own at once; the others are in the bar for all.
const MOST_BARS: usize = 6;
/// An upload that sends nothing is drawn this often, so that its speed falls.
const TICK: Duration = Duration::from_millis(500);

/// How watched folders go.
#[derive(Debug)]
pub(crate) enum FolderNews {
    /// All that waited is shared.
    Batch(Box<Batch>),
    /// Why one isn't watched just now; nothing where it is again.
    Trouble { folder: String, trouble: Option<String> },
}

/// The terminal as a sink.
pub(crate) struct Screen {
    json: bool,
    /// Whether bars are drawn.
    draws: bool,
    drawn: MultiProgress,
    uploads: Mutex<Uploads>,
    /// What is true of each of many files is told once.
    told: Mutex<HashSet<String>>,
    /// Whether the steps of a rotation are told.
    steps: AtomicBool,
    /// Hears what was shared of watched folders.
    folders: OnceLock<UnboundedSender<FolderNews>>,
}

#[derive(Default)]
struct Uploads {
    running: HashMap<ShareId, Upload>,
    /// Where there are several files.
    all: Option<All>,
}

struct Upload {
    name: String,
    sent: u64,
    size: u64,
    bar: Option<ProgressBar>,
}

struct All {
    bar: ProgressBar,
    /// Files that are done, of how many.
    done: usize,
    count: usize,
    /// Bytes of files that are done.
    bytes: u64,
}

impl Screen {
    pub(crate) fn new(json: bool) -> Self {
        Self {
            json,
            draws: output::is_terminal() && !json,
            drawn: MultiProgress::new(),
            uploads: Mutex::default(),
            told: Mutex::default(),
            steps: AtomicBool::new(false),
            folders: OnceLock::new(),
        }
    }

    fn uploads(&self) -> MutexGuard<'_, Uploads> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many files will be sent, so many bytes in all.
    pub(crate) fn expect(&self, count: usize, bytes: u64) {
        if self.draws && count > 1 {
            let bar = self.drawn.add(ProgressBar::new(bytes));
            bar.set_style(style(
                "{msg}  {bar:24} {percent:>3} %  {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left",
            ));
            bar.set_message(format!("0 of {count} files"));
            bar.enable_steady_tick(TICK);
            self.uploads().all = Some(All { bar, done: 0, count, bytes: 0 });
        }
    }

    /// No bar is drawn any more.
    pub(crate) fn end(&self) {
        if let Some(all) = self.uploads().all.take() {
            all.bar.finish_and_clear();
        }
    }

    /// Prints something while no bar is in its way.
    pub(crate) fn around<T>(&self, print: impl FnOnce() -> T) -> T {
        self.drawn.suspend(print)
    }

    fn say(&self, text: String) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.json && !told.contains(&text) {
            // Nobody may be reading; that is no reason to fail.
            let _ = self.around(|| writeln!(std::io::stderr(), "lapse: {text}"));
            told.insert(text);
        }
    }

    /// From now on it is told how watched folders go.
    pub(crate) fn tell_folders(&self, tell: UnboundedSender<FolderNews>) {
        // The first one stays: there is one command.
        let _ = self.folders.set(tell);
    }

    fn of_folder(&self, news: FolderNews) {
        if let Some(tell) = self.folders.get() {
            // Where nobody waits for it any more, nobody needs it.
            let _ = tell.send(news);
        }
    }

    /// From now on the steps of a rotation are what was asked for.
    pub(crate) fn tell_steps(&self) {
        self.steps.store(true, Ordering::Relaxed);
    }

    /// A step of a rotation: results for a program, told as they come.
    fn step(&self, step: &RotationStep) {
        if let RotationStep::Left { access_keys } = step {
            return self.say(format!(
                "Lapse doesn't use this key any more: {}. If nothing else needs it, delete it at the provider's site, which ends its links too.",
                access_keys.join(", ")
            ));
        }
        if !self.steps.load(Ordering::Relaxed) {
            return;
        }
        if self.json {
            return output::json_line(&step_json(step));
        }
        let text = match step {
            RotationStep::Made { access_key } => format!("A new key is made: {access_key}"),
            RotationStep::Stored => "Its secret is kept.".to_owned(),
            RotationStep::Works => "The storage accepts it.".to_owned(),
            RotationStep::Signed { kept: 0 } => "It signs from now on.".to_owned(),
            RotationStep::Signed { kept } => {
                format!("It signs from now on; {kept} links are signed again.")
            }
            RotationStep::Off { access_key } => format!("{access_key} is switched off."),
            RotationStep::SessionsEnded { role } => {
                format!("The role {role} refuses its earlier sessions.")
            }
            RotationStep::ByHand { access_key } => format!(
                "Now switch {access_key} off at the provider's site. Lapse asks with its links until they are refused."
            ),
            RotationStep::Asked { checked, refused, again: Some(again) } if refused < checked => {
                format!(
                    "{} of {checked} links aren't refused yet; they are asked again in {:.1} s.",
                    checked - refused,
                    again.as_secs_f64()
                )
            }
            RotationStep::Asked { .. } | RotationStep::Left { .. } => return,
            RotationStep::Deleted => "The old key is deleted.".to_owned(),
        };
        let _ = self.around(|| writeln!(std::io::stderr(), "  {text}"));
    }

    fn started(&self, id: &ShareId, name: &str, size: Option<u64>) {
        let mut uploads = self.uploads();
        let drawn = uploads.running.values().filter(|upload| upload.bar.is_some()).count();
        let bar = (drawn < MOST_BARS).then(|| {
            let bar = bar(size);
            bar.set_message(name.to_owned());
            // Above the one for all.
            let bar = self.drawn.insert(drawn, bar);
            bar.enable_steady_tick(TICK);
            bar
        });
        let upload = Upload { name: name.to_owned(), sent: 0, size: size.unwrap_or(0), bar };
        uploads.running.insert(id.clone(), upload);
    }

    fn progress(&self, id: &ShareId, sent: u64) {
        if !self.draws {
            return;
        }
        let mut uploads = self.uploads();
        if let Some(upload) = uploads.running.get_mut(id) {
            upload.sent = sent;
            if let Some(bar) = &upload.bar {
                bar.set_message(upload.name.clone());
                bar.set_position(sent);
            }
        }
        uploads.tell_all();
    }

    fn waits(&self, id: &ShareId, why: &str) {
        if let Some(Upload { name, bar: Some(bar), .. }) = self.uploads().running.get(id) {
            bar.set_message(format!("{name} waits: {why}"));
        }
    }

    fn ended(&self, id: &ShareId) {
        if !self.draws {
            return;
        }
        let mut uploads = self.uploads();
        if let Some(upload) = uploads.running.remove(id) {
            if let Some(bar) = upload.bar {
                bar.finish_and_clear();
            }
            if let Some(all) = &mut uploads.all {
                all.done += 1;
                all.bytes += upload.size.max(upload.sent);
                all.bar.set_message(format!("{} of {} files", all.done, all.count));
            }
        }
        uploads.tell_all();
    }
}

impl Uploads {
    fn tell_all(&self) {
        if let Some(all) = &self.all {
            all.bar.set_position(
                all.bytes + self.running.values().map(|upload| upload.sent).sum::<u64>(),
            );
        }
    }
}

impl Sink for Screen {
    fn emit(&self, event: Event<'_>) {
        match event {
            Event::UploadStarted { id, name, size } if self.draws => self.started(id, name, size),
            Event::UploadProgress { id, sent } => self.progress(id, sent),
            Event::UploadWaits { id, why } => self.waits(id, why),
            Event::UploadEnded { id } => self.ended(id),
            Event::Notice { text, .. } => self.say(text),
            Event::Rotation(step) => self.step(step),
            Event::Batch(batch) => self.of_folder(FolderNews::Batch(Box::new(batch.clone()))),
            Event::Trouble { folder, trouble } => self.of_folder(FolderNews::Trouble {
                folder: folder.to_owned(),
                trouble: trouble.map(str::to_owned),
            }),
            // These are results, told as they come.
            Event::Probed(finding) if !self.json => {
                output::line(&format!("  {}  {}", finding.verdict.label(), finding.text));
            }
            _ => {}
        }
    }
}

fn step_json(step: &RotationStep) -> Value {
    match step {
        RotationStep::Made { access_key } => json!({ "step": "made", "access_key": access_key }),
        RotationStep::Stored => json!({ "step": "stored" }),
        RotationStep::Works => json!({ "step": "works" }),
        RotationStep::Signed { kept } => json!({ "step": "signed", "kept": kept }),
        RotationStep::Off { access_key } => json!({ "step": "off", "access_key": access_key }),
        RotationStep::SessionsEnded { role } => json!({ "step": "sessions_ended", "role": role }),
        RotationStep::ByHand { access_key } => {
            json!({ "step": "by_hand", "access_key": access_key })
        }
        RotationStep::Asked { checked, refused, again } => json!({
            "step": "asked", "checked": checked, "refused": refused,
            "again_in_s": again.map(|again| again.as_secs_f64()),
        }),
        RotationStep::Deleted => json!({ "step": "deleted" }),
        RotationStep::Left { access_keys } => json!({ "step": "left", "access_keys": access_keys }),
    }
}

fn bar(size: Option<u64>) -> ProgressBar {
    let template = if size.is_some() {
        "{msg}  {bar:24} {percent:>3} %  {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left"
    } else {
        "{msg}  {spinner} {bytes}  {bytes_per_sec}"
    };
    size.map_or_else(ProgressBar::new_spinner, ProgressBar::new).with_style(style(template))
}

fn style(template: &str) -> ProgressStyle {
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("━╸─")
}
