//! Lists: objects, parts, unfinished uploads.

use std::borrow::Cow;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rusqlite::Connection;
use s3s::dto::{
    ChecksumAlgorithm, ChecksumType, CommonPrefix, ETag, EncodingType, ListMultipartUploadsInput,
    ListMultipartUploadsOutput, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input,
    ListObjectsV2Output, ListPartsInput, ListPartsOutput, MultipartUpload, Object as ListedObject,
    ObjectStorageClass, Part as ListedPart, StorageClass,
};
use s3s::{S3Response, S3Result, s3_error};

use super::buckets::owner;
use super::{signed, timestamp};
use crate::digest::Algorithm;
use crate::fault::Fault;
use crate::index::{self, Object};
use crate::store::Store;

/// S3's limit for one answer.
const LONGEST: i32 = 1000;
/// What `encoding-type=url` leaves as it is.
const PLAIN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

pub(super) async fn objects(
    store: &Arc<Store>,
    input: ListObjectsV2Input,
) -> S3Result<S3Response<ListObjectsV2Output>> {
    let encode = encoder(input.encoding_type.as_ref())?;
    let max = limit(input.max_keys)?;
    let prefix = input.prefix.clone().unwrap_or_default();
    let from = match (&input.continuation_token, &input.start_after) {
        (Some(token), _) => BASE64URL_NOPAD.decode(token.as_bytes()).map_err(|_| {
            s3_error!(InvalidArgument, "The continuation token isn't one of this store.")
        })?,
        (None, Some(key)) => after(key),
        (None, None) => Vec::new(),
    };
    let search = Search {
        bucket: input.bucket.clone(),
        from: from.max(prefix.clone().into_bytes()),
        prefix,
        delimiter: input.delimiter.clone().filter(|delimiter| !delimiter.is_empty()),
        max: usize::try_from(max).unwrap_or_default(),
    };
    let page = store.read(move |view| search.run(view)).await?;
    let key_count = page.objects.len() + page.prefixes.len();
    let prefixes = page.prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(encode(prefix)) });
    Ok(S3Response::new(ListObjectsV2Output {
        name: Some(input.bucket),
        max_keys: Some(max),
        key_count: i32::try_from(key_count).ok(),
        is_truncated: Some(page.next.is_some()),
        next_continuation_token: page.next.map(|from| BASE64URL_NOPAD.encode(&from)),
        contents: Some(listed(page.objects, &encode, input.fetch_owner == Some(true))),
        common_prefixes: Some(prefixes.collect()),
        prefix: Some(encode(input.prefix.as_deref().unwrap_or_default())),
        delimiter: input.delimiter.as_deref().map(&encode),
        start_after: input.start_after.as_deref().map(&encode),
        continuation_token: input.continuation_token,
        encoding_type: input.encoding_type,
        request_charged: None,
    }))
}

/// Version 1, which goes on after a key instead of a token.
pub(super) async fn objects_by_marker(
    store: &Arc<Store>,
    input: ListObjectsInput,
) -> S3Result<S3Response<ListObjectsOutput>> {
    let encode = encoder(input.encoding_type.as_ref())?;
    let max = limit(input.max_keys)?;
    let prefix = input.prefix.clone().unwrap_or_default();
    let delimiter = input.delimiter.clone().filter(|delimiter| !delimiter.is_empty());
    let from = match input.marker.as_deref().unwrap_or_default() {
        "" => Vec::new(),
        marker => after_marker(marker, &prefix, delimiter.as_deref()),
    };
    let search = Search {
        bucket: input.bucket.clone(),
        from: from.max(prefix.clone().into_bytes()),
        prefix,
        delimiter,
        max: usize::try_from(max).unwrap_or_default(),
    };
    let page = store.read(move |view| search.run(view)).await?;
    let last = page.objects.last().map(|(key, _)| key).max(page.prefixes.last()).cloned();
    let prefixes = page.prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(encode(prefix)) });
    Ok(S3Response::new(ListObjectsOutput {
        name: Some(input.bucket),
        max_keys: Some(max),
        is_truncated: Some(page.next.is_some()),
        // As on AWS: without a delimiter the last key is the marker.
        next_marker: last
            .filter(|_| page.next.is_some() && input.delimiter.is_some())
            .map(|last| encode(&last)),
        common_prefixes: Some(prefixes.collect()),
        contents: Some(listed(page.objects, &encode, true)),
        prefix: Some(encode(input.prefix.as_deref().unwrap_or_default())),
        marker: Some(encode(input.marker.as_deref().unwrap_or_default())),
        delimiter: input.delimiter.as_deref().map(&encode),
        encoding_type: input.encoding_type,
        request_charged: None,
    }))
}

fn listed(
    objects: Vec<(String, Object)>,
    encode: impl Fn(&str) -> String,
    with_owner: bool,
) -> Vec<ListedObject> {
    let listed = objects.into_iter().map(|(key, object)| ListedObject {
        key: Some(encode(&key)),
        size: Some(signed(object.size)),
        e_tag: Some(ETag::Strong(object.etag)),
        last_modified: Some(timestamp(object.modified_at)),
        checksum_algorithm: Some(vec![ChecksumAlgorithm::from_static(
            object.checksum.algorithm.name(),
        )]),
        checksum_type: Some(ChecksumType::from_static(object.checksum.type_name())),
        storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
        owner: with_owner.then(owner),
        ..Default::default()
    });
    listed.collect()
}

pub(super) async fn parts(
    store: &Arc<Store>,
    input: ListPartsInput,
) -> S3Result<S3Response<ListPartsOutput>> {
    let max = limit(input.max_parts)?;
    let marker = input.part_number_marker.unwrap_or_default();
    let (bucket, key, id) = (input.bucket.clone(), input.key.clone(), input.upload_id.clone());
    let (upload, parts) = store
        .read(move |view| {
            let upload = index::find_upload(view, &bucket, &key, &id)?;
            let parts = index::parts(view, &upload.id)?;
            Ok((upload, parts))
        })
        .await?;
    let mut left = parts.into_iter().filter(|part| i32::from(part.number) > marker);
    let listed: Vec<_> = left
        .by_ref()
        .take(usize::try_from(max).unwrap_or_default())
        .map(|part| ListedPart {
            part_number: Some(part.number.into()),
            size: Some(signed(part.piece.size)),
            e_tag: Some(ETag::Strong(data_encoding::HEXLOWER.encode(&part.md5))),
            last_modified: Some(timestamp(part.modified_at)),
            checksum_crc32: part.checksum.of(Algorithm::Crc32),
            checksum_crc32c: part.checksum.of(Algorithm::Crc32c),
            checksum_crc64nvme: part.checksum.of(Algorithm::Crc64Nvme),
            checksum_sha1: part.checksum.of(Algorithm::Sha1),
            checksum_sha256: part.checksum.of(Algorithm::Sha256),
        })
        .collect();
    let is_truncated = left.next().is_some();
    let last = listed.last().and_then(|part| part.part_number);
    Ok(S3Response::new(ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        max_parts: Some(max),
        part_number_marker: Some(marker),
        next_part_number_marker: last.filter(|_| is_truncated),
        is_truncated: Some(is_truncated),
        checksum_algorithm: upload
            .algorithm
            .map(|algorithm| ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: upload.algorithm.map(|_| ChecksumType::from_static(upload.checksum_type())),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        parts: Some(listed),
        ..Default::default()
    }))
}

pub(super) async fn uploads(
    store: &Arc<Store>,
    input: ListMultipartUploadsInput,
) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
    let encode = encoder(input.encoding_type.as_ref())?;
    let max = limit(input.max_uploads)?;
    let prefix = input.prefix.clone().unwrap_or_default();
    let delimiter = input.delimiter.clone().filter(|delimiter| !delimiter.is_empty());
    let after_id = input.upload_id_marker.as_deref().filter(|id| !id.is_empty());
    let from = match (input.key_marker.as_deref().unwrap_or_default(), after_id) {
        (key, _) if key < prefix.as_str() => (prefix.clone().into_bytes(), String::new()),
        (key, Some(id)) => (key.as_bytes().to_vec(), id.to_owned()),
        // Without an id all uploads of that key have been seen.
        (key, None) => (after_marker(key, &prefix, delimiter.as_deref()), String::new()),
    };
    let search = UploadSearch {
        bucket: input.bucket.clone(),
        prefix,
        delimiter,
        from,
        max: usize::try_from(max).unwrap_or_default(),
    };
    let page = store.read(move |view| search.run(view)).await?;
    let prefixes = page.prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(encode(prefix)) });
    let listed = page.uploads.iter().map(|upload| MultipartUpload {
        key: Some(encode(&upload.key)),
        upload_id: Some(upload.id.clone()),
        initiated: Some(timestamp(upload.started_at)),
        checksum_algorithm: upload
            .algorithm
            .map(|algorithm| ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: upload.algorithm.map(|_| ChecksumType::from_static(upload.checksum_type())),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        ..Default::default()
    });
    Ok(S3Response::new(ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        prefix: input.prefix.as_deref().map(&encode),
        key_marker: input.key_marker.as_deref().map(&encode),
        upload_id_marker: input.upload_id_marker,
        max_uploads: Some(max),
        is_truncated: Some(page.next.is_some()),
        next_key_marker: page.next.as_ref().map(|(key, _)| encode(key)),
        next_upload_id_marker: page.next.as_ref().map(|(_, id)| id.clone()),
        uploads: Some(listed.collect()),
        common_prefixes: Some(prefixes.collect()),
        delimiter: input.delimiter.as_deref().map(&encode),
        encoding_type: input.encoding_type,
        ..Default::default()
    }))
}

/// A look through a bucket's keys.
struct Search {
    bucket: String,
    prefix: String,
    delimiter: Option<String>,
    /// The first key that may be answered.
    from: Vec<u8>,
    max: usize,
}

#[derive(Default)]
struct Page {
    objects: Vec<(String, Object)>,
    prefixes: Vec<String>,
    /// Where the next page begins, when there is one.
    next: Option<Vec<u8>>,
}

impl Search {
    fn run(mut self, view: &Connection) -> Result<Page, Fault> {
        index::bucket_exists(view, &self.bucket)?;
        let mut page = Page::default();
        if self.max == 0 {
            return Ok(page);
        }
        // With a delimiter most rows may fall under a prefix that is skipped as a whole.
        let batch: u16 = if self.delimiter.is_some() { 16 } else { 1001 };
        loop {
            let rows = index::keys_from(view, &self.bucket, &self.from, batch.into())?;
            let last_batch = rows.len() < usize::from(batch);
            let mut jumped = false;
            for (key, object) in rows {
                let Some(rest) = key.strip_prefix(&self.prefix) else { return Ok(page) };
                if page.objects.len() + page.prefixes.len() == self.max {
                    page.next = Some(self.from);
                    return Ok(page);
                }
                if let Some(end) = fold(rest, self.delimiter.as_deref()) {
                    let common = key[..self.prefix.len() + end].to_owned();
                    self.from = past(&common);
                    page.prefixes.push(common);
                    jumped = true;
                    break;
                }
                self.from = after(&key);
                page.objects.push((key, object));
            }
            if last_batch && !jumped {
                return Ok(page);
            }
        }
    }
}

/// A look through a bucket's unfinished uploads.
struct UploadSearch {
    bucket: String,
    prefix: String,
    delimiter: Option<String>,
    /// Key and id after which an upload may be answered.
    from: (Vec<u8>, String),
    max: usize,
}

#[derive(Default)]
struct UploadPage {
    uploads: Vec<index::Upload>,
    prefixes: Vec<String>,
    /// Key and id of what was answered last, when there is more. A common prefix has no id.
    next: Option<(String, String)>,
}

impl UploadSearch {
    fn run(mut self, view: &Connection) -> Result<UploadPage, Fault> {
        const BATCH: i64 = LONGEST as i64 + 1;
        let (mut page, mut last) = (UploadPage::default(), None);
        loop {
            let from = (self.from.0.as_slice(), self.from.1.as_str());
            let rows = index::uploads_after(view, &self.bucket, from, BATCH)?;
            let last_batch = rows.len() <= LONGEST.unsigned_abs() as usize;
            let mut jumped = false;
            for upload in rows {
                let Some(rest) = upload.key.strip_prefix(&self.prefix) else { return Ok(page) };
                if page.uploads.len() + page.prefixes.len() == self.max {
                    page.next = last;
                    return Ok(page);
                }
                if let Some(end) = fold(rest, self.delimiter.as_deref()) {
                    let common = upload.key[..self.prefix.len() + end].to_owned();
                    self.from = (past(&common), String::new());
                    last = Some((common.clone(), String::new()));
                    page.prefixes.push(common);
                    jumped = true;
                    break;
                }
                self.from = (upload.key.clone().into_bytes(), upload.id.clone());
                last = Some((upload.key.clone(), upload.id.clone()));
                page.uploads.push(upload);
            }
            if last_batch && !jumped {
                return Ok(page);
            }
        }
    }
}

/// Where a common prefix ends in what a key has after the asked prefix.
fn fold(rest: &str, delimiter: Option<&str>) -> Option<usize> {
    delimiter.and_then(|delimiter| rest.find(delimiter).map(|at| at + delimiter.len()))
}

/// Where a page begins that goes on after a key or, when the last page ended with one, after a common prefix:
/// all that begins with that was answered.
fn after_marker(marker: &str, prefix: &str, delimiter: Option<&str>) -> Vec<u8> {
    let end = marker.strip_prefix(prefix).and_then(|rest| fold(rest, delimiter));
    if end.is_some_and(|end| prefix.len() + end == marker.len()) {
        past(marker)
    } else {
        after(marker)
    }
}

/// The first bytes that sort after `key`.
fn after(key: &str) -> Vec<u8> {
    let mut bytes = key.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

/// The first bytes that sort after everything that begins with `prefix`. UTF-8 has no byte 0xFF, so
/// the last one can always grow.
fn past(prefix: &str) -> Vec<u8> {
    let mut bytes = prefix.as_bytes().to_vec();
    if let Some(last) = bytes.last_mut() {
        *last += 1;
    }
    bytes
}

fn limit(asked: Option<i32>) -> S3Result<i32> {
    match asked {
        None => Ok(LONGEST),
        Some(asked) if asked < 0 => Err(s3_error!(InvalidArgument, "A limit can't be negative.")),
        Some(asked) => Ok(asked.min(LONGEST)),
    }
}

/// How keys are written in the answer: XML can't carry every character, `encoding-type=url` can.
fn encoder(encoding: Option<&EncodingType>) -> S3Result<impl Fn(&str) -> String + use<>> {
    let url = match encoding.map(EncodingType::as_str) {
        None => false,
        Some(EncodingType::URL) => true,
        Some(_) => return Err(s3_error!(InvalidArgument, "encoding-type can only be url.")),
    };
    Ok(
        move |key: &str| {
            if url {
                Cow::from(utf8_percent_encode(key, PLAIN)).into_owned()
            } else {
                key.to_owned()
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nothing_sorts_between_a_key_and_what_comes_after_it(key in ".*", other in ".*") {
            let bytes = other.as_bytes();
            prop_assert_eq!(bytes > key.as_bytes(), bytes >= after(&key).as_slice());
        }

        #[test]
        fn past_a_prefix_nothing_begins_with_it(prefix in ".+", rest in ".*", other in ".*") {
            let begins = format!("{prefix}{rest}");
            prop_assert!(begins.as_bytes() < past(&prefix).as_slice());
            if other.as_bytes() >= past(&prefix).as_slice() {
                prop_assert!(!other.starts_with(&prefix) && other > prefix);
            }
        }
    }
}
