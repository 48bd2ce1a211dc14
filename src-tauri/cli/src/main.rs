//! `lapse`: share a file by a link that expires, from the command line.

mod args;
mod clipboard;
mod commands;
mod output;
mod progress;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser as _;
use lapse_core::{Code, Error, Home, KeychainChoice, Lapse, Options, StoreHost};
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use args::{Args, Command};
use commands::Outcome;
use commands::revoke::{FINISHING, FINISHING_SOON};
use output::Output;

/// How long an upload that was interrupted may take to clear up after itself.
const CLEARING_UP: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    if let Some(seconds) = clipboard::is_holder() {
        return clipboard::hold(seconds);
    }
    log_to_stderr();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return output::usage(&error),
    };
    let output = Output::new(args.json);
    let Some(command) = args.command else {
        output::start();
        return ExitCode::SUCCESS;
    };
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                let hint = "Close some programs, then try again.";
                return output.fail(&Error::new(Code::Disk, format!("can't start: {error}"), hint));
            }
        };
    let code = match runtime.block_on(run(command, output)) {
        Ok(Outcome::Done) => {
            output::unprinted().map_or(ExitCode::SUCCESS, |error| output.fail(&error))
        }
        Ok(Outcome::Failed) => ExitCode::from(1),
        Ok(Outcome::Partly) => ExitCode::from(3),
        Err(error) => output.fail(&error),
    };
    // A read of standard input that nobody ends would keep the runtime.
    runtime.shutdown_background();
    code
}

async fn run(command: Command, output: Output) -> Result<Outcome, Error> {
    if let Command::Completions { shell } = command {
        return Ok(commands::completions(shell));
    }
    let program = std::env::current_exe().map_err(|error| {
        Error::new(Code::Disk, "lapse can't find its own program", "Call it by its full path.")
            .caused_by(error)
    })?;
    let screen = Arc::new(progress::Screen::new(output.is_json()));
    let lapse = Lapse::open(Options {
        home: Home::from_env()?,
        keychain: KeychainChoice::FromEnv,
        store_host: StoreHost::Program(program),
        sink: screen.clone(),
    })?;
    if let Command::Store { command: args::Store::Run { background } } = command {
        return commands::store::run(&lapse, output, background).await;
    }
    if let Command::Watch { command: args::Watch::Run } = command {
        // Told to stop, it stops what is under way by itself.
        return Box::pin(commands::run(&lapse, output, &screen, command)).await;
    }
    let uploads = matches!(command, Command::Share(_) | Command::Resume { .. });
    let of_links = !matches!(
        command,
        Command::Store { .. }
            | Command::Profile { .. }
            | Command::Watch { .. }
            | Command::Uploads(_)
            | Command::Pause { .. }
    );
    let is_local = matches!(command, Command::List | Command::Show { .. } | Command::History);
    let mut work = std::pin::pin!(async {
        if of_links {
            let longest = if is_local { FINISHING_SOON } else { FINISHING };
            Box::pin(commands::revoke::finish(&lapse, output, longest)).await;
        }
        Box::pin(commands::run(&lapse, output, &screen, command)).await
    });
    tokio::select! {
        outcome = &mut work => outcome,
        () = commands::store::told_to_stop() => {
            let paused = lapse.pause_all()?;
            // What can't be gone on with gives its parts up; anything else is simply dropped.
            if uploads {
                let _ = tokio::time::timeout(CLEARING_UP, work).await;
            }
            screen.end();
            Err(commands::uploads::stopped(&lapse, &paused))
        }
    }
}

/// Only where `RUST_LOG` asks for it, and never wider than secrets allow.
fn log_to_stderr() {
    let Ok(wanted) = std::env::var("RUST_LOG") else { return };
    let filter = EnvFilter::new(wanted).and(filter_fn(lapse_core::may_log));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(filter);
    tracing_subscriber::registry().with(lines).init();
}
