//! Folders, odd names and many files, dropped.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use lapse_tests::{Output, Window, bytes, wait_for};

#[test]
fn a_dropped_folder_is_one_zip_of_the_same_files() {
    let window = Window::new();
    let folder = window.lapse.folder("files").join("Reise nach Köln");
    std::fs::create_dir_all(folder.join("leer")).unwrap();
    std::fs::create_dir_all(folder.join("a/b")).unwrap();
    std::fs::write(folder.join("a/b/tief.bin"), bytes(300_000)).unwrap();
    std::fs::write(folder.join("a/schön.txt"), "schön").unwrap();
    window.drop_files(&[&folder]);
    let answer = window.copied_link().get();
    assert_eq!(answer.name().as_deref(), Some("Reise nach Köln.zip"));
    window.wait_for("Reise nach Köln.zip");
    let zip = window.lapse.file("got.zip", &answer.body);
    let script = "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])";
    let out = window.lapse.folder("home").join("got");
    Output::of(Command::new("python3").args(["-c", script]).arg(zip).arg(&out)).success();
    Output::of(Command::new("diff").arg("-r").arg(&out).arg(&folder)).success();
}

#[test]
fn what_cannot_be_shared_is_told_and_the_rest_of_the_drop_is_shared() {
    let window = Window::new();
    let config = window.lapse.home().join("config.toml");
    // Slow, so that the last file waits for its turn.
    std::fs::create_dir_all(window.lapse.home()).unwrap();
    std::fs::write(&config, "upload_limit = 1048576\n").unwrap();
    window.waited("the slow speed", || window.says("Drop a file.").then_some(()));

    let large = (0..4).map(|n| window.lapse.file(format!("large {n}.bin"), bytes(1 << 20)));
    let mut files: Vec<PathBuf> = large.collect();
    let markup = "<img src=x onerror=document.title='owned'>.txt";
    files.push(window.lapse.file(markup, "markup"));
    files.push(window.lapse.file("invoice\u{202e}fdp.exe", "turned"));
    let bytes_name = OsString::from_vec(b"caf\xe9.txt".to_vec());
    files.push(window.lapse.file(bytes_name, "no UTF-8"));
    let closed = window.lapse.folder("files").join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::write(closed.join("in.txt"), "in").unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).unwrap();
    files.push(closed.clone());
    let gone = window.lapse.file("<b>gone\u{202e}.txt", "gone");
    files.push(gone.clone());

    window.drop_files(&files);
    window.wait_for("Uploading");
    std::fs::remove_file(&gone).unwrap();
    let links = window.copied_links(6, &[]);
    links[4].get().assert_gives(b"markup", &markup.replace(['<', '>'], "_"));
    let turned = links[5].get();
    assert_eq!(turned.body, b"turned");
    assert_eq!(turned.name().as_deref(), Some("invoicefdp.exe"));

    window.wait_for("3 files weren’t shared");
    window.press("Show 1 more");
    for said in
        ["caf\u{fffd}.txt» isn't UTF-8", "closed/»: permission denied", "<b>gone\\u{202e}.txt"]
    {
        assert!(window.says(said), "{said}: {}", window.text());
    }
    let names = "return [...document.querySelectorAll('.row-name')].map((row) => row.textContent)";
    let names = window.script(names).to_string();
    for name in ["_img src=x onerror=document.title='owned'_.txt", "invoicefdp.exe"] {
        assert!(names.contains(name), "{names}");
    }
    assert_eq!(window.script("return document.title"), "Lapse");
    assert_eq!(window.script("return document.querySelectorAll('img, b').length"), 0);
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
    window.press("Dismiss");
    window.wait_until_gone("weren’t shared");
}

#[test]
fn two_thousand_files_in_one_drop_are_all_shared_while_the_window_answers() {
    let window = Window::new();
    let files: Vec<PathBuf> = (0..2000)
        .map(|n| window.lapse.file(format!("file {n:04}.txt"), format!("content {n:04}")))
        .collect();
    window.drop_files(&files);
    window.wait_for("more wait");
    window.press("Settings");
    window.wait_for("Upload speed");
    window.press("Back");
    window.wait_for("Drop files anywhere");
    // Not when all was over: then nothing waits any more.
    window.wait_for("more wait");
    wait_for("two thousand links", Duration::from_mins(4), || {
        (window.clipboard()?.lines().count() == 2000).then_some(())
    });
    let links = window.copied_links(2000, &[]);
    for n in [0, 1, 999, 1999] {
        let content = format!("content {n:04}");
        links[n].get().assert_gives(content.as_bytes(), &format!("file {n:04}.txt"));
    }
}
