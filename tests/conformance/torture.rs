//! A folder in which everything happens at once, while whoever watches it is killed: in the end the bucket holds each
//! file that is there, once, and nothing that was never whole.

use std::collections::HashSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lapse_tests::watching::{Watching, add, contents, folder, sums};
use lapse_tests::{Lapse, Server};

/// How long it goes on, without a wish of `LAPSE_TORTURE_SECONDS`.
const SECONDS: u64 = 30;
/// A file that is written slowly is written so long: more than it takes to settle.
const SLOWLY: Duration = Duration::from_secs(5);

/// Small, fast and the same each time (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % most as u64).unwrap()
    }
}

/// What a person and their programs do.
struct Person {
    root: PathBuf,
    /// Beside the folder, on the same disk.
    beside: PathBuf,
    /// A copy of every content that was whole at any time.
    whole: PathBuf,
    dice: Dice,
    number: usize,
    /// Files that are there.
    files: Vec<PathBuf>,
    /// One that is being written.
    slow: Option<Slow>,
}

struct Slow {
    path: PathBuf,
    file: std::fs::File,
    rest: Vec<u8>,
    since: Instant,
}

impl Person {
    fn content(&mut self) -> Vec<u8> {
        self.number += 1;
        let length = [0, 10, 300, 20_000, 200_000][self.dice.below(5)];
        let content = format!("{} {}", self.number, "x".repeat(length)).into_bytes();
        self.was_whole(&content);
        content
    }

    fn was_whole(&mut self, content: &[u8]) {
        self.number += 1;
        std::fs::write(self.whole.join(self.number.to_string()), content).unwrap();
    }

    fn dir(&mut self) -> PathBuf {
        let depth = self.dice.below(4);
        let below: PathBuf = (0..depth).map(|_| ["a", "b", "c d"][self.dice.below(3)]).collect();
        let dir = self.root.join(below);
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    fn new_path(&mut self) -> PathBuf {
        let dir = self.dir();
        self.number += 1;
        let odd = ["file", "-dash", "two words", "nëw\nline", "\u{202e}gnp", ".png"];
        let name = format!("f{}{}", self.number, odd[self.dice.below(odd.len())]);
        dir.join(name)
    }

    fn any(&mut self) -> Option<PathBuf> {
        let there = self.files.len();
        (there > 0).then(|| {
            let at = self.dice.below(there);
            self.files.swap_remove(at)
        })
    }

    /// Writes half of a file, and much later the rest; it is open meanwhile.
    fn go_on_slowly(&mut self) {
        match self.slow.take() {
            Some(mut slow) if slow.since.elapsed() > SLOWLY => {
                slow.file.write_all(&slow.rest).unwrap();
                self.files.push(slow.path);
            }
            Some(slow) => self.slow = Some(slow),
            None => {
                let (path, mut content) = (self.new_path(), self.content());
                let rest = content.split_off(content.len() / 2);
                let mut file = std::fs::File::create(&path).unwrap();
                file.write_all(&content).unwrap();
                self.slow = Some(Slow { path, file, rest, since: Instant::now() });
            }
        }
    }

    fn act(&mut self) {
        self.go_on_slowly();
        match self.dice.below(14) {
            0..=3 => {
                let (path, content) = (self.new_path(), self.content());
                std::fs::write(&path, content).unwrap();
                self.files.push(path);
            }
            // As editors save: beside it, then in its place.
            4 => {
                if let Some(path) = self.any() {
                    let content = self.content();
                    let fresh = path.with_extension("tmp");
                    std::fs::write(&fresh, content).unwrap();
                    std::fs::rename(&fresh, &path).unwrap();
                    self.files.push(path);
                }
            }
            // As browsers load down.
            5 => {
                let (path, content) = (self.new_path(), self.content());
                let half = PathBuf::from(format!("{}.part", path.display()));
                std::fs::write(&half, &content[..content.len() / 2]).unwrap();
                std::fs::write(&half, content).unwrap();
                std::fs::rename(&half, &path).unwrap();
                self.files.push(path);
            }
            6 => {
                if let Some(path) = self.any() {
                    let to = self.new_path();
                    std::fs::rename(&path, &to).unwrap();
                    self.files.push(to);
                }
            }
            7 => {
                if let Some(path) = self.any() {
                    let (before, more) = (std::fs::read(&path).unwrap(), self.content());
                    self.was_whole(&[&before[..], &more].concat());
                    let mut file = std::fs::File::options().append(true).open(&path).unwrap();
                    more.chunks(4096).for_each(|piece| file.write_all(piece).unwrap());
                    self.files.push(path);
                }
            }
            // As logs are rotated: its name is another file's at once.
            12 => {
                if let Some(path) = self.any() {
                    let (to, content) = (self.new_path(), self.content());
                    std::fs::rename(&path, &to).unwrap();
                    std::fs::write(&path, content).unwrap();
                    self.files.extend([path, to]);
                }
            }
            // Names go round.
            13 => {
                let some: Vec<_> = (0..3).filter_map(|_| self.any()).collect();
                if let Some((first, others)) = some.split_first() {
                    let aside = self.beside.join("aside");
                    std::fs::rename(first, &aside).unwrap();
                    let mut free = first;
                    for other in others {
                        std::fs::rename(other, free).unwrap();
                        free = other;
                    }
                    std::fs::rename(&aside, free).unwrap();
                }
                self.files.extend(some);
            }
            8 => {
                if let Some(path) = self.any() {
                    std::fs::remove_file(path).unwrap();
                }
            }
            9 => {
                if let Some(path) = self.any() {
                    let now = std::time::SystemTime::now();
                    let file = std::fs::File::options().write(true).open(&path).unwrap();
                    file.set_modified(now).unwrap();
                    self.files.push(path);
                }
            }
            // A tree is moved in whole.
            10 => {
                self.number += 1;
                let tree = self.beside.join(format!("tree{}", self.number));
                std::fs::create_dir_all(tree.join("in/side")).unwrap();
                let mut made = Vec::new();
                for below in ["in/side/1", "in/2", "3"] {
                    let content = self.content();
                    std::fs::write(tree.join(below), content).unwrap();
                    made.push(below);
                }
                let to = self.dir().join(tree.file_name().unwrap());
                std::fs::rename(&tree, &to).unwrap();
                self.files.extend(made.into_iter().map(|below| to.join(below)));
            }
            _ => {
                let dir = self.dir().join("deep/er/still");
                std::fs::create_dir_all(&dir).unwrap();
                let content = self.content();
                self.number += 1;
                let path = dir.join(format!("d{}", self.number));
                std::fs::write(&path, content).unwrap();
                self.files.push(path);
            }
        }
    }
}

/// Waits until nothing waits any more, as long as it goes on.
fn quiet(lapse: &Lapse, root: &Path) {
    let (mut last, mut since) = (folder(lapse, root), Instant::now());
    loop {
        let now = folder(lapse, root);
        assert!(now["failed"].as_array().unwrap().is_empty(), "{now}");
        if now["waiting"] == 0 && now["state"] == "watching" {
            return;
        }
        if now != last {
            (last, since) = (now, Instant::now());
        }
        assert!(since.elapsed() < Duration::from_mins(2), "nothing goes on: {last}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[expect(clippy::print_stderr, reason = "for whoever reads why it failed")]
fn torture(server: Server) {
    let seconds = std::env::var("LAPSE_TORTURE_SECONDS").ok();
    let seconds = seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or(SECONDS);
    let lapse = Lapse::on(server);
    let [root, beside, whole] = ["watched", "beside", "whole"].map(|name| {
        let path = lapse.folder("files").join(name);
        std::fs::create_dir(&path).unwrap();
        path
    });
    add(&lapse, &root, &["--recursive"]);
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let seed = u64::from(seed.subsec_nanos()) | 1;
    eprintln!("seed {seed}");
    let dice = Dice(seed);
    let mut person = Person {
        root: root.clone(),
        beside,
        whole: whole.clone(),
        dice,
        number: 0,
        files: vec![],
        slow: None,
    };
    let mut watching = Some(Watching::start(&lapse));
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut acts, mut kills) = (0, 0);
    let mut next_kill = Instant::now() + Duration::from_secs(3);
    while Instant::now() < end {
        for _ in 0..person.dice.below(12) {
            person.act();
            acts += 1;
        }
        std::thread::sleep(Duration::from_millis(person.dice.below(120) as u64));
        if Instant::now() > next_kill {
            match watching.take() {
                Some(running) => {
                    running.kill();
                    kills += 1;
                }
                None => watching = Some(Watching::start(&lapse)),
            }
            let pause = if watching.is_some() {
                2000 + person.dice.below(5000)
            } else {
                person.dice.below(1500)
            };
            next_kill = Instant::now() + Duration::from_millis(pause as u64);
        }
    }
    while person.slow.is_some() {
        std::thread::sleep(Duration::from_millis(100));
        if let Some(mut slow) = person.slow.take_if(|slow| slow.since.elapsed() > SLOWLY) {
            slow.file.write_all(&slow.rest).unwrap();
        }
    }
    let _watching = watching.unwrap_or_else(|| Watching::start(&lapse));
    quiet(&lapse, &root);
    // What was seen last may have begun to wait only now.
    std::thread::sleep(Duration::from_secs(3));
    quiet(&lapse, &root);

    let there = sums(&root);
    let shared = contents(&lapse);
    eprintln!(
        "{acts} acts, {kills} kills, {} files there, {} contents shared",
        there.len(),
        shared.len()
    );
    assert!(acts > seconds * 10 && kills > seconds / 20, "too little happened");
    let missing: Vec<_> = there.iter().filter(|(_, sum)| !shared.contains_key(*sum)).collect();
    assert!(missing.is_empty(), "{} of {} aren't shared: {missing:?}", missing.len(), there.len());
    let twice: Vec<_> = shared.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "shared more than once: {twice:?}");
    let whole: HashSet<_> = sums(&whole).into_values().collect();
    let halves: Vec<_> = shared.keys().filter(|sum| !whole.contains(*sum)).collect();
    assert!(halves.is_empty(), "shared while they were written: {halves:?}");
}

#[test]
fn local_store() {
    torture(Server::LocalStore);
}

#[test]
fn seaweedfs() {
    torture(Server::SeaweedFs);
}
