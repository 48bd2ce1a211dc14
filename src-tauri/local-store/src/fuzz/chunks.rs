//! Bodies in aws-chunked framing: what the splitter makes of them, and then s3s.

use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::HEXLOWER;
use hmac::{Hmac, Mac};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Request};
use jiff::Timestamp;
use s3s::auth::SimpleAuth;
use s3s::dto::{PutObjectInput, PutObjectOutput};
use s3s::service::S3ServiceBuilder;
use s3s::{Body, S3, S3Request, S3Response, S3Result, s3_error};
use sha2::{Digest, Sha256};

use super::{block_on, body, first_line, read_all};
use crate::REGION;
use crate::chunks::tame;

/// `u` or `s` (unsigned, signed) and the size of the pieces that arrive, a line end, and a body in
/// aws-chunked framing.
pub fn chunks(data: &[u8]) {
    let Some((line, framed)) = first_line(data) else { return };
    let (signed, cut) = match (line.strip_prefix('s'), line.strip_prefix('u')) {
        (Some(cut), _) => (true, cut),
        (_, Some(cut)) => (false, cut),
        _ => return,
    };
    let Ok(cut @ 1..) = cut.parse::<usize>() else { return };
    let tamed_body = |cut| {
        let kind = if signed { "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" } else { UNSIGNED };
        let headers = [("x-amz-content-sha256", kind)]
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        tame(&HeaderMap::from_iter(headers), body(framed, cut))
    };
    let tamed = block_on(read_all(tamed_body(cut))).ok();
    let whole = block_on(read_all(tamed_body(framed.len()))).ok();
    assert_eq!(tamed.is_some(), whole.is_some(), "a cut changes no verdict");
    if signed {
        if let Some(tamed) = tamed {
            assert!(tamed == framed, "signed chunks pass as they are");
            assert!(largest_for_s3s(framed) <= 16 * 1024 * 1024, "s3s would hold a large chunk");
        }
        return;
    }

    let read = Chunked::read(framed);
    let (after, whole) =
        (tamed.as_deref().and_then(Chunked::read), whole.as_deref().and_then(Chunked::read));
    let content = |read: &Option<Chunked>| {
        read.as_ref().map(|read| (read.data.clone(), read.trailers.clone()))
    };
    assert_eq!(content(&after), content(&read), "split chunks carry the same");
    assert_eq!(content(&whole), content(&read), "split chunks carry the same");
    let Some(read) = read else { return };
    let largest = after.map_or(0, |after| after.largest);
    assert!(largest <= cut, "a chunk of {largest} bytes from pieces of {cut}");
    if let Some(put) = put(&read.data, tamed_body(cut)) {
        assert_eq!(put, read.data, "s3s gives the data");
    }
    if read.is_plain {
        let plain = put(&read.data, body(framed, cut));
        assert_eq!(put(&read.data, tamed_body(cut)), plain, "s3s takes the same");
    }
}

const UNSIGNED: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

/// A whole aws-chunked body.
struct Chunked {
    data: Vec<u8>,
    largest: usize,
    trailers: Vec<u8>,
    /// Nothing in it that s3s reads in its own way.
    is_plain: bool,
}

impl Chunked {
    /// `None` for what isn't whole and well formed.
    fn read(mut body: &[u8]) -> Option<Self> {
        let mut chunked =
            Self { data: Vec::new(), largest: 0, trailers: Vec::new(), is_plain: true };
        loop {
            let end = body.windows(2).position(|two| two == b"\r\n").filter(|end| *end <= 126)?;
            let (line, rest) = (&body[..end], &body[end + 2..]);
            let digits = line.split(|byte| *byte == b';').next()?;
            let is_hex =
                digits.iter().all(u8::is_ascii_hexdigit) && (1..=8).contains(&digits.len());
            let digits = std::str::from_utf8(digits).ok().filter(|_| is_hex)?;
            let size = u64::from_str_radix(digits, 16).ok()?;
            chunked.is_plain &= line.len() == digits.len();
            if size == 0 {
                chunked.trailers = rest.to_vec();
                return Some(chunked);
            }
            let size = usize::try_from(size).ok().filter(|size| *size <= rest.len())?;
            body = rest[size..].strip_prefix(b"\r\n")?;
            chunked.data.extend_from_slice(&rest[..size]);
            chunked.largest = chunked.largest.max(size);
        }
    }
}

/// The largest size that s3s would read: of a longer number it takes the first 8 digits.
fn largest_for_s3s(mut body: &[u8]) -> usize {
    let mut largest = 0;
    while let Some(end) = body.iter().position(|byte| *byte == b'\n') {
        let (line, rest) = body.split_at(end + 1);
        let end = line.iter().position(|byte| b";\r".contains(byte)).unwrap_or_default();
        let (number, after) = line.split_at(end);
        let is_signed = after.len() == 83 && after.starts_with(b";chunk-signature=");
        if !after.ends_with(b"\r\n") || !(is_signed || after.len() == 2) {
            break;
        }
        let digits = number.iter().take_while(|byte| byte.is_ascii_hexdigit()).take(8).count();
        let digits = std::str::from_utf8(&number[..digits]).unwrap_or_default();
        let Ok(size) = usize::from_str_radix(digits, 16) else { break };
        largest = largest.max(size);
        let Some(rest) = rest.get(size..).and_then(|rest| rest.strip_prefix(b"\r\n")) else {
            break;
        };
        body = rest;
    }
    largest
}

/// What s3s gives its backend of a put with this body; `None` when it refuses it.
fn put(data: &[u8], body: Body) -> Option<Vec<u8>> {
    let taken = Arc::new(Mutex::new(None));
    let mut builder = S3ServiceBuilder::new(Taker(Arc::clone(&taken)));
    builder.set_auth(SimpleAuth::from_single("KEY", "SECRET"));
    let request = signed_put(&data.len().to_string()).body(body).expect("a request");
    block_on(builder.build().call(request)).expect("an answer");
    taken.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Takes in memory what is put.
struct Taker(Arc<Mutex<Option<Vec<u8>>>>);

#[async_trait::async_trait]
impl S3 for Taker {
    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let body = request.input.body.ok_or_else(|| s3_error!(IncompleteBody))?;
        let data = read_all(body).await.map_err(|_| s3_error!(IncompleteBody))?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(data);
        Ok(S3Response::new(PutObjectOutput::default()))
    }
}

/// The head of a put whose chunks aren't signed.
fn signed_put(length: &str) -> hyper::http::request::Builder {
    let date = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let headers = [
        ("host", "127.0.0.1"),
        ("x-amz-content-sha256", UNSIGNED),
        ("x-amz-date", &date),
        ("x-amz-decoded-content-length", length),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
    ];
    let names = headers.map(|(name, _)| name).join(";");
    let lines = headers.map(|(name, value)| format!("{name}:{value}\n")).concat();
    let canonical = format!("PUT\n/bucket/key\n\n{lines}\n{names}\n{UNSIGNED}");
    let day = &date[..8];
    let scope = format!("{day}/{REGION}/s3/aws4_request");
    let hash = HEXLOWER.encode(&Sha256::digest(canonical));
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hash}");
    let mac = |key: &[u8], text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let parts = [day, REGION, "s3", "aws4_request", &text];
    let signature = parts.iter().fold(b"AWS4SECRET".to_vec(), |key, part| mac(&key, part));
    let signature = HEXLOWER.encode(&signature);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=KEY/{scope}, SignedHeaders={names}, Signature={signature}"
    );
    let builder = Request::put("/bucket/key").header("authorization", authorization);
    headers.into_iter().fold(builder, |builder, (name, value)| builder.header(name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s3s_takes_a_well_formed_body() {
        let framed = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
        assert_eq!(put(b"hello", body(framed, 3)).as_deref(), Some(&b"hello"[..]));
    }
}
