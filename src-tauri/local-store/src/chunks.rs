//! Keeps the chunks of aws-chunked bodies small.
//!
//! s3s holds a chunk whole in memory before it passes it on, and some clients send a whole object
//! as one chunk. Unsigned chunks are split here as they arrive; signed ones can't be (each has its
//! signature), so large ones are refused. Everything else about them is left to s3s.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt};
use hyper::HeaderMap;
use s3s::stream::{ByteStream, DynByteStream};
use s3s::{Body, StdError};

/// Clients that sign chunks send 64 KiB to 1 MiB.
const LARGEST_SIGNED: u64 = 16 * 1024 * 1024;
/// `<size>;chunk-signature=<64 digits>`
const LONGEST_HEADER: usize = 128;

/// The body that s3s is to read for a request with these headers.
pub(crate) fn tame(headers: &HeaderMap, body: Body) -> Body {
    let Some(hash) = headers.get("x-amz-content-sha256") else { return body };
    if !hash.as_bytes().starts_with(b"STREAMING-") {
        return body;
    }
    let signed = !hash.as_bytes().starts_with(b"STREAMING-UNSIGNED-");
    let chunks: DynByteStream =
        Box::pin(Tamed { body, frames: Frames::new(signed), ready: VecDeque::new() });
    Body::from(chunks)
}

/// What s3s is told of a body whose framing can't be followed. [`crate::blobs`] knows this text.
#[derive(Debug, thiserror::Error)]
#[error("malformed or too large chunk")]
pub(crate) struct BadChunk;

struct Tamed {
    body: Body,
    frames: Frames,
    ready: VecDeque<Bytes>,
}

impl Stream for Tamed {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(bytes) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(bytes)));
            }
            match this.body.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(bytes))) => {
                    if let Err(error) = this.frames.take(bytes, &mut this.ready) {
                        return Poll::Ready(Some(Err(error.into())));
                    }
                }
                ended_or_pending => return ended_or_pending,
            }
        }
    }
}

impl ByteStream for Tamed {}

/// Follows the framing over any cut of the bytes.
struct Frames {
    signed: bool,
    at: At,
}

enum At {
    /// In the line before a chunk's data.
    Header(Vec<u8>),
    Data {
        left: u64,
    },
    /// In the line end after the data; so many bytes of it are left.
    End {
        left: u8,
    },
    /// After the last chunk.
    Trailers,
}

impl Frames {
    fn new(signed: bool) -> Self {
        Self { signed, at: At::Header(Vec::new()) }
    }

    fn take(&mut self, mut bytes: Bytes, out: &mut VecDeque<Bytes>) -> Result<(), BadChunk> {
        if self.signed {
            out.push_back(bytes.clone());
        }
        while !bytes.is_empty() {
            match &mut self.at {
                At::Header(line) => {
                    line.push(bytes.get_u8());
                    if line.ends_with(b"\r\n") {
                        let size = size(line).ok_or(BadChunk)?;
                        if self.signed && size > LARGEST_SIGNED {
                            return Err(BadChunk);
                        }
                        if size == 0 {
                            self.emit(out, || Bytes::copy_from_slice(b"0\r\n"));
                            self.at = At::Trailers;
                        } else {
                            self.at = At::Data { left: size };
                        }
                    } else if line.len() >= LONGEST_HEADER {
                        return Err(BadChunk);
                    }
                }
                At::Data { left } => {
                    let length =
                        usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                    let data = bytes.split_to(length);
                    *left -= length as u64;
                    if *left == 0 {
                        self.at = At::End { left: 2 };
                    }
                    self.emit(out, || format!("{length:x}\r\n").into());
                    self.emit(out, || data);
                    self.emit(out, || Bytes::from_static(b"\r\n"));
                }
                At::End { left } => {
                    let expected = if *left == 2 { b'\r' } else { b'\n' };
                    if bytes.get_u8() != expected {
                        return Err(BadChunk);
                    }
                    *left -= 1;
                    if *left == 0 {
                        self.at = At::Header(Vec::new());
                    }
                }
                At::Trailers => {
                    let rest = std::mem::take(&mut bytes);
                    self.emit(out, || rest);
                }
            }
        }
        Ok(())
    }

    /// Signed bytes went out as they came in.
    fn emit(&self, out: &mut VecDeque<Bytes>, bytes: impl FnOnce() -> Bytes) {
        if !self.signed {
            out.push_back(bytes());
        }
    }
}

/// The size in a chunk's first line; an extension after a semicolon is the signature.
///
/// Of a longer number s3s reads the first 8 digits, and would then take what is data here for the
/// line of another chunk, of any size.
fn size(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"\r\n")?;
    let digits = line.split(|byte| *byte == b';').next()?;
    let digits = std::str::from_utf8(digits)
        .ok()
        .filter(|digits| digits.len() <= 8 && digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chunked(chunks: &[Vec<u8>], trailers: &str) -> Vec<u8> {
        let mut body = Vec::new();
        for chunk in chunks {
            body.extend(format!("{:X}\r\n", chunk.len()).as_bytes());
            body.extend(chunk);
            body.extend(b"\r\n");
        }
        body.extend(b"0\r\n");
        body.extend(trailers.as_bytes());
        body
    }

    /// The data, the longest chunk and what follows the last one.
    fn read(mut body: &[u8]) -> (Vec<u8>, usize, Vec<u8>) {
        let (mut data, mut longest) = (Vec::new(), 0);
        loop {
            let end = body.windows(2).position(|two| two == b"\r\n").expect("a header ends");
            let length =
                usize::from_str_radix(std::str::from_utf8(&body[..end]).expect("text"), 16)
                    .expect("hex");
            body = &body[end + 2..];
            if length == 0 {
                return (data, longest, body.to_vec());
            }
            data.extend(&body[..length]);
            longest = longest.max(length);
            body = &body[length + 2..];
        }
    }

    proptest! {
        #[test]
        fn split_chunks_carry_the_same_data_in_small_pieces(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..5),
            cut in 1_usize..50,
        ) {
            let trailers = "x-amz-checksum-crc32:AAAAAA==\r\n\r\n";
            let body = chunked(&chunks, trailers);
            let (mut frames, mut out) = (Frames::new(false), VecDeque::new());
            for piece in body.chunks(cut) {
                frames.take(Bytes::copy_from_slice(piece), &mut out).expect("well formed");
            }
            let (data, longest, rest) = read(&out.iter().flatten().copied().collect::<Vec<_>>());
            prop_assert_eq!(data, chunks.concat());
            prop_assert!(longest <= cut);
            prop_assert_eq!(rest, trailers.as_bytes());
        }

        #[test]
        fn any_bytes_are_followed_or_refused(body in prop::collection::vec(any::<u8>(), 0..200), signed: bool) {
            let mut out = VecDeque::new();
            let _followed_or_refused = Frames::new(signed).take(body.into(), &mut out);
        }
    }

    #[test]
    fn size_that_s3s_would_read_otherwise_is_refused() {
        for signed in [true, false] {
            let take =
                |line: &'static [u8]| Frames::new(signed).take(line.into(), &mut VecDeque::new());
            assert!(take(b"00000012\r\n").is_ok());
            assert!(take(b"000000012\r\n").is_err());
            assert!(take(b"+12\r\n").is_err());
            assert!(take(b"12 \r\n").is_err());
            assert!(take(b"\r\n").is_err());
        }
    }

    #[test]
    fn large_signed_chunk_is_refused() {
        let header =
            |size: u64| Bytes::from(format!("{size:x};chunk-signature={}\r\n", "0".repeat(64)));
        let take = |size| Frames::new(true).take(header(size), &mut VecDeque::new());
        assert!(take(LARGEST_SIGNED).is_ok());
        assert!(take(LARGEST_SIGNED + 1).is_err());
    }
}
