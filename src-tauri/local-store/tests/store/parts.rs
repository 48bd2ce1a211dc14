//! Parts: limits, what proves them, and uploads that end twice or too early.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};
use lapse_local_store::{BUCKET, EventKind, Key};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Answer, Host, bytes, code, names, until};

const LEAST: usize = 5 * 1024 * 1024;

async fn begin(client: &Client) -> String {
    let upload = client.create_multipart_upload().bucket(BUCKET).key("k").send().await.unwrap();
    upload.upload_id.unwrap()
}

async fn send(client: &Client, id: &str, number: i32, body: Vec<u8>) -> CompletedPart {
    let part = client.upload_part().bucket(BUCKET).key("k").upload_id(id).part_number(number);
    let part = part.body(body.into()).send().await.unwrap();
    CompletedPart::builder().part_number(number).set_e_tag(part.e_tag).build()
}

fn list(parts: &[CompletedPart]) -> CompletedMultipartUpload {
    CompletedMultipartUpload::builder().set_parts(Some(parts.to_vec())).build()
}

#[tokio::test]
async fn part_numbers_go_from_1_to_10000() {
    let host = Host::start().await;
    let client = host.client(Key::Profile);
    let id = begin(&client).await;
    let draft = |number: &str| {
        let draft = host.draft("PUT", "/lapse/k").query("uploadId", &id);
        draft.query("partNumber", number)
    };
    for wrong in ["0", "-1", "10001", "99999999999", "x", "", "1.5"] {
        let answer = host.send(draft(wrong), b"x").await;
        assert_eq!((answer.status, answer.code()), (400, "InvalidArgument"), "{wrong}");
    }
    for right in ["1", "10000"] {
        assert_eq!(host.send(draft(right), b"x").await.status, 200, "{right}");
    }
    let other = draft("1").header("x-amz-copy-source", "lapse/none");
    assert_eq!(host.send(other, b"").await.code(), "NoSuchKey");
}

#[tokio::test]
async fn part_of_an_object_is_read_by_its_number() {
    let host = Host::start().await;
    let client = host.client(Key::Profile);
    let id = begin(&client).await;
    let first = send(&client, &id, 2, bytes(LEAST, 1)).await;
    let last = send(&client, &id, 9, bytes(10, 2)).await;
    let complete = client.complete_multipart_upload().bucket(BUCKET).key("k").upload_id(&id);
    complete.multipart_upload(list(&[first, last])).send().await.unwrap();
    host.send(host.draft("PUT", "/lapse/one"), b"whole").await;
    let read = async |method, path: &str, number: &str| {
        host.send(host.draft(method, path).query("partNumber", number), b"").await
    };
    // The parts of an object are counted anew.
    let got = read("GET", "/lapse/k", "2").await;
    assert_eq!((got.status, got.body), (206, bytes(10, 2)));
    let head = read("HEAD", "/lapse/k", "1").await;
    assert_eq!((head.status, head.header("content-length")), (206, Some("5242880")));
    assert_eq!(head.header("content-range"), Some("bytes 0-5242879/5242890"));
    assert_eq!(head.header("x-amz-mp-parts-count"), Some("2"));
    let one = read("GET", "/lapse/one", "1").await;
    assert_eq!((one.status, one.body.as_slice()), (206, b"whole".as_slice()));
    assert_eq!(one.header("x-amz-mp-parts-count"), None);
    for (path, beyond) in [("/lapse/k", "3"), ("/lapse/one", "2"), ("/lapse/one", "10000")] {
        let answer = read("GET", path, beyond).await;
        assert_eq!((answer.status, answer.code()), (416, "InvalidPartNumber"), "{beyond}");
    }
    for wrong in ["0", "-1", "10001", "x"] {
        let answer = read("GET", "/lapse/k", wrong).await;
        assert_eq!((answer.status, answer.code()), (400, "InvalidArgument"), "{wrong}");
    }
    let both = host.draft("GET", "/lapse/k").query("partNumber", "1").header("range", "bytes=0-1");
    let both = host.send(both, b"").await;
    assert_eq!((both.status, both.code()), (400, "InvalidRequest"));
}

#[tokio::test]
async fn part_never_carries_the_checksum_of_the_whole() {
    let host = Host::start().await;
    let client = host.client(Key::Profile);
    let id = begin(&client).await;
    let parts =
        [send(&client, &id, 1, bytes(LEAST, 1)).await, send(&client, &id, 2, Vec::new()).await];
    let complete = client.complete_multipart_upload().bucket(BUCKET).key("k").upload_id(&id);
    complete.multipart_upload(list(&parts)).send().await.unwrap();
    host.send(host.draft("PUT", "/lapse/empty"), b"").await;
    for method in ["GET", "HEAD"] {
        let read = async |path, number: Option<&str>| {
            let draft = host.draft(method, path).header("x-amz-checksum-mode", "ENABLED");
            let draft =
                number.into_iter().fold(draft, |draft, number| draft.query("partNumber", number));
            let answer = host.send(draft, b"").await;
            (answer.status, answer.header("x-amz-checksum-crc64nvme").is_some())
        };
        assert_eq!(read("/lapse/k", None).await, (200, true));
        assert_eq!(read("/lapse/k", Some("1")).await, (206, false));
        // Of no bytes there is no range.
        assert_eq!(read("/lapse/k", Some("2")).await, (200, false));
        assert_eq!(read("/lapse/empty", Some("1")).await, (200, true));
    }
}

#[tokio::test]
async fn upload_that_is_finished_twice_is_answered_the_same() {
    let host = Host::start().await;
    let client = host.client(Key::Profile);
    let mut events = host.running.events();
    let id = begin(&client).await;
    let parts =
        [send(&client, &id, 1, bytes(LEAST, 1)).await, send(&client, &id, 2, bytes(9, 2)).await];
    let complete = async |parts: &[CompletedPart]| {
        let complete = client.complete_multipart_upload().bucket(BUCKET).key("k").upload_id(&id);
        complete.multipart_upload(list(parts)).send().await
    };
    let first = complete(&parts).await.unwrap();
    let again = complete(&parts).await.unwrap();
    assert_eq!(first.e_tag(), again.e_tag());
    assert_eq!(first.checksum_crc64_nvme(), again.checksum_crc64_nvme());
    assert_eq!(events.try_recv().unwrap().kind, EventKind::CompleteMultipartUpload);
    assert!(events.try_recv().is_err(), "it happened once");
    assert_eq!(code(complete(&parts[..1]).await), "NoSuchUpload");
    let late = client.upload_part().bucket(BUCKET).key("k").upload_id(&id).part_number(3);
    assert_eq!(code(late.send().await), "NoSuchUpload");
    let abort = client.abort_multipart_upload().bucket(BUCKET).key("k").upload_id(&id);
    assert_eq!(code(abort.send().await), "NoSuchUpload");
    client.put_object().bucket(BUCKET).key("k").body(b"x".to_vec().into()).send().await.unwrap();
    assert_eq!(code(complete(&parts).await), "NoSuchUpload");
    client.delete_object().bucket(BUCKET).key("k").send().await.unwrap();
    assert_eq!(code(complete(&parts).await), "NoSuchUpload");
}

#[tokio::test]
async fn part_that_arrives_after_the_abort_is_refused_and_leaves_nothing() {
    let host = Host::start().await;
    let client = host.client(Key::Profile);
    let id = begin(&client).await;
    let body = bytes(3_000_000, 1);
    let draft = host.draft("PUT", "/lapse/k").query("uploadId", &id).query("partNumber", "1");
    let request = draft.request(&body);
    let (early, late) = request.split_at(request.len() - 10);
    let mut stream = host.connect().await;
    stream.write_all(early).await.unwrap();
    until(|| !names(&host.store().join("tmp")).is_empty()).await;
    client.abort_multipart_upload().bucket(BUCKET).key("k").upload_id(&id).send().await.unwrap();
    stream.write_all(late).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = Answer::parse(&answer);
    assert_eq!((answer.status, answer.code()), (404, "NoSuchUpload"));
    for folder in ["tmp", "blobs"] {
        assert_eq!(names(&host.store().join(folder)), Vec::<String>::new(), "{folder}");
    }
}

#[tokio::test]
async fn wrong_digest_of_a_part_keeps_the_old_part() {
    let host = Host::start().await;
    let client = host.client(Key::Profile);
    let id = begin(&client).await;
    let right = send(&client, &id, 1, b"right".to_vec()).await;
    for (name, value, expected) in [
        ("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==", "BadDigest"),
        ("x-amz-checksum-crc32", "AAAAAA==", "BadDigest"),
        ("x-amz-checksum-sha256", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "BadDigest"),
    ] {
        let draft = host.draft("PUT", "/lapse/k").query("uploadId", &id).query("partNumber", "1");
        let answer = host.send(draft.header(name, value), b"wrong").await;
        assert_eq!((answer.status, answer.code()), (400, expected), "{name}");
    }
    let complete = client.complete_multipart_upload().bucket(BUCKET).key("k").upload_id(&id);
    complete.multipart_upload(list(&[right])).send().await.unwrap();
    assert_eq!(host.send(host.draft("GET", "/lapse/k"), b"").await.body, b"right");
}

#[tokio::test]
async fn checksums_that_do_not_fit_are_refused() {
    let host = Host::start().await;
    let client = host.client(Key::Profile);
    let create = |algorithm: Option<ChecksumAlgorithm>, kind: ChecksumType| {
        let create = client.create_multipart_upload().bucket(BUCKET).key("k");
        create.set_checksum_algorithm(algorithm).checksum_type(kind).send()
    };
    for (algorithm, kind) in [
        (Some(ChecksumAlgorithm::Sha1), ChecksumType::FullObject),
        (Some(ChecksumAlgorithm::Sha256), ChecksumType::FullObject),
        (Some(ChecksumAlgorithm::Crc64Nvme), ChecksumType::Composite),
        (Some("MD4".into()), ChecksumType::Composite),
        (Some(ChecksumAlgorithm::Crc32), "HALF".into()),
    ] {
        assert_eq!(
            code(create(algorithm.clone(), kind.clone()).await),
            "InvalidRequest",
            "{algorithm:?} {kind:?}"
        );
    }
    let upload = create(Some(ChecksumAlgorithm::Crc32), ChecksumType::FullObject).await.unwrap();
    let id = upload.upload_id.unwrap();
    let part = || client.upload_part().bucket(BUCKET).key("k").upload_id(&id).part_number(1);
    let other = part().checksum_algorithm(ChecksumAlgorithm::Sha256).body(b"x".to_vec().into());
    assert_eq!(code(other.send().await), "InvalidRequest");
    let sent = part().checksum_algorithm(ChecksumAlgorithm::Crc32).body(b"x".to_vec().into());
    let sent = sent.send().await.unwrap();
    let named = |crc32: &str| {
        let named = CompletedPart::builder().part_number(1).set_e_tag(sent.e_tag.clone());
        list(&[named.checksum_crc32(crc32).build()])
    };
    let right = sent.checksum_crc32().unwrap();
    let complete = || client.complete_multipart_upload().bucket(BUCKET).key("k").upload_id(&id);
    let wrong = complete().multipart_upload(named("AAAAAA=="));
    assert_eq!(code(wrong.send().await), "InvalidPart");
    let wrong = complete().multipart_upload(named(right)).checksum_crc32("AAAAAA==");
    assert_eq!(code(wrong.send().await), "BadDigest");
    let wrong = complete().multipart_upload(named(right)).mpu_object_size(2);
    assert_eq!(code(wrong.send().await), "InvalidRequest");
    let right = complete().multipart_upload(named(right)).checksum_crc32(right).mpu_object_size(1);
    right.send().await.unwrap();
}

#[tokio::test]
async fn upload_is_finished_only_over_what_is_meant() {
    let host = Host::start().await;
    let client = host.client(Key::Profile);
    let old = host.send(host.draft("PUT", "/lapse/k"), b"old").await;
    let id = begin(&client).await;
    let parts = list(&[send(&client, &id, 1, b"new".to_vec()).await]);
    let complete = || {
        let complete = client.complete_multipart_upload().bucket(BUCKET).key("k").upload_id(&id);
        complete.multipart_upload(parts.clone())
    };
    assert_eq!(code(complete().if_none_match("*").send().await), "PreconditionFailed");
    assert_eq!(code(complete().if_match("\"0\"").send().await), "PreconditionFailed");
    assert_eq!(host.send(host.draft("GET", "/lapse/k"), b"").await.body, b"old");
    complete().if_match(old.header("etag").unwrap()).send().await.unwrap();
    assert_eq!(host.send(host.draft("GET", "/lapse/k"), b"").await.body, b"new");
}
