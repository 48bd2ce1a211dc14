//! All links at once, by a new signing key.

use lapse_core::keychain::Sensitive;
use lapse_core::rotation::{Admin, Consent};
use lapse_core::share::ShareId;
use lapse_core::storage::Keys;
use tauri::State;

use super::{Answer, share_id};
use crate::shell::Shell;
use crate::wire::{self, AllLinks, AllRevoked, NewKey};

#[tauri::command]
pub(crate) async fn all_links(shell: State<'_, Shell>, profile: String) -> Answer<AllLinks> {
    let lapse = shell.lapse()?;
    let plan = lapse.all_links(Some(&profile)).await?;
    AllLinks::of(&shell, plan)
}

#[tauri::command]
pub(crate) async fn revoke_all(
    shell: State<'_, Shell>,
    profile: String,
    keep: Vec<String>,
    stop_others: bool,
    new_key: Option<NewKey>,
    end_sessions_of: Option<String>,
) -> Answer<AllRevoked> {
    let keep = keep.iter().map(|id| share_id(id)).collect::<Answer<Vec<ShareId>>>()?;
    let new_key = new_key.map(keys);
    let consent = Consent { stop_others, delete_key: None, new_key, end_sessions_of };
    let lapse = shell.lapse()?;
    let revoked = Box::pin(lapse.revoke_all(Some(&profile), &keep, &consent)).await?;
    AllRevoked::of(&shell, &revoked)
}

#[tauri::command]
pub(crate) async fn create_signer(
    shell: State<'_, Shell>,
    profile: String,
    admin: wire::Admin,
) -> Answer<String> {
    let lapse = shell.lapse()?;
    let admin = match admin {
        wire::Admin::Key(key) => Admin::Keys(keys(key)),
        wire::Admin::AwsProfile { name } => {
            Admin::Keys(lapse.aws_keys(Some(&profile), &name).await?)
        }
        wire::Admin::Token { endpoint, token } => {
            Admin::Garage { endpoint, token: Sensitive::new(token) }
        }
    };
    Ok(lapse.create_signer(Some(&profile), admin).await?.access_key)
}

#[tauri::command]
pub(crate) async fn restore_key(shell: State<'_, Shell>, profile: String) -> Answer<String> {
    Ok(shell.lapse()?.restore_key(Some(&profile)).await?)
}

fn keys(given: NewKey) -> Keys {
    Keys::lasting(given.access_key.trim(), Sensitive::new(given.secret))
}
