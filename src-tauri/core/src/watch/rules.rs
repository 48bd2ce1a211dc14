//! Which names in a watched folder are left alone.

use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use serde::{Deserialize, Serialize};

use super::{After, SHARED, WatchedFolder};
use crate::{Code, Error, Result};

/// Keys and settings that nobody means to share, and names under which programs write what isn't whole yet. A person's
/// patterns come after these, so `!*.key` lets keys in.
const LEFT_ALONE: &[&str] = &[
    ".*",
    "*.pem",
    "*.key",
    "id_*",
    "desktop.ini",
    "Thumbs.db",
    "*.part",
    "*.partial",
    "*.crdownload",
    "*.opdownload",
    "*.download",
    "*.tmp",
    "~$*",
    "*~",
    "*.swp",
    "*.!qB",
];

/// Which files of a folder are looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Scope {
    /// The folders in it too.
    pub(super) recursive: bool,
    /// A person's patterns.
    ignore: Vec<String>,
    /// Shared files are moved to a folder in it.
    moves: bool,
}

impl Scope {
    pub(crate) fn of(folder: &WatchedFolder) -> Self {
        Self {
            recursive: folder.recursive,
            ignore: folder.ignore.clone(),
            moves: folder.after == After::Move,
        }
    }
}

/// The rules of one folder.
#[derive(Debug, Clone)]
pub(crate) struct Rules(Gitignore);

impl Rules {
    pub(crate) fn of(scope: &Scope) -> Result<Self> {
        let wrong = |pattern: &str, error: &ignore::Error| {
            Error::new(
                Code::Folder,
                format!("«{}» is no pattern: {error}", pattern.escape_debug()),
                "Patterns are those of .gitignore: *.log, /drafts/, !keep.log.",
            )
        };
        let mut builder = GitignoreBuilder::new("");
        // As on file systems that don't tell A from a.
        builder.case_insensitive(true).map_err(|error| wrong("", &error))?;
        let own = scope.ignore.iter().map(String::as_str);
        let moved = scope.moves.then(|| format!("/{SHARED}/"));
        for pattern in LEFT_ALONE.iter().copied().chain(own).chain(moved.as_deref()) {
            if pattern.contains(char::is_control) {
                let what = format!("«{}» is no pattern", pattern.escape_debug());
                return Err(Error::new(Code::Folder, what, "Give each pattern by itself."));
            }
            builder.add_line(None, pattern).map_err(|error| wrong(pattern, &error))?;
        }
        builder.build().map(Self).map_err(|error| wrong("", &error))
    }

    /// Whether a name below the folder is left alone, its folders' names not looked at.
    pub(super) fn leave(&self, path: &Path, is_dir: bool) -> bool {
        self.0.matched(path, is_dir).is_ignore()
    }

    /// The same, with its folders' names.
    pub(super) fn leave_whole(&self, path: &Path, is_dir: bool) -> bool {
        self.0.matched_path_or_any_parents(path, is_dir).is_ignore()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_halves_are_left_alone_and_a_person_decides_last() {
        let scope = |ignore: &[&str]| Scope {
            ignore: ignore.iter().map(|&pattern| pattern.to_owned()).collect(),
            ..Scope::of(&WatchedFolder::at("/x"))
        };
        let rules = |ignore: &[&str]| Rules::of(&scope(ignore)).expect("rules");
        let plain = rules(&[]);
        for name in [
            ".env",
            ".git",
            "a.PEM",
            "server.key",
            "id_rsa",
            "x.part",
            "~$a.docx",
            "b.tmp",
            "a.txt~",
        ] {
            assert!(plain.leave(Path::new(name), false), "{name}");
            assert!(plain.leave_whole(&Path::new("sub").join(name), false), "{name}");
        }
        assert!(plain.leave_whole(Path::new(".git/config"), false));
        for name in ["a.png", "key.txt", "-", " ", "environment", "a.part.png", "tmp"] {
            assert!(!plain.leave(Path::new(name), false), "{name}");
        }
        let own = rules(&["*.log", "!server.key", "/drafts/"]);
        assert!(own.leave(Path::new("a.log"), false));
        assert!(!own.leave(Path::new("server.key"), false));
        assert!(own.leave_whole(Path::new("drafts/a.png"), false));
        assert!(!own.leave_whole(Path::new("x/drafts/a.png"), false));
        assert!(Rules::of(&scope(&["a{"])).is_err());
    }
}
