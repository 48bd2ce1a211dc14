//! Puts links on the clipboard, and says so only if they are really there.
//!
//! Under X11 and Wayland the contents of the clipboard end with the program that put them there, and
//! `lapse` ends at once. So a child keeps them: it gets the text by a pipe, never as an argument.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use arboard::Clipboard;

/// The word that makes a `lapse` the child that holds the clipboard.
const HOLDER: &str = "hold-clipboard";
/// How often the child looks whether it still holds the clipboard.
#[cfg(target_os = "linux")]
const LOOK: Duration = Duration::from_secs(2);
/// How long to wait until the clipboard really gives the link back. A busy machine takes seconds.
const ARRIVES: Duration = Duration::from_secs(5);

/// Copies a text that is of use for so many seconds. Gives whether it is on the clipboard now.
pub(crate) fn copy(text: &str, seconds: u64) -> bool {
    if !has_one() {
        return false;
    }
    let Some(mut holder) = start_holder(text, seconds) else { return false };
    let began = Instant::now();
    while began.elapsed() < ARRIVES {
        let held = Clipboard::new().and_then(|mut clipboard| clipboard.get_text());
        if held.is_ok_and(|held| held == text) {
            return true;
        }
        // Where the system keeps the contents itself, it has ended well by now.
        if holder.try_wait().is_ok_and(|ended| ended.is_some_and(|status| !status.success())) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

/// Without a screen there is nothing to copy to, and looking for it would take time.
fn has_one() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(not(target_os = "linux")) || set("WAYLAND_DISPLAY") || set("DISPLAY")
}

fn start_holder(text: &str, seconds: u64) -> Option<Child> {
    let program = std::env::current_exe().ok()?;
    // It may live for days: what our caller left open (a lock, a pipe) or told us (a secret) isn't for it.
    #[cfg(unix)]
    close_fds::set_fds_cloexec(3, &[]);
    let mut command = Command::new(program);
    command.env_clear();
    for name in ["HOME", "DISPLAY", "XAUTHORITY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    let mut child = command
        .args([HOLDER, &seconds.to_string()])
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(text.as_bytes()).ok()?;
    Some(child)
}

/// For how long, if this process is the child. No command of a person's, so it isn't in [`crate::args`].
pub(crate) fn is_holder() -> Option<u64> {
    let mut words = std::env::args_os().skip(1);
    (words.next()? == HOLDER).then_some(words.next()?.to_str()?.parse().ok()?)
}

/// The child: holds what standard input gave until something else is copied, or it is of no more use.
pub(crate) fn hold(seconds: u64) -> ExitCode {
    // Own session: closing the terminal doesn't take the link away. It fails only where we have one.
    #[cfg(unix)]
    let _ = rustix::process::setsid();
    let mut text = String::new();
    let (Ok(_), Ok(mut clipboard)) = (std::io::stdin().read_to_string(&mut text), Clipboard::new())
    else {
        return ExitCode::FAILURE;
    };
    if set(&mut clipboard, &text).is_err() {
        return ExitCode::FAILURE;
    }
    #[cfg(target_os = "linux")]
    stay_while_held(&mut clipboard, &text, Instant::now() + Duration::from_secs(seconds));
    ExitCode::SUCCESS
}

/// Until something else is copied, the screen is gone, or the link has ended.
#[cfg(target_os = "linux")]
fn stay_while_held(clipboard: &mut Clipboard, text: &str, until: Instant) {
    while Instant::now() < until && clipboard.get_text().is_ok_and(|held| held == text) {
        std::thread::sleep(LOOK.min(until.saturating_duration_since(Instant::now())));
    }
}

#[cfg(target_os = "linux")]
fn set(clipboard: &mut Clipboard, text: &str) -> Result<(), arboard::Error> {
    use arboard::SetExtLinux as _;
    // Clipboard managers that keep a history leave out what is marked so.
    clipboard.set().exclude_from_history().text(text)
}

#[cfg(windows)]
fn set(clipboard: &mut Clipboard, text: &str) -> Result<(), arboard::Error> {
    use arboard::SetExtWindows as _;
    clipboard.set().exclude_from_cloud().exclude_from_history().text(text)
}

#[cfg(target_os = "macos")]
fn set(clipboard: &mut Clipboard, text: &str) -> Result<(), arboard::Error> {
    use arboard::SetExtApple as _;
    clipboard.set().exclude_from_history().text(text)
}
