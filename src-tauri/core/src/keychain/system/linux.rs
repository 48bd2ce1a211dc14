//! The Secret Service on the session bus: `gnome-keyring`, `KWallet`, `KeePassXC`.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::sync::Arc;

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
