//! An upload that was cut off anywhere is gone on with, and only what is missing is sent.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use lapse_tests::faults::Throttle;
use lapse_tests::rig::Rig;
use lapse_tests::{Lapse, Output, Server, Share, bytes, clocks, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const MIB: usize = 1 << 20;
const SOON: Duration = Duration::from_mins(1);

/// A Lapse whose way to its bucket has a speed, and counts.
struct Watched {
    lapse: Lapse,
    line: Throttle,
}

impl Watched {
    fn new(server: Server, bytes_per_second: u32) -> Self {
        let (mut lapse, place) = if server == Server::LocalStore {
            // Its own store, seen as anyone's bucket.
            let lapse = Lapse::with_keychain("present");
            let (user, bucket) = lapse.bucket();
            (
                lapse,
                lapse_tests::Place { server: Server::MiniStack, bucket, root: user.clone(), user },
            )
        } else {
            (Lapse::with_keychain("present"), server.place())
        };
        let line = Throttle::before(&place.user.endpoint, bytes_per_second);
        let mut through = place.clone();
        through.user.endpoint = line.fault.url();
        lapse.add_profile("watched", &through).success();
        lapse.keep_place(place);
        Self { lapse, line }
    }

    fn fast(server: Server) -> Self {
        Self::new(server, 1 << 30)
    }

    /// The only upload that isn't over.
    fn upload(&self) -> Value {
        self.lapse.run(["uploads", "--json"]).success().json()
    }

    fn arrived(&self) -> u64 {
        self.upload()["arrived"].as_u64().unwrap()
    }

    fn start(&self, file: &Path) -> Child {
        self.lapse
            .command(["share", "--json"])
            .arg(file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Begins to share a file, and waits until so many bytes are known to have arrived.
    fn start_until(&self, file: &Path, arrived: usize) -> Child {
        let child = self.start(file);
        wait_for("some parts arrived", SOON, || {
            let uploads = self.lapse.run(["uploads", "--json"]).success().lines();
            let upload = uploads.first()?;
            (upload["arrived"].as_u64()? >= arrived as u64).then_some(())
        });
        child
    }

    /// Goes on, and sees that all is well then; gives how many bytes were sent for it.
    fn resume(&self, content: &[u8], name: &str) -> u64 {
        let before = self.quiet();
        let id = self.upload()["id"].as_str().unwrap().to_owned();
        let share =
            Share::of(self.lapse.run(["resume", &id, "--json", "--no-copy"]).success().json());
        assert_eq!(share.id, id);
        self.is_whole(&share, content, name);
        self.line.sent() - before
    }

    /// Begins to share a file, and waits until some of it is on its way.
    fn start_sending(&self, file: &Path) -> Child {
        let child = self.start(file);
        wait_for("an upload", SOON, || {
            (!self.lapse.run(["uploads", "--json"]).success().stdout.is_empty()).then_some(())
        });
        // The storage is looked at as well, with 5 MiB the first time.
        let before = self.line.sent() + 8 * MIB as u64;
        wait_for("some of it is on its way", SOON, || (self.line.sent() > before).then_some(()));
        child
    }

    /// Waits until nothing is sent any more: what a killed process had handed over flows on for a moment.
    fn quiet(&self) -> u64 {
        wait_for("nothing is sent", SOON, || {
            let before = self.line.sent();
            std::thread::sleep(Duration::from_millis(700));
            (self.line.sent() == before).then_some(before)
        })
    }

    /// The link gives the bytes; the object is there once, and nothing else.
    fn is_whole(&self, share: &Share, content: &[u8], name: &str) {
        share.link.get().assert_gives(content, name);
        assert_eq!(self.lapse.keys().len(), 1, "{:?}", self.lapse.keys());
        assert_eq!(self.multipart_uploads(), json!(null));
        assert_eq!(self.lapse.run(["uploads", "--json"]).success().stdout, "");
        assert_eq!(self.lapse.state(&share.id), "active");
    }

    fn multipart_uploads(&self) -> Value {
        self.lapse.s3("list_multipart_uploads", json!({})).unwrap()["Uploads"].take()
    }
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The places where the process is killed, how that is said, and whether a file of one request comes there.
const POINTS: &[(&str, &str)] = &[
    ("before Create", "intended=return"),
    ("before its answer is kept", "created=return"),
    ("after its answer is kept", "begun=return"),
    ("in the midst of a part", "mid_part=90*off->return"),
    ("before a part is kept", "part_sent=1*off->return"),
    ("after a part is kept", "part_kept=1*off->return"),
    ("before Complete", "before_complete=return"),
    ("after Complete", "after_complete=return"),
    ("before the link is kept", "before_link=return"),
];

on_every_server! {
    fn killed_at_any_point_an_upload_is_whole_after_all(server: Server) {
        let watched = Watched::fast(server);
        let content = bytes(40 * MIB + 5);
        let file = watched.lapse.file("big.bin", &content);
        for (point, fault) in POINTS {
            let mut share = watched.lapse.command(["share", "--json", "--no-copy"]);
            let killed = Output::of(share.arg(&file).env("FAILPOINTS", fault));
            assert_eq!((killed.code, killed.stdout.as_str()), (None, ""), "{point}: {killed:#?}");
            let upload = watched.upload();
            assert_eq!((&upload["state"], &upload["can_go_on"]), (&json!("paused"), &json!(true)), "{point}");
            let sent = watched.resume(&content, "big.bin");
            let kept = upload["arrived"].as_u64().unwrap();
            // What arrived and wasn't kept is seen at the storage and not sent again either: only the headers are.
            let most = content.len() as u64 - kept + 100_000;
            assert!(sent < most, "{point}: {sent} bytes were sent, {kept} were kept");
            let whole = ["after Complete", "before the link is kept", "before Complete"].contains(point);
            assert!(!whole || sent < 100_000, "{point}: {sent} bytes were sent though all had arrived");
            let id = upload["id"].as_str().unwrap();
            watched.lapse.run(["revoke", id]).success();
        }
    }
}

#[test]
fn a_small_file_that_was_cut_off_is_shared_later() {
    let watched = Watched::fast(Server::SeaweedFs);
    let content = bytes(MIB);
    let file = watched.lapse.file("small.bin", &content);
    for fault in ["mid_part=return", "before_link=return"] {
        let mut share = watched.lapse.command(["share", "--json"]);
        let killed = Output::of(share.arg(&file).env("FAILPOINTS", fault));
        assert_eq!(killed.code, None, "{killed:#?}");
        let id = watched.upload()["id"].as_str().unwrap().to_owned();
        watched.resume(&content, "small.bin");
        watched.lapse.run(["revoke", &id]).success();
    }
}

#[test]
fn after_a_kill_far_on_little_is_sent_again() {
    let watched = Watched::new(Server::SeaweedFs, 24 << 20);
    let content = bytes(256 * MIB);
    let file = watched.lapse.file("big.bin", &content);
    kill(watched.start_until(&file, 200 * MIB));
    let kept = watched.arrived();
    let sent = watched.resume(&content, "big.bin");
    assert!(sent <= content.len() as u64 - kept + 100_000, "{sent} were sent, {kept} were there");
}

#[test]
fn ctrl_c_pauses_and_says_how_to_go_on() {
    let watched = Watched::new(Server::SeaweedFs, 16 << 20);
    let content = bytes(96 * MIB);
    let file = watched.lapse.file("big.bin", &content);
    let mut told = tempfile::tempfile().unwrap();
    let mut child = watched
        .lapse
        .command(["share"])
        .arg(&file)
        .stderr(told.try_clone().unwrap())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_for("a part arrived", SOON, || {
        let uploads = watched.lapse.run(["uploads", "--json"]).success().lines();
        (uploads.first()?["arrived"].as_u64()? > 0).then_some(())
    });
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(wait_for("its end", SOON, || child.try_wait().unwrap()).code(), Some(130));
    let id = watched.upload()["id"].as_str().unwrap().to_owned();
    let mut words = String::new();
    std::io::Seek::rewind(&mut told).unwrap();
    std::io::Read::read_to_string(&mut told, &mut words).unwrap();
    assert!(words.contains(&format!("lapse resume {id}")), "{words}");
    assert_eq!(watched.lapse.state(&id), "paused");
    let kept = watched.arrived();
    let sent = watched.resume(&content, "big.bin");
    assert!(sent <= content.len() as u64 - kept + 100_000, "{sent} were sent, {kept} were there");
}

#[test]
fn another_program_pauses_an_upload_and_lets_it_go_on() {
    let watched = Watched::new(Server::SeaweedFs, 4 << 20);
    let content = bytes(96 * MIB);
    let file = watched.lapse.file("big.bin", &content);
    let mut child = watched.start_sending(&file);
    let id = watched.upload()["id"].as_str().unwrap().to_owned();
    watched.lapse.run(["pause", &id]).success();
    assert_eq!(watched.upload()["state"], "paused");
    let still = watched.quiet();
    assert!(still < content.len() as u64 && child.try_wait().unwrap().is_none());
    // Whoever sends it goes on; nobody else does.
    let resumed = watched.lapse.run(["resume", &id]).success();
    assert_eq!(resumed.stdout, "", "a second program gave a link");
    assert_eq!(wait_for("its end", SOON, || child.try_wait().unwrap()).code(), Some(0));
    assert_eq!(watched.lapse.state(&id), "active");
    let share = Share::of(watched.lapse.run(["link", &id, "--json"]).success().json());
    watched.is_whole(&share, &content, "big.bin");
}

#[test]
fn two_programs_never_send_the_same_upload() {
    let watched = Watched::new(Server::SeaweedFs, 4 << 20);
    let content = bytes(96 * MIB);
    let file = watched.lapse.file("big.bin", &content);
    kill(watched.start_sending(&file));
    let id = watched.upload()["id"].as_str().unwrap().to_owned();
    let (first, second) = std::thread::scope(|scope| {
        let resume = || watched.lapse.run(["resume", &id, "--json", "--no-copy"]);
        let (first, second) = (scope.spawn(resume), scope.spawn(resume));
        (first.join().unwrap(), second.join().unwrap())
    });
    let links: Vec<&Output> =
        [&first, &second].into_iter().filter(|output| !output.stdout.is_empty()).collect();
    assert_eq!(links.len(), 1, "{first:#?}\n{second:#?}");
    watched.is_whole(&Share::of(links[0].json()), &content, "big.bin");
}

#[test]
fn another_program_cancels_an_upload() {
    let watched = Watched::new(Server::SeaweedFs, 4 << 20);
    let file = watched.lapse.file("big.bin", bytes(192 * MIB));
    for killed in [false, true] {
        let mut child = watched.start_sending(&file);
        let id = watched.upload()["id"].as_str().unwrap().to_owned();
        if killed {
            kill(child);
            watched.lapse.run(["cancel", &id]).success();
        } else {
            watched.lapse.run(["cancel", &id]).success();
            assert_eq!(wait_for("its end", SOON, || child.try_wait().unwrap()).code(), Some(1));
        }
        assert!(watched.lapse.keys().is_empty());
        assert_eq!(watched.multipart_uploads(), json!(null));
        assert_eq!(watched.lapse.run(["list", "--json"]).success().stdout, "");
        assert_eq!(watched.lapse.run(["uploads", "--json"]).success().stdout, "");
        let again = watched.lapse.run(["resume", &id, "--json"]);
        assert_eq!((again.code, again.error_code().as_str()), (Some(1), "not_uploading"));
    }
}

#[test]
fn a_file_that_changed_meanwhile_is_sent_from_its_beginning_and_that_is_said() {
    let watched = Watched::fast(Server::SeaweedFs);
    let file = cut_off(&watched, "part_kept=1*off->return");
    let content = bytes(50 * MIB).into_iter().rev().collect::<Vec<u8>>();
    std::fs::write(&file, &content).unwrap();
    let resumed = watched.lapse.run(["resume", "--no-copy"]).success();
    assert!(resumed.stderr.contains("changed since its upload began"), "{resumed:#?}");
    let list = watched.lapse.run(["list", "--json"]).success().json();
    assert_eq!(list["size"], content.len());
    let share =
        watched.lapse.run(["link", list["id"].as_str().unwrap(), "--json"]).success().json();
    watched.is_whole(&Share::of(share), &content, "big.bin");
}

#[test]
fn a_file_that_is_gone_is_told_and_what_arrived_of_it_can_be_taken_away() {
    let watched = Watched::fast(Server::SeaweedFs);
    let file = cut_off(&watched, "part_kept=1*off->return");
    std::fs::remove_file(&file).unwrap();
    let id = watched.upload()["id"].as_str().unwrap().to_owned();
    let gone = watched.lapse.run(["resume", &id, "--json"]);
    assert_eq!((gone.code, gone.error_code().as_str()), (Some(1), "file_missing"));
    assert_eq!(watched.lapse.state(&id), "paused");
    assert!(watched.upload()["trouble"].as_str().unwrap().contains("big.bin"));
    watched.lapse.run(["cancel", &id]).success();
    assert_eq!(watched.multipart_uploads(), json!(null));
}

#[test]
fn an_upload_that_the_storage_gave_up_is_begun_anew_and_that_is_said() {
    let watched = Watched::fast(Server::SeaweedFs);
    let _file = cut_off(&watched, "part_kept=1*off->return");
    for upload in watched.multipart_uploads().as_array().unwrap() {
        watched
            .lapse
            .s3(
                "abort_multipart_upload",
                json!({"Key": upload["Key"], "UploadId": upload["UploadId"]}),
            )
            .unwrap();
    }
    let resumed = watched.lapse.run(["resume", "--no-copy"]).success();
    assert!(resumed.stderr.contains("from its beginning"), "{resumed:#?}");
    let id =
        watched.lapse.run(["list", "--json"]).success().json()["id"].as_str().unwrap().to_owned();
    let share = watched.lapse.run(["link", &id, "--json"]).success().json();
    watched.is_whole(&Share::of(share), &bytes(40 * MIB), "big.bin");
}

#[test]
fn what_a_killed_pipe_left_is_taken_away_and_what_others_send_is_not() {
    let watched = Watched::fast(Server::SeaweedFs);
    let mut child = watched
        .lapse
        .command(["share", "-", "--name", "endless.bin", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&bytes(40 * MIB)).unwrap();
    wait_for("the upload has begun", SOON, || watched.multipart_uploads().as_array().map(drop));
    kill(child);
    let key = "someone/elses.bin";
    watched.lapse.s3("create_multipart_upload", json!({"Key": key})).unwrap();
    assert_eq!(watched.upload()["can_go_on"], false);
    assert_eq!(watched.lapse.run(["list", "--json"]).success().json()["state"], "failed");
    let cleaned = watched.lapse.run(["uploads", "--clean", "--json"]).success().json();
    assert_eq!(cleaned, json!({"cleaned": 1, "left": 0, "others": [key]}));
    let left = watched.multipart_uploads();
    assert_eq!(left.as_array().unwrap().len(), 1, "{left}");
    assert_eq!(left[0]["Key"], key);
    assert_eq!(watched.lapse.run(["uploads", "--json"]).success().stdout, "");
}

#[test]
fn a_later_share_takes_away_what_a_killed_pipe_left() {
    let watched = Watched::fast(Server::SeaweedFs);
    let mut child = watched
        .lapse
        .command(["share", "-", "--name", "endless.bin", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&bytes(40 * MIB)).unwrap();
    wait_for("the upload has begun", SOON, || watched.multipart_uploads().as_array().map(drop));
    kill(child);
    let share = watched.lapse.share(&watched.lapse.file("note.txt", "hello"), &[]);
    watched.is_whole(&share, b"hello", "note.txt");
}

#[test]
fn a_process_that_slept_goes_on() {
    let watched = Watched::new(Server::SeaweedFs, 16 << 20);
    let content = bytes(96 * MIB);
    let file = watched.lapse.file("big.bin", &content);
    let mut child = watched.start_until(&file, MIB);
    let id = watched.upload()["id"].as_str().unwrap().to_owned();
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::STOP).unwrap();
    std::thread::sleep(Duration::from_secs(5));
    kill_process(pid, Signal::CONT).unwrap();
    assert_eq!(wait_for("its end", SOON, || child.try_wait().unwrap()).code(), Some(0));
    let share = watched.lapse.run(["link", &id, "--json"]).success().json();
    watched.is_whole(&Share::of(share), &content, "big.bin");
}

/// A file of 40 MiB whose upload was killed.
fn cut_off(watched: &Watched, fault: &str) -> PathBuf {
    let file = watched.lapse.file("big.bin", bytes(40 * MIB));
    let mut share = watched.lapse.command(["share", "--json"]);
    let killed = Output::of(share.arg(&file).env("FAILPOINTS", fault));
    assert_eq!(killed.code, None, "{killed:#?}");
    file
}

#[test]
fn wrong_clocks_before_and_after_the_cut_change_nothing() {
    for server in [Server::SeaweedFs, Server::MiniStack] {
        let watched = Watched::fast(server);
        let content = bytes(40 * MIB);
        let file = watched.lapse.file("big.bin", &content);
        let mut share = watched.lapse.command(["share", "--json"]);
        share.arg(&file).env("FAILPOINTS", "part_kept=1*off->return").envs(clocks::off_by("-1h"));
        assert_eq!(Output::of(&mut share).code, None);
        let mut resume = watched.lapse.command(["resume", "--json", "--no-copy"]);
        let resumed = Output::of(resume.envs(clocks::off_by("+1h"))).success();
        let share = Share::of(resumed.json());
        let left = share.expires_at().duration_since(jiff::Timestamp::now()).as_secs();
        assert!((86_400 - 60..=86_400 + 3).contains(&left), "it ends in {left} s");
        share.link.get().assert_gives(&content, "big.bin");
    }
}

#[test]
fn a_file_of_20_gib_takes_no_more_memory_than_a_small_one() {
    let lapse = Lapse::with_keychain("present");
    let sink = lapse_tests::lapse::binary().with_file_name("examples").join("sink");
    let sink = Rig::start(&mut std::process::Command::new(sink));
    std::fs::create_dir_all(lapse.home()).unwrap();
    let config = format!(
        "use = \"sink\"\n[profile.sink]\nprovider = \"other\"\nendpoint = \"{}\"\nregion = \"us-east-1\"\nbucket = \"bucket\"\n\
         access_key = \"anykey\"\npath_style = true\n",
        sink.ready
    );
    std::fs::write(lapse.home().join("config.toml"), config).unwrap();
    let peak = |size: u64| {
        let file = lapse.folder("files").join("sparse.bin");
        std::fs::File::create(&file).unwrap().set_len(size).unwrap();
        let mut share = lapse.command(["share", "--json", "--no-copy"]);
        share.arg(&file).env("LAPSE_SECRET_ACCESS_KEY", "anysecret").stdout(Stdio::null());
        let mut child = share.spawn().unwrap();
        let status = format!("/proc/{}/status", child.id());
        let mut most = 0;
        let end = wait_for("the end of the upload", Duration::from_mins(4), || {
            // The most that it ever had; nothing once it has ended.
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let kib =
                text.split_once("VmHWM:").and_then(|(_, rest)| rest.split_whitespace().next());
            most = most.max(kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0));
            child.try_wait().unwrap()
        });
        assert_eq!(end.code(), Some(0));
        most / 1024
    };
    let (small, large) = (peak(1), peak(20 << 30));
    assert!(large < small + 64, "{large} MiB for 20 GiB, {small} MiB for a byte");
}
