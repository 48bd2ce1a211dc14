//! Who hosts, where, and what a start and a stop leave behind.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use lapse_local_store::{
    Error, HostInfo, Key, Options, Usage, credentials, endpoint, host_of, secret_of, start, usage,
};

use crate::signer::Draft;
use crate::support::{Host, bytes, names};

#[tokio::test]
async fn second_start_says_who_hosts() {
    let host = Host::start().await;
    let hosted = start(&host.store(), Options { background: true, ..Options::default() }).await;
    assert!(matches!(hosted, Err(Error::Hosted(info)) if info == host.running.info()));
    assert_eq!(host_of(&host.store()).unwrap(), Some(host.running.info()));
}

#[tokio::test]
async fn of_many_starts_at_once_one_hosts() {
    let dir = tempfile::tempdir().unwrap();
    let starts: Vec<_> = (0..8)
        .map(|_| {
            let dir = dir.path().to_owned();
            tokio::spawn(async move { start(&dir, Options::default()).await })
        })
        .collect();
    let (mut running, mut hosted) = (Vec::new(), 0);
    for started in starts {
        match started.await.unwrap() {
            Ok(host) => running.push(host),
            Err(Error::Hosted(_)) => hosted += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((running.len(), hosted), (1, 7));
}

#[tokio::test]
async fn port_and_objects_stay_over_restarts() {
    let host = Host::start().await;
    host.send(host.draft("PUT", "/lapse/k"), b"kept").await;
    let link = host.draft("GET", "/lapse/k").link();
    let store = host.store();
    let first = host.endpoint();
    host.running.stop().await;
    assert_eq!(host_of(&store).unwrap(), None);
    assert_eq!(endpoint(&store).unwrap().as_ref(), Some(&first));
    assert_eq!(usage(&store).unwrap(), Usage { objects: 1, bytes: 4 });
    let running = start(&store, Options { background: true, ..Options::default() }).await.unwrap();
    assert_eq!(running.info().endpoint, first);
    assert!(host_of(&store).unwrap().unwrap().background);
    let host = Host { dir: host.dir, running };
    assert_eq!(host.follow("GET", &link, "").await.body, b"kept");
    host.running.stop().await;
}

#[tokio::test]
async fn port_of_another_program_is_said_and_no_other_is_taken() {
    let host = Host::start().await;
    let store = host.store();
    let address = host.endpoint().replace("http://", "");
    host.running.stop().await;
    let other = TcpListener::bind(&address).unwrap();
    let port = other.local_addr().unwrap().port();
    let taken = start(&store, Options::default()).await;
    assert!(matches!(taken, Err(Error::PortTaken { port: said }) if said == port));
    assert_eq!(host_of(&store).unwrap(), None);
    drop(other);
    start(&store, Options::default()).await.unwrap().stop().await;
}

#[tokio::test]
async fn crashed_host_is_no_host() {
    let host = Host::start().await;
    let store = host.store();
    let mut crashed = host.running.info();
    host.running.stop().await;
    // As kill -9 leaves it: a record, and a lock that the system has freed.
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    crashed.pid = child.id();
    let record =
        format!(r#"{{"pid":{},"endpoint":"{}","background":true}}"#, crashed.pid, crashed.endpoint);
    std::fs::write(store.join("host.json"), record).unwrap();
    assert_eq!(host_of(&store).unwrap(), None);
    let running = start(&store, Options::default()).await.unwrap();
    let expected = HostInfo {
        pid: std::process::id(),
        endpoint: crashed.endpoint,
        lan: None,
        background: false,
        embedded: false,
    };
    assert_eq!(host_of(&store).unwrap(), Some(expected));
    running.stop().await;
}

#[tokio::test]
async fn what_a_crash_left_is_swept_at_the_next_start() {
    let host = Host::start().await;
    host.send(host.draft("PUT", "/lapse/k"), b"kept").await;
    let store = host.store();
    host.running.stop().await;
    let kept = names(&store.join("blobs"));
    std::fs::write(store.join("blobs/0123456789abcdef0123456789abcdef"), b"stray").unwrap();
    std::fs::write(store.join("tmp/half"), b"half").unwrap();
    let running = start(&store, Options::default()).await.unwrap();
    assert_eq!(names(&store.join("blobs")), kept);
    assert_eq!(names(&store.join("tmp")), Vec::<String>::new());
    let host = Host { dir: host.dir, running };
    assert_eq!(host.send(host.draft("GET", "/lapse/k"), b"").await.body, b"kept");
}

#[tokio::test]
async fn files_of_an_older_store_get_their_checksums() {
    let host = Host::start().await;
    for (key, seed) in [("good", 1), ("half", 2), ("bad", 3), ("empty", 4)] {
        let body = bytes(if key == "empty" { 0 } else { 200_000 }, seed);
        host.send(host.draft("PUT", &format!("/lapse/{key}")), &body).await;
    }
    let store = host.store();
    host.running.stop().await;
    let index = rusqlite::Connection::open(store.join("index.db")).unwrap();
    let file = |key: &str| -> String {
        let find = "SELECT file FROM piece JOIN object ON id = object WHERE key = CAST(?1 AS BLOB)";
        index.query_row(find, [key], |row| row.get(0)).unwrap()
    };
    // As version 2 kept them; and as a crash in the midst of the change leaves one.
    for (key, length) in [("good", 200_000), ("half", 200_003), ("bad", 200_000)] {
        let path = store.join("blobs").join(file(key));
        std::fs::File::options().write(true).open(&path).unwrap().set_len(length).unwrap();
    }
    crate::support::flip(&store.join("blobs").join(file("bad")), 5);
    index.execute_batch("DROP TABLE lifecycle; PRAGMA user_version = 2").unwrap();
    index.close().unwrap();

    let running = start(&store, Options::default()).await.unwrap();
    let host = Host { dir: host.dir, running };
    for (key, seed) in [("good", 1), ("half", 2)] {
        let got = host.send(host.draft("GET", &format!("/lapse/{key}")), b"").await;
        assert!(got.body == bytes(200_000, seed), "{key}");
    }
    assert_eq!(host.send(host.draft("GET", "/lapse/empty"), b"").await.status, 200);
    assert_eq!(host.send(host.draft("GET", "/lapse/bad"), b"").await.status, 500);
    let damaged = lapse_local_store::check(&store, |_| {}).unwrap().damaged;
    assert_eq!(damaged.iter().map(|found| found.key.as_str()).collect::<Vec<_>>(), ["bad"]);
}

#[tokio::test]
async fn newer_index_is_refused_and_left_alone() {
    let host = Host::start().await;
    let store = host.store();
    host.running.stop().await;
    let index = store.join("index.db");
    let connection = rusqlite::Connection::open(&index).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    connection.close().unwrap();
    let before = std::fs::read(&index).unwrap();
    for _ in 0..2 {
        let refused = start(&store, Options::default()).await;
        assert!(matches!(refused, Err(Error::Newer { found: 99, .. })));
        assert!(matches!(credentials(&store, Key::Root), Err(Error::Newer { .. })));
    }
    assert!(std::fs::read(&index).unwrap() == before);
    std::fs::write(&index, bytes(9000, 8)).unwrap();
    assert!(matches!(start(&store, Options::default()).await, Err(Error::Corrupt { .. })));
    assert!(std::fs::read(&index).unwrap() == bytes(9000, 8));
}

#[tokio::test]
async fn keys_look_like_keys_and_are_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    assert!(matches!(credentials(&store, Key::Profile), Err(Error::NoStore(_))));
    assert_eq!(secret_of(&store, "LAPSAAAAAAAAAAAAAAAA").unwrap(), None);
    assert_eq!(endpoint(&store).unwrap(), None);
    assert_eq!(host_of(&store).unwrap(), None);
    assert_eq!(usage(&store).unwrap(), Usage { objects: 0, bytes: 0 });
    assert!(!store.exists());
    let host = Host::start().await;
    let keys = [Key::Root, Key::Profile, Key::Env].map(|key| host.key(key));
    for key in &keys {
        assert_eq!((key.access_key.len(), key.secret_key.len()), (20, 40));
        assert!(
            key.access_key.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        );
        assert_eq!(secret_of(&host.store(), &key.access_key).unwrap().as_ref(), Some(key));
        assert!(!format!("{key:?}").contains(&key.secret_key));
    }
    assert!(keys[0] != keys[1] && keys[1] != keys[2]);
    assert_eq!(secret_of(&host.store(), "LAPSAAAAAAAAAAAAAAAA").unwrap(), None);
}

#[tokio::test]
async fn nobody_else_may_read_the_folder() {
    let host = Host::start().await;
    host.send(host.draft("PUT", "/lapse/k"), b"x").await;
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let store = host.store();
    for dir in [store.clone(), store.join("blobs"), store.join("tmp")] {
        assert_eq!(mode(&dir), 0o700, "{}", dir.display());
        for name in names(&dir) {
            let path = dir.join(name);
            assert_eq!(
                mode(&path),
                if path.is_dir() { 0o700 } else { 0o600 },
                "{}",
                path.display()
            );
        }
    }
}

#[tokio::test]
async fn stop_lets_a_request_under_way_finish() {
    let host = Host::start().await;
    let data = bytes(30_000_000, 9);
    assert_eq!(host.send(host.draft("PUT", "/lapse/k"), &data).await.status, 200);
    let store = host.store();
    let draft = Draft::new("GET", &host.endpoint(), "/lapse/k", host.key(Key::Profile));
    let mut stream = host.connect().await;
    tokio::io::AsyncWriteExt::write_all(&mut stream, &draft.request(b"")).await.unwrap();
    stream.readable().await.unwrap();
    assert_eq!(host.running.activity().under_way, 1);
    assert!(host.running.activity().last_request.is_some());
    let stopping = tokio::spawn(host.running.stop());
    let mut got = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut got).await.unwrap();
    assert!(crate::support::Answer::parse(&got).body == data);
    stopping.await.unwrap();
    assert_eq!(host_of(&store).unwrap(), None);
}

#[tokio::test]
async fn index_of_a_backup_loses_no_file() {
    let host = Host::start().await;
    host.send(host.draft("PUT", "/lapse/old"), b"old").await;
    let store = host.store();
    host.running.stop().await;
    let index = store.join("index.db");
    let backup = std::fs::read(&index).unwrap();
    let restart = async |dir| {
        let running = start(&store, Options::default()).await.unwrap();
        Host { dir, running }
    };
    let host = restart(host.dir).await;
    host.send(host.draft("PUT", "/lapse/new"), b"new").await;
    host.running.stop().await;
    let newer = std::fs::read(&index).unwrap();

    std::fs::write(&index, backup).unwrap();
    let host = restart(host.dir).await;
    assert_eq!(host.send(host.draft("GET", "/lapse/old"), b"").await.body, b"old");
    assert_eq!(host.send(host.draft("GET", "/lapse/new"), b"").await.status, 404);
    host.running.stop().await;

    std::fs::write(&index, newer).unwrap();
    let host = restart(host.dir).await;
    for key in ["old", "new"] {
        let got = host.send(host.draft("GET", &format!("/lapse/{key}")), b"").await;
        assert_eq!(got.body, key.as_bytes());
    }
    assert_eq!(names(&store.join("unnamed")), Vec::<String>::new());
    host.running.stop().await;

    // An index with nothing in it is none.
    for nothing in [&[][..], &[0; 4096]] {
        std::fs::write(&index, nothing).unwrap();
        let refused = start(&store, Options::default()).await;
        assert!(matches!(refused, Err(Error::IndexGone(_) | Error::Corrupt { .. })));
        assert_eq!(names(&store.join("blobs")).len(), 2);
    }
}

#[tokio::test]
async fn what_is_set_aside_goes_after_a_week_and_what_is_not_ours_stays() {
    let host = Host::start().await;
    let store = host.store();
    host.running.stop().await;
    let week = std::time::Duration::from_hours(7 * 24);
    for (name, age) in [("old", week * 2), ("young", week / 2)] {
        let file = std::fs::File::create(store.join("unnamed").join(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - age).unwrap();
    }
    for folder in ["blobs", "tmp", "unnamed"] {
        std::fs::create_dir(store.join(folder).join("lost+found")).unwrap();
    }
    start(&store, Options::default()).await.unwrap().stop().await;
    let mut left = names(&store.join("unnamed"));
    left.sort_unstable();
    assert_eq!(left, ["lost+found", "young"]);
}
