//! Finds out on the real bucket what a table of providers can't know, with throw-away objects.

use std::fmt::Write as _;
use std::time::Duration;

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::primitives::ByteStream;
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use aws_smithy_types::body::SdkBody;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::http::Answer;
use super::provider::Rotation;
use super::{Arrived, Bucket, Headers, Integrity, Joined, LinkFacts, Object, Seen, joined};
use crate::event::{Event, Sink};
use crate::keychain::Sensitive;
use crate::share::disposition;
use crate::{Code, Error, Result};

/// How a thing turned out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Pass,
    /// Lapse works without it, with a limit that is said.
    Warn,
    /// Links of this profile can't be trusted, or can't be made.
    Fail,
}

impl Verdict {
    /// Four letters for the margin.
    pub fn label(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was tried, in lower snake case.
    pub name: String,
    /// How it turned out.
    pub verdict: Verdict,
    /// One sentence for a person.
    pub text: String,
}

/// The folder of throw-away objects under the prefix.
const FOLDER: &str = ".lapse-check";
/// Throw-away objects this old are leftovers of a check that was cut off; younger ones may be another computer's.
const LEFTOVER: SignedDuration = SignedDuration::from_hours(1);
const CHECKSUM: &str = "checksum";
const ETAG: &str = "etag";
const CHECKSUM_OF_PARTS: &str = "checksum_of_parts";
/// Between the fields of a form.
const BOUNDARY: &str = "lapse-check-7d1f0c";
const BODY: &[u8] = b"Lapse checks this bucket. This object may be deleted.\n";
/// The smallest part that S3 takes before the last one.
const PART: usize = 5 * 1024 * 1024;

/// Tries everything, tells each finding as it is known, and removes what it put.
pub(crate) async fn run(bucket: &Bucket, sink: &dyn Sink) -> Result<Vec<Finding>> {
    bucket.check_exists().await?;
    let folder = folder_of(bucket);
    let probe = Probe { bucket, root: format!("{folder}{}", crate::share::random_step()) };
    sweep(bucket, &folder).await;
    let mut findings = Vec::new();
    let mut tell = |finding: Finding| {
        sink.emit(Event::Probed(&finding));
        findings.push(finding);
    };
    let written = probe.write().await;
    let usable = written.verdict != Verdict::Fail;
    tell(written);
    if usable {
        tell(probe.read().await);
        tell(probe.clock());
        tell(probe.link_works().await);
        tell(probe.link_ends().await);
        tell(probe.tampered().await);
        tell(probe.other_object().await);
        tell(probe.private().await);
        tell(probe.conditional_put().await);
        tell(probe.checksum().await);
        tell(probe.etag().await);
        tell(probe.two_parts().await);
        tell(probe.checksum_of_parts().await);
        tell(probe.post_form().await);
        tell(probe.lifecycle().await);
        tell(probe.rotation());
        tell(probe.clean_up().await);
    }
    Ok(findings)
}

/// What [`integrity_of`] needs to know of a bucket, and no more: that about parts takes some megabytes.
pub(crate) async fn integrity(bucket: &Bucket, parts: bool) -> Result<Vec<Finding>> {
    let probe =
        Probe { bucket, root: format!("{}{}", folder_of(bucket), crate::share::random_step()) };
    let mut findings = vec![probe.checksum().await, probe.etag().await];
    if parts {
        findings.push(probe.checksum_of_parts().await);
    }
    for key in [probe.key(), probe.parts()] {
        bucket.delete(&key).await?;
    }
    Ok(findings)
}

/// How a bucket shows that what arrived is what was sent; nothing before that was tried.
pub(crate) fn integrity_of(findings: &[Finding], parts: bool) -> Option<Integrity> {
    let passes = |name: &str| {
        let finding = findings.iter().find(|finding| finding.name == name)?;
        Some(finding.verdict == Verdict::Pass)
    };
    let compares = passes(CHECKSUM)? && (!parts || passes(CHECKSUM_OF_PARTS)?);
    Some(match (compares, passes(ETAG)?) {
        (true, _) => Integrity::Crc64,
        (false, true) => Integrity::Md5,
        (false, false) => Integrity::Size,
    })
}

fn folder_of(bucket: &Bucket) -> String {
    match bucket.profile.prefix.as_str() {
        "" => format!("{FOLDER}/"),
        prefix => format!("{prefix}/{FOLDER}/"),
    }
}

/// What an earlier check left behind when it was killed. Best effort: it is told of by no promise.
async fn sweep(bucket: &Bucket, folder: &str) {
    let listing =
        bucket.client.list_objects_v2().bucket(&bucket.profile.bucket).prefix(folder).send().await;
    let Ok(listing) = listing else { return };
    for object in listing.contents.unwrap_or_default() {
        let modified = object.last_modified.and_then(|at| Timestamp::from_second(at.secs()).ok());
        let old = modified.is_some_and(|at| bucket.clock.now().duration_since(at) > LEFTOVER);
        if let (true, Some(key)) = (old, object.key)
            && let Err(error) = bucket.delete(&key).await
        {
            tracing::debug!(code = error.code.as_str(), "a leftover of an earlier check stays");
        }
    }
}

struct Probe<'a> {
    bucket: &'a Bucket,
    root: String,
}

fn finding(name: &str, verdict: Verdict, text: impl Into<String>) -> Finding {
    Finding { name: name.to_owned(), verdict, text: text.into() }
}

fn crc64(bytes: &[u8]) -> u64 {
    let mut sum = Integrity::Crc64.summing();
    sum.add(bytes);
    sum.end().crc64().unwrap_or_default()
}

fn pass(name: &str, text: impl Into<String>) -> Finding {
    finding(name, Verdict::Pass, text)
}

impl Probe<'_> {
    fn key(&self) -> String {
        format!("{}/one", self.root)
    }

    fn parts(&self) -> String {
        format!("{}/parts", self.root)
    }

    fn other(&self) -> String {
        format!("{}/two", self.root)
    }

    async fn put(&self, key: &str, body: Vec<u8>, crc64: Option<u64>) -> Result<Arrived> {
        let headers = Headers {
            content_type: "text/plain".to_owned(),
            disposition: disposition("lapse-check.txt", false),
        };
        let size = body.len() as u64;
        self.bucket.put(key, &headers, ByteStream::from(body), size, crc64).await
    }

    fn facts(&self, key: &str, seconds: u32) -> LinkFacts {
        let bucket = self.bucket;
        LinkFacts::new(&bucket.profile, key, &bucket.keys.access_key, bucket.clock.now(), seconds)
    }

    async fn open(&self, url: &str) -> Result<(Seen, Answer), String> {
        let answer = self.bucket.fetch("GET", url, SdkBody::empty(), false).await?;
        Ok((Seen::judge(&answer, self.bucket.profile.provider.refusals), answer))
    }

    async fn write(&self) -> Finding {
        match self.put(&self.key(), BODY.to_vec(), None).await {
            Ok(_) => pass("write", "Files can be written."),
            Err(error) => finding("write", Verdict::Fail, error.to_string()),
        }
    }

    async fn read(&self) -> Finding {
        match self.bucket.read(&self.key()).await {
            Ok(body) if body == BODY => {
                pass("read", "What was written is read back, byte for byte.")
            }
            Ok(_) => finding("read", Verdict::Fail, "What is read back isn't what was written."),
            Err(error) => finding("read", Verdict::Fail, error.to_string()),
        }
    }

    fn clock(&self) -> Finding {
        match self.bucket.clock.offset() {
            0 => pass("clock", "This computer's clock agrees with the storage's."),
            ahead => finding(
                "clock",
                Verdict::Warn,
                format!(
                    "This computer's clock is {} s {} the storage's; links are signed by the storage's.",
                    ahead.unsigned_abs(),
                    if ahead > 0 { "behind" } else { "ahead of" },
                ),
            ),
        }
    }

    async fn link_works(&self) -> Finding {
        const NAME: &str = "link_works";
        let mut facts = self.facts(&self.key(), 60);
        facts.disposition = Some(disposition("lapse-check.txt", false));
        let url = match facts.presign(&self.bucket.keys) {
            Ok(url) => url,
            Err(error) => return finding(NAME, Verdict::Fail, error.to_string()),
        };
        match self.open(url.expose()).await {
            Ok((Seen::Works, answer)) if answer.body == BODY => {
                pass(NAME, "A link opens the file.")
            }
            Ok((Seen::Works, _)) => {
                finding(NAME, Verdict::Fail, "A link opens something else than the file.")
            }
            Ok((seen, _)) => finding(
                NAME,
                Verdict::Fail,
                format!("A link doesn't open the file ({}).", seen.as_str()),
            ),
            Err(cause) => {
                finding(NAME, Verdict::Fail, format!("The link couldn't be asked for: {cause}."))
            }
        }
    }

    async fn link_ends(&self) -> Finding {
        let facts = self.facts(&self.key(), 1);
        let url = facts.presign(&self.bucket.keys);
        // One second, the two that our idea of the server's clock may be off, and one that its Date is cut by.
        tokio::time::sleep(Duration::from_millis(4_100)).await;
        self.refused("link_ends", url, "A link of one second is refused after its time.").await
    }

    async fn tampered(&self) -> Finding {
        let url = self.facts(&self.key(), 60).presign(&self.bucket.keys).map(|url| {
            Sensitive::new(url.expose().replace("X-Amz-Expires=60", "X-Amz-Expires=600"))
        });
        self.refused("tampered_link", url, "A link whose end was changed is refused.").await
    }

    async fn other_object(&self) -> Finding {
        const NAME: &str = "other_object";
        if let Err(error) = self.put(&self.other(), BODY.to_vec(), None).await {
            return finding(NAME, Verdict::Fail, error.to_string());
        }
        let url = self
            .facts(&self.key(), 60)
            .presign(&self.bucket.keys)
            .map(|url| Sensitive::new(url.expose().replacen("/one?", "/two?", 1)));
        self.refused(NAME, url, "A link to one file doesn't open another.").await
    }

    async fn private(&self) -> Finding {
        let facts = self.facts(&self.key(), 60);
        let url = Ok(Sensitive::new(format!("{}://{}{}", facts.scheme, facts.host, facts.path)));
        self.refused("private", url, "Without a link nobody reads the bucket.").await
    }

    async fn refused(&self, name: &str, url: Result<Sensitive<String>>, good: &str) -> Finding {
        let url = match url {
            Ok(url) => url,
            Err(error) => return finding(name, Verdict::Fail, error.to_string()),
        };
        match self.open(url.expose()).await {
            // The only place where it is the right answer: these links were changed on purpose.
            Ok((seen, answer))
                if seen.is_refusal() || answer.code.as_deref() == Some("SignatureDoesNotMatch") =>
            {
                pass(name, good)
            }
            Ok((Seen::Works, _)) => finding(name, Verdict::Fail, format!("Not so: {good}")),
            Ok(_) => finding(name, Verdict::Warn, format!("The answer didn't tell: {good}")),
            Err(cause) => finding(name, Verdict::Warn, format!("Not known ({cause}): {good}")),
        }
    }

    async fn conditional_put(&self) -> Finding {
        const NAME: &str = "conditional_put";
        let again = self
            .bucket
            .client
            .put_object()
            .bucket(&self.bucket.profile.bucket)
            .key(self.key())
            .if_none_match("*")
            .body(ByteStream::from_static(BODY))
            .send()
            .await;
        match again {
            Err(error)
                if error
                    .raw_response()
                    .is_some_and(|raw| matches!(raw.status().as_u16(), 409 | 412)) =>
            {
                pass(NAME, "An object is never overwritten by accident (If-None-Match holds).")
            }
            Err(error) => finding(
                NAME,
                Verdict::Warn,
                format!(
                    "Conditional writes aren't offered ({}).",
                    error.code().unwrap_or("no answer")
                ),
            ),
            Ok(_) => finding(
                NAME,
                Verdict::Warn,
                "Conditional writes are ignored; Lapse relies on random keys alone.",
            ),
        }
    }

    /// Whether a wrong CRC-64 is refused, and a right one isn't.
    async fn checksum(&self) -> Finding {
        let crc64 = crc64(BODY);
        let right = self.put(&self.key(), BODY.to_vec(), Some(crc64)).await;
        let wrong = self.put(&self.key(), BODY.to_vec(), Some(!crc64)).await;
        let is_right = right.is_ok_and(|put| put.crc64.is_none_or(|answered| answered == crc64));
        match wrong {
            Err(error) if is_right && error.code == Code::Damaged => {
                pass(CHECKSUM, "A file that was damaged on its way is refused (CRC-64).")
            }
            _ => finding(
                CHECKSUM,
                Verdict::Warn,
                "The storage doesn't compare CRC-64 checksums; Lapse compares what it answers.",
            ),
        }
    }

    /// Whether the etag of one request is the MD5 of its bytes.
    async fn etag(&self) -> Finding {
        let mut md5 = Integrity::Md5.summing();
        md5.add(BODY);
        match self.put(&self.key(), BODY.to_vec(), None).await {
            Ok(put) if md5.end().fits(&put.etag, None) => {
                pass(ETAG, "The storage answers the MD5 of what arrived.")
            }
            Ok(_) => finding(
                ETAG,
                Verdict::Warn,
                "The storage's etags aren't MD5s; where it compares no checksum, only sizes are compared.",
            ),
            Err(error) => finding(ETAG, Verdict::Warn, error.to_string()),
        }
    }

    async fn two_parts(&self) -> Finding {
        const NAME: &str = "multipart";
        match self.in_two_parts(Integrity::Size).await {
            Ok((_, object)) if object.size == PART as u64 + 3 => {
                pass(NAME, "A file in two parts arrives whole.")
            }
            Ok(_) => finding(NAME, Verdict::Fail, "A file in two parts doesn't arrive whole."),
            Err(error) => finding(NAME, Verdict::Fail, error.to_string()),
        }
    }

    /// Whether the CRC-64 of an object in parts is that of the whole: some servers answer a composite one.
    async fn checksum_of_parts(&self) -> Finding {
        let whole = crc64(&[vec![7; PART], b"end".to_vec()].concat());
        match self.in_two_parts(Integrity::Crc64).await {
            Ok((answered, object)) if answered.or(object.crc64) == Some(whole) => {
                pass(CHECKSUM_OF_PARTS, "Also a file in parts has the checksum of the whole.")
            }
            _ => finding(
                CHECKSUM_OF_PARTS,
                Verdict::Warn,
                "Files in parts have no checksum of the whole here; Lapse compares each part.",
            ),
        }
    }

    /// Puts an object in two parts; gives the CRC-64 that was answered, and what is there then.
    async fn in_two_parts(&self, integrity: Integrity) -> Result<(Option<u64>, Object)> {
        let (bucket, key) = (self.bucket, self.parts());
        let headers = Headers {
            content_type: "application/octet-stream".to_owned(),
            disposition: disposition("x", false),
        };
        let upload = bucket.create_multipart(&key, &headers, integrity).await?;
        let sent = async {
            let (mut parts, mut sums) = (Vec::new(), Vec::new());
            for (number, bytes) in (1..).zip([vec![7; PART], b"end".to_vec()]) {
                let (size, crc64) = (bytes.len() as u64, crc64(&bytes));
                let given = Some(crc64).filter(|_| integrity == Integrity::Crc64);
                if number == 2 && given.is_some() {
                    let body = ByteStream::from(bytes.clone());
                    let wrong =
                        bucket.upload_part(&key, &upload, 2, body, size, Some(!crc64)).await;
                    if wrong.is_ok() {
                        return Err(super::fault::storage("a damaged part was taken"));
                    }
                }
                let body = ByteStream::from(bytes);
                let part = bucket.upload_part(&key, &upload, number, body, size, given).await?;
                sums.push((crc64, size));
                parts.push(Arrived { crc64: given, ..part });
            }
            let whole = Some(joined(sums)).filter(|_| integrity == Integrity::Crc64);
            match bucket.complete_multipart(&key, &upload, &parts, whole).await? {
                Joined::Whole(object) => Ok((object.crc64, bucket.head(&key).await?)),
                Joined::NoSuchUpload | Joined::OtherParts => {
                    Err(super::fault::storage("the upload's parts are gone"))
                }
            }
        };
        let sent = sent.await;
        if sent.is_err() {
            // The upload's own failure is the one to tell; what stays is cleaned up by the bucket's rules.
            let _ = bucket.abort_multipart(&key, &upload).await;
        }
        sent
    }

    async fn post_form(&self) -> Finding {
        const NAME: &str = "post_form";
        if !self.bucket.profile.provider.post_form {
            return finding(
                NAME,
                Verdict::Warn,
                "Upload forms aren't offered here; requests will use other links.",
            );
        }
        let fits = self.post(16).await;
        let too_big = self.post(64).await;
        match (fits, too_big) {
            (Ok(200..=204), Ok(400..=499)) => {
                pass(NAME, "Others can send files by a form, up to a size that holds.")
            }
            (Ok(200..=204), _) => finding(
                NAME,
                Verdict::Warn,
                "Upload forms don't keep their size limit; requests will use other links.",
            ),
            _ => finding(
                NAME,
                Verdict::Warn,
                "Upload forms don't work here; requests will use other links.",
            ),
        }
    }

    /// Posts `size` bytes by a form that allows 32, and gives the status.
    async fn post(&self, size: usize) -> Result<u16, String> {
        let Bucket { profile, keys, clock, .. } = self.bucket;
        let now = clock.now();
        let day = now.strftime("%Y%m%d").to_string();
        let date = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let credential = format!("{}/{day}/{}/s3/aws4_request", keys.access_key, profile.region);
        let key = format!("{}/form", self.root);
        let mut fields = vec![
            ("key", key.as_str()),
            ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
            ("x-amz-credential", &credential),
            ("x-amz-date", &date),
        ];
        if let Some(token) = &keys.token {
            fields.push(("x-amz-security-token", token.expose()));
        }
        let mut conditions: Vec<_> =
            fields.iter().map(|(name, value)| serde_json::json!({ *name: value })).collect();
        conditions.push(serde_json::json!({ "bucket": profile.bucket }));
        conditions.push(serde_json::json!(["content-length-range", 0, 32]));
        let end =
            (now + SignedDuration::from_mins(5)).strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string();
        let policy = serde_json::json!({ "expiration": end, "conditions": conditions }).to_string();
        let policy = BASE64_STANDARD.encode(policy);
        let signing_key = generate_signing_key(
            keys.secret.expose(),
            std::time::SystemTime::try_from(now).map_err(|error| error.to_string())?,
            &profile.region,
            "s3",
        );
        let signature = calculate_signature(signing_key, policy.as_bytes());
        fields.extend([("policy", policy.as_str()), ("x-amz-signature", &signature)]);

        let mut body = String::new();
        for (name, value) in fields {
            let _ = write!(
                body,
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            );
        }
        let _ = write!(
            body,
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\nContent-Type: text/plain\r\n\r\n{}\r\n--{BOUNDARY}--\r\n",
            "x".repeat(size)
        );
        let facts = self.facts("", 60);
        let request = ::http::Request::post(format!(
            "{}://{}{}",
            facts.scheme,
            facts.host,
            facts.path.trim_end_matches('/')
        ))
        .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))
        .header("content-length", body.len())
        .body(SdkBody::from(body))
        .map_err(|error| error.to_string())?;
        super::http::ask(&self.bucket.plain, clock, request).await.map(|answer| answer.status)
    }

    async fn lifecycle(&self) -> Finding {
        const NAME: &str = "lifecycle";
        let request = self
            .bucket
            .client
            .get_bucket_lifecycle_configuration()
            .bucket(&self.bucket.profile.bucket);
        match request.send().await {
            Ok(rules) => {
                let count = rules.rules().len();
                pass(NAME, format!("The bucket's own clean-up rules can be read ({count} there)."))
            }
            Err(error) if error.code() == Some("NoSuchLifecycleConfiguration") => {
                pass(NAME, "The bucket has no clean-up rules of its own.")
            }
            Err(error) => finding(
                NAME,
                Verdict::Warn,
                format!(
                    "The bucket's own clean-up rules can't be read ({}).",
                    error.code().unwrap_or("no answer")
                ),
            ),
        }
    }

    /// From the table: trying it would make a key.
    fn rotation(&self) -> Finding {
        const NAME: &str = "rotation";
        let provider = self.bucket.profile.provider;
        match provider.rotation {
            Rotation::Iam => pass(
                NAME,
                format!(
                    "{} rotates keys through its IAM interface (known of it, not tried).",
                    provider.name
                ),
            ),
            Rotation::GarageAdmin => pass(
                NAME,
                "Garage rotates keys through its admin interface (known of it, not tried).",
            ),
            Rotation::LocalStore => {
                pass(NAME, "The local store makes and switches off its own keys.")
            }
            Rotation::ByHand => {
                finding(NAME, Verdict::Warn, "Keys are rotated by hand, at the provider's site.")
            }
        }
    }

    async fn clean_up(&self) -> Finding {
        const NAME: &str = "clean_up";
        let removed = async {
            for key in ["one", "two", "parts", "form"] {
                self.bucket.delete(&format!("{}/{key}", self.root)).await?;
            }
            match self.bucket.head(&self.key()).await {
                Err(error) if error.code == Code::NoSuchObject => Ok(()),
                Ok(_) => Err(Error::new(
                    Code::Storage,
                    "a deleted file is still there",
                    "Look at the bucket's rules.",
                )),
                Err(error) => Err(error),
            }
        };
        match removed.await {
            Ok(()) => pass(NAME, "What was written for this check is deleted again."),
            Err(error) => {
                finding(NAME, Verdict::Fail, format!("A link can't be taken back: {error}"))
            }
        }
    }
}
