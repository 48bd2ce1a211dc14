//! Who asks, and for what: the signature over head and body, and the parameters.

use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use futures_util::StreamExt;
use hyper::header::AUTHORIZATION;
use hyper::http::request::Parts;
use hyper::{HeaderMap, StatusCode};
use jiff::Timestamp;
use s3s::{Body, S3Error, S3Result, s3_error};
use sha2::{Digest, Sha256};

use crate::Key;
use crate::fault::other;
use crate::front::{self, Query};
use crate::index::Service;
use crate::signature::Scope;
use crate::store::Store;

const LARGEST_BODY: usize = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(50);
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The parameters of a request that an active root key signed.
pub(super) async fn authenticated(
    store: &Arc<Store>,
    parts: &Parts,
    body: Body,
    now: Timestamp,
) -> S3Result<Query> {
    let signed = Signed::of(&parts.headers)?;
    if parts.uri.query().is_some_and(|query| !query.is_empty()) {
        return Err(incomplete("The parameters belong in the body."));
    }
    let body = tokio::time::timeout(PATIENCE, read(body))
        .await
        .map_err(|_| s3_error!(RequestTimeout, "The request took too long."))??;
    let key = store.key(signed.scope.access_key).ok_or_else(unknown_key)?;
    let canonical = signed.canonical(parts, &body)?;
    let hash = HEXLOWER.encode(&Sha256::digest(canonical));
    let text = format!("{ALGORITHM}\n{}\n{}\n{hash}", signed.date, signed.scope.text());
    let secret = &key.credentials.secret_key;
    if !signed.scope.verify(secret, text.as_bytes(), signed.signature) {
        return Err(wrong(
            "The request signature we calculated does not match the signature you provided.",
        ));
    }
    if signed.at.duration_since(now).abs() > front::AHEAD {
        return Err(wrong("The request is dated more than 15 minutes ago or ahead."));
    }
    if key.role != Some(Key::Root) {
        return Err(denied("Only the store's root key may do that."));
    }
    key.note_use(Service::Iam);
    let body = std::str::from_utf8(&body).map_err(|_| invalid("The body isn't UTF-8."))?;
    let parameters = Query::parse(body).map_err(|_| invalid("The body isn't UTF-8."))?;
    parameters.refuse_duplicates().map_err(|_| invalid("A parameter is given twice."))?;
    Ok(parameters)
}

/// What a request says about its signature.
struct Signed<'a> {
    scope: Scope<'a>,
    headers: &'a str,
    signature: &'a str,
    date: &'a str,
    at: Timestamp,
}

impl<'a> Signed<'a> {
    fn of(headers: &'a HeaderMap) -> S3Result<Self> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let value = values.next().ok_or_else(|| {
            let message = "Request is missing Authentication Token";
            other(StatusCode::FORBIDDEN, "MissingAuthenticationToken", message)
        })?;
        let fields = value.to_str().ok().and_then(|value| value.strip_prefix(ALGORITHM));
        let (Some(fields), None) = (fields, values.next()) else {
            return Err(incomplete("There must be one Authorization header, of AWS4-HMAC-SHA256."));
        };
        let field = |name: &str| {
            let mut values = fields
                .split(',')
                .filter_map(|field| field.trim().split_once('='))
                .filter_map(|(found, value)| (found == name).then_some(value));
            match (values.next(), values.next()) {
                (Some(value), None) => Ok(value),
                _ => Err(incomplete("The Authorization header lacks a part.")),
            }
        };
        let scope = Scope::parse(field("Credential")?)
            .ok_or_else(|| incomplete("The Credential is malformed."))?;
        if !scope.is_for(Service::Iam.name()) {
            return Err(wrong("Credential should be scoped to us-east-1 and the service 'iam'."));
        }
        if headers.contains_key("x-amz-security-token") {
            return Err(unknown_key());
        }
        let signed = field("SignedHeaders")?;
        if !signed.split(';').any(|name| name == "x-amz-date") {
            return Err(incomplete("The header X-Amz-Date must be signed."));
        }
        front::check_signed_headers(signed, headers)
            .map_err(|_| incomplete("Host and every X-Amz- header must be signed."))?;
        let date = headers.get("x-amz-date").and_then(|date| date.to_str().ok());
        let dated = date.and_then(|date| Some((date, front::parse_date(date)?)));
        let (date, at) = dated
            .filter(|(date, _)| date.starts_with(scope.day))
            .ok_or_else(|| incomplete("X-Amz-Date is missing or not of the Credential's day."))?;
        Ok(Self { scope, headers: signed, signature: field("Signature")?, date, at })
    }

    /// The canonical request, as AWS's guide to signing has it.
    fn canonical(&self, parts: &Parts, body: &[u8]) -> S3Result<String> {
        let mut headers = String::new();
        for name in self.headers.split(';') {
            let mut values = Vec::new();
            for value in parts.headers.get_all(name) {
                let value =
                    value.to_str().map_err(|_| incomplete("A signed header isn't text."))?;
                values.push(value.split_ascii_whitespace().collect::<Vec<_>>().join(" "));
            }
            headers = format!("{headers}{name}:{}\n", values.join(","));
        }
        let hash = HEXLOWER.encode(&Sha256::digest(body));
        Ok(format!("{}\n/\n\n{headers}\n{}\n{hash}", parts.method, self.headers))
    }
}

async fn read(mut body: Body) -> S3Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|_| incomplete("The body broke off."))?;
        if bytes.len() + chunk.len() > LARGEST_BODY {
            let message = "A request takes at most 64 KiB.";
            return Err(other(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// One code for a key that was never there and one that is switched off.
fn unknown_key() -> S3Error {
    let message = "The security token included in the request is invalid.";
    other(StatusCode::FORBIDDEN, "InvalidClientTokenId", message)
}

fn wrong(message: &'static str) -> S3Error {
    other(StatusCode::FORBIDDEN, "SignatureDoesNotMatch", message)
}

fn incomplete(message: &'static str) -> S3Error {
    other(StatusCode::BAD_REQUEST, "IncompleteSignature", message)
}

/// A parameter isn't what it must be.
pub(super) fn invalid(message: &'static str) -> S3Error {
    other(StatusCode::BAD_REQUEST, "ValidationError", message)
}

pub(super) fn denied(message: &'static str) -> S3Error {
    other(StatusCode::FORBIDDEN, "AccessDenied", message)
}
