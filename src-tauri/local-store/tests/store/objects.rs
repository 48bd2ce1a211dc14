//! What clients do with objects.

use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, EncodingType, MetadataDirective};
use lapse_local_store::{BUCKET, Key};

use crate::support::{Host, bytes, code, flip, names, until};

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
    // S3 answers metadata beyond ASCII as RFC 2047 has it; clients don't decode it.
    assert_eq!(got.metadata().unwrap()["colour"], "=?UTF-8?B?Z3LDvG4=?=");
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
    assert_eq!(names(&host.store().join("blobs")), Vec::<String>::new());
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

#[tokio::test]
async fn range_gives_its_bytes_and_no_checksum_of_the_whole() {
    let host = Host::start().await;
    let client = host.client(Key::Env);
    let data = bytes(700_000, 2);
    client
        .put_object()
        .bucket(BUCKET)
        .key("k")
        .body(ByteStream::from(data.clone()))
        .send()
        .await
        .unwrap();
    let cases = [
        ("bytes=0-0", 0..1),
        ("bytes=262143-262144", 262_143..262_145),
        ("bytes=1-", 1..700_000),
        ("bytes=-5", 699_995..700_000),
        ("bytes=0-9999999", 0..700_000),
        ("bytes=-9999999", 0..700_000),
    ];
    for (range, expected) in cases {
        let get = client
            .get_object()
            .bucket(BUCKET)
            .key("k")
            .range(range)
            .checksum_mode(ChecksumMode::Enabled);
        let got = get.send().await.unwrap();
        let told = format!("bytes {}-{}/700000", expected.start, expected.end - 1);
        assert_eq!(got.content_range(), Some(told.as_str()));
        assert_eq!(got.checksum_crc32(), None);
        assert_eq!(got.checksum_type(), None);
        assert!(got.body.collect().await.unwrap().to_vec() == data[expected], "{range}");
    }
    for range in ["bytes=700000-", "bytes=-0"] {
        let answer = host.send(host.draft("GET", "/lapse/k").header("range", range), b"").await;
        assert_eq!((answer.status, answer.code()), (416, "InvalidRange"), "{range}");
        assert_eq!(answer.header("content-range"), Some("bytes */700000"));
    }
}

#[tokio::test]
async fn range_that_is_none_is_refused_when_signed_and_else_passed_over() {
    let host = Host::start().await;
    assert_eq!(host.send(host.draft("PUT", "/lapse/k"), b"content").await.status, 200);
    for range in ["bytes=5-4", "bytes=x-y", "bytes=0-1,3-4", "lines=1-2", "bytes=", "bytes=-"] {
        for method in ["GET", "HEAD"] {
            let answer =
                host.send(host.draft(method, "/lapse/k").header("range", range), b"").await;
            assert!([400, 416].contains(&answer.status), "{method} {range}: {answer:?}");
        }
    }
    let link = host.draft("GET", "/lapse/k").link();
    let signed = host.draft("GET", "/lapse/k").header("range", "bytes=x").link();
    for range in ["bytes=x-y", "bytes=0-1,3-4", "lines=1-2", "bytes="] {
        let header = format!("range: {range}\r\n");
        let whole = host.follow("GET", &link, &header).await;
        assert_eq!((whole.status, whole.body.as_slice()), (200, b"content".as_slice()), "{range}");
        assert_eq!(host.follow("GET", &signed, &header).await.status, 403, "{range}");
    }
    assert_eq!(host.follow("GET", &signed, "range: bytes=x\r\n").await.status, 400);
    let part = host.follow("GET", &link, "range: bytes=0-1\r\n").await;
    assert_eq!((part.status, part.body.as_slice()), (206, b"co".as_slice()));
}

#[tokio::test]
async fn there_is_one_version() {
    let host = Host::start().await;
    assert_eq!(host.send(host.draft("PUT", "/lapse/k"), b"content").await.status, 200);
    let ask = async |method, version: &str| {
        host.send(host.draft(method, "/lapse/k").query("versionId", version), b"").await
    };
    for method in ["GET", "DELETE"] {
        let other = ask(method, "3sL4kqtJlcpXroDTDmJ").await;
        assert_eq!((other.status, other.code()), (404, "NoSuchVersion"), "{method}");
    }
    assert_eq!(ask("GET", "null").await.body, b"content");
    assert_eq!(ask("HEAD", "null").await.status, 200);
    assert_eq!(ask("DELETE", "null").await.status, 204);
    assert_eq!(ask("GET", "null").await.status, 404);
}

#[tokio::test]
async fn resumed_download_of_a_changed_object_starts_again() {
    let host = Host::start().await;
    let old = host.send(host.draft("PUT", "/lapse/k"), b"first").await;
    let etag = old.header("etag").unwrap().to_owned();
    let resume = |tag: &str| {
        host.draft("GET", "/lapse/k").header("range", "bytes=2-").header("if-range", tag)
    };
    assert_eq!(host.send(resume(&etag), b"").await.body, b"rst");
    host.send(host.draft("PUT", "/lapse/k"), b"other").await;
    let again = host.send(resume(&etag), b"").await;
    assert_eq!((again.status, again.body.as_slice()), (200, b"other".as_slice()));
}

#[tokio::test]
async fn empty_object_is_an_object() {
    let host = Host::start().await;
    host.send(host.draft("PUT", "/lapse/empty"), b"").await;
    let got = host.send(host.draft("GET", "/lapse/empty"), b"").await;
    assert_eq!((got.status, got.body.len(), got.header("content-length")), (200, 0, Some("0")));
    assert_eq!(got.header("etag"), Some("\"d41d8cd98f00b204e9800998ecf8427e\""));
}

#[tokio::test]
async fn conditions_of_a_read_are_kept() {
    let host = Host::start().await;
    let put = host.send(host.draft("PUT", "/lapse/k"), b"x").await;
    let etag = put.header("etag").unwrap().to_owned();
    let got = host.send(host.draft("GET", "/lapse/k"), b"").await;
    let modified = got.header("last-modified").unwrap().to_owned();
    let long_ago = "Thu, 01 Jan 2015 00:00:00 GMT";
    let cases = [
        ("if-match", etag.as_str(), 200),
        ("if-match", "\"0\"", 412),
        ("if-match", "*", 200),
        ("if-none-match", etag.as_str(), 304),
        ("if-none-match", "\"0\"", 200),
        ("if-modified-since", modified.as_str(), 304),
        ("if-modified-since", long_ago, 200),
        ("if-unmodified-since", modified.as_str(), 200),
        ("if-unmodified-since", long_ago, 412),
    ];
    for (name, value, status) in cases {
        for method in ["GET", "HEAD"] {
            let answer = host.send(host.draft(method, "/lapse/k").header(name, value), b"").await;
            assert_eq!(answer.status, status, "{method} {name}: {value}");
            if status == 304 {
                assert_eq!(answer.header("etag"), Some(etag.as_str()));
                assert_eq!(answer.body, b"");
            }
        }
    }
}

#[tokio::test]
async fn only_one_of_many_conditional_puts_wins() {
    let host = Host::start().await;
    let client = host.client(Key::Env);
    let puts = (0..20).map(|number| {
        let put = client.put_object().bucket(BUCKET).key("k").if_none_match("*");
        tokio::spawn(put.body(ByteStream::from(format!("{number}").into_bytes())).send())
    });
    let (mut won, mut lost) = (Vec::new(), 0);
    for (number, put) in puts.collect::<Vec<_>>().into_iter().enumerate() {
        match put.await.unwrap() {
            Ok(_) => won.push(number),
            failed => {
                assert_eq!(code(failed), "PreconditionFailed");
                lost += 1;
            }
        }
    }
    assert_eq!((won.len(), lost), (1, 19));
    let got = host.send(host.draft("GET", "/lapse/k"), b"").await;
    assert_eq!(got.body, won[0].to_string().into_bytes());
    let etag = got.header("etag").unwrap().to_owned();
    let replace = |etag: &str| client.put_object().bucket(BUCKET).key("k").if_match(etag).send();
    assert_eq!(code(replace("\"0\"").await), "PreconditionFailed");
    replace(&etag).await.unwrap();
    assert_eq!(code(replace(&etag).await), "PreconditionFailed");
    let missing = client.put_object().bucket(BUCKET).key("other").if_match(etag).send().await;
    assert_eq!(code(missing), "NoSuchKey");
}

#[tokio::test]
async fn put_into_a_missing_bucket_does_not_make_it() {
    let host = Host::start().await;
    let root = host.client(Key::Root);
    assert_eq!(code(root.put_object().bucket("missing").key("k").send().await), "NoSuchBucket");
    assert_eq!(code(root.list_objects_v2().bucket("missing").send().await), "NoSuchBucket");
    assert_eq!(root.list_buckets().send().await.unwrap().buckets().len(), 1);
    root.create_bucket().bucket("missing").send().await.unwrap();
    root.head_bucket().bucket("missing").send().await.unwrap();
    root.get_bucket_location().bucket("missing").send().await.unwrap();
    assert_eq!(
        code(root.create_bucket().bucket("missing").send().await),
        "BucketAlreadyOwnedByYou"
    );
}

#[tokio::test]
async fn keys_are_listed_in_the_order_of_their_bytes_page_by_page() {
    let host = Host::start().await;
    let client = host.client(Key::Env);
    let longest = format!("z{}", "é".repeat(511));
    let mut keys = vec!["a", "a/b", "a/b/c", "a/c", "a-b", "B", "b/1", "b/2", "ü", "😀", &longest];
    for key in &keys {
        client
            .put_object()
            .bucket(BUCKET)
            .key(*key)
            .body(ByteStream::from_static(b"12"))
            .send()
            .await
            .unwrap();
    }
    let too_long = client.put_object().bucket(BUCKET).key("k".repeat(1025)).send().await;
    assert_eq!(code(too_long), "KeyTooLongError");
    keys.sort_by_key(|key| key.as_bytes());
    for size in [1, 3, 1000] {
        let mut pages =
            client.list_objects_v2().bucket(BUCKET).max_keys(size).into_paginator().send();
        let mut seen = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.unwrap();
            assert!(page.contents().len() <= usize::try_from(size).unwrap());
            seen.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
        }
        assert_eq!(seen, keys);
    }
    let after = client
        .list_objects_v2()
        .bucket(BUCKET)
        .start_after("a/b/c")
        .prefix("a")
        .send()
        .await
        .unwrap();
    assert_eq!(
        after.contents().iter().map(|object| object.key().unwrap()).collect::<Vec<_>>(),
        ["a/c"]
    );
    let encoded =
        client.list_objects_v2().bucket(BUCKET).prefix("ü").encoding_type(EncodingType::Url).send();
    assert_eq!(encoded.await.unwrap().contents()[0].key(), Some("%C3%BC"));
}

#[tokio::test]
async fn delimiter_folds_keys_into_prefixes() {
    let host = Host::start().await;
    let client = host.client(Key::Env);
    let mut keys: Vec<String> = (0..40).map(|number| format!("many/{number}")).collect();
    keys.extend(["a", "a/b", "a/c/d", "n"].map(String::from));
    for key in &keys {
        client
            .put_object()
            .bucket(BUCKET)
            .key(key)
            .body(ByteStream::from_static(b"x"))
            .send()
            .await
            .unwrap();
    }
    for size in [1, 2, 1000] {
        let pages = client
            .list_objects_v2()
            .bucket(BUCKET)
            .delimiter("/")
            .max_keys(size)
            .into_paginator()
            .send();
        let (mut objects, mut prefixes) = (Vec::new(), Vec::new());
        for page in pages.try_collect().await.unwrap() {
            objects.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
            prefixes.extend(
                page.common_prefixes().iter().map(|common| common.prefix().unwrap().to_owned()),
            );
        }
        assert_eq!(
            (objects, prefixes),
            (vec!["a".into(), "n".into()], vec!["a/".into(), "many/".into()])
        );
    }
    let under =
        client.list_objects_v2().bucket(BUCKET).delimiter("/").prefix("a/").send().await.unwrap();
    assert_eq!(under.contents()[0].key(), Some("a/b"));
    assert_eq!(under.common_prefixes()[0].prefix(), Some("a/c/"));
    assert_eq!(under.key_count(), Some(2));
}

#[tokio::test]
async fn checksum_is_verified_kept_and_answered_when_asked() {
    let host = Host::start().await;
    let client = host.client(Key::Env);
    // The SDK sends these as trailers of an aws-chunked body.
    let put =
        client.put_object().bucket(BUCKET).key("k").checksum_algorithm(ChecksumAlgorithm::Sha256);
    put.body(ByteStream::from_static(b"hello")).send().await.unwrap();
    let sum = Some("LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=");
    let got = client
        .get_object()
        .bucket(BUCKET)
        .key("k")
        .checksum_mode(ChecksumMode::Enabled)
        .send()
        .await
        .unwrap();
    assert_eq!(got.checksum_sha256(), sum);
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"hello");
    let head = client
        .head_object()
        .bucket(BUCKET)
        .key("k")
        .checksum_mode(ChecksumMode::Enabled)
        .send()
        .await;
    assert_eq!(head.unwrap().checksum_sha256(), sum);
    let silent = host.send(host.draft("GET", "/lapse/k"), b"").await;
    assert_eq!(silent.header("x-amz-checksum-sha256"), None);
    let small_letters = host.draft("HEAD", "/lapse/k").header("x-amz-checksum-mode", "enabled");
    assert_eq!(host.send(small_letters, b"").await.header("x-amz-checksum-sha256"), sum);

    let chunked = |trailer: &str| {
        let body = format!("5\r\nhello\r\n0\r\n{trailer}\r\n");
        let draft = host
            .draft("PUT", "/lapse/k")
            .header("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
        let draft = draft
            .header("x-amz-decoded-content-length", "5")
            .header("x-amz-trailer", "x-amz-checksum-crc32");
        (draft.header("content-encoding", "aws-chunked"), body)
    };
    let (draft, body) = chunked("x-amz-checksum-crc32:NhCmhg==\r\n");
    assert_eq!(host.send(draft, body.as_bytes()).await.status, 200);
    let head = client.head_object().bucket(BUCKET).key("k").send().await.unwrap();
    assert_eq!(head.content_encoding(), None);
    let (draft, body) = chunked("x-amz-checksum-crc32:AAAAAA==\r\n");
    assert_eq!(host.send(draft, body.as_bytes()).await.code(), "BadDigest");
    let (draft, body) = chunked("");
    assert_eq!(host.send(draft, body.as_bytes()).await.code(), "MalformedTrailerError");
}

#[tokio::test]
async fn copy_has_the_bytes_and_outlives_its_source() {
    let host = Host::start().await;
    let client = host.client(Key::Env);
    let data = bytes(300_000, 4);
    let put = client.put_object().bucket(BUCKET).key("from ü").content_type("image/png");
    put.body(ByteStream::from(data.clone())).send().await.unwrap();
    let copy = client.copy_object().bucket(BUCKET).key("to").copy_source("lapse/from%20%C3%BC");
    copy.send().await.unwrap();
    assert_eq!(names(&host.store().join("blobs")).len(), 1);
    client.delete_object().bucket(BUCKET).key("from ü").send().await.unwrap();
    let got = client.get_object().bucket(BUCKET).key("to").send().await.unwrap();
    assert_eq!(got.content_type(), Some("image/png"));
    assert!(got.body.collect().await.unwrap().to_vec() == data);
    let onto_itself = client.copy_object().bucket(BUCKET).key("to").copy_source("lapse/to");
    assert_eq!(code(onto_itself.clone().send().await), "InvalidRequest");
    onto_itself
        .metadata_directive(MetadataDirective::Replace)
        .content_type("text/plain")
        .send()
        .await
        .unwrap();
    let head = client.head_object().bucket(BUCKET).key("to").send().await.unwrap();
    assert_eq!((head.content_type(), head.content_length()), (Some("text/plain"), Some(300_000)));
    let missing =
        client.copy_object().bucket(BUCKET).key("x").copy_source("lapse/missing").send().await;
    assert_eq!(code(missing), "NoSuchKey");
}

#[tokio::test]
async fn slow_download_gets_the_old_bytes_whole_over_an_overwrite_and_a_delete() {
    let host = Host::start().await;
    let client = host.client(Key::Env);
    let old = bytes(12_000_000, 6);
    client
        .put_object()
        .bucket(BUCKET)
        .key("k")
        .body(ByteStream::from(old.clone()))
        .send()
        .await
        .unwrap();
    let mut slow = client.get_object().bucket(BUCKET).key("k").send().await.unwrap().body;
    let mut got = slow.next().await.unwrap().unwrap().to_vec();
    assert!(host.running.activity().under_way >= 1);
    client
        .put_object()
        .bucket(BUCKET)
        .key("k")
        .body(ByteStream::from_static(b"new"))
        .send()
        .await
        .unwrap();
    client.delete_object().bucket(BUCKET).key("k").send().await.unwrap();
    while let Some(chunk) = slow.next().await {
        got.extend(chunk.unwrap());
    }
    assert!(got == old);
    drop(slow);
    // The last reader takes the file with it.
    let gone =
        || names(&host.store().join("blobs")).is_empty() && host.running.activity().under_way == 0;
    until(gone).await;
}

#[tokio::test]
async fn damaged_blob_is_never_served_as_good() {
    let host = Host::start().await;
    let data = bytes(1_000_000, 7);
    assert_eq!(host.send(host.draft("PUT", "/lapse/k"), &data).await.status, 200);
    let blobs = host.store().join("blobs");
    let blob = blobs.join(&names(&blobs)[0]);
    let get = |range: &str| host.send(host.draft("GET", "/lapse/k").header("range", range), b"");
    flip(&blob, 500_000);
    let torn = host.send(host.draft("GET", "/lapse/k"), b"").await;
    assert_eq!(torn.status, 200);
    assert!(data[..500_000].starts_with(&torn.body), "nothing of the damaged block may pass");
    for range in ["bytes=500000-500000", "bytes=495000-495009", "bytes=480000-600000"] {
        let refused = get(range).await;
        assert_eq!((refused.status, refused.code()), (500, "InternalError"), "{range}");
    }
    for (range, expected) in [("bytes=0-99999", &data[..100_000]), ("bytes=-9", &data[999_991..])] {
        let whole = get(range).await;
        assert!(whole.status == 206 && whole.body == expected, "{range}: a whole block is served");
    }
    let copied = host.draft("PUT", "/lapse/copy").header("x-amz-copy-source", "/lapse/k");
    assert_eq!(host.send(copied, b"").await.status, 200, "a copy shares its file");
    let copy = host.send(host.draft("GET", "/lapse/copy"), b"").await;
    assert!(copy.body.len() < data.len(), "and its damage");
    flip(&blob, 500_000);
    assert!(host.send(host.draft("GET", "/lapse/k"), b"").await.body == data);
    std::fs::File::options().write(true).open(&blob).unwrap().set_len(999_999).unwrap();
    for method in ["GET", "HEAD"] {
        assert_eq!(host.send(host.draft(method, "/lapse/k"), b"").await.status, 500);
    }
    std::fs::remove_file(&blob).unwrap();
    let gone = host.send(host.draft("GET", "/lapse/k"), b"").await;
    assert_eq!((gone.status, gone.code()), (500, "InternalError"));
    assert_eq!(host.send(host.draft("PUT", "/lapse/k"), &data).await.status, 200);
    assert!(host.send(host.draft("GET", "/lapse/k"), b"").await.body == data);
}

#[tokio::test]
async fn file_in_the_place_of_another_is_never_served() {
    let host = Host::start().await;
    for (key, seed) in [("one", 1), ("two", 2)] {
        let put = host.draft("PUT", &format!("/lapse/{key}"));
        assert_eq!(host.send(put, &bytes(100_000, seed)).await.status, 200);
    }
    let blobs = host.store().join("blobs");
    let [one, two] = <[String; 2]>::try_from(names(&blobs)).unwrap().map(|name| blobs.join(name));
    std::fs::rename(&one, host.store().join("other")).unwrap();
    std::fs::rename(&two, &one).unwrap();
    std::fs::rename(host.store().join("other"), &two).unwrap();
    for key in ["one", "two"] {
        let got = host.send(host.draft("GET", &format!("/lapse/{key}")), b"").await;
        assert_eq!((got.status, got.code()), (500, "InternalError"), "{key}");
    }
}

#[tokio::test]
async fn failing_folder_is_an_error_and_not_a_broken_store() {
    let host = Host::start().await;
    assert_eq!(host.send(host.draft("PUT", "/lapse/k"), b"old").await.status, 200);
    let tmp = host.store().join("tmp");
    std::fs::remove_dir(&tmp).unwrap();
    let put = host.send(host.draft("PUT", "/lapse/k"), b"new").await;
    assert_eq!((put.status, put.code()), (500, "InternalError"));
    assert_eq!(host.send(host.draft("GET", "/lapse/k"), b"").await.body, b"old");
    std::fs::create_dir(&tmp).unwrap();
    assert_eq!(host.send(host.draft("PUT", "/lapse/k"), b"new").await.status, 200);
    assert_eq!(host.send(host.draft("GET", "/lapse/k"), b"").await.body, b"new");
}

#[tokio::test]
async fn object_sent_as_one_chunk_comes_back() {
    let host = Host::start().await;
    let data = bytes(8_000_000, 10);
    let body = [format!("{:x}\r\n", data.len()).as_bytes(), &data, b"\r\n0\r\n\r\n"].concat();
    let chunked = |length: &str, trailer: &str| {
        let draft = host
            .draft("PUT", "/lapse/k")
            .header("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
        draft.header("x-amz-decoded-content-length", length).header("x-amz-trailer", trailer)
    };
    let put = host.send(chunked("8000000", "x-other"), &body).await;
    assert_eq!(put.status, 200, "{put:?}");
    assert!(host.send(host.draft("GET", "/lapse/k"), b"").await.body == data);
    for broken in
        [&b"xyz\r\nabc\r\n0\r\n\r\n"[..], b"3\r\nabcd\r\n0\r\n\r\n", b"-3\r\nabc\r\n0\r\n\r\n"]
    {
        let answer = host.send(chunked("3", "x-other"), broken).await;
        assert_eq!((answer.status, answer.code()), (400, "InvalidRequest"));
    }
    let answer = host.send(chunked("3", "x-other"), b"2\r\nab\r\n0\r\n\r\n").await;
    assert_eq!((answer.status, answer.code()), (400, "IncompleteBody"));
    assert!(host.send(host.draft("GET", "/lapse/k"), b"").await.body == data);
}
