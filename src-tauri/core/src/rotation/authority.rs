//! Who can make a key and switch it off.

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use jiff::Timestamp;

use crate::storage::Keys;
use crate::{Code, Error, Result};

/// A server that is busy or restarts is asked again.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(400);
/// One that was silent for so long isn't.
const LONGEST: Duration = Duration::from_secs(10);

/// Asks once more where that may help.
pub(super) async fn again<T, F: Future<Output = Result<T>>>(
    ask: impl Fn() -> F + Send,
) -> Result<T> {
    let (mut tries, began) = (1, Instant::now());
    loop {
        match ask().await {
            Err(error) if error.passes() && tries < TRIES && began.elapsed() < LONGEST => {
                tokio::time::sleep(PAUSE * 2_u32.pow(tries - 1)).await;
                tries += 1;
            }
            asked => return asked,
        }
    }
}

/// Nothing came back.
pub(super) fn no_answer(host: &str, action: &str, cause: &str) -> Error {
    tracing::debug!(action, cause, "no answer from the keys' API");
    Error::new(
        Code::Unreachable,
        format!("{host} can't be reached"),
        "Check the network, then try again.",
    )
    .passing(true)
}

/// An access key of the user, as its authority lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownKey {
    pub(crate) access_key: String,
    pub(crate) is_active: bool,
    /// Not every server says.
    pub(crate) created_at: Option<Timestamp>,
}

/// When a key was last used, and with which service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastUse {
    /// When.
    pub at: Timestamp,
    /// `s3`, `iam`, …
    pub service: Option<String>,
}

/// Makes, switches and deletes the access keys of one user. Each call may be made again: what is so already is no error.
pub(crate) trait Authority: Send + Sync {
    /// All of them.
    fn keys(&self) -> BoxFuture<'_, Result<Vec<KnownKey>>>;
    /// One more, switched on. The only call that isn't made again by itself.
    fn create(&self) -> BoxFuture<'_, Result<Keys>>;
    /// Switches one on or off.
    fn set_active<'a>(&'a self, access_key: &'a str, active: bool) -> BoxFuture<'a, Result<()>>;
    /// Deletes one, for good.
    fn delete<'a>(&'a self, access_key: &'a str) -> BoxFuture<'a, Result<()>>;
    /// When one was last used, where that is told.
    fn last_use<'a>(&'a self, access_key: &'a str) -> BoxFuture<'a, Result<Option<LastUse>>>;
}
