//! What was answered stays, also when the host is killed.

use std::collections::{BTreeSet, HashMap};
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use lapse_local_store::{Key, Options, credentials, host_of, start};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::signer::Draft;
use crate::support::{Host, bytes, names};

const STORE: &str = "LAPSE_TEST_STORE";
const KEYS: usize = 6;

/// Not a test by itself: the process that the tests here kill.
#[test]
fn child_host() {
    let Some(dir) = std::env::var_os(STORE) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _running = runtime.block_on(start(Path::new(&dir), Options::default())).unwrap();
    // It ends with whoever started it.
    let _ended = std::io::stdin().read(&mut [0]);
}

/// What a request makes of a key, and between which ticks it was under way.
struct Change {
    begun: usize,
    answered: Option<usize>,
    content: Option<Vec<u8>>,
}

/// All changes by key, and the clock that orders them.
#[derive(Default)]
struct Log {
    ticks: usize,
    changes: HashMap<usize, Vec<Change>>,
}

impl Log {
    fn tick(&mut self) -> usize {
        self.ticks += 1;
        self.ticks
    }

    /// A change counts unless another began after its answer and was answered too.
    fn may_be(&self, key: usize, found: Option<&[u8]>) -> bool {
        let changes = &self.changes[&key];
        changes.iter().any(|change| {
            let is_over =
                |end| changes.iter().any(|later| later.begun > end && later.answered.is_some());
            change.content.as_deref() == found && !change.answered.is_some_and(is_over)
        })
    }
}

async fn host_in_child(store: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "durable::child_host"])
        .env(STORE, store)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..1000 {
        if host_of(store).unwrap().is_some_and(|host| host.pid == child.id()) {
            return child;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("the child didn't host the store within 20 seconds");
}

/// The status of the answer; `None` when the host was killed before it came.
async fn status(host: &str, draft: Draft, body: &[u8]) -> Option<u16> {
    let mut stream = tokio::net::TcpStream::connect(host).await.ok()?;
    stream.write_all(&draft.request(body)).await.ok()?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.ok()?;
    std::str::from_utf8(&answer[9..]).unwrap().parse().ok()
}

async fn write_until_killed(store: &Path, log: &Mutex<Log>, seed: u64) {
    let endpoint = lapse_local_store::endpoint(store).unwrap().unwrap();
    let secret = credentials(store, Key::Profile).unwrap();
    for turn in 0_u64.. {
        let roll = rand::random_range(0..1000_usize);
        let key = roll % KEYS;
        let content = (roll % 4 > 0).then(|| bytes(roll * 300 + 8, seed * 1_000_000 + turn));
        let place = {
            let mut log = log.lock().unwrap();
            let begun = log.tick();
            let changes = log.changes.entry(key).or_default();
            changes.push(Change { begun, answered: None, content: content.clone() });
            changes.len() - 1
        };
        let method = if content.is_some() { "PUT" } else { "DELETE" };
        let draft = Draft::new(method, &endpoint, &format!("/lapse/{key}"), secret.clone());
        let host = endpoint.trim_start_matches("http://");
        match status(host, draft, content.as_deref().unwrap_or_default()).await {
            None => return,
            Some(status) => assert!(matches!(status, 200 | 204), "{method}: {status}"),
        }
        let mut log = log.lock().unwrap();
        let tick = log.tick();
        log.changes.get_mut(&key).unwrap()[place].answered = Some(tick);
    }
}

/// Every file in `blobs/` is named by a row and the other way round; `tmp/` is empty.
fn assert_files_are_those_of_the_rows(store: &Path) {
    let index = rusqlite::Connection::open(store.join("index.db")).unwrap();
    let mut rows = index.prepare("SELECT file FROM piece UNION SELECT file FROM part").unwrap();
    let named: BTreeSet<String> =
        rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(names(&store.join("blobs")).into_iter().collect::<BTreeSet<_>>(), named);
    assert_eq!(names(&store.join("tmp")), Vec::<String>::new());
}

#[tokio::test]
async fn nothing_answered_is_lost_when_the_host_is_killed() {
    let rounds = std::env::var("LAPSE_KILL_ROUNDS").map_or(3, |rounds| rounds.parse().unwrap());
    let mut dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    let mut log = Log::default();
    for key in 0..KEYS {
        log.changes.insert(key, vec![Change { begun: 0, answered: Some(0), content: None }]);
    }
    let log = Arc::new(Mutex::new(log));
    for round in 0..rounds {
        let mut child = host_in_child(&store).await;
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let (store, log) = (store.clone(), Arc::clone(&log));
                tokio::spawn(async move {
                    write_until_killed(&store, &log, round * 8 + writer).await;
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(rand::random_range(200..900))).await;
        child.kill().unwrap();
        child.wait().unwrap();
        for writer in writers {
            writer.await.unwrap();
        }
        let running = start(&store, Options::default()).await.unwrap();
        assert_files_are_those_of_the_rows(&store);
        let host = Host { dir, running };
        for key in 0..KEYS {
            let answer = host.send(host.draft("GET", &format!("/lapse/{key}")), b"").await;
            let found = (answer.status == 200).then_some(answer.body);
            assert!(found.is_some() || answer.status == 404, "{}", answer.status);
            let mut log = log.lock().unwrap();
            assert!(log.may_be(key, found.as_deref()), "round {round}: key {key} is another");
            let now = log.tick();
            let settled = Change { begun: now, answered: Some(now), content: found };
            log.changes.insert(key, vec![settled]);
        }
        host.running.stop().await;
        dir = host.dir;
    }
}
