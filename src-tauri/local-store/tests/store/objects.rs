//! What clients do with objects.

use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use lapse_local_store::{BUCKET, Key};

use crate::support::{Host, bytes, code};

#[tokio::test]
async fn object_comes_back_as_it_went_in() {
    let host = Host::start().await;
    let client = host.client(Key::Env);
    let data = bytes(3_000_001, 1);
    let put = client
        .put_object()
        .bucket(BUCKET)
        .key("a/ü 😀+%/b.txt")
        .body(ByteStream::from(data.clone()))
        .content_type("text/plain")
        .content_disposition("attachment; filename=\"b.txt\"")
        .cache_control("no-store")
        .content_encoding("gzip")
        .metadata("colour", "grün")
        .send()
        .await
        .unwrap();
    let got = client.get_object().bucket(BUCKET).key("a/ü 😀+%/b.txt").send().await.unwrap();
    assert_eq!(got.e_tag(), put.e_tag());
    assert_eq!(got.content_type(), Some("text/plain"));
    assert_eq!(got.content_disposition(), Some("attachment; filename=\"b.txt\""));
    assert_eq!(got.cache_control(), Some("no-store"));
    assert_eq!(got.content_encoding(), Some("gzip"));
    assert_eq!(got.content_length(), Some(3_000_001));
    assert_eq!(got.accept_ranges(), Some("bytes"));
    assert_eq!(got.metadata().unwrap()["colour"], "grün");
    assert_eq!(got.body.collect().await.unwrap().to_vec(), data);
    let head = client.head_object().bucket(BUCKET).key("a/ü 😀+%/b.txt").send().await.unwrap();
    assert_eq!(head.content_length(), Some(3_000_001));
    assert_eq!(head.content_encoding(), Some("gzip"));
}

#[tokio::test]
async fn deleted_object_is_gone() {
    let host = Host::start().await;
    let client = host.client(Key::Env);
    client
        .put_object()
        .bucket(BUCKET)
        .key("k")
        .body(ByteStream::from_static(b"x"))
        .send()
        .await
        .unwrap();
    client.delete_object().bucket(BUCKET).key("k").send().await.unwrap();
    assert_eq!(code(client.get_object().bucket(BUCKET).key("k").send().await), "NoSuchKey");
    client.delete_object().bucket(BUCKET).key("k").send().await.unwrap();
    assert_eq!(crate::support::names(&host.store().join("blobs")), Vec::<String>::new());
}

#[tokio::test]
async fn signed_link_gives_the_object_with_its_overrides() {
    let host = Host::start().await;
    let client = host.client(Key::Profile);
    client
        .put_object()
        .bucket(BUCKET)
        .key("k")
        .body(ByteStream::from_static(b"hello"))
        .send()
        .await
        .unwrap();
    let link = client
        .get_object()
        .bucket(BUCKET)
        .key("k")
        .response_content_disposition("attachment; filename*=UTF-8''%C3%BC.txt")
        .response_content_type("text/plain")
        .presigned(PresigningConfig::expires_in(Duration::from_mins(15)).unwrap())
        .await
        .unwrap();
    let target = link.uri().strip_prefix(&host.endpoint()).unwrap();
    let answer = host.follow("GET", target, "").await;
    assert_eq!((answer.status, answer.body.as_slice()), (200, b"hello".as_slice()));
    assert_eq!(
        answer.header("content-disposition"),
        Some("attachment; filename*=UTF-8''%C3%BC.txt")
    );
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("content-security-policy"), Some("sandbox"));
    assert_eq!(answer.header("access-control-allow-origin"), None);
    assert!(answer.header("date").is_some_and(|date| date.ends_with("GMT")));
}
