//! Watched folders, as config.toml names them.

use std::path::Path;

use toml_edit::{Array, ArrayOfTables, Item, Table, value};

use super::{Settings, broken};
use crate::watch::{After, Changed, Rules, Scope, WatchedFolder};
use crate::{Code, Error, Result};

impl Settings {
    /// The watched folders, in the order of the file.
    pub fn folders(&self) -> Result<Vec<WatchedFolder>> {
        let tables = self.document.get("folder").and_then(Item::as_array_of_tables);
        let folder = |table| {
            folder_of(table).map_err(|(_, what)| Error::new(Code::Config, what, "Correct it."))
        };
        tables.into_iter().flatten().map(folder).collect()
    }

    /// A watched folder.
    pub(crate) fn folder(&self, path: &str) -> Result<WatchedFolder> {
        let found = self.folders()?.into_iter().find(|folder| folder.path == path);
        found.ok_or_else(|| no_such_folder(path))
    }

    /// Adds a folder, or puts it in the place of the one that was at `before`.
    pub(crate) fn set_folder(&mut self, before: &str, folder: &WatchedFolder) {
        let tables = self
            .document
            .entry("folder")
            .or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
        let Some(tables) = tables.as_array_of_tables_mut() else { return };
        let known = tables.iter_mut().find(|table| path_of(table) == Some(before));
        if let Some(table) = known {
            write(table, folder);
        } else {
            let mut table = Table::new();
            write(&mut table, folder);
            tables.push(table);
        }
    }

    pub(crate) fn remove_folder(&mut self, path: &str) {
        let tables = self.document.get_mut("folder").and_then(Item::as_array_of_tables_mut);
        let Some(tables) = tables else { return };
        tables.retain(|table| path_of(table) != Some(path));
        if tables.is_empty() {
            self.document.remove("folder");
        }
    }

    pub(super) fn check_folders(&self, text: &str) -> Result<()> {
        let item = self.document.get("folder");
        if item.is_some_and(|item| !item.is_array_of_tables()) {
            let start = text.find("folder").unwrap_or(0);
            let what = "folders are written as [[folder]] tables";
            return Err(broken(&self.path, text, start, what));
        }
        let tables = item.and_then(Item::as_array_of_tables).into_iter().flatten();
        let heads = text.match_indices("[[folder]]").map(|(at, _)| at).chain(std::iter::repeat(0));
        let mut folders: Vec<WatchedFolder> = Vec::new();
        for (table, head) in tables.zip(heads) {
            let wrong = |key: &str, what: &str| {
                let at = text[head..].find(key).map_or(head, |at| head + at);
                broken(&self.path, text, at, what)
            };
            let folder = folder_of(table).map_err(|(key, what)| wrong(&key, &what))?;
            Rules::of(&Scope::of(&folder))
                .map_err(|error| wrong("ignore", &error.message).caused_by(error))?;
            if let Some(other) = folders.iter().find(|other| folder.touches(other)) {
                let what = format!("it lies in {}, or that in it", other.path.escape_debug());
                return Err(wrong("path", &what));
            }
            folders.push(folder);
        }
        Ok(())
    }
}

fn path_of(table: &Table) -> Option<&str> {
    table.get("path").and_then(Item::as_str)
}

/// What is wrong is told with the key that it is about.
fn folder_of(table: &Table) -> Result<WatchedFolder, (String, String)> {
    const KEYS: [&str; 11] = [
        "path",
        "expires",
        "profile",
        "label",
        "ignore",
        "recursive",
        "copy",
        "paused",
        "changed",
        "after",
        "run",
    ];
    let wrong = |key: &str, what: &str| (key.to_owned(), what.to_owned());
    if let Some((key, _)) = table.iter().find(|(key, _)| !KEYS.contains(key)) {
        return Err(wrong(key, &format!("a folder has nothing called «{}»", key.escape_debug())));
    }
    let text = |key: &str| match table.get(key) {
        None => Ok(None),
        Some(item) => match item.as_str() {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(wrong(key, &format!("{key} must be text, in quotes"))),
        },
    };
    let is = |key: &str| match table.get(key) {
        None => Ok(false),
        Some(item) => {
            item.as_bool().ok_or_else(|| wrong(key, &format!("{key} must be true or false")))
        }
    };
    let list = |key: &str| -> Result<Vec<String>, _> {
        let Some(item) = table.get(key) else { return Ok(Vec::new()) };
        let texts = item.as_array().and_then(|array| {
            array.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>()
        });
        texts.ok_or_else(|| wrong(key, &format!("{key} must be a list of texts: [\"…\", \"…\"]")))
    };
    let path = text("path")?.ok_or_else(|| wrong("[[folder]]", "a folder has no path"))?;
    if !Path::new(&path).is_absolute() || path.contains('\0') {
        return Err(wrong("path", "the path of a folder must begin at /"));
    }
    let expires = text("expires")?.map(|text| text.parse()).transpose();
    let expires = expires.map_err(|error: Error| wrong("expires", &error.message))?;
    let changed = match text("changed")?.as_deref() {
        None | Some("new_share") => Changed::NewShare,
        Some("withdraw") => Changed::Withdraw,
        Some(_) => {
            return Err(wrong("changed", "changed must be \"new_share\" or \"withdraw\""));
        }
    };
    let after = match (text("after")?.as_deref(), list("run")?) {
        (None, run) if run.is_empty() => After::Nothing,
        (Some("move"), run) if run.is_empty() => After::Move,
        (None, run) if run[0].contains('/') && !run[0].starts_with('/') => {
            return Err(wrong("run", "the path of a program must begin at /"));
        }
        (None, run) => After::Run(run),
        _ => return Err(wrong("after", "after must be \"move\", or run a command")),
    };
    Ok(WatchedFolder {
        expires,
        profile: text("profile")?,
        label: text("label")?,
        ignore: list("ignore")?,
        recursive: is("recursive")?,
        copy: is("copy")?,
        paused: is("paused")?,
        changed,
        after,
        path,
    })
}

fn write(table: &mut Table, folder: &WatchedFolder) {
    let array = |list: &[String]| value(list.iter().collect::<Array>());
    let yes = |is: bool| is.then(|| value(true));
    let entries = [
        ("path", Some(value(&folder.path))),
        ("expires", folder.expires.map(|expires| value(expires.to_string()))),
        ("profile", folder.profile.as_ref().map(value)),
        ("label", folder.label.as_ref().map(value)),
        ("ignore", (!folder.ignore.is_empty()).then(|| array(&folder.ignore))),
        ("recursive", yes(folder.recursive)),
        ("copy", yes(folder.copy)),
        ("paused", yes(folder.paused)),
        ("changed", (folder.changed == Changed::Withdraw).then(|| value("withdraw"))),
        ("after", (folder.after == After::Move).then(|| value("move"))),
        (
            "run",
            match &folder.after {
                After::Run(run) => Some(array(run)),
                _ => None,
            },
        ),
    ];
    for (key, entry) in entries {
        match entry {
            Some(entry) => table.insert(key, entry),
            None => table.remove(key),
        };
    }
}

pub(crate) fn no_such_folder(path: &str) -> Error {
    Error::new(
        Code::NoSuchFolder,
        format!("{} isn't a watched folder", path.escape_debug()),
        "See them with `lapse watch list`.",
    )
}
