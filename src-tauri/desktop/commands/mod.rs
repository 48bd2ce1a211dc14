//! What the page may ask for. Each command parses, calls core and maps the error.

#![expect(clippy::needless_pass_by_value, reason = "Tauri gives a command its arguments by value")]

pub(crate) mod folders;
mod keychain;
pub(crate) mod preferences;
mod profiles;
mod rotation;
pub(crate) mod shares;
mod store;
pub(crate) mod window;

use std::str::FromStr as _;

use lapse_core::share::ShareId;
use tauri::Wry;
use tauri::ipc::Invoke;

use crate::wire::Failure;

/// What a command gives.
pub(crate) type Answer<T> = Result<T, Failure>;

/// Every command; `src-tauri/build.rs` names them for the capabilities.
pub(crate) fn handler() -> impl Fn(Invoke<Wry>) -> bool + Send + Sync + 'static {
    tauri::generate_handler![
        window::start,
        window::drawn,
        window::notify,
        window::set_tray,
        window::show_data,
        window::quit,
        shares::hear_progress,
        shares::shares,
        shares::browse,
        shares::browse_folder,
        shares::paste,
        shares::copy_link,
        shares::copy_links,
        shares::link,
        shares::open_link,
        shares::show_file,
        shares::check,
        shares::extend,
        shares::revoke,
        shares::purge,
        rotation::all_links,
        rotation::revoke_all,
        rotation::create_signer,
        rotation::restore_key,
        shares::call_off,
        shares::share_again,
        shares::pause,
        shares::resume,
        shares::cancel,
        shares::clear_ended,
        profiles::profiles,
        profiles::providers,
        profiles::aws_profiles,
        profiles::draft,
        profiles::add_profile,
        profiles::edit_profile,
        profiles::use_profile,
        profiles::remove_profile,
        profiles::check_profile,
        profiles::findings,
        folders::folders,
        folders::add_folder,
        folders::set_folder,
        folders::resume_folder,
        folders::locate_folder,
        folders::remove_folder,
        store::store,
        store::listen_in,
        keychain::keychain,
        keychain::unlock_keychain,
        keychain::keep_keys_for_this_run,
        keychain::use_passphrase_file,
        preferences::set_preferences,
    ]
}

/// A share's id from the page.
fn share_id(text: &str) -> Answer<ShareId> {
    Ok(ShareId::from_str(text)?)
}
