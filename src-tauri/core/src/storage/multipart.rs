//! Uploads in parts.

use std::collections::BTreeMap;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};

use super::integrity::{crc64_of, crc64_text};
use super::{Arrived, Bucket, Headers, Integrity, patient};
use crate::{Code, Result};

/// Joining the parts of a large object takes some servers minutes: as long as these bytes.
const SLOWEST_JOIN: u64 = 10 * 60 * super::SLOWEST_LINE;

/// How a Complete ended.
#[derive(Debug)]
pub enum Joined {
    /// The object is there.
    Whole(Arrived),
    /// The storage knows no such upload: it was completed before, or given up.
    NoSuchUpload,
    /// The storage has other parts than it was told.
    OtherParts,
}

impl Bucket {
    /// Begins a multipart upload and gives its id.
    pub async fn create_multipart(
        &self,
        key: &str,
        headers: &Headers,
        integrity: Integrity,
    ) -> Result<String> {
        let mut request = self
            .client
            .create_multipart_upload()
            .bucket(&self.profile.bucket)
            .key(key)
            .content_type(&headers.content_type)
            .content_disposition(&headers.disposition);
        if integrity == Integrity::Crc64 {
            request = request
                .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
                .checksum_type(ChecksumType::FullObject);
        }
        // Tried again by whoever asks, once what an answer that was lost left is given up.
        let once = aws_sdk_s3::Config::builder().retry_config(RetryConfig::disabled());
        let answer = request.customize().config_override(once).send().await;
        let answer = answer.map_err(|error| self.explain("upload", error))?;
        answer.upload_id.filter(|id| !id.is_empty()).ok_or_else(|| self.not_s3())
    }

    /// Sends one part, numbered from 1. The storage compares `crc64`, where that is given.
    pub async fn upload_part(
        &self,
        key: &str,
        upload: &str,
        number: u32,
        body: ByteStream,
        size: u64,
        crc64: Option<u64>,
    ) -> Result<Arrived> {
        let answer = self
            .client
            .upload_part()
            .bucket(&self.profile.bucket)
            .key(key)
            .upload_id(upload)
            .part_number(number.cast_signed())
            .content_length(i64::try_from(size).unwrap_or(i64::MAX))
            .set_checksum_crc64_nvme(crc64.map(crc64_text))
            .body(body)
            .customize()
            .config_override(patient(size))
            .send()
            .await
            .map_err(|error| self.explain("upload", error))?;
        self.arrived(answer.e_tag, answer.checksum_crc64_nvme.as_deref())
    }

    /// Joins the parts (etag and CRC-64 of each, in order) into the object.
    pub async fn complete_multipart(
        &self,
        key: &str,
        upload: &str,
        parts: &[Arrived],
        crc64: Option<u64>,
    ) -> Result<Joined> {
        let each = parts.iter().zip(1..).map(|(part, number)| {
            CompletedPart::builder()
                .e_tag(&part.etag)
                .set_checksum_crc64_nvme(part.crc64.filter(|_| crc64.is_some()).map(crc64_text))
                .part_number(number)
                .build()
        });
        let parts = CompletedMultipartUpload::builder().set_parts(Some(each.collect())).build();
        let mut request = self
            .client
            .complete_multipart_upload()
            .bucket(&self.profile.bucket)
            .key(key)
            .upload_id(upload)
            .multipart_upload(parts);
        if let Some(crc64) = crc64 {
            request = request
                .checksum_type(ChecksumType::FullObject)
                .checksum_crc64_nvme(crc64_text(crc64));
        }
        match request.customize().config_override(patient(SLOWEST_JOIN)).send().await {
            Ok(answer) => {
                self.arrived(answer.e_tag, answer.checksum_crc64_nvme.as_deref()).map(Joined::Whole)
            }
            Err(error) if error.code() == Some("NoSuchUpload") => Ok(Joined::NoSuchUpload),
            Err(error) if error.code() == Some("InvalidPart") => Ok(Joined::OtherParts),
            Err(error) => Err(self.explain("upload", error)),
        }
    }

    /// Gives a multipart upload up. One that isn't there any more is no error.
    pub async fn abort_multipart(&self, key: &str, upload: &str) -> Result<()> {
        let request = self
            .client
            .abort_multipart_upload()
            .bucket(&self.profile.bucket)
            .key(key)
            .upload_id(upload);
        match request.send().await {
            Err(error) if error.code() != Some("NoSuchUpload") => {
                Err(self.explain("give the upload up", error))
            }
            _ => Ok(()),
        }
    }

    /// Gives up whatever was begun for a key: that of an answer that nobody heard. The key must be ours alone.
    pub(crate) async fn abort_unheard(&self, key: &str) -> Result<()> {
        let uploads = match self.list_uploads(key).await {
            // A key that may not look can't find it; the bucket's own rule for unfinished uploads does.
            Err(error) if error.code == Code::AccessDenied => return Ok(()),
            uploads => uploads?,
        };
        for (found, id) in uploads {
            if found == key {
                self.abort_multipart(key, &id).await?;
            }
        }
        Ok(())
    }

    /// The parts that arrived of an upload, by number, with their sizes; nothing where the storage knows no such
    /// upload.
    pub async fn list_parts(
        &self,
        key: &str,
        upload: &str,
    ) -> Result<Option<BTreeMap<u32, (u64, Arrived)>>> {
        let mut parts = BTreeMap::new();
        let mut after = None;
        loop {
            let request = self
                .client
                .list_parts()
                .bucket(&self.profile.bucket)
                .key(key)
                .upload_id(upload)
                .set_part_number_marker(after.clone());
            let answer = match request.send().await {
                Err(error) if error.code() == Some("NoSuchUpload") => return Ok(None),
                answer => answer.map_err(|error| self.explain("look at the upload", error))?,
            };
            // A portal's page has none of it.
            if answer.upload_id.is_none() {
                return Err(self.not_s3());
            }
            for part in answer.parts.unwrap_or_default() {
                let number = part.part_number.and_then(|number| u32::try_from(number).ok());
                let size = part.size.and_then(|size| u64::try_from(size).ok());
                if let (Some(number), Some(size)) = (number, size) {
                    let arrived = self.arrived(part.e_tag, part.checksum_crc64_nvme.as_deref())?;
                    parts.insert(number, (size, arrived));
                }
            }
            let next = answer.next_part_number_marker;
            if answer.is_truncated != Some(true) || next.is_none() || next == after {
                return Ok(Some(parts));
            }
            after = next;
        }
    }

    /// Unfinished uploads whose keys begin with `prefix`: key and upload id of each.
    pub async fn list_uploads(&self, prefix: &str) -> Result<Vec<(String, String)>> {
        let mut uploads = Vec::new();
        let mut after = (None, None);
        loop {
            let request = self
                .client
                .list_multipart_uploads()
                .bucket(&self.profile.bucket)
                .prefix(prefix)
                .set_key_marker(after.0.clone())
                .set_upload_id_marker(after.1.clone());
            let answer =
                request.send().await.map_err(|error| self.explain("list uploads", error))?;
            let found = answer.uploads.unwrap_or_default().into_iter();
            uploads.extend(found.filter_map(|upload| upload.key.zip(upload.upload_id)));
            let next = (answer.next_key_marker, answer.next_upload_id_marker);
            if answer.is_truncated != Some(true) || next.0.is_none() || next == after {
                return Ok(uploads);
            }
            after = next;
        }
    }

    fn arrived(&self, etag: Option<String>, crc64: Option<&str>) -> Result<Arrived> {
        Ok(Arrived { etag: self.etag(etag)?, crc64: crc64.and_then(crc64_of) })
    }
}
