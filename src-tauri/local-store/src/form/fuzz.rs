//! What fuzzing calls of the forms; see [`crate::fuzz`].

#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a broken promise is told by a panic"
)]

use std::ops::RangeInclusive;

use data_encoding::BASE64;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Request};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::answer::{Outcome, Stored};
use super::fields::{Fields, Form, SharedBody};
use super::policy::Policy;
use super::{LONGEST_KEY, boundary_of, kept_headers, key_of, named_headers};
use crate::digest::{Algorithm, Stored as Checksum};
use crate::fuzz::{block_on, body, first_line};

/// A number and a `Content-Type`, a line end, and a form that arrives in pieces of so many bytes.
pub fn form(data: &[u8]) {
    let Some((line, sent)) = first_line(data) else { return };
    let Some((cut, content_type)) = line.split_once(' ') else { return };
    let (Ok(cut @ 1..), Ok(value)) = (cut.parse::<usize>(), HeaderValue::from_str(content_type))
    else {
        return;
    };
    let Ok(boundary) = boundary_of(&HeaderMap::from_iter([(CONTENT_TYPE, value)])) else { return };
    let read = Read::of(&boundary, sent, cut);
    assert_eq!(read, Read::of(&boundary, sent, sent.len()), "a cut changes nothing");
    if let Some(simple) = Read::simple(content_type, sent) {
        assert_eq!(read, Some(simple), "what a plain form says");
    }
}

/// What a form says.
#[derive(Debug, PartialEq)]
struct Read {
    fields: Vec<(String, String)>,
    file_name: String,
    file: Vec<u8>,
}

impl Read {
    /// By the store's reader; `None` when it refuses the form.
    fn of(boundary: &str, sent: &[u8], cut: usize) -> Option<Self> {
        block_on(async {
            let sent = SharedBody::new(body(sent, cut));
            let form = Form::read(boundary.to_owned(), &sent).await.ok()?;
            promises(&form);
            let fields =
                form.fields.iter().map(|(name, value)| (name.into(), value.into())).collect();
            let file_name = form.file_name.clone();
            let (file, rest) = form.into_file();
            let file = crate::fuzz::read_all(file).await.ok()?;
            rest.skip().await.ok()?;
            Some(Self { fields, file_name, file })
        })
    }

    /// By hand, and only for forms that leave nothing to interpret.
    fn simple(content_type: &str, sent: &[u8]) -> Option<Self> {
        let boundary = content_type.strip_prefix("multipart/form-data; boundary=")?;
        if boundary.is_empty() || !boundary.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        let end = format!("\r\n--{boundary}");
        let mut rest = sent.strip_prefix(&end.as_bytes()[2..])?;
        let mut read = Self { fields: Vec::new(), file_name: String::new(), file: Vec::new() };
        let mut has_file = false;
        while let Some(part) = rest.strip_prefix(b"\r\n") {
            let (head, after) = cut_at(part, b"\r\n\r\n")?;
            let (value, after) = cut_at(after, end.as_bytes())?;
            let head = std::str::from_utf8(head).ok()?;
            let head = head.strip_prefix("Content-Disposition: form-data; name=\"")?;
            let (name, head) = head.split_once('"')?;
            let file_name = match head.strip_prefix("; filename=\"") {
                Some(file_name) => file_name.strip_suffix('"')?,
                None if head.is_empty() => "",
                None => return None,
            };
            let plain = |text: &str| {
                text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
            };
            if name.is_empty() || !plain(name) || !plain(file_name) {
                return None;
            }
            let name = name.to_ascii_lowercase();
            if has_file {
                // Counts for nothing.
            } else if name == "file" {
                (read.file_name, read.file, has_file) =
                    (file_name.to_owned(), value.to_vec(), true);
            } else if read.fields.iter().any(|(found, _)| *found == name) {
                return None;
            } else {
                read.fields.push((name, String::from_utf8(value.to_vec()).ok()?));
            }
            rest = after;
        }
        let small = sent.len() <= 16 * 1024;
        (has_file && small && rest.starts_with(b"--\r\n") && rest.len() == 4).then_some(read)
    }
}

fn cut_at<'a>(bytes: &'a [u8], end: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = bytes.windows(end.len()).position(|window| window == end)?;
    Some((&bytes[..at], &bytes[at + end.len()..]))
}

/// What holds for every form that was read.
fn promises(form: &Form) {
    let fields: Vec<_> = form.fields.iter().collect();
    for (at, (name, _)) in fields.iter().enumerate() {
        assert!(!name.bytes().any(|byte| byte.is_ascii_uppercase()), "{name}");
        assert!(fields[..at].iter().all(|(other, _)| other != name), "{name} twice");
    }
    let counted = fields.iter().filter(|(name, _)| *name != "policy");
    let bytes: usize = counted.map(|(name, value)| name.len() + value.len()).sum();
    assert!(bytes <= 20 * 1024, "{bytes} bytes of fields");
    let key = key_of(form).ok();
    if let Some(key) = &key {
        assert!((1..=LONGEST_KEY).contains(&key.len()), "{key}");
    }
    let _put_or_refused = named_headers(&form.fields);
    if let Ok(kept) = kept_headers(&form.fields) {
        let texts = [
            kept.content_type,
            kept.content_disposition,
            kept.content_language,
            kept.cache_control,
        ];
        let metadata = kept.metadata.unwrap_or_default().into_values();
        for text in texts.into_iter().flatten().chain(metadata) {
            let printable = |byte: u8| matches!(byte, b' '..=b'~' | b'\t');
            assert!(text.bytes().all(printable), "{text:?} can't be a header");
        }
    }
    let outcome = Outcome::of(&form.fields);
    if let Outcome::Redirect(target) = &outcome {
        let target = target.to_ascii_lowercase();
        assert!(target.starts_with("http://") || target.starts_with("https://"), "{target}");
    }
    let request = Request::post("/bucket").header("host", "127.0.0.1").body(()).expect("a request");
    let checksum = Checksum {
        algorithm: Algorithm::Crc64Nvme,
        value: "AAAAAAAAAAA=".into(),
        composite: false,
    };
    let stored = Stored {
        bucket: "bucket".into(),
        key: key.unwrap_or_default(),
        etag: "0".repeat(32),
        checksum,
    };
    let answer = outcome.answer(&request.into_parts().0, &stored);
    assert!(answer.is_ok(), "what is stored is answered so");
}

/// A policy's JSON, a bucket and a key, then names and values of fields, with a zero byte between.
pub fn policy(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut texts = text.split('\0');
    let (Some(json), Some(bucket), Some(key)) = (texts.next(), texts.next(), texts.next()) else {
        return;
    };
    let mut fields = Fields::default();
    while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
        if fields.add(name.to_ascii_lowercase(), value.to_owned()).is_err() {
            return;
        }
    }
    // 2026-01-31T12:00:00Z
    let now = Timestamp::from_second(1_769_860_800).expect("in range");
    let _read_or_refused = Policy::parse(json);
    if let Ok(policy) = Policy::parse(&BASE64.encode(json.as_bytes())) {
        let says: Value = serde_json::from_str(json).expect("JSON");
        assert!(!says["conditions"].as_array().expect("a list").is_empty(), "restricts nothing");
        let ends = says["expiration"].as_str().expect("text");
        assert!(is_expiration(ends), "{ends}");
        if let Ok(sizes) = policy.check(&fields, bucket, key, now) {
            assert!(ends.parse::<Timestamp>().expect("a time") > now, "{ends}");
            allows(&says, &fields, bucket, key, sizes.as_ref());
        }
    }
    exact(&fields, bucket, key, now);
}

/// `2026-01-31T23:59:59Z`, with a fraction or without.
fn is_expiration(text: &str) -> bool {
    let Some((time, fraction)) = text.strip_suffix('Z').and_then(|text| text.split_at_checked(19))
    else {
        return false;
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_time = time.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        10 => byte == b'T',
        13 | 16 => byte == b':',
        _ => byte.is_ascii_digit(),
    });
    is_time
        && !time.ends_with("60")
        && (fraction.is_empty()
            || fraction
                .strip_prefix('.')
                .is_some_and(|fraction| !fraction.is_empty() && digits(fraction)))
}

/// What holds for fields that a policy let through, read from its JSON.
fn allows(
    policy: &Value,
    fields: &Fields,
    bucket: &str,
    key: &str,
    sizes: Option<&RangeInclusive<u64>>,
) {
    let value_of = |name: &str| match name {
        "bucket" => bucket,
        "key" => key,
        _ => fields.get(name).unwrap_or_default(),
    };
    let mut named = Vec::new();
    for condition in policy["conditions"].as_array().expect("a list") {
        if let Some((name, value)) = condition.as_object().and_then(|pairs| pairs.iter().next()) {
            let name = name.to_ascii_lowercase();
            assert_eq!(value_of(&name), value.as_str().expect("text"), "a field is as it must be");
            named.push(name);
            continue;
        }
        let kind = condition[0].as_str().expect("a kind").to_ascii_lowercase();
        if kind == "content-length-range" {
            let number = |value: &Value| {
                value.as_u64().or_else(|| value.as_str()?.parse().ok()).expect("a size")
            };
            let (sizes, least, most) =
                (sizes.expect("sizes"), number(&condition[1]), number(&condition[2]));
            assert!(
                sizes.is_empty() || (*sizes.start() >= least && *sizes.end() <= most),
                "{sizes:?}"
            );
            continue;
        }
        let name = condition[1].as_str().and_then(|name| name.strip_prefix('$')).expect("a field");
        let (name, wanted) = (name.to_ascii_lowercase(), condition[2].as_str().expect("text"));
        let value = value_of(&name);
        match kind.as_str() {
            "eq" => assert_eq!(value, wanted, "a field is as it must be"),
            "starts-with" if name == "content-type" && !wanted.contains(',') => {
                assert!(value.split(',').all(|one| one.trim().starts_with(wanted)), "{value}");
            }
            "starts-with" => assert!(value.starts_with(wanted), "{value}"),
            _ => panic!("unknown condition {kind}"),
        }
        named.push(name);
    }
    for name in fields.iter().map(|(name, _)| name).chain(["bucket"]) {
        let exempt = matches!(name, "policy" | "x-amz-signature") || name.starts_with("x-ignore-");
        assert!(exempt || named.iter().any(|other| other == name), "no condition names {name}");
    }
}

/// A policy that names each field with its value allows these fields, and no others.
fn exact(fields: &Fields, bucket: &str, key: &str, now: Timestamp) {
    let mut wanted = vec![("bucket", bucket)];
    for (name, value) in fields.iter().filter(|(name, _)| *name != "bucket") {
        wanted.push((name, if name == "key" { key } else { value }));
    }
    let allowed = |wanted: &[(&str, &str)], end: &str| {
        let conditions: Vec<_> = wanted
            .iter()
            .map(|(name, value)| {
                if name.is_empty() {
                    json!({ "": value })
                } else {
                    json!(["eq", format!("${name}"), value])
                }
            })
            .collect();
        let policy = json!({ "expiration": end, "conditions": conditions }).to_string();
        let policy = Policy::parse(&BASE64.encode(policy.as_bytes()));
        policy.and_then(|policy| policy.check(fields, bucket, key, now)).is_ok()
    };
    let (later, over) = ("2026-01-31T12:00:01Z", "2026-01-31T12:00:00Z");
    assert!(allowed(&wanted, later), "names all");
    assert!(!allowed(&wanted, over), "has ended");
    for at in 0..wanted.len() {
        let mut other = wanted.clone();
        let longer = format!("{}x", other[at].1);
        other[at].1 = &longer;
        assert!(!allowed(&other, later), "{} is another", other[at].0);
        let (name, _) = other.remove(at);
        let exempt = matches!(name, "policy" | "x-amz-signature") || name.starts_with("x-ignore-");
        assert!(exempt || !allowed(&other, later), "{name} isn't named");
    }
}
