//! What the person chose.

use lapse_core::settings::{self, Window};
use lapse_core::{Code, Error, Lapse};
use tauri::{AppHandle, Manager as _};
use tauri_plugin_autostart::ManagerExt as _;

use super::Answer;
use crate::shell::Shell;
use crate::tell::change;
use crate::window;
use crate::wire::{Change, Preferences};

/// What the page calls the system's own language.
const SYSTEM: &str = "system";

/// As it stands now.
pub(crate) fn chosen(app: &AppHandle, lapse: &Lapse) -> Answer<Preferences> {
    let chosen = lapse.preferences()?;
    let Window { copy_links, notifications, close_to_tray, theme, language, zoom } = chosen.window;
    Ok(Preferences {
        expires: chosen.expires.to_string(),
        copy_links,
        notifications,
        close_to_tray,
        // The system's own answer: the person may have changed it there.
        start_at_login: app.autolaunch().is_enabled().unwrap_or(false),
        theme: theme.as_str().to_owned(),
        language: language.unwrap_or_else(|| SYSTEM.to_owned()),
        upload_limit: chosen.upload_limit.map(crate::rows::bytes),
        zoom,
    })
}

#[tauri::command]
pub(crate) async fn set_preferences(
    app: AppHandle,
    preferences: Preferences,
) -> Answer<Preferences> {
    let lapse = app.state::<Shell>().lapse()?;
    let before = chosen(&app, &lapse)?;
    if preferences.start_at_login != before.start_at_login {
        set_start_at_login(&app, preferences.start_at_login)?;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    let upload_limit = preferences.upload_limit.map(|limit| limit as u64);
    lapse.set_preferences(&settings::Preferences {
        expires: preferences.expires.parse()?,
        upload_limit,
        window: Window {
            copy_links: preferences.copy_links,
            notifications: preferences.notifications,
            close_to_tray: preferences.close_to_tray,
            theme: preferences.theme.parse()?,
            language: Some(preferences.language).filter(|language| language != SYSTEM),
            zoom: preferences.zoom,
        },
    })?;
    let after = chosen(&app, &lapse)?;
    window::apply(&app, &after);
    change(&app, Change::Settings);
    Ok(after)
}

fn set_start_at_login(app: &AppHandle, wanted: bool) -> Answer<()> {
    let manager = app.autolaunch();
    let set = if wanted { manager.enable() } else { manager.disable() };
    set.map_err(|error| {
        let hint = "Add or remove Lapse in the system's own settings for login items.";
        let what = format!("the system doesn't let Lapse change what starts at login: {error}");
        Error::new(Code::Desktop, what, hint).into()
    })
}
