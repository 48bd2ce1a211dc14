//! What a browser is told when its file is stored.

use std::fmt::Write as _;

use hyper::header::{CONTENT_TYPE, ETAG, HOST, HeaderName, HeaderValue, LOCATION};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::{Body, S3Result, s3_error};

use super::fields::Fields;
use crate::digest;

const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const IN_PATH: &AsciiSet = &IN_QUERY.remove(b'/');

/// How the form asks to be answered.
pub(super) enum Outcome {
    Redirect(String),
    Status(StatusCode),
}

/// The object that a form made.
pub(super) struct Stored {
    pub(super) bucket: String,
    pub(super) key: String,
    /// Without quotes.
    pub(super) etag: String,
    pub(super) checksum: digest::Stored,
}

impl Outcome {
    /// As S3: a redirect that can't be followed and an unknown status count for nothing.
    pub(super) fn of(fields: &Fields) -> Self {
        let target = fields.get("success_action_redirect").filter(|target| is_web(target));
        match (target, fields.get("success_action_status")) {
            (Some(target), _) => Self::Redirect(target.to_owned()),
            (None, Some("200")) => Self::Status(StatusCode::OK),
            (None, Some("201")) => Self::Status(StatusCode::CREATED),
            _ => Self::Status(StatusCode::NO_CONTENT),
        }
    }

    pub(super) fn answer(&self, request: &Parts, stored: &Stored) -> S3Result<Response<Body>> {
        let mut answer = Response::new(Body::empty());
        let location = match self {
            Self::Redirect(target) => {
                *answer.status_mut() = StatusCode::SEE_OTHER;
                stored.redirect(target)
            }
            Self::Status(status) => {
                *answer.status_mut() = *status;
                let host = request.headers.get(HOST).and_then(|host| host.to_str().ok());
                stored.location(host.unwrap_or_default())
            }
        };
        if answer.status() == StatusCode::CREATED {
            *answer.body_mut() = Body::from(stored.xml(&location));
        }
        let text = |text: &str| {
            HeaderValue::from_str(text).map_err(|error| s3_error!(error, InternalError))
        };
        let checksum = HeaderName::from_static(stored.checksum.algorithm.header());
        let checksum = (checksum, text(&stored.checksum.value)?);
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        headers.insert(ETAG, text(&format!("\"{}\"", stored.etag))?);
        headers.insert(LOCATION, text(&location)?);
        headers.extend([checksum]);
        if answer.status() != StatusCode::CREATED {
            answer.headers_mut().remove(CONTENT_TYPE);
        }
        Ok(answer)
    }
}

impl Stored {
    fn location(&self, host: &str) -> String {
        let path = |text| utf8_percent_encode(text, IN_PATH);
        format!("http://{host}/{}/{}", path(&self.bucket), path(&self.key))
    }

    fn redirect(&self, target: &str) -> String {
        let (page, place) =
            target.split_once('#').map_or((target, None), |(page, place)| (page, Some(place)));
        let encode = |text| utf8_percent_encode(text, IN_QUERY);
        let mut location = format!(
            "{page}{}bucket={}&key={}&etag=%22{}%22",
            if page.contains('?') { '&' } else { '?' },
            encode(&self.bucket),
            encode(&self.key),
            encode(&self.etag)
        );
        if let Some(place) = place {
            location.push('#');
            location.push_str(place);
        }
        location
    }

    fn xml(&self, location: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<PostResponse><Location>{}</Location><Bucket>{}</Bucket><Key>{}</Key><ETag>&quot;{}&quot;</ETag></PostResponse>",
            escape(location),
            escape(&self.bucket),
            escape(&self.key),
            escape(&self.etag)
        )
    }
}

/// A page that a browser can be sent to: never `javascript:` or `data:`.
fn is_web(target: &str) -> bool {
    // What follows a `#` isn't looked at when a URI is parsed.
    let fits = HeaderValue::from_str(target).is_ok();
    fits && target.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
    })
}

/// Text for XML; control characters as S3 writes them.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            control if control.is_control() => {
                // Writing to a string doesn't fail.
                let _ = write!(escaped, "&#x{:x};", u32::from(control));
            }
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_that_no_header_can_carry_counts_for_nothing() {
        let outcome =
            |target| Outcome::of(&[("success_action_redirect", target)].into_iter().collect());
        assert!(matches!(outcome("https://127.0.0.1/done?a=b#c"), Outcome::Redirect(_)));
        for wrong in
            ["https://127.0.0.1/#\u{1}", "https://127.0.0.1/#\r\na: b", "javascript:alert(1)"]
        {
            assert!(matches!(outcome(wrong), Outcome::Status(_)), "{wrong:?}");
        }
    }
}
