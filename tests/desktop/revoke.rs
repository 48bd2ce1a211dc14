//! All links at once, from the window.

use lapse_tests::{Server, Window};

#[test]
fn all_links_end_by_a_new_key_and_what_is_kept_is_copied_anew() {
    let mut window = Window::new();
    let files = [window.lapse.file("gone.txt", "gone"), window.lapse.file("kept.txt", "kept")];
    window.drop_files(&files);
    let links = window.copied_links(2, &[]);
    window.wait_for("Revoke all…");
    window.press("Revoke all…");
    window.wait_for("Revoke 2 links by rotating the key?");
    window.wait_for("0 of 2 kept");
    let drawn = "return document.querySelectorAll('.keep .check').length";
    window.waited("both rows", || (window.script(drawn) == 2).then_some(()));
    let choose = "const row = [...document.querySelectorAll('.keep .check')]
        .find((row) => row.textContent.includes('kept')); row.querySelector('input').click();";
    window.script(choose);
    window.wait_for("1 of 2 kept");
    // As a keyboard or assistive technology presses it.
    let press = "document.querySelector('.hold').click()";
    window.script(press);
    window.wait_for("Press again");
    window.script(press);
    window.wait_for("Checked: 1 of 1 old link now refuses access");
    window.press("Copy 1 new link");
    let kept = window.copied_links(1, &[]).remove(0);
    kept.get().assert_gives(b"kept", "kept.txt");
    for link in &links {
        link.get().assert_refused();
    }
    window.press("Done");
    window.wait_for("Revoked");
    window.drop_files(&[window.lapse.file("next.txt", "next")]);
    let next = window.copied_links(1, &[kept]).remove(0);
    next.get().assert_gives(b"next", "next.txt");
    window.kill();
}

#[test]
fn a_key_of_other_programs_wants_a_yes_in_the_window_too() {
    let lapse = lapse_tests::Lapse::on(Server::SeaweedFs);
    let mut window = Window::of(lapse, &[] as &[&str]);
    window.drop_files(&[window.lapse.file("gone.txt", "gone")]);
    let link = window.copied_link();
    window.wait_for("Revoke all…");
    window.press("Revoke all…");
    window.wait_for("Every other program that uses");
    window.script("document.querySelector('.hold').click()");
    assert!(!window.says("Press again"));
    window.press("Stop them too");
    window.script("document.querySelector('.hold').click()");
    window.wait_for("Press again");
    window.script("document.querySelector('.hold').click()");
    window.wait_for("Checked: 1 of 1 old link now refuses access");
    link.get().assert_refused();
    window.kill();
}
