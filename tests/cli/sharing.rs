//! `lapse share`, in its many forms.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use lapse_tests::{Lapse, Link, Output, Server, Share, bytes, wait_for};
use rustix::process::{Pid, Signal, kill_process};

#[test]
fn the_link_alone_is_on_standard_output() {
    let lapse = Lapse::new();
    lapse.file("note.txt", "hello");
    let output = lapse.run(["share", "note.txt"]).success();
    let link = Link(output.stdout.strip_suffix('\n').unwrap().to_owned());
    link.get().assert_gives(b"hello", "note.txt");
    assert_eq!(
        link.parameter("X-Amz-Expires").as_deref(),
        Some("86400"),
        "a day, if nothing is said"
    );
}

#[test]
fn a_link_that_could_not_be_printed_is_told() {
    let lapse = Lapse::new();
    lapse.file("note.txt", "hello");
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = lapse.command(["share", "note.txt", "--json"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.lines().last().unwrap().contains("\"code\":\"disk\""), "{told}");
    assert_eq!(lapse.run(["list", "--json"]).success().lines().len(), 1);
}

#[test]
fn json_has_the_promised_fields() {
    let lapse = Lapse::new();
    let share = lapse.share(&lapse.file("note.txt", "hello"), &[]);
    let fields = |value: &serde_json::Value| {
        let mut names: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
        names.sort();
        names
    };
    let mut all =
        ["id", "name", "size", "url", "expires_at", "limited_by", "profile", "state", "created_at"]
            .map(String::from);
    all.sort();
    assert_eq!(fields(&share.json), all);
    assert_eq!((&share.json["name"], &share.json["size"]), (&"note.txt".into(), &5.into()));
    assert_eq!(share.json["profile"], "local");
    for time in ["expires_at", "created_at"] {
        let text = share.json[time].as_str().unwrap();
        assert!(text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok(), "{text}");
    }
    // Only share, link and extend give the link away.
    let listed = &lapse.run(["list", "--json"]).success().json();
    assert!(listed.get("url").is_none() && listed["id"] == share.id.as_str(), "{listed}");
    assert!(lapse.run(["show", &share.id, "--json"]).success().json().get("url").is_none());
    assert!(lapse.run(["check", &share.id, "--json"]).success().json().get("url").is_none());
    assert_eq!(
        lapse.run(["link", &share.id, "--json"]).success().json()["url"],
        share.link.0.as_str()
    );
}

#[test]
fn of_several_files_the_good_ones_are_shared_and_the_bad_one_is_named() {
    let lapse = Lapse::new();
    for name in ["one.txt", "two.txt"] {
        lapse.file(name, name);
    }
    let output = lapse.run(["share", "one.txt", "missing.txt", "two.txt"]);
    assert_eq!(output.code, Some(3), "{output:#?}");
    let links: Vec<_> = output.stdout.lines().map(|line| Link(line.to_owned())).collect();
    assert_eq!(links.len(), 2, "{output:#?}");
    links[0].get().assert_gives(b"one.txt", "one.txt");
    links[1].get().assert_gives(b"two.txt", "two.txt");
    assert_eq!(output.stderr.matches("missing.txt").count(), 1, "{output:#?}");

    let all_bad = lapse.run(["share", "missing.txt", "missing too.txt"]);
    assert_eq!((all_bad.code, all_bad.stdout.as_str()), (Some(1), ""));
}

#[test]
fn standard_input_is_shared_under_a_name() {
    let lapse = Lapse::new();
    let content = bytes(9_000_000);
    let output =
        lapse.run_with(["share", "-", "--name", "dump.sql.gz", "--json"], &content).success();
    let share = Share::of(output.json());
    share.link.get().assert_gives(&content, "dump.sql.gz");
    assert_eq!(share.json["size"], 9_000_000);

    let nameless = lapse.run_with(["share", "-"], b"x");
    assert_eq!(nameless.code, Some(2), "{nameless:#?}");
    assert!(nameless.complaint().contains("--name"));
}

#[test]
fn another_name_is_given_to_the_recipient() {
    let lapse = Lapse::new();
    let file = lapse.file("x.bin", "hello");
    lapse
        .share(&file, &["--name", "Angebot Müller.bin"])
        .link
        .get()
        .assert_gives(b"hello", "Angebot Müller.bin");
    let two = lapse.run(["share", "x.bin", "x.bin", "--name", "one name"]);
    assert_eq!(two.code, Some(2), "{two:#?}");
}

#[test]
fn only_harmless_types_are_shown_inline() {
    let lapse = Lapse::new();
    for (name, content_type) in [
        ("picture.png", "image/png"),
        ("paper.pdf", "application/pdf"),
        ("note.txt", "text/plain"),
        ("a.mp4", "video/mp4"),
    ] {
        let answer = lapse.share(&lapse.file(name, "x"), &["--inline"]).link.get();
        assert!(
            answer.header("content-disposition").unwrap().starts_with("inline"),
            "{name}: {answer:?}"
        );
        assert!(
            answer.header("content-type").unwrap().starts_with(content_type),
            "{name}: {answer:?}"
        );
    }
    for name in ["page.html", "drawing.svg", "feed.xml", "page.xhtml", "unknown.zzz"] {
        let answer =
            lapse.share(&lapse.file(name, "<script>alert(1)</script>"), &["--inline"]).link.get();
        assert!(
            answer.header("content-disposition").unwrap().starts_with("attachment"),
            "{name}: {answer:?}"
        );
        let content_type = answer.header("content-type").unwrap();
        assert!(
            !["html", "xml", "svg"].iter().any(|bad| content_type.contains(bad)),
            "{name}: {content_type}"
        );
    }
}

#[test]
fn the_local_store_lets_no_page_run_on_its_origin() {
    let lapse = Lapse::new();
    let answer = lapse.share(&lapse.file("page.html", "<script>alert(1)</script>"), &[]).link.get();
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert!(answer.header("content-security-policy").unwrap().contains("sandbox"));
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[test]
fn a_qr_code_is_drawn_beside_the_link() {
    let lapse = Lapse::new();
    lapse.file("note.txt", "hello");
    let output = lapse.run(["share", "note.txt", "--qr"]).success();
    let drawn = output.stdout.lines().chain(output.stderr.lines());
    assert!(drawn.filter(|line| line.contains(['█', '▀', '▄'])).count() > 15, "{output:#?}");
    // The link is still a line of its own, the only one on standard output.
    assert_eq!(output.stdout.lines().filter(|line| line.starts_with("http://")).count(), 1);
    assert_eq!(output.stdout.lines().count(), 1, "{output:#?}");
}

#[test]
fn ten_at_once_share_one_store() {
    let lapse = Lapse::new();
    let content = bytes(200_000);
    let file = lapse.file("data.bin", &content);
    let shares: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..10).map(|_| scope.spawn(|| lapse.share(&file, &[]))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for share in &shares {
        share.link.get().assert_gives(&content, "data.bin");
    }
    let hosts: std::collections::BTreeSet<_> =
        shares.iter().map(|share| share.link.0.split('/').nth(2)).collect();
    assert_eq!(hosts.len(), 1, "{hosts:?}");
    assert_eq!(lapse.run(["list", "--json"]).success().lines().len(), 10);
    // A second host that found the store taken may be about to end.
    let limit = std::time::Duration::from_mins(1);
    wait_for("a single host", limit, || (stores_of(&lapse) == 1).then_some(()));
}

/// The processes that host this Lapse's store.
fn stores_of(lapse: &Lapse) -> usize {
    let home = format!("LAPSE_HOME={}", lapse.home().display());
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|process| {
            let read = |name| std::fs::read(process.path().join(name)).unwrap_or_default();
            let has =
                |bytes: &[u8], text: &str| lapse_tests::leaks::contains(bytes, text.as_bytes());
            has(&read("cmdline"), "store\0run") && has(&read("environ"), &home)
        })
        .count()
}

#[test]
fn an_interrupted_share_says_so_and_leaves_nothing_alive() {
    let lapse = Lapse::new();
    lapse.share(&lapse.file("first", "so that the store runs"), &[]);
    let mut child = lapse
        .command(["share", "-", "--name", "endless.bin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&bytes(1 << 20)).unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let limit = std::time::Duration::from_mins(1);
    let status = wait_for("an interrupted share ends", limit, || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(130), "{status}");
    assert_eq!(lapse.keys().len(), 1);
    let list = lapse.run(["list", "--json"]).success().lines();
    assert_eq!(list.iter().filter(|share| share["state"] == "active").count(), 1, "{list:?}");
}

#[test]
fn an_object_is_shared_by_its_address_on_another_server() {
    let lapse = Lapse::on(Server::SeaweedFs);
    let other = Server::SeaweedFs.place();
    other
        .s3("put_object", &serde_json::json!({"Bucket": other.bucket, "Key": "a", "Body": "x"}))
        .unwrap();
    let refused = lapse.run(["share", &format!("s3://{}/a", other.bucket), "--json"]);
    assert_eq!(
        (refused.code, refused.error_code().as_str()),
        (Some(1), "access_denied"),
        "{refused:#?}"
    );
    for bad in ["s3://", "s3://bucket", "s3://bucket/", "s3:///key"] {
        assert_eq!(lapse.run(["share", bad]).code, Some(2), "{bad}");
    }
}

#[test]
fn a_share_on_a_terminal_draws_a_bar_and_in_a_pipe_none() {
    let lapse = Lapse::new();
    lapse.file("data.bin", bytes(8 << 20));
    let piped = lapse.run(["share", "data.bin"]).success();
    assert!(!piped.stderr.contains(['\r', '\x1b']), "{piped:?}");
    let command = format!("{} share data.bin", lapse_tests::lapse::binary().display());
    let terminal = Output::of(&mut lapse.any(&[
        "script",
        "--quiet",
        "--return",
        "--command",
        &command,
        "/dev/null",
    ]));
    assert_eq!(terminal.code, Some(0), "{terminal:?}");
    assert!(terminal.stdout.contains("data.bin") && terminal.stdout.contains('\r'), "{terminal:?}");
}

#[test]
fn what_is_said_of_a_link_is_said_of_the_one_that_is_given() {
    let lapse = Lapse::new();
    let first = lapse.share(&lapse.file("note.txt", "hello"), &["--expires", "7d"]);
    let told = |words: &[&str]| {
        let share = Share::of(lapse.run(words).success().json());
        assert_eq!(share.expires_at(), share.link.ends_at(), "{words:?}");
        share.link
    };
    let short = told(&["extend", &first.id, "--expires", "15m", "--json"]);
    assert_ne!(short.ends_at(), first.link.ends_at());
    assert_eq!(told(&["link", &first.id, "--json"]), first.link);
}

#[test]
fn a_proxy_is_not_shown_what_stays_on_this_computer() {
    let mut lapse = Lapse::new();
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        lapse.set(name, "http://127.0.0.1:9");
    }
    let share = lapse.share(&lapse.file("note.txt", "hello"), &[]);
    assert_eq!(lapse.checked_state(&share.id), "active");
}

#[test]
fn a_share_that_is_still_being_uploaded_is_not_said_to_be_revoked() {
    let lapse = Lapse::new();
    let mut child = lapse
        .command(["share", "-", "--name", "slow.txt", "--no-copy"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let id = wait_for("the share's row", Duration::from_mins(1), || {
        let list = lapse.run(["list", "--json"]).success().lines();
        Some(list.first()?["id"].as_str()?.to_owned())
    });
    let revoked = lapse.run(["revoke", &id, "--json"]);
    assert_eq!((revoked.code, revoked.error_code().as_str()), (Some(1), "not_active"));
    assert!(revoked.error()["message"].as_str().unwrap().contains("still being uploaded"));
    drop(child.stdin.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(lapse.state(&id), "active");
}
