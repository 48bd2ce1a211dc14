//! A disk that is full, or may not be written.

use std::os::unix::fs::PermissionsExt;

use lapse_tests::{Lapse, Output, Server, Share, bytes};

/// Runs a shell script in which `LAPSE_HOME` is a disk of so many KiB that nobody else sees.
fn on_a_small_disk(lapse: &Lapse, kib: u32, script: &str) -> Output {
    std::fs::create_dir_all(lapse.home()).unwrap();
    let lapse_bin = lapse_tests::lapse::binary();
    let script = format!(
        "mount -t tmpfs -o size={kib}k,mode=700 tmpfs \"$LAPSE_HOME\" && lapse() {{ {} \"$@\"; }} && {{ {script}\n}}; r=$?; lapse store stop; exit $r",
        lapse_bin.display()
    );
    let namespace: &[&str] = if rustix::process::geteuid().is_root() {
        &["unshare", "--mount"]
    } else {
        &["unshare", "--map-root-user", "--mount"]
    };
    let mut words = namespace.to_vec();
    words.extend(["sh", "-c", &script]);
    let output = Output::of(&mut lapse.any(&words));
    assert!(
        !output.stderr.contains("mount:") && !output.stderr.contains("unshare:"),
        "this machine mounts nothing: {output:?}"
    );
    output
}

#[test]
fn a_full_disk_is_told_and_the_store_goes_on() {
    let lapse = Lapse::new();
    lapse.file("small.txt", "hello");
    lapse.file("big.bin", bytes(12 << 20));
    // The big one doesn't fit; the small ones before and after do, and both are there.
    let output = on_a_small_disk(
        &lapse,
        8 << 10,
        "one=$(lapse share small.txt) && lapse share big.bin --json; echo \"code $?\" && two=$(lapse share small.txt) \
         && for link in $one $two; do echo \"url = $link\" | curl --silent --fail --config - && echo; done",
    );
    assert_eq!(output.stdout, "code 1\nhello\nhello\n", "{output:#?}");
    let told = output.stderr.lines().find(|line| line.starts_with('{')).unwrap();
    assert!(told.contains("disk_full"), "{output:#?}");
}

#[test]
fn a_link_is_revoked_on_a_disk_without_any_room() {
    let lapse = Lapse::new();
    lapse.file("small.txt", "hello");
    // The second program that fills it takes what the first couldn't.
    let output = on_a_small_disk(
        &lapse,
        24 << 10,
        "link=$(lapse share small.txt) && id=$(lapse list --json | grep -o '\"id\":\"[^\"]*' | cut -d'\"' -f4) \
         && { cat /dev/zero > \"$LAPSE_HOME/filler\"; dd if=/dev/zero of=\"$LAPSE_HOME/more\" bs=1 2>/dev/null; lapse revoke $id; } \
         && echo \"url = $link\" | curl --silent --output /dev/null --write-out '%{http_code}' --config -",
    );
    assert!(output.stdout.ends_with("404") || output.stdout.ends_with("403"), "{output:#?}");
    assert!(output.stdout.contains("1 of 1"), "{output:#?}");
}

#[test]
fn a_database_without_room_stops_an_upload_which_goes_on_when_there_is_some() {
    let place = Server::SeaweedFs.place();
    let mut lapse = Lapse::new();
    let content = bytes(64 << 20);
    lapse.file("big.bin", &content);
    lapse.set("LAPSE_SECRET_ACCESS_KEY", &place.user.secret_key);
    let config = format!(
        "upload_limit = 16777216\nuse = \"work\"\n[profile.work]\nprovider = \"seaweedfs\"\nendpoint = \"{}\"\n\
         region = \"us-east-1\"\nbucket = \"{}\"\naccess_key = \"{}\"\npath_style = true\n",
        place.user.endpoint, place.bucket, place.user.access_key
    );
    lapse.file("config.toml", config);
    let output = on_a_small_disk(
        &lapse,
        1024,
        "cp config.toml \"$LAPSE_HOME/config.toml\"
         lapse share big.bin --json & pid=$!
         until lapse uploads --json 2>/dev/null | grep -q '\"arrived\":[1-9]'; do sleep 0.1; done
         cat /dev/zero > \"$LAPSE_HOME/filler\" 2>/dev/null
         wait $pid; echo \"code $?\"
         rm \"$LAPSE_HOME/filler\"
         lapse resume --json --no-copy",
    );
    let (code, shared) = output.stdout.split_once('\n').unwrap_or_default();
    assert_eq!(code, "code 1", "{output:#?}");
    assert!(output.stderr.contains("\"disk_full\""), "{output:#?}");
    let share = Share::of(serde_json::from_str(shared).unwrap());
    share.link.get().assert_gives(&content, "big.bin");
}

#[test]
fn a_disk_that_is_full_from_the_start_is_told() {
    let lapse = Lapse::new();
    lapse.file("small.txt", "hello");
    let output = on_a_small_disk(&lapse, 4, "lapse share small.txt --json");
    assert_eq!(output.code, Some(1), "{output:#?}");
    let told = output.stderr.lines().find(|line| line.starts_with('{')).unwrap();
    assert!(told.contains("disk_full"), "{output:#?}");
}

#[test]
fn a_disk_that_may_only_be_read_is_told() {
    let lapse = Lapse::new();
    lapse.file("small.txt", "hello");
    let output = on_a_small_disk(
        &lapse,
        8 << 10,
        "mount -o remount,ro \"$LAPSE_HOME\" && lapse share small.txt --json",
    );
    assert_eq!(output.code, Some(1), "{output:#?}");
    let told = output.stderr.lines().find(|line| line.starts_with('{')).unwrap();
    assert!(told.contains("\"disk\""), "{output:#?}");
}

#[test]
fn a_home_that_belongs_to_another_is_told() {
    let lapse = Lapse::new();
    lapse.file("small.txt", "hello");
    std::fs::create_dir(lapse.home()).unwrap();
    std::fs::set_permissions(lapse.home(), std::fs::Permissions::from_mode(0o500)).unwrap();
    let humble = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"];
    let runner: &[&str] = if rustix::process::geteuid().is_root() { &humble } else { &[] };
    let output = Output::of(&mut lapse.around(runner.iter().copied(), ["share", "small.txt"]));
    assert_eq!(output.code, Some(1), "{output:#?}");
    assert!(output.complaint().contains("lapse-home"), "{output:#?}");
    std::fs::set_permissions(lapse.home(), std::fs::Permissions::from_mode(0o700)).unwrap();
}
