//! Wrong words: exit 2, and what would be right.

use lapse_tests::Lapse;

use super::assert_shown;

const WRONG: &[(&str, &[&str])] = &[
    ("no-file", &["share"]),
    ("no-such-command", &["shar", "file"]),
    ("no-such-option", &["share", "note.txt", "--expire", "1d"]),
    ("expiry-zero", &["share", "note.txt", "--expires", "0"]),
    ("expiry-zero-minutes", &["share", "note.txt", "--expires", "0m"]),
    ("expiry-negative", &["share", "note.txt", "--expires", "-1"]),
    ("expiry-negative-hours", &["share", "note.txt", "--expires", "-1h"]),
    ("expiry-too-long", &["share", "note.txt", "--expires", "8d"]),
    ("expiry-huge", &["share", "note.txt", "--expires", "99999999999999999999d"]),
    ("expiry-soon", &["share", "note.txt", "--expires", "soon"]),
    ("expiry-empty", &["share", "note.txt", "--expires", ""]),
    ("no-id", &["revoke"]),
    ("profile-without-sign-in", &["profile", "add", "x", "--bucket", "b"]),
    ("unknown-shell", &["completions", "tcsh"]),
];

#[test]
fn wrong_words_are_named() {
    let lapse = Lapse::new();
    lapse.file("note.txt", "hello");
    for (name, words) in WRONG {
        let plain = lapse.run(*words);
        assert_eq!(plain.code, Some(2), "{plain:#?}");
        assert_eq!(plain.stdout, "", "{plain:#?}");
        plain.complaint();
        assert_shown!(format!("usage-{name}"), plain);

        let json = lapse.run(words.iter().copied().chain(["--json"]));
        assert_eq!(json.code, Some(2), "{json:#?}");
        let error = json.error();
        let code = error["code"].as_str().unwrap();
        assert!(["usage", "expiry"].contains(&code), "{error}");
        assert!(
            !error["message"].as_str().unwrap().is_empty()
                && !error["hint"].as_str().unwrap().is_empty()
        );
    }
    assert!(!lapse.home().join("store").exists(), "nothing was shared, so no store was needed");
}

#[test]
fn an_unknown_id_is_a_failure_and_with_a_known_one_a_part_of_it() {
    let lapse = Lapse::new();
    let share = lapse.share(&lapse.file("note.txt", "hello"), &[]);
    for command in ["show", "link", "check", "revoke"] {
        let output = lapse.run([command, "zzzzzzzz", "--json"]);
        assert_eq!(
            (output.code, output.error_code().as_str()),
            (Some(1), "no_such_share"),
            "{output:?}"
        );
    }
    let checked = lapse.run(["check", &share.id, "zzzzzzzz", "--json"]);
    assert_eq!((checked.code, checked.error_code().as_str()), (Some(3), "no_such_share"));
    assert_eq!(checked.json()["id"], share.id.as_str());
    let revoked = lapse.run(["revoke", "zzzzzzzz", &share.id, "--json"]);
    assert_eq!((revoked.code, revoked.json()["state"].as_str()), (Some(3), Some("revoked")));
    share.link.get().assert_refused();
}

#[test]
fn an_unknown_profile_is_named() {
    let lapse = Lapse::new();
    lapse.file("note.txt", "hello");
    let output = lapse.run(["share", "note.txt", "--profile", "work"]);
    assert_eq!(output.code, Some(1));
    assert!(output.complaint().contains("work"), "{output:?}");
    assert_shown!("no-such-profile", output);
}
