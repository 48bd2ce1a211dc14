//! Bodies that s3s reads whole, hashed on their way: what they say is done only when they are what was sent.
//!
//! s3s looks at none of the digests that a request names for its XML, and calls the one that it does look at, the
//! signed one, an internal error.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use futures_util::{Stream, StreamExt};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use s3s::stream::{ByteStream, DynByteStream, RemainingLength};
use s3s::{Body, S3Error, S3Request, S3Result, StdError, s3_error};

use super::put::Proof;
use super::xml;
use crate::digest::{Algorithm, Extra, Hasher, Sums};
use crate::fault;

/// A thousand keys of the longest kind to be deleted, and ten thousand parts with their checksums, have room.
const LARGEST: u64 = 8 * 1024 * 1024;

/// What was computed of a body, once it has ended.
#[derive(Clone)]
pub(crate) struct Hashed {
    /// The SHA-256 that was signed, if one was.
    signed: Option<Vec<u8>>,
    outcome: Arc<OnceLock<Outcome>>,
}

struct Outcome {
    sums: Sums,
    sha256: Vec<u8>,
    /// What s3s read.
    xml: Vec<u8>,
}

/// The body that s3s is to read, and what will be known of it. Objects' bytes are left alone.
pub(crate) fn watch(parts: &mut Parts, body: Body) -> S3Result<(Body, Option<Hashed>)> {
    let is_of_bucket = !parts.uri.path().trim_matches('/').contains('/');
    if parts.method != Method::POST && !(parts.method == Method::PUT && is_of_bucket) {
        return Ok((body, None));
    }
    let left = http_body::Body::size_hint(&body).exact().unwrap_or(u64::MAX);
    if (LARGEST + 1..u64::MAX).contains(&left) {
        return Err(s3_error!(MaxMessageLengthExceeded, "XML takes at most 8 MiB."));
    }
    // Whatever is wrong with what it names is said when it is compared.
    let algorithm = Proof::of(&parts.headers, None).ok().and_then(|proof| proof.algorithm());
    let signed = parts.headers.get("x-amz-content-sha256");
    let signed = signed.and_then(|hash| HEXLOWER.decode(hash.as_bytes()).ok());
    let hashed = Hashed { signed, outcome: Arc::default() };
    parts.extensions.insert(hashed.clone());
    let hashers = Some((Hasher::new("", algorithm), Extra::new(Algorithm::Sha256)));
    let xml = Vec::new();
    let body: DynByteStream =
        Box::pin(Watched { body, hashers, xml, left, hashed: hashed.clone() });
    Ok((Body::from(body), Some(hashed)))
}

/// Refuses a request whose body isn't what its headers say, or that names no digest of it.
pub(super) fn check<T>(request: &S3Request<T>) -> S3Result<()> {
    let proof = Proof::of(&request.headers, None)?;
    if !proof.is_named() {
        return Err(s3_error!(
            InvalidRequest,
            "Missing required header for this request: Content-MD5 or x-amz-checksum-…"
        ));
    }
    refuse_misread(request)?;
    proof.verify(&outcome(request)?.sums).map(drop)
}

/// Refuses XML that s3s has read as other than it is.
pub(super) fn refuse_misread<T>(request: &S3Request<T>) -> S3Result<()> {
    xml::check(&outcome(request)?.xml).map_err(|wrong| s3_error!(MalformedXML, "{wrong}"))
}

fn outcome<T>(request: &S3Request<T>) -> S3Result<&Outcome> {
    let hashed = request.extensions.get::<Hashed>().and_then(|hashed| hashed.outcome.get());
    hashed.ok_or_else(|| s3_error!(InternalError))
}

impl Hashed {
    /// What to say instead of s3s's internal error, when the body isn't the signed one.
    pub(crate) fn mismatch(&self) -> Option<S3Error> {
        let (signed, outcome) = (self.signed.as_ref()?, self.outcome.get()?);
        let message = "The body isn't what x-amz-content-sha256 says.";
        (*signed != outcome.sha256)
            .then(|| fault::other(StatusCode::BAD_REQUEST, "XAmzContentSHA256Mismatch", message))
    }
}

struct Watched {
    body: Body,
    hashers: Option<(Hasher, Extra)>,
    xml: Vec<u8>,
    left: u64,
    hashed: Hashed,
}

impl Watched {
    fn finish(&mut self) {
        let Some((hasher, sha256)) = self.hashers.take() else { return };
        let ((sums, _), sha256) = (hasher.finish(), sha256.finish());
        let xml = std::mem::take(&mut self.xml);
        // The body ends once.
        let _ = self.hashed.outcome.set(Outcome { sums, sha256, xml });
    }
}

impl Stream for Watched {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.body.poll_next_unpin(context);
        match &polled {
            Poll::Ready(Some(Ok(bytes))) => {
                if let Some((hasher, sha256)) = &mut self.hashers {
                    hasher.update(std::slice::from_ref(bytes), || ());
                    sha256.update(bytes);
                }
                self.xml.extend_from_slice(bytes);
                self.left = self.left.saturating_sub(bytes.len() as u64);
                // s3s doesn't look beyond the announced length.
                if self.left == 0 {
                    self.finish();
                }
            }
            Poll::Ready(None) => self.finish(),
            _ => {}
        }
        polled
    }
}

impl ByteStream for Watched {
    fn remaining_length(&self) -> RemainingLength {
        self.body.remaining_length()
    }
}
