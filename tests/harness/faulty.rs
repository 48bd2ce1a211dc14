//! A way to a server that does wrong what it is told to, request by request, and keeps what went through.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::faults::{Fault, listen};

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ask {
    /// An object by one request.
    Put,
    /// The begin of an upload in parts.
    Create,
    /// One of its parts.
    Part,
    /// Its end.
    Complete,
    /// That an object is deleted.
    Delete,
    /// Something about keys, or who signs in.
    Keys,
    /// Anything else.
    Other,
}

/// What is done to a request.
#[derive(Debug, Clone)]
pub enum Wrong {
    /// The connection ends once so many bytes of the body went through.
    CutAfter(usize),
    /// The server does it, and its answer is lost.
    LoseAnswer,
    /// The server does it, and its answer ends in the midst.
    HalfAnswer,
    /// The answer comes so much later.
    Late(Duration),
    /// The answer's etag and checksum are others.
    OtherEtag,
    /// One byte of the body arrives changed.
    Flip,
    /// This is answered, and the server isn't asked: status line and headers, then an S3 error code.
    Refuse(&'static str, &'static str),
}

/// A request that went through.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What it asked for.
    pub ask: Ask,
    /// The part's number, for a part.
    pub part: Option<u32>,
    /// Bytes of its body that came.
    pub bytes: usize,
    /// When it began.
    pub at: Instant,
}

/// The way, which ends with this value.
#[derive(Debug)]
pub struct Faulty {
    fault: Fault,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    wrongs: HashMap<Ask, Vec<Wrong>>,
    seen: Vec<Seen>,
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Faulty {
    /// In front of `http://HOST:PORT`. What the storage's check asks goes through and isn't kept.
    pub fn before(endpoint: &str) -> Self {
        Self::after(endpoint, Duration::ZERO)
    }

    /// The same, with each answer so much later: a long way.
    pub fn after(endpoint: &str, late: Duration) -> Self {
        let target: SocketAddr = endpoint.strip_prefix("http://").unwrap().parse().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let kept = Arc::clone(&state);
        let fault = listen(move |client| {
            let state = Arc::clone(&kept);
            async move {
                if let Ok(server) = TcpStream::connect(target).await {
                    let _ = client.set_nodelay(true).and_then(|()| server.set_nodelay(true));
                    // A connection that breaks is what this is for.
                    let _ = pass(client, server, &state, late).await;
                }
            }
        });
        Self { fault, state }
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        self.fault.url()
    }

    /// Does this wrong to the next requests of a kind, one after the other.
    pub fn do_wrong(&self, ask: Ask, wrongs: impl IntoIterator<Item = Wrong>) {
        let mut wrongs: Vec<Wrong> = wrongs.into_iter().collect();
        wrongs.reverse();
        locked(&self.state).wrongs.insert(ask, wrongs);
    }

    /// The requests that came since this was asked last.
    pub fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut locked(&self.state).seen)
    }
}

/// A message's head, and how long its body is: `None` for one in chunks.
struct Head {
    text: String,
    length: Option<usize>,
}

impl Head {
    async fn read(from: &mut (impl AsyncBufReadExt + Unpin)) -> std::io::Result<Option<Self>> {
        let mut text = String::new();
        while !text.ends_with("\r\n\r\n") {
            if from.read_line(&mut text).await? == 0 {
                return Ok(None);
            }
        }
        let field = |name: &str| {
            text.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        let in_chunks = field("transfer-encoding").is_some();
        let length = field("content-length").and_then(|length| length.parse().ok());
        Ok(Some(Self { length: if in_chunks { None } else { Some(length.unwrap_or(0)) }, text }))
    }

    fn ask(&self) -> Ask {
        let mut words = self.text.split(' ');
        let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        match method {
            _ if target.contains(".lapse-check") => Ask::Other,
            "PUT" if target.contains("partNumber=") => Ask::Part,
            "PUT" => Ask::Put,
            "POST" if target.contains("uploadId=") => Ask::Complete,
            "POST" if target.contains("uploads") => Ask::Create,
            "POST" if target == "/" => Ask::Keys,
            "DELETE" if !target.contains("uploadId=") => Ask::Delete,
            _ => Ask::Other,
        }
    }

    fn part(&self) -> Option<u32> {
        let after = self.text.split_once("partNumber=")?.1;
        after.split(['&', ' ']).next()?.parse().ok()
    }
}

/// One connection, request by request.
async fn pass(
    client: TcpStream,
    server: TcpStream,
    state: &Mutex<State>,
    late: Duration,
) -> std::io::Result<()> {
    let (from_client, mut to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    let (mut from_client, mut from_server) =
        (BufReader::new(from_client), BufReader::new(from_server));
    while let Some(head) = Head::read(&mut from_client).await? {
        let ask = head.ask();
        let wrong = {
            let mut state = locked(state);
            let part = head.part().filter(|_| ask == Ask::Part);
            state.seen.push(Seen { ask, part, bytes: 0, at: Instant::now() });
            state.wrongs.get_mut(&ask).and_then(Vec::pop)
        };
        let at = locked(state).seen.len() - 1;
        let count = |bytes: usize| {
            if let Some(seen) = locked(state).seen.get_mut(at) {
                seen.bytes += bytes;
            }
        };
        let length = head.length.unwrap_or(0);
        if let Some(Wrong::Refuse(status, code)) = wrong {
            copy(&mut from_client, &mut tokio::io::sink(), length, None, &count).await?;
            let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>");
            let length = body.len();
            let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/xml\r\n");
            let answer = format!("{head}content-length: {length}\r\n\r\n{body}");
            to_client.write_all(answer.as_bytes()).await?;
            continue;
        }
        to_server.write_all(head.text.as_bytes()).await?;
        match wrong {
            Some(Wrong::CutAfter(most)) => {
                copy(&mut from_client, &mut to_server, length.min(most), None, &count).await?;
                return Ok(());
            }
            Some(Wrong::Flip) => {
                copy(&mut from_client, &mut to_server, length, Some(length / 2), &count).await?;
            }
            _ => copy(&mut from_client, &mut to_server, length, None, &count).await?,
        }
        let Some(mut answer) = Head::read(&mut from_server).await? else { return Ok(()) };
        tokio::time::sleep(late).await;
        match wrong {
            Some(Wrong::LoseAnswer) => return Ok(()),
            Some(Wrong::HalfAnswer) => {
                return to_client.write_all(&answer.text.as_bytes()[..20]).await;
            }
            Some(Wrong::Late(late)) => tokio::time::sleep(late).await,
            Some(Wrong::OtherEtag) => answer.text = with_another_etag(&answer.text),
            _ => {}
        }
        to_client.write_all(answer.text.as_bytes()).await?;
        // The answer to a HEAD tells a length and has no body.
        let length = if head.text.starts_with("HEAD ") { Some(0) } else { answer.length };
        match length {
            Some(length) => copy(&mut from_server, &mut to_client, length, None, &|_| {}).await?,
            None => copy_chunks(&mut from_server, &mut to_client).await?,
        }
    }
    Ok(())
}

/// Copies so many bytes; the one at `flip` is changed.
async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    length: usize,
    flip: Option<usize>,
    count: &impl Fn(usize),
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let mut done = 0;
    while done < length {
        let most = buffer.len().min(length - done);
        let read = from.read(&mut buffer[..most]).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(at) = flip.and_then(|flip| flip.checked_sub(done)).filter(|at| *at < read) {
            buffer[at] ^= 1;
        }
        to.write_all(&buffer[..read]).await?;
        done += read;
        count(read);
    }
    to.flush().await
}

async fn copy_chunks(
    from: &mut (impl AsyncBufReadExt + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
) -> std::io::Result<()> {
    loop {
        let mut line = String::new();
        from.read_line(&mut line).await?;
        to.write_all(line.as_bytes()).await?;
        let size = usize::from_str_radix(line.split(';').next().unwrap_or("").trim(), 16);
        let size = size.map_err(|_| std::io::ErrorKind::InvalidData)?;
        // Each chunk, also the empty last one, ends with a line end.
        copy(from, to, size + 2, None, &|_| {}).await?;
        if size == 0 {
            return Ok(());
        }
    }
}

fn with_another_etag(head: &str) -> String {
    let mut text = String::new();
    for line in head.split_inclusive("\r\n") {
        let name = line.split(':').next().unwrap_or("").to_ascii_lowercase();
        match name.as_str() {
            "etag" => text.push_str("etag: \"00000000000000000000000000000000\"\r\n"),
            "x-amz-checksum-crc64nvme" => {
                text.push_str("x-amz-checksum-crc64nvme: AAAAAAAAAAA=\r\n");
            }
            _ => text.push_str(line),
        }
    }
    text
}
