//! The lifecycle configuration of a bucket: expiry of objects, and of uploads that nobody finishes.

use std::collections::HashSet;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{
    self, AbortIncompleteMultipartUpload, DeleteBucketLifecycleInput, DeleteBucketLifecycleOutput,
    ExpirationStatus, GetBucketLifecycleConfigurationInput, GetBucketLifecycleConfigurationOutput,
    LifecycleExpiration, LifecycleRule, LifecycleRuleAndOperator, LifecycleRuleFilter,
    PutBucketLifecycleConfigurationInput, PutBucketLifecycleConfigurationOutput, TimestampFormat,
};
use s3s::{S3Response, S3Result, s3_error};

use super::{signed, timestamp};
use crate::fault;
use crate::index::{self, Object};
use crate::lifecycle::{self, Expire, Rule};
use crate::store::Store;

/// S3's limits.
const MOST_RULES: usize = 1000;
const LONGEST_ID: usize = 255;

pub(super) async fn put(
    store: &Arc<Store>,
    input: PutBucketLifecycleConfigurationInput,
) -> S3Result<S3Response<PutBucketLifecycleConfigurationOutput>> {
    let rules = input.lifecycle_configuration.map(|given| given.rules).unwrap_or_default();
    if rules.is_empty() || rules.len() > MOST_RULES {
        return Err(s3_error!(MalformedXML, "A lifecycle has 1 to 1,000 rules."));
    }
    let rules = rules.into_iter().map(read).collect::<S3Result<Vec<_>>>()?;
    let ids: HashSet<_> = rules.iter().map(|rule| &rule.id).collect();
    if ids.len() < rules.len() {
        return Err(s3_error!(InvalidArgument, "Rule ID must be unique."));
    }
    store
        .write(move |change| {
            index::bucket_exists(change, &input.bucket)?;
            Ok(index::set_lifecycle(change, &input.bucket, &rules)?)
        })
        .await?;
    Ok(S3Response::new(PutBucketLifecycleConfigurationOutput::default()))
}

pub(super) async fn get(
    store: &Arc<Store>,
    input: GetBucketLifecycleConfigurationInput,
) -> S3Result<S3Response<GetBucketLifecycleConfigurationOutput>> {
    let rules = store
        .read(move |view| {
            index::bucket_exists(view, &input.bucket)?;
            Ok(index::lifecycle(view, &input.bucket)?)
        })
        .await?;
    if rules.is_empty() {
        let message = "The lifecycle configuration does not exist";
        let status = hyper::StatusCode::NOT_FOUND;
        return Err(fault::other(status, "NoSuchLifecycleConfiguration", message));
    }
    Ok(S3Response::new(GetBucketLifecycleConfigurationOutput {
        rules: Some(rules.into_iter().map(told).collect()),
        ..Default::default()
    }))
}

pub(super) async fn delete(
    store: &Arc<Store>,
    input: DeleteBucketLifecycleInput,
) -> S3Result<S3Response<DeleteBucketLifecycleOutput>> {
    store
        .write(move |change| {
            index::bucket_exists(change, &input.bucket)?;
            Ok(index::remove_lifecycle(change, &input.bucket)?)
        })
        .await?;
    Ok(S3Response::with_status(
        DeleteBucketLifecycleOutput::default(),
        hyper::StatusCode::NO_CONTENT,
    ))
}

/// `x-amz-expiration` of an object that a rule will remove.
pub(super) fn expiration(rules: &[Rule], key: &str, object: &Object) -> Option<String> {
    let (end, rule) = lifecycle::end(rules, key, object)?;
    let mut date = Vec::new();
    timestamp(end).format(TimestampFormat::HttpDate, &mut date).ok()?;
    let date = String::from_utf8(date).ok()?;
    let id = utf8_percent_encode(&rule.id, NON_ALPHANUMERIC);
    Some(format!("expiry-date=\"{date}\", rule-id=\"{id}\""))
}

/// Takes a rule in, or says what is wrong with it. What the store can't do is refused, not passed over.
fn read(rule: LifecycleRule) -> S3Result<Rule> {
    let is_versions = rule.noncurrent_version_expiration.is_some()
        || rule.noncurrent_version_transitions.is_some_and(|list| !list.is_empty());
    if is_versions || rule.transitions.is_some_and(|list| !list.is_empty()) {
        return Err(s3_error!(NotImplemented, "The store has no versions and one storage class."));
    }
    let enabled = match rule.status.as_str() {
        ExpirationStatus::ENABLED => true,
        ExpirationStatus::DISABLED => false,
        _ => return Err(s3_error!(MalformedXML, "A rule is Enabled or Disabled.")),
    };
    let id = rule.id.filter(|id| !id.is_empty());
    let id = id.unwrap_or_else(|| HEXLOWER.encode(&rand::random::<[u8; 16]>()));
    if id.len() > LONGEST_ID {
        return Err(s3_error!(InvalidArgument, "ID length should not exceed allowed limit of 255"));
    }
    let (prefix, plain_prefix) = match (rule.prefix, rule.filter.is_some()) {
        (Some(_), true) | (None, false) => {
            return Err(s3_error!(MalformedXML, "A rule has a Filter or, as before, a Prefix."));
        }
        (Some(prefix), false) => (Some(prefix), true),
        (None, true) => (None, false),
    };
    let filter = read_filter(rule.filter.unwrap_or_default())?;
    let abort_after = rule.abort_incomplete_multipart_upload.map(|abort| {
        days(abort.days_after_initiation).ok_or_else(|| {
            s3_error!(InvalidArgument, "DaysAfterInitiation must be a positive integer")
        })
    });
    let abort_after = abort_after.transpose()?;
    if abort_after.is_some() && (filter.larger_than.is_some() || filter.smaller_than.is_some()) {
        return Err(s3_error!(InvalidRequest, "Uploads can't be aborted by their size."));
    }
    let expire = rule.expiration.map(read_expiration).transpose()?;
    if expire.is_none() && abort_after.is_none() {
        return Err(s3_error!(
            InvalidRequest,
            "At least one action needs to be specified in a rule."
        ));
    }
    let Filter { prefix: filtered, larger_than, smaller_than } = filter;
    let prefix = prefix.or(filtered).unwrap_or_default();
    Ok(Rule { id, enabled, prefix, plain_prefix, larger_than, smaller_than, expire, abort_after })
}

struct Filter {
    prefix: Option<String>,
    larger_than: Option<u64>,
    smaller_than: Option<u64>,
}

fn read_filter(filter: LifecycleRuleFilter) -> S3Result<Filter> {
    let alone = [
        filter.prefix.is_some(),
        filter.tag.is_some(),
        filter.object_size_greater_than.is_some(),
        filter.object_size_less_than.is_some(),
        filter.and.is_some(),
    ];
    if count(&alone) > 1 {
        return Err(s3_error!(MalformedXML, "Several conditions of a Filter stand in an And."));
    }
    let has_and = filter.and.is_some();
    let and = filter.and.unwrap_or_default();
    let tags = and.tags.as_ref().map_or(0, Vec::len);
    if filter.tag.is_some() || tags > 0 {
        return Err(s3_error!(NotImplemented, "The store keeps no tags."));
    }
    let together = [
        and.prefix.is_some(),
        and.object_size_greater_than.is_some(),
        and.object_size_less_than.is_some(),
    ];
    if has_and && count(&together) < 2 {
        return Err(s3_error!(MalformedXML, "An And holds two conditions or more."));
    }
    let size = |size: Option<i64>| {
        size.map(u64::try_from)
            .transpose()
            .map_err(|_| s3_error!(InvalidRequest, "A filter's size can't be negative."))
    };
    let larger_than = size(filter.object_size_greater_than.or(and.object_size_greater_than))?;
    let smaller_than = size(filter.object_size_less_than.or(and.object_size_less_than))?;
    if let (Some(larger), Some(smaller)) = (larger_than, smaller_than)
        && larger.saturating_add(1) >= smaller
    {
        return Err(s3_error!(InvalidRequest, "No size is between those of the filter."));
    }
    Ok(Filter { prefix: filter.prefix.or(and.prefix), larger_than, smaller_than })
}

fn count(conditions: &[bool]) -> usize {
    conditions.iter().filter(|is_there| **is_there).count()
}

fn read_expiration(expiration: LifecycleExpiration) -> S3Result<Expire> {
    if expiration.expired_object_delete_marker == Some(true) {
        return Err(s3_error!(NotImplemented, "The store keeps no versions."));
    }
    match (expiration.days, expiration.date) {
        (Some(given), None) => days(Some(given)).map(Expire::After).ok_or_else(|| {
            s3_error!(InvalidArgument, "'Days' for Expiration action must be a positive integer")
        }),
        (None, Some(date)) => midnight(&date)
            .map(Expire::At)
            .ok_or_else(|| s3_error!(InvalidArgument, "'Date' must be at midnight GMT")),
        _ => Err(s3_error!(MalformedXML, "An Expiration has either Days or a Date.")),
    }
}

fn days(given: Option<i32>) -> Option<u32> {
    given.and_then(|days| u32::try_from(days).ok()).filter(|days| *days > 0)
}

fn midnight(date: &dto::Timestamp) -> Option<i64> {
    let mut text = Vec::new();
    date.format(TimestampFormat::DateTime, &mut text).ok()?;
    let time: Timestamp = String::from_utf8(text).ok()?.parse().ok()?;
    let time = time.as_millisecond();
    (time >= 0 && time % (24 * 60 * 60 * 1000) == 0).then_some(time)
}

/// A rule as S3 tells it.
fn told(rule: Rule) -> LifecycleRule {
    let prefix = Some(rule.prefix);
    let (larger, smaller) = (rule.larger_than.map(signed), rule.smaller_than.map(signed));
    let filter = match (larger, smaller) {
        _ if rule.plain_prefix => None,
        (None, None) => Some(LifecycleRuleFilter { prefix: prefix.clone(), ..Default::default() }),
        _ => {
            let and = LifecycleRuleAndOperator {
                prefix: prefix.clone(),
                object_size_greater_than: larger,
                object_size_less_than: smaller,
                tags: None,
            };
            Some(LifecycleRuleFilter { and: Some(and), ..Default::default() })
        }
    };
    let status = if rule.enabled { ExpirationStatus::ENABLED } else { ExpirationStatus::DISABLED };
    let count = |days: u32| i32::try_from(days).unwrap_or(i32::MAX);
    LifecycleRule {
        id: Some(rule.id),
        status: ExpirationStatus::from_static(status),
        prefix: prefix.filter(|_| rule.plain_prefix),
        filter,
        expiration: rule.expire.map(|expire| match expire {
            Expire::After(days) => {
                LifecycleExpiration { days: Some(count(days)), ..Default::default() }
            }
            Expire::At(time) => {
                LifecycleExpiration { date: Some(timestamp(time)), ..Default::default() }
            }
        }),
        abort_incomplete_multipart_upload: rule.abort_after.map(|days| {
            AbortIncompleteMultipartUpload { days_after_initiation: Some(count(days)) }
        }),
        noncurrent_version_expiration: None,
        noncurrent_version_transitions: None,
        transitions: None,
    }
}
