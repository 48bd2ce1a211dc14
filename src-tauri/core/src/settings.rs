//! `config.toml`: profiles and preferences. A person may edit it; comments and order survive ours.

mod folders;
mod preferences;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
pub use preferences::{Preferences, Theme, Window};
use toml_edit::{DocumentMut, Item, Table, value};

use crate::home::{Home, create_private_file};
use crate::local::Lan;
use crate::profile::{Draft, Endpoint, LOCAL, Profile, SignIn, Signer};
use crate::share::{Expiry, Fingerprint};
use crate::{Code, Error, Result};

/// No person writes more by hand.
const LARGEST: u64 = 1024 * 1024;

/// What `keychain` says when secrets are in the encrypted file.
const PASSPHRASE_FILE: &str = "passphrase_file";

/// What the person chose, as it stood when it was read.
#[derive(Debug)]
pub struct Settings {
    path: PathBuf,
    document: DocumentMut,
}

/// A file that was written less than this before it was read may change without its time telling that.
const SETTLED: Duration = Duration::from_secs(2);

/// The file as it was read last: many shares ask for it, and it seldom changes.
#[derive(Debug, Default)]
pub(crate) struct LastRead(Mutex<Option<(Fingerprint, Arc<Settings>)>>);

impl LastRead {
    /// The file as it stands now.
    pub(crate) fn read(&self, path: &Path) -> Result<Arc<Settings>> {
        let found = fs::metadata(path).ok();
        let now = found.as_ref().map(Fingerprint::of);
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((before, settings)) = &*last
            && now == Some(*before)
        {
            return Ok(Arc::clone(settings));
        }
        let settings = Arc::new(Settings::read(path)?);
        let age = found.and_then(|found| found.modified().ok()?.elapsed().ok());
        let settled = now.filter(|_| age.is_some_and(|age| age >= SETTLED));
        *last = settled.map(|now| (now, Arc::clone(&settings)));
        Ok(settings)
    }
}

impl Settings {
    /// Reads the file; one that isn't there is an empty one.
    pub fn read(path: &Path) -> Result<Self> {
        // A pipe or a device in its place could be read for ever.
        if fs::metadata(path).is_ok_and(|found| !found.is_file() || found.len() > LARGEST) {
            return Err(Error::new(
                Code::Config,
                format!("{} isn't a configuration file", path.display()),
                "Put the right file in its place; Lapse has left this one as it is.",
            ));
        }
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(Error::disk("read", path, error)),
        };
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes());
            broken(path, &text, good, "this isn't UTF-8 text")
        })?;
        let document = text.parse().map_err(|error: toml_edit::TomlError| {
            let start = error.span().map_or(0, |span| span.start);
            broken(path, &text, start, error.message())
        })?;
        let settings = Self { path: path.to_owned(), document };
        settings.check(&text)?;
        Ok(settings)
    }

    /// Changes the file as it stands now: nobody else's change is lost.
    pub(crate) fn change(home: &Home, change: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let path = home.config_lock();
        let failed = |error| Error::disk("write", &path, error);
        let lock = create_private_file(&path).map_err(failed)?;
        lock.lock().map_err(failed)?;
        let mut settings = Self::read(&home.config_file())?;
        change(&mut settings)?;
        settings.write()
    }

    /// A file whose values can't be used is told at once, not when a profile happens to be wanted.
    fn check(&self, text: &str) -> Result<()> {
        for name in self.names() {
            self.profile(&name).map_err(|error| {
                let start = text
                    .find(&format!("[profile.{name}]"))
                    .or_else(|| text.find(&name))
                    .unwrap_or(0);
                broken(&self.path, text, start, &format!("profile «{name}»: {}", error.message))
                    .caused_by(error)
            })?;
        }
        if self.document.get("use").is_some_and(|item| !item.is_str()) {
            return Err(broken(
                &self.path,
                text,
                text.find("use").unwrap_or(0),
                "use must be a profile's name",
            ));
        }
        if self.document.get("profile").is_some_and(|item| !item.is_table_like()) {
            return Err(broken(
                &self.path,
                text,
                text.find("profile").unwrap_or(0),
                "profile must be a table",
            ));
        }
        let keychain = self.document.get("keychain").map(|item| item.as_str().unwrap_or("\0"));
        if !matches!(keychain, None | Some("system" | PASSPHRASE_FILE)) {
            return Err(broken(
                &self.path,
                text,
                text.find("keychain").unwrap_or(0),
                "keychain must be \"system\" or \"passphrase_file\"",
            ));
        }
        self.check_store(text)?;
        self.check_preferences(text)?;
        self.check_folders(text)?;
        let unknown = |name: &str| {
            !["use", "expires", "upload_limit", "keychain", "profile", "store", "window", "folder"]
                .contains(&name)
        };
        if let Some((name, _)) = self.document.iter().find(|(name, _)| unknown(name)) {
            let what = format!("nothing is called «{}»", name.escape_debug());
            return Err(broken(&self.path, text, text.find(name).unwrap_or(0), &what));
        }
        self.default_expiry().map_err(|error| {
            broken(&self.path, text, text.find("expires").unwrap_or(0), &error.message)
                .caused_by(error)
        })?;
        Ok(())
    }

    fn check_store(&self, text: &str) -> Result<()> {
        let Some(store) = self.document.get("store") else { return Ok(()) };
        let get = |key: &str| store.get(key).map(|item| item.as_str().unwrap_or("\0"));
        let wrong = if !store.is_table_like() {
            Some("store must be a table")
        } else if !matches!(get("listen"), None | Some("loopback" | "lan")) {
            Some("listen must be \"loopback\" or \"lan\"")
        } else if get("listen") == Some("lan") && self.lan().is_none() {
            Some("to listen in a local network, run: lapse store listen lan")
        } else {
            None
        };
        let start = text.find("listen").or_else(|| text.find("store")).unwrap_or(0);
        wrong.map_or(Ok(()), |wrong| Err(broken(&self.path, text, start, wrong)))
    }

    /// Where the local store is to listen in the local network, if it is.
    pub(crate) fn lan(&self) -> Option<Lan> {
        let store = self.document.get("store")?;
        let text = |key: &str| store.get(key).and_then(Item::as_str);
        let interface = text("interface")?.to_owned();
        let network = text("network")?.parse().ok()?;
        (text("listen") == Some("lan")).then_some(Lan { interface, network })
    }

    /// When the store left the local network because that changed (RFC 3339).
    pub(crate) fn lan_ended_at(&self) -> Option<String> {
        self.document.get("store")?.get("lan_ended_at")?.as_str().map(str::to_owned)
    }

    /// Lets the local store listen in a local network.
    pub(crate) fn set_lan(&mut self, lan: &Lan) {
        self.set_store("lan", [Some(&lan.interface), Some(&lan.network.to_string()), None]);
    }

    /// Lets the local store listen on this computer only; `ended_at` when the network made it so.
    pub(crate) fn set_loopback(&mut self, ended_at: Option<Timestamp>) {
        let ended_at = ended_at.map(|at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        self.set_store("loopback", [None, None, ended_at.as_ref()]);
    }

    fn set_store(&mut self, listen: &str, others: [Option<&String>; 3]) {
        let store = self.document.entry("store").or_insert_with(|| Item::Table(Table::new()));
        let Some(store) = store.as_table_like_mut() else { return };
        store.insert("listen", value(listen));
        for (key, text) in ["interface", "network", "lan_ended_at"].into_iter().zip(others) {
            match text {
                Some(text) => store.insert(key, value(text)),
                None => store.remove(key),
            };
        }
    }

    /// Whether secrets are kept in the encrypted file, not in the system's keychain.
    pub(crate) fn keeps_secrets_in_file(&self) -> bool {
        self.document.get("keychain").and_then(Item::as_str) == Some(PASSPHRASE_FILE)
    }

    pub(crate) fn set_keeps_secrets_in_file(&mut self, in_file: bool) {
        if in_file {
            self.document["keychain"] = value(PASSPHRASE_FILE);
        } else {
            self.document.remove("keychain");
        }
    }

    /// The names of the profiles in the file, in its order.
    pub fn names(&self) -> Vec<String> {
        let profiles = self.document.get("profile").and_then(Item::as_table_like);
        profiles
            .map_or_else(Vec::new, |table| table.iter().map(|(name, _)| name.to_owned()).collect())
    }

    /// The name of the profile in use.
    pub fn current(&self) -> String {
        let named = self.document.get("use").and_then(Item::as_str);
        named.unwrap_or(LOCAL).to_owned()
    }

    /// How long a link lives when nothing is said.
    pub fn default_expiry(&self) -> Result<Expiry> {
        match self.document.get("expires") {
            None => Ok(Expiry::DAY),
            Some(item) => item.as_str().unwrap_or_default().parse(),
        }
    }

    /// A profile of the file.
    pub fn profile(&self, name: &str) -> Result<Profile> {
        let table = self.table(name).ok_or_else(|| no_such_profile(name))?;
        let text = |key: &str| table.get(key).and_then(Item::as_str).map(str::to_owned);
        let sign_in = match (text("access_key"), text("aws_profile"), text("sign_in").as_deref()) {
            (Some(id), None, None) => Some(SignIn::AccessKey(id)),
            (None, Some(profile), None) => Some(SignIn::AwsProfile(profile)),
            (None, None, Some("aws")) => Some(SignIn::AwsDefault),
            _ => None,
        };
        let signer = text("signer").map(|access_key| -> Result<Signer> {
            Ok(Signer {
                access_key,
                user: text("signer_user").unwrap_or_default(),
                rotator: text("rotator"),
                admin_endpoint: text("admin_endpoint")
                    .map(|text| Endpoint::parse(&text))
                    .transpose()?,
            })
        });
        let signer = signer.transpose()?;
        Draft {
            name: name.to_owned(),
            provider: text("provider").unwrap_or_else(|| "other".to_owned()),
            endpoint: text("endpoint"),
            region: text("region"),
            bucket: text("bucket").unwrap_or_default(),
            prefix: text("prefix"),
            path_style: table.get("path_style").and_then(Item::as_bool),
            sign_in,
            signer,
            ca_file: text("ca_file").map(PathBuf::from),
            clean_up: text("clean_up"),
        }
        .build()
    }

    fn table(&self, name: &str) -> Option<&dyn toml_edit::TableLike> {
        self.document.get("profile")?.as_table_like()?.get(name)?.as_table_like()
    }

    /// Adds a profile.
    pub fn add(&mut self, profile: &Profile) -> Result<()> {
        let mut table = Table::new();
        let mut set = |key: &str, text: &str| table.insert(key, value(text));
        set("provider", profile.provider.id);
        set("endpoint", &profile.endpoint.to_string());
        set("region", &profile.region);
        set("bucket", &profile.bucket);
        if !profile.prefix.is_empty() {
            set("prefix", &profile.prefix);
        }
        match &profile.sign_in {
            SignIn::AccessKey(id) => set("access_key", id),
            SignIn::AwsProfile(name) => set("aws_profile", name),
            SignIn::AwsDefault | SignIn::LocalStore => set("sign_in", "aws"),
        };
        if let Some(file) = &profile.ca_file {
            set("ca_file", &file.to_string_lossy());
        }
        if let Some(signer) = &profile.signer {
            insert_signer(&mut table, signer);
        }
        table.insert("clean_up", value(profile.clean_up.to_string()));
        table.insert("path_style", value(profile.path_style));
        let profiles = self.document.entry("profile").or_insert_with(|| {
            let mut table = Table::new();
            table.set_implicit(true);
            Item::Table(table)
        });
        if let Some(profiles) = profiles.as_table_like_mut() {
            profiles.insert(&profile.name, Item::Table(table));
        }
        Ok(())
    }

    /// Names the user of a profile that signs its links from now on.
    pub(crate) fn set_signer(&mut self, name: &str, signer: &Signer) -> Result<()> {
        let profiles = self.document.get_mut("profile").and_then(Item::as_table_like_mut);
        let table =
            profiles.and_then(|table| table.get_mut(name)).and_then(Item::as_table_like_mut);
        let table = table.ok_or_else(|| no_such_profile(name))?;
        insert_signer(table, signer);
        Ok(())
    }

    /// Puts one access key in the place of another, in every profile that names it.
    pub(crate) fn replace_key(&mut self, old: &str, new: &str) {
        for name in self.names() {
            let profiles = self.document.get_mut("profile").and_then(Item::as_table_like_mut);
            let table = profiles.and_then(|table| table.get_mut(&name));
            let Some(table) = table.and_then(Item::as_table_like_mut) else { continue };
            for place in ["access_key", "signer"] {
                if table.get(place).and_then(Item::as_str) == Some(old) {
                    table.insert(place, value(new));
                }
            }
        }
    }

    /// Removes a profile.
    pub fn remove(&mut self, name: &str) -> Result<()> {
        let profiles = self.document.get_mut("profile").and_then(Item::as_table_like_mut);
        profiles.and_then(|table| table.remove(name)).ok_or_else(|| no_such_profile(name))?;
        if self.current() == name {
            self.document.remove("use");
        }
        Ok(())
    }

    /// Makes a profile the one in use.
    pub fn use_profile(&mut self, name: &str) -> Result<()> {
        if name != LOCAL && self.table(name).is_none() {
            return Err(no_such_profile(name));
        }
        self.document["use"] = value(name);
        Ok(())
    }

    /// Whole or not at all: a new file takes the old one's place.
    pub(crate) fn write(&self) -> Result<()> {
        let failed = |error| Error::disk("write", &self.path, error);
        // A file that is a link (a person's dotfiles) stays one: its target is replaced.
        let target = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let fresh = target.with_extension(format!("toml.{}", std::process::id()));
        let mut file = create_private_file(&fresh).map_err(failed)?;
        let written = file
            .set_len(0)
            .and_then(|()| file.write_all(self.document.to_string().as_bytes()))
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&fresh, &target));
        if let Err(error) = written {
            // What can't be removed is an empty leftover; the write's own error is the one to tell.
            let _ = fs::remove_file(&fresh);
            return Err(failed(error));
        }
        Ok(())
    }
}

fn insert_signer(table: &mut dyn toml_edit::TableLike, signer: &Signer) {
    let endpoint = signer.admin_endpoint.as_ref().map(Endpoint::to_string);
    let entries = [
        ("signer", Some(&signer.access_key)),
        ("signer_user", Some(&signer.user)),
        ("rotator", signer.rotator.as_ref()),
        ("admin_endpoint", endpoint.as_ref()),
    ];
    for (key, text) in entries {
        match text {
            Some(text) => table.insert(key, value(text)),
            None => table.remove(key),
        };
    }
}

pub(crate) fn no_such_profile(name: &str) -> Error {
    Error::new(
        Code::NoSuchProfile,
        format!("there is no profile «{}»", name.escape_debug()),
        "See them with `lapse profile list`.",
    )
}

fn broken(path: &Path, text: &str, start: usize, what: &str) -> Error {
    let before = text.get(..start).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let what = what.lines().next().unwrap_or_default();
    Error::new(
        Code::Config,
        format!("{} can't be used, line {line}, column {column}: {what}", path.display()),
        "Correct that line; Lapse has left the file as it is.",
    )
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("config.toml");
        fs::write(&path, text).expect("a file");
        (dir, path)
    }

    const WORK: &str = "# mine\nuse = \"work\"\n\n[profile.work] # the office\nprovider = \"seaweedfs\"\nendpoint = \"http://127.0.0.1:8333\"\nbucket = \"files\"\naccess_key = \"A\"\n";

    #[test]
    fn comments_survive_a_change() {
        let (_dir, path) = file(WORK);
        let mut settings = Settings::read(&path).expect("a good file");
        assert_eq!(settings.current(), "work");
        settings.use_profile(LOCAL).expect("local is always there");
        settings.write().expect("written");
        let text = fs::read_to_string(&path).expect("the file");
        assert!(
            text.contains("# mine")
                && text.contains("# the office")
                && text.contains("use = \"local\""),
            "{text}"
        );
        settings.remove("work").expect("it is there");
        settings.write().expect("written");
        assert!(Settings::read(&path).expect("still good").names().is_empty());
    }

    #[test]
    fn a_change_is_seen_at_once_and_what_stays_is_read_once() {
        let (_dir, path) = file(WORK);
        let last = LastRead::default();
        let read = || last.read(&path).expect("a good file");
        assert_eq!(read().current(), "work");
        // Of the same length, and so soon that the file's time may be the same.
        fs::write(&path, WORK.replace("use = \"work\"", "use = \"loca\"")).expect("written");
        assert_eq!(read().current(), "loca");
        let old = std::time::SystemTime::now() - SETTLED;
        let set = |path| File::options().write(true).open(path).and_then(|f| f.set_modified(old));
        set(&path).expect("its time can be set");
        assert!(Arc::ptr_eq(&read(), &read()));
        fs::write(&path, WORK).expect("written");
        assert_eq!(read().current(), "work");
        fs::remove_file(&path).expect("removed");
        assert_eq!(read().current(), LOCAL);
    }

    #[test]
    fn broken_file_is_told_with_line_and_column_and_left_alone() {
        for (text, place) in [
            ("use = \"work", "line 1, column"),
            ("a = 1\nb = = 2\n", "line 2, column 5"),
            (&WORK.replace("files", "x"), "line 4, column 1"),
            ("expires = \"8d\"\n", "line 1, column 1"),
            ("use = 5\n", "line 1, column 1"),
            ("profile = 5\n", "line 1, column 1"),
            ("\n[profiles.x]\n", "line 2, column 2"),
            (
                "[[folder]]\npath = \"/a\"\n[[folder]]\npath = \"/b\"\nignore = \"*.x\"\n",
                "line 5, ",
            ),
            ("[[folder]]\npath = \"/a\"\nignore = [\"*.x\", 5]\n", "line 3, column 1"),
            ("[[folder]]\npath = \"/a\"\nignore = [\"a{\"]\n", "line 3, column 1"),
            ("[[folder]]\npath = \"/a\"\npause = true\n", "line 3, column 1"),
            ("[[folder]]\npath = \"/a\"\npaused = \"true\"\n", "line 3, column 1"),
            ("[[folder]]\npath = \"/a\"\nexpires = 60\n", "line 3, column 1"),
            ("[[folder]]\npath = \"/a\"\nrun = [\"./a.sh\"]\n", "line 3, column 1"),
            ("[[folder]]\npath = \"~/a\"\n", "line 2, column 1"),
            ("[[folder]]\n\n[[folder]]\npath = \"/a\"\n", "line 1, column 1"),
            ("[[folder]]\npath = \"/a/b\"\n[[folder]]\npath = \"/a\"\n", "line 4, column 1"),
        ] {
            let (_dir, path) = file(text);
            let error = Settings::read(&path).expect_err(text);
            assert_eq!(error.code, Code::Config);
            assert!(error.message.contains(place), "{}", error.message);
            assert_eq!(fs::read_to_string(&path).expect("the file"), text);
        }
    }
}
