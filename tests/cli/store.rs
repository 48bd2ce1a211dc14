//! The local store in the background and in the foreground.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use lapse_tests::leaks::contains;
use lapse_tests::{Lapse, Link, Output, Share, wait_for};
use rustix::process::{Pid, Signal, getsid, kill_process, test_kill_process};
use serde_json::json;

const SOON: Duration = Duration::from_mins(1);

#[test]
fn a_shell_gets_its_link_within_a_second_and_the_store_lives_on() {
    let mut quickest = Duration::MAX;
    // Other tests run meanwhile; one good time of three shows that nothing waits for the store.
    for _ in 0..3 {
        let lapse = Lapse::new();
        lapse.file("note.txt", "hello");
        let script = format!(
            "x=$({} share note.txt) && printf %s \"$x\"",
            lapse_tests::lapse::binary().display()
        );
        let began = Instant::now();
        // A pipe to the very end: it closes only when nobody holds it any more.
        let output = lapse.any(&["sh", "-c", &script]).stdin(Stdio::null()).output().unwrap();
        quickest = quickest.min(began.elapsed());
        assert!(output.status.success(), "{output:?}");
        Link(String::from_utf8(output.stdout).unwrap()).get().assert_gives(b"hello", "note.txt");
        assert!(lapse.store_pid() > 0);
    }
    assert!(quickest < Duration::from_secs(1), "{quickest:?}");
}

#[test]
fn the_background_store_holds_nothing_of_its_starter() {
    let lapse = Lapse::new();
    lapse.file("note.txt", "hello");
    // A descriptor that the shell left open, as a pipeline or a lock would.
    let script =
        format!("exec 7>kept-open; {} share note.txt", lapse_tests::lapse::binary().display());
    Output::of(&mut lapse.any(&["sh", "-c", &script])).success();

    let pid = lapse.store_pid();
    let process = Path::new("/proc").join(pid.to_string());
    let descriptors: Vec<_> = std::fs::read_dir(process.join("fd"))
        .unwrap()
        .flatten()
        .filter_map(|entry| {
            Some((entry.file_name().into_string().ok()?, std::fs::read_link(entry.path()).ok()?))
        })
        .collect();
    for standard in ["0", "1", "2"] {
        let target = &descriptors.iter().find(|(number, _)| number == standard).unwrap().1;
        assert_eq!(target, Path::new("/dev/null"), "descriptor {standard}");
    }
    assert!(
        !descriptors.iter().any(|(_, target)| target.ends_with("kept-open")),
        "{descriptors:?}"
    );

    let pid = Pid::from_raw(pid).unwrap();
    assert_eq!(getsid(Some(pid)).unwrap(), pid, "it has a session of its own");
    assert_eq!(std::fs::read_link(process.join("cwd")).unwrap(), Path::new("/"));
    let environ = std::fs::read(process.join("cmdline")).unwrap();
    assert!(lapse_tests::leaks::contains(&environ, b"store\0run"));
}

#[test]
fn status_and_stop_tell_what_is_true() {
    let lapse = Lapse::new();
    let before = lapse.run(["store", "status", "--json"]).success().json();
    assert_eq!((&before["running"], &before["pid"]), (&json!(false), &json!(null)), "{before}");

    let share = lapse.share(&lapse.file("note.txt", "hello"), &[]);
    let status = lapse.run(["store", "status", "--json"]).success().json();
    let mut fields: Vec<_> = status.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "bucket",
            "bytes",
            "data_dir",
            "endpoint",
            "lan",
            "lan_ended_at",
            "lan_interface",
            "live_links",
            "objects",
            "pid",
            "region",
            "running"
        ]
    );
    let holds = |status: &serde_json::Value| {
        ["live_links", "objects", "bytes"].map(|field| status[field].as_u64().unwrap())
    };
    assert_eq!((holds(&before), holds(&status)), ([0, 0, 0], [1, 1, 5]));
    assert_eq!((&status["running"], &status["bucket"]), (&json!(true), &json!("lapse")));
    assert!(share.link.0.starts_with(status["endpoint"].as_str().unwrap()));
    assert_eq!(status["data_dir"], lapse.home().join("store").to_str().unwrap());

    let pid = Pid::from_raw(lapse.store_pid()).unwrap();
    lapse.run(["store", "stop"]).success();
    wait_for("the store's process ends", SOON, || test_kill_process(pid).err());
    assert_eq!(share.link.get().status, 0);
    assert_eq!(lapse.run(["store", "status", "--json"]).success().json()["running"], false);
    lapse.run(["store", "stop"]).success();

    // The links of before open again, on the same port, as soon as something starts it.
    let next = lapse.share(&lapse.file("next", "next"), &[]);
    share.link.get().assert_gives(b"hello", "note.txt");
    next.link.get().assert_gives(b"next", "next");
}

#[test]
fn checking_a_sleeping_store_wakes_it() {
    let lapse = Lapse::new();
    let share = lapse.share(&lapse.file("note.txt", "hello"), &[]);
    lapse.run(["store", "stop"]).success();
    assert_eq!(lapse.checked_state(&share.id), "active");
    share.link.get().assert_gives(b"hello", "note.txt");
}

#[test]
fn check_names_what_is_not_as_it_was_stored() {
    let lapse = Lapse::new();
    lapse.run(["store", "check"]).success();
    let share = lapse.share(&lapse.file("note.txt", "hello"), &[]);
    let whole = lapse.run(["store", "check", "--json"]).success().json();
    assert_eq!(whole, json!({"files": 1, "bytes": 5, "damaged": []}));

    let blobs = lapse.home().join("store/blobs");
    let blob = std::fs::read_dir(&blobs).unwrap().next().unwrap().unwrap().path();
    let file = std::fs::File::options().write(true).open(&blob).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"a", 1).unwrap();
    for runs in [true, false] {
        if !runs {
            lapse.run(["store", "stop"]).success();
        }
        let output = lapse.run(["store", "check", "--json"]);
        assert_eq!(output.code, Some(1), "{output:#?}");
        let found = output.json();
        assert_eq!(found["damaged"][0]["damage"], "bytes", "{found}");
        assert_eq!(found["damaged"][0]["bucket"], "lapse");
        let key = found["damaged"][0]["key"].as_str().unwrap();
        assert!(share.link.0.contains(key.split('/').next().unwrap()), "{found}");
        let told = lapse.run(["store", "check"]);
        assert!(told.stdout.contains(&blob.display().to_string()), "{told:#?}");
    }
}

#[test]
fn a_store_run_by_hand_serves_until_it_is_interrupted() {
    let lapse = Lapse::new();
    let mut child = lapse
        .command(["store", "run"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let running = || {
        let status = lapse.run(["store", "status", "--json"]).success().json();
        (status["running"] == true).then_some(status)
    };
    let status = wait_for("the store runs", SOON, running);
    assert_eq!(status["pid"], child.id());
    let share = lapse.share(&lapse.file("note.txt", "hello"), &[]);
    share.link.get().assert_gives(b"hello", "note.txt");
    assert_eq!(
        lapse.store_pid(),
        i32::try_from(child.id()).unwrap(),
        "the share took the host that was there"
    );

    let second = lapse.run(["store", "run"]);
    assert_eq!(second.code, Some(1), "{second:#?}");
    second.complaint();

    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ended = wait_for("the store ends", SOON, || child.try_wait().unwrap());
    assert!([Some(0), Some(130)].contains(&ended.code()), "{ended}");
    assert_eq!(share.link.get().status, 0);
}

#[test]
fn any_s3_client_may_use_the_store_and_only_its_bucket() {
    let lapse = Lapse::new();
    let env = lapse.run(["store", "env"]).success();
    for name in ["AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        assert!(env.stdout.contains(&format!("export {name}=")), "{env:#?}");
    }
    let (caller, bucket) = lapse.bucket();
    assert_eq!(bucket, "lapse");
    let put = json!({"Bucket": bucket, "Key": "from boto3/ü", "Body": "hello"});
    caller.s3("put_object", &put).unwrap();
    let got = caller.s3("get_object", &json!({"Bucket": bucket, "Key": "from boto3/ü"})).unwrap();
    assert_eq!(got["Body"]["base64"], "aGVsbG8=");
    assert!(caller.s3("create_bucket", &json!({"Bucket": "another"})).is_err());
    // A shell that evaluates the lines has what it needs.
    let script = format!(
        "eval \"$({} store env)\"; printf %s \"$AWS_ENDPOINT_URL\"",
        lapse_tests::lapse::binary().display()
    );
    let shell = Output::of(&mut lapse.any(&["sh", "-c", &script])).success();
    assert_eq!(shell.stdout, caller.endpoint);
}

#[test]
fn what_lapse_keeps_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let lapse = Lapse::new();
    lapse.share(&lapse.file("note.txt", "hello"), &[]);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let mut folders = vec![lapse.home()];
    while let Some(folder) = folders.pop() {
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
        for entry in std::fs::read_dir(&folder).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                assert_eq!(mode(&entry.path()), 0o600, "{}", entry.path().display());
            }
        }
    }
}

#[test]
fn without_lapse_home_the_systems_own_folders_are_used() {
    let lapse = Lapse::new();
    lapse.file("note.txt", "hello");
    let output =
        Output::of(lapse.command(["share", "note.txt"]).env_remove("LAPSE_HOME")).success();
    Link(output.stdout.trim_end().to_owned()).get().assert_gives(b"hello", "note.txt");
    assert!(!lapse.home().exists());
    let home = lapse.folder("home");
    assert!(
        home.join(".local/share/lapse/lapse.db").exists(),
        "{:?}",
        lapse_tests::leaks::files(&home)
    );
    Output::of(lapse.command(["store", "stop"]).env_remove("LAPSE_HOME")).success();
}

#[test]
fn a_relative_lapse_home_is_one_place_for_both_processes() {
    let lapse = Lapse::new();
    lapse.file("note.txt", "hello");
    let run = |words: &[&str]| Output::of(lapse.command(words).env("LAPSE_HOME", "here")).success();
    let share = Share::of(run(&["share", "note.txt", "--json"]).json());
    share.link.get().assert_gives(b"hello", "note.txt");
    assert!(lapse.folder("files").join("here/store/index.db").exists());
    run(&["store", "stop"]);
}

#[test]
fn the_background_store_is_told_no_secret() {
    let mut lapse = Lapse::new();
    lapse.set("LAPSE_SECRET_ACCESS_KEY", "sentinel-of-this-test");
    lapse.share(&lapse.file("note.txt", "hello"), &[]);
    let environ = std::fs::read(format!("/proc/{}/environ", lapse.store_pid())).unwrap();
    assert!(!contains(&environ, b"sentinel-of-this-test"));
    assert!(contains(&environ, b"LAPSE_HOME="));
}
