//! A wrong clock for a single process.

use std::path::{Path, PathBuf};

/// The environment in which a process sees a time that is off, such as `-1h`. How fast time passes stays true.
pub fn off_by(offset: &str) -> [(&'static str, String); 4] {
    with("FAKETIME", offset.to_owned())
}

/// The same, by what a file says whenever the time is looked up.
pub fn off_as_told_by(file: &Path) -> impl Iterator<Item = (&'static str, String)> {
    let told = with("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap().to_owned());
    told.into_iter().chain([("FAKETIME_NO_CACHE", "1".to_owned())])
}

fn with(name: &'static str, value: String) -> [(&'static str, String); 4] {
    let library = std::fs::read_dir("/usr/lib")
        .unwrap()
        .flatten()
        .map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"))
        .find(|path| path.exists())
        .unwrap_or_else(|| PathBuf::from("libfaketime isn't installed"));
    [
        ("LD_PRELOAD", library.to_str().unwrap().to_owned()),
        (name, value),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
}
