//! Lapse, opened: what a front end talks to.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::Mutex;
use tracing::{Level, Metadata};

use crate::clock::ServerClock;
use crate::event::{Event, Sink};
use crate::history::{History, Rotation};
use crate::home::Home;
use crate::keychain::{self, Chosen, KeychainChoice, Sensitive};
use crate::local::{self, Hosted, StoreHost};
use crate::pace::Pacer;
use crate::profile::{Draft, LOCAL, Profile, SignIn};
use crate::settings::{LastRead, Settings, no_such_profile};
use crate::share::{ShareId, Uploads};
use crate::storage::probe::{self, Finding};
use crate::storage::{Bucket, Integrity, Keys, UnfinishedRule, keychain_error, sign_in};
use crate::{Code, Error, Result};

/// How long the keys of a bucket aren't asked for again: many files are shared one after the other.
const FRESH: Duration = Duration::from_secs(10);

/// The environment variable that names the passphrase file.
pub(crate) const PASSPHRASE_FILE: &str = "LAPSE_PASSPHRASE_FILE";

/// What a front end decides.
pub struct Options {
    /// Where Lapse keeps its files.
    pub home: Home,
    /// Where secrets are kept.
    pub keychain: KeychainChoice,
    /// How a store that nobody hosts is brought up.
    pub store_host: StoreHost,
    /// Hears what happens.
    pub sink: Arc<dyn Sink>,
}

/// Lapse, opened.
pub struct Lapse {
    pub(crate) home: Home,
    settings: LastRead,
    pub(crate) history: History,
    pub(crate) keychain: Chosen,
    pub(crate) store_host: StoreHost,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) hosted: Hosted,
    pub(crate) uploads: Uploads,
    pub(crate) pacer: Arc<Pacer>,
    /// Buckets that were opened a moment ago, with their connections.
    opened: Mutex<Vec<(Instant, Bucket)>>,
    /// The version of the database that was last told.
    seen_version: AtomicI64,
}

/// A profile, as it is listed.
#[derive(Debug)]
pub struct Listed {
    /// The profile; that of the local store only once it ran.
    pub profile: Option<Profile>,
    /// Its name.
    pub name: String,
    /// Whether shares go there when nothing is said.
    pub current: bool,
}

/// The key that signs a profile's links is gone from the keychain: a new one is the way on.
fn no_signer(profile: &str, access_key: &str) -> Error {
    Error::new(
        Code::Keychain,
        format!(
            "the secret of {access_key}, which signs the links of «{profile}», isn't in the keychain"
        ),
        format!("Make a new one: lapse profile signer create {profile} --help"),
    )
}

impl Lapse {
    /// Opens the database. A broken config.toml is told when it is needed.
    pub fn open(options: Options) -> Result<Self> {
        crate::point::set_up();
        let Options { home, keychain, store_host, sink } = options;
        let history = History::open(&home.database(), home.uploads())?;
        let keychain = Chosen::new(keychain, &home)?;
        let seen_version = history.version()?.into();
        Ok(Self {
            home,
            settings: LastRead::default(),
            history,
            keychain,
            store_host,
            sink,
            hosted: Hosted::default(),
            uploads: Uploads::default(),
            pacer: Arc::default(),
            opened: Mutex::default(),
            seen_version,
        })
    }

    /// How many files may be shared at once: enough for every request that may run, each with its file open.
    pub fn most_at_once(&self) -> usize {
        self.pacer.most_requests() * 9 / 8
    }

    /// Stops uploads under way and clears up after them.
    pub fn interrupt(&self) {
        self.uploads.stop_all();
    }

    /// Takes back [`Self::interrupt`]: uploads may begin again.
    pub fn go_on(&self) {
        self.uploads.go_on();
    }

    /// Whether [`Self::interrupt`] was called: what hasn't begun shouldn't.
    pub fn is_interrupted(&self) -> bool {
        self.uploads.is_stopped()
    }

    /// Whether another process wrote the database since this was last asked, or since it was opened. Cheap:
    /// it may be asked every second.
    pub fn changed_elsewhere(&self) -> Result<bool> {
        let now = self.history.version()?;
        Ok(self.seen_version.swap(now, Ordering::Relaxed) != now)
    }

    pub(crate) fn changed(&self, id: &ShareId) {
        self.sink.emit(Event::Changed(id));
    }

    pub(crate) fn notice(&self, id: &ShareId, text: impl Into<String>) {
        self.sink.emit(Event::Notice { id, code: None, text: text.into(), by_share: false });
    }

    /// A notice of what the share tells too, by its end or its reach.
    pub(crate) fn notice_of_share(
        &self,
        id: &ShareId,
        code: Option<Code>,
        text: impl Into<String>,
    ) {
        self.sink.emit(Event::Notice { id, code, text: text.into(), by_share: true });
    }

    /// config.toml as it stands now.
    pub fn settings(&self) -> Result<Arc<Settings>> {
        self.settings.read(&self.home.config_file())
    }

    /// Changes config.toml as it stands now: nobody else's change is lost.
    pub(crate) fn change_settings(
        &self,
        change: impl FnOnce(&mut Settings) -> Result<()>,
    ) -> Result<()> {
        Settings::change(&self.home, change)
    }

    /// The profile of a name, or the one in use. The local store is up when its profile is given.
    pub async fn profile(&self, name: Option<&str>) -> Result<Profile> {
        let settings = self.settings()?;
        let current = settings.current();
        match name.unwrap_or(&current) {
            LOCAL => {
                let host = local::ensure_up(self).await?;
                Profile::local(&host.endpoint, host.lan.as_deref())
            }
            name => {
                let mut profile = settings.profile(name)?;
                // A rotation that was cut off may not have come to the file yet.
                if let SignIn::AccessKey(id) = &mut profile.sign_in {
                    *id = self.history.key_now(id)?;
                }
                if let Some(signer) = &mut profile.signer {
                    signer.access_key = self.history.key_now(&signer.access_key)?;
                }
                Ok(profile)
            }
        }
    }

    /// The bucket of a profile, with the keys that sign now.
    pub(crate) async fn bucket(&self, profile: Profile) -> Result<Bucket> {
        let keys = self.keys(&profile, None).await?;
        let signer = match &profile.signer {
            Some(signer) => {
                let keys = self.keys(&profile, Some(&signer.access_key)).await;
                Some(keys.map_err(|error| match error.code {
                    Code::LinkNotKept => no_signer(&profile.name, &signer.access_key),
                    _ => error,
                })?)
            }
            None => None,
        };
        let bucket = self.open_bucket(profile, keys)?;
        Ok(match signer {
            Some(signer) => bucket.with_signer(signer),
            None => bucket,
        })
    }

    /// The bucket of a profile, by any keys.
    pub(crate) fn open_bucket(&self, profile: Profile, keys: Keys) -> Result<Bucket> {
        let clock = self.clock(&profile)?;
        Bucket::open(profile, keys, clock)
    }

    /// The same, as it was opened a moment ago where it was: its connections are kept, and what is known of it.
    pub(crate) async fn bucket_for_upload(&self, profile: Profile) -> Result<Bucket> {
        // Held while it is opened: many that begin together open it once.
        let mut opened = self.opened.lock().await;
        opened.retain(|(at, _)| at.elapsed() < FRESH);
        if let Some((_, known)) = opened.iter().find(|(_, bucket)| *bucket.profile() == profile) {
            return Ok(known.clone());
        }
        let bucket = self.bucket(profile).await?;
        opened.push((Instant::now(), bucket.clone()));
        Ok(bucket)
    }

    /// Opens a bucket anew the next time: its keys may have changed, its connections may be dead.
    pub(crate) async fn close_bucket(&self, bucket: &Bucket) {
        self.opened.lock().await.retain(|(_, other)| !other.is_same(bucket));
    }

    /// The same of all buckets.
    pub(crate) async fn close_buckets(&self) {
        self.opened.lock().await.clear();
    }

    /// How a bucket shows that what arrived is what was sent, in one request or in parts. Tried on it once, when
    /// that is first needed, and kept.
    pub(crate) async fn integrity(&self, bucket: &Bucket, parts: bool) -> Result<Integrity> {
        if bucket.profile().is_local() {
            return Ok(Integrity::Crc64);
        }
        let known = if parts { &bucket.known().in_parts } else { &bucket.known().in_one };
        let found = known.get_or_try_init(|| async {
            let name = &bucket.profile().name;
            let (_, mut findings) = self.history.findings(name)?.unwrap_or_default();
            if let Some(integrity) = probe::integrity_of(&findings, parts) {
                return Ok(integrity);
            }
            let new = probe::integrity(bucket, parts).await?;
            findings.retain(|finding| new.iter().all(|newer| newer.name != finding.name));
            findings.extend(new);
            self.history.set_findings(name, bucket.clock().now(), &findings)?;
            Ok::<_, Error>(probe::integrity_of(&findings, parts).unwrap_or(Integrity::Size))
        });
        found.await.copied()
    }

    /// The keys of a profile, or the older ones that `access_key` names.
    pub(crate) async fn keys(&self, profile: &Profile, access_key: Option<&str>) -> Result<Keys> {
        let keychain = self.keychain.keychain();
        let keys = sign_in(profile, access_key, &keychain, &self.home.store()).await?;
        if profile.is_local() && access_key.is_none() {
            // While it is rotated the store has two.
            let now = self.history.key_now(&keys.access_key)?;
            if now != keys.access_key {
                return sign_in(profile, Some(&now), &keychain, &self.home.store()).await;
            }
        }
        Ok(keys)
    }

    /// The keys that a profile of the AWS files gives, for one task and not to be kept.
    pub async fn aws_keys(&self, profile: Option<&str>, aws_profile: &str) -> Result<Keys> {
        let mut profile = self.profile(profile).await?;
        (profile.sign_in, profile.signer) = (SignIn::AwsProfile(aws_profile.to_owned()), None);
        self.keys(&profile, None).await
    }

    /// The server's clock as it was last seen.
    pub(crate) fn clock(&self, profile: &Profile) -> Result<ServerClock> {
        Ok(ServerClock::with_offset(self.history.clock_offset(&profile.endpoint.authority)?))
    }

    /// Keeps what a bucket's answers told of its clock, where that is new.
    pub(crate) fn keep_clock(&self, bucket: &Bucket) -> Result<()> {
        let ahead = bucket.clock().offset();
        if bucket.clock().is_kept(ahead) {
            return Ok(());
        }
        self.history.set_clock_offset(&bucket.profile().endpoint.authority, ahead)?;
        bucket.clock().keep(ahead);
        Ok(())
    }

    /// Every profile, the local store first.
    pub fn profiles(&self) -> Result<Vec<Listed>> {
        let settings = self.settings()?;
        let current = settings.current();
        let endpoint = local::endpoint(&self.home)?;
        let local = endpoint.map(|endpoint| Profile::local(&endpoint, None)).transpose()?;
        let mut listed =
            vec![Listed { profile: local, name: LOCAL.to_owned(), current: current == LOCAL }];
        for name in settings.names() {
            let profile = Some(settings.profile(&name)?);
            listed.push(Listed { profile, current: current == name, name });
        }
        Ok(listed)
    }

    /// Adds a profile once its keys open its bucket; the secret goes to the keychain. Without
    /// `create_bucket` a bucket that isn't there is an error ([`Code::NoSuchBucket`]).
    pub async fn add_profile(
        &self,
        draft: Draft,
        secret: Option<Sensitive<String>>,
        create_bucket: bool,
    ) -> Result<Profile> {
        let profile = draft.build()?;
        refuse_second(&*self.settings()?, &profile.name)?;
        let bucket = self.try_profile(profile, secret.as_ref(), create_bucket).await?;
        let profile = bucket.profile();
        self.keep_secret(profile, secret.as_ref()).await?;
        self.change_settings(|settings| {
            refuse_second(settings, &profile.name)?;
            settings.add(profile)?;
            if settings.current() == LOCAL && settings.names().len() == 1 {
                settings.use_profile(&profile.name)?;
            }
            Ok(())
        })?;
        self.keep_clock(&bucket)?;
        Ok(profile.clone())
    }

    /// Changes a profile once its keys open its bucket; `None` keeps the secret as it is. Links given before don't
    /// change. The name stays: shares know their profile by it.
    pub async fn edit_profile(
        &self,
        name: &str,
        mut draft: Draft,
        secret: Option<Sensitive<String>>,
    ) -> Result<Profile> {
        let before = self.settings()?.profile(name)?;
        name.clone_into(&mut draft.name);
        draft.ca_file = draft.ca_file.or(before.ca_file);
        draft.signer = draft.signer.or(before.signer);
        let after = draft.build()?;
        if after.endpoint != before.endpoint && self.live_links(name)? > 0 {
            return Err(Error::new(
                Code::Profile,
                format!("links of «{name}» live at {}", before.endpoint),
                "Add the new address as a storage of its own; these links could be neither checked nor revoked from there.",
            ));
        }
        let bucket = self.try_profile(after, secret.as_ref(), false).await?;
        let profile = bucket.profile();
        self.keep_secret(profile, secret.as_ref()).await?;
        self.change_settings(|settings| {
            settings.profile(name)?;
            settings.add(profile)
        })?;
        // What was found is of the bucket that was meant before.
        self.history.forget_findings(name)?;
        self.keep_clock(&bucket)?;
        Ok(profile.clone())
    }

    /// The bucket of a profile that isn't kept yet, once it was seen with the keys that were given for it.
    async fn try_profile(
        &self,
        profile: Profile,
        secret: Option<&Sensitive<String>>,
        create_bucket: bool,
    ) -> Result<Bucket> {
        let keys = match (&profile.sign_in, secret) {
            (SignIn::AccessKey(id), Some(secret)) => Keys::lasting(id, secret.clone()),
            _ => self.keys(&profile, None).await?,
        };
        let bucket = Bucket::open(profile, keys, ServerClock::default())?;
        match bucket.check_exists().await {
            Err(error) if error.code == Code::NoSuchBucket && create_bucket => {
                bucket.create().await
            }
            checked => checked,
        }?;
        Ok(bucket)
    }

    async fn keep_secret(
        &self,
        profile: &Profile,
        secret: Option<&Sensitive<String>>,
    ) -> Result<()> {
        let (SignIn::AccessKey(id), Some(secret)) = (&profile.sign_in, secret) else {
            return Ok(());
        };
        let name = profile.secret_name(id);
        self.keychain.keychain().set(&name, secret).await.map_err(keychain_error)
    }

    /// The names of the profiles in the AWS files, as the AWS tools find them; none where there are no such files, or
    /// none that can be read.
    pub async fn aws_profiles(&self) -> Vec<String> {
        let (files, env, found) = Default::default();
        let profiles = aws_config::profile::load(&files, &env, &found, None).await;
        let mut names: Vec<String> =
            profiles.iter().flat_map(|set| set.profiles().map(str::to_owned)).collect();
        names.sort();
        names
    }

    /// Makes a profile the one in use.
    pub fn use_profile(&self, name: &str) -> Result<()> {
        self.change_settings(|settings| settings.use_profile(name))
    }

    /// Forgets a profile, and its secret unless another profile uses it. The bucket isn't touched. While links
    /// of it live, `despite_links` must be given: they can't be taken back from here afterwards.
    pub async fn remove_profile(&self, name: &str, despite_links: bool) -> Result<()> {
        if name == LOCAL {
            return Err(Error::new(
                Code::Profile,
                "the local store is part of Lapse and can't be removed",
                "Stop it with `lapse store stop`; use another with `lapse profile use NAME`.",
            ));
        }
        let settings = self.settings()?;
        if !settings.names().iter().any(|known| known == name) {
            return Err(no_such_profile(name));
        }
        let profile = settings.profile(name)?;
        let now = self.clock(&profile)?.now();
        if !despite_links && self.history.live_links(name, now)? > 0 {
            return Err(Error::new(
                Code::Profile,
                format!("links of the profile «{name}» are still alive"),
                "Revoke them first, or add --keep-links: they then work until their end and can't be taken back from here.",
            ));
        }
        let is_open = |plan: &Rotation| plan.profile == name;
        if !despite_links && self.history.open_rotations()?.iter().any(is_open) {
            return Err(Error::new(
                Code::Profile,
                format!("revoking the links of «{name}» isn't finished, which needs its keys"),
                "Let Lapse finish it first: lapse list. Or add --keep-links: its links may then live until their end.",
            ));
        }
        let over = self.history.over_keys(name, now, Timestamp::MAX)?;
        let keys = profile.access_keys().into_iter().map(str::to_owned);
        for access_key in keys.chain(over.into_iter().map(|(_, old_key)| old_key)) {
            self.forget_key(&profile, &access_key, Some(name)).await?;
        }
        self.change_settings(|settings| settings.remove(name))?;
        self.history.forget_findings(name)
    }

    /// Deletes the secret of an access key, unless a profile needs it that isn't the one named.
    pub(crate) async fn forget_key(
        &self,
        profile: &Profile,
        access_key: &str,
        but: Option<&str>,
    ) -> Result<()> {
        let secret = profile.secret_name(access_key);
        let settings = self.settings()?;
        for name in settings.names().into_iter().filter(|name| Some(name.as_str()) != but) {
            let other = settings.profile(&name)?;
            if other.access_keys().iter().any(|key| other.secret_name(key) == secret) {
                return Ok(());
            }
        }
        self.keychain.keychain().delete(&secret).await.map_err(keychain_error)
    }

    /// Tries on the real bucket what a profile promises, tells each finding as it is known, and keeps them.
    pub async fn check_profile(&self, name: Option<&str>) -> Result<Vec<Finding>> {
        let bucket = self.bucket(self.profile(name).await?).await?;
        let findings = probe::run(&bucket, self.sink.as_ref()).await?;
        self.history.set_findings(&bucket.profile().name, bucket.clock().now(), &findings)?;
        self.keep_clock(&bucket)?;
        Ok(findings)
    }

    /// What the last check of a profile found, and when.
    pub fn last_findings(&self, name: &str) -> Result<Option<(jiff::Timestamp, Vec<Finding>)>> {
        self.history.findings(name)
    }

    /// Whether the bucket of a profile gives up uploads that nobody goes on with. Changes nothing.
    pub async fn unfinished_rule(&self, name: Option<&str>) -> Result<UnfinishedRule> {
        self.bucket(self.profile(name).await?).await?.unfinished_rule().await
    }

    /// Lets the bucket of a profile give up uploads that nobody goes on with, by a lifecycle rule of its own beside
    /// those that are there: only where the person has said so.
    pub async fn add_unfinished_rule(&self, name: Option<&str>) -> Result<()> {
        self.bucket(self.profile(name).await?).await?.add_unfinished_rule().await
    }

    /// Whether the local store runs, where, and what it holds.
    pub fn store_status(&self) -> Result<local::Status> {
        local::status(self)
    }

    /// Compares every file of the local store with the checksum that was kept of it, whether it runs or not.
    /// `progress` hears the bytes read so far. Blocks: keep it off the async threads.
    pub fn check_store(&self, progress: impl FnMut(u64)) -> Result<local::Checked> {
        local::check(&self.home, progress)
    }

    /// Ends the process that hosts the local store. Gives whether there was one.
    pub async fn stop_store(&self) -> Result<bool> {
        if self.stop_hosting().await {
            return Ok(true);
        }
        local::stop(&self.home).await
    }

    /// Hosts the local store until `stop`; `ready` hears the endpoint.
    pub async fn run_store(
        &self,
        ready: impl FnOnce(&str),
        stop: impl Future<Output = ()>,
    ) -> Result<()> {
        local::run(self, |info| ready(&info.endpoint), stop).await
    }

    /// Hosts the local store in the background, until it isn't needed any more.
    pub async fn run_store_in_background(&self, stop: impl Future<Output = ()>) -> Result<()> {
        local::run_background(self, stop).await
    }

    /// What any S3 client needs to use the local store: endpoint, and a key for its bucket only.
    pub async fn store_env(&self) -> Result<(String, Keys)> {
        let endpoint = local::ensure_up(self).await?.endpoint;
        let found = lapse_local_store::credentials(&self.home.store(), lapse_local_store::Key::Env)
            .map_err(|error| local::store_error(&error))?;
        Ok((
            endpoint,
            Keys::lasting(found.access_key.clone(), Sensitive::new(found.secret_key.clone())),
        ))
    }
}

fn refuse_second(settings: &Settings, name: &str) -> Result<()> {
    if !settings.names().iter().any(|known| known == name) {
        return Ok(());
    }
    Err(Error::new(
        Code::ProfileExists,
        format!("there is a profile «{name}» already"),
        format!("Choose another name, or remove it first: lapse profile remove {name}"),
    ))
}

/// Whether a log line of this origin may be written, whatever a person's `RUST_LOG` asks for: the SDK's
/// signer logs canonical requests, wires log headers and bodies, the store's protocol the signature it expected.
pub fn may_log(metadata: &Metadata<'_>) -> bool {
    const QUIET: &[&str] = &[
        "aws_sigv4",
        "aws_runtime",
        "aws_config",
        "aws_credential_types",
        "aws_sdk_s3",
        "aws_sdk_sts",
        "aws_sdk_sso",
        "aws_sdk_ssooidc",
        "aws_smithy_runtime",
        "aws_smithy_runtime_api",
        "aws_smithy_http_client",
        "h2",
        "hyper",
        "hyper_util",
        "rustls",
    ];
    let origin = metadata.target().split("::").next().unwrap_or_default();
    if origin == lapse_local_store::LOG_SILENT {
        return false;
    }
    let quiet = QUIET.contains(&origin) || keychain::LOG_QUIET.contains(&origin);
    !quiet || *metadata.level() <= Level::INFO
}

#[cfg(test)]
mod tests {
    use tracing::{Callsite, Level};

    #[test]
    fn no_filter_reaches_where_secrets_are_logged() {
        // Each macro has the metadata of its place.
        macro_rules! may {
            ($target:literal, $level:expr) => {{
                let callsite = tracing::callsite!(name: "x", kind: tracing::metadata::Kind::EVENT, target: $target, level: $level, fields: message);
                super::may_log(callsite.metadata())
            }};
        }
        assert!(may!("lapse_core::share", Level::TRACE));
        assert!(may!("aws_smithy_runtime::client", Level::INFO));
        assert!(may!("aws_smithy_runtime_more", Level::TRACE));
        assert!(!may!("aws_smithy_runtime::client::orchestrator", Level::TRACE));
        assert!(!may!("aws_sigv4", Level::DEBUG));
        assert!(!may!("zbus::connection", Level::TRACE));
        assert!(!may!("s3s::ops::signature", Level::ERROR));
    }
}
