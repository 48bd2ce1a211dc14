//! A link in the hands of someone who has only curl.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use percent_encoding::percent_decode_str;

use crate::rig::scratch;

/// What a storage says when it refuses a link. Anything else isn't a refusal.
const REFUSALS: &[&str] = &[
    "AccessDenied",
    "AuthorizationQueryParametersError",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "NoSuchBucket",
    "NoSuchKey",
    "SignatureDoesNotMatch",
];

/// A pre-signed link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link(pub String);

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// curl's own exit code; 0 when the answer is whole.
    pub exit: i32,
    /// The HTTP status; 0 when there was no answer.
    pub status: u16,
    /// The header lines.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Link {
    /// Fetches it.
    pub fn get(&self) -> Answer {
        self.curl(&[])
    }

    /// Fetches it with more words for curl.
    pub fn curl(&self, more: &[&str]) -> Answer {
        self.curl_by(&mut Command::new("curl"), more)
    }

    /// Fetches it with a curl that is started in some way of its own.
    pub fn curl_by(&self, curl: &mut Command, more: &[&str]) -> Answer {
        let folder = scratch();
        let (head, body) = (folder.path().join("head"), folder.path().join("body"));
        // The link goes by standard input: on a command line each user of the computer could read it.
        let mut child = curl
            .args(["--silent", "--globoff", "--path-as-is", "--max-time", "60", "--config", "-"])
            .arg("--dump-header")
            .arg(&head)
            .arg("--output")
            .arg(&body)
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let url = self.0.replace('\\', "\\\\").replace('"', "\\\"");
        child.stdin.take().unwrap().write_all(format!("url = \"{url}\"\n").as_bytes()).unwrap();
        let exit = child.wait().unwrap().code().unwrap_or(-1);

        let head = std::fs::read(head).unwrap_or_default();
        let head = String::from_utf8_lossy(&head);
        // After `100 Continue` comes the real one.
        let last = head
            .split("\r\n\r\n")
            .filter(|block| block.starts_with("HTTP/"))
            .last()
            .unwrap_or_default();
        let mut lines = last.lines();
        let status =
            lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|word| word.parse().ok());
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect();
        Answer {
            exit,
            status: status.unwrap_or(0),
            headers,
            body: std::fs::read(body).unwrap_or_default(),
        }
    }

    /// One parameter of its query, decoded.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let (_, query) = self.0.split_once('?')?;
        let value = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")))?;
        Some(percent_decode_str(value).decode_utf8().unwrap().into_owned())
    }

    /// The signature alone.
    pub fn signature(&self) -> String {
        self.parameter("X-Amz-Signature").unwrap_or_else(|| panic!("no signature in {self:?}"))
    }

    /// The moment at which it was signed.
    pub fn signed_at(&self) -> jiff::Timestamp {
        let stamp = self.parameter("X-Amz-Date").unwrap();
        jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", stamp)
            .unwrap()
            .in_tz("UTC")
            .unwrap()
            .timestamp()
    }

    /// The moment at which it ends.
    pub fn ends_at(&self) -> jiff::Timestamp {
        let seconds: i64 = self.parameter("X-Amz-Expires").unwrap().parse().unwrap();
        self.signed_at() + jiff::SignedDuration::from_secs(seconds)
    }

    /// Waits until a second after its end, by this computer's clock, which is the servers' clock too.
    pub fn wait_for_end(&self) {
        let left = jiff::Timestamp::now()
            .duration_until(self.ends_at() + jiff::SignedDuration::from_secs(1));
        std::thread::sleep(Duration::try_from(left).unwrap_or_default());
    }

    /// The path, still encoded: `/BUCKET/KEY`.
    pub fn path(&self) -> &str {
        let after_scheme = self.0.split_once("://").unwrap().1;
        let path = &after_scheme[after_scheme.find('/').unwrap()..];
        path.split('?').next().unwrap()
    }

    /// Bucket and object key, decoded.
    pub fn object(&self) -> (String, String) {
        let path = percent_decode_str(self.path()).decode_utf8().unwrap().into_owned();
        let (bucket, key) = path[1..].split_once('/').unwrap();
        (bucket.to_owned(), key.to_owned())
    }

    /// The same link for another path.
    #[must_use]
    pub fn with_path(&self, path: &str) -> Self {
        Self(self.0.replacen(self.path(), path, 1))
    }

    /// The same link with another value for a parameter that it has.
    #[must_use]
    pub fn with_parameter(&self, name: &str, value: &str) -> Self {
        let (base, query) = self.0.split_once('?').unwrap();
        let pairs: Vec<_> = query
            .split('&')
            .map(|pair| match pair.split_once('=') {
                Some((key, _)) if key == name => format!("{key}={value}"),
                _ => pair.to_owned(),
            })
            .collect();
        Self(format!("{base}?{}", pairs.join("&")))
    }

    /// The same link with one character of its signature changed.
    #[must_use]
    pub fn with_forged_signature(&self) -> Self {
        let mut signature = self.signature();
        let last = if signature.ends_with('0') { '1' } else { '0' };
        signature.pop();
        signature.push(last);
        self.with_parameter("X-Amz-Signature", &signature)
    }
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str())
    }

    /// The file's name in `Content-Disposition`, as a browser reads it (RFC 6266).
    pub fn name(&self) -> Option<String> {
        let disposition = self.header("content-disposition")?;
        if let Some((_, value)) = disposition.split_once("filename*=UTF-8''") {
            let value = value.split(';').next()?;
            return Some(percent_decode_str(value).decode_utf8().ok()?.into_owned());
        }
        let value = disposition.split_once("filename=")?.1;
        Some(value.split(';').next()?.trim_matches('"').to_owned())
    }

    /// The code in an S3 error's XML.
    pub fn code(&self) -> Option<String> {
        let body = String::from_utf8_lossy(&self.body);
        let code = body.split_once("<Code>")?.1.split_once("</Code>")?.0;
        Some(code.to_owned())
    }

    /// It is the whole file, offered as a download under this name.
    pub fn assert_gives(&self, content: &[u8], name: &str) {
        assert_eq!((self.exit, self.status), (0, 200), "{self:?}");
        assert!(
            self.body == content,
            "{} other bytes came, {} were shared",
            self.body.len(),
            content.len()
        );
        let disposition = self
            .header("content-disposition")
            .unwrap_or_else(|| panic!("no disposition: {self:?}"));
        assert!(disposition.starts_with("attachment"), "{disposition}");
        assert_eq!(self.name().as_deref(), Some(name), "{disposition}");
    }

    /// The storage said no, in S3's words.
    pub fn assert_refused(&self) {
        let body = String::from_utf8_lossy(&self.body[..self.body.len().min(400)]).into_owned();
        assert!([400, 403, 404].contains(&self.status), "not refused: {} {body}", self.status);
        let code = self.code();
        assert!(
            code.as_deref().is_some_and(|code| REFUSALS.contains(&code)),
            "no refusal: {} {body}",
            self.status
        );
    }

    /// The storage said no; to some methods it does so without a body, or in words of its own.
    pub fn assert_refused_somehow(&self) {
        assert!((400..500).contains(&self.status), "not refused: {self:?}");
    }
}
