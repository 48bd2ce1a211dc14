//! Asking the storage about a link, as whoever got it would.

use aws_smithy_types::body::SdkBody;
use serde::Serialize;

use super::http::{self, Answer};
use super::{Bucket, Keys, LinkFacts};
use crate::Result;

/// What the storage said to a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// The link opens.
    Works,
    /// Refused: its time is over, or it isn't allowed.
    Refused,
    /// Refused: the object isn't there.
    Gone,
    /// Refused: the key that signed it is switched off or deleted.
    KeyOff,
    /// The storage takes the link, but doesn't listen at its address now.
    NoAddress,
    /// Something else answered, or nothing did: not known.
    NotKnown,
}

/// S3's own codes for «this link doesn't open». Anything else proves nothing: a proxy's 403, a 503, a portal;
/// nor does `SignatureDoesNotMatch`, which says that we asked with another link than the one given away.
const REFUSALS: &[&str] = &[
    "AccessDenied",
    "AllAccessDisabled",
    "AuthorizationQueryParametersError",
    "ExpiredToken",
    "InvalidToken",
    "TokenRefreshRequired",
];
const GONE: &[&str] = &["NoSuchKey", "NoSuchBucket", "NoSuchVersion"];
const KEY_OFF: &[&str] = &["InvalidAccessKeyId", "InvalidClientTokenId"];

impl Seen {
    /// Whether the storage surely refuses the link.
    pub fn is_refusal(self) -> bool {
        matches!(self, Self::Refused | Self::Gone | Self::KeyOff)
    }

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Refused => "refused",
            Self::Gone => "gone",
            Self::KeyOff => "key_off",
            Self::NoAddress => "no_address",
            Self::NotKnown => "not_known",
        }
    }

    /// The value of a stored name.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let all = [Self::Works, Self::Refused, Self::Gone, Self::KeyOff, Self::NoAddress];
        all.into_iter().chain([Self::NotKnown]).find(|seen| seen.as_str() == name)
    }

    pub(super) fn judge(answer: &Answer, own_refusals: &[&str]) -> Self {
        let code = answer.code.as_deref();
        match (answer.status, code) {
            (200 | 206, None) if answer.etag => Self::Works,
            (400 | 403 | 404, Some(code)) if GONE.contains(&code) => Self::Gone,
            (400 | 403 | 404, Some(code)) if KEY_OFF.contains(&code) => Self::KeyOff,
            (400 | 403 | 404, Some(code))
                if REFUSALS.contains(&code) || own_refusals.contains(&code) =>
            {
                Self::Refused
            }
            _ => Self::NotKnown,
        }
    }
}

impl Bucket {
    /// Opens a link as its recipient would, and reads no more than the beginning. `size` is the object's.
    pub async fn ask(&self, facts: &LinkFacts, keys: &Keys, size: u64) -> Result<Seen> {
        let url = facts.presign(keys)?;
        Ok(match self.fetch("GET", url.expose(), SdkBody::empty(), size > 0).await {
            Ok(answer) => {
                let seen = Seen::judge(&answer, self.profile.provider.refusals);
                let is_lost = seen == Seen::Works && !self.profile.answers_at(&facts.host);
                let seen = if is_lost { Seen::NoAddress } else { seen };
                let (status, code) = (answer.status, answer.code);
                tracing::debug!(
                    host = facts.host,
                    status,
                    code,
                    seen = seen.as_str(),
                    "asked with a link"
                );
                seen
            }
            Err(cause) => {
                tracing::debug!(cause, "no answer about a link");
                Seen::NotKnown
            }
        })
    }

    /// A request by a URL that needs no other sign-in.
    pub(super) async fn fetch(
        &self,
        method: &str,
        url: &str,
        body: SdkBody,
        first_byte_only: bool,
    ) -> Result<Answer, String> {
        // The message of a malformed request would carry the link.
        let malformed = || "the link can't be asked for".to_owned();
        let mut target = url.parse::<::http::Uri>().map_err(|_| malformed())?.into_parts();
        let mut request = ::http::Request::builder().method(method);
        if self.profile.is_local() {
            // The local store is asked here, whatever address its link names: that may be a stranger's by now.
            let here = self.profile.endpoint.authority.parse().map_err(|_| malformed())?;
            let named = target.authority.replace(here).ok_or_else(malformed)?;
            request = request.header("host", named.as_str());
        }
        request = request.uri(::http::Uri::from_parts(target).map_err(|_| malformed())?);
        if first_byte_only {
            // Range isn't signed; it spares the server the rest of a large file.
            request = request.header("range", "bytes=0-0");
        }
        let request = request.body(body).map_err(|_| malformed())?;
        http::ask(&self.plain, &self.clock, request).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_s3_refusals_count() {
        let seen = |status, code: Option<&str>| {
            let answer =
                Answer { status, etag: true, code: code.map(str::to_owned), body: Vec::new() };
            Seen::judge(&answer, &["InvalidRequest"])
        };
        assert_eq!(seen(200, None), Seen::Works);
        assert_eq!(seen(206, None), Seen::Works);
        assert_eq!(seen(403, Some("AccessDenied")), Seen::Refused);
        assert_eq!(seen(400, Some("InvalidRequest")), Seen::Refused);
        assert_eq!(seen(404, Some("NoSuchKey")), Seen::Gone);
        assert_eq!(seen(403, Some("InvalidAccessKeyId")), Seen::KeyOff);
        for (status, code) in [
            (403, None),
            (404, None),
            (302, None),
            (416, Some("InvalidRange")),
            (429, Some("SlowDown")),
            (500, Some("AccessDenied")),
            (503, Some("SlowDown")),
            (200, Some("AccessDenied")),
            (403, Some("RequestTimeTooSkewed")),
            (403, Some("SignatureDoesNotMatch")),
        ] {
            assert_eq!(seen(status, code), Seen::NotKnown, "{status} {code:?}");
        }
        let portal = Answer { status: 200, etag: false, code: None, body: b"<html>".to_vec() };
        assert_eq!(Seen::judge(&portal, &[]), Seen::NotKnown);
    }
}
