//! The local store with S3 clients that nobody here wrote. Each is told where to go as a person would tell it: a
//! shell evaluates `lapse store env`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lapse_tests::{Lapse, Output};

mod browser;
mod commands;
mod python;

/// A shell that knows the store, about to run `script` with `words`.
fn shell(lapse: &Lapse, script: &str, words: &[&str]) -> Command {
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/clients/bin");
    assert!(clients.exists(), "{} isn't there: `make test` sets it up", clients.display());
    let script = format!(
        "set -eu; eval \"$('{}' store env)\"; PATH='{}':$PATH; {script}",
        lapse_tests::lapse::binary().display(),
        clients.display()
    );
    let mut command = lapse.any(&[&["bash", "-c", &script, "bash"], words].concat());
    command.stdin(Stdio::null());
    command
}

/// Runs one function of a Python script of this folder; its assertions end it with another code than 0.
fn python(lapse: &Lapse, script: &str, function: &str) {
    let script = folder().join(script);
    let words = [script.to_str().unwrap(), function];
    Output::of(&mut shell(lapse, "exec python \"$@\"", &words)).success();
}

/// Each function of a Python script, as a test with a store of its own.
macro_rules! functions_of {
    ($script:literal: $($function:ident),+ $(,)?) => {$(
        #[test]
        fn $function() {
            crate::clients::python(&lapse_tests::Lapse::new(), $script, stringify!($function));
        }
    )+};
}
use functions_of;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// The names of the files in which the store keeps bytes: each put and each part makes a new one.
fn blobs(lapse: &Lapse) -> Vec<String> {
    let entries = std::fs::read_dir(lapse.home().join("store/blobs")).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
