//! `sink`: an S3 server that takes uploads and keeps nothing but their sizes: what a client can do at most, when no server holds
//! it back. It looks at no signature. Prints where it listens, and ends when its standard input closes.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark that can't go on must stop, and prints"
)]

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Sizes by path, of objects and of what has come of uploads: no client here has two of them for one path.
#[derive(Default)]
struct Kept {
    objects: HashMap<String, u64>,
    uploads: HashMap<String, u64>,
}

struct Request {
    method: String,
    path: String,
    query: String,
    headers: HashMap<String, String>,
}

fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    println!("http://{}", listener.local_addr().expect("an address"));
    let kept = Arc::new(Mutex::new(Kept::default()));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let kept = Arc::clone(&kept);
            // A client that goes away ends its thread; there is nothing to do about it.
            thread::spawn(move || serve(&stream, &kept).ok());
        }
    });
    io::stdin().read_to_end(&mut Vec::new()).expect("standard input");
}

fn serve(stream: &TcpStream, kept: &Mutex<Kept>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = BufReader::with_capacity(256 * 1024, stream);
    while let Some(request) = read_head(&mut input)? {
        if request.headers.contains_key("expect") {
            (&mut &*stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        if request.headers.contains_key("transfer-encoding") {
            return Err(io::Error::other("the length must be told"));
        }
        let length = number(request.headers.get("content-length"));
        let sent = io::copy(&mut input.by_ref().take(length), &mut io::sink())?;
        // In chunks with signatures between, the object is less than what was sent.
        let size = request.headers.get("x-amz-decoded-content-length");
        answer(stream, &request, size.map_or(sent, |size| number(Some(size))), kept)?;
    }
    Ok(())
}

fn read_head(input: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut first = String::new();
    if input.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut words = first.split(' ').map(str::to_owned);
    let method = words.next().unwrap_or_default();
    let target = words.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut headers = HashMap::new();
    for line in input.lines() {
        let line = line?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Ok(Some(Request { method, path: path.to_owned(), query: query.to_owned(), headers }))
}

fn number(text: Option<&String>) -> u64 {
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn answer(
    mut stream: &TcpStream,
    request: &Request,
    size: u64,
    kept: &Mutex<Kept>,
) -> io::Result<()> {
    let Request { method, path, query, .. } = request;
    let has = |name: &str| {
        query
            .split('&')
            .any(|one| one == name || one.split_once('=').is_some_and(|(n, _)| n == name))
    };
    let mut kept = kept.lock().expect("no panic");
    let mut length = None;
    let (status, body) = match method.as_str() {
        "PUT" if has("partNumber") => {
            *kept.uploads.entry(path.clone()).or_default() += size;
            ("200 OK", String::new())
        }
        "PUT" => {
            kept.objects.insert(path.clone(), size);
            ("200 OK", String::new())
        }
        "POST" if has("uploads") => ("200 OK", "<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><UploadId>1</UploadId></InitiateMultipartUploadResult>".to_owned()),
        "POST" if has("uploadId") => {
            let size = kept.uploads.remove(path).unwrap_or(0);
            kept.objects.insert(path.clone(), size);
            ("200 OK", "<CompleteMultipartUploadResult><ETag>&quot;sink-1&quot;</ETag></CompleteMultipartUploadResult>".to_owned())
        }
        "DELETE" => ("204 No Content", String::new()),
        "HEAD" if path.trim_matches('/').contains('/') => match kept.objects.get(path) {
            Some(size) => {
                length = Some(*size);
                ("200 OK", String::new())
            }
            None => ("404 Not Found", String::new()),
        },
        // Parts aren't kept: whoever asks for those of an upload begins it anew.
        "GET" if has("uploadId") => ("404 Not Found", "<Error><Code>NoSuchUpload</Code><Message>parts are not kept</Message></Error>".to_owned()),
        "GET" if has("uploads") => ("200 OK", "<ListMultipartUploadsResult><Bucket>b</Bucket><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>".to_owned()),
        _ => ("200 OK", "<ListBucketResult><Name>b</Name><KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>".to_owned()),
    };
    drop(kept);
    let length = length.unwrap_or(body.len() as u64);
    let length = if status.starts_with("204") {
        String::new()
    } else {
        format!("content-length: {length}\r\n")
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{length}etag: \"sink-1\"\r\nlast-modified: Thu, 01 Jan 1970 00:00:00 GMT\r\ncontent-type: application/xml\r\n\r\n{body}"
    )
}
