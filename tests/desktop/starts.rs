//! How the window is started: with files, hidden, and once more.

use std::os::unix::ffi::OsStrExt as _;

use lapse_tests::{Lapse, Window};

#[test]
fn files_of_a_first_and_of_a_second_start_are_shared_by_the_one_window() {
    let lapse = Lapse::with_keychain("present");
    let first = lapse.file("first file.txt", "one");
    let mut window = Window::of(lapse, &[&first]);
    let link = window.copied_link();
    link.get().assert_gives(b"one", "first file.txt");
    let pid = window.pid();

    // From another folder, by its name there.
    let folder = window.lapse.folder("home").join("Bilder & Töne");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("schöne Grüße.txt"), "two").unwrap();
    std::fs::write(folder.join("--hidden"), "three").unwrap();
    let address = "file:///nowhere/g%C3%BCne.txt";
    let started = window.start_again(&folder, &["--", "schöne Grüße.txt", "--hidden", address]);
    assert_eq!(started.code, Some(0), "{started:#?}");
    let links = window.copied_links(2, &[]);
    links[0].get().assert_gives(b"two", "schöne Grüße.txt");
    links[1].get().assert_gives(b"three", "--hidden");
    window.wait_for("güne.txt");
    assert_eq!(window.pid(), pid, "a second one runs");

    window.kill();
}

#[test]
fn what_a_start_cannot_share_is_told() {
    let lapse = Lapse::with_keychain("present");
    let window = Window::of(lapse, &["not there.txt"]);
    window.wait_for("not there.txt");
    window.wait_for("1 file wasn’t shared");

    let folder = window.lapse.folder("home");
    let name = std::ffi::OsStr::from_bytes(b"odd \xff.txt");
    std::fs::write(folder.join(name), "odd").unwrap();
    // What such a name looks like as text is another file.
    std::fs::write(folder.join("odd \u{fffd}.txt"), "another").unwrap();
    window.start_again(&folder, &[name]).success();
    assert_eq!(window.copied_link().get().body, b"odd");
    window.copy_elsewhere("UTF8_STRING", b"something else");
    window.drop_files(&[folder.join(name)]);
    window.wait_for("isn't UTF-8");
    assert_eq!(window.clipboard().as_deref(), Some("something else"));
}

#[test]
fn a_hidden_start_shows_no_window_until_it_is_started_again() {
    let window = Window::of(Lapse::with_keychain("present"), &["--hidden"]);
    // What nobody sees has no words but in its source.
    window.waited("the first screen", || {
        let text = window.script("return document.body.textContent");
        text.as_str()?.contains("Drop a file.").then_some(())
    });
    let file = window.lapse.file("by the menu.txt", "here");
    // A start with files only hands them over; hidden, they are shared all the same.
    let home = window.lapse.folder("home");
    let started = window.start_again(&home, &["--hidden".as_ref(), file.as_os_str()]);
    assert_eq!(started.code, Some(0), "{started:#?}");
    window.copied_link().get().assert_gives(b"here", "by the menu.txt");
    assert!(!window.is_visible());

    window.start_again(&home, &[] as &[&str]).success();
    window.id();
    window.wait_for("by the menu.txt");
}
