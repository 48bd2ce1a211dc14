//! The one task that watches: looks, lets settle, shares.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use notify::RecommendedWatcher;
use tokio::task::JoinHandle;

use super::look::{Fresh, Looked, SETTLE, Watcher, by_folder};
use super::news::{MOST_NEWS, News};
use super::rules::Scope;
use super::running::{Before, Running};
use super::{Away, Batch, WatchedFolder};
use crate::event::Event;
use crate::history::{Place, Waiting};
use crate::lapse::Lapse;
use crate::settings::Settings;
use crate::share::ShareId;
use crate::{Code, Error, Result};

/// How long news of changes are gathered before it is looked.
const GATHER: Duration = Duration::from_millis(40);
/// How often it is looked whether the folders and the settings are as they were.
const TICK: Duration = Duration::from_secs(5);
/// Longer than any folder is left alone.
const FAR: Duration = Duration::from_hours(24);
/// Files that are looked at a second time together.
const SETTLED_AT_ONCE: usize = 256;
/// After so many failures in a row it is the storage, not the files.
const IN_A_ROW: u32 = 4;
/// The longest that a folder waits for its storage.
const LONGEST_WAIT: Duration = Duration::from_mins(5);
/// How long what is under way may take to stop.
const STOPPING: Duration = Duration::from_secs(20);
/// How often it is told how many are shared, while many are.
const TELL: Duration = Duration::from_secs(1);
/// After so long without another one what was shared is told.
const LONG: Duration = Duration::from_secs(5);
/// The clock went on while this computer slept, or was set.
const JUMP: Duration = Duration::from_secs(3);

/// A file and what became of it.
type Sent = (Waiting, Result<Option<ShareId>>);
type Look = (u64, Instant, bool, Result<Looked>);

struct Run<'a> {
    lapse: &'a Lapse,
    began: Instant,
    /// The clocks at the last tick: of one that slept they differ.
    clocks: (Instant, SystemTime),
    settings: Option<Arc<Settings>>,
    news: Arc<News>,
    watcher: Option<Watcher>,
    folders: Vec<Running>,
    /// How many were taken up, ever.
    taken_up: u64,
    looking: FuturesUnordered<JoinHandle<Look>>,
    settling: Option<JoinHandle<Result<Vec<Waiting>>>>,
    ready: VecDeque<Waiting>,
    sending: FuturesUnordered<BoxFuture<'a, Sent>>,
    under_way: HashSet<Place>,
    /// Folders that the person lets wait.
    paused: Vec<(i64, String)>,
    /// When files may have settled.
    check_due: Instant,
    next_tick: Instant,
}

impl Lapse {
    /// Watches the folders that config.toml names, as it stands, until `stop`. One process does that at a time
    /// ([`Code::Watching`]).
    pub async fn watch(&self, stop: impl Future<Output = ()>) -> Result<()> {
        let _lock = self.lock_watch_patiently().await?;
        self.history.watched().forget_looks()?;
        let mut run = Run::new(self);
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = run.turn() => {}
            }
        }
        self.interrupt();
        let ending = async { while run.sending.next().await.is_some() {} };
        // What doesn't stop in time is gone on with at the next start.
        let _ = tokio::time::timeout(STOPPING, ending).await;
        Ok(())
    }
}

impl<'a> Run<'a> {
    fn new(lapse: &'a Lapse) -> Self {
        let now = Instant::now();
        Self {
            lapse,
            began: now,
            clocks: (now, SystemTime::now()),
            settings: None,
            news: Arc::default(),
            watcher: None,
            folders: Vec::new(),
            taken_up: 0,
            looking: FuturesUnordered::new(),
            settling: None,
            ready: VecDeque::new(),
            sending: FuturesUnordered::new(),
            under_way: HashSet::new(),
            paused: Vec::new(),
            check_due: now,
            next_tick: now,
        }
    }

    /// Does what can be done now, and waits until there is more.
    async fn turn(&mut self) {
        let now = Instant::now();
        if now >= self.next_tick {
            self.tick();
            self.next_tick = now + TICK;
        }
        self.hear_news();
        self.look();
        if !self.ready.is_empty() || now >= self.check_due {
            // A folder may have been paused this moment.
            self.heed_settings();
        }
        self.settle();
        self.send();
        self.wait().await;
    }

    async fn wait(&mut self) {
        let looks = self.folders.iter().filter(|one| !one.is_looking && one.root.is_ok());
        let next_look = looks.map(|one| one.next).min();
        let may_settle = self.settling.is_none() && self.ready.is_empty();
        let wake = [Some(self.next_tick), next_look, may_settle.then_some(self.check_due)];
        let wake = wake.into_iter().flatten().min().unwrap_or(self.next_tick);
        let settling = async {
            match &mut self.settling {
                Some(settling) => settling.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.news.came.notified() => tokio::time::sleep(GATHER).await,
            Some(look) = self.looking.next() => match look {
                Ok(look) => self.looked(look),
                Err(error) => tracing::error!(%error, "a look at a folder ended early"),
            },
            settled = settling => {
                self.settling = None;
                self.settled(settled);
            }
            Some(sent) = self.sending.next() => {
                self.sent(sent).await;
                // Those that are done by now are one turn.
                while let Some(Some(sent)) = self.sending.next().now_or_never() {
                    self.sent(sent).await;
                }
            }
            () = tokio::time::sleep_until(wake.into()) => {}
        }
    }

    /// The settings, the folders themselves, and the clock.
    fn tick(&mut self) {
        let clocks = (Instant::now(), SystemTime::now());
        let slept = clocks
            .1
            .duration_since(self.clocks.1)
            .is_ok_and(|passed| passed > clocks.0.duration_since(self.clocks.0) + JUMP);
        self.clocks = clocks;
        self.heed_settings();
        // Some may have begun only since.
        self.stop_paused();
        // What another process did may let files go on.
        self.check_due = self.check_due.min(clocks.0);
        for one in &mut self.folders {
            one.look_at_root(self.lapse, self.watcher.as_ref());
            if slept {
                one.next = clocks.0;
            }
            if one.root == Err(Away::Silent) {
                // A second look may wait for that disk, and others wait for it.
                (self.settling, self.check_due) = (None, clocks.0);
            }
            one.tell_trouble(self.lapse);
        }
        for at in 0..self.folders.len() {
            let one = &self.folders[at];
            // The last of them may be gone instead, or take longer than a person waits for what is there.
            let is_long = one.newest.is_some() && one.shared_at.elapsed() > LONG;
            if one.newest.is_some() && (is_long || !self.is_busy(one.number())) {
                self.end_batch(at, is_long);
            }
        }
    }

    fn heed_settings(&mut self) {
        match self.lapse.settings() {
            Ok(settings)
                if self.settings.as_ref().is_some_and(|last| Arc::ptr_eq(last, &settings)) => {}
            Ok(settings) => {
                if let Err(error) = self.take_up(&settings) {
                    tracing::warn!(code = error.code.as_str(), "watched folders aren't taken up");
                } else {
                    self.settings = Some(settings);
                    for one in &self.folders {
                        self.lapse.sink.emit(Event::Folder(&one.folder.path));
                    }
                }
            }
            // As they were, until the file is right again.
            Err(error) => tracing::warn!(code = error.code.as_str(), "the settings can't be read"),
        }
    }

    /// Watches what the settings name.
    fn take_up(&mut self, settings: &Settings) -> Result<()> {
        let (paused, wanted): (Vec<_>, Vec<_>) =
            settings.folders()?.into_iter().partition(|folder| folder.paused);
        let rows = self.lapse.history.watched();
        self.paused.clear();
        for folder in paused {
            self.paused.push((rows.folder(&folder.path)?, folder.path));
        }
        self.stop_paused();
        let is_known =
            |folder: &WatchedFolder| self.folders.iter().any(|one| one.folder == *folder);
        let gone = self.folders.iter().any(|one| !wanted.contains(&one.folder));
        if !gone && wanted.iter().all(is_known) {
            return Ok(());
        }
        let mut before = Vec::new();
        if gone || self.watcher.is_none() {
            // News of folders that aren't watched any more would come on.
            self.watcher = self.new_watcher();
            before = std::mem::take(&mut self.folders);
            self.ready.clear();
        }
        for folder in wanted {
            if self.folders.iter().any(|one| one.folder == folder) {
                continue;
            }
            let number = self.lapse.history.watched().folder(&folder.path)?;
            match self.running(folder, number) {
                Ok(mut one) => {
                    // A batch goes on.
                    if let Some(before) = before.iter().find(|before| before.number() == number) {
                        (one.count, one.newest) = (before.count, before.newest.clone());
                    }
                    self.folders.push(one);
                }
                Err(error) => {
                    let text = error.to_string();
                    self.lapse.history.watched().set_trouble(number, Some(&text))?;
                }
            }
        }
        Ok(())
    }

    /// What is being sent of folders that are paused stops: it is gone on with later.
    fn stop_paused(&self) {
        for (number, path) in &self.paused {
            if self.under_way.iter().any(|place| place.folder == *number) {
                self.lapse.stop_uploads_of(path);
            }
        }
    }

    fn running(&mut self, folder: WatchedFolder, number: i64) -> Result<Running> {
        self.lapse.is_not_own(&folder)?;
        let rows = self.lapse.history.watched();
        let looker = |scope| self.lapse.looker(&folder.path, number, scope, self.began);
        let kept = rows.scope(number)?.and_then(|kept| serde_json::from_str(&kept).ok());
        let scope = Scope::of(&folder);
        let before = match kept {
            Some(kept) if kept == scope => Before::Same,
            Some(kept) => Before::Others(Box::new(looker(kept)?)),
            None => Before::None,
        };
        let looker = looker(scope)?;
        self.taken_up += 1;
        let trouble = rows.trouble(number)?;
        let mut running = Running::new(self.taken_up, folder, looker, before, trouble);
        running.look_at_root(self.lapse, self.watcher.as_ref());
        Ok(running)
    }

    fn new_watcher(&self) -> Option<Watcher> {
        let news = Arc::clone(&self.news);
        let config = notify::Config::default().with_follow_symlinks(false);
        let hear = move |event| news.hear(event);
        let watcher = <RecommendedWatcher as notify::Watcher>::new(hear, config);
        watcher
            .inspect_err(|error| tracing::warn!(%error, "the system tells of no changes"))
            .ok()
            .map(|watcher| Arc::new(Mutex::new(watcher)))
    }

    fn hear_news(&mut self) {
        let told = self.news.take();
        let now = Instant::now();
        for one in &mut self.folders {
            if told.all {
                one.next = now;
            }
            one.news.extend(
                told.paths.iter().filter(|path| path.starts_with(&one.looker.root)).cloned(),
            );
            // Gathered while it is being looked through.
            if one.news.len() > MOST_NEWS {
                (one.next, one.news) = (now, HashSet::new());
            }
        }
    }

    /// Begins the looks that are due.
    fn look(&mut self) {
        let now = Instant::now();
        for one in &mut self.folders {
            if one.is_looking || one.root.is_err() {
                continue;
            }
            let all = one.next <= now;
            if !all && one.news.is_empty() {
                continue;
            }
            let news = std::mem::take(&mut one.news);
            one.is_looking = true;
            if all {
                // What is lost meanwhile brings it near again.
                one.next = now + FAR;
            }
            let (id, looker, before) = (one.id, one.looker.clone(), one.before.clone());
            self.looking.push(tokio::task::spawn_blocking(move || {
                let began = Instant::now();
                let seen = match (all, before) {
                    (true, Before::Same) => looker.look_through(Fresh::Waits),
                    (true, Before::None) => looker.look_anew(Fresh::Left),
                    (true, Before::Others(before)) => looker.look_anew(Fresh::LeftUnless(&before)),
                    (false, _) => looker.look_at(news.into_iter().collect()),
                };
                (id, began, all, seen)
            }));
        }
    }

    fn looked(&mut self, (id, began, all, looked): Look) {
        let now = Instant::now();
        self.check_due = self.check_due.min(now + SETTLE);
        // The folder may have been taken up anew meanwhile, with other files to be looked at.
        let Some(one) = self.folders.iter_mut().find(|one| one.id == id) else { return };
        one.is_looking = false;
        match looked {
            Ok(looked) if looked.is_away => {
                // It is told, and looked through when it is back.
                self.next_tick = now;
                one.next = now + TICK;
                return;
            }
            Ok(looked) => {
                one.is_limited |= looked.is_limited;
                if all {
                    (one.before, one.unreadable) = (Before::Same, looked.unreadable);
                }
            }
            Err(error) => {
                tracing::warn!(code = error.code.as_str(), "what was seen in a folder isn't kept");
                one.waits = Some((now + TICK, error.to_string()));
                one.next = now + TICK;
                return;
            }
        }
        if all {
            let took = now - began;
            tracing::debug!(ms = took.as_millis(), "a folder was looked through");
            one.looked_through(took);
        }
        one.tell_trouble(self.lapse);
        self.lapse.sink.emit(Event::Folder(&one.folder.path));
    }

    /// Folders whose files may be shared now.
    fn open(&self) -> Vec<i64> {
        let now = Instant::now();
        self.folders.iter().filter(|one| one.is_open(now)).map(Running::number).collect()
    }

    /// Begins the second look at files that wait.
    fn settle(&mut self) {
        let now = Instant::now();
        if self.settling.is_some() || !self.ready.is_empty() || now < self.check_due {
            return;
        }
        let rows = self.lapse.history.watched();
        let settled = self.now() - millis(SETTLE);
        let most = SETTLED_AT_ONCE + self.under_way.len();
        let open = self.open();
        let due = match rows.due(&open, settled, Timestamp::now(), most) {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(code = error.code.as_str(), "it isn't known what waits");
                self.check_due = now + TICK;
                return;
            }
        };
        let is_all = due.len() < most;
        let due: Vec<_> =
            due.into_iter().filter(|one| !self.under_way.contains(&one.place)).collect();
        if is_all {
            self.check_due = self.next_due(&open, now);
        }
        if due.is_empty() {
            return;
        }
        let lookers: Vec<_> = self.folders.iter().map(|one| one.looker.clone()).collect();
        self.settling = Some(tokio::task::spawn_blocking(move || {
            let mut settled = Vec::new();
            for (number, waiting) in by_folder(due) {
                let looker = lookers.iter().find(|looker| looker.folder == number);
                settled.extend(
                    looker.map_or_else(|| Ok(Vec::new()), |looker| looker.settled(waiting))?,
                );
            }
            settled.sort_by_key(|one| one.fingerprint.modified);
            Ok(settled)
        }));
    }

    /// When the next file may have settled, at the latest in a while.
    fn next_due(&self, open: &[i64], now: Instant) -> Instant {
        let late = now + TICK * 12;
        let Ok((looked, retry_at)) =
            self.lapse.history.watched().next_due(open, self.now() - millis(SETTLE))
        else {
            return now + TICK;
        };
        let looked = looked.map(|looked| {
            let left = looked + millis(SETTLE) - self.now();
            now + Duration::from_millis(u64::try_from(left).unwrap_or(0) + 1)
        });
        let retry = retry_at.map(|at| {
            let left = at.duration_since(Timestamp::now());
            now + Duration::try_from(left).unwrap_or_default().max(Duration::from_millis(500))
        });
        let waits =
            self.folders.iter().filter_map(|one| one.waits.as_ref().map(|(until, _)| *until));
        let waits = waits.filter(|until| *until > now).min();
        [looked, retry, waits].into_iter().flatten().min().unwrap_or(late).min(late)
    }

    fn settled(&mut self, settled: Result<Result<Vec<Waiting>>, tokio::task::JoinError>) {
        match settled {
            Ok(Ok(settled)) => {
                self.ready.extend(settled);
                // What a program holds open is looked at again.
                self.check_due = self.check_due.min(Instant::now() + SETTLE);
            }
            Ok(Err(error)) => {
                tracing::warn!(code = error.code.as_str(), "what waits can't be looked at");
                self.check_due = Instant::now() + TICK;
            }
            Err(error) => tracing::error!(%error, "a second look ended early"),
        }
    }

    /// Begins to share what has settled.
    fn send(&mut self) {
        let (lapse, now) = (self.lapse, Instant::now());
        // Those that wait for a silent disk hold no other file up.
        let is_silent = |place: &&Place| {
            let folder = self.folders.iter().find(|one| one.number() == place.folder);
            folder.is_some_and(|one| one.root == Err(Away::Silent))
        };
        let most = lapse.most_at_once() + self.under_way.iter().filter(is_silent).count();
        while self.sending.len() < most
            && let Some(one) = self.ready.pop_front()
        {
            let running = self.folders.iter().find(|running| running.number() == one.place.folder);
            let Some(running) = running.filter(|running| running.is_open(now)) else { continue };
            if !self.under_way.insert(one.place.clone()) {
                continue;
            }
            let (folder, path) = (running.folder.clone(), running.looker.path_of(&one.place));
            self.sending.push(Box::pin(async move {
                let sent = Box::pin(lapse.send_watched(&folder, &path, &one)).await;
                (one, sent)
            }));
        }
    }

    async fn sent(&mut self, (one, sent): Sent) {
        self.under_way.remove(&one.place);
        let now = Instant::now();
        let Some(at) = self.folders.iter().position(|running| running.number() == one.place.folder)
        else {
            return;
        };
        match sent {
            Ok(share) => {
                let running = &mut self.folders[at];
                (running.failures, running.waits) = (0, None);
                if let Some(share) = share {
                    running.count += 1;
                    running.newest = Some(share);
                    running.shared_at = now;
                }
                if running.told.elapsed() >= TELL {
                    running.told = now;
                    self.lapse.sink.emit(Event::Folder(&running.folder.path));
                }
            }
            Err(error) => self.not_sent(at, one, &error).await,
        }
        if !self.is_busy(self.folders[at].number()) {
            self.check_due = self.check_due.min(now);
            self.end_batch(at, false);
        }
    }

    /// Whether files of a folder are being shared.
    fn is_busy(&self, folder: i64) -> bool {
        self.under_way.iter().any(|place| place.folder == folder)
            || self.ready.iter().any(|one| one.place.folder == folder)
    }

    /// Tells what was shared, once nothing waits any more; `though`: though something does.
    fn end_batch(&mut self, at: usize, though: bool) {
        let running = &mut self.folders[at];
        let number = running.number();
        let waits = || !matches!(self.lapse.history.watched().is_waiting(number), Ok(false));
        if !though && waits() {
            return;
        }
        if let Some(newest) = running.newest.take() {
            let count = std::mem::take(&mut running.count);
            let batch = Batch { folder: running.folder.clone(), count, newest };
            self.lapse.sink.emit(Event::Batch(&batch));
        }
        running.tell_trouble(self.lapse);
        self.lapse.sink.emit(Event::Folder(&self.folders[at].folder.path));
    }

    async fn not_sent(&mut self, at: usize, one: Waiting, error: &Error) {
        let now = Instant::now();
        let running = &mut self.folders[at];
        match error.code {
            Code::Interrupted | Code::Canceled | Code::NotUploading => {
                // Another task or process sends it, or nobody is to.
                self.check_due = self.check_due.min(now + SETTLE);
            }
            Code::FileChanged | Code::FileMissing => {
                running.news.insert(running.looker.path_of(&one.place));
            }
            Code::FileUnreadable | Code::NotAFile | Code::Paused => {
                keep(self.lapse, &one, error).await;
            }
            // Many were under way when the first of them failed.
            _ if !running.is_open(now) => {}
            _ => {
                let is_sure = error.passes() || is_of_profile(error.code);
                // One that went wrong before says nothing of the others.
                running.failures += u32::from(is_sure || one.tries == 0);
                let is_storage = is_sure || running.failures >= IN_A_ROW;
                if is_storage {
                    let pause = TICK * 2_u32.pow(running.failures.min(6));
                    running.waits = Some((now + pause.min(LONGEST_WAIT), error.to_string()));
                    let number = running.number();
                    self.ready.retain(|one| one.place.folder != number);
                    running.tell_trouble(self.lapse);
                } else {
                    keep(self.lapse, &one, error).await;
                }
            }
        }
    }

    fn now(&self) -> i64 {
        millis(self.began.elapsed())
    }
}

/// Keeps why a file isn't shared, and when it is tried again.
async fn keep(lapse: &Lapse, one: &Waiting, error: &Error) {
    let minutes = [1, 5, 30, 120];
    let at = usize::try_from(one.tries).unwrap_or(usize::MAX).min(minutes.len() - 1);
    let pause = match error.code {
        Code::Paused => SignedDuration::from_secs(30),
        _ => SignedDuration::from_mins(minutes[at]),
    };
    let retry_at = Timestamp::now() + pause;
    let text = error.to_string();
    if let Err(error) = lapse.history.set_not_shared(one, &text, retry_at).await {
        tracing::warn!(code = error.code.as_str(), "why a file isn't shared isn't kept");
    }
}

/// Whether no file of a profile can be shared then.
fn is_of_profile(code: Code) -> bool {
    matches!(
        code,
        Code::SignIn
            | Code::NoSuchProfile
            | Code::Profile
            | Code::Config
            | Code::NoSuchBucket
            | Code::AccessDenied
            | Code::WrongRegion
            | Code::NotS3
            | Code::Certificate
            | Code::Clock
            | Code::Keychain
            | Code::KeychainLocked
            | Code::KeychainAbsent
            | Code::Passphrase
            | Code::Store
            | Code::StorePort
            | Code::DiskFull
            | Code::Disk
            | Code::DatabaseLocked
    )
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
