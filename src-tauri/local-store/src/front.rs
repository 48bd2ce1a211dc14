//! What is refused before s3s sees a request, because s3s would let it pass.
//!
//! s3s takes signature version 2 (whose links have no longest life), doesn't compare the scope of
//! a credential with this store, caps no link's life, and lets headers stay unsigned. Each check
//! here has a test that goes through the network.

use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, RANGE};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, StatusCode};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use percent_encoding::percent_decode_str;
use s3s::{S3Error, S3Result, s3_error};

use crate::{REGION, fault};

/// A key of 1,024 bytes is three times as long in a URL, and so are its overrides. hyper's own limit
/// is one of its buffer, which a fast client may overshoot.
const LARGEST_HEAD: usize = 32 * 1024;
/// Signature version 4's longest life of a link, in seconds.
const LONGEST_LINK: u32 = 7 * 24 * 60 * 60;
/// How far a link may be dated ahead: the clock of who signed it may be off by so much.
pub(crate) const AHEAD: SignedDuration = SignedDuration::from_mins(15);

/// Who answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// s3s, with the store as its backend.
    S3,
    /// [`crate::form`].
    Form,
    /// [`crate::iam`].
    Iam,
}

/// Refuses what may reach nobody, and says who answers the rest.
pub(crate) fn check(request: &Parts, now: Timestamp) -> S3Result<Way> {
    let headers = &request.headers;
    let query = Query::parse(request.uri.query().unwrap_or_default())?;
    refuse_other_host(request)?;
    if size(request) > LARGEST_HEAD {
        let message = "The request's headers are too large.";
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Err(fault::other(status, "RequestHeaderSectionTooLarge", message));
    }
    if has_type(request, b"multipart/form-data") {
        return check_form(request);
    }
    if request.uri.path() == "/" && has_type(request, b"application/x-www-form-urlencoded") {
        return Ok(Way::Iam);
    }
    query.refuse_duplicates()?;
    if query.has("AWSAccessKeyId") || query.has("Signature") {
        return Err(version_2());
    }
    match (headers.get(AUTHORIZATION), query.has("X-Amz-Signature")) {
        (Some(_), true) => {
            return Err(s3_error!(
                InvalidArgument,
                "A request is signed by its header or its query, not both."
            ));
        }
        (Some(value), false) => {
            let value = value.to_str().map_err(|_| malformed_header("isn't text"))?;
            check_header(value, headers)?;
        }
        (None, true) => check_link(&query, headers, now)?,
        // Unsigned: s3s has it refused by our access check.
        (None, false) => {}
    }
    Ok(Way::S3)
}

/// A target that names a host goes before the `Host` header (RFC 9112, 3.2.2), which is the one that is signed.
fn refuse_other_host(request: &Parts) -> S3Result<()> {
    let Some(named) = request.uri.authority() else { return Ok(()) };
    let is_named =
        |host: &HeaderValue| host.as_bytes().eq_ignore_ascii_case(named.as_str().as_bytes());
    if request.headers.get_all(HOST).iter().all(is_named) {
        Ok(())
    } else {
        Err(s3_error!(
            InvalidRequest,
            "The target of the request names another host than its Host header."
        ))
    }
}

/// Takes away a `Range` that names no range or several, so that the whole is answered, as on AWS: s3s would refuse it.
/// A signed one has to stay.
pub(crate) fn drop_odd_range(request: &mut Parts) {
    let Some(range) = request.headers.get(RANGE) else { return };
    if range.to_str().is_ok_and(|range| s3s::dto::Range::parse(range).is_ok()) {
        return;
    }
    let by_header = request.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let by_query = Query::parse(request.uri.query().unwrap_or_default()).ok();
    let by_query = by_query.as_ref().and_then(|query| query.get("X-Amz-SignedHeaders"));
    let is_signed = [by_header, by_query].into_iter().flatten().any(|list| {
        list.split(|between: char| !between.is_ascii_alphanumeric() && between != '-')
            .any(|name| name.eq_ignore_ascii_case("range"))
    });
    if !is_signed {
        request.headers.remove(RANGE);
    }
}

/// A form carries its signature in its fields, so that nothing else may speak for it.
fn check_form(request: &Parts) -> S3Result<Way> {
    if request.uri.query().is_some_and(|query| !query.is_empty())
        || request.headers.contains_key(AUTHORIZATION)
    {
        return Err(s3_error!(InvalidArgument, "A POST form is signed by its fields only."));
    }
    Ok(Way::Form)
}

fn size(request: &Parts) -> usize {
    let headers = request.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
    headers.sum::<usize>() + request.uri.path_and_query().map_or(0, |target| target.as_str().len())
}

/// Whether it is a POST with a body of this type.
fn has_type(request: &Parts, name: &[u8]) -> bool {
    let is_named = |value: &HeaderValue| {
        let start = value.as_bytes().get(..name.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(name))
    };
    request.method == Method::POST && request.headers.get_all(CONTENT_TYPE).iter().any(is_named)
}

/// Signed by header.
fn check_header(value: &str, headers: &HeaderMap) -> S3Result<()> {
    let Some(fields) = value.strip_prefix("AWS4-HMAC-SHA256") else { return Err(version_2()) };
    let field = |name: &str| {
        fields
            .split(',')
            .filter_map(|field| field.trim().split_once('='))
            .find_map(|(found, value)| (found == name).then_some(value))
            .ok_or_else(|| malformed_header("lacks a part"))
    };
    check_scope(field("Credential")?, malformed_header)?;
    check_signed_headers(field("SignedHeaders")?, headers)?;
    refuse_token(headers.contains_key("x-amz-security-token"))
}

/// Signed by query: a link.
fn check_link(query: &Query, headers: &HeaderMap, now: Timestamp) -> S3Result<()> {
    let field = |name: &str| query.get(name).ok_or_else(|| malformed_link("lacks a parameter"));
    if field("X-Amz-Algorithm")? != "AWS4-HMAC-SHA256" {
        return Err(version_2());
    }
    check_scope(field("X-Amz-Credential")?, malformed_link)?;
    check_signed_headers(field("X-Amz-SignedHeaders")?, headers)?;
    refuse_token(
        query.has("X-Amz-Security-Token") || headers.contains_key("x-amz-security-token"),
    )?;
    let signature = field("X-Amz-Signature")?;
    if signature.len() != 64
        || !signature.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    {
        return Err(s3_error!(SignatureDoesNotMatch));
    }
    let seconds = field("X-Amz-Expires")?;
    // `parse` alone would take a plus sign.
    let digits = seconds.bytes().all(|byte| byte.is_ascii_digit());
    match seconds.parse::<u32>().ok().filter(|_| digits) {
        Some(1..=LONGEST_LINK) => {}
        _ => return Err(malformed_link("has an X-Amz-Expires outside of 1 to 604800 seconds")),
    }
    let signed_at = parse_date(field("X-Amz-Date")?)
        .ok_or_else(|| malformed_link("has a malformed X-Amz-Date"))?;
    if signed_at.duration_since(now) > AHEAD {
        return Err(s3_error!(AccessDenied, "Request is not valid yet"));
    }
    Ok(())
}

/// The credential must be of this region and service: a signature for another one isn't for us.
fn check_scope(credential: &str, malformed: fn(&str) -> S3Error) -> S3Result<()> {
    let mut scope = credential.rsplit('/');
    match (scope.next(), scope.next(), scope.next()) {
        (Some("aws4_request"), Some("s3"), Some(REGION)) => Ok(()),
        (Some("aws4_request"), Some("s3"), Some(_)) => {
            Err(malformed("is for another region; this is us-east-1"))
        }
        _ => Err(malformed("has a malformed credential scope")),
    }
}

/// The host and every `x-amz-` header must be signed, else whoever passes a link on may change them.
pub(crate) fn check_signed_headers(list: &str, headers: &HeaderMap) -> S3Result<()> {
    let is_signed = |name: &str| list.split(';').any(|signed| signed == name);
    let must = |name: &str| name == "host" || name.starts_with("x-amz-");
    let unsigned = headers
        .keys()
        .map(hyper::header::HeaderName::as_str)
        .find(|name| must(name) && !is_signed(name));
    match unsigned {
        Some(name) => Err(s3_error!(AccessDenied, "The header {name} isn't signed.")),
        None if !is_signed("host") => Err(s3_error!(AccessDenied, "The header host isn't signed.")),
        None => Ok(()),
    }
}

fn refuse_token(has_token: bool) -> S3Result<()> {
    if has_token {
        Err(s3_error!(InvalidToken, "The store gives no session tokens."))
    } else {
        Ok(())
    }
}

/// `20260131T235959Z`
pub(crate) fn parse_date(text: &str) -> Option<Timestamp> {
    const FORMAT: &str = "%Y%m%dT%H%M%SZ";
    let time = DateTime::strptime(FORMAT, text).ok()?;
    // jiff also reads signs, spaces and the second 60.
    let is_exact = text.len() == 16 && time.strftime(FORMAT).to_string() == text;
    TimeZone::UTC.to_timestamp(time).ok().filter(|_| is_exact)
}

pub(crate) fn version_2() -> S3Error {
    s3_error!(InvalidRequest, "Only signature version 4 (AWS4-HMAC-SHA256) is supported.")
}

fn malformed_header(what: &str) -> S3Error {
    s3_error!(AuthorizationHeaderMalformed, "The Authorization header {what}.")
}

fn malformed_link(what: &str) -> S3Error {
    let message = format!("The signed link {what}.");
    fault::other(StatusCode::BAD_REQUEST, "AuthorizationQueryParametersError", message)
}

/// The parameters of a query, decoded as s3s decodes them.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(query: &str) -> S3Result<Self> {
        let decode = |text: &str| -> S3Result<String> {
            let spaced = text.replace('+', " ");
            let decoded = percent_decode_str(&spaced).decode_utf8();
            Ok(decoded.map_err(|_| s3_error!(InvalidURI, "The query isn't UTF-8."))?.into_owned())
        };
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        });
        Ok(Self(pairs.collect::<S3Result<_>>()?))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|(found, value)| (found == name).then_some(value.as_str()))
    }

    /// Of two values, one might be checked and the other used.
    pub(crate) fn refuse_duplicates(&self) -> S3Result<()> {
        let mut names: Vec<_> = self.0.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
        match twice {
            Some(pair) if pair[0].starts_with("x-amz-") => {
                Err(malformed_link("has a parameter twice"))
            }
            Some(_) => Err(s3_error!(InvalidArgument, "The query has a parameter twice.")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_is_read_as_aws_writes_it_or_not_at_all() {
        assert!(parse_date("20240229T235959Z").is_some());
        for wrong in [
            "20230229T000000Z",
            "20260131T235960Z",
            "20260131T240000Z",
            "-9990131T000000Z",
            "2026 131T000000Z",
            "20260131T000000",
            "20260131T000000z",
        ] {
            assert_eq!(parse_date(wrong), None, "{wrong}");
        }
    }
}
