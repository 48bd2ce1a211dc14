//! Secrets, by name: in the keychain of the system, for this run only, or in a file that a
//! passphrase opens.
//!
//! A locked keychain shows a prompt and blocks until a person answers, and on Linux no client library
//! takes a time limit. So every call goes to one thread of its own, and the caller waits for the
//! answer no longer than [`Keychain::PROMPT_LIMIT`]. One thread also means one prompt at a time,
//! however many uploads ask at once.

mod choice;
mod memory;
mod passphrase;
mod sensitive;
mod system;
#[cfg(test)]
mod tests;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{SendError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

pub(crate) use choice::Chosen;
pub use choice::{KeychainChoice, KeychainKind, KeychainState};
pub use passphrase::read_passphrase;
pub use sensitive::Sensitive;

/// Directives for the log filter, to be put after the person's own. These libraries carry secrets. At
/// trace they wrote none when this was measured (`zbus` prints each message without its body,
/// `keyring_core` the names), but nothing binds a later version to that.
pub(crate) const LOG_QUIET: &[&str] = &["zbus", "secret_service", "keyring_core"];

/// Why a secret could not be read or kept. No text in it ever holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No keychain can be reached, and why: no session bus, no Secret Service, no default keyring.
    #[error("no keychain can be reached: {0}")]
    Absent(String),
    /// The keychain is locked, and there was no prompt or the person closed it.
    #[error("the keychain is locked")]
    Locked,
    /// No answer in time; most often a prompt that nobody saw.
    #[error("the keychain did not answer in time")]
    TimedOut,
    /// The passphrase doesn't open the file. The file is as it was.
    #[error("the passphrase doesn't open the file of secrets")]
    WrongPassphrase,
    /// The file with the passphrase can't be trusted.
    #[error("{} {why}", path.display())]
    Unsafe {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, to follow its name in a sentence.
        why: String,
    },
    /// The file of secrets was chosen, and its passphrase wasn't given yet.
    #[error("the passphrase of the file of secrets isn't known yet")]
    NoPassphrase,
    /// Anything else, in a sentence.
    #[error("{0}")]
    Other(String),
}

/// A place where secrets are kept. A call may block for as long as a person thinks.
pub trait SecretStore: Send + Sync {
    /// The secret of that name, or None when there surely is none.
    fn get(&self, name: &str) -> Result<Option<Sensitive<String>>, Failure>;
    /// Keeps a secret, in place of an earlier one of that name.
    fn set(&self, name: &str, secret: &Sensitive<String>) -> Result<(), Failure>;
    /// Forgets a secret. Not an error when there is none.
    fn delete(&self, name: &str) -> Result<(), Failure>;
    /// Fails as a call would that reads a secret, and shows no prompt.
    fn look(&self) -> Result<(), Failure>;
    /// The same, with a prompt where that helps.
    fn unlock(&self) -> Result<(), Failure> {
        self.look()
    }
}

/// Where Lapse keeps its secrets: one store, asked from a thread of its own, with a time limit.
pub struct Keychain {
    store: Arc<dyn SecretStore>,
    limit: Duration,
    worker: Mutex<Option<Worker>>,
}

impl Keychain {
    /// How long a call waits by default: the time a person needs to see a prompt and type a password.
    pub const PROMPT_LIMIT: Duration = Duration::from_mins(1);

    /// How long a look waits: nobody has to answer it, but a passphrase's key takes a slow computer a while.
    const LOOK_LIMIT: Duration = Duration::from_secs(10);

    /// The system's keychain: Secret Service on Linux, Keychain on macOS, Credential Manager on
    /// Windows. Nothing is opened before the first call, and every call opens it anew, so a keychain
    /// that starts later or is unlocked later is found.
    pub fn system() -> Self {
        Self::over(system::SystemStore)
    }

    /// Secrets in memory, gone with the process.
    pub fn this_run() -> Self {
        Self::over(memory::Memory::default())
    }

    /// Secrets in one file, encrypted with a passphrase (age, scrypt). Made by the first `set`.
    pub fn passphrase_file(path: PathBuf, passphrase: Sensitive<String>) -> Self {
        Self::over(passphrase::PassphraseFile::new(path, passphrase))
    }

    /// Such a file whose passphrase nobody gave yet: every call fails with [`Failure::NoPassphrase`].
    pub fn closed_passphrase_file() -> Self {
        Self::over(passphrase::Closed)
    }

    /// Any other store.
    pub fn over(store: impl SecretStore + 'static) -> Self {
        Self { store: Arc::new(store), limit: Self::PROMPT_LIMIT, worker: Mutex::new(None) }
    }

    /// The same keychain with another time limit a call.
    #[must_use]
    pub fn with_limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// The secret of that name, or None when there surely is none: a locked keychain is an error.
    pub async fn get(&self, name: &str) -> Result<Option<Sensitive<String>>, Failure> {
        let name = name.to_owned();
        self.ask(move |store| store.get(&name)).await
    }

    /// Keeps a secret, in place of an earlier one of that name. After [`Failure::TimedOut`] it may
    /// still be kept, if the person answers the prompt later.
    pub async fn set(&self, name: &str, secret: &Sensitive<String>) -> Result<(), Failure> {
        let (name, secret) = (name.to_owned(), secret.clone());
        self.ask(move |store| store.set(&name, &secret)).await
    }

    /// Forgets a secret. Not an error when there is none.
    pub async fn delete(&self, name: &str) -> Result<(), Failure> {
        let name = name.to_owned();
        self.ask(move |store| store.delete(&name)).await
    }

    /// Whether secrets can be read and kept now; shows no prompt.
    pub async fn look(&self) -> Result<(), Failure> {
        self.ask_within(self.limit.min(Self::LOOK_LIMIT), |store| store.look()).await
    }

    /// The same after a prompt, where the keychain shows one.
    pub async fn unlock(&self) -> Result<(), Failure> {
        self.ask(|store| store.unlock()).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn SecretStore) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.ask_within(self.limit, call).await
    }

    async fn ask_within<T: Send + 'static>(
        &self,
        limit: Duration,
        call: impl FnOnce(&dyn SecretStore) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (reply, answer) = oneshot::channel();
        self.hand_over(Box::new(move |store| {
            // A caller that gave up while others were served must not get a prompt of its own later.
            if !reply.is_closed() {
                let _gave_up_meanwhile = reply.send(call(store));
            }
        }))?;
        match tokio::time::timeout(limit, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Failure::Other("the keychain's library failed".to_owned())),
            Err(_) => Err(Failure::TimedOut),
        }
    }

    fn hand_over(&self, job: Job) -> Result<(), Failure> {
        let mut worker = held(&self.worker);
        let job = match worker.as_ref().filter(|worker| !worker.is_lost(self.limit)) {
            Some(worker) => match worker.jobs.send(job) {
                Ok(()) => return Ok(()),
                Err(SendError(job)) => job,
            },
            None => job,
        };
        let fresh = Worker::start(Arc::clone(&self.store))
            .map_err(|error| Failure::Other(format!("no thread for the keychain: {error}")))?;
        // A thread that just began holds the other end, so this arrives.
        let _arrives = fresh.jobs.send(job);
        *worker = Some(fresh);
        Ok(())
    }
}

impl fmt::Debug for Keychain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keychain").field("limit", &self.limit).finish_non_exhaustive()
    }
}

type Job = Box<dyn FnOnce(&dyn SecretStore) + Send>;

/// The thread that may block. It ends when its `Worker` is dropped and its last call came back.
struct Worker {
    jobs: Sender<Job>,
    busy_since: Arc<Mutex<Option<Instant>>>,
}

impl Worker {
    /// A keychain that died behind its prompt never answers the call. After this many time limits
    /// its thread is left behind for a new one; sooner would stack prompts on a person's screen.
    const LOST_AFTER: u32 = 5;

    fn start(store: Arc<dyn SecretStore>) -> std::io::Result<Self> {
        let (jobs, inbox) = channel::<Job>();
        let busy_since = Arc::new(Mutex::new(None));
        let busy = Arc::clone(&busy_since);
        std::thread::Builder::new().name("keychain".to_owned()).spawn(move || {
            for job in inbox {
                *held(&busy) = Some(Instant::now());
                // The caller hears of a panic by its reply being dropped; those behind it still get theirs.
                let _panicked = catch_unwind(AssertUnwindSafe(|| job(store.as_ref())));
                *held(&busy) = None;
            }
        })?;
        Ok(Self { jobs, busy_since })
    }

    fn is_lost(&self, limit: Duration) -> bool {
        held(&self.busy_since).is_some_and(|since| since.elapsed() > limit * Self::LOST_AFTER)
    }
}

/// A lock that a panic elsewhere doesn't spoil: nothing here is left half changed under one.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
