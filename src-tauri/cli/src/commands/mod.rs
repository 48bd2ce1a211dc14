//! One function a command: parse, ask core, print.

mod profile;
pub(crate) mod revoke;
mod share;
pub(crate) mod store;
pub(crate) mod uploads;
pub(crate) mod watch;

use std::io::{IsTerminal as _, Write as _};

use clap::CommandFactory as _;
use clap_complete::Shell;
use lapse_core::{Code, Error, Lapse};

use crate::args::{Args, Command};
use crate::output::{Output, line};
use crate::progress::Screen;

/// How a command ended, where it didn't fail as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All of it worked.
    Done,
    /// None of it did; each part was told.
    Failed,
    /// Some of it did; the rest was told.
    Partly,
}

impl Outcome {
    /// Of `all` parts, `failed` didn't work.
    fn of(failed: usize, all: usize) -> Self {
        match failed {
            0 => Self::Done,
            _ if failed == all => Self::Failed,
            _ => Self::Partly,
        }
    }
}

/// Asks for a yes on the terminal; where there is none it is a no.
fn agrees(question: &str) -> Result<bool, Error> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(false);
    }
    let failed = |error| Error::new(Code::Usage, format!("can't ask: {error}"), "Add --yes.");
    let mut screen = std::io::stderr();
    write!(screen, "{question} [y/N] ").map_err(failed)?;
    screen.flush().map_err(failed)?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(failed)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

pub(crate) async fn run(
    lapse: &Lapse,
    output: Output,
    screen: &Screen,
    command: Command,
) -> Result<Outcome, Error> {
    match command {
        Command::Share(args) => share::share(lapse, output, screen, args).await,
        Command::List => share::list(lapse, output),
        Command::Show { id } => share::show(lapse, output, &id),
        Command::Link { id, copy } => share::link(lapse, output, &id, copy).await,
        Command::Check { ids } => share::check(lapse, output, &ids).await,
        Command::Extend { id, expires, copy } => {
            share::extend(lapse, output, &id, expires, copy).await
        }
        Command::Revoke(args) => Box::pin(revoke::revoke(lapse, output, screen, *args)).await,
        Command::History => revoke::history(lapse, output),
        Command::Uploads(args) => uploads::uploads(lapse, output, args).await,
        Command::Pause { ids } => uploads::pause(lapse, output, &ids),
        Command::Resume { ids, copy } => uploads::resume(lapse, output, screen, &ids, copy).await,
        Command::Cancel { ids } => uploads::cancel(lapse, output, &ids).await,
        Command::Profile { command } => profile::run(lapse, output, command).await,
        Command::Store { command } => store::command(lapse, output, command).await,
        Command::Watch { command } => {
            Box::pin(watch::command(lapse, output, screen, command)).await
        }
        Command::Completions { shell } => Ok(completions(shell)),
    }
}

pub(crate) fn completions(shell: Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "lapse", &mut script);
    line(String::from_utf8_lossy(&script).trim_end());
    Outcome::Done
}
