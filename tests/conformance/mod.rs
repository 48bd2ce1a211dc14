//! What must hold on every server alike.

/// Each function becomes a test on the local store, on `SeaweedFS` and on `MiniStack`.
macro_rules! on_every_server {
    ($($(#[$doc:meta])* fn $name:ident($server:ident: Server) $body:block)*) => {
        $($(#[$doc])* fn $name($server: Server) $body)*
        on_every_server!(@on local_store LocalStore $($name)*);
        on_every_server!(@on seaweedfs SeaweedFs $($name)*);
        on_every_server!(@on ministack MiniStack $($name)*);
    };
    (@on $module:ident $server:ident $($name:ident)*) => {
        mod $module {
            use lapse_tests::Server;
            $(#[test] fn $name() { super::$name(Server::$server); })*
        }
    };
}

mod clock;
mod disks;
mod expiry;
mod forgery;
mod kill;
mod resume;
mod revoke;
mod sessions;
mod state;
mod storage;
mod torture;
mod watch;
