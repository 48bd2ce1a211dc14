//! Clients that keep the store waiting, and clients in crowds.

use std::time::{Duration, Instant};

use lapse_local_store::{Limits, Options, start};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::form::FormDraft;
use crate::support::{Answer, Host, bytes, names, until};

const LONG: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_secs(1);
const PATH: &str = "/lapse/k";

async fn host(limits: Limits) -> Host {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { limits, ..Options::default() };
    let running = start(&dir.path().join("store"), options).await.unwrap();
    Host { dir, running }
}

/// Sends a byte now and then until the other side has had enough.
async fn trickle(host: &Host, request: &[u8]) -> Vec<u8> {
    let (mut reading, mut writing) = host.connect().await.into_split();
    let body = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let request = request.to_vec();
    let sending = tokio::spawn(async move {
        writing.write_all(&request[..body]).await.unwrap();
        for byte in &request[body..] {
            if writing.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let mut answer = Vec::new();
    // A reset after the answer is an end as well.
    let _ = tokio::time::timeout(LONG, reading.read_to_end(&mut answer)).await.unwrap();
    sending.abort();
    answer
}

#[tokio::test]
async fn defaults_cut_within_a_minute() {
    let Limits { head, pause, .. } = Limits::default();
    // Of two windows the first may have moved enough at its very beginning.
    assert!(head < LONG && 2 * pause < LONG);
}

#[tokio::test]
async fn bodies_that_trickle_are_cut() {
    let host = host(Limits { pause: SHORT, ..Limits::default() }).await;
    assert_eq!(host.send(host.draft("PUT", PATH), b"old").await.status, 200);
    let body = bytes(10_000, 1);
    let began = Instant::now();
    let answer = Answer::parse(&trickle(&host, &host.draft("PUT", PATH).request(&body)).await);
    assert_eq!((answer.status, answer.code()), (400, "RequestTimeout"));

    let form = FormDraft::new(&host, "k");
    let head = form.head(&host, 100_000);
    for start in ["--".to_owned(), crate::form::start(&form.signed(), "f")] {
        let request = [head.as_bytes(), start.as_bytes(), &body].concat();
        let answer = Answer::parse(&trickle(&host, &request).await);
        assert_eq!((answer.status, answer.code()), (400, "RequestTimeout"), "{answer:?}");
    }
    // XML and the keys' API read their bodies whole; whatever they say, they end.
    let delete = host.draft("POST", "/lapse").query("delete", "").request(&body);
    trickle(&host, &delete).await;
    let iam = format!(
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 1000\r\n\r\n{}",
        "a".repeat(1000)
    );
    trickle(&host, iam.as_bytes()).await;
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    assert_eq!(host.send(host.draft("GET", PATH), b"").await.body, b"old");
    assert_eq!(names(&host.store().join("tmp")), Vec::<String>::new());
}

#[tokio::test]
async fn a_slow_line_is_fast_enough() {
    let host = host(Limits { pause: 2 * SHORT, ..Limits::default() }).await;
    let body = bytes(6 * 20_000, 1);
    let request = host.draft("PUT", PATH).request(&body);
    let mut stream = host.connect().await;
    let (head, rest) = request.split_at(request.len() - body.len());
    stream.write_all(head).await.unwrap();
    for chunk in rest.chunks(20_000) {
        stream.write_all(chunk).await.unwrap();
        tokio::time::sleep(SHORT / 2).await;
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(Answer::parse(&answer).status, 200);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut() {
    let host = host(Limits { pause: SHORT, ..Limits::default() }).await;
    let body = bytes(64 * 1024 * 1024, 1);
    assert_eq!(host.send(host.draft("PUT", PATH), &body).await.status, 200);
    let mut stream = host.connect().await;
    stream.write_all(&host.draft("GET", PATH).request(b"")).await.unwrap();
    until(|| host.running.activity().under_way == 1).await;
    let waited = async {
        while host.running.activity().under_way > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LONG, waited).await.expect("the download should have been given up");
    let mut got = Vec::new();
    let _ = stream.read_to_end(&mut got).await;
    assert!(got.len() < body.len());
}

#[tokio::test]
async fn silent_connections_make_room_and_busy_ones_do_not() {
    const PLACES: usize = 4;
    let host = host(Limits { head: LONG, connections: PLACES, ..Limits::default() }).await;
    let body = bytes(32 * 1024 * 1024, 1);
    assert_eq!(host.send(host.draft("PUT", PATH), &body).await.status, 200);
    let mut silent = Vec::new();
    for _ in 0..PLACES * 2 {
        silent.push(host.connect().await);
    }
    let began = Instant::now();
    let head = || host.send(host.draft("HEAD", PATH), b"");
    assert_eq!(head().await.status, 200);
    assert!(began.elapsed() < LONG / 2, "{:?}", began.elapsed());
    drop(silent);

    // Downloads that are under way stay; the newcomer waits until one has ended.
    let mut downloads = Vec::new();
    for _ in 0..PLACES {
        let mut stream = host.connect().await;
        stream.write_all(&host.draft("GET", PATH).request(b"")).await.unwrap();
        downloads.push(stream);
    }
    until(|| host.running.activity().under_way == PLACES).await;
    assert!(tokio::time::timeout(2 * SHORT, head()).await.is_err(), "there was no place");
    let whole = |mut stream: TcpStream| async move {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        Answer::parse(&answer).body
    };
    assert!(whole(downloads.pop().unwrap()).await == body);
    assert_eq!(head().await.status, 200);
    for stream in downloads {
        assert!(whole(stream).await == body);
    }
}

#[tokio::test]
async fn five_thousand_connections_do_not_shut_anybody_out() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let host = host(Limits { head: 10 * LONG, ..Limits::default() }).await;
    assert_eq!(host.send(host.draft("PUT", PATH), b"hello").await.status, 200);
    let address = host.endpoint().replace("http://", "");
    let silent: Vec<_> = (0..5000)
        .map(|_| {
            let address = address.clone();
            tokio::spawn(async move {
                let stream = TcpStream::connect(address).await;
                tokio::time::sleep(LONG).await;
                drop(stream);
            })
        })
        .collect();
    tokio::time::sleep(SHORT).await;
    let get = tokio::time::timeout(LONG, host.send(host.draft("GET", PATH), b""));
    assert_eq!(get.await.expect("it should get its turn").body, b"hello");
    for task in silent {
        task.abort();
    }
    host.running.stop().await;
}

#[tokio::test]
async fn forms_of_strangers_make_room() {
    const PLACES: usize = 4;
    let host = host(Limits { connections: PLACES, ..Limits::default() }).await;
    assert_eq!(host.send(host.draft("PUT", PATH), b"hello").await.status, 200);
    let head = FormDraft::new(&host, "k").head(&host, 100_000);
    let iam = "POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 1000\r\n\r\na";
    let mut strangers = Vec::new();
    for begun in [format!("{head}--"), iam.to_owned()].iter().cycle().take(3 * PLACES) {
        let mut stream = host.connect().await;
        stream.write_all(begun.as_bytes()).await.unwrap();
        strangers.push(stream);
    }
    let began = Instant::now();
    assert_eq!(host.send(host.draft("GET", PATH), b"").await.body, b"hello");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());

    // One who has shown a signature stays, however long the file takes.
    let form = FormDraft::new(&host, "form");
    let start = crate::form::start(&form.signed(), "f");
    let end = crate::form::end();
    let length = start.len() + 1000 + end.len();
    let mut known = host.connect().await;
    known.write_all(form.head(&host, length).as_bytes()).await.unwrap();
    known.write_all(start.as_bytes()).await.unwrap();
    until(|| host.running.activity().under_way > 0).await;
    tokio::time::sleep(2 * SHORT).await;
    let mut crowd = Vec::new();
    for _ in 0..2 * PLACES {
        crowd.push(host.connect().await);
    }
    assert_eq!(host.send(host.draft("GET", PATH), b"").await.status, 200);
    known.write_all(&bytes(1000, 1)).await.unwrap();
    known.write_all(end.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    known.read_to_end(&mut answer).await.unwrap();
    assert_eq!(Answer::parse(&answer).status, 204);
}
