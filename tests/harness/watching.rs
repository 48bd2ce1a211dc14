//! `lapse watch run`, which ends with its value, and what a bucket holds.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::lapse::{Lapse, Output};
use crate::wait_for;

/// A watcher that runs.
#[derive(Debug)]
pub struct Watching {
    child: Child,
}

impl Watching {
    /// Starts it.
    pub fn start(lapse: &Lapse) -> Self {
        Self::of(&mut lapse.command(["watch", "run"]))
    }

    /// The same, as a command that was made for it.
    pub fn of(command: &mut Command) -> Self {
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self { child: quiet.spawn().unwrap() }
    }

    /// The same; what it says goes to a file.
    pub fn telling(command: &mut Command, log: &Path) -> Self {
        let log = std::fs::File::create(log).unwrap();
        let telling = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Self { child: telling.spawn().unwrap() }
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a crash would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, as systemd does, and gives its exit code.
    pub fn stop(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `lapse watch list --json` says of a folder.
pub fn folder(lapse: &Lapse, path: &Path) -> Value {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folders = lapse.run(["watch", "list", "--json"]).success().lines();
    let found = folders.iter().find(|folder| Path::new(folder["path"].as_str().unwrap()) == path);
    found.unwrap_or_else(|| panic!("{} isn't in {folders:?}", path.display())).clone()
}

/// Waits until so many files of a folder were shared and none waits.
pub fn wait_until_shared(lapse: &Lapse, path: &Path, count: u64, longest: Duration) {
    wait_for("shared files", longest, || {
        let folder = folder(lapse, path);
        (folder["shared"].as_u64() >= Some(count) && folder["waiting"] == 0).then_some(())
    });
}

/// The objects of the profile's bucket: how many there are of each content, by its MD5.
pub fn contents(lapse: &Lapse) -> HashMap<String, usize> {
    let (caller, bucket) = lapse.bucket();
    let mut found = HashMap::new();
    let mut after = Value::Null;
    loop {
        let mut args = json!({ "Bucket": bucket });
        if after.is_string() {
            args["ContinuationToken"] = after;
        }
        let listed = caller.s3("list_objects_v2", &args).unwrap();
        for object in listed["Contents"].as_array().into_iter().flatten() {
            let key = object["Key"].as_str().unwrap();
            if !key.contains(".lapse-check") {
                let etag = object["ETag"].as_str().unwrap().trim_matches('"').to_owned();
                *found.entry(etag).or_default() += 1;
            }
        }
        match listed.get("NextContinuationToken") {
            Some(next) => after = next.clone(),
            None => return found,
        }
    }
}

/// The MD5 of each file in a folder and below it.
pub fn sums(folder: &Path) -> HashMap<PathBuf, String> {
    let mut find = Command::new("find");
    find.arg(folder).args(["-type", "f", "-exec", "md5sum", "--zero", "--", "{}", "+"]);
    let listed = find.output().unwrap().stdout;
    let lines = listed.split(|byte| *byte == 0).filter(|line| !line.is_empty());
    let path = |bytes: &[u8]| {
        PathBuf::from(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes))
    };
    lines.map(|line| (path(&line[34..]), String::from_utf8(line[..32].to_vec()).unwrap())).collect()
}

/// Adds a folder, which must work.
pub fn add(lapse: &Lapse, folder: &Path, more: &[&str]) -> Output {
    let mut words = vec!["watch", "add", folder.to_str().unwrap()];
    words.extend(more);
    lapse.run(words).success()
}
