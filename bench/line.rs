//! `line ENDPOINT MILLISECONDS`: a long line to a server on this computer. Each byte arrives half of the round trip later than it was
//! sent, a connection takes a round trip to be made, and no more is on its way in it than Linux keeps for one that isn't
//! answered yet. Prints where it listens, and then, for each line of its standard input, how many bytes went up since the last one;
//! ends when that closes.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark that can't go on must stop, and prints"
)]

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes on their way in one direction of a connection: half of the most that `net.ipv4.tcp_wmem` lets wait for their answer as Linux
/// comes, as they are here for half of the round trip only.
const WINDOW: usize = 2 * 1024 * 1024;
static UP: AtomicU64 = AtomicU64::new(0);

/// Bytes that were sent and haven't arrived yet, each with when that is due.
#[derive(Default)]
struct Way {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    bytes: VecDeque<(Instant, Vec<u8>)>,
    count: usize,
    ended: bool,
}

fn main() {
    let mut words = std::env::args().skip(1);
    let endpoint = words.next().expect("an endpoint");
    let to = endpoint.strip_prefix("http://").expect("an http:// endpoint").to_owned();
    let round_trip = words.next().and_then(|word| word.parse().ok()).expect("milliseconds");
    let round_trip = Duration::from_millis(round_trip);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    println!("http://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let to = to.clone();
            // A connection that breaks ends its threads; there is nothing to do about it.
            thread::spawn(move || carry(&client, &to, round_trip).ok());
        }
    });
    for _ in io::stdin().lines() {
        println!("{}", UP.swap(0, Ordering::Relaxed));
    }
}

fn carry(client: &TcpStream, to: &str, round_trip: Duration) -> io::Result<()> {
    let server = TcpStream::connect(to)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let half = round_trip / 2;
    let made = Instant::now() + round_trip;
    let up = (client.try_clone()?, server.try_clone()?);
    let up = thread::spawn(move || one_way(&up.0, &up.1, made, half, &UP));
    one_way(&server, client, made, half, &AtomicU64::new(0)).ok();
    up.join().ok();
    Ok(())
}

/// Carries bytes until a side ends, each of them `half` of the round trip after it came, or after the connection is `made`.
fn one_way(
    from: &TcpStream,
    to: &TcpStream,
    made: Instant,
    half: Duration,
    count: &AtomicU64,
) -> io::Result<()> {
    let way = Way::default();
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let read = receive(from, made, half, &way, count);
            way.end();
            read
        });
        let sent = send(to, &way);
        way.end();
        // Whichever side ended, the other hears of it.
        to.shutdown(Shutdown::Write).ok();
        if sent.is_err() {
            from.shutdown(Shutdown::Read).ok();
        }
        reader.join().expect("no panic")
    })
}

fn receive(
    mut from: &TcpStream,
    made: Instant,
    half: Duration,
    way: &Way,
    count: &AtomicU64,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut buffer)?;
        count.fetch_add(read as u64, Ordering::Relaxed);
        let due = Instant::now().max(made) + half;
        if read == 0 || !way.push(due, &buffer[..read]) {
            return Ok(());
        }
    }
}

fn send(mut to: &TcpStream, way: &Way) -> io::Result<()> {
    while let Some((due, bytes)) = way.next() {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        to.write_all(&bytes)?;
        way.arrived(bytes.len());
    }
    Ok(())
}

impl Way {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    fn end(&self) {
        self.state().ended = true;
        self.changed.notify_all();
    }

    /// Waits for room; false if nobody takes more.
    fn push(&self, due: Instant, bytes: &[u8]) -> bool {
        let full = |state: &mut State| state.count >= WINDOW && !state.ended;
        let mut state = self.changed.wait_while(self.state(), full).expect("no panic");
        if !state.ended {
            state.count += bytes.len();
            state.bytes.push_back((due, bytes.to_vec()));
        }
        self.changed.notify_all();
        !state.ended
    }

    fn next(&self) -> Option<(Instant, Vec<u8>)> {
        let empty = |state: &mut State| state.bytes.is_empty() && !state.ended;
        let mut state = self.changed.wait_while(self.state(), empty).expect("no panic");
        state.bytes.pop_front()
    }

    fn arrived(&self, count: usize) {
        self.state().count -= count;
        self.changed.notify_all();
    }
}
