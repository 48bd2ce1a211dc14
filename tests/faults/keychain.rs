//! A keychain that is locked, or isn't there.

use lapse_tests::{Lapse, Server};

#[test]
fn a_locked_keychain_is_told_and_works_when_it_is_unlocked() {
    let mut lapse = Lapse::with_keychain("present");
    let place = Server::SeaweedFs.place();
    lapse.add_profile("work", &place).success();
    let share = lapse.share(&lapse.file("note.txt", "hello"), &[]);

    lapse.keyring().ask("lock");
    for words in [
        &["share", "note.txt"][..],
        &["link", &share.id],
        &["extend", &share.id, "--expires", "1h"],
    ] {
        let json = lapse.run(words.iter().copied().chain(["--json"]));
        assert_eq!(
            (json.code, json.error_code().as_str()),
            (Some(1), "keychain_locked"),
            "{json:#?}"
        );
        let plain = lapse.run(words);
        assert!(plain.complaint().to_lowercase().contains("unlock"), "{plain:#?}");
        assert!(!plain.stderr.contains(&place.user.secret_key));
    }
    // What needs no secret goes on.
    lapse.run(["list"]).success();
    lapse.run(["show", &share.id]).success();
    lapse.run(["share", "note.txt", "--profile", "local"]).success();

    lapse.keyring().ask("unlock");
    assert_eq!(lapse.run(["link", &share.id]).success().stdout.trim_end(), share.link.0);
}

#[test]
fn nothing_is_kept_where_the_keychain_is_locked_or_absent() {
    for (mode, code) in [("locked", "keychain_locked"), ("absent", "keychain_absent")] {
        let lapse = Lapse::with_keychain(mode);
        assert_not_added(&lapse, code);
    }
    // No session bus at all, as over ssh.
    assert_not_added(&Lapse::new(), "keychain_absent");
}

fn assert_not_added(lapse: &Lapse, code: &str) {
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
        "--access-key",
        &place.user.access_key,
        "--secret-stdin",
    ];
    let json =
        lapse.run_with(words.iter().copied().chain(["--json"]), place.user.secret_key.as_bytes());
    assert_eq!((json.code, json.error_code().as_str()), (Some(1), code), "{json:#?}");
    let plain = lapse.run_with(words, place.user.secret_key.as_bytes());
    let said = plain.complaint();
    assert!(
        said.contains("LAPSE_PASSPHRASE_FILE"),
        "the way without a keychain isn't named: {said}"
    );
    assert_eq!(lapse.run(["profile", "list", "--json"]).success().lines().len(), 1);
    for file in lapse_tests::leaks::files(&lapse.home()) {
        let content = std::fs::read(&file).unwrap();
        let secret = place.user.secret_key.as_bytes();
        assert!(
            !lapse_tests::leaks::contains(&content, secret),
            "the secret is in {}",
            file.display()
        );
    }
    // The local store needs none.
    lapse
        .share(&lapse.file("note.txt", "hello"), &[])
        .link
        .get()
        .assert_gives(b"hello", "note.txt");
}
