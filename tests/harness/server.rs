//! The servers that every claim is tried on.

use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::peer::Caller;
use crate::rig::{Rig, python, scratch, servers};

/// A server, started when it is first asked for and stopped when the run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// The embedded one; each [`crate::Lapse`] has its own.
    LocalStore,
    /// `SeaweedFS`, a storage system in Go.
    SeaweedFs,
    /// `MiniStack`, an emulator of AWS in Python.
    MiniStack,
}

/// A bucket on a server, and a key that may do everything in it and nothing elsewhere.
#[derive(Debug, Clone)]
pub struct Place {
    /// Whose server it is.
    pub server: Server,
    /// The bucket.
    pub bucket: String,
    /// The key of a user who may use this bucket only.
    pub user: Caller,
    /// The server's own key.
    pub root: Caller,
}

impl Place {
    /// The same, come to at another address.
    #[must_use]
    pub fn at(&self, endpoint: String) -> Self {
        Self { user: Caller { endpoint, ..self.user.clone() }, ..self.clone() }
    }
}

impl Server {
    /// The server's own key. Not for the local store, which has one for each `LAPSE_HOME`.
    pub fn root(self) -> &'static Caller {
        static SEAWEEDFS: OnceLock<Started> = OnceLock::new();
        static MINISTACK: OnceLock<Started> = OnceLock::new();
        let started = match self {
            Self::LocalStore => panic!("the local store is a Lapse's own"),
            Self::SeaweedFs => SEAWEEDFS.get_or_init(|| start("seaweedfs")),
            Self::MiniStack => MINISTACK.get_or_init(|| start("ministack")),
        };
        &started.root
    }

    /// A new bucket with a key of its own.
    pub fn place(self) -> Place {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let root = self.root();
        let bucket = format!("bucket-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        root.s3("create_bucket", &json!({"Bucket": bucket})).unwrap();
        let user = new_user(root, &format!("user-of-{bucket}"), &bucket);
        Place { server: self, bucket, user, root: root.clone() }
    }

    /// The name after `--provider`.
    pub fn provider(self) -> &'static str {
        match self {
            Self::LocalStore => "local",
            Self::SeaweedFs => "seaweedfs",
            Self::MiniStack => "other",
        }
    }
}

impl Place {
    /// One call of boto3 with the server's own key.
    pub fn s3(&self, call: &str, args: &Value) -> Result<Value, String> {
        self.root.s3(call, args)
    }
}

struct Started {
    root: Caller,
    _rig: Rig,
    _folder: TempDir,
}

fn start(kind: &str) -> Started {
    let folder = scratch();
    let rig = Rig::start(
        Command::new(python()).arg(servers().join("server.py")).arg(kind).arg(folder.path()),
    );
    let ready: Value = serde_json::from_str(&rig.ready).unwrap();
    let field = |name: &str| ready[name].as_str().unwrap();
    let root = Caller::new(field("endpoint"), field("access_key"), field("secret_key"));
    Started { root, _rig: rig, _folder: folder }
}

fn new_user(root: &Caller, name: &str, bucket: &str) -> Caller {
    let iam = |call: &str, args: Value| root.call("iam", call, &args).unwrap();
    iam("create_user", json!({"UserName": name}));
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow", "Action": "s3:*",
            "Resource": [format!("arn:aws:s3:::{bucket}"), format!("arn:aws:s3:::{bucket}/*")],
        }],
    });
    iam(
        "put_user_policy",
        json!({
            "UserName": name, "PolicyName": "own-bucket", "PolicyDocument": policy.to_string(),
        }),
    );
    let key = &iam("create_access_key", json!({"UserName": name}))["AccessKey"];
    let field = |name: &str| key[name].as_str().unwrap();
    Caller::new(&root.endpoint, field("AccessKeyId"), field("SecretAccessKey"))
}
