//! An upload in parts: begun, or gone on with by whoever comes next.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::body::{Counted, Piece};
use super::layout::Layout;
use super::{Progress, Sending, TRIES, damaged, sum_before, undamaged, unreadable};
use crate::history::PartRow;
use crate::pace::MOST_LANES;
use crate::point;
use crate::share::OpenFile;
use crate::storage::{Arrived, Bucket, Integrity, Joined, Sum, joined};
use crate::{Code, Error, Result};

/// The longest to wait before a Create is tried again, and how often it is tried.
const AGAIN: Duration = Duration::from_secs(2);
const CREATES: usize = 4;

/// Where an upload stands.
enum Standing {
    /// Its id, and the parts that arrived.
    Begun(String, BTreeMap<u32, Arrived>),
    /// All of it is there already.
    Whole(Arrived),
}

impl Sending<'_, '_> {
    /// Sends what is missing of a file in parts, and joins them.
    pub(super) async fn parts(&mut self, source: &OpenFile) -> Result<Arrived> {
        let layout = Layout { size: source.fingerprint.size, part: self.upload.part_size };
        for _ in 0..TRIES {
            let (id, mut arrived) = match self.stand(source, layout).await? {
                Standing::Begun(id, arrived) => (id, arrived),
                Standing::Whole(object) => return Ok(object),
            };
            self.missing_parts(source, layout, &id, &mut arrived).await?;
            source.check_unchanged().await?;
            let parts: Vec<Arrived> = arrived.into_values().collect();
            if let Some(object) = self.complete(&id, &parts, layout).await? {
                return Ok(object);
            }
            // An etag was answered wrong: what the storage lists is compared with the file.
        }
        Err(damaged())
    }

    async fn missing_parts(
        &mut self,
        source: &OpenFile,
        layout: Layout,
        id: &str,
        arrived: &mut BTreeMap<u32, Arrived>,
    ) -> Result<()> {
        let (bucket, key, progress) = (&self.bucket.clone(), self.key, self.progress);
        let (share, history, way) = (self.share, self.history, self.upload.integrity);
        loop {
            self.reins.may_go().await?;
            progress.begin_at(arrived.keys().map(|number| layout.range(*number).1).sum());
            let missing: Vec<u32> =
                layout.numbers().filter(|number| !arrived.contains_key(number)).collect();
            if missing.is_empty() {
                return Ok(());
            }
            let mut sending = std::pin::pin!(
                stream::iter(missing)
                    .map(|number| async move {
                        source.check_unchanged().await?;
                        let (offset, length) = layout.range(number);
                        let piece = Piece::of_file(source, offset, length)?;
                        let part = send(bucket, key, id, number, &piece, way, progress).await?;
                        point::reach("part_sent");
                        let (etag, crc64) = (part.etag.clone(), part.crc64);
                        history.arrived(share, PartRow { number, etag, crc64 }).await?;
                        point::reach("part_kept");
                        Ok::<_, Error>((number, part))
                    })
                    // Each waits for its lane: how many of them run at once is seen there.
                    .buffer_unordered(MOST_LANES)
            );
            loop {
                tokio::select! {
                    next = sending.try_next() => match next? {
                        Some((number, part)) => drop(arrived.insert(number, part)),
                        None => break,
                    },
                    // Dropped: what was under way is sent again, what arrived isn't.
                    () = self.reins.held() => break,
                }
            }
        }
    }

    /// The upload as it stands at the storage, which knows best; a new one where there is none.
    async fn stand(&mut self, source: &OpenFile, layout: Layout) -> Result<Standing> {
        if let Some(id) = self.upload.upload_id.clone() {
            if let Some(listed) = self.bucket.list_parts(self.key, &id).await? {
                let arrived = self.adopt(source, layout, listed).await?;
                return Ok(Standing::Begun(id, arrived));
            }
            // Completed when nobody heard the answer any more, or given up by the storage after a while.
            let kept = self.history.parts(self.share)?;
            let crc64 = whole_crc64(&kept, layout);
            if let Some(object) = self.object(layout, crc64).await? {
                return Ok(Standing::Whole(object));
            }
            self.lost = true;
        }
        Ok(Standing::Begun(self.create().await?, BTreeMap::new()))
    }

    /// Begins an upload, and writes down its id.
    pub(super) async fn create(&mut self) -> Result<String> {
        point::reach("intended");
        let mut tries = 1;
        // An answer that was lost, now or before, left an upload: the key is ours alone.
        let mut unheard = self.resumed;
        let id = loop {
            if unheard {
                self.bucket.abort_unheard(self.key).await?;
            }
            let way = self.upload.integrity;
            match self.bucket.create_multipart(self.key, &self.upload.headers, way).await {
                Ok(id) => break id,
                Err(error) if error.passes() && tries < CREATES => {
                    tracing::debug!(code = error.code.as_str(), "an upload couldn't be begun");
                    tokio::time::sleep(AGAIN.mul_f64(rand::random())).await;
                    (tries, unheard) = (tries + 1, true);
                }
                Err(error) => return Err(error),
            }
        };
        point::reach("created");
        self.history.begun(self.share, &id, self.upload.integrity).await?;
        self.upload.upload_id = Some(id.clone());
        point::reach("begun");
        Ok(id)
    }

    /// Of the parts that the storage has, those that are this file's.
    async fn adopt(
        &self,
        source: &OpenFile,
        layout: Layout,
        listed: BTreeMap<u32, (u64, Arrived)>,
    ) -> Result<BTreeMap<u32, Arrived>> {
        let kept = self.history.parts(self.share)?;
        let kept: BTreeMap<u32, PartRow> =
            kept.into_iter().map(|part| (part.number, part)).collect();
        let mut arrived = BTreeMap::new();
        for (number, (size, listed)) in listed {
            let (offset, length) = layout.range(number);
            if size != length || number > layout.count() {
                continue;
            }
            let known = kept.get(&number).filter(|part| part.etag == listed.etag);
            let part = match known {
                Some(part) => Some(Arrived { crc64: part.crc64, ..listed }),
                // It arrived, and its row was lost.
                None => self.compare(&Piece::of_file(source, offset, length)?, listed).await?,
            };
            if let Some(part) = part {
                if known.is_none() {
                    let (etag, crc64) = (part.etag.clone(), part.crc64);
                    self.history.arrived(self.share, PartRow { number, etag, crc64 }).await?;
                }
                arrived.insert(number, part);
            }
        }
        Ok(arrived)
    }

    /// A part that the storage has, if it surely is this piece.
    async fn compare(&self, piece: &Piece, listed: Arrived) -> Result<Option<Arrived>> {
        let [crc64, md5] =
            piece.sums([Integrity::Crc64, Integrity::Md5]).await.map_err(unreadable)?;
        let is_same = match (self.upload.integrity, listed.crc64) {
            (Integrity::Size, _) => false,
            (Integrity::Crc64, answered @ Some(_)) => crc64.fits(&listed.etag, answered),
            _ => md5.fits(&listed.etag, None),
        };
        let crc64 = crc64.crc64().filter(|_| self.upload.integrity == Integrity::Crc64);
        Ok(is_same.then_some(Arrived { crc64, ..listed }))
    }

    /// Joins the parts, and gives what the storage has then; nothing if it has other parts.
    pub(super) async fn complete(
        &mut self,
        id: &str,
        parts: &[Arrived],
        layout: Layout,
    ) -> Result<Option<Arrived>> {
        let rows: Vec<PartRow> = parts
            .iter()
            .zip(1..)
            .map(|(part, number)| PartRow { number, etag: part.etag.clone(), crc64: part.crc64 })
            .collect();
        let crc64 = whole_crc64(&rows, layout);
        point::reach("before_complete");
        let joined = match self.bucket.complete_multipart(self.key, id, parts, crc64).await {
            // It may have been done all the same.
            Err(error) if error.passes() && error.code != Code::Damaged => {
                match self.object(layout, crc64).await {
                    Ok(Some(object)) => Joined::Whole(object),
                    _ => return Err(error),
                }
            }
            joined => joined?,
        };
        point::reach("after_complete");
        let object = match joined {
            Joined::Whole(object) => Some(object),
            Joined::NoSuchUpload => None,
            Joined::OtherParts => return Ok(None),
        };
        let is_right = |object: &Arrived| match crc64 {
            Some(crc64) => Sum::Crc64(crc64).fits(&object.etag, object.crc64),
            None => false,
        };
        // Read again before anything is said of it.
        let Some(answered) = object else {
            return self.object(layout, crc64).await?.ok_or_else(given_up).map(Some);
        };
        if is_right(&answered) {
            return Ok(Some(answered));
        }
        self.object(layout, crc64).await?.ok_or_else(damaged).map(Some)
    }

    /// The object, if it is there and is what was sent.
    async fn object(&self, layout: Layout, crc64: Option<u64>) -> Result<Option<Arrived>> {
        match self.bucket.head(self.key).await {
            Ok(object) => {
                let same = object.size == layout.size
                    && crc64.zip(object.crc64).is_none_or(|(sent, there)| sent == there);
                Ok(same.then_some(Arrived { etag: object.etag, crc64: object.crc64 }))
            }
            Err(error) if error.code == Code::NoSuchObject => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Begun anew, it is sent whole.
fn given_up() -> Error {
    Error::new(
        Code::Storage,
        "the storage gave the unfinished upload up",
        "Share the file again; a clean-up rule of the bucket may be shorter than the upload takes.",
    )
    .passing(true)
}

/// The CRC-64 of the whole, where each part's is known.
fn whole_crc64(parts: &[PartRow], layout: Layout) -> Option<u64> {
    let each: Option<Vec<(u64, u64)>> =
        parts.iter().map(|part| part.crc64.map(|crc| (crc, layout.range(part.number).1))).collect();
    each.filter(|each| each.len() == layout.count() as usize).map(joined)
}

/// Sends one part until it arrives as it is.
pub(super) async fn send(
    bucket: &Bucket,
    key: &str,
    upload: &str,
    number: u32,
    piece: &Piece,
    way: Integrity,
    progress: &Arc<Progress>,
) -> Result<Arrived> {
    for _ in 0..TRIES {
        let lane = progress.lane(piece.length).await;
        let before = sum_before(piece, way).await?;
        let sent = Arc::new(Counted::new(progress, way));
        let slowed = bucket.slowed();
        let arrived = bucket
            .upload_part(key, upload, number, piece.body(&sent), piece.length, before.crc64())
            .await;
        lane.done(bucket.slowed() != slowed);
        let Some(arrived) = undamaged(arrived)? else { continue };
        let sum = sent.summed(before);
        if sum.fits(&arrived.etag, arrived.crc64) {
            sent.arrived();
            progress.answered();
            return Ok(Arrived { crc64: sum.crc64(), ..arrived });
        }
        tracing::warn!(number, "a part arrived damaged and is sent again");
    }
    Err(damaged())
}
