//! Draws what core tells: a bar while a file goes up, notices, and the lines of a check. On standard
//! error, and the bar only on a terminal.

use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};
use lapse_core::event::{Event, Sink};

use crate::output;

/// The terminal as a sink.
pub(crate) struct Screen {
    json: bool,
    bar: Mutex<Option<ProgressBar>>,
}

impl Screen {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, bar: Mutex::new(None) }
    }

    fn set_bar(&self, bar: Option<ProgressBar>) {
        let old =
            std::mem::replace(&mut *self.bar.lock().unwrap_or_else(PoisonError::into_inner), bar);
        if let Some(old) = old {
            old.finish_and_clear();
        }
    }

    fn say(&self, text: &str) {
        if !self.json {
            // Nobody may be reading; that is no reason to fail.
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }
}

// The command line uploads one file after the other.
impl Sink for Screen {
    fn emit(&self, event: Event<'_>) {
        match event {
            Event::UploadStarted { name, size, .. } if output::is_terminal() && !self.json => {
                self.set_bar(Some(bar(name, size)));
            }
            Event::UploadProgress { sent, .. } => {
                if let Some(bar) = &*self.bar.lock().unwrap_or_else(PoisonError::into_inner) {
                    bar.set_position(sent);
                }
            }
            Event::UploadEnded { .. } => self.set_bar(None),
            Event::Notice { text, .. } => self.say(&format!("lapse: {text}")),
            // These are results, told as they come.
            Event::Probed(finding) if !self.json => {
                output::line(&format!("  {}  {}", finding.verdict.label(), finding.text));
            }
            _ => {}
        }
    }
}

fn bar(name: &str, size: Option<u64>) -> ProgressBar {
    let template = if size.is_some() {
        "{msg}  {bar:24} {percent:>3} %  {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left"
    } else {
        "{msg}  {spinner} {bytes}  {bytes_per_sec}"
    };
    let bar = size.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style.progress_chars("━╸─")).with_message(name.to_owned())
}
