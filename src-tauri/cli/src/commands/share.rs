//! Shares and their links.

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use lapse_core::share::{Expiry, Known, Request, ShareId, Shared, Source, State};
use lapse_core::{Code, Error, Lapse};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use serde_json::json;

use super::Outcome;
use crate::args::{Copy, ShareArgs};
use crate::clipboard;
use crate::output::{
    Output, clock, columns, is_terminal, known_line, line, sentence, share_line, share_line_with,
    size,
};
use crate::progress::Screen;

pub(crate) async fn share(
    lapse: &Lapse,
    output: Output,
    screen: &Screen,
    args: ShareArgs,
) -> Result<Outcome, Error> {
    if args.name.is_some() && args.files.len() > 1 {
        return Err(usage(
            "--name is for one file",
            "Share the files one by one, each with its name.",
        ));
    }
    let sources =
        args.files.iter().map(|word| Source::parse(word)).collect::<Result<Vec<_>, _>>()?;
    if sources.iter().any(|source| matches!(source, Source::Stdin)) && args.name.is_none() {
        return Err(usage(
            "standard input has no name of its own",
            "Add --name, like --name report.pdf.",
        ));
    }
    if args.name.as_deref().is_some_and(|name| name.trim().is_empty()) {
        return Err(usage("--name is empty", "Give the name that recipients are to see."));
    }
    let all = sources.len();
    let size = |source: &Source| match source {
        Source::File(path) => path.metadata().map_or(0, |file| file.len()),
        _ => 0,
    };
    screen.expect(all, sources.iter().map(size).sum());
    let sharing = sources.into_iter().map(|source| {
        lapse.share(Request {
            source,
            name: args.name.clone(),
            expires: args.expires,
            inline: args.inline,
            profile: args.profile.clone(),
            label: args.label.clone(),
        })
    });
    let outcome = give_each(lapse, output, screen, Links::new(args.copy), all, sharing).await?;
    lapse.clean_up(args.profile.as_deref()).await;
    Ok(outcome)
}

/// Prints the links of many shares in their order, as they come.
pub(super) async fn give_each(
    lapse: &Lapse,
    output: Output,
    screen: &Screen,
    mut links: Links,
    all: usize,
    sharing: impl Iterator<Item = impl Future<Output = Result<Shared, Error>>>,
) -> Result<Outcome, Error> {
    let mut failed = 0;
    let mut sharing = std::pin::pin!(stream::iter(sharing).buffered(lapse.most_at_once()));
    while let Some(shared) = sharing.next().await {
        match shared {
            Ok(shared) => screen.around(|| links.give(output, &shared)),
            // The only file: its error is the command's.
            Err(error) if all == 1 => return Err(error),
            // Told once, for all.
            Err(error) if error.code == Code::Interrupted => failed += 1,
            Err(error) => {
                screen.around(|| output.tell(&error));
                failed += 1;
            }
        }
    }
    screen.end();
    links.copy(output);
    Ok(Outcome::of(failed, all))
}

pub(crate) async fn link(
    lapse: &Lapse,
    output: Output,
    id: &ShareId,
    copy: Copy,
) -> Result<Outcome, Error> {
    let shared = lapse.link(id).await?;
    Ok(Links::give_one(output, copy, &shared))
}

pub(crate) async fn extend(
    lapse: &Lapse,
    output: Output,
    id: &ShareId,
    expires: Expiry,
    copy: Copy,
) -> Result<Outcome, Error> {
    let shared = lapse.extend(id, expires).await?;
    Ok(Links::give_one(output, copy, &shared))
}

pub(crate) fn list(lapse: &Lapse, output: Output) -> Result<Outcome, Error> {
    let known = lapse.list()?;
    if output.is_json() {
        for known in &known {
            known_line(known);
        }
    } else if known.is_empty() {
        output.aside("Nothing was shared yet. Begin with: lapse share FILE");
    } else {
        line(&table(&known));
    }
    Ok(Outcome::Done)
}

pub(crate) fn show(lapse: &Lapse, output: Output, id: &ShareId) -> Result<Outcome, Error> {
    let known = lapse.show(id)?;
    let share = &known.share;
    if output.is_json() {
        let links: Vec<_> = share
            .links
            .iter()
            .map(|link| {
                json!({
                    "signed_at": link.facts.signed_at.to_string(),
                    "expires_at": link.facts.ends_at().to_string(),
                    "access_key": link.facts.access_key,
                    "limited_by": link.limited_by,
                    "checked_at": link.checked.map(|(at, _)| at.to_string()),
                    "seen": link.checked.map(|(_, seen)| seen),
                    "revoked_at": link.revoked_at.map(|at| at.to_string()),
                })
            })
            .collect();
        share_line_with(
            &known,
            json!({ "bucket": share.bucket, "key": share.key, "links": links }),
        );
        return Ok(Outcome::Done);
    }
    let mut rows = vec![
        row("id", share.id.as_str()),
        row("name", &share.name),
        row("size", &size(share.size)),
        row("state", &format!("{}: {}", known.state.as_str(), sentence(&known))),
        row("profile", &share.profile),
        row("object", &format!("s3://{}/{}", share.bucket, share.key)),
        row("shared", &clock(share.created_at)),
    ];
    if let Some(label) = &share.label {
        rows.push(row("label", label));
    }
    if let Some(folder) = &share.folder {
        rows.push(row("from", folder));
    }
    for (number, link) in share.links.iter().enumerate() {
        let seen = match link.checked {
            Some((at, seen)) => {
                format!("{} when checked {}", seen.as_str().replace('_', " "), clock(at))
            }
            None => "not checked".to_owned(),
        };
        let facts = &link.facts;
        let end = clock(facts.ends_at());
        let revoked =
            link.revoked_at.map_or_else(String::new, |at| format!(", revoked {}", clock(at)));
        rows.push(row(
            &format!("link {}", number + 1),
            &format!("ends {end}, signed by {}{revoked}, {seen}", facts.access_key),
        ));
    }
    line(&columns(&rows));
    Ok(Outcome::Done)
}

fn row(name: &str, value: &str) -> Vec<String> {
    vec![name.to_owned(), value.to_owned()]
}

pub(crate) async fn check(
    lapse: &Lapse,
    output: Output,
    ids: &[ShareId],
) -> Result<Outcome, Error> {
    let checked = lapse.check(ids).await?;
    if checked.is_empty() {
        output.aside("No link is alive.");
        return Ok(Outcome::Done);
    }
    let all = checked.len();
    let mut failed = 0;
    let mut asked = Vec::new();
    for known in checked {
        match known {
            Ok(known) => asked.push(known),
            Err(error) => {
                output.tell(&error);
                failed += 1;
            }
        }
    }
    if output.is_json() {
        for known in &asked {
            let at = known.share.checked_at().map(|at| at.to_string());
            share_line_with(known, json!({ "checked_at": at }));
        }
    } else if !asked.is_empty() {
        line(&table(&asked));
    }
    let unknown = State::Unreachable(lapse_core::share::Unreachable::NoAnswer);
    failed += asked.iter().filter(|known| known.state == unknown).count();
    Ok(Outcome::of(failed, all))
}

fn table(known: &[Known]) -> String {
    let mut rows = vec![["ID", "STATE", "NAME", "SIZE", "PROFILE", ""].map(str::to_owned).to_vec()];
    rows.extend(known.iter().map(|known| {
        let share = &known.share;
        vec![
            share.id.to_string(),
            known.state.as_str().replace('_', " "),
            shortened(&share.name),
            size(share.size),
            share.profile.clone(),
            sentence(known),
        ]
    }));
    columns(&rows)
}

/// A long name loses its middle: the beginning and the extension tell files apart.
fn shortened(name: &str) -> String {
    const MOST: usize = 40;
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= MOST {
        return name.to_owned();
    }
    let (head, tail) = (&letters[..MOST - 13], &letters[letters.len() - 12..]);
    format!("{}…{}", head.iter().collect::<String>(), tail.iter().collect::<String>())
}

fn usage(message: &str, hint: &str) -> Error {
    Error::new(Code::Usage, message, hint)
}

/// Links that were given, on their way to the clipboard.
pub(super) struct Links {
    how: Copy,
    text: Vec<String>,
    until: Timestamp,
}

impl Links {
    pub(super) fn new(how: Copy) -> Self {
        Self { how, text: Vec::new(), until: Timestamp::now() }
    }

    fn give_one(output: Output, how: Copy, shared: &Shared) -> Outcome {
        let mut links = Self::new(how);
        links.give(output, shared);
        links.copy(output);
        Outcome::Done
    }

    /// Prints a link: alone on standard output, with all else beside it.
    fn give(&mut self, output: Output, shared: &Shared) {
        let url = shared.url.expose();
        if output.is_json() {
            share_line(shared);
        } else {
            line(url);
        }
        if self.how.qr {
            match QrCode::new(url) {
                Ok(code) => output.aside(&code.render::<Dense1x2>().build()),
                Err(_) => output.aside("lapse: the link is too long for a QR code."),
            }
        }
        let end = shared.link.facts.ends_at();
        if is_terminal() {
            let (id, name) = (&shared.share.id, &shared.share.name);
            output.aside(&format!("{id}  {name}  ends {}", clock(end)));
        }
        self.until = self.until.max(end);
        self.text.push(url.clone());
    }

    fn copy(&self, output: Output) {
        if self.how.no_copy || self.text.is_empty() {
            return;
        }
        let seconds =
            u64::try_from(self.until.as_second() - Timestamp::now().as_second()).unwrap_or(0);
        if clipboard::copy(&self.text.join("\n"), seconds) && is_terminal() {
            let what = if self.text.len() == 1 { "The link is" } else { "The links are" };
            output.aside(&format!("{what} on the clipboard."));
        }
    }
}
