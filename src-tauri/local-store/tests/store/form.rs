//! POST forms by hand, so that every part can be made wrong.

use data_encoding::BASE64;
use jiff::{SignedDuration, Timestamp};
use lapse_local_store::{BUCKET, Credentials, Key, REGION};
use serde_json::{Value, json};

use crate::signer::{hex, sign};
use crate::support::{Answer, Host};

/// A form to be signed. Change any field before.
#[derive(Clone)]
pub(crate) struct FormDraft {
    pub(crate) path: String,
    pub(crate) key: Credentials,
    pub(crate) region: String,
    pub(crate) service: String,
    pub(crate) at: Timestamp,
    /// JSON, or any text.
    pub(crate) expiration: Value,
    /// Those besides the bucket's, the object key's and the signature's.
    pub(crate) conditions: Vec<Value>,
    /// The condition about the bucket; `Null` for none.
    pub(crate) bucket: Value,
    /// The condition about the object's key; `Null` for none.
    pub(crate) object: Value,
    /// Fields besides those of the signature.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) file_name: String,
    /// Overrides the policy's text before it is encoded and signed.
    pub(crate) policy: Option<String>,
}

impl FormDraft {
    pub(crate) fn new(host: &Host, object: &str) -> Self {
        Self {
            path: format!("/{BUCKET}"),
            key: host.key(Key::Profile),
            region: REGION.into(),
            service: "s3".into(),
            at: Timestamp::now(),
            expiration: json!((Timestamp::now() + SignedDuration::from_mins(5)).to_string()),
            conditions: Vec::new(),
            bucket: json!({"bucket": BUCKET}),
            object: json!({"key": object}),
            fields: vec![("key".into(), object.into())],
            file_name: "a file.txt".into(),
            policy: None,
        }
    }

    /// Adds a field, and a condition that allows just this.
    pub(crate) fn field(mut self, name: &str, value: &str) -> Self {
        self.conditions.push(json!({name: value}));
        self.unnamed_field(name, value)
    }

    /// Adds a field that no condition is about.
    pub(crate) fn unnamed_field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    pub(crate) fn condition(mut self, condition: Value) -> Self {
        self.conditions.push(condition);
        self
    }

    /// All fields in order, signed.
    pub(crate) fn signed(&self) -> Vec<(String, String)> {
        let date = self.at.strftime("%Y%m%dT%H%M%SZ").to_string();
        let scope = format!("{}/{}/{}/aws4_request", &date[..8], self.region, self.service);
        let credential = format!("{}/{scope}", self.key.access_key);
        let own = [
            ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
            ("x-amz-credential", &credential),
            ("x-amz-date", &date),
        ];
        let mut conditions = vec![self.bucket.clone(), self.object.clone()];
        conditions.retain(|condition| !condition.is_null());
        conditions.extend(self.conditions.clone());
        conditions.extend(own.map(|(name, value)| json!({name: value})));
        let policy = json!({"expiration": self.expiration, "conditions": conditions});
        let policy = self.policy.clone().unwrap_or_else(|| policy.to_string());
        let policy = BASE64.encode(policy.as_bytes());
        let signature = hex(&sign(&self.key.secret_key, &scope, policy.as_bytes()));
        let mut fields = self.fields.clone();
        fields.extend(own.map(|(name, value)| (name.into(), value.into())));
        fields.push(("policy".into(), policy));
        fields.push(("x-amz-signature".into(), signature));
        fields
    }

    pub(crate) async fn send(&self, host: &Host, file: &[u8]) -> Answer {
        self.send_fields(host, &self.signed(), file).await
    }

    pub(crate) async fn send_fields(
        &self,
        host: &Host,
        fields: &[(String, String)],
        file: &[u8],
    ) -> Answer {
        self.send_body(host, &encode(fields, &self.file_name, file)).await
    }

    pub(crate) async fn send_body(&self, host: &Host, body: &[u8]) -> Answer {
        host.raw(&[self.head(host, body.len()).as_bytes(), body].concat()).await
    }

    pub(crate) fn head(&self, host: &Host, length: usize) -> String {
        format!(
            "POST {} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {length}\r\ncontent-type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n",
            self.path,
            host.endpoint().replace("http://", ""),
        )
    }
}

const BOUNDARY: &str = "----lapse7MA4YWxkTrZu0gW";

/// One field of a body.
pub(crate) fn part(name: &str, value: &str) -> String {
    format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

/// What comes before the file's bytes.
pub(crate) fn start(fields: &[(String, String)], file_name: &str) -> String {
    let mut text: String = fields.iter().map(|(name, value)| part(name, value)).collect();
    text += &format!(
        "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{file_name}\"\r\ncontent-type: application/octet-stream\r\n\r\n"
    );
    text
}

/// What comes after them.
pub(crate) fn end() -> String {
    format!("\r\n--{BOUNDARY}--\r\n")
}

fn encode(fields: &[(String, String)], file_name: &str, file: &[u8]) -> Vec<u8> {
    [start(fields, file_name).as_bytes(), file, end().as_bytes()].concat()
}
