//! The IAM query API: AWS's own, and what Ceph, `SeaweedFS`, Wasabi and the local store speak of it.

use std::time::SystemTime;

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use aws_smithy_types::body::SdkBody;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::authority::{Authority, KnownKey, LastUse, again, no_answer};
use crate::clock::ServerClock;
use crate::history::role_of_sessions;
use crate::keychain::Sensitive;
use crate::profile::Profile;
use crate::storage::{Keys, http};
use crate::{Code, Error, Result};

const VERSION: &str = "2010-05-08";
/// As AWS's own «Revoke active sessions» names it.
const SESSIONS_POLICY: &str = "AWSRevokeOlderSessions";
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The keys of one user, by the sign-in of someone who may change them.
#[derive(Debug, Clone)]
pub(crate) struct Iam {
    connector: SharedHttpConnector,
    clock: ServerClock,
    endpoint: String,
    region: String,
    service: &'static str,
    /// Where it is told who signs in, and the region for that.
    sts: (String, String),
    keys: Keys,
    /// The user; `None` for the one that signs in.
    user: Option<String>,
}

impl Iam {
    /// Prepares to ask; nothing is sent yet.
    pub(crate) fn open(
        profile: &Profile,
        keys: Keys,
        user: Option<String>,
        clock: ServerClock,
    ) -> Result<Self> {
        let (endpoint, region) = profile.iam();
        Ok(Self {
            connector: http::Network::of(profile)?.plain(),
            clock,
            endpoint,
            region,
            service: "iam",
            sts: profile.sts(),
            keys,
            user,
        })
    }

    /// The keys of another user, by the same sign-in.
    pub(crate) fn of(&self, user: &str) -> Self {
        Self { user: Some(user.to_owned()), ..self.clone() }
    }

    /// Makes the user.
    pub(crate) async fn create_user(&self) -> Result<()> {
        self.ask_of_user::<Ignored>("CreateUser", &[], false).await.map(drop)
    }

    /// Gives the user a policy of its own.
    pub(crate) async fn put_policy(&self, name: &str, document: &str) -> Result<()> {
        let parameters = [("PolicyName", name), ("PolicyDocument", document)];
        self.ask_of_user::<Ignored>("PutUserPolicy", &parameters, true).await.map(drop)
    }

    /// Deletes the user with its keys and policies.
    pub(crate) async fn delete_user(&self) -> Result<()> {
        let keys = match self.keys().await {
            Err(error) if error.code == Code::NoSuchKey => return Ok(()),
            keys => keys?,
        };
        for key in keys {
            self.delete(&key.access_key).await?;
        }
        for policy in ["read", "rotate"] {
            match self
                .ask_of_user::<Ignored>("DeleteUserPolicy", &[("PolicyName", policy)], true)
                .await
            {
                Err(error) if matches!(error.code, Code::NoSuchKey | Code::NoIam) => {}
                deleted => {
                    deleted?;
                }
            }
        }
        self.ask_of_user::<Ignored>("DeleteUser", &[], true).await.map(drop)
    }

    /// `retry` says whether it may be asked again, though it may have been done and no answer came.
    async fn ask<T: DeserializeOwned>(
        &self,
        action: &str,
        parameters: &[(&str, &str)],
        retry: bool,
    ) -> Result<T> {
        let ask = || self.ask_once(action, VERSION, parameters);
        let body = if retry { again(ask).await } else { ask().await }?;
        self.read(action, &body)
    }

    /// An action that is about the user.
    async fn ask_of_user<T: DeserializeOwned>(
        &self,
        action: &str,
        parameters: &[(&str, &str)],
        retry: bool,
    ) -> Result<T> {
        let user = self.user.as_deref().map(|user| ("UserName", user));
        let parameters: Vec<_> = parameters.iter().copied().chain(user).collect();
        self.ask(action, &parameters, retry).await
    }

    fn read<T: DeserializeOwned>(&self, action: &str, body: &[u8]) -> Result<T> {
        let text = std::str::from_utf8(body).unwrap_or_default();
        // Neither the answer nor the parser's error is told: both may hold a secret.
        quick_xml::de::from_str(text).map_err(|_| self.not_iam(action))
    }

    /// The same for the user that signs in, where the server tells who that is. Not every server takes «whoever asks»
    /// where no user is named.
    pub(crate) async fn of_whoever_signs(self) -> Self {
        let user = self.caller().await.ok().and_then(|arn| {
            let (_, path) = arn.split_once(":user/")?;
            path.rsplit('/').next().map(str::to_owned)
        });
        Self { user, ..self }
    }

    /// The role by whose session it signs in, where that is so: `arn:aws:sts::ACCOUNT:assumed-role/NAME`.
    pub(crate) async fn role(&self) -> Result<Option<String>> {
        let arn = self.caller().await?;
        let sessions = arn.rsplit_once('/').map(|(sessions, _)| sessions.to_owned());
        Ok(sessions.filter(|sessions| role_of_sessions(sessions).is_some()))
    }

    /// Gives a role a policy of its own; one of this name is replaced.
    pub(crate) async fn put_role_policy(&self, role: &str, document: &str) -> Result<()> {
        let parameters =
            [("RoleName", role), ("PolicyName", SESSIONS_POLICY), ("PolicyDocument", document)];
        // Asked once: where it was done and the answer was lost, this session may not ask again.
        let body = self.ask_once("PutRolePolicy", VERSION, &parameters).await?;
        // It may have been done, whatever else came back.
        self.read::<Ignored>("PutRolePolicy", &body).map(drop).map_err(|error| error.passing(true))
    }

    /// Who signs in.
    async fn caller(&self) -> Result<String> {
        let (sts, region) = &self.sts;
        let at =
            Self { endpoint: sts.clone(), region: region.clone(), service: "sts", ..self.clone() };
        let body = at.ask_once("GetCallerIdentity", "2011-06-15", &[]).await?;
        at.read::<Caller>("GetCallerIdentity", &body).map(|caller| caller.result.arn)
    }

    async fn ask_once(
        &self,
        action: &str,
        version: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Vec<u8>> {
        let mut body = format!("Action={action}&Version={version}");
        for (name, value) in parameters {
            body = format!("{body}&{name}={}", utf8_percent_encode(value, UNRESERVED));
        }
        let request = self.signed(body)?;
        let answer = http::whole(&self.connector, &self.clock, request)
            .await
            .map_err(|cause| no_answer(self.host(), action, &cause))?;
        if answer.status == 200 {
            return Ok(answer.body);
        }
        let role = parameters.iter().find(|(name, _)| *name == "RoleName").map(|(_, role)| *role);
        Err(self.refused(action, role, answer.status, answer.code.as_deref()))
    }

    fn signed(&self, body: String) -> Result<::http::Request<SdkBody>> {
        let cannot = || {
            Error::new(
                Code::Storage,
                "the request for the keys can't be signed",
                "Check the profile.",
            )
        };
        let uri = format!("{}/", self.endpoint);
        let kind = "application/x-www-form-urlencoded; charset=utf-8";
        let headers = [("host", self.host()), ("content-type", kind)];
        let credentials = self.keys.credentials();
        let identity = credentials.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.service)
            .time(SystemTime::try_from(self.clock.now()).unwrap_or_else(|_| SystemTime::now()))
            .settings(SigningSettings::default())
            .build()
            .map_err(|_| cannot())?
            .into();
        let signable = SignableRequest::new(
            "POST",
            uri.as_str(),
            headers.into_iter(),
            SignableBody::Bytes(body.as_bytes()),
        )
        .map_err(|_| cannot())?;
        let (instructions, _) = sign(signable, &params).map_err(|_| cannot())?.into_parts();
        let mut request = ::http::Request::builder()
            .method("POST")
            .uri(uri)
            .header("content-type", kind)
            .body(SdkBody::from(body))
            .map_err(|_| cannot())?;
        instructions.apply_to_request_http1x(&mut request);
        Ok(request)
    }

    fn host(&self) -> &str {
        self.endpoint.split_once("://").map_or(self.endpoint.as_str(), |(_, host)| host)
    }

    fn refused(&self, action: &str, role: Option<&str>, status: u16, code: Option<&str>) -> Error {
        tracing::debug!(action, status, code, "the keys' API refused");
        let (host, who) = (self.host(), &self.keys.access_key);
        match code {
            Some(
                "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "Forbidden",
            ) => Error::new(
                Code::AccessDenied,
                format!("{host} doesn't let {who} do iam:{action}"),
                format!(
                    "Give it that right, or let Lapse make a signer of its own: lapse profile signer create. The policy that allows it:\n{}",
                    match role {
                        Some(role) => super::policy::end_own_sessions(role),
                        None => super::policy::rotate_own(),
                    }
                ),
            ),
            Some("LimitExceeded" | "LimitExceededException") => Error::new(
                Code::TooManyKeys,
                "the user has as many access keys as it may have",
                "Delete one that nobody uses, then try again.",
            ),
            Some("NoSuchEntity" | "NoSuchEntityException") => Error::new(
                Code::NoSuchKey,
                format!("{host} doesn't know that access key or user"),
                "It was deleted already.",
            ),
            Some(
                "InvalidClientTokenId"
                | "InvalidAccessKeyId"
                | "SignatureDoesNotMatch"
                | "ExpiredToken",
            ) => Error::new(
                Code::SignIn,
                format!("{host} doesn't accept the access key {who}"),
                "Correct the keys of the profile, or sign in anew.",
            ),
            // It is one of the storage's own words.
            Some(code) if status < 500 && code != "Throttling" => Error::new(
                Code::NoIam,
                format!("{host} doesn't do iam:{action}: {}", code.escape_debug()),
                "Rotate the key by hand: make a new one at the provider, then lapse revoke --all --new-key ID.",
            ),
            None if status < 500 => self.not_iam(action),
            _ => Error::new(
                Code::Storage,
                format!("{host} answered {status} to iam:{action}"),
                "Try again.",
            )
            .passing(true),
        }
    }

    fn not_iam(&self, action: &str) -> Error {
        Error::new(
            Code::NoIam,
            format!("{} answered iam:{action}, but not as a keys' API", self.host()),
            "Rotate the key by hand: make a new one at the provider, then lapse revoke --all --new-key ID.",
        )
    }
}

impl Authority for Iam {
    fn keys(&self) -> BoxFuture<'_, Result<Vec<KnownKey>>> {
        Box::pin(async {
            let mut keys = Vec::new();
            let mut marker: Option<String> = None;
            loop {
                let more: Vec<_> =
                    marker.as_deref().map(|marker| ("Marker", marker)).into_iter().collect();
                let listed: Listed = self.ask_of_user("ListAccessKeys", &more, true).await?;
                let result = listed.result;
                keys.extend(result.keys.members.into_iter().map(|key| KnownKey {
                    is_active: key.status == "Active",
                    created_at: key.created_at.and_then(|at| at.parse().ok()),
                    access_key: key.access_key,
                }));
                match result.marker.filter(|_| result.is_truncated.as_deref() == Some("true")) {
                    Some(next) => marker = Some(next),
                    None => return Ok(keys),
                }
            }
        })
    }

    fn create(&self) -> BoxFuture<'_, Result<Keys>> {
        Box::pin(async {
            // Asked once: a key whose answer was lost would be made twice.
            let made: Made = self.ask_of_user("CreateAccessKey", &[], false).await?;
            let MadeKey { access_key, secret } = made.result.key;
            Ok(Keys::lasting(access_key, Sensitive::new(secret)))
        })
    }

    fn set_active<'a>(&'a self, access_key: &'a str, active: bool) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let status = if active { "Active" } else { "Inactive" };
            let parameters = [("AccessKeyId", access_key), ("Status", status)];
            self.ask_of_user::<Ignored>("UpdateAccessKey", &parameters, true).await.map(drop)
        })
    }

    fn delete<'a>(&'a self, access_key: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let parameters = [("AccessKeyId", access_key)];
            match self.ask_of_user::<Ignored>("DeleteAccessKey", &parameters, true).await {
                Err(error) if error.code == Code::NoSuchKey => Ok(()),
                asked => asked.map(drop),
            }
        })
    }

    fn last_use<'a>(&'a self, access_key: &'a str) -> BoxFuture<'a, Result<Option<LastUse>>> {
        Box::pin(async move {
            let asked: Used =
                self.ask("GetAccessKeyLastUsed", &[("AccessKeyId", access_key)], true).await?;
            let used = asked.result.used;
            Ok(used
                .date
                .and_then(|at| at.parse::<Timestamp>().ok())
                .map(|at| LastUse { at, service: used.service.filter(|service| service != "N/A") }))
        })
    }
}

#[derive(Deserialize)]
struct Ignored {}

#[derive(Deserialize)]
struct Listed {
    #[serde(rename = "ListAccessKeysResult")]
    result: ListedKeys,
}

#[derive(Deserialize)]
struct ListedKeys {
    #[serde(rename = "AccessKeyMetadata", default)]
    keys: Members,
    #[serde(rename = "IsTruncated")]
    is_truncated: Option<String>,
    #[serde(rename = "Marker")]
    marker: Option<String>,
}

#[derive(Deserialize, Default)]
struct Members {
    #[serde(rename = "member", default)]
    members: Vec<ListedKey>,
}

#[derive(Deserialize)]
struct ListedKey {
    #[serde(rename = "AccessKeyId")]
    access_key: String,
    #[serde(rename = "Status", default)]
    status: String,
    #[serde(rename = "CreateDate")]
    created_at: Option<String>,
}

#[derive(Deserialize)]
struct Made {
    #[serde(rename = "CreateAccessKeyResult")]
    result: MadeResult,
}

#[derive(Deserialize)]
struct MadeResult {
    #[serde(rename = "AccessKey")]
    key: MadeKey,
}

#[derive(Deserialize)]
struct MadeKey {
    #[serde(rename = "AccessKeyId")]
    access_key: String,
    #[serde(rename = "SecretAccessKey")]
    secret: String,
}

#[derive(Deserialize)]
struct Caller {
    #[serde(rename = "GetCallerIdentityResult")]
    result: CallerResult,
}

#[derive(Deserialize)]
struct CallerResult {
    #[serde(rename = "Arn")]
    arn: String,
}

#[derive(Deserialize)]
struct Used {
    #[serde(rename = "GetAccessKeyLastUsedResult")]
    result: UsedResult,
}

#[derive(Deserialize)]
struct UsedResult {
    #[serde(rename = "AccessKeyLastUsed", default)]
    used: UsedKey,
}

#[derive(Deserialize, Default)]
struct UsedKey {
    #[serde(rename = "LastUsedDate")]
    date: Option<String>,
    #[serde(rename = "ServiceName")]
    service: Option<String>,
}
