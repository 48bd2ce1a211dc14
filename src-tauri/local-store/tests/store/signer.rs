//! Signature version 4 by hand, so that every part of a request can be made wrong.

use jiff::Timestamp;
use lapse_local_store::{Credentials, REGION};
use sha2::{Digest, Sha256};

/// A request to be signed. Change any field before signing.
pub(crate) struct Draft {
    pub(crate) method: &'static str,
    pub(crate) host: String,
    /// As it stands in the request line, percent-encoded.
    pub(crate) path: String,
    /// Encoded pairs.
    pub(crate) query: Vec<(String, String)>,
    /// Lower-case names, besides `host`.
    pub(crate) headers: Vec<(String, String)>,
    /// Which headers to sign.
    pub(crate) signed: Vec<String>,
    pub(crate) key: Credentials,
    pub(crate) region: String,
    pub(crate) service: String,
    pub(crate) at: Timestamp,
    pub(crate) expires: String,
}

impl Draft {
    pub(crate) fn new(method: &'static str, endpoint: &str, path: &str, key: Credentials) -> Self {
        Self {
            method,
            host: endpoint.trim_start_matches("http://").to_owned(),
            path: path.to_owned(),
            query: Vec::new(),
            headers: Vec::new(),
            signed: vec!["host".into()],
            key,
            region: REGION.into(),
            service: "s3".into(),
            at: Timestamp::now(),
            expires: "900".into(),
        }
    }

    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// Adds a header, signed.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.signed.push(name.into());
        self.unsigned_header(name, value)
    }

    pub(crate) fn unsigned_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The path and query of a signed link.
    pub(crate) fn link(mut self) -> String {
        let scope = self.scope().replace('/', "%2F");
        let credential = format!("{}%2F{scope}", self.key.access_key);
        let mut query = std::mem::take(&mut self.query);
        query.extend([
            ("X-Amz-Algorithm".into(), "AWS4-HMAC-SHA256".into()),
            ("X-Amz-Credential".into(), credential),
            ("X-Amz-Date".into(), self.date()),
            ("X-Amz-Expires".into(), self.expires.clone()),
            ("X-Amz-SignedHeaders".into(), self.signed_list().replace(';', "%3B")),
        ]);
        self.query = query;
        let signature = self.signature("UNSIGNED-PAYLOAD");
        format!("{}?{}&X-Amz-Signature={signature}", self.path, self.query_text())
    }

    /// A whole signed request.
    pub(crate) fn request(mut self, body: &[u8]) -> Vec<u8> {
        let given = self.headers.iter().find(|(name, _)| name == "x-amz-content-sha256");
        let given = given.map(|(_, hash)| hash.clone());
        let hash = given.clone().unwrap_or_else(|| hex(&Sha256::digest(body)));
        if given.is_none() {
            self = self.header("x-amz-content-sha256", &hash);
        }
        let date = self.date();
        self = self.header("x-amz-date", &date);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={}",
            self.key.access_key,
            self.scope(),
            self.signed_list(),
            self.signature(&hash)
        );
        let mut target = self.path.clone();
        if !self.query.is_empty() {
            target = format!("{target}?{}", self.query_text());
        }
        let mut head = format!("{} {target} HTTP/1.1\r\nhost: {}\r\n", self.method, self.host);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("authorization: {authorization}\r\nconnection: close\r\n");
        if !self.headers.iter().any(|(name, _)| name == "content-length") {
            head += &format!("content-length: {}\r\n", body.len());
        }
        [head.as_bytes(), b"\r\n", body].concat()
    }

    fn date(&self) -> String {
        self.at.strftime("%Y%m%dT%H%M%SZ").to_string()
    }

    fn scope(&self) -> String {
        format!("{}/{}/{}/aws4_request", &self.date()[..8], self.region, self.service)
    }

    fn signed_list(&self) -> String {
        let mut names = self.signed.clone();
        names.sort_unstable();
        names.join(";")
    }

    fn query_text(&self) -> String {
        let mut pairs = self.query.clone();
        pairs.sort();
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }

    fn signature(&self, payload: &str) -> String {
        let mut headers = self.headers.clone();
        headers.push(("host".into(), self.host.clone()));
        headers.retain(|(name, _)| self.signed.contains(name));
        headers.sort();
        let headers: String =
            headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let canonical = format!(
            "{}\n{}\n{}\n{headers}\n{}\n{payload}",
            self.method,
            self.path,
            self.query_text(),
            self.signed_list()
        );
        let text = format!(
            "AWS4-HMAC-SHA256\n{}\n{}\n{}",
            self.date(),
            self.scope(),
            hex(&Sha256::digest(canonical))
        );
        hex(&sign(&self.key.secret_key, &self.scope(), text.as_bytes()))
    }
}

/// Signs `text` by the key that a secret gives for a scope.
pub(crate) fn sign(secret: &str, scope: &str, text: &[u8]) -> Vec<u8> {
    let start = format!("AWS4{secret}").into_bytes();
    let key = scope.split('/').fold(start, |key, part| hmac(&key, part.as_bytes()));
    hmac(&key, text)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// RFC 2104, for keys of at most 64 bytes.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let inner =
        Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(text).finalize();
    Sha256::new()
        .chain_update(block.map(|byte| byte ^ 0x5c))
        .chain_update(inner)
        .finalize()
        .to_vec()
}
