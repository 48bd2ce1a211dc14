//! boto3: an S3 client that nobody here wrote.

use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use serde_json::{Value, json};

use crate::rig::{Rig, python, servers};

/// Where to call and who calls.
#[derive(Debug, Clone)]
pub struct Caller {
    /// `http://127.0.0.1:PORT`
    pub endpoint: String,
    /// The key's id.
    pub access_key: String,
    /// The key's secret.
    pub secret_key: String,
    /// The session token, for temporary keys.
    pub token: Option<String>,
}

impl Caller {
    /// A caller with a lasting key.
    pub fn new(endpoint: &str, access_key: &str, secret_key: &str) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
            token: None,
        }
    }

    /// One call of boto3's `s3` client: its answer, or the server's error code.
    pub fn s3(&self, call: &str, args: &Value) -> Result<Value, String> {
        self.call("s3", call, args)
    }

    /// One call of another service's client.
    pub fn call(&self, service: &str, call: &str, args: &Value) -> Result<Value, String> {
        let ask = json!({
            "service": service, "endpoint": self.endpoint, "access_key": self.access_key,
            "secret_key": self.secret_key, "token": self.token, "call": call, "args": args,
        });
        let answer = boto3().lock().unwrap_or_else(PoisonError::into_inner).ask(&ask.to_string());
        let mut answer: Value = serde_json::from_str(&answer).unwrap();
        match answer.get("error") {
            Some(error) => {
                Err(format!("{}: {}", error["code"].as_str().unwrap(), error["message"]))
            }
            None => Ok(answer["ok"].take()),
        }
    }

    /// The keys in a bucket.
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        let list = self.s3("list_objects_v2", &json!({"Bucket": bucket})).unwrap();
        let objects = list["Contents"].as_array().cloned().unwrap_or_default();
        objects.iter().map(|object| object["Key"].as_str().unwrap().to_owned()).collect()
    }
}

fn boto3() -> &'static Mutex<Rig> {
    static PEER: OnceLock<Mutex<Rig>> = OnceLock::new();
    PEER.get_or_init(|| Mutex::new(Rig::start(Command::new(python()).arg(servers().join("s3.py")))))
}
