//! `load put|get|slow SIZE CONNECTIONS [FOLDER]`: takes links from standard input, one a line, and puts or gets objects of SIZE
//! bytes over that many connections at once, each kept alive and given the next link as soon as it is free.
//! Prints the seconds from the first byte to the last answer. Whatever isn't a 200 with all its bytes stops it.
//!
//! `slow` reads as a phone does: 256 KiB, then a pause. With FOLDER, each put ends with an fsync of the file that a
//! server has made there of the link's path, and of its folder: what a server that doesn't sync would have to do.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a benchmark that can't go on must stop, and prints"
)]

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, spawn_blocking};

const CHUNK: usize = 256 * 1024;
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST_HEAD: usize = 16 * 1024;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Put,
    Get,
    Slow,
}

struct Load {
    kind: Kind,
    size: usize,
    folder: Option<PathBuf>,
    /// Host and target of each link.
    links: Vec<(String, String)>,
    next: AtomicUsize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let usage = "load put|get|slow SIZE CONNECTIONS [FOLDER]";
    let words: Vec<_> = std::env::args().skip(1).collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse().ok()).expect(usage);
    let kind = match words.first().map(String::as_str) {
        Some("put") => Kind::Put,
        Some("get") => Kind::Get,
        Some("slow") => Kind::Slow,
        _ => panic!("{usage}"),
    };
    let links = io::stdin().lines().map(|link| parse(&link.expect("text"))).collect();
    let (size, connections) = (number(1), number(2));
    let folder = words.get(3).map(PathBuf::from);
    let load = Arc::new(Load { kind, size, folder, links, next: AtomicUsize::new(0) });

    let began = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..connections {
        clients.spawn(client(Arc::clone(&load)));
    }
    while let Some(ended) = clients.join_next().await {
        if let Err(error) = ended.expect("a client that came to its end") {
            eprintln!("load: {error}");
            std::process::exit(1);
        }
    }
    println!("{:.4}", began.elapsed().as_secs_f64());
}

fn parse(link: &str) -> (String, String) {
    let rest = link.strip_prefix("http://").expect("a link over plain http");
    let (host, target) = rest.split_once('/').expect("a link with a path");
    (host.to_owned(), format!("/{target}"))
}

async fn client(load: Arc<Load>) -> Result<(), String> {
    let mut stream = None;
    let mut buffer = vec![b'x'; if load.size < CHUNK { load.size } else { CHUNK }];
    while let Some((host, target)) = load.links.get(load.next.fetch_add(1, Ordering::Relaxed)) {
        let stream = match &mut stream {
            Some(stream) => stream,
            closed => {
                closed.insert(connect(host).await.map_err(|error| format!("{host}: {error}"))?)
            }
        };
        let whole = match load.kind {
            Kind::Put => put(stream, host, target, &load, &buffer).await,
            Kind::Get | Kind::Slow => get(stream, host, target, &load, &mut buffer).await,
        };
        whole.map_err(|error| format!("http://{host}{target}: {error}"))?;
    }
    Ok(())
}

async fn connect(host: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(host).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn put(
    stream: &mut TcpStream,
    host: &str,
    target: &str,
    load: &Load,
    bytes: &[u8],
) -> io::Result<()> {
    let size = load.size;
    let head = format!("PUT {target} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {size}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut left = size;
    while left > 0 {
        let length = left.min(bytes.len());
        stream.write_all(&bytes[..length]).await?;
        left -= length;
    }
    let (length, early) = answer(stream).await?;
    drain(stream, length - early, &mut [0; 1024]).await?;
    if let Some(folder) = &load.folder {
        let path = target.split('?').next().unwrap_or_default();
        let file = folder.join(path.trim_start_matches('/'));
        spawn_blocking(move || sync(&file)).await??;
    }
    Ok(())
}

fn sync(file: &Path) -> io::Result<()> {
    File::open(file)?.sync_all()?;
    File::open(file.parent().unwrap_or(file))?.sync_all()
}

async fn get(
    stream: &mut TcpStream,
    host: &str,
    target: &str,
    load: &Load,
    buffer: &mut [u8],
) -> io::Result<()> {
    let head = format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let (length, early) = answer(stream).await?;
    if length != load.size {
        return Err(io::Error::other(format!("{length} bytes, not {}", load.size)));
    }
    if load.kind == Kind::Get {
        return drain(stream, length - early, buffer).await;
    }
    let mut left = length - early;
    while left > 0 {
        let step = left.min(CHUNK);
        drain(stream, step, buffer).await?;
        left -= step;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Reads the head of an answer; gives the length of its body, and how much of that came with the head.
async fn answer(stream: &mut TcpStream) -> io::Result<(usize, usize)> {
    let mut head = Vec::with_capacity(1024);
    let end = loop {
        if let Some(at) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if head.len() > LONGEST_HEAD || stream.read_buf(&mut head).await? == 0 {
            return Err(io::Error::other("no answer"));
        }
    };
    let text = String::from_utf8_lossy(&head[..end]);
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    match length {
        Some(length) if text.starts_with("HTTP/1.1 200 ") => Ok((length, head.len() - end)),
        _ => Err(io::Error::other(String::from_utf8_lossy(&head).into_owned())),
    }
}

/// Takes bytes off the socket without copying them, so that this end costs little beside the server.
async fn drain(stream: &TcpStream, mut left: usize, buffer: &mut [u8]) -> io::Result<()> {
    while left > 0 {
        let room = left.min(buffer.len());
        let taken = stream
            .async_io(Interest::READABLE, || {
                Ok(recv(stream, &mut buffer[..room], RecvFlags::TRUNC)?.1)
            })
            .await?;
        if taken == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        left -= taken;
    }
    Ok(())
}
