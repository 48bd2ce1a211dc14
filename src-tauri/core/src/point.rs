//! Places where tests end the process as a power cut would.

/// Ends the process here where the environment says so: `FAILPOINTS=NAME=return`, or `NAME=3*off->return` for the
/// fourth time. Nothing in a program that isn't built for tests.
#[cfg(feature = "failpoints")]
pub(crate) fn reach(name: &str) {
    fail::fail_point!(name, |_| {
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        std::thread::park();
    });
}

#[cfg(not(feature = "failpoints"))]
#[inline]
pub(crate) fn reach(_: &str) {}

/// Reads the environment, once.
#[cfg(feature = "failpoints")]
pub(crate) fn set_up() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    // It lasts as long as the process.
    ONCE.call_once(|| std::mem::forget(fail::FailScenario::setup()));
}

#[cfg(not(feature = "failpoints"))]
pub(crate) fn set_up() {}
