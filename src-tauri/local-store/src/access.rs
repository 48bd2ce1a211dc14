//! Who may do what: looks keys up for s3s and keeps scoped keys in their bucket.

use std::sync::Arc;

use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{Credentials, S3Auth, SecretKey};
use s3s::dto::{CopyObjectInput, CopySource, UploadPartCopyInput};
use s3s::{S3Error, S3Request, S3Result, s3_error};

use crate::BUCKET;
use crate::index::{AccessKey, Service};
use crate::store::Store;
use crate::unsupported;

/// Looks secrets up by access key.
pub(crate) struct Auth(pub(crate) Arc<Store>);

/// Decides by the key that signed.
pub(crate) struct Access(pub(crate) Arc<Store>);

#[async_trait::async_trait]
impl S3Auth for Auth {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        self.0
            .key(access_key)
            .map(|key| SecretKey::from(key.credentials.secret_key.as_str()))
            .ok_or_else(unknown_key)
    }
}

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, request: &mut S3AccessContext<'_>) -> S3Result<()> {
        let signer = request.credentials().ok_or_else(unsigned)?.access_key.clone();
        let key = self.0.key(&signer).ok_or_else(unknown_key)?;
        key.note_use(Service::S3);
        match (request.s3_op().name(), request.s3_path().get_bucket_name()) {
            // Some clients create their bucket before they write to it, and are content with hearing
            // that it is theirs already. It always is there: nobody can delete it.
            ("CreateBucket", Some(BUCKET)) if key.bucket.as_deref() == Some(BUCKET) => Ok(()),
            ("CreateBucket" | "DeleteBucket", _) if key.bucket.is_some() => Err(out_of_scope()),
            // The list shows what the key may touch.
            ("ListBuckets", _) => Ok(()),
            (_, bucket) => allow(&key, bucket),
        }?;
        let operation = request.s3_op().name();
        unsupported::refuse(operation, request.method(), request.uri(), request.headers())
    }

    async fn copy_object(&self, request: &mut S3Request<CopyObjectInput>) -> S3Result<()> {
        self.check_source(request.credentials.as_ref(), &request.input.copy_source)
    }

    async fn upload_part_copy(&self, request: &mut S3Request<UploadPartCopyInput>) -> S3Result<()> {
        self.check_source(request.credentials.as_ref(), &request.input.copy_source)
    }
}

impl Access {
    /// What is copied must be readable too.
    fn check_source(&self, signer: Option<&Credentials>, source: &CopySource) -> S3Result<()> {
        let signer = signer.ok_or_else(unsigned)?;
        let key = self.0.key(&signer.access_key).ok_or_else(unknown_key)?;
        match source {
            CopySource::Bucket { bucket, .. } => allow(&key, Some(bucket)),
            _ => Err(s3_error!(NotImplemented, "Only objects of a bucket can be copied.")),
        }
    }
}

/// Refuses a key that may not touch `bucket`.
pub(crate) fn allow(key: &AccessKey, bucket: Option<&str>) -> S3Result<()> {
    match &key.bucket {
        Some(scope) if bucket != Some(scope) => Err(out_of_scope()),
        _ => Ok(()),
    }
}

pub(crate) fn unknown_key() -> S3Error {
    s3_error!(InvalidAccessKeyId, "This access key doesn't exist or is switched off.")
}

pub(crate) fn unsigned() -> S3Error {
    s3_error!(AccessDenied, "Requests must be signed.")
}

fn out_of_scope() -> S3Error {
    s3_error!(AccessDenied, "This access key may not do that.")
}
