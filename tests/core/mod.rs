//! Core, used as a window uses it: one `Lapse` that lives on while much happens at once.

use std::ops::Deref;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lapse_core::event::{Event, Sink};
use lapse_core::keychain::Sensitive;
use lapse_core::profile::{Draft, SignIn};
use lapse_core::share::{Request, ShareId, Shared, Source};
use lapse_core::{Home, KeychainChoice, Options, StoreHost};
use lapse_tests::faults::Throttle;
use lapse_tests::{Lapse, Link, lapse};

mod aws;
mod folders;
mod hosting;
mod keychain;
mod list;
mod preferences;
mod uploads;

/// No single step of a test takes longer.
const LIMIT: Duration = Duration::from_mins(1);

/// What a sink heard, as text: `started ID`, `sent ID BYTES`, `ended ID`, `changed ID`, `notice TEXT`.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Heard {
    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// Bytes of a share's upload, as they were told.
    fn all_sent(&self, id: &ShareId) -> Vec<u64> {
        let begin = format!("sent {id} ");
        let lines = self.lines();
        lines.iter().filter_map(|line| line.strip_prefix(&begin)?.parse().ok()).collect()
    }

    /// Bytes of a share's upload, as they were told last.
    fn sent(&self, id: &ShareId) -> u64 {
        self.all_sent(id).pop().unwrap_or_default()
    }

    /// The shares whose upload began, in order.
    fn started(&self) -> Vec<ShareId> {
        let lines = self.lines();
        lines.iter().filter_map(|line| line.strip_prefix("started ")?.parse().ok()).collect()
    }
}

impl Sink for Heard {
    fn emit(&self, event: Event<'_>) {
        let line = match event {
            Event::UploadStarted { id, .. } => format!("started {id}"),
            Event::UploadProgress { id, sent } => format!("sent {id} {sent}"),
            Event::UploadEnded { id } => format!("ended {id}"),
            Event::Changed(id) => format!("changed {id}"),
            Event::Notice { text, .. } => format!("notice {text}"),
            _ => return,
        };
        self.0.lock().unwrap().push(line);
    }
}

/// One opened core, and the command line with the same home.
#[derive(Clone)]
struct Core {
    lapse: Arc<lapse_core::Lapse>,
    heard: Arc<Heard>,
    cli: Arc<Lapse>,
}

impl Core {
    fn new() -> Self {
        Self::over(Lapse::new())
    }

    fn over(cli: Lapse) -> Self {
        Self::with(cli, KeychainChoice::ThisRun, StoreHost::Program(lapse::binary()))
    }

    fn with(cli: Lapse, keychain: KeychainChoice, store_host: StoreHost) -> Self {
        let heard = Arc::new(Heard::default());
        let options = Options {
            home: Home::at(&cli.home()).unwrap(),
            keychain,
            store_host,
            sink: Arc::clone(&heard) as Arc<dyn Sink>,
        };
        let lapse = Arc::new(lapse_core::Lapse::open(options).unwrap());
        Self { lapse, heard, cli: Arc::new(cli) }
    }

    /// Puts a slow line before the local store, and makes a profile that goes there the one in use.
    async fn behind(&self, bytes_per_second: u32) -> Throttle {
        let (caller, bucket) = self.cli.bucket();
        let throttle = Throttle::before(&caller.endpoint, bytes_per_second);
        let draft = Draft {
            name: "slow".to_owned(),
            provider: "other".to_owned(),
            endpoint: Some(throttle.fault.url()),
            region: Some("us-east-1".to_owned()),
            bucket,
            sign_in: Some(SignIn::AccessKey(caller.access_key)),
            ..Draft::default()
        };
        self.add_profile(draft, Some(Sensitive::new(caller.secret_key)), false).await.unwrap();
        throttle
    }

    async fn share_file(&self, path: &Path) -> lapse_core::Result<Shared> {
        self.share(request(Source::File(path.to_owned()))).await
    }

    /// Begins to share a file, and gives the share's id once its upload began.
    async fn begin(
        &self,
        path: &Path,
    ) -> (ShareId, tokio::task::JoinHandle<lapse_core::Result<Shared>>) {
        let before = self.heard.started().len();
        let (core, path) = (self.clone(), path.to_owned());
        let task = tokio::spawn(async move { core.share_file(&path).await });
        let id = self.until("the upload's begin", || self.heard.started().get(before).cloned());
        (id.await, task)
    }

    async fn until<T>(&self, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
        let waiting = async {
            loop {
                if let Some(value) = condition() {
                    break value;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let done = tokio::time::timeout(LIMIT, waiting).await.ok();
        assert!(done.is_some(), "waited in vain: {what}; heard {:?}", self.heard.lines());
        done.unwrap()
    }

    fn state(&self, id: &ShareId) -> &'static str {
        self.show(id).unwrap().state.as_str()
    }
}

impl Deref for Core {
    type Target = lapse_core::Lapse;

    fn deref(&self) -> &Self::Target {
        &self.lapse
    }
}

fn request(source: Source) -> Request {
    Request { source, name: None, expires: None, inline: false, profile: None, label: None }
}

fn link(shared: &Shared) -> Link {
    Link(shared.url.expose().clone())
}
