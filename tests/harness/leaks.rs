//! Looks for a secret in every place where one must not be.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// The command lines of all processes, looked at again and again until [`CommandLines::seen`].
#[derive(Debug)]
pub struct CommandLines {
    stop: Arc<AtomicBool>,
    watcher: JoinHandle<BTreeSet<Vec<u8>>>,
}

impl CommandLines {
    /// Begins to look.
    pub fn watch() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let watcher = std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while !stopped.load(Ordering::Relaxed) {
                let processes = std::fs::read_dir("/proc").unwrap().flatten();
                seen.extend(
                    processes
                        .filter_map(|process| std::fs::read(process.path().join("cmdline")).ok()),
                );
                std::thread::sleep(Duration::from_millis(5));
            }
            seen
        });
        Self { stop, watcher }
    }

    /// Every command line that there was.
    pub fn seen(self) -> BTreeSet<Vec<u8>> {
        self.stop.store(true, Ordering::Relaxed);
        self.watcher.join().unwrap()
    }
}

/// A secret in each form in which it could be written down.
pub fn forms(secret: &str) -> Vec<Vec<u8>> {
    let encoded = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    let mut forms = vec![secret.to_owned(), encoded.to_lowercase(), encoded];
    for alphabet in [STANDARD, URL_SAFE] {
        forms.extend((0..3).map(|shift| base64_inside(secret.as_bytes(), shift, alphabet)));
    }
    forms.into_iter().map(String::into_bytes).collect()
}

/// The files under a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&entry.path())),
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    found
}

/// Whether `needle` is in `hay`.
pub fn contains(hay: &[u8], needle: &[u8]) -> bool {
    hay.windows(needle.len()).any(|window| window == needle)
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The characters of base64 that depend on nothing but the secret, when `shift` bytes of a triple stand before it.
fn base64_inside(secret: &[u8], shift: usize, alphabet: &[u8; 64]) -> String {
    let first = (3 - shift) % 3;
    secret[first..]
        .chunks_exact(3)
        .flat_map(|triple| {
            let bits = triple.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
            [bits >> 18, bits >> 12 & 63, bits >> 6 & 63, bits & 63]
                .map(|six| char::from(alphabet[six]))
        })
        .collect()
}
