//! What the command line says and does.

use lapse_tests::Output;

mod clipboard;
mod completions;
mod folders;
mod leaks;
mod profiles;
mod sharing;
mod store;
mod usage;
mod words;

/// What differs from run to run, and what stands for it in a snapshot.
const VARIABLE: &[(&str, &str)] = &[
    (r"http://127\.0\.0\.1:\d+/lapse/\S+", "[LINK]"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:[PORT]"),
    (r"/\S*/lapse-tests-[^/]+/t[^/]+/", "[FOLDER]/"),
    (r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z", "[TIME]"),
    (r"(\d{4}-\d{2}-\d{2} )?\b\d{2}:\d{2}(:\d{2})?\b", "[CLOCK]"),
    (r"\b[a-z2-7]{26}\b", "[RANDOM]"),
    (r"\bLAPS[A-Z0-9]{16}\b", "[KEY]"),
    (r"\bpid \d+|process \d+", "process [PID]"),
];

/// Everything that was printed, for a snapshot.
fn shown(output: &Output) -> String {
    let code = output.code.map_or("a signal".to_owned(), |code| code.to_string());
    format!("exit: {code}\n--- stdout\n{}--- stderr\n{}", output.stdout, output.stderr)
}

/// Compares what was printed with the snapshot of this name; `id` is a share's, which differs too.
macro_rules! assert_shown {
    ($name:expr, $output:expr) => {
        crate::cli::assert_shown!($name, $output, "no id")
    };
    ($name:expr, $output:expr, $id:expr) => {
        insta::with_settings!({
            filters => std::iter::once((&*$id, "[ID]")).chain(crate::cli::VARIABLE.iter().copied()).collect::<Vec<_>>(),
            snapshot_path => "snapshots",
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, { insta::assert_snapshot!($name, crate::cli::shown(&$output)); })
    };
}
use assert_shown;
