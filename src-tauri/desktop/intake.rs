//! What comes in to be shared: files dropped, chosen, pasted or named on the command line.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use lapse_core::share::{File, Request, ShareId, Shared, Source, State};
use lapse_core::{Code, Error, Lapse};
use tauri::{AppHandle, Manager as _};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::commands::Answer;
use crate::shell::Shell;
use crate::tell::{change, not_shared};
use crate::wire::Change;
use crate::{rows, window};

/// Small uploads at once; the others wait. Few enough that their rows leave the list in sight.
const AT_ONCE: usize = 16;
/// As how many of them a larger one counts.
const LARGE: u32 = 4;
/// Bytes that are small.
const SMALL: u64 = 256 << 10;
/// A drop of many files is told of no more often than this.
const PULSE: Duration = Duration::from_millis(250);

/// Files on their way.
pub(crate) struct Intake {
    turns: Semaphore,
    waiting: AtomicU32,
    batches: Mutex<Vec<Arc<Batch>>>,
    /// Files that were named at the start, until the page listens.
    first: Mutex<Vec<PathBuf>>,
    /// Uploads that were cut off and are gone on with, or wait for their turn to be.
    own: Mutex<BTreeSet<ShareId>>,
}

impl Default for Intake {
    fn default() -> Self {
        Self {
            turns: Semaphore::new(AT_ONCE),
            waiting: AtomicU32::new(0),
            batches: Mutex::default(),
            first: Mutex::default(),
            own: Mutex::default(),
        }
    }
}

/// What came in together.
struct Batch {
    /// The shares' ids, in the order in which the files came.
    ids: Vec<ShareId>,
    /// Whether the person took it back.
    is_off: AtomicBool,
}

/// Shares paths that the system gave: each as it is, a folder as one zip.
pub(crate) fn take_paths(app: &AppHandle, paths: Vec<PathBuf>) {
    take(app, paths.into_iter().map(Source::File).collect());
}

/// Shares the files that were named at the start.
pub(crate) fn take_first(app: &AppHandle) {
    let shell = app.state::<Shell>();
    let first =
        std::mem::take(&mut *shell.intake.first.lock().unwrap_or_else(PoisonError::into_inner));
    take_paths(app, first);
}

/// Shares what came in together: their links are put on the clipboard together.
pub(crate) fn take(app: &AppHandle, sources: Vec<Source>) {
    if sources.is_empty() {
        return;
    }
    let app = app.clone();
    tauri::async_runtime::spawn(async move { Box::pin(batch(&app, sources)).await });
}

async fn batch(app: &AppHandle, sources: Vec<Source>) {
    let shell = app.state::<Shell>();
    let lapse = match shell.lapse() {
        Ok(lapse) => lapse,
        Err(failure) => {
            let name = sources.first().map(Source::own_name).unwrap_or_default();
            not_shared(app, name, failure);
            return;
        }
    };
    let batch = shell.intake.begin(app, sources.len());
    let count = sources.len();
    let sharing = sources.into_iter().enumerate().map(|(place, source)| {
        let (lapse, batch) = (&lapse, &batch);
        async move { (place, source.own_name(), one(app, lapse, batch, place, source).await) }
    });
    let mut sharing = stream::iter(sharing).buffer_unordered(AT_ONCE);
    let mut given = Given::default();
    let mut done = 0;
    while let Some((place, name, shared)) = sharing.next().await {
        done += 1;
        match shared {
            // It was too late to cancel it.
            Ok(Some(shared)) if batch.is_off() => {
                withdraw(app, &lapse, &name, &shared.share.id).await;
            }
            Ok(Some(shared)) => given.add(&shell, place, shared),
            Ok(None) => {}
            Err(error) if matches!(error.code, Code::Interrupted | Code::Canceled) => {}
            Err(error) => not_shared(app, name, error),
        }
        let is_due = done == count || given.is_due();
        if is_due && !batch.is_off() {
            given.tell(app, &shell, &lapse);
        }
    }
    shell.intake.end(&batch);
    lapse.clean_up(None).await;
}

async fn withdraw(app: &AppHandle, lapse: &Lapse, name: &str, id: &ShareId) {
    if let Err(error) = lapse.revoke(id, File::Deleted).await {
        // Its row stands in the list, where it can be tried again.
        not_shared(app, name.to_owned(), error);
    }
}

/// Takes back what came in together with any of these shares: what waits isn't begun, what is under way is canceled.
/// Gives the shares that have links, for the caller to revoke.
pub(crate) async fn call_off(app: &AppHandle, ids: Vec<ShareId>) -> Vec<ShareId> {
    let shell = app.state::<Shell>();
    let (Ok(lapse), batches) = (shell.lapse(), shell.intake.call_off(&ids)) else { return ids };
    let mut ids: BTreeSet<ShareId> = ids.into_iter().collect();
    for id in batches.iter().flat_map(|batch| &batch.ids) {
        // One that doesn't run hasn't begun or has ended.
        let is_canceled = lapse.cancel(id).await.is_ok();
        if !is_canceled && lapse.show(id).is_ok_and(|known| known.state.is_alive()) {
            ids.insert(id.clone());
        }
    }
    ids.into_iter().collect()
}

/// Shares once more what a share was made from; the failed row of an upload makes room for the new one.
pub(crate) async fn again(app: &AppHandle, id: &ShareId, changed_too: bool) -> Answer<()> {
    let shell = app.state::<Shell>();
    let lapse = shell.lapse()?;
    let failed = matches!(lapse.show(id)?.state, State::Failed(_));
    shell.intake.wait(app, 1);
    let turn = shell.intake.turn(app, LARGE).await;
    let shared = lapse.share_again(id, None, changed_too).await;
    drop(turn);
    let shared = match shared {
        Err(error) if matches!(error.code, Code::Interrupted | Code::Canceled) => return Ok(()),
        shared => shared?,
    };
    if failed {
        lapse.hide(id)?;
    }
    let mut given = Given::default();
    given.add(&shell, 0, shared);
    given.tell(app, &shell, &lapse);
    Ok(())
}

/// Goes on with an upload that no program sends.
pub(crate) async fn carry_on(app: &AppHandle, id: &ShareId) -> Answer<()> {
    let shell = app.state::<Shell>();
    let lapse = shell.lapse()?;
    shell.intake.wait(app, 1);
    let turn = shell.intake.turn(app, LARGE).await;
    let shared = lapse.carry_on(id).await;
    drop(turn);
    let shared = match shared {
        Err(error) if matches!(error.code, Code::Interrupted | Code::Canceled) => return Ok(()),
        shared => shared?,
    };
    let mut given = Given::default();
    given.add(&shell, 0, shared);
    given.tell(app, &shell, &lapse);
    Ok(())
}

/// How often it is looked for uploads that nobody sends.
const LOOK: Duration = Duration::from_secs(10);
/// The same for what was looked for in vain.
const LONGEST_LOOK: Duration = Duration::from_mins(5);

/// Goes on with uploads that were cut off, until the app ends: of an earlier start, of another program, and of a
/// storage that was away for longer. Those that the person paused wait for them.
pub(crate) async fn go_on(app: AppHandle) {
    let shell = app.state::<Shell>();
    loop {
        let unfinished = shell.lapse().ok().and_then(|lapse| lapse.unfinished().ok());
        for upload in unfinished.into_iter().flatten() {
            let id = upload.share.id.clone();
            let Ok(lapse) = shell.lapse() else { break };
            let waits = upload.can_go_on
                && matches!(lapse.is_watchers(&upload.share), Ok(false))
                && !upload.paused
                && lapse.show(&id).is_ok_and(|known| known.state == State::Paused);
            if waits && !lapse.is_interrupted() && shell.intake.own(&id) {
                let app = app.clone();
                tauri::async_runtime::spawn(async move {
                    // Why it doesn't go on stands in its row.
                    if let Err(failure) = carry_on(&app, &id).await {
                        tracing::info!(code = failure.code, "an upload waits on");
                    }
                    app.state::<Shell>().intake.disown(&id);
                });
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Finishes or undoes revokes that were cut off, of an earlier start or of a storage that was away, until the app ends.
pub(crate) async fn finish_revokes(app: AppHandle) {
    let (mut pause, mut next) = (LOOK, Instant::now());
    loop {
        let lapse = app.state::<Shell>().lapse();
        let finished = match &lapse {
            Ok(lapse) if Instant::now() >= next => {
                let finished = Box::pin(lapse.finish_revokes()).await;
                // It may be a person who is waited for.
                pause = if finished.is_empty() { LOOK } else { (pause * 2).min(LONGEST_LOOK) };
                next = Instant::now() + pause;
                finished
            }
            Ok(lapse) => Box::pin(lapse.finish_moves()).await.into_iter().map(Err).collect(),
            Err(_) => Vec::new(),
        };
        if finished.iter().any(Result::is_ok) {
            change(&app, Change::List);
        }
        for error in finished.into_iter().filter_map(Result::err) {
            tracing::info!(code = error.code.as_str(), "a revoke waits to be finished");
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// `None`: it wasn't begun, since it isn't wanted any more or Lapse ends.
async fn one(
    app: &AppHandle,
    lapse: &Lapse,
    batch: &Batch,
    place: usize,
    source: Source,
) -> Result<Option<Shared>, Error> {
    let shell = app.state::<Shell>();
    let turn = shell.intake.turn(app, weight(&source)).await;
    if batch.is_off() || lapse.is_interrupted() {
        return Ok(None);
    }
    let request =
        Request { source, name: None, expires: None, inline: false, profile: None, label: None };
    let shared = lapse.share_as(batch.ids[place].clone(), request).await;
    drop(turn);
    shared.map(Some)
}

fn weight(source: &Source) -> u32 {
    let is_small = match source {
        Source::File(path) => {
            path.metadata().is_ok_and(|found| found.is_file() && found.len() <= SMALL)
        }
        _ => false,
    };
    if is_small { 1 } else { LARGE }
}

impl Batch {
    fn is_off(&self) -> bool {
        self.is_off.load(Ordering::Relaxed)
    }
}

impl Intake {
    /// Keeps files that were named at the start for [`take_first`].
    pub(crate) fn keep_first(&self, files: Vec<PathBuf>) {
        *self.first.lock().unwrap_or_else(PoisonError::into_inner) = files;
    }

    fn batches(&self) -> MutexGuard<'_, Vec<Arc<Batch>>> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an upload that was cut off, unless it was taken before.
    fn own(&self, id: &ShareId) -> bool {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone())
    }

    fn disown(&self, id: &ShareId) {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    fn begin(&self, app: &AppHandle, count: usize) -> Arc<Batch> {
        self.wait(app, count);
        let ids = (0..count).map(|_| ShareId::random()).collect();
        let batch = Arc::new(Batch { ids, is_off: AtomicBool::new(false) });
        self.batches().push(Arc::clone(&batch));
        batch
    }

    fn end(&self, batch: &Arc<Batch>) {
        self.batches().retain(|other| !Arc::ptr_eq(other, batch));
    }

    /// What is still under way together with any of these shares, none of which is wanted any more.
    fn call_off(&self, ids: &[ShareId]) -> Vec<Arc<Batch>> {
        let batches = self.batches();
        let met = batches.iter().filter(|batch| batch.ids.iter().any(|id| ids.contains(id)));
        let met: Vec<_> = met.cloned().collect();
        for batch in &met {
            batch.is_off.store(true, Ordering::Relaxed);
        }
        met
    }

    fn wait(&self, app: &AppHandle, count: usize) {
        self.waiting.fetch_add(rows::count(count), Ordering::Relaxed);
        app.state::<Shell>().bridge.waits();
    }

    /// One of those that wait begins, and holds its places until this is dropped.
    async fn turn(&self, app: &AppHandle, weight: u32) -> Option<SemaphorePermit<'_>> {
        // It isn't closed as long as the app lives.
        let turn = self.turns.acquire_many(weight).await.ok();
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        app.state::<Shell>().bridge.waits();
        turn
    }

    /// Files that haven't begun.
    pub(crate) fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// Links of what came in together, in the order in which it came.
#[derive(Default)]
struct Given {
    links: BTreeMap<usize, Shared>,
    /// What must be known of them, each sentence once.
    notices: Vec<String>,
    copied: String,
    told: Option<Instant>,
    /// How long that took.
    took: Duration,
}

impl Given {
    fn add(&mut self, shell: &Shell, place: usize, shared: Shared) {
        for notice in shell.bridge.take_notices(&shared.share.id) {
            if !self.notices.contains(&notice) {
                self.notices.push(notice);
            }
        }
        self.links.insert(place, shared);
    }

    /// Thousands of links take a while to be copied: they are told of the less often.
    fn is_due(&self) -> bool {
        self.told.is_none_or(|told| told.elapsed() >= PULSE.max(self.took * 10))
    }

    fn tell(&mut self, app: &AppHandle, shell: &Shell, lapse: &Lapse) {
        if self.links.is_empty() {
            return;
        }
        let began = Instant::now();
        let mut notices = self.notices.clone();
        let copied = match self.copy(shell, lapse) {
            Ok(copied) => copied,
            Err(error) => {
                notices.push(error.to_string());
                false
            }
        };
        let mut shares = self.links.values().map(|shared| &shared.share.id);
        if let (Some(only), None) = (shares.next(), shares.next()) {
            // What is said of one link says until when it lasts, which its row knows.
            let (shares, gone) = shell.rows(&BTreeSet::from([only.clone()]));
            change(app, Change::Shares { shares, gone });
        }
        let ids = self.links.values().map(|shared| shared.share.id.to_string()).collect();
        change(app, Change::Shared { ids, copied, notices, hidden: window::is_hidden(app) });
        (self.told, self.took) = (Some(Instant::now()), began.elapsed());
    }

    /// One link a line. Once the person has copied something else, theirs stays.
    fn copy(&mut self, shell: &Shell, lapse: &Lapse) -> Result<bool, Error> {
        let wanted = lapse.preferences()?.window.copy_links;
        let theirs = !self.copied.is_empty() && !shell.clipboard.holds(&self.copied);
        if !wanted || theirs {
            return Ok(false);
        }
        let urls: Vec<&str> =
            self.links.values().map(|shared| shared.url.expose().as_str()).collect();
        let text = urls.join("\n");
        shell.clipboard.set(&text)?;
        self.copied = text;
        Ok(true)
    }
}
