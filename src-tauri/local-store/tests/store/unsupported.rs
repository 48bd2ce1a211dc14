//! What the store doesn't do: asked for in whatever way, it is refused and changes nothing.

use lapse_local_store::Key;

use crate::signer::Draft;
use crate::support::Host;

const PATH: &str = "/lapse/k";

async fn host_with_object() -> Host {
    let host = Host::start().await;
    assert_eq!(host.send(host.draft("PUT", PATH), b"kept").await.status, 200);
    host
}

/// The root key may do everything that can be done.
fn draft(host: &Host, method: &'static str, path: &str) -> Draft {
    Draft::new(method, &host.endpoint(), path, host.key(Key::Root))
}

async fn assert_not_implemented(host: &Host, draft: Draft, what: &str) {
    let head = draft.method == "HEAD";
    let answer = host.send(draft, b"").await;
    assert_eq!(answer.status, 501, "{what}: {answer:?}");
    assert!(head || answer.code() == "NotImplemented", "{what}: {answer:?}");
    let kept = host.send(host.draft("GET", PATH), b"").await;
    assert_eq!(kept.body, b"kept", "{what}");
}

#[tokio::test]
async fn sub_resources_of_a_bucket_are_not_taken_for_the_bucket() {
    let host = host_with_object().await;
    assert_eq!(host.send(draft(&host, "PUT", "/empty"), b"").await.status, 200);
    #[rustfmt::skip]
    let names = [
        "abac", "accelerate", "acl", "analytics", "cors", "encryption", "intelligent-tiering", "inventory", "logging",
        "metadataConfiguration", "metadataInventoryTable", "metadataJournalTable", "metadataTable", "metrics",
        "notification", "object-lock", "ownershipControls", "policy", "policyStatus", "publicAccessBlock",
        "replication", "requestPayment", "session", "tagging", "versions", "website", "unheard-of",
    ];
    for name in names {
        for method in ["GET", "PUT", "DELETE", "HEAD", "POST"] {
            for path in ["/empty", "/new-bucket"] {
                let asked = draft(&host, method, path).query(name, "");
                assert_not_implemented(&host, asked, &format!("{method} {path}?{name}")).await;
                let asked = draft(&host, method, path).query(name, "").query("id", "1");
                assert_not_implemented(&host, asked, &format!("{method} {path}?{name}&id=1")).await;
            }
        }
    }
    // Parameters of other operations.
    for (method, name) in [
        ("PUT", "versioning"),
        ("DELETE", "versioning"),
        ("PUT", "location"),
        ("DELETE", "location"),
        ("DELETE", "uploads"),
        ("DELETE", "delete"),
        ("PUT", "uploads"),
        ("GET", "delete"),
        ("HEAD", "lifecycle"),
    ] {
        let asked = draft(&host, method, "/empty").query(name, "");
        assert_not_implemented(&host, asked, &format!("{method} ?{name}")).await;
    }
    let listed = host.client(Key::Root).list_buckets().send().await.unwrap();
    let listed: Vec<_> = listed.buckets().iter().filter_map(|bucket| bucket.name()).collect();
    assert_eq!(listed, ["empty", "lapse"]);
}

#[tokio::test]
async fn sub_resources_of_an_object_are_not_taken_for_the_object() {
    let host = host_with_object().await;
    #[rustfmt::skip]
    let asked = [
        ("GET", "acl"), ("PUT", "acl"), ("GET", "attributes"), ("GET", "legal-hold"), ("PUT", "legal-hold"),
        ("GET", "retention"), ("PUT", "retention"), ("PUT", "tagging"), ("DELETE", "tagging"), ("GET", "torrent"),
        ("POST", "select"), ("POST", "restore"), ("PUT", "renameObject"), ("PUT", "encryption"),
        ("PUT", "unheard-of"), ("GET", "unheard-of"), ("DELETE", "unheard-of"), ("HEAD", "unheard-of"),
        ("POST", "unheard-of"), ("PUT", "append"), ("POST", "append"),
        // Half of what a part needs.
        ("PUT", "uploadId"), ("PUT", "partNumber"), ("PUT", "uploads"), ("GET", "uploads"), ("PUT", "versionId"),
        ("PUT", "lifecycle"), ("DELETE", "partNumber"), ("DELETE", "lifecycle"), ("GET", "lifecycle"),
    ];
    for (method, name) in asked {
        let path = draft(&host, method, PATH).query(name, "1");
        assert_not_implemented(&host, path, &format!("{method} ?{name}")).await;
    }
    let select = draft(&host, "POST", PATH).query("select", "").query("select-type", "2");
    assert_not_implemented(&host, select, "select").await;
}

#[tokio::test]
async fn headers_that_ask_for_more_are_not_passed_over() {
    let host = host_with_object().await;
    let headers = [
        ("x-amz-acl", "public-read"),
        ("x-amz-bucket-object-lock-enabled", "true"),
        ("x-amz-bypass-governance-retention", "true"),
        ("x-amz-checksum-sha512", "AAAA"),
        ("x-amz-copy-source-server-side-encryption-customer-algorithm", "AES256"),
        ("x-amz-grant-full-control", "id=1"),
        ("x-amz-grant-read", "id=1"),
        ("x-amz-if-match-last-modified-time", "Thu, 01 Jan 2026 00:00:00 GMT"),
        ("x-amz-if-match-size", "4"),
        ("x-amz-mfa", "1 1"),
        ("x-amz-object-lock-legal-hold", "ON"),
        ("x-amz-object-lock-mode", "GOVERNANCE"),
        ("x-amz-object-lock-retain-until-date", "2030-01-01T00:00:00Z"),
        ("x-amz-object-ownership", "ObjectWriter"),
        ("x-amz-rename-source", "/lapse/k"),
        ("x-amz-server-side-encryption", "AES256"),
        ("x-amz-server-side-encryption-aws-kms-key-id", "1"),
        ("x-amz-server-side-encryption-bucket-key-enabled", "true"),
        ("x-amz-server-side-encryption-context", "e30="),
        ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
        ("x-amz-server-side-encryption-customer-key", "AAAA"),
        ("x-amz-server-side-encryption-customer-key-md5", "AAAA"),
        ("x-amz-storage-class", "GLACIER"),
        ("x-amz-tagging", "a=b"),
        ("x-amz-trailer", "x-amz-checksum-sha512"),
        ("x-amz-transition-default-minimum-object-size", "varies_by_storage_class"),
        ("x-amz-unheard-of", "1"),
        ("x-amz-website-redirect-location", "/other"),
        ("x-amz-write-offset-bytes", "4"),
    ];
    for (name, value) in headers {
        for (method, path, query) in [
            ("PUT", PATH, None),
            ("GET", PATH, None),
            ("HEAD", PATH, None),
            ("DELETE", PATH, None),
            ("POST", PATH, Some("uploads")),
            ("PUT", "/new-bucket", None),
            ("DELETE", "/lapse", Some("lifecycle")),
            ("GET", "/lapse", None),
            ("POST", "/lapse", Some("delete")),
        ] {
            let mut asked = draft(&host, method, path).header(name, value);
            if let Some(query) = query {
                asked = asked.query(query, "");
            }
            assert_not_implemented(&host, asked, &format!("{method} {path} {name}")).await;
        }
        let copy = draft(&host, "PUT", PATH).header("x-amz-copy-source", "lapse/other");
        assert_not_implemented(&host, copy.header(name, value), &format!("copy {name}")).await;
        // A signer may write a header into the link. AWS compares no checksum that comes so.
        if !["x-amz-trailer", "x-amz-checksum-sha512"].contains(&name) {
            let value = value.replace(' ', "%20").replace('/', "%2F").replace('=', "%3D");
            let link = host.draft("PUT", PATH).query(name, &value.replace([':', ','], "")).link();
            let answer = host.follow("PUT", &link, "content-length: 0\r\n").await;
            assert_eq!((answer.status, answer.code()), (501, "NotImplemented"), "{link}");
        }
    }
}

#[tokio::test]
async fn headers_that_ask_for_nothing_are_passed_over() {
    let host = host_with_object().await;
    for (name, value) in [
        ("x-amz-acl", "private"),
        ("x-amz-acl", "bucket-owner-full-control"),
        ("x-amz-storage-class", "STANDARD"),
        ("x-amz-request-payer", "requester"),
        ("x-amz-user-agent", "someone"),
        ("x-amz-expected-bucket-owner", "000000000000"),
        ("x-amz-bypass-governance-retention", "false"),
        ("x-amz-checksum-mode", "ENABLED"),
    ] {
        let answer = host.send(host.draft("PUT", PATH).header(name, value), b"kept").await;
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
        let link = host.draft("PUT", PATH).query(name, value).link();
        let answer = host.follow("PUT", &link, "content-length: 0\r\n").await;
        let by_query = if name.ends_with("retention") { 501 } else { 200 };
        assert_eq!(answer.status, by_query, "{link}: {answer:?}");
    }
    let checksum = host.draft("PUT", PATH).query("x-amz-checksum-crc32", "AAAAAA%3D%3D");
    let answer = host.follow("PUT", &checksum.link(), "content-length: 1\r\n\r\nx").await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn bucket_of_another_owner_is_not_meant() {
    let host = host_with_object().await;
    for (method, query) in
        [("PUT", None), ("GET", None), ("DELETE", None), ("POST", Some("uploads"))]
    {
        let name = "x-amz-expected-bucket-owner";
        let mut asked = host.draft(method, PATH).header(name, "111122223333");
        if let Some(query) = query {
            asked = asked.query(query, "");
        }
        let answer = host.send(asked, b"").await;
        assert_eq!((answer.status, answer.code()), (403, "AccessDenied"), "{method}");
    }
    let link = host.draft("PUT", PATH).query("x-amz-expected-bucket-owner", "111122223333").link();
    let answer = host.follow("PUT", &link, "content-length: 0\r\n").await;
    assert_eq!((answer.status, answer.code()), (403, "AccessDenied"));
    let copy = host.draft("PUT", PATH).header("x-amz-copy-source", "lapse/k");
    let copy = copy.header("x-amz-source-expected-bucket-owner", "111122223333");
    assert_eq!(host.send(copy, b"").await.code(), "AccessDenied");
    assert_eq!(host.send(host.draft("GET", PATH), b"").await.body, b"kept");
}

#[tokio::test]
async fn methods_and_origins_of_no_operation_are_refused() {
    let host = host_with_object().await;
    for method in ["PATCH", "TRACE", "PROPFIND", "LINK"] {
        let answer = host.send(draft(&host, method, PATH), b"").await;
        assert_eq!((answer.status, answer.code()), (501, "NotImplemented"), "{method}");
    }
    // What a browser asks before it lets a page of another origin send something.
    let preflight = "origin: http://example.com\r\naccess-control-request-method: PUT\r\n";
    let answer = host.follow("OPTIONS", PATH, preflight).await;
    assert!(answer.status >= 400, "{answer:?}");
    assert!(!answer.head.to_ascii_lowercase().contains("access-control-"), "{answer:?}");
    let answer =
        host.send(draft(&host, "GET", PATH).header("origin", "http://example.com"), b"").await;
    assert_eq!(answer.status, 200);
    assert!(!answer.head.to_ascii_lowercase().contains("access-control-"), "{answer:?}");
    // Buckets are named by the path, never by the host.
    let mut by_host = host.draft("GET", "/k");
    by_host.host = format!("lapse.{}", by_host.host);
    let answer = host.send(by_host, b"").await;
    assert_ne!(answer.status, 200, "{answer:?}");
}
