//! Requests that were changed after they were signed, or that say something twice.

use jiff::Timestamp;
use lapse_local_store::Key;
use sha2::{Digest, Sha256};

use crate::signer::{Draft, hex, sign};
use crate::support::{Answer, Host};

const PATH: &str = "/lapse/k";

async fn host_with_object() -> Host {
    let host = Host::start().await;
    assert_eq!(host.send(host.draft("PUT", PATH), b"kept").await.status, 200);
    host
}

async fn assert_kept(host: &Host, what: &str) {
    assert_eq!(host.send(host.draft("GET", PATH), b"").await.body, b"kept", "{what}");
}

fn is_refused(answer: &Answer) -> bool {
    matches!(answer.status, 400 | 403 | 501) && answer.code() != "RequestTimeout"
}

#[tokio::test]
async fn link_with_any_parameter_changed_or_left_out_is_refused() {
    let host = host_with_object().await;
    let link = host.draft("PUT", PATH).query("x-id", "PutObject").link();
    let length = "content-length: 0\r\n";
    let (path, query) = link.split_once('?').unwrap();
    let pairs: Vec<_> = query.split('&').collect();
    assert_eq!(pairs.len(), 7);
    for (at, pair) in pairs.iter().enumerate() {
        let (name, value) = pair.split_once('=').unwrap();
        let mut wrong = vec![
            String::new(),
            format!("{name}="),
            format!("{name}={value}0"),
            format!("{name}=0{value}"),
        ];
        // Every character is replaced by another of its kind.
        wrong.extend(value.char_indices().map(|(at, old)| {
            let new = match old {
                '0' => '1',
                '0'..='9' => '0',
                'a' => 'b',
                'a'..='z' => 'a',
                'A' => 'B',
                _ => 'A',
            };
            format!("{name}={}{new}{}", &value[..at], &value[at + old.len_utf8()..])
        }));
        for wrong in wrong {
            let mut pairs = pairs.clone();
            pairs[at] = &wrong;
            pairs.retain(|pair| !pair.is_empty());
            let answer = host.follow("PUT", &format!("{path}?{}", pairs.join("&")), length).await;
            assert!(is_refused(&answer), "{wrong}: {answer:?}");
        }
    }
    assert_kept(&host, "a changed link").await;
    assert_eq!(host.follow("PUT", &link, length).await.status, 200, "the link itself is right");
}

#[tokio::test]
async fn request_changed_after_it_was_signed_is_refused() {
    let host = host_with_object().await;
    let root = host.client(Key::Root);
    root.create_bucket().bucket("other").send().await.unwrap();
    let draft = Draft::new("PUT", &host.endpoint(), PATH, host.key(Key::Root));
    let draft = draft.header("content-type", "text/plain").header("x-amz-meta-a", "b");
    let request = String::from_utf8(draft.query("x-id", "PutObject").request(b"new")).unwrap();
    let lines: Vec<_> = request.lines().collect();
    let signature = request.split("Signature=").nth(1).unwrap()[..64].to_owned();
    let last = if signature.ends_with('0') { "1" } else { "0" };
    let date = lines.iter().find(|line| line.starts_with("x-amz-date")).unwrap();
    let hash = lines.iter().find(|line| line.starts_with("x-amz-content-sha256")).unwrap();
    let host_line = lines.iter().find(|line| line.starts_with("host")).unwrap();
    let earlier = (Timestamp::now() - jiff::SignedDuration::from_secs(77))
        .strftime("x-amz-date: %Y%m%dT%H%M%SZ");
    for (what, changed) in [
        ("the method", request.replacen("PUT", "GET", 1)),
        ("the method", request.replacen("PUT", "DELETE", 1)),
        ("the key", request.replacen("/lapse/k", "/lapse/l", 1)),
        ("the bucket", request.replacen("/lapse/k", "/other/k", 1)),
        ("the key's case", request.replacen("/lapse/k", "/lapse/K", 1)),
        ("the query", request.replacen("x-id=PutObject", "x-id=Put", 1)),
        ("the query", request.replacen("?x-id=PutObject", "", 1)),
        ("the query", request.replacen("x-id=PutObject", "x-id=PutObject&versionId=null", 1)),
        ("a header", request.replacen("text/plain", "text/html", 1)),
        ("a header", request.replacen("content-type: text/plain\r\n", "", 1)),
        ("metadata", request.replacen("x-amz-meta-a: b", "x-amz-meta-a: c", 1)),
        ("metadata", request.replacen("x-amz-meta-a: b", "x-amz-meta-b: b", 1)),
        (
            "more metadata",
            request.replacen("x-amz-meta-a: b", "x-amz-meta-a: b\r\nx-amz-meta-c: d", 1),
        ),
        ("what is signed", request.replacen("content-type;host", "host", 1)),
        ("the host", request.replacen(host_line, "host: localhost", 1)),
        ("the time", request.replacen(date, &earlier.to_string(), 1)),
        ("the hash", request.replacen(hash, "x-amz-content-sha256: UNSIGNED-PAYLOAD", 1)),
        ("the body", request.replacen("\r\n\r\nnew", "\r\n\r\nold", 1)),
        ("the signature", request.replacen(&signature, &format!("{}{last}", &signature[..63]), 1)),
        ("the signature", request.replacen(&signature, "", 1)),
        (
            "the key of the signer",
            request.replacen(&host.key(Key::Root).access_key, &host.key(Key::Env).access_key, 1),
        ),
        ("the day", request.replacen("/us-east-1/s3", "0/us-east-1/s3", 1)),
        ("the region", request.replacen("us-east-1", "us-east-2", 1)),
        ("the service", request.replacen("/s3/", "/iam/", 1)),
        ("the algorithm", request.replacen("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", 1)),
    ] {
        assert_ne!(changed, request, "{what}");
        let answer = host.raw(changed.as_bytes()).await;
        assert!(is_refused(&answer), "{what}: {answer:?}");
        assert_kept(&host, what).await;
    }
    for bucket in ["lapse", "other"] {
        let left = root.list_objects_v2().bucket(bucket).send().await.unwrap();
        assert_eq!(left.contents().len(), usize::from(bucket == "lapse"));
    }
    assert_eq!(host.raw(request.as_bytes()).await.status, 200, "the request itself is right");
}

#[tokio::test]
async fn signature_is_of_one_key_and_one_bucket() {
    let host = host_with_object().await;
    let root = host.client(Key::Root);
    root.create_bucket().bucket("other").send().await.unwrap();
    for path in ["/lapse/a/b", "/other/k"] {
        let put = Draft::new("PUT", &host.endpoint(), path, host.key(Key::Root));
        assert_eq!(host.send(put, b"theirs").await.status, 200);
    }
    let link = Draft::new("GET", &host.endpoint(), PATH, host.key(Key::Root)).link();
    for path in [
        "/lapse/a/b",
        "/other/k",
        "/lapse//k",
        "/lapse/k/",
        "//lapse/k",
        "/lapse",
        "/",
        "/lapse/%6b/../k",
    ] {
        let answer = host.follow("GET", &link.replacen(PATH, path, 1), "").await;
        assert!(is_refused(&answer), "{path}: {answer:?}");
    }
    assert_eq!(host.follow("GET", &link, "").await.body, b"kept");
}

#[tokio::test]
async fn header_that_comes_twice_is_not_read_in_two_ways() {
    let host = host_with_object().await;
    assert_eq!(host.send(host.draft("PUT", "/lapse/other"), b"other").await.status, 200);
    let copy = host.draft("PUT", "/lapse/copy").header("x-amz-copy-source", "lapse/k");
    let copy = String::from_utf8(copy.request(b"")).unwrap();
    let put = String::from_utf8(host.draft("PUT", PATH).request(b"new")).unwrap();
    let line = |request: &str, name: &str| {
        request.lines().find(|line| line.starts_with(name)).unwrap().to_owned() + "\r\n"
    };
    for (request, name, other) in [
        (&copy, "x-amz-copy-source", "x-amz-copy-source: lapse/other\r\n"),
        (&put, "authorization", "authorization: AWS4-HMAC-SHA256 x\r\n"),
        (&put, "x-amz-content-sha256", "x-amz-content-sha256: UNSIGNED-PAYLOAD\r\n"),
        (&put, "x-amz-date", "x-amz-date: 20200101T000000Z\r\n"),
        (&put, "host", "host: example.com\r\n"),
    ] {
        let line = line(request, name);
        for twice in [format!("{line}{other}"), format!("{other}{line}"), format!("{line}{line}")] {
            let answer = host.raw(request.replacen(&line, &twice, 1).as_bytes()).await;
            assert!(is_refused(&answer), "{twice}: {answer:?}");
        }
    }
    assert_kept(&host, "twice").await;
    assert_eq!(host.send(host.draft("HEAD", "/lapse/copy"), b"").await.status, 404);
    let by_query = host.draft("GET", "/lapse").query("prefix", "a").query("Prefix", "b").link();
    let answer = host.follow("GET", &by_query, "").await;
    assert_eq!((answer.status, answer.code()), (400, "InvalidArgument"));
}

#[tokio::test]
async fn request_names_the_hash_of_its_body() {
    let host = host_with_object().await;
    let request = String::from_utf8(host.draft("PUT", PATH).request(b"new")).unwrap();
    let hash = request.lines().find(|line| line.starts_with("x-amz-content-sha256")).unwrap();
    let without = request.replacen(&format!("{hash}\r\n"), "", 1);
    let without = without.replacen("host;x-amz-content-sha256;x-amz-date", "host;x-amz-date", 1);
    assert!(is_refused(&host.raw(without.as_bytes()).await));
    for wrong in ["", "x", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "STREAMING-UNHEARD-OF"] {
        let draft = host.draft("PUT", PATH).header("x-amz-content-sha256", wrong);
        let answer = host.send(draft.header("x-amz-decoded-content-length", "3"), b"new").await;
        assert!(is_refused(&answer), "{wrong}: {answer:?}");
    }
    let unsigned = host.draft("PUT", PATH).header("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    assert_kept(&host, "without a hash").await;
    assert_eq!(host.send(unsigned, b"any").await.status, 200);
}

/// The line of each chunk, with its size and signature, and its data.
type Signed = Vec<(String, Vec<u8>)>;
type Change = fn(&mut Signed);

/// A body in signed chunks; the pieces are those that are signed, in order.
struct Chunks {
    draft: Draft,
    scope: String,
    date: String,
    secret: String,
}

impl Chunks {
    fn new(host: &Host, length: usize) -> Self {
        let at = Timestamp::now();
        let mut draft = host.draft("PUT", PATH);
        draft.at = at;
        let secret = draft.key.secret_key.clone();
        let draft = draft
            .header("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
            .header("x-amz-decoded-content-length", &length.to_string());
        let date = at.strftime("%Y%m%dT%H%M%SZ").to_string();
        Self { draft, scope: format!("{}/us-east-1/s3/aws4_request", &date[..8]), date, secret }
    }

    /// The whole request. `change` may change the chunks, each with its size and signature.
    fn request(self, pieces: &[&[u8]], change: Change) -> Vec<u8> {
        let head = self.draft.unsigned_header("content-length", "LENGTH").request(b"");
        let head = String::from_utf8(head).unwrap();
        let mut previous = head.split("Signature=").nth(1).unwrap()[..64].to_owned();
        let mut chunks = Vec::new();
        for piece in pieces {
            let text = format!(
                "AWS4-HMAC-SHA256-PAYLOAD\n{}\n{}\n{previous}\n{}\n{}",
                self.date,
                self.scope,
                hex(&Sha256::digest(b"")),
                hex(&Sha256::digest(piece))
            );
            previous = hex(&sign(&self.secret, &self.scope, text.as_bytes()));
            chunks.push((format!("{:x};chunk-signature={previous}", piece.len()), piece.to_vec()));
        }
        change(&mut chunks);
        let body: Vec<_> = chunks
            .iter()
            .flat_map(|(line, data)| [line.as_bytes(), b"\r\n", data, b"\r\n"].concat())
            .collect();
        let head = head.replacen("LENGTH", &body.len().to_string(), 1);
        [head.as_bytes(), &body].concat()
    }
}

#[tokio::test]
async fn signed_chunks_are_taken_only_as_they_were_signed() {
    let host = host_with_object().await;
    let first = [b'a'; 8192];
    let pieces: [&[u8]; 3] = [&first, b"last", b""];
    let send =
        async |change: Change| host.raw(&Chunks::new(&host, 8196).request(&pieces, change)).await;
    let wrong: [(&str, Change); 6] = [
        ("data", |chunks| chunks[0].1[0] = b'b'),
        ("the last data", |chunks| chunks[1].1[0] = b'L'),
        ("a signature", |chunks| chunks[1].0.replace_range(20..21, "x")),
        ("no signature", |chunks| chunks[0].0 = "2000".into()),
        ("their order", |chunks| chunks.swap(0, 1)),
        ("the end's signature", |chunks| chunks[2].0 = format!("0;chunk-signature={:064}", 0)),
    ];
    for (what, change) in wrong {
        let answer = send(change).await;
        assert!(is_refused(&answer), "{what}: {answer:?}");
        assert_kept(&host, what).await;
    }
    let answer = send(|_| {}).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let got = host.send(host.draft("GET", PATH), b"").await;
    assert!(got.body == [&first[..], b"last"].concat());
}
