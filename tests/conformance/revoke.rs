//! Links that are taken back, one by one or all at once, and what is seen then.

use std::io::{Read as _, Seek as _, Write as _};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use lapse_tests::faults::Relay;
use lapse_tests::faulty::{Ask, Faulty, Wrong};
use lapse_tests::peer::Caller;
use lapse_tests::{Lapse, Output, Place, Server, Share, bytes, wait_for};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_mins(1);
const ALL: [&str; 5] = ["revoke", "--all", "--yes", "--json", "--stop-other-users-of-this-key"];

/// A Lapse whose key may be rotated by itself.
fn rotating(server: Server) -> Lapse {
    let lapse = Lapse::on(server);
    if server == Server::MiniStack {
        let place = lapse.place();
        let user = format!("user-of-{}", place.bucket);
        may_rotate(place, &user, &["List", "Create", "Update", "Delete"]);
    }
    lapse
}

/// The emulator of IAM looks at another resource where no user is named, so this isn't of one user.
fn may_rotate(place: &Place, user: &str, what: &[&str]) {
    let actions = what.iter().map(|what| {
        let plural = if *what == "List" { "s" } else { "" };
        format!("iam:{what}AccessKey{plural}")
    });
    let actions: Vec<_> = actions.chain(["iam:GetAccessKeyLastUsed".to_owned()]).collect();
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Action": actions, "Resource": ["*"] }],
    });
    let args =
        json!({"UserName": user, "PolicyName": "rotate", "PolicyDocument": policy.to_string()});
    place.root.call("iam", "put_user_policy", &args).unwrap();
}

/// The keys of the profile's user, and whether each is on; of the local store those that its host tells.
fn user_keys(lapse: &Lapse) -> Vec<(String, bool)> {
    let place = lapse.place();
    let args = json!({"UserName": format!("user-of-{}", place.bucket)});
    let listed = place.root.call("iam", "list_access_keys", &args).unwrap();
    let keys = listed["AccessKeyMetadata"].as_array().unwrap();
    let key =
        |key: &Value| (key["AccessKeyId"].as_str().unwrap().to_owned(), key["Status"] == "Active");
    keys.iter().map(key).collect()
}

fn three(lapse: &Lapse) -> Vec<Share> {
    let share =
        |n: u8| lapse.share(&lapse.file(format!("file {n}.txt"), format!("content {n}")), &[]);
    (1..=3).map(share).collect()
}

fn content(n: usize) -> (String, String) {
    (format!("content {}", n + 1), format!("file {}.txt", n + 1))
}

fn opens(share: &Share, n: usize) {
    let (content, name) = content(n);
    share.link.get().assert_gives(content.as_bytes(), &name);
}

/// `revoke --all` in the background, held for a while at a point.
fn held_at(lapse: &Lapse, point: &str, milliseconds: u32) -> Child {
    lapse
        .command(ALL)
        .env("FAILPOINTS", format!("{point}=sleep({milliseconds})"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What a program wrote to a file.
pub(super) fn text(file: &mut std::fs::File) -> String {
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

/// Whether a plan came so far.
fn step_is(lapse: &Lapse, step: &str) -> bool {
    let sql = format!("SELECT count(*) FROM rotations WHERE step = '{step}'");
    let database = lapse.home().join("lapse.db");
    let mut python = std::process::Command::new(lapse_tests::rig::python());
    let script = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchone()[0])";
    let counted = Output::of(python.args(["-c", script]).arg(database).arg(sql));
    counted.stdout.trim() == "1"
}

pub(super) fn wait_for_step(lapse: &Lapse, step: &str) {
    wait_for("the step", SOON, || step_is(lapse, step).then_some(()));
}

fn steps(output: &Output) -> Vec<String> {
    let steps = output.lines().into_iter();
    steps.filter_map(|line| line["step"].as_str().map(str::to_owned)).collect()
}

on_every_server! {
    fn all_links_end_and_those_that_are_kept_get_new_ones(server: Server) {
        let lapse = rotating(server);
        let shares = three(&lapse);
        (0..3).for_each(|n| opens(&shares[n], n));
        let words = [&ALL[..], &["--keep", &shares[1].id]].concat();
        let output = lapse.run(words).success();
        let mut expected = vec!["made", "stored", "works", "signed", "off", "asked"];
        if server == Server::LocalStore {
            expected.push("deleted");
        }
        assert_eq!(steps(&output), expected, "{output:#?}");
        let lines = output.lines();
        assert_eq!(lines[lines.len() - 1], json!({"checked": 2, "refused": 2, "kept": 1}));
        let kept = Share::of(lines[lines.len() - 2].clone());
        for share in &shares {
            share.link.get().assert_refused();
        }
        opens(&kept, 1);
        assert_eq!(kept.id, shares[1].id);
        // Up to the same end.
        assert!((kept.expires_at() - shares[1].expires_at()).as_secs().abs() <= 1);
        assert_eq!(lapse.run(["link", &kept.id, "--no-copy"]).success().stdout.trim(), kept.link.0);
        let states: Vec<_> = shares.iter().map(|share| lapse.state(&share.id)).collect();
        assert_eq!(states, ["revoked", "active", "revoked"]);
        let states: Vec<_> = shares.iter().map(|share| lapse.checked_state(&share.id)).collect();
        if server == Server::LocalStore {
            assert_eq!(states, ["revoked", "active", "revoked"]);
        }
        // The uploader goes on; the files are there.
        opens(&lapse.share(&lapse.file("file 1.txt", "content 1"), &[]), 0);
        assert_eq!(lapse.keys().len(), 4);
        let history = lapse.run(["history", "--json"]).success();
        let told = history.json();
        assert_eq!(
            [&told["how"], &told["checked"], &told["refused"], &told["kept"]],
            [&json!("key_rotated"), &json!(2), &json!(2), &json!(1)]
        );
        assert!(!history.stdout.contains("Signature"));
    }

    fn an_empty_file_is_never_taken_for_a_refusal(server: Server) {
        let lapse = rotating(server);
        let empty = lapse.share(&lapse.file("empty.txt", ""), &[]);
        empty.link.get().assert_gives(b"", "empty.txt");
        let other = lapse.share(&lapse.file("file 1.txt", "content 1"), &[]);
        // The link by the new key that must open, so that refusals count, is the empty file's.
        let words = [&ALL[..], &["--keep", &empty.id]].concat();
        let lines = lapse.run(words).success().lines();
        assert_eq!(lines[lines.len() - 1], json!({"checked": 1, "refused": 1, "kept": 1}));
        let kept = Share::of(lines[lines.len() - 2].clone());
        kept.link.get().assert_gives(b"", "empty.txt");
        assert_eq!(lapse.checked_state(&kept.id), "active");
        empty.link.get().assert_refused();
        other.link.get().assert_refused();
        let last = lapse.run(ALL).success().lines().pop().unwrap();
        assert_eq!(last, json!({"checked": 1, "refused": 1, "kept": 0}));
        kept.link.get().assert_refused();
    }

    fn killed_at_any_step_a_rotation_is_undone_or_finished(server: Server) {
        let points = [
            "planned", "created", "made", "stored", "works", "signed", "switched", "switched_off",
            "off", "asked", "deleted",
        ];
        for point in points {
            if point == "deleted" && server != Server::LocalStore {
                continue;
            }
            let lapse = rotating(server);
            let shares = three(&lapse);
            let words = [&ALL[..], &["--keep", &shares[1].id]].concat();
            let killed = lapse
                .command(words)
                .env("FAILPOINTS", format!("rotate_{point}=return"))
                .output()
                .unwrap();
            assert_eq!(killed.status.code(), None, "{point}: not killed");
            // The next start.
            let told = lapse.run(["list"]).success();
            let is_undone = ["planned", "created", "made", "stored", "works"].contains(&point);
            assert_eq!(told.stderr.contains("is finished"), !is_undone, "{point}: {told:#?}");
            for (n, share) in shares.iter().enumerate() {
                if is_undone {
                    opens(share, n);
                    assert_eq!(lapse.state(&share.id), "active", "{point}");
                } else {
                    share.link.get().assert_refused();
                    let state = if n == 1 { "active" } else { "revoked" };
                    assert_eq!(lapse.state(&share.id), state, "{point}");
                }
            }
            let link = lapse.run(["link", &shares[1].id, "--no-copy", "--json"]).success().json();
            opens(&Share::of(link), 1);
            opens(&lapse.share(&lapse.file("file 3.txt", "content 3"), &[]), 2);
            if server != Server::LocalStore {
                let on = user_keys(&lapse).iter().filter(|(_, on)| *on).count();
                assert_eq!(on, 1, "{point}: {:?}", user_keys(&lapse));
                let all = if is_undone { 1 } else { 2 };
                assert_eq!(user_keys(&lapse).len(), all, "{point}: {:?}", user_keys(&lapse));
            }
            // And once more, whole.
            let output = lapse.run(ALL).success();
            let last = output.lines().pop().unwrap();
            assert_eq!(last["checked"], last["refused"], "{point}: {output:#?}");
        }
    }

    fn killed_while_it_is_undone_a_rotation_is_undone_later(server: Server) {
        for point in ["undo_begun", "undo_deleted"] {
            let lapse = rotating(server);
            let shares = three(&lapse);
            let killed = |words: &[&str], point: &str| {
                let mut command = lapse.command(words);
                let killed = command.env("FAILPOINTS", format!("{point}=return")).output().unwrap();
                assert_eq!(killed.status.code(), None, "{point}: not killed");
            };
            killed(&ALL, "rotate_works");
            killed(&["list"], point);
            lapse.run(["list"]).success();
            for (n, share) in shares.iter().enumerate() {
                opens(share, n);
            }
            if server != Server::LocalStore {
                assert_eq!(user_keys(&lapse).len(), 1, "{point}");
            }
            let output = lapse.run(ALL).success();
            assert_eq!(output.lines().pop().unwrap()["refused"], 3, "{point}");
        }
    }

    fn an_upload_under_way_goes_on_with_the_new_key(server: Server) {
        let lapse = rotating(server);
        let config = lapse.home().join("config.toml");
        let before = std::fs::read_to_string(&config).unwrap_or_default();
        std::fs::create_dir_all(lapse.home()).unwrap();
        std::fs::write(&config, format!("upload_limit = 8388608\n{before}")).unwrap();
        let content = bytes(40 << 20);
        let file = lapse.file("large.bin", &content);
        for is_pipe in [false, true] {
            let shares = three(&lapse);
            let mut out = tempfile::tempfile().unwrap();
            let mut command = lapse.command(["share", "--json", "--no-copy"]);
            if is_pipe {
                command.args(["-", "--name", "large.bin"]).stdin(std::fs::File::open(&file).unwrap());
            } else {
                command.arg(&file);
            }
            let mut child =
                command.stdout(out.try_clone().unwrap()).stderr(Stdio::null()).spawn().unwrap();
            wait_for("it is on its way", SOON, || {
                (!lapse.run(["uploads", "--json"]).success().stdout.is_empty()).then_some(())
            });
            // So far that some parts arrived.
            std::thread::sleep(Duration::from_secs(3));
            assert!(child.try_wait().unwrap().is_none(), "it was too fast");
            lapse.run(ALL).success();
            shares[0].link.get().assert_refused();
            assert!(child.wait().unwrap().success());
            let share = Share::of(serde_json::from_str(&text(&mut out)).unwrap());
            share.link.get().assert_gives(&content, "large.bin");
            assert_eq!(lapse.state(&share.id), "active");
        }
    }

    fn a_file_can_be_kept_while_its_links_end(server: Server) {
        let lapse = Lapse::on(server);
        // Of one copy, and of several parts.
        for size in [5, 40 << 20] {
            let content = bytes(size);
            for point in ["", "move_begun", "move_copied", "move_switched", "move_deleted"] {
                let share = lapse.share(&lapse.file("kept.bin", &content), &[]);
                let (_, old) = share.link.object();
                let words = ["revoke", &share.id, "--keep-file", "--json"];
                if point.is_empty() {
                    let done = lapse.run(words).success().json();
                    assert_eq!(
                        [&done["state"], &done["checked"], &done["refused"]],
                        [&json!("revoked"), &json!(1), &json!(1)]
                    );
                } else {
                    let killed =
                        lapse.command(words).env("FAILPOINTS", format!("{point}=return")).output();
                    assert_eq!(killed.unwrap().status.code(), None, "{point}: not killed");
                    lapse.run(["list"]).success();
                }
                share.link.get().assert_refused();
                assert_eq!(lapse.state(&share.id), "revoked", "{point}");
                let keys = lapse.keys();
                assert!(keys.len() == 1 && keys[0] != old && keys[0].ends_with("kept.bin"), "{keys:?}");
                let read = lapse.s3("head_object", json!({"Key": keys[0]})).unwrap();
                assert_eq!(read["ContentLength"], size);
                lapse.run(["revoke", &share.id]).success();
                assert!(lapse.keys().is_empty());
            }
        }
    }

    fn the_shares_of_a_label_end_and_no_other(server: Server) {
        let lapse = Lapse::on(server);
        let of = |n: usize, label: &[&str]| {
            let (content, name) = content(n);
            lapse.share(&lapse.file(name, content), label)
        };
        let (one, two) = (of(0, &["--label", "client X"]), of(1, &["--label", "client X"]));
        let (other, none) = (of(2, &["--label", "client Y"]), of(0, &[]));
        let done = lapse.run(["revoke", "--label", "client X", "--json"]).success().lines();
        assert_eq!(done.len(), 2);
        assert!(done.iter().all(|done| done["state"] == "revoked" && done["refused"] == 1));
        one.link.get().assert_refused();
        two.link.get().assert_refused();
        opens(&other, 2);
        opens(&none, 0);
        let audit = lapse.run(["history", "--json"]).success().lines();
        assert!(audit.iter().all(|done| done["label"] == "client X" && done["how"] == "deleted"));
        let unknown = lapse.run(["revoke", "--label", "client Z", "--json"]);
        assert_eq!((unknown.code, unknown.error_code()), (Some(1), "no_such_share".to_owned()));
    }
}

#[test]
fn a_key_that_others_may_use_is_rotated_only_when_that_is_said_and_can_be_restored() {
    for server in [Server::SeaweedFs, Server::MiniStack] {
        let lapse = rotating(server);
        let shares = three(&lapse);
        let before = user_keys(&lapse);
        let refused = lapse.run(["revoke", "--all", "--yes", "--json"]);
        assert_eq!((refused.code, refused.error_code()), (Some(1), "key_in_use".to_owned()));
        assert!(refused.error()["message"].as_str().unwrap().contains(&before[0].0));
        assert_eq!(user_keys(&lapse), before);
        let asked = lapse.run(["revoke", "--all", "--json"]);
        assert_eq!(asked.code, Some(2));
        opens(&shares[0], 0);
        lapse.run(ALL).success();
        assert!(user_keys(&lapse).contains(&(before[0].0.clone(), false)));
        shares[0].link.get().assert_refused();
        lapse.run(["profile", "restore-key"]).success();
        assert!(user_keys(&lapse).iter().all(|(_, on)| *on));
        opens(&shares[0], 0);
        assert_eq!(lapse.checked_state(&shares[0].id), "active");
        assert_eq!(lapse.run(["profile", "restore-key", "--json"]).error_code(), "no_such_key");
    }
}

#[test]
fn a_key_that_was_switched_off_elsewhere_is_told_for_all_its_links() {
    for server in [Server::SeaweedFs, Server::MiniStack] {
        let lapse = rotating(server);
        let shares = three(&lapse);
        let first = &shares[0].id;
        assert_eq!(lapse.run(["check", first]).success().stderr, "");
        let (key, _) = user_keys(&lapse).remove(0);
        let switch = |status: &str| {
            let user = format!("user-of-{}", lapse.place().bucket);
            let args = json!({"UserName": user, "AccessKeyId": key, "Status": status});
            lapse.place().root.call("iam", "update_access_key", &args).unwrap();
        };
        switch("Inactive");
        let told = lapse.run(["check", first]).success();
        assert!(told.stderr.contains(&format!("{key} was switched off")), "{told:#?}");
        assert!(told.stderr.contains("3 links"), "{told:#?}");
        // The others were asked, too; what is known already isn't told again.
        for share in &shares {
            assert_eq!(lapse.state(&share.id), "unreachable");
        }
        assert_eq!(lapse.run(["check"]).success().stderr, "");
        switch("Active");
        for share in &shares {
            assert_eq!(lapse.checked_state(&share.id), "active");
        }
    }
}

#[test]
fn links_that_are_refused_though_nothing_here_ended_them_are_told() {
    let lapse = Lapse::on(Server::MiniStack);
    let shares = three(&lapse);
    assert_eq!(lapse.run(["check"]).success().stderr, "");
    let iam = |call: &str, more: Value| {
        let mut args = json!({
            "UserName": format!("user-of-{}", lapse.place().bucket), "PolicyName": "no",
        });
        args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        lapse.place().root.call("iam", call, &args).unwrap();
    };
    let no = json!({ "Effect": "Deny", "Action": ["s3:GetObject"], "Resource": ["*"] });
    let policy = json!({ "Version": "2012-10-17", "Statement": [no] }).to_string();
    iam("put_user_policy", json!({ "PolicyDocument": policy }));
    let told = lapse.run(["check"]).success();
    assert!(told.stderr.contains("refuses 3 links before the end"), "{told:#?}");
    for share in &shares {
        assert_eq!(lapse.state(&share.id), "unreachable");
    }
    assert_eq!(lapse.run(["check"]).success().stderr, "");
    iam("delete_user_policy", json!({}));
    for share in &shares {
        assert_eq!(lapse.checked_state(&share.id), "active");
    }
}

#[test]
fn a_right_that_is_missing_is_named_and_nothing_changes() {
    let lapse = Lapse::on(Server::MiniStack);
    let shares = three(&lapse);
    let refused = lapse.run(ALL);
    assert_eq!((refused.code, refused.error_code()), (Some(1), "access_denied".to_owned()));
    assert!(refused.stderr.contains("iam:ListAccessKeys"), "{refused:#?}");
    let place = lapse.place();
    may_rotate(place, &format!("user-of-{}", place.bucket), &["List", "Update"]);
    let refused = lapse.run(ALL);
    assert_eq!((refused.code, refused.error_code()), (Some(1), "access_denied".to_owned()));
    let error = refused.error();
    assert!(error["message"].as_str().unwrap().contains("iam:CreateAccessKey"), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("iam:UpdateAccessKey"), "{error}");
    // A right that is needed only at the end, too.
    may_rotate(place, &format!("user-of-{}", place.bucket), &["List", "Create", "Delete"]);
    let refused = lapse.run(ALL);
    assert_eq!((refused.code, refused.error_code()), (Some(1), "access_denied".to_owned()));
    assert!(refused.error()["message"].as_str().unwrap().contains("iam:UpdateAccessKey"));
    assert_eq!(user_keys(&lapse).len(), 1);
    opens(&shares[0], 0);
    assert_eq!(lapse.state(&shares[0].id), "active");
}

#[test]
fn a_keychain_that_is_locked_meanwhile_leaves_everything_as_it_was() {
    for server in [Server::SeaweedFs, Server::MiniStack] {
        let mut lapse = rotating(server);
        let shares = three(&lapse);
        let before = user_keys(&lapse);
        let mut child = held_at(&lapse, "rotate_made", 4000);
        wait_for_step(&lapse, "made");
        lapse.keyring().ask("lock");
        assert_eq!(child.wait().unwrap().code(), Some(1));
        lapse.keyring().ask("unlock");
        lapse.run(["list"]).success();
        assert_eq!(user_keys(&lapse), before);
        opens(&shares[0], 0);
        opens(&lapse.share(&lapse.file("file 1.txt", "content 1"), &[]), 0);
    }
}

/// A Lapse whose way to its bucket does wrong what it is told to.
fn through(server: Server) -> (Lapse, Faulty) {
    let place = server.place();
    if server == Server::MiniStack {
        may_rotate(
            &place,
            &format!("user-of-{}", place.bucket),
            &["List", "Create", "Update", "Delete"],
        );
    }
    let way = Faulty::before(&place.user.endpoint);
    (Lapse::by_way_of(place, way.url()), way)
}

const OFF: Wrong = Wrong::Refuse("403 Forbidden", "InvalidAccessKeyId");

#[test]
fn a_new_key_that_never_works_is_taken_away_again() {
    for server in [Server::SeaweedFs, Server::MiniStack] {
        let (lapse, way) = through(server);
        let shares = three(&lapse);
        let before = user_keys(&lapse);
        let mut child = held_at(&lapse, "rotate_stored", 3000);
        wait_for_step(&lapse, "made");
        std::thread::sleep(Duration::from_secs(1));
        way.do_wrong(Ask::Other, std::iter::repeat_n(OFF, 500));
        assert_eq!(child.wait().unwrap().code(), Some(1));
        way.do_wrong(Ask::Other, []);
        lapse.run(["list"]).success();
        assert_eq!(user_keys(&lapse), before);
        opens(&shares[0], 0);
        assert_eq!(lapse.checked_state(&shares[0].id), "active");
    }
}

#[test]
fn a_key_whose_answer_was_lost_is_found_and_taken_away() {
    let (lapse, way) = through(Server::MiniStack);
    let shares = three(&lapse);
    let before = user_keys(&lapse);
    let mut child = held_at(&lapse, "rotate_planned", 2000);
    wait_for_step(&lapse, "planned");
    way.do_wrong(Ask::Keys, [Wrong::LoseAnswer]);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(user_keys(&lapse), before);
    opens(&shares[0], 0);
}

#[test]
fn a_full_set_of_keys_is_told_with_the_other_ones_last_use_and_one_goes_only_when_that_is_said() {
    let (lapse, way) = through(Server::MiniStack);
    let user = json!({"UserName": format!("user-of-{}", lapse.place().bucket)});
    lapse.place().root.call("iam", "create_access_key", &user).unwrap();
    let shares = three(&lapse);
    let other = user_keys(&lapse)[1].0.clone();
    let mut out = tempfile::tempfile().unwrap();
    let mut child = lapse
        .command(ALL)
        .env("FAILPOINTS", "rotate_planned=sleep(2000)")
        .stdout(Stdio::null())
        .stderr(out.try_clone().unwrap())
        .spawn()
        .unwrap();
    wait_for_step(&lapse, "planned");
    way.do_wrong(Ask::Keys, [Wrong::Refuse("409 Conflict", "LimitExceeded")]);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let text = text(&mut out);
    assert!(text.contains("too_many_keys") && text.contains(&other), "{text}");
    assert!(text.contains("--delete-key"), "{text}");
    assert!(text.contains("was last used on") || text.contains("was never used"), "{text}");
    assert_eq!(user_keys(&lapse).len(), 2);
    opens(&shares[0], 0);
    lapse.run([&ALL[..], &["--delete-key", &other]].concat()).success();
    assert!(user_keys(&lapse).iter().all(|(key, _)| *key != other));
    let audit = lapse.run(["history", "--json"]).success().lines();
    let gone = audit.iter().find(|done| done["how"] == "key_deleted").unwrap();
    assert_eq!(gone["old_key"], other.as_str());
    shares[0].link.get().assert_refused();
}

#[test]
fn only_refusals_of_the_storage_are_counted() {
    for server in [Server::SeaweedFs, Server::MiniStack] {
        let (lapse, way) = through(server);
        three(&lapse);
        // A burst of these passes: it is asked again.
        let mut child = held_at(&lapse, "rotate_off", 1500);
        wait_for_step(&lapse, "off");
        way.do_wrong(
            Ask::Other,
            std::iter::repeat_n(Wrong::Refuse("503 Service Unavailable", "SlowDown"), 12),
        );
        assert!(child.wait().unwrap().success());
        way.do_wrong(Ask::Other, []);
        for (status, code) in [
            ("503 Service Unavailable", "SlowDown"),
            ("302 Found\r\nlocation: http://127.0.0.1:9/", "Found"),
            ("200 OK", "Portal"),
            ("403 Forbidden", "RequestTimeTooSkewed"),
        ] {
            let share = lapse.share(&lapse.file("file 1.txt", "content 1"), &[]);
            let mut out = tempfile::tempfile().unwrap();
            let mut child = lapse
                .command(ALL)
                .env("FAILPOINTS", "rotate_off=sleep(2500)")
                .stdout(out.try_clone().unwrap())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            wait_for_step(&lapse, "off");
            way.do_wrong(Ask::Other, std::iter::repeat_n(Wrong::Refuse(status, code), 2000));
            assert_eq!(child.wait().unwrap().code(), Some(1), "{status}");
            way.do_wrong(Ask::Other, []);
            let text = text(&mut out);
            let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
            assert_eq!(last, json!({"checked": 1, "refused": 0, "kept": 0}), "{status}");
            // The next start asks again, and sees it.
            let told = lapse.run(["list"]).success();
            assert!(told.stderr.contains("1 of 1 link now refuses"), "{told:#?}");
            assert_eq!(lapse.state(&share.id), "revoked");
        }
    }
}

#[test]
fn of_two_that_rotate_at_once_one_does() {
    let lapse = rotating(Server::SeaweedFs);
    three(&lapse);
    let mut child = held_at(&lapse, "rotate_made", 2000);
    wait_for_step(&lapse, "made");
    let second = lapse.run(ALL);
    assert_eq!((second.code, second.error_code()), (Some(1), "rotating".to_owned()));
    assert!(child.wait().unwrap().success());
    assert_eq!(user_keys(&lapse).iter().filter(|(_, on)| *on).count(), 1);
}

#[test]
fn a_server_that_stops_midway_is_gone_on_with_later() {
    let place = Server::SeaweedFs.place();
    let mut relay = Relay::before(&place.user.endpoint);
    let lapse = Lapse::by_way_of(place, relay.url());
    let shares = three(&lapse);
    let mut child = held_at(&lapse, "rotate_signed", 2000);
    wait_for_step(&lapse, "signed");
    relay.cut();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let told = lapse.run(["list"]).success();
    assert!(told.stderr.contains("isn't finished"), "{told:#?}");
    assert_eq!(lapse.state(&shares[0].id), "unreachable");
    relay.mend();
    let told = lapse.run(["list"]).success();
    assert!(told.stderr.contains("3 of 3 links now refuse"), "{told:#?}");
    assert_eq!(lapse.state(&shares[0].id), "revoked");
}

#[test]
fn a_hundred_links_are_kept() {
    links_are_kept(100);
}

#[test]
fn ten_thousand_links_are_kept() {
    links_are_kept(10_000);
}

#[expect(clippy::print_stderr, reason = "a time that is measured")]
fn links_are_kept(count: usize) {
    let lapse = rotating(Server::SeaweedFs);
    // Each a share of its own, of one object.
    let (bucket, key) = lapse.share(&lapse.file("file 1.txt", "content 1"), &[]).link.object();
    let object = format!("s3://{bucket}/{key}");
    let mut shares = Vec::new();
    while shares.len() < count {
        let words = ["share", "--no-copy", "--json"].into_iter();
        let words = words.chain(std::iter::repeat_n(&*object, (count - shares.len()).min(1000)));
        shares.extend(lapse.run(words).success().lines().into_iter().map(Share::of));
    }
    let mut words: Vec<&str> = [&ALL[..], &["--keep"]].concat();
    words.extend(shares.iter().map(|share| share.id.as_str()));
    let began = Instant::now();
    let output = lapse.run(words).success();
    eprintln!("{count} links signed again, and the old ones asked, in {:?}", began.elapsed());
    let kept: Vec<Share> =
        output.lines().into_iter().filter(|line| line["url"].is_string()).map(Share::of).collect();
    assert_eq!(kept.len(), count);
    // The file that was shared first isn't kept.
    assert_eq!(output.lines().pop().unwrap(), json!({"checked": 1, "refused": 1, "kept": count}));
    for at in (0..count).step_by(count / 4) {
        assert_eq!(kept[at].link.get().status, 200);
        shares[at].link.get().assert_refused();
    }
}

#[test]
fn links_end_in_a_bucket_that_keeps_versions_and_these_are_removed_when_that_is_wanted() {
    for server in [Server::SeaweedFs, Server::MiniStack] {
        let lapse = Lapse::on(server);
        let on = json!({"VersioningConfiguration": {"Status": "Enabled"}});
        lapse.s3("put_bucket_versioning", on).unwrap();
        let shares = three(&lapse);
        let done = lapse.run(["revoke", &shares[0].id, "--json"]).success().json();
        assert_eq!(
            (&done["refused"], &done["keeps_versions"]),
            (&json!(1), &json!(true)),
            "{done}"
        );
        shares[0].link.get().assert_refused();
        let versions = || {
            let listed = lapse.s3("list_object_versions", json!({})).unwrap();
            listed["Versions"].as_array().map_or(0, Vec::len)
        };
        assert_eq!(versions(), 3);
        let done =
            lapse.run(["revoke", &shares[0].id, "--old-versions", "--json"]).success().json();
        assert_eq!(done["versions_deleted"], 2, "{done}");
        assert_eq!(versions(), 2);
        let early = lapse.run(["revoke", &shares[1].id, "--old-versions", "--json"]);
        assert_eq!(early.error_code(), "not_active");
        opens(&shares[1], 1);
        // Of a file that is kept those go to which its links led.
        let kept = lapse.run(["revoke", &shares[1].id, "--keep-file", "--json"]).success().json();
        assert_eq!(kept["keeps_versions"], true, "{kept}");
        assert_eq!(versions(), 3);
        let words = ["revoke", &shares[1].id, "--old-versions", "--json"];
        assert_eq!(lapse.run(words).success().json()["versions_deleted"], 2);
        assert_eq!((versions(), lapse.keys().len()), (2, 2));
        // And it too, once it is deleted.
        lapse.run(["revoke", &shares[1].id]).success();
        assert_eq!(lapse.run(words).success().json()["versions_deleted"], 2);
        assert_eq!((versions(), lapse.keys().len()), (1, 1));
        opens(&shares[2], 2);
    }
}

#[test]
fn where_only_a_person_can_switch_keys_the_new_one_is_tried_and_the_old_ones_end_is_seen() {
    let mut lapse = Lapse::with_keychain("present");
    let place = Server::SeaweedFs.place();
    // By its table minio has no API for keys.
    let user = format!("user-of-{}", place.bucket);
    let added = lapse.run_with(
        [
            "profile",
            "add",
            "test",
            "--provider",
            "minio",
            "--endpoint",
            &place.user.endpoint,
            "--bucket",
            &place.bucket,
            "--path-style",
            "--access-key",
            &place.user.access_key,
            "--secret-stdin",
        ],
        place.user.secret_key.as_bytes(),
    );
    added.success();
    let old_key = place.user.access_key.clone();
    let root = place.root.clone();
    lapse.keep_place(place);
    let shares = three(&lapse);
    let guided = lapse.run(ALL);
    assert_eq!(guided.error_code(), "by_hand");
    assert!(guided.error()["hint"].as_str().unwrap().contains("--new-key"));
    let iam = |call: &str, mut args: Value| {
        args["UserName"] = json!(user);
        root.call("iam", call, &args).unwrap()
    };
    let made = iam("create_access_key", json!({}))["AccessKey"].take();
    let (id, secret) =
        (made["AccessKeyId"].as_str().unwrap(), made["SecretAccessKey"].as_str().unwrap());
    let words = [&ALL[..], &["--new-key", id, "--secret-stdin", "--keep", &shares[1].id]].concat();
    // A wrong paste changes nothing.
    let wrong = lapse.run_with(&words, b"not the secret at all");
    assert_eq!(wrong.code, Some(1), "{wrong:#?}");
    opens(&shares[0], 0);
    assert_eq!(lapse.checked_state(&shares[0].id), "active");
    // The person switches the old one off only later: until then it isn't called done.
    let early = lapse.run_with(&words, secret.as_bytes());
    assert_eq!(early.code, Some(1), "{early:#?}");
    assert_eq!(steps(&early)[..4], ["stored", "works", "signed", "by_hand"]);
    assert_eq!(early.lines().pop().unwrap(), json!({"checked": 2, "refused": 0, "kept": 1}));
    assert_eq!(lapse.state(&shares[0].id), "active");
    let told = lapse.run(["list"]).success();
    assert!(
        told.stderr.contains(&format!(
            "isn't finished: 2 of 2 links could not be seen to be refused yet. Switch {old_key} off"
        )),
        "{told:#?}"
    );
    iam("update_access_key", json!({"AccessKeyId": old_key, "Status": "Inactive"}));
    let told = lapse.run(["list"]).success();
    assert!(told.stderr.contains("2 of 2 links now refuse"), "{told:#?}");
    assert_eq!(lapse.state(&shares[0].id), "revoked");
    let link = lapse.run(["link", &shares[1].id, "--no-copy", "--json"]).success().json();
    opens(&Share::of(link), 1);
    // Where they do it while Lapse looks, it sees the links open, and then refused.
    let made = iam("create_access_key", json!({}))["AccessKey"].take();
    let (third, secret) = (made["AccessKeyId"].as_str().unwrap(), &made["SecretAccessKey"]);
    let mut out = tempfile::tempfile().unwrap();
    let mut child = lapse
        .command([&ALL[..], &["--new-key", third, "--secret-stdin"]].concat())
        .stdin(Stdio::piped())
        .stdout(out.try_clone().unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    write!(child.stdin.take().unwrap(), "{}", secret.as_str().unwrap()).unwrap();
    wait_for("a link that opens still", SOON, || {
        text(&mut out).contains("again_in_s\":0.").then_some(())
    });
    iam("update_access_key", json!({"AccessKeyId": id, "Status": "Inactive"}));
    assert!(child.wait().unwrap().success(), "{}", text(&mut out));
    let told = text(&mut out);
    let last: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    assert_eq!(last, json!({"checked": 1, "refused": 1, "kept": 0}), "{told}");
}

/// What a signer's keys may and may not do, by the storage's own answers.
fn may_only_read(lapse: &Lapse, access_key: &str, share: &Share) {
    let (bucket, key) = share.link.object();
    let with = |access_key: &str| {
        Caller::new(&lapse.place().user.endpoint, access_key, &lapse.secret_of(access_key))
    };
    let (signer, object) = (with(access_key), json!({"Bucket": bucket, "Key": key}));
    let read = signer.s3("head_object", &object).unwrap();
    assert_eq!(read["ContentLength"], 9);
    let mut put = object.clone();
    put["Body"] = json!("another");
    for (call, args) in [
        ("put_object", put),
        ("delete_object", object),
        ("list_objects_v2", json!({"Bucket": bucket})),
    ] {
        let refused = signer.s3(call, &args).unwrap_err();
        assert!(refused.starts_with("AccessDenied"), "{call}: {refused}");
    }
    let config = std::fs::read_to_string(lapse.home().join("config.toml")).unwrap();
    if let Some(rotator) = config.lines().find_map(|line| line.strip_prefix("rotator = ")) {
        let other = json!({"UserName": format!("user-of-{}", lapse.place().bucket)});
        let rotator = with(rotator.trim_matches('"'));
        for call in ["list_access_keys", "create_access_key"] {
            let refused = rotator.call("iam", call, &other).unwrap_err();
            assert!(refused.starts_with("AccessDenied"), "{call}: {refused}");
        }
        let refused = rotator.s3("head_object", &json!({"Bucket": bucket, "Key": key}));
        assert!(refused.is_err(), "{refused:?}");
    }
}

#[test]
fn a_signer_of_its_own_may_only_read_and_its_rotation_stops_nothing_else() {
    for server in [Server::SeaweedFs, Server::MiniStack] {
        let lapse = Lapse::on(server);
        let before = three(&lapse);
        let root = lapse.place().root.clone();
        let words = [
            "profile",
            "signer",
            "create",
            "--admin-access-key",
            &root.access_key,
            "--secret-stdin",
            "--json",
        ];
        let wrong = lapse.run_with(words, b"wrong secret");
        if server == Server::SeaweedFs {
            assert_eq!(wrong.code, Some(1), "{wrong:#?}");
        }
        let made = lapse.run_with(words, root.secret_key.as_bytes());
        let made = if wrong.code == Some(0) { wrong.json() } else { made.success().json() };
        let access_key = made["access_key"].as_str().unwrap();
        let share = lapse.share(&lapse.file("file 1.txt", "content 1"), &[]);
        opens(&share, 0);
        assert!(share.link.parameter("X-Amz-Credential").unwrap().starts_with(access_key));
        assert_eq!(lapse.secrets_in_keychain(&root.secret_key), 0);
        may_only_read(&lapse, access_key, &share);
        // No yes is needed: nothing else uses it.
        let output = lapse.run(["revoke", "--all", "--yes", "--json"]).success();
        let came_to = json!({"checked": 1, "refused": 1, "kept": 0, "others": 3});
        assert_eq!(output.lines().pop().unwrap(), came_to);
        assert_eq!(steps(&output).last().unwrap(), "deleted");
        share.link.get().assert_refused();
        // Those by the uploader's key stay, and the uploader goes on.
        opens(&before[0], 0);
        assert!(user_keys(&lapse).iter().all(|(_, on)| *on));
        let again = lapse.share(&lapse.file("file 2.txt", "content 2"), &[]);
        opens(&again, 1);
        lapse.run(["revoke", "--all", "--yes", "--json"]).success();
        again.link.get().assert_refused();
        let second = lapse.run_with(words, root.secret_key.as_bytes());
        assert_eq!(second.error_code(), "profile_exists");
        // One whose secret is lost is told of, and made anew.
        let config = lapse.home().join("config.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        let signer = text.lines().find(|line| line.starts_with("signer = ")).unwrap();
        std::fs::write(&config, text.replace(signer, "signer = \"AKIAGONE\"")).unwrap();
        let lost = lapse.run(["share", "file 1.txt", "--json", "--no-copy"]);
        assert_eq!((lost.code, lost.error_code().as_str()), (Some(1), "keychain"), "{lost:#?}");
        assert!(lost.error()["hint"].as_str().unwrap().contains("signer create"), "{lost:#?}");
        let plain = words.iter().filter(|word| **word != "--json");
        let anew = lapse.run_with(plain, root.secret_key.as_bytes()).success();
        assert!(anew.stderr.contains("any more: AKIAGONE"), "{anew:#?}");
        opens(&lapse.share(&lapse.file("file 1.txt", "content 1"), &[]), 0);
    }
}

#[test]
fn killed_while_a_key_is_switched_on_again_that_is_finished_and_what_was_moved_away_stays_closed() {
    for point in ["restore_begun", "restore_on"] {
        let lapse = rotating(Server::SeaweedFs);
        let shares = three(&lapse);
        lapse.run(["revoke", &shares[2].id, "--keep-file"]).success();
        lapse.run(ALL).success();
        shares[0].link.get().assert_refused();
        let words = ["profile", "restore-key"];
        let killed = lapse.command(words).env("FAILPOINTS", format!("{point}=return")).output();
        assert_eq!(killed.unwrap().status.code(), None, "{point}: not killed");
        assert_eq!(lapse.run(["list"]).success().stderr, "");
        opens(&shares[0], 0);
        let states: Vec<_> = shares.iter().map(|share| lapse.checked_state(&share.id)).collect();
        assert_eq!(states, ["active", "active", "revoked"], "{point}");
        shares[2].link.get().assert_refused();
        let audit = lapse.run(["history", "--json"]).success().lines();
        let restored = audit.iter().filter(|done| done["how"] == "key_restored").count();
        assert_eq!(restored, 1, "{point}");
    }
}

#[test]
fn a_revoke_that_cannot_be_finished_holds_no_other_up_and_keeps_its_profile() {
    let (lapse, way) = through(Server::SeaweedFs);
    let shares = three(&lapse);
    let other = Server::SeaweedFs.place();
    lapse.add_profile("other", &other).success();
    let file = lapse.file("file 1.txt", "content 1");
    let elsewhere = lapse.share(&file, &["--profile", "other"]);
    let on_it = [&ALL[..], &["--profile", "test"]].concat();
    let killed = lapse.command(on_it).env("FAILPOINTS", "rotate_signed=return").output();
    assert_eq!(killed.unwrap().status.code(), None, "not killed");
    let down = || std::iter::repeat_n(Wrong::Refuse("503 Service Unavailable", "SlowDown"), 2000);
    way.do_wrong(Ask::Other, down());
    way.do_wrong(Ask::Keys, down());

    let done = lapse.run([&ALL[..], &["--profile", "other"]].concat()).success();
    assert_eq!(done.lines().pop().unwrap(), json!({"checked": 1, "refused": 1, "kept": 0}));
    elsewhere.link.get().assert_refused();
    let refused = lapse.run(["profile", "remove", "test", "--json"]);
    assert_eq!(refused.error_code(), "profile", "{refused:#?}");
    way.do_wrong(Ask::Other, []);
    way.do_wrong(Ask::Keys, []);
    let told = lapse.run(["list"]).success();
    assert!(told.stderr.contains("is finished"), "{told:#?}");
    shares[0].link.get().assert_refused();
    lapse.run(["profile", "remove", "test"]).success();
}

#[test]
fn secrets_that_nothing_needs_any_more_are_deleted() {
    let lapse = Lapse::on(Server::SeaweedFs);
    let root = lapse.place().root.clone();
    let admin = ["--admin-access-key", &root.access_key, "--secret-stdin", "--json"];
    let words = [&["profile", "signer", "create"][..], &admin].concat();
    let made = lapse.run_with(words, root.secret_key.as_bytes()).success().json();
    let first = made["access_key"].as_str().unwrap();
    let kept = |access_key: &str| lapse.secrets_in_keychain(&format!("{access_key}@"));
    assert!(kept(first) > 0);
    let file = lapse.file("file 1.txt", "content 1");
    let short = lapse.share(&file, &["--expires", "20s"]);
    let done = lapse.run(["revoke", "--all", "--yes", "--json"]).success();
    assert_eq!(done.lines().pop().unwrap(), json!({"checked": 1, "refused": 1, "kept": 0}));
    let second = done.lines()[0]["access_key"].as_str().unwrap().to_owned();
    // Its link may be asked about until its end.
    lapse.share(&file, &[]);
    assert!(kept(first) > 0 && kept(&second) > 0);
    wait_for("the end of the link", SOON, || {
        (jiff::Timestamp::now() > short.expires_at()).then_some(())
    });
    lapse.share(&file, &[]);
    assert_eq!(kept(first), 0);
    assert!(kept(&second) > 0);
    lapse.run(["profile", "remove", "test", "--keep-links"]).success();
    assert_eq!((kept(&second), kept(&lapse.place().user.access_key)), (0, 0));
}

#[test]
fn a_delete_that_is_cut_off_is_finished_and_never_leaves_a_dead_link_called_active() {
    for point in ["delete_begun", "delete_done"] {
        let lapse = Lapse::on(Server::SeaweedFs);
        let shares = three(&lapse);
        let words = ["revoke", &shares[0].id];
        let killed = lapse.command(words).env("FAILPOINTS", format!("{point}=return")).output();
        assert_eq!(killed.unwrap().status.code(), None, "{point}: not killed");
        lapse.run(["list"]).success();
        shares[0].link.get().assert_refused();
        assert_eq!(lapse.state(&shares[0].id), "revoked", "{point}");
        assert_eq!(lapse.keys().len(), 2);
        let audit = lapse.run(["history", "--json"]).success().json();
        assert_eq!((&audit["how"], &audit["refused"]), (&json!("deleted"), &json!(1)), "{point}");
        opens(&shares[1], 1);
    }
}

#[test]
fn a_delete_that_is_not_answered_is_called_unknown_and_finished_later() {
    let (lapse, way) = through(Server::SeaweedFs);
    let shares = three(&lapse);
    // Each time it is done, and nobody hears of it.
    way.do_wrong(Ask::Delete, std::iter::repeat_n(Wrong::LoseAnswer, 50));
    let lost = lapse.run(["revoke", &shares[0].id, "--json"]);
    assert_eq!(lost.code, Some(1), "{lost:#?}");
    assert!(lost.error()["message"].as_str().unwrap().contains("isn't known"), "{lost:#?}");
    assert_eq!(lapse.state(&shares[0].id), "unreachable");
    way.do_wrong(Ask::Delete, []);
    lapse.run(["list"]).success();
    assert_eq!(lapse.state(&shares[0].id), "revoked");
}

#[test]
fn a_link_by_a_key_that_is_gone_is_proved_by_its_object() {
    let lapse = Lapse::new();
    let shares = three(&lapse);
    lapse.run(["revoke", "--all", "--yes"]).success();
    std::thread::sleep(Duration::from_millis(1200));
    let done = lapse.run(["revoke", &shares[0].id, "--json"]).success().json();
    assert_eq!((&done["checked"], &done["refused"]), (&json!(1), &json!(1)), "{done}");
    assert_eq!(lapse.state(&shares[0].id), "revoked");
}

#[test]
fn a_store_that_is_not_the_one_of_the_links_proves_nothing() {
    let lapse = Lapse::new();
    let shares = three(&lapse);
    let store = lapse.home().join("store");
    // It runs on, and another one is made beside it.
    std::fs::rename(&store, lapse.home().join("elsewhere")).unwrap();
    let done = lapse.run(["revoke", &shares[0].id, "--json"]);
    assert_eq!(done.code, Some(1), "{done:#?}");
    assert_eq!(lapse.state(&shares[0].id), "unreachable");
    lapse.run(["store", "stop"]).success();
    std::fs::remove_dir_all(&store).unwrap();
    std::fs::rename(lapse.home().join("elsewhere"), &store).unwrap();
    assert_eq!(lapse.checked_state(&shares[0].id), "active");
    lapse.run(["revoke", &shares[0].id]).success();
    assert_eq!(lapse.state(&shares[0].id), "revoked");
}

#[test]
fn what_is_only_for_all_links_is_never_passed_over() {
    let lapse = Lapse::new();
    let shares = three(&lapse);
    let id = shares[0].id.as_str();
    for words in [
        &[id, "--keep", id][..],
        &[id, "--yes"],
        &[id, "--profile", "local"],
        &[id, "--new-key", "X"],
        &[id, "--delete-key", "X"],
        &[id, "--end-sessions-of-role", "r"],
        &["--label", "x", "--profile", "local"],
    ] {
        let refused = lapse.run([&["revoke", "--json"], words].concat());
        assert_eq!((refused.code, refused.error_code()), (Some(2), "usage".into()), "{words:?}");
    }
    let unknown = lapse.run(["revoke", "--all", "--yes", "--keep", "nosuch", "--json"]);
    assert_eq!(unknown.error_code(), "no_such_share");
    assert!(!unknown.stderr.contains("switches"), "{unknown:#?}");
    opens(&shares[0], 0);
}
