//! Writing and deleting objects, and what every upload of bytes has to prove.

use std::collections::HashMap;
use std::sync::Arc;

use data_encoding::{BASE64, HEXLOWER};
use hyper::header::{CONTENT_LENGTH, HeaderName};
use hyper::{HeaderMap, StatusCode};
use s3s::dto::{
    ChecksumType, DeleteObjectInput, DeleteObjectOutput, ETag, PutObjectInput, PutObjectOutput,
    StreamingBlob,
};
use s3s::{S3Error, S3Request, S3Response, S3Result, TrailingHeaders, s3_error};

use super::conditions::WriteConditions;
use super::get;
use crate::blobs::{Received, Size};
use crate::digest::{Algorithm, Stored, Sums};
use crate::event::EventKind;
use crate::fault::{self, Fault};
use crate::index::{self, Headers, NewObject};
use crate::store::Store;

/// S3's limit for one request; larger objects come in parts.
pub(crate) const LARGEST_PUT: u64 = 5 * 1024 * 1024 * 1024;
/// S3's limit for names and values of user metadata.
const LARGEST_METADATA: usize = 2048;

pub(super) async fn put(
    store: &Arc<Store>,
    request: S3Request<PutObjectInput>,
) -> S3Result<S3Response<PutObjectOutput>> {
    let S3Request { input, headers, trailing_headers, .. } = request;
    refuse_unsupported(&headers)?;
    let conditions =
        WriteConditions { if_match: input.if_match, if_none_match: input.if_none_match };
    let (bucket, key) = (input.bucket, input.key);
    let kept_headers = Headers {
        content_type: input.content_type,
        content_disposition: input.content_disposition,
        content_encoding: input.content_encoding.as_deref().and_then(without_chunks),
        content_language: input.content_language,
        cache_control: input.cache_control,
        expires: input.expires,
        metadata: checked(input.metadata)?,
    };
    // What can be refused is refused before the bytes come.
    store
        .read({
            let (bucket, key, conditions) = (bucket.clone(), key.clone(), conditions.clone());
            move |view| Ok(conditions.check(index::find_object(view, &bucket, &key)?.as_ref())?)
        })
        .await?;
    let upload = Upload::of(&headers, input.body, trailing_headers.as_ref())?;
    let (received, proof) = upload.receive(store).await?;
    let new = NewPut { bucket, key, headers: kept_headers, kind: EventKind::Put };
    let (etag, checksum) = commit(store, received, proof, new, Some(conditions)).await?;
    Ok(S3Response::new(PutObjectOutput {
        e_tag: Some(ETag::Strong(etag)),
        checksum_crc32: checksum.of(Algorithm::Crc32),
        checksum_crc32c: checksum.of(Algorithm::Crc32c),
        checksum_crc64nvme: checksum.of(Algorithm::Crc64Nvme),
        checksum_sha1: checksum.of(Algorithm::Sha1),
        checksum_sha256: checksum.of(Algorithm::Sha256),
        checksum_type: Some(ChecksumType::from_static(checksum.type_name())),
        ..Default::default()
    }))
}

/// An object to be, besides its bytes.
pub(crate) struct NewPut {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) headers: Headers,
    /// How it came.
    pub(crate) kind: EventKind,
}

/// Makes what was received the object of that key; gives its `ETag` and checksum.
pub(crate) async fn commit(
    store: &Arc<Store>,
    received: Received,
    proof: Proof,
    new: NewPut,
    conditions: Option<WriteConditions>,
) -> Result<(String, Stored), Fault> {
    let kind = new.kind;
    store
        .write_blob(received, move |change, piece, sums| {
            let checksum = proof.verify(&sums)?;
            let current = index::find_object(change, &new.bucket, &new.key)?;
            if let Some(conditions) = conditions {
                conditions.check(current.as_ref())?;
            }
            let new = NewObject {
                bucket: new.bucket,
                key: new.key,
                etag: HEXLOWER.encode(&sums.md5),
                headers: new.headers,
                checksum,
                pieces: vec![piece],
            };
            index::replace_object(change, &new, kind)?;
            Ok((new.etag, new.checksum))
        })
        .await
}

pub(super) async fn delete(
    store: &Arc<Store>,
    input: DeleteObjectInput,
) -> S3Result<S3Response<DeleteObjectOutput>> {
    if input.version_id.is_some_and(|version| version != get::ONLY_VERSION) {
        return Err(s3_error!(NoSuchVersion, "The store keeps no versions."));
    }
    let conditions = WriteConditions { if_match: input.if_match, if_none_match: None };
    store
        .write(move |change| {
            conditions.check(index::find_object(change, &input.bucket, &input.key)?.as_ref())?;
            index::delete_object(change, &input.bucket, &input.key, EventKind::Delete)
        })
        .await?;
    Ok(S3Response::new(DeleteObjectOutput::default()))
}

/// Bytes on their way in, and what the request says about them.
pub(super) struct Upload {
    body: StreamingBlob,
    length: u64,
    proof: Proof,
}

impl Upload {
    pub(super) fn of(
        headers: &HeaderMap,
        body: Option<StreamingBlob>,
        trailers: Option<&TrailingHeaders>,
    ) -> S3Result<Self> {
        let length = length(headers)?;
        if length > LARGEST_PUT {
            return Err(s3_error!(
                EntityTooLarge,
                "One request takes at most 5 GiB; send it in parts."
            ));
        }
        let body = body.unwrap_or_else(|| s3s::Body::empty().into());
        Ok(Self { body, length, proof: Proof::of(headers, trailers)? })
    }

    /// Bytes of the store's own, about which no request says anything.
    pub(super) fn own(body: StreamingBlob, length: u64) -> Self {
        Self { body, length, proof: Proof { md5: None, algorithm: None, expected: None } }
    }

    /// Computes the checksum that the whole upload was begun with, also when the request names none.
    pub(super) fn hashed_by(mut self, algorithm: Option<Algorithm>) -> S3Result<Self> {
        match (algorithm, self.proof.algorithm) {
            (Some(begun), Some(named)) if begun != named => {
                return Err(s3_error!(
                    InvalidRequest,
                    "The upload was begun with another checksum algorithm."
                ));
            }
            (Some(begun), None) => self.proof.algorithm = Some(begun),
            _ => {}
        }
        Ok(self)
    }

    pub(super) async fn receive(self, store: &Store) -> Result<(Received, Proof), Fault> {
        let received = store
            .blobs
            .receive(self.body, Size::Exactly(self.length), self.proof.algorithm)
            .await?;
        Ok((received, self.proof))
    }
}

/// The digests that bytes must have.
pub(crate) struct Proof {
    md5: Option<[u8; 16]>,
    algorithm: Option<Algorithm>,
    expected: Option<Expected>,
}

enum Expected {
    Value(Vec<u8>),
    /// It comes after the body.
    Trailer(TrailingHeaders),
}

impl Proof {
    pub(crate) fn of(headers: &HeaderMap, trailers: Option<&TrailingHeaders>) -> S3Result<Self> {
        let md5 = text(headers, "content-md5")?.map(|value| {
            let bytes = BASE64.decode(value.as_bytes()).ok();
            bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| s3_error!(InvalidDigest))
        });
        let mut proof = Self { md5: md5.transpose()?, algorithm: None, expected: None };
        for algorithm in Algorithm::ALL {
            if let Some(value) = text(headers, algorithm.header())? {
                let value = decode(algorithm, value)?;
                proof.expect(algorithm, Expected::Value(value))?;
            }
        }
        for name in text(headers, "x-amz-trailer")?.unwrap_or_default().split(',') {
            let announced =
                Algorithm::ALL.into_iter().find(|a| a.header().eq_ignore_ascii_case(name.trim()));
            if let (Some(algorithm), Some(trailers)) = (announced, trailers) {
                proof.expect(algorithm, Expected::Trailer(trailers.clone()))?;
            }
        }
        if proof.algorithm.is_none() {
            proof.algorithm =
                text(headers, "x-amz-sdk-checksum-algorithm")?.and_then(Algorithm::of_name);
        }
        Ok(proof)
    }

    /// Whether the request names a digest at all.
    pub(super) fn is_named(&self) -> bool {
        self.md5.is_some() || self.expected.is_some()
    }

    /// The algorithm to compute, besides those that are always.
    pub(crate) fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    fn expect(&mut self, algorithm: Algorithm, expected: Expected) -> S3Result<()> {
        if self.expected.is_some() {
            return Err(s3_error!(
                InvalidRequest,
                "A request carries one x-amz-checksum value only."
            ));
        }
        self.algorithm = Some(algorithm);
        self.expected = Some(expected);
        Ok(())
    }

    /// Compares, and gives the checksum to keep.
    pub(super) fn verify(&self, sums: &Sums) -> S3Result<Stored> {
        if self.md5.is_some_and(|md5| md5 != sums.md5) {
            return Err(s3_error!(
                BadDigest,
                "The body doesn't have the Content-MD5 of the request."
            ));
        }
        let algorithm = self.algorithm.unwrap_or(Algorithm::Crc64Nvme);
        let computed = sums.get(algorithm).ok_or_else(|| s3_error!(InternalError))?;
        let expected = match &self.expected {
            None => None,
            Some(Expected::Value(value)) => Some(value.clone()),
            Some(Expected::Trailer(trailers)) => {
                let value = trailers.read(|trailers| {
                    text(trailers, algorithm.header()).map(|v| v.map(str::to_owned))
                });
                let value = value.transpose()?.flatten();
                let value = value.ok_or_else(|| {
                    let message = "The checksum trailer is missing.";
                    fault::other(StatusCode::BAD_REQUEST, "MalformedTrailerError", message)
                })?;
                Some(decode(algorithm, &value)?)
            }
        };
        if expected.is_some_and(|expected| expected != computed) {
            return Err(s3_error!(
                BadDigest,
                "The body doesn't have the {} of the request.",
                algorithm.name()
            ));
        }
        Ok(Stored::full(algorithm, computed))
    }
}

/// Refuses headers that ask for what the store doesn't do, rather than to pass over them.
pub(crate) fn refuse_unsupported(headers: &HeaderMap) -> S3Result<()> {
    for (name, value) in headers {
        let refused = match name.as_str() {
            "x-amz-acl" => value != "private" && value != "bucket-owner-full-control",
            "x-amz-storage-class" => value != "STANDARD",
            "x-amz-tagging" | "x-amz-website-redirect-location" | "x-amz-write-offset-bytes" => {
                true
            }
            name => ["x-amz-server-side-encryption", "x-amz-object-lock-", "x-amz-grant-"]
                .iter()
                .any(|prefix| name.starts_with(prefix)),
        };
        if refused {
            return Err(s3_error!(
                NotImplemented,
                "The store doesn't know {name} with this value."
            ));
        }
    }
    Ok(())
}

/// Refuses user metadata above S3's limit.
pub(crate) fn checked(
    metadata: Option<HashMap<String, String>>,
) -> S3Result<Option<HashMap<String, String>>> {
    let size: usize = metadata.iter().flatten().map(|(name, value)| name.len() + value.len()).sum();
    if size > LARGEST_METADATA {
        return Err(s3_error!(MetadataTooLarge, "User metadata takes at most 2 KiB."));
    }
    Ok(metadata)
}

/// `aws-chunked` says how the body was sent, not what it is.
pub(crate) fn without_chunks(encoding: &str) -> Option<String> {
    let kept: Vec<_> =
        encoding.split(',').map(str::trim).filter(|coding| *coding != "aws-chunked").collect();
    Some(kept.join(", ")).filter(|kept| !kept.is_empty())
}

/// The length of the object in the body, without the framing of aws-chunked.
fn length(headers: &HeaderMap) -> S3Result<u64> {
    let chunked =
        text(headers, "x-amz-content-sha256")?.is_some_and(|hash| hash.starts_with("STREAMING-"));
    let name = if chunked { "x-amz-decoded-content-length" } else { CONTENT_LENGTH.as_str() };
    text(headers, name)?
        .ok_or_else(|| {
            s3_error!(MissingContentLength, "The length of the body must be announced.")
        })?
        .parse()
        .map_err(|_| s3_error!(InvalidArgument, "The announced length is no number."))
}

fn decode(algorithm: Algorithm, value: &str) -> S3Result<Vec<u8>> {
    let bytes =
        BASE64.decode(value.as_bytes()).ok().filter(|bytes| bytes.len() == algorithm.length());
    bytes.ok_or_else(|| {
        s3_error!(InvalidRequest, "The value of {} is malformed.", algorithm.header())
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> S3Result<Option<&'a str>> {
    let invalid = |_| -> S3Error { s3_error!(InvalidArgument, "The header {name} isn't text.") };
    let name =
        HeaderName::from_bytes(name.as_bytes()).map_err(|error| s3_error!(error, InternalError))?;
    headers.get(name).map(|value| value.to_str().map_err(invalid)).transpose()
}
