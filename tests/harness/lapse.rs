//! The real `lapse`, with a home of its own.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::link::Link;
use crate::peer::Caller;
use crate::rig::{Rig, scratch};
use crate::server::{Place, Server};
use crate::wait_for;

/// No single command of a test takes longer; one that does hangs.
const LIMIT: Duration = Duration::from_mins(3);

/// One person's Lapse: its own `LAPSE_HOME`, `HOME` and temporary folder, and nothing of the environment but `PATH`.
#[derive(Debug)]
pub struct Lapse {
    folder: TempDir,
    env: Vec<(OsString, OsString)>,
    keyring: Option<Rig>,
    place: Option<Place>,
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub struct Output {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// A share, as `lapse share --json` told it.
#[derive(Debug)]
pub struct Share {
    /// Its id.
    pub id: String,
    /// Its link.
    pub link: Link,
    /// The whole line.
    pub json: Value,
}

/// `profile add` for a bucket; how to sign in comes behind.
pub fn profile_words<'a>(name: &'a str, provider: &'a str, place: &'a Place) -> Vec<&'a str> {
    let endpoint = &place.user.endpoint;
    let words = ["profile", "add", name, "--provider", provider, "--endpoint", endpoint];
    let more = ["--region", "us-east-1", "--bucket", &place.bucket, "--path-style"];
    [&words[..], &more].concat()
}

impl Lapse {
    /// A Lapse that was never started before: its profile is the local store.
    pub fn new() -> Self {
        let folder = scratch();
        for name in ["home", "tmp", "run", "files"] {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        }
        Self { folder, env: Vec::new(), keyring: None, place: None }
    }

    /// A Lapse with a real, open keychain.
    pub fn with_keychain(mode: &str) -> Self {
        let mut lapse = Self::new();
        let rig = Rig::script("keyring.sh", &[mode]);
        let (name, value) = rig.variable();
        lapse.set(name, value);
        lapse.keyring = Some(rig);
        lapse
    }

    /// A Lapse whose profile is a new bucket on `server`, its secret in a real keychain.
    pub fn on(server: Server) -> Self {
        if server == Server::LocalStore {
            return Self::new();
        }
        let place = server.place();
        let endpoint = place.user.endpoint.clone();
        Self::by_way_of(place, endpoint)
    }

    /// The same for a bucket that is there, which its profile comes to at another address.
    pub fn by_way_of(place: Place, endpoint: String) -> Self {
        let mut lapse = Self::with_keychain("present");
        lapse.add_profile("test", &place.at(endpoint)).success();
        lapse.keep_place(place);
        lapse
    }

    /// `lapse profile add`, with the secret on standard input, then `lapse profile use`.
    pub fn add_profile(&self, name: &str, place: &Place) -> Output {
        let key = ["--access-key", &place.user.access_key, "--secret-stdin"];
        let words = profile_words(name, place.server.provider(), place).into_iter().chain(key);
        let added = self.run_with(words, place.user.secret_key.as_bytes());
        if added.code == Some(0) {
            self.run(["profile", "use", name]).success();
        }
        added
    }

    /// Adds a variable to the environment of each later command.
    pub fn set(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
    }

    /// `LAPSE_HOME`.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("lapse-home")
    }

    /// A folder of this Lapse: `home`, `tmp`, `run` or `files`.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Takes this bucket for the profile's own.
    pub fn keep_place(&mut self, place: Place) {
        self.place = Some(place);
    }

    /// How many items of the keychain hold this secret.
    pub fn secrets_in_keychain(&self, secret: &str) -> usize {
        let words = ["secret-tool", "search", "--all", "--unlock", "service", "lapse"];
        Output::of(&mut self.any(&words)).stdout.matches(secret).count()
    }

    /// The secret that the keychain has of an access key of the profile.
    pub fn secret_of(&self, access_key: &str) -> String {
        let host = self.place().user.endpoint.trim_start_matches("http://");
        let name = format!("{access_key}@{host}");
        let words = ["secret-tool", "lookup", "service", "lapse", "username", &name];
        Output::of(&mut self.any(&words)).success().stdout.trim().to_owned()
    }

    /// The bucket that was made for [`Lapse::on`].
    pub fn place(&self) -> &Place {
        self.place.as_ref().expect("this Lapse has no bucket of its own")
    }

    /// The keychain that this Lapse has.
    pub fn keyring(&mut self) -> &mut Rig {
        self.keyring.as_mut().expect("this Lapse has no keychain")
    }

    /// The profile's bucket and who may do everything in it.
    pub fn bucket(&self) -> (Caller, String) {
        match &self.place {
            Some(place) => (place.root.clone(), place.bucket.clone()),
            None => self.local_bucket(),
        }
    }

    /// One call of boto3 beside Lapse.
    pub fn s3(&self, call: &str, mut args: Value) -> Result<Value, String> {
        let (caller, bucket) = self.bucket();
        args["Bucket"] = json!(bucket);
        caller.s3(call, &args)
    }

    /// The keys in the profile's bucket.
    pub fn keys(&self) -> Vec<String> {
        let (caller, bucket) = self.bucket();
        caller.keys(&bucket)
    }

    fn local_bucket(&self) -> (Caller, String) {
        let env = self.run(["store", "env"]).success();
        let value = |name: &str| {
            let line =
                env.stdout.lines().find_map(|line| line.strip_prefix(&format!("export {name}=")));
            line.unwrap_or_else(|| panic!("no {name} in {env:?}"))
                .trim_matches(['\'', '"'])
                .to_owned()
        };
        let caller = Caller::new(
            &value("AWS_ENDPOINT_URL"),
            &value("AWS_ACCESS_KEY_ID"),
            &value("AWS_SECRET_ACCESS_KEY"),
        );
        (caller, "lapse".to_owned())
    }

    /// A file in this Lapse's own folder.
    pub fn file(&self, name: impl AsRef<OsStr>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder("files").join(name.as_ref());
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The command, not yet started; its standard input is empty.
    pub fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = self.around([], args);
        command.stdin(Stdio::null());
        command
    }

    /// The command, run by another one, such as `setpriv …`.
    pub fn around<A: AsRef<OsStr>>(
        &self,
        runner: impl IntoIterator<Item = &'static str>,
        args: impl IntoIterator<Item = A>,
    ) -> Command {
        let mut words: Vec<OsString> = runner.into_iter().map(OsString::from).collect();
        words.push(binary().into());
        words.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self.any(&words)
    }

    /// Any program in this Lapse's environment.
    pub fn any<A: AsRef<OsStr>>(&self, words: &[A]) -> Command {
        let mut command = Command::new(words[0].as_ref());
        command
            .args(&words[1..])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("LAPSE_HOME", self.home())
            .env("HOME", self.folder("home"))
            .env("TMPDIR", self.folder("tmp"))
            .env("XDG_RUNTIME_DIR", self.folder("run"))
            .env("LANG", "C.UTF-8")
            .env("TZ", "UTC")
            .envs(self.env.iter().cloned())
            .current_dir(self.folder("files"));
        command
    }

    /// Runs it to its end.
    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Output {
        Output::of(&mut self.command(args))
    }

    /// Runs it to its end with `input` on its standard input.
    pub fn run_with<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
        input: &[u8],
    ) -> Output {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(input).unwrap();
        file.rewind().unwrap();
        Output::of(self.command(args).stdin(file))
    }

    /// `lapse share FILE --json` and more words, which must work.
    pub fn share(&self, file: &Path, more: &[&str]) -> Share {
        let mut words = vec![
            OsStr::new("share"),
            OsStr::new("--json"),
            OsStr::new("--no-copy"),
            file.as_os_str(),
        ];
        words.extend(more.iter().map(OsStr::new));
        Share::of(self.run(words).success().json())
    }

    /// A share of `file` whose link is alive now, however busy the machine is.
    pub fn share_alive(&self, file: &Path, expires: &str) -> Share {
        wait_for("a link that is alive when first used", LIMIT, || {
            let share = self.share(file, &["--expires", expires]);
            let answer = share.link.get();
            if answer.status == 200 {
                return Some(share);
            }
            assert!(
                share.expires_at() <= jiff::Timestamp::now(),
                "a fresh link doesn't work: {answer:?}"
            );
            None
        })
    }

    /// The state that `lapse list` tells.
    pub fn state(&self, id: &str) -> String {
        let list = self.run(["list", "--json"]).success().lines();
        let share = list
            .iter()
            .find(|share| share["id"] == id)
            .unwrap_or_else(|| panic!("no {id} in {list:?}"));
        share["state"].as_str().unwrap().to_owned()
    }

    /// The state that `lapse check` finds.
    pub fn checked_state(&self, id: &str) -> String {
        let share = self.run(["check", id, "--json"]).success().json();
        share["state"].as_str().unwrap().to_owned()
    }

    /// The process that hosts the local store.
    pub fn store_pid(&self) -> i32 {
        let status = self.run(["store", "status", "--json"]).success().json();
        let pid = status["pid"].as_i64().unwrap_or_else(|| panic!("no store runs: {status}"));
        i32::try_from(pid).unwrap()
    }
}

impl Default for Lapse {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Lapse {
    fn drop(&mut self) {
        if self.home().join("store").exists() {
            let _ = Output::of(&mut self.command(["store", "stop"]));
        }
    }
}

impl Share {
    /// From a line of `--json`.
    pub fn of(json: Value) -> Self {
        let text = |name: &str| {
            json[name].as_str().unwrap_or_else(|| panic!("no {name} in {json}")).to_owned()
        };
        Self { id: text("id"), link: Link(text("url")), json }
    }

    /// When its link ends, as it was told.
    pub fn expires_at(&self) -> jiff::Timestamp {
        self.json["expires_at"].as_str().unwrap().parse().unwrap()
    }
}

impl Output {
    /// Runs a command to its end. What it prints goes to files: a child that it leaves behind can't hold us up.
    pub fn of(command: &mut Command) -> Self {
        let (out, err) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        command.stdout(out.try_clone().unwrap()).stderr(err.try_clone().unwrap());
        let child = command.spawn().unwrap_or_else(|e| panic!("can't start {command:?}: {e}"));
        Self::when_done(child, out, err, command)
    }

    fn when_done(mut child: Child, out: File, err: File, command: &Command) -> Self {
        let status =
            wait_for(&format!("the end of {command:?}"), LIMIT, || child.try_wait().unwrap());
        assert_ne!(status.signal(), Some(6), "{command:?} aborted: {}", text(err));
        Self { code: status.code(), stdout: text(out), stderr: text(err) }
    }

    /// Itself, when it exited with 0.
    pub fn success(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    /// Its only line of JSON.
    pub fn json(&self) -> Value {
        let lines = self.lines();
        assert_eq!(lines.len(), 1, "{self:#?}");
        lines.into_iter().next().unwrap()
    }

    /// Its lines of JSON.
    pub fn lines(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }

    /// The one line that a failed command says: `lapse: what happened. What to do.`
    pub fn complaint(&self) -> &str {
        let lines: Vec<_> =
            self.stderr.lines().filter(|line| line.starts_with("lapse: ")).collect();
        assert_eq!(lines.len(), 1, "not one line of complaint: {self:#?}");
        assert_eq!(
            lines,
            self.stderr.lines().collect::<Vec<_>>(),
            "more than a complaint: {self:#?}"
        );
        assert!(lines[0].contains(". "), "nothing says what to do: {self:#?}");
        assert!(!lines[0].to_lowercase().contains("panicked"), "{self:#?}");
        lines[0]
    }

    /// The `error` that a failed command with `--json` says.
    pub fn error(&self) -> Value {
        let line =
            self.stderr.lines().last().unwrap_or_else(|| panic!("nothing on stderr: {self:#?}"));
        let mut value: Value =
            serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {self:#?}"));
        value["error"].take()
    }

    /// The code of that error.
    pub fn error_code(&self) -> String {
        self.error()["code"].as_str().unwrap_or_else(|| panic!("no code: {self:#?}")).to_owned()
    }
}

/// The `lapse` under test: `LAPSE_BIN`, or the one that cargo built beside this test.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("LAPSE_BIN") {
        return path.into();
    }
    // target/debug/deps/lapse-… → target/debug/lapse
    let path = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("lapse");
    assert!(path.exists(), "{} isn't built: `cargo build -p lapse-cli`", path.display());
    path
}

fn text(mut file: File) -> String {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    String::from_utf8(bytes).expect("Lapse prints UTF-8")
}
