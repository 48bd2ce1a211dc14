//! Uploads by POST form, signed by version 4: how a browser sends a file without any script.
//!
//! The signer wrote a policy, and whoever has the form may send what the policy allows until it
//! ends. s3s would hold the whole file in memory and takes policies that restrict nothing, so it
//! never sees a form.

mod answer;
mod fields;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod policy;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Response};
use jiff::{SignedDuration, Timestamp};
use percent_encoding::percent_decode_str;
use s3s::dto::TimestampFormat;
use s3s::{Body, S3Error, S3Result, s3_error};

use self::fields::{Fields, Form, SharedBody};
use self::policy::Policy;
use crate::blobs::Size;
use crate::event::EventKind;
use crate::index::{Headers, Service};
use crate::lines::Stranger;
use crate::s3::put::{self, LARGEST_PUT, NewPut, Proof};
use crate::signature::Scope;
use crate::store::Store;
use crate::{access, front, index};

/// S3's limit for a key, in bytes.
const LONGEST_KEY: usize = 1024;
/// As long as any signature of version 4 lives, whatever the policy says.
const LONGEST_POLICY: SignedDuration = SignedDuration::from_hours(7 * 24);
/// What is still read of a refused form. A browser shows the answer only when all it sent was taken.
const LINGER_BYTES: u64 = 16 * 1024 * 1024;
const LINGER: Duration = Duration::from_secs(5);

/// Answers a form that was sent to `/BUCKET`; `stranger` stands for its sender until the signature is seen.
pub(crate) async fn answer(
    store: &Arc<Store>,
    request: &Parts,
    body: Body,
    stranger: Stranger,
) -> S3Result<Response<Body>> {
    let body = SharedBody::new(body);
    let answer = upload(store, request, &body, stranger).await;
    if answer.is_err() {
        linger(&body).await;
    }
    answer
}

async fn upload(
    store: &Arc<Store>,
    request: &Parts,
    body: &SharedBody,
    stranger: Stranger,
) -> S3Result<Response<Body>> {
    let bucket = bucket_of(request)?;
    let form = Form::read(boundary_of(&request.headers)?, body).await?;
    let policy = authorize(store, &form.fields, &bucket, Timestamp::now())?;
    drop(stranger);
    let key = key_of(&form)?;
    let sizes = policy.check(&form.fields, &bucket, &key, Timestamp::now())?;
    let headers = named_headers(&form.fields)?;
    put::refuse_unsupported(&headers)?;
    let proof = Proof::of(&headers, None)?;
    let kept_headers = kept_headers(&form.fields)?;
    store
        .read({
            let bucket = bucket.clone();
            move |view| index::bucket_exists(view, &bucket)
        })
        .await?;
    let (least, most) = sizes.unwrap_or(0..=LARGEST_PUT).into_inner();
    let size = Size::Within(least..=most.min(LARGEST_PUT));
    let outcome = answer::Outcome::of(&form.fields);
    let (file, rest) = form.into_file();
    let received = store.blobs.receive(file, size, proof.algorithm()).await?;
    rest.skip().await?;
    let (kind, headers) = (EventKind::Post, kept_headers);
    let new = NewPut { bucket: bucket.clone(), key: key.clone(), headers, kind };
    let (etag, checksum) = put::commit(store, received, proof, new, None).await?;
    outcome.answer(request, &answer::Stored { bucket, key, etag, checksum })
}

/// Refuses a form that isn't signed by a key that may write to the bucket.
fn authorize(store: &Store, fields: &Fields, bucket: &str, now: Timestamp) -> S3Result<Policy> {
    if fields.get("awsaccesskeyid").is_some() || fields.get("signature").is_some() {
        return Err(front::version_2());
    }
    let signed = ["policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"];
    if signed.iter().all(|name| fields.get(name).is_none()) {
        return Err(access::unsigned());
    }
    let [policy, algorithm, credential, date, signature] =
        signed.map(|name| fields.get(name).ok_or_else(|| missing(name)));
    if algorithm? != "AWS4-HMAC-SHA256" {
        return Err(front::version_2());
    }
    let scope = Scope::parse(credential?).ok_or_else(|| {
        s3_error!(MalformedPOSTRequest, "The field x-amz-credential is malformed.")
    })?;
    if !scope.is_for(Service::S3.name()) {
        return Err(s3_error!(
            MalformedPOSTRequest,
            "The field x-amz-credential is for another region or service; this is us-east-1 and s3."
        ));
    }
    let signed_at = date
        .map(|date| front::parse_date(date).filter(|_| date.starts_with(scope.day)))?
        .ok_or_else(|| s3_error!(MalformedPOSTRequest, "The field x-amz-date is malformed."))?;
    let key = store.key(scope.access_key).ok_or_else(access::unknown_key)?;
    let policy = policy?;
    if !scope.verify(&key.credentials.secret_key, policy.as_bytes(), signature?) {
        return Err(s3_error!(SignatureDoesNotMatch));
    }
    key.note_use(Service::S3);
    if signed_at.duration_since(now) > front::AHEAD {
        return Err(s3_error!(AccessDenied, "Request is not valid yet"));
    }
    if now.duration_since(signed_at) > LONGEST_POLICY {
        return Err(s3_error!(AccessDenied, "Request has expired"));
    }
    access::allow(&key, Some(bucket))?;
    Policy::parse(policy)
}

fn missing(name: &str) -> S3Error {
    s3_error!(
        InvalidArgument,
        "Bucket POST must contain a field named '{name}'. If it is specified, please check the order of the fields."
    )
}

fn bucket_of(request: &Parts) -> S3Result<String> {
    let path = request.uri.path();
    let name = path.strip_prefix('/').unwrap_or(path);
    let name = name.strip_suffix('/').unwrap_or(name);
    let name = percent_decode_str(name)
        .decode_utf8()
        .map_err(|_| s3_error!(InvalidURI, "The path isn't UTF-8."))?;
    if name.is_empty() || name.contains('/') {
        return Err(s3_error!(MethodNotAllowed, "A POST form goes to a bucket's path."));
    }
    Ok(name.into_owned())
}

fn boundary_of(headers: &HeaderMap) -> S3Result<String> {
    let malformed =
        || s3_error!(MalformedPOSTRequest, "The Content-Type of the form names no boundary.");
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(content_type), None) = (types.next(), types.next()) else { return Err(malformed()) };
    let content_type = content_type.to_str().map_err(|_| malformed())?;
    multer::parse_boundary(content_type).map_err(|_| malformed())
}

/// The key to write. It names a row, never a file.
fn key_of(form: &Form) -> S3Result<String> {
    let key = form.fields.get("key").ok_or_else(|| missing("key"))?;
    let file_name = form.file_name.rsplit(['/', '\\']).next().unwrap_or_default();
    let key = key.replace("${filename}", file_name);
    match key.len() {
        0 => Err(s3_error!(InvalidArgument, "User key must have a length greater than 0.")),
        1..=LONGEST_KEY => Ok(key),
        _ => Err(s3_error!(KeyTooLongError, "A key takes at most 1,024 bytes.")),
    }
}

/// The fields that stand for headers of a put, and decide whether and how it is done.
fn named_headers(fields: &Fields) -> S3Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields.iter() {
        let header = match name {
            "acl" => "x-amz-acl",
            "tagging" => "x-amz-tagging",
            "content-md5" => name,
            "x-amz-security-token" => {
                return Err(s3_error!(InvalidToken, "The store gives no session tokens."));
            }
            "redirect" | "if-match" | "if-none-match" => {
                return Err(s3_error!(NotImplemented, "The store doesn't know the field {name}."));
            }
            name if name.starts_with("x-amz-") && !name.starts_with("x-amz-meta-") => name,
            _ => continue,
        };
        let unfit = || s3_error!(InvalidArgument, "The field {name} can't be a header.");
        let header = HeaderName::from_bytes(header.as_bytes()).map_err(|_| unfit())?;
        headers.insert(header, HeaderValue::from_str(value).map_err(|_| unfit())?);
    }
    Ok(headers)
}

/// What is answered with the object.
fn kept_headers(fields: &Fields) -> S3Result<Headers> {
    let text = |name: &str| fields.get(name).map(|value| fit(name, value)).transpose();
    let metadata: HashMap<_, _> = fields
        .iter()
        .filter_map(|(name, value)| Some((name, name.strip_prefix("x-amz-meta-")?, value)))
        .map(|(field, name, value)| Ok((name.to_owned(), fit(field, value)?)))
        .collect::<S3Result<_>>()?;
    let expires = text("expires")?
        .map(|date| s3s::dto::Timestamp::parse(TimestampFormat::HttpDate, &date))
        .transpose()
        .map_err(|_| s3_error!(InvalidArgument, "The field Expires is no HTTP date."))?;
    Ok(Headers {
        content_type: text("content-type")?,
        content_disposition: text("content-disposition")?,
        content_encoding: text("content-encoding")?.as_deref().and_then(put::without_chunks),
        content_language: text("content-language")?,
        cache_control: text("cache-control")?,
        expires,
        metadata: put::checked(Some(metadata).filter(|metadata| !metadata.is_empty()))?,
    })
}

/// A value that can be a header of an answer as it is: ASCII, as a put's are.
fn fit(name: &str, value: &str) -> S3Result<String> {
    let fits = value.is_ascii()
        && HeaderName::from_bytes(name.as_bytes()).is_ok()
        && HeaderValue::from_str(value).is_ok();
    if fits {
        Ok(value.to_owned())
    } else {
        Err(s3_error!(InvalidArgument, "The field {name} can't be a header."))
    }
}

/// Takes what a refused client still sends, within limits.
async fn linger(body: &SharedBody) {
    let mut left = LINGER_BYTES;
    let rest = std::future::poll_fn(|context| {
        loop {
            match std::task::ready!(body.poll_next(context)) {
                Some(Ok(chunk)) if left > 0 => left = left.saturating_sub(chunk.len() as u64),
                _ => return std::task::Poll::Ready(()),
            }
        }
    });
    if tokio::time::timeout(LINGER, rest).await.is_err() {
        tracing::debug!("a refused form was still being sent when the answer went out");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_no_header_can_carry_are_refused() {
        let kept = |name, value| kept_headers(&[(name, value)].into_iter().collect());
        assert!(kept("x-amz-meta-a", "b").is_ok());
        for (name, value) in [
            ("x-amz-meta-a", "b\r\nc: d"),
            ("x-amz-meta-a b", "c"),
            ("content-type", "text/\u{fc}"),
            ("expires", "tomorrow"),
        ] {
            assert!(kept(name, value).is_err(), "{name}: {value}");
        }
    }
}
