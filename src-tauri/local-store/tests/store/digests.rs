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

/// A configuration of one rule, with this between its `Status` and its `Expiration`, and these days.
fn rule(filter: &str, days: &str) -> String {
    format!(
        "<LifecycleConfiguration><Rule><Status>Enabled</Status>{filter}<Expiration><Days>{days}</Days></Expiration></Rule></LifecycleConfiguration>"
    )
}

async fn set_lifecycle(host: &Host, xml: &str) -> Answer {
    let draft = host.draft("PUT", "/lapse").query("lifecycle", "");
    host.send(draft.header("content-md5", &digests(xml.as_bytes())[0].1), xml.as_bytes()).await
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

#[tokio::test]
async fn xml_that_would_be_misread_is_refused() {
    let host = Host::start().await;
    for key in ["a", "b", "ab"] {
        put(&host, key).await;
    }
    for wrong in [
        "<Delete><Object><Key>a<![CDATA[b]]></Key></Object></Delete>",
        "<Delete><Object><Key><![CDATA[a]]></Key></Object></Delete>",
        "<Delete>ab<Object><Key>a</Key></Object></Delete>",
        "<Delete><Object>b<Key>a</Key></Object></Delete>",
        "<Delete><Object><Key>a</Key></Object><object><Key>b</Key></object></Delete>",
        "<Delete><Object><Key>a</Key></Object><x:Object><Key>b</Key></x:Object></Delete>",
        "<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>",
        "<Delete><Object><Key>a</Key><Etag>x</Etag></Object></Delete>",
        "<Delete><Object><Key>a</Key><Size>1.5</Size></Object></Delete>",
        "<Delete><Object><Key>a\r\nb</Key></Object></Delete>",
        "<Delete><Object><Key>&#+97;</Key></Object></Delete>",
        "<Delete><Object><Key>a&x;b</Key></Object></Delete>",
        "<!DOCTYPE Delete><Delete><Object><Key>a</Key></Object></Delete>",
        "<?xml version=\"1.0\" encoding=\"UTF-16\"?><Delete><Object><Key>a</Key></Object></Delete>",
    ] {
        let answer =
            delete(&host, &[("content-md5", &digests(wrong.as_bytes())[0].1)], wrong.as_bytes())
                .await;
        assert_eq!((answer.status, answer.code()), (400, "MalformedXML"), "{wrong}");
    }
    let kept = rule("<Filter><Prefix>kept</Prefix></Filter>", "1");
    assert_eq!(set_lifecycle(&host, &kept).await.status, 200);
    for (filter, days) in [
        ("<Filter><Prefix><![CDATA[logs/]]></Prefix></Filter>", "1"),
        ("<Prefix><![CDATA[logs/]]></Prefix>", "1"),
        ("<Filter>logs/</Filter>", "1"),
        ("<Filter>&lt;</Filter>", "1"),
        ("logs/<Filter/>", "1"),
        ("<Filter><prefix>logs/</prefix></Filter>", "1"),
        ("<Filter><Prefix>a</Prefix><Prefix>b</Prefix></Filter>", "1"),
        ("<Filter><Prefix>a\rb</Prefix></Filter>", "1"),
        ("<Filter/>", "1.5"),
        ("<Filter/>", "1x"),
        ("<Filter/>", "+1"),
        ("<Filter/>", "1&#46;5"),
        ("<Filter><ObjectSizeGreaterThan>1e3</ObjectSizeGreaterThan></Filter>", "1"),
    ] {
        let answer = set_lifecycle(&host, &rule(filter, days)).await;
        assert_eq!((answer.status, answer.code()), (400, "MalformedXML"), "{filter} {days}");
    }
    let misspelt = kept.replace("</Rule>", "</Rule><rule/>");
    assert_eq!(set_lifecycle(&host, &misspelt).await.code(), "MalformedXML");
    let told = host.send(host.draft("GET", "/lapse").query("lifecycle", ""), b"").await;
    assert!(String::from_utf8(told.body).unwrap().contains("<Prefix>kept</Prefix>"));

    let begun = host.send(host.draft("POST", "/lapse/k").query("uploads", ""), b"").await;
    let begun = String::from_utf8(begun.body).unwrap();
    let id = begun.split("<UploadId>").nth(1).unwrap().split('<').next().unwrap();
    let part = host.draft("PUT", "/lapse/k").query("uploadId", id).query("partNumber", "1");
    let etag = host.send(part, b"x").await.header("etag").unwrap().trim_matches('"').to_owned();
    let complete = async |part: &str| {
        let xml = format!("<CompleteMultipartUpload>{part}</CompleteMultipartUpload>");
        host.send(host.draft("POST", "/lapse/k").query("uploadId", id), xml.as_bytes()).await
    };
    let good = format!("<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>");
    for wrong in [
        format!("<Part><PartNumber>1</PartNumber><ETag><![CDATA[{etag}]]></ETag></Part>"),
        format!("<Part><PartNumber>1<![CDATA[0]]></PartNumber><ETag>{etag}</ETag></Part>"),
        format!("<Part><PartNumber>1.5</PartNumber><ETag>{etag}</ETag></Part>"),
        format!("{good}<part/>"),
    ] {
        let answer = complete(&wrong).await;
        assert_eq!((answer.status, answer.code()), (400, "MalformedXML"), "{wrong}");
    }
    assert_eq!(host.send(host.draft("HEAD", "/lapse/k"), b"").await.status, 404);
    assert_eq!(complete(&good).await.status, 200);
    for key in ["a", "b", "ab"] {
        let path = format!("/lapse/{key}");
        assert_eq!(host.send(host.draft("HEAD", &path), b"").await.status, 200, "{key}");
    }
}

#[tokio::test]
async fn xml_is_read_in_whatever_way_it_is_written() {
    let host = Host::start().await;
    for (key, written) in [
        ("ab", "a<!-- <![CDATA[x]]> -->b"),
        ("ab", "a<?x y?>b"),
        ("ab", "&#x61;&#98;"),
        ("%3C%26%3E%22%27", "&lt;&amp;&gt;&quot;&apos;"),
        ("%20a%20", " a "),
        ("%C3%A4", "\u{e4}"),
        ("a%0D%0Ab", "a&#13;&#xA;b"),
    ] {
        put(&host, key).await;
        let xml = format!(
            "\u{feff}<?xml version='1.0' encoding='utf-8'?>\r\n<!-- x --><Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\r\n\t<Object ><Key>{written}</Key >\r\n</Object><Quiet>true</Quiet></Delete>\r\n"
        );
        let md5 = &digests(xml.as_bytes())[0].1;
        let answer = delete(&host, &[("content-md5", md5)], xml.as_bytes()).await;
        assert_eq!(answer.status, 200, "{written}: {answer:?}");
        let path = format!("/lapse/{key}");
        assert_eq!(host.send(host.draft("HEAD", &path), b"").await.status, 404, "{written}");
    }
    let xml = rule("<Filter><Prefix>lo<?x?>gs/</Prefix></Filter>", "1<!-- 0 -->");
    assert_eq!(set_lifecycle(&host, &xml).await.status, 200);
    let told = host.send(host.draft("GET", "/lapse").query("lifecycle", ""), b"").await;
    assert!(String::from_utf8(told.body).unwrap().contains("<Prefix>logs/</Prefix>"));
}

#[tokio::test]
async fn misreading_does_not_depend_on_how_a_body_arrives() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let host = Host::start().await;
    put(&host, "a").await;
    let xml = b"<Delete><Object><Key>a<![CDATA[b]]></Key></Object></Delete>";
    let draft = host.draft("POST", "/lapse").query("delete", "");
    let request = draft.header("content-md5", &digests(xml)[0].1).request(xml);
    let mut stream = host.connect().await;
    stream.set_nodelay(true).unwrap();
    for byte in request.chunks(1) {
        stream.write_all(byte).await.unwrap();
    }
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(Answer::parse(&bytes).code(), "MalformedXML");
    assert!(is_there(&host).await);
}
