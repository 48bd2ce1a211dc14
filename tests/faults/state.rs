//! Lapse's own files, damaged, newer, or in someone else's hands.

use std::path::Path;

use lapse_tests::{Lapse, Output, clocks};

fn assert_fails(lapse: &Lapse, words: &[&str], code: &str) -> Output {
    let json = lapse.run(words.iter().copied().chain(["--json"]));
    assert_eq!((json.code, json.error_code().as_str()), (Some(1), code), "{json:#?}");
    let plain = lapse.run(words);
    assert_eq!(plain.code, Some(1), "{plain:#?}");
    plain.complaint();
    plain
}

/// A Lapse that shared something, and sleeps.
fn used() -> Lapse {
    let lapse = Lapse::new();
    lapse.share(&lapse.file("note.txt", "hello"), &[]);
    lapse.run(["store", "stop"]).success();
    lapse
}

#[test]
fn a_broken_config_is_told_with_line_and_column_and_left_alone() {
    let lapse = used();
    let config = lapse.home().join("config.toml");
    for text in [
        "use = \"local\"\n[profile.work\nbucket = 1\n",
        "\u{0}\u{1}",
        "[profile.x]\nprovider = 5\n",
        "expires = \"forever\"\n",
    ] {
        std::fs::write(&config, text).unwrap();
        let told = assert_fails(&lapse, &["share", "note.txt"], "config");
        let said = told.complaint();
        assert!(
            said.contains("line ") && said.contains("column ") && said.contains("config.toml"),
            "{said}"
        );
        assert_eq!(std::fs::read_to_string(&config).unwrap(), text);
        // A program that doesn't need it works.
        lapse.run(["list"]).success();
    }
    let told = assert_fails(&lapse, &["profile", "use", "local"], "config");
    assert!(told.complaint().contains("line "));
    assert_eq!(std::fs::read_to_string(&config).unwrap(), "expires = \"forever\"\n");
    std::fs::write(&config, b"use = \"\xff\"\n").unwrap();
    assert_fails(&lapse, &["share", "note.txt"], "config");
}

fn sql(database: &Path, statement: &str) -> Output {
    let script = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); print(db.execute(sys.argv[2]).fetchone()); db.commit()";
    Output::of(
        std::process::Command::new("python3").args(["-c", script]).arg(database).arg(statement),
    )
    .success()
}

#[test]
fn a_database_of_a_newer_lapse_is_left_alone() {
    let lapse = used();
    let database = lapse.home().join("lapse.db");
    sql(&database, "PRAGMA user_version = 9999");
    let before = std::fs::read(&database).unwrap();
    assert_fails(&lapse, &["list"], "database_newer");
    assert_fails(&lapse, &["share", "note.txt"], "database_newer");
    assert_eq!(std::fs::read(&database).unwrap(), before);
}

#[test]
fn a_damaged_database_is_told_and_left_alone() {
    let lapse = used();
    let database = lapse.home().join("lapse.db");
    sql(&database, "PRAGMA wal_checkpoint(TRUNCATE)");
    for damage in [b"this is no database at all, but long enough to be read as one".repeat(100), {
        let mut torn = std::fs::read(&database).unwrap();
        let end = torn.len();
        torn[100..end].fill(0xa5);
        torn
    }] {
        std::fs::write(&database, &damage).unwrap();
        assert_fails(&lapse, &["list"], "database_corrupt");
        assert_fails(&lapse, &["share", "note.txt"], "database_corrupt");
        assert_eq!(std::fs::read(&database).unwrap(), damage);
    }
}

#[test]
fn a_database_that_another_program_holds_is_told() {
    let lapse = used();
    let script = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute('BEGIN EXCLUSIVE'); print('held', flush=True); sys.stdin.read()";
    let mut holder = std::process::Command::new("python3");
    holder.args(["-c", script]).arg(lapse.home().join("lapse.db"));
    let held = lapse_tests::rig::Rig::start(&mut holder);
    assert_fails(&lapse, &["share", "note.txt"], "database_locked");
    drop(held);
    lapse.run(["share", "note.txt"]).success();
}

#[test]
fn a_store_of_a_newer_lapse_is_left_alone() {
    let lapse = used();
    let index = lapse.home().join("store/index.db");
    sql(&index, "PRAGMA user_version = 9999");
    assert_fails(&lapse, &["share", "note.txt"], "database_newer");
    assert!(sql(&index, "PRAGMA user_version").stdout.contains("9999"));
}

#[test]
fn a_port_that_is_taken_is_told_and_links_keep_theirs() {
    let lapse = Lapse::new();
    let share = lapse.share(&lapse.file("note.txt", "hello"), &[]);
    let address = share.link.0["http://".len()..].split('/').next().unwrap().to_owned();
    lapse.run(["store", "stop"]).success();
    let taken = std::net::TcpListener::bind(&address).unwrap();
    let told = assert_fails(&lapse, &["share", "note.txt"], "store_port");
    assert!(
        told.complaint().contains(address.split(':').nth(1).unwrap()),
        "the port isn't named: {told:#?}"
    );
    drop(taken);
    lapse.run(["share", "note.txt"]).success();
    share.link.get().assert_gives(b"hello", "note.txt");
}

#[test]
fn a_store_whose_index_is_gone_keeps_its_objects() {
    let lapse = used();
    lapse.run(["store", "stop"]).success();
    let store = lapse.home().join("store");
    for name in ["index.db", "index.db-wal", "index.db-shm"] {
        let _ = std::fs::remove_file(store.join(name));
    }
    let output = lapse.run(["share", "note.txt", "--json"]);
    assert_eq!((output.code, output.error_code().as_str()), (Some(1), "store"), "{output:#?}");
    assert!(output.error()["message"].as_str().unwrap().contains("index"), "{output:#?}");
    assert_eq!(std::fs::read_dir(store.join("blobs")).unwrap().count(), 1);
}

#[test]
fn what_is_no_configuration_file_is_told_at_once() {
    let lapse = Lapse::new();
    std::fs::create_dir_all(lapse.home()).unwrap();
    Output::of(lapse.any(&["mkfifo"]).arg(lapse.home().join("config.toml"))).success();
    let output = lapse.run(["profile", "list", "--json"]);
    assert_eq!((output.code, output.error_code().as_str()), (Some(1), "config"), "{output:#?}");
}

#[test]
fn a_clock_that_was_wrong_for_a_while_costs_no_file() {
    let lapse = Lapse::new();
    let share = lapse.share(&lapse.file("note.txt", "hello"), &[]);
    lapse.file("other.txt", "other");
    for _ in 0..2 {
        lapse.run(["store", "stop"]).success();
        let ahead =
            |words: &[&str]| Output::of(lapse.command(words).envs(clocks::off_by("+9d"))).success();
        ahead(&["share", "other.txt"]);
        ahead(&["share", "other.txt"]);
        lapse.run(["store", "stop"]).success();
        lapse.run(["share", "other.txt"]).success();
    }
    share.link.get().assert_gives(b"hello", "note.txt");
}
