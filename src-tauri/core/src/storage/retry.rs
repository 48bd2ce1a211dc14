//! A server that asks to be asked less is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{
    ClassifyRetry, RetryAction, RetryClassifierPriority,
};
use aws_smithy_types::retry::ErrorKind;

/// Nobody waits longer before it is tried again.
const LONGEST: Duration = Duration::from_mins(1);

/// Counts such answers, and waits as long as `Retry-After` says: the SDK knows only its own header for that.
#[derive(Debug, Clone, Default)]
pub(super) struct Slowed(Arc<AtomicU64>);

impl Slowed {
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl ClassifyRetry for Slowed {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(response) = context.response() else { return RetryAction::NoActionIndicated };
        if !matches!(response.status().as_u16(), 429 | 503) {
            return RetryAction::NoActionIndicated;
        }
        self.0.fetch_add(1, Ordering::Relaxed);
        match response.headers().get("retry-after").and_then(|text| text.trim().parse().ok()) {
            Some(seconds) => RetryAction::retryable_error_with_explicit_delay(
                ErrorKind::ThrottlingError,
                Duration::from_secs(seconds).min(LONGEST),
            ),
            None => RetryAction::throttling_error(),
        }
    }

    fn name(&self) -> &'static str {
        "a server that asks for less"
    }

    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(
            RetryClassifierPriority::modeled_as_retryable_classifier(),
        )
    }
}
