//! Draws what core tells: a bar for each file that goes up and one for all, notices, and the lines of a check. On
//! standard error, and bars only on a terminal.

use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use lapse_core::event::{Event, Sink};
use lapse_core::share::ShareId;

use crate::output;

/// Files with a bar of their own at once; the others are in the bar for all.
const MOST_BARS: usize = 6;
/// An upload that sends nothing is drawn this often, so that its speed falls.
const TICK: Duration = Duration::from_millis(500);

/// The terminal as a sink.
pub(crate) struct Screen {
    json: bool,
    /// Whether bars are drawn.
    draws: bool,
    drawn: MultiProgress,
    uploads: Mutex<Uploads>,
    /// What is true of each of many files is told once.
    told: Mutex<HashSet<String>>,
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
            // These are results, told as they come.
            Event::Probed(finding) if !self.json => {
                output::line(&format!("  {}  {}", finding.verdict.label(), finding.text));
            }
            _ => {}
        }
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
