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

/// A request weighs its bytes, in these: at least one, and at most a part.
const UNIT: u64 = 128 * 1024;
const LARGE: usize = 64;
/// The weight that runs at once at the beginning: eight parts, or many small files, which wait more than they send.
const FIRST: usize = 8 * LARGE;
/// Each part holds some 700 KiB while it runs.
const MOST: usize = MOST_LANES * LARGE;
/// Parts at once, at most.
pub(crate) const MOST_LANES: usize = 48;
/// Where a line is slow.
const FEWEST: usize = 2 * LARGE;
/// Requests at once, at most, whatever they weigh: each is a connection and an open file.
const MOST_REQUESTS: usize = 256;
const LEAST_REQUESTS: usize = 8;
/// What is smaller than this is as soon done.
const SOON: u64 = 1024 * 1024;
/// The least that a weight is tried for before it is judged.
const TRIAL: Duration = Duration::from_millis(100);
/// What arrives within this time leaves room for more at once.
const SHORT: Duration = Duration::from_secs(5);
/// What doesn't arrive within this time is too much at once: a cut loses all of it.
const LONG: Duration = Duration::from_secs(20);
/// More that isn't faster by this isn't worth it.
const BETTER: f64 = 1.1;
/// Trials to sit out after more wasn't faster, or a server asked for less.
const REST: u32 = 40;

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
    most_requests: usize,
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
    bytes: u64,
    lane: oneshot::Sender<Lane>,
}

impl Inner {
    fn fits(&self, weight: usize) -> bool {
        let limit = self.limit.and_then(|limit| usize::try_from(limit / LANE).ok());
        let besides = if weight < LARGE { BESIDES } else { 0 };
        limit.is_none_or(|lanes| self.requests < lanes.max(1) + besides)
            && self.weight + weight <= self.window.most
            && self.requests < self.most_requests
    }
}

/// Most of the descriptors are for others of this process.
fn most_requests() -> usize {
    (lapse_local_store::descriptors() / 8).clamp(LEAST_REQUESTS, MOST_REQUESTS)
}

/// What may run at once: more as long as that makes it faster.
#[derive(Debug)]
struct Window {
    most: usize,
    /// Bytes that arrived since `since`, and whether something had to wait.
    arrived: u64,
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
            arrived: 0,
            was_full: false,
            since: Instant::now(),
            before: None,
            rest: 0,
        }
    }

    /// So many bytes arrived. Judges the weight of now, once as much arrived as may be on its way.
    fn arrived(&mut self, bytes: u64) {
        self.arrived += bytes;
        let passed = self.since.elapsed();
        let is_turned = self.arrived >= self.most as u64 * UNIT;
        if passed < TRIAL || !is_turned && passed < LONG {
            return;
        }
        let had = self.most;
        let rate = as_float(self.arrived) / passed.as_secs_f64();
        let more = (had * 6).min(MOST);
        match self.before.take() {
            // Where nothing had to wait nothing is learned.
            _ if !self.was_full => {}
            _ if passed >= LONG => self.most = (had / 2).max(FEWEST),
            Some((less, slower)) if rate < slower * BETTER => {
                (self.most, self.rest) = (less, REST);
            }
            _ if self.rest > 0 => self.rest -= 1,
            _ if more > had && passed < SHORT => {
                (self.most, self.before) = (more, Some((had, rate)));
            }
            _ => {}
        }
        (self.arrived, self.was_full, self.since) = (0, false, Instant::now());
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

fn as_float(count: u64) -> f64 {
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
    bytes: u64,
}

impl Default for Pacer {
    fn default() -> Self {
        let inner = Inner {
            limit: None,
            paid: Instant::now(),
            requests: 0,
            most_requests: most_requests(),
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

    /// Requests that may run at once, however small.
    pub(crate) fn most_requests(&self) -> usize {
        self.inner().most_requests
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

    /// The turn of an upload of so many bytes, where that is known.
    pub(crate) fn turn(&self, bytes: Option<u64>) -> Turn {
        let mut inner = self.inner();
        inner.count += 1;
        Turn { magnitude: bytes.unwrap_or(u64::MAX).max(SOON).ilog2(), came: inner.count }
    }

    /// Waits until one more request, of so many bytes, may run.
    pub(crate) async fn lane(self: &Arc<Self>, turn: Turn, bytes: u64) -> Lane {
        let weight = usize::try_from(bytes / UNIT).unwrap_or(LARGE).clamp(1, LARGE);
        loop {
            let (lane, given) = oneshot::channel();
            {
                let mut inner = self.inner();
                inner.count += 1;
                let place = (turn, inner.count);
                inner.waiting.insert(place, Waiting { weight, bytes, lane });
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
            let Waiting { weight, bytes, .. } = *first.get();
            if !inner.fits(weight) {
                inner.window.was_full = true;
                break;
            }
            if let Some((_, Waiting { lane, .. })) = inner.waiting.pop_first() {
                inner.requests += 1;
                inner.weight += weight;
                let given = Lane { pacer: Arc::clone(self), weight, bytes };
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
        // One that is small counts as what it weighs.
        inner.window.arrived(self.bytes.max(self.weight as u64 * UNIT));
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
        /// What runs at once after ten minutes on a line on which each part gets `each` bytes a second, up to what it
        /// `carries` in all.
        async fn on(each: u64, carries: u64) -> usize {
            let pacer = Arc::new(Pacer::default());
            let began = Instant::now();
            while began.elapsed() < Duration::from_mins(10) {
                let lanes = pacer.inner().window.most / LARGE;
                let waiting = (0..=lanes).map(|_| pacer.lane(pacer.turn(None), PART));
                let mut waiting: Vec<_> = waiting.map(Box::pin).collect();
                let mut lanes = Vec::new();
                for lane in &mut waiting {
                    lanes.extend(futures_util::FutureExt::now_or_never(lane));
                }
                let rate = (lanes.len() as u64 * each).min(carries);
                let seconds = lanes.len() as u64 * PART / rate.max(1);
                tokio::time::sleep(Duration::from_secs(seconds).max(TRIAL)).await;
                for lane in lanes {
                    lane.done(false);
                }
            }
            pacer.inner().window.most / LARGE
        }
        const PART: u64 = LARGE as u64 * UNIT;
        const MIB: u64 = 1024 * 1024;
        assert_eq!(on(40 * MIB, u64::MAX).await, MOST_LANES);
        // What fills the line is enough.
        assert_eq!(on(40 * MIB, 200 * MIB).await, FIRST / LARGE);
        assert_eq!(on(40 * MIB, 10 * MIB).await, FIRST / LARGE);
        assert_eq!(on(40 * MIB, 2 * MIB).await, FIRST / LARGE / 2);
        assert_eq!(on(40 * MIB, MIB / 2).await, FEWEST / LARGE);
    }

    #[tokio::test]
    async fn small_requests_run_many_at_once_and_large_ones_few() {
        fn at_once(bytes: u64) -> usize {
            let pacer = Arc::new(Pacer::default());
            // Without Tokio's rule that a task must pause after so many answers.
            let lane = |_| tokio::task::unconstrained(pacer.lane(pacer.turn(Some(bytes)), bytes));
            let mut waiting: Vec<_> = (0..1000).map(lane).map(Box::pin).collect();
            let given = waiting.iter_mut().map(futures_util::FutureExt::now_or_never);
            let given: Vec<_> = given.collect();
            given.iter().flatten().count()
        }
        assert_eq!(at_once(16 * 1024), most_requests());
        assert_eq!(at_once(1024 * 1024), FIRST / 8);
        assert_eq!(at_once(100 * 1024 * 1024), 8);
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
        held.truncate(FIRST / LARGE - 1);
        for task in waiting {
            task.await.expect("no panic");
        }
        assert_eq!(*done.lock().expect("no panic"), [1000, 2000, 10 << 20, 11 << 20, 1 << 40]);
        drop(held);
        assert_eq!(pacer.inner().weight, 0);
    }
}
