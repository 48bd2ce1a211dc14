//! The Secret Service on the session bus: `gnome-keyring`, `KWallet`, `KeePassXC`.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::sync::Arc;

use secret_service::blocking::{Collection, SecretService};
use secret_service::{EncryptionType, Error};
use zbus_secret_service_keyring_store::Store;

use crate::keychain::Failure;

/// A failed start is always an absent keychain: no session bus in the environment, nobody at its
/// address, no Secret Service on it, or one that D-Bus could not start.
pub(super) fn open() -> Result<Arc<Store>, Failure> {
    Store::new().map_err(|error| {
        Failure::Absent(match error {
            keyring_core::Error::PlatformFailure(source) => plain(source.as_ref()),
            error => error.to_string(),
        })
    })
}

/// Whether the collection where our secrets go is open.
pub(super) fn look() -> Result<(), Failure> {
    check(|_| Ok(()))
}

/// The same, after the service's own prompt.
#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "the method by its name is of one lifetime only"
)]
pub(super) fn unlock() -> Result<(), Failure> {
    check(|collection| collection.unlock())
}

fn check(first: impl FnOnce(&Collection) -> Result<(), Error>) -> Result<(), Failure> {
    // No secret crosses in this session, so it needs no key of its own.
    let service = SecretService::connect(EncryptionType::Plain)
        .map_err(|error| Failure::Absent(plain(&error)))?;
    let failed = |error: Error| match error {
        Error::NoResult => no_access(&error),
        Error::Locked | Error::Prompt => Failure::Locked,
        error => failure(&error),
    };
    let collection = service.get_default_collection().map_err(failed)?;
    first(&collection).map_err(failed)?;
    if collection.is_locked().map_err(failed)? { Err(Failure::Locked) } else { Ok(()) }
}

pub(super) fn modifiers(label: &str) -> HashMap<&str, &str> {
    HashMap::from([("label", label)])
}

/// Asked after «not found».
pub(super) fn is_locked() -> bool {
    false
}

/// The store crate's «no access»: the service knows the item or the collection, and won't open it.
pub(super) fn no_access(source: &(dyn StdError + 'static)) -> Failure {
    if source.to_string().contains("result not returned") {
        // A session that never had a keyring, as after an automatic login.
        Failure::Absent("it has no default keyring yet; make one in its own program".to_owned())
    } else {
        Failure::Locked
    }
}

/// Whatever else the service answered, by the names of D-Bus and of the Secret Service specification.
pub(super) fn failure(source: &(dyn StdError + 'static)) -> Failure {
    const GONE: [&str; 4] = ["ServiceUnknown", "NameHasNoOwner", "NoReply", "Disconnected"];
    let text = plain(source);
    if text.contains("org.freedesktop.Secret.Error.IsLocked") {
        Failure::Locked
    } else if GONE.iter().any(|name| text.contains(&format!("org.freedesktop.DBus.Error.{name}"))) {
        Failure::Absent(text)
    } else {
        Failure::Other(format!("the keychain failed: {text}"))
    }
}

/// The reason without the names of the libraries that it came through.
fn plain(source: &(dyn StdError + 'static)) -> String {
    let text = source.to_string();
    text.strip_prefix("zbus error: ").map_or(text.clone(), str::to_owned)
}
