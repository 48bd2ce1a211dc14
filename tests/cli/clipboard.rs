//! The clipboard, on a real X screen, read by xclip.

use std::time::Duration;

use lapse_tests::rig::Rig;
use lapse_tests::{Lapse, Output, wait_for};

struct Screen {
    lapse: Lapse,
    rig: Rig,
}

fn on_a_screen() -> Screen {
    let rig = Rig::script("screen.sh", &[]);
    let mut lapse = Lapse::new();
    let (name, value) = rig.variable();
    lapse.set(name, value);
    Screen { lapse, rig }
}

/// What another program would paste.
fn pasted(lapse: &Lapse) -> Output {
    Output::of(&mut lapse.any(&["xclip", "-selection", "clipboard", "-o"]))
}

#[test]
fn the_link_is_on_the_clipboard_after_lapse_has_ended() {
    let Screen { lapse, rig: _rig } = on_a_screen();
    lapse.file("note.txt", "hello");
    let output = lapse.run(["share", "note.txt"]).success();
    assert_eq!(pasted(&lapse).stdout, output.stdout.trim_end());
    let told = on_a_terminal(&lapse, "share note.txt");
    assert!(told.contains("on the clipboard") && told.contains(&pasted(&lapse).stdout), "{told}");

    // A program that keeps a history is told to leave it out.
    let targets =
        Output::of(&mut lapse.any(&["xclip", "-selection", "clipboard", "-o", "-t", "TARGETS"]))
            .stdout;
    assert!(targets.contains("x-kde-passwordManagerHint"), "{targets}");

    // Something else that is copied takes its place, and the process that held the link ends.
    let mut copy = lapse.any(&["sh", "-c", "printf other | xclip -selection clipboard -in"]);
    Output::of(&mut copy).success();
    // xclip goes to the background before the screen has heard of it.
    wait_for("the other text is on the clipboard", Duration::from_mins(1), || {
        (pasted(&lapse).stdout == "other").then_some(())
    });
    wait_for("the holder of the clipboard ends", Duration::from_mins(1), || {
        (holders(&lapse) == 0).then_some(())
    });
}

#[test]
fn the_clipboard_is_left_alone_when_that_is_asked() {
    let Screen { lapse, rig: _rig } = on_a_screen();
    lapse.file("note.txt", "hello");
    let told = on_a_terminal(&lapse, "share note.txt --no-copy");
    assert!(!told.contains("clipboard"), "{told}");
    assert_ne!(pasted(&lapse).code, Some(0), "the clipboard isn't empty");
    assert_eq!(holders(&lapse), 0);
}

#[test]
fn the_holder_ends_with_its_screen() {
    let Screen { lapse, rig } = on_a_screen();
    lapse.file("note.txt", "hello");
    lapse.run(["share", "note.txt"]).success();
    assert_eq!(holders(&lapse), 1);
    drop(rig);
    wait_for("the holder of the clipboard ends", Duration::from_mins(1), || {
        (holders(&lapse) == 0).then_some(())
    });
}

#[test]
fn nothing_is_claimed_without_a_screen() {
    let mut lapse = Lapse::new();
    lapse.file("note.txt", "hello");
    let told = on_a_terminal(&lapse, "share note.txt");
    assert!(!told.contains("clipboard"), "{told}");
    lapse.set("DISPLAY", ":4711");
    let told = on_a_terminal(&lapse, "share note.txt");
    assert!(!told.contains("clipboard"), "{told}");
}

/// What a person at a terminal sees.
fn on_a_terminal(lapse: &Lapse, words: &str) -> String {
    let command = format!("{} {words}", lapse_tests::lapse::binary().display());
    let words = ["script", "--quiet", "--return", "--command", &command, "/dev/null"];
    Output::of(&mut lapse.any(&words)).success().stdout
}

/// The processes that hold this Lapse's clipboard.
fn holders(lapse: &Lapse) -> usize {
    let home = format!("HOME={}", lapse.folder("home").display());
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter(|process| {
            let has = |name: &str, text: &str| {
                let bytes = std::fs::read(process.path().join(name)).unwrap_or_default();
                lapse_tests::leaks::contains(&bytes, text.as_bytes())
            };
            has("cmdline", "hold-clipboard") && has("environ", &home)
        })
        .count()
}
