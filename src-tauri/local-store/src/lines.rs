//! The open connections: how many there may be, and which one goes when another needs its place.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// A connection that has done nothing for so long may be closed for another one.
const IDLE: Duration = Duration::from_secs(1);
/// How often it is looked for such a one.
const LOOK: Duration = Duration::from_millis(100);

/// All open connections.
pub(crate) struct Lines {
    places: Arc<Semaphore>,
    open: Mutex<HashMap<u64, Arc<Line>>>,
    began: Instant,
    next: AtomicU64,
}

/// An open connection.
pub(crate) struct Line {
    requests: AtomicUsize,
    /// Requests among those whose signature comes with their body, and isn't known yet.
    strangers: AtomicUsize,
    /// Whether some of an answer isn't handed to the system yet.
    sending: AtomicBool,
    /// When it was opened, or an answer was over, in milliseconds since [`Lines::began`].
    idle_since: AtomicU64,
    began: Instant,
    cut: Notify,
}

/// A connection's place, which is free again when this is dropped.
pub(crate) struct Place {
    pub(crate) line: Arc<Line>,
    number: u64,
    lines: Arc<Lines>,
    _permit: OwnedSemaphorePermit,
}

/// A request under way on a connection.
pub(crate) struct Busy(Arc<Line>);

/// A request under way of somebody who isn't known.
pub(crate) struct Stranger(Arc<Line>);

impl Lines {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            places: Arc::new(Semaphore::new(most)),
            open: Mutex::default(),
            began: Instant::now(),
            next: AtomicU64::new(0),
        })
    }

    /// A place for a new connection. When there is none, the one that has idled longest is closed; while
    /// all are at work the new one waits.
    pub(crate) async fn place(self: &Arc<Self>) -> Place {
        loop {
            let wait = tokio::time::timeout(LOOK, Arc::clone(&self.places).acquire_owned());
            if self.places.available_permits() == 0 {
                self.cut_longest_idle();
            }
            // The semaphore is never closed.
            if let Ok(Ok(permit)) = wait.await {
                return self.take(permit);
            }
        }
    }

    fn take(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Place {
        let line = Arc::new(Line {
            requests: AtomicUsize::new(0),
            strangers: AtomicUsize::new(0),
            sending: AtomicBool::new(false),
            idle_since: AtomicU64::new(0),
            began: self.began,
            cut: Notify::new(),
        });
        line.idle_since.store(line.now(), Ordering::Relaxed);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.open().insert(number, Arc::clone(&line));
        Place { line, number, lines: Arc::clone(self), _permit: permit }
    }

    fn cut_longest_idle(&self) {
        let open = self.open();
        let idle = open.values().filter(|line| !line.is_at_work());
        let longest = idle.min_by_key(|line| line.idle_since.load(Ordering::Relaxed));
        if let Some(line) = longest.filter(|line| line.is_idle()) {
            line.cut.notify_one();
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Arc<Line>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// Counts a request until what is given back is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        self.requests.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// Waits until another connection needs this one's place. A request that came meanwhile goes first.
    pub(crate) async fn cut(&self) {
        loop {
            self.cut.notified().await;
            if self.is_idle() {
                return;
            }
        }
    }

    fn is_idle(&self) -> bool {
        let since = Duration::from_millis(self.idle_since.load(Ordering::Relaxed));
        !self.is_at_work() && self.began.elapsed().saturating_sub(since) >= IDLE
    }

    pub(crate) fn is_at_work(&self) -> bool {
        let strangers = self.strangers.load(Ordering::Relaxed);
        self.requests.load(Ordering::Relaxed) > strangers || self.sending.load(Ordering::Relaxed)
    }

    /// Until what is given back is dropped, a request of this line is no work: nobody knows who sends it.
    pub(crate) fn stranger(self: &Arc<Self>) -> Stranger {
        self.strangers.fetch_add(1, Ordering::Relaxed);
        Stranger(Arc::clone(self))
    }

    /// Something is written, and more may be waiting: a slow reader's last bytes come long after the request is done.
    pub(crate) fn sends(&self) {
        self.sending.store(true, Ordering::Relaxed);
    }

    /// All that was to be written is with the system.
    pub(crate) fn has_sent(&self) {
        if self.sending.swap(false, Ordering::Relaxed) {
            self.idle_since.store(self.now(), Ordering::Relaxed);
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Busy {
    pub(crate) fn line(&self) -> &Arc<Line> {
        &self.0
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.0.strangers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.idle_since.store(self.0.now(), Ordering::Relaxed);
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.lines.open().remove(&self.number);
    }
}
