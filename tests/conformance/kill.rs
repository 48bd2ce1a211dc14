//! kill -9 loses nothing that was answered, and leaves nothing half done.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use lapse_tests::faults::Throttle;
use lapse_tests::{Lapse, Server, bytes, wait_for};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

const SOON: Duration = Duration::from_mins(1);

/// Kills at once, and waits until the process is gone.
fn kill(pid: i32) {
    let pid = Pid::from_raw(pid).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    wait_for("the end of a killed process", SOON, || test_kill_process(pid).err());
}

#[test]
fn a_killed_store_has_all_that_it_answered_and_starts_at_once() {
    let lapse = Lapse::new();
    let content = bytes(1_000_000);
    let file = lapse.file("data.bin", &content);
    let before = lapse.share(&file, &[]);
    for _ in 0..3 {
        let pid = lapse.store_pid();
        let last = lapse.share(&file, &[]);
        kill(pid);
        assert_eq!(last.link.get().status, 0, "something still answers");
        let after = lapse.share(&file, &[]);
        assert_ne!(lapse.store_pid(), pid);
        for share in [&before, &last, &after] {
            share.link.get().assert_gives(&content, "data.bin");
        }
    }
}

#[test]
fn a_store_killed_in_the_midst_of_uploads_shows_no_half_object() {
    let lapse = Lapse::new();
    lapse.share(&lapse.file("first", "so that the store runs"), &[]);
    let mut child = lapse
        .command(["share", "-", "--name", "endless.bin", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&bytes(20 << 20)).unwrap();
    kill(lapse.store_pid());
    drop(input);
    child.wait().unwrap();

    let shown: Vec<_> = lapse.run(["list", "--json"]).success().lines();
    let alive = shown.iter().filter(|share| share["state"] == "active").count();
    lapse.share(&lapse.file("next", "so that the store runs again"), &[]);
    assert_eq!(lapse.keys().len(), alive + 1, "objects and shares don't agree: {shown:?}");
}

#[test]
fn a_killed_share_leaves_no_link_and_no_object_on_the_local_store() {
    let lapse = Lapse::new();
    lapse.share(&lapse.file("first", "so that the store runs"), &[]);
    let mut child = lapse
        .command(["share", "-", "--name", "endless.bin", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&bytes(20 << 20)).unwrap();
    kill_child(&mut child);
    drop(input);
    only_the_first_is_there(&lapse);
}

#[test]
fn a_killed_share_leaves_no_link_and_no_object_on_a_server() {
    let server = Server::SeaweedFs;
    let mut lapse = Lapse::with_keychain("present");
    let place = server.place();
    let slow = Throttle::before(&place.user.endpoint, 4 << 20);
    let mut through = place.clone();
    through.user.endpoint = slow.fault.url();
    lapse.add_profile("slow", &through).success();
    lapse.keep_place(place);
    lapse.share(&lapse.file("first", "goes through"), &[]);

    let file = lapse.file("big.bin", bytes(24 << 20));
    let before = slow.sent();
    let mut child =
        lapse.command(["share", "--json"]).arg(&file).stdout(Stdio::null()).spawn().unwrap();
    wait_for("some of the file is on its way", SOON, || {
        (slow.sent() > before + (6 << 20)).then_some(())
    });
    kill_child(&mut child);
    only_the_first_is_there(&lapse);
}

fn kill_child(child: &mut std::process::Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// One share works, the killed one isn't alive, its file isn't readable, and Lapse works on.
fn only_the_first_is_there(lapse: &Lapse) {
    assert_eq!(lapse.keys().len(), 1, "{:?}", lapse.keys());
    let list = lapse.run(["list", "--json"]).success().lines();
    let alive: Vec<_> = list.iter().filter(|share| share["state"] == "active").collect();
    assert_eq!(alive.len(), 1, "{list:?}");
    let next = lapse.share(&lapse.file("next", "next"), &[]);
    next.link.get().assert_gives(b"next", "next");
}
