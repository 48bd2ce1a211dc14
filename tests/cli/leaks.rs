//! The secret and the signatures are nowhere but where they must be.

use lapse_tests::leaks::{CommandLines, contains, files, forms};
use lapse_tests::{Lapse, Link, Server};

#[test]
fn no_secret_and_no_signature_is_written_down_anywhere() {
    let watch = CommandLines::watch();
    let mut lapse = Lapse::with_keychain("present");
    // A longer target outranks a shorter one's limit.
    lapse.set(
        "RUST_LOG",
        "trace,aws_smithy_runtime::client=trace,aws_sigv4::http_request=trace,s3s::ops=trace",
    );
    let place = Server::SeaweedFs.place();
    let mut said = Vec::new();
    let mut links = Vec::new();

    said.push(lapse.add_profile("work", &place).success().stderr);
    lapse.file("note.txt", "hello");
    let mut give = |words: &[&str]| {
        let output = lapse.run(words).success();
        said.push(output.stderr.clone());
        output
    };
    let first = give(&["share", "note.txt", "--json"]).json();
    let id = first["id"].as_str().unwrap();
    links.push(Link(first["url"].as_str().unwrap().to_owned()));
    links.push(Link(give(&["share", "note.txt"]).stdout.trim_end().to_owned()));
    links.push(Link(give(&["link", id]).stdout.trim_end().to_owned()));
    links.push(Link(give(&["extend", id, "--expires", "2h"]).stdout.trim_end().to_owned()));
    links.push(Link(
        give(&["share", "note.txt", "--profile", "local"]).stdout.trim_end().to_owned(),
    ));
    for words in [
        &["list"][..],
        &["list", "--json"],
        &["show", id],
        &["show", id, "--json"],
        &["check"],
        &["profile", "show", "work"],
        &["profile", "check"],
        &["store", "status"],
        &["revoke", id],
    ] {
        let output = give(words);
        for link in &links {
            assert!(!output.stdout.contains(&link.signature()), "{words:?} gives a link away");
        }
    }
    // What fails must not tell either.
    let other = Server::SeaweedFs.place();
    let failing = lapse.run_with(
        [
            "profile",
            "add",
            "wrong",
            "--provider",
            "seaweedfs",
            "--endpoint",
            &other.user.endpoint,
            "--bucket",
            &other.bucket,
            "--access-key",
            &other.user.access_key,
            "--secret-stdin",
        ],
        place.user.secret_key.as_bytes(),
    );
    assert_eq!(failing.code, Some(1));
    said.push(failing.stderr);
    lapse.run(["store", "stop"]).success();

    let mut needles = forms(&place.user.secret_key);
    for link in &links {
        link.get();
        needles.extend(forms(&link.signature()));
    }
    let command_lines = watch.seen();
    let mut written: Vec<(String, Vec<u8>)> =
        command_lines.into_iter().map(|line| ("a command line".to_owned(), line)).collect();
    written.extend(said.into_iter().map(|text| ("standard error".to_owned(), text.into_bytes())));
    for folder in [lapse.home(), lapse.folder("home"), lapse.folder("tmp"), lapse.folder("run")] {
        let found = files(&folder)
            .into_iter()
            .map(|path| (path.display().to_string(), std::fs::read(path).unwrap()));
        written.extend(found);
    }
    for (place, bytes) in &written {
        for needle in &needles {
            assert!(!contains(bytes, needle), "{} is in {place}", String::from_utf8_lossy(needle));
        }
    }
    // The search itself works: what may be written down is found.
    for public in [place.user.access_key.as_str(), "note.txt"] {
        assert!(
            written.iter().any(|(_, bytes)| contains(bytes, public.as_bytes())),
            "{public} isn't found"
        );
    }
    assert!(
        written
            .iter()
            .any(|(place, bytes)| place == "a command line" && contains(bytes, b"--secret-stdin"))
    );
    assert!(
        written.iter().any(|(place, bytes)| place == "standard error" && contains(bytes, b"DEBUG lapse_core")),
        "no log was written"
    );
}
