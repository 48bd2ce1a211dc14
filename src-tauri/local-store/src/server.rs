//! HTTP: connections and their limits, and what every answer carries.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, EXPECT,
    HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use jiff::Timestamp;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, S3Error, StdError, s3_error};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::access::{Access, Auth};
use crate::front::Way;
use crate::lines::{Busy, Lines, Place};
use crate::pace::{Arriving, Paced, PacedStream};
use crate::s3::{Backend, xml_body};
use crate::store::Store;
use crate::{Limits, chunks, fault, form, front, iam};

/// What hyper reads ahead of a connection.
const BUFFER: usize = 64 * 1024;
/// What is still read of a body that nobody wanted, so that its connection can go on.
const SHORT_REST: u64 = 64 * 1024;
const REST: Duration = Duration::from_secs(1);
/// What requests under way get when the store stops.
const GRACE: Duration = Duration::from_secs(5);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");

/// What the server is doing, for whoever decides when to stop it.
pub(crate) struct Pulse {
    pub(crate) under_way: AtomicUsize,
    /// Milliseconds since 1970; 0 before the first request.
    pub(crate) last_request: AtomicI64,
}

/// Answers S3 requests.
pub(crate) struct Server {
    service: S3Service,
    store: Arc<Store>,
    pulse: Arc<Pulse>,
    limits: Limits,
    lines: Arc<Lines>,
}

impl Server {
    pub(crate) fn new(store: &Arc<Store>, limits: Limits) -> Self {
        let mut builder = S3ServiceBuilder::new(Backend(Arc::clone(store)));
        builder.set_auth(Auth(Arc::clone(store)));
        builder.set_access(Access(Arc::clone(store)));
        let pulse = Pulse { under_way: AtomicUsize::new(0), last_request: AtomicI64::new(0) };
        Self {
            service: builder.build(),
            store: Arc::clone(store),
            pulse: Arc::new(pulse),
            limits,
            lines: Lines::new(limits.connections.min(crate::descriptors() / 2)),
        }
    }

    pub(crate) fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }

    /// Serves until `stop`, then lets requests under way finish, for a few seconds at most. Several listeners
    /// share the limits.
    pub(crate) async fn run(
        self: Arc<Self>,
        listener: TcpListener,
        mut stop: oneshot::Receiver<()>,
    ) {
        let limits = self.limits;
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                // An error means that nobody is left to ask for a stop.
                _ = &mut stop => break,
                accepted = accept(&listener, &self.lines) => accepted,
            };
            let (stream, is_local, place) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, most likely: some will be free again soon.
                    tracing::warn!(%error, "a connection couldn't be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let server = Arc::clone(&self);
            let line = Arc::clone(&place.line);
            let stream = PacedStream::new(stream, limits.pause, Arc::clone(&line));
            let answer = service_fn(move |request| {
                let server = Arc::clone(&server);
                let counted = server.count(line.begin());
                async move { Ok::<_, Infallible>(server.answer(request, is_local, counted).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(limits.head)
                .max_buf_size(BUFFER)
                .serve_connection(TokioIo::new(stream), answer);
            let connection = graceful.watch(connection);
            connections.spawn(async move {
                tokio::select! {
                    // What has arrived is begun before it is looked whether the connection idles.
                    biased;
                    // Clients go away all the time; there is nothing to do about it.
                    ended = connection => if let Err(error) = ended {
                        tracing::debug!(%error, "a connection broke off");
                    },
                    () = place.line.cut() => {
                        tracing::debug!("an idle connection was closed: another needs its place");
                    }
                }
            });
            while connections.try_join_next().is_some() {}
        }
        drop(listener);
        if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
            tracing::warn!("requests were still under way when the store stopped");
        }
        connections.shutdown().await;
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        is_local: bool,
        counted: Count,
    ) -> Response<Counted> {
        let id = format!("{:016X}", rand::random::<u64>());
        let (mut parts, body) = request.into_parts();
        front::drop_odd_range(&mut parts);
        let uri = parts.uri.clone();
        // A client that waits to be told to send its body isn't told to, only for it to be thrown away.
        let most = if parts.headers.contains_key(EXPECT) { 0 } else { SHORT_REST };
        let body = Arriving::new(body);
        let rest = body.clone();
        let body = Body::http_body(Paced::new(body, self.limits.pause));
        let answer = match front::check(&parts, Timestamp::now()) {
            Ok(Way::S3) => self.pass_on(parts, body).await,
            Ok(Way::Form) => {
                let stranger = counted.busy.line().stranger();
                let answer = form::answer(&self.store, &parts, body, stranger).await;
                answer.unwrap_or_else(refusal)
            }
            Ok(Way::Iam) => {
                let _stranger = counted.busy.line().stranger();
                iam::answer(&self.store, &parts, body, is_local, &id).await
            }
            Err(error) => refusal(error),
        };
        if answer.status().is_server_error() && answer.status() != StatusCode::NOT_IMPLEMENTED {
            tracing::warn!(
                status = answer.status().as_u16(),
                id,
                "the store couldn't do what was asked"
            );
        }
        let answer = fault::signed(answer, uri.path(), &id);
        let mut answer = finish(answer, &id);
        if !rest.end(most, REST).await {
            // hyper closes the connection, but doesn't say so: the client would send its next request there.
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer.map(|body| Counted { body, _count: counted })
    }

    async fn pass_on(&self, mut parts: Parts, body: Body) -> Response<Body> {
        let body = chunks::tame(&parts.headers, body);
        let (body, hashed) = match xml_body::watch(&mut parts, body) {
            Ok(watched) => watched,
            Err(error) => return refusal(error),
        };
        let answer = AssertUnwindSafe(self.service.call(Request::from_parts(parts, body)));
        // One request's panic is no other's end.
        let answer =
            answer.catch_unwind().await.unwrap_or_else(|_| Ok(refusal(s3_error!(InternalError))));
        let answer = answer.unwrap_or_else(|error| {
            tracing::error!(error = %StdError::from(error), "a request failed");
            refusal(s3_error!(InternalError))
        });
        match hashed.and_then(|hashed| hashed.mismatch()) {
            Some(error) if answer.status() == StatusCode::INTERNAL_SERVER_ERROR => refusal(error),
            _ => answer,
        }
    }

    fn count(&self, busy: Busy) -> Count {
        self.pulse.under_way.fetch_add(1, Ordering::Relaxed);
        self.pulse.last_request.store(Timestamp::now().as_millisecond(), Ordering::Relaxed);
        Count { pulse: Arc::clone(&self.pulse), busy }
    }
}

/// A connection, and whether it comes from this computer.
async fn accept(
    listener: &TcpListener,
    lines: &Arc<Lines>,
) -> std::io::Result<(TcpStream, bool, Place)> {
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, peer.ip().is_loopback(), lines.place().await))
}

fn refusal(error: S3Error) -> Response<Body> {
    error.to_http_response().unwrap_or_else(|_| {
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        answer
    })
}

/// A stored page must never run with the rights of this origin, whatever its type is said to be.
fn finish(mut answer: Response<Body>, id: &str) -> Response<Body> {
    let unchanged = answer.status() == StatusCode::NOT_MODIFIED;
    let headers = answer.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert(REQUEST_ID, id);
    }
    if answer.headers().contains_key(CONTENT_RANGE) && answer.status() == StatusCode::OK {
        // s3s answers a HEAD of a range as if it were of the whole.
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    if unchanged {
        let headers = answer.headers_mut();
        // s3s gives every error a body; this answer has none.
        headers.remove(CONTENT_LENGTH);
        headers.remove(CONTENT_TYPE);
        *answer.body_mut() = Body::empty();
    }
    answer
}

/// A request under way, until its answer is sent.
struct Count {
    pulse: Arc<Pulse>,
    busy: Busy,
}

impl Drop for Count {
    fn drop(&mut self) {
        self.pulse.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A body that keeps its request counted.
struct Counted {
    body: Body,
    _count: Count,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
