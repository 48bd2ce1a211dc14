//! The store inside Lapse.

use std::collections::BTreeMap;

use lapse_core::{Code, Error, Lapse, StoreStatus};

use super::Outcome;
use crate::args;
use crate::output::{Output, clock, columns, json_line, line, size};

/// Hosts the store until it is told to stop.
pub(crate) async fn run(lapse: &Lapse, output: Output, background: bool) -> Result<Outcome, Error> {
    if background {
        lapse.run_store_in_background(told_to_stop()).await?;
    } else {
        let ready = |endpoint: &str| {
            output.aside(&format!("The store runs at {endpoint}. Ctrl-C ends it."));
        };
        lapse.run_store(ready, told_to_stop()).await?;
    }
    Ok(Outcome::Done)
}

/// Ctrl-C, or a system that wants this process to end.
pub(crate) async fn told_to_stop() {
    #[cfg(unix)]
    if let Ok(mut terminate) =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
    {
        tokio::select! {
            _ = terminate.recv() => return,
            interrupt = tokio::signal::ctrl_c() => if interrupt.is_ok() { return },
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

pub(crate) async fn command(
    lapse: &Lapse,
    output: Output,
    command: args::Store,
) -> Result<Outcome, Error> {
    match command {
        args::Store::Run { background } => run(lapse, output, background).await,
        args::Store::Status => status(lapse, output),
        args::Store::Stop => {
            let stopped = lapse.stop_store().await?;
            if output.is_json() {
                json_line(&serde_json::json!({ "stopped": stopped }));
                return Ok(Outcome::Done);
            }
            output.aside(if stopped {
                "The store is stopped. Its links work again when it runs: lapse store run"
            } else {
                "The store wasn't running."
            });
            Ok(Outcome::Done)
        }
        args::Store::Check => check(lapse, output),
        args::Store::Listen { place, interface } => listen(lapse, output, place, interface).await,
        args::Store::Env => env(lapse, output).await,
    }
}

fn status(lapse: &Lapse, output: Output) -> Result<Outcome, Error> {
    let status = lapse.store_status()?;
    if output.is_json() {
        json_line(&status);
        return Ok(Outcome::Done);
    }
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let runs = match status.pid {
        Some(pid) => format!("yes, process {pid}"),
        None => "no".to_owned(),
    };
    let network = network(&status);
    line(&columns(&[
        row("running", runs),
        row("endpoint", status.endpoint.unwrap_or_else(|| "chosen at the first start".to_owned())),
        row("network", network),
        row("bucket", status.bucket.to_owned()),
        row("region", status.region.to_owned()),
        row("folder", status.data_dir.display().to_string()),
        row("links", format!("{} alive", status.live_links)),
        row("objects", format!("{} ({})", status.objects, size(status.bytes))),
    ]));
    Ok(Outcome::Done)
}

/// Whether the store listens in the local network.
fn network(status: &StoreStatus) -> String {
    match (&status.lan, &status.lan_interface, &status.lan_ended_at) {
        (Some(lan), ..) => format!("{lan}, unencrypted"),
        (None, Some(interface), _) => {
            format!(
                "that of {interface}, unencrypted, when the store runs and the network is the same"
            )
        }
        (None, None, Some(at)) => {
            let at = at.parse().map_or_else(|_| at.clone(), clock);
            format!("left at {at}, when it changed; on again: lapse store listen lan")
        }
        (None, None, None) => "this computer only".to_owned(),
    }
}

async fn listen(
    lapse: &Lapse,
    output: Output,
    place: Option<args::Place>,
    interface: Option<String>,
) -> Result<Outcome, Error> {
    match (place, &interface) {
        (Some(args::Place::Lan), _) => {
            let endpoint = lapse.listen_in_network(interface.as_deref()).await?;
            output.aside(&format!(
                "The store listens at {endpoint} until this network changes. What goes over it isn't encrypted: who is in the \
                 network can read along. Links made from now on carry that address. Off: lapse store listen loopback"
            ));
        }
        (Some(args::Place::Loopback), Some(_)) => {
            return Err(Error::new(
                Code::Usage,
                "loopback has no interface to choose",
                "Leave --interface out, or write lan.",
            ));
        }
        (Some(args::Place::Loopback), None) => {
            lapse.listen_on_loopback().await?;
            output.aside("The store listens on this computer only.");
        }
        (None, _) => {}
    }
    let status = lapse.store_status()?;
    let interfaces = lapse.store_interfaces();
    if output.is_json() {
        json_line(&serde_json::json!({ "lan": status.lan, "interfaces": interfaces }));
    } else if place.is_none() {
        line(&format!("network: {}", network(&status)));
        for found in &interfaces {
            line(&format!("interface: {} ({})", found.interface, found.address));
        }
        if interfaces.is_empty() {
            line("interface: none with a private IPv4 address");
        }
    }
    Ok(Outcome::Done)
}

fn check(lapse: &Lapse, output: Output) -> Result<Outcome, Error> {
    let folder = lapse.store_status()?.data_dir;
    let checked = lapse.check_store(|_| {})?;
    let whole = checked.damaged.is_empty();
    if output.is_json() {
        json_line(&checked);
    } else {
        for found in &checked.damaged {
            let what = match found.damage {
                "missing" => "the file is gone",
                "size" => "the file has another size",
                "bytes" => "other bytes than were stored",
                _ => "the disk doesn't give it",
            };
            let unfinished = if found.unfinished { ", unfinished upload" } else { "" };
            line(&format!(
                "damaged: {}/{}{unfinished}: {what} ({})",
                found.bucket,
                found.key.escape_debug(),
                folder.join(&found.file).display()
            ));
        }
        let read = format!("{} files, {}", checked.files, size(checked.bytes));
        if whole {
            line(&format!("All is as it was stored: {read}."));
        } else {
            output.aside(&format!(
                "{read} read. A damaged file is never given to anybody: share it again, and look after the disk."
            ));
        }
    }
    Ok(if whole { Outcome::Done } else { Outcome::Failed })
}

async fn env(lapse: &Lapse, output: Output) -> Result<Outcome, Error> {
    let (endpoint, keys) = lapse.store_env().await?;
    let status = lapse.store_status()?;
    let variables = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_REGION", status.region),
        // The older names: boto3 knows the one only, s5cmd the other.
        ("AWS_DEFAULT_REGION", status.region),
        ("S3_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", &keys.access_key),
        ("AWS_SECRET_ACCESS_KEY", keys.secret.expose()),
        ("BUCKET", status.bucket),
    ];
    if output.is_json() {
        json_line(&BTreeMap::from(variables));
        return Ok(Outcome::Done);
    }
    for (name, value) in variables {
        line(&format!("export {name}={value}"));
    }
    Ok(Outcome::Done)
}
