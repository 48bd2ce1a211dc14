//! What the parts of a running store share.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, ErrorCode};
use tokio::sync::broadcast;
use tokio::task::spawn_blocking;

use crate::blobs::{Blobs, Kept, Received};
use crate::digest::Sums;
use crate::event::Event;
use crate::fault::Fault;
use crate::index::{self, Change, Index, Piece};
use crate::keys::Keys;
use crate::{Error, fault, room};

/// Events that one who listens may be behind; then it is told that it missed some.
const EVENTS: usize = 1024;

/// A store that is open in this process.
pub(crate) struct Store {
    pub(crate) index: Index,
    pub(crate) blobs: Arc<Blobs>,
    pub(crate) keys: Keys,
    pub(crate) events: broadcast::Sender<Event>,
    dir: PathBuf,
    /// Held for reading by what must end before the store may be let go.
    finishing: Arc<tokio::sync::RwLock<()>>,
}

impl Store {
    /// Opens the store in `dir`, made when it isn't there, and sweeps what a crash left. The caller
    /// holds the store's lock.
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        room::prepare(dir);
        let (events, _) = broadcast::channel(EVENTS);
        let index = Index::open(dir, events.clone())?;
        let blobs = Blobs::open(dir)?;
        let failed = |fault| fault::to_error(fault, &index::path(dir));
        blobs.sweep(|file| index.read(|view| Ok(index::is_named(view, file)?)).map_err(failed))?;
        if index.read(|view| Ok(index::is_unsummed(view)?)).map_err(failed)? {
            add_sums(&index, &blobs).map_err(failed)?;
        }
        let keys = index.read(|view| Ok(index::access_keys(view)?)).map_err(failed)?;
        Ok(Self {
            index,
            blobs: Arc::new(blobs),
            keys: Keys::new(keys),
            events,
            dir: dir.to_owned(),
            finishing: Arc::default(),
        })
    }

    /// Reads the index off the async threads.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        job: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let store = Arc::clone(self);
        spawn_blocking(move || store.index.read(job)).await?
    }

    /// Writes the index, then removes the files that no row names any more.
    ///
    /// A client that goes away doesn't stop it halfway.
    pub(crate) async fn write<T: Send + 'static>(
        self: &Arc<Self>,
        job: impl FnOnce(&mut Change<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let store = Arc::clone(self);
        self.blocking(move || {
            let written = store.index.write(job).inspect_err(|fault| store.see(fault))?;
            store.blobs.remove(written.orphans);
            Ok(written.value)
        })
        .await
    }

    /// Does what must end before the store may be let go, off the async threads.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let finishing = Arc::clone(&self.finishing).read_owned().await;
        spawn_blocking(move || {
            let _finishing = finishing;
            job()
        })
        .await?
    }

    /// Makes what was received a blob and writes the rows that name it: both or neither.
    ///
    /// The order is what makes a put durable: fsync of the file, rename, fsync of the folder,
    /// commit. The blob that it replaces goes after the commit.
    pub(crate) async fn write_blob<T: Send + 'static>(
        self: &Arc<Self>,
        received: Received,
        job: impl FnOnce(&mut Change<'_>, Piece, Sums) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let store = Arc::clone(self);
        self.blocking(move || {
            let Kept { piece, sums, guard } = store.blobs.keep(received)?;
            let written = store.index.write_blob(|change| job(change, piece, sums));
            // After a failed commit nobody knows whether a power cut would bring the row back: the
            // blob is left to the next sweep, which looks at the rows.
            if matches!(written, Ok(_) | Err(Fault::Index(_))) {
                guard.forget();
            }
            let written = written?;
            store.blobs.remove(written.orphans);
            Ok(written.value)
        })
        .await
    }

    /// After a full disk the next change may find room.
    fn see(&self, fault: &Fault) {
        if matches!(fault, Fault::Index(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull))
        {
            room::give_up(&self.dir);
        }
    }

    /// Waits until nothing writes any more; nothing can begin to, as long as the guard lives.
    pub(crate) async fn settle(&self) -> tokio::sync::OwnedRwLockWriteGuard<()> {
        Arc::clone(&self.finishing).write_owned().await
    }
}

/// Gives the blobs of an older store the checksums of their blocks. A damaged one stays as it is, and is told when
/// it is read.
fn add_sums(index: &Index, blobs: &Blobs) -> Result<(), Fault> {
    let mut last = String::new();
    loop {
        let page = index.read(|view| Ok(index::blobs_after(view, &last)?))?;
        let Some(end) = page.last() else { break };
        last.clone_from(&end.file);
        for piece in &page {
            blobs.add_sums(piece)?;
        }
    }
    index.write(|change| Ok(index::set_summed(change)?)).map(drop)
}
