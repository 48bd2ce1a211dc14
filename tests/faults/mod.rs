//! What goes wrong outside: each is told in one line that says what to do, and nothing is lost.

mod disk;
mod files;
mod keychain;
mod lan;
mod network;
mod state;
mod transfer;
