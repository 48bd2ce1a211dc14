//! Copies within the bucket, done by the storage itself, and the old versions that some buckets keep.

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Bucket, Headers, Object, patient};
use crate::{Code, Error, Result};

const MIB: u64 = 1 << 20;
/// The most that one request copies (S3: 5 GB); less in programs for tests.
const ONE_COPY: u64 = if cfg!(feature = "failpoints") { 24 * MIB } else { 5_000_000_000 };
/// Of a larger object, the bytes of a part; 10,000 of them are more than S3 takes of one object.
const PART: u64 = if cfg!(feature = "failpoints") { 8 * MIB } else { 1024 * MIB };

const SOURCE: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

impl Bucket {
    /// Copies an object to another key. Its bytes don't leave the storage.
    pub(crate) async fn copy(
        &self,
        from: &str,
        to: &str,
        size: u64,
        headers: &Headers,
    ) -> Result<Object> {
        let source = format!("{}/{}", self.profile.bucket, utf8_percent_encode(from, SOURCE));
        if size <= ONE_COPY {
            let request = self.client.copy_object().bucket(&self.profile.bucket).key(to);
            let request = request.copy_source(&source).customize().config_override(patient(size));
            request.send().await.map_err(|error| self.explain("copy the object", error))?;
        } else {
            self.copy_parts(&source, to, size, headers).await?;
        }
        let copy = self.head(to).await?;
        if copy.size != size {
            self.delete(to).await?;
            return Err(Error::new(
                Code::Storage,
                "the storage's copy of the object isn't whole",
                "Try again, or revoke the share with its file.",
            ));
        }
        Ok(copy)
    }

    async fn copy_parts(&self, source: &str, to: &str, size: u64, headers: &Headers) -> Result<()> {
        let upload = self.create_multipart(to, headers, super::Integrity::Size).await?;
        let copied = async {
            let mut parts = Vec::new();
            for (start, number) in
                (0..size).step_by(usize::try_from(PART).unwrap_or(usize::MAX)).zip(1..)
            {
                let end = (start + PART).min(size) - 1;
                let request = self.client.upload_part_copy().bucket(&self.profile.bucket).key(to);
                let request = request
                    .upload_id(&upload)
                    .part_number(number)
                    .copy_source(source)
                    .copy_source_range(format!("bytes={start}-{end}"))
                    .customize()
                    .config_override(patient(PART));
                let answer =
                    request.send().await.map_err(|error| self.explain("copy the object", error))?;
                let etag = self.etag(answer.copy_part_result.and_then(|part| part.e_tag))?;
                parts.push(CompletedPart::builder().e_tag(etag).part_number(number).build());
            }
            let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
            let request = self.client.complete_multipart_upload().bucket(&self.profile.bucket);
            let request = request.key(to).upload_id(&upload).multipart_upload(parts);
            let sent = request.customize().config_override(patient(size)).send().await;
            sent.map(drop).map_err(|error| self.explain("copy the object", error))
        };
        let copied = copied.await;
        if copied.is_err() {
            self.abort_multipart(to, &upload).await?;
        }
        copied
    }

    /// The ids of the versions of an object that the bucket keeps, delete markers too.
    pub(crate) async fn versions(&self, key: &str) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut after: Option<(String, String)> = None;
        loop {
            let mut request =
                self.client.list_object_versions().bucket(&self.profile.bucket).prefix(key);
            if let Some((key, version)) = after.take() {
                request = request.key_marker(key).version_id_marker(version);
            }
            let answer =
                request.send().await.map_err(|error| self.explain("list old versions", error))?;
            let versions = answer.versions.unwrap_or_default().into_iter();
            let markers = answer.delete_markers.unwrap_or_default().into_iter();
            let all = versions
                .map(|version| (version.key, version.version_id))
                .chain(markers.map(|marker| (marker.key, marker.version_id)));
            // Other keys may begin like this one.
            found.extend(all.filter_map(|(of, id)| id.filter(|_| of.as_deref() == Some(key))));
            match (answer.is_truncated, answer.next_key_marker, answer.next_version_id_marker) {
                (Some(true), Some(key), Some(version)) => after = Some((key, version)),
                _ => return Ok(found),
            }
        }
    }

    /// Deletes one version of an object for good.
    pub(crate) async fn delete_version(&self, key: &str, version: &str) -> Result<()> {
        let request = self.client.delete_object().bucket(&self.profile.bucket).key(key);
        let answer = request.version_id(version).send().await;
        answer.map(drop).map_err(|error| self.explain("delete an old version", error))
    }
}
