//! A store in a folder of its own, and ways to talk to it.

use std::path::Path;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials as SdkCredentials, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use lapse_local_store::{Credentials, Key, Options, REGION, Running, credentials, start};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::signer::Draft;

/// A running store.
pub(crate) struct Host {
    pub(crate) dir: TempDir,
    pub(crate) running: Running,
}

impl Host {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let running = start(&dir.path().join("store"), Options::default()).await.unwrap();
        Self { dir, running }
    }

    pub(crate) fn store(&self) -> std::path::PathBuf {
        self.dir.path().join("store")
    }

    pub(crate) fn endpoint(&self) -> String {
        self.running.info().endpoint
    }

    pub(crate) fn key(&self, key: Key) -> Credentials {
        credentials(&self.store(), key).unwrap()
    }

    pub(crate) fn client(&self, key: Key) -> Client {
        client(&self.endpoint(), &self.key(key))
    }

    /// A request by the profile's key to a path.
    pub(crate) fn draft(&self, method: &'static str, path: &str) -> Draft {
        Draft::new(method, &self.endpoint(), path, self.key(Key::Profile))
    }

    /// Sends a signed request with a body.
    pub(crate) async fn send(&self, draft: Draft, body: &[u8]) -> Answer {
        self.raw(&draft.request(body)).await
    }

    /// Follows a link.
    pub(crate) async fn follow(&self, method: &str, target: &str, headers: &str) -> Answer {
        let host = self.endpoint().replace("http://", "");
        self.raw(
            format!(
                "{method} {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}\r\n"
            )
            .as_bytes(),
        )
        .await
    }

    /// Sends bytes as they are and reads to the end.
    pub(crate) async fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = self.connect().await;
        stream.write_all(request).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        Answer::parse(&bytes)
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.endpoint().replace("http://", "")).await.unwrap()
    }
}

pub(crate) fn client(endpoint: &str, key: &Credentials) -> Client {
    let credentials = SdkCredentials::new(&key.access_key, &key.secret_key, None, None, "test");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .endpoint_url(endpoint)
        .region(Region::new(REGION))
        .credentials_provider(credentials)
        .force_path_style(true)
        .build();
    Client::from_conf(config)
}

/// The S3 error code of a failed call.
pub(crate) fn code<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(
    result: Result<T, SdkError<E>>,
) -> String {
    let error = result.expect_err("the call should have failed");
    error.code().unwrap_or_else(|| panic!("no code in {error:?}")).to_owned()
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let end =
            bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer has a head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head[9..12].parse().unwrap();
        Self { status, head, body: bytes[end + 4..].to_vec() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(found, value)| found.eq_ignore_ascii_case(name).then_some(value))
    }

    /// The code in an S3 error body.
    pub(crate) fn code(&self) -> &str {
        let body = std::str::from_utf8(&self.body).unwrap();
        let start = body.find("<Code>").unwrap_or_else(|| panic!("no S3 error in {self:?}")) + 6;
        &body[start..body.find("</Code>").unwrap()]
    }
}

/// Bytes that differ from place to place, and by seed.
pub(crate) fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> =
        std::iter::repeat_with(&mut next).take(length / 8 + 1).flatten().collect();
    bytes.truncate(length);
    bytes
}

/// Waits until something is so.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("it didn't come about within five seconds");
}

/// Turns one bit of a file.
pub(crate) fn flip(path: &Path, at: u64) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

/// The names of the files in a folder.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}
