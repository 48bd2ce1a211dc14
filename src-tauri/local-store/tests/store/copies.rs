//! Copies: what a source is, and what becomes of what is said about it.

use lapse_local_store::Key;

use crate::signer::Draft;
use crate::support::{Answer, Host};

const PATH: &str = "/lapse/k";

async fn host_with_object() -> Host {
    let host = Host::start().await;
    let put = host.draft("PUT", PATH).header("content-type", "text/plain");
    let put = put.header("x-amz-meta-a", "old").header("cache-control", "no-store");
    assert_eq!(host.send(put, b"content").await.status, 200);
    host
}

async fn copy(host: &Host, to: &str, headers: &[(&str, &str)]) -> Answer {
    let draft = Draft::new("PUT", &host.endpoint(), to, host.key(Key::Root));
    let draft = headers.iter().fold(draft, |draft, (name, value)| draft.header(name, value));
    host.send(draft, b"").await
}

#[tokio::test]
async fn source_is_an_object_of_a_bucket() {
    let host = host_with_object().await;
    let odd = host.draft("PUT", "/lapse/a%3Fb%20%2B%C3%A4");
    assert_eq!(host.send(odd, b"odd").await.status, 200);
    for (source, content) in [
        ("lapse/k", b"content".as_slice()),
        ("lapse/k?versionId=null", b"content"),
        ("/lapse/k", b"content"),
        ("%2Flapse%2Fk", b"content"),
        ("lapse/a%3Fb%20%2B%C3%A4", b"odd"),
    ] {
        let done = copy(&host, "/lapse/copy", &[("x-amz-copy-source", source)]).await;
        assert_eq!(done.status, 200, "{source}: {done:?}");
        assert!(String::from_utf8(done.body).unwrap().contains("<CopyObjectResult"));
        assert_eq!(host.send(host.draft("GET", "/lapse/copy"), b"").await.body, content);
    }
    for (source, status, code) in [
        ("lapse/none", 404, "NoSuchKey"),
        ("missing/k", 404, "NoSuchBucket"),
        ("lapse/k?versionId=1", 501, "NotImplemented"),
        ("lapse", 400, "InvalidArgument"),
        ("", 400, "InvalidRequest"),
        ("/", 400, "InvalidArgument"),
        ("lapse/%FF", 400, "InvalidArgument"),
    ] {
        let answer = copy(&host, "/lapse/copy", &[("x-amz-copy-source", source)]).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{source}");
    }
    let to_missing = copy(&host, "/missing/k", &[("x-amz-copy-source", "lapse/k")]).await;
    assert_eq!((to_missing.status, to_missing.code()), (404, "NoSuchBucket"));
    assert_eq!(host.send(host.draft("GET", "/lapse/copy"), b"").await.body, b"odd");
}

#[tokio::test]
async fn metadata_is_copied_or_replaced_as_the_request_says() {
    let host = host_with_object().await;
    let new =
        [("x-amz-copy-source", "lapse/k"), ("x-amz-meta-a", "new"), ("content-type", "image/png")];
    let with = |directive: &'static str| {
        [new.as_slice(), &[("x-amz-metadata-directive", directive)]].concat()
    };
    for (headers, metadata, kind, cache) in [
        (new.to_vec(), "old", "text/plain", Some("no-store")),
        (with("COPY"), "old", "text/plain", Some("no-store")),
        (with("REPLACE"), "new", "image/png", None),
    ] {
        assert_eq!(copy(&host, "/lapse/copy", &headers).await.status, 200);
        let head = host.send(host.draft("HEAD", "/lapse/copy"), b"").await;
        assert_eq!(head.header("x-amz-meta-a"), Some(metadata));
        assert_eq!(head.header("content-type"), Some(kind));
        assert_eq!(head.header("cache-control"), cache);
    }
    let unknown = copy(&host, "/lapse/copy", &with("MERGE")).await;
    assert_eq!((unknown.status, unknown.code()), (400, "InvalidArgument"));
    let onto_itself = copy(&host, PATH, &[("x-amz-copy-source", "lapse/k")]).await;
    assert_eq!((onto_itself.status, onto_itself.code()), (400, "InvalidRequest"));
}
