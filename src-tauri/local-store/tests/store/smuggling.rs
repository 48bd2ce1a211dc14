//! Requests whose end two readers might see in two places.

use lapse_local_store::{Credentials, Key};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::signer::Draft;
use crate::support::{Host, until};

const PATH: &str = "/lapse/k";

/// Sends bytes, ends the sending, and reads to the end; a reset counts as an end.
async fn answers(host: &Host, request: &[u8]) -> String {
    let mut stream = host.connect().await;
    stream.write_all(request).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn requests_of_two_lengths_are_refused_and_hide_no_other() {
    let host = Host::start().await;
    assert_eq!(host.send(host.draft("PUT", PATH), b"hello").await.status, 200);
    let delete = host.draft("DELETE", PATH).request(b"");
    let length = delete.len();
    let put = String::from_utf8(host.draft("PUT", "/lapse/other").request(b"")).unwrap();
    let head: String = put
        .trim_end()
        .lines()
        .filter(|line| !line.starts_with("content-length") && !line.starts_with("connection"))
        .map(|line| format!("{line}\r\n"))
        .collect();
    for (what, fields) in [
        (
            "length and chunks",
            format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n"),
        ),
        (
            "chunks and length",
            format!("transfer-encoding: chunked\r\ncontent-length: {length}\r\n"),
        ),
        ("two lengths", format!("content-length: 0\r\ncontent-length: {length}\r\n")),
        ("a list of lengths", format!("content-length: 0, {length}\r\n")),
        ("a length with a sign", format!("content-length: +{length}\r\n")),
        ("a negative length", "content-length: -1\r\n".to_owned()),
        ("a length in hex", format!("content-length: 0x{length:x}\r\n")),
        ("a length beyond all", "content-length: 99999999999999999999999\r\n".to_owned()),
        ("an unknown coding", "transfer-encoding: xchunked\r\n".to_owned()),
        ("chunks that aren't last", "transfer-encoding: chunked, identity\r\n".to_owned()),
        ("a space before the colon", format!("content-length : {length}\r\n")),
        ("a folded header", format!("x-a: b\r\n content-length: {length}\r\n")),
        ("a bare carriage return", format!("x-a: b\rcontent-length: {length}\r\n")),
        ("a zero byte", "x-a: b\0c\r\n".to_owned()),
    ] {
        let request = [head.as_bytes(), fields.as_bytes(), b"\r\n0\r\n\r\n", &delete].concat();
        let answer = answers(&host, &request).await;
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{what}: {answer}");
        let refused = ["HTTP/1.1 400", "HTTP/1.1 411"].iter().any(|line| answer.starts_with(line));
        assert!(refused, "{what}: {answer}");
        let kept = host.send(host.draft("GET", PATH), b"").await;
        assert_eq!(kept.body, b"hello", "{what}");
    }
}

#[tokio::test]
async fn body_is_asked_for_only_when_it_is_wanted() {
    let host = Host::start().await;
    let expecting = |path: &str| {
        let draft = host.draft("PUT", path).unsigned_header("expect", "100-continue");
        draft.request(b"hello")
    };
    let mut stream = host.connect().await;
    let request = expecting(PATH);
    let (head, body) = request.split_at(request.len() - 5);
    stream.write_all(head).await.unwrap();
    let mut line = [0; 25];
    stream.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"));

    let request = expecting("/other/k");
    let mut stream = host.connect().await;
    stream.write_all(&request[..request.len() - 5]).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 403"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn connection_goes_on_after_a_refusal_or_is_said_to_close() {
    let host = Host::start().await;
    assert_eq!(host.send(host.draft("PUT", PATH), b"hello").await.status, 200);
    let kept = |draft: Draft, body: &[u8]| {
        let request = draft.request(body);
        let end = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let head = String::from_utf8(request[..end].to_vec()).unwrap();
        (head.replace("connection: close\r\n", ""), request[end..].to_vec())
    };
    let put = || host.draft("PUT", PATH).header("if-none-match", "*");
    let unknown = || Draft {
        key: Credentials { access_key: "AKIANOBODY".into(), ..host.key(Key::Profile) },
        ..host.draft("PUT", PATH)
    };
    for (what, draft, status) in [("condition", put(), "412"), ("key", unknown(), "403")] {
        // The body comes after the head was judged.
        let (head, body) = kept(draft, &[b'x'; 1000]);
        let mut stream = host.connect().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        until(|| host.running.activity().under_way == 1).await;
        stream.write_all(&body).await.unwrap();
        let (next, _) = kept(host.draft("HEAD", PATH), b"");
        stream.write_all(next.as_bytes()).await.unwrap();
        stream.write_all(&host.draft("HEAD", PATH).request(b"")).await.unwrap();
        let mut answers = Vec::new();
        stream.read_to_end(&mut answers).await.unwrap();
        let answers = String::from_utf8(answers).unwrap();
        assert!(answers.starts_with(&format!("HTTP/1.1 {status}")), "{what}: {answers}");
        assert_eq!(answers.matches("HTTP/1.1 200").count(), 2, "{what}: {answers}");
    }
    let large = "1000000";
    for (what, draft, status) in [
        ("much", put().unsigned_header("content-length", large), 412),
        ("much", unknown().unsigned_header("content-length", large), 403),
        ("nothing", unknown().unsigned_header("content-length", "5"), 403),
        (
            "waits",
            unknown()
                .unsigned_header("content-length", "5")
                .unsigned_header("expect", "100-continue"),
            403,
        ),
    ] {
        let (head, _) = kept(draft, b"");
        let answer = host.raw(head.as_bytes()).await;
        assert_eq!(answer.status, status, "{what}");
        assert_eq!(answer.header("connection"), Some("close"), "{what}: {answer:?}");
    }
    let (head, _) = kept(unknown(), b"");
    let chunked = "transfer-encoding: chunked\r\nexpect: 100-continue";
    let answer = host.raw(head.replace("content-length: 0", chunked).as_bytes()).await;
    assert_eq!((answer.status, answer.header("connection")), (403, Some("close")));
    assert_eq!(host.send(host.draft("GET", PATH), b"").await.body, b"hello");
}

#[tokio::test]
async fn target_and_host_name_the_same_host() {
    let host = Host::start().await;
    assert_eq!(host.send(host.draft("PUT", PATH), b"hello").await.status, 200);
    let name = host.endpoint().replace("http://", "");
    let link = host.draft("GET", PATH).link();
    for (named, status) in [
        (name.as_str(), 200),
        ("evil", 400),
        ("evil:80", 400),
        (&format!("evil@{name}"), 400),
        (&name.replace("127.0.0.1", "localhost"), 400),
    ] {
        let answer = host.follow("GET", &format!("http://{named}{link}"), "").await;
        assert_eq!(answer.status, status, "{named}: {answer:?}");
    }
    let form = "content-type: multipart/form-data; boundary=x\r\ncontent-length: 0\r\n";
    let answer = host.follow("POST", "http://evil/lapse", form).await;
    assert_eq!((answer.status, answer.code()), (400, "InvalidRequest"));
}
