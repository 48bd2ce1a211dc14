//! The limit that a person sets to uploads: so many bytes a second for all of this process together.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// A request below this is slow enough for servers to give it up, so fewer run at once instead.
const LANE: u64 = 64 * 1024;
/// The least that a limit may be, in bytes a second: one request by itself must not look dead.
pub(crate) const LEAST: u64 = 32 * 1024;

/// Lets uploads go as fast as they may.
#[derive(Debug)]
pub(crate) struct Pacer {
    inner: Mutex<Inner>,
    /// The limit or the lanes in use changed.
    changed: Notify,
    /// Whoever waits for bytes gets them in turn.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Inner {
    limit: Option<u64>,
    /// When what was given so far will have been sent.
    paid: Instant,
    lanes: u64,
}

/// The right to run one request.
#[derive(Debug)]
pub(crate) struct Lane<'a>(&'a Pacer);

impl Default for Pacer {
    fn default() -> Self {
        let inner = Inner { limit: None, paid: Instant::now(), lanes: 0 };
        Self {
            inner: Mutex::new(inner),
            changed: Notify::new(),
            turn: tokio::sync::Mutex::default(),
        }
    }
}

impl Pacer {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the limit in bytes a second; uploads under way follow it at once.
    pub(crate) fn set_limit(&self, limit: Option<u64>) {
        let mut inner = self.inner();
        if inner.limit != limit {
            (inner.limit, inner.paid) = (limit, Instant::now());
            drop(inner);
            self.changed.notify_waiters();
        }
    }

    /// How many bytes to ask for at once, of those wanted: a quarter of a second's.
    pub(crate) fn bite(&self, want: usize) -> usize {
        let limit = self.inner().limit.and_then(|limit| usize::try_from(limit / 4).ok());
        limit.map_or(want, |bite| want.min(bite.max(1)))
    }

    /// Waits until so many bytes may be sent.
    pub(crate) async fn pay(&self, bytes: usize) {
        if self.inner().limit.is_none() {
            return;
        }
        let _turn = self.turn.lock().await;
        loop {
            let changed = self.changed.notified();
            let wait = {
                let mut inner = self.inner();
                let Some(limit) = inner.limit else { return };
                let now = Instant::now();
                if inner.paid <= now {
                    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
                    let seconds =
                        f64::from(bytes) / f64::from(u32::try_from(limit).unwrap_or(u32::MAX));
                    inner.paid = now + Duration::from_secs_f64(seconds);
                    return;
                }
                inner.paid
            };
            tokio::select! {
                () = tokio::time::sleep_until(wait) => {}
                () = changed => {}
            }
        }
    }

    /// Waits until one more request may run.
    pub(crate) async fn lane(&self) -> Lane<'_> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            {
                let mut inner = self.inner();
                let lanes = inner.limit.map_or(u64::MAX, |limit| (limit / LANE).max(1));
                if inner.lanes < lanes {
                    inner.lanes += 1;
                    return Lane(self);
                }
            }
            changed.await;
        }
    }
}

impl Drop for Lane<'_> {
    fn drop(&mut self) {
        self.0.inner().lanes -= 1;
        self.0.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn all_together_get_what_the_limit_gives() {
        let pacer = Arc::new(Pacer::default());
        pacer.set_limit(Some(1_000_000));
        let began = Instant::now();
        let senders = (0..10).map(|_| {
            let pacer = Arc::clone(&pacer);
            tokio::spawn(async move {
                for _ in 0..10 {
                    let bite = pacer.bite(10_000);
                    assert_eq!(bite, 10_000);
                    pacer.pay(bite).await;
                }
            })
        });
        for sender in senders.collect::<Vec<_>>() {
            sender.await.expect("no panic");
        }
        // A million bytes; the last ones are given before they are paid.
        let took = began.elapsed().as_secs_f64();
        assert!((0.95..2.0).contains(&took), "{took}");
        assert_eq!(pacer.bite(1_000_000), 250_000);
    }

    #[tokio::test]
    async fn a_limit_that_is_lifted_holds_nobody() {
        let pacer = Arc::new(Pacer::default());
        pacer.set_limit(Some(LEAST));
        pacer.pay(100 * 1024 * 1024).await;
        let waiting = {
            let pacer = Arc::clone(&pacer);
            tokio::spawn(async move { pacer.pay(1).await })
        };
        let first = pacer.lane().await;
        let second = {
            let pacer = Arc::clone(&pacer);
            tokio::spawn(async move { drop(pacer.lane().await) })
        };
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(!waiting.is_finished() && !second.is_finished());
        let began = Instant::now();
        pacer.set_limit(None);
        waiting.await.expect("no panic");
        second.await.expect("no panic");
        drop(first);
        assert!(began.elapsed() < Duration::from_secs(1));
    }
}
