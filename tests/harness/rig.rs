//! Processes that live exactly as long as the test run: each ends when its standard input closes.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

/// A running process of `tests/servers/`, and the line that it printed when it was ready.
#[derive(Debug)]
pub struct Rig {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    /// What it printed when it was ready.
    pub ready: String,
}

impl Rig {
    /// Starts it and waits for its first line.
    pub fn start(command: &mut Command) -> Self {
        let mut rig = Self::spawn(command);
        rig.ready = rig.line();
        rig
    }

    /// The same of one that needs ports which another program may take in between: tried a few times.
    pub fn start_again(mut command: impl FnMut() -> Command) -> Self {
        for _ in 0..2 {
            let mut rig = Self::spawn(&mut command());
            if let Some(line) = rig.next_line() {
                rig.ready = line;
                return rig;
            }
        }
        Self::start(&mut command())
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("can't start {command:?}: {e}"));
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdin, stdout, ready: String::new() }
    }

    /// A bash script of `tests/servers/`.
    pub fn script(name: &str, args: &[&str]) -> Self {
        Self::start(Command::new(servers().join(name)).args(args))
    }

    /// Sends one line and waits for the answer.
    pub fn ask(&mut self, line: &str) -> String {
        let stdin = self.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").and_then(|()| stdin.flush()).expect("the rig is gone");
        self.line()
    }

    /// `NAME=value` of the ready line.
    pub fn variable(&self) -> (&str, &str) {
        self.ready.split_once('=').unwrap()
    }

    fn line(&mut self) -> String {
        self.next_line().unwrap_or_else(|| {
            panic!("a rig ended early: {:?} (its words are above)", self.child.wait())
        })
    }

    /// Nothing where it has ended.
    fn next_line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        (!line.is_empty()).then(|| line.trim_end().to_owned())
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

/// `tests/servers/`.
pub fn servers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("servers")
}

/// Python with what `tests/servers/requirements.txt` names.
pub fn python() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/servers/bin/python");
    assert!(path.exists(), "{} isn't there: `make test` sets it up", path.display());
    path
}

/// A fresh folder; it is gone after the test, or at the latest after the run.
pub fn scratch() -> TempDir {
    tempfile::Builder::new().prefix("t").tempdir_in(root()).unwrap()
}

/// The folder of this run. A janitor waits for the end of the run, however it ends, then stops every
/// store that still lives in it and removes it.
fn root() -> &'static Path {
    static ROOT: OnceLock<(PathBuf, Rig)> = OnceLock::new();
    let (root, _janitor) = ROOT.get_or_init(|| {
        let root = tempfile::Builder::new().prefix("lapse-tests-").tempdir().unwrap().keep();
        let janitor = Rig::script("janitor.sh", &[root.to_str().unwrap()]);
        (root, janitor)
    });
    root
}
