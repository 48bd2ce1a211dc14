//! Names every command that the page may call: what isn't here, no window can.

use tauri_build::{AppManifest, Attributes};

const COMMANDS: &[&str] = &[
    "start",
    "drawn",
    "hear_progress",
    "shares",
    "browse",
    "browse_folder",
    "paste",
    "copy_link",
    "copy_links",
    "link",
    "open_link",
    "show_file",
    "check",
    "extend",
    "revoke",
    "purge",
    "all_links",
    "revoke_all",
    "create_signer",
    "restore_key",
    "call_off",
    "share_again",
    "pause",
    "resume",
    "cancel",
    "clear_ended",
    "profiles",
    "providers",
    "aws_profiles",
    "draft",
    "add_profile",
    "edit_profile",
    "use_profile",
    "remove_profile",
    "check_profile",
    "findings",
    "folders",
    "add_folder",
    "set_folder",
    "resume_folder",
    "locate_folder",
    "remove_folder",
    "store",
    "listen_in",
    "keychain",
    "unlock_keychain",
    "keep_keys_for_this_run",
    "use_passphrase_file",
    "set_preferences",
    "show_data",
    "notify",
    "set_tray",
    "quit",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Lints and unit tests do without the page, but not without its folder. Whoever builds the program builds the page
    // first (`make app`).
    std::fs::create_dir_all("ui/dist")?;
    let attributes = Attributes::new()
        .capabilities_path_pattern("src-tauri/capabilities/*.json")
        .app_manifest(AppManifest::new().commands(COMMANDS));
    Ok(tauri_build::try_build(attributes)?)
}
