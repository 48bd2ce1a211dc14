//! The keychain, chosen and changed while Lapse runs.

use std::io::Write;

use lapse_core::event::Silent;
use lapse_core::keychain::Sensitive;
use lapse_core::profile::{Draft, SignIn};
use lapse_core::{Code, Home, KeychainChoice, KeychainKind, Options, StoreHost};
use lapse_tests::{Lapse, Output, Place, Server, leaks};

use super::Core;

fn passphrase(text: &str) -> KeychainChoice {
    KeychainChoice::Passphrase(Sensitive::new(text.to_owned()))
}

fn start(cli: Lapse) -> Core {
    Core::with(cli, KeychainChoice::FromEnv, StoreHost::Nobody)
}

async fn add(core: &Core, place: &Place) -> lapse_core::Result<()> {
    let draft = Draft {
        name: "work".to_owned(),
        provider: "seaweedfs".to_owned(),
        endpoint: Some(place.user.endpoint.clone()),
        region: Some("us-east-1".to_owned()),
        bucket: place.bucket.clone(),
        path_style: Some(true),
        sign_in: Some(SignIn::AccessKey(place.user.access_key.clone())),
        ..Draft::default()
    };
    let secret = Sensitive::new(place.user.secret_key.clone());
    core.add_profile(draft, Some(secret), false).await.map(drop)
}

async fn state(core: &Core) -> (KeychainKind, Option<Code>, bool) {
    let state = core.keychain_state().await.unwrap();
    (state.kind, state.error.map(|error| error.code), state.has_passphrase_file)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passphrase_file_is_asked_for_at_the_next_start() {
    let place = Server::SeaweedFs.place();
    let core = start(Lapse::new());
    core.use_keychain(passphrase("correct horse")).await.unwrap();
    assert_eq!(state(&core).await, (KeychainKind::PassphraseFile, None, false));
    add(&core, &place).await.unwrap();
    let file = core.cli.file("note.txt", "hello");
    let shared = core.share_file(&file).await.unwrap();

    let Core { lapse, cli, .. } = core;
    drop(lapse);
    let cli = std::sync::Arc::into_inner(cli).unwrap();
    // The command line has no passphrase, and says so.
    let output = cli.run(["share", "note.txt", "--json"]);
    assert_eq!(output.error_code(), "keychain_locked", "{output:#?}");
    let told = Output::of(&mut cli.command(["share", "note.txt"]));
    assert!(told.complaint().contains("passphrase"), "{told:#?}");

    let core = start(cli);
    let locked = (KeychainKind::PassphraseFile, Some(Code::KeychainLocked), true);
    assert_eq!(state(&core).await, locked);
    let id = &shared.share.id;
    assert_eq!(core.link(id).await.unwrap_err().code, Code::KeychainLocked);
    let wrong = core.use_keychain(passphrase("wrong horse")).await.unwrap_err();
    assert_eq!(wrong.code, Code::Passphrase);
    assert_eq!(state(&core).await, locked, "a wrong passphrase changes nothing");
    core.use_keychain(passphrase("correct horse")).await.unwrap();
    assert_eq!(core.link(id).await.unwrap().url.expose(), shared.url.expose());

    for file in leaks::files(&core.cli.home()) {
        let content = std::fs::read(&file).unwrap();
        for secret in ["correct horse", &place.user.secret_key] {
            assert!(!leaks::contains(&content, secret.as_bytes()), "in {}", file.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_for_this_run_only_are_gone_after_it_and_the_choice_too() {
    let place = Server::SeaweedFs.place();
    // No session bus, so no keychain of the system.
    let core = start(Lapse::new());
    let absent = (KeychainKind::System, Some(Code::KeychainAbsent), false);
    assert_eq!(state(&core).await, absent);
    assert_eq!(add(&core, &place).await.unwrap_err().code, Code::KeychainAbsent);
    core.use_keychain(KeychainChoice::ThisRun).await.unwrap();
    assert_eq!(state(&core).await, (KeychainKind::ThisRun, None, false));
    add(&core, &place).await.unwrap();
    core.share_file(&core.cli.file("note.txt", "hello")).await.unwrap();
    core.use_keychain(KeychainChoice::System).await.unwrap();
    assert_eq!(state(&core).await, absent);
    let config = std::fs::read_to_string(core.cli.home().join("config.toml")).unwrap();
    assert!(!config.contains("keychain"), "{config}");
}

#[test]
fn a_choice_that_is_none_is_told_with_its_line() {
    let lapse = Lapse::new();
    std::fs::create_dir_all(lapse.home()).unwrap();
    std::fs::write(lapse.home().join("config.toml"), "\nkeychain = \"clear_text\"\n").unwrap();
    let output = lapse.run(["profile", "list", "--json"]);
    assert_eq!(output.error_code(), "config", "{output:#?}");
    assert!(output.error()["message"].as_str().unwrap().contains("line 2, column 1"));
}

/// The environment names the session bus, and that of a process can't change: so a child looks.
fn states_seen_by_a_child(lapse: &Lapse) -> String {
    let mut child = lapse.any(&[std::env::current_exe().unwrap()]);
    child.args(["core::keychain::child_tells_the_state", "--exact", "--nocapture"]);
    let output = Output::of(child.env("LAPSE_TESTS_CHILD", "1")).success().stdout;
    let line = output.lines().find_map(|line| line.split_once("state: "));
    line.unwrap().1.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn child_tells_the_state() {
    if std::env::var_os("LAPSE_TESTS_CHILD").is_none() {
        return;
    }
    let home = Home::from_env().unwrap();
    let lapse = lapse_core::Lapse::open(Options {
        home,
        keychain: KeychainChoice::FromEnv,
        store_host: StoreHost::Nobody,
        sink: std::sync::Arc::new(Silent),
    })
    .unwrap();
    let seen = lapse.keychain_state().await.unwrap().error.map(|error| error.code);
    let unlocked = lapse.unlock_keychain().await.err().map(|error| error.code);
    writeln!(std::io::stdout(), "state: {seen:?} {unlocked:?}").unwrap();
}

#[test]
fn a_keychain_that_is_locked_or_absent_is_seen_without_a_prompt() {
    let mut lapse = Lapse::with_keychain("present");
    assert_eq!(states_seen_by_a_child(&lapse), "None None");
    lapse.keyring().ask("lock");
    let locked = "Some(KeychainLocked) Some(KeychainLocked)";
    assert_eq!(states_seen_by_a_child(&lapse), locked);
    lapse.keyring().ask("unlock");
    assert_eq!(states_seen_by_a_child(&lapse), "None None");
    let absent = "Some(KeychainAbsent) Some(KeychainAbsent)";
    assert_eq!(states_seen_by_a_child(&Lapse::with_keychain("absent")), absent);
}
