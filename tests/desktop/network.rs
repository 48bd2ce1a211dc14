//! The window's store in a local network: a network namespace for this computer and one for another, and a cable
//! between them.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lapse_tests::{Output, Window, wait_for};

/// Says to this test, started once more, that it is in a network namespace of its own.
const INSIDE: &str = "LAPSE_TESTS_IN_A_NETWORK";

/// The other computer; it is gone with this value.
struct Other(Child);

impl Other {
    /// 10.99.0.2, at a cable to this one, which is 10.99.0.1.
    fn new() -> Self {
        let other = Command::new("unshare").args(["--net", "sleep", "300"]).spawn().unwrap();
        let other = Self(other);
        let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        wait_for("a network of its own", Duration::from_secs(30), || {
            (namespace(&other.0.id().to_string()) != namespace("self")).then_some(())
        });
        let pid = other.0.id().to_string();
        for words in [
            "link set lo up",
            "link add cable0 type veth peer name cable1",
            &format!("link set cable1 netns {pid}"),
            "addr add 10.99.0.1/24 dev cable0",
            "link set cable0 up",
        ] {
            Output::of(Command::new("ip").args(words.split(' '))).success();
        }
        for words in ["addr add 10.99.0.2/24 dev cable1", "link set cable1 up"] {
            Output::of(other.runs("ip").args(words.split(' '))).success();
        }
        wait_for("the cable", Duration::from_secs(30), || {
            let links = Output::of(other.runs("ip").args(["-br", "link", "show", "cable1"]));
            links.stdout.contains("LOWER_UP").then_some(())
        });
        other
    }

    /// A program there.
    fn runs(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.0.id())).args(["--", program]);
        command
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_link_for_the_local_network_is_fetched_from_another_computer() {
    if std::env::var_os(INSIDE).is_some() {
        inside();
        return;
    }
    let root = rustix::process::geteuid().is_root();
    let namespace: &[&str] = if root { &["--net"] } else { &["--map-root-user", "--net"] };
    let mut again = Command::new("unshare");
    again.args(namespace).arg(std::env::current_exe().unwrap());
    let name = "desktop::network::a_link_for_the_local_network_is_fetched_from_another_computer";
    again.args(["--exact", name, "--nocapture"]).env(INSIDE, "1").stdin(Stdio::null());
    let output = Output::of(&mut again);
    assert!(output.code == Some(0) && output.stdout.contains("1 passed"), "{output:#?}");
}

fn inside() {
    let other = Other::new();
    let window = Window::new();
    window.drop_files(&[window.lapse.file("before.txt", "before")]);
    let before = window.copied_link();
    assert!(before.0.starts_with("http://127.0.0.1:"));

    window.press("Storage: On this computer. Switch storage");
    window.press("Add storage…");
    window.press("On this computer");
    window.press("Continue");
    window.press("This local network");
    window.wait_for("Links carry the address 10.99.0.1.");
    window.wait_for("Files travel unencrypted");
    window.press("Use this computer");
    window.wait_for("Links work in this network only, unencrypted");

    window.drop_files(&[window.lapse.file("note.txt", "hello")]);
    let link = window.copied_links(1, std::slice::from_ref(&before)).remove(0);
    assert!(link.0.starts_with("http://10.99.0.1:"), "not the network's address");
    link.curl_by(&mut other.runs("curl"), &[]).assert_gives(b"hello", "note.txt");
    before.get().assert_gives(b"before", "before.txt");

    window.press("Storage: In this network. Switch storage");
    window.press("Add storage…");
    window.press("On this computer");
    window.press("Continue");
    window.press("This computer only");
    window.press("Use this computer");
    window.wait_for("Links work on this computer only");
    let refused = link.curl_by(&mut other.runs("curl"), &["--connect-timeout", "3"]);
    assert_eq!(refused.status, 0, "it still listens");
}
