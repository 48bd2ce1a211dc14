//! Who hosts the local store: this process, another one, or one that is started in the background.

mod here;
mod lan;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use lapse_local_store::{HostInfo, Options, Running};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use crate::history::History;
use crate::home::Home;
use crate::lapse::Lapse;
use crate::profile::{LOCAL, Profile};
use crate::{Code, Error, Result};

pub(crate) use here::Hosted;
pub use lan::Candidate;
pub(crate) use lan::Lan;

/// How a store that nobody hosts is brought up.
#[derive(Debug, Clone)]
pub enum StoreHost {
    /// Start this program with `store run --background`.
    Program(PathBuf),
    /// Host it in this process, from the first need on. `program` goes on with it when this process ends
    /// ([`Lapse::hand_over_store`]).
    Here {
        /// The program that is started with `store run --background`.
        program: Option<PathBuf>,
    },
    /// Don't.
    Nobody,
}

/// How long a background store may take to answer; a cold disk needs a while.
const START: Duration = Duration::from_secs(20);
/// A background store stays this long after its last request, even with no link alive: other S3 clients
/// may be using it.
const LINGER: SignedDuration = SignedDuration::from_mins(10);
/// How often it looks whether it is still needed.
const LOOK: Duration = Duration::from_secs(30);

/// The state of the local store, as `lapse store status --json` prints it.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Whether a process hosts it.
    pub running: bool,
    /// That process.
    pub pid: Option<u32>,
    /// The endpoint that its links carry; unknown until it first ran.
    pub endpoint: Option<String>,
    /// The endpoint that links carry while it listens in the local network, unencrypted.
    pub lan: Option<String>,
    /// The interface of that network, as it was chosen, whether the store runs or not.
    pub lan_interface: Option<String>,
    /// When it left that network, because the network changed.
    pub lan_ended_at: Option<String>,
    /// Its bucket.
    pub bucket: &'static str,
    /// Its region.
    pub region: &'static str,
    /// Where it keeps its objects.
    pub data_dir: PathBuf,
    /// Links to it that haven't ended and weren't revoked.
    pub live_links: u64,
    /// Objects in all its buckets.
    pub objects: u64,
    /// The sum of their sizes, in bytes.
    pub bytes: u64,
}

/// What the background process says on its standard output once it serves, or can't.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Hello {
    Ready(HostInfo),
    Busy,
    Failed { code: String, message: String, hint: String },
}

/// What `lapse store check` found.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// Files of the store that were read.
    pub files: u64,
    /// The sum of their sizes, in bytes.
    pub bytes: u64,
    /// What isn't as it was stored.
    pub damaged: Vec<Damaged>,
}

/// An object, or a part of an unfinished upload, that isn't as it was stored.
#[derive(Debug, Serialize)]
pub struct Damaged {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// Whether it is a part of an upload that isn't finished.
    pub unfinished: bool,
    /// The file that holds it, in the store's folder.
    pub file: PathBuf,
    /// What is wrong: `missing`, `size`, `bytes`, `unreadable`.
    pub damage: &'static str,
}

/// Reads every file of the store. `progress` hears the bytes so far.
pub(crate) fn check(home: &Home, progress: impl FnMut(u64)) -> Result<Checked> {
    use lapse_local_store::Damage;
    let dir = home.store();
    let found = lapse_local_store::check(&dir, progress).map_err(|error| store_error(&error))?;
    let damaged = found.damaged.into_iter().map(|found| Damaged {
        bucket: found.bucket,
        key: found.key,
        unfinished: found.unfinished,
        file: Path::new("blobs").join(found.file),
        damage: match found.damage {
            Damage::Missing => "missing",
            Damage::Size => "size",
            Damage::Bytes => "bytes",
            Damage::Unreadable => "unreadable",
        },
    });
    Ok(Checked { files: found.files, bytes: found.bytes, damaged: damaged.collect() })
}

/// The endpoint that links carry, known once the store ran.
pub(crate) fn endpoint(home: &Home) -> Result<Option<String>> {
    lapse_local_store::endpoint(&home.store()).map_err(|error| store_error(&error))
}

/// The local store's profile with the addresses where it listens, or would; `None` before its first start.
/// Unlike [`Lapse::profile`] this starts nothing.
pub(crate) fn profile_as_known(lapse: &Lapse) -> Result<Option<Profile>> {
    let host =
        lapse_local_store::host_of(&lapse.home.store()).map_err(|error| store_error(&error))?;
    if let Some(host) = host {
        return Profile::local(&host.endpoint, host.lan.as_deref()).map(Some);
    }
    let Some(endpoint) = endpoint(&lapse.home)? else { return Ok(None) };
    let lan = lapse.settings().ok().and_then(|settings| settings.lan());
    let port = endpoint.rsplit_once(':').map_or("", |(_, port)| port);
    let lan = lan.map(|lan| format!("http://{}:{port}", lan.network.address()));
    Profile::local(&endpoint, lan.as_deref()).map(Some)
}

pub(crate) fn status(lapse: &Lapse) -> Result<Status> {
    let (home, history) = (&lapse.home, &lapse.history);
    let settings = lapse.settings()?;
    let dir = home.store();
    let host = lapse_local_store::host_of(&dir).map_err(|error| store_error(&error))?;
    let usage = lapse_local_store::usage(&dir).map_err(|error| store_error(&error))?;
    Ok(Status {
        running: host.is_some(),
        pid: host.as_ref().map(|host| host.pid),
        endpoint: match &host {
            Some(host) => Some(host.endpoint.clone()),
            None => endpoint(home)?,
        },
        lan: host.and_then(|host| host.lan),
        lan_interface: settings.lan().map(|lan| lan.interface),
        lan_ended_at: settings.lan_ended_at(),
        bucket: lapse_local_store::BUCKET,
        region: lapse_local_store::REGION,
        data_dir: dir,
        live_links: history.live_links(LOCAL, Timestamp::now())?,
        objects: usage.objects,
        bytes: usage.bytes,
    })
}

/// The host of the store, which is up when this returns.
pub(crate) async fn ensure_up(lapse: &Lapse) -> Result<HostInfo> {
    let (home, dir) = (&lapse.home, lapse.home.store());
    let began = Instant::now();
    loop {
        if let Some(host) = lapse_local_store::host_of(&dir).map_err(|error| store_error(&error))? {
            return Ok(host);
        }
        let started = match &lapse.store_host {
            StoreHost::Program(program) => start_background(program, home).await?,
            StoreHost::Here { .. } => lapse.host_here().await?,
            StoreHost::Nobody => {
                return Err(Error::new(
                    Code::Store,
                    "the local store isn't running",
                    "Start it with `lapse store run`.",
                ));
            }
        };
        match started {
            Hello::Ready(host) => return Ok(host),
            // Two starts at once: the other one won, and its store is as good as ours.
            Hello::Busy if began.elapsed() < START => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Hello::Busy => {
                return Err(Error::new(
                    Code::Store,
                    "another process holds the local store and doesn't answer",
                    "See it with `lapse store status`, stop it with `lapse store stop`.",
                ));
            }
            Hello::Failed { code, message, hint } => {
                let known = [Code::StorePort, Code::DiskFull, Code::Disk, Code::DatabaseNewer];
                let code = known.into_iter().find(|known| known.as_str() == code);
                return Err(Error::new(code.unwrap_or(Code::Store), message, hint));
            }
        }
    }
}

async fn start_background(program: &Path, home: &Home) -> Result<Hello> {
    let failed = |error: std::io::Error| {
        Error::new(
            Code::Store,
            format!("the local store can't be started: {}", crate::error::reason(&error)),
            "Start it by hand with `lapse store run` to see more.",
        )
        .caused_by(error)
    };
    // Whatever else our caller left open (a pipe, a lock) must not live on in the background.
    #[cfg(unix)]
    close_fds::set_fds_cloexec(3, &[]);
    let mut command = Command::new(program);
    if let Some(folder) = home.in_one_folder() {
        command.env("LAPSE_HOME", folder);
    }
    // It needs none of these, and lives for days.
    for secret in [crate::lapse::PASSPHRASE_FILE, crate::storage::SECRET_FROM_ENV] {
        command.env_remove(secret);
    }
    let child = command
        .args(["store", "run", "--background"])
        .current_dir(root())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let stdout = child.stdout.and_then(|stdout| tokio::process::ChildStdout::from_std(stdout).ok());
    let mut line = String::new();
    if let Some(stdout) = stdout {
        let mut reader = BufReader::new(stdout.take(64 * 1024));
        let reading = tokio::time::timeout(START, reader.read_line(&mut line)).await;
        reading.map_err(|_| failed(std::io::ErrorKind::TimedOut.into()))?.map_err(failed)?;
    }
    serde_json::from_str(&line).map_err(|_| failed(std::io::ErrorKind::UnexpectedEof.into()))
}

/// A background process keeps no folder busy.
fn root() -> &'static Path {
    Path::new(if cfg!(windows) { "C:\\" } else { "/" })
}

/// Hosts the store until `stop` says so; in the foreground for a person who asked for it.
pub(crate) async fn run(
    lapse: &Lapse,
    ready: impl FnOnce(&HostInfo),
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let running =
        start(&lapse.home, Options::default()).await.map_err(|error| store_error(&error))?;
    ready(&in_its_network(&lapse.home, &running).await);
    tokio::select! {
        () = stop => {}
        () = lan::follow(&lapse.home, &running) => {}
    }
    running.stop().await;
    Ok(())
}

/// Hosts the store in the background: says on standard output that it is up, lets go of it, and ends
/// when no link is alive and nothing is under way.
pub(crate) async fn run_background(lapse: &Lapse, stop: impl Future<Output = ()>) -> Result<()> {
    // Own session: closing the terminal, or Ctrl-C in it, doesn't reach us. It fails only where we have one.
    #[cfg(unix)]
    let _ = rustix::process::setsid();
    let options = Options { background: true, ..Options::default() };
    let running = match start(&lapse.home, options).await {
        Ok(running) => running,
        Err(lapse_local_store::Error::Hosted(_) | lapse_local_store::Error::Busy(_)) => {
            say(&Hello::Busy);
            return Ok(());
        }
        Err(error) => {
            let error = store_error(&error);
            say(&Hello::Failed {
                code: error.code.as_str().to_owned(),
                message: error.message.clone(),
                hint: error.hint.clone(),
            });
            return Err(error);
        }
    };
    say(&Hello::Ready(in_its_network(&lapse.home, &running).await));
    tokio::select! {
        () = stop => {}
        () = until_idle(&running, &lapse.history) => {}
        () = lan::follow(&lapse.home, &running) => {}
    }
    running.stop().await;
    Ok(())
}

/// The host, once it listens where it is to: the first link carries the right address already.
async fn in_its_network(home: &Home, running: &Running) -> HostInfo {
    lan::look_once(home, running).await;
    let recorded = lapse_local_store::host_of(&home.store()).ok().flatten();
    recorded.unwrap_or_else(|| running.info())
}

fn say(hello: &Hello) {
    let mut line = serde_json::to_string(hello).unwrap_or_default();
    line.push('\n');
    // Whoever started us may be gone already; the store serves all the same.
    let mut stdout = std::io::stdout();
    let _ = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush());
    #[cfg(unix)]
    if let Ok(null) = std::fs::File::options().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(null);
    }
}

async fn until_idle(running: &Running, history: &History) {
    let began = Timestamp::now();
    loop {
        tokio::time::sleep(LOOK).await;
        let activity = running.activity();
        let last = activity.last_request.unwrap_or(began);
        let busy = activity.under_way > 0 || history.has_upload_under_way();
        let quiet = !busy && Timestamp::now().duration_since(last) >= LINGER;
        // A database that can't be read proves nothing: then the links stay up.
        let needed = history.live_links(LOCAL, Timestamp::now()).map_or(true, |links| links > 0);
        if quiet && !needed {
            return;
        }
    }
}

async fn start(home: &Home, options: Options) -> Result<Running, lapse_local_store::Error> {
    lapse_local_store::start(&home.store(), options).await
}

/// Asks the host to end, and waits until it has. Gives whether there was one.
pub(crate) async fn stop(home: &Home) -> Result<bool> {
    let dir = home.store();
    let host = || lapse_local_store::host_of(&dir).map_err(|error| store_error(&error));
    let Some(found) = host()? else { return Ok(false) };
    if found.embedded {
        return Err(Error::new(
            Code::Store,
            "the Lapse window hosts the local store",
            "Quit Lapse there: it asks what is to become of links that are alive.",
        ));
    }
    #[cfg(not(unix))]
    return Err(Error::new(
        Code::Store,
        "the local store can't be stopped from here on this system",
        format!("End the process {} yourself.", found.pid),
    ));
    #[cfg(unix)]
    {
        let pid = i32::try_from(found.pid).ok().and_then(rustix::process::Pid::from_raw);
        let sent = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::TERM));
        if !matches!(sent, Some(Ok(()))) {
            return Err(Error::new(
                Code::Store,
                format!("the local store's process {} can't be stopped", found.pid),
                "It belongs to another person: ask them.",
            ));
        }
    }
    for _ in 0..200 {
        if host()?.is_none_or(|host| host.pid != found.pid) {
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(Error::new(
        Code::Store,
        format!("the local store's process {} is still finishing its downloads", found.pid),
        "Try again in a moment.",
    ))
}

/// The local store's errors, in a person's words.
pub(crate) fn store_error(error: &lapse_local_store::Error) -> Error {
    use lapse_local_store::Error as Store;
    let (code, hint) = match error {
        Store::PortTaken { .. } => (
            Code::StorePort,
            "Its links name that port, so it can't move: close the program that has it, then try again.",
        ),
        Store::Io { .. } | Store::Index { .. } => {
            (Code::Disk, "Check the disk and the folder, then try again.")
        }
        Store::Hosted(_) => (Code::Store, "It serves already; to end it: lapse store stop"),
        Store::Newer { .. } => (Code::DatabaseNewer, "Update Lapse; the store was left as it is."),
        Store::Corrupt { .. } | Store::IndexGone(_) => (
            Code::Store,
            "Put a backup in its place, or move the store's folder away to start anew.",
        ),
        _ => (Code::Store, "Try again; `lapse store status` says what runs."),
    };
    Error::new(code, error.to_string(), hint)
}
