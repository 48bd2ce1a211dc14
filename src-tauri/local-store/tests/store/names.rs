//! Which names keys and buckets may have.

use lapse_local_store::{BUCKET, Key};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::signer::Draft;
use crate::support::{Host, code};

const IN_PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A key as SDKs write it into a path.
fn path(key: &str) -> String {
    format!("/lapse/{}", utf8_percent_encode(key, IN_PATH))
}

#[tokio::test]
async fn any_unicode_is_a_key_and_every_key_is_one_of_its_own() {
    let host = Host::start().await;
    #[rustfmt::skip]
    let keys = [
        "a", "a/b", "a/", "a//b", "a/./b", "a/../b", ".", "..", "./a", "../a", "/a", "//a", "//", "/", "a/b/", "A",
        "ä", "a\u{308}", "日本語", "😀", "\u{202e}txt", "\u{feff}", " ", "a b", "a+b", "a%b", "a%2Fb", "%", "a?b", "a#b",
        "a&b=c", "a;b", "a\\b", "a\"b", "<a>", "a'b", "a\tb", "a\nb", "a\0b", "\u{7f}", "*", "{a}", "[a]", "^", "|",
        "soap", "con", "lapse", "index.db", "blobs", ".hidden", "-rf", "$(x)", "`x`",
    ];
    for key in keys {
        let put = host.send(host.draft("PUT", &path(key)), key.as_bytes()).await;
        assert_eq!(put.status, 200, "{key:?}: {put:?}");
    }
    for key in keys {
        let got = host.send(host.draft("GET", &path(key)), b"").await;
        assert_eq!((got.status, got.body.as_slice()), (200, key.as_bytes()), "{key:?}");
    }
    let client = host.client(Key::Profile);
    let listed = client.list_objects_v2().bucket(BUCKET);
    let listed = listed.encoding_type(aws_sdk_s3::types::EncodingType::Url).send().await.unwrap();
    let mut listed: Vec<_> = listed
        .contents()
        .iter()
        .map(|object| {
            percent_encoding::percent_decode_str(object.key().unwrap())
                .decode_utf8()
                .unwrap()
                .into_owned()
        })
        .collect();
    let mut expected = keys.to_vec();
    expected.sort_unstable();
    assert_eq!(listed, expected, "in the order of their bytes");
    // One goes, its neighbors stay.
    assert_eq!(host.send(host.draft("DELETE", &path("a")), b"").await.status, 204);
    listed.retain(|key| key != "a");
    for key in &listed {
        let head = host.send(host.draft("HEAD", &path(key)), b"").await;
        assert_eq!(head.status, 200, "{key:?}");
    }
    assert_eq!(crate::support::names(host.dir.path()), ["store"]);
}

#[tokio::test]
async fn key_beyond_its_length_is_refused_by_whatever_makes_one() {
    let host = Host::start().await;
    assert_eq!(host.send(host.draft("PUT", "/lapse/source"), b"x").await.status, 200);
    // Bytes count, not characters; the form has a test of its own.
    for (longest, longer) in [
        ("k".repeat(1024), "k".repeat(1025)),
        ("é".repeat(512), "é".repeat(512) + "k"),
        ("😀".repeat(256), "😀".repeat(256) + "k"),
    ] {
        for (key, fits) in [(longest, true), (longer, false)] {
            let path = path(&key);
            let copy = host.draft("PUT", &path).header("x-amz-copy-source", "lapse/source");
            let upload = host.draft("POST", &path).query("uploads", "");
            for (what, draft) in
                [("put", host.draft("PUT", &path)), ("copy", copy), ("upload", upload)]
            {
                let answer = host.send(draft, b"").await;
                assert_eq!(answer.status == 200, fits, "{what}: {answer:?}");
                if !fits {
                    assert_eq!((answer.status, answer.code()), (400, "KeyTooLongError"), "{what}");
                }
            }
        }
    }
}

#[tokio::test]
async fn path_that_is_no_name_is_refused() {
    let host = Host::start().await;
    for path in ["/lapse/%FF", "/lapse/%C3", "/lapse/a%80b", "/%FF/k"] {
        for method in ["PUT", "GET", "DELETE"] {
            let answer = host.send(host.draft(method, path), b"").await;
            assert_eq!(answer.status, 400, "{method} {path}: {answer:?}");
        }
    }
    // The slash of the bucket's own path is no key.
    let answer = host.send(host.draft("GET", "/lapse/"), b"").await;
    assert!(String::from_utf8(answer.body).unwrap().contains("<ListBucketResult"));
}

#[tokio::test]
async fn bucket_has_a_name_that_s3_allows() {
    let host = Host::start().await;
    let create = async |name: &str| {
        let path = format!("/{name}");
        let draft = Draft::new("PUT", &host.endpoint(), &path, host.key(Key::Root));
        host.send(draft, b"").await
    };
    let longest = "b".repeat(63);
    for name in ["abc", "a.b-c.1", "123", &longest] {
        assert_eq!(create(name).await.status, 200, "{name}");
    }
    let longer = "b".repeat(64);
    for name in [
        "ab",
        &longer,
        "Abc",
        "a_b",
        "-ab",
        "ab-",
        ".ab",
        "ab.",
        "a..b",
        "127.0.0.1",
        "a%20b",
        "%C3%A4bc",
    ] {
        let answer = create(name).await;
        assert_eq!((answer.status, answer.code()), (400, "InvalidBucketName"), "{name}");
    }
}

#[tokio::test]
async fn bucket_is_made_once_and_here() {
    let host = Host::start().await;
    let root = host.client(Key::Root);
    root.create_bucket().bucket("mine").send().await.unwrap();
    let put = root.put_object().bucket("mine").key("k").body(b"x".to_vec().into());
    put.send().await.unwrap();
    let again = root.create_bucket().bucket("mine").send().await;
    assert_eq!(code(again), "BucketAlreadyOwnedByYou");
    root.head_object().bucket("mine").key("k").send().await.unwrap();
    let create = async |body: &[u8]| {
        let draft = Draft::new("PUT", &host.endpoint(), "/elsewhere", host.key(Key::Root));
        host.send(draft, body).await
    };
    let there = "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>REGION</LocationConstraint></CreateBucketConfiguration>";
    let elsewhere = create(there.replace("REGION", "eu-west-1").as_bytes()).await;
    assert_eq!((elsewhere.status, elsewhere.code()), (400, "IllegalLocationConstraintException"));
    assert_eq!(code(root.list_objects_v2().bucket("elsewhere").send().await), "NoSuchBucket");
    let malformed = create(b"<CreateBucketConfiguration>").await;
    assert_eq!((malformed.status, malformed.code()), (400, "MalformedXML"));
    assert_eq!(create(there.replace("REGION", "us-east-1").as_bytes()).await.status, 200);
    let head = host
        .send(Draft::new("HEAD", &host.endpoint(), "/elsewhere", host.key(Key::Root)), b"")
        .await;
    assert_eq!(head.header("x-amz-bucket-region"), Some("us-east-1"));
    let place = root.get_bucket_location().bucket("elsewhere").send().await.unwrap();
    assert!(place.location_constraint().is_none_or(|place| place.as_str().is_empty()));
}
