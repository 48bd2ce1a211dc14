//! Everything Lapse does, with no user interface in it.
//!
//! A front end opens [`Lapse`], asks it for something, and hears what happens through an
//! [`event::Sink`]. Data flows one way: front end → core → sink.

mod clock;
pub mod error;
pub mod event;
mod history;
mod home;
pub mod keychain;
mod lapse;
mod local;
mod pace;
mod point;
pub mod profile;
pub mod rotation;
pub mod settings;
pub mod share;
pub mod storage;
mod transfer;
pub mod watch;

pub use clock::ServerClock;
pub use error::{Code, Error, Result};
pub use history::Revocation;
pub use home::Home;
pub use keychain::{KeychainChoice, KeychainKind, KeychainState};
pub use lapse::{Lapse, Options, may_log};
pub use local::{Candidate as StoreInterface, Status as StoreStatus, StoreHost};
