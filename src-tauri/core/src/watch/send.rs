//! Sharing a watched file that has settled, and what is done with it then.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use md5::{Digest as _, Md5};

use super::root::is_numbered_anew;
use super::{After, Changed, SHARED, WatchedFolder};
use crate::history::{Said, Waiting, sent_already};
use crate::lapse::{Lapse, PASSPHRASE_FILE};
use crate::share::{self, Fingerprint, Request, Share, ShareId, Shared, Source, open_directly};
use crate::storage::SECRET_FROM_ENV;
use crate::transfer::part_size;
use crate::{Code, Error, Result};

/// A program that is run with a link may take so long.
const RUNS: Duration = Duration::from_mins(10);
/// What Lapse may be given by its environment, and a program that it runs needn't have.
const SECRETS: [&str; 4] =
    [PASSPHRASE_FILE, SECRET_FROM_ENV, "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
/// What is read at once of a file that is compared.
const PIECE: usize = 1 << 20;

impl Lapse {
    /// Shares a file as it is now, unless that was done already. Gives the share that is new.
    pub(super) async fn send_watched(
        &self,
        folder: &WatchedFolder,
        path: &Path,
        one: &Waiting,
    ) -> Result<Option<ShareId>> {
        let mut before = Vec::new();
        for earlier in [&one.share, &one.before].into_iter().flatten() {
            let Some(share) = self.earlier_share(earlier)? else { continue };
            let is_it = share.fingerprint() == Some(one.fingerprint);
            if share.etag.is_some() && !share.links.is_empty() {
                if is_it {
                    // Lapse ended right after it was shared.
                    self.after(one, Vec::from_iter(one.before.clone()), &share).await?;
                    return Ok(Some(share.id));
                }
                let is_as_then = || {
                    let now = one.fingerprint;
                    let is_it =
                        |then: Fingerprint| (then.size, then.modified) == (now.size, now.modified);
                    share.fingerprint().is_some_and(is_it) && is_numbered_anew(path)
                };
                if is_content(path, one.fingerprint.size, &share).await || is_as_then() {
                    self.history.set_shared(&one.place, one.fingerprint, &share.id, None).await?;
                    return Ok(None);
                }
                before.push(share.id);
            } else if self.history.is_under_way(&share.id) {
                // By the name that the file had.
                return Err(sent_already(&share.id));
            } else if let Some(upload) = self.history.upload(&share.id)? {
                if share.failed.is_none() && is_it && share.file() == Some(path) {
                    if upload.said == Some(Said::Pause) && upload.trouble.is_none() {
                        return Err(is_paused(&share.id));
                    }
                    match self.carry_on(&share.id).await {
                        // There is nobody to go on with it for: it is sent to the profile of now.
                        Err(error) if error.code == Code::NoSuchProfile => {}
                        carried => {
                            let share = carried?.share;
                            self.after(one, Vec::from_iter(one.before.clone()), &share).await?;
                            return Ok(Some(share.id));
                        }
                    }
                }
                // It failed, or was being sent as it was before or by another name.
                self.give_up(&share.id).await?;
            } else if self.history.find(&share.id)?.etag.is_some() {
                // It arrived this moment.
                return Err(sent_already(&share.id));
            } else {
                // Nothing of it is left.
                self.hide(&share.id)?;
            }
        }
        if one.share.is_none() && self.was_only_renamed(path, one).await? {
            return Ok(None);
        }
        let shared = self.share_anew(folder, path, one).await?;
        self.after(one, before, &shared.share).await?;
        Ok(Some(shared.share.id))
    }

    /// Whether it was shared by another name, before its time was changed too.
    async fn was_only_renamed(&self, path: &Path, one: &Waiting) -> Result<bool> {
        for id in self.history.watched().shared_before(&one.place, one.fingerprint)? {
            let share = self.history.find(&id)?;
            if share.etag.is_none() && !self.history.is_under_way(&id) {
                // Cut off while it was sent by its old name.
                self.give_up(&id).await?;
            } else if is_content(path, one.fingerprint.size, &share).await {
                self.history.set_shared(&one.place, one.fingerprint, &id, None).await?;
                self.history.watched().forget_names(&one.place, one.fingerprint, &id)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes away what arrived of an upload, now or with the next clean-up: the storage may be another one by now.
    async fn give_up(&self, id: &ShareId) -> Result<()> {
        if let Err(error) = self.clean_upload(id).await {
            tracing::warn!(code = error.code.as_str(), "an upload isn't taken away yet");
        }
        self.hide(id)
    }

    fn earlier_share(&self, id: &ShareId) -> Result<Option<Share>> {
        match self.history.find(id) {
            Err(error) if error.code == Code::NoSuchShare => Ok(None),
            found => found.map(Some),
        }
    }

    async fn share_anew(
        &self,
        folder: &WatchedFolder,
        path: &Path,
        one: &Waiting,
    ) -> Result<Shared> {
        let request = Request {
            source: Source::File(path.to_owned()),
            // It is known to be no folder.
            name: path.file_name().map(|name| name.to_string_lossy().into_owned()),
            expires: folder.expires,
            inline: false,
            profile: folder.profile.clone(),
            label: folder.label.clone(),
        };
        let id = ShareId::random();
        let shared = Box::pin(self.share_watched(
            id.clone(),
            request,
            &folder.path,
            &one.place,
            one.fingerprint,
        ));
        let shared = shared.await;
        // It is tried again as another one: a list of all tries would help nobody.
        if shared.is_err()
            && let Ok(failed) = self.history.find(&id)
            && failed.failed.is_some()
        {
            self.hide(&id)?;
        }
        shared
    }

    /// What is done once a file is shared, as is wanted now; each of it may be done again. `before`: what its earlier
    /// content was shared as.
    async fn after(&self, one: &Waiting, before: Vec<ShareId>, share: &Share) -> Result<()> {
        let fingerprint = share.fingerprint().unwrap_or(one.fingerprint);
        let Ok(folder) = self.folder_of_number(one.place.folder) else {
            // It is watched no more.
            return self.history.set_shared(&one.place, fingerprint, &share.id, None).await;
        };
        let (mut wrong, mut later) = (None, None);
        // One that is moved can't have changed: what has its name now is another file.
        let withdraws = folder.changed == Changed::Withdraw && folder.after != After::Move;
        for before in before.iter().filter(|before| withdraws && **before != share.id) {
            let Err(error) = self.revoke(before, share::File::Deleted).await else { continue };
            let text = format!(
                "the link to what it was before isn't taken back yet ({before}): {}",
                error.message
            );
            // Or it is being revoked by someone else.
            if error.passes() || error.code == Code::NotActive {
                self.history.watched().set_before(&one.place, before)?;
                later = Some(Error::new(Code::Folder, text, "Lapse tries that again."));
            } else {
                let text = format!("{text}. {}", error.hint);
                self.notice(&share.id, text.clone());
                wrong = Some(text);
            }
        }
        if let Some(later) = later {
            return Err(later);
        }
        let done = match &folder.after {
            After::Nothing => Ok(()),
            After::Run(words) => self.run_with_link(words, &share.id).await,
            After::Move => {
                let root = folder.path.clone();
                let path = one.place.below(Path::new(&root));
                let moving =
                    tokio::task::spawn_blocking(move || move_to_shared(&root, &path, fingerprint));
                moving.await.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = done {
            self.notice(&share.id, format!("«{}» is shared, but {error}", share.name));
            wrong = Some(format!("It is shared, but {error}"));
        }
        self.history.set_shared(&one.place, fingerprint, &share.id, wrong).await
    }

    /// The link is only ever on the program's standard input: words and environment can be read by others.
    async fn run_with_link(&self, words: &[String], id: &ShareId) -> Result<()> {
        let Some((program, words)) = words.split_first() else { return Ok(()) };
        let url = self.link(id).await?.url;
        let failed = |what: String| {
            Error::new(
                Code::Folder,
                format!("{} {what}", program.escape_debug()),
                "Run it by hand with a link on its standard input to see why.",
            )
        };
        let cannot_run = |error: &std::io::Error| {
            failed(format!("can't be run: {}", crate::error::reason(error)))
        };
        // All of the link is there when it begins: were Lapse killed in between it would read nothing.
        let (stdin, mut link) = std::io::pipe().map_err(|error| cannot_run(&error))?;
        writeln!(link, "{}", url.expose()).map_err(|error| cannot_run(&error))?;
        drop(link);
        let mut command = tokio::process::Command::new(program);
        command.args(words).stdin(stdin).stdout(Stdio::null()).stderr(Stdio::null());
        for secret in SECRETS {
            command.env_remove(secret);
        }
        // Not the watched folder: what it writes there would be shared.
        let home = directories::UserDirs::new();
        command.current_dir(home.as_ref().map_or(Path::new("/"), |home| home.home_dir()));
        command.kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn().map_err(|error| cannot_run(&error))?;
        let group = Group(child.id());
        let ended = tokio::time::timeout(RUNS, child.wait()).await;
        if ended.is_ok() {
            // What it leaves running is meant to run.
            std::mem::forget(group);
        }
        match ended {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(failed(format!("ended with {status}"))),
            Ok(Err(error)) => Err(failed(crate::error::reason(&error))),
            Err(_) => Err(failed("took longer than 10 minutes and was ended".to_owned())),
        }
    }
}

/// A program and all that it started, ended with this.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(leader) = self.0.and_then(|id| i32::try_from(id).ok())
            && let Some(leader) = rustix::process::Pid::from_raw(leader)
        {
            // It may have ended this moment.
            let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
        }
    }
}

/// Puts a file below «Shared», in the folders that it was in; never over another one.
fn move_to_shared(root: &str, path: &Path, seen: Fingerprint) -> Result<()> {
    let root = Path::new(root);
    // What was saved under its name since is shared first.
    if !path.symlink_metadata().is_ok_and(|found| Fingerprint::of(&found) == seen) {
        return Ok(());
    }
    let failed = |error: std::io::Error| {
        Error::new(
            Code::Folder,
            format!("«{}» stays where it is: {}", shown(path), crate::error::reason(&error)),
            "Make room, or let Lapse write that folder.",
        )
        .caused_by(error)
    };
    let Ok(below) = path.strip_prefix(root) else { return Ok(()) };
    let shared = root.join(SHARED);
    let wanted = shared.join(below);
    if let Some(parent) = wanted.parent() {
        // Through a link it would leave the folder.
        let is_within = || parent.canonicalize().is_ok_and(|whole| whole == parent);
        let is_folder = shared.symlink_metadata().is_ok_and(|found| found.is_dir());
        if shared.symlink_metadata().is_ok() && !is_folder {
            let what = format!("«{}» stays where it is: {SHARED} is no folder", shown(path));
            return Err(Error::new(
                Code::Folder,
                what,
                format!("Give that {SHARED} another name."),
            ));
        }
        std::fs::create_dir_all(parent).map_err(failed)?;
        if !is_within() {
            let what = format!("«{}» stays where it is: a link leads out of {SHARED}", shown(path));
            return Err(Error::new(Code::Folder, what, "Take that link away."));
        }
    }
    for number in 1.. {
        let to = numbered(&wanted, number);
        match rename(path, &to) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            // It was moved by someone else.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            renamed => return renamed.map_err(failed),
        }
    }
    Ok(())
}

fn is_paused(id: &ShareId) -> Error {
    let what = "its upload is paused";
    Error::new(Code::Paused, what, format!("Let it go on: lapse resume {id}"))
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().escape_debug().to_string()
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    if number == 1 {
        return path.to_owned();
    }
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!(" ({number})"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

/// Fails where there is something.
#[cfg(target_os = "linux")]
fn rename(from: &Path, to: &Path) -> std::io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system does that.
        Err(rustix::io::Errno::INVAL) => rename_if_free(from, to),
        renamed => Ok(renamed?),
    }
}

#[cfg(not(target_os = "linux"))]
fn rename(from: &Path, to: &Path) -> std::io::Result<()> {
    rename_if_free(from, to)
}

fn rename_if_free(from: &Path, to: &Path) -> std::io::Result<()> {
    if to.symlink_metadata().is_ok() {
        return Err(std::io::ErrorKind::AlreadyExists.into());
    }
    std::fs::rename(from, to)
}

/// Whether a file holds what was shared, though its time is another: by the etag that the storage gave, where that is an
/// MD5, of the whole or of its parts.
async fn is_content(path: &Path, size: u64, share: &Share) -> bool {
    let Some(etag) = share.etag.as_ref().filter(|_| share.size == size) else { return false };
    let etag = etag.trim_matches('"').to_ascii_lowercase();
    let parts = etag.split_once('-').and_then(|(_, parts)| parts.parse::<u64>().ok());
    let step = match parts {
        None => u64::MAX,
        Some(_) => part_size(size),
    };
    let path = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || etag_of(&path, size, step, parts.is_some()));
    matches!(reading.await, Ok(Ok(found)) if found == etag)
}

/// What S3 gives as etag of a file of that size which is sent in parts of `step` bytes, or whole.
fn etag_of(path: &Path, size: u64, step: u64, in_parts: bool) -> std::io::Result<String> {
    // One that grows has another one.
    let mut file = open_directly(path)?.take(size + 1);
    let (mut parts, mut all) = (Vec::new(), 0_u64);
    let mut buffer = vec![0; PIECE];
    loop {
        let mut part = std::io::Read::by_ref(&mut file).take(step);
        let (mut hash, mut length) = (Md5::new(), 0);
        loop {
            let read = part.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            hash.update(&buffer[..read]);
            length += read;
        }
        if length == 0 && all > 0 {
            break;
        }
        parts.extend_from_slice(&hash.finalize());
        all += 1;
        if length == 0 || step == u64::MAX {
            break;
        }
    }
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    Ok(if in_parts { format!("{}-{all}", hex(&Md5::digest(&parts))) } else { hex(&parts) })
}
