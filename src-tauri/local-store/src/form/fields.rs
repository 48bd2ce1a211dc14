//! Reading a form: small fields into memory, the file as a stream.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use hyper::StatusCode;
use multer::{Field, Multipart};
use s3s::dto::StreamingBlob;
use s3s::{Body, S3Error, S3Result, StdError, s3_error};

use crate::fault;
use crate::pace::TooSlow;

/// Names and values of all fields but the policy, as AWS caps them.
const LARGEST_FIELDS: usize = 20 * 1024;
const LARGEST_POLICY: usize = 64 * 1024;
/// Everything before the file, with boundaries and the fields' own headers.
const LARGEST_START: u64 = 128 * 1024;
/// Everything after it.
const LARGEST_END: u64 = 64 * 1024;
/// For everything before the file, and for everything after it.
const PATIENCE: Duration = Duration::from_secs(50);

/// The fields before the file; names are in lower case.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.iter().find_map(|(found, value)| (found == name).then_some(value))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Of two values, one might be checked and the other used.
    pub(super) fn add(&mut self, name: String, value: String) -> S3Result<()> {
        if self.get(&name).is_some() {
            return Err(s3_error!(InvalidArgument, "The form has the field {name} twice."));
        }
        self.0.push((name, value));
        Ok(())
    }
}

#[cfg(test)]
impl FromIterator<(&'static str, &'static str)> for Fields {
    fn from_iter<T: IntoIterator<Item = (&'static str, &'static str)>>(fields: T) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// A form that was read up to its file.
pub(super) struct Form {
    pub(super) fields: Fields,
    /// As the client gave it.
    pub(super) file_name: String,
    file: Field<'static>,
    rest: Rest,
}

/// What follows the file.
pub(super) struct Rest {
    parts: Multipart<'static>,
    gate: Gate,
}

impl Form {
    /// Reads all fields before the file.
    pub(super) async fn read(boundary: String, body: &SharedBody) -> S3Result<Self> {
        let gate = Gate::default();
        gate.allow(LARGEST_START);
        let stream = Gated { body: body.clone(), gate: gate.clone(), pausing: false };
        let parts = Multipart::new(stream, boundary);
        tokio::time::timeout(PATIENCE, Self::read_fields(parts, gate)).await.map_err(|_| slow())?
    }

    async fn read_fields(mut parts: Multipart<'static>, gate: Gate) -> S3Result<Self> {
        let mut fields = Fields::default();
        let mut left = LARGEST_FIELDS;
        while let Some(field) = parts.next_field().await.map_err(malformed)? {
            let name = field.name().map(str::to_ascii_lowercase).ok_or_else(|| {
                s3_error!(MalformedPOSTRequest, "A field of the form has no name.")
            })?;
            if name == "file" {
                gate.allow(u64::MAX);
                let file_name = field.file_name().unwrap_or_default().to_owned();
                let rest = Rest { parts, gate };
                return Ok(Self { fields, file_name, file: field, rest });
            }
            let value = if name == "policy" {
                read_text(field, LARGEST_POLICY).await?
            } else {
                left = left.checked_sub(name.len()).ok_or_else(too_large)?;
                let value = read_text(field, left).await?;
                left -= value.len();
                value
            };
            fields.add(name, value)?;
        }
        Err(s3_error!(InvalidArgument, "POST requires exactly one file upload per request."))
    }

    /// The file's bytes, and what follows them once they are read.
    pub(super) fn into_file(self) -> (StreamingBlob, Rest) {
        (StreamingBlob::wrap(self.file), self.rest)
    }
}

impl Rest {
    /// Reads to the end of the form; fields after the file count for nothing.
    pub(super) async fn skip(mut self) -> S3Result<()> {
        self.gate.allow(LARGEST_END);
        let skip = async {
            while self.parts.next_field().await.map_err(malformed)?.is_some() {}
            Ok(())
        };
        tokio::time::timeout(PATIENCE, skip).await.map_err(|_| slow())?
    }
}

async fn read_text(mut field: Field<'_>, limit: usize) -> S3Result<String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(malformed)? {
        if bytes.len() + chunk.len() > limit {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes)
        .map_err(|_| s3_error!(MalformedPOSTRequest, "A field of the form isn't UTF-8."))
}

fn too_large() -> S3Error {
    let message = "Your POST request fields preceding the upload file were too large.";
    fault::other(StatusCode::BAD_REQUEST, "MaxPostPreDataLengthExceeded", message)
}

fn slow() -> S3Error {
    s3_error!(RequestTimeout, "The form took too long.")
}

fn malformed(error: multer::Error) -> S3Error {
    match error {
        multer::Error::StreamReadFailed(error) if error.is::<TooMuch>() => too_large(),
        multer::Error::StreamReadFailed(error) if error.is::<TooSlow>() => slow(),
        multer::Error::StreamReadFailed(_) => {
            s3_error!(IncompleteBody, "The body ended before its announced length.")
        }
        _ => s3_error!(
            MalformedPOSTRequest,
            "The body of your POST request is not well-formed multipart/form-data."
        ),
    }
}

/// A body that is still at hand when reading the form has failed.
#[derive(Clone)]
pub(super) struct SharedBody(Arc<Mutex<Body>>);

impl SharedBody {
    pub(super) fn new(body: Body) -> Self {
        Self(Arc::new(Mutex::new(body)))
    }

    pub(super) fn poll_next(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, StdError>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).poll_next_unpin(context)
    }
}

/// How many bytes may still pass. The chunk that goes beyond it is the last.
#[derive(Clone, Default)]
struct Gate(Arc<AtomicU64>);

impl Gate {
    fn allow(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    fn pass(&self, bytes: usize) -> Result<(), TooMuch> {
        let left = self.0.load(Ordering::Relaxed);
        self.allow(left.saturating_sub(bytes as u64));
        if left == 0 { Err(TooMuch) } else { Ok(()) }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("too much")]
struct TooMuch;

/// A body that gives one chunk at a time: multer reads ahead without limit until it has to wait,
/// which would hold a fast client's upload in memory.
struct Gated {
    body: SharedBody,
    gate: Gate,
    pausing: bool,
}

impl Stream for Gated {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.pausing) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let polled = self.body.poll_next(context);
        if let Poll::Ready(Some(Ok(chunk))) = &polled {
            self.pausing = true;
            if let Err(error) = self.gate.pass(chunk.len()) {
                return Poll::Ready(Some(Err(error.into())));
            }
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    use futures_util::stream;
    use s3s::stream::DynByteStream;

    /// A client that is faster than the disk.
    struct Ready<S>(S);

    impl<S: Stream<Item = Result<Bytes, StdError>> + Unpin> Stream for Ready<S> {
        type Item = Result<Bytes, StdError>;

        fn poll_next(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Self::Item>> {
            self.0.poll_next_unpin(context)
        }
    }

    impl<S: Stream<Item = Result<Bytes, StdError>> + Unpin> s3s::stream::ByteStream for Ready<S> {}

    #[tokio::test]
    async fn file_is_not_read_ahead() {
        let start =
            Bytes::from_static(b"--b\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\n");
        let taken = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&taken);
        let chunks = (0..1000).map(move |number| {
            counter.fetch_add(1, Ordering::Relaxed);
            Ok(if number == 0 { start.clone() } else { Bytes::from_static(&[b'x'; 1000]) })
        });
        let body: DynByteStream = Box::pin(Ready(stream::iter(chunks)));
        let body = SharedBody::new(Body::from(body));
        let form = Form::read("b".into(), &body).await.expect("a form");
        let (mut file, _rest) = form.into_file();
        for _ in 0..10 {
            file.next().await.expect("more").expect("well formed");
        }
        let taken = taken.load(Ordering::Relaxed);
        assert!(taken < 15, "{taken} chunks were taken to give 10");
    }
}
