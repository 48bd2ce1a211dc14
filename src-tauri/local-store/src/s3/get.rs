//! Reading objects.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, StatusCode};
use s3s::dto::{
    ChecksumMode, ChecksumType, ETag, GetObjectInput, GetObjectOutput, GetObjectTaggingInput,
    GetObjectTaggingOutput, HeadObjectInput, HeadObjectOutput, Timestamp, TimestampFormat,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};
use tokio::task::spawn_blocking;

use super::conditions::{ReadConditions, range_applies};
use super::lifecycle::expiration;
use super::{signed, timestamp};
use crate::blobs::{Pinned, damaged};
use crate::digest::{Algorithm, Stored};
use crate::fault::{self, Fault};
use crate::index::{self, Object, Piece};
use crate::lifecycle::Rule;
use crate::store::Store;

const DEFAULT_TYPE: &str = "binary/octet-stream";
/// What S3 calls the version of an object in a bucket that keeps none.
pub(super) const ONLY_VERSION: &str = "null";

pub(super) async fn get(
    store: &Arc<Store>,
    request: S3Request<GetObjectInput>,
) -> S3Result<S3Response<GetObjectOutput>> {
    let S3Request { input, headers, .. } = request;
    latest_only(input.version_id.as_deref())?;
    let conditions = ReadConditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    let key = input.key.clone();
    let (object, pinned, rules) = open(store, input.bucket, input.key).await?;
    conditions.check(&object)?;
    let wanted = Wanted::of(&object, &pinned, input.range, input.part_number, &headers)?;
    let expires_by_rule = expiration(&rules, &key, &object);
    let told = wanted.checksum(object.checksum, input.checksum_mode.as_ref());
    let checksum = |algorithm| told.as_ref().and_then(|stored| stored.of(algorithm));
    Ok(S3Response::new(GetObjectOutput {
        accept_ranges: Some("bytes".into()),
        body: Some(pinned.stream(wanted.range.clone()).await?),
        cache_control: object.headers.cache_control,
        checksum_crc32: checksum(Algorithm::Crc32),
        checksum_crc32c: checksum(Algorithm::Crc32c),
        checksum_crc64nvme: checksum(Algorithm::Crc64Nvme),
        checksum_sha1: checksum(Algorithm::Sha1),
        checksum_sha256: checksum(Algorithm::Sha256),
        checksum_type: told.as_ref().map(|stored| ChecksumType::from_static(stored.type_name())),
        content_disposition: object.headers.content_disposition,
        content_encoding: object.headers.content_encoding,
        content_language: object.headers.content_language,
        content_length: Some(signed(wanted.length())),
        content_range: wanted.content_range(object.size),
        content_type: Some(object.headers.content_type.unwrap_or_else(|| DEFAULT_TYPE.into())),
        e_tag: Some(ETag::Strong(object.etag)),
        expiration: expires_by_rule,
        expires: object.headers.expires,
        last_modified: Some(timestamp(object.modified_at)),
        metadata: object.headers.metadata,
        parts_count: wanted.parts,
        ..Default::default()
    }))
}

pub(super) async fn head(
    store: &Arc<Store>,
    request: S3Request<HeadObjectInput>,
) -> S3Result<S3Response<HeadObjectOutput>> {
    let S3Request { input, headers, .. } = request;
    latest_only(input.version_id.as_deref())?;
    let overrides = overrides(&input)?;
    let conditions = ReadConditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    let key = input.key.clone();
    let (object, pinned, rules) = open(store, input.bucket, input.key).await?;
    conditions.check(&object)?;
    let wanted = Wanted::of(&object, &pinned, input.range, input.part_number, &headers)?;
    let expires_by_rule = expiration(&rules, &key, &object);
    let told = wanted.checksum(object.checksum, input.checksum_mode.as_ref());
    let checksum = |algorithm| told.as_ref().and_then(|stored| stored.of(algorithm));
    let output = HeadObjectOutput {
        accept_ranges: Some("bytes".into()),
        cache_control: object.headers.cache_control,
        checksum_crc32: checksum(Algorithm::Crc32),
        checksum_crc32c: checksum(Algorithm::Crc32c),
        checksum_crc64nvme: checksum(Algorithm::Crc64Nvme),
        checksum_sha1: checksum(Algorithm::Sha1),
        checksum_sha256: checksum(Algorithm::Sha256),
        checksum_type: told.as_ref().map(|stored| ChecksumType::from_static(stored.type_name())),
        content_disposition: object.headers.content_disposition,
        content_encoding: object.headers.content_encoding,
        content_language: object.headers.content_language,
        content_length: Some(signed(wanted.length())),
        content_range: wanted.content_range(object.size),
        content_type: Some(object.headers.content_type.unwrap_or_else(|| DEFAULT_TYPE.into())),
        e_tag: Some(ETag::Strong(object.etag)),
        expiration: expires_by_rule,
        expires: object.headers.expires,
        last_modified: Some(timestamp(object.modified_at)),
        metadata: object.headers.metadata,
        parts_count: wanted.parts,
        ..Default::default()
    };
    Ok(S3Response::with_headers(output, overrides))
}

/// The store keeps no tags, and says so: clients ask before they copy a large object in parts.
pub(super) async fn tags(
    store: &Arc<Store>,
    input: GetObjectTaggingInput,
) -> S3Result<S3Response<GetObjectTaggingOutput>> {
    latest_only(input.version_id.as_deref())?;
    open(store, input.bucket, input.key).await?;
    Ok(S3Response::new(GetObjectTaggingOutput { tag_set: Vec::new(), version_id: None }))
}

/// Finds an object and pins its files, so that they outlive an overwrite or a delete. Gives the bucket's rules
/// with it.
pub(super) async fn open(
    store: &Arc<Store>,
    bucket: String,
    key: String,
) -> Result<(Object, Pinned, Vec<Rule>), Fault> {
    let store = Arc::clone(store);
    spawn_blocking(move || {
        loop {
            let (object, pieces, rules) = store.index.read(|view| {
                let object = index::find_object(view, &bucket, &key)?
                    .ok_or_else(|| s3_error!(NoSuchKey, "There is no object of this key."))?;
                let pieces = index::pieces(view, object.id)?;
                Ok((object, pieces, index::lifecycle(view, &bucket)?))
            })?;
            let pinned = match <[Piece; 1]>::try_from(pieces) {
                Ok([piece]) => store.blobs.open_only(piece),
                Err(pieces) => Ok(store.blobs.pin(pieces)),
            };
            match pinned {
                // Files go after their row: a row that is still there proves that the pin came in time.
                Ok(pinned) if pinned.is_open() || is_current(&store, object.id)? => {
                    pinned.check()?;
                    return Ok((object, pinned, rules));
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                Err(_) if is_current(&store, object.id)? => return Err(damaged().into()),
                _ => {}
            }
        }
    })
    .await?
}

fn is_current(store: &Store, id: i64) -> Result<bool, Fault> {
    store.index.read(|view| Ok(index::is_current(view, id)?))
}

fn latest_only(version: Option<&str>) -> S3Result<()> {
    match version {
        None | Some(ONLY_VERSION) => Ok(()),
        Some(_) => Err(s3_error!(NoSuchVersion, "The store keeps no versions.")),
    }
}

/// The part of an object that is answered.
struct Wanted {
    range: Range<u64>,
    partial: bool,
    parts: Option<i32>,
}

impl Wanted {
    fn of(
        object: &Object,
        pinned: &Pinned,
        range: Option<s3s::dto::Range>,
        part: Option<i32>,
        headers: &HeaderMap,
    ) -> S3Result<Self> {
        match (range, part) {
            (Some(_), Some(_)) => {
                Err(s3_error!(InvalidRequest, "Range and partNumber exclude each other."))
            }
            (None, Some(part)) => Self::part(pinned, part),
            (Some(range), None) if range_applies(headers, object) => {
                let range = satisfiable(range, object.size)?;
                Ok(Self { range, partial: true, parts: None })
            }
            _ => Ok(Self { range: 0..object.size, partial: false, parts: None }),
        }
    }

    fn part(pinned: &Pinned, number: i32) -> S3Result<Self> {
        super::multipart::part_number(number)?;
        let sizes = pinned.sizes();
        let count = sizes.len();
        let mut start = 0;
        for (position, size) in sizes.enumerate() {
            if usize::try_from(number).is_ok_and(|number| number == position + 1) {
                // An object put in one go has one part, which is the whole.
                let parts = (count > 1).then(|| i32::try_from(count).unwrap_or(i32::MAX));
                return Ok(Self { range: start..start + size, partial: size > 0, parts });
            }
            start += size;
        }
        let message = "The object has no part of this number.";
        Err(fault::other(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidPartNumber", message))
    }

    fn length(&self) -> u64 {
        self.range.end - self.range.start
    }

    fn content_range(&self, size: u64) -> Option<String> {
        self.partial.then(|| format!("bytes {}-{}/{size}", self.range.start, self.range.end - 1))
    }

    /// The checksum is the whole object's: with a part of it, it would be wrong, also with an empty one.
    fn checksum(&self, stored: Stored, mode: Option<&ChecksumMode>) -> Option<Stored> {
        // AWS takes any case, and its runtime for C and Python sends small letters.
        let asked =
            mode.is_some_and(|mode| mode.as_str().eq_ignore_ascii_case(ChecksumMode::ENABLED));
        Some(stored).filter(|_| asked && !self.partial && self.parts.is_none())
    }
}

/// What a range means for an object of this size.
pub(crate) fn satisfiable(range: s3s::dto::Range, size: u64) -> S3Result<Range<u64>> {
    // An empty object has no byte that a suffix could mean.
    let range = range.check(size).ok().filter(|range| !range.is_empty());
    range.ok_or_else(|| unsatisfiable(size))
}

fn unsatisfiable(size: u64) -> s3s::S3Error {
    let mut error = s3_error!(InvalidRange, "The object doesn't have these bytes.");
    if let Ok(value) = HeaderValue::try_from(format!("bytes */{size}")) {
        let xml = HeaderValue::from_static("application/xml");
        error.set_headers(HeaderMap::from_iter([
            (header::CONTENT_RANGE, value),
            (header::CONTENT_TYPE, xml),
        ]));
    }
    error
}

/// s3s applies the `response-*` parameters to GET, not to HEAD.
fn overrides(input: &HeadObjectInput) -> S3Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    let texts = [
        (header::CONTENT_TYPE, &input.response_content_type),
        (header::CONTENT_LANGUAGE, &input.response_content_language),
        (header::CACHE_CONTROL, &input.response_cache_control),
        (header::CONTENT_DISPOSITION, &input.response_content_disposition),
        (header::CONTENT_ENCODING, &input.response_content_encoding),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            insert(&mut headers, name, text.as_bytes())?;
        }
    }
    if let Some(expires) = &input.response_expires {
        insert(&mut headers, header::EXPIRES, &http_date(expires)?)?;
    }
    Ok(headers)
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &[u8]) -> S3Result<()> {
    let value = HeaderValue::from_bytes(value).map_err(|error| {
        s3_error!(error, InvalidArgument, "A response header can't hold that value.")
    })?;
    headers.insert(name, value);
    Ok(())
}

fn http_date(time: &Timestamp) -> S3Result<Vec<u8>> {
    let mut date = Vec::new();
    time.format(TimestampFormat::HttpDate, &mut date)
        .map_err(|error| s3_error!(error, InvalidArgument, "response-expires is no date."))?;
    Ok(date)
}
