//! The tray: recent links, «Share a file…», and the way back to the window.

use std::str::FromStr as _;

use lapse_core::share::ShareId;
use tauri::image::Image;
use tauri::menu::{Menu, MenuBuilder, MenuItemBuilder};
use tauri::tray::{MouseButton, MouseButtonState, TrayIconBuilder, TrayIconEvent};
use tauri::{AppHandle, Wry};

use crate::commands;
use crate::window;
use crate::wire::Tray;

/// macOS recolors its icons; elsewhere nobody knows the tray's color, and the program's own icon shows on all.
const ICON: &[u8] = if cfg!(target_os = "macos") {
    include_bytes!("../../icons/tray.png")
} else {
    include_bytes!("../../icons/32x32.png")
};
const TRAY: &str = "main";
/// What a menu's line that copies a link is called, before the share's id.
const COPY: &str = "copy:";

/// Puts the icon into the tray. Its menu comes from the page, which has the words.
pub(crate) fn put(app: &AppHandle) -> tauri::Result<()> {
    let menu = Menu::new(app)?;
    TrayIconBuilder::with_id(TRAY)
        .icon(Image::from_bytes(ICON)?)
        .icon_as_template(true)
        .tooltip("Lapse")
        .menu(&menu)
        .show_menu_on_left_click(cfg!(target_os = "macos"))
        .on_menu_event(|app, event| chosen(app, event.id().as_ref()))
        .on_tray_icon_event(|tray, event| {
            if let TrayIconEvent::Click {
                button: MouseButton::Left,
                button_state: MouseButtonState::Up,
                ..
            } = event
            {
                window::show(tray.app_handle());
            }
        })
        .build(app)?;
    Ok(())
}

/// Gives the tray its menu.
pub(crate) fn set_menu(app: &AppHandle, words: &Tray) -> tauri::Result<()> {
    let Some(tray) = app.tray_by_id(TRAY) else { return Ok(()) };
    tray.set_menu(Some(menu(app, words)?))
}

fn menu(app: &AppHandle, words: &Tray) -> tauri::Result<Menu<Wry>> {
    let item = |id: &str, text: &str| MenuItemBuilder::with_id(id, text).build(app);
    let mut menu = MenuBuilder::new(app).item(&item("share", &words.share)?);
    if !words.recent.is_empty() {
        menu = menu.separator();
    }
    for recent in &words.recent {
        menu = menu.item(&item(&format!("{COPY}{}", recent.id), &recent.label)?);
    }
    menu.separator().item(&item("open", &words.open)?).item(&item("quit", &words.quit)?).build()
}

fn chosen(app: &AppHandle, id: &str) {
    match id {
        "share" => commands::shares::browse_from_tray(app),
        "open" => window::show(app),
        "quit" => commands::window::ask_to_quit(app),
        _ => {
            let Some(id) = id.strip_prefix(COPY).and_then(|id| ShareId::from_str(id).ok()) else {
                return;
            };
            let app = app.clone();
            tauri::async_runtime::spawn(async move {
                commands::shares::copy_from_tray(&app, &id).await;
            });
        }
    }
}

/// Whether something shows tray icons. On Linux that is a part of the desktop which may be missing; a window that
/// hid there would be gone.
#[cfg(target_os = "linux")]
pub(crate) fn is_there() -> bool {
    let asked = zbus::blocking::Connection::session().and_then(|bus| {
        let name = zbus::names::BusName::try_from("org.kde.StatusNotifierWatcher")?;
        Ok(zbus::blocking::fdo::DBusProxy::new(&bus)?.name_has_owner(name)?)
    });
    asked.unwrap_or(false)
}

/// Whether something shows tray icons: always, on these systems.
#[cfg(not(target_os = "linux"))]
pub(crate) fn is_there() -> bool {
    true
}
