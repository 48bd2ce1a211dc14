//! The server's time, as far as it is known.
//!
//! A link ends by the server's clock. Signing with a clock that is an hour off makes links that end an
//! hour early, late, or never work; so each answer's `Date` corrects ours.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::Headers;
use aws_smithy_types::config_bag::ConfigBag;
use jiff::{SignedDuration, Timestamp};

/// `Date` has whole seconds and the answer took time to arrive: less than this is no difference.
const NOISE: i64 = 2;

/// Every S3 server that we know sends one of these; a portal or a plain web server doesn't.
pub(crate) fn is_of_s3(headers: &Headers) -> bool {
    let own = headers.iter().any(|(name, _)| name.starts_with("x-amz-") || name == "etag");
    let xml = headers
        .get("content-type")
        .is_some_and(|kind| kind.contains("xml") && !kind.contains("html"));
    own || xml
}

/// A clock shared by all that talk to one storage.
#[derive(Debug, Clone)]
pub struct ServerClock {
    offset: Arc<AtomicI64>,
    /// The offset that is written down.
    kept: Arc<AtomicI64>,
}

impl Default for ServerClock {
    /// One of which nothing is known.
    fn default() -> Self {
        Self { kept: Arc::new(AtomicI64::new(i64::MIN)), ..Self::with_offset(0) }
    }
}

impl ServerClock {
    /// A clock that was `offset` seconds ahead of this computer's, as is written down.
    pub fn with_offset(offset: i64) -> Self {
        Self { offset: Arc::new(AtomicI64::new(offset)), kept: Arc::new(AtomicI64::new(offset)) }
    }

    pub(crate) fn is_kept(&self, offset: i64) -> bool {
        self.kept.load(Ordering::Relaxed) == offset
    }

    pub(crate) fn keep(&self, offset: i64) {
        self.kept.store(offset, Ordering::Relaxed);
    }

    /// Seconds that the server is ahead of this computer (negative: behind).
    pub fn offset(&self) -> i64 {
        self.offset.load(Ordering::Relaxed)
    }

    /// The server's time now.
    pub fn now(&self) -> Timestamp {
        Timestamp::now() + SignedDuration::from_secs(self.offset())
    }

    /// The same in whole seconds, as links and rows tell time.
    pub(crate) fn second(&self) -> Timestamp {
        Timestamp::from_second(self.now().as_second()).unwrap_or_default()
    }

    /// Learns from the `Date` header of an answer that just arrived.
    pub(crate) fn learn(&self, date: &str) {
        let Ok(server) = jiff::fmt::rfc2822::parse(date) else { return };
        let ahead = server.timestamp().as_second() - Timestamp::now().as_second();
        let offset = if ahead.abs() <= NOISE { 0 } else { ahead };
        self.offset.store(offset, Ordering::Relaxed);
    }
}

impl Intercept for ServerClock {
    fn name(&self) -> &'static str {
        "ServerClock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.response().headers();
        // A portal's clock is nobody's.
        if let Some(date) = headers.get("date").filter(|_| is_of_s3(headers)) {
            self.learn(date);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_follows_the_date_header() {
        let clock = ServerClock::default();
        let ahead = Timestamp::now() + SignedDuration::from_hours(1);
        clock.learn(&ahead.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
        assert!((3598..=3602).contains(&clock.offset()), "{}", clock.offset());
        clock.learn("yesterday, more or less");
        assert!(clock.offset() > 3000, "a date that can't be read changes nothing");
        clock.learn(&Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
        assert_eq!(clock.offset(), 0);
    }
}
