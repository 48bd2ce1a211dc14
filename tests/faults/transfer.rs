//! Uploads on lines that break, to servers that are slow, busy or wrong: whole in the end, or told and taken away.

use std::time::{Duration, Instant};

use lapse_tests::faults::Relay;
use lapse_tests::faulty::{Ask, Faulty, Seen, Wrong};
use lapse_tests::{Lapse, Output, Server, Share, bytes, wait_for};
use serde_json::json;

const MIB: usize = 1 << 20;
const PART: usize = 8 * MIB;
/// Five parts, the last one short.
const SIZE: usize = 33 * MIB;
const SERVERS: [Server; 2] = [Server::SeaweedFs, Server::MiniStack];

fn through(server: Server) -> (Lapse, Faulty) {
    let mut lapse = Lapse::with_keychain("present");
    let place = server.place();
    let way = Faulty::before(&place.user.endpoint);
    let mut user = place.clone();
    user.user.endpoint = way.url();
    lapse.add_profile("work", &user).success();
    lapse.keep_place(place);
    (lapse, way)
}

fn share(lapse: &Lapse, name: &str, content: &[u8]) -> Output {
    let file = lapse.file(name, content);
    lapse.run(["share".as_ref(), "--json".as_ref(), "--no-copy".as_ref(), file.as_os_str()])
}

/// Nothing of an upload is at the storage.
fn assert_nothing(lapse: &Lapse) {
    assert_eq!(lapse.keys(), Vec::<String>::new());
    assert_eq!(lapse.s3("list_multipart_uploads", json!({})).unwrap()["Uploads"], json!(null));
    assert_eq!(lapse.run(["uploads", "--json"]).success().stdout, "");
}

/// It is shared, once, with these bytes; then it is taken back.
fn assert_whole(lapse: &Lapse, output: Output, name: &str, content: &[u8]) {
    let share = Share::of(output.success().json());
    share.link.get().assert_gives(content, name);
    assert_eq!(lapse.keys().len(), 1, "{:?}", lapse.keys());
    lapse.run(["revoke", &share.id]).success();
    assert_nothing(lapse);
}

fn count(seen: &[Seen], ask: Ask) -> usize {
    seen.iter().filter(|seen| seen.ask == ask).count()
}

#[test]
fn an_upload_survives_what_goes_wrong_once() {
    let content = bytes(SIZE);
    for server in SERVERS {
        let (lapse, way) = through(server);
        assert_whole(&lapse, share(&lapse, "big.bin", &content), "big.bin", &content);
        for (ask, wrong) in [
            (Ask::Part, Wrong::CutAfter(3 * MIB)),
            (Ask::Part, Wrong::CutAfter(0)),
            (Ask::Part, Wrong::LoseAnswer),
            (Ask::Part, Wrong::HalfAnswer),
            (Ask::Part, Wrong::OtherEtag),
            (Ask::Part, Wrong::Flip),
            (Ask::Part, Wrong::Late(Duration::from_secs(2))),
            (Ask::Part, Wrong::Refuse("500 Oops", "InternalError")),
            (Ask::Create, Wrong::LoseAnswer),
            (Ask::Create, Wrong::HalfAnswer),
            (Ask::Create, Wrong::Refuse("503 Slow Down", "SlowDown")),
            (Ask::Complete, Wrong::LoseAnswer),
            (Ask::Complete, Wrong::HalfAnswer),
            (Ask::Complete, Wrong::CutAfter(10)),
            (Ask::Complete, Wrong::Refuse("503 Slow Down", "SlowDown")),
        ] {
            way.take_seen();
            way.do_wrong(ask, [wrong.clone()]);
            let output = share(&lapse, "big.bin", &content);
            let seen = way.take_seen();
            // What went well isn't sent again.
            let again = count(&seen, Ask::Part) - SIZE.div_ceil(PART);
            assert!(again <= usize::from(ask == Ask::Part), "{wrong:?}: {again} parts sent again");
            assert_whole(&lapse, output, "big.bin", &content);
        }
    }
}

#[test]
fn a_small_upload_survives_what_goes_wrong_once() {
    let content = bytes(MIB);
    for server in SERVERS {
        let (lapse, way) = through(server);
        for wrong in [
            Wrong::CutAfter(1000),
            Wrong::LoseAnswer,
            Wrong::HalfAnswer,
            Wrong::OtherEtag,
            Wrong::Flip,
            Wrong::Refuse("503 Slow Down", "SlowDown"),
        ] {
            // A server that has compared a checksum itself needn't be asked what it has.
            let is_seen = server != Server::MiniStack || !matches!(wrong, Wrong::OtherEtag);
            way.take_seen();
            way.do_wrong(Ask::Put, [wrong]);
            let output = share(&lapse, "small.bin", &content);
            assert_eq!(count(&way.take_seen(), Ask::Put), 1 + usize::from(is_seen));
            assert_whole(&lapse, output, "small.bin", &content);
        }
    }
}

#[test]
fn what_arrives_wrong_each_time_is_told_and_taken_away() {
    for server in SERVERS {
        let (lapse, way) = through(server);
        for (ask, wrong, size) in [
            (Ask::Put, Wrong::OtherEtag, MIB),
            (Ask::Put, Wrong::Flip, MIB),
            (Ask::Part, Wrong::OtherEtag, SIZE),
            (Ask::Part, Wrong::Flip, SIZE),
        ] {
            if server == Server::MiniStack && matches!(wrong, Wrong::OtherEtag) {
                // It has compared a checksum, doesn't tell it, and lists the etags as they are.
                continue;
            }
            way.do_wrong(ask, vec![wrong; 100]);
            let output = share(&lapse, "file.bin", &bytes(size));
            assert_eq!(
                (output.code, output.error_code().as_str()),
                (Some(1), "damaged"),
                "{output:#?}"
            );
            way.do_wrong(ask, []);
            assert_nothing(&lapse);
        }
        let list = lapse.run(["list", "--json"]).success().lines();
        assert!(list.iter().all(|share| share["state"] == "failed"), "{list:?}");
    }
}

#[test]
fn a_server_that_asks_to_wait_is_waited_for() {
    let (lapse, way) = through(Server::SeaweedFs);
    let content = bytes(SIZE);
    let busy = Wrong::Refuse("503 Slow Down\r\nRetry-After: 2", "SlowDown");
    way.do_wrong(Ask::Part, vec![busy; 3]);
    let output = share(&lapse, "big.bin", &content);
    let seen = way.take_seen();
    let tries = |number: u32| seen.iter().filter(move |seen| seen.part == Some(number));
    let waited: Vec<Duration> = (1..=5)
        .filter_map(|number| {
            let (first, second) = (tries(number).next()?, tries(number).nth(1)?);
            Some(second.at - first.at)
        })
        .collect();
    assert!(
        !waited.is_empty() && waited.iter().all(|wait| *wait >= Duration::from_secs(2)),
        "{waited:?}"
    );
    assert_whole(&lapse, output, "big.bin", &content);
}

#[test]
fn a_refusal_is_told_at_once_and_what_arrived_is_kept() {
    let (lapse, way) = through(Server::SeaweedFs);
    let content = bytes(24 * PART);
    let no = Wrong::Refuse("403 Forbidden", "AccessDenied");
    assert_whole(&lapse, share(&lapse, "big.bin", &content), "big.bin", &content);
    way.take_seen();
    // The first parts go well.
    let mut wrongs = vec![Wrong::Late(Duration::ZERO); 10];
    wrongs.extend(vec![no; 100]);
    way.do_wrong(Ask::Part, wrongs);
    let began = Instant::now();
    let output = share(&lapse, "big.bin", &content);
    assert_eq!(
        (output.code, output.error_code().as_str()),
        (Some(1), "access_denied"),
        "{output:#?}"
    );
    assert!(began.elapsed() < Duration::from_secs(20), "it took {:?}", began.elapsed());
    let parts = count(&way.take_seen(), Ask::Part);
    // No part a second time.
    assert!(parts <= 24, "{parts} requests, of which ten were answered well");
    let upload = lapse.run(["uploads", "--json"]).success().json();
    let arrived = usize::try_from(upload["arrived"].as_u64().unwrap()).unwrap();
    assert!(arrived >= PART, "{upload}");
    assert!(upload["trouble"].as_str().unwrap().contains("doesn't let"), "{upload}");
    assert_eq!(lapse.state(upload["id"].as_str().unwrap()), "paused");

    way.do_wrong(Ask::Part, []);
    let resumed = lapse.run(["resume", "--json", "--no-copy"]);
    let parts = count(&way.take_seen(), Ask::Part);
    assert!(parts <= 24 - arrived / PART, "{parts} parts, {arrived} bytes were there");
    assert_whole(&lapse, resumed, "big.bin", &content);
}

#[test]
fn a_sign_in_that_ended_is_renewed_and_the_upload_goes_on() {
    let (mut lapse, way) = through(Server::SeaweedFs);
    // The AWS tools' own way to be given keys: by a program, which is asked again once they have ended.
    let place = lapse.place().clone();
    let log = lapse.folder("home").join("asked");
    let program = lapse.folder("home").join("keys.sh");
    let keys = json!({
        "Version": 1, "AccessKeyId": place.user.access_key, "SecretAccessKey": place.user.secret_key,
    });
    std::fs::write(&program, format!("echo asked >>{}\necho '{keys}'\n", log.display())).unwrap();
    let config = lapse.folder("home").join("aws");
    std::fs::write(
        &config,
        format!("[default]\ncredential_process = /bin/sh {}\n", program.display()),
    )
    .unwrap();
    lapse.set("AWS_CONFIG_FILE", &config);
    let url = way.url();
    let words = ["profile", "add", "aws", "--provider", "seaweedfs", "--endpoint", &url];
    let more =
        ["--region", "us-east-1", "--bucket", &place.bucket, "--path-style", "--aws-default"];
    lapse.run(words.iter().chain(&more)).success();
    lapse.run(["profile", "use", "aws"]).success();
    let content = bytes(SIZE);
    assert_whole(&lapse, share(&lapse, "big.bin", &content), "big.bin", &content);
    let asked = || std::fs::read_to_string(&log).unwrap().lines().count();
    let before = asked();
    way.do_wrong(
        Ask::Part,
        [Wrong::Late(Duration::ZERO), Wrong::Refuse("400 Bad Request", "ExpiredToken")],
    );
    let output = share(&lapse, "big.bin", &content);
    assert!(asked() - before >= 2, "it was asked {} times", asked() - before);
    assert_whole(&lapse, output, "big.bin", &content);
}

#[test]
fn an_upload_waits_for_a_server_that_is_gone_for_a_while() {
    let mut lapse = Lapse::with_keychain("present");
    let place = Server::SeaweedFs.place();
    let mut way = Relay::before(&place.user.endpoint);
    let mut user = place.clone();
    user.user.endpoint = way.url();
    lapse.add_profile("work", &user).success();
    lapse.keep_place(place);
    let config = lapse.home().join("config.toml");
    let profiles = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("upload_limit = 16777216\n{profiles}")).unwrap();
    let content = bytes(96 * MIB);
    let file = lapse.file("big.bin", &content);
    let output = std::thread::scope(|scope| {
        let sharing = scope.spawn(|| {
            lapse.run(["share".as_ref(), "--json".as_ref(), "--no-copy".as_ref(), file.as_os_str()])
        });
        let upload = || lapse.run(["uploads", "--json"]).success().lines().into_iter().next();
        let soon = Duration::from_mins(1);
        wait_for("a part arrived", soon, || (upload()?["arrived"].as_u64()? > 0).then_some(()));
        way.cut();
        wait_for("it is said that it waits", soon, || {
            upload()?["trouble"].as_str()?.contains("can't be reached").then_some(())
        });
        assert_eq!(upload().unwrap()["state"], "uploading");
        way.mend();
        sharing.join().unwrap()
    });
    assert_whole(&lapse, output, "big.bin", &content);
}
