//! All that is printed: for people, or as JSON for programs.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::OnceLock;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use lapse_core::share::{Known, Link, Share, Shared, State, Unreachable};
use lapse_core::{Code, Error};
use serde::Serialize;
use serde_json::{Value, json};

static UNPRINTED: OnceLock<io::Error> = OnceLock::new();

/// Where results and errors go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

/// A share as programs read it: a stable contract.
#[derive(Serialize)]
struct ShareJson<'a> {
    id: &'a str,
    name: &'a str,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    expires_at: Option<String>,
    limited_by: Option<Code>,
    profile: &'a str,
    state: &'a State,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    folder: Option<&'a str>,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// A line beside the results, for a person.
    pub(crate) fn aside(self, text: &str) {
        if !self.json {
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// The error on one line, and the exit code that goes with it.
    pub(crate) fn fail(self, error: &Error) -> ExitCode {
        self.tell(error);
        match error.code {
            Code::Usage | Code::Expiry => ExitCode::from(2),
            Code::Interrupted => ExitCode::from(130),
            _ => ExitCode::from(1),
        }
    }

    pub(crate) fn tell(self, error: &Error) {
        if self.json {
            tell_json(error.code.as_str(), &error.message, &error.hint);
        } else {
            let _ = writeln!(io::stderr(), "lapse: {error}");
        }
    }
}

/// What `lapse` alone prints.
pub(crate) fn start() {
    line(
        "Lapse shares a file by a link that expires.\n\n  \
         lapse share FILE                 a link for one day, on the clipboard too\n  \
         lapse share FILE --expires 15m   a link for a quarter of an hour\n  \
         lapse list                       what you shared, and what is still alive\n  \
         lapse revoke ID                  take a link back now\n\n\
         Files go to the store on this computer until you add a bucket of yours:\n\n  \
         lapse profile add --help\n\n\
         Everything else: lapse --help",
    );
}

/// A line of results.
pub(crate) fn line(text: &str) {
    if let Err(error) = writeln!(io::stdout(), "{text}") {
        let _ = UNPRINTED.set(error);
    }
}

/// What kept results from being printed, if anything did.
pub(crate) fn unprinted() -> Option<Error> {
    let cause = UNPRINTED.get()?;
    // A reader that closed its end has what it wanted.
    (cause.kind() != io::ErrorKind::BrokenPipe).then(|| {
        Error::new(
            Code::Disk,
            format!("what was done couldn't be printed: {cause}"),
            "Look where standard output goes; `lapse list` shows what is shared, `lapse link ID` prints a link again.",
        )
    })
}

/// One JSON object on a line.
pub(crate) fn json_line(value: &impl Serialize) {
    if let Ok(text) = serde_json::to_string(value) {
        line(&text);
    }
}

/// A share, with its link where there is one to give.
pub(crate) fn share_line(shared: &Shared) {
    let Shared { share, state, link, url } = shared;
    json_line(&share_json(share, state, Some(link), Some(url.expose())));
}

/// A share as it is known, without its link.
pub(crate) fn known_line(known: &Known) {
    json_line(&share_json(&known.share, &known.state, known.link.as_ref(), None));
}

pub(crate) fn share_line_with(known: &Known, more: Value) {
    let mut value = json!(share_json(&known.share, &known.state, known.link.as_ref(), None));
    if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
        value.extend(more);
    }
    json_line(&value);
}

fn share_json<'a>(
    share: &'a Share,
    state: &'a State,
    link: Option<&Link>,
    url: Option<&'a str>,
) -> ShareJson<'a> {
    ShareJson {
        id: share.id.as_str(),
        name: &share.name,
        size: share.size,
        url,
        expires_at: link.map(|link| link.facts.ends_at().to_string()),
        limited_by: link.and_then(|link| link.limited_by),
        profile: &share.profile,
        state,
        created_at: share.created_at.to_string(),
        label: share.label.as_deref(),
        folder: share.folder.as_deref(),
    }
}

fn tell_json(code: &str, message: &str, hint: &str) {
    let _ = writeln!(
        io::stderr(),
        "{}",
        json!({ "error": { "code": code, "message": message, "hint": hint } })
    );
}

/// What clap says, on one line; help and version are no errors.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind;
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return ExitCode::from(2);
    }
    let text = error.render().to_string();
    let (message, hint) = usage_parts(&text);
    if std::env::args_os().any(|arg| arg == "--json") {
        tell_json(Code::Usage.as_str(), &message, &hint);
    } else {
        let _ = writeln!(io::stderr(), "lapse: {message}. {hint}");
    }
    ExitCode::from(2)
}

/// Message and hint of clap's page: its first paragraph, and our own parser's hint where that spoke.
fn usage_parts(text: &str) -> (String, String) {
    const HINT: &str = "See lapse --help.";
    let first: Vec<&str> =
        text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim).collect();
    let joined = first.join(" ");
    let joined = joined.strip_prefix("error: ").unwrap_or(&joined);
    // Our parsers' errors carry their own hint, behind clap's «invalid value … for …:».
    if joined.starts_with("invalid value")
        && let Some((_, place)) = joined.split_once("' for '")
        && let Some((_, ours)) = place.split_once("': ")
        && let Some((message, hint)) = ours.split_once(". ")
    {
        return (message.to_owned(), hint.to_owned());
    }
    (joined.trim_end_matches('.').to_owned(), HINT.to_owned())
}

/// Whether colors and bars are welcome.
pub(crate) fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Bytes as people read them: 1.8 GiB.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut whole, mut unit) = (1024, 0);
    while bytes / whole >= 1024 && unit + 1 < UNITS.len() {
        whole *= 1024;
        unit += 1;
    }
    let (bytes, whole) = (u128::from(bytes), u128::from(whole));
    let tenths = (bytes * 10 + whole / 2) / whole;
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// A time as the person's clock shows it: with the date where it isn't today.
pub(crate) fn clock(at: Timestamp) -> String {
    let zone = TimeZone::system();
    let local = at.to_zoned_datetime(zone.clone());
    let today = Timestamp::now().to_zoned_datetime(zone).date();
    let format = if local.date() == today { "%H:%M" } else { "%Y-%m-%d %H:%M" };
    local.strftime(format).to_string()
}

/// One sentence about a state.
pub(crate) fn sentence(known: &Known) -> String {
    let end = known.link.as_ref().map(|link| clock(link.facts.ends_at())).unwrap_or_default();
    let checked = match known.share.checked_at() {
        Some(at) => format!("checked {}", clock(at)),
        None => "not checked".to_owned(),
    };
    match &known.state {
        State::Uploading => "being uploaded".to_owned(),
        State::Paused => {
            let why = known.share.trouble.as_ref().map(|trouble| format!("{trouble}; "));
            format!("{}go on with: lapse resume {}", why.unwrap_or_default(), known.share.id)
        }
        State::Failed(reason) => reason.clone(),
        State::Active => format!("ends {end}, {checked}"),
        State::CutShort(Code::SignInEnds) => {
            format!("stops {end}, when the sign-in ends, {checked}")
        }
        State::CutShort(_) => format!("stops {end}, the longest the provider allows, {checked}"),
        State::Expired => format!("ended {end}"),
        State::Revoked(at) => format!("since {}", clock(*at)),
        State::Unreachable(why) => {
            let why = match why {
                Unreachable::ObjectGone => "the file isn't in the bucket",
                Unreachable::KeyOff => "the key that signed it is off",
                Unreachable::Refused => "the storage refuses it",
                Unreachable::NoAddress => "the store doesn't listen at its address now",
                Unreachable::NoAnswer => "the storage gave no clear answer",
            };
            format!("{why}, {checked}")
        }
    }
}

/// Rows as columns, with two spaces between.
pub(crate) fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..count).map(|column| width(column).unwrap_or(0)).collect();
    let lines = rows.iter().map(|row| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.chars().count())));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_easily() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_932_735_283, "1.8 GiB"),
            (u64::MAX, "16384.0 PiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
