//! The store on this computer.

use tauri::{AppHandle, Manager as _, State};

use super::Answer;
use crate::rows::{bytes, count};
use crate::shell::Shell;
use crate::tell::change;
use crate::wire::{Change, Interface, Store};

#[tauri::command]
pub(crate) async fn store(shell: State<'_, Shell>) -> Answer<Store> {
    let lapse = shell.lapse()?;
    let status = lapse.store_status()?;
    let interfaces = lapse.store_interfaces().into_iter().map(|candidate| Interface {
        name: candidate.interface,
        address: candidate.address.to_string(),
    });
    Ok(Store {
        running: status.running,
        lan_interface: status.lan_interface,
        lan: status.lan,
        lan_ended: status.lan_ended_at.is_some(),
        interfaces: interfaces.collect(),
        live_links: count(status.live_links),
        bytes: bytes(status.bytes),
    })
}

#[tauri::command]
pub(crate) async fn listen_in(app: AppHandle, network_interface: Option<String>) -> Answer<Store> {
    let lapse = app.state::<Shell>().lapse()?;
    match network_interface {
        Some(name) => {
            lapse.listen_in_network(Some(&name)).await?;
        }
        None => lapse.listen_on_loopback().await?,
    }
    change(&app, Change::Settings);
    // From where links open is a part of their rows.
    change(&app, Change::List);
    store(app.state::<Shell>()).await
}
