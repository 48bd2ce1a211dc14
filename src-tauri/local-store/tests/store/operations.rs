//! Version 1 of the list, deleting many, buckets, copies into parts.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedMultipartUpload, CompletedPart, Delete,
    ObjectIdentifier,
};
use lapse_local_store::{BUCKET, Key};
use sha2::{Digest, Sha256};

use crate::support::{Host, bytes, code, names};

async fn put(host: &Host, key: &str, content: &[u8]) {
    let client = host.client(Key::Root);
    let body = ByteStream::from(content.to_vec());
    client.put_object().bucket(BUCKET).key(key).body(body).send().await.unwrap();
}

#[tokio::test]
async fn list_by_marker_gives_each_key_and_prefix_once() {
    let host = Host::start().await;
    let keys = ["a", "a/1", "a/2", "a0", "b/1/x", "b/2", "c", "ä/1", "日本"];
    for key in keys {
        put(&host, key, b"x").await;
    }
    let client = host.client(Key::Profile);
    for page in 1..=10 {
        let (mut found, mut marker) = (Vec::new(), None::<String>);
        loop {
            let list = client.list_objects().bucket(BUCKET).max_keys(page).set_marker(marker);
            let list = list.send().await.unwrap();
            found.extend(list.contents().iter().map(|object| object.key().unwrap().to_owned()));
            assert_eq!(list.next_marker(), None, "AWS gives it with a delimiter only");
            if !list.is_truncated().unwrap() {
                break;
            }
            marker = found.last().cloned();
        }
        assert_eq!(found, keys, "{page} a page");

        let (mut found, mut marker) = (Vec::new(), None::<String>);
        loop {
            let list = client.list_objects().bucket(BUCKET).delimiter("/").max_keys(page);
            let list = list.set_marker(marker).send().await.unwrap();
            let objects = list.contents().iter().map(|object| object.key().unwrap().to_owned());
            let prefixes = list.common_prefixes().iter().map(|p| p.prefix().unwrap().to_owned());
            let mut both: Vec<_> = objects.chain(prefixes).collect();
            both.sort();
            found.extend(both);
            if !list.is_truncated().unwrap() {
                break;
            }
            marker = list.next_marker().map(str::to_owned);
            assert!(marker.is_some());
        }
        assert_eq!(found, ["a", "a/", "a0", "b/", "c", "ä/", "日本"], "{page} a page");
    }
    let after =
        client.list_objects().bucket(BUCKET).prefix("a/").marker("a/1").send().await.unwrap();
    assert_eq!(after.contents().len(), 1);
    let none = client.list_objects().bucket("missing").send().await;
    assert_eq!(code(none), "AccessDenied");
}

#[tokio::test]
async fn many_objects_are_deleted_in_one_request() {
    let host = Host::start().await;
    for key in ["one", "two", "three"] {
        put(&host, key, b"x").await;
    }
    let client = host.client(Key::Profile);
    let name = |key: &str| ObjectIdentifier::builder().key(key).build().unwrap();
    let stale = ObjectIdentifier::builder().key("three").e_tag("\"0\"").build().unwrap();
    let named = vec![name("one"), name("never was"), name("one"), name("two"), stale];
    let delete = Delete::builder().set_objects(Some(named)).build().unwrap();
    let answer = client.delete_objects().bucket(BUCKET).delete(delete).send().await.unwrap();
    assert_eq!(answer.deleted().len(), 4, "{answer:?}");
    assert_eq!(answer.errors()[0].code(), Some("PreconditionFailed"));
    let quiet = Delete::builder().objects(name("three")).quiet(true).build().unwrap();
    let answer = client.delete_objects().bucket(BUCKET).delete(quiet).send().await.unwrap();
    assert!(answer.deleted().is_empty() && answer.errors().is_empty());
    let left = client.list_objects_v2().bucket(BUCKET).send().await.unwrap();
    assert!(left.contents().is_empty());
    assert_eq!(names(&host.store().join("blobs")).len(), 0);

    let many = (0..1001).map(|number| name(&number.to_string())).collect();
    let delete = Delete::builder().set_objects(Some(many)).build().unwrap();
    let refused = client.delete_objects().bucket(BUCKET).delete(delete).send().await;
    assert_eq!(code(refused), "MalformedXML");
}

#[tokio::test]
async fn bucket_that_holds_objects_is_not_deleted() {
    let host = Host::start().await;
    let root = host.client(Key::Root);
    root.create_bucket().bucket("other").send().await.unwrap();
    let body = ByteStream::from_static(b"x");
    root.put_object().bucket("other").key("k").body(body).send().await.unwrap();
    let full = root.delete_bucket().bucket("other").send().await;
    assert_eq!(code(full), "BucketNotEmpty");
    root.delete_object().bucket("other").key("k").send().await.unwrap();
    let upload = root.create_multipart_upload().bucket("other").key("k").send().await.unwrap();
    let part = root.upload_part().bucket("other").key("k").part_number(1);
    let part = part.upload_id(upload.upload_id().unwrap()).body(ByteStream::from_static(b"x"));
    part.send().await.unwrap();
    root.delete_bucket().bucket("other").send().await.unwrap();
    assert_eq!(names(&host.store().join("blobs")).len(), 0, "parts of a deleted bucket stay");
    assert_eq!(code(root.delete_bucket().bucket("other").send().await), "NoSuchBucket");
    let own = root.delete_bucket().bucket(BUCKET).send().await;
    assert_eq!(code(own), "AccessDenied");
    root.create_bucket().bucket("third").send().await.unwrap();
    let scoped = host.client(Key::Profile).delete_bucket().bucket("third").send().await;
    assert_eq!(code(scoped), "AccessDenied");
}

#[tokio::test]
async fn range_of_an_object_becomes_a_part() {
    let host = Host::start().await;
    let content = bytes(6 << 20, 1);
    put(&host, "source", &content).await;
    let client = host.client(Key::Profile);
    let upload = client.create_multipart_upload().bucket(BUCKET).key("whole").send().await.unwrap();
    let id = upload.upload_id().unwrap();
    let copy = |number, range: Option<&str>| {
        client
            .upload_part_copy()
            .bucket(BUCKET)
            .key("whole")
            .upload_id(id)
            .part_number(number)
            .copy_source(format!("{BUCKET}/source"))
            .set_copy_source_range(range.map(str::to_owned))
    };
    let etag = |answer: aws_sdk_s3::operation::upload_part_copy::UploadPartCopyOutput| {
        answer.copy_part_result().unwrap().e_tag().unwrap().to_owned()
    };
    let first = etag(copy(1, None).send().await.unwrap());
    let second = etag(copy(2, Some("bytes=100-199")).send().await.unwrap());
    for wrong in ["bytes=5-4", "bytes=0-6291456", "bytes=99999999-99999999"] {
        assert_eq!(code(copy(3, Some(wrong)).send().await), "InvalidRange", "{wrong}");
    }
    for wrong in ["bytes=-5", "bytes=5-", "0-5", "bytes=0-5,7-9", "bytes=+1-5"] {
        assert_eq!(code(copy(3, Some(wrong)).send().await), "InvalidArgument", "{wrong}");
    }
    let stale = copy(3, None).copy_source_if_match("\"0\"").send().await;
    assert_eq!(code(stale), "PreconditionFailed");
    let parts = [(1, first), (2, second)]
        .map(|(number, etag)| CompletedPart::builder().part_number(number).e_tag(etag).build());
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.to_vec())).build();
    let done = client.complete_multipart_upload().bucket(BUCKET).key("whole").upload_id(id);
    done.multipart_upload(parts).send().await.unwrap();
    let got = client.get_object().bucket(BUCKET).key("whole").send().await.unwrap();
    let got = got.body.collect().await.unwrap().into_bytes();
    assert!(got == [&content[..], &content[100..200]].concat());
}

#[tokio::test]
async fn part_is_copied_only_from_where_the_key_may_read() {
    let host = Host::start().await;
    let root = host.client(Key::Root);
    root.create_bucket().bucket("other").send().await.unwrap();
    let body = ByteStream::from_static(b"theirs");
    root.put_object().bucket("other").key("k").body(body).send().await.unwrap();
    let client = host.client(Key::Profile);
    let upload = client.create_multipart_upload().bucket(BUCKET).key("k").send().await.unwrap();
    let copy = client.upload_part_copy().bucket(BUCKET).key("k").copy_source("other/k");
    let copy = copy.upload_id(upload.upload_id().unwrap()).part_number(1).send().await;
    assert_eq!(code(copy), "AccessDenied");
}

#[tokio::test]
async fn bucket_says_that_it_keeps_no_versions() {
    let host = Host::start().await;
    let answer = host.client(Key::Profile).get_bucket_versioning().bucket(BUCKET).send().await;
    assert_eq!(answer.unwrap().status(), None);
}

#[tokio::test]
async fn creating_the_keys_own_bucket_says_that_it_is_there() {
    let host = Host::start().await;
    for key in [Key::Profile, Key::Env] {
        let client = host.client(key);
        let again = client.create_bucket().bucket(BUCKET).send().await;
        assert_eq!(code(again), "BucketAlreadyOwnedByYou");
        assert_eq!(code(client.create_bucket().bucket("lapse2").send().await), "AccessDenied");
    }
}

#[tokio::test]
async fn object_says_that_it_has_no_tags() {
    let host = Host::start().await;
    put(&host, "k", b"x").await;
    let client = host.client(Key::Profile);
    let tags = client.get_object_tagging().bucket(BUCKET).key("k").send().await.unwrap();
    assert!(tags.tag_set().is_empty());
    let none = client.get_object_tagging().bucket(BUCKET).key("none").send().await;
    assert_eq!(code(none), "NoSuchKey");
}

#[tokio::test]
async fn copy_gets_the_checksum_that_it_asks_for() {
    let host = Host::start().await;
    let client = host.client(Key::Profile);
    // Two parts, and a composite checksum that says nothing of the whole.
    let data = [bytes(5 * 1024 * 1024, 1), bytes(100_000, 2)];
    let upload = client.create_multipart_upload().bucket(BUCKET).key("parts");
    let upload = upload.checksum_algorithm(ChecksumAlgorithm::Sha256).send().await.unwrap();
    let id = upload.upload_id().unwrap();
    let mut completed = CompletedMultipartUpload::builder();
    for (number, data) in (1..).zip(&data) {
        let part = client.upload_part().bucket(BUCKET).key("parts").upload_id(id);
        let part = part.part_number(number).checksum_algorithm(ChecksumAlgorithm::Sha256);
        let part = part.body(data.clone().into()).send().await.unwrap();
        let sum = part.checksum_sha256().unwrap();
        let named = CompletedPart::builder().part_number(number).checksum_sha256(sum);
        completed = completed.parts(named.e_tag(part.e_tag().unwrap()).build());
    }
    let complete = client.complete_multipart_upload().bucket(BUCKET).key("parts").upload_id(id);
    complete.multipart_upload(completed.build()).send().await.unwrap();

    let copy = client.copy_object().bucket(BUCKET).key("copy").copy_source("lapse/parts");
    let copy = copy.checksum_algorithm(ChecksumAlgorithm::Sha256).send().await.unwrap();
    let expected = data_encoding::BASE64.encode(&Sha256::digest(data.concat()));
    let result = copy.copy_object_result().unwrap();
    assert_eq!(result.checksum_sha256(), Some(expected.as_str()));
    let head = client.head_object().bucket(BUCKET).key("copy");
    let head = head.checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    assert_eq!(head.checksum_sha256(), Some(expected.as_str()));
    assert_eq!(head.checksum_type(), Some(&ChecksumType::FullObject));
    let got = client.get_object().bucket(BUCKET).key("copy").send().await.unwrap();
    assert!(got.body.collect().await.unwrap().to_vec() == data.concat());
}
