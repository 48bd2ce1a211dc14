//! Which keychain a Lapse uses: chosen at its start, and by the person while it runs.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use super::{Keychain, Sensitive, read_passphrase};
use crate::home::Home;
use crate::lapse::{Lapse, PASSPHRASE_FILE};
use crate::profile::SignIn;
use crate::settings::Settings;
use crate::storage::keychain_error;
use crate::{Error, Result};

/// Where secrets are to be kept.
#[derive(Debug, Clone)]
pub enum KeychainChoice {
    /// As it was chosen before: the passphrase file where `LAPSE_PASSPHRASE_FILE` or config.toml says so, else the
    /// system's keychain.
    FromEnv,
    /// The system's keychain.
    System,
    /// In memory, for this run only.
    ThisRun,
    /// The encrypted file, and the passphrase that opens it.
    Passphrase(Sensitive<String>),
}

/// Where secrets are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeychainKind {
    /// The system's keychain.
    System,
    /// In memory, for this run only.
    ThisRun,
    /// The encrypted file.
    PassphraseFile,
}

impl KeychainKind {
    /// The stable name, in lower snake case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::ThisRun => "this_run",
            Self::PassphraseFile => "passphrase_file",
        }
    }
}

/// Where secrets are kept, and whether they can be read now.
#[derive(Debug)]
pub struct KeychainState {
    /// Where.
    pub kind: KeychainKind,
    /// Why they can't be read; none when they can. [`Code::KeychainLocked`](crate::Code::KeychainLocked) also stands
    /// for a file whose passphrase wasn't given yet.
    pub error: Option<Error>,
    /// Whether there is a passphrase file already, which has a passphrase of its own.
    pub has_passphrase_file: bool,
    /// How many profiles have their secret there; when it can't be read, how many want theirs from there.
    pub profiles: usize,
}

/// The keychain in use.
#[derive(Debug)]
pub(crate) struct Chosen {
    file: PathBuf,
    now: RwLock<(KeychainKind, Arc<Keychain>)>,
}

impl Chosen {
    pub(crate) fn new(choice: KeychainChoice, home: &Home) -> Result<Self> {
        let file = home.secrets_file();
        let choice = match choice {
            KeychainChoice::FromEnv => Self::as_before(home)?,
            choice => Some(choice),
        };
        let now = match choice {
            Some(choice) => Self::open(choice, &file),
            None => (KeychainKind::PassphraseFile, Keychain::closed_passphrase_file()),
        };
        Ok(Self { file, now: RwLock::new((now.0, Arc::new(now.1))) })
    }

    /// None: the passphrase file, and the passphrase isn't known.
    fn as_before(home: &Home) -> Result<Option<KeychainChoice>> {
        if let Some(path) = std::env::var_os(PASSPHRASE_FILE).filter(|path| !path.is_empty()) {
            let passphrase = read_passphrase(path.as_ref()).map_err(keychain_error)?;
            return Ok(Some(KeychainChoice::Passphrase(passphrase)));
        }
        // A file that can't be read is told when a profile is wanted.
        let settings = Settings::read(&home.config_file());
        let in_file = settings.is_ok_and(|settings| settings.keeps_secrets_in_file());
        Ok((!in_file).then_some(KeychainChoice::System))
    }

    fn open(choice: KeychainChoice, file: &std::path::Path) -> (KeychainKind, Keychain) {
        match choice {
            KeychainChoice::FromEnv | KeychainChoice::System => {
                (KeychainKind::System, Keychain::system())
            }
            KeychainChoice::ThisRun => (KeychainKind::ThisRun, Keychain::this_run()),
            KeychainChoice::Passphrase(passphrase) => {
                let keychain = Keychain::passphrase_file(file.to_owned(), passphrase);
                (KeychainKind::PassphraseFile, keychain)
            }
        }
    }

    fn now(&self) -> (KeychainKind, Arc<Keychain>) {
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
        (now.0, Arc::clone(&now.1))
    }

    /// The keychain itself.
    pub(crate) fn keychain(&self) -> Arc<Keychain> {
        self.now().1
    }
}

impl Lapse {
    /// Keeps secrets there from now on. What another keychain holds stays in it. A passphrase is tried on the file
    /// first, if there is one ([`Code::Passphrase`](crate::Code::Passphrase)). The choice is remembered for the next
    /// start, but for «this run only»; the passphrase never is.
    pub async fn use_keychain(&self, choice: KeychainChoice) -> Result<()> {
        let choice = match choice {
            KeychainChoice::FromEnv => Chosen::as_before(&self.home)?,
            choice => Some(choice),
        };
        let (kind, keychain) = match choice {
            Some(choice) => Chosen::open(choice, &self.keychain.file),
            None => (KeychainKind::PassphraseFile, Keychain::closed_passphrase_file()),
        };
        if kind == KeychainKind::PassphraseFile {
            keychain.look().await.map_err(keychain_error)?;
        }
        if kind != KeychainKind::ThisRun {
            self.change_settings(|settings| {
                settings.set_keeps_secrets_in_file(kind == KeychainKind::PassphraseFile);
                Ok(())
            })?;
        }
        let mut now = self.keychain.now.write().unwrap_or_else(PoisonError::into_inner);
        *now = (kind, Arc::new(keychain));
        Ok(())
    }

    /// Where secrets are kept, and whether they can be read now. Shows no prompt.
    pub async fn keychain_state(&self) -> Result<KeychainState> {
        let (kind, keychain) = self.keychain.now();
        let error = keychain.look().await.err().map(keychain_error);
        let mut profiles = 0;
        for profile in self.profiles()?.into_iter().filter_map(|listed| listed.profile) {
            let SignIn::AccessKey(access_key) = &profile.sign_in else { continue };
            // The system may prompt for each secret; a profile was made with its secret there.
            let holds = error.is_some()
                || kind == KeychainKind::System
                || matches!(keychain.get(&profile.secret_name(access_key)).await, Ok(Some(_)));
            profiles += usize::from(holds);
        }
        let has_passphrase_file = self.keychain.file.exists();
        Ok(KeychainState { kind, error, has_passphrase_file, profiles })
    }

    /// Tries again to open the keychain, with the system's own prompt where it has one: the person may take a
    /// minute to answer.
    pub async fn unlock_keychain(&self) -> Result<()> {
        self.keychain.keychain().unlock().await.map_err(keychain_error)
    }
}
