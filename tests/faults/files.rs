//! Files that can't be shared, and names that could do harm.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::time::Duration;

use lapse_tests::faults::Throttle;
use lapse_tests::{Lapse, Output, Server, Share, bytes, wait_for};

fn assert_fails(lapse: &Lapse, file: impl AsRef<OsStr>, code: &str) {
    let words = [OsStr::new("share"), file.as_ref()];
    let plain = lapse.run(words);
    assert_eq!((plain.code, plain.stdout.as_str()), (Some(1), ""), "{plain:#?}");
    plain.complaint();
    let json = lapse.run(words.into_iter().chain([OsStr::new("--json")]));
    assert_eq!((json.code, json.error_code().as_str()), (Some(1), code), "{json:#?}");
    let list = lapse.run(["list", "--json"]).success().lines();
    assert!(list.iter().all(|share| share["state"] == "failed"), "{list:?}");
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let lapse = Lapse::new();
    assert_fails(&lapse, "missing.txt", "file_missing");
    assert_fails(&lapse, "", "file_missing");
    std::os::unix::fs::symlink("nowhere", lapse.folder("files").join("dangling")).unwrap();
    assert_fails(&lapse, "dangling", "file_missing");
}

#[test]
fn what_is_not_a_file_is_told() {
    let lapse = Lapse::new();
    assert_fails(&lapse, "/dev/null", "not_a_file");
    Output::of(&mut lapse.any(&["mkfifo", "pipe"])).success();
    assert_fails(&lapse, "pipe", "not_a_file");
}

#[test]
fn a_file_that_the_system_makes_up_is_told() {
    assert_fails(&Lapse::new(), "/proc/version", "not_a_file");
}

#[test]
fn a_name_of_any_length_is_cut_at_once() {
    let lapse = Lapse::new();
    let file = lapse.file("note.txt", "hello");
    let name = format!("{}.pdf", "long ".repeat(24_000));
    let share = lapse.share(&file, &["--name", &name]);
    let kept = share.json["name"].as_str().unwrap();
    assert!(kept.len() <= 255 && kept.starts_with("long"), "{kept}");
    assert_eq!(kept.rsplit('.').next(), Some("pdf"));
}

#[test]
fn a_file_that_may_not_be_read_is_told() {
    let lapse = Lapse::new();
    let file = lapse.file("closed.txt", "x");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000)).unwrap();
    // The superuser reads everything, so it is asked to do without that.
    let humble = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"];
    let runner: &[&str] = if rustix::process::geteuid().is_root() { &humble } else { &[] };
    let share =
        Output::of(&mut lapse.around(runner.iter().copied(), ["share", "closed.txt", "--json"]));
    assert_eq!(
        (share.code, share.error_code().as_str()),
        (Some(1), "file_unreadable"),
        "{share:#?}"
    );
    assert!(share.stderr.contains("closed.txt"));
}

/// Shares a file through a slow line and changes it when a part is sent.
fn share_while(change: impl FnOnce(&File)) -> (Lapse, Output) {
    let mut lapse = Lapse::with_keychain("present");
    let place = Server::SeaweedFs.place();
    let slow = Throttle::before(&place.user.endpoint, 6 << 20);
    let mut through = place.clone();
    through.user.endpoint = slow.fault.url();
    lapse.add_profile("slow", &through).success();
    lapse.keep_place(place);
    let path = lapse.file("growing.bin", bytes(24 << 20));
    let before = slow.sent();
    let output = std::thread::scope(|scope| {
        let share = scope.spawn(|| lapse.run(["share", "growing.bin", "--json"]));
        wait_for("a part is sent", Duration::from_secs(30), || {
            (slow.sent() > before + (4 << 20)).then_some(())
        });
        change(&File::options().write(true).open(&path).unwrap());
        share.join().unwrap()
    });
    (lapse, output)
}

fn assert_not_shared(lapse: &Lapse, output: &Output) {
    assert_eq!(
        (output.code, output.error_code().as_str()),
        (Some(1), "file_changed"),
        "{output:#?}"
    );
    assert_eq!(output.stdout, "");
    assert_eq!(lapse.keys(), Vec::<String>::new());
    assert!(lapse.folder("files").join("growing.bin").exists());
}

#[test]
fn a_file_that_changes_while_it_is_read_is_not_shared() {
    let (lapse, output) = share_while(|file| {
        file.write_all_at(b"changed", 20 << 20).unwrap();
    });
    assert_not_shared(&lapse, &output);
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_not_shared() {
    let (lapse, output) = share_while(|file| file.set_len(10 << 20).unwrap());
    assert_not_shared(&lapse, &output);
}

#[test]
fn a_file_that_grows_while_it_is_read_is_not_shared() {
    let (lapse, output) = share_while(|mut file| {
        file.seek(std::io::SeekFrom::End(0)).unwrap();
        file.write_all(b"more").unwrap();
    });
    assert_not_shared(&lapse, &output);
}

/// A name on the disk, and the name that a recipient gets.
fn names() -> Vec<(Vec<u8>, Option<String>)> {
    let same = |name: &str| (name.as_bytes().to_vec(), Some(name.to_owned()));
    vec![
        same(&"n".repeat(255)),
        same(&format!("{}.txt", "ü".repeat(125))),
        same("with space and 'quote'.txt"),
        same("100% #1 +plus &and=is ~tilde.txt"),
        same("emoji 🎉 日本語.txt"),
        same("-leading-dash.txt"),
        same(".hidden"),
        same("comma, semicolon; (parens) [brackets] {braces}.txt"),
        same("%2e%2e%2fetc%2fpasswd"),
        (b"new\nline.txt".to_vec(), None),
        (b"tab\tand\x07bell.txt".to_vec(), None),
        (b"double\"quote\".txt".to_vec(), None),
        (b"back\\slash.txt".to_vec(), None),
        ("photo\u{202e}gpj.exe".as_bytes().to_vec(), None),
        ("zero\u{200b}width\u{2066}isolate.txt".as_bytes().to_vec(), None),
        (b"not \xff\xfe utf-8.txt".to_vec(), None),
        (b"CON.txt".to_vec(), None),
        (b"trailing dot.".to_vec(), None),
        (b"...".to_vec(), None),
        (b"a:b<c>d|e?f*g".to_vec(), None),
    ]
}

#[test]
fn odd_names_are_shared_and_harm_nobody() {
    let lapse = Lapse::new();
    for (raw, wanted) in names() {
        let name = OsStr::from_bytes(&raw);
        let shown = name.to_string_lossy().into_owned();
        std::fs::write(lapse.folder("files").join(name), &raw).unwrap();
        // As `lapse share *` would give it, but for the one that looks like an option.
        let word =
            if raw.starts_with(b"-") { OsStr::from_bytes(b"./-leading-dash.txt") } else { name };
        let output = lapse.run([OsStr::new("share"), OsStr::new("--json"), word]).success();
        assert_eq!(output.stdout.lines().count(), 1, "{shown:?}");
        let share = Share::of(output.json());
        let answer = share.link.get();
        assert!(
            share.link.0.is_ascii() && !share.link.0.contains(char::is_whitespace),
            "{shown:?}"
        );
        let given = answer.name().unwrap_or_else(|| panic!("{shown:?}: {answer:?}"));
        if let Some(wanted) = wanted {
            answer.assert_gives(&raw, &wanted);
            assert_eq!(share.json["name"], wanted.as_str());
        }
        assert_eq!(answer.body, raw, "{shown:?}");
        assert_harmless(&given);
        // The header itself is clean, whatever a client makes of it.
        let header = answer.header("content-disposition").unwrap();
        assert!(header.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{header:?}");
        lapse.run(["list"]).success().stdout.lines().for_each(assert_printable);
        assert_printable(&lapse.run(["show", &share.id]).success().stdout.replace('\n', " "));
    }
    let list = lapse.run(["list", "--json"]).success().lines();
    assert_eq!(list.len(), names().len());
}

/// A browser on any system can save it where it meant to.
fn assert_harmless(name: &str) {
    let bidi = [
        '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}',
        '\u{2068}', '\u{2069}',
    ];
    assert!(
        !name.contains(['/', '\\']) && !name.contains(char::is_control) && !name.contains(bidi),
        "{name:?}"
    );
    assert!(!["", ".", "..", "..."].contains(&name) && !name.ends_with('.'), "{name:?}");
    let stem = name.split('.').next().unwrap().to_uppercase();
    assert!(!["CON", "PRN", "AUX", "NUL", "COM1", "LPT1"].contains(&stem.as_str()), "{name:?}");
}

/// A file's name can't take over the terminal or turn its line around.
fn assert_printable(line: &str) {
    assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
    assert!(!line.contains(['\u{202e}', '\u{2066}']), "{line:?}");
}

#[test]
fn a_name_given_by_hand_cannot_leave_its_folder() {
    let lapse = Lapse::new();
    let file = lapse.file("x.txt", "x");
    for name in ["../../etc/passwd", "..", "/etc/passwd", "a/b", "..\\..\\boot.ini"] {
        let share = lapse.share(&file, &["--name", name]);
        let answer = share.link.get();
        assert_eq!(answer.body, b"x", "{answer:?}");
        assert_harmless(&answer.name().unwrap());
        assert!(
            !share.link.object().1.split('/').any(|step| step == ".."),
            "{name}: {:?}",
            share.link
        );
    }
    let empty = lapse.run(["share", "x.txt", "--name", ""]);
    assert_ne!(empty.code, Some(101), "{empty:#?}");
}

#[test]
fn the_source_file_is_never_touched() {
    let lapse = Lapse::new();
    let file = lapse.file("note.txt", "hello");
    let before = std::fs::metadata(&file).unwrap();
    let share = lapse.share(&file, &[]);
    lapse.run(["revoke", &share.id]).success();
    let after = std::fs::metadata(&file).unwrap();
    assert_eq!(after.modified().unwrap(), before.modified().unwrap());
    assert_eq!(std::fs::read(&file).unwrap(), b"hello");
}
