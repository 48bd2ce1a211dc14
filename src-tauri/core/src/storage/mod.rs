//! One bucket over S3. The local store is one more endpoint.

mod copy;
mod fault;
pub(crate) mod http;
mod integrity;
mod lifecycle;
mod link;
mod multipart;
mod presign;
pub mod probe;
pub mod provider;
mod retry;
mod route;
mod sign_in;

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    StalledStreamProtectionConfig,
};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumMode;
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use jiff::Timestamp;
use tokio::sync::OnceCell;

pub use integrity::Integrity;
pub(crate) use integrity::{Sum, Summing, joined};
pub use lifecycle::UnfinishedRule;
pub use link::Seen;
pub use multipart::Joined;
pub use presign::LinkFacts;
use retry::Slowed;
pub use sign_in::{Keys, SignInEnd};
pub(crate) use sign_in::{SECRET_FROM_ENV, has_secret_from_env, keychain_error, sign_in};

use crate::clock::ServerClock;
use crate::profile::Profile;
use crate::{Code, Error, Result};

/// How long a server may think about a request.
const ANSWER: Duration = Duration::from_mins(1);
/// Bytes a second; slower isn't worth waiting for.
const SLOWEST_LINE: u64 = 16 * 1024;

/// What the headers of an object say to whoever downloads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers {
    /// A content type that a browser won't run.
    pub content_type: String,
    /// `attachment` or `inline`, with the file's true name.
    pub disposition: String,
}

/// What the storage says of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Bytes.
    pub size: u64,
    /// The etag, as the server spells it.
    pub etag: String,
    /// The CRC-64/NVME of the whole, where the server tells it.
    pub crc64: Option<u64>,
}

/// What the storage answers to bytes that it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// The etag, as the server spells it.
    pub etag: String,
    /// The CRC-64/NVME, where the server tells it.
    pub crc64: Option<u64>,
}

/// A bucket, and the keys that open it.
#[derive(Debug, Clone)]
pub struct Bucket {
    profile: Profile,
    keys: Keys,
    /// Whose keys sign links, where they aren't the same.
    signer: Option<Keys>,
    client: Client,
    /// For links, which carry their own signature.
    plain: SharedHttpConnector,
    clock: ServerClock,
    slowed: Slowed,
    known: Arc<Known>,
    opened_at: Timestamp,
}

/// What was seen of a bucket since it was opened.
#[derive(Debug, Default)]
pub(crate) struct Known {
    exists: OnceCell<()>,
    /// The role by whose session its links are signed, where that is so and is told.
    pub(crate) role: OnceCell<Option<String>>,
    /// How it shows that what arrived by one request is what was sent.
    pub(crate) in_one: OnceCell<Integrity>,
    /// The same of an object in parts.
    pub(crate) in_parts: OnceCell<Integrity>,
}

impl Bucket {
    /// Prepares to talk to the bucket of a profile; nothing is sent yet.
    pub fn open(profile: Profile, keys: Keys, clock: ServerClock) -> Result<Self> {
        let network = http::Network::of(&profile)?;
        let slowed = Slowed::default();
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(keys.provider())
            .region(Region::new(profile.region.clone()))
            .endpoint_url(profile.endpoint.to_string())
            .force_path_style(profile.path_style)
            .http_client(network.client())
            .interceptor(clock.clone())
            // With full jitter and a budget for all requests together.
            .retry_config(RetryConfig::standard().with_max_attempts(4))
            .retry_classifier(slowed.clone())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(http::CONNECT)
                    .read_timeout(ANSWER)
                    .build(),
            )
            .stalled_stream_protection(
                StalledStreamProtectionConfig::enabled().grace_period(ANSWER).build(),
            )
            // Many S3 servers don't know the SDK's own checksums and refuse them; what each can compare its check
            // found out.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        let client = Client::from_conf(config.build());
        let opened_at = clock.now();
        Ok(Self {
            profile,
            keys,
            signer: None,
            client,
            plain: network.plain(),
            clock,
            slowed,
            known: Arc::default(),
            opened_at,
        })
    }

    /// The profile this was opened with.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The keys that open it.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The keys that sign links.
    pub fn signer(&self) -> &Keys {
        self.signer.as_ref().unwrap_or(&self.keys)
    }

    /// Those of its keys that have this id.
    pub(crate) fn keys_named(&self, access_key: &str) -> Option<&Keys> {
        [self.signer(), &self.keys].into_iter().find(|keys| keys.access_key == access_key)
    }

    /// When its keys were got, at the latest, by the server's clock.
    pub(crate) fn opened_at(&self) -> Timestamp {
        self.opened_at
    }

    /// The same, with other keys for links.
    #[must_use]
    pub(crate) fn with_signer(self, signer: Keys) -> Self {
        Self { signer: Some(signer), ..self }
    }

    /// The server's clock, as far as its answers told.
    pub fn clock(&self) -> &ServerClock {
        &self.clock
    }

    /// How often the server asked to be asked less.
    pub(crate) fn slowed(&self) -> u64 {
        self.slowed.count()
    }

    pub(crate) fn known(&self) -> &Known {
        &self.known
    }

    /// Whether both are one, opened once.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.known, &other.known)
    }

    /// Ends once the connections of this can't give an answer any more, since the computer is in another network.
    pub(crate) async fn cut_off(&self) {
        route::lost(&self.profile.endpoint).await;
    }

    /// Whether the bucket is there, asked once since it was opened: some servers make a missing bucket at the
    /// first PUT, so this comes before it.
    pub(crate) async fn must_exist(&self) -> Result<()> {
        if self.profile.provider.makes_buckets {
            self.known.exists.get_or_try_init(|| self.find()).await?;
        }
        Ok(())
    }

    async fn find(&self) -> Result<()> {
        // Where thousands of objects were deleted a listing can take seconds (SeaweedFS walks their empty folders).
        match self.client.head_bucket().bucket(&self.profile.bucket).send().await {
            Ok(_) => Ok(()),
            // What is wrong only a listing can tell.
            Err(_) => self.check_exists().await,
        }
    }

    /// Whether the bucket is there and may be used.
    pub async fn check_exists(&self) -> Result<()> {
        // A listing, since the answer to a HEAD has no body: it can't say whether the key, the secret, the
        // region or only a right is wrong, and a portal's 200 looks like a bucket's.
        let request = self
            .client
            .list_objects_v2()
            .bucket(&self.profile.bucket)
            .prefix(&self.profile.prefix)
            .max_keys(1);
        request.send().await.map(drop).map_err(|error| self.explain("look at the bucket", error))
    }

    /// Whether the storage accepts the keys of this, whatever they may do ([`Code::SignIn`] if not).
    pub(crate) async fn knows_key(&self) -> Result<()> {
        match self.check_exists().await {
            Err(error) if error.code == Code::AccessDenied => Ok(()),
            checked => checked,
        }
    }

    /// Makes the bucket: only when the person asked for it.
    pub async fn create(&self) -> Result<()> {
        let answer = self.client.create_bucket().bucket(&self.profile.bucket).send().await;
        answer.map(drop).map_err(|error| self.explain("make the bucket", error))
    }

    /// Writes an object in one request. `body` must be replayable for retries to work. The storage compares
    /// `crc64`, where that is given.
    pub async fn put(
        &self,
        key: &str,
        headers: &Headers,
        body: ByteStream,
        size: u64,
        crc64: Option<u64>,
    ) -> Result<Arrived> {
        let answer = self
            .client
            .put_object()
            .bucket(&self.profile.bucket)
            .key(key)
            .content_type(&headers.content_type)
            .content_disposition(&headers.disposition)
            .content_length(i64::try_from(size).unwrap_or(i64::MAX))
            .set_checksum_crc64_nvme(crc64.map(integrity::crc64_text))
            .body(body)
            .customize()
            .config_override(patient(size))
            .send()
            .await
            .map_err(|error| self.explain("upload", error))?;
        let crc64 = answer.checksum_crc64_nvme.as_deref().and_then(integrity::crc64_of);
        Ok(Arrived { etag: self.etag(answer.e_tag)?, crc64 })
    }

    /// What the storage says of an object.
    pub async fn head(&self, key: &str) -> Result<Object> {
        let request = self.client.head_object().bucket(&self.profile.bucket).key(key);
        let answer = request.checksum_mode(ChecksumMode::Enabled).send().await.map_err(|error| {
            let error = self.explain("look at the object", error);
            if error.code == Code::NoSuchBucket { self.no_such_object(key) } else { error }
        });
        // A HEAD's answer has no body: 404 is all it says.
        let answer = match answer {
            Err(error) if error.code == Code::NoSuchObject => match self.check_exists().await {
                Err(bucket) if bucket.code == Code::NoSuchBucket => return Err(bucket),
                _ => return Err(error),
            },
            answer => answer?,
        };
        Ok(Object {
            size: answer.content_length.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
            etag: self.etag(answer.e_tag)?,
            crc64: answer.checksum_crc64_nvme.as_deref().and_then(integrity::crc64_of),
        })
    }

    /// The first bytes of an object; the probe reads its own throw-away objects with it.
    pub(crate) async fn read(&self, key: &str) -> Result<Vec<u8>> {
        let answer = self.client.get_object().bucket(&self.profile.bucket).key(key).send().await;
        let body = answer.map_err(|error| self.explain("read the object", error))?.body;
        let bytes = body
            .collect()
            .await
            .map_err(|error| fault::storage("the object broke off").caused_by(error))?;
        Ok(bytes.to_vec())
    }

    /// Deletes one object, by its exact key. One that is gone already is no error. Gives whether the bucket keeps it as
    /// an old version.
    pub async fn delete(&self, key: &str) -> Result<bool> {
        let answer = self.client.delete_object().bucket(&self.profile.bucket).key(key).send().await;
        let answer = answer.map_err(|error| self.explain("delete the object", error))?;
        Ok(answer.delete_marker == Some(true))
    }

    /// The KMS key that the bucket encrypts objects with, where it does and may be asked.
    pub(crate) async fn kms_key(&self) -> Option<String> {
        let request = self.client.get_bucket_encryption().bucket(&self.profile.bucket);
        let rules = request.send().await.ok()?.server_side_encryption_configuration?.rules;
        rules
            .into_iter()
            .find_map(|rule| rule.apply_server_side_encryption_by_default?.kms_master_key_id)
    }

    /// The keys under a prefix, at most a thousand.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let request = self.client.list_objects_v2().bucket(&self.profile.bucket).prefix(prefix);
        let answer =
            request.send().await.map_err(|error| self.explain("list the bucket", error))?;
        Ok(answer
            .contents
            .unwrap_or_default()
            .into_iter()
            .filter_map(|object| object.key)
            .collect())
    }

    /// A captive portal answers 200 to anything: only an S3 server gives an etag.
    fn etag(&self, etag: Option<String>) -> Result<String> {
        etag.filter(|etag| !etag.is_empty()).ok_or_else(|| self.not_s3())
    }
}

/// The SDK counts the time to send as waiting for the answer: a slow line gets as long as its bytes need. One
/// on which nothing moves is given up by the SDK's own watch over bodies.
fn patient(bytes: u64) -> aws_sdk_s3::config::Builder {
    let read = ANSWER + Duration::from_secs(bytes / SLOWEST_LINE);
    let timeouts = TimeoutConfig::builder().connect_timeout(http::CONNECT).read_timeout(read);
    aws_sdk_s3::Config::builder().timeout_config(timeouts.build())
}

/// `s3://BUCKET/KEY`, taken apart.
pub(crate) fn parse_s3_uri(text: &str) -> Result<Option<(String, String)>> {
    let Some(rest) = text.strip_prefix("s3://") else { return Ok(None) };
    match rest.split_once('/') {
        Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => {
            Ok(Some((bucket.to_owned(), key.to_owned())))
        }
        _ => Err(Error::new(
            Code::Usage,
            format!("«{}» names no object", text.escape_debug()),
            "Write s3://BUCKET/KEY, with the object's whole key.",
        )),
    }
}
