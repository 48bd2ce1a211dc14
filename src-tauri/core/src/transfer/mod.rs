//! Sends the bytes of a source to its object: one PUT where it is small, multipart where it isn't.
//!
//! Memory doesn't grow with the file: a part is read from its range of the file while it is sent. What arrived is
//! written down as it is answered, so that whoever goes on later sends only the rest.

mod body;
mod layout;
mod parts;
mod progress;

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use self::body::{Counted, Piece, READ};
use self::layout::{LARGEST, MIB, MOST_PARTS};
pub(crate) use self::layout::{ONE_PUT, part_size};
pub(crate) use self::progress::Progress;
use crate::history::{History, UploadRow};
use crate::share::{OpenFile, Reins, ShareId};
use crate::storage::{Arrived, Bucket, Integrity, Sum};
use crate::{Code, Error, Result};

/// Of a pipe, whose length nobody knows: 156 GiB are as much as it can give.
const PIPE_PART: u64 = 16 * MIB;
/// The largest part that is held in memory.
const LARGEST_PART: u64 = 64 * MIB;
/// How long an object may take to arrive once all of it was handed to the network.
const LAST_BYTES: Duration = Duration::from_secs(3);
/// How often what arrived wrong is sent again.
const TRIES: usize = 3;

/// What arrived.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) size: u64,
    pub(crate) etag: String,
}

/// Gives the bucket by other keys, where its own were replaced. What a pipe gave can't be had again from the pipe, so
/// it is sent again from here.
pub(crate) type Renew<'a> = dyn Fn() -> BoxFuture<'a, Result<Option<Bucket>>> + Send + Sync + 'a;

/// One upload: where it goes, what is written down of it, who hears of it, and who may hold it.
pub(crate) struct Sending<'a, 'u> {
    pub(crate) bucket: Cow<'a, Bucket>,
    pub(crate) renew: &'a Renew<'a>,
    pub(crate) share: &'a ShareId,
    pub(crate) key: &'a str,
    pub(crate) upload: &'a mut UploadRow,
    pub(crate) history: &'a History,
    pub(crate) progress: &'a Arc<Progress>,
    pub(crate) reins: &'a mut Reins<'u>,
    /// Whether it may have been begun before.
    pub(crate) resumed: bool,
    /// Set where the storage has lost what had arrived.
    pub(crate) lost: bool,
}

impl Sending<'_, '_> {
    /// Sends a file that is open, or what is missing of it. Fails if the file is seen to change.
    pub(crate) async fn file(&mut self, source: &OpenFile) -> Result<Sent> {
        let size = source.fingerprint.size;
        if size > LARGEST {
            return Err(Error::new(
                Code::Storage,
                "the file is larger than 5 TiB, the most that S3 takes",
                "Split it and share the parts.",
            ));
        }
        let piece = || {
            let is_small = size <= READ as u64;
            if is_small { Piece::of_small_file(source) } else { Piece::of_file(source, 0, size) }
        };
        let arrived = if size > ONE_PUT {
            self.parts(source).await
        } else {
            match piece() {
                Ok(piece) => self.put(&piece).await,
                Err(error) => Err(error),
            }
        };
        // A failed read looks like a broken connection: the file itself tells which it was.
        source.check_unchanged().await?;
        Ok(Sent { size, etag: arrived?.etag })
    }

    /// Sends what a pipe gives, whose length nobody knows; `most` is what it surely won't exceed, if that is known.
    pub(crate) async fn stream(
        &mut self,
        source: &mut (impl AsyncRead + Unpin),
        most: Option<u64>,
    ) -> Result<Sent> {
        // A part is in memory while it is sent.
        let part = most.map_or(PIPE_PART, part_size);
        if part > LARGEST_PART {
            return Err(Error::new(
                Code::Storage,
                "the folder holds more than 625 GiB, the most that can be packed on the way",
                "Pack it with another program and share the archive.",
            ));
        }
        let first = self.read_part(source, part).await?;
        let size = first.len() as u64;
        if size < part {
            let first = Piece::of_memory(first);
            let arrived = loop {
                match self.put(&first).await {
                    Err(error) => self.go_on_after(error).await?,
                    arrived => break arrived?,
                }
            };
            return Ok(Sent { size, etag: arrived.etag });
        }
        let id = self.create().await?;
        self.stream_parts(&id, first, part, source).await
    }

    async fn stream_parts(
        &mut self,
        id: &str,
        mut part: Bytes,
        whole: u64,
        source: &mut (impl AsyncRead + Unpin),
    ) -> Result<Sent> {
        let (mut size, mut parts) = (0, Vec::new());
        for number in 1.. {
            if u64::from(number) > MOST_PARTS {
                return Err(Error::new(
                    Code::Storage,
                    "standard input gave more than 156 GiB, the most that can be shared from a pipe",
                    "Write it to a file and share that.",
                ));
            }
            let piece = Piece::of_memory(part);
            parts.push(loop {
                self.reins.may_go().await?;
                let sent = tokio::select! {
                    arrived = parts::send(&self.bucket, self.key, id, number, &piece, self.upload.integrity, self.progress) => arrived,
                    () = self.reins.held() => continue,
                };
                match sent {
                    Err(error) => self.go_on_after(error).await?,
                    arrived => break arrived?,
                }
            });
            size += piece.length;
            part = self.read_part(source, whole).await?;
            if part.is_empty() {
                break;
            }
        }
        let layout = layout::Layout { size, part: whole };
        let joined = loop {
            match self.complete(id, &parts, layout).await {
                Err(error) => self.go_on_after(error).await?,
                joined => break joined?,
            }
        };
        Ok(Sent { size, etag: joined.ok_or_else(damaged)?.etag })
    }

    /// Once the keys were replaced the same can be asked for again.
    async fn go_on_after(&mut self, error: Error) -> Result<()> {
        if !error.may_mean_old_keys() {
            return Err(error);
        }
        self.bucket = Cow::Owned((self.renew)().await?.ok_or(error)?);
        Ok(())
    }

    /// The next part of a pipe; less than a whole one at its end.
    async fn read_part(
        &mut self,
        source: &mut (impl AsyncRead + Unpin),
        whole: u64,
    ) -> Result<Bytes> {
        let mut part = BytesMut::new();
        loop {
            self.reins.may_go().await?;
            // Nothing that was read is lost when this is dropped and begun again.
            tokio::select! {
                filled = fill(source, &mut part, whole) => break filled.map_err(unreadable_input)?,
                () = self.reins.held() => {}
            }
        }
        Ok(part.freeze())
    }

    /// Sends the object by one request.
    async fn put(&mut self, piece: &Piece) -> Result<Arrived> {
        for _ in 0..TRIES {
            let (arrived, sum) = self.put_once(piece).await?;
            if arrived.as_ref().is_some_and(|arrived| sum.fits(&arrived.etag, arrived.crc64)) {
                return arrived.ok_or_else(damaged);
            }
        }
        Err(damaged())
    }

    /// What arrived, nothing if the storage saw that it was damaged on the way; and what was sent sums up to.
    async fn put_once(&mut self, piece: &Piece) -> Result<(Option<Arrived>, Sum)> {
        let way = self.upload.integrity;
        loop {
            self.reins.may_go().await?;
            let sent = Arc::new(Counted::new(self.progress, way));
            let mut putting = std::pin::pin!(async {
                let before = sum_before(piece, way).await?;
                let body = piece.body(&sent);
                let lane = self.progress.lane(piece.length).await;
                let slowed = self.bucket.slowed();
                let arrived = self
                    .bucket
                    .put(self.key, &self.upload.headers, body, piece.length, before.crc64())
                    .await;
                lane.done(self.bucket.slowed() != slowed);
                let arrived = undamaged(arrived)?;
                Ok((arrived, sent.summed(before)))
            });
            let mut done = tokio::select! {
                arrived = &mut putting => Some(arrived),
                () = self.reins.held() => None,
            };
            // The last bytes can't be called back: the object would arrive after its DELETE, and stay.
            if done.is_none() && sent.bytes() == piece.length {
                done = tokio::time::timeout(LAST_BYTES, &mut putting).await.ok();
            }
            if let Some(done) = done {
                let (arrived, sum) = done?;
                sent.arrived();
                self.progress.answered();
                return Ok((arrived, sum));
            }
        }
    }
}

/// A checksum that is sent along is known before the bytes go.
async fn sum_before(piece: &Piece, way: Integrity) -> Result<Sum> {
    if way != Integrity::Crc64 {
        return Ok(Sum::Nothing);
    }
    let [sum] = piece.sums([way]).await.map_err(unreadable)?;
    Ok(sum)
}

/// Nothing where the storage saw that the bytes were damaged on the way.
fn undamaged(arrived: Result<Arrived>) -> Result<Option<Arrived>> {
    match arrived {
        Err(error) if error.code == Code::Damaged => Ok(None),
        arrived => arrived.map(Some),
    }
}

fn damaged() -> Error {
    Error::new(
        Code::Damaged,
        format!("what arrived at the storage isn't what was sent, {TRIES} times in a row"),
        "Nothing was shared. Try another network; if it stays, the storage or this computer's memory is at fault.",
    )
}

fn unreadable(error: io::Error) -> Error {
    Error::new(Code::FileUnreadable, "the file can't be read", "Check the file and the disk.")
        .caused_by(error)
}

/// Reads until a whole part is there or the pipe ends.
async fn fill(
    source: &mut (impl AsyncRead + Unpin),
    part: &mut BytesMut,
    whole: u64,
) -> io::Result<()> {
    loop {
        let left = whole - part.len() as u64;
        if left == 0 || source.take(left).read_buf(part).await? == 0 {
            return Ok(());
        }
    }
}

fn unreadable_input(error: io::Error) -> Error {
    // Whoever packs a folder says what was wrong with which file.
    let error = match error.downcast::<Error>() {
        Ok(error) => return error,
        Err(error) => error,
    };
    Error::new(
        Code::FileUnreadable,
        "standard input can't be read",
        "Check the program that writes it.",
    )
    .caused_by(error)
}
