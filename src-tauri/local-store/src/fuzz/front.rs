//! The head of a request, and the date of a signature.

use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request};
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::REGION;
use crate::front::{self, Way};

/// The text of an `X-Amz-Date`.
pub fn date(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match front::parse_date(text) {
        Some(time) => {
            assert!(is_date(text), "{text:?}");
            assert_eq!(
                time.strftime("%Y%m%dT%H%M%SZ").to_string().as_str(),
                text,
                "the date that it says"
            );
        }
        // jiff's last day isn't whole.
        None => assert!(
            !is_date(text) || text.starts_with("99991231") || text.starts_with("99991230"),
            "{text:?}"
        ),
    }
}

/// Whether it is a second that a calendar has, written as AWS does.
fn is_date(text: &str) -> bool {
    let shape = |(at, byte): (usize, u8)| match at {
        8 => byte == b'T',
        15 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    if text.len() != 16 || !text.bytes().enumerate().all(shape) {
        return false;
    }
    let number = |range: std::ops::Range<usize>| text[range].parse::<u32>().unwrap_or_default();
    let year = number(0..4);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match number(4..6) {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&number(6..8))
        && number(9..11) < 24
        && number(11..13) < 60
        && number(13..15) < 60
}

/// `METHOD TARGET`, then a line for each header. The method `LINK` stands for a GET with a link, whose
/// life, date, region and signed headers are the target, with commas between.
pub fn front(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some(request) = request(text) else { return };
    // 2026-01-31T12:00:00Z
    let now = Timestamp::from_second(1_769_860_800).expect("in range");
    let Ok(way) = front::check(&request, now) else { return };
    let is_signed_by_header = request.headers.contains_key("authorization");
    let query = request.uri.query().unwrap_or_default();
    let types: Vec<_> = request.headers.get_all("content-type").iter().collect();
    let has_type = |name: &str| {
        types.iter().any(|value| value.as_bytes().to_ascii_lowercase().starts_with(name.as_bytes()))
    };
    match way {
        Way::Form => {
            assert!(request.method == Method::POST && has_type("multipart/form-data"));
            assert!(query.is_empty() && !is_signed_by_header, "a form is signed by its fields");
        }
        Way::Iam => {
            assert!(request.method == Method::POST && request.uri.path() == "/");
            assert!(has_type("application/x-www-form-urlencoded"));
        }
        Way::S3 => {
            assert!(
                request.method != Method::POST || !has_type("multipart/form-data"),
                "s3s gets no form"
            );
            let query = pairs(query);
            let names: Vec<_> = query.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
            for (at, name) in names.iter().enumerate() {
                assert!(!names[..at].contains(name), "{name:?} twice");
            }
            for name in ["AWSAccessKeyId", "Signature"] {
                assert!(query.iter().all(|(found, _)| found != name.as_bytes()), "version 2");
            }
            if query.iter().any(|(name, _)| name == b"X-Amz-Signature") {
                assert!(!is_signed_by_header, "signed twice");
                link(&query, &request.headers, now);
            }
            if let Some(value) = request.headers.get("authorization") {
                let value = value.to_str().expect("text");
                assert!(value.starts_with("AWS4-HMAC-SHA256"), "{value}");
                let mut parts = value.split(',').map(str::trim_start);
                let list = parts.find_map(|part| part.strip_prefix("SignedHeaders="));
                headers_are_signed(list.expect("names what is signed"), &request.headers);
            }
        }
    }
}

/// A link that was let through.
fn link(query: &[(Vec<u8>, Vec<u8>)], headers: &HeaderMap, now: Timestamp) {
    let field = |name: &str| {
        let value =
            query.iter().find_map(|(found, value)| (found == name.as_bytes()).then_some(value));
        std::str::from_utf8(value.unwrap_or_else(|| panic!("{name} is missing"))).expect("text")
    };
    assert_eq!(field("X-Amz-Algorithm"), "AWS4-HMAC-SHA256", "version 4");
    let scope = format!("/{REGION}/s3/aws4_request");
    assert!(field("X-Amz-Credential").ends_with(&scope), "for this store");
    let life: u32 = field("X-Amz-Expires").parse().expect("a number");
    assert!((1..=604_800).contains(&life), "{life} seconds");
    let date = field("X-Amz-Date");
    assert!(is_date(date), "{date}");
    let signed_at = front::parse_date(date).expect("a date");
    assert!(signed_at <= now + SignedDuration::from_mins(15), "not yet valid");
    assert!(query.iter().all(|(name, _)| name != b"X-Amz-Security-Token"), "a token");
    headers_are_signed(field("X-Amz-SignedHeaders"), headers);
}

fn headers_are_signed(list: &str, headers: &HeaderMap) {
    let list: Vec<_> = list.trim().split(';').collect();
    assert!(list.contains(&"host"), "{list:?}");
    assert!(!headers.contains_key("x-amz-security-token"), "a token");
    for name in headers.keys().map(hyper::header::HeaderName::as_str) {
        assert!(!name.starts_with("x-amz-") || list.contains(&name), "{name} isn't signed");
    }
}

fn request(text: &str) -> Option<Parts> {
    let mut lines = text.lines();
    let (method, target) = lines.next()?.split_once(' ')?;
    let mut builder = match method {
        "LINK" => Request::get(link_of(target)?),
        _ => Request::builder().method(method).uri(target),
    };
    for line in lines {
        let (name, value) = line.split_once(':')?;
        builder = builder.header(name, value.trim());
    }
    Some(builder.body(()).ok()?.into_parts().0)
}

fn link_of(facts: &str) -> Option<String> {
    let facts: Vec<_> = facts
        .split(',')
        .map(|fact| utf8_percent_encode(fact, NON_ALPHANUMERIC).to_string())
        .collect();
    let [life, date, region, signed] = facts.as_slice() else { return None };
    let signature = "0".repeat(64);
    Some(format!(
        "/bucket/key?X-Amz-Algorithm=AWS4-HMAC-SHA256\
         &X-Amz-Credential=KEY%2F20260131%2F{region}%2Fs3%2Faws4_request&X-Amz-Date={date}\
         &X-Amz-Expires={life}&X-Amz-SignedHeaders={signed}&X-Amz-Signature={signature}"
    ))
}

/// The parameters of a query, read byte by byte.
fn pairs(query: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let decode = |text: &[u8]| {
        let (mut decoded, mut at) = (Vec::new(), 0);
        let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        while let Some(byte) = text.get(at) {
            match (byte, digit(at + 1), digit(at + 2)) {
                (b'%', Some(high), Some(low)) => {
                    decoded.push(u8::try_from(high * 16 + low).expect("two digits"));
                    at += 2;
                }
                (b'+', ..) => decoded.push(b' '),
                _ => decoded.push(*byte),
            }
            at += 1;
        }
        decoded
    };
    let pairs = query.as_bytes().split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let end = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            (decode(&pair[..end]), decode(pair.get(end + 1..).unwrap_or_default()))
        })
        .collect()
}
