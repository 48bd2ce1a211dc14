//! Servers that aren't there, aren't S3, or don't know us.

use std::time::Duration;

use lapse_tests::faults::{self, Https};
use lapse_tests::{Lapse, Output, Place, Server, profile_words, wait_for};

/// `lapse profile add` at another endpoint than the place's own.
fn add_at(endpoint: &str, place: &Place) -> (Lapse, Output) {
    let lapse = Lapse::with_keychain("present");
    let mut place = place.clone();
    endpoint.clone_into(&mut place.user.endpoint);
    let output = lapse.add_profile("work", &place);
    (lapse, output)
}

/// It failed with this code, says so to programs and to people alike, and gives no secret away.
fn assert_fails(words: &[&str], lapse: &Lapse, input: &[u8], code: &str) {
    let json = lapse.run_with(words.iter().copied().chain(["--json"]), input);
    assert_eq!((json.code, json.error_code().as_str()), (Some(1), code), "{json:#?}");
    let plain = lapse.run_with(words, input);
    assert_eq!(plain.code, Some(1), "{plain:#?}");
    plain.complaint();
    for output in [&json, &plain] {
        assert_eq!(output.stdout, "", "{output:#?}");
        assert!(
            input.is_empty() || !output.stderr.contains(&*String::from_utf8_lossy(input)),
            "{output:#?}"
        );
    }
}

fn assert_add_fails(endpoint: &str, place: &Place, code: &str) {
    let (lapse, output) = add_at(endpoint, place);
    assert_eq!(output.code, Some(1), "{output:#?}");
    let mut there = place.clone();
    endpoint.clone_into(&mut there.user.endpoint);
    let key = ["--access-key", &place.user.access_key, "--secret-stdin"];
    let words = [&profile_words("work", place.server.provider(), &there)[..], &key].concat();
    assert_fails(&words, &lapse, place.user.secret_key.as_bytes(), code);
    let names = lapse.run(["profile", "list", "--json"]).success().lines();
    assert_eq!(names.len(), 1, "a profile that doesn't work was kept: {names:?}");
}

#[test]
fn a_wrong_secret_is_told() {
    for server in [Server::SeaweedFs, Server::MiniStack] {
        let mut place = server.place();
        place.user.secret_key = "wrongwrongwrongwrongwrongwrongwrongwrong".to_owned();
        assert_add_fails(&place.user.endpoint.clone(), &place, "sign_in");
    }
}

#[test]
fn an_unknown_key_is_told() {
    let mut place = Server::SeaweedFs.place();
    place.user.access_key = "AKIANOBODYKNOWSTHIS1".to_owned();
    assert_add_fails(&place.user.endpoint.clone(), &place, "sign_in");
}

#[test]
fn a_key_of_someone_else_is_told() {
    let mut place = Server::SeaweedFs.place();
    place.user = Server::SeaweedFs.place().user;
    assert_add_fails(&place.user.endpoint.clone(), &place, "access_denied");
}

#[test]
fn a_key_that_was_switched_off_later_is_told() {
    let lapse = Lapse::on(Server::SeaweedFs);
    let share = lapse.share(&lapse.file("note.txt", "hello"), &[]);
    let place = lapse.place();
    let user = format!("user-of-{}", place.bucket);
    let off = serde_json::json!({"UserName": user, "AccessKeyId": place.user.access_key, "Status": "Inactive"});
    place.root.call("iam", "update_access_key", &off).unwrap();
    share.link.get().assert_refused();
    assert_eq!(lapse.checked_state(&share.id), "unreachable");
    assert_fails(&["share", "note.txt"], &lapse, b"", "sign_in");
}

#[test]
fn a_bucket_that_is_not_there_is_told() {
    let mut place = Server::MiniStack.place();
    place.user = place.root.clone();
    place.bucket = "nobody-made-this".to_owned();
    assert_add_fails(&place.user.endpoint.clone(), &place, "no_such_bucket");
}

#[test]
fn a_bucket_that_is_gone_later_is_told_and_not_made_anew() {
    let lapse = Lapse::on(Server::SeaweedFs);
    let place = lapse.place();
    place.s3("delete_bucket", &serde_json::json!({"Bucket": place.bucket})).unwrap();
    // Until it knows that everywhere, the server may say that nobody may look.
    let gone = serde_json::json!({"Bucket": place.bucket});
    wait_for("the end of the bucket", Duration::from_secs(30), || {
        place.user.s3("head_bucket", &gone).err().filter(|error| error.starts_with("404"))
    });
    lapse.file("note.txt", "hello");
    assert_fails(&["share", "note.txt"], &lapse, b"", "no_such_bucket");
    let buckets = place.s3("list_buckets", &serde_json::json!({})).unwrap();
    let made = buckets["Buckets"]
        .as_array()
        .unwrap()
        .iter()
        .any(|bucket| bucket["Name"] == place.bucket.as_str());
    assert!(!made, "the bucket came back");
}

#[test]
fn a_wrong_region_is_told() {
    // The servers of these tests don't care for regions; one that does answers like this.
    let answer = faults::answering(
        "400 Bad Request\r\nContent-Type: application/xml\r\nx-amz-bucket-region: eu-central-1",
        "<?xml version=\"1.0\"?><Error><Code>AuthorizationHeaderMalformed</Code><Message>the region 'us-east-1' is wrong; expecting 'eu-central-1'</Message><Region>eu-central-1</Region></Error>",
    );
    let (_, output) = add_at(&answer.url(), &Server::SeaweedFs.place());
    assert_eq!(output.code, Some(1));
    assert!(
        output.complaint().contains("eu-central-1"),
        "the right region isn't named: {output:#?}"
    );
    assert_add_fails(&answer.url(), &Server::SeaweedFs.place(), "wrong_region");
}

#[test]
fn a_server_that_is_down_is_told() {
    assert_add_fails(&faults::closed_port(), &Server::SeaweedFs.place(), "unreachable");
}

#[test]
fn a_name_that_leads_nowhere_is_told() {
    assert_add_fails("http://no-such-host.invalid", &Server::SeaweedFs.place(), "unreachable");
}

#[test]
fn a_server_that_goes_down_later_leaves_shares_as_they_are() {
    let lapse = Lapse::with_keychain("present");
    let place = Server::SeaweedFs.place();
    let way = faults::Throttle::before(&place.user.endpoint, 1 << 30);
    let mut through = place.clone();
    through.user.endpoint = way.fault.url();
    lapse.add_profile("work", &through).success();
    let share = lapse.share(&lapse.file("note.txt", "hello"), &[]);
    drop(way);
    assert_fails(&["share", "note.txt"], &lapse, b"", "unreachable");
    let checked = lapse.run(["check", &share.id, "--json"]);
    assert_eq!(checked.code, Some(1), "it couldn't ask: {checked:#?}");
    assert_fails(&["revoke", &share.id], &lapse, b"", "unreachable");
    assert_ne!(lapse.state(&share.id), "revoked", "a revoke that nobody saw isn't one");
    // The link can be had: it is computed.
    assert_eq!(lapse.run(["link", &share.id]).success().stdout.trim_end(), share.link.0);
}

#[test]
fn a_captive_portal_is_not_taken_for_a_storage() {
    let place = Server::SeaweedFs.place();
    assert_add_fails(&faults::captive_portal().url(), &place, "not_s3");
    assert_add_fails(&faults::redirecting_portal().url(), &place, "not_s3");
}

#[test]
fn something_that_is_not_s3_is_told() {
    let place = Server::SeaweedFs.place();
    let json = faults::answering(
        "404 Not Found\r\nContent-Type: application/json",
        "{\"detail\":\"Not Found\"}",
    );
    assert_add_fails(&json.url(), &place, "not_s3");
    let page = faults::answering("403 Forbidden\r\nContent-Type: text/html", "<html>no</html>");
    assert_add_fails(&page.url(), &place, "not_s3");
}

#[test]
fn a_portal_that_comes_later_changes_no_state() {
    let lapse = Lapse::with_keychain("present");
    let place = Server::SeaweedFs.place();
    lapse.add_profile("work", &place).success();
    let share = lapse.share(&lapse.file("note.txt", "hello"), &[]);
    // The same profile, but what answers at its address is a portal: by an HTTP proxy from the environment.
    let portal = faults::captive_portal();
    let through = |words: &[&str]| {
        Output::of(
            lapse.command(words).env("HTTP_PROXY", portal.url()).env("http_proxy", portal.url()),
        )
    };
    let checked = through(&["check", &share.id, "--json"]);
    assert_eq!(checked.code, Some(1), "{checked:#?}");
    let shared = through(&["share", "note.txt", "--json"]);
    assert_eq!((shared.code, shared.error_code().as_str()), (Some(1), "not_s3"), "{shared:#?}");
    let revoked = through(&["revoke", &share.id, "--json"]);
    assert_eq!(revoked.code, Some(1), "{revoked:#?}");
    assert_ne!(lapse.state(&share.id), "revoked");
    assert_eq!(lapse.checked_state(&share.id), "active");
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_told() {
    let place = Server::SeaweedFs.place();
    let https = Https::before(&place.user.endpoint);
    assert_add_fails(&https.url, &place, "certificate");
}
