//! Uploads by POST form: what a policy allows, and what it doesn't.

use aws_sdk_s3::types::ChecksumMode;
use data_encoding::BASE64;
use jiff::{SignedDuration, Timestamp};
use lapse_local_store::{Activity, BUCKET, Key};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::form::{FormDraft, end, part, start};
use crate::support::{Answer, Host, bytes, code, names};

async fn stored(host: &Host, key: &str) -> Vec<u8> {
    let got = host.client(Key::Profile).get_object().bucket(BUCKET).key(key).send().await.unwrap();
    got.body.collect().await.unwrap().to_vec()
}

async fn is_missing(host: &Host, key: &str) -> bool {
    let head = host.client(Key::Profile).get_object().bucket(BUCKET).key(key).send().await;
    head.is_err() && code(head) == "NoSuchKey"
}

/// Nothing is stored, and nothing lies about.
async fn assert_refused(host: &Host, answer: &Answer, status: u16, code: &str, why: &str) {
    assert_eq!((answer.status, answer.code()), (status, code), "{why}: {answer:?}");
    assert!(is_missing(host, "k").await, "{why}");
    assert!(names(&host.store().join("blobs")).is_empty(), "{why}");
    assert!(names(&host.store().join("tmp")).is_empty(), "{why}");
}

#[tokio::test]
async fn form_stores_the_file_with_what_its_fields_say() {
    let host = Host::start().await;
    let data = bytes(300_000, 1);
    let answer = FormDraft::new(&host, "in/k")
        .field("Content-Type", "text/plain; charset=utf-8")
        .field("Content-Disposition", "attachment; filename=\"x\"")
        .field("Content-Encoding", "identity")
        .field("Cache-Control", "no-store")
        .field("Expires", "Thu, 01 Jan 2099 00:00:00 GMT")
        .field("x-amz-meta-Who", "me")
        .field("acl", "private")
        .unnamed_field("x-ignore-this", "anything")
        .send(&host, &data)
        .await;
    assert_eq!(answer.status, 204, "{answer:?}");
    assert_eq!(answer.body, b"");
    let endpoint = host.endpoint();
    assert_eq!(answer.header("location"), Some(&*format!("{endpoint}/lapse/in/k")));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("access-control-allow-origin"), None);
    let get = host.client(Key::Profile).get_object().bucket(BUCKET).key("in/k");
    let got = get.checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    assert_eq!(got.e_tag(), answer.header("etag"));
    assert_eq!(got.content_type(), Some("text/plain; charset=utf-8"));
    assert_eq!(got.content_disposition(), Some("attachment; filename=\"x\""));
    assert_eq!(got.content_encoding(), Some("identity"));
    assert_eq!(got.cache_control(), Some("no-store"));
    assert_eq!(got.expires_string(), Some("Thu, 01 Jan 2099 00:00:00 GMT"));
    assert_eq!(got.metadata().unwrap()["who"], "me");
    assert_eq!(got.checksum_crc64_nvme(), answer.header("x-amz-checksum-crc64nvme"));
    assert!(got.body.collect().await.unwrap().to_vec() == data);
}

#[tokio::test]
async fn answer_is_what_the_form_asks_for() {
    let host = Host::start().await;
    for (asked, given) in [("200", 200), ("201", 201), ("204", 204), ("404", 204), ("", 204)] {
        let draft = FormDraft::new(&host, "a&b <ü>").field("success_action_status", asked);
        let answer = draft.send(&host, b"x").await;
        assert_eq!(answer.status, given, "{asked}");
        let url = format!("{}/lapse/a%26b%20%3C%C3%BC%3E", host.endpoint());
        assert_eq!(answer.header("location"), Some(&*url));
        let xml = String::from_utf8(answer.body).unwrap();
        assert_eq!(xml.is_empty(), given != 201, "{asked}");
        if given == 201 {
            assert!(xml.contains(&format!("<Location>{url}</Location>")), "{xml}");
            assert!(xml.contains("<Bucket>lapse</Bucket><Key>a&amp;b &lt;ü&gt;</Key>"), "{xml}");
            let etag = "<ETag>&quot;9dd4e461268c8034f5c8564e155c67a6&quot;</ETag>";
            assert!(xml.contains(etag), "{xml}");
        }
    }
}

#[tokio::test]
async fn redirect_goes_to_web_pages_only_and_says_what_was_stored() {
    let host = Host::start().await;
    let redirect = async |target: &str| {
        let draft = FormDraft::new(&host, "a/b&c").field("success_action_redirect", target);
        draft.field("success_action_status", "201").send(&host, b"x").await
    };
    let tail = "bucket=lapse&key=a%2Fb%26c&etag=%229dd4e461268c8034f5c8564e155c67a6%22";
    for (target, location) in [
        ("http://127.0.0.1/done", format!("http://127.0.0.1/done?{tail}")),
        ("https://example.com/?a=b#c", format!("https://example.com/?a=b&{tail}#c")),
    ] {
        let answer = redirect(target).await;
        assert_eq!((answer.status, answer.header("location")), (303, Some(&*location)));
    }
    for target in
        ["javascript:alert(1)", "data:text/html,x", "/here", "//x/y", "ftp://x/", "http://"]
    {
        assert_eq!(redirect(target).await.status, 201, "{target}");
    }
    let split = redirect("http://x/\r\nset-cookie: a=b").await;
    assert_eq!((split.status, split.header("set-cookie")), (201, None));
    let unnamed = FormDraft::new(&host, "k")
        .unnamed_field("success_action_redirect", "http://example.com/")
        .send(&host, b"x")
        .await;
    assert_refused_only(&unnamed, 403, "AccessDenied");
}

fn assert_refused_only(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code()), (status, code), "{answer:?}");
}

#[tokio::test]
async fn key_takes_the_last_step_of_the_file_name_and_is_only_a_key() {
    let host = Host::start().await;
    for (name, last) in [
        ("photo.jpg", "photo.jpg"),
        ("/etc/passwd", "passwd"),
        ("C:\\dir\\x.txt", "x.txt"),
        ("../../up", "up"),
        ("", ""),
    ] {
        let mut draft = FormDraft::new(&host, "in/${filename}");
        draft.object = json!(["starts-with", "$key", "in/"]);
        draft.file_name = name.into();
        assert_eq!(draft.send(&host, name.as_bytes()).await.status, 204, "{name}");
        assert_eq!(stored(&host, &format!("in/{last}")).await, name.as_bytes());
    }
    let before = names(&host.store());
    for key in ["../../../tmp/x", "/absolute", "..", "a//b", "tmp/../blobs", "C:\\x", "nul\0nul"] {
        let answer = FormDraft::new(&host, key).send(&host, key.as_bytes()).await;
        assert_eq!(answer.status, 204, "{key:?}");
        if key.starts_with("..") {
            // Clients tidy such paths up, so nobody but the list shows them.
            continue;
        }
        assert_eq!(stored(&host, key).await, key.as_bytes(), "{key:?}");
    }
    assert_eq!(names(&host.store()), before);
    assert!(names(&host.store().join("blobs")).iter().all(|name| name.len() == 32));
    let long = FormDraft::new(&host, &"k".repeat(1024)).send(&host, b"x").await;
    assert_eq!(long.status, 204);
    let longer = FormDraft::new(&host, &"k".repeat(1025)).send(&host, b"x").await;
    assert_refused_only(&longer, 400, "KeyTooLongError");
    assert_refused_only(&FormDraft::new(&host, "").send(&host, b"x").await, 400, "InvalidArgument");
}

#[tokio::test]
async fn every_kind_of_condition_holds() {
    let host = Host::start().await;
    let with = |condition: Value, field: Option<(&str, &str)>| {
        let draft = FormDraft::new(&host, "k").condition(condition);
        field.into_iter().fold(draft, |draft, (name, value)| draft.unnamed_field(name, value))
    };
    let right = [
        with(json!({"x-amz-meta-a": "b"}), Some(("X-Amz-Meta-A", "b"))),
        with(json!({"X-AMZ-META-A": "b"}), Some(("x-amz-meta-a", "b"))),
        with(json!(["eq", "$x-amz-meta-a", "b"]), Some(("x-amz-meta-a", "b"))),
        with(json!(["EQ", "$X-Amz-Meta-A", "b"]), Some(("x-amz-meta-a", "b"))),
        with(json!(["starts-with", "$x-amz-meta-a", ""]), Some(("x-amz-meta-a", "b"))),
        with(json!(["StArTs-WiTh", "$x-amz-meta-a", "b"]), Some(("x-amz-meta-a", "bc"))),
        with(json!(["starts-with", "$key", "k"]), None),
        with(json!(["starts-with", "$bucket", "lap"]), None),
        with(
            json!(["starts-with", "$Content-Type", "image/"]),
            Some(("Content-Type", "image/png")),
        ),
        with(json!(["content-length-range", 1, 1]), None),
        with(json!(["content-length-range", "0", "9"]), None),
        with(json!({"foo": "bar"}), Some(("foo", "bar"))),
    ];
    for draft in right {
        let answer = draft.send(&host, b"x").await;
        assert_eq!(answer.status, 204, "{:?} {answer:?}", draft.conditions);
    }
    let client = host.client(Key::Profile);
    client.delete_object().bucket(BUCKET).key("k").send().await.unwrap();
    let wrong = [
        with(json!({"x-amz-meta-a": "b"}), Some(("x-amz-meta-a", "c"))),
        with(json!({"x-amz-meta-a": "b"}), None),
        with(json!(["eq", "$x-amz-meta-a", "b"]), Some(("x-amz-meta-a", "B"))),
        with(json!(["starts-with", "$x-amz-meta-a", "b"]), Some(("x-amz-meta-a", "ab"))),
        with(json!(["starts-with", "$x-amz-meta-a", "b"]), None),
        with(
            json!(["starts-with", "$Content-Type", "image/"]),
            Some(("Content-Type", "text/html")),
        ),
        with(
            json!(["starts-with", "$Content-Type", "image/"]),
            Some(("Content-Type", "image/png,text/html")),
        ),
        with(json!(["eq", "$key", "other"]), None),
        with(json!({"bucket": "other"}), None),
        with(json!({"foo": "bar"}), Some(("other", "bar"))),
    ];
    for draft in wrong {
        let answer = draft.send(&host, b"x").await;
        assert_refused(&host, &answer, 403, "AccessDenied", &format!("{:?}", draft.conditions))
            .await;
        assert!(String::from_utf8_lossy(&answer.body).contains("Invalid according to Policy: "));
    }
}

#[tokio::test]
async fn field_that_no_condition_names_is_refused() {
    let host = Host::start().await;
    for name in ["x-amz-meta-a", "Content-Type", "success_action_status", "foo", "x-ignore", "acl"]
    {
        let answer = FormDraft::new(&host, "k").unnamed_field(name, "x").send(&host, b"x").await;
        assert_refused(&host, &answer, 403, "AccessDenied", name).await;
        assert!(String::from_utf8_lossy(&answer.body).contains("Extra input fields: "));
    }
    let mut draft = FormDraft::new(&host, "k");
    draft.object = Value::Null;
    assert_refused(&host, &draft.send(&host, b"x").await, 403, "AccessDenied", "key").await;
    draft = FormDraft::new(&host, "k");
    draft.bucket = Value::Null;
    assert_refused(&host, &draft.send(&host, b"x").await, 403, "AccessDenied", "bucket").await;
}

#[tokio::test]
async fn policy_for_another_bucket_is_refused() {
    let host = Host::start().await;
    let root = host.client(Key::Root);
    root.create_bucket().bucket("other").send().await.unwrap();
    let mut draft = FormDraft::new(&host, "k");
    draft.key = host.key(Key::Root);
    draft.bucket = json!({"bucket": "other"});
    assert_refused(&host, &draft.send(&host, b"x").await, 403, "AccessDenied", "policy").await;
    draft.path = "/other/".into();
    assert_eq!(draft.send(&host, b"x").await.status, 204);
    draft.key = host.key(Key::Profile);
    assert_refused_only(&draft.send(&host, b"x").await, 403, "AccessDenied");
    draft.key = host.key(Key::Root);
    draft.bucket = json!({"bucket": "missing"});
    draft.path = "/missing".into();
    assert_refused_only(&draft.send(&host, b"x").await, 404, "NoSuchBucket");
    for path in ["/", "/lapse/key", "//"] {
        draft.path = path.into();
        assert_refused_only(&draft.send(&host, b"x").await, 405, "MethodNotAllowed");
    }
}

#[tokio::test]
async fn policy_without_conditions_or_with_a_malformed_date_is_refused() {
    let host = Host::start().await;
    let later = "2100-01-01T00:00:00Z";
    for policy in [
        json!({"expiration": later}).to_string(),
        json!({"expiration": later, "conditions": []}).to_string(),
        json!({"expiration": later, "conditions": [{}]}).to_string(),
        json!({"expiration": later, "conditions": [["in", "$key", "k"]]}).to_string(),
        json!({"conditions": [{"bucket": BUCKET}]}).to_string(),
        json!({"expiration": "tomorrow", "conditions": [{"bucket": BUCKET}]}).to_string(),
        json!({"expiration": 4_102_444_800_u64, "conditions": [{"bucket": BUCKET}]}).to_string(),
        "no JSON".to_owned(),
        String::new(),
    ] {
        let mut draft = FormDraft::new(&host, "k");
        draft.policy = Some(policy.clone());
        let answer = draft.send(&host, b"x").await;
        assert_refused(&host, &answer, 400, "InvalidPolicyDocument", &policy).await;
    }
}

#[tokio::test]
async fn policy_ends_at_its_time_and_with_its_signature() {
    let host = Host::start().await;
    let ends = |offset| json!((Timestamp::now() + SignedDuration::from_secs(offset)).to_string());
    let mut draft = FormDraft::new(&host, "k");
    draft.expiration = ends(-1);
    let answer = draft.send(&host, b"x").await;
    assert_refused(&host, &answer, 403, "AccessDenied", "expired").await;
    assert!(String::from_utf8_lossy(&answer.body).contains("Policy expired"));
    draft.expiration = ends(30 * 24 * 3600);
    for (minutes, status) in
        [(16, 403), (-7 * 24 * 60 - 1, 403), (14, 204), (-7 * 24 * 60 + 1, 204)]
    {
        draft.at = Timestamp::now() + SignedDuration::from_mins(minutes);
        assert_eq!(draft.send(&host, b"x").await.status, status, "{minutes}");
    }
}

#[tokio::test]
async fn form_that_is_not_signed_right_is_refused() {
    let host = Host::start().await;
    let draft = FormDraft::new(&host, "k");
    let fields = draft.signed();
    let changed = |name: &str, value: &str| {
        let mut fields = fields.clone();
        let field = fields.iter_mut().find(|(found, _)| found == name).unwrap();
        field.1 = value.into();
        fields
    };
    let without = |names: &[&str]| {
        let kept = fields.iter().filter(|(found, _)| !names.contains(&found.as_str()));
        kept.cloned().collect::<Vec<_>>()
    };
    let value = |name: &str| fields.iter().find(|(found, _)| found == name).unwrap().1.clone();
    let signature = value("x-amz-signature");
    let credential = value("x-amz-credential");
    let key = &draft.key.access_key;
    let wider = BASE64.encode(br#"{"expiration":"2100-01-01T00:00:00Z","conditions":[{}]}"#);
    let signed = ["policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"];
    for (fields, status, code) in [
        (changed("x-amz-signature", &"0".repeat(64)), 403, "SignatureDoesNotMatch"),
        (changed("x-amz-signature", &signature[1..]), 403, "SignatureDoesNotMatch"),
        (changed("x-amz-signature", ""), 403, "SignatureDoesNotMatch"),
        (changed("policy", &wider), 403, "SignatureDoesNotMatch"),
        (
            changed("x-amz-credential", &credential.replace(key, "LAPSAAAAAAAAAAAAAAAA")),
            403,
            "InvalidAccessKeyId",
        ),
        (
            changed("x-amz-credential", &credential.replace(key, &host.key(Key::Env).access_key)),
            403,
            "SignatureDoesNotMatch",
        ),
        (
            changed("x-amz-credential", &credential.replace("us-east-1", "eu-west-1")),
            400,
            "MalformedPOSTRequest",
        ),
        (
            changed("x-amz-credential", &credential.replace("/s3/", "/iam/")),
            400,
            "MalformedPOSTRequest",
        ),
        (changed("x-amz-credential", "x"), 400, "MalformedPOSTRequest"),
        (changed("x-amz-date", "yesterday"), 400, "MalformedPOSTRequest"),
        (changed("x-amz-date", "20200101T000000Z"), 400, "MalformedPOSTRequest"),
        (changed("x-amz-algorithm", "AWS4-HMAC-SHA1"), 400, "InvalidRequest"),
        (without(&["key"]), 400, "InvalidArgument"),
        (without(&["policy"]), 400, "InvalidArgument"),
        (without(&["x-amz-credential"]), 400, "InvalidArgument"),
        (without(&["x-amz-date"]), 400, "InvalidArgument"),
        (without(&["x-amz-signature"]), 400, "InvalidArgument"),
        (without(&signed), 403, "AccessDenied"),
    ] {
        let answer = draft.send_fields(&host, &fields, b"x").await;
        assert_refused(&host, &answer, status, code, &format!("{fields:?}")).await;
    }
    let twice = [fields.clone(), vec![("KEY".into(), "k".into())]].concat();
    let answer = draft.send_fields(&host, &twice, b"x").await;
    assert_refused(&host, &answer, 400, "InvalidArgument", "twice").await;
    for (name, value) in [("AWSAccessKeyId", key.as_str()), ("signature", "c2lnbmF0dXJl")] {
        let answer = draft.clone().field(name, value).send(&host, b"x").await;
        assert_refused(&host, &answer, 400, "InvalidRequest", name).await;
    }
    assert_eq!(draft.send_fields(&host, &fields, b"x").await.status, 204);
}

#[tokio::test]
async fn form_is_signed_by_its_fields_only() {
    let host = Host::start().await;
    let mut draft = FormDraft::new(&host, "k");
    draft.path = "/lapse?X-Amz-Signature=1".into();
    assert_refused(&host, &draft.send(&host, b"x").await, 400, "InvalidArgument", "query").await;
    draft.path = "/lapse HTTP/1.1\r\nauthorization: AWS4-HMAC-SHA256 x\r\nx: ".into();
    assert_refused(&host, &draft.send(&host, b"x").await, 400, "InvalidArgument", "header").await;
}

#[tokio::test]
async fn upload_beyond_its_range_leaves_nothing() {
    let host = Host::start().await;
    let draft =
        FormDraft::new(&host, "k").condition(json!(["content-length-range", 10, 5_000_000]));
    for (size, code) in [
        (0, "EntityTooSmall"),
        (9, "EntityTooSmall"),
        (5_000_001, "EntityTooLarge"),
        (9_000_000, "EntityTooLarge"),
    ] {
        let answer = draft.send(&host, &bytes(size, 2)).await;
        assert_refused(&host, &answer, 400, code, &size.to_string()).await;
    }
    for size in [10, 5_000_000] {
        assert_eq!(draft.send(&host, &bytes(size, 2)).await.status, 204);
        assert!(stored(&host, "k").await == bytes(size, 2));
    }
    let old = stored(&host, "k").await;
    assert_eq!(draft.send(&host, &bytes(5_000_001, 3)).await.status, 400);
    assert!(stored(&host, "k").await == old);
}

#[tokio::test]
async fn wrong_digest_leaves_the_old_object() {
    let host = Host::start().await;
    assert_eq!(FormDraft::new(&host, "k").send(&host, b"old").await.status, 204);
    for (name, right, wrong) in [
        ("Content-MD5", "Iq9kXRhZy1ym2gxITx836g==", "AAAAAAAAAAAAAAAAAAAAAA=="),
        ("x-amz-checksum-crc32", "a+NERQ==", "AAAAAA=="),
    ] {
        let answer = FormDraft::new(&host, "k").field(name, wrong).send(&host, b"new").await;
        assert_refused_only(&answer, 400, "BadDigest");
        assert_eq!(stored(&host, "k").await, b"old");
        let malformed = FormDraft::new(&host, "k").field(name, "AA").send(&host, b"new").await;
        assert_eq!(malformed.status, 400);
        let answer = FormDraft::new(&host, "k2").field(name, right).send(&host, b"new").await;
        assert_eq!(answer.status, 204, "{answer:?}");
    }
}

#[tokio::test]
async fn field_that_asks_for_what_is_not_supported_is_refused() {
    let host = Host::start().await;
    for (name, value) in [
        ("acl", "public-read"),
        ("x-amz-acl", "public-read"),
        ("tagging", "<Tagging/>"),
        ("x-amz-storage-class", "GLACIER"),
        ("x-amz-server-side-encryption", "AES256"),
        ("x-amz-website-redirect-location", "/x"),
        ("redirect", "http://example.com/"),
        ("If-None-Match", "*"),
    ] {
        let answer = FormDraft::new(&host, "k").field(name, value).send(&host, b"x").await;
        assert_refused(&host, &answer, 501, "NotImplemented", name).await;
    }
    let token =
        FormDraft::new(&host, "k").field("x-amz-security-token", "t").send(&host, b"x").await;
    assert_refused(&host, &token, 400, "InvalidToken", "token").await;
    let metadata = FormDraft::new(&host, "k").field("x-amz-meta-a", &"x".repeat(2048));
    assert_refused(&host, &metadata.send(&host, b"x").await, 400, "MetadataTooLarge", "").await;
}

#[tokio::test]
async fn form_that_is_no_form_is_refused() {
    let host = Host::start().await;
    let draft = FormDraft::new(&host, "k");
    let fields: String = draft.signed().iter().map(|(name, value)| part(name, value)).collect();
    let file = format!("{}x", start(&draft.signed(), "f"));
    let end = end();
    for (body, code) in [
        (String::new(), "MalformedPOSTRequest"),
        ("x".repeat(1000), "MalformedPOSTRequest"),
        (format!("{fields}{}", &end[2..]), "InvalidArgument"),
        (fields.clone(), "MalformedPOSTRequest"),
        (file.clone(), "IncompleteBody"),
        (format!("{file}{}", &end[..end.len() - 6]), "IncompleteBody"),
        (format!("{file}{}", &end[..end.len() - 3]), "MalformedPOSTRequest"),
        (file.replace("name=\"key\"", "nothing=\"key\""), "MalformedPOSTRequest"),
        (part("key", &"k".repeat(21_000)), "MaxPostPreDataLengthExceeded"),
        (part("policy", &"k".repeat(66_000)), "MaxPostPreDataLengthExceeded"),
        ("x".repeat(1_000_000), "MaxPostPreDataLengthExceeded"),
        (part(&"k".repeat(1_000_000), ""), "MaxPostPreDataLengthExceeded"),
        (part("a", "").repeat(20_000), "InvalidArgument"),
    ] {
        let answer = draft.send_body(&host, body.as_bytes()).await;
        let shown = &body[..body.len().min(200)];
        assert_refused(&host, &answer, 400, code, shown).await;
    }
    let mut head = draft.head(&host, file.len() + end.len());
    head = head.replace("; boundary=", "; nothing=");
    let answer = host.raw(format!("{head}{file}{end}").as_bytes()).await;
    assert_refused_only(&answer, 400, "MalformedPOSTRequest");
    let after = format!("{file}\r\n{}{}", part("key", "other"), &end[2..]);
    assert_eq!(draft.send_body(&host, after.as_bytes()).await.status, 204);
    assert_eq!(stored(&host, "k").await, b"x");
    assert!(is_missing(&host, "other").await);
}

#[tokio::test]
async fn form_that_breaks_off_stores_nothing() {
    let host = Host::start().await;
    let draft = FormDraft::new(&host, "k");
    let body = start(&draft.signed(), "f") + &"x".repeat(3_000_000);
    let mut stream = host.connect().await;
    stream.write_all(draft.head(&host, body.len() + 1000).as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    drop(stream);
    crate::support::until(|| {
        let Activity { under_way, last_request, .. } = host.running.activity();
        under_way == 0 && last_request.is_some()
    })
    .await;
    crate::support::until(|| names(&host.store().join("tmp")).is_empty()).await;
    assert!(is_missing(&host, "k").await);
    assert!(names(&host.store().join("blobs")).is_empty());
}

/// The memory of this process, which hosts the store.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Whether this is a process of its own for the test of that name; if it isn't, the test has run in one. Other
/// tests need memory too, in the process that they share.
fn alone(test: &str) -> bool {
    const ALONE: &str = "LAPSE_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let program = std::env::current_exe().unwrap();
    let output =
        std::process::Command::new(program).args(["--exact", test]).env(ALONE, "1").output();
    let output = output.unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
    false
}

#[tokio::test]
async fn large_file_is_streamed() {
    const SIZE: usize = 200 * 1024 * 1024;
    if !alone("forms::large_file_is_streamed") {
        return;
    }
    let host = Host::start().await;
    let draft = FormDraft::new(&host, "k");
    let chunk = bytes(1024 * 1024, 7);
    let (start, end) = (start(&draft.signed(), "f"), end());
    let mut stream = host.connect().await;
    let head = draft.head(&host, start.len() + SIZE + end.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(start.as_bytes()).await.unwrap();
    let (before, mut most) = (resident(), 0);
    for _ in 0..SIZE / chunk.len() {
        stream.write_all(&chunk).await.unwrap();
        most = most.max(resident());
    }
    stream.write_all(end.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(Answer::parse(&answer).status, 204);
    let head =
        host.client(Key::Profile).head_object().bucket(BUCKET).key("k").send().await.unwrap();
    assert_eq!(head.content_length(), Some(200 * 1024 * 1024));
    let grown = most.saturating_sub(before);
    assert!(grown < 32 * 1024 * 1024, "grew by {grown} bytes");
}
