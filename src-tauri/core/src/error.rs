//! One error for every front end: what happened, and what to do about it.

use std::error::Error as StdError;
use std::fmt;

use serde::{Serialize, Serializer};

/// The result of everything that core does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a front end, or a script that reads `--json`, may act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Code {
    /// The command line or a form was filled in wrongly.
    Usage,
    /// A length of life that no link can have.
    Expiry,
    /// The file isn't there.
    FileMissing,
    /// The path names a folder or a device, not a file.
    NotAFile,
    /// The file can't be read.
    FileUnreadable,
    /// The file changed while it was read.
    FileChanged,
    /// No share has this id.
    NoSuchShare,
    /// The share has ended, or was revoked.
    NotActive,
    /// The share isn't being uploaded, or not by this program.
    NotUploading,
    /// The link can't be made again from what is kept.
    LinkNotKept,
    /// The object isn't Lapse's to delete.
    NotOurs,
    /// No profile has this name.
    NoSuchProfile,
    /// A profile with this name exists.
    ProfileExists,
    /// The profile lacks something or contradicts itself.
    Profile,
    /// The storage doesn't know the key, or the secret is wrong.
    SignIn,
    /// The sign-in works but may not do this.
    AccessDenied,
    /// Other programs may use the key.
    KeyInUse,
    /// The user has as many access keys as it may have.
    TooManyKeys,
    /// No such access key is known there.
    NoSuchKey,
    /// Only a person can replace the key.
    ByHand,
    /// What answers has no API for keys.
    NoIam,
    /// Another process is rotating a key.
    Rotating,
    /// The person let it wait.
    Paused,
    /// The bucket lives in another region.
    WrongRegion,
    /// The bucket isn't there.
    NoSuchBucket,
    /// The object isn't there.
    NoSuchObject,
    /// Something answered that doesn't speak S3.
    NotS3,
    /// Nothing answered.
    Unreachable,
    /// The server's certificate isn't trusted.
    Certificate,
    /// This computer's clock is too far off.
    Clock,
    /// What arrived at the storage isn't what was sent.
    Damaged,
    /// The storage refused or failed for another reason.
    Storage,
    /// The keychain is locked.
    KeychainLocked,
    /// There is no keychain.
    KeychainAbsent,
    /// The keychain failed for another reason, or the secret isn't in it.
    Keychain,
    /// The passphrase file can't be used.
    Passphrase,
    /// config.toml can't be read.
    Config,
    /// The database was written by a newer Lapse.
    DatabaseNewer,
    /// The database is damaged.
    DatabaseCorrupt,
    /// Another program holds the database.
    DatabaseLocked,
    /// The local store's port is in use by another program.
    StorePort,
    /// The local store failed.
    Store,
    /// This computer isn't in a network where the local store could listen.
    Network,
    /// No room on the disk.
    DiskFull,
    /// The disk can't be written for another reason.
    Disk,
    /// No watched folder is there.
    NoSuchFolder,
    /// The folder can't be watched.
    Folder,
    /// Another process watches the folders.
    Watching,
    /// The link ends with the sign-in.
    SignInEnds,
    /// The link ends at the provider's longest life.
    ProviderCap,
    /// The sign-in may end before the link does; when, nobody says.
    UnknownSignInEnd,
    /// What is true couldn't be seen.
    NotKnown,
    /// The clipboard can't be used.
    Clipboard,
    /// The desktop doesn't do what it was asked for.
    Desktop,
    /// The person stopped it.
    Interrupted,
    /// The person didn't want this upload any more.
    Canceled,
}

impl Code {
    /// The stable name, in lower snake case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Expiry => "expiry",
            Self::FileMissing => "file_missing",
            Self::NotAFile => "not_a_file",
            Self::FileUnreadable => "file_unreadable",
            Self::FileChanged => "file_changed",
            Self::NoSuchShare => "no_such_share",
            Self::NotActive => "not_active",
            Self::NotUploading => "not_uploading",
            Self::LinkNotKept => "link_not_kept",
            Self::NotOurs => "not_ours",
            Self::NoSuchProfile => "no_such_profile",
            Self::ProfileExists => "profile_exists",
            Self::Profile => "profile",
            Self::SignIn => "sign_in",
            Self::AccessDenied => "access_denied",
            Self::KeyInUse => "key_in_use",
            Self::TooManyKeys => "too_many_keys",
            Self::NoSuchKey => "no_such_key",
            Self::ByHand => "by_hand",
            Self::NoIam => "no_iam",
            Self::Rotating => "rotating",
            Self::Paused => "paused",
            Self::WrongRegion => "wrong_region",
            Self::NoSuchBucket => "no_such_bucket",
            Self::NoSuchObject => "no_such_object",
            Self::NotS3 => "not_s3",
            Self::Unreachable => "unreachable",
            Self::Certificate => "certificate",
            Self::Clock => "clock",
            Self::Damaged => "damaged",
            Self::Storage => "storage",
            Self::KeychainLocked => "keychain_locked",
            Self::KeychainAbsent => "keychain_absent",
            Self::Keychain => "keychain",
            Self::Passphrase => "passphrase",
            Self::Config => "config",
            Self::DatabaseNewer => "database_newer",
            Self::DatabaseCorrupt => "database_corrupt",
            Self::DatabaseLocked => "database_locked",
            Self::StorePort => "store_port",
            Self::Store => "store",
            Self::Network => "network",
            Self::DiskFull => "disk_full",
            Self::Disk => "disk",
            Self::NoSuchFolder => "no_such_folder",
            Self::Folder => "folder",
            Self::Watching => "watching",
            Self::SignInEnds => "sign_in_ends",
            Self::ProviderCap => "provider_cap",
            Self::UnknownSignInEnd => "unknown_sign_in_end",
            Self::NotKnown => "not_known",
            Self::Clipboard => "clipboard",
            Self::Desktop => "desktop",
            Self::Interrupted => "interrupted",
            Self::Canceled => "canceled",
        }
    }

    /// The code of a stored name; the reasons that cut a link short are kept by name.
    pub(crate) fn of_limit(name: &str) -> Option<Self> {
        [Self::SignInEnds, Self::ProviderCap, Self::UnknownSignInEnd]
            .into_iter()
            .find(|code| code.as_str() == name)
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What went wrong, in the person's words, and what to do.
#[derive(Debug)]
pub struct Error {
    /// What to act on.
    pub code: Code,
    /// What happened, to what: one sentence without its full stop.
    pub message: String,
    /// What to do: a sentence or two.
    pub hint: String,
    passes: bool,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error with its hint.
    pub fn new(code: Code, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: hint.into(), passes: false, source: None }
    }

    /// The same error, remembering what caused it.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same words once more, for another whom it concerns.
    pub(crate) fn same(&self) -> Self {
        Self::new(self.code, &self.message, &self.hint).passing(self.passes)
    }

    /// The same error, known to pass by waiting or not.
    #[must_use]
    pub(crate) fn passing(mut self, passes: bool) -> Self {
        self.passes = passes;
        self
    }

    /// Whether the same may work later with nobody doing anything about it.
    pub(crate) fn passes(&self) -> bool {
        self.passes
    }

    /// Whether a storage says so of keys that were replaced: a role says that its ended sessions may do nothing.
    pub(crate) fn may_mean_old_keys(&self) -> bool {
        matches!(self.code, Code::SignIn | Code::AccessDenied)
    }

    /// A failed read or write of one of Lapse's own files.
    pub(crate) fn disk(what: &str, path: &std::path::Path, error: std::io::Error) -> Self {
        use std::io::ErrorKind;
        let path = path.display();
        let (code, hint) = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                (Code::DiskFull, "Make room on this disk, then try again.".to_owned())
            }
            ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => (
                Code::Disk,
                "Make the folder writable for you, or set LAPSE_HOME to one that is.".to_owned(),
            ),
            _ => (Code::Disk, "Check the disk and the folder, then try again.".to_owned()),
        };
        Self::new(code, format!("can't {what} {path}: {}", reason(&error)), hint).caused_by(error)
    }
}

/// What the system says, without «(os error 13)».
pub(crate) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    let short = text.split(" (os error").next().unwrap_or(&text);
    short.to_lowercase()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {}", self.message, self.hint)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
