//! Links that are signed by sessions of a role: all its sessions end together.

use std::process::Stdio;

use lapse_tests::faulty::{Ask, Faulty, Wrong};
use lapse_tests::{Lapse, Output, Place, Server, Share, profile_words};
use serde_json::{Value, json};

use super::revoke::{text, wait_for_step};

const ALL: [&str; 4] = ["revoke", "--all", "--yes", "--json"];

/// A role on `MiniStack` with a policy that allows this.
fn role(place: &Place, may: &[&str]) -> String {
    let name = format!("role-of-{}", place.bucket);
    let trust = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]});
    let iam = |call: &str, args| place.root.call("iam", call, &args).unwrap();
    iam("create_role", json!({"RoleName": name, "AssumeRolePolicyDocument": trust.to_string()}));
    allow(place, &name, may);
    name
}

fn allow(place: &Place, role: &str, may: &[&str]) {
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": may, "Resource": "*"}]});
    let args = json!({"RoleName": role, "PolicyName": "may", "PolicyDocument": policy.to_string()});
    place.root.call("iam", "put_role_policy", &args).unwrap();
}

/// A Lapse that signs in by a role: each time by a new session, or by one that stays.
fn signed_in(place: &Place, role: &str, each_time: bool) -> Lapse {
    let mut lapse = Lapse::with_keychain("present");
    let script = lapse.file(
        "sign-in.py",
        format!(
            r#"
import boto3, json, os, sys
kept = sys.argv[0] + ".session"
if os.path.exists(kept):
    print(open(kept).read())
    sys.exit()
sts = boto3.client("sts", endpoint_url="{}", region_name="us-east-1",
                   aws_access_key_id="{}", aws_secret_access_key="{}")
keys = sts.assume_role(RoleArn="arn:aws:iam::000000000000:role/" + open(sys.argv[0] + ".role").read(), RoleSessionName="lapse",
                       DurationSeconds=3600)["Credentials"]
keys["Expiration"] = keys["Expiration"].isoformat()
told = json.dumps({{"Version": 1, **keys}})
if {}:
    open(kept, "w").write(told)
print(told)
"#,
            place.root.endpoint,
            place.root.access_key,
            place.root.secret_key,
            if each_time { "False" } else { "True" },
        ),
    );
    use_role(&lapse, role);
    let python = lapse_tests::rig::python();
    let config = lapse.file(
        "aws-config",
        format!("[profile team]\ncredential_process = {} {}\n", python.display(), script.display()),
    );
    lapse.set("AWS_CONFIG_FILE", config);
    lapse.set("AWS_EC2_METADATA_DISABLED", "true");
    add_profile(&lapse, "team", place);
    lapse
}

/// The role by which it signs in from now on.
fn use_role(lapse: &Lapse, role: &str) {
    lapse.file("sign-in.py.role", role);
}

fn add_profile(lapse: &Lapse, name: &str, place: &Place) {
    let sign_in = ["--aws-profile", "team"];
    let words = profile_words(name, place.server.provider(), place).into_iter().chain(sign_in);
    lapse.run(words).success();
}

fn share(lapse: &Lapse, n: usize) -> Share {
    lapse.share(&lapse.file(format!("file {n}.txt"), format!("content {n}")), &["--expires", "30m"])
}

fn opens(share: &Share, n: usize) {
    share.link.get().assert_gives(format!("content {n}").as_bytes(), &format!("file {n}.txt"));
}

fn with_role<'a>(role: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&ALL[..], &["--end-sessions-of-role", role], more].concat()
}

fn steps(output: &Output) -> Vec<Value> {
    let steps = output.lines().into_iter();
    steps.filter_map(|line| line.get("step").cloned()).collect()
}

#[test]
fn all_sessions_of_a_role_end_when_that_is_said_and_kept_links_are_signed_by_a_new_one() {
    let place = Server::MiniStack.place();
    let role = role(&place, &["s3:*", "iam:PutRolePolicy"]);
    let lapse = signed_in(&place, &role, true);
    let shares: Vec<_> = (0..3).map(|n| share(&lapse, n)).collect();
    for words in [ALL.to_vec(), with_role("another", &[])] {
        let refused = lapse.run(words);
        assert_eq!((refused.code, refused.error_code().as_str()), (Some(1), "key_in_use"));
        assert!(refused.error()["hint"].as_str().unwrap().contains(&role), "{refused:#?}");
    }
    (0..3).for_each(|n| opens(&shares[n], n));

    let output = lapse.run(with_role(&role, &["--keep", &shares[1].id])).success();
    assert_eq!(steps(&output), ["sessions_ended", "signed", "asked"], "{output:#?}");
    let lines = output.lines();
    assert_eq!(lines[lines.len() - 1], json!({"checked": 2, "refused": 2, "kept": 1}));
    for share in &shares {
        share.link.get().assert_refused();
    }
    let kept = Share::of(lines[lines.len() - 2].clone());
    opens(&kept, 1);
    assert!((kept.expires_at() - shares[1].expires_at()).as_secs().abs() <= 1);
    let states: Vec<_> = shares.iter().map(|share| lapse.state(&share.id)).collect();
    assert_eq!(states, ["revoked", "active", "revoked"]);
    let told = lapse.run(["history", "--json"]).success().json();
    assert_eq!(
        (&told["how"], &told["old_key"]),
        (
            &json!("sessions_ended"),
            &json!(format!("arn:aws:sts::000000000000:assumed-role/{role}"))
        )
    );
    assert_eq!(lapse.run(["profile", "restore-key", "--json"]).error_code(), "no_such_key");
    // Lapse goes on, and can do it again.
    let again = share(&lapse, 7);
    opens(&again, 7);
    lapse.run(with_role(&role, &[])).success();
    again.link.get().assert_refused();
    kept.link.get().assert_refused();
}

#[test]
fn the_links_of_the_role_end_in_every_profile_and_those_of_another_role_stay() {
    let (place, other_place) = (Server::MiniStack.place(), Server::MiniStack.place());
    let may = ["s3:*", "iam:PutRolePolicy"];
    let (first, second) = (role(&place, &may), role(&other_place, &may));
    let lapse = signed_in(&place, &first, true);
    add_profile(&lapse, "too", &other_place);
    let by_first = share(&lapse, 1);
    let elsewhere = lapse.file("file 2.txt", "content 2");
    let elsewhere = lapse.share(&elsewhere, &["--expires", "30m", "--profile", "too"]);
    use_role(&lapse, &second);
    let by_second = share(&lapse, 3);
    use_role(&lapse, &first);

    let words = with_role(&first, &["--profile", "team"]);
    let told = lapse.run(words.iter().filter(|word| **word != "--json")).success();
    assert!(told.stderr.contains("1 link signed by an earlier key"), "{told:#?}");
    assert!(told.stderr.contains("2 of 2 links"), "{told:#?}");
    for share in [&by_first, &elsewhere] {
        share.link.get().assert_refused();
        assert_eq!(lapse.state(&share.id), "revoked");
    }
    opens(&by_second, 3);
    assert_eq!(lapse.state(&by_second.id), "active");
}

#[test]
fn links_of_which_the_role_is_not_known_are_said_to_be_unknown() {
    let place = Server::MiniStack.place();
    let role = role(&place, &["s3:*", "iam:PutRolePolicy"]);
    let way = Faulty::before(&place.user.endpoint);
    let lapse = signed_in(&place.at(way.url()), &role, true);
    let known = share(&lapse, 1);
    // Who signs in isn't told just then.
    way.do_wrong(Ask::Keys, [Wrong::Refuse("503 Service Unavailable", "ServiceUnavailable")]);
    let unknown = share(&lapse, 2);
    let output = lapse.run(with_role(&role, &[])).success();
    let lines = output.lines();
    assert_eq!(
        lines[lines.len() - 1],
        json!({"checked": 1, "refused": 1, "unasked": 1, "kept": 0}),
        "{output:#?}"
    );
    assert_eq!(
        (lapse.state(&known.id), lapse.state(&unknown.id)),
        ("revoked".into(), "active".into())
    );
}

#[test]
fn a_right_that_a_role_lacks_is_named_and_its_sessions_go_on() {
    let place = Server::MiniStack.place();
    let role = role(&place, &["s3:*"]);
    let lapse = signed_in(&place, &role, true);
    let shared = share(&lapse, 1);
    let refused = lapse.run(with_role(&role, &[]));
    assert_eq!((refused.code, refused.error_code().as_str()), (Some(1), "access_denied"));
    let error = refused.error();
    assert!(error["hint"].as_str().unwrap().contains("iam:PutRolePolicy"), "{error}");
    assert!(error["hint"].as_str().unwrap().contains(&format!("role/{role}")), "{error}");
    opens(&shared, 1);
    assert_eq!(lapse.state(&shared.id), "active");
    // Nothing is left to be finished.
    assert_eq!(lapse.run(["list"]).success().stderr, "");
}

#[test]
fn a_session_that_cannot_be_renewed_is_not_ended() {
    let place = Server::MiniStack.place();
    let role = role(&place, &["s3:*", "iam:PutRolePolicy"]);
    let lapse = signed_in(&place, &role, false);
    let shared = share(&lapse, 1);
    let refused = lapse.run(with_role(&role, &[]));
    assert_eq!((refused.code, refused.error_code().as_str()), (Some(1), "by_hand"));
    opens(&shared, 1);
    assert_eq!(lapse.checked_state(&shared.id), "active");
}

#[test]
fn killed_at_any_step_the_end_of_sessions_is_finished() {
    for point in ["planned", "created", "made", "signed", "asked"] {
        let place = Server::MiniStack.place();
        let role = role(&place, &["s3:*", "iam:PutRolePolicy"]);
        let lapse = signed_in(&place, &role, true);
        let shares: Vec<_> = (0..2).map(|n| share(&lapse, n)).collect();
        let killed = lapse
            .command(with_role(&role, &["--keep", &shares[1].id]))
            .env("FAILPOINTS", format!("rotate_{point}=return"))
            .output()
            .unwrap();
        assert_eq!(killed.status.code(), None, "{point}: not killed");
        let told = lapse.run(["list"]).success();
        assert!(told.stderr.contains("is finished"), "{point}: {told:#?}");
        for share in &shares {
            share.link.get().assert_refused();
        }
        let states: Vec<_> = shares.iter().map(|share| lapse.state(&share.id)).collect();
        // The session that could ask is gone with the process: what wasn't seen isn't claimed.
        let state = if point == "asked" { "revoked" } else { "unreachable" };
        assert_eq!(states, [state, "active"], "{point}");
        opens(&share(&lapse, 5), 5);
    }
}

#[test]
fn where_the_answer_is_lost_it_is_not_said_that_nothing_changed() {
    let place = Server::MiniStack.place();
    let role = role(&place, &["s3:*", "iam:PutRolePolicy"]);
    let way = Faulty::before(&place.user.endpoint);
    let lapse = signed_in(&place.at(way.url()), &role, true);
    let shared = share(&lapse, 1);
    let mut out = tempfile::tempfile().unwrap();
    let mut child = lapse
        .command(with_role(&role, &[]))
        .env("FAILPOINTS", "rotate_planned=sleep(3000)")
        .stdout(Stdio::null())
        .stderr(out.try_clone().unwrap())
        .spawn()
        .unwrap();
    wait_for_step(&lapse, "planned");
    way.do_wrong(Ask::Keys, [Wrong::LoseAnswer]);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let told = text(&mut out);
    assert!(told.contains("not_known"), "{told}");
    let told = lapse.run(["list"]).success();
    assert!(told.stderr.contains("is finished"), "{told:#?}");
    shared.link.get().assert_refused();
    opens(&share(&lapse, 2), 2);
}
