//! Clients that keep the store waiting: both what they send and what they should read must move on.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use s3s::StdError;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use crate::lines::Line;

/// So much must move while a client is waited for up to [`crate::Limits::pause`]: half a kilobyte a second with
/// Lapse's own limits, which the slowest telephone line does.
const LEAST: usize = 16 * 1024;

/// What the body of a client that was too slow fails with.
#[derive(Debug, thiserror::Error)]
#[error("the client was too slow")]
pub(crate) struct TooSlow;

/// How long a client was waited for, and what came of it. The store's own work doesn't count.
struct Pace {
    pause: Duration,
    left: Duration,
    moved: usize,
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Pace {
    fn new(pause: Duration) -> Self {
        Self { pause, left: pause, moved: 0, waiting: None }
    }

    /// The client is waited for. Gives whether that has taken too long.
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        let left = self.left;
        let (_, sleep) =
            self.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(left))));
        sleep.as_mut().poll(context).is_ready()
    }

    fn moved(&mut self, bytes: usize) {
        if let Some((since, _)) = self.waiting.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
        self.moved = self.moved.saturating_add(bytes);
        if self.moved >= LEAST {
            self.begin_anew();
        }
    }

    fn begin_anew(&mut self) {
        *self = Self::new(self.pause);
    }
}

/// A request's body, which the connection has to be rid of before the next request, whoever was to read it.
#[derive(Clone)]
pub(crate) struct Arriving(Arc<Mutex<Incoming>>);

impl Arriving {
    pub(crate) fn new(body: Incoming) -> Self {
        Self(Arc::new(Mutex::new(body)))
    }

    fn lock(&self) -> MutexGuard<'_, Incoming> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads on to the end, which is to come within `most` bytes and `time`. Gives whether it came.
    pub(crate) async fn end(self, most: u64, time: Duration) -> bool {
        if self.lock().is_end_stream() {
            return true;
        }
        // Whoever still has it may be reading.
        let Some(body) = Arc::into_inner(self.0) else { return false };
        let mut body = body.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut left = most;
        // To look is to ask for it, of a client that waits to be asked.
        if left == 0 || body.size_hint().lower() > left {
            return false;
        }
        let ended = poll_fn(|context| {
            loop {
                match ready!(Pin::new(&mut body).poll_frame(context)) {
                    None => return Poll::Ready(true),
                    Some(Ok(frame)) => {
                        let length = frame.data_ref().map_or(0, Bytes::len) as u64;
                        match left.checked_sub(length) {
                            Some(less) => left = less,
                            None => return Poll::Ready(false),
                        }
                    }
                    Some(Err(_)) => return Poll::Ready(false),
                }
            }
        });
        tokio::time::timeout(time, ended).await.unwrap_or(false)
    }
}

/// A request's body that fails with [`TooSlow`] when it hardly arrives.
pub(crate) struct Paced {
    body: Arriving,
    pace: Pace,
}

impl Paced {
    pub(crate) fn new(body: Arriving, pause: Duration) -> Self {
        Self { body, pace: Pace::new(pause) }
    }
}

impl http_body::Body for Paced {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        let polled = Pin::new(&mut *self.body.lock()).poll_frame(context);
        match polled {
            Poll::Pending if self.pace.is_over(context) => {
                Poll::Ready(Some(Err(Box::new(TooSlow))))
            }
            Poll::Pending => Poll::Pending,
            Poll::Ready(frame) => {
                let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
                self.pace.moved(data.map_or(0, Bytes::len));
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.lock().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.lock().size_hint()
    }
}

/// A connection that breaks when its client hardly reads what is sent.
pub(crate) struct PacedStream {
    stream: TcpStream,
    pace: Pace,
    line: Arc<Line>,
}

impl PacedStream {
    pub(crate) fn new(stream: TcpStream, pause: Duration, line: Arc<Line>) -> Self {
        Self { stream, pace: Pace::new(pause), line }
    }

    fn written(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        self.line.sends();
        if written.is_pending() && self.pace.is_over(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let bytes = ready!(written)?;
        self.pace.moved(bytes);
        Poll::Ready(Ok(bytes))
    }
}

impl AsyncRead for PacedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for PacedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.written(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// All is written: the client is waited for no longer.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pace.begin_anew();
        self.line.has_sent();
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::lines::Lines;

    #[tokio::test]
    async fn a_line_is_at_work_until_the_system_has_taken_its_last_byte() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let (reader, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (mut reader, (stream, _)) = (reader.expect("connected"), accepted.expect("accepted"));
        let place = Lines::new(1).place().await;
        let line = Arc::clone(&place.line);
        let mut sender = PacedStream::new(stream, Duration::from_mins(1), Arc::clone(&line));
        // More than the system takes for one who doesn't read; the request itself is over.
        drop(line.begin());
        let sending = tokio::spawn(async move {
            sender.write_all(&vec![7; 64 * 1024 * 1024]).await?;
            sender.flush().await?;
            Ok::<_, io::Error>(sender)
        });
        let mut some = vec![0; 64 * 1024];
        reader.read_exact(&mut some).await.expect("some bytes");
        assert!(line.is_at_work() && !sending.is_finished());
        tokio::io::copy(&mut reader.take(63 * 1024 * 1024 + 960 * 1024), &mut tokio::io::sink())
            .await
            .expect("the rest");
        let _sender = sending.await.expect("no panic").expect("all was sent");
        assert!(!line.is_at_work());
    }
}
