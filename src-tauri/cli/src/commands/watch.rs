//! Watched folders.

use std::io::IsTerminal as _;
use std::path::Path;
use std::time::Duration;

use lapse_core::watch::{After, Batch, Changed, FolderStatus, WatchedFolder};
use lapse_core::{Code, Error, Lapse};
use serde_json::json;
use tokio::sync::mpsc;

use super::store::told_to_stop;
use super::{Outcome, agrees};
use crate::args::{self, WatchArgs};
use crate::clipboard;
use crate::output::{Output, clock, columns, json_line, line};
use crate::progress::{FolderNews, Screen};

const NOBODY: &str = "Nobody watches now: open Lapse's window, or start `lapse watch run`.";
/// How often it is looked for revokes that were cut off.
const BETWEEN: Duration = Duration::from_mins(1);

pub(crate) async fn command(
    lapse: &Lapse,
    output: Output,
    screen: &Screen,
    command: args::Watch,
) -> Result<Outcome, Error> {
    match command {
        args::Watch::Add(args) => add(lapse, output, *args).await,
        args::Watch::List => list(lapse, output),
        args::Watch::Pause { dir } => {
            let folder = lapse.watched_folder(&dir)?;
            lapse.change_folder(&folder.path, |folder| folder.paused = true)?;
            Ok(told(output, &folder.path, "waits. Its links live on."))
        }
        args::Watch::Resume { dir } => {
            let folder = lapse.watched_folder(&dir)?;
            lapse.resume_folder(&folder.path)?;
            let goes_on = told(output, &folder.path, "goes on.");
            if !output.is_json() && !status_of(lapse, &folder.path)?.is_watched {
                output.aside(NOBODY);
            }
            Ok(goes_on)
        }
        args::Watch::Locate { dir, now } => {
            let folder = lapse.watched_folder(&dir)?;
            let folder = lapse.locate_folder(&folder.path, &now).await?;
            Ok(told(output, &folder.path, "is watched in its place."))
        }
        args::Watch::Remove { dir, keep_links, revoke_links } => {
            remove(lapse, output, &dir, keep_links, revoke_links).await
        }
        args::Watch::Run => Box::pin(run(lapse, output, screen)).await,
        args::Watch::Unit => unit(),
    }
}

fn told(output: Output, path: &str, what: &str) -> Outcome {
    if output.is_json() {
        json_line(&json!({ "path": path }));
    } else {
        output.aside(&format!("{} {what}", path.escape_debug()));
    }
    Outcome::Done
}

async fn add(lapse: &Lapse, output: Output, args: WatchArgs) -> Result<Outcome, Error> {
    if let Some(warning) = Lapse::folder_warning(&args.dir) {
        output.aside(&format!("lapse: {warning}"));
        if !args.yes && !agrees("Watch it all the same?")? {
            let what = "nothing is watched";
            let hint = "Name a folder of things to share, or add --yes.";
            return Err(Error::new(Code::Folder, what, hint));
        }
    }
    let after = match args.run {
        Some(program) => After::Run(std::iter::once(program).chain(args.with).collect()),
        None if args.r#move => After::Move,
        None => After::Nothing,
    };
    let folder = WatchedFolder {
        expires: args.expires,
        profile: args.profile,
        label: args.label,
        ignore: args.ignore,
        recursive: args.recursive,
        copy: args.copy,
        changed: if args.withdraw { Changed::Withdraw } else { Changed::NewShare },
        after,
        ..WatchedFolder::of(&args.dir)?
    };
    let folder = lapse.watch_folder(folder, args.existing).await?;
    let status = status_of(lapse, &folder.path)?;
    if output.is_json() {
        json_line(&as_json(&status));
        return Ok(Outcome::Done);
    }
    output.aside(&format!(
        "{} is watched{}. {}",
        folder.path.escape_debug(),
        if folder.recursive { ", with the folders in it" } else { "" },
        match (args.existing, status.waiting) {
            (true, 1) => "1 file that is in it waits to be shared.".to_owned(),
            (true, waiting) => format!("{waiting} files that are in it wait to be shared."),
            (false, _) => "What is in it already is left alone.".to_owned(),
        }
    ));
    if !status.is_watched {
        output.aside(NOBODY);
    }
    Ok(Outcome::Done)
}

fn status_of(lapse: &Lapse, path: &str) -> Result<FolderStatus, Error> {
    let found = lapse.watched_folders()?.into_iter().find(|status| status.folder.path == path);
    found.ok_or_else(|| Error::new(Code::NoSuchFolder, "it was removed meanwhile", "Add it again."))
}

fn state(status: &FolderStatus) -> &'static str {
    match status {
        FolderStatus { folder: WatchedFolder { paused: true, .. }, .. } => "paused",
        FolderStatus { is_watched: false, .. } => "not_running",
        FolderStatus { trouble: Some(_), .. } => "trouble",
        _ => "watching",
    }
}

fn as_json(status: &FolderStatus) -> serde_json::Value {
    let folder = &status.folder;
    let failed = status
        .failed
        .iter()
        .map(|(path, why)| json!({ "path": path.to_string_lossy(), "error": why }));
    json!({
        "path": folder.path,
        "state": state(status),
        "trouble": status.trouble,
        "shared": status.shared,
        "waiting": status.waiting,
        "failed": failed.collect::<Vec<_>>(),
        "last_at": status.last_at.map(|at| at.to_string()),
        "expires": folder.expires.map(|expires| expires.to_string()),
        "profile": folder.profile,
        "label": folder.label,
        "ignore": folder.ignore,
        "recursive": folder.recursive,
        "copy": folder.copy,
        "changed": if folder.changed == Changed::Withdraw { "withdraw" } else { "new_share" },
        "after": match &folder.after {
            After::Nothing => None,
            After::Move => Some("move"),
            After::Run(_) => Some("run"),
        },
    })
}

fn list(lapse: &Lapse, output: Output) -> Result<Outcome, Error> {
    let folders = lapse.watched_folders()?;
    if output.is_json() {
        folders.iter().map(as_json).for_each(|folder| json_line(&folder));
        return Ok(Outcome::Done);
    }
    if folders.is_empty() {
        output.aside("No folder is watched. Begin with: lapse watch add DIR");
        return Ok(Outcome::Done);
    }
    let mut rows =
        vec![["FOLDER", "STATE", "SHARED", "WAITING", "LAST"].map(str::to_owned).to_vec()];
    rows.extend(folders.iter().map(|status| {
        vec![
            status.folder.path.escape_debug().to_string(),
            state(status).replace('_', " "),
            status.shared.to_string(),
            status.waiting.to_string(),
            status.last_at.map(clock).unwrap_or_default(),
        ]
    }));
    line(&columns(&rows));
    for status in &folders {
        if let Some(trouble) = &status.trouble {
            output.aside(&format!("{}: {trouble}", status.folder.path.escape_debug()));
        }
        for (path, why) in &status.failed {
            output.aside(&format!("{}: {why}", path.to_string_lossy().escape_debug()));
        }
    }
    if folders.iter().any(|status| !status.is_watched && !status.folder.paused) {
        output.aside(NOBODY);
    }
    Ok(Outcome::Done)
}

async fn remove(
    lapse: &Lapse,
    output: Output,
    dir: &Path,
    keep_links: bool,
    revoke_links: bool,
) -> Result<Outcome, Error> {
    let folder = lapse.watched_folder(dir)?;
    let live = lapse.live_shares_of_folder(&folder.path)?;
    let revoke = if live.is_empty() || keep_links {
        false
    } else if revoke_links {
        true
    } else {
        let asks = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        if !asks {
            return Err(Error::new(
                Code::Usage,
                format!(
                    "{} links to files of {} live, or are being made",
                    live.len(),
                    folder.path.escape_debug()
                ),
                "Say what becomes of them: --keep-links or --revoke-links.",
            ));
        }
        agrees(&format!("{} links to its files live, or are being made. Revoke them?", live.len()))?
    };
    let (revoked, live_count) = if revoke {
        let revoked = lapse.remove_folder_and_links(&folder.path).await?;
        (revoked, revoked)
    } else {
        (0, lapse.remove_folder(&folder.path).await?.len())
    };
    if output.is_json() {
        json_line(&json!({ "path": folder.path, "revoked": revoked }));
    } else {
        let links = match (live_count, revoke) {
            (0, _) => String::new(),
            (_, true) => format!(" Links revoked: {revoked}."),
            (count, false) => format!(" Links that live on: {count}."),
        };
        output.aside(&format!(
            "{} isn't watched any more. Its files weren't touched.{links}",
            folder.path.escape_debug()
        ));
    }
    Ok(Outcome::Done)
}

/// Watches until it is told to stop. No link is printed: what this prints may be kept in a log.
async fn run(lapse: &Lapse, output: Output, screen: &Screen) -> Result<Outcome, Error> {
    let (tell, mut told) = mpsc::unbounded_channel();
    screen.tell_folders(tell);
    let folders = lapse.watched_folders()?;
    match folders.len() {
        _ if folders.iter().any(|status| status.is_watched) => {}
        0 => output.aside("No folder is watched yet: lapse watch add DIR"),
        1 => output.aside("Watching 1 folder, until Ctrl-C."),
        count => output.aside(&format!("Watching {count} folders, until Ctrl-C.")),
    }
    let telling = async {
        while let Some(news) = told.recv().await {
            match news {
                FolderNews::Batch(batch) => batch_is_over(lapse, output, &batch).await,
                FolderNews::Trouble { folder, trouble } => {
                    trouble_is(output, &folder, trouble.as_deref());
                }
            }
        }
        std::future::pending::<()>().await;
    };
    // What couldn't be taken back is tried again.
    let finishing = async {
        loop {
            Box::pin(super::revoke::finish(lapse, output, super::revoke::FINISHING)).await;
            tokio::time::sleep(BETWEEN).await;
        }
    };
    // All go on at once: a link may wait for what an upload holds.
    tokio::select! {
        () = finishing => Ok(Outcome::Done),
        ended = lapse.watch(told_to_stop()) => ended.map(|()| Outcome::Done),
        () = telling => Ok(Outcome::Done),
    }
}

fn trouble_is(output: Output, folder: &str, trouble: Option<&str>) {
    if output.is_json() {
        return json_line(&json!({ "folder": folder, "trouble": trouble }));
    }
    let trouble = trouble.unwrap_or("All is well again.");
    output.aside(&format!("{}: {trouble}", folder.escape_debug()));
}

async fn batch_is_over(lapse: &Lapse, output: Output, batch: &Batch) {
    if output.is_json() {
        json_line(
            &json!({ "folder": batch.folder.path, "count": batch.count, "newest": batch.newest }),
        );
    } else {
        let files =
            if batch.count == 1 { "1 file is" } else { &format!("{} files are", batch.count) };
        output.aside(&format!(
            "{}: {files} shared. The newest link: lapse link {}",
            batch.folder.path.escape_debug(),
            batch.newest
        ));
    }
    if batch.folder.copy
        && let Ok(shared) = lapse.link(&batch.newest).await
    {
        let end = shared.link.facts.ends_at();
        let seconds = end.as_second() - jiff::Timestamp::now().as_second();
        clipboard::copy(shared.url.expose(), u64::try_from(seconds).unwrap_or(0));
    }
}

/// A unit by which systemd runs it for a person.
fn unit() -> Result<Outcome, Error> {
    let program = std::env::current_exe().map_err(|error| {
        Error::new(Code::Disk, "lapse can't find its own program", "Call it by its full path.")
            .caused_by(error)
    })?;
    // As systemd reads it: quotes, and percent signs twice.
    let quoted = |text: &str| {
        let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
        let text = text.replace('\n', "\\n");
        format!("\"{text}\"")
    };
    let mut environment = String::new();
    for name in ["LAPSE_HOME", "LAPSE_PASSPHRASE_FILE", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
        if let Ok(value) = std::env::var(name)
            && !value.is_empty()
        {
            environment =
                format!("{environment}Environment={}\n", quoted(&format!("{name}={value}")));
        }
    }
    line(&format!(
        "# Save as ~/.config/systemd/user/lapse-watch.service, then: systemctl --user enable --now lapse-watch
# To run while nobody is signed in, as on a server: loginctl enable-linger
[Unit]
Description=Share what is saved into watched folders

[Service]
ExecStart={} watch run
{environment}Restart=on-failure
RestartSec=10
KillMode=process

[Install]
WantedBy=default.target",
        quoted(&program.to_string_lossy())
    ));
    Ok(Outcome::Done)
}
