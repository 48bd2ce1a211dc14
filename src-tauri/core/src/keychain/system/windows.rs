//! The Credential Manager of Windows. It is open while the person is signed in, so it is never locked.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::sync::Arc;

use windows_native_keyring_store::Store;

use crate::keychain::{Failure, SecretStore as _};

pub(super) fn open() -> Result<Arc<Store>, Failure> {
    Store::new().map_err(|error| Failure::Absent(error.to_string()))
}

/// The store crate's default would copy the secrets to every computer of a roaming account.
pub(super) fn modifiers(_label: &str) -> HashMap<&str, &str> {
    HashMap::from([("persistence", "Local")])
}

/// A look for what isn't there tells all that can be told without a prompt.
pub(super) fn look() -> Result<(), Failure> {
    super::SystemStore.get("look").map(drop)
}

pub(super) fn unlock() -> Result<(), Failure> {
    look()
}

/// Asked after «not found», which is always true here.
pub(super) fn is_locked() -> bool {
    false
}

/// `ERROR_NO_SUCH_LOGON_SESSION`: a service or a scheduled task without a signed-in person.
pub(super) fn no_access(source: &(dyn StdError + 'static)) -> Failure {
    Failure::Absent(source.to_string())
}

pub(super) fn failure(source: &(dyn StdError + 'static)) -> Failure {
    Failure::Other(format!("the keychain failed: {source}"))
}
