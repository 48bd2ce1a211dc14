//! `If-Match`, `If-None-Match`, `If-Modified-Since`, `If-Unmodified-Since`, `If-Range`.

use hyper::HeaderMap;
use hyper::header::{
    ETAG, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED,
};
use s3s::dto::{ETag, ETagCondition, Timestamp, TimestampFormat};
use s3s::{S3Result, s3_error};

use super::timestamp;
use crate::index::Object;

/// What a client asks to be true of the object that it reads.
#[expect(clippy::struct_field_names, reason = "these are the names of the headers")]
pub(super) struct ReadConditions {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
    pub(super) if_modified_since: Option<Timestamp>,
    pub(super) if_unmodified_since: Option<Timestamp>,
}

impl ReadConditions {
    /// Refuses with 412 or 304, in the precedence of RFC 9110, section 13.2.2.
    pub(super) fn check(&self, object: &Object) -> S3Result<()> {
        let modified = timestamp(object.modified_at);
        let right = match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) => is_met(condition, &object.etag),
            (None, Some(since)) => modified <= *since,
            (None, None) => true,
        };
        if !right {
            return Err(s3_error!(PreconditionFailed, "A condition of the request isn't met."));
        }
        let unchanged = match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) => is_met(condition, &object.etag),
            (None, Some(since)) => modified <= *since,
            (None, None) => false,
        };
        if unchanged {
            let mut answer = s3_error!(NotModified);
            answer.set_headers(validators(object)?);
            return Err(answer);
        }
        Ok(())
    }
}

/// What a client asks to be true of the object that it replaces.
#[derive(Clone)]
pub(crate) struct WriteConditions {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
}

impl WriteConditions {
    /// What the headers of a request say.
    pub(super) fn of(headers: &HeaderMap) -> S3Result<Self> {
        let parse = |name: HeaderName| {
            let value =
                headers.get(&name).map(|value| ETagCondition::parse_http_header(value.as_bytes()));
            value
                .transpose()
                .map_err(|_| s3_error!(InvalidArgument, "The header {name} is malformed."))
        };
        Ok(Self { if_match: parse(IF_MATCH)?, if_none_match: parse(IF_NONE_MATCH)? })
    }

    /// Refuses with 412 or 404. Only a check in the writing transaction holds under a race.
    pub(super) fn check(&self, current: Option<&Object>) -> S3Result<()> {
        match &self.if_none_match {
            Some(ETagCondition::Any) if current.is_some() => {
                return Err(s3_error!(
                    PreconditionFailed,
                    "There is an object of this key already."
                ));
            }
            Some(ETagCondition::ETag(_)) => {
                return Err(s3_error!(NotImplemented, "If-None-Match takes only * when writing."));
            }
            _ => {}
        }
        match (&self.if_match, current) {
            (Some(_), None) => Err(s3_error!(NoSuchKey, "There is no object of this key.")),
            (Some(condition), Some(current)) if !is_met(condition, &current.etag) => {
                Err(s3_error!(PreconditionFailed, "The object has another ETag."))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a `Range` may be followed: an `If-Range` that names another version asks for the whole.
pub(super) fn range_applies(headers: &HeaderMap, object: &Object) -> bool {
    let Some(validator) = headers.get(IF_RANGE) else { return true };
    if let Ok(etag) = ETag::parse_http_header(validator.as_bytes())
        && validator.as_bytes().contains(&b'"')
    {
        return etag.as_strong() == Some(&object.etag);
    }
    validator
        .to_str()
        .ok()
        .and_then(|date| Timestamp::parse(TimestampFormat::HttpDate, date).ok())
        .is_some_and(|date| date == timestamp(object.modified_at))
}

fn is_met(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(asked) => asked.value() == etag,
    }
}

fn validators(object: &Object) -> S3Result<HeaderMap> {
    let mut date = Vec::new();
    timestamp(object.modified_at)
        .format(TimestampFormat::HttpDate, &mut date)
        .map_err(|error| s3_error!(error, InternalError))?;
    let value = |bytes: &[u8]| {
        HeaderValue::from_bytes(bytes).map_err(|error| s3_error!(error, InternalError))
    };
    let mut headers = HeaderMap::new();
    headers.insert(ETAG, value(format!("\"{}\"", object.etag).as_bytes())?);
    headers.insert(LAST_MODIFIED, value(&date)?);
    Ok(headers)
}
