//! What a request asks for beyond what the store does: refused, not passed over.
//!
//! s3s takes a request with a parameter that it doesn't know for the operation without it: a rename would be an
//! overwrite, and a change of a bucket's settings would make or delete a bucket. A header that nobody reads would
//! leave an object without the lock or the encryption that its owner asked for.

use hyper::http::HeaderName;
use hyper::{HeaderMap, Method, Uri};
use s3s::{S3Result, s3_error};

use crate::front::Query;
use crate::s3::put;

/// The store has one owner. Its users have this account as well.
const OWNER: &str = "000000000000";

/// Refuses a request of that operation that asks for what the store doesn't do.
pub(crate) fn refuse(
    operation: &str,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> S3Result<()> {
    let Some(parameters) = parameters(operation) else {
        return Err(s3_error!(NotImplemented, "The store doesn't know {operation}."));
    };
    let query = Query::parse(uri.query().unwrap_or_default())?;
    for (name, value) in query.iter() {
        if name.to_ascii_lowercase().starts_with("x-amz-") {
            refuse_parameter(name, value)?;
        } else if name != "x-id" && !parameters.contains(&name) {
            return Err(s3_error!(
                NotImplemented,
                "The store's {operation} doesn't know the parameter {name}."
            ));
        }
    }
    for (name, value) in headers {
        refuse_header(name.as_str(), value.as_bytes())?;
    }
    put::refuse_unsupported(headers)?;
    let is_empty =
        |name: &&&str| headers.get_all(**name).iter().any(|v| v.as_bytes().trim_ascii().is_empty());
    if let Some(name) = CONDITIONS.iter().find(is_empty) {
        return Err(s3_error!(InvalidArgument, "The condition {name} says nothing."));
    }
    if method == Method::GET || method == Method::HEAD {
        return Ok(());
    }
    let unknown = CONDITIONS
        .iter()
        .find(|name| headers.contains_key(**name) && !conditions(operation).contains(*name));
    match unknown {
        Some(name) => Err(s3_error!(NotImplemented, "The store's {operation} has no {name}.")),
        None => Ok(()),
    }
}

/// The parameters that an operation has; `None` for one that the store doesn't know.
fn parameters(operation: &str) -> Option<&'static [&'static str]> {
    Some(match operation {
        "ListBuckets" => &["bucket-region", "continuation-token", "max-buckets", "prefix"],
        "CreateBucket" | "DeleteBucket" | "HeadBucket" | "PutObject" | "CopyObject" => &[],
        "GetBucketLocation" => &["location"],
        "GetBucketVersioning" => &["versioning"],
        "PutBucketLifecycleConfiguration"
        | "GetBucketLifecycleConfiguration"
        | "DeleteBucketLifecycle" => &["lifecycle"],
        "ListObjects" => &["delimiter", "encoding-type", "marker", "max-keys", "prefix"],
        "ListObjectsV2" => &[
            "continuation-token",
            "delimiter",
            "encoding-type",
            "fetch-owner",
            "list-type",
            "max-keys",
            "prefix",
            "start-after",
        ],
        "DeleteObjects" => &["delete"],
        "GetObject" | "HeadObject" => &[
            "partNumber",
            "response-cache-control",
            "response-content-disposition",
            "response-content-encoding",
            "response-content-language",
            "response-content-type",
            "response-expires",
            "versionId",
        ],
        "GetObjectTagging" => &["tagging", "versionId"],
        "DeleteObject" => &["versionId"],
        "CreateMultipartUpload" => &["uploads"],
        "UploadPart" | "UploadPartCopy" => &["partNumber", "uploadId"],
        "ListParts" => &["max-parts", "part-number-marker", "uploadId"],
        "CompleteMultipartUpload" | "AbortMultipartUpload" => &["uploadId"],
        "ListMultipartUploads" => &[
            "delimiter",
            "encoding-type",
            "key-marker",
            "max-uploads",
            "prefix",
            "upload-id-marker",
            "uploads",
        ],
        _ => return None,
    })
}

const CONDITIONS: [&str; 4] =
    ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"];

/// What an operation that changes something may ask to be true before.
fn conditions(operation: &str) -> &'static [&'static str] {
    match operation {
        "PutObject" | "CopyObject" | "CompleteMultipartUpload" => &["if-match", "if-none-match"],
        "DeleteObject" => &["if-match"],
        _ => &[],
    }
}

/// Signers may write headers into a link. AWS follows those, but for the checksum: what a signer that doesn't know
/// the body puts there is of no body.
fn refuse_parameter(name: &str, value: &str) -> S3Result<()> {
    const SIGNATURE: [&str; 7] = [
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-expires",
        "x-amz-security-token",
        "x-amz-signature",
        "x-amz-signedheaders",
    ];
    const NO_MATTER: [&str; 5] = [
        "x-amz-checksum-mode",
        "x-amz-content-sha256",
        "x-amz-request-payer",
        "x-amz-sdk-checksum-algorithm",
        "x-amz-user-agent",
    ];
    let name = name.to_ascii_lowercase();
    let is_checksum = name.starts_with("x-amz-checksum-");
    if SIGNATURE.contains(&name.as_str()) || NO_MATTER.contains(&name.as_str()) || is_checksum {
        return Ok(());
    }
    if name.ends_with("expected-bucket-owner") {
        return refuse_header(&name, value.as_bytes());
    }
    let (Ok(header), Ok(value)) = (HeaderName::try_from(&name), value.parse()) else {
        return Err(s3_error!(InvalidArgument, "The parameter {name} can't be a header."));
    };
    let is_default = matches!(name.as_str(), "x-amz-acl" | "x-amz-storage-class")
        && put::refuse_unsupported(&HeaderMap::from_iter([(header, value)])).is_ok();
    if is_default {
        return Ok(());
    }
    Err(s3_error!(NotImplemented, "The store takes {name} as a header only, or not at all."))
}

/// Headers that are read, or that change nothing that is done.
#[rustfmt::skip]
const KNOWN: [&str; 26] = [
    "acl", "api-version", "checksum-algorithm", "checksum-crc32", "checksum-crc32c", "checksum-crc64nvme",
    "checksum-mode", "checksum-sha1", "checksum-sha256", "checksum-type", "content-sha256", "copy-source",
    "copy-source-range", "date", "decoded-content-length", "invocation-id", "metadata-directive", "mp-object-size",
    "optional-object-attributes", "request-payer", "sdk-checksum-algorithm", "security-token", "storage-class",
    "tagging-directive", "te", "user-agent",
];

/// Refuses an `x-amz-` header that nobody here reads, unless it asks for nothing.
fn refuse_header(name: &str, value: &[u8]) -> S3Result<()> {
    let Some(short) = name.strip_prefix("x-amz-") else { return Ok(()) };
    let passes = match short {
        "trailer" => return refuse_trailers(value),
        "expected-bucket-owner" | "source-expected-bucket-owner" => {
            if value != OWNER.as_bytes() {
                return Err(s3_error!(AccessDenied, "The owner of the bucket is {OWNER}."));
            }
            true
        }
        "bucket-object-lock-enabled" | "bypass-governance-retention" => {
            value.eq_ignore_ascii_case(b"false")
        }
        "object-ownership" => value == b"BucketOwnerEnforced",
        _ => {
            KNOWN.contains(&short)
                || short.starts_with("meta-")
                || short.starts_with("copy-source-if-")
        }
    };
    if passes {
        return Ok(());
    }
    Err(s3_error!(NotImplemented, "The store doesn't know {name} with this value."))
}

/// A checksum that comes after the body is compared, or refused.
fn refuse_trailers(announced: &[u8]) -> S3Result<()> {
    let announced = String::from_utf8_lossy(announced).to_ascii_lowercase();
    for name in announced.split(',').map(str::trim) {
        if name.starts_with("x-amz-checksum-") {
            refuse_header(name, b"")?;
        }
    }
    Ok(())
}
