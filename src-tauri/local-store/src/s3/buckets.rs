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

/// S3's limit for one answer.
const MOST: i32 = 10_000;

pub(super) async fn create(
    store: &Arc<Store>,
    input: CreateBucketInput,
) -> S3Result<S3Response<CreateBucketOutput>> {
    let name = input.bucket;
    let asked = input.create_bucket_configuration.and_then(|asked| asked.location_constraint);
    if asked.is_some_and(|asked| !["", REGION].contains(&asked.as_str())) {
        return Err(s3_error!(
            IllegalLocationConstraintException,
            "The store has one region, us-east-1."
        ));
    }
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

/// Who everything in the store belongs to.
pub(super) fn owner() -> Owner {
    Owner { id: Some("lapse".into()), display_name: Some("lapse".into()) }
}

/// The buckets that the signing key may touch.
pub(super) async fn list(
    store: &Arc<Store>,
    request: S3Request<ListBucketsInput>,
) -> S3Result<S3Response<ListBucketsOutput>> {
    let signer = request.credentials.map(|credentials| credentials.access_key).unwrap_or_default();
    let scope = store.key(&signer).and_then(|key| key.bucket.clone());
    let ListBucketsInput { bucket_region, continuation_token, max_buckets, prefix } = request.input;
    let most = match max_buckets {
        None => MOST,
        Some(most @ 1..=MOST) => most,
        Some(_) => return Err(s3_error!(InvalidArgument, "max-buckets goes from 1 to 10,000.")),
    };
    let is_here = bucket_region.is_none_or(|region| region == REGION);
    let after = continuation_token.unwrap_or_default();
    let start = prefix.clone().unwrap_or_default();
    let buckets = store.read(|view| Ok(index::buckets(view)?)).await?;
    let mut buckets = buckets
        .into_iter()
        .filter(|bucket| is_here && bucket.name > after && bucket.name.starts_with(&start))
        .filter(|bucket| scope.as_ref().is_none_or(|scope| *scope == bucket.name))
        .map(|bucket| Bucket {
            name: Some(bucket.name),
            creation_date: Some(timestamp(bucket.created_at)),
            bucket_region: None,
        });
    let page: Vec<_> = buckets.by_ref().take(usize::try_from(most).unwrap_or_default()).collect();
    // The names are in order, so that the last one says where to go on.
    let last = page.last().and_then(|bucket| bucket.name.clone());
    let next = buckets.next().and(last);
    Ok(S3Response::new(ListBucketsOutput {
        buckets: Some(page),
        owner: Some(owner()),
        prefix,
        continuation_token: next,
    }))
}
