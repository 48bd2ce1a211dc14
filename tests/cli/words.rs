//! The words that a person reads.

use lapse_tests::Lapse;

use super::assert_shown;

#[test]
fn lapse_alone_is_a_friendly_start() {
    let lapse = Lapse::new();
    assert_shown!("start", lapse.run::<&str>([]));
    assert!(!lapse.home().join("store").exists(), "greeting someone needs no store");
}

#[test]
fn every_command_has_its_help() {
    let lapse = Lapse::new();
    for words in [
        "",
        "share",
        "list",
        "show",
        "link",
        "check",
        "extend",
        "revoke",
        "uploads",
        "pause",
        "resume",
        "cancel",
        "profile",
        "profile add",
        "profile list",
        "profile show",
        "profile use",
        "profile check",
        "profile lifecycle",
        "profile remove",
        "store",
        "store run",
        "store status",
        "store check",
        "store stop",
        "store listen",
        "store env",
        "completions",
    ] {
        let help = lapse.run(words.split_whitespace().chain(["--help"]));
        assert_shown!(format!("help {words}").trim_end().replace(' ', "-"), help);
    }
    let version = lapse.run(["--version"]).success().stdout;
    assert_eq!(version, format!("lapse {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_share_is_listed_and_shown() {
    let lapse = Lapse::new();
    assert_shown!("list-empty", lapse.run(["list"]));
    let share = lapse.share(&lapse.file("report.pdf", vec![0; 123_456]), &["--expires", "6h"]);
    assert_shown!("list", lapse.run(["list"]), share.id);
    assert_shown!("show", lapse.run(["show", &share.id]), share.id);
    assert_shown!("check", lapse.run(["check", &share.id]), share.id);
    assert_shown!("link", lapse.run(["link", &share.id]), share.id);
    assert_shown!("extend", lapse.run(["extend", &share.id, "--expires", "2d"]), share.id);
    assert_shown!("revoke", lapse.run(["revoke", &share.id]), share.id);
    assert_shown!("list-revoked", lapse.run(["list"]), share.id);
    assert_shown!("show-revoked", lapse.run(["show", &share.id]), share.id);
    assert_shown!("link-revoked", lapse.run(["link", &share.id]), share.id);
}

#[test]
fn sharing_says_what_a_person_must_know() {
    let lapse = Lapse::new();
    lapse.file("report.pdf", vec![0; 1000]);
    assert_shown!("share", lapse.run(["share", "report.pdf"]));
}

#[test]
fn no_color_is_honored_and_pipes_get_none() {
    let mut lapse = Lapse::new();
    lapse.file("note.txt", "hello");
    for color in [None, Some("1")] {
        if let Some(value) = color {
            lapse.set("NO_COLOR", value);
        }
        for words in [&["share", "note.txt"][..], &["list"], &["--help"], &["show", "nothing"]] {
            let output = lapse.run(words);
            assert!(
                !output.stdout.contains('\x1b') && !output.stderr.contains('\x1b'),
                "{output:?}"
            );
        }
    }
    // On a terminal, too: `script` gives it one.
    let command = format!("{} --help", lapse_tests::lapse::binary().display());
    let output = lapse_tests::Output::of(&mut lapse.any(&[
        "script",
        "--quiet",
        "--command",
        &command,
        "/dev/null",
    ]));
    assert!(output.stdout.contains("Usage") && !output.stdout.contains('\x1b'), "{output:?}");
}
