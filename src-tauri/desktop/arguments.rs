//! The words after `lapse-desktop`, of this start or of a second one that hands them over.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tauri::AppHandle;

use crate::{intake, window};

/// Starts without showing the window: at login.
pub(crate) const HIDDEN: &str = "--hidden";

/// What the words ask for.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    /// Files to share.
    pub(crate) files: Vec<PathBuf>,
    /// Whether the window stays out of sight.
    pub(crate) hidden: bool,
}

/// Of this process.
pub(crate) fn of_this_start() -> Arguments {
    parse(std::env::args_os(), &std::env::current_dir().unwrap_or_default())
}

/// Of a process that found this one running, with the folder it was started in.
pub(crate) fn from_second_start(app: &AppHandle, words: Vec<String>, folder: &str) {
    let arguments = parse(words.into_iter().map(OsString::from), Path::new(folder));
    if !arguments.hidden {
        window::show(app);
    }
    intake::take_paths(app, arguments.files);
}

/// Starts this program anew with its files as addresses, where a name among them isn't UTF-8: what hands the words to
/// the Lapse that runs carries text alone.
pub(crate) fn as_addresses() {
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt as _;

        if std::env::args_os().all(|word| word.to_str().is_some()) {
            return;
        }
        let Arguments { files, hidden } = of_this_start();
        let Ok(program) = std::env::current_exe() else { return };
        let mut again = std::process::Command::new(program);
        if hidden {
            again.arg(HIDDEN);
        }
        again.arg("--").args(files.iter().filter_map(|file| address_of(file)));
        // It gives back only an error; then the names are told as what they became.
        let error = again.exec();
        tracing::warn!(%error, "can't start anew");
    }
}

#[cfg(unix)]
fn address_of(file: &Path) -> Option<String> {
    tauri::Url::from_file_path(file).ok().map(String::from)
}

fn parse(words: impl Iterator<Item = OsString>, folder: &Path) -> Arguments {
    let mut arguments = Arguments::default();
    let mut only_files = false;
    for word in words.skip(1) {
        if !only_files && word == "--" {
            only_files = true;
        } else if !only_files && word == HIDDEN {
            arguments.hidden = true;
        } else {
            // A file manager may hand over a file by its address.
            let path = word.to_str().and_then(file_of_address).unwrap_or_else(|| word.into());
            arguments.files.push(folder.join(path));
        }
    }
    arguments
}

fn file_of_address(word: &str) -> Option<PathBuf> {
    tauri::Url::parse(word).ok().filter(|url| url.scheme() == "file")?.to_file_path().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Arguments {
        let words = ["lapse-desktop"].iter().chain(words).map(OsString::from);
        parse(words, Path::new("/home/me"))
    }

    #[test]
    fn words_are_files_from_the_folder_of_the_start() {
        let arguments = parsed(&["a b.txt", "/etc/hosts", "file:///tmp/%C3%BC.txt", "https://x/y"]);
        let files = ["/home/me/a b.txt", "/etc/hosts", "/tmp/ü.txt", "/home/me/https://x/y"];
        assert_eq!(arguments.files, files.map(PathBuf::from));
        assert!(!arguments.hidden);
    }

    #[cfg(unix)]
    #[test]
    fn an_address_carries_any_name() {
        use std::os::unix::ffi::OsStrExt as _;
        let file = Path::new("/home/me").join(std::ffi::OsStr::from_bytes(b"odd \xff%.txt"));
        let address = address_of(&file).unwrap();
        assert_eq!(parsed(&["--", &address]).files, [file]);
    }

    #[test]
    fn a_file_may_be_called_like_an_option() {
        let arguments = parsed(&["--hidden", "--", "--hidden"]);
        assert!(arguments.hidden);
        assert_eq!(arguments.files, [PathBuf::from("/home/me/--hidden")]);
    }
}
