//! Buckets of one's own, and the ways to sign in.

use lapse_tests::faults::{Https, captive_portal};
use lapse_tests::peer::Caller;
use lapse_tests::{Lapse, Output, Place, Server, Share, profile_words};
use serde_json::json;

use super::assert_shown;

#[test]
fn a_profile_is_added_used_checked_and_removed() {
    let lapse = Lapse::with_keychain("present");
    let place = Server::SeaweedFs.place();
    let added = lapse.add_profile("work", &place).success();
    assert!(added.stderr.contains("work"), "{added:#?}");

    let list = lapse.run(["profile", "list", "--json"]).success().lines();
    let names: Vec<_> =
        list.iter().map(|profile| (&profile["name"], &profile["current"])).collect();
    assert_eq!(names, [(&json!("local"), &json!(false)), (&json!("work"), &json!(true))]);
    let shown = lapse.run(["profile", "show", "work", "--json"]).success().json();
    assert_eq!(shown["bucket"], place.bucket.as_str());

    let share = lapse.share(&lapse.file("note.txt", "hello"), &[]);
    assert_eq!(share.json["profile"], "work");
    share.link.get().assert_gives(b"hello", "note.txt");
    // The other profile is there for a single share, too.
    let local = lapse.share(&lapse.file("note.txt", "hello"), &["--profile", "local"]);
    assert_eq!(local.json["profile"], "local");

    let findings = lapse.run(["profile", "check", "work", "--json"]).success().lines();
    let verdict = |name: &str| {
        let found = findings.iter().find(|finding| finding["name"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {findings:#?}"))["verdict"].clone()
    };
    for name in [
        "write",
        "read",
        "clock",
        "link_works",
        "link_ends",
        "tampered_link",
        "other_object",
        "private",
        "multipart",
    ] {
        assert_eq!(verdict(name), "pass", "{name}");
    }
    assert_eq!(lapse_keys(&place), [share.link.object().1], "the check left something behind");

    let refused = lapse.run(["profile", "remove", "work", "--json"]);
    assert_eq!(refused.code, Some(1), "a link of it is alive: {refused:#?}");
    lapse.run(["revoke", &share.id]).success();
    lapse.run(["profile", "remove", "work"]).success();
    assert_eq!(lapse.run(["profile", "list", "--json"]).success().lines().len(), 1);
    assert_eq!(lapse.run(["share", "note.txt", "--profile", "work"]).code, Some(1));
    assert_eq!(
        lapse.secrets_in_keychain(&place.user.secret_key),
        0,
        "the secret is still in the keychain"
    );
}

fn lapse_keys(place: &Place) -> Vec<String> {
    place.root.keys(&place.bucket)
}

#[test]
fn the_secret_is_in_the_keychain() {
    let lapse = Lapse::with_keychain("present");
    let place = Server::SeaweedFs.place();
    lapse.add_profile("work", &place).success();
    assert_eq!(lapse.secrets_in_keychain(&place.user.secret_key), 1);
    let config = std::fs::read_to_string(lapse.home().join("config.toml")).unwrap();
    assert!(
        config.contains(&place.user.access_key) && !config.contains(&place.user.secret_key),
        "{config}"
    );
}

#[test]
fn profiles_are_shown_to_people() {
    let lapse = Lapse::with_keychain("present");
    assert_shown!("profile-list-first", lapse.run(["profile", "list"]));
    let mut place = Server::SeaweedFs.place();
    place.bucket = "lapse-shown".to_owned();
    place.s3("create_bucket", &json!({"Bucket": place.bucket})).unwrap();
    place.user = place.root.clone();
    assert_shown!("profile-add", lapse.add_profile("work", &place));
    assert_shown!("profile-list", lapse.run(["profile", "list"]));
    assert_shown!("profile-show", lapse.run(["profile", "show", "work"]));
    assert_shown!("profile-check", lapse.run(["profile", "check"]));
    assert_shown!("profile-add-again", lapse.add_profile("work", &place));
    assert_shown!("profile-remove", lapse.run(["profile", "remove", "work"]));
    assert_shown!("profile-remove-local", lapse.run(["profile", "remove", "local"]));
}

#[test]
fn a_bucket_that_is_not_there_is_made_only_when_asked() {
    let lapse = Lapse::with_keychain("present");
    let mut place = Server::SeaweedFs.place();
    place.user = place.root.clone();
    place.bucket = "made-on-demand".to_owned();
    let refused = lapse.add_profile("work", &place);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(refused.complaint().contains("made-on-demand"));
    let exists = || place.s3("head_bucket", &json!({"Bucket": place.bucket})).is_ok();
    assert!(!exists(), "the server made the bucket");
    let words = [
        "profile",
        "add",
        "work",
        "--provider",
        "seaweedfs",
        "--endpoint",
        &place.user.endpoint,
        "--bucket",
        &place.bucket,
        "--create-bucket",
        "--access-key",
        &place.user.access_key,
        "--secret-stdin",
    ];
    lapse.run_with(words, place.user.secret_key.as_bytes()).success();
    assert!(exists());
}

#[test]
fn a_prefix_is_kept_before_every_key() {
    let lapse = Lapse::with_keychain("present");
    let place = Server::SeaweedFs.place();
    let words = [
        "profile",
        "add",
        "work",
        "--provider",
        "seaweedfs",
        "--endpoint",
        &place.user.endpoint,
        "--bucket",
        &place.bucket,
        "--prefix",
        "from/lapse",
        "--access-key",
        &place.user.access_key,
        "--secret-stdin",
    ];
    lapse.run_with(words, place.user.secret_key.as_bytes()).success();
    lapse.run(["profile", "use", "work"]).success();
    let share = lapse.share(&lapse.file("note.txt", "hello"), &[]);
    assert!(share.link.object().1.starts_with("from/lapse/"), "{:?}", share.link);
    share.link.get().assert_gives(b"hello", "note.txt");
}

#[test]
fn a_rule_for_unfinished_uploads_is_shown_and_added_beside_others_when_that_is_wanted() {
    for server in [Server::SeaweedFs, Server::MiniStack] {
        let lapse = Lapse::with_keychain("present");
        let place = server.place();
        let add = |name: &str, more: &[&str]| {
            let user = &place.user;
            let words = [
                "profile",
                "add",
                name,
                "--provider",
                server.provider(),
                "--endpoint",
                &user.endpoint,
            ];
            let more_words =
                ["--bucket", &place.bucket, "--access-key", &user.access_key, "--secret-stdin"];
            let region = ["--region", "us-east-1", "--path-style"];
            let words = words.iter().chain(&more_words).chain(&region).chain(more);
            lapse.run_with(words, user.secret_key.as_bytes()).success();
        };
        add("whole", &[]);
        add("part", &["--prefix", "from/lapse"]);
        let others = json!([{
            "ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 30},
        }]);
        let rules = json!({"Bucket": place.bucket, "LifecycleConfiguration": {"Rules": others}});
        place.s3("put_bucket_lifecycle_configuration", &rules).unwrap();
        let read = || {
            let bucket = json!({"Bucket": place.bucket});
            let mut rules = place.s3("get_bucket_lifecycle_configuration", &bucket).unwrap();
            rules["Rules"].take().as_array().unwrap().clone()
        };

        let whole = lapse.run(["profile", "lifecycle", "whole", "--yes", "--json"]);
        assert_eq!((whole.code, whole.error_code().as_str()), (Some(1), "profile"), "{whole:#?}");
        let shown = lapse.run(["profile", "lifecycle", "part", "--json"]).success().json();
        assert_eq!((&shown["is_there"], &shown["others"]), (&json!(false), &json!(["theirs"])));
        assert_eq!(read().len(), 1, "it was only shown");
        let words = ["profile", "lifecycle", "part", "--yes", "--json"];
        for added in [true, false] {
            let answer = lapse.run(words).success().json();
            assert_eq!((&answer["is_there"], &answer["added"]), (&json!(true), &json!(added)));
            let rules = read();
            assert_eq!(rules.len(), 2, "{rules:?}");
            assert_eq!(rules[0]["ID"], "theirs");
            assert_eq!(rules[0]["Expiration"]["Days"], 30);
            assert_eq!(rules[1]["Filter"]["Prefix"], "from/lapse/");
            assert_eq!(rules[1]["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"], 7);
        }
    }
}

/// A Lapse whose AWS files name this key.
fn with_aws_profile(caller: &Caller) -> Lapse {
    let mut lapse = Lapse::new();
    let token = caller.token.as_ref().map(|token| format!("aws_session_token = {token}\n"));
    let file = lapse.file(
        "credentials",
        format!(
            "[team]\naws_access_key_id = {}\naws_secret_access_key = {}\n{}",
            caller.access_key,
            caller.secret_key,
            token.unwrap_or_default()
        ),
    );
    lapse.set("AWS_SHARED_CREDENTIALS_FILE", file);
    lapse.set("AWS_EC2_METADATA_DISABLED", "true");
    lapse
}

fn add_with(lapse: &Lapse, place: &Place, sign_in: &[&str]) -> Output {
    let words = profile_words("team", place.server.provider(), place);
    lapse.run(words.iter().chain(sign_in))
}

#[test]
fn a_profile_of_the_aws_files_signs_in() {
    let place = Server::SeaweedFs.place();
    let lapse = with_aws_profile(&place.user);
    add_with(&lapse, &place, &["--aws-profile", "team"]).success();
    let share = lapse.share(&lapse.file("note.txt", "hello"), &[]);
    assert_eq!((&share.json["profile"], &share.json["limited_by"]), (&json!("team"), &json!(null)));
    share.link.get().assert_gives(b"hello", "note.txt");
    let config = std::fs::read_to_string(lapse.home().join("config.toml")).unwrap();
    assert!(!config.contains(&place.user.secret_key), "{config}");
}

/// Keys that end, from `MiniStack`'s STS, and when they end.
fn temporary(place: &Place) -> (Caller, jiff::Timestamp) {
    let trust = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]});
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]});
    let role = format!("role-of-{}", place.bucket);
    let iam = |call: &str, args| place.root.call("iam", call, &args).unwrap();
    let made = iam(
        "create_role",
        json!({"RoleName": role, "AssumeRolePolicyDocument": trust.to_string()}),
    );
    iam(
        "put_role_policy",
        json!({"RoleName": role, "PolicyName": "all", "PolicyDocument": policy.to_string()}),
    );
    let ask =
        json!({"RoleArn": made["Role"]["Arn"], "RoleSessionName": "test", "DurationSeconds": 900});
    let keys = place.root.call("sts", "assume_role", &ask).unwrap()["Credentials"].take();
    let text = |name: &str| keys[name].as_str().unwrap().to_owned();
    let caller = Caller {
        endpoint: place.root.endpoint.clone(),
        access_key: text("AccessKeyId"),
        secret_key: text("SecretAccessKey"),
        token: Some(text("SessionToken")),
    };
    (caller, text("Expiration").parse().unwrap())
}

#[test]
fn keys_of_unknown_end_are_said_to_be_so() {
    let place = Server::MiniStack.place();
    let (caller, _) = temporary(&place);
    let mut lapse = Lapse::new();
    lapse.set("AWS_ACCESS_KEY_ID", &caller.access_key);
    lapse.set("AWS_SECRET_ACCESS_KEY", &caller.secret_key);
    lapse.set("AWS_SESSION_TOKEN", caller.token.as_ref().unwrap());
    add_with(&lapse, &place, &["--aws-default"]).success();
    let share = lapse.share(&lapse.file("note.txt", "hello"), &["--expires", "1h"]);
    assert_eq!(share.json["limited_by"], "unknown_sign_in_end");
    share.link.get().assert_gives(b"hello", "note.txt");
    let plain = lapse.run(["share", "note.txt"]).success();
    assert!(plain.stderr.contains("may stop earlier"), "{plain:#?}");

    // Once the keys are gone, the link can't be made again, and that is said.
    lapse.set("AWS_ACCESS_KEY_ID", &place.user.access_key);
    lapse.set("AWS_SECRET_ACCESS_KEY", &place.user.secret_key);
    lapse.set("AWS_SESSION_TOKEN", "");
    let again = lapse.run(["link", &share.id, "--json"]);
    assert_eq!((again.code, again.error_code().as_str()), (Some(1), "link_not_kept"), "{again:#?}");
}

#[test]
fn a_link_ends_with_the_sign_in_and_that_is_said() {
    let place = Server::MiniStack.place();
    let (caller, end) = temporary(&place);
    let mut lapse = Lapse::new();
    // `credential_process` is how a single sign-on tool tells the end of what it gives.
    let answer = json!({
        "Version": 1, "AccessKeyId": caller.access_key, "SecretAccessKey": caller.secret_key,
        "SessionToken": caller.token, "Expiration": end.to_string(),
    });
    let answer = lapse.file("answer.json", answer.to_string());
    let config = lapse.file(
        "aws-config",
        format!("[profile team]\ncredential_process = cat {}\n", answer.display()),
    );
    lapse.set("AWS_CONFIG_FILE", config);
    add_with(&lapse, &place, &["--aws-profile", "team"]).success();

    let long = lapse.share(&lapse.file("note.txt", "hello"), &["--expires", "1d"]);
    assert_eq!(long.json["limited_by"], "sign_in_ends", "{}", long.json);
    assert!(long.link.ends_at() <= end, "{} is after {end}", long.link.ends_at());
    assert!(long.link.ends_at() > end - jiff::SignedDuration::from_secs(120));
    assert_eq!(long.expires_at(), long.link.ends_at());
    assert_eq!(long.json["state"], "cut_short");
    let plain = lapse.run(["share", "note.txt", "--expires", "1d"]).success();
    assert!(plain.stderr.contains("sign-in ends"), "{plain:#?}");

    let short = lapse.share(&lapse.file("note.txt", "hello"), &["--expires", "1m"]);
    assert_eq!((&short.json["limited_by"], &short.json["state"]), (&json!(null), &json!("active")));
    long.link.get().assert_gives(b"hello", "note.txt");
}

#[test]
fn a_server_with_a_certificate_of_its_own_is_trusted_by_its_file() {
    let place = Server::SeaweedFs.place();
    let https = Https::before(&place.user.endpoint);
    let lapse = Lapse::with_keychain("present");
    let words = [
        "profile",
        "add",
        "own",
        "--provider",
        "seaweedfs",
        "--endpoint",
        &https.url,
        "--bucket",
        &place.bucket,
        "--ca-file",
        https.certificate().to_str().unwrap(),
        "--access-key",
        &place.user.access_key,
        "--secret-stdin",
    ]
    .map(str::to_owned);
    lapse.run_with(words, place.user.secret_key.as_bytes()).success();
    let share = lapse.share(&lapse.file("note.txt", "hello"), &["--profile", "own"]);
    let trusting = share.link.curl(&["--cacert", https.certificate().to_str().unwrap()]);
    trusting.assert_gives(b"hello", "note.txt");
}

#[test]
fn ended_files_leave_the_bucket_as_the_profile_says() {
    let lapse = Lapse::on(Server::SeaweedFs);
    let config = lapse.home().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("clean_up = \"7d\"", "clean_up = \"at_end\"")).unwrap();
    // Each share may clean up what the ones before left, so what keeps an object is there before the next.
    let unchanged = lapse.file("unchanged", "unchanged");
    let alive = lapse.share(&unchanged, &[]);
    let extended = lapse.share(&unchanged, &["--expires", "5s"]);
    lapse.run(["extend", &extended.id, "--expires", "1h"]).success();
    let ended = lapse.share(&unchanged, &["--expires", "1s"]);
    // The bucket has the last copy of one file; under another key someone put an object of their own.
    let file = lapse.file("changed", "before");
    let changed = lapse.share(&file, &["--expires", "1s"]);
    std::fs::write(&file, "now something else").unwrap();
    let foreign = lapse.share(&lapse.file("foreign", "ours"), &["--expires", "1s"]);
    let key = foreign.link.object().1;
    lapse.s3("put_object", json!({"Key": key, "Body": "theirs"})).unwrap();
    for share in [&extended, &ended, &changed, &foreign] {
        share.link.wait_for_end();
    }

    let next = lapse.share(&lapse.file("next", "next"), &[]);
    let mut kept =
        [&changed, &foreign, &alive, &extended, &next].map(|share| share.link.object().1);
    let mut keys = lapse.keys();
    kept.sort();
    keys.sort();
    assert_eq!(keys, kept);
    assert_eq!(lapse.state(&ended.id), "expired");
}

#[test]
fn an_edited_profile_leaves_links_that_were_given_as_they_are() {
    let lapse = Lapse::on(Server::SeaweedFs);
    let share = lapse.share(&lapse.file("note.txt", "hello"), &[]);
    let config = lapse.home().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let edited = text.replace("region = \"us-east-1\"", "region = \"eu-west-1\"");
    assert_ne!(text, edited);
    std::fs::write(&config, edited).unwrap();
    assert_eq!(lapse.run(["link", &share.id]).success().stdout.trim_end(), share.link.0);
}

#[test]
fn a_passphrase_file_takes_the_keychains_place() {
    let place = Server::SeaweedFs.place();
    let mut lapse = Lapse::with_keychain("absent");
    let file = lapse.file("passphrase", "correct horse battery staple\n");
    lapse.set("LAPSE_PASSPHRASE_FILE", &file);
    private(&file, 0o644);
    let readable = lapse.add_profile("work", &place);
    assert_eq!(
        readable.code,
        Some(1),
        "a passphrase that others may read is refused: {readable:#?}"
    );
    readable.complaint();

    private(&file, 0o600);
    lapse.add_profile("work", &place).success();
    let share = Share::of(
        lapse.run_with(["share", "-", "--name", "x", "--json"], b"hello").success().json(),
    );
    share.link.get().assert_gives(b"hello", "x");

    std::fs::write(&file, "another\n").unwrap();
    let wrong = lapse.run(["link", &share.id, "--json"]);
    assert_eq!((wrong.code, wrong.error_code().as_str()), (Some(1), "passphrase"), "{wrong:#?}");
}

fn private(file: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_ca_file_without_certificates_is_told() {
    let lapse = Lapse::new();
    let place = Server::SeaweedFs.place();
    let bad = [
        ("empty.pem", String::new()),
        ("text.pem", "hello\n".to_owned()),
        ("cut.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n".to_owned()),
        ("odd.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned()),
    ];
    for (name, text) in &bad {
        let file = lapse.file(name, text);
        assert_ca_file_fails(&lapse, &place, &file);
    }
    assert_ca_file_fails(&lapse, &place, std::path::Path::new("missing.pem"));
    Output::of(&mut lapse.any(&["mkfifo", "pipe.pem"])).success();
    assert_ca_file_fails(&lapse, &place, std::path::Path::new("pipe.pem"));
}

fn assert_ca_file_fails(lapse: &Lapse, place: &Place, file: &std::path::Path) {
    let words =
        ["profile", "add", "work", "--endpoint", "https://127.0.0.1:1", "--bucket", "files"];
    let output = Output::of(
        lapse
            .command(words)
            .args(["--access-key", &place.user.access_key, "--json", "--ca-file"])
            .arg(file)
            .env("LAPSE_SECRET_ACCESS_KEY", &place.user.secret_key),
    );
    let code = output.error_code();
    assert_eq!(
        (output.code, code.as_str()),
        (Some(1), "certificate"),
        "{} {output:#?}",
        file.display()
    );
}

#[test]
fn a_wrong_secret_says_nothing_about_links() {
    let lapse = Lapse::on(Server::SeaweedFs);
    let share = lapse.share(&lapse.file("note.txt", "hello"), &[]);
    let wrong = Output::of(
        lapse.command(["check", &share.id, "--json"]).env("LAPSE_SECRET_ACCESS_KEY", "wrong"),
    );
    assert_eq!(wrong.code, Some(1), "{wrong:#?}");
    let seen = lapse.run(["show", &share.id, "--json"]).success().json();
    assert_eq!(seen["links"][0]["seen"], "not_known");
    assert_eq!(lapse.checked_state(&share.id), "active");
}

#[test]
fn an_admin_token_goes_to_this_computer_or_encrypted_alone() {
    let place = Server::SeaweedFs.place();
    let lapse = Lapse::with_keychain("present");
    let key = ["--access-key", &place.user.access_key, "--secret-stdin"];
    let words = profile_words("team", "garage", &place).into_iter().chain(key);
    lapse.run_with(words, place.user.secret_key.as_bytes()).success();
    let create = |endpoint: &str, token: &str| {
        let words = ["profile", "signer", "create", "team", "--json", "--secret-stdin"];
        let more = ["--admin-endpoint", endpoint];
        lapse.run_with(words.iter().chain(&more), token.as_bytes())
    };
    let refused = create("http://192.0.2.1:3903", "s3cr3t-t0ken");
    assert_eq!((refused.code, refused.error_code().as_str()), (Some(2), "usage"), "{refused:#?}");
    assert!(refused.stderr.contains("unencrypted"), "{refused:#?}");
    // What answers there isn't Garage, and is told nothing twice.
    let portal = captive_portal();
    let other = create(&portal.url(), "s3cr3t-t0ken");
    assert_eq!((other.code, other.error_code().as_str()), (Some(1), "no_iam"), "{other:#?}");
    for token in ["", "two\nlines", "t\u{f6}ken"] {
        let wrong = create(&portal.url(), token);
        assert_ne!(wrong.code, Some(0), "{wrong:#?}");
        assert!(token.is_empty() || !wrong.stderr.contains(token), "{wrong:#?}");
    }
    // A key of the IAM query API is of no use there.
    let words = ["profile", "signer", "create", "team", "--json", "--secret-stdin"];
    let key = lapse.run_with(words.iter().chain(&["--admin-access-key", "AK"]), b"secret");
    assert_eq!((key.code, key.error_code().as_str()), (Some(2), "usage"), "{key:#?}");
}
