//! What mustn't work.

use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use jiff::{SignedDuration, Timestamp};
use lapse_local_store::{BUCKET, Key};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Host, code};

const PATH: &str = "/lapse/secret.txt";

async fn host_with_object() -> Host {
    let host = Host::start().await;
    let put = host.send(host.draft("PUT", PATH), b"secret").await;
    assert_eq!(put.status, 200, "{put:?}");
    host
}

/// The base that every test here changes in one point.
#[tokio::test]
async fn unchanged_link_and_request_are_answered() {
    let host = host_with_object().await;
    let link = host.draft("GET", PATH).link();
    assert_eq!(host.follow("GET", &link, "").await.body, b"secret");
    assert_eq!(host.send(host.draft("GET", PATH), b"").await.body, b"secret");
}

#[tokio::test]
async fn signature_of_another_shape_is_refused_as_a_wrong_one() {
    let host = host_with_object().await;
    let link = host.draft("GET", PATH).link();
    let (front, right) = link.split_at(link.len() - 64);
    for wrong in
        ["", "0", &right[1..], &format!("{right}0"), &right.to_uppercase(), &"x".repeat(64)]
    {
        let answer = host.follow("GET", &format!("{front}{wrong}"), "").await;
        assert_eq!((answer.status, answer.code()), (403, "SignatureDoesNotMatch"), "{wrong}");
    }
}

#[tokio::test]
async fn unsigned_request_is_refused() {
    let host = host_with_object().await;
    for (method, target) in
        [("GET", PATH), ("GET", "/"), ("GET", "/lapse"), ("DELETE", PATH), ("PUT", PATH)]
    {
        let answer = host.follow(method, target, "content-length: 0\r\n").await;
        assert_eq!((answer.status, answer.code()), (403, "AccessDenied"), "{method} {target}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
}

#[tokio::test]
async fn signature_version_2_is_refused_in_every_form() {
    let host = host_with_object().await;
    let key = host.key(Key::Profile).access_key;
    let date = "date: Thu, 01 Jan 2026 00:00:00 GMT\r\n";
    let by_header =
        host.follow("GET", PATH, &format!("authorization: AWS {key}:c2lnbmF0dXJl\r\n{date}")).await;
    assert_eq!((by_header.status, by_header.code()), (400, "InvalidRequest"));
    let link = format!("{PATH}?AWSAccessKeyId={key}&Expires=4102444800&Signature=c2lnbmF0dXJl");
    let by_query = host.follow("GET", &link, "").await;
    assert_eq!((by_query.status, by_query.code()), (400, "InvalidRequest"));
    let form = "--b\r\ncontent-disposition: form-data; name=\"AWSAccessKeyId\"\r\n\r\nX\r\n--b\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\nX\r\n--b--\r\n";
    let head = format!(
        "content-type: Multipart/Form-Data; boundary=b\r\ncontent-length: {}\r\n\r\n{form}",
        form.len()
    );
    let by_form = host.follow("POST", "/lapse", head.strip_suffix("\r\n").unwrap()).await;
    assert_eq!((by_form.status, by_form.code()), (400, "InvalidRequest"));
}

#[tokio::test]
async fn link_for_more_than_seven_days_or_for_no_time_is_refused() {
    let host = host_with_object().await;
    for seconds in ["604801", "691200", "0", "-1", "+60", "6e2", "", "99999999999999999999"] {
        let mut draft = host.draft("GET", PATH);
        draft.expires = seconds.into();
        let answer = host.follow("GET", &draft.link(), "").await;
        assert_eq!(
            (answer.status, answer.code()),
            (400, "AuthorizationQueryParametersError"),
            "{seconds}"
        );
    }
    let mut longest = host.draft("GET", PATH);
    longest.expires = "604800".into();
    assert_eq!(host.follow("GET", &longest.link(), "").await.status, 200);
}

#[tokio::test]
async fn link_ends_at_its_time_and_begins_within_fifteen_minutes() {
    let host = host_with_object().await;
    let at = |minutes: i64| {
        let mut draft = host.draft("GET", PATH);
        draft.at = Timestamp::now() + SignedDuration::from_mins(minutes);
        draft.link()
    };
    let expired = host.follow("GET", &at(-16), "").await;
    assert_eq!((expired.status, expired.code()), (403, "AccessDenied"));
    assert!(String::from_utf8_lossy(&expired.body).contains("Request has expired"));
    let early = host.follow("GET", &at(16), "").await;
    assert_eq!((early.status, early.code()), (403, "AccessDenied"));
    assert_eq!(host.follow("GET", &at(14), "").await.status, 200);
    assert_eq!(host.follow("GET", &at(-14), "").await.status, 200);
}

#[tokio::test]
async fn link_changed_in_any_character_of_its_parts_is_refused() {
    let host = host_with_object().await;
    assert_eq!(host.send(host.draft("PUT", "/lapse/other.txt"), b"other").await.status, 200);
    let link = host.draft("GET", PATH).query("response-content-type", "text%2Fplain").link();
    let (path, query) = link.split_once('?').unwrap();
    assert_eq!(host.follow("GET", &link, "").await.status, 200);
    let mut changed =
        vec![link.replace(path, "/lapse/other.txt"), link.replace(path, "/lapse/secret.tx")];
    changed.push(link.replace("X-Amz-Expires=900", "X-Amz-Expires=901"));
    changed.push(link.replace("text%2Fplain", "text%2Fhtml"));
    changed.push(link.replace("response-content-type=text%2Fplain&", ""));
    changed.push(format!("{link}&response-cache-control=x"));
    changed.push(format!("{link}&x-id=GetObject"));
    let last = if link.ends_with('0') { '1' } else { '0' };
    changed.push(format!("{}{last}", &link[..link.len() - 1]));
    let date = query.split('&').find(|pair| pair.starts_with("X-Amz-Date=")).unwrap();
    let other_date = Timestamp::now() - SignedDuration::from_secs(7);
    changed.push(link.replace(date, &other_date.strftime("X-Amz-Date=%Y%m%dT%H%M%SZ").to_string()));
    for link in &changed {
        let answer = host.follow("GET", link, "").await;
        assert_eq!((answer.status, answer.code()), (403, "SignatureDoesNotMatch"), "{link}");
    }
    for method in ["PUT", "DELETE"] {
        let answer = host.follow(method, &link, "content-length: 0\r\n").await;
        assert_eq!((answer.status, answer.code()), (403, "SignatureDoesNotMatch"), "{method}");
    }
    assert_eq!(host.follow("HEAD", &link, "").await.status, 403);
    assert_eq!(host.follow("GET", &link, "").await.body, b"secret");
}

#[tokio::test]
async fn link_of_an_unknown_key_is_refused() {
    let host = host_with_object().await;
    let mut draft = host.draft("GET", PATH);
    draft.key.access_key = "LAPSAAAAAAAAAAAAAAAA".into();
    let answer = host.follow("GET", &draft.link(), "").await;
    assert_eq!((answer.status, answer.code()), (403, "InvalidAccessKeyId"));
    let mut wrong_secret = host.draft("GET", PATH);
    wrong_secret.key.secret_key = host.key(Key::Root).secret_key;
    let answer = host.follow("GET", &wrong_secret.link(), "").await;
    assert_eq!((answer.status, answer.code()), (403, "SignatureDoesNotMatch"));
}

#[tokio::test]
async fn link_signed_for_another_host_region_or_service_is_refused() {
    let host = host_with_object().await;
    let mut other_host = host.draft("GET", PATH);
    other_host.host = "127.0.0.1:1".into();
    let answer = host.follow("GET", &other_host.link(), "").await;
    assert_eq!((answer.status, answer.code()), (403, "SignatureDoesNotMatch"));
    let mut other_region = host.draft("GET", PATH);
    other_region.region = "eu-west-1".into();
    let answer = host.follow("GET", &other_region.link(), "").await;
    assert_eq!((answer.status, answer.code()), (400, "AuthorizationQueryParametersError"));
    let mut without_host = host.draft("GET", PATH);
    without_host.signed = vec!["x-other".into()];
    let answer =
        host.follow("GET", &without_host.header("x-other", "1").link(), "x-other: 1\r\n").await;
    assert_eq!((answer.status, answer.code()), (403, "AccessDenied"));
    let for_sts = host.draft("GET", PATH).link().replace("%2Fs3%2F", "%2Fsts%2F");
    assert_eq!(host.follow("GET", &for_sts, "").await.status, 400);
}

#[tokio::test]
async fn duplicated_parameter_is_refused() {
    let host = host_with_object().await;
    let link = host.draft("GET", PATH).link();
    for pair in link.split_once('?').unwrap().1.split('&') {
        let answer = host.follow("GET", &format!("{link}&{pair}"), "").await;
        assert_eq!(
            (answer.status, answer.code()),
            (400, "AuthorizationQueryParametersError"),
            "{pair}"
        );
        let answer = host.follow("GET", &format!("{link}&{}", pair.to_lowercase()), "").await;
        assert_eq!(
            (answer.status, answer.code()),
            (400, "AuthorizationQueryParametersError"),
            "{pair}"
        );
    }
}

#[tokio::test]
async fn header_that_matters_must_be_signed() {
    let host = host_with_object().await;
    let link = host.draft("GET", PATH).link();
    let answer = host.follow("GET", &link, "x-amz-checksum-mode: ENABLED\r\n").await;
    assert_eq!((answer.status, answer.code()), (403, "AccessDenied"));
    let unsigned = host.draft("PUT", PATH).unsigned_header("x-amz-meta-a", "b");
    let answer = host.send(unsigned, b"x").await;
    assert_eq!((answer.status, answer.code()), (403, "AccessDenied"));
    // A signed header must come as it was signed.
    let with_header = host.draft("PUT", PATH).header("content-type", "text/plain").link();
    let as_signed =
        host.follow("PUT", &with_header, "content-type: text/plain\r\ncontent-length: 0\r\n").await;
    assert_eq!(as_signed.status, 200);
    for headers in ["content-type: text/html\r\ncontent-length: 0\r\n", "content-length: 0\r\n"] {
        let answer = host.follow("PUT", &with_header, headers).await;
        assert_eq!((answer.status, answer.code()), (403, "SignatureDoesNotMatch"), "{headers}");
    }
}

#[tokio::test]
async fn session_token_or_two_signatures_are_refused() {
    let host = host_with_object().await;
    let link = host.draft("GET", PATH).query("X-Amz-Security-Token", "abc").link();
    let answer = host.follow("GET", &link, "").await;
    assert_eq!((answer.status, answer.code()), (400, "InvalidToken"));
    let link = host.draft("GET", PATH).link();
    let request = String::from_utf8(host.draft("GET", PATH).request(b"")).unwrap();
    let request = request.replacen(PATH, &link, 1);
    let answer = host.raw(request.as_bytes()).await;
    assert_eq!((answer.status, answer.code()), (400, "InvalidArgument"));
}

#[tokio::test]
async fn request_signed_long_ago_is_refused() {
    let host = host_with_object().await;
    for minutes in [-16, 16] {
        let mut draft = host.draft("DELETE", PATH);
        draft.at = Timestamp::now() + SignedDuration::from_mins(minutes);
        let answer = host.send(draft, b"").await;
        assert_eq!((answer.status, answer.code()), (403, "RequestTimeTooSkewed"));
    }
}

#[tokio::test]
async fn scoped_key_cannot_leave_its_bucket() {
    let host = host_with_object().await;
    let root = host.client(Key::Root);
    root.create_bucket().bucket("other").send().await.unwrap();
    root.put_object()
        .bucket("other")
        .key("k")
        .body(ByteStream::from_static(b"x"))
        .send()
        .await
        .unwrap();
    for key in [Key::Profile, Key::Env] {
        let client = host.client(key);
        assert_eq!(code(client.get_object().bucket("other").key("k").send().await), "AccessDenied");
        assert_eq!(code(client.put_object().bucket("other").key("k").send().await), "AccessDenied");
        assert_eq!(
            code(client.delete_object().bucket("other").key("k").send().await),
            "AccessDenied"
        );
        assert_eq!(code(client.list_objects_v2().bucket("other").send().await), "AccessDenied");
        assert_eq!(code(client.list_objects_v2().bucket("missing").send().await), "AccessDenied");
        assert_eq!(code(client.create_bucket().bucket("mine").send().await), "AccessDenied");
        let copy = client.copy_object().bucket(BUCKET).key("k").copy_source("other/k").send().await;
        assert_eq!(code(copy), "AccessDenied");
        let listed = client.list_buckets().send().await.unwrap();
        let listed: Vec<_> = listed.buckets().iter().filter_map(|bucket| bucket.name()).collect();
        assert_eq!(listed, [BUCKET]);
    }
}

#[tokio::test]
async fn wrong_digest_keeps_the_old_object() {
    let host = host_with_object().await;
    let zeros = "0".repeat(64);
    let wrong = [
        ("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==", "BadDigest"),
        ("content-md5", "nonsense", "InvalidDigest"),
        ("x-amz-checksum-crc32", "AAAAAA==", "BadDigest"),
        ("x-amz-checksum-crc32c", "AAAAAA==", "BadDigest"),
        ("x-amz-checksum-crc64nvme", "AAAAAAAAAAA=", "BadDigest"),
        ("x-amz-checksum-sha1", "2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "BadDigest"),
        ("x-amz-checksum-sha256", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "BadDigest"),
        ("x-amz-checksum-sha256", "AAAA", "InvalidRequest"),
        ("x-amz-content-sha256", zeros.as_str(), "XAmzContentSHA256Mismatch"),
    ];
    for (name, value, expected) in wrong {
        let answer = host.send(host.draft("PUT", PATH).header(name, value), b"replaced").await;
        assert_eq!((answer.status, answer.code()), (400, expected), "{name}: {value}");
    }
    let two = host
        .draft("PUT", PATH)
        .header("x-amz-checksum-crc32", "AAAAAA==")
        .header("x-amz-checksum-crc32c", "AAAAAA==");
    assert_eq!(host.send(two, b"x").await.code(), "InvalidRequest");
    assert_eq!(host.send(host.draft("GET", PATH), b"").await.body, b"secret");
    assert_eq!(crate::support::names(&host.store().join("blobs")).len(), 1);
    assert_eq!(crate::support::names(&host.store().join("tmp")), Vec::<String>::new());
}

#[tokio::test]
async fn body_of_another_length_keeps_the_old_object() {
    let host = host_with_object().await;
    let request = host.draft("PUT", PATH).header("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    let request = request.unsigned_header("content-length", "100").request(b"short");
    let mut stream = host.connect().await;
    stream.write_all(&request).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    let both = host.draft("PUT", PATH).unsigned_header("transfer-encoding", "chunked");
    let answer = host.send(both.unsigned_header("content-length", "3"), b"0\r\n\r\n").await;
    assert_eq!((answer.status, answer.code()), (411, "MissingContentLength"));
    assert_eq!(host.send(host.draft("GET", PATH), b"").await.body, b"secret");
}

#[tokio::test]
async fn key_that_looks_like_a_path_is_only_a_name() {
    let host = host_with_object().await;
    for path in [
        "/lapse/../../etc/passwd",
        "/lapse//etc/passwd",
        "/lapse/a//b",
        "/lapse/.",
        "/lapse/a%00b",
        "/lapse/%5C",
    ] {
        let put = host.send(host.draft("PUT", path), path.as_bytes()).await;
        assert_eq!(put.status, 200, "{path} {put:?}");
        assert_eq!(host.send(host.draft("GET", path), b"").await.body, path.as_bytes(), "{path}");
    }
    assert_eq!(crate::support::names(host.dir.path()), ["store"]);
}

#[tokio::test]
async fn what_is_not_supported_says_so() {
    let host = host_with_object().await;
    for (method, target) in [
        ("GET", "acl"),
        ("GET", "versions"),
        ("GET", "cors"),
        ("GET", "policy"),
        ("GET", "notification"),
        ("GET", "object-lock"),
        ("GET", "tagging"),
    ] {
        let answer = host.send(host.draft(method, "/lapse").query(target, ""), b"").await;
        assert_eq!((answer.status, answer.code()), (501, "NotImplemented"), "{method} {target}");
    }
    let tagged = host.draft("PUT", PATH).header("x-amz-tagging", "a=b");
    assert_eq!(host.send(tagged, b"x").await.code(), "NotImplemented");
    let public = host.draft("PUT", PATH).header("x-amz-acl", "public-read");
    assert_eq!(host.send(public, b"x").await.code(), "NotImplemented");
}

#[tokio::test]
async fn huge_head_is_refused() {
    let host = host_with_object().await;
    let head = format!("x-filler: {}\r\n", "a".repeat(100_000));
    let answer = host.follow("GET", PATH, &head).await;
    assert_eq!(answer.status, 431);
    let many = "x-filler: a\r\n".repeat(200);
    assert_eq!(host.follow("GET", PATH, &many).await.status, 431);
}

#[tokio::test]
async fn too_much_is_refused_before_it_comes() {
    let host = host_with_object().await;
    for length in ["5368709121", "9223372036854775807"] {
        let draft = host.draft("PUT", PATH).header("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
        let answer = host.send(draft.unsigned_header("content-length", length), b"").await;
        assert_eq!((answer.status, answer.code()), (400, "EntityTooLarge"), "{length}");
    }
    let metadata = |size: usize| host.draft("PUT", PATH).header("x-amz-meta-a", &"b".repeat(size));
    let answer = host.send(metadata(2048), b"new").await;
    assert_eq!((answer.status, answer.code()), (400, "MetadataTooLarge"));
    assert_eq!(host.send(host.draft("GET", PATH), b"").await.body, b"secret");
    assert_eq!(host.send(metadata(2047), b"new").await.status, 200);
}

#[tokio::test]
async fn client_that_sends_no_head_is_cut_off() {
    let host = host_with_object().await;
    let mut stream = host.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: ").await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_mins(1), stream.read_to_end(&mut answer)).await;
    read.expect("the connection should be closed within a minute").unwrap();
}
