//! What was answered stays, also when the host is killed.

use std::collections::{BTreeSet, HashMap};
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use lapse_local_store::{BUCKET, Key, Options, credentials, host_of, start};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::signer::Draft;
use crate::support::{Host, bytes, code, names};

const STORE: &str = "LAPSE_TEST_STORE";
const SMALL_DISK: &str = "LAPSE_TEST_SMALL_DISK";
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

/// Puts an object as a part of its own. Gives whether that was answered before the host was killed.
async fn in_parts(client: &aws_sdk_s3::Client, key: &str, content: Vec<u8>) -> bool {
    let put = async {
        let upload = client.create_multipart_upload().bucket(BUCKET).key(key).send();
        let upload = upload.await.map_err(aws_sdk_s3::Error::from)?;
        let id = upload.upload_id().unwrap();
        let part = client.upload_part().bucket(BUCKET).key(key).upload_id(id).part_number(1);
        let part = part.body(content.into()).send().await.map_err(aws_sdk_s3::Error::from)?;
        let part = CompletedPart::builder().part_number(1).e_tag(part.e_tag().unwrap()).build();
        let parts = CompletedMultipartUpload::builder().parts(part).build();
        let complete = client.complete_multipart_upload().bucket(BUCKET).key(key).upload_id(id);
        complete.multipart_upload(parts).send().await.map_err(aws_sdk_s3::Error::from)
    };
    match put.await {
        Ok(_) => true,
        Err(error) => {
            // The server didn't refuse it: it was gone.
            assert_eq!(error.code(), None, "{error:?}");
            false
        }
    }
}

async fn write_until_killed(store: &Path, log: &Mutex<Log>, seed: u64) {
    let endpoint = lapse_local_store::endpoint(store).unwrap().unwrap();
    let secret = credentials(store, Key::Profile).unwrap();
    let client = crate::support::client(&endpoint, &secret);
    let once = client.config().to_builder().retry_config(RetryConfig::disabled());
    let client = aws_sdk_s3::Client::from_conf(once.build());
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
        let answered = match content {
            Some(content) if roll % 4 == 1 => in_parts(&client, &key.to_string(), content).await,
            content => {
                let method = if content.is_some() { "PUT" } else { "DELETE" };
                let draft = Draft::new(method, &endpoint, &format!("/lapse/{key}"), secret.clone());
                let host = endpoint.trim_start_matches("http://");
                let status = status(host, draft, content.as_deref().unwrap_or_default()).await;
                assert!(matches!(status, None | Some(200 | 204)), "{method}: {status:?}");
                status.is_some()
            }
        };
        if !answered {
            return;
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

/// Not a test by itself: the process that has a small disk.
#[tokio::test(flavor = "multi_thread")]
async fn child_on_a_small_disk() {
    let Some(dir) = std::env::var_os(SMALL_DISK) else { return };
    let running = start(&Path::new(&dir).join("store"), Options::default()).await.unwrap();
    let host = Arc::new(Host { dir: tempfile::tempdir().unwrap(), running });
    let client = crate::support::client(
        &host.endpoint(),
        &credentials(&Path::new(&dir).join("store"), Key::Profile).unwrap(),
    );
    let writers: Vec<_> = (0..8_u64)
        .map(|writer| {
            let client = client.clone();
            tokio::spawn(async move {
                let mut answered = Vec::new();
                for number in 0_u64..1000 {
                    let key = format!("{writer}-{number}");
                    let body = bytes(20_000, writer * 1000 + number);
                    let put = client.put_object().bucket(BUCKET).key(&key).body(body.into());
                    match put.send().await {
                        Ok(_) => answered.push((key, writer * 1000 + number)),
                        full => return (answered, code(full)),
                    }
                }
                panic!("the disk didn't fill up");
            })
        })
        .collect();
    let mut all = Vec::new();
    for writer in writers {
        let (answered, why) = writer.await.unwrap();
        // Another's full disk may have taken this one's change back.
        assert!(["InsufficientStorage", "InternalError"].contains(&why.as_str()), "{why}");
        all.extend(answered);
    }
    assert!(all.len() > 100, "{}", all.len());
    for (key, seed) in &all {
        let got = client.get_object().bucket(BUCKET).key(key).send().await.unwrap();
        assert!(got.body.collect().await.unwrap().to_vec() == bytes(20_000, *seed), "{key}");
    }
    // Deleting needs little room, and makes some.
    for (key, _) in &all[..20] {
        client.delete_object().bucket(BUCKET).key(key).send().await.unwrap();
    }
    // A download that ended just now holds its file for a moment more.
    let mut tries = 0;
    loop {
        let put = client.put_object().bucket(BUCKET).key("new").body(bytes(1000, 1).into());
        match put.send().await {
            Err(_) if tries < 50 => tokio::time::sleep(Duration::from_millis(100)).await,
            put => {
                put.unwrap();
                break;
            }
        }
        tries += 1;
    }
    let host = Arc::into_inner(host).unwrap();
    host.running.stop().await;
    assert_files_are_those_of_the_rows(&Path::new(&dir).join("store"));

    // Another program takes the last byte: the store starts all the same, and makes room.
    let mut other = std::fs::File::create(Path::new(&dir).join("other")).unwrap();
    while std::io::Write::write(&mut other, &[1; 100]).is_ok() {}
    let running = start(&Path::new(&dir).join("store"), Options::default()).await.unwrap();
    client.delete_object().bucket(BUCKET).key("new").send().await.unwrap();
    running.stop().await;
}

#[test]
fn full_disk_is_an_error_and_loses_nothing_answered() {
    let dir = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=16m,mode=700 tmpfs \"$0\" && exec \"$1\" --exact durable::child_on_a_small_disk";
    let root = rustix::process::geteuid().is_root();
    let namespace: &[&str] = if root { &["--mount"] } else { &["--map-root-user", "--mount"] };
    let child = Command::new("unshare")
        .args(namespace)
        .args(["sh", "-c", script])
        .args([dir.path(), &std::env::current_exe().unwrap()])
        .env(SMALL_DISK, dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{child:?}");
}
