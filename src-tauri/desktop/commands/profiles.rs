//! Where files go.

use lapse_core::keychain::Sensitive;
use lapse_core::storage::probe::Verdict;
use lapse_core::storage::provider::{self, PROVIDERS};
use lapse_core::{Code, Error, Lapse, profile};
use tauri::ipc::Channel;
use tauri::{AppHandle, Manager as _, State};

use super::Answer;
use crate::rows::{count, millis};
use crate::shell::Shell;
use crate::tell::change;
use crate::wire::{Change, Draft, Finding, Profile, Provider, Reach};

#[tauri::command]
pub(crate) async fn profiles(shell: State<'_, Shell>) -> Answer<Vec<Profile>> {
    let lapse = shell.lapse()?;
    listed(&lapse)
}

/// The profiles, the local store first.
pub(crate) fn listed(lapse: &Lapse) -> Answer<Vec<Profile>> {
    let rows = lapse.profiles()?.into_iter().map(|listed| {
        let last = lapse.last_findings(&listed.name)?;
        let failing = |(_, findings): &(_, Vec<lapse_core::storage::probe::Finding>)| {
            findings.iter().any(|finding| finding.verdict == Verdict::Fail)
        };
        let local = listed.name == profile::LOCAL;
        let made = listed.profile.as_ref();
        Ok(Profile {
            provider: made.map_or("", |profile| profile.provider.name).to_owned(),
            bucket: made.map(|profile| profile.bucket.clone()).unwrap_or_default(),
            current: listed.current,
            local,
            reach: lapse.reach(&listed.name).map_or(Reach::Anywhere, Reach::from),
            live_links: count(lapse.live_links(&listed.name)?),
            checked_at: last.as_ref().map(|(at, _)| millis(*at)),
            failing: last.as_ref().is_some_and(failing),
            signer: made.and_then(|made| made.signer.as_ref()).map(|made| made.access_key.clone()),
            signer_by: made.and_then(signer_by).map(str::to_owned),
            rotation: rotation_of(made).to_owned(),
            access_key: made.and_then(|profile| match &profile.sign_in {
                profile::SignIn::AccessKey(id) => Some(id.clone()),
                _ => None,
            }),
            name: listed.name,
        })
    });
    rows.collect()
}

#[tauri::command]
pub(crate) fn providers() -> Vec<Provider> {
    PROVIDERS.iter().map(Provider::from).collect()
}

#[tauri::command]
pub(crate) async fn aws_profiles(shell: State<'_, Shell>) -> Answer<Vec<String>> {
    Ok(shell.lapse()?.aws_profiles().await)
}

#[tauri::command]
pub(crate) async fn draft(shell: State<'_, Shell>, name: String) -> Answer<Draft> {
    let profile = shell.lapse()?.settings()?.profile(&name)?;
    Ok(Draft::from(&profile))
}

#[tauri::command]
pub(crate) async fn add_profile(
    app: AppHandle,
    draft: Draft,
    secret: Option<String>,
    create_bucket: bool,
) -> Answer<Profile> {
    let lapse = app.state::<Shell>().lapse()?;
    let secret = secret.map(Sensitive::new);
    let added = lapse.add_profile(draft.into(), secret, create_bucket).await?;
    told(&app, &lapse, &added.name)
}

#[tauri::command]
pub(crate) async fn edit_profile(
    app: AppHandle,
    name: String,
    draft: Draft,
    secret: Option<String>,
) -> Answer<Profile> {
    let lapse = app.state::<Shell>().lapse()?;
    let secret = secret.map(Sensitive::new);
    let edited = lapse.edit_profile(&name, draft.into(), secret).await?;
    told(&app, &lapse, &edited.name)
}

fn told(app: &AppHandle, lapse: &Lapse, name: &str) -> Answer<Profile> {
    change(app, Change::Settings);
    let found = listed(lapse)?.into_iter().find(|profile| profile.name == name);
    found.ok_or_else(|| {
        let hint = "Another program may have removed it.";
        Error::new(Code::NoSuchProfile, "the profile isn't there any more", hint).into()
    })
}

#[tauri::command]
pub(crate) async fn use_profile(app: AppHandle, name: String) -> Answer<()> {
    app.state::<Shell>().lapse()?.use_profile(&name)?;
    change(&app, Change::Settings);
    Ok(())
}

#[tauri::command]
pub(crate) async fn remove_profile(
    app: AppHandle,
    name: String,
    despite_links: bool,
) -> Answer<()> {
    app.state::<Shell>().lapse()?.remove_profile(&name, despite_links).await?;
    change(&app, Change::Settings);
    Ok(())
}

#[tauri::command]
pub(crate) async fn check_profile(
    app: AppHandle,
    name: String,
    channel: Channel<Finding>,
) -> Answer<Vec<Finding>> {
    let shell = app.state::<Shell>();
    let lapse = shell.lapse()?;
    let hear = move |finding: &_| {
        // A page that went away hears nothing more.
        let _ = channel.send(Finding::from(finding));
    };
    let found = shell.bridge.probing(hear, Box::pin(lapse.check_profile(Some(&name)))).await?;
    change(&app, Change::Settings);
    Ok(found.iter().map(Finding::from).collect())
}

#[tauri::command]
pub(crate) async fn findings(shell: State<'_, Shell>, name: String) -> Answer<Vec<Finding>> {
    let last = shell.lapse()?.last_findings(&name)?;
    Ok(last.map_or_else(Vec::new, |(_, found)| found.iter().map(Finding::from).collect()))
}

/// By what Lapse can make a user that only signs a profile's links.
fn signer_by(profile: &profile::Profile) -> Option<&'static str> {
    match profile.provider.rotation {
        _ if profile.is_local() || profile.signer.is_some() => None,
        provider::Rotation::Iam => Some("key"),
        provider::Rotation::GarageAdmin => Some("token"),
        provider::Rotation::LocalStore | provider::Rotation::ByHand => None,
    }
}

/// Whether all links of a profile can be revoked from here.
fn rotation_of(profile: Option<&profile::Profile>) -> &'static str {
    let by_hand = profile.is_some_and(|profile| {
        profile.signer.is_none()
            && !profile.is_local()
            && (profile.provider.rotation != provider::Rotation::Iam
                || !matches!(profile.sign_in, profile::SignIn::AccessKey(_)))
    });
    if by_hand { "by_hand" } else { "here" }
}
