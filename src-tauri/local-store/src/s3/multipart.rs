//! Multipart uploads. A finished one is the list of its parts' blobs: nothing is copied.

use std::sync::Arc;

use data_encoding::{BASE64, HEXLOWER};
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm, ChecksumType,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CompletedPart,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, ETag, UploadPartInput,
    UploadPartOutput,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::conditions::WriteConditions;
use super::put::{Upload as Bytes, checked, refuse_unsupported, without_chunks};
use crate::digest::{Algorithm, Stored};
use crate::fault::Fault;
use crate::index::{self, Headers, NewObject, NewPart, Object, Part, Upload};
use crate::store::Store;

/// S3's least size of every part but the last.
const SMALLEST_PART: u64 = 5 * 1024 * 1024;
const MOST_PARTS: u16 = 10_000;

pub(super) async fn create(
    store: &Arc<Store>,
    request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
    refuse_unsupported(&request.headers)?;
    let input = request.input;
    let algorithm = algorithm(input.checksum_algorithm.as_ref())?;
    let upload = Upload {
        id: HEXLOWER.encode(&rand::random::<[u8; 16]>()),
        bucket: input.bucket,
        key: input.key,
        headers: Headers {
            content_type: input.content_type,
            content_disposition: input.content_disposition,
            content_encoding: input.content_encoding.as_deref().and_then(without_chunks),
            content_language: input.content_language,
            cache_control: input.cache_control,
            expires: input.expires,
            metadata: checked(input.metadata)?,
        },
        algorithm,
        composite: is_composite(algorithm, input.checksum_type.as_ref())?,
        started_at: index::now(),
    };
    let upload = store
        .write(move |change| {
            index::create_upload(change, &upload)?;
            Ok(upload)
        })
        .await?;
    Ok(S3Response::new(CreateMultipartUploadOutput {
        checksum_algorithm: input.checksum_algorithm,
        checksum_type: algorithm.map(|_| ChecksumType::from_static(upload.checksum_type())),
        bucket: Some(upload.bucket),
        key: Some(upload.key),
        upload_id: Some(upload.id),
        ..Default::default()
    }))
}

pub(super) async fn upload_part(
    store: &Arc<Store>,
    request: S3Request<UploadPartInput>,
) -> S3Result<S3Response<UploadPartOutput>> {
    let S3Request { input, headers, trailing_headers, .. } = request;
    refuse_unsupported(&headers)?;
    let number = part_number(input.part_number)?;
    let bytes = Bytes::of(&headers, input.body, trailing_headers.as_ref())?;
    let upload = (input.bucket, input.key, input.upload_id);
    let (etag, checksum) = keep_part(store, upload, number, bytes).await?;
    Ok(S3Response::new(UploadPartOutput {
        e_tag: Some(ETag::Strong(etag)),
        checksum_crc32: checksum.of(Algorithm::Crc32),
        checksum_crc32c: checksum.of(Algorithm::Crc32c),
        checksum_crc64nvme: checksum.of(Algorithm::Crc64Nvme),
        checksum_sha1: checksum.of(Algorithm::Sha1),
        checksum_sha256: checksum.of(Algorithm::Sha256),
        ..Default::default()
    }))
}

pub(super) fn part_number(number: i32) -> S3Result<u16> {
    u16::try_from(number)
        .ok()
        .filter(|number| (1..=MOST_PARTS).contains(number))
        .ok_or_else(|| s3_error!(InvalidArgument, "Part numbers go from 1 to 10,000."))
}

/// Receives a part of the upload that bucket, key and id name; gives its `ETag` and checksum.
pub(super) async fn keep_part(
    store: &Arc<Store>,
    (bucket, key, id): (String, String, String),
    number: u16,
    bytes: Bytes,
) -> S3Result<(String, Stored)> {
    let find = move |view: &rusqlite::Connection| index::find_upload(view, &bucket, &key, &id);
    let upload = store.read(find.clone()).await?;
    let (received, proof) = bytes.hashed_by(upload.algorithm)?.receive(store).await?;
    let kept = store
        .write_blob(received, move |change, piece, sums| {
            let checksum = proof.verify(&sums)?;
            // It may have been finished or aborted meanwhile.
            let upload = find(change)?;
            let part = NewPart { number, piece, md5: sums.md5, checksum };
            index::put_part(change, &upload.id, &part)?;
            Ok((HEXLOWER.encode(&part.md5), part.checksum))
        })
        .await?;
    Ok(kept)
}

pub(super) async fn complete(
    store: &Arc<Store>,
    input: CompleteMultipartUploadInput,
) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
    let conditions = WriteConditions {
        if_match: input.if_match.clone(),
        if_none_match: input.if_none_match.clone(),
    };
    let (bucket, key, etag, checksum) = store
        .write(move |change| {
            let named = input
                .multipart_upload
                .as_ref()
                .and_then(|list| list.parts.as_deref())
                .unwrap_or_default();
            let found = index::find_upload(change, &input.bucket, &input.key, &input.upload_id);
            let upload = match found {
                Ok(upload) => upload,
                Err(missing) => {
                    let current = index::find_object(change, &input.bucket, &input.key)?;
                    let done = current.filter(|object| is_of(object, named)).ok_or(missing)?;
                    return Ok((input.bucket, input.key, done.etag, done.checksum));
                }
            };
            let parts = chosen(&index::parts(change, &upload.id)?, named)?;
            let checksum = whole_checksum(&upload, &parts)?;
            compare(&input, &checksum, &parts)?;
            conditions.check(index::find_object(change, &upload.bucket, &upload.key)?.as_ref())?;
            let new = NewObject {
                bucket: upload.bucket,
                key: upload.key,
                etag: whole_etag(&parts),
                headers: upload.headers,
                checksum,
                pieces: parts.into_iter().map(|part| part.piece).collect(),
            };
            index::finish_upload(change, &upload.id, &new)?;
            Ok((new.bucket, new.key, new.etag, new.checksum))
        })
        .await?;
    Ok(S3Response::new(CompleteMultipartUploadOutput {
        location: Some(format!("/{bucket}/{key}")),
        bucket: Some(bucket),
        key: Some(key),
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

pub(super) async fn abort(
    store: &Arc<Store>,
    input: AbortMultipartUploadInput,
) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
    store
        .write(move |change| {
            let upload = index::find_upload(change, &input.bucket, &input.key, &input.upload_id)?;
            index::abort_upload(change, &upload.id)
        })
        .await?;
    Ok(S3Response::new(AbortMultipartUploadOutput::default()))
}

impl Upload {
    /// The name of its checksum's type in S3's XML and headers.
    pub(super) fn checksum_type(&self) -> &'static str {
        if self.composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT }
    }
}

pub(super) fn algorithm(name: Option<&ChecksumAlgorithm>) -> S3Result<Option<Algorithm>> {
    let Some(name) = name else { return Ok(None) };
    match Algorithm::of_name(name.as_str()) {
        Some(algorithm) => Ok(Some(algorithm)),
        None => Err(s3_error!(InvalidRequest, "The checksum algorithm isn't known.")),
    }
}

/// Which kinds S3 knows: CRC64NVME only of the whole, SHA only of the parts, CRC32 and CRC32C both.
fn is_composite(algorithm: Option<Algorithm>, asked: Option<&ChecksumType>) -> S3Result<bool> {
    let asked = asked.map(ChecksumType::as_str);
    match (algorithm, asked) {
        (Some(Algorithm::Sha1 | Algorithm::Sha256), Some(ChecksumType::FULL_OBJECT))
        | (None | Some(Algorithm::Crc64Nvme), Some(ChecksumType::COMPOSITE)) => {
            Err(s3_error!(InvalidRequest, "This checksum algorithm has no checksum of that type."))
        }
        (None | Some(Algorithm::Crc64Nvme), None) | (_, Some(ChecksumType::FULL_OBJECT)) => {
            Ok(false)
        }
        (Some(_), None | Some(ChecksumType::COMPOSITE)) => Ok(true),
        _ => Err(s3_error!(InvalidRequest, "The checksum type isn't known.")),
    }
}

/// The parts that the client names, each as it was received.
fn chosen(received: &[Part], named: &[CompletedPart]) -> Result<Vec<Part>, Fault> {
    if named.is_empty() {
        return Err(s3_error!(MalformedXML, "No part is named.").into());
    }
    let mut chosen: Vec<Part> = Vec::with_capacity(named.len());
    for name in named {
        let number =
            name.part_number.ok_or_else(|| s3_error!(MalformedXML, "A part has no number."))?;
        if chosen.last().is_some_and(|last| i32::from(last.number) >= number) {
            return Err(
                s3_error!(InvalidPartOrder, "Parts must be named in ascending order.").into()
            );
        }
        let part = received
            .binary_search_by_key(&number, |part| part.number.into())
            .ok()
            .map(|at| &received[at]);
        let part = part.filter(|part| is_what_was_named(part, name));
        let part = part
            .ok_or_else(|| s3_error!(InvalidPart, "Part {number} wasn't received, or differs."))?;
        chosen.push(part.clone());
    }
    let but_last = &chosen[..chosen.len() - 1];
    if let Some(small) = but_last.iter().find(|part| part.piece.size < SMALLEST_PART) {
        return Err(s3_error!(EntityTooSmall, "Part {} has less than 5 MiB.", small.number).into());
    }
    Ok(chosen)
}

fn is_what_was_named(part: &Part, name: &CompletedPart) -> bool {
    let etag = name.e_tag.as_ref().is_some_and(|etag| etag.value() == HEXLOWER.encode(&part.md5));
    let sums = [
        (Algorithm::Crc32, &name.checksum_crc32),
        (Algorithm::Crc32c, &name.checksum_crc32c),
        (Algorithm::Crc64Nvme, &name.checksum_crc64nvme),
        (Algorithm::Sha1, &name.checksum_sha1),
        (Algorithm::Sha256, &name.checksum_sha256),
    ];
    etag && sums
        .into_iter()
        .all(|(algorithm, value)| value.is_none() || part.checksum.of(algorithm) == *value)
}

fn whole_etag(parts: &[Part]) -> String {
    etag_of(parts.iter().map(|part| part.md5.as_slice()), parts.len())
}

/// S3's `ETag` of an object in parts: the MD5 of the parts' MD5s, and their number.
fn etag_of<'a>(sums: impl Iterator<Item = &'a [u8]>, count: usize) -> String {
    let mut md5 = Md5::new();
    sums.for_each(|sum| md5.update(sum));
    format!("{}-{count}", HEXLOWER.encode(&md5.finalize()))
}

/// Whether an object is what the named parts make. A client that never got the answer asks again after its upload is
/// gone; AWS remembers what it answered, here the object shows it.
fn is_of(object: &Object, named: &[CompletedPart]) -> bool {
    let sums =
        named.iter().map(|part| HEXLOWER.decode(part.e_tag.as_ref()?.value().as_bytes()).ok());
    let sums: Option<Vec<_>> = sums.collect();
    sums.is_some_and(|sums| object.etag == etag_of(sums.iter().map(Vec::as_slice), sums.len()))
}

/// The checksum of the object, from those of its parts.
fn whole_checksum(upload: &Upload, parts: &[Part]) -> Result<Stored, Fault> {
    let algorithm = upload.algorithm.unwrap_or(Algorithm::Crc64Nvme);
    if upload.composite {
        let mut all = Vec::new();
        for part in parts {
            all.extend(raw(part, algorithm)?);
        }
        let value = format!("{}-{}", BASE64.encode(&algorithm.of(&all)), parts.len());
        return Ok(Stored { algorithm, value, composite: true });
    }
    let mut whole = algorithm.of(b"");
    for part in parts {
        whole = algorithm
            .join(&whole, &raw(part, algorithm)?, part.piece.size)
            .ok_or_else(|| s3_error!(InternalError))?;
    }
    Ok(Stored::full(algorithm, &whole))
}

fn raw(part: &Part, algorithm: Algorithm) -> Result<Vec<u8>, Fault> {
    if algorithm == Algorithm::Crc64Nvme {
        return Ok(part.piece.crc64.to_vec());
    }
    let value = part.checksum.of(algorithm).and_then(|value| BASE64.decode(value.as_bytes()).ok());
    value.ok_or_else(|| {
        s3_error!(InvalidPart, "Part {} has no {}.", part.number, algorithm.name()).into()
    })
}

/// Compares what the client says of the whole object.
fn compare(
    input: &CompleteMultipartUploadInput,
    checksum: &Stored,
    parts: &[Part],
) -> S3Result<()> {
    let size: u64 = parts.iter().map(|part| part.piece.size).sum();
    if input.mpu_object_size.is_some_and(|said| u64::try_from(said) != Ok(size)) {
        return Err(s3_error!(
            InvalidRequest,
            "The object has another size than x-amz-mp-object-size says."
        ));
    }
    let said = [
        (Algorithm::Crc32, &input.checksum_crc32),
        (Algorithm::Crc32c, &input.checksum_crc32c),
        (Algorithm::Crc64Nvme, &input.checksum_crc64nvme),
        (Algorithm::Sha1, &input.checksum_sha1),
        (Algorithm::Sha256, &input.checksum_sha256),
    ];
    for (algorithm, value) in said {
        if value.is_some() && checksum.of(algorithm) != *value {
            return Err(s3_error!(
                BadDigest,
                "The object doesn't have the {} of the request.",
                algorithm.name()
            ));
        }
    }
    Ok(())
}
