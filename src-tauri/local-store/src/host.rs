//! Hosting: one process at a time serves a store; the others find it.
//!
//! The lock on `lock` decides who hosts, since the system frees it whatever happens to the process.
//! `host.json` only says more about the holder.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, oneshot};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

use crate::keys::LastRoot;
use crate::server::{Pulse, Server};
use crate::store::Store;
use crate::{Credentials, Error, Event, Key, KeyInfo, Swept, fault, index, private};

/// How long another process may hold the lock without serving, while it starts or stops.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long a taken port is waited for.
const LET_GO: Duration = Duration::from_secs(1);
/// How often it is written down when the keys were used.
const SAVE_USES: Duration = Duration::from_mins(1);
/// How often the lifecycle rules are followed: they count in days.
const SWEEP: Duration = Duration::from_mins(30);
/// Below the ports that systems give to outgoing connections (Linux: from 32768): one of those
/// might be in use at the next start, and links name the port.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// Who hosts a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostInfo {
    /// The process.
    pub pid: u32,
    /// `http://127.0.0.1:PORT`
    pub endpoint: String,
    /// The same store in the local network, when it listens there: `http://192.168.1.7:PORT`
    #[serde(default)]
    pub lan: Option<String>,
    /// Whether it is the background process that `lapse share` starts.
    pub background: bool,
    /// Whether the process does more than to host it, so that others mustn't end it.
    #[serde(default)]
    pub embedded: bool,
}

/// How a store is hosted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Told to others in [`HostInfo::background`].
    pub background: bool,
    /// Told to others in [`HostInfo::embedded`].
    pub embedded: bool,
    /// What clients may take.
    pub limits: Limits,
}

/// What clients may take. The defaults are Lapse's.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a request's head may take, and a connection may lie idle (20 s).
    pub head: Duration,
    /// How long a client is waited for until 16 KiB of what it sends, or should read, have moved (28 s).
    pub pause: Duration,
    /// Open connections (2,000), as far as the process may have so many: each may need a file too.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head: Duration::from_secs(20), pause: Duration::from_secs(28), connections: 2000 }
    }
}

/// What a hosted store is doing: whoever hosts it decides by this when to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activity {
    /// Requests that aren't answered to the end, downloads included.
    pub under_way: usize,
    /// When the last request came.
    pub last_request: Option<Timestamp>,
    /// Multipart uploads that are neither finished nor aborted.
    pub unfinished_uploads: u64,
}

/// A store that this process hosts. Dropped, it stops without waiting for requests under way.
pub struct Running {
    info: HostInfo,
    port: u16,
    server: Arc<Server>,
    lan: tokio::sync::Mutex<Option<Lan>>,
    dir: PathBuf,
    store: Arc<Store>,
    pulse: Arc<Pulse>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
    lock: Arc<File>,
}

/// A listener in the local network.
struct Lan {
    address: Ipv4Addr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Lan {
    async fn end(self) {
        // A listener that has ended needs no word.
        let _ = self.stop.send(());
        if let Err(error) = self.serving.await {
            tracing::warn!(%error, "the server in the local network ended badly");
        }
    }
}

/// Who hosts the store in `dir`, or `None` when nobody does (yet, or any more).
pub fn host_of(dir: &Path) -> Result<Option<HostInfo>, Error> {
    let path = lock_path(dir);
    let lock = match File::open(&path) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("open", &path)(error)),
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(record(dir)),
        Err(TryLockError::Error(error)) => Err(Error::io("lock", &path)(error)),
    }
}

/// Hosts the store in `dir`, made when there is none, until [`Running::stop`].
///
/// Errors: [`Error::Hosted`] when another process hosts it, [`Error::Busy`] when one holds it for
/// seconds without serving, [`Error::PortTaken`], [`Error::Newer`], [`Error::Corrupt`],
/// [`Error::Index`], [`Error::Io`].
pub async fn start(dir: &Path, options: Options) -> Result<Running, Error> {
    private::create_dir(dir).map_err(Error::io("make", dir))?;
    let lock = Arc::new(take_lock(dir).await?);
    let opened = dir.to_owned();
    let store = spawn_blocking(move || Store::open(&opened))
        .await
        .map_err(|error| Error::io("open", dir)(io::Error::other(error)))??;
    let store = Arc::new(store);
    let (listener, port) = bind(&store, dir).await?;
    let info = HostInfo {
        pid: std::process::id(),
        endpoint: endpoint_of(Ipv4Addr::LOCALHOST, port),
        lan: None,
        background: options.background,
        embedded: options.embedded,
    };
    write_record(dir, &info)?;
    let server = Arc::new(Server::new(&store, options.limits));
    let pulse = server.pulse();
    let (stop, stopped) = oneshot::channel();
    let serving = tokio::spawn({
        // The store isn't let go while anything of it is in use.
        let lock = Arc::clone(&lock);
        let store = Arc::clone(&store);
        let serving = Arc::clone(&server);
        async move {
            let mut running = pin!(serving.run(listener, stopped));
            let mut next_sweep = Instant::now();
            while tokio::time::timeout(SAVE_USES, &mut running).await.is_err() {
                store.save_uses().await;
                if Instant::now() >= next_sweep {
                    next_sweep = Instant::now() + SWEEP;
                    sweep(&store).await;
                }
            }
            store.save_uses().await;
            drop(lock);
        }
    });
    tracing::info!(endpoint = info.endpoint, "the local store is up");
    let lan = tokio::sync::Mutex::default();
    let dir = dir.to_owned();
    Ok(Running { info, port, server, lan, dir, store, pulse, stop, serving, lock })
}

impl Running {
    /// Where the store is served on this computer, and by whom.
    pub fn info(&self) -> HostInfo {
        self.info.clone()
    }

    /// Listens at this address as well, on the same port, or no longer at any but loopback. Requests under way
    /// there get a few seconds to finish. [`host_of`] tells the others.
    ///
    /// Errors: [`Error::PortTaken`], [`Error::Io`]; the store then listens on loopback only.
    pub async fn listen(&self, address: Option<Ipv4Addr>) -> Result<(), Error> {
        let mut lan = self.lan.lock().await;
        if lan.as_ref().map(|lan| lan.address) == address {
            return Ok(());
        }
        let mut info = self.info.clone();
        if let Some(old) = lan.take() {
            old.end().await;
            write_record(&self.dir, &info)?;
        }
        let Some(address) = address else { return Ok(()) };
        let listener = listen(address, self.port, &self.dir).await?;
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(Arc::clone(&self.server).run(listener, stopped));
        *lan = Some(Lan { address, stop, serving });
        info.lan = Some(endpoint_of(address, self.port));
        write_record(&self.dir, &info)
    }

    /// What the store is doing now.
    pub fn activity(&self) -> Activity {
        let last = self.pulse.last_request.load(Ordering::Relaxed);
        let unfinished = self.store.index.read(|view| Ok(index::count_uploads(view)?));
        Activity {
            under_way: self.pulse.under_way.load(Ordering::Relaxed),
            last_request: Timestamp::from_millisecond(last).ok().filter(|_| last > 0),
            // An index that can't be read is no reason to say that all is quiet.
            unfinished_uploads: unfinished.unwrap_or(1),
        }
    }

    /// The store's keys, the oldest first.
    pub fn keys(&self) -> Vec<KeyInfo> {
        let info = |key: Arc<index::AccessKey>| KeyInfo {
            access_key: key.credentials.access_key.clone(),
            role: key.role,
            active: key.is_active(),
            created_at: Timestamp::from_millisecond(key.created_at).unwrap_or_default(),
            last_used: key.last_use().and_then(|last| Timestamp::from_millisecond(last.at).ok()),
        };
        self.store.keys.all().into_iter().map(info).collect()
    }

    /// Makes one more key of a role. From now on [`crate::credentials`] gives this one.
    ///
    /// Errors: [`Error::TooManyKeys`] when the role has two, [`Error::Index`].
    pub async fn create_key(&self, role: Key) -> Result<Credentials, Error> {
        let key = self.store.create_key(role).await.map_err(|fault| self.failed(fault))?;
        Ok(key.credentials.clone())
    }

    /// Switches a key off or on: the next request by it is refused or taken. Its secret is kept.
    ///
    /// Errors: [`Error::NoSuchKey`], [`Error::Index`].
    pub async fn set_key_active(&self, access_key: &str, active: bool) -> Result<(), Error> {
        let switched = self.store.set_key_active(access_key, active, LastRoot::MayGo).await;
        switched.map_err(|fault| self.failed(fault))
    }

    /// Forgets a key with its secret. Links that it signed can't be computed again.
    ///
    /// Errors: [`Error::NoSuchKey`], [`Error::Index`].
    pub async fn delete_key(&self, access_key: &str) -> Result<(), Error> {
        let deleted = self.store.delete_key(access_key, LastRoot::MayGo).await;
        deleted.map_err(|fault| self.failed(fault))
    }

    /// Tells of each object that is made or removed from now on, once that is on the disk. One who listens too
    /// slowly is told how many were missed ([`broadcast::error::RecvError::Lagged`]): then a list says what is there.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.store.events.subscribe()
    }

    /// Removes what the buckets' lifecycle rules say is over at `now`. It is done every half hour as well.
    ///
    /// Errors: [`Error::Index`].
    pub async fn run_lifecycle(&self, now: Timestamp) -> Result<Swept, Error> {
        self.store.run_lifecycle(now).await.map_err(|fault| self.failed(fault))
    }

    fn failed(&self, fault: fault::Fault) -> Error {
        fault::to_error(fault, &index::path(&self.dir))
    }

    /// Stops: no new requests, a few seconds for those under way, then the store is free.
    pub async fn stop(self) {
        let lan = self.lan.lock().await.take().map(Lan::end);
        if self.stop.send(()).is_err() {
            tracing::debug!("the server had ended before");
        }
        if let Some(lan) = lan {
            lan.await;
        }
        if let Err(error) = self.serving.await {
            tracing::warn!(%error, "the server ended badly");
        }
        // What was received whole is still committed; after this nothing writes any more.
        let _settled = self.store.settle().await;
        remove_record(&self.dir);
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "the store couldn't be unlocked");
        }
        tracing::info!("the local store is down");
    }
}

async fn sweep(store: &Arc<Store>) {
    match store.run_lifecycle(Timestamp::now()).await {
        Ok(swept) if swept == Swept::default() => {}
        Ok(swept) => tracing::info!(?swept, "the lifecycle rules removed what is over"),
        Err(fault) => tracing::warn!(?fault, "the lifecycle rules couldn't be followed"),
    }
}

/// `http://127.0.0.1:PORT`
pub(crate) fn endpoint_of(address: Ipv4Addr, port: u16) -> String {
    format!("http://{address}:{port}")
}

/// A holder that doesn't serve is starting, stopping, or only looking ([`host_of`] takes the lock
/// for a moment), so it is waited for.
async fn take_lock(dir: &Path) -> Result<File, Error> {
    let path = lock_path(dir);
    let lock = private::open_or_create(&path).map_err(Error::io("open", &path))?;
    let patience = Instant::now() + PATIENCE;
    loop {
        match lock.try_lock() {
            Ok(()) => {
                // One that a crash left would be taken for ours until we serve.
                remove_record(dir);
                return Ok(lock);
            }
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", &path)(error)),
            Err(TryLockError::WouldBlock) => {}
        }
        if let Some(host) = record(dir) {
            return Err(Error::Hosted(host));
        }
        if Instant::now() > patience {
            return Err(Error::Busy(dir.to_owned()));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Binds the port of this store; the first time one is chosen, for good.
async fn bind(store: &Arc<Store>, dir: &Path) -> Result<(TcpListener, u16), Error> {
    let failed = |fault| fault::to_error(fault, &index::path(dir));
    if let Some(port) = store.read(|view| Ok(index::port(view)?)).await.map_err(failed)? {
        return Ok((listen(Ipv4Addr::LOCALHOST, port, dir).await?, port));
    }
    let on = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let mut listener = on(rand::random_range(PORTS)).await;
    for _ in 0..20 {
        if listener.is_ok() {
            break;
        }
        listener = on(rand::random_range(PORTS)).await;
    }
    let listener = listener.map_err(Error::io("listen for", dir))?;
    let port = listener.local_addr().map_err(Error::io("listen for", dir))?.port();
    store.write(move |change| Ok(index::set_port(change, port)?)).await.map_err(failed)?;
    Ok((listener, port))
}

/// Listens there. A port that is taken is waited for a little: whoever has just ended may not have let go of it.
async fn listen(address: Ipv4Addr, port: u16, dir: &Path) -> Result<TcpListener, Error> {
    let until = Instant::now() + LET_GO;
    loop {
        match TcpListener::bind((address, port)).await {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                return Err(Error::io("listen for", dir)(error));
            }
            Err(_) if Instant::now() < until => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(_) => return Err(Error::PortTaken { port }),
        }
    }
}

fn lock_path(dir: &Path) -> PathBuf {
    dir.join("lock")
}

fn record_path(dir: &Path) -> PathBuf {
    dir.join("host.json")
}

/// The record of a host that holds the lock; `None` when it hasn't written one.
fn record(dir: &Path) -> Option<HostInfo> {
    let text = fs::read(record_path(dir)).ok()?;
    let host: HostInfo = serde_json::from_slice(&text).ok()?;
    is_alive(host.pid).then_some(host)
}

/// Between taking the lock and writing its own record a new host has the record of a crashed one.
fn is_alive(pid: u32) -> bool {
    #[cfg(unix)]
    {
        let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
        pid.is_some_and(|pid| {
            rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH)
        })
    }
    #[cfg(not(unix))]
    {
        pid != 0
    }
}

/// In one step, so that nobody reads half a record.
fn write_record(dir: &Path, info: &HostInfo) -> Result<(), Error> {
    let path = record_path(dir);
    let new = dir.join("host.json.new");
    let write = || {
        let mut file = private::open_or_create(&new)?;
        file.set_len(0)?;
        file.write_all(&serde_json::to_vec(info)?)?;
        fs::rename(&new, &path)
    };
    write().map_err(Error::io("write", &path))
}

fn remove_record(dir: &Path) {
    match fs::remove_file(record_path(dir)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, "the host record couldn't be removed");
        }
        _ => {}
    }
}
