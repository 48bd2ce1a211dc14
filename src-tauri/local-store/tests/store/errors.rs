//! How an error is told.

use lapse_local_store::Key;

use crate::signer::Draft;
use crate::support::Host;

#[tokio::test]
async fn error_says_what_was_asked_for_and_in_which_request() {
    let host = Host::start().await;
    for (path, status, code) in [
        ("/lapse/none", 404, "NoSuchKey"),
        ("/lapse/a&b%3C%22", 404, "NoSuchKey"),
        ("/missing/k", 404, "NoSuchBucket"),
        ("/B/k", 400, "InvalidBucketName"),
        ("/lapse/%FF", 400, "InvalidURI"),
    ] {
        let draft = Draft::new("GET", &host.endpoint(), path, host.key(Key::Root));
        let answer = host.send(draft, b"").await;
        assert_eq!((answer.status, answer.code()), (status, code), "{path}");
        assert_eq!(answer.header("content-type"), Some("application/xml"));
        let id = answer.header("x-amz-request-id").unwrap();
        let resource = path.replace('&', "&amp;");
        let xml = std::str::from_utf8(&answer.body).unwrap();
        assert!(
            xml.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>"),
            "{xml}"
        );
        let end = format!("<Resource>{resource}</Resource><RequestId>{id}</RequestId></Error>");
        assert!(xml.ends_with(&end), "{xml}");
        let length = answer.header("content-length").unwrap();
        assert_eq!(length, answer.body.len().to_string());
    }
    // Also of what never reaches an operation: links and forms.
    let unsigned = host.follow("GET", "/lapse/k", "").await;
    let early = host.follow("GET", "/lapse/k?AWSAccessKeyId=x&Signature=x", "").await;
    let form = host
        .follow(
            "POST",
            "/lapse",
            "content-type: multipart/form-data; boundary=b\r\ncontent-length: 0\r\n",
        )
        .await;
    for answer in [unsigned, early, form] {
        let id = answer.header("x-amz-request-id").unwrap();
        let xml = String::from_utf8_lossy(&answer.body);
        assert!(xml.contains(&format!("<RequestId>{id}</RequestId></Error>")), "{xml}");
    }
}

#[tokio::test]
async fn error_of_a_head_has_a_status_and_no_body() {
    let host = Host::start().await;
    assert_eq!(host.send(host.draft("PUT", "/lapse/k"), b"x").await.status, 200);
    for (path, header, status) in [
        ("/lapse/none", None, 404),
        ("/lapse/k", Some(("if-match", "\"0\"")), 412),
        ("/lapse/k", Some(("range", "bytes=5-")), 416),
        ("/lapse/k", Some(("if-none-match", "*")), 304),
    ] {
        let mut draft = host.draft("HEAD", path);
        if let Some((name, value)) = header {
            draft = draft.header(name, value);
        }
        let answer = host.send(draft, b"").await;
        assert_eq!(
            (answer.status, answer.body.as_slice()),
            (status, b"".as_slice()),
            "{path} {header:?}"
        );
    }
    let bucket = Draft::new("HEAD", &host.endpoint(), "/missing", host.key(Key::Root));
    assert_eq!(host.send(bucket, b"").await.status, 404);
    assert_eq!(host.follow("HEAD", "/lapse/k", "").await.status, 403);
}

#[tokio::test]
async fn success_has_the_status_that_s3_gives() {
    let host = Host::start().await;
    let send = async |method, path: &str, query: &str, body: &[u8]| {
        let mut draft = Draft::new(method, &host.endpoint(), path, host.key(Key::Root));
        if !query.is_empty() {
            draft = draft.query(query, "");
        }
        host.send(draft, body).await
    };
    for (method, path, query, status) in [
        ("PUT", "/other", "", 200),
        ("HEAD", "/other", "", 200),
        ("GET", "/other", "location", 200),
        ("GET", "/other", "versioning", 200),
        ("DELETE", "/other", "lifecycle", 204),
        ("PUT", "/other/k", "", 200),
        ("HEAD", "/other/k", "", 200),
        ("GET", "/other/k", "", 200),
        ("POST", "/other/k", "uploads", 200),
        ("DELETE", "/other/k", "", 204),
        ("DELETE", "/other/none", "", 204),
        ("DELETE", "/other", "", 204),
        ("GET", "/", "", 200),
    ] {
        let answer = send(method, path, query, b"").await;
        assert_eq!(answer.status, status, "{method} {path}?{query}: {answer:?}");
        assert!(answer.header("x-amz-request-id").is_some());
        assert!(answer.header("date").is_some());
    }
}
