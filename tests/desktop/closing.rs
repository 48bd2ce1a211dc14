//! The end of the window, and what goes on without it.

use std::process::Command;

use lapse_tests::rig::{Rig, servers};
use lapse_tests::{Lapse, Window, bytes};

#[test]
fn links_live_on_when_the_window_is_closed_and_uploads_are_asked_about() {
    let mut window = Window::new();
    window.drop_files(&[window.lapse.file("note.txt", "hello")]);
    let link = window.copied_link();
    assert_eq!(Some(window.lapse.store_pid()), window.pid());
    // Without a tray it would be gone, so it ends; nothing speaks against that.
    window.close();
    window.wait_for_end();
    link.get().assert_gives(b"hello", "note.txt");

    // Slow enough to be in the way of the end.
    let config = window.lapse.home().join("config.toml");
    std::fs::write(&config, "upload_limit = 262144\n").unwrap();
    window.start();
    window.wait_for("note.txt");
    window.drop_files(&[window.lapse.file("large.bin", bytes(24 << 20))]);
    let at = || {
        let text = window.text();
        let percent = text.split_once("Uploading ")?.1.split_once('%')?.0.trim();
        percent.parse::<u32>().ok()
    };
    window.waited("the upload's first percent", || at().filter(|percent| *percent > 0));
    window.close();
    window.wait_for("Quit Lapse?");
    window.wait_for("1 upload is under way.");
    window.press("Stay");
    window.wait_until_gone("Quit Lapse?");
    let before = window.waited("how far the upload is", at);
    window.waited("more of the upload", || at().filter(|percent| *percent > before));
    window.close();
    window.wait_for("Quit Lapse?");
    window.press_last("Quit");
    link.get().assert_gives(b"hello", "note.txt");

    std::fs::write(&config, "").unwrap();
    window.start();
    window.copied_link().get().assert_gives(&bytes(24 << 20), "large.bin");
    window.kill();
}

#[test]
fn with_a_tray_the_closed_window_stays_there() {
    let lapse = Lapse::with_keychain("present");
    let mut host: Command = lapse.any(&[servers().join("tray.py")]);
    let mut host = Rig::start(&mut host);
    let mut window = Window::of(lapse, &[] as &[&str]);
    window.waited("one icon in the tray", || {
        (host.ask("items").split_whitespace().count() == 1).then_some(())
    });
    window.drop_files(&[window.lapse.file("note.txt", "hello")]);
    let link = window.copied_link();
    window.close();
    window.waited("the window is away", || (!window.is_visible()).then_some(()));
    link.get().assert_gives(b"hello", "note.txt");
    assert!(host.ask("notices").contains("Lapse is still there"));
    let folder = window.lapse.folder("files");
    window.lapse.file("more.txt", "more");
    window.start_again(&folder, &["more.txt"]).success();
    window.id();
    window.wait_for("more.txt");
    // Said once; from then on only what happens out of sight.
    window.close();
    window.waited("the window is away", || (!window.is_visible()).then_some(()));
    window.start_again(&folder, &["--hidden", "<i>&gone.txt"]).success();
    window.waited("two notifications", || {
        let told = host.ask("notices");
        told.contains("&lt;i&gt;&amp;gone.txt").then(|| assert_eq!(told.matches("[\"").count(), 2))
    });
    window.start_again(&folder, &[] as &[&str]).success();
    window.id();

    std::fs::write(window.lapse.home().join("config.toml"), "[window]\nclose_to_tray = false\n")
        .unwrap();
    window.close();
    window.wait_for_end();
    link.get().assert_gives(b"hello", "note.txt");
}
