//! The profiles of the AWS tools.

use std::io::Write;
use std::sync::Arc;

use lapse_core::event::Silent;
use lapse_core::{Home, KeychainChoice, Options, StoreHost};
use lapse_tests::{Lapse, Output};

/// The environment names the files, and that of a process can't change: so a child looks.
fn names_seen_by_a_child(lapse: &Lapse) -> String {
    let mut child = lapse.any(&[std::env::current_exe().unwrap()]);
    child.args(["core::aws::child_names_the_profiles", "--exact", "--nocapture"]);
    let output = Output::of(child.env("LAPSE_TESTS_CHILD", "1")).success().stdout;
    let line = output.lines().find_map(|line| line.split_once("names: "));
    line.unwrap().1.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn child_names_the_profiles() {
    if std::env::var_os("LAPSE_TESTS_CHILD").is_none() {
        return;
    }
    let lapse = lapse_core::Lapse::open(Options {
        home: Home::from_env().unwrap(),
        keychain: KeychainChoice::ThisRun,
        store_host: StoreHost::Nobody,
        sink: Arc::new(Silent),
    })
    .unwrap();
    writeln!(std::io::stdout(), "names: {}", lapse.aws_profiles().await.join(" ")).unwrap();
}

#[test]
fn the_profiles_of_both_aws_files_are_named() {
    let mut lapse = Lapse::new();
    assert_eq!(names_seen_by_a_child(&lapse), "");
    let config = "[default]\nregion = us-east-1\n[profile work]\nregion = eu-central-1\n[sso-session s]\nsso_region = us-east-1\n";
    lapse.set("AWS_CONFIG_FILE", lapse.file("config", config));
    let keys = "[old]\naws_access_key_id = A\naws_secret_access_key = B\n";
    lapse.set("AWS_SHARED_CREDENTIALS_FILE", lapse.file("credentials", keys));
    assert_eq!(names_seen_by_a_child(&lapse), "default old work");
}
