//! A keychain that is locked or isn't there, and the ways on without it.

use lapse_tests::leaks::{contains, files};
use lapse_tests::{Lapse, Server, Window};

use super::storage::open_form;

/// Enters the secret that is asked for, and takes the storage.
fn enter_secret(window: &Window, secret: &str) {
    window.wait_for("the secret of this key: enter it");
    window.fill("Secret", secret);
    window.press("Save and check");
    window.wait_for("is ready to use.");
    window.press("Use this storage");
    window.wait_for("before.txt");
}

fn assert_shares(window: &Window, name: &str) {
    window.copy_elsewhere("UTF8_STRING", b"something else");
    window.drop_files(&[window.lapse.file(name, name)]);
    window.copied_link().get().assert_gives(name.as_bytes(), name);
}

#[test]
fn a_locked_keychain_is_told_and_there_are_ways_on() {
    let mut lapse = Lapse::with_keychain("present");
    let place = Server::SeaweedFs.place();
    lapse.add_profile("work", &place).success();
    let before = lapse.share(&lapse.file("before.txt", "before"), &[]);
    lapse.keyring().ask("lock");

    let mut window = Window::of(lapse, &[] as &[&str]);
    window.wait_for("Your keychain is locked");
    window.press("Unlock keychain");
    window.wait_for("still locked");
    window.press("Keep keys for this session only");
    enter_secret(&window, &place.user.secret_key);
    assert_shares(&window, "this session.txt");

    // The session is over, and its keys with it.
    window.restart();
    window.wait_for("Your keychain is locked");
    window.press("Use a passphrase file");
    window.fill("Passphrase", "correct horse");
    window.fill("Once more", "correct house");
    window.press("Create the file");
    window.wait_for("Both must be the same");
    window.fill("Once more", "correct horse");
    window.press("Create the file");
    enter_secret(&window, &place.user.secret_key);
    assert_shares(&window, "in a file.txt");

    window.restart();
    window.wait_for("Open the passphrase file");
    window.fill("Passphrase", "wrong horse");
    window.keys(&["Return"]);
    window.wait_for("doesn't open the file");
    assert_eq!(window.focused(), "Passphrase");
    window.fill("Passphrase", "correct horse");
    window.press("Open");
    window.wait_for("before.txt");
    assert_shares(&window, "opened again.txt");
    // What was shared with the key before is a link again, and the same one.
    window.copy_elsewhere("UTF8_STRING", b"something else");
    window.press("Copy the link of before.txt");
    assert_eq!(window.copied_link(), before.link);

    for file in files(window.lapse.home().parent().unwrap()) {
        let content = std::fs::read(&file).unwrap_or_default();
        for secret in [place.user.secret_key.as_str(), "correct horse"] {
            assert!(!contains(&content, secret.as_bytes()), "{} has it", file.display());
        }
    }
}

#[test]
fn where_no_keychain_is_the_form_goes_on_without_one() {
    let window = Window::of(Lapse::with_keychain("absent"), &[] as &[&str]);
    let place = Server::SeaweedFs.place();
    open_form(&window, "SeaweedFS");
    window.fill("Endpoint", &place.user.endpoint);
    window.fill("Bucket", &place.bucket);
    window.fill("Access key", &place.user.access_key);
    window.fill("Secret", &place.user.secret_key);
    window.press("Check connection");
    window.press("Keychain…");
    window.wait_for("No keychain was found");
    window.press("Try again");
    window.wait_for("There is still no keychain.");
    window.press("Keep keys for this session only");
    window.wait_for("Secrets stay in memory until Lapse ends.");
    // What was filled in is there.
    window.press("Check connection");
    window.wait_for("is ready to use.");
    window.press("Use this storage");
    window.wait_for("Drop a file.");
    assert_shares(&window, "kept nowhere.txt");
}
