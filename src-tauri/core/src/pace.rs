//! How fast uploads go, for all of this process together: as many requests at once as make it faster, and no more
//! bytes a second than the person allows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// Where a limit gives a request less than this, fewer run at once instead: one that is slow is given up by servers,
/// and lost as a whole when it is cut off.
const LANE: u64 = 2 * 1024 * 1024;
/// Small requests that run besides: they don't wait for large ones.
const BESIDES: usize = 4;
/// The least that a limit may be, in bytes a second: one request by itself must not look dead.
pub(crate) const LEAST: u64 = 32 * 1024;

/// What a large request weighs, and what a small one does: those wait more than they send.
const LARGE: usize = 8;
const SMALL: usize = 1;
/// Up to here a request is small.
const SMALL_BYTES: u64 = 1024 * 1024;
/// The weight that runs at once at the beginning.
const FIRST: usize = 4 * LARGE;
/// Each large request holds some 700 KiB while it runs.
const MOST: usize = MOST_LANES * LARGE;
/// Large requests at once, at most.
pub(crate) const MOST_LANES: usize = 32;
/// How long a weight is tried before it is judged.
const TRIAL: Duration = Duration::from_millis(250);
/// What isn't faster by this isn't faster.
const BETTER: f64 = 1.05;
/// Trials to sit out after more wasn't faster, or a server asked for less.
const REST: u32 = 40;
/// A finished request counts as so many bytes besides: many small files are a load too.
const ONE_REQUEST: u64 = 32 * 1024;

/// Lets uploads go as fast as they may.
#[derive(Debug)]
pub(crate) struct Pacer {
    inner: Mutex<Inner>,
    /// The limit changed.
    changed: Notify,
    /// Whoever waits for bytes gets them in turn.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Inner {
    limit: Option<u64>,
    /// When what was given so far will have been sent.
    paid: Instant,
    /// Requests that run, and what they weigh together.
    requests: usize,
    weight: usize,
    window: Window,
    /// Requests that wait to run, the next one first.
    waiting: BTreeMap<(Turn, u64), Waiting>,
    count: u64,
}

/// Whose request goes first: what is soon done; of what is about as large the one that came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Turn {
    magnitude: u32,
    came: u64,
}

#[derive(Debug)]
struct Waiting {
    weight: usize,
    lane: oneshot::Sender<Lane>,
}

impl Inner {
    fn fits(&self, weight: usize) -> bool {
        let limit = self.limit.and_then(|limit| usize::try_from(limit / LANE).ok());
        let besides = if weight == SMALL { BESIDES } else { 0 };
        limit.is_none_or(|lanes| self.requests < lanes.max(1) + besides)
            && self.weight + weight <= self.window.most
    }
}

/// What may run at once: more as long as that makes it faster.
#[derive(Debug)]
struct Window {
    most: usize,
    /// Bytes moved since `since`, and whether something had to wait.
    moved: u64,
    was_full: bool,
    since: Instant,
    /// What there was before more was tried: the weight and the bytes a second.
    before: Option<(usize, f64)>,
    rest: u32,
}

impl Window {
    fn new() -> Self {
        Self {
            most: FIRST,
            moved: 0,
            was_full: false,
            since: Instant::now(),
            before: None,
            rest: 0,
        }
    }

    /// Judges the weight of now, once it was tried for long enough. Gives whether there is more.
    fn judge(&mut self) -> bool {
        let passed = self.since.elapsed();
        if passed < TRIAL {
            return false;
        }
        let had = self.most;
        let rate = bytes(self.moved) / passed.as_secs_f64();
        let more = (had + had.div_ceil(2)).min(MOST);
        match self.before.take() {
            // Where nothing had to wait nothing is learned.
            _ if !self.was_full => {}
            None if self.rest > 0 => self.rest -= 1,
            Some((less, slower)) if rate < slower * BETTER => {
                (self.most, self.rest) = (less, REST);
            }
            _ if more > had => (self.most, self.before) = (more, Some((had, rate))),
            _ => {}
        }
        (self.moved, self.was_full, self.since) = (0, false, Instant::now());
        self.most > had
    }

    /// The server asked for less.
    fn shrink(&mut self) {
        // What was on its way says the same again.
        if self.rest < REST {
            self.most = (self.most / 2).max(LARGE);
        }
        (self.rest, self.before) = (REST, None);
    }
}

fn bytes(count: u64) -> f64 {
    // Exact up to 8 PiB.
    #[expect(clippy::cast_precision_loss, reason = "a rate needs no more")]
    let count = count as f64;
    count
}

/// The right to run one request.
#[derive(Debug)]
pub(crate) struct Lane {
    pacer: Arc<Pacer>,
    weight: usize,
}

impl Default for Pacer {
    fn default() -> Self {
        let inner = Inner {
            limit: None,
            paid: Instant::now(),
            requests: 0,
            weight: 0,
            window: Window::new(),
            waiting: BTreeMap::new(),
            count: 0,
        };
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
    pub(crate) fn set_limit(self: &Arc<Self>, limit: Option<u64>) {
        let mut inner = self.inner();
        if inner.limit != limit {
            (inner.limit, inner.paid) = (limit, Instant::now());
            drop(inner);
            self.changed.notify_waiters();
            self.give_lanes();
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

    /// So many bytes were handed to the network.
    pub(crate) fn moved(self: &Arc<Self>, bytes: u64) {
        let mut inner = self.inner();
        inner.window.moved += bytes;
        if inner.window.judge() {
            drop(inner);
            self.give_lanes();
        }
    }

    /// The turn of an upload of so many bytes, where that is known.
    pub(crate) fn turn(&self, bytes: Option<u64>) -> Turn {
        let mut inner = self.inner();
        inner.count += 1;
        Turn { magnitude: bytes.unwrap_or(u64::MAX).max(SMALL_BYTES).ilog2(), came: inner.count }
    }

    /// Waits until one more request, of so many bytes, may run.
    pub(crate) async fn lane(self: &Arc<Self>, turn: Turn, bytes: u64) -> Lane {
        let weight = if bytes <= SMALL_BYTES { SMALL } else { LARGE };
        loop {
            let (lane, given) = oneshot::channel();
            {
                let mut inner = self.inner();
                inner.count += 1;
                let place = (turn, inner.count);
                inner.waiting.insert(place, Waiting { weight, lane });
            }
            self.give_lanes();
            // Each that is taken from the map is answered.
            if let Ok(lane) = given.await {
                return lane;
            }
        }
    }

    /// Gives lanes to those that wait, as long as the first of them fits.
    fn give_lanes(self: &Arc<Self>) {
        let mut unwanted = Vec::new();
        let mut inner = self.inner();
        while let Some(first) = inner.waiting.first_entry() {
            if first.get().lane.is_closed() {
                first.remove();
                continue;
            }
            let weight = first.get().weight;
            if !inner.fits(weight) {
                inner.window.was_full = true;
                break;
            }
            if let Some((_, Waiting { lane, .. })) = inner.waiting.pop_first() {
                inner.requests += 1;
                inner.weight += weight;
                let given = Lane { pacer: Arc::clone(self), weight };
                // One that isn't waited for any more is let go below, where nothing is locked.
                unwanted.extend(lane.send(given).err());
            }
        }
        drop(inner);
        drop(unwanted);
    }
}

impl Lane {
    /// The request is over; `slowed` where the server asked for less.
    pub(crate) fn done(self, slowed: bool) {
        let mut inner = self.pacer.inner();
        if slowed {
            inner.window.shrink();
        }
        inner.window.moved += ONE_REQUEST;
        // Before the lane itself lets go.
        drop(inner);
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let mut inner = self.pacer.inner();
        inner.requests -= 1;
        inner.weight -= self.weight;
        drop(inner);
        self.pacer.give_lanes();
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
        let first = pacer.lane(pacer.turn(None), u64::MAX).await;
        drop(pacer.lane(pacer.turn(None), 1).await);
        let second = {
            let pacer = Arc::clone(&pacer);
            tokio::spawn(async move { drop(pacer.lane(pacer.turn(None), u64::MAX).await) })
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

    #[tokio::test(start_paused = true)]
    async fn as_much_runs_at_once_as_makes_it_faster() {
        /// A line on which each request gets 1 MB/s, up to what it carries in all.
        async fn after(seconds: u32, carries: u64) -> usize {
            let pacer = Arc::new(Pacer::default());
            for _ in 0..seconds * 10 {
                let most = pacer.inner().window.most;
                pacer.inner().window.was_full = true;
                tokio::time::sleep(Duration::from_millis(100)).await;
                pacer.moved((most as u64 * 100_000).min(carries / 10));
            }
            pacer.inner().window.most
        }
        // The last step is too small to be seen.
        assert!(after(10, u64::MAX).await > MOST - MOST / 10);
        // What fills the line is enough: one step beyond is taken back.
        assert_eq!(after(10, 48_000_000).await, 48);
        assert_eq!(after(10, 1_000_000).await, FIRST);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_asks_for_less_gets_less_once() {
        let pacer = Arc::new(Pacer::default());
        for _ in 0..3 {
            pacer.lane(pacer.turn(None), 1).await.done(true);
        }
        assert_eq!(pacer.inner().window.most, FIRST / 2);
    }

    #[tokio::test]
    async fn what_is_soon_done_goes_first_and_then_what_came_first() {
        let pacer = Arc::new(Pacer::default());
        let mut held = Vec::new();
        for _ in 0..FIRST / LARGE {
            held.push(pacer.lane(pacer.turn(None), u64::MAX).await);
        }
        let done = Arc::new(Mutex::new(Vec::new()));
        let sizes = [1 << 40, 10 << 20, 1000, 11 << 20, 2000];
        let waiting = sizes.map(|size| {
            let (pacer, done) = (Arc::clone(&pacer), Arc::clone(&done));
            let turn = pacer.turn(Some(size));
            tokio::spawn(async move {
                let lane = pacer.lane(turn, size).await;
                done.lock().expect("no panic").push(size);
                drop(lane);
            })
        });
        // One that doesn't wait any more holds nobody.
        drop(
            tokio::time::timeout(Duration::from_millis(20), pacer.lane(pacer.turn(Some(1)), 1))
                .await,
        );
        held.truncate(3);
        for task in waiting {
            task.await.expect("no panic");
        }
        assert_eq!(*done.lock().expect("no panic"), [1000, 2000, 10 << 20, 11 << 20, 1 << 40]);
        drop(held);
        assert_eq!(pacer.inner().weight, 0);
    }
}
