//! What a server's refusal means, in a person's words.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::{Bucket, http};
use crate::clock::is_of_s3;
use crate::profile::{LOCAL, Profile};
use crate::{Code, Error};

/// The end of an error that the SDK gave, whatever the operation.
type Failed<E> = SdkError<E, HttpResponse>;

impl Bucket {
    /// What went wrong while we tried to `act`.
    pub(super) fn explain<E>(&self, act: &str, error: Failed<E>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let explained = match &error {
            SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) => {
                self.no_answer(&http::chain(&error))
            }
            SdkError::ServiceError(service) => self.refused(act, service.err(), service.raw()),
            SdkError::ResponseError(response) => {
                tracing::debug!(
                    status = response.raw().status().as_u16(),
                    "an answer that isn't S3's"
                );
                self.not_s3()
            }
            _ => storage(&format!("can't {act}")),
        };
        let passes = passes(&error) && explained.code != Code::Certificate;
        explained.passing(passes).caused_by(error)
    }

    fn refused(&self, act: &str, error: &impl ProvideErrorMetadata, raw: &HttpResponse) -> Error {
        let status = raw.status().as_u16();
        let bucket = &self.profile.bucket;
        let region = raw.headers().get("x-amz-bucket-region");
        match (error.code(), status) {
            (Some("NoSuchBucket"), _) => self.no_such_bucket(),
            (Some("NoSuchKey"), _) => self.no_such_object(""),
            (Some("NotFound"), _) | (None, 404) if is_of_s3(raw.headers()) => self.no_such_bucket(),
            (
                Some(
                    "InvalidAccessKeyId"
                    | "SignatureDoesNotMatch"
                    | "InvalidToken"
                    | "ExpiredToken"
                    | "TokenRefreshRequired"
                    | "InvalidClientTokenId",
                ),
                _,
            ) => self.sign_in_refused(error.code() == Some("SignatureDoesNotMatch")),
            (
                Some(
                    "AuthorizationHeaderMalformed"
                    | "PermanentRedirect"
                    | "TemporaryRedirect"
                    | "IllegalLocationConstraintException"
                    | "AuthorizationQueryParametersError",
                ),
                _,
            )
            | (None, 301)
                if region.is_some() || is_of_s3(raw.headers()) =>
            {
                self.wrong_region(region)
            }
            (
                Some(
                    "BadDigest"
                    | "InvalidDigest"
                    | "XAmzContentChecksumMismatch"
                    | "ChecksumMismatch",
                ),
                _,
            ) => Error::new(
                Code::Damaged,
                format!("what arrived at {} isn't what was sent", self.host()),
                "Try again, by another network if it stays.",
            ),
            (Some("RequestTimeTooSkewed"), _) => Error::new(
                Code::Clock,
                "this computer's clock is too far from the storage's",
                "Set the clock (automatic time), then try again.",
            ),
            (Some("AccessDenied" | "AllAccessDisabled" | "AccountProblem" | "Forbidden"), _) => {
                Error::new(
                    Code::AccessDenied,
                    format!(
                        "{} doesn't let {} {act} in «{bucket}»",
                        self.host(),
                        self.keys.access_key
                    ),
                    "Give the key the right to do so, or use a profile that has it.",
                )
            }
            (
                Some("InsufficientStorage" | "StorageFull" | "XMinioStorageFull" | "QuotaExceeded"),
                _,
            )
            | (_, 507) => {
                let (place, there) = if self.profile.name == LOCAL {
                    ("this computer's disk", "on it")
                } else {
                    (self.host(), "there")
                };
                Error::new(
                    Code::DiskFull,
                    format!("{place} has no room left"),
                    format!("Make room {there}, then try again."),
                )
            }
            (Some(code), _) if code != "NotFound" => Error::new(
                Code::Storage,
                format!("{} refused to {act}: {}", self.host(), code.escape_debug()),
                "Try again; if it stays, `lapse profile check` says what this storage can do.",
            ),
            // Only a HEAD is answered without a body.
            (None, 403) if is_of_s3(raw.headers()) => Error::new(
                Code::AccessDenied,
                format!("{} doesn't let {} {act}", self.host(), self.keys.access_key),
                "Check the access key, its secret, and that the bucket is yours.",
            ),
            (None, _) if is_of_s3(raw.headers()) => {
                storage(&format!("{} answered {status} to: {act}", self.host()))
            }
            _ => self.not_s3(),
        }
    }

    fn sign_in_refused(&self, wrong_secret: bool) -> Error {
        let (host, key) = (self.host(), &self.keys.access_key);
        let what = if wrong_secret {
            format!("{host} says that the secret of {key} is wrong")
        } else {
            format!("{host} doesn't accept the access key {key}")
        };
        let name = &self.profile.name;
        Error::new(
            Code::SignIn,
            what,
            format!(
                "Correct the keys of the profile «{name}»: remove it and add it again, or sign in anew."
            ),
        )
    }

    fn wrong_region(&self, right: Option<&str>) -> Error {
        let hint = match right {
            Some(region) => format!("Use --region {} for this profile.", region.escape_debug()),
            None => {
                "Give the profile the region that the provider shows for the bucket.".to_owned()
            }
        };
        let Profile { bucket, region, .. } = &self.profile;
        Error::new(
            Code::WrongRegion,
            format!("the bucket «{bucket}» isn't in the region {region}"),
            hint,
        )
    }

    fn no_answer(&self, cause: &str) -> Error {
        tracing::debug!(cause, "no answer from the storage");
        let low = cause.to_lowercase();
        if low.contains("certificate") || low.contains("unknownissuer") {
            return Error::new(
                Code::Certificate,
                format!("the certificate of {} isn't trusted", self.host()),
                "If the server has a certificate of its own, name its CA file with --ca-file; else you may not be talking to your storage.",
            );
        }
        let tls = ["corrupt message", "invalid content type", "wrong version number", "handshake"];
        if tls.iter().any(|sign| low.contains(sign)) {
            return Error::new(
                Code::NotS3,
                format!("{} doesn't speak TLS", self.host()),
                "Check the endpoint: http:// or https://, and the port.",
            );
        }
        Error::new(
            Code::Unreachable,
            format!("{} can't be reached", self.host()),
            "Check the endpoint and your network, then try again.",
        )
    }

    pub(super) fn not_s3(&self) -> Error {
        Error::new(
            Code::NotS3,
            format!("{} answered, but not as an S3 server", self.host()),
            "Check the endpoint; on a guest network, sign in to it in a browser first.",
        )
    }

    pub(super) fn no_such_object(&self, key: &str) -> Error {
        let name =
            if key.is_empty() { String::new() } else { format!(" «{}»", key.escape_debug()) };
        Error::new(
            Code::NoSuchObject,
            format!("there is no object{name} in the bucket «{}»", self.profile.bucket),
            "It was deleted or moved; share the file again.",
        )
    }

    fn no_such_bucket(&self) -> Error {
        Error::new(
            Code::NoSuchBucket,
            format!("there is no bucket «{}» at {}", self.profile.bucket, self.host()),
            "Make it with the provider's own tools, or correct the profile's bucket.",
        )
    }

    pub(super) fn host(&self) -> &str {
        &self.profile.endpoint.authority
    }
}

/// Whether the same request may work later with nobody doing anything: the network is back, the server is up again
/// or less busy, the sign-in was renewed.
fn passes<E: ProvideErrorMetadata>(error: &Failed<E>) -> bool {
    match error {
        SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) | SdkError::ResponseError(_) => {
            true
        }
        SdkError::ServiceError(service) => {
            let code = service.err().code();
            let status = service.raw().status().as_u16();
            matches!(status, 408 | 425 | 429 | 500 | 502..=504)
                || matches!(
                    code,
                    Some(
                        "RequestTimeout"
                            | "RequestTimeTooSkewed"
                            | "IncompleteBody"
                            | "BadDigest"
                            | "SlowDown"
                            | "ExpiredToken"
                            | "TokenRefreshRequired"
                    )
                )
                // A portal's page, until someone has signed in to it.
                || code.is_none() && !is_of_s3(service.raw().headers())
        }
        _ => false,
    }
}

pub(super) fn storage(message: &str) -> Error {
    Error::new(
        Code::Storage,
        message,
        "Try again; `lapse profile check` says what this storage can do.",
    )
}
