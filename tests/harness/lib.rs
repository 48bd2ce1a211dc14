//! What the tests stand on: the real `lapse`, real servers, a real keychain, and connections that fail.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::return_self_not_must_use,
    reason = "a test that can't go on must stop, loudly"
)]

use std::thread::sleep;
use std::time::{Duration, Instant};

pub mod clocks;
pub mod faults;
pub mod faulty;
pub mod lapse;
pub mod leaks;
pub mod link;
pub mod peer;
pub mod rig;
pub mod server;
pub mod watching;
pub mod window;

pub use lapse::{Lapse, Output, Share, profile_words};
pub use link::{Answer, Link};
pub use server::{Place, Server};
pub use window::{Drag, Window};

/// Waits until `condition` gives something; fails after `limit` with what was waited for.
pub fn wait_for<T>(what: &str, limit: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < end, "waited {limit:?} in vain: {what}");
        sleep(Duration::from_millis(20));
    }
}

/// Bytes that don't compress and differ at each place, the same at each call.
pub fn bytes(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(len);
    out
}
