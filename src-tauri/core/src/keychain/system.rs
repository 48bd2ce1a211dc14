//! The system's own keychain, by the keyring project's parts: `keyring-core` and one store crate a
//! platform. What differs between the platforms is in the module of each.

#[cfg(target_os = "linux")]
#[path = "system/linux.rs"]
mod platform;
#[cfg(target_os = "macos")]
#[path = "system/macos.rs"]
mod platform;
#[cfg(windows)]
#[path = "system/windows.rs"]
mod platform;

use keyring_core::api::CredentialStoreApi;
use keyring_core::{Entry, Error};
use zeroize::Zeroize;

use super::{Failure, SecretStore, Sensitive};

/// All that Lapse keeps is under this one service.
const SERVICE: &str = "lapse";

/// The system's keychain. It holds no connection: opening one takes some 15 ms, and a kept one would
/// be dead after the keychain's restart, or a failed one remembered (as the `keyring` crate does).
pub(super) struct SystemStore;

impl SystemStore {
    fn with_entry<T>(
        name: &str,
        call: impl FnOnce(&Entry) -> Result<T, Error>,
    ) -> Result<Option<T>, Failure> {
        let store = platform::open()?;
        let entry =
            store.build(SERVICE, name, Some(&platform::modifiers(&label(name)))).map_err(other)?;
        match call(&entry) {
            Ok(value) => Ok(Some(value)),
            Err(Error::NoEntry) if platform::is_locked() => Err(Failure::Locked),
            Err(Error::NoEntry) => Ok(None),
            Err(Error::NoStorageAccess(source)) => Err(platform::no_access(source.as_ref())),
            Err(Error::PlatformFailure(source)) => Err(platform::failure(source.as_ref())),
            Err(error) => Err(other(error)),
        }
    }
}

impl SecretStore for SystemStore {
    fn get(&self, name: &str) -> Result<Option<Sensitive<String>>, Failure> {
        Self::with_entry(name, |entry| entry.get_password().map(Sensitive::new))
    }

    fn set(&self, name: &str, secret: &Sensitive<String>) -> Result<(), Failure> {
        match Self::with_entry(name, |entry| entry.set_password(secret.expose()))? {
            Some(()) => Ok(()),
            None => Err(Failure::Other("the keychain didn't keep the secret".to_owned())),
        }
    }

    fn delete(&self, name: &str) -> Result<(), Failure> {
        Self::with_entry(name, Entry::delete_credential).map(|_deleted| ())
    }

    fn look(&self) -> Result<(), Failure> {
        platform::look()
    }

    fn unlock(&self) -> Result<(), Failure> {
        platform::unlock()
    }
}

/// What a person reads in the keychain's own program.
fn label(name: &str) -> String {
    format!("Lapse: {name}")
}

/// The failures that are the same everywhere. Two of the errors carry the stored bytes.
fn other(error: Error) -> Failure {
    Failure::Other(match error {
        Error::BadEncoding(mut bytes) | Error::BadDataFormat(mut bytes, _) => {
            bytes.zeroize();
            "what the keychain holds under this name isn't text: another program changed it"
                .to_owned()
        }
        Error::Ambiguous(entries) => {
            format!(
                "the keychain holds {} secrets of this name; delete all but one there",
                entries.len()
            )
        }
        Error::TooLong(what, limit) => {
            format!("the keychain takes no more than {limit} bytes for the {what}")
        }
        error => format!("the keychain failed: {error}"),
    })
}
