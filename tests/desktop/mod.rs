//! The window and its package.

mod closing;
mod folders;
mod keychain;
mod names;
mod network;
mod others;
mod package;
mod paste;
mod revoke;
mod sharing;
mod starts;
mod storage;
mod troubles;
