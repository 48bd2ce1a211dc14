//! Everything that Lapse promises, tried from outside.
#![expect(clippy::unwrap_used, reason = "a test that can't go on must stop, loudly")]

mod cli;
mod clients;
mod conformance;
mod core;
mod desktop;
mod faults;
