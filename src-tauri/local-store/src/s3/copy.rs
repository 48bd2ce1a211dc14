//! Copies: a copy names the same blob files, so it costs a row and no bytes.

use std::sync::Arc;

use s3s::dto::{
    ChecksumType, CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopyPartResult, CopySource,
    ETag, MetadataDirective, UploadPartCopyInput, UploadPartCopyOutput,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};
use tokio::task::spawn_blocking;

use super::conditions::{ReadConditions, WriteConditions};
use super::put::{Upload as Bytes, checked, refuse_unsupported};
use super::{get, multipart, timestamp};
use crate::blobs::Pinned;
use crate::digest::{Algorithm, Stored};
use crate::event::EventKind;
use crate::fault::Fault;
use crate::index::{self, Headers, NewObject, Object};
use crate::store::Store;

pub(super) async fn copy(
    store: &Arc<Store>,
    request: S3Request<CopyObjectInput>,
) -> S3Result<S3Response<CopyObjectOutput>> {
    refuse_unsupported(&request.headers)?;
    let input = request.input;
    let (bucket, key) = source(input.copy_source)?;
    let conditions = ReadConditions {
        if_match: input.copy_source_if_match,
        if_none_match: input.copy_source_if_none_match,
        if_modified_since: input.copy_source_if_modified_since,
        if_unmodified_since: input.copy_source_if_unmodified_since,
    };
    // s3s reads these headers for a put only.
    let target = WriteConditions::of(&request.headers)?;
    let replace = match input.metadata_directive.as_ref().map(MetadataDirective::as_str) {
        None | Some(MetadataDirective::COPY) => false,
        Some(MetadataDirective::REPLACE) => true,
        Some(_) => return Err(s3_error!(InvalidArgument, "Unknown metadata directive.")),
    };
    if !replace && (&*bucket, &*key) == (&*input.bucket, &*input.key) {
        return Err(s3_error!(InvalidRequest, "A copy onto itself must replace the metadata."));
    }
    let replaced = replace.then_some(Headers {
        content_type: input.content_type,
        content_disposition: input.content_disposition,
        content_encoding: input.content_encoding,
        content_language: input.content_language,
        cache_control: input.cache_control,
        expires: input.expires,
        metadata: checked(input.metadata)?,
    });
    let asked = multipart::algorithm(input.checksum_algorithm.as_ref())?;
    let mut computed = None;
    if let Some(algorithm) = asked {
        let (object, pinned, _) = get::open(store, bucket.clone(), key.clone()).await?;
        check(&conditions, &object)?;
        computed = Some((object.id, checksum(object, pinned, algorithm).await?));
    }
    let copied = store
        .write(move |change| {
            let mut source = index::find_object(change, &bucket, &key)?
                .ok_or_else(|| s3_error!(NoSuchKey, "There is no object of the source's key."))?;
            check(&conditions, &source)?;
            if let Some((of, checksum)) = computed {
                if of != source.id {
                    let message = "The source was replaced while it was copied.";
                    return Err(s3_error!(OperationAborted, "{message}").into());
                }
                source.checksum = checksum;
            }
            target.check(index::find_object(change, &input.bucket, &input.key)?.as_ref())?;
            let new = NewObject {
                bucket: input.bucket,
                key: input.key,
                etag: source.etag,
                headers: replaced.unwrap_or(source.headers),
                checksum: source.checksum,
                pieces: index::pieces(change, source.id)?,
            };
            index::replace_object(change, &new, EventKind::Copy)?;
            Ok((new.etag, new.checksum))
        })
        .await?;
    let (etag, checksum) = copied;
    let result = CopyObjectResult {
        e_tag: Some(ETag::Strong(etag)),
        last_modified: Some(timestamp(index::now())),
        checksum_crc32: checksum.of(Algorithm::Crc32),
        checksum_crc32c: checksum.of(Algorithm::Crc32c),
        checksum_crc64nvme: checksum.of(Algorithm::Crc64Nvme),
        checksum_sha1: checksum.of(Algorithm::Sha1),
        checksum_sha256: checksum.of(Algorithm::Sha256),
        checksum_type: Some(ChecksumType::from_static(checksum.type_name())),
    };
    Ok(S3Response::new(CopyObjectOutput { copy_object_result: Some(result), ..Default::default() }))
}

/// The checksum of the whole object by this algorithm; it is read where another is kept.
async fn checksum(object: Object, pinned: Pinned, algorithm: Algorithm) -> Result<Stored, Fault> {
    if object.checksum.algorithm == algorithm && !object.checksum.composite {
        return Ok(object.checksum);
    }
    let value = spawn_blocking(move || pinned.hash(algorithm)).await??;
    Ok(Stored::full(algorithm, &value))
}

/// A part that is a range of an object: its bytes are copied, since S3's `ETag` of a part needs their MD5.
pub(super) async fn part(
    store: &Arc<Store>,
    request: S3Request<UploadPartCopyInput>,
) -> S3Result<S3Response<UploadPartCopyOutput>> {
    refuse_unsupported(&request.headers)?;
    let input = request.input;
    let number = multipart::part_number(input.part_number)?;
    let (bucket, key) = source(input.copy_source)?;
    let (object, pinned, _) = get::open(store, bucket, key).await?;
    check(
        &ReadConditions {
            if_match: input.copy_source_if_match,
            if_none_match: input.copy_source_if_none_match,
            if_modified_since: input.copy_source_if_modified_since,
            if_unmodified_since: input.copy_source_if_unmodified_since,
        },
        &object,
    )?;
    let range = match &input.copy_source_range {
        None => 0..object.size,
        Some(text) => range(text, object.size)?,
    };
    let length = range.end - range.start;
    let bytes = Bytes::own(pinned.stream(range).await?, length);
    let upload = (input.bucket, input.key, input.upload_id);
    let (etag, checksum) = multipart::keep_part(store, upload, number, bytes).await?;
    let result = CopyPartResult {
        e_tag: Some(ETag::Strong(etag)),
        last_modified: Some(timestamp(index::now())),
        checksum_crc32: checksum.of(Algorithm::Crc32),
        checksum_crc32c: checksum.of(Algorithm::Crc32c),
        checksum_crc64nvme: checksum.of(Algorithm::Crc64Nvme),
        checksum_sha1: checksum.of(Algorithm::Sha1),
        checksum_sha256: checksum.of(Algorithm::Sha256),
    };
    Ok(S3Response::new(UploadPartCopyOutput {
        copy_part_result: Some(result),
        ..Default::default()
    }))
}

/// Bucket and key of what is to be copied.
fn source(source: CopySource) -> S3Result<(String, String)> {
    match source {
        CopySource::Bucket { bucket, key, version_id }
            if version_id.as_deref().is_none_or(|version| version == get::ONLY_VERSION) =>
        {
            Ok((bucket.into(), key.into()))
        }
        _ => Err(s3_error!(
            NotImplemented,
            "Only the latest version of an object of a bucket can be copied."
        )),
    }
}

/// S3 answers 412 here where a GET would answer 304.
fn check(conditions: &ReadConditions, object: &Object) -> S3Result<()> {
    conditions.check(object).map_err(|_| s3_error!(PreconditionFailed, "The source has changed."))
}

/// `bytes=first-last`, both named and both within the object.
pub(crate) fn range(text: &str, size: u64) -> S3Result<std::ops::Range<u64>> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let ends = text.strip_prefix("bytes=").and_then(|ends| ends.split_once('-'));
    let ends = ends.filter(|(first, last)| digits(first) && digits(last));
    let parsed = ends
        .and_then(|(first, last)| Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?)));
    match parsed {
        Some((first, last)) if first <= last && last < size => Ok(first..last + 1),
        Some(_) => Err(s3_error!(InvalidRange, "The range isn't within the source.")),
        None => Err(s3_error!(InvalidArgument, "The range of a copy is bytes=first-last.")),
    }
}
