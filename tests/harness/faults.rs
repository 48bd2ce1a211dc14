//! Servers and connections that do what they shouldn't, on real sockets.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::{JoinHandle, JoinSet};

use crate::rig::{Rig, python, scratch, servers};

/// A listener that ends with this value.
#[derive(Debug)]
pub struct Fault {
    /// Where it listens.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Fault {
    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        self.task.abort();
        // It listens until its task is gone.
        while !self.task.is_finished() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A server that gives every request the same answer, whatever it asks.
pub fn answering(head: &str, body: &str) -> Fault {
    let answer = format!(
        "HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    listen(move |mut client| {
        let answer = answer.clone();
        async move {
            let mut request = [0; 16 * 1024];
            let _ = client.read(&mut request).await;
            let _ = client.write_all(answer.as_bytes()).await;
            let _ = client.shutdown().await;
        }
    })
}

/// The page that a hotel's Wi-Fi puts before everything.
pub fn captive_portal() -> Fault {
    answering(
        "200 OK\r\nContent-Type: text/html",
        "<html><body><h1>Welcome! Please sign in to the Wi-Fi</h1></body></html>",
    )
}

/// The same, by a redirect.
pub fn redirecting_portal() -> Fault {
    answering(
        "302 Found\r\nLocation: http://127.0.0.1:9/login\r\nContent-Type: text/html",
        "<a href=\"/login\">Sign in</a>",
    )
}

/// A port on which nothing listens.
pub fn closed_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// A server that takes connections and never says a word.
pub fn silent() -> Fault {
    listen(|client| async move {
        tokio::time::sleep(Duration::from_hours(1)).await;
        drop(client);
    })
}

/// A way to another server with so many bytes a second towards it, which counts them.
#[derive(Debug)]
pub struct Throttle {
    /// Its own address.
    pub fault: Fault,
    sent: Arc<AtomicU64>,
}

impl Throttle {
    /// In front of `http://HOST:PORT`.
    pub fn before(endpoint: &str, bytes_per_second: u32) -> Self {
        let target = endpoint.strip_prefix("http://").unwrap().to_owned();
        let sent = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&sent);
        let fault = listen(move |client| {
            let (target, counter) = (target.clone(), Arc::clone(&counter));
            async move {
                let Ok(server) = TcpStream::connect(&target).await else { return };
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                // The client hears when the server hangs up.
                let back = async {
                    let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
                    let _ = to_client.shutdown().await;
                };
                let forth = async {
                    let mut buffer = [0; 16 * 1024];
                    while let Ok(len @ 1..) = from_client.read(&mut buffer).await {
                        let share =
                            f64::from(u32::try_from(len).unwrap()) / f64::from(bytes_per_second);
                        tokio::time::sleep(Duration::from_secs_f64(share)).await;
                        if to_server.write_all(&buffer[..len]).await.is_err() {
                            break;
                        }
                        counter.fetch_add(len as u64, Ordering::Relaxed);
                    }
                    let _ = to_server.shutdown().await;
                };
                let _ = tokio::join!(back, forth);
            }
        });
        Self { fault, sent }
    }

    /// How many bytes went through towards the server.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

/// A way to another server that can be cut off, as by a server that stops, and put up again at the same address.
#[derive(Debug)]
pub struct Relay {
    target: String,
    address: SocketAddr,
    listener: Option<Fault>,
}

impl Relay {
    /// In front of `http://HOST:PORT`.
    pub fn before(endpoint: &str) -> Self {
        let target = endpoint.strip_prefix("http://").unwrap().to_owned();
        let listener = Self::listen(&target, SocketAddr::from(([127, 0, 0, 1], 0)));
        Self { target, address: listener.address, listener: Some(listener) }
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Nobody listens there any more, and all connections end.
    pub fn cut(&mut self) {
        self.listener = None;
    }

    /// It listens again.
    pub fn mend(&mut self) {
        self.listener = Some(Self::listen(&self.target, self.address));
    }

    fn listen(target: &str, address: SocketAddr) -> Fault {
        let target = target.to_owned();
        listen_at(address, move |mut client| {
            let target = target.clone();
            async move {
                let Ok(mut server) = TcpStream::connect(&target).await else { return };
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            }
        })
    }
}

/// HTTPS before an HTTP server, with a certificate of an authority that nobody else knows.
#[derive(Debug)]
pub struct Https {
    /// `https://127.0.0.1:PORT`
    pub url: String,
    folder: TempDir,
    _rig: Rig,
}

impl Https {
    /// In front of `http://HOST:PORT`.
    pub fn before(endpoint: &str) -> Self {
        let folder = scratch();
        let rig = Rig::start(
            Command::new(python()).arg(servers().join("https.py")).arg(folder.path()).arg(endpoint),
        );
        Self { url: rig.ready.clone(), folder, _rig: rig }
    }

    /// The authority's certificate.
    pub fn certificate(&self) -> std::path::PathBuf {
        self.folder.path().join("cert.pem")
    }
}

pub(crate) fn listen<F, H>(handle: H) -> Fault
where
    H: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    listen_at(SocketAddr::from(([127, 0, 0, 1], 0)), handle)
}

fn listen_at<F, H>(address: SocketAddr, handle: H) -> Fault
where
    H: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    // Bound here, since a test that is async itself can't block on another runtime.
    let listener = std::net::TcpListener::bind(address).unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let task = runtime().spawn(async move {
        let listener = TcpListener::from_std(listener).unwrap();
        // They end with it.
        let mut connections = JoinSet::new();
        while let Ok((client, _)) = listener.accept().await {
            connections.spawn(handle(client));
        }
    });
    Fault { address, task }
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    })
}
