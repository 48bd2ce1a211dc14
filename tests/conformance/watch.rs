//! Watched folders: what is saved is shared, once, whole, whatever happens meanwhile.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use lapse_tests::faults::Relay;
use lapse_tests::faulty::{Ask, Faulty, Wrong};
use lapse_tests::watching::{Watching, add, contents, folder, sums, wait_until_shared};
use lapse_tests::{Lapse, Server, bytes, wait_for};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_mins(1);
const LATER: Duration = Duration::from_mins(10);

fn new_folder(lapse: &Lapse, name: &str) -> PathBuf {
    let path = lapse.folder("files").join(name);
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn shares(lapse: &Lapse) -> Vec<Value> {
    lapse.run(["list", "--json"]).success().lines()
}

fn names(lapse: &Lapse) -> Vec<String> {
    let mut names: Vec<_> =
        shares(lapse).iter().map(|share| share["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// Each file of the folder is in the bucket once, and nothing else is.
fn assert_same(lapse: &Lapse, folder: &Path) {
    let mut there = HashMap::new();
    for sum in sums(folder).into_values() {
        *there.entry(sum).or_insert(0) += 1;
    }
    assert_eq!(contents(lapse), there);
}

/// Nothing more happens for longer than a file needs to settle.
fn after_a_while() {
    std::thread::sleep(Duration::from_millis(3500));
}

on_every_server! {
    fn what_is_saved_is_shared_and_what_was_there_is_left_alone(server: Server) {
        let lapse = Lapse::on(server);
        let dir = new_folder(&lapse, "shots");
        std::fs::write(dir.join("old.png"), "old").unwrap();
        add(&lapse, &dir, &["--expires", "6h", "--label", "shots"]);
        let watching = Watching::start(&lapse);
        std::fs::write(dir.join("new.png"), "new").unwrap();
        // At one level only, unless more is asked for.
        new_folder(&lapse, "shots/deep");
        std::fs::write(dir.join("deep/deeper.png"), "deeper").unwrap();
        wait_until_shared(&lapse, &dir, 1, SOON);
        let listed = shares(&lapse);
        let share = &listed[0];
        assert_eq!(
            (&share["name"], &share["label"], &share["folder"]),
            (&"new.png".into(), &"shots".into(), &dir.to_str().unwrap().into())
        );
        let id = share["id"].as_str().unwrap();
        let link = lapse.run(["link", id, "--no-copy", "--json"]).success().json();
        lapse_tests::Share::of(link).link.get().assert_gives(b"new", "new.png");
        after_a_while();
        assert_eq!(names(&lapse), ["new.png"]);
        assert_eq!(watching.stop(), Some(0));
        // What came meanwhile is found at the start.
        std::fs::write(dir.join("meanwhile.png"), "meanwhile").unwrap();
        let _watching = Watching::start(&lapse);
        wait_until_shared(&lapse, &dir, 2, SOON);
        assert_eq!(names(&lapse), ["meanwhile.png", "new.png"]);
    }
}

#[test]
fn a_slow_writer_is_waited_for() {
    let lapse = Lapse::new();
    let dir = new_folder(&lapse, "slow");
    add(&lapse, &dir, &[]);
    let _watching = Watching::start(&lapse);
    let slow = |seconds: u32, pause: &str, name: &str| {
        // The file stays open: longer than it takes to settle nothing is written.
        let script = format!(
            "for i in $(seq {seconds}); do printf '%1024s' $i; sleep {pause}; done > '{}'",
            dir.join(name).display()
        );
        Command::new("sh").args(["-c", &script]).spawn().unwrap()
    };
    // Opened anew for each piece, soon after the last.
    let script = format!(
        "for i in $(seq 240); do printf '%1024s' $i >> '{}'; sleep 0.25; done",
        dir.join("piece by piece.bin").display()
    );
    let pieces = Command::new("sh").args(["-c", &script]).spawn().unwrap();
    let mut writers = [slow(60, "1", "steady.bin"), slow(20, "3", "pausing.bin"), pieces];
    let end = Instant::now() + Duration::from_secs(58);
    while Instant::now() < end {
        assert_eq!(names(&lapse), [""; 0]);
        std::thread::sleep(Duration::from_secs(1));
    }
    for writer in &mut writers {
        assert!(writer.wait().unwrap().success());
    }
    wait_until_shared(&lapse, &dir, 3, SOON);
    assert_same(&lapse, &dir);
}

#[test]
fn names_that_change_files_that_change_and_files_that_go() {
    let lapse = Lapse::new();
    let dir = new_folder(&lapse, "work");
    add(&lapse, &dir, &["--recursive"]);
    let _watching = Watching::start(&lapse);
    // As a browser loads down, as an editor saves.
    std::fs::write(dir.join("film.mov.part"), "half").unwrap();
    std::fs::write(dir.join("text.txt"), "first").unwrap();
    wait_until_shared(&lapse, &dir, 1, SOON);
    std::fs::write(dir.join("film.mov.part"), "half and half").unwrap();
    std::fs::rename(dir.join("film.mov.part"), dir.join("film.mov")).unwrap();
    std::fs::write(dir.join("text.tmp"), "second").unwrap();
    std::fs::rename(dir.join("text.tmp"), dir.join("text.txt")).unwrap();
    wait_for("the new version", SOON, || (contents(&lapse).len() == 3).then_some(()));
    after_a_while();
    assert_eq!(names(&lapse), ["film.mov", "text.txt", "text.txt"]);
    // Neither another name, nor another time, nor another folder makes it another file.
    std::fs::rename(dir.join("film.mov"), dir.join("movie.mov")).unwrap();
    std::fs::create_dir(dir.join("sub")).unwrap();
    std::fs::rename(dir.join("movie.mov"), dir.join("sub/movie.mov")).unwrap();
    let file = std::fs::File::options().write(true).open(dir.join("text.txt")).unwrap();
    file.set_modified(std::time::SystemTime::now()).unwrap();
    std::fs::write(dir.join("gone.txt"), "gone").unwrap();
    wait_for("the last", SOON, || (contents(&lapse).len() == 4).then_some(()));
    // What is deleted here is not deleted there.
    std::fs::remove_file(dir.join("gone.txt")).unwrap();
    std::fs::remove_dir_all(dir.join("sub")).unwrap();
    after_a_while();
    assert_eq!(contents(&lapse).len(), 4);
    assert!(shares(&lapse).iter().all(|share| share["state"] == "active"));
}

#[test]
fn a_changed_file_withdraws_its_link_where_that_is_wanted() {
    let lapse = Lapse::new();
    let dir = new_folder(&lapse, "work");
    add(&lapse, &dir, &["--withdraw"]);
    let _watching = Watching::start(&lapse);
    std::fs::write(dir.join("text.txt"), "first").unwrap();
    wait_until_shared(&lapse, &dir, 1, SOON);
    let first = shares(&lapse)[0]["id"].as_str().unwrap().to_owned();
    std::fs::write(dir.join("text.txt"), "second, and longer").unwrap();
    wait_for("the end of the first", SOON, || (lapse.state(&first) == "revoked").then_some(()));
    assert_same(&lapse, &dir);
}

#[test]
fn a_name_that_another_file_takes_is_that_file_and_the_one_of_before_isnt_shared_again() {
    let lapse = Lapse::new();
    let dir = new_folder(&lapse, "names");
    add(&lapse, &dir, &[]);
    let watching = Watching::start(&lapse);
    let path = |name: &str, n: u32| dir.join(format!("{name}{n}.txt"));
    let write = |name: &str, n: u32, text: &str| {
        std::fs::write(path(name, n), format!("{text} {n}")).unwrap();
    };
    (0..12).for_each(|n| write("s", n, "first"));
    (0..4).for_each(|n| write("log", n, "log"));
    wait_until_shared(&lapse, &dir, 16, SOON);
    let change_all = |text: &str| {
        for n in 0..12 {
            let _ = std::fs::rename(path("s", n), path(&format!("old {text} "), n));
            write("s", n, text);
        }
        // As logs are rotated, all at once.
        for n in (0..6).rev() {
            let _ = std::fs::rename(path("log", n), path("log", n + 1));
        }
        std::fs::write(path("log", 0), format!("log of {text}")).unwrap();
    };
    change_all("second");
    wait_for("the second", SOON, || (contents(&lapse).len() == 29).then_some(()));
    after_a_while();
    assert_same(&lapse, &dir);
    // While nobody watches.
    assert_eq!(watching.stop(), Some(0));
    change_all("third");
    let _watching = Watching::start(&lapse);
    wait_for("the third", SOON, || (contents(&lapse).len() == 42).then_some(()));
    after_a_while();
    assert_same(&lapse, &dir);
}

#[test]
fn bursts_of_folders_and_trees_that_are_moved_in_are_all_found() {
    let lapse = Lapse::on(Server::SeaweedFs);
    let dir = new_folder(&lapse, "tree");
    add(&lapse, &dir, &["--recursive"]);
    let _watching = Watching::start(&lapse);
    for n in 0..200 {
        let deep = dir.join(format!("{n}/b/c"));
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(deep.join("file.txt"), format!("file {n}")).unwrap();
    }
    let beside = new_folder(&lapse, "beside");
    for n in 0..50 {
        let deep = beside.join(format!("x{}/y", n % 7));
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(deep.join(format!("{n}.txt")), format!("moved {n}")).unwrap();
    }
    std::fs::rename(&beside, dir.join("moved")).unwrap();
    wait_until_shared(&lapse, &dir, 250, LATER);
    assert_same(&lapse, &dir);
}

#[test]
fn what_comes_in_sight_by_another_choice_was_there_before_and_is_left_alone() {
    let lapse = Lapse::new();
    let dir = new_folder(&lapse, "wider");
    new_folder(&lapse, "wider/sub");
    let by_hand = new_folder(&lapse, "by hand");
    let write = |path: &str| std::fs::write(dir.join(path), path).unwrap();
    write("sub/old.txt");
    write("old.log");
    add(&lapse, &dir, &["--ignore", "*.log"]);
    let watching = Watching::start(&lapse);
    write("1.txt");
    wait_until_shared(&lapse, &dir, 1, SOON);
    let config = lapse.home().join("config.toml");
    let choose = |from: &str, to: &str| {
        let text = std::fs::read_to_string(&config).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(&config, text.replace(from, to)).unwrap();
    };
    // What waits and is to be left alone by now isn't shared.
    lapse.run(["watch", "pause", "wider"]).success();
    write("secret.txt");
    choose("paused = true", "");
    choose("[\"*.log\"]", "[\"*.log\", \"secret*\"]");
    after_a_while();
    choose("[\"*.log\", \"secret*\"]", "[\"*.log\"]");
    // While it is watched, and while nobody watches.
    choose("ignore = [\"*.log\"]", "recursive = true");
    std::thread::sleep(Duration::from_secs(7));
    write("new.log");
    write("sub/2.txt");
    wait_until_shared(&lapse, &dir, 3, SOON);
    assert_eq!(watching.stop(), Some(0));
    write("meanwhile.txt");
    write("sub/server.key");
    std::fs::write(by_hand.join("old.txt"), "old by hand").unwrap();
    let folder = format!("ignore = [\"!*.key\"]\n\n[[folder]]\npath = {by_hand:?}\n");
    choose("recursive = true\n", &format!("recursive = true\n{folder}"));
    let _watching = Watching::start(&lapse);
    wait_until_shared(&lapse, &dir, 4, SOON);
    write("sub/new.key");
    std::fs::write(by_hand.join("new by hand.txt"), "new").unwrap();
    wait_until_shared(&lapse, &dir, 5, SOON);
    wait_until_shared(&lapse, &by_hand, 1, SOON);
    after_a_while();
    let all = ["1.txt", "2.txt", "meanwhile.txt", "new by hand.txt", "new.key", "new.log"];
    assert_eq!(names(&lapse), all);
    // Nor is what a folder of that name held once known by that.
    std::fs::write(&config, "").unwrap();
    std::thread::sleep(Duration::from_secs(6));
    std::fs::write(dir.join("1.txt"), "another one").unwrap();
    add(&lapse, &dir, &[]);
    write("last.txt");
    wait_for("the last", SOON, || (names(&lapse).len() == 7).then_some(()));
    after_a_while();
    assert!(names(&lapse).contains(&"last.txt".to_owned()));
}

#[test]
fn odd_names_and_things_that_are_no_files() {
    let lapse = Lapse::on(Server::SeaweedFs);
    let dir = new_folder(&lapse, "odd");
    std::fs::write(lapse.folder("files").join("secret.txt"), "not in the folder").unwrap();
    add(&lapse, &dir, &["--recursive"]);
    let _watching = Watching::start(&lapse);
    let long = "l".repeat(251) + ".txt";
    let odd: [&[u8]; 8] = [
        b"new\nline.txt",
        b"in\xff\xfevalid.txt",
        long.as_bytes(),
        b"-rf",
        "\u{202e}gnp.exe".as_bytes(),
        b" ",
        b"quote\"'`$(touch x)",
        "e\u{301}.txt".as_bytes(),
    ];
    for (n, name) in odd.iter().enumerate() {
        std::fs::write(dir.join(OsStr::from_bytes(name)), format!("odd {n}")).unwrap();
    }
    for left in [".env", ".git/config", "id_rsa", "server.key", "x.crdownload", "~$x.docx"] {
        let path = dir.join(left);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "left alone").unwrap();
    }
    std::os::unix::fs::symlink("../secret.txt", dir.join("link.txt")).unwrap();
    std::os::unix::fs::symlink("..", dir.join("up")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, dir.join("pipe"), rustix::fs::Mode::RUSR).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.join("socket")).unwrap();
    wait_until_shared(&lapse, &dir, odd.len() as u64, SOON);
    after_a_while();
    let shared = contents(&lapse);
    assert_eq!(shared.len(), odd.len(), "{:?}", names(&lapse));
    let there = sums(&dir);
    for name in odd {
        assert!(shared.contains_key(&there[&dir.join(OsStr::from_bytes(name))]));
    }
}

#[test]
fn a_file_that_cannot_be_read_is_told_and_holds_no_other_up() {
    let lapse = Lapse::new();
    let dir = new_folder(&lapse, "locked");
    add(&lapse, &dir, &[]);
    // Root may read everything.
    let as_person = rustix::process::geteuid().is_root();
    let mut command = if as_person {
        lapse.around(["setpriv", "--bounding-set=-all", "--inh-caps=-all"], ["watch", "run"])
    } else {
        lapse.command(["watch", "run"])
    };
    let _watching = Watching::of(&mut command);
    let locked = dir.join("a.txt");
    std::fs::write(&locked, "locked").unwrap();
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o000)).unwrap();
    std::fs::write(dir.join("b.txt"), "open").unwrap();
    wait_until_shared(&lapse, &dir, 1, SOON);
    let told = wait_for("the error", SOON, || {
        folder(&lapse, &dir)["failed"].as_array().unwrap().first().cloned()
    });
    assert!(told["path"].as_str().unwrap().ends_with("a.txt"), "{told}");
    assert!(told["error"].as_str().unwrap().contains("can't read"), "{told}");
    assert_eq!(names(&lapse), ["b.txt"]);
    // At once when it may be read.
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o644)).unwrap();
    wait_until_shared(&lapse, &dir, 2, SOON);
    assert_same(&lapse, &dir);
}

#[test]
fn ten_thousand_files_in_one_move_and_a_kill_amid_them() {
    let lapse = Lapse::new();
    let dir = new_folder(&lapse, "many");
    let beside = new_folder(&lapse, "beside");
    let count = 10_000;
    for n in 0..count {
        std::fs::write(beside.join(n.to_string()), format!("content {n}")).unwrap();
    }
    add(&lapse, &dir, &["--recursive"]);
    let watching = Watching::start(&lapse);
    std::thread::sleep(Duration::from_millis(500));
    std::fs::rename(&beside, dir.join("in")).unwrap();
    wait_for("the first thousand", LATER, || {
        (folder(&lapse, &dir)["shared"].as_u64() > Some(1000)).then_some(())
    });
    watching.kill();
    let _watching = Watching::start(&lapse);
    wait_until_shared(&lapse, &dir, count, LATER);
    assert_eq!(folder(&lapse, &dir)["shared"], count);
    // Each of them once.
    let listed = shares(&lapse);
    let active = listed.iter().filter(|share| share["state"] == "active").count();
    assert_eq!((listed.len() as u64, active as u64), (count, count));
    assert_same(&lapse, &dir);
}

#[test]
fn hard_links_are_files_of_their_own_and_another_name_of_one_is_not() {
    let lapse = Lapse::new();
    let dir = new_folder(&lapse, "hard");
    add(&lapse, &dir, &[]);
    let _watching = Watching::start(&lapse);
    std::fs::write(dir.join("a.txt"), "the same").unwrap();
    wait_until_shared(&lapse, &dir, 1, SOON);
    std::fs::hard_link(dir.join("a.txt"), dir.join("b.txt")).unwrap();
    wait_until_shared(&lapse, &dir, 2, SOON);
    assert_eq!(names(&lapse), ["a.txt", "b.txt"]);
    // As some programs move: the new name first, then the old one goes.
    std::fs::rename(dir.join("b.txt"), dir.join("c.txt")).unwrap();
    after_a_while();
    assert_eq!(names(&lapse), ["a.txt", "b.txt"]);
}

#[test]
fn what_was_there_before_stays_left_alone_on_a_disk_that_numbers_its_files_anew() {
    let lapse = Lapse::new();
    let dir = new_folder(&lapse, "card");
    let old = |n: u32| dir.join(format!("{n}.txt"));
    // Of one size and time, so that a number that goes from one to another makes it look like that.
    let taken = std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    for n in 10..30 {
        std::fs::write(old(n), format!("private {n}")).unwrap();
        std::fs::File::open(old(n)).unwrap().set_modified(taken).unwrap();
    }
    add(&lapse, &dir, &[]);
    let watching = Watching::start(&lapse);
    std::fs::write(dir.join("new.txt"), "new").unwrap();
    wait_until_shared(&lapse, &dir, 1, SOON);
    watching.kill();
    // Files of the same size and time with other inodes, every second one with that of the one before it, as after a card
    // with FAT was put in again.
    let script = "set -e; cp --preserve=timestamps new.txt x; mv x new.txt
                  for n in $(seq 10 2 28); do cp --preserve=timestamps $n.txt x$n; done
                  for n in $(seq 10 2 28); do mv $n.txt $((n + 1)).txt; mv x$n $n.txt; done";
    let copied = Command::new("sh").args(["-c", script]).current_dir(&dir).status().unwrap();
    assert!(copied.success());
    let _watching = Watching::start(&lapse);
    after_a_while();
    after_a_while();
    assert_eq!(names(&lapse), ["new.txt"]);
    std::fs::write(old(11), "changed since").unwrap();
    wait_until_shared(&lapse, &dir, 2, SOON);
    assert_eq!(names(&lapse), ["11.txt", "new.txt"]);
}

#[test]
fn what_comes_while_a_folder_is_looked_through_is_found_though_it_is_more_than_is_kept() {
    let lapse = Lapse::new();
    let dir = new_folder(&lapse, "busy");
    add(&lapse, &dir, &[]);
    // Once it is read the look goes on for a while.
    let mut command = lapse.command(["watch", "run"]);
    let _watching = Watching::of(command.env("FAILPOINTS", "looked_below=1*sleep(6000)"));
    std::thread::sleep(Duration::from_secs(2));
    let count = 11_000;
    for n in 0..count {
        std::fs::write(dir.join(n.to_string()), format!("content {n}")).unwrap();
    }
    wait_until_shared(&lapse, &dir, count, LATER);
    assert_same(&lapse, &dir);
}

#[test]
fn news_that_overflow_are_looked_for() {
    let lapse = Lapse::new();
    let dir = new_folder(&lapse, "flood");
    add(&lapse, &dir, &["--recursive"]);
    let watching = Watching::start(&lapse);
    wait_for("the watcher", SOON, || (folder(&lapse, &dir)["state"] == "watching").then_some(()));
    std::fs::write(dir.join("first.txt"), "first").unwrap();
    wait_until_shared(&lapse, &dir, 1, SOON);
    let pid = rustix::process::Pid::from_raw(i32::try_from(watching.pid()).unwrap()).unwrap();
    let signal = |signal| rustix::process::kill_process(pid, signal).unwrap();
    // Nobody takes the news meanwhile: the system keeps 16,384 of them, and says that some are lost.
    signal(rustix::process::Signal::STOP);
    let noisy = dir.join("noise.part");
    for n in 0..20_000 {
        std::fs::write(&noisy, n.to_string()).unwrap();
    }
    for n in 0..20 {
        std::fs::create_dir(dir.join(n.to_string())).unwrap();
        std::fs::write(dir.join(format!("{n}/after.txt")), format!("after {n}")).unwrap();
    }
    std::fs::remove_file(&noisy).unwrap();
    signal(rustix::process::Signal::CONT);
    wait_until_shared(&lapse, &dir, 21, SOON);
    assert_same(&lapse, &dir);
}

#[test]
#[expect(clippy::print_stderr, reason = "what was measured")]
fn a_tree_of_a_hundred_thousand_files_is_known_soon_and_costs_little() {
    let lapse = Lapse::new();
    let dir = new_folder(&lapse, "large");
    let count = 100_000_u32;
    for n in 0..count {
        let below = dir.join(format!("{}/{}", n % 10, n / 10 % 100));
        if n < 1000 {
            std::fs::create_dir_all(&below).unwrap();
        }
        std::fs::write(below.join(n.to_string()), "").unwrap();
    }
    let told = |watching: &Watching, name: &str, field: &str| -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/{name}", watching.pid())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    };
    let memory = |watching: &Watching| told(watching, "status", "VmRSS:");
    // One that shares a file, beside which the files that are watched cost nothing.
    let small = new_folder(&lapse, "small");
    add(&lapse, &small, &[]);
    let watching = Watching::start(&lapse);
    std::fs::write(small.join("one.txt"), "one").unwrap();
    wait_until_shared(&lapse, &small, 1, SOON);
    let alone = memory(&watching);
    drop(watching);
    add(&lapse, &dir, &["--recursive"]);
    let watching = Watching::start(&lapse);
    std::fs::write(dir.join("5/5/new.txt"), "new").unwrap();
    let began = Instant::now();
    wait_until_shared(&lapse, &dir, 1, Duration::from_mins(1));
    let (took, more) = (began.elapsed(), memory(&watching).saturating_sub(alone));
    eprintln!("{count} files: looked through and a new one shared in {took:?}, {more} KiB more");
    assert!(more * 1024 < 300 * u64::from(count), "{more} KiB more than {alone}");
    std::thread::sleep(Duration::from_secs(3));
    let before = told(&watching, "io", "write_bytes:");
    std::thread::sleep(Duration::from_secs(8));
    assert_eq!(told(&watching, "io", "write_bytes:"), before);
    std::fs::write(dir.join("9/99/last.txt"), "last").unwrap();
    wait_until_shared(&lapse, &dir, 2, SOON);
}

#[test]
fn a_storage_that_is_away_lets_the_folder_wait_and_nothing_is_lost() {
    let place = Server::SeaweedFs.place();
    let way = Faulty::before(&place.user.endpoint);
    let lapse = Lapse::by_way_of(place, way.url());
    let dir = new_folder(&lapse, "away");
    add(&lapse, &dir, &[]);
    let _watching = Watching::start(&lapse);
    std::fs::write(dir.join("first.txt"), "first").unwrap();
    wait_until_shared(&lapse, &dir, 1, SOON);
    for ask in [Ask::Put, Ask::Other] {
        let down = Wrong::Refuse("503 Service Unavailable", "ServiceUnavailable");
        way.do_wrong(ask, std::iter::repeat_n(down, 5000));
    }
    for n in 0..20 {
        std::fs::write(dir.join(n.to_string()), format!("file {n}")).unwrap();
    }
    wait_for("the trouble", Duration::from_mins(1), || {
        (folder(&lapse, &dir)["state"] == "trouble").then_some(())
    });
    assert!(folder(&lapse, &dir)["failed"].as_array().unwrap().is_empty());
    for ask in [Ask::Put, Ask::Other] {
        way.do_wrong(ask, []);
    }
    wait_until_shared(&lapse, &dir, 21, LATER);
    assert_same(&lapse, &dir);
    // What was tried in vain isn't listed.
    assert_eq!(names(&lapse).len(), 21);
}

#[test]
fn of_two_processes_one_watches_and_the_other_takes_over() {
    let lapse = Lapse::new();
    let dir = new_folder(&lapse, "both");
    add(&lapse, &dir, &[]);
    let first = Watching::start(&lapse);
    wait_for("the watcher", SOON, || (folder(&lapse, &dir)["state"] == "watching").then_some(()));
    let second = lapse.run(["watch", "run", "--json"]);
    assert_eq!((second.code, second.error_code().as_str()), (Some(1), "watching"));
    first.kill();
    assert_eq!(folder(&lapse, &dir)["state"], "not_running");
    let _second = Watching::start(&lapse);
    std::fs::write(dir.join("a.txt"), "a").unwrap();
    wait_until_shared(&lapse, &dir, 1, SOON);
}

#[test]
fn folders_that_must_not_be_watched_are_refused_and_large_ones_warned_of() {
    let lapse = Lapse::new();
    let dir = new_folder(&lapse, "outer/inner");
    let outer = dir.parent().unwrap();
    add(&lapse, outer, &["--recursive"]);
    for (path, what) in [
        (dir.as_path(), "lie in one another"),
        (outer.parent().unwrap(), "lie in one another"),
        (outer, "watched already"),
        (lapse.home().as_path(), "Lapse itself keeps"),
        (&lapse.home().join("store"), "no folder"),
        (&outer.join("nothing"), "no folder"),
        (&lapse.file("a.txt", "a"), "isn't a folder"),
    ] {
        let refused = lapse.run([OsStr::new("watch"), OsStr::new("add"), path.as_os_str()]);
        assert_eq!(refused.code, Some(1), "{}", path.display());
        assert!(refused.stderr.contains(what), "{}: {refused:#?}", path.display());
    }
    lapse.share(&lapse.file("a.txt", "a"), &[]);
    let store = lapse.home().join("store");
    let refused = lapse.run([OsStr::new("watch"), OsStr::new("add"), store.as_os_str()]);
    assert!(refused.stderr.contains("Lapse itself keeps"), "{refused:#?}");
    // The warning comes first, and nothing is watched without a yes.
    for whole in [lapse.folder("home"), PathBuf::from("/")] {
        let words = [OsStr::new("watch"), OsStr::new("add"), whole.as_os_str()];
        let asked = lapse.run(words);
        assert_eq!(asked.code, Some(1), "{asked:#?}");
        assert!(asked.stderr.contains("Each new file in it would get a link"), "{asked:#?}");
    }
    let home = lapse.folder("home");
    let words = [OsStr::new("watch"), OsStr::new("add"), home.as_os_str(), OsStr::new("--yes")];
    lapse.run(words).success();
    let bad = lapse.run(["watch", "add", "outer", "--ignore", "a{", "--json"]);
    assert_eq!(bad.error_code(), "folder");
}

#[test]
fn a_folder_can_wait_and_be_removed_with_or_without_its_links() {
    let lapse = Lapse::new();
    let dir = new_folder(&lapse, "one");
    add(&lapse, &dir, &["--existing"]);
    let _watching = Watching::start(&lapse);
    std::fs::write(dir.join("a.txt"), "a").unwrap();
    wait_until_shared(&lapse, &dir, 1, SOON);
    lapse.run(["watch", "pause", "one"]).success();
    assert_eq!(folder(&lapse, &dir)["state"], "paused");
    std::thread::sleep(Duration::from_secs(6));
    std::fs::write(dir.join("b.txt"), "b").unwrap();
    after_a_while();
    assert_eq!(names(&lapse), ["a.txt"]);
    lapse.run(["watch", "resume", "one"]).success();
    wait_until_shared(&lapse, &dir, 2, SOON);
    let asked = lapse.run(["watch", "remove", "one", "--json"]);
    assert_eq!((asked.code, asked.error_code().as_str()), (Some(2), "usage"));
    let done = lapse.run(["watch", "remove", "one", "--revoke-links", "--json"]).success().json();
    assert_eq!(done["revoked"], 2);
    assert!(shares(&lapse).iter().all(|share| share["state"] == "revoked"));
    assert_eq!(sums(&dir).len(), 2);
    let unknown = lapse.run(["watch", "remove", "one", "--json"]);
    assert_eq!(unknown.error_code(), "no_such_folder");
}

#[test]
fn what_the_person_stops_is_stopped() {
    let lapse = Lapse::new();
    let [canceled, removed, paused] =
        ["canceled", "removed", "paused"].map(|name| new_folder(&lapse, name));
    for dir in [&canceled, &removed, &paused] {
        add(&lapse, dir, &[]);
    }
    let config = lapse.home().join("config.toml");
    let limited = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("upload_limit = 200000\n{limited}")).unwrap();
    let _watching = Watching::start(&lapse);
    for dir in [&canceled, &removed] {
        std::fs::write(dir.join("large.bin"), vec![7; 3_000_000]).unwrap();
    }
    wait_for("the uploads", SOON, || (shares(&lapse).len() == 2).then_some(()));
    let of = |dir: &Path| {
        let listed = shares(&lapse);
        let found = listed.iter().find(|share| share["folder"] == dir.to_str().unwrap());
        found.unwrap()["id"].as_str().unwrap().to_owned()
    };
    lapse.run(["cancel", &of(&canceled)]).success();
    let done = lapse.run(["watch", "remove", "removed", "--revoke-links"]).success();
    assert!(done.stderr.contains("isn't watched any more"), "{done:#?}");
    // Seen already, and not yet shared.
    std::fs::write(paused.join("wrong.txt"), "wrong").unwrap();
    lapse.run(["watch", "pause", "paused"]).success();
    after_a_while();
    after_a_while();
    assert_eq!(names(&lapse), [""; 0]);
    assert_eq!(contents(&lapse).len(), 0);
    // It is another file then.
    std::fs::write(canceled.join("large.bin"), "small").unwrap();
    wait_until_shared(&lapse, &canceled, 1, SOON);
}

#[test]
fn another_folder_at_its_place_is_not_it() {
    let lapse = Lapse::new();
    let [dir, linked, private] = ["dir", "linked", "private"].map(|name| new_folder(&lapse, name));
    std::fs::write(private.join("diary.txt"), "private").unwrap();
    add(&lapse, &dir, &[]);
    add(&lapse, &linked, &[]);
    let _watching = Watching::start(&lapse);
    std::fs::write(dir.join("first.txt"), "first").unwrap();
    wait_until_shared(&lapse, &dir, 1, SOON);
    let [away, other] = ["away", "other"].map(|name| lapse.folder("files").join(name));
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("other.txt"), "private too").unwrap();
    std::fs::rename(&dir, &away).unwrap();
    std::fs::rename(&other, &dir).unwrap();
    std::fs::remove_dir(&linked).unwrap();
    std::os::unix::fs::symlink(&private, &linked).unwrap();
    let listed = || lapse.run(["watch", "list", "--json"]).success().lines();
    wait_for("the trouble", SOON, || {
        let told: Vec<_> = listed().iter().map(|folder| folder["trouble"].to_string()).collect();
        (told[0].contains("Another folder") && told[1].contains("isn't there")).then_some(())
    });
    after_a_while();
    // Nor does a pause make it the right one.
    for act in ["pause", "resume"] {
        lapse.run(["watch", act, "dir"]).success();
    }
    after_a_while();
    after_a_while();
    assert_eq!(names(&lapse), ["first.txt"]);
    std::fs::rename(&dir, &other).unwrap();
    std::fs::rename(&away, &dir).unwrap();
    std::fs::write(dir.join("back.txt"), "back").unwrap();
    wait_until_shared(&lapse, &dir, 2, SOON);
    assert_eq!(names(&lapse), ["back.txt", "first.txt"]);
    wait_for("no trouble", SOON, || (folder(&lapse, &dir)["state"] == "watching").then_some(()));
    // A word does.
    std::fs::rename(&dir, &away).unwrap();
    std::fs::rename(&other, &dir).unwrap();
    wait_for("the trouble", SOON, || {
        folder(&lapse, &dir)["trouble"].to_string().contains("Another folder").then_some(())
    });
    lapse.run(["watch", "resume", "dir"]).success();
    wait_for("the other", SOON, || (names(&lapse).len() == 3).then_some(()));
    wait_for("no trouble", SOON, || (folder(&lapse, &dir)["state"] == "watching").then_some(()));
}

#[test]
fn a_program_gets_the_link_alone_and_what_goes_wrong_with_it_is_told() {
    let mut lapse = Lapse::new();
    lapse.set("LAPSE_SECRET_ACCESS_KEY", "a secret");
    let dir = new_folder(&lapse, "given");
    let write = |path: &Path, text: &str| {
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).unwrap();
    };
    let files = lapse.folder("files");
    let out = files.join("out.txt");
    write(
        &files.join("tell.sh"),
        &format!(
            "#!/bin/sh\n(read -r link; echo \"$link\"; pwd; env; tr '\\0' ' ' < /proc/$$/cmdline) > '{}'\nexit 3\n",
            out.display()
        ),
    );
    let missing = lapse.run(["watch", "add", "given", "--run", "./no.sh", "--json"]);
    assert_eq!((missing.code, missing.error_code().as_str()), (Some(2), "usage"), "{missing:#?}");
    add(&lapse, &dir, &["--run", "./tell.sh"]);
    let _watching = Watching::start(&lapse);
    // Not the program that was named, though it has its name.
    write(&dir.join("tell.sh"), "#!/bin/sh\nexit 0\n");
    wait_until_shared(&lapse, &dir, 1, SOON);
    let told = std::fs::read_to_string(&out).unwrap();
    let mut lines = told.lines();
    assert!(lines.next().unwrap().starts_with("http://"), "no link");
    assert_ne!(lines.next(), dir.to_str());
    assert!(!told.contains("a secret") && !told.contains("PASSPHRASE"));
    // Neither among its words nor in its environment.
    assert!(told.contains("tell.sh") && told.matches("X-Amz-Signature").count() == 1, "{told}");
    let failed = &folder(&lapse, &dir)["failed"];
    assert!(failed[0]["error"].as_str().unwrap().contains("ended with exit status: 3"), "{failed}");
    // Nothing leaves the folder by a link, and nothing is moved over.
    let moved = new_folder(&lapse, "moved");
    std::os::unix::fs::symlink(&dir, moved.join("Shared")).unwrap();
    add(&lapse, &moved, &["--move"]);
    std::fs::write(moved.join("a.txt"), "a").unwrap();
    wait_until_shared(&lapse, &moved, 1, SOON);
    assert!(moved.join("a.txt").exists() && !dir.join("a.txt").exists());
    assert!(folder(&lapse, &moved)["failed"][0]["error"].to_string().contains("is no folder"));
}

#[test]
fn what_waited_for_a_bucket_that_was_named_wrongly_is_shared_once_that_is_corrected() {
    let lapse = Lapse::on(Server::SeaweedFs);
    let dir = new_folder(&lapse, "wrong");
    add(&lapse, &dir, &[]);
    let config = lapse.home().join("config.toml");
    let right = std::fs::read_to_string(&config).unwrap();
    let line = right.lines().find(|line| line.starts_with("bucket")).unwrap();
    std::fs::write(&config, right.replace(line, "bucket = \"no-such-bucket-here\"")).unwrap();
    let log = lapse.file("log", "");
    let told = || std::fs::read_to_string(&log).unwrap();
    let watching = Watching::telling(&mut lapse.command(["watch", "run"]), &log);
    std::fs::write(dir.join("a.txt"), "a").unwrap();
    wait_for("the trouble", SOON, || {
        folder(&lapse, &dir)["trouble"].to_string().contains("no-such-bucket").then_some(())
    });
    std::fs::write(&config, right).unwrap();
    wait_until_shared(&lapse, &dir, 1, LATER);
    wait_for("no trouble", SOON, || (folder(&lapse, &dir)["state"] == "watching").then_some(()));
    drop(watching);
    let told = told();
    assert!(told.contains("Watching 1 folder") && told.contains("no-such-bucket"), "{told}");
    assert!(told.contains("All is well again"), "{told}");
    assert!(told.contains("1 file is shared. The newest link: lapse link "), "{told}");
    assert!(!told.contains("X-Amz-Signature"), "{told}");
}

#[test]
fn a_shared_file_is_moved_or_given_to_a_program_where_that_is_wanted() {
    let lapse = Lapse::new();
    let (moved, given) = (new_folder(&lapse, "moved"), new_folder(&lapse, "given"));
    add(&lapse, &moved, &["--move"]);
    let out = lapse.folder("files").join("links.txt");
    let script = format!("cat >> '{}'", out.display());
    add(&lapse, &given, &["--run", "sh", "--with", "-c", "--with", &script]);
    let _watching = Watching::start(&lapse);
    for n in 0..2 {
        std::fs::write(moved.join("same.txt"), format!("same {n}")).unwrap();
        wait_until_shared(&lapse, &moved, 1, SOON);
        wait_for("the move", SOON, || (!moved.join("same.txt").exists()).then_some(()));
    }
    let mut there: Vec<_> = sums(&moved).into_keys().collect();
    there.sort();
    assert_eq!(there, [moved.join("Shared/same (2).txt"), moved.join("Shared/same.txt")]);
    std::fs::write(given.join("a.txt"), "a").unwrap();
    let link = wait_for("the link", SOON, || {
        std::fs::read_to_string(&out).ok().filter(|text| text.ends_with('\n'))
    });
    lapse_tests::Link(link.trim().to_owned()).get().assert_gives(b"a", "a.txt");
    after_a_while();
    assert_eq!(names(&lapse).len(), 3);
}

#[test]
fn where_the_system_tells_of_no_more_folders_it_is_looked() {
    let lapse = Lapse::new();
    let dir = new_folder(&lapse, "deep");
    for n in 0..40 {
        std::fs::create_dir_all(dir.join(n.to_string())).unwrap();
    }
    add(&lapse, &dir, &["--recursive"]);
    let bin = lapse_tests::lapse::binary();
    // The limit is each user namespace's own.
    let script =
        format!("echo 10 > /proc/sys/user/max_inotify_watches && exec {} watch run", bin.display());
    let mut command = lapse.any(&["unshare", "--user", "--map-root-user", "sh", "-c", &script]);
    let _watching = Watching::of(&mut command);
    wait_for("the trouble", SOON, || {
        folder(&lapse, &dir)["trouble"].as_str()?.contains("max_user_watches").then_some(())
    });
    for n in 0..40 {
        std::fs::write(dir.join(format!("{n}/file.txt")), format!("file {n}")).unwrap();
    }
    wait_until_shared(&lapse, &dir, 40, Duration::from_mins(1));
    assert_same(&lapse, &dir);
}

#[test]
fn a_clock_that_is_set_shares_nothing_twice_and_misses_nothing() {
    let lapse = Lapse::new();
    let dir = new_folder(&lapse, "clock");
    add(&lapse, &dir, &[]);
    let _watching = Watching::start(&lapse);
    let now = std::time::SystemTime::now();
    for (n, at) in [now - Duration::from_hours(2500), now + Duration::from_hours(2500), now]
        .into_iter()
        .enumerate()
    {
        let path = dir.join(n.to_string());
        std::fs::write(&path, format!("file {n}")).unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(at).unwrap();
    }
    wait_until_shared(&lapse, &dir, 3, SOON);
    after_a_while();
    assert_same(&lapse, &dir);
}

#[test]
fn the_unit_for_systemd_names_this_program() {
    let mut lapse = Lapse::new();
    let unit = lapse.run(["watch", "unit"]).success().stdout;
    let bin = lapse_tests::lapse::binary();
    assert!(unit.contains(&format!("ExecStart=\"{}\" watch run", bin.display())), "{unit}");
    assert!(unit.contains("Restart=on-failure") && unit.contains("WantedBy=default.target"));
    let odd = lapse.file("50% \"off\"", "a passphrase");
    std::fs::set_permissions(&odd, std::fs::Permissions::from_mode(0o600)).unwrap();
    lapse.set("LAPSE_PASSPHRASE_FILE", &odd);
    let unit = lapse.run(["watch", "unit"]).success().stdout;
    assert!(unit.contains(r#"/50%% \"off\"""#), "{unit}");
}

#[test]
fn a_folder_that_is_located_leaves_alone_what_another_one_holds_and_keeps_its_links() {
    let lapse = Lapse::new();
    let [first, moved, other] = ["first", "moved", "other"].map(|name| new_folder(&lapse, name));
    add(&lapse, &first, &[]);
    let watching = Watching::start(&lapse);
    std::fs::write(first.join("one.txt"), "one").unwrap();
    wait_until_shared(&lapse, &first, 1, SOON);
    // The very folder, by another name: what came to it meanwhile is shared.
    std::fs::remove_dir(&moved).unwrap();
    std::fs::rename(&first, &moved).unwrap();
    std::fs::write(moved.join("two.txt"), "two").unwrap();
    let locate = |from: &Path, to: &Path| {
        let words = ["watch", "locate", from.to_str().unwrap(), to.to_str().unwrap()];
        lapse.run(words).success();
    };
    locate(&first, &moved);
    wait_until_shared(&lapse, &moved, 2, SOON);
    // Another one: of it only what is new. It holds a copy too, of another time.
    std::fs::write(other.join("one.txt"), "one").unwrap();
    std::fs::write(other.join("private.txt"), "private").unwrap();
    locate(&moved, &other);
    after_a_while();
    std::fs::write(other.join("three.txt"), "three").unwrap();
    wait_for("the third", SOON, || (names(&lapse).len() == 3).then_some(()));
    after_a_while();
    assert_eq!(names(&lapse), ["one.txt", "three.txt", "two.txt"]);
    assert_eq!(watching.stop(), Some(0));
    // All links are of that folder, those from before too.
    let words = ["watch", "remove", "other", "--revoke-links", "--json"];
    assert_eq!(lapse.run(words).success().json()["revoked"], 3);
}

#[test]
fn what_is_being_sent_stops_with_its_folder_and_a_canceled_file_is_shared_once_it_changes() {
    let lapse = Lapse::new();
    let dir = new_folder(&lapse, "large");
    let config = lapse.home().join("config.toml");
    std::fs::create_dir_all(lapse.home()).unwrap();
    std::fs::write(&config, "upload_limit = 2097152\n").unwrap();
    add(&lapse, &dir, &[]);
    let watching = Watching::start(&lapse);
    let sent = || {
        let uploads = lapse.run(["uploads", "--json"]).success().lines();
        uploads.first().and_then(|upload| upload["id"].as_str().map(str::to_owned))
    };
    let content = bytes(24 << 20);
    std::fs::write(dir.join("a.bin"), &content).unwrap();
    let id = wait_for("the upload", SOON, sent);
    lapse.run(["watch", "pause", "large"]).success();
    std::thread::sleep(Duration::from_secs(15));
    let active = || shares(&lapse).iter().filter(|share| share["state"] == "active").count();
    assert_eq!((active(), sent()), (0, Some(id.clone())));
    // What the person paused by itself isn't gone on with by the folder.
    lapse.run(["pause", &id]).success();
    lapse.run(["watch", "resume", "large"]).success();
    wait_for("its state", SOON, || {
        folder(&lapse, &dir)["failed"][0]["error"].as_str()?.contains("lapse resume").then_some(())
    });
    lapse.run(["cancel", &id]).success();
    after_a_while();
    assert_eq!((active(), sent()), (0, None));
    assert_eq!(folder(&lapse, &dir)["failed"], json!([]));
    // It changes while it is sent, and that is canceled: as it is now it is wanted.
    std::fs::write(dir.join("a.bin"), bytes(48 << 20)).unwrap();
    let id = wait_for("the second upload", SOON, sent);
    // All its parts are begun at once; one that was not would see that the file isn't the same.
    wait_for("its parts", SOON, || {
        lapse.s3("list_multipart_uploads", json!({})).unwrap()["Uploads"].is_array().then_some(())
    });
    std::thread::sleep(Duration::from_secs(2));
    let file = std::fs::File::options().write(true).open(dir.join("a.bin")).unwrap();
    file.write_all_at(b"changed", 0).unwrap();
    drop(file);
    std::thread::sleep(Duration::from_secs(1));
    lapse.run(["cancel", &id]).success();
    wait_until_shared(&lapse, &dir, 1, LATER);
    let listed = shares(&lapse);
    let id = listed[0]["id"].as_str().unwrap();
    let link = lapse.run(["link", id, "--no-copy", "--json"]).success().json();
    let now = std::fs::read(dir.join("a.bin")).unwrap();
    lapse_tests::Share::of(link).link.get().assert_gives(&now, "a.bin");
    // What is being sent of a folder that is removed is given up.
    std::fs::write(dir.join("b.bin"), &content).unwrap();
    wait_for("the third upload", SOON, sent);
    lapse.run(["watch", "remove", "large", "--keep-links"]).success();
    after_a_while();
    assert_eq!((active(), sent()), (1, None));
    assert_eq!(contents(&lapse).len(), 1);
    assert_eq!(watching.stop(), Some(0));
}

#[test]
fn an_upload_whose_profile_is_gone_goes_to_the_one_of_now() {
    let lapse = Lapse::on(Server::SeaweedFs);
    let dir = new_folder(&lapse, "renamed");
    let config = lapse.home().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("upload_limit = 2097152\n{text}")).unwrap();
    add(&lapse, &dir, &[]);
    let watching = Watching::start(&lapse);
    std::fs::write(dir.join("a.bin"), bytes(16 << 20)).unwrap();
    wait_for("the upload", SOON, || {
        (!lapse.run(["uploads", "--json"]).success().stdout.is_empty()).then_some(())
    });
    watching.kill();
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("upload_limit = 2097152\n", "");
    assert!(text.contains("use = \"test\"") && text.contains("[profile.test]"), "{text}");
    let text = text.replace("use = \"test\"", "use = \"other\"");
    let text = text.replace("[profile.test]", "[profile.other]");
    std::fs::write(&config, text).unwrap();
    let _watching = Watching::start(&lapse);
    wait_until_shared(&lapse, &dir, 1, LATER);
    assert_same(&lapse, &dir);
}

#[test]
fn a_link_that_is_to_be_taken_back_is_though_its_file_was_away_or_its_storage() {
    let place = Server::SeaweedFs.place();
    let way = Faulty::before(&place.user.endpoint);
    let lapse = Lapse::by_way_of(place, way.url());
    let dir = new_folder(&lapse, "work");
    add(&lapse, &dir, &["--withdraw"]);
    let _watching = Watching::start(&lapse);
    let file = dir.join("a.txt");
    std::fs::write(&file, "first").unwrap();
    wait_until_shared(&lapse, &dir, 1, SOON);
    let newest = || shares(&lapse)[0]["id"].as_str().unwrap().to_owned();
    let first = newest();
    // Another file in its place, which goes before it has settled, and comes once more.
    std::fs::write(dir.join("a.tmp"), "second").unwrap();
    std::fs::rename(dir.join("a.tmp"), &file).unwrap();
    std::thread::sleep(Duration::from_millis(700));
    std::fs::remove_file(&file).unwrap();
    std::thread::sleep(Duration::from_millis(700));
    std::fs::write(&file, "the third").unwrap();
    wait_for("the end of the first", SOON, || (lapse.state(&first) == "revoked").then_some(()));
    wait_until_shared(&lapse, &dir, 1, SOON);
    let third = newest();
    // Each word but `watch` would finish what is cut off.
    let busy = Wrong::Refuse("503 Service Unavailable", "SlowDown");
    way.do_wrong(Ask::Delete, std::iter::repeat_n(busy, 200));
    std::fs::write(&file, "and the fourth").unwrap();
    wait_for("what went wrong", LATER, || {
        folder(&lapse, &dir)["failed"][0]["error"].as_str()?.contains(&third).then_some(())
    });
    // Others go on meanwhile.
    std::fs::write(dir.join("b.txt"), "another").unwrap();
    wait_until_shared(&lapse, &dir, 1, SOON);
    way.do_wrong(Ask::Delete, []);
    // At once when it is touched.
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    wait_for("nothing wrong", LATER, || {
        let now = folder(&lapse, &dir);
        (now["failed"] == json!([]) && now["shared"] == 2).then_some(())
    });
    assert_eq!(lapse.state(&third), "revoked");
    assert_same(&lapse, &dir);
}

#[test]
fn what_is_shared_is_told_though_another_file_is_held_open_for_long() {
    let lapse = Lapse::new();
    let dir = new_folder(&lapse, "held");
    add(&lapse, &dir, &[]);
    let log = lapse.file("log", "");
    let _watching = Watching::telling(&mut lapse.command(["watch", "run"]), &log);
    let recording = std::fs::File::create(dir.join("recording.mkv")).unwrap();
    std::fs::write(dir.join("shot.png"), "shot").unwrap();
    wait_for("the news", SOON, || {
        std::fs::read_to_string(&log).unwrap().contains("1 file is shared").then_some(())
    });
    assert_eq!(names(&lapse), ["shot.png"]);
    drop(recording);
}

#[test]
fn a_folder_whose_links_cannot_be_revoked_is_removed_once_they_are() {
    let place = Server::SeaweedFs.place();
    let mut relay = Relay::before(&place.user.endpoint);
    let lapse = Lapse::by_way_of(place, relay.url());
    let dir = new_folder(&lapse, "work");
    add(&lapse, &dir, &["--label", "client X"]);
    let _watching = Watching::start(&lapse);
    std::fs::write(dir.join("a.txt"), "a").unwrap();
    std::fs::write(dir.join("b.txt"), "b").unwrap();
    wait_until_shared(&lapse, &dir, 2, SOON);
    relay.cut();
    let words = ["watch", "remove", "work", "--revoke-links", "--json"];
    let failed = lapse.run(words);
    assert_eq!(failed.code, Some(1), "{failed:#?}");
    let error = failed.error();
    assert!(error["message"].as_str().unwrap().contains("2 may live still"), "{error}");
    assert_eq!(folder(&lapse, &dir)["state"], "paused");
    relay.mend();
    assert_eq!(lapse.run(words).success().json()["revoked"], 2);
    assert!(shares(&lapse).iter().all(|share| share["state"] == "revoked"));
}

#[test]
fn what_is_being_sent_ends_with_its_label() {
    let lapse = Lapse::new();
    let dir = new_folder(&lapse, "labeled");
    std::fs::create_dir_all(lapse.home()).unwrap();
    std::fs::write(lapse.home().join("config.toml"), "upload_limit = 2097152\n").unwrap();
    add(&lapse, &dir, &["--label", "client X"]);
    let _watching = Watching::start(&lapse);
    std::fs::write(dir.join("large.bin"), bytes(24 << 20)).unwrap();
    wait_for("the upload", SOON, || {
        (!lapse.run(["uploads", "--json"]).success().stdout.is_empty()).then_some(())
    });
    lapse.run(["revoke", "--label", "client X"]).success();
    std::thread::sleep(Duration::from_secs(14));
    assert_eq!((names(&lapse), contents(&lapse).len()), (Vec::new(), 0));
}
