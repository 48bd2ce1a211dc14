//! The login keychain of macOS.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::sync::Arc;

use apple_native_keyring_store::keychain::Store;

use crate::keychain::{Failure, SecretStore as _, Sensitive};

pub(super) fn open() -> Result<Arc<Store>, Failure> {
    Store::new().map_err(|error| Failure::Absent(error.to_string()))
}

/// macOS names an item by its service and account; the store crate takes no label.
pub(super) fn modifiers(_label: &str) -> HashMap<&str, &str> {
    HashMap::new()
}

/// A look for what isn't there tells all that can be told without a prompt.
pub(super) fn look() -> Result<(), Failure> {
    super::SystemStore.get("look").map(drop)
}

/// A keychain of macOS prompts when it is written.
pub(super) fn unlock() -> Result<(), Failure> {
    super::SystemStore.set("look", &Sensitive::new(String::from("nothing")))?;
    super::SystemStore.delete("look")
}

/// Asked after «not found»: a locked keychain of macOS says that it is locked, so there it is true.
pub(super) fn is_locked() -> bool {
    false
}

/// errSecNotAvailable, errSecNoSuchKeychain, errSecInvalidKeychain, errSecReadOnly.
pub(super) fn no_access(source: &(dyn StdError + 'static)) -> Failure {
    Failure::Absent(source.to_string())
}

/// The store crate passes the system's sentence on and not its number.
pub(super) fn failure(source: &(dyn StdError + 'static)) -> Failure {
    Failure::Other(format!("the keychain failed: {source}"))
}
