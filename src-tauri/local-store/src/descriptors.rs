//! How many files and connections a process may have.

use std::sync::OnceLock;

#[cfg(unix)]
const MOST: u64 = 8192;
/// For the index, uploads, and whatever else this process does.
#[cfg(unix)]
const OWN: u64 = 200;

/// The process is asked once: what is raised for one user of it isn't lowered for the next.
static DESCRIPTORS: OnceLock<usize> = OnceLock::new();

/// How many files and connections this process may have open: as many as the system lets it, for which it must
/// ask.
pub fn descriptors() -> usize {
    *DESCRIPTORS.get_or_init(raised)
}

#[cfg(unix)]
fn raised() -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(MOST, |most| most.min(MOST));
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(wanted);
        // Refused, it stays as it is.
        if setrlimit(Resource::Nofile, limit).is_err() {
            limit = getrlimit(Resource::Nofile);
        }
    }
    let own = limit.current.unwrap_or(MOST).saturating_sub(OWN);
    usize::try_from(own).unwrap_or(usize::MAX).max(16)
}

#[cfg(not(unix))]
fn raised() -> usize {
    usize::MAX
}
