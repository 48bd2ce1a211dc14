//! A file becomes a link in the real window, and stops being one.

use std::collections::BTreeSet;
use std::path::PathBuf;

use lapse_tests::{Drag, Lapse, Window, bytes};

#[test]
fn a_dropped_file_is_a_link_until_it_is_revoked_in_the_window() {
    let window = Window::new();
    window.wait_for("Drop it anywhere in this window");
    let content = bytes(300_000);
    let file = window.lapse.file("Ünï 日本 #1 %20.bin", &content);
    window.drop_files(&[&file]);
    let link = window.copied_link();
    link.get().assert_gives(&content, "Ünï 日本 #1 %20.bin");
    window.wait_for("Link copied · lasts until");

    window.click("[aria-label^='More actions for']");
    window.press("Revoke this link…");
    window.wait_for("Revoke this link?");
    window.press("Revoke");
    window.wait_for("Checked: 1 of 1 link now refuses access.");
    link.get().assert_refused();
    assert_eq!(std::fs::read(file).unwrap(), content);
}

#[test]
fn undo_revokes_what_was_just_shared() {
    let window = Window::new();
    let file = window.lapse.file("mistake.txt", "not for you");
    window.drop_files(&[file]);
    let link = window.copied_link();
    link.get().assert_gives(b"not for you", "mistake.txt");
    window.press("Undo");
    window.wait_for("Checked: 1 of 1 link refuses access");
    link.get().assert_refused();
}

#[test]
fn fifty_files_in_one_drop_are_fifty_links() {
    let window = Window::new();
    let files: Vec<PathBuf> = (0..50)
        .map(|n| window.lapse.file(format!("file {n:02}.txt"), format!("content {n:02}")))
        .collect();
    window.drop_files(&files);
    let links = window.copied_links(50, &[]);
    let contents: BTreeSet<Vec<u8>> = links.iter().map(|link| link.get().body).collect();
    assert_eq!(contents, (0..50).map(|n| format!("content {n:02}").into_bytes()).collect());
}

#[test]
fn the_list_is_there_after_a_crash() {
    let mut window = Window::new();
    let file = window.lapse.file("kept.txt", "kept");
    window.drop_files(&[file]);
    let link = window.copied_link();
    window.wait_for("kept.txt");
    window.restart();
    window.wait_for("kept.txt");
    // The link is made again from its facts, and it is the same.
    window.copy_elsewhere("UTF8_STRING", b"something else");
    window.press("Copy the link of kept.txt");
    assert_eq!(window.copied_link(), link);
    link.get().assert_gives(b"kept", "kept.txt");
}

#[test]
fn files_that_leave_the_window_again_are_not_shared() {
    let window = Window::new();
    window.wait_for("Drop a file");
    let file = window.lapse.file("no.txt", "no");
    window.drag(Drag::Away(&[file]));
    // What is dropped after them comes after them.
    window.drop_files(&[window.lapse.file("yes.txt", "yes")]);
    window.copied_link().get().assert_gives(b"yes", "yes.txt");
    let listed = window.lapse.run(["list", "--json"]).success().stdout;
    assert_eq!(listed.lines().count(), 1, "{listed}");
}

#[test]
fn a_drop_that_is_taken_back_shares_no_more_of_it() {
    let lapse = Lapse::with_keychain("present");
    std::fs::create_dir_all(lapse.home()).unwrap();
    std::fs::write(lapse.home().join("config.toml"), "upload_limit = 262144\n").unwrap();
    let window = Window::of(lapse, &[] as &[&str]);
    let mut files = vec![window.lapse.file("first.txt", "first")];
    files.extend((0..16).map(|n| window.lapse.file(format!("large {n}.bin"), bytes(4 << 20))));
    window.drop_files(&files);
    let link = window.copied_link();
    window.wait_for("Uploading");
    window.wait_for("more wait");
    window.press("Undo");
    window.wait_for("Checked: 1 of 1 link refuses access");
    link.get().assert_refused();
    window.wait_until_gone("Uploading");
    window.wait_until_gone("more wait");
    let listed = window.lapse.run(["list", "--json"]).success().stdout;
    assert_eq!(listed.lines().count(), 1, "{listed}");
    assert!(listed.contains("\"revoked\""), "{listed}");
}

#[test]
fn text_that_is_dropped_is_not_shared_and_the_window_goes_on() {
    let window = Window::new();
    window.wait_for("Drop a file");
    window.drag(Drag::Text("/etc/hostname"));
    window.press("Browse…");
    window.cancel_dialog();
    window.drop_files(&[window.lapse.file("after.txt", "after")]);
    window.copied_link().get().assert_gives(b"after", "after.txt");
    let listed = window.lapse.run(["list", "--json"]).success().stdout;
    assert_eq!(listed.lines().count(), 1, "{listed}");
}

#[test]
fn an_address_of_a_web_page_is_refused_and_the_window_goes_on() {
    let window = Window::new();
    window.wait_for("Drop a file");
    window.drag(Drag::Address("https://example.com/picture.png"));
    window.wait_for("address, not a file");
    let file = window.lapse.file("after.txt", "after");
    window.drop_files(&[file]);
    window.copied_link().get().assert_gives(b"after", "after.txt");
}
