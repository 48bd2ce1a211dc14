//! How far an upload is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::event::{Event, Sink};
use crate::pace::{Lane, Pacer, Turn};
use crate::share::ShareId;

/// Ten times a second is enough for any eye.
const PULSE: Duration = Duration::from_millis(100);

/// Counts what was handed to the network, no faster than it may be, and tells it at most ten times a second.
pub(crate) struct Progress {
    id: ShareId,
    sent: Mutex<Sent>,
    began: Instant,
    /// Milliseconds after `began` when it was told last.
    told: AtomicU64,
    /// When the storage last took something.
    answered: Mutex<Option<Instant>>,
    sink: Arc<dyn Sink>,
    pub(super) pacer: Arc<Pacer>,
    turn: Turn,
}

/// Bytes that count, and how often it was begun anew: a request of before may still be let go of.
#[derive(Debug, Clone, Copy, Default)]
struct Sent {
    bytes: u64,
    round: u64,
}

impl Progress {
    /// Of so many bytes, where that is known.
    pub(crate) fn new(
        id: &ShareId,
        bytes: Option<u64>,
        sink: &Arc<dyn Sink>,
        pacer: &Arc<Pacer>,
    ) -> Self {
        Self {
            id: id.clone(),
            sent: Mutex::default(),
            began: Instant::now(),
            told: AtomicU64::new(0),
            answered: Mutex::default(),
            sink: Arc::clone(sink),
            turn: pacer.turn(bytes),
            pacer: Arc::clone(pacer),
        }
    }

    /// Waits until one more request, of so many bytes, may run.
    pub(super) async fn lane(&self, bytes: u64) -> Lane {
        self.pacer.lane(self.turn, bytes).await
    }

    /// So much is there already.
    pub(super) fn begin_at(&self, bytes: u64) {
        let mut sent = self.counted();
        (sent.bytes, sent.round) = (bytes, sent.round + 1);
        drop(sent);
        // That it was reached is worth waiting for it; only what arrives proves that it goes on.
        self.locked().get_or_insert_with(Instant::now);
        self.sink.emit(Event::UploadProgress { id: &self.id, sent: bytes });
    }

    fn counted(&self) -> MutexGuard<'_, Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which begin a request belongs to.
    pub(super) fn round(&self) -> u64 {
        self.counted().round
    }

    pub(super) fn add(&self, bytes: u64, round: u64) {
        let mut counted = self.counted();
        if counted.round != round {
            return;
        }
        counted.bytes += bytes;
        let sent = counted.bytes;
        drop(counted);
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let told = self.told.load(Ordering::Relaxed);
        let due = now.saturating_sub(told) >= u64::try_from(PULSE.as_millis()).unwrap_or(100);
        if due
            && self.told.compare_exchange(told, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            self.sink.emit(Event::UploadProgress { id: &self.id, sent });
        }
    }

    pub(super) fn take_back(&self, bytes: u64, round: u64) {
        let mut counted = self.counted();
        if counted.round == round {
            counted.bytes -= bytes;
        }
    }

    /// The storage did what it was asked for.
    pub(super) fn answered(&self) {
        *self.locked() = Some(Instant::now());
    }

    fn locked(&self) -> MutexGuard<'_, Option<Instant>> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long ago the storage last did what it was asked for; nothing if it never did.
    pub(crate) fn silent_for(&self) -> Option<Duration> {
        self.locked().map(|at| at.elapsed())
    }
}
