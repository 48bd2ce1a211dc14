//! Where secrets are kept.

use lapse_core::keychain::Sensitive;
use lapse_core::{Code, KeychainChoice, KeychainState, Lapse};
use tauri::{AppHandle, Manager as _, State};

use super::Answer;
use crate::shell::Shell;
use crate::tell::change;
use crate::wire::{Change, Failure, Keychain};

#[tauri::command]
pub(crate) async fn keychain(shell: State<'_, Shell>) -> Answer<Keychain> {
    seen(&*shell.lapse()?).await
}

async fn seen(lapse: &Lapse) -> Answer<Keychain> {
    let KeychainState { kind, error, has_passphrase_file, profiles } =
        lapse.keychain_state().await?;
    let state = match error.as_ref().map(|error| error.code) {
        None => "open",
        Some(Code::KeychainLocked) => "locked",
        Some(Code::KeychainAbsent) => "absent",
        Some(_) => "failed",
    };
    Ok(Keychain {
        kind: kind.as_str().to_owned(),
        state: state.to_owned(),
        profiles: crate::rows::count(profiles),
        failure: error.map(Failure::from),
        has_passphrase_file,
    })
}

#[tauri::command]
pub(crate) async fn unlock_keychain(app: AppHandle) -> Answer<Keychain> {
    let lapse = app.state::<Shell>().lapse()?;
    lapse.unlock_keychain().await?;
    told(&app, &lapse).await
}

#[tauri::command]
pub(crate) async fn keep_keys_for_this_run(app: AppHandle) -> Answer<Keychain> {
    let lapse = app.state::<Shell>().lapse()?;
    lapse.use_keychain(KeychainChoice::ThisRun).await?;
    told(&app, &lapse).await
}

#[tauri::command]
pub(crate) async fn use_passphrase_file(app: AppHandle, passphrase: String) -> Answer<Keychain> {
    let lapse = app.state::<Shell>().lapse()?;
    lapse.use_keychain(KeychainChoice::Passphrase(Sensitive::new(passphrase))).await?;
    told(&app, &lapse).await
}

async fn told(app: &AppHandle, lapse: &Lapse) -> Answer<Keychain> {
    let seen = seen(lapse).await?;
    change(app, Change::Settings);
    Ok(seen)
}
