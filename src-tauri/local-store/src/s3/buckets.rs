//! Buckets: make, look, list.

use std::sync::Arc;

use s3s::dto::{
    Bucket, CreateBucketInput, CreateBucketOutput, GetBucketLocationInput, GetBucketLocationOutput,
    GetBucketVersioningInput, GetBucketVersioningOutput, HeadBucketInput, HeadBucketOutput,
    ListBucketsInput, ListBucketsOutput, Owner,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::timestamp;
use crate::store::Store;
use crate::{REGION, index};

pub(super) async fn create(
    store: &Arc<Store>,
    input: CreateBucketInput,
) -> S3Result<S3Response<CreateBucketOutput>> {
    let name = input.bucket;
    let location = format!("/{name}");
    let made = store.write(move |change| Ok(index::create_bucket(change, &name)?)).await?;
    if !made {
        return Err(s3_error!(BucketAlreadyOwnedByYou, "You have a bucket of this name already."));
    }
    Ok(S3Response::new(CreateBucketOutput { location: Some(location) }))
}

pub(super) async fn head(
    store: &Arc<Store>,
    input: HeadBucketInput,
) -> S3Result<S3Response<HeadBucketOutput>> {
    store.read(move |view| index::bucket_exists(view, &input.bucket)).await?;
    Ok(S3Response::new(HeadBucketOutput {
        bucket_region: Some(REGION.into()),
        ..Default::default()
    }))
}

pub(super) async fn location(
    store: &Arc<Store>,
    input: GetBucketLocationInput,
) -> S3Result<S3Response<GetBucketLocationOutput>> {
    store.read(move |view| index::bucket_exists(view, &input.bucket)).await?;
    // S3 answers nothing for us-east-1.
    Ok(S3Response::new(GetBucketLocationOutput::default()))
}

/// The store keeps one version of an object, and says so.
pub(super) async fn versioning(
    store: &Arc<Store>,
    input: GetBucketVersioningInput,
) -> S3Result<S3Response<GetBucketVersioningOutput>> {
    store.read(move |view| index::bucket_exists(view, &input.bucket)).await?;
    Ok(S3Response::new(GetBucketVersioningOutput::default()))
}

/// The buckets that the signing key may touch.
pub(super) async fn list(
    store: &Arc<Store>,
    request: S3Request<ListBucketsInput>,
) -> S3Result<S3Response<ListBucketsOutput>> {
    let signer = request.credentials.map(|credentials| credentials.access_key).unwrap_or_default();
    let scope = store.key(&signer).and_then(|key| key.bucket.clone());
    let prefix = request.input.prefix.clone().unwrap_or_default();
    let buckets = store.read(|view| Ok(index::buckets(view)?)).await?;
    let buckets = buckets
        .into_iter()
        .filter(|bucket| scope.as_ref().is_none_or(|scope| *scope == bucket.name))
        .filter(|bucket| bucket.name.starts_with(&prefix))
        .map(|bucket| Bucket {
            name: Some(bucket.name),
            creation_date: Some(timestamp(bucket.created_at)),
            bucket_region: None,
        })
        .collect();
    Ok(S3Response::new(ListBucketsOutput {
        buckets: Some(buckets),
        owner: Some(Owner { id: Some("lapse".into()), display_name: Some("lapse".into()) }),
        prefix: request.input.prefix,
        continuation_token: None,
    }))
}
