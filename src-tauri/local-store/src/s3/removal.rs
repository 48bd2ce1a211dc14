//! Deleting many objects at once, and buckets.

use std::sync::Arc;

use s3s::dto::{
    DeleteBucketInput, DeleteBucketOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject,
    ETag, Error as Refused, ObjectIdentifier,
};
use s3s::{S3Response, S3Result, s3_error};

use super::get;
use crate::event::EventKind;
use crate::fault::Fault;
use crate::store::Store;
use crate::{BUCKET, index};

/// S3's limit for one request.
const MOST: usize = 1000;

pub(super) async fn objects(
    store: &Arc<Store>,
    input: DeleteObjectsInput,
) -> S3Result<S3Response<DeleteObjectsOutput>> {
    let named = input.delete.objects;
    if named.is_empty() || named.len() > MOST {
        return Err(s3_error!(MalformedXML, "Name 1 to 1,000 objects."));
    }
    let quiet = input.delete.quiet.unwrap_or_default();
    let (deleted, errors) = store
        .write(move |change| {
            index::bucket_exists(change, &input.bucket)?;
            let (mut deleted, mut errors) = (Vec::new(), Vec::new());
            for name in named {
                if let Some(refused) = refusal(change, &input.bucket, &name)? {
                    errors.push(refused);
                    continue;
                }
                index::delete_object(change, &input.bucket, &name.key, EventKind::Delete)?;
                deleted.push(DeletedObject { key: Some(name.key), ..Default::default() });
            }
            Ok((deleted, errors))
        })
        .await?;
    Ok(S3Response::new(DeleteObjectsOutput {
        deleted: Some(deleted).filter(|_| !quiet),
        errors: Some(errors),
        request_charged: None,
    }))
}

/// Why one of the named objects stays.
fn refusal(
    connection: &rusqlite::Connection,
    bucket: &str,
    name: &ObjectIdentifier,
) -> Result<Option<Refused>, Fault> {
    let refused = |code: &str, message: &str| {
        Ok(Some(Refused {
            code: Some(code.to_owned()),
            key: Some(name.key.clone()),
            message: Some(message.to_owned()),
            version_id: name.version_id.clone(),
        }))
    };
    if name.version_id.as_ref().is_some_and(|version| version != get::ONLY_VERSION) {
        return refused("NoSuchVersion", "The store keeps no versions.");
    }
    if name.last_modified_time.is_some() || name.size.is_some() {
        return refused("NotImplemented", "An object is named by key and ETag only.");
    }
    if let Some(etag) = &name.e_tag {
        let current = index::find_object(connection, bucket, &name.key)?;
        if current.is_none_or(|current| ETag::Strong(current.etag) != *etag) {
            return refused("PreconditionFailed", "The object has another ETag.");
        }
    }
    Ok(None)
}

pub(super) async fn bucket(
    store: &Arc<Store>,
    input: DeleteBucketInput,
) -> S3Result<S3Response<DeleteBucketOutput>> {
    if input.bucket == BUCKET {
        return Err(s3_error!(AccessDenied, "The store can't do without its first bucket."));
    }
    store
        .write(move |change| {
            index::bucket_exists(change, &input.bucket)?;
            if !index::keys_from(change, &input.bucket, b"", 1)?.is_empty() {
                return Err(s3_error!(BucketNotEmpty, "The bucket holds objects.").into());
            }
            // As on AWS, uploads that nobody finished don't keep a bucket alive.
            index::delete_bucket(change, &input.bucket)
        })
        .await?;
    Ok(S3Response::new(DeleteBucketOutput::default()))
}
