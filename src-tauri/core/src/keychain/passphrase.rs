//! Secrets in one file that a passphrase opens, and the file that such a passphrase comes from.
//!
//! The file is an age file with one scrypt recipient, so `age --decrypt` opens it too; inside is a JSON
//! map from name to secret. It is replaced as a whole, never changed in place.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use age::secrecy::SecretString;
use age::{DecryptError, Decryptor, scrypt};
use zeroize::Zeroizing;

use super::{Failure, SecretStore, Sensitive, held};

/// scrypt's cost, 2^16: 64 MiB of memory, and below a second even in a debug build on two slow cores
/// (0.8 s measured). It is fixed because age's own choice is measured on the computer at hand: a fast
/// one would write a file that a slow one, or one with little memory, can hardly open.
const LOG_N: u8 = 16;

/// What a file may ask for at most, 2^18: as much as the `age` program itself asks for (256 MiB).
/// Without a limit a changed file could keep the computer busy for hours.
const MAX_LOG_N: u8 = 18;

/// Far more than all the secrets of a person; a file beyond it isn't ours.
const MAX_FILE: u64 = 4 * 1024 * 1024;
const MAX_PASSPHRASE: u64 = 64 * 1024;

type Secrets = BTreeMap<String, Sensitive<String>>;

/// The store behind [`Keychain::passphrase_file`](super::Keychain::passphrase_file).
pub(super) struct PassphraseFile {
    path: PathBuf,
    passphrase: Sensitive<String>,
    opened: Mutex<Option<Opened>>,
}

/// What was last seen: scrypt is slow on purpose, so an unchanged file isn't decrypted twice.
struct Opened {
    sealed: Option<Vec<u8>>,
    secrets: Secrets,
}

impl PassphraseFile {
    pub(super) fn new(path: PathBuf, passphrase: Sensitive<String>) -> Self {
        Self { path, passphrase, opened: Mutex::new(None) }
    }

    /// The secrets as they are on the disk now.
    fn read<'a>(&self, opened: &'a mut Option<Opened>) -> Result<&'a Opened, Failure> {
        let sealed = match read_at_most(&self.path, MAX_FILE) {
            Ok(sealed) => Some(sealed),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(self.failed("can't be read", &error)),
        };
        let seen = opened.take().filter(|seen| seen.sealed == sealed);
        let now = match (seen, sealed) {
            (Some(seen), _) => seen,
            (None, Some(sealed)) => Opened { secrets: self.unseal(&sealed)?, sealed: Some(sealed) },
            (None, None) => Opened { secrets: Secrets::new(), sealed: None },
        };
        Ok(opened.insert(now))
    }

    /// Applies `change` to the secrets and writes them, if it says that there is something to write.
    fn change(&self, change: impl FnOnce(&mut Secrets) -> bool) -> Result<(), Failure> {
        let mut opened = held(&self.opened);
        // Another process may have added a secret since we read; without the lock the later writer
        // would drop it.
        let _lock = self.lock().map_err(|error| self.failed("can't be locked", &error))?;
        let mut secrets = self.read(&mut opened)?.secrets.clone();
        if !change(&mut secrets) {
            return Ok(());
        }
        let sealed = self.seal(&secrets)?;
        self.replace(&sealed).map_err(|error| self.failed("can't be written", &error))?;
        *opened = Some(Opened { sealed: Some(sealed), secrets });
        Ok(())
    }

    fn lock(&self) -> io::Result<File> {
        if let Some(dir) = self.path.parent() {
            make_private_dir(dir)?;
        }
        let lock = private().create(true).truncate(false).open(self.beside(".lock"))?;
        lock.lock()?;
        Ok(lock)
    }

    /// Puts `sealed` in the file's place, so that after a crash there is the old file or the new one.
    fn replace(&self, sealed: &[u8]) -> io::Result<()> {
        let new = self.beside(".new");
        // We hold the lock: whoever left this one is gone.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let written = (|| {
            let mut file = private().create_new(true).open(&new)?;
            file.write_all(sealed)?;
            file.sync_all()?;
            fs::rename(&new, &self.path)
        })();
        if written.is_err() {
            // Best effort: the error worth telling is the first one.
            let _left_behind = fs::remove_file(&new);
        }
        written?;
        sync_dir(&self.path)
    }

    fn seal(&self, secrets: &Secrets) -> Result<Vec<u8>, Failure> {
        let mut recipient = scrypt::Recipient::new(self.passphrase());
        recipient.set_work_factor(LOG_N);
        age::encrypt(&recipient, &to_json(secrets)?)
            .map_err(|_| Failure::Other("the secrets can't be encrypted".to_owned()))
    }

    fn unseal(&self, sealed: &[u8]) -> Result<Secrets, Failure> {
        let mut identity = scrypt::Identity::new(self.passphrase());
        identity.set_max_work_factor(MAX_LOG_N);
        let decryptor = Decryptor::new(sealed).map_err(|error| self.unopened(&error))?;
        let mut reader = decryptor
            .decrypt(std::iter::once(&identity as &dyn age::Identity))
            .map_err(|error| self.unopened(&error))?;
        // What is inside is shorter, so this never grows and leaves no copy behind.
        let mut json = Zeroizing::new(Vec::with_capacity(sealed.len()));
        reader.read_to_end(&mut json).map_err(|_| self.damaged())?;
        let plain: BTreeMap<String, String> =
            serde_json::from_slice(&json).map_err(|_| self.damaged())?;
        Ok(plain.into_iter().map(|(name, secret)| (name, Sensitive::new(secret))).collect())
    }

    fn passphrase(&self) -> SecretString {
        SecretString::from(self.passphrase.expose().clone())
    }

    fn unopened(&self, error: &DecryptError) -> Failure {
        match error {
            DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed => {
                Failure::WrongPassphrase
            }
            DecryptError::NoMatchingKeys => self.other("is encrypted, but not with a passphrase"),
            DecryptError::ExcessiveWork { .. } => {
                self.other("wants more work than a passphrase file should")
            }
            _ => self.damaged(),
        }
    }

    fn damaged(&self) -> Failure {
        self.other("is damaged: its secrets can't be read")
    }

    fn failed(&self, what: &str, error: &io::Error) -> Failure {
        self.other(&format!("{what}: {error}"))
    }

    fn other(&self, what: &str) -> Failure {
        Failure::Other(format!("{} {what}", self.path.display()))
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name: OsString = self.path.clone().into_os_string();
        name.push(suffix);
        name.into()
    }
}

impl SecretStore for PassphraseFile {
    fn get(&self, name: &str) -> Result<Option<Sensitive<String>>, Failure> {
        Ok(self.read(&mut held(&self.opened))?.secrets.get(name).cloned())
    }

    fn set(&self, name: &str, secret: &Sensitive<String>) -> Result<(), Failure> {
        self.change(|secrets| {
            secrets.insert(name.to_owned(), secret.clone());
            true
        })
    }

    fn delete(&self, name: &str) -> Result<(), Failure> {
        self.change(|secrets| secrets.remove(name).is_some())
    }

    fn look(&self) -> Result<(), Failure> {
        self.read(&mut held(&self.opened)).map(|_opened| ())
    }
}

/// The store behind [`Keychain::closed_passphrase_file`](super::Keychain::closed_passphrase_file).
pub(super) struct Closed;

impl SecretStore for Closed {
    fn get(&self, _: &str) -> Result<Option<Sensitive<String>>, Failure> {
        Err(Failure::NoPassphrase)
    }

    fn set(&self, _: &str, _: &Sensitive<String>) -> Result<(), Failure> {
        Err(Failure::NoPassphrase)
    }

    fn delete(&self, _: &str) -> Result<(), Failure> {
        Err(Failure::NoPassphrase)
    }

    fn look(&self) -> Result<(), Failure> {
        Err(Failure::NoPassphrase)
    }
}

/// The passphrase in `path`, without one newline at its end. The file must be a regular one of ours that
/// nobody else may read (mode 0600 or stricter); anything else is [`Failure::Unsafe`].
pub fn read_passphrase(path: &Path) -> Result<Sensitive<String>, Failure> {
    let refused = |why: &str| Failure::Unsafe { path: path.to_owned(), why: why.to_owned() };
    let file = open_unfollowed(path).map_err(|error| match error.kind() {
        _ if path.is_symlink() => refused("is a symbolic link"),
        ErrorKind::NotFound => refused("isn't there"),
        _ => refused(&format!("can't be opened: {error}")),
    })?;
    // Asked of the open file, so it can't be swapped between the look and the read.
    let metadata =
        file.metadata().map_err(|error| refused(&format!("can't be looked at: {error}")))?;
    if !metadata.is_file() {
        return Err(refused("isn't a regular file"));
    }
    if let Some(why) = exposed(&metadata) {
        return Err(refused(&why));
    }
    if metadata.len() > MAX_PASSPHRASE {
        return Err(refused("is too long for a passphrase"));
    }
    let bytes = read_all(file, MAX_PASSPHRASE)
        .map(Zeroizing::new)
        .map_err(|error| refused(&format!("can't be read: {error}")))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| refused("isn't text in UTF-8"))?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    let passphrase = line.strip_suffix('\r').unwrap_or(line);
    if passphrase.is_empty() {
        return Err(refused("is empty"));
    }
    Ok(Sensitive::new(passphrase.to_owned()))
}

/// Who else could read the file, in words; None when nobody can.
#[cfg(unix)]
fn exposed(metadata: &fs::Metadata) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let mode = metadata.mode() & 0o7777;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        Some("belongs to another user".to_owned())
    } else if mode & 0o177 != 0 {
        Some(format!("has mode {mode:04o}; it must be 0600, for its owner alone"))
    } else {
        None
    }
}

/// Windows keeps a person's files from others by the folder that they are in.
#[cfg(not(unix))]
fn exposed(_: &fs::Metadata) -> Option<String> {
    None
}

/// Opens for reading without following a link at the end, and without waiting for a pipe's writer.
fn open_unfollowed(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
    }
    options.open(path)
}

fn read_at_most(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_all(File::open(path)?, limit)
}

/// All of `file`, in a buffer that has room for `limit` from the start, so that no copy is left behind.
fn read_all(file: File, limit: u64) -> io::Result<Vec<u8>> {
    let expected = file.metadata()?.len().min(limit);
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0) + 1);
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(ErrorKind::FileTooLarge, "it is too large"));
    }
    Ok(bytes)
}

/// The secrets in the clear, in a buffer that is overwritten when dropped.
fn to_json(secrets: &Secrets) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let plain: BTreeMap<&str, &str> =
        secrets.iter().map(|(name, secret)| (name.as_str(), secret.expose().as_str())).collect();
    // At worst each byte becomes \u00XX; with room for that the buffer never moves and leaves a copy.
    let room: usize = plain.iter().map(|(name, secret)| 6 * (name.len() + secret.len()) + 6).sum();
    let mut json = Zeroizing::new(Vec::with_capacity(room + 2));
    serde_json::to_writer(&mut *json, &plain)
        .map_err(|_| Failure::Other("the secrets can't be written as JSON".to_owned()))?;
    Ok(json)
}

/// Options to write a file that only we may read.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
}

fn make_private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(dir)
}

/// Makes a rename last through a power cut. Windows has no such call and needs none.
fn sync_dir(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(dir) if cfg!(unix) => {
            File::open(if dir.as_os_str().is_empty() { Path::new(".") } else { dir })?.sync_all()
        }
        _ => Ok(()),
    }
}
