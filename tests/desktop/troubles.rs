//! A storage that is away, and files of Lapse's own that can't be read.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use lapse_tests::faults::Relay;
use lapse_tests::{Lapse, Output, Server, Window, bytes};

#[test]
fn a_storage_that_is_away_at_the_start_is_told_and_comes_back() {
    let mut lapse = Lapse::with_keychain("present");
    let place = Server::SeaweedFs.place();
    let mut way = Relay::before(&place.user.endpoint);
    let mut through = place.clone();
    through.user.endpoint = way.url();
    lapse.add_profile("work", &through).success();
    lapse.keep_place(place);
    let before = lapse.share(&lapse.file("before.txt", "before"), &[]);
    way.cut();

    let window = Window::of(lapse, &[] as &[&str]);
    window.wait_for("before.txt");
    window.drop_files(&[window.lapse.file("note.txt", "hello")]);
    window.wait_for("can't be reached. Check the endpoint and your network, then try again.");
    window.wait_for("Failed");
    assert!(!window.says("Connected"), "{}", window.text());
    // A link needs no storage to be made again.
    window.press("Copy the link of before.txt");
    assert_eq!(window.copied_link(), before.link);

    way.mend();
    window.copy_elsewhere("UTF8_STRING", b"something else");
    window.press("Retry the upload of note.txt");
    window.copied_link().get().assert_gives(b"hello", "note.txt");
    window.wait_until_gone("Failed");
}

/// A window whose uploads go to a server by a way that can be cut, at 8 MiB a second.
fn slow_window() -> (Window, Relay) {
    let mut lapse = Lapse::with_keychain("present");
    let place = Server::SeaweedFs.place();
    let way = Relay::before(&place.user.endpoint);
    let mut through = place.clone();
    through.user.endpoint = way.url();
    lapse.add_profile("work", &through).success();
    lapse.keep_place(place);
    let config = lapse.home().join("config.toml");
    let profiles = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("upload_limit = 8388608\n{profiles}")).unwrap();
    (Window::of(lapse, &[] as &[&str]), way)
}

/// Waits until so many percent of the only upload are sent.
fn wait_for_percent(window: &Window, least: u32) {
    window.waited("some of the upload", || {
        let text = window.text();
        let percent = text.split_once("Uploading ")?.1.split_once('%')?.0.trim().parse().ok();
        percent.filter(|percent: &u32| *percent >= least)
    });
}

#[test]
fn an_upload_waits_for_a_storage_that_goes_away_and_goes_on_when_it_is_back() {
    let (window, mut way) = slow_window();
    let content = bytes(96 << 20);
    window.drop_files(&[window.lapse.file("large.bin", &content)]);
    wait_for_percent(&window, 40);
    way.cut();
    window.wait_for("Waiting");
    window.wait_for("can't be reached");
    way.mend();
    window.copied_link().get().assert_gives(&content, "large.bin");
    assert_eq!(window.lapse.keys().len(), 1);
}

#[test]
fn an_upload_of_a_window_that_was_killed_goes_on_at_its_next_start_unless_it_was_paused() {
    let (mut window, _way) = slow_window();
    let content = bytes(96 << 20);
    window.drop_files(&[window.lapse.file("large.bin", &content)]);
    wait_for_percent(&window, 40);
    window.kill();
    let upload = window.lapse.run(["uploads", "--json"]).success().json();
    assert_eq!((&upload["state"], &upload["can_go_on"]), (&"paused".into(), &true.into()));
    window.start();
    wait_for_percent(&window, 40);
    window.press("Pause upload");
    window.wait_for("Paused at");
    window.kill();
    window.start();
    window.wait_for("Paused at");
    window.press("Resume upload");
    window.copied_link().get().assert_gives(&content, "large.bin");
    assert_eq!(window.lapse.keys().len(), 1);
}

/// What a statement gives.
fn sql(database: &Path, statement: &str) -> String {
    let script = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); \
                  print(*(db.execute(sys.argv[2]).fetchone() or ())); db.commit()";
    let mut python = Command::new("python3");
    let output = Output::of(python.args(["-c", script]).arg(database).arg(statement)).success();
    output.stdout.trim_end().to_owned()
}

#[test]
fn files_of_lapse_that_cannot_be_read_are_told_and_left_alone() {
    let lapse = Lapse::with_keychain("present");
    lapse.share(&lapse.file("note.txt", "hello"), &[]);
    let database = lapse.home().join("lapse.db");
    let version = sql(&database, "PRAGMA user_version");
    sql(&database, "PRAGMA user_version = 9999");
    let before = std::fs::read(&database).unwrap();

    let mut window = Window::of(lapse, &[] as &[&str]);
    window.wait_for("newer");
    window.press("Try again");
    window.wait_for("newer");
    // A drop now is refused and not lost in silence.
    window.drop_files(&[window.lapse.file("more.txt", "more")]);
    window.wait_for("1 file wasn’t shared");
    assert_eq!(std::fs::read(&database).unwrap(), before);
    sql(&database, &format!("PRAGMA user_version = {version}"));
    window.press("Try again");
    window.wait_for("note.txt");

    window.kill();
    let config = window.lapse.home().join("config.toml");
    let broken = "expires = \"1d\"\nuse = \"local\n";
    std::fs::write(&config, broken).unwrap();
    window.start();
    window.wait_for("line 2, column");
    window.press("Try again");
    window.wait_for("line 2, column");
    assert_eq!(std::fs::read_to_string(&config).unwrap(), broken);
    std::fs::write(&config, "expires = \"3d\"\n").unwrap();
    window.press("Try again");
    window.wait_for("note.txt");
    window.drop_files(&[window.lapse.folder("files").join("more.txt")]);
    let link = window.copied_link();
    assert_eq!(link.parameter("X-Amz-Expires").as_deref(), Some("259200"));

    // And while it is open.
    std::fs::write(&config, broken).unwrap();
    window.drop_files(&[window.lapse.file("third.txt", "third")]);
    window.wait_for("1 file wasn’t shared");
    assert!(window.says("line 2, column"), "{}", window.text());
    std::fs::write(&config, "").unwrap();
    window.copy_elsewhere("UTF8_STRING", b"something else");
    window.drop_files(&[window.lapse.folder("files").join("third.txt")]);
    window.copied_link().get().assert_gives(b"third", "third.txt");
}

#[test]
fn a_full_disk_is_told_and_smaller_files_are_shared() {
    let window = Window::on_small_disk(16 << 10);
    window.drop_files(&[window.lapse.file("large.bin", bytes(24 << 20))]);
    window.wait_for("1 file wasn’t shared");
    window.wait_for("This computer's disk has no room left.");
    window.drop_files(&[window.lapse.file("small.txt", "small")]);
    window.copied_link().get().assert_gives(b"small", "small.txt");
}

#[test]
fn a_folder_that_may_not_be_written_is_told() {
    let lapse = Lapse::with_keychain("present");
    std::fs::create_dir_all(lapse.home()).unwrap();
    std::fs::set_permissions(lapse.home(), std::fs::Permissions::from_mode(0o500)).unwrap();
    let window = Window::of(lapse, &[] as &[&str]);
    window.wait_for("Make the folder writable for you, then try again.");
    std::fs::set_permissions(window.lapse.home(), std::fs::Permissions::from_mode(0o700)).unwrap();
    window.press("Try again");
    window.wait_for("Drop a file");
}

#[test]
fn links_are_served_again_when_the_process_that_served_them_is_gone() {
    let lapse = Lapse::with_keychain("present");
    let shared = lapse.share(&lapse.file("note.txt", "hello"), &[]);
    let pid = rustix::process::Pid::from_raw(lapse.store_pid()).unwrap();
    let window = Window::of(lapse, &[] as &[&str]);
    window.wait_for("note.txt");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    window.waited("the window serves the link", || {
        let status = window.lapse.run(["store", "status", "--json"]).success().json();
        (status["pid"].as_i64() == window.pid().map(i64::from)).then_some(())
    });
    shared.link.get().assert_gives(b"hello", "note.txt");
}
