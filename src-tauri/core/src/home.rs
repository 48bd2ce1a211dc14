//! Where Lapse keeps things on this computer.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Code, Error, Result};

/// The folders and files of one person's Lapse.
#[derive(Debug, Clone)]
pub struct Home {
    config: PathBuf,
    data: PathBuf,
}

impl Home {
    /// The folder in `LAPSE_HOME` for everything, else the system's own folders for configuration and data.
    pub fn from_env() -> Result<Self> {
        if let Some(dir) = std::env::var_os("LAPSE_HOME").filter(|dir| !dir.is_empty()) {
            return Self::at(Path::new(&dir));
        }
        let dirs = directories::ProjectDirs::from("", "", "lapse").ok_or_else(|| {
            Error::new(
                Code::Disk,
                "this account has no home folder",
                "Set LAPSE_HOME to a folder where Lapse may keep its files.",
            )
        })?;
        Self::new(dirs.config_dir().to_owned(), dirs.data_local_dir().to_owned())
    }

    /// Everything under one folder.
    pub fn at(dir: &Path) -> Result<Self> {
        let dir = std::path::absolute(dir).map_err(|e| Error::disk("use", dir, e))?;
        Self::new(dir.clone(), dir)
    }

    fn new(config: PathBuf, data: PathBuf) -> Result<Self> {
        for dir in [&config, &data] {
            make_private_dir(dir)?;
        }
        Ok(Self { config, data })
    }

    /// The folder that holds everything, if there is just one.
    pub(crate) fn in_one_folder(&self) -> Option<&Path> {
        (self.config == self.data).then_some(self.data.as_path())
    }

    /// Held by whoever changes the configuration.
    pub(crate) fn config_lock(&self) -> PathBuf {
        self.config.join("config.lock")
    }

    /// Profiles, folders and preferences.
    pub fn config_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    /// The folder of what Lapse keeps beside its configuration.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Held by whoever moves a share's object away.
    pub(crate) fn move_lock(&self, share: &str) -> PathBuf {
        self.data.join(format!("{share}.move"))
    }

    /// Held by whoever rotates keys.
    pub(crate) fn rotation_lock(&self) -> PathBuf {
        self.data.join("rotation.lock")
    }

    /// Held by whoever watches folders.
    pub(crate) fn watch_lock(&self) -> PathBuf {
        self.data.join("watch.lock")
    }

    /// Every folder that Lapse keeps things in.
    pub(crate) fn folders(&self) -> [&Path; 2] {
        [&self.config, &self.data]
    }

    /// The history of shares.
    pub fn database(&self) -> PathBuf {
        self.data.join("lapse.db")
    }

    /// The local store's folder.
    pub fn store(&self) -> PathBuf {
        self.data.join("store")
    }

    /// The encrypted file that takes the keychain's place where there is none.
    pub fn secrets_file(&self) -> PathBuf {
        self.data.join("secrets.age")
    }

    /// Locks that say which process an upload belongs to.
    pub(crate) fn uploads(&self) -> PathBuf {
        self.data.join("uploads")
    }
}

/// Makes a folder that only this person may enter; one that exists keeps its mode.
pub(crate) fn make_private_dir(dir: &Path) -> Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|e| Error::disk("make the folder", dir, e))
}

/// Opens a file for writing that only this person may read.
pub(crate) fn create_private_file(path: &Path) -> std::io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
