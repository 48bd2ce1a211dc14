//! XML that is done only when it is what was sent, and the digests that may say so.

use data_encoding::BASE64;
use lapse_local_store::Key;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};

use crate::support::{Answer, Host};

const DELETE: &[u8] =
    b"<Delete><Object><Key>a</Key></Object><Object><Key>none</Key></Object></Delete>";
const LIFECYCLE: &[u8] = b"<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status><Filter><Prefix>x</Prefix></Filter><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>";

/// The header of each digest that S3 takes, with its value for `data`.
fn digests(data: &[u8]) -> [(&'static str, String); 6] {
    macro_rules! of {
        ($hash:ty) => {{
            let mut hash = <$hash>::new();
            hash.update(data);
            BASE64.encode(hash.finalize().as_ref())
        }};
    }
    [
        ("content-md5", of!(Md5)),
        ("x-amz-checksum-crc32", of!(Crc32)),
        ("x-amz-checksum-crc32c", of!(Crc32c)),
        ("x-amz-checksum-crc64nvme", of!(Crc64Nvme)),
        ("x-amz-checksum-sha1", of!(Sha1)),
        ("x-amz-checksum-sha256", of!(Sha256)),
    ]
}

async fn put(host: &Host, key: &str) {
    let path = format!("/lapse/{key}");
    assert_eq!(host.send(host.draft("PUT", &path), b"x").await.status, 200);
}

async fn delete(host: &Host, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let draft = host.draft("POST", "/lapse").query("delete", "");
    let draft = headers.iter().fold(draft, |draft, (name, value)| draft.header(name, value));
    host.send(draft, body).await
}

async fn is_there(host: &Host) -> bool {
    host.send(host.draft("HEAD", "/lapse/a"), b"").await.status == 200
}

#[tokio::test]
async fn delete_of_many_takes_any_digest_and_needs_one() {
    let host = Host::start().await;
    for (name, value) in digests(DELETE) {
        put(&host, "a").await;
        let done = delete(&host, &[(name, &value)], DELETE).await;
        assert_eq!(done.status, 200, "{name}: {done:?}");
        assert!(!is_there(&host).await, "{name}");
    }
    put(&host, "a").await;
    let none = delete(&host, &[], DELETE).await;
    assert_eq!((none.status, none.code()), (400, "InvalidRequest"));
    let named = [("x-amz-sdk-checksum-algorithm", "CRC32")];
    assert_eq!(delete(&host, &named, DELETE).await.code(), "InvalidRequest");
    for (name, value) in digests(b"another body") {
        let wrong = delete(&host, &[(name, &value)], DELETE).await;
        assert_eq!((wrong.status, wrong.code()), (400, "BadDigest"), "{name}");
        let md5 = &digests(DELETE)[0].1;
        let both = [("content-md5", md5.as_str()), (name, &value)];
        if name != "content-md5" {
            assert_eq!(delete(&host, &both, DELETE).await.code(), "BadDigest", "{name}");
        }
    }
    let malformed = delete(&host, &[("content-md5", "AAAA")], DELETE).await;
    assert_eq!((malformed.status, malformed.code()), (400, "InvalidDigest"));
    let malformed = delete(&host, &[("x-amz-checksum-crc32", "AA")], DELETE).await;
    assert_eq!((malformed.status, malformed.code()), (400, "InvalidRequest"));
    assert!(is_there(&host).await);
}

#[tokio::test]
async fn lifecycle_needs_a_digest_too() {
    let host = Host::start().await;
    let send = async |headers: &[(&str, &str)]| {
        let draft = host.draft("PUT", "/lapse").query("lifecycle", "");
        let draft = headers.iter().fold(draft, |draft, (name, value)| draft.header(name, value));
        host.send(draft, LIFECYCLE).await
    };
    let none = send(&[]).await;
    assert_eq!((none.status, none.code()), (400, "InvalidRequest"));
    for (name, value) in digests(b"another body") {
        assert_eq!(send(&[(name, &value)]).await.code(), "BadDigest", "{name}");
    }
    let get = host.send(host.draft("GET", "/lapse").query("lifecycle", ""), b"").await;
    assert_eq!((get.status, get.code()), (404, "NoSuchLifecycleConfiguration"));
    for (name, value) in digests(LIFECYCLE) {
        assert_eq!(send(&[(name, &value)]).await.status, 200, "{name}");
    }
}

#[tokio::test]
async fn xml_that_is_not_the_signed_one_is_refused() {
    let host = Host::start().await;
    put(&host, "a").await;
    let other = "0".repeat(64);
    let md5 = &digests(DELETE)[0].1;
    let headers = [("x-amz-content-sha256", other.as_str()), ("content-md5", md5)];
    let answer = delete(&host, &headers, DELETE).await;
    assert_eq!((answer.status, answer.code()), (400, "XAmzContentSHA256Mismatch"));
    assert!(is_there(&host).await);
    let unsigned = [("x-amz-content-sha256", "UNSIGNED-PAYLOAD"), ("content-md5", md5)];
    assert_eq!(delete(&host, &unsigned, DELETE).await.status, 200);
    assert!(!is_there(&host).await);
}

#[tokio::test]
async fn xml_that_is_malformed_or_too_large_is_refused() {
    let host = Host::start().await;
    put(&host, "a").await;
    let many = [
        b"<Delete>".to_vec(),
        b"<Object><Key>a</Key></Object>".repeat(1001),
        b"</Delete>".to_vec(),
    ];
    let bomb = "<!DOCTYPE d [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><Delete><Object><Key>&b;</Key></Object></Delete>";
    for body in [
        b"<Delete>" as &[u8],
        b"<Delete></Delete>",
        b"<Delete><Object></Object></Delete>",
        b"<Other/>",
        b"\xff\xfe",
        &many.concat(),
        bomb.as_bytes(),
    ] {
        let answer = delete(&host, &[("content-md5", &digests(body)[0].1)], body).await;
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]);
        assert_eq!((answer.status, answer.code()), (400, "MalformedXML"), "{shown}");
    }
    let empty = delete(&host, &[("content-md5", &digests(b"")[0].1)], b"").await;
    assert_eq!((empty.status, empty.code()), (400, "MissingRequestBodyError"));
    for (method, path, query) in [
        ("POST", "/lapse", "delete"),
        ("POST", "/lapse/a", "uploadId"),
        ("PUT", "/lapse", "lifecycle"),
    ] {
        let huge = host.draft(method, path).query(query, "");
        let answer = host.send(huge.unsigned_header("content-length", "8388609"), b"").await;
        assert_eq!((answer.status, answer.code()), (400, "MaxMessageLengthExceeded"), "{query}");
    }
    assert!(is_there(&host).await);
    let root = host.client(Key::Root);
    assert_eq!(root.list_buckets().send().await.unwrap().buckets().len(), 1);
}
