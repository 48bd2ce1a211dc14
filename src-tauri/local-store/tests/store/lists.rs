//! Lists: limits, encoding, markers, delimiters, and who things belong to.

use aws_sdk_s3::types::{CompletedMultipartUpload, EncodingType};
use lapse_local_store::{BUCKET, Key};

use crate::signer::Draft;
use crate::support::{Answer, Host, bytes, code};

async fn put(host: &Host, keys: &[&str]) {
    let client = host.client(Key::Profile);
    for key in keys {
        client
            .put_object()
            .bucket(BUCKET)
            .key(*key)
            .body(b"x".to_vec().into())
            .send()
            .await
            .unwrap();
    }
}

async fn get(host: &Host, path: &str, query: &[(&str, &str)]) -> Answer {
    let draft = Draft::new("GET", &host.endpoint(), path, host.key(Key::Root));
    let draft = query.iter().fold(draft, |draft, (name, value)| draft.query(name, value));
    host.send(draft, b"").await
}

/// The texts of an element, wherever it is.
fn texts(answer: &Answer, name: &str) -> Vec<String> {
    let xml = std::str::from_utf8(&answer.body).unwrap();
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open).skip(1).map(|rest| rest.split(&close).next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn limit_of_a_list_is_0_to_1000() {
    let host = Host::start().await;
    put(&host, &["a", "b"]).await;
    for (name, value, limit, told) in [
        ("prefix", "", "max-keys", "MaxKeys"),
        ("list-type", "2", "max-keys", "MaxKeys"),
        ("uploads", "", "max-uploads", "MaxUploads"),
    ] {
        let ask = async |asked: &str| get(&host, "/lapse", &[(name, value), (limit, asked)]).await;
        for (asked, given) in
            [("0", "0"), ("1", "1"), ("1000", "1000"), ("1001", "1000"), ("2147483647", "1000")]
        {
            let answer = ask(asked).await;
            assert_eq!(answer.status, 200, "{limit}={asked}: {answer:?}");
            assert_eq!(texts(&answer, told), [given], "{limit}={asked}");
            if asked == "0" {
                assert_eq!(texts(&answer, "Key").len(), 0);
                assert_eq!(texts(&answer, "IsTruncated"), ["false"]);
            }
        }
        for wrong in ["-1", "x", "1.5", "99999999999"] {
            let answer = ask(wrong).await;
            assert_eq!((answer.status, answer.code()), (400, "InvalidArgument"), "{limit}={wrong}");
        }
    }
    for query in [&[("encoding-type", "base64")][..], &[("list-type", "2"), ("encoding-type", "x")]]
    {
        let answer = get(&host, "/lapse", query).await;
        assert_eq!((answer.status, answer.code()), (400, "InvalidArgument"));
    }
    let token = get(&host, "/lapse", &[("list-type", "2"), ("continuation-token", "%2F%2F")]).await;
    assert_eq!((token.status, token.code()), (400, "InvalidArgument"));
}

#[tokio::test]
async fn a_page_has_a_thousand_at_most() {
    let host = Host::start().await;
    let client = host.client(Key::Profile);
    for batch in 0..11 {
        let puts = (0..100).map(|number| {
            let put =
                client.put_object().bucket(BUCKET).key(format!("{:04}", batch * 100 + number));
            tokio::spawn(put.send())
        });
        for put in puts.collect::<Vec<_>>() {
            put.await.unwrap().unwrap();
        }
    }
    let list = || client.list_objects_v2().bucket(BUCKET);
    let first = list().max_keys(5000).send().await.unwrap();
    assert_eq!((first.contents().len(), first.is_truncated()), (1000, Some(true)));
    assert_eq!((first.key_count(), first.max_keys()), (Some(1000), Some(1000)));
    let second = list().set_continuation_token(first.next_continuation_token).send().await.unwrap();
    assert_eq!((second.contents().len(), second.is_truncated()), (100, Some(false)));
    assert_eq!(second.contents()[0].key(), Some("1000"));
    // The token says where to go on, whatever else is said.
    let page = list().max_keys(2).send().await.unwrap();
    let after = list().start_after("0500").set_continuation_token(page.next_continuation_token);
    assert_eq!(after.send().await.unwrap().contents()[0].key(), Some("0002"));
}

#[tokio::test]
async fn names_are_encoded_when_that_is_asked_for() {
    let host = Host::start().await;
    let keys = ["a b/ü", "a b/+", "a b/x/1", "\u{1}", "&<>"];
    put(&host, &keys).await;
    let client = host.client(Key::Profile);
    let plain =
        client.list_objects().bucket(BUCKET).prefix("a b/").delimiter("/").send().await.unwrap();
    assert_eq!(plain.contents()[1].key(), Some("a b/ü"));
    assert_eq!(plain.encoding_type(), None);
    let list = client.list_objects().bucket(BUCKET).encoding_type(EncodingType::Url);
    let list = list.prefix("a b/").delimiter("/").marker("a b/+").send().await.unwrap();
    assert_eq!(list.contents()[0].key(), Some("a%20b/%C3%BC"));
    assert_eq!(list.common_prefixes()[0].prefix(), Some("a%20b/x/"));
    assert_eq!((list.prefix(), list.marker()), (Some("a%20b/"), Some("a%20b/%2B")));
    assert_eq!(list.encoding_type(), Some(&EncodingType::Url));
    let list = client.list_objects_v2().bucket(BUCKET).encoding_type(EncodingType::Url);
    let list = list.start_after("\u{1}").max_keys(1).send().await.unwrap();
    assert_eq!(list.contents()[0].key(), Some("%26%3C%3E"));
    assert_eq!(list.start_after(), Some("%01"));
    let all = get(&host, "/lapse", &[("prefix", "%26")]).await;
    assert_eq!(texts(&all, "Key"), ["&amp;&lt;&gt;"]);
}

#[tokio::test]
async fn any_text_is_a_delimiter() {
    let host = Host::start().await;
    put(&host, &["a--b--c", "a--d", "b", "ä日x日y"]).await;
    let client = host.client(Key::Profile);
    for (delimiter, objects, prefixes) in [
        ("--", vec!["b", "ä日x日y"], vec!["a--"]),
        ("日", vec!["a--b--c", "a--d", "b"], vec!["ä日"]),
        ("a", vec!["b", "ä日x日y"], vec!["a"]),
        ("zz", vec!["a--b--c", "a--d", "b", "ä日x日y"], vec![]),
    ] {
        let list =
            client.list_objects_v2().bucket(BUCKET).delimiter(delimiter).send().await.unwrap();
        let found: Vec<_> = list.contents().iter().filter_map(|object| object.key()).collect();
        let common: Vec<_> =
            list.common_prefixes().iter().filter_map(|common| common.prefix()).collect();
        assert_eq!((found, common), (objects, prefixes), "{delimiter}");
        assert_eq!(list.delimiter(), Some(delimiter));
    }
}

/// Keys and common prefixes that a list must give, in their order: the simplest way to say it.
fn model(keys: &[String], prefix: &str, delimiter: &str, after: &str) -> Vec<String> {
    let under = keys.iter().filter_map(|key| Some((key, key.strip_prefix(prefix)?)));
    let mut names: Vec<_> = under
        .filter(|(key, _)| key.as_str() > after)
        .map(|(key, rest)| match rest.find(delimiter) {
            Some(at) if !delimiter.is_empty() => {
                key[..prefix.len() + at + delimiter.len()].to_owned()
            }
            _ => key.clone(),
        })
        .collect();
    names.dedup();
    names
}

#[tokio::test]
async fn every_walk_gives_each_key_and_prefix_once() {
    const LETTERS: [&str; 6] = ["a", "b", "/", "/", "-", "ä"];
    let host = Host::start().await;
    let client = host.client(Key::Profile);
    let mut numbers = bytes(100_000, 42).into_iter();
    let mut number = move |below: u8| usize::from(numbers.next().unwrap() % below);
    let mut word =
        |longest: u8| (0..=number(longest)).map(|_| LETTERS[number(6)]).collect::<String>();
    let mut keys: Vec<_> = (0..150).map(|_| word(5)).collect();
    keys.extend(["a/", "a/x", "a/y", "b//", "b//x", "-a--b"].map(str::to_owned));
    keys.sort();
    keys.dedup();
    put(&host, &keys.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for case in 0..120 {
        let prefix = if case % 4 == 0 { String::new() } else { word(2) };
        let delimiter = ["/", "/", "//", "aa", ""][case % 5];
        let start = if case % 3 == 0 { word(4) } else { String::new() };
        let size = [1, 1, 2, 3, 7][case / 5 % 5];
        for version in [1, 2] {
            let what = format!("{prefix:?} {delimiter:?} {start:?} {size} version {version}");
            let (mut found, mut next) =
                (Vec::new(), Some(start.clone()).filter(|start| !start.is_empty()));
            let first = next.clone();
            loop {
                let (objects, common, truncated);
                if version == 1 {
                    let list = client.list_objects().bucket(BUCKET).prefix(&prefix);
                    let list = list.delimiter(delimiter).max_keys(size).set_marker(next.take());
                    let page = list.send().await.unwrap();
                    next = page.next_marker().map(str::to_owned);
                    truncated = page.is_truncated().unwrap();
                    (objects, common) = (page.contents().to_vec(), page.common_prefixes().to_vec());
                } else {
                    let list = client.list_objects_v2().bucket(BUCKET).prefix(&prefix);
                    let list = list.delimiter(delimiter).max_keys(size);
                    let list = list.set_start_after(first.clone());
                    let token = next.take().filter(|_| !found.is_empty());
                    let page = list.set_continuation_token(token).send().await.unwrap();
                    next = page.next_continuation_token().map(str::to_owned);
                    truncated = page.is_truncated().unwrap();
                    (objects, common) = (page.contents().to_vec(), page.common_prefixes().to_vec());
                }
                let objects = objects.iter().map(|object| object.key().unwrap().to_owned());
                let common = common.iter().map(|common| common.prefix().unwrap().to_owned());
                let mut both: Vec<_> = objects.chain(common).collect();
                both.sort();
                assert!(both.len() <= usize::try_from(size).unwrap(), "{what}");
                found.extend(both);
                if !truncated {
                    break;
                }
                // Version 1 gives its marker with a delimiter only.
                next = next.or_else(|| found.last().cloned());
            }
            let mut expected = model(&keys, &prefix, delimiter, &start);
            // A marker that is a common prefix says that it was answered. Version 2 has its token for that.
            expected.retain(|name| version == 2 || *name != start);
            assert_eq!(found, expected, "{what}");
        }
    }
}

#[tokio::test]
async fn uploads_are_folded_into_prefixes() {
    let host = Host::start().await;
    let client = host.client(Key::Profile);
    for key in ["a", "a/1", "a/2", "a/2", "a0", "b/1/x", "b/2", "c", "c", "ä/1"] {
        client.create_multipart_upload().bucket(BUCKET).key(key).send().await.unwrap();
    }
    for size in [1, 2, 3, 1000] {
        let (mut found, mut key, mut id) = (Vec::new(), None, None);
        loop {
            let list =
                client.list_multipart_uploads().bucket(BUCKET).delimiter("/").max_uploads(size);
            let page = list.set_key_marker(key).set_upload_id_marker(id).send().await.unwrap();
            let keys = page.uploads().iter().map(|upload| upload.key().unwrap().to_owned());
            let common =
                page.common_prefixes().iter().map(|common| common.prefix().unwrap().to_owned());
            let mut both: Vec<_> = keys.chain(common).collect();
            assert!(both.len() <= usize::try_from(size).unwrap());
            both.sort();
            found.extend(both);
            if page.is_truncated() != Some(true) {
                break;
            }
            (key, id) = (page.next_key_marker, page.next_upload_id_marker);
        }
        assert_eq!(found, ["a", "a/", "a0", "b/", "c", "c", "ä/"], "{size} a page");
    }
    let under = client.list_multipart_uploads().bucket(BUCKET).delimiter("/").prefix("b/");
    let under = under.send().await.unwrap();
    assert_eq!(under.uploads()[0].key(), Some("b/2"));
    assert_eq!(under.common_prefixes()[0].prefix(), Some("b/1/"));
}

#[tokio::test]
async fn owner_is_told_where_s3_tells_it() {
    let host = Host::start().await;
    put(&host, &["a"]).await;
    let client = host.client(Key::Profile);
    let first = client.list_objects().bucket(BUCKET).send().await.unwrap();
    let owner = first.contents()[0].owner().unwrap().id().unwrap().to_owned();
    let buckets = client.list_buckets().send().await.unwrap();
    assert_eq!(buckets.owner().unwrap().id(), Some(owner.as_str()));
    let second = client.list_objects_v2().bucket(BUCKET);
    assert_eq!(second.clone().send().await.unwrap().contents()[0].owner(), None);
    let asked = second.fetch_owner(true).send().await.unwrap();
    assert_eq!(asked.contents()[0].owner().unwrap().id(), Some(owner.as_str()));
    assert_eq!(asked.contents()[0].storage_class().unwrap().as_str(), "STANDARD");
}

#[tokio::test]
async fn buckets_are_listed_page_by_page() {
    let host = Host::start().await;
    let root = host.client(Key::Root);
    for name in ["a-1", "a-2", "a-3", "z-1"] {
        root.create_bucket().bucket(name).send().await.unwrap();
    }
    let (mut seen, mut token) = (Vec::new(), None);
    loop {
        let list = root.list_buckets().max_buckets(2).set_continuation_token(token);
        let page = list.send().await.unwrap();
        assert!(page.buckets().len() <= 2);
        seen.extend(page.buckets().iter().map(|bucket| bucket.name().unwrap().to_owned()));
        token = page.continuation_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["a-1", "a-2", "a-3", BUCKET, "z-1"]);
    let some = root.list_buckets().prefix("a-").send().await.unwrap();
    assert_eq!((some.buckets().len(), some.prefix()), (3, Some("a-")));
    let elsewhere = root.list_buckets().bucket_region("eu-west-1").send().await.unwrap();
    assert!(elsewhere.buckets().is_empty());
    for wrong in [0, -1, 10_001] {
        assert_eq!(code(root.list_buckets().max_buckets(wrong).send().await), "InvalidArgument");
    }
    let own = host.client(Key::Profile).list_buckets().max_buckets(1).send().await.unwrap();
    assert_eq!((own.buckets().len(), own.continuation_token()), (1, None));
}

#[tokio::test]
async fn parts_are_listed_within_limits() {
    let host = Host::start().await;
    let client = host.client(Key::Profile);
    let upload = client.create_multipart_upload().bucket(BUCKET).key("k").send().await.unwrap();
    let id = upload.upload_id().unwrap();
    for number in [1, 3, 10_000] {
        let part = client.upload_part().bucket(BUCKET).key("k").upload_id(id).part_number(number);
        part.body(b"x".to_vec().into()).send().await.unwrap();
    }
    let ask = async |name: &str, value: &str| {
        get(&host, "/lapse/k", &[("uploadId", id), (name, value)]).await
    };
    for (limit, given, count) in [("0", "0", 0), ("2", "2", 2), ("1001", "1000", 3)] {
        let answer = ask("max-parts", limit).await;
        assert_eq!(texts(&answer, "MaxParts"), [given]);
        assert_eq!(texts(&answer, "PartNumber").len(), count);
    }
    for (marker, left) in [("0", 3), ("1", 2), ("2", 2), ("9999", 1), ("10000", 0)] {
        assert_eq!(texts(&ask("part-number-marker", marker).await, "PartNumber").len(), left);
    }
    for wrong in ["-1", "x"] {
        let answer = ask("max-parts", wrong).await;
        assert_eq!((answer.status, answer.code()), (400, "InvalidArgument"), "{wrong}");
    }
    let none = get(&host, "/lapse/k", &[("uploadId", "none")]).await;
    assert_eq!((none.status, none.code()), (404, "NoSuchUpload"));
    let complete = client.complete_multipart_upload().bucket(BUCKET).key("k").upload_id("none");
    let parts = CompletedMultipartUpload::builder().build();
    assert_eq!(code(complete.multipart_upload(parts).send().await), "NoSuchUpload");
}
