//! `sendfile FOLDER`: files over HTTP as fast as the kernel sends them, with no look at signatures, ranges or damage: the
//! bound that no store can pass. Prints where it listens, and ends when its standard input closes.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark that can't go on must stop, and prints"
)]

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

fn main() {
    let folder = std::env::args().nth(1).map(PathBuf::from).expect("sendfile FOLDER");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    println!("http://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let folder = folder.clone();
            // A client that goes away ends its thread; there is nothing to do about it.
            thread::spawn(move || serve(&stream, &folder).ok());
        }
    });
    io::stdin().read_to_end(&mut Vec::new()).expect("standard input");
}

fn serve(stream: &TcpStream, folder: &Path) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut lines = BufReader::new(stream).lines();
    while let Some(request) = lines.next() {
        let request = request?;
        let target = request.split(' ').nth(1).unwrap_or_default();
        let path = target.split('?').next().unwrap_or_default();
        while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
        send(stream, &folder.join(path.trim_start_matches('/')))?;
    }
    Ok(())
}

fn send(mut stream: &TcpStream, path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    let mut left = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {left}\r\n\r\n")?;
    while left > 0 {
        match rustix::fs::sendfile(stream, &file, None, left)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            sent => left -= sent,
        }
    }
    Ok(())
}
