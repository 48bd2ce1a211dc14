//! The one place where a link is made.
//!
//! A link is a function of [`LinkFacts`] and the secret: whoever keeps the facts can make the same
//! link again, so the link itself is never kept.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SessionTokenMode, SignableBody, SignableRequest,
    SignatureLocation, SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::Keys;
use crate::keychain::Sensitive;
use crate::profile::Profile;
use crate::{Code, Error, Result};

/// What `SigV4` leaves as it is; all else is percent-encoded.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same for a path, whose slashes stay.
const PATH: &AsciiSet = &UNRESERVED.remove(b'/');

/// Every input of a link but the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkFacts {
    /// `http` or `https`.
    pub scheme: String,
    /// The `Host` that is signed.
    pub host: String,
    /// The path, percent-encoded.
    pub path: String,
    /// The region that is signed for.
    pub region: String,
    /// The access key that signs.
    pub access_key: String,
    /// `response-content-disposition`.
    pub disposition: Option<String>,
    /// `response-content-type`.
    pub content_type: Option<String>,
    /// When the link begins, to the second, by the server's clock.
    pub signed_at: Timestamp,
    /// How long it lives.
    pub seconds: u32,
}

impl LinkFacts {
    /// A link to an object of a profile, with no overrides yet.
    pub fn new(
        profile: &Profile,
        key: &str,
        access_key: &str,
        signed_at: Timestamp,
        seconds: u32,
    ) -> Self {
        let encoded = utf8_percent_encode(key, PATH);
        let endpoint = profile.link_endpoint.as_ref().unwrap_or(&profile.endpoint);
        let (host, path) = if profile.path_style {
            (endpoint.authority.clone(), format!("/{}/{encoded}", profile.bucket))
        } else {
            (format!("{}.{}", profile.bucket, endpoint.authority), format!("/{encoded}"))
        };
        Self {
            scheme: endpoint.scheme.to_owned(),
            host,
            path,
            region: profile.region.clone(),
            access_key: access_key.to_owned(),
            disposition: None,
            content_type: None,
            signed_at: Timestamp::from_second(signed_at.as_second()).unwrap_or(signed_at),
            seconds,
        }
    }

    /// Whether it opens an object, by its place.
    pub(crate) fn leads_to(&self, bucket: &str, key: &str) -> bool {
        self.keys(bucket).iter().any(|one| one == key)
    }

    /// The key of the object that it opens: by the path one where the bucket is in the host, another where it isn't.
    pub(crate) fn keys(&self, bucket: &str) -> Vec<String> {
        let path = percent_decode_str(self.path.trim_start_matches('/')).decode_utf8();
        let Ok(path) = path else { return Vec::new() };
        let below = path.strip_prefix(bucket).and_then(|rest| rest.strip_prefix('/'));
        below.into_iter().chain([&*path]).map(str::to_owned).collect()
    }

    /// When the storage starts to refuse it.
    pub fn ends_at(&self) -> Timestamp {
        self.signed_at + jiff::SignedDuration::from_secs(i64::from(self.seconds))
    }

    /// The pre-signed URL. `keys` must be the ones that [`Self::access_key`] names.
    pub fn presign(&self, keys: &Keys) -> Result<Sensitive<String>> {
        self.presign_method("GET", keys)
    }

    /// The same for another method: the probe tries those too.
    pub(crate) fn presign_method(&self, method: &str, keys: &Keys) -> Result<Sensitive<String>> {
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
        settings.signature_location = SignatureLocation::QueryParams;
        settings.session_token_mode = SessionTokenMode::Include;
        settings.expires_in = Some(Duration::from_secs(self.seconds.into()));

        let identity = keys.credentials().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("s3")
            .time(SystemTime::try_from(self.signed_at).map_err(cannot_sign)?)
            .settings(settings)
            .build()
            .map_err(cannot_sign)?
            .into();

        let mut url = format!("{}://{}{}", self.scheme, self.host, self.path);
        let mut joint = '?';
        let mut push = |url: &mut String, name: &str, value: &str| {
            url.push(joint);
            url.push_str(name);
            url.push('=');
            url.extend(utf8_percent_encode(value, UNRESERVED));
            joint = '&';
        };
        for (name, value) in [
            ("response-content-disposition", &self.disposition),
            ("response-content-type", &self.content_type),
        ] {
            if let Some(value) = value {
                push(&mut url, name, value);
            }
        }
        let headers = [("host", self.host.as_str())].into_iter();
        let request =
            SignableRequest::new(method, url.as_str(), headers, SignableBody::UnsignedPayload)
                .map_err(cannot_sign)?;
        let (instructions, _) = sign(request, &params).map_err(cannot_sign)?.into_parts();
        for (name, value) in instructions.params() {
            push(&mut url, name, value);
        }
        Ok(Sensitive::new(url))
    }
}

impl Keys {
    pub(crate) fn credentials(&self) -> Credentials {
        Credentials::new(
            &self.access_key,
            self.secret.expose(),
            self.token.as_ref().map(|token| token.expose().clone()),
            None,
            "lapse",
        )
    }
}

fn cannot_sign(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(
        Code::Storage,
        "the link can't be signed",
        "Check the profile with `lapse profile check`.",
    )
    .caused_by(error)
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::config::{BehaviorVersion, Region};
    use aws_sdk_s3::presigning::PresigningConfig;
    use proptest::prelude::*;

    use super::*;
    use crate::profile::{Draft, SignIn};

    /// What the SDK's own presigner makes of the same facts. HEAD, since it names itself in a GET (`x-id`).
    fn by_the_sdk(profile: &Profile, key: &str, facts: &LinkFacts, keys: &Keys) -> String {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(keys.credentials())
            .region(Region::new(profile.region.clone()))
            .endpoint_url(profile.endpoint.to_string())
            .force_path_style(profile.path_style)
            .build();
        let presigning = PresigningConfig::builder()
            .start_time(SystemTime::try_from(facts.signed_at).unwrap())
            .expires_in(Duration::from_secs(facts.seconds.into()))
            .build()
            .unwrap();
        let request = aws_sdk_s3::Client::from_conf(config)
            .head_object()
            .bucket(&profile.bucket)
            .key(key)
            .set_response_content_disposition(facts.disposition.clone())
            .set_response_content_type(facts.content_type.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(request.presigned(presigning)).unwrap().uri().to_owned()
    }

    /// Everything before the question mark, and the parameters in an order of their own.
    fn parts(url: &str) -> (String, Vec<String>) {
        let (front, query) = url.split_once('?').unwrap();
        let mut parameters: Vec<_> = query.split('&').map(str::to_owned).collect();
        parameters.sort();
        (front.to_owned(), parameters)
    }

    proptest! {
        #[test]
        fn a_link_is_the_one_that_the_sdk_would_make(
            key in "[^\\p{C}\\s/][^\\p{C}]{0,60}",
            disposition in proptest::option::of("[ -~]{1,60}"),
            content_type in proptest::option::of("[a-z]{1,9}/[a-z+.-]{1,9}"),
            seconds in 1_u32..=604_800,
            signed_at in 1_500_000_000_i64..2_500_000_000,
            path_style: bool,
            temporary: bool,
        ) {
            let draft = Draft {
                name: "work".into(),
                endpoint: Some("https://s3.example.com".into()),
                region: Some("eu-central-1".into()),
                provider: "other".into(),
                bucket: "files".into(),
                path_style: Some(path_style),
                sign_in: Some(SignIn::AwsDefault),
                ..Draft::default()
            };
            let profile = draft.build().unwrap();
            let mut keys = Keys::lasting("AKIDEXAMPLE", Sensitive::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into()));
            keys.token = temporary.then(|| Sensitive::new("to/ken+with=signs".into()));
            let at = Timestamp::from_second(signed_at).unwrap();
            let mut facts = LinkFacts::new(&profile, &key, "AKIDEXAMPLE", at, seconds);
            (facts.disposition, facts.content_type) = (disposition, content_type);

            let ours = facts.presign_method("HEAD", &keys).unwrap();
            prop_assert_eq!(parts(ours.expose()), parts(&by_the_sdk(&profile, &key, &facts, &keys)));
        }
    }
}
