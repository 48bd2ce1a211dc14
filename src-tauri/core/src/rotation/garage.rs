//! Garage's admin API, version 2: keys are switched by a token that may do that and little else.
//!
//! Garage knows no users: the keys of one name are what is rotated here. A key is off when its time is over.
//!
//! Source: <https://garagehq.deuxfleurs.fr/api/garage-admin-v2.html>

use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use aws_smithy_types::body::SdkBody;
use futures_util::future::BoxFuture;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::authority::{Authority, KnownKey, LastUse, again, no_answer};
use crate::clock::ServerClock;
use crate::keychain::Sensitive;
use crate::profile::{Endpoint, Profile};
use crate::storage::{Keys, http};
use crate::{Code, Error, Result};

/// What the rotator's token may ask for.
const SCOPE: [&str; 6] =
    ["ListKeys", "CreateKey", "UpdateKey", "DeleteKey", "GetBucketInfo", "AllowBucketKey"];
/// When the time of a key that is switched off was over.
const LONG_AGO: &str = "2000-01-01T00:00:00Z";

/// The keys of one name that may read one bucket.
#[derive(Debug, Clone)]
pub(super) struct Garage {
    connector: SharedHttpConnector,
    clock: ServerClock,
    endpoint: Endpoint,
    token: Sensitive<String>,
    bucket: String,
    name: String,
}

impl Garage {
    /// Prepares to ask; nothing is sent yet.
    pub(super) fn open(
        profile: &Profile,
        endpoint: Endpoint,
        token: Sensitive<String>,
        name: &str,
        clock: ServerClock,
    ) -> Result<Self> {
        let there = Profile { endpoint: endpoint.clone(), ..profile.clone() };
        Ok(Self {
            connector: http::Network::of(&there)?.plain(),
            clock,
            endpoint,
            token,
            bucket: profile.bucket.clone(),
            name: name.to_owned(),
        })
    }

    /// Makes a token that may list, make, switch and delete keys and let them into a bucket, of any key and bucket:
    /// Garage narrows none to one. Gives its id and the token itself.
    pub(super) async fn create_token(&self, name: &str) -> Result<(String, Sensitive<String>)> {
        let body = json!({ "name": name, "scope": SCOPE, "neverExpires": true });
        let made: MadeToken = self.ask_once("CreateAdminToken", &[], Some(&body)).await?;
        Ok((made.id, Sensitive::new(made.secret_token)))
    }

    pub(super) async fn delete_token(&self, id: &str) -> Result<()> {
        self.ask::<Value>("DeleteAdminToken", &[("id", id)], Some(&json!(null))).await.map(drop)
    }

    /// Asks once more where that may help.
    async fn ask<T: DeserializeOwned>(
        &self,
        action: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<T> {
        again(|| self.ask_once(action, query, body)).await
    }

    /// A POST where there is a body, else a GET.
    async fn ask_once<T: DeserializeOwned>(
        &self,
        action: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<T> {
        let mut uri = format!("{}/v2/{action}", self.endpoint);
        for (at, (name, value)) in query.iter().enumerate() {
            let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
            uri = format!("{uri}{}{name}={value}", if at == 0 { '?' } else { '&' });
        }
        let request = ::http::Request::builder()
            .method(if body.is_some() { "POST" } else { "GET" })
            .uri(uri)
            .header("authorization", format!("Bearer {}", self.token.expose()))
            .header("content-type", "application/json")
            .body(body.map_or_else(SdkBody::empty, |body| SdkBody::from(body.to_string())))
            // Its text would carry the token.
            .map_err(|_| {
                let message = "the admin token can't be sent: it holds what no token holds";
                Error::new(Code::Usage, message, "Paste the token alone, on one line.")
            })?;
        let host = &self.endpoint.authority;
        let answer = http::whole(&self.connector, &self.clock, request)
            .await
            .map_err(|cause| no_answer(host, action, &cause))?;
        if answer.status == 200 {
            let body: &[u8] = if answer.body.is_empty() { b"null" } else { &answer.body };
            // Neither the answer nor the parser's error is told: both may hold a secret.
            return serde_json::from_slice(body).map_err(|_| self.not_garage(action));
        }
        let told: Option<Told> = serde_json::from_slice(&answer.body).ok();
        Err(self.refused(action, answer.status, told.as_ref().map(|told| told.code.as_str())))
    }

    fn refused(&self, action: &str, status: u16, code: Option<&str>) -> Error {
        tracing::debug!(action, status, code, "the admin API refused");
        let host = &self.endpoint.authority;
        match code {
            Some("AccessDenied" | "Forbidden") => Error::new(
                Code::AccessDenied,
                format!("{host} doesn't let this admin token do {action}"),
                format!(
                    "Give one whose scope has it (garage admin-token create --scope {}), or make the signer anew with such a one.",
                    if action == "CreateAdminToken" { "'*'".to_owned() } else { SCOPE.join(",") }
                ),
            ),
            Some("NoSuchAccessKey") => Error::new(
                Code::NoSuchKey,
                format!("{host} doesn't know that access key"),
                "It was deleted already.",
            ),
            Some("NoSuchBucket") => Error::new(
                Code::NoSuchBucket,
                format!("{host} knows no bucket «{}»", self.bucket.escape_debug()),
                "Give the admin address of the Garage that the profile's bucket is in.",
            ),
            Some(code) if status < 500 => Error::new(
                Code::Storage,
                format!("{host} refused {action}: {}", code.escape_debug()),
                "Lapse needs Garage 2.0 or later.",
            ),
            None if status < 500 => self.not_garage(action),
            _ => Error::new(
                Code::Storage,
                format!("{host} answered {status} to {action}"),
                "Try again.",
            )
            .passing(true),
        }
    }

    fn not_garage(&self, action: &str) -> Error {
        Error::new(
            Code::NoIam,
            format!("{} answered {action}, but not as Garage's admin API", self.endpoint.authority),
            "Give the address of the admin API ([admin] api_bind_addr in garage.toml; Garage 2.0 or later).",
        )
    }
}

impl Authority for Garage {
    fn keys(&self) -> BoxFuture<'_, Result<Vec<KnownKey>>> {
        Box::pin(async {
            let listed: Vec<ListedKey> = self.ask("ListKeys", &[], None).await?;
            let ours = listed.into_iter().filter(|key| key.name == self.name);
            Ok(ours
                .map(|key| KnownKey {
                    access_key: key.id,
                    is_active: !key.expired,
                    created_at: key.created.and_then(|at| at.parse().ok()),
                })
                .collect())
        })
    }

    fn create(&self) -> BoxFuture<'_, Result<Keys>> {
        Box::pin(async {
            let bucket: Bucket =
                self.ask("GetBucketInfo", &[("globalAlias", &self.bucket)], None).await?;
            // Asked once: a key whose answer was lost would be made twice.
            let body = json!({ "name": self.name });
            let made: MadeKey = self.ask_once("CreateKey", &[], Some(&body)).await?;
            let allowed = json!({
                "bucketId": bucket.id,
                "accessKeyId": made.access_key_id,
                "permissions": { "read": true, "write": false, "owner": false },
            });
            self.ask::<Value>("AllowBucketKey", &[], Some(&allowed)).await?;
            Ok(Keys::lasting(made.access_key_id, Sensitive::new(made.secret_access_key)))
        })
    }

    fn set_active<'a>(&'a self, access_key: &'a str, active: bool) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let body = if active {
                json!({ "neverExpires": true })
            } else {
                json!({ "expiration": LONG_AGO })
            };
            self.ask::<Value>("UpdateKey", &[("id", access_key)], Some(&body)).await.map(drop)
        })
    }

    fn delete<'a>(&'a self, access_key: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let query = [("id", access_key)];
            match self.ask::<Value>("DeleteKey", &query, Some(&json!(null))).await {
                Err(error) if error.code == Code::NoSuchKey => Ok(()),
                asked => asked.map(drop),
            }
        })
    }

    /// Garage doesn't tell.
    fn last_use<'a>(&'a self, _access_key: &'a str) -> BoxFuture<'a, Result<Option<LastUse>>> {
        Box::pin(async { Ok(None) })
    }
}

#[derive(Deserialize)]
struct Told {
    code: String,
}

#[derive(Deserialize)]
struct Bucket {
    id: String,
}

#[derive(Deserialize)]
struct ListedKey {
    id: String,
    name: String,
    created: Option<String>,
    #[serde(default)]
    expired: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MadeKey {
    access_key_id: String,
    secret_access_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MadeToken {
    id: String,
    secret_token: String,
}
