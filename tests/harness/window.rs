//! The real window, on a screen of its own, in the hands of someone with a mouse, a keyboard and a clipboard.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::lapse::{Lapse, Output, binary};
use crate::link::Link;
use crate::rig::{Rig, servers};
use crate::wait_for;

/// Nothing in the window takes longer, however busy the machine is.
const LIMIT: Duration = Duration::from_mins(1);

/// One person's window. It ends with this.
#[derive(Debug)]
pub struct Window {
    /// The command line of the same person, on the same screen.
    pub lapse: Lapse,
    runtime: Runtime,
    client: Option<Client>,
    driver: String,
    args: Vec<OsString>,
    // The last: it stops what is left.
    _rig: Rig,
}

/// What someone drags over the window.
#[derive(Debug, Clone, Copy)]
pub enum Drag<'a> {
    /// Files.
    Files(&'a [PathBuf]),
    /// Files that leave the window again, and are let go of elsewhere.
    Away(&'a [PathBuf]),
    /// The address of a web page.
    Address(&'a str),
    /// Words that were marked in another window.
    Text(&'a str),
}

impl Window {
    /// The window of someone who never started Lapse before, with a real, open keychain.
    pub fn new() -> Self {
        Self::of(Lapse::with_keychain("present"), &[] as &[&str])
    }

    /// `lapse-desktop` with these words, for a Lapse that has a session bus: there is one window on each.
    pub fn of<A: AsRef<OsStr>>(lapse: Lapse, args: &[A]) -> Self {
        Self::below(lapse, &[], args)
    }

    /// The window of someone whose files of Lapse are on a disk of so many KiB, which nobody else sees.
    pub fn on_small_disk(kib: u32) -> Self {
        let lapse = Lapse::with_keychain("present");
        std::fs::create_dir_all(lapse.home()).unwrap();
        let mount =
            format!("mount -t tmpfs -o size={kib}k,mode=700 tmpfs \"$LAPSE_HOME\" && exec \"$@\"");
        let as_root: &[&str] =
            if rustix::process::geteuid().is_root() { &[] } else { &["--map-root-user"] };
        let words = [&["unshare", "--mount"], as_root, &["sh", "-c", &mount, "sh"]].concat();
        Self::below(lapse, &words, &[] as &[&str])
    }

    fn below<A: AsRef<OsStr>>(lapse: Lapse, above: &[&str], args: &[A]) -> Self {
        let mut lapse = lapse;
        // The superuser reads everything, so it is asked to do without that.
        let humble = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"];
        let runner: &[&str] = if rustix::process::geteuid().is_root() { &humble } else { &[] };
        let mut ports = free_ports();
        let rig = Rig::start_again(|| {
            ports = free_ports();
            let mut words: Vec<OsString> = above.iter().chain(runner).map(OsString::from).collect();
            words.push(servers().join("window.sh").into());
            words.extend(ports.map(|port| port.to_string().into()));
            let mut command = lapse.any(&words);
            command.env("TMPDIR", std::env::temp_dir());
            command
        });
        let [port, _] = ports;
        let (name, display) = rig.variable();
        lapse.set(name, display);
        lapse.set("GDK_BACKEND", "x11");
        let mut window = Self {
            lapse,
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            client: None,
            driver: format!("http://127.0.0.1:{port}"),
            args: args.iter().map(|arg| arg.as_ref().to_owned()).collect(),
            _rig: rig,
        };
        window.start();
        window
    }

    /// Starts the program that isn't running, and waits until its page is there.
    pub fn start(&mut self) {
        assert!(self.client.is_none(), "it runs");
        let args: Vec<&str> = self.args.iter().map(|arg| arg.to_str().unwrap()).collect();
        let Value::Object(wanted) = json!({
            "tauri:options": {"application": program(), "args": args},
        }) else {
            unreachable!()
        };
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(wanted);
        let client = self.in_time(builder.connect(&self.driver)).expect("no answer of the driver");
        self.client = Some(client.expect("the window doesn't open"));
        wait_for("the page is there", LIMIT, || {
            (self.script("return document.readyState") == json!("complete")).then_some(())
        });
    }

    /// Ends a session with the driver, if that still answers.
    fn end(&self, client: Client) {
        let _ = self.in_time(client.close());
    }

    fn kill_program(&self) {
        if let Some(pid) = self.pid().and_then(rustix::process::Pid::from_raw) {
            // It may have ended since it was looked for.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }

    /// Ends the program at once, as a crash would.
    pub fn kill(&mut self) {
        let client = self.client.take().expect("it runs");
        self.kill_program();
        self.end(client);
        self.wait_for_end();
    }

    /// Ends the program at once, then starts it again.
    pub fn restart(&mut self) {
        self.kill();
        self.start();
    }

    /// Waits until no program of this window runs any more.
    pub fn wait_for_end(&mut self) {
        wait_for("the end of the program", LIMIT, || self.pid().is_none().then_some(()));
        if let Some(client) = self.client.take() {
            self.end(client);
        }
    }

    /// Starts the program once more, as a file manager does, and waits for the end of that.
    pub fn start_again<A: AsRef<OsStr>>(&self, folder: &Path, args: &[A]) -> Output {
        let mut words: Vec<OsString> = vec![program().into()];
        words.extend(args.iter().map(|arg| arg.as_ref().to_owned()));
        Output::of(self.lapse.any(&words).current_dir(folder))
    }

    /// The process that runs, if one does.
    pub fn pid(&self) -> Option<i32> {
        let home = format!("LAPSE_HOME={}", self.lapse.home().display());
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        processes.filter_map(|process| process.file_name().to_str()?.parse().ok()).find(|pid| {
            let read =
                |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
            let of_program = read("cmdline").split(|byte| *byte == 0).next()
                == Some(program().as_os_str().as_encoded_bytes());
            of_program
                && read("environ").split(|byte| *byte == 0).any(|line| line == home.as_bytes())
        })
    }

    /// The X window, once it is on the screen.
    pub fn id(&self) -> String {
        wait_for("the window is on the screen", LIMIT, || self.seen())
    }

    /// Whether it is on the screen.
    pub fn is_visible(&self) -> bool {
        self.seen().is_some()
    }

    /// `WebKit` has other windows of the same name that nobody sees.
    fn seen(&self) -> Option<String> {
        self.seen_where(|name| name == "Lapse")
    }

    fn seen_where(&self, is_meant: impl Fn(&str) -> bool) -> Option<String> {
        let found =
            self.x(&["xdotool", "search", "--onlyvisible", "--class", "lapse-desktop"]).stdout;
        found.lines().map(str::to_owned).find(|id| {
            let place = self.x(&["xdotool", "getwindowgeometry", "--shell", id]).stdout;
            let width = place.lines().find_map(|line| line.strip_prefix("WIDTH="));
            let is_large =
                width.and_then(|width| width.parse().ok()).is_some_and(|width: u32| width > 100);
            is_large && is_meant(self.x(&["xdotool", "getwindowname", id]).stdout.trim())
        })
    }

    /// What JavaScript in the page gives; the arguments are `arguments[0]` and so on.
    pub fn script_with(&self, script: &str, args: Vec<Value>) -> Value {
        self.in_time(self.client().execute(script, args))
            .unwrap_or_else(|| panic!("the page doesn't answer: {script}"))
            .unwrap_or_else(|e| panic!("{script}: {e}"))
    }

    /// What JavaScript in the page gives.
    pub fn script(&self, script: &str) -> Value {
        self.script_with(script, Vec::new())
    }

    /// All that can be read in the window now.
    pub fn text(&self) -> String {
        self.script("return document.body.innerText").as_str().unwrap_or_default().to_owned()
    }

    /// Whether something can be read in the window now, on however many lines.
    pub fn says(&self, words: &str) -> bool {
        self.text().split_whitespace().collect::<Vec<_>>().join(" ").contains(words)
    }

    /// Waits until something can be read in the window.
    pub fn wait_for(&self, words: &str) {
        self.waited(&format!("«{words}» in the window"), || self.says(words).then_some(()));
    }

    /// Waits until something can't be read in the window any more.
    pub fn wait_until_gone(&self, words: &str) {
        self.waited(&format!("no «{words}» in the window"), || (!self.says(words)).then_some(()));
    }

    /// Clicks the first thing that a CSS selector finds and that can be clicked.
    pub fn click(&self, css: &str) {
        self.act(Locator::Css(css), |element| async move { element.click().await });
    }

    /// Presses the first button, tab or link of this name: what it says, alone or as its title, or what a screen
    /// reader says of it.
    pub fn press(&self, name: &str) {
        self.act(Locator::XPath(&named(name)), |element| async move { element.click().await });
    }

    /// Presses a button like [`press`](Self::press), and waits until the program has ended, which it does so quickly
    /// that the press may go unanswered.
    pub fn press_last(&mut self, name: &str) {
        let path = named(name);
        self.waited("the end of the program", || {
            self.try_act(Locator::XPath(&path), |element| async move { element.click().await });
            self.pid().is_none().then_some(())
        });
        self.wait_for_end();
    }

    /// Writes into the field whose label says this.
    pub fn fill(&self, label: &str, words: &str) {
        assert!(!label.contains('"'));
        let path = format!(
            "//*[self::input or self::textarea]\
             [@aria-label=\"{label}\" or @id=//label[normalize-space(.)=\"{label}\"]/@for \
             or ancestor::label[contains(normalize-space(.), \"{label}\")]]"
        );
        self.act(Locator::XPath(&path), |element| {
            let words = words.to_owned();
            async move {
                element.clear().await?;
                element.send_keys(&words).await
            }
        });
    }

    /// Presses keys as a person does, such as `ctrl+v` or `Tab`.
    pub fn keys(&self, keys: &[&str]) {
        let id = self.id();
        self.x(&["xdotool", "windowfocus", "--sync", &id]);
        let words = [&["xdotool", "key", "--clearmodifiers"], keys].concat();
        self.x(&words);
    }

    /// Leaves the system's dialog that is open, or opens now, by Escape.
    pub fn cancel_dialog(&self) {
        let dialog = || self.seen_where(|name| name != "Lapse");
        let id = self.waited("a dialog", dialog);
        self.x(&["xdotool", "windowactivate", "--sync", &id]);
        self.x(&["xdotool", "key", "Escape"]);
        self.waited("the end of the dialog", || dialog().is_none().then_some(()));
    }

    /// Moves the mouse to where nothing lights up under it.
    pub fn point_away(&self) {
        self.x(&["xdotool", "mousemove", "1279", "899"]);
    }

    /// Presses the window's own close button.
    pub fn close(&self) {
        // As a taskbar asks the window manager to; a key would close what is active.
        let asked = self.x(&["wmctrl", "-i", "-c", &self.id()]);
        assert_eq!(asked.code, Some(0), "{asked:?}");
    }

    /// Drags something over the window and lets go. Gives whether the window took it.
    pub fn drag(&self, drag: Drag<'_>) -> bool {
        let mut words: Vec<OsString> = vec![servers().join("drop.py").into(), self.id().into()];
        match drag {
            Drag::Files(files) => words.extend(files.iter().map(OsString::from)),
            Drag::Away(files) => {
                words.push("--away".into());
                words.extend(files.iter().map(OsString::from));
            }
            Drag::Address(address) => words.extend(["--address", address].map(OsString::from)),
            Drag::Text(text) => words.extend(["--text", text].map(OsString::from)),
        }
        let output = Output::of(&mut self.lapse.any(&words));
        assert!([Some(0), Some(3)].contains(&output.code), "{output:#?}");
        output.code == Some(0)
    }

    /// Drops files on it, which it must take.
    pub fn drop_files<P: AsRef<Path>>(&self, files: &[P]) {
        let files: Vec<PathBuf> = files.iter().map(|file| file.as_ref().to_owned()).collect();
        // A window that is busy answers too late, and then nothing is dropped.
        let took = (0..3).any(|_| self.drag(Drag::Files(&files)));
        assert!(took, "the window refuses {files:?}");
    }

    /// The name of what the keyboard is at.
    pub fn focused(&self) -> String {
        let script = "const at = document.activeElement;
            return at.labels?.[0]?.textContent ?? at.getAttribute('aria-label') ?? at.textContent";
        self.script(script).as_str().unwrap_or_default().trim().to_owned()
    }

    /// What another program would paste now.
    pub fn clipboard(&self) -> Option<String> {
        // It waits for ever when the owner goes just now.
        let words = ["timeout", "5", "xclip", "-selection", "clipboard", "-o"];
        let pasted = self.lapse.any(&words).output().unwrap();
        // It may be a picture.
        pasted.status.success().then(|| String::from_utf8(pasted.stdout).ok()).flatten()
    }

    /// The links on the clipboard, as soon as there are so many and they aren't `before`.
    pub fn copied_links(&self, count: usize, before: &[Link]) -> Vec<Link> {
        self.waited(&format!("{count} new links on the clipboard"), || {
            let text = self.clipboard()?;
            let links: Vec<Link> = text
                .lines()
                .filter(|line| line.contains("X-Amz-Signature="))
                .map(|line| Link(line.to_owned()))
                .collect();
            (links.len() == count && links != before).then_some(links)
        })
    }

    /// The one link on the clipboard, as soon as there is one.
    pub fn copied_link(&self) -> Link {
        self.copied_links(1, &[]).remove(0)
    }

    /// Another program puts something on the clipboard: `text/uri-list`, `image/png`, `UTF8_STRING`…
    pub fn copy_elsewhere(&self, kind: &str, content: &[u8]) {
        let words = ["xclip", "-selection", "clipboard", "-in", "-t", kind];
        let mut xclip = self.lapse.any(&words);
        let mut child = xclip
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(content).unwrap();
        assert!(child.wait().unwrap().success(), "xclip doesn't take {kind}");
        self.waited("the clipboard is the other program's", || {
            let targets = ["xclip", "-selection", "clipboard", "-o", "-t", "TARGETS"];
            self.x(&targets).stdout.lines().any(|target| target == kind).then_some(())
        });
    }

    /// A picture of what the page shows, as PNG.
    pub fn screenshot(&self, file: &Path) {
        let picture = self.in_time(self.client().screenshot()).unwrap().unwrap();
        std::fs::write(file, picture).unwrap();
    }

    fn client(&self) -> &Client {
        self.client.as_ref().expect("it doesn't run")
    }

    /// A program of someone else on the same screen.
    fn x(&self, words: &[&str]) -> Output {
        Output::of(&mut self.lapse.any(words))
    }

    /// Waits until a condition gives something, and shows what is in the window when that was in vain.
    pub fn waited<T>(&self, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
        let end = std::time::Instant::now() + LIMIT;
        loop {
            if let Some(value) = condition() {
                return value;
            }
            assert!(
                std::time::Instant::now() < end,
                "waited {LIMIT:?} in vain: {what}. The window says:\n{}",
                if self.pid().is_some() { self.text() } else { "nothing: it has ended".to_owned() }
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Does something with an element, once that works: what is drawn anew or moves is tried again.
    fn act<F>(&self, what: Locator<'_>, action: impl Fn(Element) -> F)
    where
        F: Future<Output = Result<(), CmdError>>,
    {
        self.waited(&format!("{what:?} can be used"), || self.try_act(what, &action));
    }

    fn try_act<F>(&self, what: Locator<'_>, action: impl Fn(Element) -> F) -> Option<()>
    where
        F: Future<Output = Result<(), CmdError>>,
    {
        self.in_time(async {
            for element in self.client().find_all(what).await.ok()? {
                if element.is_displayed().await.unwrap_or(false) && action(element).await.is_ok() {
                    return Some(());
                }
            }
            None
        })
        .flatten()
    }

    /// What the driver answers, unless it never does.
    fn in_time<T>(&self, asked: impl Future<Output = T>) -> Option<T> {
        let limited = async { tokio::time::timeout(LIMIT, asked).await.ok() };
        self.runtime.block_on(limited)
    }
}

impl Default for Window {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // A program that ends by itself meanwhile has kept the driver waiting.
        self.kill_program();
        if let Some(client) = self.client.take() {
            self.end(client);
        }
    }
}

/// The `lapse-desktop` under test: `LAPSE_DESKTOP_BIN`, or the one beside `lapse`.
pub fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("LAPSE_DESKTOP_BIN") {
        return path.into();
    }
    let path = binary().with_file_name("lapse-desktop");
    assert!(path.exists(), "{} isn't built: `src-tauri/linux/package.sh debug`", path.display());
    path
}

/// What finds the button, tab or link of a name.
fn named(name: &str) -> String {
    assert!(!name.contains('"'));
    format!(
        "//*[self::button or self::a or self::label or self::summary or @role='tab' or @role='radio' or @role='option']\
         [descendant-or-self::*[normalize-space(translate(., '\u{a0}', ' '))=\"{name}\"] or @aria-label=\"{name}\"]"
    )
}

/// Two ports that nobody listens on.
fn free_ports() -> [u16; 2] {
    // Both are held until both are known.
    let held = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}
