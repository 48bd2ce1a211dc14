//! The store that blocks is the one thing here that isn't real: it stands for a prompt that nobody
//! answers. The system's keychain is tested through the command line, on a real Secret Service.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::{Failure, Keychain, SecretStore, Sensitive, held};

fn secret(text: &str) -> Sensitive<String> {
    Sensitive::new(text.to_owned())
}

async fn read(keychain: &Keychain, name: &str) -> Option<String> {
    keychain.get(name).await.unwrap().map(|secret| secret.expose().clone())
}

#[test]
fn a_secret_is_never_printed_nor_serialized() {
    #[derive(Debug, Clone, serde::Serialize)]
    struct Keys {
        id: &'static str,
        secret: Sensitive<String>,
    }
    let keys = Keys { id: "AKIA", secret: secret("hunter2") };
    assert_eq!(format!("{:?}", keys.clone()), r#"Keys { id: "AKIA", secret: [redacted] }"#);
    assert_eq!(serde_json::to_string(&keys).unwrap(), r#"{"id":"AKIA","secret":"[redacted]"}"#);
    assert_eq!(keys.secret.expose(), "hunter2");
}

#[test]
fn a_dropped_secret_is_overwritten() {
    #[derive(Clone)]
    struct Watched<'a>(&'a AtomicUsize);
    impl zeroize::Zeroize for Watched<'_> {
        fn zeroize(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let overwritten = AtomicUsize::new(0);
    let first = Sensitive::new(Watched(&overwritten));
    drop(first.clone());
    assert_eq!(overwritten.load(Ordering::SeqCst), 1);
    drop(first);
    assert_eq!(overwritten.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn secrets_of_this_run_are_kept_replaced_and_forgotten() {
    keeps_replaces_and_forgets(&Keychain::this_run()).await;
    assert_eq!(read(&Keychain::this_run(), "a").await, None);
}

async fn keeps_replaces_and_forgets(keychain: &Keychain) {
    assert_eq!(read(keychain, "a").await, None);
    keychain.delete("a").await.unwrap();
    keychain.set("a", &secret("one")).await.unwrap();
    keychain.set("b", &secret("t\"w\\o\n\u{1F511}")).await.unwrap();
    keychain.set("a", &secret("three")).await.unwrap();
    assert_eq!(read(keychain, "a").await.as_deref(), Some("three"));
    assert_eq!(read(keychain, "b").await.as_deref(), Some("t\"w\\o\n\u{1F511}"));
    keychain.delete("a").await.unwrap();
    assert_eq!(read(keychain, "a").await, None);
    assert_eq!(read(keychain, "b").await.as_deref(), Some("t\"w\\o\n\u{1F511}"));
}

/// A keychain that counts its calls and answers each only after `go` was told so.
struct Prompting {
    go: Mutex<Receiver<()>>,
    calls: Sender<String>,
}

impl SecretStore for Prompting {
    fn get(&self, name: &str) -> Result<Option<Sensitive<String>>, Failure> {
        self.calls.send(name.to_owned()).unwrap();
        if name == "dead" {
            loop {
                std::thread::park();
            }
        }
        held(&self.go).recv().unwrap();
        Ok(Some(secret("answered")))
    }

    fn set(&self, _: &str, _: &Sensitive<String>) -> Result<(), Failure> {
        panic!("the library broke")
    }

    fn delete(&self, _: &str) -> Result<(), Failure> {
        Ok(())
    }

    fn look(&self) -> Result<(), Failure> {
        Ok(())
    }
}

/// The keychain, the end that answers its prompt, and what it was asked.
fn prompting(limit: Duration) -> (Keychain, Sender<()>, Receiver<String>) {
    let (answer, go) = channel();
    let (calls, asked) = channel();
    let keychain = Keychain::over(Prompting { go: Mutex::new(go), calls }).with_limit(limit);
    (keychain, answer, asked)
}

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_prompt_that_nobody_answers_times_out_and_asks_only_once() {
    let (keychain, answer, asked) = prompting(LONG);
    let keychain = keychain.with_limit(SHORT);
    assert_eq!(keychain.get("first").await.unwrap_err(), Failure::TimedOut);
    assert_eq!(keychain.get("second").await.unwrap_err(), Failure::TimedOut);
    // The person comes back: the answer counts for who asks now, and no second prompt was waiting.
    let keychain = keychain.with_limit(LONG);
    answer.send(()).unwrap();
    answer.send(()).unwrap();
    assert_eq!(read(&keychain, "third").await.as_deref(), Some("answered"));
    assert_eq!(asked.try_iter().collect::<Vec<_>>(), ["first", "third"]);
}

#[tokio::test]
async fn a_keychain_that_died_behind_its_prompt_is_given_up_in_the_end() {
    let (keychain, answer, asked) = prompting(SHORT);
    answer.send(()).unwrap();
    assert_eq!(keychain.get("dead").await.unwrap_err(), Failure::TimedOut);
    let asked_again = async { while keychain.delete("x").await.is_err() {} };
    tokio::time::timeout(LONG, asked_again).await.unwrap();
    assert_eq!(asked.try_iter().collect::<Vec<_>>(), ["dead"]);
}

#[tokio::test]
async fn a_panic_in_a_keychain_library_fails_that_call_only() {
    let (keychain, answer, _asked) = prompting(LONG);
    assert!(matches!(keychain.set("a", &secret("s")).await, Err(Failure::Other(_))));
    answer.send(()).unwrap();
    assert_eq!(read(&keychain, "a").await.as_deref(), Some("answered"));
}

fn opened(path: &Path, passphrase: &str) -> Keychain {
    Keychain::passphrase_file(path.to_owned(), secret(passphrase))
}

#[tokio::test]
async fn a_passphrase_file_keeps_secrets_from_one_run_to_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("made/when needed/secrets.age");
    let keychain = opened(&path, "correct horse");
    assert_eq!(read(&keychain, "a").await, None);
    assert!(!path.exists(), "reading makes no file");
    keeps_replaces_and_forgets(&keychain).await;

    let later = opened(&path, "correct horse");
    assert_eq!(read(&later, "b").await.as_deref(), Some("t\"w\\o\n\u{1F511}"));
    // One run sees what another has written meanwhile.
    later.set("c", &secret("new")).await.unwrap();
    assert_eq!(read(&keychain, "c").await.as_deref(), Some("new"));
}

#[tokio::test]
async fn a_passphrase_file_is_private_and_shows_neither_names_nor_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("home/secrets.age");
    opened(&path, "correct horse").set("AKIA-NAME", &secret("wJalrXUtnFEMI")).await.unwrap();

    let mut names = Vec::new();
    for entry in path.parent().unwrap().read_dir().unwrap() {
        let entry = entry.unwrap();
        let bytes = std::fs::read(entry.path()).unwrap();
        for clear in ["AKIA-NAME", "wJalrXUtnFEMI"] {
            assert!(!bytes.windows(clear.len()).any(|window| window == clear.as_bytes()));
        }
        #[cfg(unix)]
        assert_eq!(mode(&entry.path()), 0o600, "{:?}", entry.path());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["secrets.age", "secrets.age.lock"], "nothing else is left");
    #[cfg(unix)]
    assert_eq!(mode(path.parent().unwrap()), 0o700);
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_wrong_passphrase_is_told_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secrets.age");
    opened(&path, "correct horse").set("a", &secret("kept")).await.unwrap();
    let before = std::fs::read(&path).unwrap();

    let wrong = opened(&path, "battery staple");
    assert_eq!(wrong.get("a").await.unwrap_err(), Failure::WrongPassphrase);
    assert_eq!(wrong.set("a", &secret("lost")).await.unwrap_err(), Failure::WrongPassphrase);
    assert_eq!(wrong.delete("a").await.unwrap_err(), Failure::WrongPassphrase);
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_damaged_file_is_told_apart_from_a_wrong_passphrase_and_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secrets.age");
    opened(&path, "correct horse").set("a", &secret("kept")).await.unwrap();
    let whole = std::fs::read(&path).unwrap();

    let mut turned = whole.clone();
    *turned.last_mut().unwrap() ^= 1;
    let heavy = String::from_utf8_lossy(&whole).replacen(" 16\n", " 30\n", 1).into_bytes();
    for damaged in [Vec::new(), whole[..whole.len() - 9].to_vec(), b"{}".to_vec(), turned, heavy] {
        std::fs::write(&path, &damaged).unwrap();
        let keychain = opened(&path, "correct horse");
        for failure in [
            keychain.get("a").await.map(drop).unwrap_err(),
            keychain.set("a", &secret("lost")).await.unwrap_err(),
        ] {
            assert!(
                matches!(&failure, Failure::Other(text) if text.contains("secrets.age")),
                "{failure:?}"
            );
        }
        assert_eq!(std::fs::read(&path).unwrap(), damaged);
    }
    std::fs::write(&path, whole).unwrap();
    assert_eq!(read(&opened(&path, "correct horse"), "a").await.as_deref(), Some("kept"));
}

#[tokio::test]
async fn what_a_crash_left_behind_is_no_hindrance() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secrets.age");
    std::fs::write(dir.path().join("secrets.age.new"), "half").unwrap();
    std::fs::write(dir.path().join("secrets.age.lock"), "").unwrap();
    opened(&path, "correct horse").set("a", &secret("kept")).await.unwrap();
    assert_eq!(read(&opened(&path, "correct horse"), "a").await.as_deref(), Some("kept"));
    assert!(!dir.path().join("secrets.age.new").exists());
}

/// Each keychain has its own open lock file, so to the system they are as strange as two processes.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writers_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secrets.age");
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..2 {
        let keychain = opened(&path, "correct horse");
        writers.spawn(async move {
            for n in 0..2 {
                keychain.set(&format!("{writer}-{n}"), &secret("kept")).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    let keychain = opened(&path, "correct horse");
    for writer in 0..2 {
        for n in 0..2 {
            assert_eq!(read(&keychain, &format!("{writer}-{n}")).await.as_deref(), Some("kept"));
        }
    }
}

#[cfg(unix)]
mod passphrase {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::{Path, PathBuf};

    use super::super::{Failure, read_passphrase};

    fn file(dir: &Path, bytes: &[u8], mode: u32) -> PathBuf {
        let path = dir.join(format!("{mode:o}-{}", bytes.len()));
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        path
    }

    fn refusal(path: &Path) -> String {
        match read_passphrase(path).unwrap_err() {
            Failure::Unsafe { path: told, why } => {
                assert_eq!(told, path);
                why
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_passphrase_is_the_files_content_without_one_newline() {
        let dir = tempfile::tempdir().unwrap();
        for (content, passphrase) in [
            ("correct horse", "correct horse"),
            ("correct horse\n", "correct horse"),
            ("correct horse \r\n", "correct horse "),
            ("two\nlines\n\n", "two\nlines\n"),
        ] {
            let path = file(dir.path(), content.as_bytes(), 0o600);
            assert_eq!(read_passphrase(&path).unwrap().expose(), passphrase);
        }
        assert_eq!(read_passphrase(&file(dir.path(), b"x", 0o400)).unwrap().expose(), "x");
    }

    #[test]
    fn a_passphrase_file_that_others_may_touch_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for mode in [0o604, 0o640, 0o620, 0o660, 0o644, 0o601] {
            let why = refusal(&file(dir.path(), b"correct horse", mode));
            assert!(why.contains(&format!("{mode:04o}")) && why.contains("0600"), "{why}");
        }
    }

    #[test]
    fn a_passphrase_file_of_another_user_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path(), b"correct horse", 0o600);
        if std::os::unix::fs::chown(&path, Some(12345), None).is_ok() {
            assert_eq!(refusal(&path), "belongs to another user");
        } else {
            // Only root can give a file away; anyone else can look at one of root's.
            assert_eq!(refusal(Path::new("/etc/passwd")), "belongs to another user");
        }
    }

    #[test]
    fn what_is_no_regular_file_is_refused_without_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path(), b"correct horse", 0o600);
        let link = dir.path().join("link");
        symlink(&path, &link).unwrap();
        assert_eq!(refusal(&link), "is a symbolic link");
        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        assert_eq!(refusal(&pipe), "isn't a regular file");
        assert_eq!(refusal(dir.path()), "isn't a regular file");
        assert_eq!(refusal(&dir.path().join("nothing")), "isn't there");
    }

    #[test]
    fn what_is_no_passphrase_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(refusal(&file(dir.path(), b"", 0o600)), "is empty");
        assert_eq!(refusal(&file(dir.path(), b"\n", 0o600)), "is empty");
        assert_eq!(refusal(&file(dir.path(), b"\xff\xfe", 0o600)), "isn't text in UTF-8");
        assert_eq!(
            refusal(&file(dir.path(), &vec![b'x'; 70_000], 0o600)),
            "is too long for a passphrase"
        );
    }
}
