//! Requests that are done only when something is so: precedence, and conditions of writes.

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier};
use lapse_local_store::{BUCKET, Key};

use crate::signer::Draft;
use crate::support::{Answer, Host, bytes, code};

const PATH: &str = "/lapse/k";
const OLD: &str = "Thu, 01 Jan 2015 00:00:00 GMT";
const LATER: &str = "Thu, 01 Jan 2099 00:00:00 GMT";
const NO_ETAG: &str = "\"00000000000000000000000000000000\"";

/// Puts an object; gives its `ETag`.
async fn put(host: &Host, path: &str, body: &[u8]) -> String {
    let answer = host.send(host.draft("PUT", path), body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.header("etag").unwrap().to_owned()
}

async fn with(host: &Host, draft: Draft, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let draft = headers.iter().fold(draft, |draft, (name, value)| draft.header(name, value));
    host.send(draft, body).await
}

#[tokio::test]
async fn etag_goes_before_the_date_in_a_read_and_in_a_copy() {
    let host = Host::start().await;
    let etag = put(&host, PATH, b"x").await;
    let etag = etag.as_str();
    for (first, second, status) in [
        (("if-match", etag), ("if-unmodified-since", OLD), 200),
        (("if-match", NO_ETAG), ("if-unmodified-since", LATER), 412),
        (("if-none-match", etag), ("if-modified-since", OLD), 304),
        (("if-none-match", NO_ETAG), ("if-modified-since", LATER), 200),
        // What must be so is looked at first.
        (("if-match", NO_ETAG), ("if-none-match", etag), 412),
        (("if-unmodified-since", OLD), ("if-none-match", etag), 412),
        (("if-match", etag), ("if-none-match", etag), 304),
        (("if-match", etag), ("range", "bytes=0-0"), 206),
        (("if-none-match", etag), ("range", "bytes=9-"), 304),
        (("if-match", NO_ETAG), ("range", "bytes=9-"), 412),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = with(&host, host.draft(method, PATH), &[first, second], b"").await;
            assert_eq!(answer.status, status, "{method} {first:?} {second:?}");
        }
        if first.0 == "if-unmodified-since" || second.0 == "range" {
            continue;
        }
        let source = ("x-amz-copy-source", "lapse/k");
        let (one, two) =
            (format!("x-amz-copy-source-{}", first.0), format!("x-amz-copy-source-{}", second.0));
        let headers = [source, (one.as_str(), first.1), (two.as_str(), second.1)];
        let answer = with(&host, host.draft("PUT", "/lapse/copy"), &headers, b"").await;
        let expected = if status == 200 { 200 } else { 412 };
        assert_eq!(answer.status, expected, "copy {first:?} {second:?} {answer:?}");
    }
    let weak = format!("W/{etag}");
    let answer = with(&host, host.draft("GET", PATH), &[("if-none-match", &weak)], b"").await;
    assert_eq!(answer.status, 304);
}

#[tokio::test]
async fn copy_is_written_only_over_what_is_meant() {
    let host = Host::start().await;
    put(&host, "/lapse/source", b"new").await;
    let etag = put(&host, PATH, b"old").await;
    let copy = async |path: &str, name: &str, value: &str| {
        let headers = [("x-amz-copy-source", "lapse/source"), (name, value)];
        let answer = with(&host, host.draft("PUT", path), &headers, b"").await;
        (answer.status, if answer.status == 200 { String::new() } else { answer.code().to_owned() })
    };
    let failed = || (412, "PreconditionFailed".to_owned());
    assert_eq!(copy(PATH, "if-none-match", "*").await, failed());
    assert_eq!(copy(PATH, "if-match", NO_ETAG).await, failed());
    assert_eq!(copy("/lapse/none", "if-match", &etag).await, (404, "NoSuchKey".into()));
    assert_eq!(copy(PATH, "if-none-match", &etag).await.0, 501);
    assert_eq!(copy(PATH, "if-unmodified-since", LATER).await.0, 501);
    assert_eq!(host.send(host.draft("GET", PATH), b"").await.body, b"old");
    assert_eq!(copy(PATH, "if-match", &etag).await.0, 200);
    assert_eq!(host.send(host.draft("GET", PATH), b"").await.body, b"new");
    assert_eq!(copy("/lapse/none", "if-none-match", "*").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_conditional_copies_and_uploads_one_wins() {
    let host = Host::start().await;
    put(&host, "/lapse/source", b"copied").await;
    let client = host.client(Key::Profile);
    let racers = (0..16).map(|number| {
        let client = client.clone();
        tokio::spawn(async move {
            if number % 2 == 0 {
                let put = client.put_object().bucket(BUCKET).key("k").if_none_match("*");
                let put = put.body(bytes(10, number).into()).send().await;
                return put.map(drop).map_err(|error| code::<(), _>(Err(error)));
            }
            let upload =
                client.create_multipart_upload().bucket(BUCKET).key("k").send().await.unwrap();
            let id = upload.upload_id().unwrap();
            let part = client.upload_part().bucket(BUCKET).key("k").upload_id(id).part_number(1);
            let part = part.body(bytes(10, number).into()).send().await.unwrap();
            let part = CompletedPart::builder().part_number(1).set_e_tag(part.e_tag).build();
            let parts = CompletedMultipartUpload::builder().parts(part).build();
            let complete = client.complete_multipart_upload().bucket(BUCKET).key("k");
            let complete = complete.upload_id(id).multipart_upload(parts).if_none_match("*");
            complete.send().await.map(drop).map_err(|error| code::<(), _>(Err(error)))
        })
    });
    let mut won = 0;
    for racer in racers.collect::<Vec<_>>() {
        match racer.await.unwrap() {
            Ok(()) => won += 1,
            Err(code) => assert_eq!(code, "PreconditionFailed"),
        }
    }
    assert_eq!(won, 1);
    let copies = (0..8).map(|_| {
        let draft = host.draft("PUT", "/lapse/copy").header("x-amz-copy-source", "lapse/source");
        let request = draft.header("if-none-match", "*").request(b"");
        let host = &host;
        async move { host.raw(&request).await.status }
    });
    let mut statuses: Vec<_> = futures_util::future::join_all(copies).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412, 412, 412, 412, 412]);
}

#[tokio::test]
async fn only_the_object_that_is_meant_is_deleted() {
    let host = Host::start().await;
    let etag = put(&host, PATH, b"x").await;
    let delete = async |path: &str, value: &str| {
        with(&host, host.draft("DELETE", path), &[("if-match", value)], b"").await.status
    };
    assert_eq!(delete(PATH, NO_ETAG).await, 412);
    assert_eq!(delete("/lapse/none", "*").await, 404);
    let none_match = [("if-none-match", "*")];
    assert_eq!(with(&host, host.draft("DELETE", PATH), &none_match, b"").await.status, 501);
    assert_eq!(host.send(host.draft("HEAD", PATH), b"").await.status, 200);
    assert_eq!(delete(PATH, &etag).await, 204);
    put(&host, PATH, b"x").await;
    assert_eq!(delete(PATH, "*").await, 204);
    assert_eq!(host.send(host.draft("HEAD", PATH), b"").await.status, 404);

    put(&host, PATH, b"x").await;
    let client = host.client(Key::Profile);
    let many = async |etag: &str| {
        let named = ObjectIdentifier::builder().key("k").e_tag(etag).build().unwrap();
        let delete = Delete::builder().objects(named).quiet(true).build().unwrap();
        let done = client.delete_objects().bucket(BUCKET).delete(delete).send().await.unwrap();
        done.errors().first().and_then(|error| error.code()).map(str::to_owned)
    };
    assert_eq!(many(NO_ETAG).await.as_deref(), Some("PreconditionFailed"));
    assert_eq!(host.send(host.draft("HEAD", PATH), b"").await.status, 200);
    assert_eq!(many(&etag).await, None);
    assert_eq!(host.send(host.draft("HEAD", PATH), b"").await.status, 404);
}

#[tokio::test]
async fn condition_that_an_operation_has_not_is_not_passed_over() {
    let host = Host::start().await;
    let etag = put(&host, PATH, b"x").await;
    for (method, path, query, name) in [
        ("PUT", PATH, None, "if-modified-since"),
        ("PUT", PATH, None, "if-unmodified-since"),
        ("DELETE", PATH, None, "if-unmodified-since"),
        ("POST", PATH, Some("uploads"), "if-none-match"),
        ("POST", "/lapse", Some("delete"), "if-match"),
        ("DELETE", "/lapse", Some("lifecycle"), "if-match"),
    ] {
        let value = if name.ends_with("since") { OLD } else { &etag };
        let mut draft = host.draft(method, path);
        if let Some(query) = query {
            draft = draft.query(query, "");
        }
        let answer = with(&host, draft, &[(name, value)], b"").await;
        assert_eq!((answer.status, answer.code()), (501, "NotImplemented"), "{method} {name}");
    }
    let answer = with(&host, host.draft("PUT", PATH), &[("if-none-match", &etag)], b"y").await;
    assert_eq!((answer.status, answer.code()), (501, "NotImplemented"));
    assert_eq!(host.send(host.draft("GET", PATH), b"").await.body, b"x");
}

#[tokio::test]
async fn condition_that_says_nothing_is_refused() {
    let host = Host::start().await;
    put(&host, PATH, b"x").await;
    for name in ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"] {
        for method in ["PUT", "GET", "DELETE"] {
            let answer = with(&host, host.draft(method, PATH), &[(name, "")], b"y").await;
            assert_eq!((answer.status, answer.code()), (400, "InvalidArgument"), "{method} {name}");
        }
    }
    assert_eq!(host.send(host.draft("GET", PATH), b"").await.body, b"x");
}
